import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { get } from 'node:http';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BENCH_OPTIONS, finish, type Result } from './results.ts';
import { floors, makeServices, type Setup } from './start/setups.ts';

/**
 * How long the service takes from the start of its process to the line `listening on` and to the first answer of
 * `/readyz`, beside the smallest programs that listen, started in turns with it. What was built is started as it ships.
 */
export interface StartOptions {
  /** Of each; default 15, the median of which counts. */
  readonly starts?: number | undefined;
  readonly quick?: boolean | undefined;
}

/** One start; all in ms. */
interface Start {
  readonly listeningMs: number;
  readonly readyMs: number;
  /** Of all threads of the process until it was ready; undefined where the system does not tell. */
  readonly cpuMs: number | undefined;
}

const STARTS = 15;
const QUICK_STARTS = 5;
/** The core that is left to what is measured. */
const CORE = '0';
const LIMIT_MS = 600;
const AIM_MS = 300;

/** The figures of cold starts. Rejects when one of the programs ends before it listens. */
export async function benchStart(options: StartOptions = {}): Promise<Result[]> {
  const starts = options.starts ?? (options.quick ? QUICK_STARTS : STARTS);
  const cli = fileURLToPath(new URL('../src/cli.js', import.meta.url));
  const { services, dispose } = makeServices(cli);
  const lower = floors(import.meta.resolve('express'));
  const all = [...lower, ...services];
  const node = nodeCommand();
  const seen = new Map<string, Start[]>(all.map(({ name }) => [name, []]));
  try {
    // The first one of each finds nothing in the caches of the disk.
    for (const setup of all) await startOnce(node, setup);
    // In turns: what slows the machine down for a while slows all of them.
    for (let i = 0; i < starts; i++) {
      for (const setup of all) seen.get(setup.name)?.push(await startOnce(node, setup));
    }
  } finally {
    dispose();
  }
  const floor = median(seen.get('floor: express') ?? [], (one) => one.readyMs);
  return [
    ...lower.map(({ name }) => floorResult(name, seen.get(name) ?? [])),
    ...services.flatMap(({ name }) => serviceResults(name, seen.get(name) ?? [], floor)),
  ];
}

function floorResult(name: string, starts: readonly Start[]): Result {
  return { ...milliseconds(name, starts, (one) => one.readyMs), detail: detailOf(starts) };
}

function serviceResults(name: string, starts: readonly Start[], floorMs: number): Result[] {
  const listening = milliseconds(`${name}, to "listening on"`, starts, (one) => one.listeningMs);
  const ready = milliseconds(`${name}, to the first /readyz`, starts, (one) => one.readyMs);
  return [
    { ...listening, limit: LIMIT_MS, aim: AIM_MS, detail: detailOf(starts) },
    ready,
    {
      bench: 'start',
      name: `${name}, to the first /readyz, against express`,
      value: ready.value / floorMs,
      unit: 'x',
      better: 'lower',
    },
  ];
}

function milliseconds(name: string, starts: readonly Start[], of: (one: Start) => number): Result {
  const value = median(starts, of);
  // Half of them are not further away than this.
  const away = median(starts, (one) => Math.abs(of(one) - value));
  return { bench: 'start', name, value, unit: 'ms', better: 'lower', noise: away / value };
}

function detailOf(starts: readonly Start[]): Readonly<Record<string, number>> {
  const listening = starts.map(({ listeningMs }) => listeningMs);
  const cpu = starts.map(({ cpuMs }) => cpuMs).filter((ms) => ms !== undefined);
  const all = {
    starts: starts.length,
    fastestMs: Math.min(...listening),
    slowestMs: Math.max(...listening),
    ...(cpu.length === 0 ? {} : { cpuMs: median(cpu, (ms) => ms) }),
  };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, Math.round(value * 10) / 10]));
}

function median<T>(of: readonly T[], value: (one: T) => number): number {
  const sorted = of.map(value).sort((a, b) => a - b);
  const at = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(at)] ?? Number.NaN) + (sorted[Math.ceil(at)] ?? Number.NaN)) / 2;
}

type Started = ChildProcessByStdio<null, Readable, Readable>;

async function startOnce(node: readonly [string, ...string[]], { name, args, env }: Setup): Promise<Start> {
  const [command, ...first] = node;
  const from = performance.now();
  const child: Started = spawn(command, [...first, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  try {
    const url = await untilListening(child, name);
    const listeningMs = performance.now() - from;
    await answered(`${url}/readyz`);
    const readyMs = performance.now() - from;
    return { listeningMs, readyMs, cpuMs: cpuMsOf(child.pid) };
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
}

function untilListening(child: Started, name: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      complaint += piece;
    });
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (piece: string) => {
      text += piece;
      const url = /^listening on (\S+)\n/m.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${name}: ended with ${code}: ${complaint.slice(-2000)}`)));
  });
}

/** Resolves when the first byte of the answer is there; whether it is ready it may say as it likes. */
function answered(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      response.destroy();
      resolve();
    }).once('error', reject);
  });
}

/** What the kernel counts in ns for each thread: exact where its other figures move in steps of 10 ms. */
function cpuMsOf(pid: number | undefined): number | undefined {
  const tasks = `/proc/${pid}/task`;
  try {
    const spent = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/schedstat`, 'utf8'));
    return spent.reduce((total, text) => total + Number.parseInt(text, 10), 0) / 1e6;
  } catch {
    return undefined;
  }
}

/** What `node` is started by: on one core, where the system can do that. */
function nodeCommand(): readonly [string, ...string[]] {
  const canPin = spawnSync('taskset', ['-c', CORE, 'true']).status === 0;
  return canPin ? ['taskset', '-c', CORE, process.execPath] : [process.execPath];
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { ...BENCH_OPTIONS, starts: { type: 'string' } } });
  const starts = values.starts === undefined ? undefined : Number(values.starts);
  finish('start', await benchStart({ starts, quick: values.quick }), values);
}
