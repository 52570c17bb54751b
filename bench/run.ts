import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { keep, met, type Result, table } from './results.ts';
import { type BenchRun, missing, worstTable } from './run/figures.ts';

/**
 * All benches, one after the other, each in a process of its own, and one table of what is to be reached:
 * `npm run bench [-- NAME…] [--runs N] [--quick] [--json]`. Ends with 1 when a limit is missed in any run, when a bench
 * does not believe its own figures, or when one of the figures that are wanted was not measured; with 2 when it was asked
 * for something that there is not.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const USUAL: readonly string[] = ['codec', 'start', 'webhooks', 'workers', 'calls'];
/** Of single parts, and one that takes an hour: only when they are named. */
const NAMED: readonly string[] = ['media', 'observe', 'providers', 'soak'];

/** The names of the benches to run. Throws a RangeError for one that there is not. */
function chosen(): readonly string[] {
  const known = [...USUAL, ...NAMED];
  const wrong = positionals.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new RangeError(`no bench is named ${wrong}, wanted ${known.join(', ')}`);
  return positionals.length > 0 ? [...new Set(positionals)] : USUAL;
}

function runCount(): number {
  const count = Number(values.runs);
  if (Number.isInteger(count) && count >= 1 && count <= 100) return count;
  throw new RangeError(`--runs is ${values.runs}, wanted a whole number from 1 to 100`);
}

async function runOne(name: string, folder: string): Promise<BenchRun> {
  const path = join(folder, `${name}.json`);
  const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const args = ['--enable-source-maps', script, '--results', path];
  // What a bench says on its way is no part of the table, and goes where progress goes.
  const child = spawn(process.execPath, values.quick ? [...args, '--quick'] : args, {
    stdio: ['ignore', 2, 2],
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  const results = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as readonly Result[]) : [];
  rmSync(path, { force: true });
  const failed = code === 0 ? undefined : `it ended with ${code ?? signal}`;
  return { bench: name, results, failed: results.length === 0 ? (failed ?? 'it gave no figures') : failed };
}

/** Keeps what can be kept: a bench that failed in one run has its other runs. */
function keepAll(names: readonly string[], runs: readonly (readonly BenchRun[])[]): void {
  for (const name of names) {
    const good = runs.flat().filter(({ bench, failed }) => bench === name && failed === undefined);
    if (good.length === 0) continue;
    const lists = good.map(({ results }) => results);
    process.stdout.write(`${keep(name, lists, values.quick)}\n`);
  }
}

async function main(): Promise<boolean> {
  const names = chosen();
  const count = runCount();
  const folder = mkdtempSync(join(tmpdir(), 'patchcord-bench-'));
  const runs: BenchRun[][] = [];
  for (let i = 1; i <= count; i++) {
    const all: BenchRun[] = [];
    for (const name of names) {
      process.stderr.write(`run ${i} of ${count}: ${name}\n`);
      all.push(await runOne(name, folder));
    }
    runs.push(all);
  }
  rmSync(folder, { recursive: true });
  const figures = runs.map((run) => run.flatMap(({ results }) => results));
  process.stdout.write(`${table(figures.at(-1) ?? [])}\n\n${worstTable(figures)}\n`);
  const troubles = [
    ...runs.flatMap((run, i) =>
      run.flatMap(({ bench, failed }) => (failed === undefined ? [] : [`run ${i + 1}, ${bench}: ${failed}`])),
    ),
    ...missing(figures, names, values.quick),
  ];
  for (const trouble of troubles) process.stdout.write(`${trouble}\n`);
  if (values.json) keepAll(names, runs);
  return troubles.length === 0 && figures.flat().every((result) => met(result) !== false);
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  // What was asked for was wrong, and no limit was missed.
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
