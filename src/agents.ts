import { type AudioFormat, MULAW_8K } from './audio/format.ts';
import type { AfterStream } from './carrier.ts';
import type { DigitRule } from './digits.ts';
import { FAILOVER, type FailoverPolicy } from './fallback/policy.ts';
import type { TurnDetection } from './provider.ts';
import type { SilencePolicy } from './silence.ts';
import { currentTime, endCall, lineStatus } from './tools/built-in.ts';
import type { Tool } from './tools.ts';

/** Who answers a call: what it says and knows, what it may do, and when it gives up. */
export interface Agent {
  readonly name: string;
  readonly instructions: string;
  /** What the agent says first; undefined: it waits for the caller. */
  readonly greeting: string | undefined;
  readonly voice: string | undefined;
  readonly language: string | undefined;
  readonly turnDetection: TurnDetection;
  readonly bargeIn: BargeInPolicy;
  readonly transcribeCaller: boolean;
  /** `passthrough` sends G.711 as it is where both ends speak the same law; `wideband` is the provider's best. */
  readonly audio: 'wideband' | 'passthrough';
  readonly tools: readonly Tool[];
  /** Names of arguments of functions that are kept out of events and reports. */
  readonly redact: readonly string[];
  /** So many functions of one call may run at once; others wait for their turn. */
  readonly toolsAtOnce: number;
  /** What the caller hears while a function runs; undefined: nothing. */
  readonly filler: FillerPolicy | undefined;
  /** Providers in the order in which they are to be tried; none: the one that the service is configured for. */
  readonly providers: readonly AgentProvider[];
  readonly failover: FailoverPolicy;
  readonly maxCallMs: number;
  readonly maxCallGoodbye: string;
  readonly silence: SilencePolicy;
  readonly digits: AgentDigits;
  /** The carrier is asked to record the call from its first second. */
  readonly recording: boolean;
  /** What is known of the call: filled into the texts above, and handed to functions. */
  readonly variables: Readonly<Record<string, string>>;
  /** What the caller gets when no provider is left. */
  readonly lastResort: AfterStream;
}

/** One provider as an agent wants it. */
export interface AgentProvider {
  /** As the service knows it, such as `openai`. */
  readonly name: string;
  /** Undefined: the one of the service. */
  readonly model: string | undefined;
  /** Undefined: as the agent, then the service, then the provider has it. */
  readonly voice: string | undefined;
  /** Raw session fields, merged last. */
  readonly overrides: Readonly<Record<string, unknown>>;
}

/** Who notices that the caller speaks while the agent does, and what it takes. */
export interface BargeInPolicy {
  /**
   * `provider`: only the provider; `local`: the bridge listens as well; `auto`: it does if the provider does not say when
   * the caller begins to speak.
   */
  readonly detector: 'auto' | 'local' | 'provider';
  /** Of the bridge's own ear: voice that is needed, in ms. */
  readonly minSpeechMs: number;
  /** Speech that begins so soon after the first sound on a line has to last longer: it is often "hello?", or an echo. */
  readonly guardMs: number;
}

/** A sound for the caller who waits; PCM16, little-endian, mono. */
export interface Clip {
  readonly pcm: Uint8Array;
  readonly rate: 8000 | 16000 | 24000;
}

/** What the caller hears while a function takes its time. */
export interface FillerPolicy {
  /** Nobody has said anything for this long, in ms. */
  readonly afterMs: number;
  /** Said in turn by the agent, in its voice; not used when there is a clip. */
  readonly texts: readonly string[];
  readonly clip: Clip | undefined;
  /** From the end of one to the beginning of the next, in ms. */
  readonly everyMs: number;
  /** Of one wait. */
  readonly atMost: number;
}

/** What becomes of the keys that the caller presses. */
export interface AgentDigits extends DigitRule {
  /**
   * Takes the place of the model for keys. What it returns is told to the model, which then answers; undefined: the
   * model is not told anything. A handler that throws is reported, and the model is given the keys.
   */
  readonly handle?: ((digits: string, call: DigitContext) => DigitAnswer | Promise<DigitAnswer>) | undefined;
}

type DigitAnswer = string | undefined;

export interface DigitContext {
  readonly callId: string;
  readonly from: string;
  readonly to: string;
}

