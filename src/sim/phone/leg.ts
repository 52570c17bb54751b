import type { Clock } from '../../clock.ts';
import type { CarrierDesk } from './carrier-desk.ts';
import type { DialResult } from './driver.ts';
import type { EventLog } from './events.ts';
import { pause } from './pause.ts';

/** What the other leg of a transfer needs of the call. */
export interface LegContext {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly desk: CarrierDesk;
  /** What it comes to. */
  readonly result: DialResult;
}

/** Rings the other leg; resolves when the two have talked, when it came to nothing, or when the signal aborts. */
export async function ringLeg(
  targets: readonly string[],
  callerId: string | undefined,
  { clock, log, desk, result }: LegContext,
  signal: AbortSignal,
): Promise<DialResult> {
  log.add({ type: 'dial', targets, callerId });
  const target = targets[0] ?? '';
  const tell = (status: 'ringing' | 'in-progress' | DialResult['status']): void => {
    if (signal.aborted) return;
    log.add({ type: 'leg', target, status });
    desk.tell({ type: 'leg', target, status });
  };
  tell('ringing');
  await pause(clock, result.ringMs ?? 0, signal);
  if (result.status === 'completed') tell('in-progress');
  await pause(clock, result.durationMs, signal);
  tell(result.status);
  return result;
}
