import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '../../clock.ts';
import type { CallOptions } from './call-terms.ts';
import type { Callee } from './callee.ts';
import type { CallDriver, DriverContext } from './driver.ts';
import type { CallStatus, EndedBy, EventLog, MachineResult, StreamEnd } from './events.ts';
import type { PhoneFaults } from './faults.ts';
import type { Replacement, StreamVerb } from './verbs.ts';
import type { WireFormat } from './wire-audio.ts';

/**
 * CONTRACT between the core of the simulated phone and one carrier. The core keeps the calls: time, sockets, HTTP, audio
 * in mu-law at 8 kHz, the play-out queue, what was heard and what happened. A carrier says how all of that is spelt.
 *
 * The sequence of a call: `identify` · `attend` · `CarrierCall.drive` · `CarrierCall.tell` for everything that happens ·
 * `CarrierCall.planStream` for each socket, whose `MediaDialect` reads and writes its frames.
 */
export interface CarrierSim {
  readonly name: CarrierName;
  readonly codes: TroubleCodes;
  readonly rest: RestRules;
  /** Who calls whom, in this carrier's spelling, with a fresh id. Called first for each call, and once for the account. */
  identify(options: CallOptions): CallIdentity;
  /**
   * The carrier's part of one call. `call` is the same object that `RestExchange.find` gives later, so it can be the key
   * of a WeakMap from calls to the carrier's own state. It may be asked for things only when the constructor is done.
   */
  attend(call: CallHandle): CarrierCall;
}

/** Every carrier that the bridge knows; the simulated phone may not know all of them yet. */
export const CARRIER_NAMES = ['twilio', 'telnyx', 'plivo'] as const;
export type CarrierName = (typeof CARRIER_NAMES)[number];

/** What can go wrong for a carrier without the bridge having done anything that only this carrier would mind. */
export type Trouble =
  /** Webhooks: an HTTP status that is not 2xx, or no answer in time; nobody listens; the answer is no document. */
  | 'http-failure'
  | 'no-connection'
  | 'content-type'
  /** An address in a document that is none. */
  | 'bad-address'
  /** The media socket: no answer to the upgrade, nobody listens, it broke, no TLS, answered with another status than 101. */
  | 'stream-unanswered'
  | 'stream-refused'
  | 'stream-broken'
  | 'stream-tls'
  | 'stream-not-upgraded'
  /** The bridge broke a rule of WebSocket. */
  | 'stream-protocol';

/** A carrier's own code for each trouble; a word of ours where the carrier has none. One word: letters, digits, `_`, `-`. */
export type TroubleCodes = Readonly<Record<Trouble, string>>;

/** Who is calling whom; spelt as the carrier does. */
export interface CallIdentity {
  readonly callId: string;
  readonly accountId: string;
  /** The secret of the account: an auth token, or an API key. */
  readonly authToken: string;
  readonly from: string;
  readonly to: string;
  readonly direction: 'inbound' | 'outbound';
}

/** What a carrier may know of its call, and do to it. */
export interface CallHandle {
  readonly identity: CallIdentity;
  readonly options: CallOptions;
  readonly faults: PhoneFaults;
  readonly clock: Clock;
  readonly log: EventLog;
  readonly isOver: boolean;
  /** Aborts when somebody hangs up, or else at the end of the call. */
  readonly leaving: AbortSignal;
  /** Somebody took the call, or a document answered it. */
  readonly isAnswered: boolean;
  readonly status: CallStatus;
  /** What the detection said so far, when a machine or a human was rung; else undefined. */
  readonly machine: MachineResult | undefined;
  /** Mu-law that the agent and the caller said so far, on one time line: for recordings. Empty unless audio is kept. */
  readonly heard: Uint8Array;
  readonly sent: Uint8Array;
  /** Ends the call, also one that is still ringing. */
  hangUp(by: EndedBy): void;
  /** Other instructions take the place of the running document; false when the call is not led by documents. */
  replaceDocument(replacement: Replacement): boolean;
  /** Sends callbacks for something that only the carrier knows has happened, such as a finished recording. */
  callBack(callbacks: readonly Callback[]): void;
}

