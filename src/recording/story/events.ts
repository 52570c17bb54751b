import type { CallEvent } from '../../call-events.ts';
import { assertNever } from '../../errors.ts';
import { isRecord } from '../../is-record.ts';
import { audioRefsOf } from '../audio-refs.ts';
import type { Control, Line } from '../format.ts';
import { mediaFact } from './messages.ts';

/** What an event is about; `mark` and `text` come often and tell little each. */
export const EVENT_KINDS = [
  'call',
  'webhook',
  'carrier',
  'provider',
  'function',
  'rest',
  'mark',
  'text',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** A line that is worth a line to read: not audio, not a timer. */
export interface StoryEvent {
  readonly atMs: number;
  readonly kind: EventKind;
  readonly dir: 'in' | 'out';
  /** Such as `clear`, or `response.done`. */
  readonly label: string;
  /** More, from the message. May be empty, and may be anything that people or models said. */
  readonly note: string;
  readonly bad: boolean;
  /** Index of the line. */
  readonly line: number;
}

/** Which connections are about to end in good order: what they say of it is no trouble. */
class Closing {
  readonly #connections = new Set<string>();

  /** Whether a line tells of an end that the bridge itself, or a word of the other side, has begun. */
  expects(line: Line): boolean {
    if (line.on !== 'carrier' && line.on !== 'provider') return false;
    const connection = `${line.on} ${line.conn}`;
    if ('msg' in line) {
      if (line.dir === 'in' && mediaFact(line.msg).kind === 'stop') this.#connections.add(connection);
      return false;
    }
    const { type } = line.ctl;
    const isExpected = this.#connections.has(connection);
    if (line.dir === 'out' && (type === 'close' || type === 'terminate')) this.#connections.add(connection);
    return isExpected && (type === 'close' || type === 'error' || type === 'ended');
  }
}

/** A request that was refused and went through when it was made again is no trouble. */
class Requests {
  readonly #events: StoryEvent[];
  readonly #made = new Map<number, string>();
  /** Indices of events, by what was asked for. */
  readonly #refused = new Map<string, number>();

  constructor(events: StoryEvent[]) {
    this.#events = events;
  }

  /** Told after the event of the line was added. */
  follow(line: Line): void {
    if (line.on !== 'rest') return;
    const { msg } = line;
    if ('method' in msg) {
      this.#made.set(msg.id, `${msg.method} ${msg.url}`);
      return;
    }
    const request = this.#made.get(msg.id) ?? `number ${msg.id}`;
    const index = this.#refused.get(request);
    if ('error' in msg || msg.status >= 400) {
      if (index !== undefined) this.#forgive(index);
      this.#refused.set(request, this.#events.length - 1);
    } else if (index !== undefined) this.#forgive(index);
  }

  #forgive(index: number): void {
    const event = this.#events[index];
    if (event !== undefined) this.#events[index] = { ...event, bad: false };
  }
}

interface Told {
  readonly kind: EventKind;
  readonly label: string;
  readonly note?: string | undefined;
  readonly bad?: boolean;
}

/** The events of a call, in order. */
export function eventsOf(lines: readonly Line[]): readonly StoryEvent[] {
  const events: StoryEvent[] = [];
  const closing = new Closing();
  const requests = new Requests(events);
  lines.forEach((line, index) => {
    const told = tell(line);
    const isExpected = closing.expects(line);
    if (told === undefined) return;
    const { kind, label, note = '', bad = false } = told;
    events.push({ atMs: line.t, kind, dir: line.dir, label, note, bad: bad && !isExpected, line: index });
    requests.follow(line);
  });
  return events;
}

function tell(line: Line): Told | undefined {
  switch (line.on) {
    case 'clock':
      return undefined;
    case 'operator':
      return tellOrder(line.msg);
    case 'call':
      return tellCall(line.msg);
    case 'webhook':
      return tellWebhook(line.msg);
    case 'rest':
      return tellRest(line.msg);
    case 'tool':
      return tellTool(line.msg);
    case 'carrier':
      return 'ctl' in line ? tellControl('carrier', line.ctl) : tellMedia(line.msg, line.dir);
    case 'provider':
      if ('ctl' in line) return tellControl('provider', line.ctl);
      return audioRefsOf(line).length > 0 ? undefined : tellProvider(line.msg);
    default:
      return assertNever(line);
  }
}

