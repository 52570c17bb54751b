import type {
  CallOutcome,
  CallParties,
  CallStatus,
  CarrierEvent,
  IncomingCall,
  MachineResult,
  WebhookRoute,
} from '../../src/carrier.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';

/** A webhook that was verified, in decoded parts. */
export interface Webhook {
  readonly fields: URLSearchParams;
  /** The query of the bridge's own address, which holds the `ref` of a call that the bridge placed. */
  readonly query: URLSearchParams;
  readonly idempotencyToken: string | undefined;
}

/** What became of a webhook. Throws BAD_FRAME for one without a CallSid. */
export function parseWebhook(webhook: Webhook, route: WebhookRoute): CarrierEvent {
  const { fields } = webhook;
  const callId = fields.get('CallSid') ?? '';
  if (callId === '') {
    throw new BridgeError(
      'BAD_FRAME',
      `field CallSid of a Twilio ${route} webhook is missing; wanted the id of a call`,
    );
  }
  switch (route) {
    case 'voice':
      return isProgress(fields) ? statusEvent(callId, webhook) : incomingEvent(callId, webhook);
    case 'status':
      return statusEvent(callId, webhook);
    case 'stream-status':
      return streamEvent(callId, fields);
    case 'after':
      return afterEvent(callId, fields);
    case 'announce':
      // Asked by the leg of the other end, about the caller's.
      return { type: 'announce', callId: fields.get('ParentCallSid') || callId };
    case 'machine':
      return machineEvent(callId, webhook);
    case 'events':
      return { type: 'ignored', why: 'Twilio has no events beside its callbacks' };
    default:
      return assertNever(route);
  }
}

function afterEvent(callId: string, fields: URLSearchParams): CarrierEvent {
  return {
    type: 'after-stream',
    callId,
    ended: isOver(fields),
    transfer: transferOutcome(fields),
    messageLeft: fields.has('RecordingUrl') ? true : undefined,
    parties: fields.get('To') ? partiesOf(fields) : undefined,
  };
}

function partiesOf(fields: URLSearchParams): CallParties {
  return {
    from: callerOf(fields.get('From') ?? ''),
    to: fields.get('To') ?? '',
    direction: directionOf(fields.get('Direction') ?? ''),
  };
}

/** A status callback that was pointed at the voice address must not start a second agent. */
function isProgress(fields: URLSearchParams): boolean {
  return fields.get('CallbackSource') === 'call-progress-events' || isOver(fields);
}

function isOver(fields: URLSearchParams): boolean {
  return STATUSES.get(fields.get('CallStatus') ?? '')?.status === 'ended';
}

function refOf(query: URLSearchParams): string | undefined {
  return query.get('ref') || undefined;
}

function incomingEvent(callId: string, { fields, query, idempotencyToken }: Webhook): CarrierEvent {
  const call: IncomingCall = {
    callId,
    control: 'document',
    ...partiesOf(fields),
    callerName: fields.get('CallerName') || undefined,
    ref: refOf(query),
  };
  const answeredBy = fields.get('AnsweredBy');
  const machine = answeredBy ? machineResult(answeredBy) : undefined;
  return { type: 'incoming', call, machine, idempotencyKey: idempotencyToken ?? callId };
}

/** Twilio spells these words on a telephone's keys and sends them as if they were numbers. */
const HIDDEN_CALLERS: ReadonlySet<string> = new Set([
  '',
  '+266696687', // ANONYMOUS
  '+86282452253', // UNAVAILABLE
  '+7378742833', // RESTRICTED
  '+2562533', // BLOCKED
  '+8656696', // UNKNOWN
  'anonymous',
  'unavailable',
  'restricted',
  'blocked',
  'unknown',
]);

/** A number as `+` and digits, `client:name`, `sip:…`, or `anonymous`. */
function callerOf(from: string): string {
  const lower = from.trim().toLowerCase();
  if (HIDDEN_CALLERS.has(lower) || /^sips?:anonymous@/.test(lower)) return 'anonymous';
  return from.trim();
}

