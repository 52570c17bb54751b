import type { Clock } from '../../clock.ts';
import type { LoggedEvent } from '../common/event-log.ts';
import type { JsonObject } from '../common/json.ts';
import type { ConnectionEnd, PlannedOutputs } from '../common/plan.ts';
import type { FaultRule } from './faults.ts';
import type { SessionConfig } from './session-config.ts';
import type { CloseReason, WireError, WireEvent } from './wire.ts';

/** Why the model has something to say. */
export type TurnKind =
  /** It was given something to say (`session.commentary.append`) before anybody had said anything. */
  | 'greeting'
  /** The caller spoke. */
  | 'user-turn'
  /** Instructions were appended. */
  | 'text'
  /** The output of a function call came back, or a delegation was answered. */
  | 'tool-result'
  /** It was given something to say later on, or a response was asked for though nothing was new. */
  | 'prompt';

/** What the script is told about what is about to be said. */
export interface Turn {
  /** Counts the turns of one connection, from 0. */
  readonly index: number;
  readonly kind: TurnKind;
  /** `index` of the connection. */
  readonly connection: number;
  readonly instructions: string;
  /** Speech of the caller in this turn, in ms; 0 when nobody spoke. */
  readonly heardMs: number;
  /** What was appended; empty when nothing was. */
  readonly text: string;
  /** What both have said and what was appended, oldest first, as messages and function calls in wire shape. */
  readonly items: readonly JsonObject[];
  /** Of these, the ones that were added since the last turn. */
  readonly newItems: readonly JsonObject[];
  /** The function definitions of the Responses backend. */
  readonly tools: readonly JsonObject[];
  readonly session: SessionConfig;
}

/**
 * What the model does in one turn. Without `outputs`, the message of `audioMs`, `audio` and `transcript` comes first
 * (when one of them is given), then `toolCalls`: calls that follow each other are made by one response of the backend. An
 * empty plan is silence. In a session with client delegation all calls together are one delegation to the client. The one
 * stream of a session has one pace, so no plan has one of its own.
 */
export interface ResponsePlan extends PlannedOutputs {
  /** How the response of the backend ends; default `completed`. A turn without function calls just stays silent. */
  readonly status?: 'completed' | 'incomplete' | 'failed';
  /** For `failed`. */
  readonly error?: WireError;
  /** Instead of the simulator's options. */
  readonly firstAudioMs?: number;
}

/** What the transcriber makes of one stretch of the caller's speech. */
export interface Hearing {
  /** Default: a sentence with the length of what was heard. */
  readonly transcript?: string;
  /** When it is ready: ms of the session's time after the caller has finished, or after the answer. Default 0. */
  readonly after?: number | 'response';
}

/** Settings of a simulator; everything is optional. */
export interface OpenAiLiveSimulatorOptions {
  /** Default 0: chosen by the system. */
  readonly port?: number;
  /** Loopback only. */
  readonly host?: '127.0.0.1';
  /** Default: any key is good. */
  readonly apiKey?: string;
  readonly clock?: Clock;
  /** Ids and babble are the same for the same seed; default 1. */
  readonly seed?: number;
  /** Longest session; default 2 hours, as seen in aplisay/llm-agent#306. */
  readonly sessionMs?: number;
  /**
   * How much faster than it is heard audio goes, at most; default 1, and the service has no other. `burst`: as fast as
   * input comes, so that a test can put in a minute at once.
   */
  readonly speedFactor?: number | 'burst';
  /** From the end of the caller's turn, or an append, to the first sound of the answer; default 250. */
  readonly firstAudioMs?: number;
  /** Audio in one delta; default 100. */
  readonly deltaMs?: number;
  /** How long the 101 is kept back; default 0. */
  readonly handshakeDelayMs?: number;
  /** Models that the server has; any other is refused with `model_not_found`. Default: all names are good. */
  readonly models?: readonly string[];
  /**
   * Deltas come while the model is silent as well; default true, as reported in timbal-ai/timbal#174. False: they come
   * only while it speaks.
   */
  readonly silentFrames?: boolean;
  /** Loudest sample of the noise that stands for silence, 0..32767; default 0. The service itself is not quite silent. */
  readonly noise?: number;
  /**
   * True (the default): a session goes on only as input audio comes, as measured in livekit/agents#7239. False: it goes
   * on by the clock, and what has not come is taken for silence.
   */
  readonly inputClock?: boolean;
  /** How long the caller has to talk over the model before it falls silent, in ms; default 300. */
  readonly yieldMs?: number;
  /** Quiet after which the caller's turn is over, in ms; default 500. */
  readonly endOfTurnMs?: number;
  /** A short sound of agreement is made each time the caller has talked for so long, in ms; default never. */
  readonly backchannelMs?: number;
  /** How often usage is reported, in ms; default 15 s, as measured in the wild. */
  readonly usageMs?: number;
  /** Keep all audio, both ways, for `receivedAudio()` and `sentAudio()`; default false. */
  readonly keepAudio?: boolean;
  /** How many events a connection remembers for `sent`, `received` and `next()`; default 2000. */
  readonly keepEvents?: number;
  /** The model; undefined: the default answer. Must not throw. */
  readonly respond?: (turn: Turn) => ResponsePlan | undefined;
  /** The transcriber. */
  readonly hear?: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly faults?: readonly FaultRule[];
  /** Sees every event of every connection, without audio payloads. */
  readonly onEvent?: (connection: SimulatedLiveConnection, logged: LoggedEvent) => void;
}

