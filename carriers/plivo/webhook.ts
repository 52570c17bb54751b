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
}

/**
 * By name in small letters without `_`: requests about calls write `CallUUID`, those about recordings `call_uuid`, and
 * the pages on streams disagree. The first value of a name counts.
 */
type Fields = ReadonlyMap<string, string>;

/** One webhook, read. */
interface News {
  readonly callId: string;
  readonly requestId: string | undefined;
  readonly ref: string | undefined;
  /** In small letters: `startapp`, `ring`, `hangup`, … */
  readonly event: string;
  readonly fields: Fields;
}

/**
 * What became of a webhook. Throws BAD_FRAME for one that names no call, but for the question of what the other end of
 * a transfer is told: its fields are written down nowhere, and its address holds a token; the id is empty then.
 */
export function parseWebhook({ fields: form, query }: Webhook, route: WebhookRoute): CarrierEvent {
  const fields = fieldsOf(form);
  const callId = callIdOf(fields, route);
  if (callId === '' && route !== 'announce') {
    throw new BridgeError(
      'BAD_FRAME',
      `field CallUUID of a Plivo ${route} webhook is missing; wanted the id of a call`,
    );
  }
  const news: News = {
    callId,
    requestId: requestIdOf(fields),
    ref: query.get('ref') || undefined,
    event: (fields.get('event') ?? '').toLowerCase(),
    fields,
  };
  switch (route) {
    case 'voice':
      return isProgress(news) ? statusEvent(news) : incomingEvent(news);
    case 'status':
      return statusEvent(news);
    case 'stream-status':
      return streamEvent(news);
    case 'after':
      return afterEvent(news);
    case 'announce':
      return { type: 'announce', callId };
    case 'machine':
      return machineEvent(news);
    case 'events':
      return { type: 'ignored', why: 'Plivo has no events beside its callbacks' };
    default:
      return assertNever(route);
  }
}

function fieldsOf(form: URLSearchParams): Fields {
  const fields = new Map<string, string>();
  const add = (name: string, value: string): void => {
    const key = name.toLowerCase().replaceAll('_', '');
    if (!fields.has(key)) fields.set(key, value);
  };
  for (const [name, value] of form) add(name, value);
  // Answers to requests by REST that come later are JSON in one field.
  for (const [name, value] of Object.entries(readJson(fields.get('response')))) {
    if (typeof value === 'string' || typeof value === 'number') add(name, String(value));
  }
  return fields;
}

function readJson(text: string | undefined): object {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/**
 * News of the other end of a transfer may come under its own id: what is meant is the caller's leg. A call that never
 * came to be has the id of its request only.
 */
function callIdOf(fields: Fields, route: WebhookRoute): string {
  const own = fields.get('calluuid') || (route === 'status' ? requestIdOf(fields) : undefined) || '';
  if (route === 'announce') return fields.get('dialaleguuid') || fields.get('aleguuid') || own;
  return isDial(fields) ? fields.get('dialaleguuid') || own : own;
}

function requestIdOf(fields: Fields): string | undefined {
  return fields.get('requestuuid') || fields.get('alegrequestuuid') || undefined;
}

/** A callback that was pointed at the voice address must not start a second agent. */
function isProgress(news: News): boolean {
  const { event, fields } = news;
  return (
    event === 'ring' ||
    event === 'machinedetection' ||
    event.startsWith('record') ||
    isDial(fields) ||
    isOver(news)
  );
}

function isOver({ event, fields }: News): boolean {
  return event === 'hangup' || statusOf(fields)?.status === 'ended';
}

/** Numbers as they are dialled abroad; what is shorter is a short code, and what begins with 0 is a local number. */
function addressOf(text: string): string {
  const address = text.trim();
  if (/^[1-9]\d{6,14}$/.test(address)) return `+${address}`;
  // An endpoint is given by name and host alone.
  return /^[^@:\s]+@[^@\s]+$/.test(address) ? `sip:${address}` : address;
}

/** Some networks spell these words on a telephone's keys and send them as if they were numbers. */
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
  'private',
  'withheld',
  'unknown',
]);

function callerOf(text: string): string {
  const address = addressOf(text);
  const lower = address.toLowerCase();
  return HIDDEN_CALLERS.has(lower) || /^sips?:anonymous@/.test(lower) ? 'anonymous' : address;
}

function afterEvent(news: News): CarrierEvent {
  const { callId, fields } = news;
  return {
    type: 'after-stream',
    callId,
    ended: isOver(news),
    transfer: transferOutcome(fields),
    messageLeft: fields.has('recordurl') ? true : undefined,
    parties: fields.get('to') ? partiesOf(fields) : undefined,
  };
}