/** Everything but a call that the account itself placed is a caller who wants to be answered. */
function directionOf(direction: string): IncomingCall['direction'] {
  return direction.startsWith('outbound') || direction === 'trunking-terminating' ? 'outbound' : 'inbound';
}

const ended = (outcome: CallOutcome): StatusRow => ({ status: 'ended', outcome });
type StatusRow = { readonly status: CallStatus; readonly outcome: CallOutcome | undefined };
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

/** News of a call, of a recording, or of the other end of a transfer: all of them come by the same address. */
function statusEvent(callId: string, webhook: Webhook): CarrierEvent {
  const { fields } = webhook;
  // Not RecordingSid, which the last status of a recorded call has too.
  const recording = fields.get('RecordingStatus') ?? '';
  if (recording !== '') return recordingEvent(callId, recording, fields);
  const name = fields.get('CallStatus') ?? '';
  const row = STATUSES.get(name);
  if (row === undefined) return { type: 'ignored', why: `CallStatus ${quoted(name)} is not known` };
  const parent = fields.get('ParentCallSid') ?? '';
  return parent === '' ? progressEvent(callId, row, webhook) : transferEvent(parent, row);
}

function progressEvent(callId: string, row: StatusRow, { fields, query }: Webhook): CarrierEvent {
  return {
    type: 'progress',
    callId,
    requestId: undefined,
    ref: refOf(query),
    status: row.status,
    outcome: row.outcome,
    sequence: wholeNumber(fields.get('SequenceNumber')),
    // Not `Duration`: that one counts the minutes that are charged.
    durationS: wholeNumber(fields.get('CallDuration')),
  };
}

function transferEvent(callId: string, { status, outcome }: StatusRow): CarrierEvent {
  switch (status) {
    case 'queued':
    case 'ringing':
      return { type: 'ignored', why: `the other end of a transfer is ${status}` };
    case 'in-progress':
      return { type: 'transfer', callId, status: 'answered', outcome: undefined };
    case 'ended':
      // What comes next is asked by the caller's leg.
      return outcome === 'completed'
        ? { type: 'ignored', why: 'the other end of a transfer has hung up' }
        : { type: 'transfer', callId, status: 'failed', outcome };
    default:
      return assertNever(status);
  }
}

/** Undefined when no `<Dial>` has ended. A word that is not known must not look like the end of the stream. */
function transferOutcome(fields: URLSearchParams): CallOutcome | undefined {
  const name = fields.get('DialCallStatus') ?? '';
  if (name === '') return undefined;
  // Somebody picked up, heard why, and hung up before the two were connected.
  if (name === 'completed' && fields.get('DialBridged') === 'false') return 'rejected';
  if (name === 'answered') return 'completed';
  return STATUSES.get(name)?.outcome ?? 'failed';
}

function recordingEvent(callId: string, status: string, fields: URLSearchParams): CarrierEvent {
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

function machineEvent(callId: string, { fields, query }: Webhook): CarrierEvent {
  const answeredBy = fields.get('AnsweredBy') ?? '';
  return {
    type: 'machine',
    callId,
    ref: refOf(query),
    result: machineResult(answeredBy),
    greetingOver: answeredBy.startsWith('machine_end_'),
  };
}

function machineResult(answeredBy: string): MachineResult {
  switch (answeredBy) {
    case 'human':
    case 'fax':
      return answeredBy;
    case 'machine_end_beep':
      return 'machine-beep';
    default:
      return answeredBy.startsWith('machine_') ? 'machine' : 'unknown';
  }
}

function streamEvent(callId: string, fields: URLSearchParams): CarrierEvent {
  const name = fields.get('StreamEvent') ?? '';
  switch (name) {
    case 'stream-started':
      return { type: 'stream', callId, kind: 'started', error: undefined };
    case 'stream-stopped':
      return { type: 'stream', callId, kind: 'stopped', error: undefined };
    case 'stream-error':
      return { type: 'stream', callId, kind: 'failed', error: fields.get('StreamError') || undefined };
    default:
      return { type: 'ignored', why: `StreamEvent ${quoted(name)} is not known` };
  }
}

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
