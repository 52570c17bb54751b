import type { Unit } from './channels.ts';

/** Indexes into two lists; undefined on one side: there is no partner. */
export interface Pair {
  readonly expected: number | undefined;
  readonly found: number | undefined;
}

/** How far ahead is looked for what fits; keeps the whole linear. */
const WINDOW = 32;
/** Of a window so much is decided, unless it has come right again before: further on it may be cut off wrongly. */
const DECIDED = 16;
/** So many lines that fit in a row: whatever was wrong is over. */
const RIGHT_AGAIN = 3;

const GAP = 1;
const OTHER_KIND = 3;
const OTHER_VALUE = 0.9;
const OTHER_ID = 0.25;
const OTHER_TIME = 0.3;
const OTHER_PLACE = 0.2;

/** Pairs the lines of a channel with those that were found, in order. */
export function align(expected: readonly Unit[], found: readonly Unit[], timeMs: number): readonly Pair[] {
  const pairs: Pair[] = [];
  let [i, j] = [0, 0];
  while (i < expected.length || j < found.length) {
    const window = fits(expected[i], found[j], timeMs)
      ? FIRST_TWO
      : decide(expected.slice(i, i + WINDOW), found.slice(j, j + WINDOW), timeMs);
    for (const pair of window) {
      pairs.push({
        expected: pair.expected === undefined ? undefined : i++,
        found: pair.found === undefined ? undefined : j++,
      });
    }
  }
  return pairs;
}

const FIRST_TWO: readonly Pair[] = [{ expected: 0, found: 0 }];

function fits(expected: Unit | undefined, found: Unit | undefined, timeMs: number): boolean {
  return (
    expected !== undefined &&
    found !== undefined &&
    expected.text === found.text &&
    Math.abs(expected.line.t - found.line.t) <= timeMs
  );
}

/** The cheapest way through a window, as far as it is decided. */
function decide(expected: readonly Unit[], found: readonly Unit[], timeMs: number): readonly Pair[] {
  const width = found.length + 1;
  const subs = new Float64Array((expected.length + 1) * width);
  const costs = new Float64Array((expected.length + 1) * width);
  const base = { expected: expected[0]?.samples ?? 0, found: found[0]?.samples ?? 0 };
  for (let i = 0; i <= expected.length; i++) {
    for (let j = 0; j <= found.length; j++) {
      const here = i * width + j;
      subs[here] = cost(expected[i - 1], found[j - 1], timeMs, base);
      costs[here] = cheapest(costs, subs, here, width, i, j);
    }
  }
  const way = trace(costs, subs, expected.length, found.length);
  return decided(way, subs, width, expected.length < WINDOW && found.length < WINDOW);
}

function cheapest(
  costs: Float64Array,
  subs: Float64Array,
  here: number,
  width: number,
  i: number,
  j: number,
): number {
  if (i === 0) return j * GAP;
  if (j === 0) return i * GAP;
  return Math.min(
    (costs[here - width - 1] ?? 0) + (subs[here] ?? 0),
    (costs[here - width] ?? 0) + GAP,
    (costs[here - 1] ?? 0) + GAP,
  );
}

function cost(
  expected: Unit | undefined,
  found: Unit | undefined,
  timeMs: number,
  base: { readonly expected: number; readonly found: number },
): number {
  if (expected === undefined || found === undefined) return 0;
  if (expected.kind !== found.kind) return OTHER_KIND;
  const isOff = Math.abs(expected.line.t - found.line.t) > timeMs;
  const isElsewhere = expected.samples - base.expected !== found.samples - base.found;
  const place = (isOff ? OTHER_TIME : 0) + (isElsewhere ? OTHER_PLACE : 0);
  if (expected.text === found.text) return place;
  return place + (expected.masked === found.masked ? OTHER_ID : OTHER_VALUE);
}

/** From the end of the way to its beginning. Where the cost is the same, lines are paired as late as they can be. */
function trace(costs: Float64Array, subs: Float64Array, rows: number, columns: number): readonly Pair[] {
  const width = columns + 1;
  const way: Pair[] = [];
  let [i, j] = [rows, columns];
  while (i > 0 || j > 0) {
    const here = i * width + j;
    const total = costs[here] ?? 0;
    const paired = (costs[here - width - 1] ?? 0) + (subs[here] ?? 0);
    if (i > 0 && j > 0 && Math.abs(paired - total) < 1e-9) {
      way.push({ expected: --i, found: --j });
    } else if (j > 0 && (i === 0 || Math.abs((costs[here - 1] ?? 0) + GAP - total) < 1e-9)) {
      way.push({ expected: undefined, found: --j });
    } else {
      way.push({ expected: --i, found: undefined });
    }
  }
  return way.reverse();
}

/** @param isWhole the window holds all that there is */
function decided(way: readonly Pair[], subs: Float64Array, width: number, isWhole: boolean): readonly Pair[] {
  let inRow = 0;
  let isWrong = false;
  for (const [at, { expected, found }] of way.entries()) {
    const isPair = expected !== undefined && found !== undefined;
    const fitting = isPair && (subs[(expected + 1) * width + found + 1] ?? 1) < OTHER_PLACE;
    inRow = fitting ? inRow + 1 : 0;
    isWrong ||= !fitting;
    const isRight = isWrong && inRow >= RIGHT_AGAIN;
    if (isRight || (!isWhole && at + 1 >= DECIDED)) return way.slice(0, at + 1);
  }
  return way;
}
