/** Indexes into two lists; undefined on one side: there is no partner. */
export interface Pair {
  readonly expected: number | undefined;
  readonly found: number | undefined;
}

/** Two lists that are to be paired. */
export interface Pairing {
  readonly expected: number;
  readonly found: number;
  /** How far ahead is looked for what fits: time is linear in the lists, and quadratic in this. */
  readonly window: number;
  /** What leaving one element alone costs. */
  readonly gap: number;
  /** Two that are the same beyond doubt. */
  fits(expected: number, found: number): boolean;
  /** The cost of pairing two elements, in a window that begins with these two. */
  costFrom(expected: number, found: number): Cost;
  /** Below this cost two are taken to be the same. */
  readonly right: number;
}

type Cost = (expected: number, found: number) => number;

/** So many in a row that are the same: whatever was wrong is over. */
const RIGHT_AGAIN = 3;
const FITTING: readonly Pair[] = [{ expected: 0, found: 0 }];

/** Pairs the elements of two lists in order, so that as little as possible is left alone or differs. */
export function pairUp(pairing: Pairing): readonly Pair[] {
  const pairs: Pair[] = [];
  let [i, j] = [0, 0];
  while (i < pairing.expected || j < pairing.found) {
    for (const pair of next(pairing, i, j)) {
      pairs.push({
        expected: pair.expected === undefined ? undefined : i++,
        found: pair.found === undefined ? undefined : j++,
      });
    }
  }
  return pairs;
}

function next(pairing: Pairing, i: number, j: number): readonly Pair[] {
  const { window, gap, right } = pairing;
  const [rows, columns] = [Math.min(window, pairing.expected - i), Math.min(window, pairing.found - j)];
  if (rows > 0 && columns > 0 && pairing.fits(i, j)) return FITTING;
  const costOf = pairing.costFrom(i, j);
  const cost: Cost = (k, l) => costOf(i + k, j + l);
  const more = { expected: i + rows < pairing.expected, found: j + columns < pairing.found };
  const way = cheapestWay(rows, columns, gap, cost, more);
  // Further on a way may be wrong because the window was cut off there.
  const most = more.expected || more.found ? window / 2 : way.length;
  return way.slice(0, Math.min(most, rightAgain(way, cost, right)));
}

/** How long a way is until it has been right for a while after it was wrong; Infinity: that does not happen. */
function rightAgain(way: readonly Pair[], cost: Cost, right: number): number {
  let inRow = 0;
  let isWrong = false;
  for (const [at, { expected, found }] of way.entries()) {
    const isRight = expected !== undefined && found !== undefined && cost(expected, found) < right;
    inRow = isRight ? inRow + 1 : 0;
    isWrong ||= !isRight;
    if (isWrong && inRow >= RIGHT_AGAIN) return at + 1;
  }
  return Number.POSITIVE_INFINITY;
}

/** The cheapest way through two lists. Time and memory are the product of their lengths. */
function cheapestWay(expected: number, found: number, gap: number, cost: Cost, more: More): readonly Pair[] {
  const width = found + 1;
  const paired = new Float64Array((expected + 1) * width);
  const costs = new Float64Array((expected + 1) * width);
  for (let i = 0; i <= expected; i++) {
    for (let j = 0; j <= found; j++) {
      const here = i * width + j;
      if (i === 0 || j === 0) {
        costs[here] = (i + j) * gap;
        continue;
      }
      paired[here] = (costs[here - width - 1] ?? 0) + cost(i - 1, j - 1);
      const alone = Math.min(costs[here - width] ?? 0, costs[here - 1] ?? 0) + gap;
      costs[here] = Math.min(paired[here] ?? 0, alone);
    }
  }
  const end = endOf(costs, expected, found, more);
  return trace(costs, paired, gap, width, end);
}

/** Which list goes on behind the window. */
interface More {
  readonly expected: boolean;
  readonly found: boolean;
}

/** Where the way ends: what the other list has left may fit what comes behind the window. */
function endOf(costs: Float64Array, rows: number, columns: number, more: More): readonly [number, number] {
  let end: readonly [number, number] = [rows, columns];
  const costAt = ([i, j]: readonly [number, number]): number => costs[i * (columns + 1) + j] ?? 0;
  const look = (i: number, j: number): void => {
    if (costAt([i, j]) < costAt(end)) end = [i, j];
  };
  if (more.expected) for (let j = columns - 1; j >= 0; j--) look(rows, j);
  if (more.found) for (let i = rows - 1; i >= 0; i--) look(i, columns);
  return end;
}

/** From the end of the way to its beginning. Where the cost is the same, what comes later is paired. */
function trace(
  costs: Float64Array,
  paired: Float64Array,
  gap: number,
  width: number,
  [rows, columns]: readonly [number, number],
): readonly Pair[] {
  const way: Pair[] = [];
  let [i, j] = [rows, columns];
  while (i > 0 || j > 0) {
    const here = i * width + j;
    const total = costs[here] ?? 0;
    if (i > 0 && j > 0 && paired[here] === total) way.push({ expected: --i, found: --j });
    else if (j > 0 && (i === 0 || (costs[here - 1] ?? 0) + gap === total)) {
      way.push({ expected: undefined, found: --j });
    } else way.push({ expected: --i, found: undefined });
  }
  return way.reverse();
}
