import type { Clock } from '../../clock.ts';
import type { CarrierDesk } from './carrier-desk.ts';
import type { DialResult, LegTerms } from './driver.ts';
import type { EventLog } from './events.ts';
import { pause } from './pause.ts';

/** What the other leg of a transfer needs of the call. */
export interface LegContext {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly desk: CarrierDesk;
  /** What it comes to. */
  readonly result: DialResult | ((target: string) => DialResult);
}

/** Rings the other leg; resolves when the two have talked, when it came to nothing, or when the signal aborts. */
export async function ringLeg(
  targets: readonly string[],
  callerId: string | undefined,
  { clock, log, desk, result: wanted }: LegContext,
  signal: AbortSignal,
  terms: LegTerms = {},
): Promise<DialResult> {
  log.add({ type: 'dial', targets, callerId });
  const target = targets[0] ?? '';
  const result = typeof wanted === 'function' ? wanted(target) : wanted;
  const tell = (status: 'ringing' | 'in-progress' | DialResult['status']): void => {
    if (signal.aborted) return;
    log.add({ type: 'leg', target, status });
    desk.tell({ type: 'leg', target, status });
  };
  if (terms.refused) {
    tell('failed');
    return { status: 'failed', durationMs: 0 };
  }
  tell('ringing');
  const { timeoutMs = Number.POSITIVE_INFINITY, taken } = terms;
  const ringMs = result.ringMs ?? (result.status === 'no-answer' ? (terms.timeoutMs ?? 0) : 0);
  await pause(clock, Math.min(ringMs, timeoutMs), signal);
  const isTaken = result.status === 'completed' && ringMs <= timeoutMs && !signal.aborted;
  const isWanted = isTaken && (await taken?.(signal)) !== false;
  if (isWanted) tell('in-progress');
  // Who was never connected does not talk.
  const status = result.status === 'completed' ? 'no-answer' : result.status;
  const limitMs = terms.limitMs ?? Number.POSITIVE_INFINITY;
  const end: DialResult = isWanted
    ? { ...result, durationMs: Math.min(result.durationMs, limitMs) }
    : { ...result, status, durationMs: 0 };
  await pause(clock, end.durationMs, signal);
  tell(end.status);
  return end;
}
