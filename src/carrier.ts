import type { AudioFormat } from './audio/format.ts';
import type { BridgeError } from './errors.ts';
import type { LegCommand, LegContext, LegEvent } from './leg.ts';

/** CONTRACT of a carrier: answers webhooks, speaks a media dialect, controls calls. */

export const CARRIERS = ['twilio', 'telnyx', 'plivo'] as const;
export type CarrierName = (typeof CARRIERS)[number];

/**
 * How a call is controlled: by documents that the carrier asks for (TwiML, TeXML, Plivo XML), or by requests of the
 * bridge after an empty answer (Telnyx Call Control).
 */
export type ControlStyle = 'document' | 'command';

/** Data, so that generic code never asks "is it Plivo?". `docs/carriers.md` is made from it. */
export interface CarrierCapabilities {
  /** What a webhook proves itself by; a media socket also by the token in its path. */
  readonly webhookAuth: 'url-signature' | 'body-signature';
  readonly upgradeAuth: 'signature' | 'signature-if-present' | 'token-header' | 'path';
  /** How often one media token may be used: 1, or more where the carrier opens the stream again. */
  readonly tokenUses: number;
  /** Media arrives in order. */
  readonly orderedMedia: boolean;
  /** A stream that ends well says so before the socket closes; without it, a clean close is the end. */
  readonly saysStopped: boolean;
  /** Marks that a `clear` dropped are echoed as if they had been played. */
  readonly marksEchoedOnClear: boolean;
  /** The caller hears nothing of the agent until some audio, if only silence, was sent. */
  readonly needsSilenceWhenIdle: boolean;
  /** What the carrier sends and takes when its `start` message does not say otherwise. */
  readonly defaultFormat: AudioFormat;
  /** What the carrier may send, and what it can be sent. */
  readonly inputs: readonly AudioFormat[];
  readonly outputs: readonly AudioFormat[];
  /** Keys that the caller presses come on the media socket, or there and as a webhook too. */
  readonly digitsIn: 'socket' | 'socket-and-webhook';
  /** Keys for the other end: on the media socket, by a request, or only by interrupting the stream. */
  readonly digitsOut: 'socket' | 'request' | 'interrupts-stream';
  readonly transfer: {
    /** The media stream ends when the transfer begins, and comes back when it fails. */
    readonly endsStream: boolean;
    /** The other end can be told why before it is connected. */
    readonly announced: boolean;
    /** A transfer that nobody answers leads back to the agent. */
    readonly wayBack: boolean;
  };
  /** The most that answering-machine detection tells: the beep, the end of the greeting, or only that it is a machine. */
  readonly machineDetection: 'beep' | 'greeting-end' | 'machine';
  /** A call that was placed is known by its own id at once, or by an id of the request until it rings. */
  readonly dialGives: 'call-id' | 'request-id';
}

/** An HTTP request as the carrier made it; `target` is path and query, header names are in lower case. */
export interface WebhookRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

type Unproven = 'missing-signature' | 'bad-signature' | 'stale' | 'replayed';
export type RefusalReason = Unproven | 'bad-body' | 'not-configured';
export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: RefusalReason };

/** Which of the bridge's own addresses a webhook came in by. */
export const WEBHOOK_ROUTES = [
  'voice',
  'events',
  'status',
  'stream-status',
  'after',
  'announce',
  'machine',
] as const;
export type WebhookRoute = (typeof WEBHOOK_ROUTES)[number];

/** What the carrier has to be told to mean one call. */
export interface CallRef {
  /** The carrier's id of the call; undefined for one that was placed and has only an id of the request. */
  readonly callId: string | undefined;
  readonly requestId?: string | undefined;
  readonly control: ControlStyle;
  /** Whatever else of its webhooks the carrier needs again, such as the account; its own matter. */
  readonly data?: Readonly<Record<string, string>> | undefined;
}

/** `+` and digits, `sip:…`, `client:…` or `anonymous`. */
export interface CallParties {
  readonly from: string;
  readonly to: string;
  readonly direction: 'inbound' | 'outbound';
}

