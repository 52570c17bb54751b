import type { Clock } from '../../clock.ts';
import type { LoggedEvent } from '../common/event-log.ts';
import type { JsonObject } from '../common/json.ts';
import type { ConnectionEnd, PlannedOutputs } from '../common/plan.ts';
import type { DialectName } from './dialect.ts';
import type { FaultRule } from './faults.ts';
import type { SessionConfig } from './session-config.ts';
import type { WireError, WireEvent } from './wire.ts';

/** Why a response is made. */
export type TurnKind =
  /** A response was asked for before anybody said anything. */
  | 'greeting'
  /** The caller spoke. */
  | 'user-turn'
  /** Text was added for the model. */
  | 'text'
  /** The output of a function call was added. */
  | 'tool-result'
  /** A response was asked for though nothing was new. */
  | 'prompt'
  /** Nobody spoke for `idle_timeout_ms`. */
  | 'idle';

/** What the script is told about a response that is about to be made. */
export interface Turn {
  /** Counts the responses of one connection, from 0. */
  readonly index: number;
  readonly kind: TurnKind;
  /** `index` of the connection. */
  readonly connection: number;
  /** What holds for this response: its own instructions, or else those of the session. */
  readonly instructions: string;
  /** Speech of the caller in this turn, in ms; 0 when nobody spoke. */
  readonly heardMs: number;
  /** The conversation that the model sees, oldest first; copies in wire shape. */
  readonly items: readonly JsonObject[];
  /** Of these, the ones that were added since the last response. */
  readonly newItems: readonly JsonObject[];
  /** The function definitions that hold for this response. */
  readonly tools: readonly JsonObject[];
  readonly session: SessionConfig;
  /** The `response` object of `response.create`; empty when the server began by itself. */
  readonly request: JsonObject;
}

/**
 * What the model does in one turn. Without `outputs`, the message of `audioMs`, `audio` and `transcript` comes first
 * (when one of them is given), then `toolCalls`. An empty plan is a response without output.
 */
export interface ResponsePlan extends PlannedOutputs {
  /** How it ends when nobody cancels it; default `completed`. */
  readonly status?: 'completed' | 'incomplete' | 'failed';
  /** For `incomplete`; default `max_output_tokens`. */
  readonly reason?: 'max_output_tokens' | 'content_filter';
  /** For `failed`. */
  readonly error?: WireError;
  /** Instead of the simulator's options. */
  readonly firstAudioMs?: number;
  readonly speedFactor?: number | 'burst';
  readonly deltaMs?: number;
}

/** What the transcriber of a session makes of one stretch of the caller's speech. */
export interface Hearing {
  /** Default: a sentence with the length of what was heard. */
  readonly transcript?: string;
  /** When it is ready: ms after the commit, or right after the response to it is done. Default 150. */
  readonly after?: number | 'response';
  /** The transcription fails instead. */
  readonly error?: WireError;
}

/** Settings of a simulator; everything is optional. */
export interface OpenAiSimulatorOptions {
  /** Default 0: chosen by the system. */
  readonly port?: number;
  /** Loopback only. */
  readonly host?: '127.0.0.1';
  /** Default: any key is good. */
  readonly apiKey?: string;
  readonly clock?: Clock;
  /** Ids and babble are the same for the same seed; default 1. */
  readonly seed?: number;
  /** Longest session; default 60 minutes. */
  readonly sessionMs?: number;
  /** How much faster than it is heard audio is sent; default 4. `burst`: all at once. */
  readonly speedFactor?: number | 'burst';
  /** From `response.created` to the first output; default 250. */
  readonly firstAudioMs?: number;
  /** Audio in one delta; default 100. */
  readonly deltaMs?: number;
  /** How long the 101 is kept back; default 0. */
  readonly handshakeDelayMs?: number;
  /**
   * What is spoken on `/v1/realtime`: `beta` is the flat session and the old event names, as compatible servers still
   * have them. Default `ga`. Servers with a path of their own are there beside it, each with its dialect: Azure OpenAI on
   * `/openai/v1/realtime` and, as the preview was, on `/openai/realtime`, Azure Voice Live on `/voice-live/realtime`,
   * Inworld on `/api/v1/realtime/session`.
   */
  readonly dialect?: DialectName;
  /** Types of client events that the server does not know, such as `conversation.item.truncate`. */
  readonly lacks?: readonly string[];
  /** Quiet after which each eagerness of `semantic_vad` takes the turn, in ms; default 2000, 1000 and 500. */
  readonly semanticWaitsMs?: Readonly<Record<'low' | 'medium' | 'high', number>>;
  /** Models that the server has; any other is refused with `model_not_found`. Default: all names are good. */
  readonly models?: readonly string[];
  /** Keep all audio, both ways, for `receivedAudio()` and `sentAudio()`; default false. */
  readonly keepAudio?: boolean;
  /** How many events a connection remembers for `sent`, `received` and `next()`; default 2000. */
  readonly keepEvents?: number;
  /**
   * The model; undefined: the default answer. Must not throw. Of a text that the client has written for the agent to say it
   * decides everything but the words.
   */
  readonly respond?: (turn: Turn) => ResponsePlan | undefined;
  /** The transcriber; only asked when the session has transcription on. */
  readonly hear?: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly faults?: readonly FaultRule[];
  /** Sees every event of every connection, without audio payloads. */
  readonly onEvent?: (connection: SimulatedConnection, logged: LoggedEvent) => void;
}