/** A carrier's part of one call. It may hold state: sequence numbers, options of its own. */
export interface CarrierCall {
  /** What leads the call: a `Script` over answer documents, or commands of the bridge. Called once. */
  drive(context: DriverContext): CallDriver;
  /** The callbacks that an event brings about, each to an address of the bridge; none when nobody asked. */
  tell(happening: Happening): readonly Callback[];
  /** Headers of a webhook or callback, with its signature; `call.faults.webhookSignature` says which. */
  headers(request: WireRequest): Readonly<Record<string, string>>;
  limits(url: string): RequestLimits;
  /** Called for each socket of a stream, the ones that are opened again included. `baseUrl` is the document's. */
  planStream(verb: StreamVerb, baseUrl: string): StreamPlan;
}

/** How long the carrier waits for an answer, and how often it tries again when nobody listens. */
export interface RequestLimits {
  readonly totalMs: number;
  readonly retries: number;
}

/** What happens on a call, for `CarrierCall.tell`. `CallHandle.status` has changed already. */
export type Happening =
  | {
      readonly type: 'progress';
      readonly status: CallStatus;
      /** Set at the end of the call; 0 when it was never answered. */
      readonly durationS: number | undefined;
      readonly by: EndedBy | undefined;
      /** Set at the end of the call; finer than `status`, which has no word for a callee who rejects. */
      readonly outcome?: CallOutcome | undefined;
    }
  | {
      readonly type: 'stream-started';
      readonly verb: StreamVerb;
      readonly plan: StreamPlan;
      readonly baseUrl: string;
    }
  /** Told once for each socket, also for those that were never opened. */
  | {
      readonly type: 'stream-ended';
      readonly verb: StreamVerb;
      readonly plan: StreamPlan;
      readonly baseUrl: string;
      readonly end: StreamEnd;
    }
  /** One of `StreamPlan.aheadMs` was passed. */
  | {
      readonly type: 'stream-ahead';
      readonly verb: StreamVerb;
      readonly plan: StreamPlan;
      readonly baseUrl: string;
      readonly aheadMs: number;
    }
  | { readonly type: 'key'; readonly digit: string }
  /** Who took an outbound call, when the order asked for detection. */
  | { readonly type: 'machine'; readonly result: MachineResult; readonly afterMs: number }
  /** The other leg of a transfer: rung, taken (or not), over. */
  | { readonly type: 'leg'; readonly target: string; readonly status: 'ringing' | 'in-progress' | LegResult };

/** What became of a call. */
export type CallOutcome = 'completed' | 'busy' | 'rejected' | 'failed' | 'no-answer' | 'canceled';

/** What became of the other leg of a transfer. */
export type LegResult = 'completed' | 'busy' | 'no-answer' | 'failed';

/** Form fields; a repeated field is an array. */
export type FormFields = Readonly<Record<string, string | readonly string[]>>;

/** Body of a webhook. Fields of a GET request go into the query. */
export type Payload = { readonly form: FormFields } | { readonly json: unknown };

/** A request to the bridge whose answer changes nothing. */
export interface Callback {
  readonly kind: 'progress' | 'stream' | 'machine' | 'recording' | 'key' | 'leg';
  /** For the event log, in the carrier's words. */
  readonly event: string;
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly payload: Payload;
  /** Told when nobody answers at `url`. */
  readonly failoverUrl?: string | undefined;
  /** Whatever its kind: waits for the callbacks before it, and is never held back; or (false) waits for none. */
  readonly inOrder?: boolean | undefined;
}

/** A request as it goes over the wire, for its headers and signature. */
export interface WireRequest {
  readonly method: 'GET' | 'POST';
  /** With the query and without a fragment; public, as the document or the settings have it. */
  readonly url: string;
  /** The form in the body; empty for GET and for JSON. */
  readonly fields: FormFields;
  /** Empty for GET. */
  readonly body: string;
  /** The same for each delivery of one webhook. */
  readonly deliveryId: string;
}

/** How one media socket is to be opened, and what is spoken on it. */
export interface StreamPlan {
  /** As it is opened and signed: absolute, public. */
  readonly url: string;
  readonly streamId: string;
  /** Code and text, when the stream cannot even be tried. */
  readonly failure: readonly [code: string, text: string] | undefined;
  /** Headers of the upgrade, with its signature; `call.faults.upgradeSignature` says which. Called once. */
  headers(): Readonly<Record<string, string>>;
  readonly subprotocol: string | undefined;
  /** From the caller to the bridge. */
  readonly sends: WireFormat;
  /** From the bridge to the caller. */
  readonly takes: WireFormat;
  /** What becomes of marks that wait when the bridge clears. */
  readonly marksOnClear: 'echoed' | 'dropped';
  /** How often the stream is opened again when it could not be opened or broke, and how long after. */
  readonly reopen: { readonly times: number; readonly delayMs: number };
  /** When so many ms wait to be played the bridge is told; rising. Default: never. */
  readonly aheadMs?: readonly number[] | undefined;
  /** Called once. */
  dialect(): MediaDialect;
}

