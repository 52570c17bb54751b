import { assertNever } from '../../errors.ts';
import type { NovaError, NovaEvent } from './api.ts';
import { errorOf, type FaultRule } from './faults.ts';

const HUGE_BYTES = 2 * 1024 * 1024;
const INTERNAL_ERROR = 2;

/** What a fault can do to a connection. */
export interface FaultTarget {
  readonly lastSent: NovaEvent | undefined;
  emit(event: NovaEvent): void;
  /** Sends the event again or as it is, past omissions and delays. */
  transmit(event: NovaEvent): void;
  /** A message with these bytes in the place of an event. */
  writeBytes(bytes: string): void;
  /** A message with this payload in the place of `{"bytes":…}`. */
  writePayload(payload: string): void;
  /** A message whose `:event-type` is this. */
  writeUnknown(type: string): void;
  writeBadChecksum(): void;
  fail(error: NovaError, as?: 'exception' | 'error'): void;
  close(code?: number, reason?: string): void;
  reset(code: number): void;
  endSilently(): void;
  drop(): void;
  goAway(code: number): void;
  stall(): void;
  mute(forMs?: number): void;
  omit(types: readonly string[]): void;
  delay(types: readonly string[], ms: number): void;
  lateDeltas(count: number): void;
  /** `error`: how the stream ends instead; undefined: nothing happens. */
  ignore(type: string, count: number, error: NovaError | undefined): void;
}

type RuleOf<D extends FaultRule['do']> = Extract<FaultRule, { readonly do: D }>;

type Ending = RuleOf<'close' | 'rst' | 'end-silently' | 'drop' | 'goaway' | 'stall' | 'mute' | 'error'>;

/** Carries out one fault. `cause` is the event that set it off, if the service sent one. */
export function act(target: FaultTarget, rule: FaultRule, cause: NovaEvent | undefined): void {
  switch (rule.do) {
    case 'close':
    case 'rst':
    case 'end-silently':
    case 'drop':
    case 'goaway':
    case 'stall':
    case 'mute':
    case 'error':
      breakOff(target, rule);
      break;
    case 'bad-crc':
      target.writeBadChecksum();
      break;
    case 'malformed':
      sendMalformed(target, rule);
      break;
    case 'unknown-event':
      sendUnknown(target, rule);
      break;
    case 'huge':
      sendPadding(target, rule.bytes ?? HUGE_BYTES);
      break;
    case 'duplicate':
      sendAgain(target, cause);
      break;
    case 'inject':
      target.transmit(rule.event);
      break;
    case 'omit':
      target.omit(rule.types);
      break;
    case 'delay':
      target.delay(rule.types, rule.ms);
      break;
    case 'late-deltas':
      target.lateDeltas(rule.count ?? 3);
      break;
    case 'ignore':
      target.ignore(rule.type, rule.count ?? 1, undefined);
      break;
    case 'refuse':
      target.ignore(rule.type, 1, errorOf(rule.error));
      break;
    case 'http':
      break;
    default:
      assertNever(rule);
  }
}

function breakOff(target: FaultTarget, rule: Ending): void {
  switch (rule.do) {
    case 'close':
      target.close(rule.code ?? 0, rule.reason);
      break;
    case 'rst':
      target.reset(rule.code ?? INTERNAL_ERROR);
      break;
    case 'end-silently':
      target.endSilently();
      break;
    case 'drop':
      target.drop();
      break;
    case 'goaway':
      target.goAway(rule.code ?? 0);
      break;
    case 'stall':
      target.stall();
      break;
    case 'mute':
      target.mute(rule.forMs);
      break;
    case 'error':
      target.fail(errorOf(rule.error), rule.as);
      break;
    default:
      assertNever(rule);
  }
}

function sendMalformed(target: FaultTarget, rule: RuleOf<'malformed'>): void {
  if (rule.payload === true) target.writePayload(rule.frame ?? '{"bytes":"eyJ');
  else target.writeBytes(rule.frame ?? '{"event":{"audioOutput":{"content":"AAA');
}

function sendUnknown(target: FaultTarget, rule: RuleOf<'unknown-event'>): void {
  const type = rule.type ?? 'weatherUpdate';
  if (rule.header === true) target.writeUnknown(type);
  else target.emit({ type, body: { weather: { sky: 'grey' } } });
}

function sendPadding(target: FaultTarget, bytes: number): void {
  target.emit({ type: 'weatherUpdate', body: { padding: ' '.repeat(bytes) } });
}

function sendAgain(target: FaultTarget, cause: NovaEvent | undefined): void {
  // A client's event is never echoed: then it is the last one of ours.
  const event = cause ?? target.lastSent;
  if (event !== undefined) target.transmit(event);
}
