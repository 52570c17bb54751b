import type { AudioFormat } from './audio/format.ts';
import type { Clock } from './clock.ts';
import type { BridgeError } from './errors.ts';
import type { Random } from './random.ts';
import type { Network } from './wire.ts';

/** CONTRACT of a realtime speech-to-speech provider and of one session with it. */

/** A JSON Schema object, handed to the model as it is. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonSchema;
}

/** What a provider can do, as data, so that generic code never asks for a name. */
export interface ProviderCapabilities {
  readonly inputs: readonly AudioFormat[];
  readonly outputs: readonly AudioFormat[];
  /**
   * How the provider says that the caller has started to speak over the agent: at once, only when it has cut its own
   * speech off (late, or never once it has said all), or not at all.
   */
  readonly bargeIn: 'speech-started' | 'interrupted' | 'none';
  /**
   * `turns`: answers come faster than they are heard. `continuous`: one stream in real time, which stops by itself when
   * the caller speaks, so no queue builds up that would have to be cut.
   */
  readonly speech: 'turns' | 'continuous';
  /** It can be told how much of an answer was heard. */
  readonly truncate: boolean;
  /** An answer under way can be called off. */
  readonly cancel: boolean;
  /** A session can be taken up again by a handle (`resumable`, `ConnectRequest.resume`). */
  readonly resume: boolean;
  /** What the caller said a while ago may be sent faster than it was said; otherwise it has to come as it is spoken. */
  readonly catchUp: boolean;
  /** It calls functions off that the caller's interruption made useless. */
  readonly cancelsTools: boolean;
  /** It calls several functions at once. */
  readonly parallelTools: boolean;
  /** Longest session in ms; undefined when there is none. */
  readonly maxSessionMs: number | undefined;
  /** The provider itself says that the session is about to end; otherwise the adapter counts. */
  readonly announcesEnd: boolean;
  /** How much of an earlier conversation a new session takes; undefined: no limit is known. */
  readonly history: { readonly maxItems: number; readonly maxCharacters: number } | undefined;
}

/** What people have to know of a provider, as data: for `patchcord providers` and for the documentation. */
export interface ProviderFacts {
  /** `Gemini Live`. */
  readonly title: string;
  readonly capabilities: ProviderCapabilities;
  /** Of sessions that name none; undefined: it has no models to choose from. */
  readonly defaultModel: string | undefined;
  /** Others may be named: the list is what was known when it was written. */
  readonly models: readonly string[];
  readonly voices: readonly string[];
  /** Whole sentences. */
  readonly languages: string;
  readonly onBargeIn: string;
  readonly limits: readonly string[];
}

/**
 * When the provider takes the caller's turn as ended. Everything is optional; a provider fills in its own defaults
 * and always sends the complete set.
 */
export interface TurnDetection {
  readonly mode?: 'server' | 'semantic' | undefined;
  /** 0..1, server mode: louder speech is needed at higher values. */
  readonly threshold?: number | undefined;
  readonly prefixMs?: number | undefined;
  readonly silenceMs?: number | undefined;
  /** Semantic mode: how eagerly the model takes its turn. */
  readonly eagerness?: 'auto' | 'low' | 'medium' | 'high' | undefined;
}

/** One finished piece of the conversation, in order, as a second provider would be told it. */
export type HistoryItem =
  | { readonly type: 'message'; readonly role: 'user' | 'assistant' | 'system'; readonly text: string }
  | {
      readonly type: 'tool';
      readonly callId: string;
      readonly name: string;
      readonly args: string;
      readonly output: string;
    };

export interface ConnectRequest {
  readonly instructions: string;
  /** Undefined: the provider's own choice. */
  readonly model?: string | undefined;
  readonly voice: string | undefined;
  readonly language: string | undefined;
  readonly tools: readonly ToolDefinition[];
  readonly turnDetection: TurnDetection;
  /** False: no transcript of what the caller says is asked for. */
  readonly transcribeCaller: boolean;
  /** Formats that spare a conversion, best first; the provider takes the first it can, else its own default. */
  readonly preferredFormats: readonly AudioFormat[];
  readonly history: readonly HistoryItem[];
  /**
   * Whether the model is to speak as soon as it knows the history; undefined: if the caller has spoken last there. Whoever
   * says false asks by `sendText`, or sends the caller's speech once more.
   */
  readonly respond?: boolean | undefined;
  /** From a `resumable` event of this provider: the session goes on where that one ended, and `history` is not told. */
  readonly resume?: string | undefined;
  /** Raw session fields of this provider, merged last. */
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  /** By which the provider is reached; undefined: the network of this machine. Only where `usesNetwork` says so. */
  readonly network?: Network | undefined;
  /** For ids that the provider's adapter makes up; undefined: that of this machine. */
  readonly random?: Random | undefined;
}

export interface RealtimeProvider {
  readonly name: string;
  /** Of sessions that do not ask for another; undefined: it has none, or does not say. */
  readonly model?: string | undefined;
  readonly capabilities: ProviderCapabilities;
  /**
   * True: everything that its sessions send and are told goes through `ConnectRequest.network`, and they leave nothing
   * else to chance than `ConnectRequest.random`. Undefined: what it does to have a session is its own business.
   */
  readonly usesNetwork?: true | undefined;
  /**
   * Resolves when the provider has acknowledged the configuration, so audio may flow at once. Rejects with a
   * BridgeError (PROVIDER_*, TIMEOUT or CANCELLED) and leaves nothing open; after it resolved, trouble is an event.
   * `sink` is called synchronously; it may be called before `connect` resolves.
   */
  connect(
    request: ConnectRequest,
    sink: (event: ProviderEvent) => void,
    signal: AbortSignal,
  ): Promise<ProviderSession>;
  /**
   * Loads what the first session would otherwise wait for, such as a large SDK; called when the service has opened its
   * port. Never rejects: what cannot be loaded fails in `connect`.
   */
  prepare?(): Promise<void>;
  /** Gives back what sessions share; those that are open end with PROVIDER_CLOSED. Idempotent, never rejects. */
  close?(): Promise<void>;
}

