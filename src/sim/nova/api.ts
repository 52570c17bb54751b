import type { Clock } from '../../clock.ts';
import type { LoggedEvent } from '../common/event-log.ts';
import type { JsonObject } from '../common/json.ts';
import type { ConnectionEnd, PlannedOutputs } from '../common/plan.ts';
import type { FaultRule } from './faults.ts';

/**
 * An event of the protocol, `{"event":{NAME:{…}}}` on the wire: `type` is the NAME, `body` what it holds. A
 * `contentStart` of the client has a `contentName`, one of the service a `contentId`.
 */
export type NovaEvent = {
  readonly type: string;
  readonly body: JsonObject;
};

/** Why the model answers. */
export type TurnKind =
  /** Text came before anybody had said anything. */
  | 'greeting'
  /** The caller spoke. */
  | 'user-turn'
  /** Text came into the running conversation. */
  | 'text'
  /** The results of all functions that were called have come. */
  | 'tool-result'
  /** `speak` asked for it. */
  | 'prompt';

/** One piece of the conversation as the model sees it. */
export interface HistoryEntry {
  readonly role: 'USER' | 'ASSISTANT' | 'TOOL' | 'SYSTEM_SPEECH';
  /** `history`: told by the client before the audio. */
  readonly source: 'history' | 'speech' | 'text' | 'tool';
  /** Of speech of the agent: as much as the model thinks was heard by now. */
  readonly text: string;
  /** Of speech that was cut off: how much of it was heard, as the model thinks, in ms. */
  readonly heardMs?: number;
  /** Of the result of a function. */
  readonly toolUseId?: string;
}

/** What `promptStart` and `sessionStart` say. */
export interface SessionConfig {
  readonly promptName: string;
  /** Of the `audioOutputConfiguration`. */
  readonly voice: string;
  readonly outputRate: 8000 | 16000 | 24000;
  readonly sensitivity: 'HIGH' | 'MEDIUM' | 'LOW';
  readonly toolChoice: JsonObject;
  readonly inference: JsonObject;
}

/** A function as the model knows it. */
export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  /** The schema as text, as it came. */
  readonly schema: string;
}

/** What the script is told about an answer that is about to be made. */
export interface Turn {
  /** Counts the answers of one connection, from 0. */
  readonly index: number;
  readonly kind: TurnKind;
  /** `index` of the connection. */
  readonly connection: number;
  /** The text of the SYSTEM block. */
  readonly instructions: string;
  /** Speech of the caller in this turn, in ms; 0 when nobody spoke. */
  readonly heardMs: number;
  /** The conversation that the model sees, oldest first. */
  readonly items: readonly HistoryEntry[];
  /** Of these, the ones that were added since the last answer. */
  readonly newItems: readonly HistoryEntry[];
  readonly tools: readonly ToolSpec[];
  readonly session: SessionConfig;
}

/**
 * What the model does in one turn. Without `outputs`, the message of `audioMs`, `audio` and `transcript` comes first
 * (when one of them is given), then `toolCalls`. Speech goes on while functions run. An empty plan is an answer
 * without output.
 */
export interface ResponsePlan extends PlannedOutputs {
  /** `failed`: after the outputs the stream ends with `error`. Default `completed`. */
  readonly status?: 'completed' | 'failed';
  /** Default: a modelStreamErrorException. */
  readonly error?: NovaError;
  /** Instead of the simulator's options. */
  readonly firstAudioMs?: number;
  readonly speedFactor?: number | 'burst';
  readonly deltaMs?: number;
}

/** What the service makes of one stretch of the caller's speech. */
export interface Hearing {
  /** Default: a sentence with the length of what was heard. */
  readonly transcript?: string;
  /** When it comes: ms after the end of the turn, or after the answer. Default: before the answer, 100 ms at most. */
  readonly after?: number | 'response';
}

