import { assertNever } from '../../errors.ts';
import { type FaultRule, knownFault } from './faults.ts';
import type { WireError, WireEvent } from './wire.ts';

const HUGE_BYTES = 2 * 1024 * 1024;

/** What a fault can do to a connection. */
export interface FaultTarget {
  readonly lastSent: WireEvent | undefined;
  emit(type: string, fields: Readonly<Record<string, unknown>>): void;
  /** Sends the event again or as it is, past omissions and delays. */
  transmit(event: WireEvent): void;
  sendFrame(frame: string | Uint8Array): void;
  refuse(error: WireError): void;
  failResponse(error: WireError): void;
  abandonResponse(): void;
  close(code?: number, reason?: string): void;
  drop(): void;
  stall(): void;
  mute(forMs: number | undefined): void;
  omit(types: readonly string[]): void;
  delay(types: readonly string[], ms: number): void;
  lateDeltas(count: number): void;
  raceNextCancel(): void;
  /** `error`: what the client is told instead; undefined: nothing. */
  ignore(type: string, count: number, error: WireError | undefined): void;
}

/** Carries out one fault. `cause` is the event that set it off, if one did. */
export function act(target: FaultTarget, rule: FaultRule, cause: WireEvent | undefined): void {
  switch (rule.do) {
    case 'close':
      target.close(rule.code ?? 1011, rule.reason ?? '');
      break;
    case 'drop':
      target.drop();
      break;
    case 'stall':
      target.stall();
      break;
    case 'mute':
      target.mute(rule.forMs);
      break;
    case 'error':
      sendError(target, rule);
      break;
    case 'fail-response':
      target.failResponse(knownFault(rule.error).error);
      break;
    case 'abandon-response':
      target.abandonResponse();
      break;
    case 'malformed':
      sendMalformed(target, rule.frame ?? '{"type":"response.output_audio.del', rule.binary ?? false);
      break;
    case 'unknown-event':
      target.emit(rule.type ?? 'session.weather.updated', { weather: { sky: 'grey' } });
      break;
    case 'huge':
      target.emit('session.weather.updated', { padding: ' '.repeat(rule.bytes ?? HUGE_BYTES) });
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
    case 'cancel-race':
      target.raceNextCancel();
      break;
    case 'ignore':
      target.ignore(rule.type, rule.count ?? 1, undefined);
      break;
    case 'refuse':
      target.ignore(rule.type, 1, knownFault(rule.error).error);
      break;
    case 'http':
      break;
    default:
      assertNever(rule);
  }
}

function sendError(target: FaultTarget, rule: Extract<FaultRule, { do: 'error' }>): void {
  const known = knownFault(rule.error);
  target.refuse(known.error);
  const close = rule.close ?? known.close;
  if (close !== undefined) target.close(close.code, close.reason ?? '');
}

function sendMalformed(target: FaultTarget, frame: string, binary: boolean): void {
  target.sendFrame(binary ? Buffer.from(frame) : frame);
}

function sendAgain(target: FaultTarget, cause: WireEvent | undefined): void {
  // Only what the server sent has an id of ours; a client's event is never echoed.
  const event = cause?.['event_id'] === target.lastSent?.['event_id'] ? cause : target.lastSent;
  if (event !== undefined) target.transmit(event);
}
