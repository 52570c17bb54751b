import type { Result, ResultFile } from '../results.ts';

/** How one figure differs between two results. */
export interface Change {
  readonly bench: string;
  readonly name: string;
  readonly unit: string;
  /** Medians of the runs; undefined where the figure is missing. */
  readonly before: number | undefined;
  readonly after: number | undefined;
  /** How much worse, as a share: 0.1 is 10 % worse, -0.1 is better. 0 where a figure is missing. */
  readonly worse: number;
  /** What may be chance, as a share. */
  readonly noise: number;
  readonly verdict: 'better' | 'worse' | 'regression' | 'same' | 'new' | 'gone';
}

export interface CompareOptions {
  /** Worse by more than this share is a regression. */
  readonly threshold: number;
  /** Whether times count, and not only ratios, sizes and numbers of things: for results of one machine and one hour. */
  readonly times: boolean;
}

/** What runs of one program on a quiet machine differ by anyway. */
const LEAST_NOISE = 0.02;
const TIMES = /^(ns|µs|us|ms|s|%)(\/|$)/;

/** One change for each figure of either result, in the order of the newer one, then what is gone. */
export function changes(before: ResultFile, after: ResultFile, options: CompareOptions): readonly Change[] {
  const old = byName(before);
  const now = byName(after);
  const gone = [...old].filter(([key]) => !now.has(key));
  return [
    ...[...now].map(([key, found]) => change(old.get(key), found, options)),
    ...gone.map(([, found]) => change(found, undefined, options)),
  ];
}

/** The figures of all runs, by bench and name. */
function byName({ runs }: ResultFile): ReadonlyMap<string, readonly Result[]> {
  const found = new Map<string, Result[]>();
  for (const result of runs.flat()) {
    const key = `${result.bench}\n${result.name}`;
    const same = found.get(key);
    if (same === undefined) found.set(key, [result]);
    else same.push(result);
  }
  return found;
}

function change(
  old: readonly Result[] | undefined,
  now: readonly Result[] | undefined,
  options: CompareOptions,
): Change {
  const shown = (now ?? old ?? [])[0];
  if (shown === undefined) throw new RangeError('a figure without a value');
  const { bench, name, unit } = shown;
  const before = old && middle(old);
  const after = now && middle(now);
  const base = { bench, name, unit, before, after };
  if (before === undefined) return { ...base, worse: 0, noise: 0, verdict: 'new' };
  if (after === undefined) return { ...base, worse: 0, noise: 0, verdict: 'gone' };
  const worse = shown.better === 'lower' ? share(before, after) : share(after, before);
  const noise = Math.max(LEAST_NOISE, noiseOf(old ?? []) + noiseOf(now ?? []));
  const counts = options.times || !TIMES.test(unit);
  return { ...base, worse, noise, verdict: verdictOn(worse, noise, counts ? options.threshold : Infinity) };
}

function verdictOn(worse: number, noise: number, threshold: number): Change['verdict'] {
  if (Math.abs(worse) <= noise) return 'same';
  if (worse < 0) return 'better';
  return worse > threshold ? 'regression' : 'worse';
}

/** How much more `b` is than `a`, as a share of it; what was nothing and is something is worse without measure. */
function share(a: number, b: number): number {
  if (a === b) return 0;
  return a === 0 ? Math.sign(b) * Number.POSITIVE_INFINITY : (b - a) / Math.abs(a);
}

/** What the runs stray by among themselves, or what they say of themselves, whichever is more. */
function noiseOf(results: readonly Result[]): number {
  const values = results.map(({ value }) => value);
  const size = Math.abs(middle(results));
  const between = size === 0 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / size;
  return Math.max(between, ...results.map(({ noise }) => noise ?? 0));
}

function middle(results: readonly Result[]): number {
  const sorted = results.map(({ value }) => value).sort((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] ?? Number.NaN) + (sorted[Math.ceil(at)] ?? Number.NaN)) / 2;
}
