import type { Unit } from './channels.ts';
import type { Pair } from './way.ts';

/** A line that was sent at another place among those of its connection. */
export interface Moved {
  readonly expected: Unit;
  readonly found: Unit;
  /** Those in front of it. */
  readonly after: Unit | undefined;
  readonly foundAfter: Unit | undefined;
}

/** What comes so much later or earlier is another one. */
const NEAR_MS = 2000;

/** Finds lines that are missing at one place and additional at another; what is left of the pairs is really so. */
export function findMoved(
  pairs: readonly Pair[],
  expected: readonly Unit[],
  found: readonly Unit[],
): { readonly moved: readonly Moved[]; readonly rest: readonly Pair[] } {
  const additional = additionalOf(pairs, found);
  const moved: Moved[] = [];
  const taken = new Set<Unit>();
  for (const { expected: at, found: partner } of additional.size === 0 ? [] : pairs) {
    const unit = at === undefined || partner !== undefined ? undefined : expected[at];
    const waiting = unit && additional.get(unit.text);
    const [there] = waiting ?? [];
    const other = there === undefined ? undefined : found[there];
    if (unit === undefined || other === undefined || !isNear(unit, other)) continue;
    waiting?.shift();
    taken.add(unit).add(other);
    const after = expected[(at ?? 0) - 1];
    moved.push({ expected: unit, found: other, after, foundAfter: found[(there ?? 0) - 1] });
  }
  const unitsOf = (pair: Pair): readonly (Unit | undefined)[] => [
    pair.expected === undefined ? undefined : expected[pair.expected],
    pair.found === undefined ? undefined : found[pair.found],
  ];
  return { moved, rest: pairs.filter((pair) => !unitsOf(pair).some((unit) => unit && taken.has(unit))) };
}

/** By their texts. */
function additionalOf(pairs: readonly Pair[], found: readonly Unit[]): Map<string, number[]> {
  const additional = new Map<string, number[]>();
  for (const { expected, found: at } of pairs) {
    const text = at === undefined ? undefined : found[at]?.text;
    if (expected !== undefined || at === undefined || text === undefined) continue;
    const known = additional.get(text);
    if (known === undefined) additional.set(text, [at]);
    else known.push(at);
  }
  return additional;
}

function isNear(expected: Unit, found: Unit): boolean {
  return Math.abs(expected.line.t - found.line.t) <= NEAR_MS;
}
