import type { Unit } from './channels.ts';
import { type Pair, pairUp } from './way.ts';

/** How far ahead is looked for what fits. */
const WINDOW = 32;

const GAP = 1;
const OTHER_KIND = 3;
const OTHER_VALUE = 0.9;
const OTHER_ID = 0.25;
const OTHER_TIME = 0.3;
const OTHER_PLACE = 0.2;

/** Pairs the lines of a channel with those that were found, in order. */
export function align(expected: readonly Unit[], found: readonly Unit[], timeMs: number): readonly Pair[] {
  return pairUp({
    expected: expected.length,
    found: found.length,
    window: WINDOW,
    gap: GAP,
    fits: (i, j) => fits(expected[i], found[j], timeMs),
    costFrom: (i, j) => {
      // What was lost further in front does not put everything behind it in another place.
      const base = { expected: expected[i]?.samples ?? 0, found: found[j]?.samples ?? 0 };
      return (k, l) => cost(expected[k], found[l], timeMs, base);
    },
    right: OTHER_PLACE,
  });
}

function fits(expected: Unit | undefined, found: Unit | undefined, timeMs: number): boolean {
  return (
    expected !== undefined &&
    found !== undefined &&
    expected.text === found.text &&
    Math.abs(expected.line.t - found.line.t) <= timeMs
  );
}

function cost(
  expected: Unit | undefined,
  found: Unit | undefined,
  timeMs: number,
  base: { readonly expected: number; readonly found: number },
): number {
  if (expected === undefined || found === undefined || expected.kind !== found.kind) return OTHER_KIND;
  const isOff = Math.abs(expected.line.t - found.line.t) > timeMs;
  const isElsewhere = expected.samples - base.expected !== found.samples - base.found;
  const place = (isOff ? OTHER_TIME : 0) + (isElsewhere ? OTHER_PLACE : 0);
  if (expected.text === found.text) return place;
  return place + (expected.masked === found.masked ? OTHER_ID : OTHER_VALUE);
}
