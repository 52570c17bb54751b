import { type AudioFormat, RATES, type Rate } from '../audio/format.ts';
import { BridgeError } from '../errors.ts';
import type { ProviderCapabilities, RealtimeProvider } from '../provider.ts';
import { optionsOf } from './common/options.ts';
import { SpeechDecoder } from './common/speech-decoder.ts';
import { type AddressOptions, addressOf, type Platform } from './gemini/address.ts';
import { DEFAULT_MODEL, GEMINI, INPUT } from './gemini/facts.ts';
import { GENERATIONS, type GenerationName, generation, generationOf } from './gemini/generations.ts';
import { GeminiSession, type SessionSettings } from './gemini/session.ts';

/** Settings of the Gemini Live provider. Times are in ms. */
export interface GeminiOptions {
  /** Of Google AI Studio; this or `accessToken`. */
  readonly apiKey?: string | undefined;
  /**
   * An ephemeral token (`auth_tokens/…`) of AI Studio, or an OAuth token, which Vertex AI needs. OAuth tokens last an
   * hour, so a function may give one; it is asked before every session.
   */
  readonly accessToken?: string | (() => string | Promise<string>) | undefined;
  /** `studio` (the default) or `vertex`. */
  readonly platform?: Platform | undefined;
  /** Vertex AI only: the project at Google Cloud. */
  readonly project?: string | undefined;
  /** Vertex AI only: the region, or `global`; `us-central1`. */
  readonly location?: string | undefined;
  /** `wss:` or `ws:`, or a host alone; the path of the service is appended unless it is there. */
  readonly baseUrl?: string | undefined;
  /** `v1beta` for AI Studio, `v1` for Vertex AI; features in preview need `v1alpha`. */
  readonly apiVersion?: string | undefined;
  /** `gemini-3.8-live` by default. */
  readonly model?: string | undefined;
  /** Whose rules hold for the model; by default its name tells, and a name that does not is of the newest. */
  readonly generation?: GenerationName | undefined;
  /** For requests that name no voice. */
  readonly voice?: string | undefined;
  /** Raw fields of `setup`, merged over what the bridge makes; those of a request are merged over these; null removes. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Samples per second of the caller's audio; 16000, what the models hear. Other rates may be declared, and the service
   * resamples them (ai.google.dev/gemini-api/docs/live); how well it does that with 8000, which would spare the bridge its
   * own resampler, was not seen.
   */
  readonly inputRate?: Rate | undefined;
  /** Whether the model stands still while a function runs; by default what the generation does by itself. */
  readonly toolBehavior?: 'blocking' | 'non-blocking' | undefined;
  /**
   * Results that the model is not to speak of are told silently. Where that is not possible (functions that block) it
   * speaks all the same, and the caller does not hear it; false lets them. On by default.
   */
  readonly quietToolResults?: boolean | undefined;
  /**
   * What the caller says while the model stands still for a function is kept, up to this, and delivered afterwards; 0
   * sends it at once. 10 s.
   */
  readonly holdAudioMs?: number | undefined;
  /** A carrier that sends nothing for so long is told to the service, which then closes the caller's turn; 0: never. 1 s. */
  readonly streamEndMs?: number | undefined;
  /**
   * Tells the model what was heard of an answer that the caller cut off, when that is less by a second or more than
   * what it must assume. How a message in the middle of the caller's turn affects that turn was not seen on every
   * model: on 2.5 it stops an answer that is being made, and it is sent when none is. On by default.
   */
  readonly correctHeard?: boolean | undefined;
  /** Lets the context be compressed, without which a session ends after 15 minutes. On by default. */
  readonly compression?: boolean | undefined;
  /** Asks for handles by which a session can be gone on with over another connection. On by default. */
  readonly resumption?: boolean | undefined;
  /** For dialling and `setupComplete` together; 10 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** Caller audio that may lie in the socket; 2 s. */
  readonly highWaterMs?: number | undefined;
  /** Caller audio that waits beside a full socket before the oldest is dropped; 2 s. */
  readonly backlogMs?: number | undefined;
  /** How long before the end of the connection `expiring` comes if the service does not announce it; 60 s. */
  readonly expiryMarginMs?: number | undefined;
}

const options = optionsOf('Gemini provider');

function inputOf(rate: Rate = INPUT.rate): AudioFormat {
  if (rate === INPUT.rate) return INPUT;
  if (RATES.includes(rate)) return Object.freeze({ encoding: 'pcm16', rate });
  throw options.bad(`inputRate is ${rate}, wanted ${RATES.join(', ')}`);
}

function settingsOf(given: GeminiOptions): Omit<SessionSettings, 'model' | 'generation'> {
  const { toolBehavior, generation: name } = given;
  if (name !== undefined && !GENERATIONS.includes(name)) {
    throw options.bad(`generation is ${JSON.stringify(name)}, wanted ${GENERATIONS.join(', ')}`);
  }
  return {
    address: addressOf(given satisfies AddressOptions),
    voice: given.voice,
    input: inputOf(given.inputRate),
    behavior: toolBehavior && (toolBehavior === 'blocking' ? 'BLOCKING' : 'NON_BLOCKING'),
    compression: given.compression ?? true,
    resumption: given.resumption ?? true,
    session: given.session ?? {},
    connectTimeoutMs: options.ms('connectTimeoutMs', given.connectTimeoutMs, 10_000, 1),
    highWaterMs: options.ms('highWaterMs', given.highWaterMs, 2_000, 20),
    backlogMs: options.ms('backlogMs', given.backlogMs, 2_000),
    expiryMarginMs: options.ms('expiryMarginMs', given.expiryMarginMs, 60_000),
    holdAudioMs: options.ms('holdAudioMs', given.holdAudioMs, 10_000),
    streamEndMs: options.ms('streamEndMs', given.streamEndMs, 1_000),
    correctHeard: given.correctHeard ?? true,
    quietResults: given.quietToolResults ?? true,
    decoder: new SpeechDecoder(),
  };
}

function capabilitiesOf(input: AudioFormat): ProviderCapabilities {
  if (input === INPUT) return GEMINI.capabilities;
  return Object.freeze({ ...GEMINI.capabilities, inputs: Object.freeze([input]) });
}

/** Gemini Live over WebSocket, at Google AI Studio or Vertex AI. Throws BAD_CONFIG for unusable options. */
export function createGeminiProvider(given: GeminiOptions): RealtimeProvider {
  const settings = settingsOf(given);
  const named = given.model ?? DEFAULT_MODEL;
  if (named === '') throw options.bad('model is empty, wanted the name of a Live model');
  return {
    name: 'gemini',
    model: named,
    capabilities: capabilitiesOf(settings.input),
    usesNetwork: true,
    connect(request, sink, signal) {
      const model = request.model ?? named;
      if (model === '') {
        return Promise.reject(new BridgeError('PROVIDER_CONFIG', 'model is empty, wanted the name of one'));
      }
      const rules = given.generation === undefined ? generationOf(model) : generation(given.generation);
      const own = { ...settings, generation: rules, model: settings.address.modelPath(model) };
      return GeminiSession.connect(own, request, sink, signal);
    },
  };
}