function partiesOf(fields: Fields): CallParties {
  return {
    from: callerOf(fields.get('from') ?? ''),
    to: addressOf(fields.get('to') ?? ''),
    direction: fields.get('direction')?.toLowerCase() === 'outbound' ? 'outbound' : 'inbound',
  };
}

function incomingEvent({ callId, requestId, ref, fields }: News): CarrierEvent {
  const call: IncomingCall = {
    callId,
    requestId,
    control: 'document',
    ...partiesOf(fields),
    callerName: fields.get('callername') || undefined,
    ref,
  };
  const machine = fields.has('machine') ? machineResult(fields) : undefined;
  // Not the nonce: whether a repetition has a new one is not known, and a call is answered once.
  return { type: 'incoming', call, machine, idempotencyKey: callId };
}

/** It says so only of machines; `false` was never seen, and can mean one thing only. */
function machineResult(fields: Fields): MachineResult {
  switch (fields.get('machine')?.toLowerCase()) {
    case 'true':
      return 'machine';
    case 'false':
      return 'human';
    default:
      return 'unknown';
  }
}

function machineEvent({ callId, ref, fields }: News): CarrierEvent {
  return { type: 'machine', callId, ref, result: machineResult(fields), greetingOver: false };
}

type StatusRow = { readonly status: CallStatus; readonly outcome: CallOutcome | undefined };
const ended = (outcome: CallOutcome): StatusRow => ({ status: 'ended', outcome });
const STATUSES: ReadonlyMap<string, StatusRow> = new Map<string, StatusRow>([
  ['queued', { status: 'queued', outcome: undefined }],
  ['ringing', { status: 'ringing', outcome: undefined }],
  ['in-progress', { status: 'in-progress', outcome: undefined }],
  ['completed', ended('completed')],
  ['busy', ended('busy')],
  ['failed', ended('failed')],
  ['timeout', ended('no-answer')],
  ['no-answer', ended('no-answer')],
  ['cancel', ended('canceled')],
  ['canceled', ended('canceled')],
  ['cancelled', ended('canceled')],
  ['rejected', ended('rejected')],
]);

function statusOf(fields: Fields): StatusRow | undefined {
  return STATUSES.get((fields.get('callstatus') ?? '').toLowerCase());
}

/** Plivo's own codes, and the words of telephony for calls that have none. */
const CAUSES: ReadonlyMap<string, CallOutcome> = new Map<string, CallOutcome>([
  ['1000', 'canceled'],
  ['3000', 'no-answer'],
  ['3010', 'busy'],
  ['3020', 'rejected'],
  ['3040', 'rejected'],
  ['3100', 'busy'],
  ['3110', 'rejected'],
  ['4000', 'completed'],
  ['4010', 'completed'],
  ['6000', 'time-limit'],
  ['6010', 'no-answer'],
  ['9110', 'rejected'],
  ['NORMAL_CLEARING', 'completed'],
  ['USER_BUSY', 'busy'],
  ['NO_ANSWER', 'no-answer'],
  ['NO_USER_RESPONSE', 'no-answer'],
  ['CALL_REJECTED', 'rejected'],
  ['ORIGINATOR_CANCEL', 'canceled'],
  ['ALLOTTED_TIMEOUT', 'time-limit'],
]);

interface Cause {
  readonly code: string;
  readonly word: string;
}

function byCause({ code, word }: Cause): CallOutcome | undefined {
  // A code that is not in the table says that something is wrong, whatever the word.
  return code === '' || code === '0' ? CAUSES.get(word) : CAUSES.get(code);
}

/**
 * Only `failed` and `no-answer` are told apart further. A completed call has the cause of whatever ended last: of the
 * request that hung it up, or of a transfer that was busy.
 */
function outcomeOf(status: CallOutcome | undefined, cause: Cause): CallOutcome {
  const found = byCause(cause);
  switch (status) {
    case undefined:
      return found ?? 'failed';
    case 'completed':
      return found === 'time-limit' ? found : status;
    case 'failed':
    case 'no-answer':
      return found === undefined || found === 'completed' || found === 'time-limit' ? status : found;
    case 'busy':
    case 'rejected':
    case 'canceled':
    case 'time-limit':
      return status;
    default:
      return assertNever(status);
  }
}

function causeOf(fields: Fields): Cause {
  return { code: fields.get('hangupcausecode') ?? '', word: (fields.get('hangupcause') ?? '').toUpperCase() };
}