/**
 * Words of one media socket; keeps its sequence and chunk numbers. `media` is called for every frame: no closures, no
 * JSON of objects. What gives undefined is not said by this carrier.
 */
export interface MediaDialect {
  connected(): string | undefined;
  start(): string;
  /** `timestampMs` of stream time; `payload` is base64. */
  media(timestampMs: number, payload: string): string;
  /** Echo of a mark, or the word that its audio was played. */
  mark(name: string): string;
  key(digit: string): string;
  /** After a clear, and after the marks that it echoed. */
  cleared(): string | undefined;
  stop(): string | undefined;
  /** An event that this version of the protocol does not have. */
  unknown(): string;
  /** Reads one text frame as strictly as the carrier; never throws. */
  read(text: string): BridgeMessage;
  /** What the carrier has to say of a frame that the core itself could not use. */
  complain(about: FrameTrouble, text: string): Complaint;
}

/** A frame that is not text; audio that is not base64, has half a sample, or brings a file header along. */
export type FrameTrouble = 'binary-frame' | 'bad-audio';

/** A carrier's answer to nonsense. */
export interface Complaint {
  readonly code: string;
  readonly text: string;
  /** A frame that the carrier sends back. */
  readonly reply?: string;
}

/** A message of the bridge; `complaint` is said although the message is used. */
export type BridgeMessage =
  | { readonly type: 'media'; readonly payload: string; readonly complaint: Complaint | undefined }
  | { readonly type: 'mark'; readonly name: string; readonly complaint: Complaint | undefined }
  | { readonly type: 'clear'; readonly complaint: Complaint | undefined }
  /** Keys that the bridge presses for the other side to hear. */
  | { readonly type: 'keys'; readonly digits: string; readonly complaint: Complaint | undefined }
  | { readonly type: 'ignored'; readonly complaint: Complaint | undefined };

/** A carrier's REST interface. The core has the server, the faults and the log. */
export interface RestRules {
  /** The id of the call that a request is about, decoded; undefined when it is about none. */
  callId(request: RestRequest): string | undefined;
  /** Checks the credentials and does it. `call` is undefined for an unknown id and for requests about no call. */
  serve(
    request: RestRequest,
    call: CallHandle | undefined,
    exchange: RestExchange,
  ): RestReply | Promise<RestReply>;
  /** The carrier's usual body for this status. */
  fault(status: RestFaultStatus): RestReply;
}

export type RestFaultStatus = 400 | 404 | 422 | 429 | 500 | 503;

export interface RestRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** `body` becomes JSON; undefined: an empty body; a Uint8Array goes as it is, and wants a content-type in `headers`. */
export interface RestReply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a REST interface may ask of the exchange. */
export interface RestExchange {
  /** Account and secret that the exchange takes requests about no call for. */
  readonly account: Pick<CallIdentity, 'accountId' | 'authToken'>;
  /** `http://127.0.0.1:port`. */
  readonly baseUrl: string;
  /** A call that is up, or was some time ago. */
  find(callId: string): CallHandle | undefined;
  /** Rings somebody for the bridge. What `order` does not say is taken from the defaults of the exchange. */
  dial(order: DialOrder): CallHandle;
}

/** An outbound call as the bridge ordered it by REST. */
export interface DialOrder {
  readonly from: string;
  readonly to: string;
  /** Where the carrier asks what to do, or sends its events, when the order says so itself. Public. */
  readonly url: string | undefined;
  readonly statusCallbackUrl: string | undefined;
  /** `sync`: instructions are asked for when it is known who took the call; `async`: at once. */
  readonly detection: 'off' | 'sync' | 'async';
  /** With a machine, `sync` waits for the end of the greeting, and `async` tells that end too. */
  readonly untilGreetingEnds: boolean;
  /** How long it rings at most. */
  readonly timeoutMs: number;
  /** Who is rung, where that is known already; else the exchange decides. */
  readonly callee?: Callee | undefined;
  /** The order as it came, by the carrier's own names, for whatever else the carrier needs of it. */
  readonly fields: Readonly<Record<string, unknown>>;
}