/** Work that the model has handed on. */
export interface SimulatedDelegation {
  readonly id: string;
  readonly target: 'client' | 'responses';
}

/** One session with the simulator. */
export interface SimulatedLiveConnection {
  /** Counts the attempts to connect, from 0. */
  readonly index: number;
  /** Empty until the session was started. */
  readonly model: string;
  /** Of the upgrade request, names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Undefined until the session was started. */
  readonly session: SessionConfig | undefined;
  /**
   * `session.input_audio.append` is counted in `receivedAudioMs`, not listed, nor are deltas of silence. In all events
   * `bytes` (a count) stands in the place of the base64 text of `audio` and `delta`.
   */
  readonly received: readonly LoggedEvent[];
  readonly sent: readonly LoggedEvent[];
  readonly receivedAudioMs: number;
  readonly receivedAppends: number;
  /** Everything that was appended, in order, in the format of the session; empty without `keepAudio`. */
  receivedAudio(): Uint8Array;
  /** How far the session has come, in ms: input that was taken in, and output that was sent, silence too. */
  readonly timelineMs: number;
  /** Speech that was sent, in ms, without silence between two utterances. */
  readonly sentAudioMs: number;
  /** All output, silence too, in order; empty without `keepAudio`. */
  sentAudio(): Uint8Array;
  /** The model has begun to speak, or is about to. */
  readonly speaking: boolean;
  /** What both have said and what was appended, oldest first. */
  readonly items: readonly JsonObject[];
  readonly delegations: readonly SimulatedDelegation[];
  /** Function calls that have no output yet, by id. */
  readonly openCalls: readonly string[];
  readonly isOpen: boolean;
  readonly closed: Promise<ConnectionEnd>;
  /**
   * The next event of a type, in either direction, that no earlier `next` of that type has returned; one that is
   * logged already counts. `session.input_audio.append` must be waited for before it comes. Rejects with CANCELLED
   * when the connection closes first.
   */
  next(type: string, accept?: (event: WireEvent) => boolean): Promise<LoggedEvent>;
  /** Sends an event as it is; a missing `event_id` is added where the service has one. */
  inject(event: WireEvent): void;
  /** Says something that nobody asked for; false when the model is speaking or nothing was started. */
  speak(plan: ResponsePlan): boolean;
  /** As if speech had been found in the audio, whatever was received. */
  callerStarts(): void;
  /** Ends what `callerStarts` began. */
  callerStops(): void;
  /** `session.closed` with this reason, then the end of the connection. */
  endSession(reason: CloseReason): void;
  /** A close frame, without a word before it. */
  close(code?: number, reason?: string): void;
  /** Cuts the TCP connection without a close frame. */
  drop(): void;
  /** Half-open: nothing is read or sent any more, and the connection stays. */
  stall(): void;
  /** The socket lives, but no event is sent any more, for `forMs` or for ever. */
  mute(forMs?: number): void;
}

/** A server that speaks the Live protocol. */
export interface OpenAiLiveSimulator extends AsyncDisposable {
  /** `ws://127.0.0.1:PORT/v1/live/sessions`. */
  readonly url: string;
  readonly port: number;
  /** Every connection that was opened, in order, closed ones too; refused attempts are not here but keep their index. */
  readonly connections: readonly SimulatedLiveConnection[];
  /** The next connection that no earlier call has returned. Rejects with CANCELLED when the simulator closes. */
  nextConnection(): Promise<SimulatedLiveConnection>;
  /** Drops all connections and stops listening; idempotent. */
  close(): Promise<void>;
}