/** An error as the stream carries it. */
export interface NovaError {
  /** `validationException` and so on; others become an error that the SDK has no class for. */
  readonly name: string;
  readonly message: string;
}

/** Settings of a simulator; everything is optional. */
export interface NovaSimulatorOptions {
  /** Default 0: chosen by the system. */
  readonly port?: number;
  /** Loopback only. */
  readonly host?: '127.0.0.1';
  /** Any other access key is refused; default: all are good. Signatures are not verified. */
  readonly accessKeyId?: string;
  readonly clock?: Clock;
  /** Ids and babble are the same for the same seed; default 1. */
  readonly seed?: number;
  /** Longest session; default 8 minutes. */
  readonly sessionMs?: number;
  /**
   * Longest time without audio or interactive text; default 55 s. Reports of the error text also say 295 s for newer
   * deployments, so it is not to be relied on.
   */
  readonly idleMs?: number;
  /** The same before the first audio, in a session that was opened ahead; default 30 s. */
  readonly preopenedIdleMs?: number;
  /** How much faster than it is heard audio is sent; default 4. `burst`: all at once. */
  readonly speedFactor?: number | 'burst';
  /** From the end of the caller's turn to the first output; default 250. */
  readonly firstAudioMs?: number;
  /** Audio in one `audioOutput`; default 100. */
  readonly deltaMs?: number;
  /** How long the response headers are kept back; default 0. */
  readonly handshakeDelayMs?: number;
  /** The response headers come with the first output only, as a service may do that says nothing before; default false. */
  readonly headersAtFirstOutput?: boolean;
  /** Models that the server has, by name; others are refused. Default: those of the service. `any`: all names are good. */
  readonly models?: readonly string[] | 'any';
  /** Voices that the model has; others are refused. Default: those of the service. `any`: all names are good. */
  readonly voices?: readonly string[] | 'any';
  /** Silence that ends the caller's turn, per `endpointingSensitivity`, in ms; 1500, 1750 and 2000. Only HIGH is documented. */
  readonly endpointWaitsMs?: Readonly<Record<'HIGH' | 'MEDIUM' | 'LOW', number>>;
  /** Factor on `endpointWaitsMs`, so that tests are quick; default 1. */
  readonly endpointScale?: number;
  /** `per-turn`: `completionStart` and `completionEnd` come for every answer; documents leave it open. Default `once`. */
  readonly completions?: 'once' | 'per-turn';
  /**
   * When the FINAL text of a sentence comes: as soon as its audio was `sent`, or when the caller has heard it if he
   * listens in real time (`played`). Default `sent`.
   */
  readonly finalTextAt?: 'sent' | 'played';
  /** From the onset of the caller's speech to the interruption; default 0. Audio goes on until then. */
  readonly bargeInDelayMs?: number;
  /** False: speech that the caller still listens to, but that is all sent, is not interrupted. Default true. */
  readonly interruptsSent?: boolean;
  /** Arguments of functions are JSON text, or (`double`) JSON text of JSON text, as has been seen. Default `single`. */
  readonly toolArguments?: 'single' | 'double';
  /** Every message is written in pieces of so many bytes; default: whole. */
  readonly splitBytes?: number;
  /**
   * Most text in one `textInput` of the history, and in all of it, in bytes; default 1024 and 40 KiB, as the page on chat
   * history has it. Other clients (pipecat, strands-agents) count on 50 KB and 200 KB.
   */
  readonly historyBytes?: { readonly perInput: number; readonly total: number };
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
  readonly onEvent?: (connection: SimulatedConnection, logged: LoggedEvent) => void;
}

/** The audio that came in, to judge how steadily a client sends. */
export interface AudioStatistics {
  readonly chunks: number;
  /** All of it; of this, louder than the threshold of speech. */
  readonly audioMs: number;
  readonly loudMs: number;
  /** The shortest and the longest piece, in ms of audio; 0 before the first. */
  readonly shortestMs: number;
  readonly longestMs: number;
  /** The longest time between two pieces, by the clock, in ms; the time since the last one does not count. */
  readonly longestGapMs: number;
  /** How far the audio is behind real time, counted from the first piece; negative: it came faster. */
  readonly behindMs: number;
}