/** A `conversation.item.truncate` that was accepted. */
export interface Truncation {
  readonly itemId: string;
  readonly contentIndex: number;
  readonly audioEndMs: number;
  /** How much audio of the item had been sent by then, in ms. */
  readonly sentMs: number;
}

/** One session with the simulator. */
export interface SimulatedConnection {
  /** Counts the attempts to connect, from 0. */
  readonly index: number;
  readonly model: string;
  /** Of the upgrade request, names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly session: SessionConfig;
  /**
   * `input_audio_buffer.append` is counted in `receivedAudioMs`, not listed. In all events `bytes` (a count) stands in
   * the place of the base64 text of `audio` and `delta`.
   */
  readonly received: readonly LoggedEvent[];
  readonly sent: readonly LoggedEvent[];
  readonly receivedAudioMs: number;
  readonly receivedAppends: number;
  /** Everything that was appended, in order, in the formats of the session; empty without `keepAudio`. */
  receivedAudio(): Uint8Array;
  /** Audio of one item that was sent. */
  sentAudioMs(itemId: string): number;
  /** The same as bytes, also of what was truncated later; empty without `keepAudio`. */
  sentAudio(itemId: string): Uint8Array;
  readonly truncations: readonly Truncation[];
  /** The conversation in wire shape, oldest first. */
  readonly items: readonly JsonObject[];
  /** Id of the response in the default conversation that is being made. */
  readonly activeResponse: string | undefined;
  readonly isOpen: boolean;
  readonly closed: Promise<ConnectionEnd>;
  /**
   * The next event of a type, in either direction, that no earlier `next` of that type has returned; one that is
   * logged already counts. `input_audio_buffer.append` must be waited for before it comes. Rejects with CANCELLED
   * when the connection closes first.
   */
  next(type: string, accept?: (event: WireEvent) => boolean): Promise<LoggedEvent>;
  /** Sends an event as it is; a missing `event_id` is added. */
  inject(event: WireEvent): void;
  /** Begins a response that nobody asked for; false when one is active. */
  speak(plan: ResponsePlan): boolean;
  /** As if the server had found speech in the audio, whatever was received. */
  callerStarts(): void;
  /** Ends what `callerStarts` began: commit, and an answer when the session wants one. */
  callerStops(): void;
  /** A close frame, as the service sends it. */
  close(code?: number, reason?: string): void;
  /** Cuts the TCP connection without a close frame. */
  drop(): void;
  /** Half-open: nothing is read or sent any more, and the connection stays. */
  stall(): void;
  /** The socket lives, but no event is sent any more, for `forMs` or for ever. */
  mute(forMs?: number): void;
}

/** A server that speaks the Realtime protocol. */
export interface OpenAiSimulator extends AsyncDisposable {
  /** `ws://127.0.0.1:PORT/v1/realtime`, or the path of the dialect; the client adds `?model=…`. */
  readonly url: string;
  readonly port: number;
  /** Every session that was opened, in order, closed ones too; refused attempts are not here but keep their index. */
  readonly connections: readonly SimulatedConnection[];
  /** The next connection that no earlier call has returned. Rejects with CANCELLED when the simulator closes. */
  nextConnection(): Promise<SimulatedConnection>;
  /** Drops all connections and stops listening; idempotent. */
  close(): Promise<void>;
}