type MessageOf<On extends Line['on']> = Extract<Line, { readonly on: On; readonly msg: unknown }>['msg'];

function tellWebhook(msg: MessageOf<'webhook'>): Told {
  if ('status' in msg) {
    return { kind: 'webhook', label: `answered ${msg.status}`, note: msg.body, bad: msg.status >= 400 };
  }
  const bad = msg.signed !== 'valid';
  const note = `${msg.method} ${msg.target}${bad ? ` (${msg.signed})` : ''}`;
  return { kind: 'webhook', label: `webhook ${msg.route}`, note, bad };
}

function tellRest(msg: MessageOf<'rest'>): Told {
  if ('method' in msg) return { kind: 'rest', label: `request ${msg.method}`, note: msg.url };
  if ('error' in msg) return { kind: 'rest', label: 'request failed', note: msg.error, bad: true };
  return { kind: 'rest', label: `answer ${msg.status}`, note: msg.body, bad: msg.status >= 400 };
}

function tellOrder(order: MessageOf<'operator'>): Told {
  const { does, ...terms } = order;
  return { kind: 'call', label: `order: ${does}`, note: json(terms) };
}

function tellTool(msg: MessageOf<'tool'>): Told {
  if ('run' in msg) return { kind: 'function', label: `${msg.run} runs`, note: json(msg.args) };
  if ('aborted' in msg) return { kind: 'function', label: 'aborted', note: msg.aborted, bad: true };
  if ('does' in msg) return { kind: 'function', label: `does ${msg.does}`, note: json(msg.with) };
  if ('threw' in msg) return { kind: 'function', label: 'threw', note: msg.threw.message, bad: true };
  return { kind: 'function', label: 'returned', note: json(msg.returned) };
}

function tellMedia(msg: unknown, dir: 'in' | 'out'): Told | undefined {
  const fact = mediaFact(msg);
  switch (fact.kind) {
    case 'audio':
      return undefined;
    case 'mark':
      return { kind: 'mark', label: dir === 'out' ? 'mark' : 'mark is back', note: fact.name };
    case 'clear':
    case 'cleared':
      return { kind: 'carrier', label: fact.kind };
    case 'keys':
      return { kind: 'carrier', label: dir === 'in' ? 'key pressed' : 'keys sent', note: fact.keys };
    case 'start':
      return { kind: 'carrier', label: 'stream begins', note: fact.codec };
    case 'stop':
      return { kind: 'carrier', label: 'stream ends' };
    case 'error':
      return { kind: 'carrier', label: 'carrier reports an error', note: fact.text, bad: true };
    case 'other':
      return { kind: 'carrier', label: fact.name };
    default:
      return assertNever(fact);
  }
}

function tellControl(kind: 'carrier' | 'provider', ctl: Control): Told {
  switch (ctl.type) {
    case 'upgrade':
      return { kind, label: 'stream asked for', note: ctl.signed, bad: ctl.signed !== 'valid' };
    case 'not-upgraded':
      return { kind, label: `stream refused ${ctl.status}`, bad: true };
    case 'dial':
      return { kind, label: `dials ${ctl.provider}`, note: ctl.url };
    case 'refused':
      return { kind, label: `refused ${ctl.status}`, note: ctl.body, bad: true };
    case 'close':
      return { kind, label: `closed ${ctl.code}`, note: ctl.reason, bad: ctl.code > 1001 };
    case 'error':
      return { kind, label: 'connection error', note: `${ctl.code ?? ''} ${ctl.message}`.trim(), bad: true };
    case 'ended':
      return { kind, label: 'stream over', note: ctl.error?.message, bad: ctl.error !== undefined };
    case 'connect':
      return { kind, label: `connects to ${ctl.provider}` };
    case 'not-connected':
      return { kind, label: ctl.error.code, note: ctl.error.message, bad: true };
    case 'text':
      return { kind, label: 'text that is no JSON', note: ctl.text };
    case 'ping':
    case 'pong':
      return { kind: 'mark', label: ctl.type };
    default:
      return { kind, label: ctl.type };
  }
}