/** How much of one item of the agent's speech was heard when it was cut off. */
export interface HeardItem {
  readonly itemId: string;
  /** 0 ≤ playedMs ≤ receivedMs, whole ms. */
  readonly playedMs: number;
  /** Audio of this item that arrived from the provider, in ms. */
  readonly receivedMs: number;
}

export interface TextOptions {
  readonly role: 'user' | 'system';
  /** True: the model is asked to answer. */
  readonly respond: boolean;
  /** The text reports these telephone keys (0-9 * # A-D). */
  readonly digits?: string;
}

export interface ToolResult {
  /** What the model is told, usually JSON. */
  readonly output: string;
  readonly isError: boolean;
  /** False: the model is told but not asked to speak (it has said goodbye already). */
  readonly respond: boolean;
  /** What was called, for a session that does not know it: see `sendToolResult`. */
  readonly call?: { readonly name: string; readonly args: string } | undefined;
}

export interface ProviderSession {
  /** What `sendAudio` takes and what `audio` events hold; fixed when `connect` resolves. */
  readonly input: AudioFormat;
  readonly output: AudioFormat;
  /**
   * Any number of bytes in `input` format; the buffer may be reused when it returns. False when audio had to be
   * dropped because the socket is above its high-water mark.
   */
  sendAudio(bytes: Uint8Array): boolean;
  sendText(text: string, options: TextOptions): void;
  /**
   * Has the agent say this now, unasked: a greeting, a re-prompt, a goodbye. Waits for its turn. `insist`: when the caller
   * cuts in before any of it came, it is said after the caller's turn; otherwise it is dropped then.
   */
  say(text: string, insist?: boolean): void;
  /**
   * At most once per call. A call that this session has not made is one of an earlier session of the same phone call:
   * the model is told of call and result together, and asked to speak if `respond` says so.
   */
  sendToolResult(callId: string, result: ToolResult): void;
  /** The caller was heard to cut in. Items in order of play; nothing else of them will be heard. */
  interrupt(heard: readonly HeardItem[]): void;
  /** Idempotent, never rejects; a `closed` event with `expected: true` comes before it resolves. */
  close(reason: string): Promise<void>;
}

export type ResponseStatus = 'completed' | 'cancelled' | 'failed' | 'incomplete';

/** What the provider will charge for, since the last report. Counts of input include what was cached of it. */
export interface Usage {
  readonly inputTextTokens: number;
  readonly inputAudioTokens: number;
  readonly cachedTextTokens: number;
  readonly cachedAudioTokens: number;
  readonly outputTextTokens: number;
  readonly outputAudioTokens: number;
}

export type ProviderEvent =
  /** `bytes` is only valid during the call. */
  | {
      readonly type: 'audio';
      readonly responseId: string;
      readonly itemId: string;
      readonly bytes: Uint8Array;
    }
  | { readonly type: 'audioDone'; readonly responseId: string; readonly itemId: string }
  /** `text` is a piece to append, or with `final` the whole of the item. */
  | {
      readonly type: 'transcript';
      readonly role: 'user' | 'assistant';
      readonly itemId: string;
      readonly text: string;
      readonly final: boolean;
    }
  /** The caller has started to speak; this is what starts a barge-in. */
  | { readonly type: 'speechStarted'; readonly itemId: string | undefined }
  | { readonly type: 'speechStopped'; readonly itemId: string | undefined }
  /** The provider has cut its own speech off; no more audio of the open response will come. */
  | { readonly type: 'interrupted'; readonly responseId: string | undefined }
  /** `asked`: the bridge asked for it (by `say`, text or a tool result); otherwise the provider answers the caller. */
  | { readonly type: 'responseStarted'; readonly responseId: string; readonly asked: boolean }
  | {
      readonly type: 'responseDone';
      readonly responseId: string;
      readonly status: ResponseStatus;
      readonly reason: string | undefined;
    }
  /**
   * A call that was made whole, told once; `args` is the text that the model wrote. It comes before the `responseDone` of
   * its response, if anything else is told of that at all. None comes of a response that was cut off or failed before,
   * except from services that an interruption leaves to go on with their calls (Nova).
   */
  | {
      readonly type: 'toolCall';
      readonly responseId: string;
      readonly callId: string;
      readonly name: string;
      readonly args: string;
    }
  | { readonly type: 'toolCallsCancelled'; readonly callIds: readonly string[] }
  /**
   * `model`: another model than that of the session, such as one that writes down what the caller says; `seconds`: it
   * charges by the length of the speech.
   */
  | {
      readonly type: 'usage';
      readonly usage: Usage;
      readonly model?: string | undefined;
      readonly seconds?: number | undefined;
    }
  | { readonly type: 'expiring'; readonly inMs: number }
  /** The newest handle counts; undefined: just now there is none to go on from. */
  | { readonly type: 'resumable'; readonly handle: string | undefined }
  | { readonly type: 'warning'; readonly code: string; readonly message: string }
  /** Fatal ones are followed by `closed`. */
  | { readonly type: 'error'; readonly error: BridgeError; readonly fatal: boolean }
  /** Exactly once, last. */
  | { readonly type: 'closed'; readonly expected: boolean; readonly error: BridgeError | undefined };
