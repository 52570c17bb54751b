import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';

/** One figure of a bench. `bench` and `name` together are what two runs are compared by. */
export interface Result {
  readonly bench: string;
  readonly name: string;
  readonly value: number;
  /** `x` for a ratio against something that was measured in the same run; else `ms`, `ns`, `bytes`, `calls` and so on. */
  readonly unit: string;
  /** What has to be reached; a run that misses it ends with 1. */
  readonly limit?: number;
  /** What would be better still. */
  readonly aim?: number;
  readonly better: 'lower' | 'higher';
  /** How far the value strayed within the run, as a share of it: 0.05 is 5 %. */
  readonly noise?: number;
  /** What the value was made of, for those who look into the file. */
  readonly detail?: Readonly<Record<string, number | string>>;
}

/** On what a bench ran. It names no machine, only its kind. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly kernel: string;
}

/** What is kept of a bench in `bench/results/`: every run of it, one list of figures each. */
export interface ResultFile {
  readonly bench: string;
  /** ISO 8601. */
  readonly takenAt: string;
  /** Short hash of the commit, or `unknown` outside a checkout. */
  readonly commit: string;
  /** Whether the sources were not those of the commit. */
  readonly dirty: boolean;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly runs: readonly (readonly Result[])[];
}

/** Options that every bench takes, for `parseArgs`: `{ options: { ...BENCH_OPTIONS, calls: … } }`. */
export const BENCH_OPTIONS = {
  /** Shorter and less exact. */
  quick: { type: 'boolean', default: false },
  /** Keeps the figures in `bench/results/`. */
  json: { type: 'boolean', default: false },
  /** Writes the bare figures to this file and prints no table: how `npm run bench` collects them. */
  results: { type: 'string' },
} as const;

/** The values of `BENCH_OPTIONS`. */
export interface BenchValues {
  readonly quick?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly results?: string | undefined;
}

/** Where results are kept, in git; relative to the root of the repository, where npm runs its scripts. */
export const RESULTS_FOLDER = join('bench', 'results');

/** What the sources of the figures are: changes elsewhere make no other figures. */
const MEASURED = ['src', 'carriers', 'bench/*.ts', 'bench/**/*.ts', 'package-lock.json', 'tsconfig*.json'];

/**
 * Ends a bench: prints its table and keeps the figures with `--json`, or hands them to `npm run bench`. A limit that was
 * missed makes the process end with 1. Throws a RangeError for a figure that is no number.
 */
export function finish(bench: string, results: readonly Result[], values: BenchValues): void {
  assertFigures(results);
  if (values.results !== undefined) {
    writeFileSync(values.results, JSON.stringify(results));
    return;
  }
  process.stdout.write(`${table(results)}\n`);
  if (values.json) process.stdout.write(`${keep(bench, [results], values.quick ?? false)}\n`);
  if (results.some((result) => met(result) === false)) process.exitCode = 1;
}

function assertFigures(results: readonly Result[]): void {
  for (const { bench, name, value } of results) {
    if (!Number.isFinite(value)) throw new RangeError(`${bench}: ${name} is ${value}, wanted a number`);
  }
}

/** Whether a figure reaches its limit; undefined where it has none. */
export function met({ value, limit, better }: Result): boolean | undefined {
  return limit === undefined ? undefined : reaches(value, limit, better);
}

function reaches(value: number, mark: number, better: Result['better']): boolean {
  return better === 'lower' ? value <= mark : value >= mark;
}

/** In one word what became of a figure: `missed`, `met`, `aim` when it is better still, or nothing without a limit. */
export function verdict(result: Result): string {
  const { value, aim, better } = result;
  if (met(result) === false) return 'missed';
  if (aim !== undefined && reaches(value, aim, better)) return 'aim';
  return met(result) ? 'met' : '';
}

/** The figures of one run as a table: name, value, limit, aim, and whether the limit was met. */
export function table(results: readonly Result[]): string {
  return columns([
    ['', 'value', 'limit', 'aim', ''],
    ...results.map((result) => {
      const { bench, name, value, unit, limit, aim } = result;
      return [
        `${bench}: ${name}`,
        figure(value, unit),
        mark(limit, result),
        mark(aim, result),
        verdict(result),
      ];
    }),
  ]);
}

/** A limit or an aim of a figure, as a table shows it: `≤ 1.15 x`; nothing where there is none. */
export function mark(at: number | undefined, { unit, better }: Result): string {
  return at === undefined ? '' : `${better === 'lower' ? '≤' : '≥'} ${figure(at, unit)}`;
}

/** Rows as text: the first column to the left, the others to the right, the last one to the left again. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (wide, row) => row.map((cell, i) => Math.max(wide[i] ?? 0, cell.length)),
    [],
  );
  const last = widths.length - 1;
  const pad = (cell: string, i: number): string =>
    i === 0 || i === last ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** A value with its unit, to three digits: `1.04 x`, `2.17 ms`, `12400 ns`. */
export function figure(value: number, unit: string): string {
  const size = Math.abs(value);
  const digits = size === 0 || size >= 100 ? 0 : Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(size))));
  return `${value.toFixed(digits)} ${unit}`;
}

/** Writes the runs of a bench to `bench/results/` and returns the path; an earlier file is never overwritten. */
export function keep(
  bench: string,
  runs: readonly (readonly Result[])[],
  quick: boolean,
  folder = RESULTS_FOLDER,
): string {
  const file: ResultFile = {
    bench,
    takenAt: new Date().toISOString(),
    ...sources(),
    quick,
    machine: machine(),
    runs,
  };
  mkdirSync(folder, { recursive: true });
  const commit = file.dirty ? `${file.commit}-dirty` : file.commit;
  const stem = join(folder, `${file.takenAt.slice(0, 10)}-${commit}-${bench}`);
  let path = `${stem}.json`;
  for (let i = 2; existsSync(path); i++) path = `${stem}.${i}.json`;
  writeFileSync(path, `${JSON.stringify(file, null, 1)}\n`);
  return path;
}

/** Reads what `keep` wrote. Throws a TypeError that names the file for anything else. */
export function readResults(path: string): ResultFile {
  const found: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!isResultFile(found)) throw new TypeError(`${path} holds no results of a bench`);
  return found;
}

function isResultFile(found: unknown): found is ResultFile {
  if (typeof found !== 'object' || found === null) return false;
  const { bench, commit, runs } = found as Partial<ResultFile>;
  return typeof bench === 'string' && typeof commit === 'string' && Array.isArray(runs) && runs.length > 0;
}

/** The kind of machine that this process runs on. */
export function machine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    node: process.version,
    kernel: release(),
  };
}

function sources(): { commit: string; dirty: boolean } {
  const commit = git('rev-parse', '--short', 'HEAD');
  if (commit === undefined) return { commit: 'unknown', dirty: true };
  return { commit, dirty: git('status', '--porcelain', '--', ...MEASURED) !== '' };
}

function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
