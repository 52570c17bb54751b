import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { columns, figure, keep, met, type Result, table, verdict } from './results.ts';

/**
 * All benches, one after the other, each in a process of its own, and one table of what is to be reached:
 * `npm run bench [-- NAME…] [--runs N] [--quick] [--json]`. Ends with 1 when a limit is missed in any run, when a bench
 * fails, or when one gives no figure at all.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const USUAL: readonly string[] = ['codec', 'calls', 'start', 'webhooks'];
/** Takes an hour, so only when it is named. */
const NAMED: readonly string[] = ['soak'];

function scriptOf(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}

/** The names of the benches to run. Throws a RangeError for one that there is not. */
function chosen(): readonly string[] {
  const known = [...USUAL, ...NAMED];
  const wrong = positionals.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new RangeError(`no bench is named ${wrong}, wanted ${known.join(', ')}`);
  return positionals.length > 0 ? positionals : USUAL;
}

/** Runs one bench; returns its figures, none when it fails. */
async function run(name: string, folder: string): Promise<readonly Result[]> {
  const path = join(folder, `${name}.json`);
  rmSync(path, { force: true });
  const args = ['--enable-source-maps', scriptOf(name), '--results', path];
  // What a bench says on its way is no part of the table, and goes where progress goes.
  const child = spawn(process.execPath, values.quick ? [...args, '--quick'] : args, {
    stdio: ['ignore', 2, 2],
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  if (code === 0 && existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as readonly Result[];
  process.stderr.write(`bench ${name} gave no figures: it ended with ${code ?? signal}\n`);
  return [];
}

/** One line for each figure that has a limit: every run, the worst of them, and the verdict on that one. */
function worstTable(runs: readonly (readonly Result[])[]): string {
  const first = runs[0] ?? [];
  const rows = first.filter(({ limit }) => limit !== undefined).map((result) => worstRow(result, runs));
  const heads = runs.map((_, i) => `run ${i + 1}`);
  return columns([['', ...heads, 'worst', 'limit', 'aim', ''], ...rows]);
}

function worstRow(result: Result, runs: readonly (readonly Result[])[]): readonly string[] {
  const { bench, name, unit, limit, aim } = result;
  const found = runs.map((run) => run.find((one) => one.bench === bench && one.name === name));
  const worst = found
    .filter((one) => one !== undefined)
    .reduce((a, b) => (b.value > a.value === (b.better === 'lower') ? b : a), result);
  const show = (value: number | undefined): string => (value === undefined ? '' : figure(value, unit));
  return [
    `${bench}: ${name}`,
    ...found.map((one) => show(one?.value)),
    show(worst.value),
    show(limit),
    show(aim),
    found.includes(undefined) ? 'not measured in every run' : verdict(worst),
  ];
}

async function main(): Promise<boolean> {
  const names = chosen();
  const folder = mkdtempSync(join(tmpdir(), 'patchcord-bench-'));
  const kept = new Map<string, Result[][]>(names.map((name) => [name, []]));
  const runs: Result[][] = [];
  for (let i = 1; i <= Number(values.runs); i++) {
    const all: Result[] = [];
    for (const name of names) {
      process.stderr.write(`run ${i} of ${values.runs}: ${name}\n`);
      const results = await run(name, folder);
      kept.get(name)?.push([...results]);
      all.push(...results);
    }
    runs.push(all);
  }
  rmSync(folder, { recursive: true });
  process.stdout.write(`${table(runs.at(-1) ?? [])}\n\n${worstTable(runs)}\n`);
  const whole = [...kept.values()].every((each) => each.every((results) => results.length > 0));
  if (values.json) {
    for (const [name, each] of kept) {
      if (each.some((results) => results.length > 0))
        process.stdout.write(`${keep(name, each, values.quick)}\n`);
    }
  }
  return whole && runs.flat().every((result) => met(result) !== false);
}

if (!(await main())) process.exitCode = 1;
