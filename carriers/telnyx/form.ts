import type {
  CallOutcome,
  CallParties,
  CallStatus,
  CarrierEvent,
  IncomingCall,
  WebhookRoute,
} from '../../src/carrier.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';
import { keyOf, machineResult, outcomeOf, party, quoted } from './words.ts';

/** The fields of a TeXML webhook; a field that came twice has its first value. */
export type FormFields = ReadonlyMap<string, string>;

/** The fields of a body. Throws BAD_FRAME when it is not UTF-8. */
export function readForm(body: Uint8Array, route: WebhookRoute): FormFields {
  let form: URLSearchParams;
  try {
    form = new URLSearchParams(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch (error) {
    const message = `the body of a Telnyx ${route} webhook is not UTF-8; wanted form fields`;
    throw new BridgeError('BAD_FRAME', message, { cause: error });
  }
  const fields = new Map<string, string>();
  for (const [name, value] of form) if (!fields.has(name)) fields.set(name, value);
  return fields;
}

/** The same from JSON, which the documentation shows for the callbacks of streams. */
export function readFlat(body: Readonly<Record<string, unknown>>): FormFields {
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(body)) {
    if (typeof value === 'string' || typeof value === 'number') fields.set(name, String(value));
  }
  return fields;
}

/** What became of a TeXML webhook; `ref` is that of the address it came in by. Throws BAD_FRAME without a CallSid. */
export function parseForm(fields: FormFields, ref: string | undefined, route: WebhookRoute): CarrierEvent {
  const callId = fields.get('CallSid') ?? '';
  if (callId === '') {
    throw new BridgeError(
      'BAD_FRAME',
      `field CallSid of a Telnyx ${route} webhook is missing; wanted the id of a call, in the body of a POST`,
    );
  }
  switch (route) {
    case 'voice':
      return isCallback(fields) ? statusEvent(callId, fields, ref) : incomingEvent(callId, fields, ref);
    case 'status':
    case 'events':
      return statusEvent(callId, fields, ref);
    case 'stream-status':
      return streamEvent(callId, fields);
    case 'after':
      return afterEvent(callId, fields);
    case 'announce':
      // Asked by the leg of the other end, about the caller's.
      return { type: 'announce', callId: fields.get('ParentCallSid') || callId };
    case 'machine':
      return machineEvent(callId, fields, ref);
    default:
      return assertNever(route);
  }
}

function afterEvent(callId: string, fields: FormFields): CarrierEvent {
  return {
    type: 'after-stream',
    callId,
    ended: isGone(fields),
    transfer: transferOutcome(fields),
    messageLeft: fields.has('RecordingUrl') ? true : undefined,
    parties: fields.get('To') ? partiesOf(fields) : undefined,
  };
}

function partiesOf(fields: FormFields): CallParties {
  return {
    from: party(fields.get('From')),
    to: party(fields.get('To')),
    direction: (fields.get('Direction') ?? '').startsWith('outbound') ? 'outbound' : 'inbound',
  };
}

/** Status and costs may be sent to the voice address too, and must not start a second agent. */
function isCallback(fields: FormFields): boolean {
  return (fields.get('CallbackSource') ?? '') !== '' || isOver(fields);
}

function isOver(fields: FormFields): boolean {
  return STATUSES.get(fields.get('CallStatus') ?? '')?.status === 'ended';
}

/**
 * Whether the caller has left. After a `<Dial>` the status of the call may be that of the leg that was dialled; a caller
 * who is taken for gone would be hung up on, and one who is gone hears nothing of another document.
 */
function isGone(fields: FormFields): boolean {
  const dialled = fields.get('DialCallStatus') ?? '';
  return isOver(fields) && (dialled === '' || dialled === 'canceled');
}

function incomingEvent(callId: string, fields: FormFields, ref: string | undefined): CarrierEvent {
  const accountSid = fields.get('AccountSid') ?? '';
  const callControlId = fields.get('CallControlId') ?? '';
  const call: IncomingCall = {
    callId,
    control: 'document',
    data: {
      ...(accountSid === '' ? {} : { accountSid }),
      ...(callControlId === '' ? {} : { callControlId }),
    },
    ...partiesOf(fields),
    callerName: fields.get('CallerName') || fields.get('CallerId') || undefined,
    ref,
  };
  const answeredBy = fields.get('AnsweredBy') ?? '';
  const machine = answeredBy === '' ? undefined : machineResult(answeredBy);
  return { type: 'incoming', call, machine, idempotencyKey: callId };
}

type StatusRow = { readonly status: CallStatus; readonly outcome: CallOutcome | undefined };
const ended = (outcome: CallOutcome): StatusRow => ({ status: 'ended', outcome });
const STATUSES: ReadonlyMap<string, StatusRow> = new Map<string, StatusRow>([
  ['queued', { status: 'queued', outcome: undefined }],
  ['initiated', { status: 'queued', outcome: undefined }],
  ['ringing', { status: 'ringing', outcome: undefined }],
  ['in-progress', { status: 'in-progress', outcome: undefined }],
  ['answered', { status: 'in-progress', outcome: undefined }],
  ['completed', ended('completed')],
  ['busy', ended('busy')],
  ['no-answer', ended('no-answer')],
  ['canceled', ended('canceled')],
  ['failed', ended('failed')],
]);

/** News of a call, a recording, a key or the other end of a transfer: all of them come by the same address. */
function statusEvent(callId: string, fields: FormFields, ref: string | undefined): CarrierEvent {
  if (fields.get('CallbackSource') === 'call-cost-events')
    return { type: 'ignored', why: 'what a call costs' };
  // Not RecordingUrl, which the last status of a recorded call has too.
  const recording = fields.get('RecordingStatus') ?? '';
  if (recording !== '') return recordingEvent(callId, recording, fields);
  const name = fields.get('CallStatus') ?? '';
  const row = STATUSES.get(name);
  if (row === undefined) return otherStatus(callId, name, fields, ref);
  const outcome = row.outcome === 'completed' ? completedOutcome(fields) : row.outcome;
  const parent = fields.get('ParentCallSid') ?? '';
  if (parent !== '') return transferEvent(parent, row.status, outcome);
  return {
    type: 'progress',
    callId,
    requestId: undefined,
    ref,
    status: row.status,
    outcome,
    sequence: wholeNumber(fields.get('SequenceNumber')),
    durationS: wholeNumber(fields.get('CallDuration')),
  };
}

/** The cause says more than that a call is over. */
function completedOutcome(fields: FormFields): CallOutcome {
  const outcome = outcomeOf(fields.get('HangupCause') ?? '');
  return outcome === undefined || outcome === 'failed' ? 'completed' : outcome;
}

function otherStatus(
  callId: string,
  name: string,
  fields: FormFields,
  ref: string | undefined,
): CarrierEvent {
  if ((fields.get('AnsweredBy') ?? '') !== '') return machineEvent(callId, fields, ref);
  const key = keyOf(fields.get('Digit') ?? fields.get('Digits'));
  if (key !== undefined) return { type: 'digit', callId, digit: key };
  return { type: 'ignored', why: `CallStatus ${quoted(name)} is not known` };
}

function transferEvent(callId: string, status: CallStatus, outcome: CallOutcome | undefined): CarrierEvent {
  switch (status) {
    case 'queued':
    case 'ringing':
      return { type: 'ignored', why: `the other end of a transfer is ${status}` };
    case 'in-progress':
      return { type: 'transfer', callId, status: 'answered', outcome: undefined };
    case 'ended':
      // What comes next is asked by the caller's leg.
      return outcome === 'completed' || outcome === 'time-limit'
        ? { type: 'ignored', why: 'the other end of a transfer has hung up' }
        : { type: 'transfer', callId, status: 'failed', outcome };
    default:
      return assertNever(status);
  }
}

/** Undefined when no `<Dial>` has ended. A word that is not known must not look like the end of the stream. */
function transferOutcome(fields: FormFields): CallOutcome | undefined {
  const name = fields.get('DialCallStatus') ?? '';
  if (name === '') return undefined;
  if (name === 'answered') return 'completed';
  return STATUSES.get(name)?.outcome ?? 'failed';
}

function recordingEvent(callId: string, status: string, fields: FormFields): CarrierEvent {
  switch (status) {
    case 'completed': {
      const url = fields.get('RecordingUrl') || undefined;
      return { type: 'recording', callId, url, durationS: wholeNumber(fields.get('RecordingDuration')) };
    }
    case 'absent':
    case 'failed':
      return { type: 'recording', callId, url: undefined, durationS: undefined };
    default:
      return { type: 'ignored', why: `RecordingStatus ${quoted(status)} is not the end of a recording` };
  }
}

function machineEvent(callId: string, fields: FormFields, ref: string | undefined): CarrierEvent {
  const answeredBy = fields.get('AnsweredBy') ?? '';
  return {
    type: 'machine',
    callId,
    ref,
    result: machineResult(answeredBy),
    greetingOver: answeredBy.startsWith('machine_end_'),
  };
}

function streamEvent(callId: string, fields: FormFields): CarrierEvent {
  const name = fields.get('StreamEvent') ?? '';
  switch (name) {
    case 'stream-started':
      return { type: 'stream', callId, kind: 'started', error: undefined };
    case 'stream-stopped':
      return { type: 'stream', callId, kind: 'stopped', error: undefined };
    case 'stream-failed':
    case 'stream-error': {
      const error = fields.get('StreamError') || fields.get('FailureReason') || undefined;
      return { type: 'stream', callId, kind: 'failed', error };
    }
    default:
      return { type: 'ignored', why: `StreamEvent ${quoted(name)} is not known` };
  }
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
