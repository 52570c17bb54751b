import { columns, figure, mark, type Result, verdict } from '../results.ts';

/** What one process of a bench gave. */
export interface BenchRun {
  readonly bench: string;
  readonly results: readonly Result[];
  /** Why its figures are not to be believed, or that there are none; undefined when all is well. */
  readonly failed: string | undefined;
}

interface Wanted {
  readonly bench: string;
  /** What the name of the figure holds. */
  readonly name: string;
  /** Takes so long that a quick run leaves it out. */
  readonly slow?: boolean;
}

/** The figures that are to be reached: a run that does not have them has not reached them. */
const WANTED: readonly Wanted[] = [
  { bench: 'calls', name: 'passthrough, CPU against floor' },
  { bench: 'calls', name: '24 kHz, CPU against floor' },
  { bench: 'calls', name: 'recorded, CPU against not recorded' },
  { bench: 'calls', name: 'bridge, calls per core', slow: true },
  { bench: 'calls', name: 'bridge-24k, calls per core', slow: true },
  { bench: 'calls', name: 'carrier to provider, p50' },
  { bench: 'calls', name: 'carrier to provider, p99' },
  { bench: 'calls', name: 'provider to carrier, p50' },
  { bench: 'calls', name: 'provider to carrier, p99' },
  { bench: 'calls', name: 'frames lost' },
  { bench: 'calls', name: 'speech started to clear, p99' },
  { bench: 'calls', name: 'memory of a call' },
  { bench: 'webhooks', name: 'webhook to document' },
  { bench: 'start', name: 'to "listening on"' },
  { bench: 'codec', name: 'mulaw/8000 > pcm16/24000, against' },
  { bench: 'codec', name: 'pcm16/24000 > mulaw/8000, against' },
  { bench: 'soak', name: 'leak per call' },
];

/** One line for each figure that a run of these benches should have had, with a limit, and had not. */
export function missing(
  runs: readonly (readonly Result[])[],
  benches: readonly string[],
  quick: boolean,
): readonly string[] {
  const wanted = WANTED.filter(({ bench, slow }) => benches.includes(bench) && !(quick && slow === true));
  return runs.flatMap((run, i) =>
    wanted
      .filter(({ bench, name }) => !run.some((one) => isOf(one, bench, name)))
      .map(({ bench, name }) => `run ${i + 1}, ${bench}: ${name}: not measured`),
  );
}

function isOf(result: Result, bench: string, name: string): boolean {
  return result.bench === bench && result.limit !== undefined && result.name.includes(name);
}

/** One line for each figure that has a limit: every run, the worst of them, and the verdict on that one. */
export function worstTable(runs: readonly (readonly Result[])[]): string {
  const heads = runs.map((_, i) => `run ${i + 1}`);
  const seen = new Map<string, Result>();
  for (const result of runs.flat()) {
    const key = `${result.bench}\n${result.name}`;
    if (result.limit !== undefined && !seen.has(key)) seen.set(key, result);
  }
  const rows = [...seen.values()].map((result) => worstRow(result, runs));
  return columns([['', ...heads, 'worst', 'limit', 'aim', ''], ...rows]);
}

function worstRow(result: Result, runs: readonly (readonly Result[])[]): readonly string[] {
  const { bench, name, unit, limit, aim, better } = result;
  const found = runs.map((run) => run.find((one) => one.bench === bench && one.name === name));
  const there = found.filter((one) => one !== undefined);
  const worst = there.reduce((a, b) => (b.value > a.value === (better === 'lower') ? b : a), result);
  const show = (value: number | undefined): string => (value === undefined ? '' : figure(value, unit));
  return [
    `${bench}: ${name}`,
    ...found.map((one) => show(one?.value)),
    show(worst.value),
    mark(limit, result),
    mark(aim, result),
    there.length < runs.length ? 'not in every run' : verdict(worst),
  ];
}
