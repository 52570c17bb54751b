import type { Tolerance } from '../recording/format.ts';
import type { StoredCall } from '../recording/stored-call.ts';
import { Comparison } from './compare/comparison.ts';
import type { Difference } from './compare/difference.ts';
import { tell } from './compare/tell.ts';

/**
 * Everything in which what goes out of two calls differs, by time; empty: nothing. Messages are compared by edge and
 * connection in their order, audio between two of them by its samples, ids that the bridge makes by their first use.
 */
export function compareCalls(
  expected: StoredCall,
  found: StoredCall,
  tolerance: Tolerance,
): readonly Difference[] {
  const comparison = new Comparison(expected, found, tolerance);
  comparison.run();
  return comparison.differences;
}

/** A difference for people: what, when, both sides, and what happened around it. Several lines, without a last break. */
export function tellDifference(difference: Difference, expected: StoredCall, found: StoredCall): string {
  return tell(difference, expected, found);
}
