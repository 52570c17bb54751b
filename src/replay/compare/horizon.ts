import type { StoredCall } from '../../recording/stored-call.ts';

/**
 * The time from which on nothing is known of a call, because its recording ended before the call did; Infinity for one
 * that was recorded whole, and for one that was written by hand.
 */
export function horizonOf({ call, lines }: StoredCall): number {
  if (call.origin.how === 'written' || call.end?.complete === true) return Number.POSITIVE_INFINITY;
  const hasEnd = lines.some((line) => line.on === 'call' && line.msg.type === 'ended');
  return hasEnd ? Number.POSITIVE_INFINITY : (call.end?.t ?? lines.at(-1)?.t ?? 0);
}