export interface IncomingCall extends CallRef, CallParties {
  readonly callId: string;
  readonly callerName: string | undefined;
  /** What `DialRequest.ref` was, for a call that the bridge placed. */
  readonly ref: string | undefined;
}

export type CallStatus = 'queued' | 'ringing' | 'in-progress' | 'ended';
/** The outcome table of all carriers. */
export const CALL_OUTCOMES = [
  'completed',
  'busy',
  'no-answer',
  'rejected',
  'canceled',
  'failed',
  'time-limit',
] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

/** Who or what picked up. `machine-beep`: the tone after the greeting was heard. */
export const MACHINE_RESULTS = ['human', 'machine', 'machine-beep', 'fax', 'silence', 'unknown'] as const;
export type MachineResult = (typeof MACHINE_RESULTS)[number];

export type CarrierEvent =
  | {
      readonly type: 'incoming';
      readonly call: IncomingCall;
      /** Set when the carrier found out before it asked. */
      readonly machine: MachineResult | undefined;
      readonly idempotencyKey: string;
    }
  /** Command style: the call is answered, by the bridge or by the one who was rung, and the stream can be opened. */
  | {
      readonly type: 'answered';
      readonly call: CallRef & { readonly callId: string };
      readonly ref: string | undefined;
      readonly idempotencyKey: string;
    }
  | {
      readonly type: 'progress';
      readonly callId: string;
      readonly requestId: string | undefined;
      readonly ref: string | undefined;
      readonly status: CallStatus;
      /** Set when `status` is ended. */
      readonly outcome: CallOutcome | undefined;
      readonly sequence: number | undefined;
      readonly durationS: number | undefined;
      /** What the carrier's own part of a transfer has to do now that the call is over. */
      readonly perform?: ((signal: AbortSignal) => Promise<ControlResult>) | undefined;
    }
  | {
      readonly type: 'stream';
      readonly callId: string;
      /** `degraded`: the carrier is given audio too far ahead, or reads too slowly. */
      readonly kind: 'started' | 'stopped' | 'failed' | 'degraded';
      readonly error: string | undefined;
    }
  /** The carrier asks what to do now that the stream, or what came in its place, is over. */
  | {
      readonly type: 'after-stream';
      readonly callId: string;
      /** The call itself is over: nobody is left to hear anything. */
      readonly ended: boolean;
      /** What became of the transfer that was under way; `completed`: they talked, and the other end has hung up. */
      readonly transfer: CallOutcome | undefined;
      /** Command style: it is not a stream that is over, but what the carrier was told to say. */
      readonly spoken?: true | undefined;
      /** The caller has left the message that was asked for: nothing of it comes again. */
      readonly messageLeft?: true | undefined;
      /** Who talks with whom, where the carrier says so: of a call that nobody here knows. */
      readonly parties?: CallParties | undefined;
      /** Command style: the agent that had the call, where the carrier was told. */
      readonly agent?: string | undefined;
      /** Command style: how to name the call, for one that nobody here knows. */
      readonly call?: CallRef | undefined;
      /** Of the stream that is over, where the carrier says so: it may be one that has had a successor long since. */
      readonly mediaUrl?: string | undefined;
      readonly error?: string | undefined;
    }
  /** News of the other end of a transfer while it is rung. `callId` is that of the caller's leg. */
  | {
      readonly type: 'transfer';
      readonly callId: string;
      readonly status: 'answered' | 'failed';
      readonly outcome: CallOutcome | undefined;
      /** Command style: how to name the caller's leg, for a call that nobody here knows. */
      readonly call?: CallRef | undefined;
    }
  /** The other end of a transfer has picked up and asks what it is told. */
  | { readonly type: 'announce'; readonly callId: string }
  | {
      readonly type: 'machine';
      readonly callId: string;
      readonly ref: string | undefined;
      readonly result: MachineResult;
      /** The greeting is over: a message can be left now. */
      readonly greetingOver: boolean;
    }
  /** A key as a webhook; it may come on the media socket too. */
  | { readonly type: 'digit'; readonly callId: string; readonly digit: string }
  | {
      readonly type: 'recording';
      readonly callId: string;
      readonly url: string | undefined;
      readonly durationS: number | undefined;
      /** What the carrier has to be told now: a message was left, and the call is over with it. */
      readonly perform?: ((signal: AbortSignal) => Promise<ControlResult>) | undefined;
    }
  /** Command style: the carrier's own next step in something that the bridge has asked for, such as a transfer. */
  | {
      readonly type: 'step';
      readonly callId: string;
      readonly perform: (signal: AbortSignal) => Promise<ControlResult>;
      /** When that fails for good; the transfer has come to nothing then. */
      readonly otherwise: (signal: AbortSignal) => Promise<ControlResult>;
    }
  | { readonly type: 'ignored'; readonly why: string };