/** OpenAI and its relatives name a message in `type`, sessions in `call` and `event`, the others by a field. */
function tellProvider(msg: unknown): Told {
  if (!isRecord(msg)) return { kind: 'provider', label: 'message' };
  const named = msg['type'] ?? msg['call'] ?? msg['event'];
  const label = typeof named === 'string' ? named : pathOf(isRecord(named) ? named : msg);
  const note = textIn(msg, 0);
  const bad = /(^|\.)(error|failed)$|not-connected/.test(label);
  const often = /delta$|^transcript$|ranscription$|textOutput$|^sendText$/.test(label);
  return { kind: often ? 'text' : 'provider', label, note, bad };
}

/** Messages that only say by what they hold what they are about. */
const HOLDERS = new Set(['serverContent', 'clientContent', 'realtimeInput']);

function pathOf(fields: Readonly<Record<string, unknown>>): string {
  const [name, value] = Object.entries(fields)[0] ?? ['empty', undefined];
  const [inner] = isRecord(value) ? Object.keys(value) : [];
  return inner === undefined || !HOLDERS.has(name) ? name : `${name}.${inner}`;
}

const TELLING = ['delta', 'transcript', 'text', 'content', 'message', 'arguments', 'name', 'code', 'output'];

/** What a person would look for in a message. */
function textIn(value: unknown, depth: number): string {
  if (!isRecord(value) || depth > 4) return '';
  for (const field of TELLING) {
    const found = value[field];
    if (typeof found === 'string' && found !== '') return found;
  }
  for (const inner of Object.values(value)) {
    const found = textIn(inner, depth + 1);
    if (found !== '') return found;
  }
  return '';
}

function json(value: unknown): string {
  return value === undefined ? '' : JSON.stringify(value);
}

/** How long the caller waited, and for what. */
function tellTurn(event: Extract<CallEvent, { type: 'turn' }>): string {
  const stages = [
    ['turn over', event.commitMs],
    ['first delta', event.firstDeltaMs],
    ['first frame', event.firstFrameMs],
    ['first mark', event.firstMarkMs],
  ] as const;
  const told = stages.flatMap(([name, ms]) => (ms === undefined ? [] : [`${name} ${Math.round(ms)} ms`]));
  return [event.provider, ...told, ...(event.interrupted ? ['cut off'] : [])].join(', ');
}

function tellCall(event: CallEvent): Told {
  const kind = 'call';
  switch (event.type) {
    case 'started':
      return { kind, label: 'call begins', note: `${event.carrier}, agent ${event.agent}` };
    case 'providerReady':
      return {
        kind,
        label: `${event.provider} is ready`,
        note: `${event.why}, ${Math.round(event.connectMs)} ms`,
      };
    case 'providerFailed':
      return { kind, label: `${event.provider} failed`, note: `${event.phase}, ${event.code}`, bad: true };
    case 'failover':
      return {
        kind,
        label: `${event.from} → ${event.to}`,
        note: `${event.why}, ${Math.round(event.gapMs)} ms of silence`,
        bad: event.why === 'failover',
      };
    case 'usage':
      return { kind: 'text', label: 'usage', note: event.provider };
    case 'mediaStarted':
      return { kind, label: 'media starts' };
    case 'firstAudio':
      return { kind, label: 'first audio' };
    case 'transcript':
      return { kind: 'text', label: event.role === 'user' ? 'caller says' : 'agent says', note: event.text };
    case 'bargeIn':
      return { kind, label: 'caller cuts in', note: `noticed by ${event.by}` };
    case 'turn':
      return { kind, label: 'answered', note: tellTurn(event) };
    case 'tool':
      return {
        kind,
        label: `${event.name} ${event.outcome}`,
        note: `${Math.round(event.ms)} ms`,
        bad: event.outcome !== 'done' || event.isError,
      };
    case 'digit':
      return { kind, label: 'key', note: event.digit };
    case 'transfer':
      return { kind, label: `transfer ${event.status}`, note: event.outcome, bad: event.status === 'failed' };
    case 'machine':
      return { kind, label: 'who picked up', note: event.result };
    case 'recording':
      return { kind, label: 'recording of the carrier', note: event.url };
    case 'ended':
      return { kind, label: 'call ends', note: event.reason };
    default:
      return assertNever(event);
  }
}
