import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ENGINE_FLAGS } from '../src/engine-flags.ts';
import { Counts } from './load/ledger.ts';
import { hurry } from './load/processes.ts';
import { ProviderServer } from './load/provider-server.ts';
import { BENCH_OPTIONS, finish, type Result } from './results.ts';
import type { WebhookFigures, WebhookOrder } from './webhooks-generator.ts';

/**
 * Calls that arrive: how long a carrier waits for the document that answers its webhook, beside the smallest service that
 * checks a signature. Every call is let in, its provider dialled, and hung up by a status callback. What is measured has
 * the first core to itself; callers and provider have the other.
 */
export interface WebhookOptions {
  /** Calls that arrive in a second; default 100. */
  readonly perSecond?: number | undefined;
  readonly quick?: boolean | undefined;
}

/** What was seen of one service, over all its turns. */
interface Seen {
  readonly figures: WebhookFigures[];
  cpuMs: number;
}

const SECRET = '0123456789abcdef0123456789abcdef';
const CALL_MS = 1000;
const TURNS = 3;
const SECONDS = 10;
const QUICK_SECONDS = 4;
const WARM_SECONDS = 4;
const LIMIT_MS = 25;
const AIM_MS = 10;

/** The figures of arriving calls. Rejects when a service does not start, or the generator fails. */
export async function benchWebhooks(options: WebhookOptions = {}): Promise<Result[]> {
  const { perSecond = 100, quick = false } = options;
  const provider = new ProviderServer(() => QUIET, undefined);
  const providerUrl = await provider.listen();
  const children: ChildProcess[] = [];
  try {
    const generator = start(1, ['webhooks-generator.js'], {}, children);
    const service = start(0, ['../src/cli.js', 'serve'], serviceEnv(providerUrl), children);
    const floor = start(0, ['webhooks-floor.js', SECRET], {}, children);
    const subjects = [
      { child: service, url: await addressOf(service), seen: { figures: [], cpuMs: 0 } as Seen },
      { child: floor, url: await addressOf(floor), seen: { figures: [], cpuMs: 0 } as Seen },
    ];
    const order = { authToken: SECRET, perSecond, callMs: CALL_MS };
    for (const { url } of subjects) await ask(generator, { ...order, url, seconds: WARM_SECONDS, seed: 1 });
    for (let turn = 0; turn < (quick ? 1 : TURNS); turn++) {
      for (const { child, url, seen } of subjects) {
        const before = cpuMsOf(child);
        const seconds = quick ? QUICK_SECONDS : SECONDS;
        seen.figures.push(await ask(generator, { ...order, url, seconds, seed: turn + 2 }));
        seen.cpuMs += cpuMsOf(child) - before;
      }
    }
    const [ours, least] = subjects;
    return ours === undefined || least === undefined ? [] : results(ours.seen, least.seen);
  } finally {
    await Promise.all(children.map(stop));
    await provider.close();
  }
}

/** Sessions that are opened and closed again, and say nothing. */
const QUIET = {
  counts: new Counts(),
  codecDelay: 0,
  onReady: (): void => undefined,
  onLinked: (): void => undefined,
  onGone: (): void => undefined,
};

function serviceEnv(providerUrl: string): Readonly<Record<string, string>> {
  return {
    PORT: '0',
    HOST: '127.0.0.1',
    TWILIO_AUTH_TOKEN: SECRET,
    PROVIDER: 'openai',
    OPENAI_API_KEY: 'sk-bench',
    OPENAI_BASE_URL: providerUrl,
    MAX_CALLS: '1000',
  };
}