function dialCauseOf(fields: Fields): Cause {
  const word = fields.get('dialbleghangupcause') || fields.get('dialhangupcause') || '';
  return { code: fields.get('dialbleghangupcausecode') ?? '', word: word.toUpperCase() };
}

/** News of a call, of a recording, or of the other end of a transfer: all of them come by the same address. */
function statusEvent(news: News): CarrierEvent {
  const { event, fields } = news;
  if (isDial(fields)) return dialEvent(news);
  if (event === 'machinedetection') return machineEvent(news);
  // The last news of a recorded call may name the recording too, which has a callback of its own.
  if (event === 'hangup') return progressEvent(news, { status: 'ended', outcome: statusOf(fields)?.outcome });
  if (event.startsWith('record') || fields.has('recordurl')) return recordingEvent(news);
  if (event === 'ring') return progressEvent(news, { status: 'ringing', outcome: undefined });
  const row = statusOf(fields);
  if (row !== undefined) return progressEvent(news, row);
  return { type: 'ignored', why: `CallStatus ${quoted(fields.get('callstatus') ?? '')} is not known` };
}

function progressEvent({ callId, requestId, ref, fields }: News, row: StatusRow): CarrierEvent {
  return {
    type: 'progress',
    callId,
    requestId,
    ref,
    status: row.status,
    outcome: row.status === 'ended' ? outcomeOf(row.outcome, causeOf(fields)) : undefined,
    sequence: undefined,
    // Not BillDuration: that one counts the minutes that are charged.
    durationS: wholeNumber(fields.get('duration')),
  };
}

function isDial(fields: Fields): boolean {
  return fields.has('dialaction') || /^dial[a-z]/i.test(fields.get('event') ?? '');
}

function dialEvent({ callId, event, fields }: News): CarrierEvent {
  const action = (fields.get('dialaction') || event.replace(/^dial/, '')).toLowerCase();
  switch (action) {
    case 'answer':
    case 'connected':
      return { type: 'transfer', callId, status: 'answered', outcome: undefined };
    case 'hangup':
      return dialEnd(callId, fields);
    default:
      return { type: 'ignored', why: `DialAction ${quoted(action)} changes nothing` };
  }
}

/** What comes next is asked by the caller's leg; here it matters only that nobody was reached. */
function dialEnd(callId: string, fields: Fields): CarrierEvent {
  const outcome = outcomeOf(undefined, dialCauseOf(fields));
  const talked = (wholeNumber(fields.get('dialblegduration')) ?? 0) > 0;
  return talked || outcome === 'completed' || outcome === 'time-limit'
    ? { type: 'ignored', why: 'the other end of a transfer has hung up' }
    : { type: 'transfer', callId, status: 'failed', outcome };
}

/** Undefined when no `<Dial>` has ended. A word that is not known must not look like the end of the stream. */
function transferOutcome(fields: Fields): CallOutcome | undefined {
  const name = (fields.get('dialstatus') ?? '').toLowerCase();
  if (name === '') return undefined;
  return outcomeOf(STATUSES.get(name)?.outcome ?? 'failed', dialCauseOf(fields));
}

function recordingEvent({ callId, event, fields }: News): CarrierEvent {
  const url = fields.get('recordurl') || fields.get('recordfile') || undefined;
  if (url === undefined || event === 'recordstart') {
    return { type: 'ignored', why: `Event ${quoted(event)} is not the end of a recording` };
  }
  return { type: 'recording', callId, url, durationS: wholeNumber(fields.get('recordingduration')) };
}

/** The pages of Plivo name these events in two ways. */
function streamEvent({ callId, event, fields }: News): CarrierEvent {
  switch (event) {
    case 'startstream':
    case 'started':
      return { type: 'stream', callId, kind: 'started', error: undefined };
    case 'stopstream':
    case 'stopped':
      return { type: 'stream', callId, kind: 'stopped', error: undefined };
    case 'droppedstream':
    case 'failed':
      return { type: 'stream', callId, kind: 'failed', error: streamError(fields) };
    case 'degradedstream':
      return { type: 'stream', callId, kind: 'degraded', error: streamError(fields) };
    case 'playedstream':
    case 'clearedaudio':
      return { type: 'ignored', why: `${quoted(event)} is told on the media socket too` };
    default:
      return { type: 'ignored', why: `stream Event ${quoted(event)} is not known` };
  }
}

function streamError(fields: Fields): string | undefined {
  return fields.get('error') || fields.get('statusreason') || fields.get('reason') || undefined;
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
