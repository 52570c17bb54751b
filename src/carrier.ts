import type { AudioFormat } from './audio/format.ts';
import type { BridgeError } from './errors.ts';

/** CONTRACT of a carrier (answers webhooks, speaks a media dialect, controls calls) and of a call leg. */

export const CARRIERS = ['twilio', 'telnyx', 'plivo'] as const;
export type CarrierName = (typeof CARRIERS)[number];

/** Data, so that generic code never asks "is it Plivo?". */
export interface CarrierCapabilities {
  readonly answerMode: 'document' | 'command';
  /** How often one media token may be used: 1, or more where the carrier opens the stream again. */
  readonly tokenUses: number;
  /** Media arrives in order. */
  readonly orderedMedia: boolean;
  /** Marks that a `clear` dropped are echoed as if they had been played. */
  readonly marksEchoedOnClear: boolean;
  /** The caller hears nothing of the agent until some audio, if only silence, was sent. */
  readonly needsSilenceWhenIdle: boolean;
  /** What the carrier sends and takes when its `start` message does not say otherwise. */
  readonly defaultFormat: AudioFormat;
}

/** An HTTP request as the carrier made it; `target` is path and query, header names are in lower case. */
export interface WebhookRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

export type RefusalReason = 'missing-signature' | 'bad-signature' | 'bad-body' | 'not-configured';
export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: RefusalReason };

/** Which of the bridge's own addresses a webhook came in by. */
export const WEBHOOK_ROUTES = ['voice', 'status', 'stream-status', 'after'] as const;
export type WebhookRoute = (typeof WEBHOOK_ROUTES)[number];

export interface IncomingCall {
  readonly callId: string;
  readonly from: string;
  readonly to: string;
  readonly direction: 'inbound' | 'outbound';
  readonly callerName: string | undefined;
}

export type CallStatus = 'queued' | 'ringing' | 'in-progress' | 'ended';
export type CallOutcome =
  | 'completed'
  | 'busy'
  | 'no-answer'
  | 'rejected'
  | 'canceled'
  | 'failed'
  | 'time-limit';

export type CarrierEvent =
  | { readonly type: 'incoming'; readonly call: IncomingCall; readonly idempotencyKey: string }
  | {
      readonly type: 'progress';
      readonly callId: string;
      readonly status: CallStatus;
      /** Set when `status` is ended. */
      readonly outcome: CallOutcome | undefined;
      readonly sequence: number | undefined;
      readonly durationS: number | undefined;
    }
  | {
      readonly type: 'stream';
      readonly callId: string;
      readonly kind: 'started' | 'stopped' | 'failed';
      readonly error: string | undefined;
    }
  /** The carrier asks what to do now that the stream is over. */
  | {
      readonly type: 'after-stream';
      readonly callId: string;
      /** The call itself is over: nobody is left to hear anything. */
      readonly ended: boolean;
    }
  | { readonly type: 'ignored'; readonly why: string };

/** What happens to the caller after the media stream, or instead of it. */
export type AfterStream =
  | { readonly type: 'hang-up' }
  | { readonly type: 'say'; readonly text: string; readonly language: string | undefined }
  | { readonly type: 'transfer'; readonly to: string; readonly callerId: string | undefined };

/** All URLs are absolute and public. */
export interface AnswerPlan {
  readonly mediaUrl: string;
  readonly afterUrl: string;
  readonly streamStatusUrl: string;
  /** Come back in the `started` event. */
  readonly params: Readonly<Record<string, string>>;
  /** When the stream cannot be opened. */
  readonly fallback: AfterStream;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** What arrives on the media socket, parsed. */
export type LegEvent =
  | { readonly type: 'opened' }
  | {
      readonly type: 'started';
      readonly streamId: string;
      readonly callId: string;
      readonly params: Readonly<Record<string, string>>;
      /** Caller to bridge, and bridge to caller. */
      readonly input: AudioFormat;
      readonly output: AudioFormat;
    }
  | {
      readonly type: 'audio';
      readonly bytes: Uint8Array;
      /** Presentation time in ms since the stream began; undefined where the carrier gives none. */
      readonly atMs: number | undefined;
    }
  | { readonly type: 'dtmf'; readonly digit: string }
  | { readonly type: 'mark'; readonly name: string }
  | { readonly type: 'cleared' }
  | { readonly type: 'stopped' }
  | { readonly type: 'carrierError'; readonly code: string; readonly message: string };

export type LegCommand =
  | { readonly type: 'audio'; readonly bytes: Uint8Array }
  | { readonly type: 'mark'; readonly name: string }
  | { readonly type: 'clear' };

/** Outcome of a request to the carrier's REST interface. */
export type ControlResult =
  | { readonly status: 'ok' }
  | { readonly status: 'already-ended' }
  | { readonly status: 'error'; readonly error: BridgeError };

export interface Carrier {
  readonly name: CarrierName;
  readonly capabilities: CarrierCapabilities;
  /** Checks a webhook against the configured public URL, never against the Host header. */
  verify(request: WebhookRequest): Verdict;
  /** Checks the upgrade request of a media socket. */
  verifyUpgrade(request: WebhookRequest): Verdict;
  /** Throws BAD_FRAME when a field that must be there is not. */
  parse(request: WebhookRequest, route: WebhookRoute): CarrierEvent;
  accept(call: IncomingCall, plan: AnswerPlan): Answer;
  reject(reason: 'busy' | 'rejected'): Answer;
  after(decision: AfterStream): Answer;
  /** An answer that changes nothing, for callbacks. */
  acknowledge(): Answer;
  /** One media message. Unknown events give nothing; throws BAD_FRAME for nonsense. */
  decode(text: string): readonly LegEvent[];
  encode(command: LegCommand, streamId: string): string;
  /** Never rejects. A call that is over already is a success. */
  hangUp(callId: string, signal: AbortSignal): Promise<ControlResult>;
}

/** The configured carrier of this name, which comes from outside and may be anything. */
export function carrierNamed(
  carriers: ReadonlyMap<CarrierName, Carrier>,
  name: unknown,
): Carrier | undefined {
  const known = CARRIERS.find((candidate) => candidate === name);
  return known === undefined ? undefined : carriers.get(known);
}

/** The media side of one call as the session sees it. */
export interface CallLeg {
  readonly input: AudioFormat;
  readonly output: AudioFormat;
  /** Network time to the carrier and back in ms, from pings; 0 until the first one returned. */
  readonly roundTripMs: number;
  /** Whole frames in `output` format; the buffer may be reused when it returns. */
  play(bytes: Uint8Array): void;
  mark(name: string): void;
  clear(): void;
  close(code: number, reason: string): void;
}