/** Somebody else whom the caller is connected with. */
export interface Transfer {
  /** `+` and digits, or `sip:…`. */
  readonly to: string;
  /** The number that the other end sees; undefined: the carrier's default. */
  readonly callerId: string | undefined;
  /** How long the other end is rung. */
  readonly ringS: number;
  /** Told to the other end before it is connected, where the carrier can. */
  readonly announce: string | undefined;
  /** Of the announcement. */
  readonly language: string | undefined;
}

/** What happens to the caller after the media stream, or instead of it. */
export type AfterStream =
  | { readonly type: 'hang-up' }
  | { readonly type: 'say'; readonly text: string; readonly language: string | undefined }
  /** The carrier says `text`, records what the caller says after a tone, and ends the call; the recording is told of later. */
  | {
      readonly type: 'message';
      readonly text: string;
      readonly language: string | undefined;
      /** Longest message. */
      readonly maxS: number;
    }
  | ({ readonly type: 'transfer' } & Transfer);

/** What a carrier can be told to do with a call that is up. After `digits` it asks again. */
export type Next =
  | AfterStream
  | { readonly type: 'digits'; readonly digits: string }
  | { readonly type: 'stream'; readonly plan: AnswerPlan }
  /** For command style: the call goes on without the bridge. */
  | { readonly type: 'nothing' };

/** Public absolute addresses that a carrier needs to come back to one call. */
export interface CallUrls {
  /** Asked what comes next: after the stream, after a transfer that came to nothing, after digits. */
  readonly afterUrl: string;
  /** Asked what the other end of a transfer is told. */
  readonly announceUrl: string;
  /** Told how a call, a transfer or a recording goes on. */
  readonly statusUrl: string;
}