function results(ours: Seen, floor: Seen): Result[] {
  const { kept, fresh, status, failed } = middle(ours.figures);
  const least = middle(floor.figures);
  const lateness = middle([...ours.figures, ...floor.figures]).latenessMs;
  const make = (name: string, value: number, unit: string, rest: Partial<Result> = {}): Result => ({
    bench: 'webhooks',
    name,
    value,
    unit,
    better: 'lower',
    ...rest,
  });
  const marks = { limit: LIMIT_MS, aim: AIM_MS };
  return [
    make('webhook to document, open connection, p50', kept.p50, 'ms'),
    make('webhook to document, open connection, p99', kept.p99, 'ms', marks),
    make('webhook to document, open connection, longest', kept.max, 'ms'),
    make('webhook to document, new connection, p50', fresh.p50, 'ms'),
    make('webhook to document, new connection, p99', fresh.p99, 'ms', marks),
    make('webhook to document, new connection, longest', fresh.max, 'ms'),
    make('status callback, p99', status.p99, 'ms'),
    make('floor: express and a signature, open connection, p50', least.kept.p50, 'ms'),
    make('floor: express and a signature, open connection, p99', least.kept.p99, 'ms'),
    make('floor: express and a signature, new connection, p99', least.fresh.p99, 'ms'),
    make('p99 against the floor, open connection', kept.p99 / least.kept.p99, 'x'),
    make('CPU per call: let in, dialled, ended', ours.cpuMs / callsOf(ours), 'ms'),
    make('floor: CPU per two requests', floor.cpuMs / callsOf(floor), 'ms'),
    make('calls that were not answered as they should', failed, 'calls', { limit: 0 }),
    make('the generator was late, p99', lateness, 'ms'),
  ];
}

/** Of several turns the middle one of each figure, but all failures. */
function middle(turns: readonly WebhookFigures[]) {
  const spread = (of: (turn: WebhookFigures) => WebhookFigures['kept']) => ({
    p50: median(turns.map((turn) => of(turn).p50)),
    p99: median(turns.map((turn) => of(turn).p99)),
    max: Math.max(...turns.map((turn) => of(turn).max)),
  });
  return {
    kept: spread(({ kept }) => kept),
    fresh: spread(({ fresh }) => fresh),
    status: spread(({ status }) => status),
    failed: turns.reduce((total, turn) => total + turn.failed, 0),
    latenessMs: Math.max(...turns.map(({ lateness }) => lateness.p99)),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}

function callsOf({ figures }: Seen): number {
  return figures.reduce((total, { calls }) => total + calls, 0);
}

function start(
  core: number,
  [script = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
  children: ChildProcess[],
): ChildProcess {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const canPin = spawnSync('taskset', ['--version']).status === 0;
  const [command = process.execPath, ...before] = canPin
    ? ['taskset', '-c', String(core), process.execPath]
    : [process.execPath];
  const child = spawn(command, [...before, ...ENGINE_FLAGS, path, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    // Its log goes the usual way and is written, but nobody reads it.
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
  });
  children.push(child);
  if (child.pid !== undefined) hurry(child.pid);
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const url = /listening on (\S+)\n/.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once('exit', () => reject(new Error(`what is to be measured did not start: ${text}`)));
  });
}

async function ask(generator: ChildProcess, order: WebhookOrder): Promise<WebhookFigures> {
  const answer = once(generator, 'message');
  generator.send(order);
  const [message] = (await answer) as [{ readonly answer?: WebhookFigures; readonly error?: string }];
  if (message.answer === undefined) throw new Error(`the generator failed: ${message.error}`);
  return message.answer;
}

/** CPU time of all threads of a process, in ms; 0 where the system does not tell. */
function cpuMsOf({ pid }: ChildProcess): number {
  const tasks = `/proc/${pid}/task`;
  try {
    const spent = readdirSync(tasks).map((task) => readFileSync(`${tasks}/${task}/schedstat`, 'utf8'));
    return spent.reduce((total, text) => total + Number.parseInt(text, 10), 0) / 1e6;
  } catch {
    return 0;
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { ...BENCH_OPTIONS, rate: { type: 'string' } } });
  const perSecond = values.rate === undefined ? undefined : Number(values.rate);
  spawnSync('taskset', ['-apc', '1', String(process.pid)]);
  finish('webhooks', await benchWebhooks({ perSecond, quick: values.quick }), values);
}
