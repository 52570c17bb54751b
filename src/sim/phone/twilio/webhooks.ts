import type { Callback, CallHandle, FormFields, Happening, StreamPlan, WireRequest } from '../carrier-sim.ts';
import type { StreamEnd } from '../events.ts';
import type { DocumentReason } from '../script.ts';
import type { StreamVerb } from '../verbs.ts';
import { twilioSignature } from './signature.ts';

/** Form fields that Twilio sends along with every request about a call, and some that nobody knows yet. */
export function callFields({ identity, options, status }: CallHandle): FormFields {
  const { accountId, callId, from, to, direction } = identity;
  return {
    AccountSid: accountId,
    ApiVersion: '2010-04-01',
    CallSid: callId,
    CallStatus: status,
    CallToken: '%7B%22parentCallInfoToken%22%3A%22simulated%22%7D',
    Direction: direction === 'outbound' ? 'outbound-api' : 'inbound',
    From: from,
    Caller: from,
    FromCity: 'SAN FRANCISCO',
    FromState: 'CA',
    FromZip: '94105',
    FromCountry: 'US',
    CallerCity: 'SAN FRANCISCO',
    CallerState: 'CA',
    CallerZip: '94105',
    CallerCountry: 'US',
    CallerName: "José  O'Neil",
    To: to,
    Called: to,
    ToCity: '',
    ToState: 'CA',
    ToZip: '',
    ToCountry: 'US',
    CalledCity: '',
    CalledState: 'CA',
    CalledZip: '',
    CalledCountry: 'US',
    StirVerstat: 'TN-Validation-Passed-A',
    FieldOfTomorrow: 'ü + a&b=c%20 "’"',
    ...options.extraFields,
  };
}

/** Form fields of a request for a document. */
export function documentFields(call: CallHandle, reason: DocumentReason): FormFields {
  switch (reason.why) {
    case 'dial-ended': {
      const { status, durationMs } = reason.result;
      const duration =
        status === 'completed' ? { DialCallDuration: String(Math.round(durationMs / 1000)) } : {};
      return { ...callFields(call), DialCallStatus: status, ...duration };
    }
    case 'fallback':
      return { ...documentFields(call, reason.of), ErrorCode: '11200', ErrorUrl: reason.failedUrl };
    default:
      return callFields(call);
  }
}

/** Headers of every webhook and callback. */
export function webhookHeaders(call: CallHandle, request: WireRequest): Record<string, string> {
  const { method, url, fields, deliveryId } = request;
  const { authToken } = call.identity;
  const headers: Record<string, string> = {
    'user-agent': 'TwilioProxy/1.1',
    'i-twilio-idempotency-token': deliveryId,
  };
  if (method === 'POST') headers['content-type'] = 'application/x-www-form-urlencoded; charset=UTF-8';
  switch (call.faults.webhookSignature) {
    case 'good':
    // Twilio signs no time.
    case 'stale':
      headers['x-twilio-signature'] = twilioSignature(authToken, url, fields);
      break;
    case 'bad':
      headers['x-twilio-signature'] = twilioSignature(authToken, `${url}/another`, fields);
      break;
    case 'missing':
      break;
  }
  return headers;
}

/** The status callback of one call; it numbers its reports. */
export class StatusReports {
  readonly #call: CallHandle;
  readonly #url: string | undefined;
  #sequence = 0;

  constructor(call: CallHandle, url: string | undefined) {
    this.#call = call;
    this.#url = url;
  }

  of({ status, durationS }: Extract<Happening, { type: 'progress' }>): readonly Callback[] {
    if (this.#url === undefined) return [];
    const fields: Record<string, string> = {
      CallbackSource: 'call-progress-events',
      SequenceNumber: String(this.#sequence++),
      Timestamp: new Date(this.#call.clock.epoch()).toUTCString().replace('GMT', '+0000'),
    };
    if (durationS !== undefined) {
      fields['CallDuration'] = String(durationS);
      fields['Duration'] = String(Math.ceil(durationS / 60));
      fields['SipResponseCode'] = '200';
    }
    const form = { ...callFields(this.#call), ...fields };
    return [{ kind: 'progress', event: status, url: this.#url, method: 'POST', payload: { form } }];
  }
}

/** The stream status callback, when the document wants one. */
export function streamReport(
  call: CallHandle,
  { verb, plan, url }: { readonly verb: StreamVerb; readonly plan: StreamPlan; readonly url: string },
  event: 'stream-started' | 'stream-stopped' | 'stream-error',
  error: string | undefined,
): Callback {
  const form: Record<string, string> = {
    AccountSid: call.identity.accountId,
    CallSid: call.identity.callId,
    StreamSid: plan.streamId,
    StreamName: verb.name ?? plan.streamId,
    StreamEvent: event,
    Timestamp: new Date(call.clock.epoch()).toISOString(),
  };
  if (error !== undefined) form['StreamError'] = error;
  return { kind: 'stream', event, url, method: verb.statusCallbackMethod, payload: { form } };
}

/** What Twilio calls the end of a stream, and why. A close by the bridge is 31921 even when that was meant. */
export function streamEnding(
  call: CallHandle,
  end: StreamEnd,
): readonly [event: 'stream-stopped' | 'stream-error', error?: string] {
  if (end.how === 'carrier-stopped') return ['stream-stopped'];
  if (end.how === 'failed') return ['stream-error', `${end.errorCode}: ${end.text}`];
  const text = `the server closed (${end.code})`;
  call.log.warn('31921', text);
  return call.faults.reportCloseAsError ? ['stream-error', `31921: ${text}`] : ['stream-stopped'];
}