/** Formats that spare a conversion for this agent on a line of this format. */
export function preferredFormats(agent: Agent, line: AudioFormat = MULAW_8K): readonly AudioFormat[] {
  return agent.audio === 'passthrough' ? [line] : [];
}

/** For a caller whom nothing else can help. */
export const LAST_RESORT: AfterStream = {
  type: 'say',
  text: 'We are sorry. There is a technical problem and we cannot go on with this call. Please try again later. Goodbye.',
  language: undefined,
};

/** Longest message of a caller who is asked for one as the last resort, in s. */
export const MESSAGE_S = 120;
/** How long somebody is rung who is the last resort, in s: a phone that nobody answers by then has voice mail. */
export const TRANSFER_RING_S = 25;

export interface AgentText {
  readonly instructions: string | undefined;
  readonly greeting: string | undefined;
  readonly voice: string | undefined;
  readonly language: string | undefined;
  readonly audio: 'wideband' | 'passthrough';
  readonly maxCallMs: number;
  readonly silenceMs: number;
  /** Over what `FAILOVER` says. */
  readonly failover?: Partial<FailoverPolicy> | undefined;
  /** Undefined: `LAST_RESORT`. */
  readonly lastResort?: AfterStream | undefined;
}

/** Voice of 60 ms is heard 70 to 150 ms after it began; a second is what echo cancellers need, and callers for their hello. */
export const BARGE_IN: BargeInPolicy = { detector: 'auto', minSpeechMs: 60, guardMs: 1000 };

/** A model that calls more functions than this at once is confused, or wants to be expensive. */
const TOOLS_AT_ONCE = 4;

/** The agent of a service that has a model. */
export function voiceAgent(text: AgentText, tools: readonly Tool[]): Agent {
  return {
    name: 'voice-agent',
    instructions:
      text.instructions ??
      'You answer a telephone call. Be friendly and brief: one or two short sentences at a time, no lists, no markup. ' +
        'If you did not understand, ask. When the conversation is over, say goodbye and call end_call.',
    greeting: text.greeting === '' ? undefined : (text.greeting ?? 'Hello! How can I help you?'),
    voice: text.voice,
    language: text.language,
    turnDetection: {},
    bargeIn: BARGE_IN,
    transcribeCaller: true,
    audio: text.audio,
    tools: [endCall, currentTime, ...tools],
    redact: [],
    toolsAtOnce: TOOLS_AT_ONCE,
    filler: { afterMs: 2000, texts: ['One moment, please.'], clip: undefined, everyMs: 8000, atMost: 3 },
    providers: [],
    failover: { ...FAILOVER, ...text.failover },
    maxCallMs: text.maxCallMs,
    maxCallGoodbye: 'I am sorry, we have to end here, this call has reached its longest time. Goodbye.',
    silence: {
      afterMs: text.silenceMs,
      prompts: ['Are you still there?', 'I cannot hear you. Are you still there?'],
      goodbye: 'I still cannot hear you, so I will hang up. Please call again. Goodbye.',
    },
    // Long enough for somebody who reads a number off a card, short enough for a menu.
    digits: { endKey: '#', timeoutMs: 1500, max: 32 },
    recording: false,
    variables: {},
    lastResort: text.lastResort ?? LAST_RESORT,
  };
}

/** The agent of a service that has nothing: a line check, which says that it is one. */
export function lineCheckAgent(text: AgentText, tools: readonly Tool[] = []): Agent {
  return {
    ...voiceAgent(text, []),
    name: 'line-check',
    // It reads single keys back.
    digits: { endKey: undefined, timeoutMs: 1500, max: 1 },
    instructions: 'Line check. This agent is a measuring program and has no model.',
    greeting:
      text.greeting === ''
        ? undefined
        : (text.greeting ??
          'Hello. This is the Patchcord line check. It is a measuring program, not an intelligent agent. Please say a sentence.'),
    // The echo has to be the caller's voice as the line delivered it.
    audio: 'passthrough',
    tools: [endCall, currentTime, lineStatus, ...tools],
    filler: undefined,
    silence: {
      afterMs: text.silenceMs,
      prompts: ['I hear nothing. Please say something, or press a key.'],
      goodbye: 'I still hear nothing. Goodbye.',
    },
  };
}