/** A result of a function that was accepted. */
export interface ReceivedResult {
  readonly toolUseId: string;
  readonly name: string;
  /** As it came. */
  readonly content: string;
}

/** One session with the simulator. */
export interface SimulatedConnection {
  /** Counts the attempts to connect, from 0. */
  readonly index: number;
  readonly model: string;
  /** Of the request, names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Undefined before `promptStart`. */
  readonly session: SessionConfig | undefined;
  /** The SYSTEM text; empty before it came. */
  readonly system: string;
  readonly voice: string | undefined;
  readonly tools: readonly ToolSpec[];
  /** What the model takes for the conversation, oldest first, with what it thinks was heard. */
  readonly history: readonly HistoryEntry[];
  readonly toolResults: readonly ReceivedResult[];
  /** Ids of functions that were called and have not been answered. */
  readonly openToolCalls: readonly string[];
  /**
   * Events as `{type, body}`. `audioInput` is counted, not listed. In all events `bytes` (a count) stands in the place
   * of the base64 text of audio.
   */
  readonly received: readonly LoggedEvent[];
  readonly sent: readonly LoggedEvent[];
  readonly receivedAudioMs: number;
  readonly audio: AudioStatistics;
  /** All audio that came, in order, in the format of the session; empty without `keepAudio`. */
  receivedAudio(): Uint8Array;
  /** Audio that was sent, all of it, in ms and as bytes (empty without `keepAudio`). */
  readonly sentAudioMs: number;
  sentAudio(): Uint8Array;
  /** The agent is heard just now, if the caller listens in real time. */
  readonly isSpeaking: boolean;
  readonly isOpen: boolean;
  /** The client ended with `promptEnd` and `sessionEnd`. */
  readonly endedInOrder: boolean;
  /** `code`: of RST_STREAM, 0 for an end without one; `reason`: who ended it and why, in a few words. */
  readonly closed: Promise<ConnectionEnd>;
  /**
   * The next event of a type, in either direction, that no earlier `next` of that type has returned; one that is
   * logged already counts. `audioInput` must be waited for before it comes. Rejects with CANCELLED when the
   * connection closes first.
   */
  next(type: string, accept?: (event: NovaEvent) => boolean): Promise<LoggedEvent>;
  /** Sends an event as it is. */
  inject(event: NovaEvent): void;
  /** Begins an answer that nobody asked for; false when one is being made. */
  speak(plan: ResponsePlan): boolean;
  /** As if the service had found speech in the audio, whatever was received. */
  callerStarts(): void;
  /** Ends what `callerStarts` began: a transcript and an answer. */
  callerStops(): void;
  /** The service ends the session: `completionEnd` and the end of the stream; with a code, RST_STREAM instead. */
  close(code?: number, reason?: string): void;
  /** Cuts the TCP connection. */
  drop(): void;
  /** Half-open: nothing is read or sent any more, and the connection stays. */
  stall(): void;
  /** The stream lives, but no event is sent any more, for `forMs` or for ever. */
  mute(forMs?: number): void;
}

/** A server that speaks the protocol of Amazon Nova 2 Sonic on Amazon Bedrock. */
export interface NovaSimulator extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, the `endpoint` of a Bedrock runtime client (HTTP/2 without TLS). */
  readonly url: string;
  readonly port: number;
  /** Every session that was opened, in order, closed ones too; refused attempts are not here but keep their index. */
  readonly connections: readonly SimulatedConnection[];
  /** The next connection that no earlier call has returned. Rejects with CANCELLED when the simulator closes. */
  nextConnection(): Promise<SimulatedConnection>;
  /** Drops all connections and stops listening; idempotent. */
  close(): Promise<void>;
}
