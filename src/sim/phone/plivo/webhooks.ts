import { randomBytes } from 'node:crypto';
import type { Callback, CallHandle, FormFields, StreamPlan, WireRequest } from '../carrier-sim.ts';
import type { DocumentReason } from '../script.ts';
import type { StreamVerb } from '../verbs.ts';
import { type HangupCause, statusWord } from './hangup-causes.ts';
import type { PlivoSettings } from './settings.ts';
import { plivoSignature } from './signature.ts';

/** What Plivo's requests about one call are made of. */
export interface CallFacts {
  readonly call: CallHandle;
  readonly settings: PlivoSettings;
  /** Of a call that was placed by REST. */
  readonly requestId: string | undefined;
  /** A machine was detected before the call was led. */
  readonly isMachine: boolean;
  /** Milliseconds since 1970. */
  readonly beganMs: number;
  readonly answeredMs: number | undefined;
}

/** Form fields that Plivo sends along with every request about a call, and some that nobody knows yet. */
export function callFields({ call, requestId, isMachine }: CallFacts, event: string): FormFields {
  const { accountId, callId, from, to, direction } = call.identity;
  return {
    CallUUID: callId,
    From: from,
    To: to,
    CallerName: "José  O'Neil",
    CallStatus: statusWord(call),
    Direction: direction,
    Event: event,
    ParentAuthID: accountId,
    SessionStart: '2026-01-02 03:04:05.678901',
    STIRVerification: 'Verified',
    ForwardedFrom: '',
    'X-PH-Tomorrow': 'ü + a&b=c%20 "’"',
    ...(direction === 'inbound' ? {} : { ALegUUID: callId }),
    ...(requestId === undefined ? {} : { ALegRequestUUID: requestId, RequestUUID: requestId }),
    ...(isMachine ? { Machine: 'true' } : {}),
    ...call.options.extraFields,
  };
}

/** Form fields of a request for a document. */
export function documentFields(facts: CallFacts, reason: DocumentReason): FormFields {
  switch (reason.why) {
    case 'call':
      return callFields(facts, 'StartApp');
    case 'own':
      return { ...callFields(facts, 'Redirect'), ...reason.fields };
    case 'fallback':
      return documentFields(facts, reason.of);
    case 'redirect':
    case 'replaced':
    case 'stream-ended':
    case 'dial-ended':
      return callFields(facts, 'Redirect');
  }
}

/** Form fields for the hangup URL. */
export function hangupFields(facts: CallFacts, cause: HangupCause, durationS: number): FormFields {
  const endMs = facts.call.clock.epoch();
  return {
    ...callFields(facts, 'Hangup'),
    HangupCause: cause.word,
    HangupCauseCode: cause.code,
    HangupCauseName: cause.name,
    HangupSource: cause.source,
    Duration: String(durationS),
    BillDuration: String(Math.ceil(durationS / 60) * 60),
    TotalCost: '0.00000',
    BillRate: '0.00850',
    StartTime: timeOfDay(facts.beganMs),
    AnswerTime: facts.answeredMs === undefined ? '' : timeOfDay(facts.answeredMs),
    EndTime: timeOfDay(endMs),
  };
}

/** `2026-01-02 03:04:05`. */
export function timeOfDay(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ');
}

/** A callback about a stream. `url` is absolute. */
export function streamReport(
  call: CallHandle,
  { verb, plan, url }: { readonly verb: StreamVerb; readonly plan: StreamPlan; readonly url: string },
  event: 'StartStream' | 'StopStream' | 'DroppedStream' | 'DegradedStream',
  error?: string,
): Callback {
  const { callId, from, to } = call.identity;
  const form: Record<string, string> = {
    Event: event,
    CallUUID: callId,
    StreamID: plan.streamId,
    ServiceURL: verb.url,
    From: from,
    To: to,
    Timestamp: timeOfDay(call.clock.epoch()),
    Name: '',
  };
  if (error !== undefined) form['Error'] = error;
  return { kind: 'stream', event, url, method: verb.statusCallbackMethod, payload: { form } };
}

/** Signature headers of a webhook or callback. */
export function webhookHeaders({ call, settings }: CallFacts, request: WireRequest): Record<string, string> {
  const { webhookSignature } = call.faults;
  const headers: Record<string, string> = { 'user-agent': 'Plivo' };
  if (webhookSignature === 'missing') return headers;
  const nonce = settings.nonce === 'repeated' ? repeatedNonce(request.deliveryId) : freshNonce();
  const { method, fields } = request;
  const url = webhookSignature === 'bad' ? `${request.url}/another` : request.url;
  return Object.assign(headers, signatureHeaders(call, settings, { method, url, fields, nonce }));
}

/** Headers of the upgrade of a media socket, which is signed as a GET of the address in one of several forms. */
export function upgradeHeaders({ call, settings }: CallFacts, url: string): Record<string, string> {
  const { upgradeSignature } = call.faults;
  if (upgradeSignature === 'missing' || settings.upgradeUrl === 'none') return {};
  const [scheme = 'https', more] = settings.upgradeUrl.split('/');
  const [path = '', query] = url.replace(/^wss?/i, scheme).split('?', 2);
  const longer = more === undefined ? path : `${path}/${more}`;
  const form = query === undefined ? longer : `${longer}?${query}`;
  return signatureHeaders(call, settings, {
    method: 'GET',
    url: upgradeSignature === 'bad' ? `${form}/another` : form,
    fields: {},
    nonce: freshNonce(),
  });
}

interface Signing {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly fields: FormFields;
  readonly nonce: string;
}

/** Of a subaccount that the bridge knows nothing of, or of a token that is no longer used. */
const ANOTHER_TOKEN = 'QW5vdGhlclRva2VuQW5vdGhlclRva2VuQW5vdGhl';

function signatureHeaders(
  { identity }: CallHandle,
  settings: PlivoSettings,
  { method, url, fields, nonce }: Signing,
): Record<string, string> {
  const right = plivoSignature(method, url, fields, nonce, identity.authToken);
  const other = plivoSignature(method, url, fields, nonce, ANOTHER_TOKEN);
  const both = `${other},${right}`;
  const [v3, ma] = {
    both: [right, right],
    'v3-only': [right, undefined],
    'ma-only': [undefined, right],
    subaccount: [other, right],
    several: [both, both],
  }[settings.signatures];
  return {
    'x-plivo-signature-v3-nonce': nonce,
    ...(v3 === undefined ? {} : { 'x-plivo-signature-v3': v3 }),
    ...(ma === undefined ? {} : { 'x-plivo-signature-ma-v3': ma }),
  };
}

function freshNonce(): string {
  return digitsOf(randomBytes(8));
}

/** The same for each repetition of one webhook. */
function repeatedNonce(deliveryId: string): string {
  return digitsOf(Buffer.from(deliveryId.replaceAll('-', ''), 'hex').subarray(0, 8));
}

function digitsOf(bytes: Buffer): string {
  return bytes.readBigUInt64BE().toString().padStart(20, '0');
}
