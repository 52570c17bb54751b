import type { Callback, CallHandle, FormFields, WireRequest } from '../carrier-sim.ts';
import type { DocumentReason } from '../script.ts';
import { rfc2822 } from './sid.ts';
import { twilioSignature } from './signature.ts';

/** Whose call a request is about: the caller's, or that of another leg. */
export interface CallParty {
  readonly callSid: string;
  readonly parentCallSid: string | undefined;
  readonly from: string;
  readonly to: string;
  readonly direction: 'inbound' | 'outbound-api' | 'outbound-dial';
  readonly status: string;
}

/** The call itself as a party. */
export function ownParty({ identity, status }: CallHandle): CallParty {
  const { callId, from, to, direction } = identity;
  return {
    callSid: callId,
    parentCallSid: undefined,
    from,
    to,
    direction: direction === 'outbound' ? 'outbound-api' : 'inbound',
    status,
  };
}

/** Form fields that Twilio sends along with every request about a call, and some that nobody knows yet. */
export function callFields(call: CallHandle, party: CallParty = ownParty(call)): FormFields {
  const { from, to, parentCallSid } = party;
  return {
    AccountSid: call.identity.accountId,
    ApiVersion: '2010-04-01',
    CallSid: party.callSid,
    ...(parentCallSid === undefined ? {} : { ParentCallSid: parentCallSid }),
    CallStatus: party.status,
    CallToken: '%7B%22parentCallInfoToken%22%3A%22simulated%22%7D',
    Direction: party.direction,
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
    ...call.options.extraFields,
  };
}

/** Form fields of a request for a document; `dialled` says what became of the transfer that has just ended. */
export function documentFields(
  call: CallHandle,
  reason: DocumentReason,
  answeredBy: string | undefined,
  dialled: FormFields,
): FormFields {
  switch (reason.why) {
    case 'dial-ended':
      return { ...callFields(call), ...dialled };
    case 'fallback': {
      const fields = documentFields(call, reason.of, answeredBy, dialled);
      return { ...fields, ErrorCode: '11200', ErrorUrl: reason.failedUrl };
    }
    case 'own':
      return { ...callFields(call), ...reason.fields };
    default:
      return { ...callFields(call), ...(answeredBy === undefined ? {} : { AnsweredBy: answeredBy }) };
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

/** Where a status callback goes, and which events it is sent for. */
export interface StatusTarget {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly events: readonly string[];
}

/** What can be subscribed to. */
export const STATUS_EVENTS: readonly string[] = ['initiated', 'ringing', 'answered', 'completed'];

/** Status callbacks about one party; it numbers its reports. */
export class StatusReports {
  readonly #call: CallHandle;
  readonly #kind: 'progress' | 'leg';
  #target: StatusTarget | undefined;
  #sequence = 0;

  constructor(call: CallHandle, kind: 'progress' | 'leg', target: StatusTarget | undefined) {
    this.#call = call;
    this.#kind = kind;
    this.#target = target;
  }

  /** From now on the reports go elsewhere. */
  redirect(target: StatusTarget): void {
    this.#target = target;
  }

  /** `durationS` only at the end; `more` are fields that only this report has. */
  of(party: CallParty, durationS: number | undefined, more: FormFields = {}): readonly Callback[] {
    const { status } = party;
    if (this.#target?.events.includes(eventOf(status)) !== true) return [];
    const fields: Record<string, string> = {
      CallbackSource: 'call-progress-events',
      SequenceNumber: String(this.#sequence++),
      Timestamp: rfc2822(this.#call.clock.epoch()),
    };
    if (durationS !== undefined) {
      fields['CallDuration'] = String(durationS);
      fields['Duration'] = String(Math.ceil(durationS / 60));
      fields['SipResponseCode'] = SIP_CODES[status] ?? '200';
    }
    const form = { ...callFields(this.#call, party), ...fields, ...more };
    const { url, method } = this.#target;
    return [{ kind: this.#kind, event: status, url, method, payload: { form } }];
  }
}

const SIP_CODES: Readonly<Record<string, string>> = {
  busy: '486',
  'no-answer': '487',
  canceled: '487',
  failed: '404',
};

/** All ways in which a call may end are one event. */
function eventOf(status: string): string {
  if (status === 'initiated' || status === 'ringing') return status;
  return status === 'in-progress' ? 'answered' : 'completed';
}