/** All URLs are absolute and public. */
export interface AnswerPlan extends CallUrls {
  readonly mediaUrl: string;
  readonly streamStatusUrl: string;
  /** Come back in the `started` event where the carrier can. */
  readonly params: Readonly<Record<string, string>>;
  /** When the stream cannot be opened. */
  readonly fallback: AfterStream;
  /** The codec that the carrier offered could not be used: ask for the one that everybody has. */
  readonly plainCodec: boolean;
  /**
   * The document has nobody to ask: when the stream ends, `fallback` follows, also when this process has died. Whatever
   * else is to happen then is ordered by request before the stream is ended. Not set: the carrier asks at `afterUrl`.
   */
  readonly standsAlone?: boolean | undefined;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The HTTP answer to a webhook and what has to be done once it was sent. */
export interface Reply {
  readonly answer: Answer;
  readonly action?: ((signal: AbortSignal) => Promise<ControlResult>) | undefined;
}

/** Outcome of a request to the carrier's REST interface. */
export type ControlResult =
  | { readonly status: 'ok' }
  | { readonly status: 'already-ended' }
  | { readonly status: 'error'; readonly error: BridgeError };

/** A call that the bridge wants to be placed. */
export interface DialRequest {
  /** Comes back in every webhook of this call: the answer to this request may arrive after the first of them. */
  readonly ref: string;
  readonly to: string;
  readonly from: string;
  /** How long it rings, and how long the call may last at most. */
  readonly ringS: number;
  readonly maxS: number;
  /** `greeting-end`: also wait for the end of a machine's greeting, where the carrier can. */
  readonly machineDetection: 'off' | 'detect' | 'greeting-end';
  /** Already hold the `ref`. */
  readonly voiceUrl: string;
  readonly eventsUrl: string;
  readonly statusUrl: string;
  readonly machineUrl: string;
}

export type DialResult =
  | { readonly status: 'ok'; readonly call: CallRef }
  | { readonly status: 'error'; readonly error: BridgeError };

export type LiveResult =
  | { readonly status: 'ok'; readonly live: boolean }
  | { readonly status: 'error'; readonly error: BridgeError };

/** What can be asked of a carrier by REST. Nothing here rejects; a call that is over already is a success. */
export interface CallControl {
  /** Places a call. It is never tried twice: whoever is rung twice hangs up. */
  dial(request: DialRequest, signal: AbortSignal): Promise<DialResult>;
  hangUp(call: CallRef, signal: AbortSignal): Promise<ControlResult>;
  /**
   * Makes the carrier do something else with a call. Document style: has it ask at `urls.afterUrl`, where it is told
   * `next`. Command style: does it.
   */
  direct(call: CallRef, next: Next, urls: CallUrls, signal: AbortSignal): Promise<ControlResult>;
  /** Only where `digitsOut` is `request`. */
  sendDigits(call: CallRef, digits: string, signal: AbortSignal): Promise<ControlResult>;
  startRecording(call: CallRef, urls: CallUrls, signal: AbortSignal): Promise<ControlResult>;
  stopRecording(call: CallRef, signal: AbortSignal): Promise<ControlResult>;
  isLive(call: CallRef, signal: AbortSignal): Promise<LiveResult>;
}

export interface Carrier extends CallControl {
  readonly name: CarrierName;
  /** Of calls in document style, or of all calls where there is only one style. */
  readonly capabilities: CarrierCapabilities;
  /** Requests can be made: it has been given what they need. */
  readonly controlsCalls?: boolean | undefined;
  /** Of calls in command style, where a carrier has both. */
  readonly commandCapabilities?: CarrierCapabilities | undefined;
  /** Checks a webhook against the configured public URL, never against the Host header. */
  verify(request: WebhookRequest): Verdict;
  /** Checks the upgrade request of a media socket that brought the token of `call`. */
  verifyUpgrade(request: WebhookRequest, call: IncomingCall): Verdict;
  /** Throws BAD_FRAME when a field that must be there is not. */
  parse(request: WebhookRequest, route: WebhookRoute): CarrierEvent;
  accept(call: IncomingCall, plan: AnswerPlan): Reply;
  reject(call: IncomingCall, reason: 'busy' | 'rejected'): Reply;
  /** The document for a carrier that asks what comes next. */
  document(next: Next, urls: CallUrls): Answer;
  /** What the other end of a transfer hears before it is connected. */
  announcement(text: string, language: string | undefined): Answer;
  /** An answer that changes nothing, for callbacks. */
  acknowledge(): Answer;
  /** One media message. Unknown events give nothing; throws BAD_FRAME for nonsense. */
  decode(text: string): readonly LegEvent[];
  encode(command: LegCommand, leg: LegContext): string;
  /**
   * What `decode` gives for a media message that looks as usual, at less cost: they are nearly all that comes. Undefined
   * for everything else, nonsense included, which `decode` is then asked about. Whoever asks may keep the bytes.
   */
  decodeAudio?(text: string): Extract<LegEvent, { type: 'audio' }> | undefined;
  /** What `encode` gives for audio, for one stream that has begun: what is the same in all its messages is made once. */
  mediaEncoder?(leg: LegContext): (bytes: Uint8Array) => string;
}

/** What a carrier can do with this call. */
export function capabilitiesFor(carrier: Carrier, call: CallRef): CarrierCapabilities {
  return call.control === 'command'
    ? (carrier.commandCapabilities ?? carrier.capabilities)
    : carrier.capabilities;
}

/** The configured carrier of this name, which comes from outside and may be anything. */
export function carrierNamed(
  carriers: ReadonlyMap<CarrierName, Carrier>,
  name: unknown,
): Carrier | undefined {
  const known = CARRIERS.find((candidate) => candidate === name);
  return known === undefined ? undefined : carriers.get(known);
}
