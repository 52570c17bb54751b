import { type Clock, systemClock } from '../../clock.ts';
import type { Dice } from '../common/dice.ts';
import type { JsonObject } from '../common/json.ts';
import { speedOf } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import type { GeminiSimulatorOptions, Hearing, ResponsePlan, Turn } from './api.ts';
import { VOICES } from './catalog.ts';
import { Conversation } from './conversation.ts';
import type { CloseFrame, FaultRule } from './faults.ts';
import type { Sessions } from './sessions.ts';
import type { SessionConfig } from './setup.ts';
import { Refusal } from './wire.ts';

/** The options of a simulator with every default filled in. */
export interface Settings {
  readonly port: number;
  readonly host: string;
  readonly apiKey: string | undefined;
  readonly accessToken: string | undefined;
  readonly badKey: 'close' | 'http';
  readonly clock: Clock;
  readonly seed: number;
  readonly sessionMs: number;
  readonly goAwayMs: number;
  readonly conversationMs: number;
  readonly endClose: CloseFrame;
  readonly maxSessions: number;
  readonly contextTokens: number;
  readonly handleMs: number;
  readonly staleHandle: 1007 | 1008;
  readonly speedFactor: number;
  readonly firstAudioMs: number;
  readonly deltaMs: number;
  readonly handshakeDelayMs: number;
  readonly setupMs: number;
  readonly models: readonly string[] | 'any' | undefined;
  readonly voices: readonly string[] | 'any';
  readonly frames: 'binary' | 'text';
  readonly spellsFalse: boolean;
  readonly words: 'mixed' | 'ahead' | 'behind';
  readonly interimTranscripts: boolean;
  readonly finishedTranscripts: boolean;
  readonly voiceActivity: boolean;
  readonly waitsForPlayback: boolean;
  readonly interruption: 'prompt' | 'late' | 'absent' | 'after-turn-complete';
  readonly interruptedMs: number;
  readonly prematureTurnCompleteMs: number;
  readonly contentInterrupts: boolean;
  readonly omitsCallIds: boolean;
  readonly cancelsToolCalls: boolean;
  readonly inputDuringCall: 'heard' | 1008 | 1011;
  readonly keepAudio: boolean;
  readonly keepEvents: number;
  readonly respond: (turn: Turn) => ResponsePlan | undefined;
  readonly hear: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly faults: readonly FaultRule[];
}

const DEFAULTS = {
  port: 0,
  host: '127.0.0.1',
  apiKey: undefined,
  accessToken: undefined,
  badKey: 'close',
  clock: systemClock,
  seed: 1,
  sessionMs: 10 * 60_000,
  goAwayMs: 60_000,
  conversationMs: 15 * 60_000,
  endClose: { code: 1011, reason: 'Deadline expired before operation could complete.' },
  maxSessions: Number.POSITIVE_INFINITY,
  contextTokens: 131_072,
  handleMs: 2 * 3_600_000,
  staleHandle: 1008,
  firstAudioMs: 250,
  deltaMs: 100,
  handshakeDelayMs: 0,
  setupMs: 0,
  models: undefined,
  voices: VOICES,
  frames: 'binary',
  spellsFalse: true,
  words: 'mixed',
  interimTranscripts: false,
  finishedTranscripts: false,
  voiceActivity: false,
  waitsForPlayback: true,
  interruption: 'prompt',
  interruptedMs: 600,
  prematureTurnCompleteMs: Number.POSITIVE_INFINITY,
  contentInterrupts: true,
  omitsCallIds: false,
  cancelsToolCalls: true,
  inputDuringCall: 'heard',
  keepAudio: false,
  keepEvents: 2_000,
  respond: () => undefined,
  hear: () => undefined,
  faults: [],
} as const;

export function resolveOptions(options: GeminiSimulatorOptions): Settings {
  return { ...DEFAULTS, ...options, speedFactor: speedOf(options.speedFactor ?? 4) };
}

/** What the parts of one session share. */
export class Core {
  readonly conversation = new Conversation();
  readonly connection: number;
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly voice: Voice;
  readonly sessions: Sessions;
  readonly #send: (message: JsonObject) => void;
  readonly #end: (frame: CloseFrame) => void;
  #config: SessionConfig | undefined;

  constructor(parts: {
    readonly settings: Settings;
    readonly connection: number;
    readonly scheduler: Scheduler;
    readonly dice: Dice;
    readonly voice: Voice;
    readonly sessions: Sessions;
    readonly send: (message: JsonObject) => void;
    readonly end: (frame: CloseFrame) => void;
  }) {
    this.settings = parts.settings;
    this.connection = parts.connection;
    this.scheduler = parts.scheduler;
    this.dice = parts.dice;
    this.voice = parts.voice;
    this.sessions = parts.sessions;
    this.#send = parts.send;
    this.#end = parts.end;
  }

  /** The session; throws a Refusal before its setup. */
  get config(): SessionConfig {
    if (this.#config !== undefined) return this.#config;
    throw new Refusal(1007, 'Request contains an invalid argument.', 'the first message must be a setup');
  }

  set config(config: SessionConfig) {
    this.#config = config;
  }

  get isSetUp(): boolean {
    return this.#config !== undefined;
  }

  emit(message: JsonObject): void {
    this.#send(message);
  }

  /** A message whose members are all in `serverContent`. */
  content(fields: JsonObject, beside: JsonObject = {}): void {
    this.#send({ serverContent: fields, ...beside });
  }

  /** Ends the connection as the service would. */
  end(frame: CloseFrame): void {
    this.#end(frame);
  }
}
