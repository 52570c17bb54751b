import type { Clock } from '../../clock.ts';
import type { LoggedEvent, TypedEvent } from '../common/event-log.ts';
import type { JsonObject } from '../common/json.ts';
import type { ConnectionEnd, PlannedOutputs } from '../common/plan.ts';
import type { CloseFrame, FaultRule } from './faults.ts';

/** Why the model takes its turn. */
export type TurnKind =
  /** Text asked it to speak before anybody said anything. */
  | 'greeting'
  /** The caller spoke. */
  | 'user-turn'
  /** Text was added for it, after something had been said. */
  | 'text'
  /** Its functions have answered. */
  | 'tool-result'
  /** It was asked to speak though nothing was new. */
  | 'prompt';

/** One turn of the conversation as the model sees it. */
export interface ConversationTurn {
  readonly role: 'user' | 'model' | 'system';
  /** In wire shape: `text`, `functionCall` or `functionResponse`. Speech is told as its words. */
  readonly parts: readonly JsonObject[];
  /** `content`: by `clientContent`, such as history. */
  readonly source: 'speech' | 'text' | 'content' | 'function';
  /** Speech: the caller's as it was heard; of the model's only what the service assumes was played. In ms. */
  readonly heardMs: number;
  /** Speech of the model that was sent, in ms. */
  readonly sentMs: number;
  /** The caller cut it off: `parts` holds only the words that were heard. */
  readonly interrupted: boolean;
}

/** What the script is told about a turn that is about to be made. */
export interface Turn {
  /** Counts the plans that were asked for on one connection, from 0. */
  readonly index: number;
  readonly kind: TurnKind;
  /** `index` of the connection. */
  readonly connection: number;
  readonly instructions: string;
  /** Speech of the caller in this turn, in ms; 0 when nobody spoke. */
  readonly heardMs: number;
  /** The conversation, oldest first, with what is new. */
  readonly conversation: readonly ConversationTurn[];
  /** Of these, the ones that were added since the model was last asked. */
  readonly fresh: readonly ConversationTurn[];
  /** The function declarations that hold, in wire shape. */
  readonly tools: readonly JsonObject[];
}

/**
 * What the model does in one turn. Without `outputs`, the message of `audioMs`, `audio` and `transcript` comes first
 * (when one of them is given), then `toolCalls`. An empty plan is a turn without output.
 */
export interface ResponsePlan extends PlannedOutputs {
  /** It decides not to answer: nothing at all is sent. */
  readonly silent?: boolean;
  /** It says what it thinks first, as a part with `thought`. */
  readonly thought?: string;
  /** How it ends when nobody interrupts it; default `completed`. The others come without `generationComplete`. */
  readonly status?: 'completed' | 'incomplete' | 'failed';
  /** `turnCompleteReason`; default for `failed`: `RESPONSE_REJECTED`, for `incomplete`: `GENERATED_OTHER`. */
  readonly reason?: string;
  /** For `failed`: the connection ends with this in the place of `turnComplete`. */
  readonly error?: CloseFrame;
  /** Instead of the simulator's options. */
  readonly firstAudioMs?: number;
  readonly speedFactor?: number | 'burst';
  readonly deltaMs?: number;
}

/** What the model, and the transcriber with it, makes of one stretch of the caller's speech. */
export interface Hearing {
  /** Default: a sentence with the length of what was heard. */
  readonly transcript?: string;
  /** When its transcription is sent: ms after the end of the speech, or right after the answer. Default 150. */
  readonly after?: number | 'response';
}

