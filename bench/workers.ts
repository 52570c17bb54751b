import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ENGINE_FLAGS } from '../src/engine-flags.ts';
import type { LoadFigures, RampFigures } from './load/generator.ts';
import { GeneratorProcess, hurry } from './load/processes.ts';
import { SECRET, subjectOf } from './load/subjects.ts';
import { BENCH_OPTIONS, finish, type Result } from './results.ts';

/**
 * What it costs that two processes are one service: the same calls on two services of one process each, at once, and on one
 * of two workers. All of it on the first core, the generators on the second. So the ratio says what the primary and its
 * messages add, and nothing of what two processes on one core do to each other, nor of more cores.
 * `node dist/bench/workers.js [--calls N] [--seconds S] [--rounds N] [--quick] [--json]`
 */
const { values } = parseArgs({
  options: {
    ...BENCH_OPTIONS,
    /** Of each process. */
    calls: { type: 'string', default: '60' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '3' },
  },
});

const NAMES = ['two processes', 'two workers'] as const;
type Name = (typeof NAMES)[number];

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly path: string;
}

interface Round {
  readonly ramp: RampFigures;
  readonly load: LoadFigures;
  /** CPU time of all processes, in ms for each second of each call. */
  readonly cpuMs: number;
  /** Of the first process alone, in ms a second. */
  readonly firstMs: number;
  readonly lost: number;
}

const WARM_CALLS = 20;
const PER_SECOND = 100;

async function start(workers: number, providerUrl: string, folder: string, calls: number): Promise<Running> {
  const place = { providerUrl, certificate: undefined, folder, calls: calls + WARM_CALLS };
  const { command, path } = subjectOf('bridge', place);
  const [script = '', ...args] = command.args;
  const file = fileURLToPath(new URL(script, import.meta.url));
  const full = ['--enable-source-maps', ...ENGINE_FLAGS, file, ...args, '--workers', String(workers)];
  const pinned = spawnSync('taskset', ['--version']).status === 0;
  const [first, ...rest] = pinned
    ? ['taskset', '-c', '0', process.execPath, ...full]
    : [process.execPath, ...full];
  const child = spawn(first ?? process.execPath, rest, {
    env: { ...process.env, ...command.env, DATA_DIR: folder },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  for (const pid of family(child.pid ?? 0)) hurry(pid);
  return { child, url: /listening on (\S+)/.exec(String(line))?.[1] ?? '', path };
}

/** A process and those that it has started. */
function family(pid: number): readonly number[] {
  const own = readdirSync(`/proc/${pid}/task`);
  const children = own.flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '),
  );
  return [pid, ...children.map(Number).filter((child) => child > 0)];
}

/** CPU time of all threads of these processes, in ms. */
function cpuMsOf(pids: readonly number[]): number {
  let ns = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`))
      ns += Number.parseInt(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8'), 10);
  }
  return ns / 1e6;
}

async function measure(
  generator: GeneratorProcess,
  on: Running,
  calls: number,
  seconds: number,
): Promise<Round> {
  const plan = { secret: SECRET, perSecond: PER_SECOND, codecDelay: 0, talk: false };
  const ramp = await generator.up({ ...plan, webhookUrl: `${on.url}${on.path}`, calls });
  const pids = family(on.child.pid ?? 0);
  const first = pids.slice(0, 1);
  const [cpu, own, from] = [cpuMsOf(pids), cpuMsOf(first), performance.now()];
  const load = await generator.measure(seconds);
  const s = (performance.now() - from) / 1000;
  const [cpuMs, firstMs] = [(cpuMsOf(pids) - cpu) / s / calls, (cpuMsOf(first) - own) / s];
  const { lostAtEnd } = await generator.down();
  return { ramp, load, cpuMs, firstMs, lost: load.lost + lostAtEnd + ramp.failures.length };
}

async function stop({ child }: Running): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

function median(found: readonly number[]): number {
  return found.toSorted((a, b) => a - b)[Math.floor((found.length - 1) / 2)] ?? Number.NaN;
}

function results(rounds: Readonly<Record<Name, readonly Round[]>>): readonly Result[] {
  const make = (name: string, value: number, unit: string, limit?: number): Result => {
    return {
      bench: 'workers',
      name,
      value,
      unit,
      better: 'lower',
      ...(limit === undefined ? {} : { limit }),
    };
  };
  const of = (name: Name, pick: (round: Round) => number): number => median(rounds[name].map(pick));
  const told: Result[] = [];
  for (const name of NAMES) {
    told.push(
      make(
        `${name}: CPU per call-second`,
        of(name, ({ cpuMs }) => cpuMs),
        'ms',
      ),
      make(
        `${name}: carrier frame to provider, p99`,
        of(name, ({ load }) => load.up.p99),
        'ms',
      ),
      make(
        `${name}: provider delta to carrier, p99`,
        of(name, ({ load }) => load.down.p99),
        'ms',
      ),
      make(
        `${name}: webhook to document, p50`,
        of(name, ({ ramp }) => ramp.document.p50),
        'ms',
      ),
      make(
        `${name}: webhook to document, p99`,
        of(name, ({ ramp }) => ramp.document.p99),
        'ms',
      ),
      make(
        `${name}: webhook to first audio, p50`,
        of(name, ({ ramp }) => ramp.firstAudio.p50),
        'ms',
      ),
      make(`${name}: frames lost, calls failed`, Math.max(...rounds[name].map(({ lost }) => lost)), '', 0),
    );
  }
  const ratio = of('two workers', ({ cpuMs }) => cpuMs) / of('two processes', ({ cpuMs }) => cpuMs);
  told.push(
    make(
      'two workers: CPU of the primary',
      of('two workers', ({ firstMs }) => firstMs),
      'ms/s',
    ),
  );
  return [...told, make('CPU per call-second, two workers against two processes', ratio, 'x', MOST_RATIO)];
}

/** Of CPU time of calls that are up: the primary has nothing to do with them. */
const MOST_RATIO = 1.15;

const folder = mkdtempSync(join(tmpdir(), 'patchcord-bench-'));
const [calls, seconds] = [Number(values.calls), Number(values.seconds)];
const generators = [new GeneratorProcess(undefined), new GeneratorProcess(undefined)] as const;
const running: Running[] = [];

/** The same number of calls by one way and by the other; of two services the mean, or what is worse. */
async function round(alone: readonly Running[], together: Running, each: number, s: number) {
  const apart = await Promise.all(
    alone.map((one, index) => measure(generators[index === 0 ? 0 : 1], one, each, s)),
  );
  return { apart, one: await measure(generators[0], together, each * alone.length, s) };
}

try {
  const urls = await Promise.all(generators.map((generator) => generator.listen(undefined)));
  for (const [index, url] of urls.entries())
    running.push(await start(1, url, join(folder, String(index)), calls));
  const alone = [...running];
  const together = await start(2, urls[0] ?? '', join(folder, 'workers'), calls * alone.length);
  running.push(together);
  await round(alone, together, WARM_CALLS, 2);
  const rounds: Record<Name, Round[]> = { 'two processes': [], 'two workers': [] };
  for (let turn = 0; turn < (values.quick ? 1 : Number(values.rounds)); turn += 1) {
    const { apart, one } = await round(alone, together, calls, seconds);
    rounds['two processes'].push(...apart);
    rounds['two workers'].push(one);
  }
  finish('workers', results(rounds), values);
} finally {
  await Promise.all(running.map(stop));
  await Promise.all(generators.map((generator) => generator[Symbol.asyncDispose]()));
  rmSync(folder, { recursive: true, force: true });
}
