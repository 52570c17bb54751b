import { assertNever } from '../../errors.ts';
import type { JsonObject } from '../common/json.ts';
import { type FaultRule, knownFault } from './faults.ts';

const HUGE_BYTES = 2 * 1024 * 1024;
const GO_AWAY_MS = 60_000;

/** What a fault can do to a connection. */
export interface FaultTarget {
  readonly lastSent: JsonObject | undefined;
  emit(message: JsonObject): void;
  /** Sends the message again or as it is, past omissions and delays. */
  transmit(message: JsonObject): void;
  sendFrame(frame: string | Uint8Array): void;
  failTurn(reason: string): void;
  interruptTurn(): void;
  completeEarly(): void;
  close(code?: number, reason?: string): void;
  drop(): void;
  stall(): void;
  mute(forMs: number | undefined): void;
  omit(types: readonly string[]): void;
  delay(types: readonly string[], ms: number): void;
  lateDeltas(count: number): void;
  ignore(type: string, count: number): void;
  goAway(leftMs: number): void;
  forgetHandles(): void;
}

/** Carries out one fault. `cause` is the message that set it off, when the server sent it. */
export function act(target: FaultTarget, rule: FaultRule, cause: JsonObject | undefined): void {
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
      target.failTurn(rule.reason ?? 'RESPONSE_REJECTED');
      break;
    case 'malformed':
      sendMalformed(target, rule.frame ?? '{"serverContent":{"modelTurn":{"par', rule.text ?? false);
      break;
    case 'unknown-event':
      sendUnknown(target, rule.type ?? 'weatherUpdate', rule.inContent ?? false);
      break;
    case 'huge':
      target.emit({ weatherUpdate: { padding: ' '.repeat(rule.bytes ?? HUGE_BYTES) } });
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
      target.ignore(rule.type, rule.count ?? 1);
      break;
    case 'go-away':
      target.goAway(rule.leftMs ?? GO_AWAY_MS);
      break;
    case 'interrupt':
      target.interruptTurn();
      break;
    case 'premature-turn-complete':
      target.completeEarly();
      break;
    case 'forget-handles':
      target.forgetHandles();
      break;
    case 'http':
      break;
    default:
      assertNever(rule);
  }
}

function sendError(target: FaultTarget, rule: Extract<FaultRule, { do: 'error' }>): void {
  const { code, reason } = knownFault(rule.error);
  target.close(code, reason ?? '');
}

function sendMalformed(target: FaultTarget, frame: string, asText: boolean): void {
  target.sendFrame(asText ? frame : Buffer.from(frame));
}

function sendUnknown(target: FaultTarget, type: string, inContent: boolean): void {
  const weather = { [type]: { sky: 'grey' } };
  target.emit(inContent ? { serverContent: weather } : weather);
}

function sendAgain(target: FaultTarget, cause: JsonObject | undefined): void {
  const message = cause ?? target.lastSent;
  if (message !== undefined) target.transmit(message);
}