/** Settings of a simulator; everything is optional. */
export interface GeminiSimulatorOptions {
  /** Default 0: chosen by the system. */
  readonly port?: number;
  /** Loopback only. */
  readonly host?: '127.0.0.1';
  /** `?key=` or `x-goog-api-key`; default: any key is good. */
  readonly apiKey?: string;
  /** Of the `Constrained` method and, as a bearer token, of Vertex AI; default: any is good. */
  readonly accessToken?: string;
  /**
   * How wrong credentials are answered: after the 101 by a close (1007 for keys), or by an HTTP status. Unsure: the
   * close is what users report, no document says it.
   */
  readonly badKey?: 'close' | 'http';
  readonly clock?: Clock;
  /** Ids and babble are the same for the same seed; default 1. */
  readonly seed?: number;
  /** Longest connection; default 10 minutes. */
  readonly sessionMs?: number;
  /** So long before its end `goAway` comes; default 60 s. `Infinity`: never. */
  readonly goAwayMs?: number;
  /** Longest conversation over all its connections, without `contextWindowCompression`; default 15 minutes. */
  readonly conversationMs?: number;
  /** How a connection ends that has become too old; default 1011 with the sentence about the deadline. */
  readonly endClose?: CloseFrame;
  /** Connections at a time; more are closed with 1011 for the quota. Default: no limit. */
  readonly maxSessions?: number;
  /** Tokens that the model can see; default 131072. */
  readonly contextTokens?: number;
  /** How long a handle is good; default 2 hours. Unsure: 24 hours on Vertex AI. */
  readonly handleMs?: number;
  /** The close for a handle that is not known; default 1008. Unsure: 1007 has been seen as well. */
  readonly staleHandle?: 1007 | 1008;
  /** How much faster than it is heard audio is sent; default 4. `burst`: all at once. */
  readonly speedFactor?: number | 'burst';
  /** From the end of the caller's turn to the first output; default 250. */
  readonly firstAudioMs?: number;
  /** Audio in one message; default 100. */
  readonly deltaMs?: number;
  /** How long the 101 is kept back; default 0. */
  readonly handshakeDelayMs?: number;
  /** From `setup` to `setupComplete`; default 0. What a client sends in this time ends the session. */
  readonly setupMs?: number;
  /**
   * Models that the server has, by name without `models/`; others are refused. Default: those that the service has at
   * the door that is used. `any`: all names are good.
   */
  readonly models?: readonly string[] | 'any';
  /** Prebuilt voices; others are refused. Default: those of the service. `any`: all names are good. */
  readonly voices?: readonly string[] | 'any';
  /** Frames to the client; default `binary`, as the service sends them. */
  readonly frames?: 'binary' | 'text';
  /** Whether messages spell out members that are false or empty, which proto3 JSON may leave out; default true. */
  readonly spellsFalse?: boolean;
  /** Where the words are that belong to the audio: their order is not promised. Default `mixed`. */
  readonly words?: 'mixed' | 'ahead' | 'behind';
  /** The transcription of the caller comes as `interimInputTranscription` first; default false. */
  readonly interimTranscripts?: boolean;
  /** The last fragment of a transcription says `finished`; default false: the Gemini API does not tell. */
  readonly finishedTranscripts?: boolean;
  /** `voiceActivity` messages, which only allow-listed projects get; default false. */
  readonly voiceActivity?: boolean;
  /** `turnComplete` waits until everything could have been played; default true. */
  readonly waitsForPlayback?: boolean;
  /**
   * What the client hears of the caller's interruption. `late`: `interruptedMs` after it was heard, and audio comes until
   * then; `absent`: only `turnComplete`; `after-turn-complete`: the two in the wrong order. Default `prompt`.
   */
  readonly interruption?: 'prompt' | 'late' | 'absent' | 'after-turn-complete';
  /** For `late`; default 600. */
  readonly interruptedMs?: number;
  /** A `turnComplete` comes when so much audio of a turn was sent, and the turn goes on (googleapis/python-genai#2117). */
  readonly prematureTurnCompleteMs?: number;
  /**
   * `clientContent` cuts a turn off even when it does not end the caller's turn; default true, as the published types
   * have it. Unsure for 3.8, whose guide says it of finished turns only.
   */
  readonly contentInterrupts?: boolean;
  /** Function calls come without `id`, and are answered by their names; default false. Unsure: for Vertex AI alone. */
  readonly omitsCallIds?: boolean;
  /** Calls of an interrupted turn are called off; otherwise they stay open, and block. Default true. */
  readonly cancelsToolCalls?: boolean;
  /**
   * What `realtimeInput` does that comes while the model waits for a function: it is heard, or the connection ends with
   * this code. Unsure: users report both closes, and not always (livekit/agents-js#1130, google/adk-python#3918,
   * googleapis/js-genai#1236). Default `heard`.
   */
  readonly inputDuringCall?: 'heard' | 1008 | 1011;
  /** Keep all audio, both ways, for `receivedAudio()` and `sentAudio()`; default false. */
  readonly keepAudio?: boolean;
  /** How many events a connection remembers for `sent`, `received` and `next()`; default 2000. */
  readonly keepEvents?: number;
  /** The model; undefined: the default answer. Must not throw. */
  readonly respond?: (turn: Turn) => ResponsePlan | undefined;
  /** What the model understands. */
  readonly hear?: (speech: { readonly index: number; readonly heardMs: number }) => Hearing | undefined;
  readonly faults?: readonly FaultRule[];
  /** Sees every event of every connection, without audio payloads. */
  readonly onEvent?: (connection: SimulatedConnection, logged: LoggedEvent) => void;
}

/** A function response as the client gave it. */
export interface ToolResponse {
  readonly id: string;
  readonly name: string;
  readonly response: JsonObject;
  readonly scheduling: 'SILENT' | 'WHEN_IDLE' | 'INTERRUPT';
  /** The call had been called off, or its turn was over. */
  readonly isLate: boolean;
}

/** One session with the simulator. */
export interface SimulatedConnection {
  /** Counts the attempts to connect, from 0. */
  readonly index: number;
  /** Which of the service's doors was used. */
  readonly endpoint: 'gemini' | 'constrained' | 'vertex';
  /** `v1beta`, … */
  readonly apiVersion: string;
  /** Without `models/` or the path of Vertex AI; empty before the setup. */
  readonly model: string;
  /** Of the upgrade request, names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The client's setup in canonical form (camelCase), with what `contextUpdate` changed; undefined before it came. */
  readonly setup: JsonObject | undefined;
  /** What the model sees, oldest first. */
  readonly conversation: readonly ConversationTurn[];
  readonly toolResponses: readonly ToolResponse[];
  /** Ids of calls that have no answer yet. */
  readonly pendingCalls: readonly string[];
  /**
   * A message is in here once for each thing that it holds, under the name of that thing: `setup`, `clientContent`,
   * `toolResponse`, `contextUpdate`, `realtimeInput.text`, …; `setupComplete`, `modelTurn`, `outputTranscription`,
   * `inputTranscription`, `generationComplete`, `interrupted`, `turnComplete`, `toolCall`, `toolCallCancellation`,
   * `usageMetadata`, `sessionResumptionUpdate`, `goAway`, …. `realtimeInput.audio` is counted in `receivedAudioMs`, not
   * listed. Audio is replaced by `bytes`, a count.
   */
  readonly received: readonly LoggedEvent[];
  readonly sent: readonly LoggedEvent[];
  readonly receivedAudioMs: number;
  readonly receivedAppends: number;
  /** Everything that came, in order, as declared; empty without `keepAudio`. */
  receivedAudio(): Uint8Array;
  readonly sentAudioMs: number;
  /** All audio that was sent, 24 kHz PCM16; empty without `keepAudio`. */
  sentAudio(): Uint8Array;
  /** The newest handle that the client was given. */
  readonly handle: string | undefined;
  /** Why the client was refused, in plain words, where the reason of the close does not say it. */
  readonly refusal: string | undefined;
  /** `generating`: audio is still being made; `playing`: all was sent, and is assumed to be heard; `waiting`: for functions. */
  readonly state: 'idle' | 'generating' | 'playing' | 'waiting';
  readonly isOpen: boolean;
  readonly closed: Promise<ConnectionEnd>;
  /**
   * The next event of a type, in either direction, that no earlier `next` of that type has returned; one that is
   * logged already counts. `realtimeInput.audio` must be waited for before it comes. Rejects with CANCELLED when the
   * connection closes first.
   */
  next(type: string, accept?: (event: TypedEvent) => boolean): Promise<LoggedEvent>;
  /** Sends a message as it is. */
  inject(message: JsonObject): void;
  /** Begins a turn that nobody asked for; false when one is under way or a function is waited for. */
  speak(plan: ResponsePlan): boolean;
  /** Calls functions off though nobody interrupted: those of these ids that have no answer, or all. Returns which. */
  cancelCalls(ids?: readonly string[]): readonly string[];
  /** As if speech had been found in the audio, whatever was received. */
  callerStarts(): void;
  /** Ends what `callerStarts` began. */
  callerStops(): void;
  /** A close frame, as the service sends it. */
  close(code?: number, reason?: string): void;
  /** Cuts the TCP connection without a close frame. */
  drop(): void;
  /** Half-open: nothing is read or sent any more, and the connection stays. */
  stall(): void;
  /** The socket lives, but nothing is sent any more, for `forMs` or for ever. */
  mute(forMs?: number): void;
  /** Says that the connection is about to end, in so many ms; it does not end by that. */
  goAway(leftMs: number): void;
}

/** A server that speaks the Gemini Live protocol. */
export interface GeminiSimulator extends AsyncDisposable {
  /** `ws://127.0.0.1:PORT`: the client adds the path, of the Gemini API or of Vertex AI. */
  readonly url: string;
  /** With the path of the Gemini API; the client adds `?key=…`. */
  readonly liveUrl: string;
  /** With the path of Vertex AI. */
  readonly vertexUrl: string;
  readonly port: number;
  /** Every session that was opened, in order, closed ones too; refused attempts are not here but keep their index. */
  readonly connections: readonly SimulatedConnection[];
  /** The next connection that no earlier call has returned. Rejects with CANCELLED when the simulator closes. */
  nextConnection(): Promise<SimulatedConnection>;
  /** All handles that were given out are stale now. */
  forgetHandles(): void;
  /** Drops all connections and stops listening; idempotent. */
  close(): Promise<void>;
}
