import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ENGINE_FLAGS } from '../../src/engine-flags.ts';
import type { GeneratorOrder } from '../calls-generator.ts';
import type { ProbeFigures } from '../calls-probe.ts';
import type { EndFigures, LoadFigures, LoadPlan, RampFigures } from './generator.ts';
import type { ServerIdentity } from './provider-server.ts';

const LISTENING = /listening on (\S+)/;
const STOP_WITHIN_MS = 5_000;
const PRIORITY = -15;

/** Whether processes can be given a core of their own. */
function canPin(): boolean {
  return spawnSync('taskset', ['--version']).status === 0;
}

function built(script: string): string {
  return fileURLToPath(new URL(`../${script}`, import.meta.url));
}

function profiling(folder: string | undefined): readonly string[] {
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

function start(
  core: number,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  program = process.execPath,
): ChildProcess {
  const command = canPin() ? ['taskset', '-c', String(core), program] : [program];
  const [first = program, ...rest] = [...command, ...args];
  const child = spawn(first, rest, { env, stdio: ['ignore', 'pipe', 'ignore', 'ipc'], detached: true });
  if (child.pid !== undefined) hurry(child.pid);
  return child;
}

/** Has a process go before others: they are to disturb as little as they can. */
export function hurry(pid: number): void {
  try {
    setPriority(pid, PRIORITY);
    // Linux may share the processor among sessions first; these processes are each in one of their own.
    writeFileSync(`/proc/${pid}/autogroup`, String(PRIORITY));
  } catch {
    // Not everybody may; then the machine has to be quiet.
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await exited;
  clearTimeout(timer);
}

/** How to start what is measured. */
export interface SubjectCommand {
  /** After `node`, from the folder of the bench; the script first. Of a program of its own: what it is given. */
  readonly args: readonly string[];
  /** Path of a program that is not run by Node. */
  readonly program?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/** How it is watched. */
export interface SubjectOptions {
  /** Folder for a profile of its processor time. */
  readonly profile?: string | undefined;
  /** For the engine, such as `--trace-gc`; what it prints then goes to standard error. */
  readonly flags?: readonly string[] | undefined;
}

/** A process that is measured, on the first core. */
export class SubjectProcess implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #isNative: boolean;

  private constructor(child: ChildProcess, url: string, isNative: boolean) {
    this.#child = child;
    this.#isNative = isNative;
    this.url = url;
  }

  /** Resolves when it listens. Rejects when it ends before that. */
  static async start(
    { args, env, program }: SubjectCommand,
    { profile, flags = [] }: SubjectOptions,
  ): Promise<SubjectProcess> {
    if (program !== undefined) {
      const native = start(0, args, process.env, program);
      return new SubjectProcess(native, await addressOf(native), true);
    }
    const [script = '', ...rest] = args;
    const node = [
      ...profiling(profile),
      ...flags,
      '--expose-gc',
      '--enable-source-maps',
      ...ENGINE_FLAGS,
      '--import',
      built('calls-probe.js'),
      built(script),
    ];
    const child = start(0, [...node, ...rest], { ...process.env, ...env });
    const url = await addressOf(child);
    // What the engine was asked to tell of itself.
    if (flags.length > 0) child.stdout?.on('data', (chunk: Buffer) => void process.stderr.write(chunk));
    return new SubjectProcess(child, url, false);
  }

  /** What it has used so far; `collect` has it collect garbage before its memory is looked at. */
  async figures(collect = false): Promise<ProbeFigures> {
    if (this.#isNative) return nativeFigures(this.#child.pid ?? 0);
    const answer = once(this.#child, 'message');
    this.#child.send(collect ? 'collect' : 'figures');
    const [figures] = (await answer) as [ProbeFigures];
    return figures;
  }

  /** How long it has been ready to run and was not, because another had its core; in ms. NaN where nobody counts. */
  waitedMs(): number {
    try {
      const [, waited = ''] = readFileSync(`/proc/${this.#child.pid}/schedstat`, 'utf8').split(' ');
      return Number(waited) / 1e6;
    } catch {
      return Number.NaN;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child);
  }
}

/** What Linux knows of a process with one thread. */
function nativeFigures(pid: number): ProbeFigures {
  const [nanoseconds = '0'] = readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ');
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return {
    at: performance.now(),
    cpuMs: Number(nanoseconds) / 1e6,
    rss: Number(kilobytes ?? 0) * 1024,
    heap: Number.NaN,
    loopDelayP99Ms: Number.NaN,
    loopDelayMaxMs: Number.NaN,
  };
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const url = LISTENING.exec(text)?.[1];
      if (url !== undefined) resolve(url);
    });
    child.once('exit', () => reject(new Error(`what is to be measured did not start: ${text}`)));
  });
}

/** The generator in its process, on the second core. */
export class GeneratorProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  /** @param profile folder for a profile of its processor time */
  constructor(profile: string | undefined) {
    this.#child = start(1, [...profiling(profile), built('calls-generator.js')], process.env);
  }

  /** Resolves to the provider's address. */
  listen(identity: ServerIdentity | undefined): Promise<string> {
    return this.#ask({ do: 'listen', identity });
  }

  up(plan: LoadPlan): Promise<RampFigures> {
    return this.#ask({ do: 'up', plan });
  }

  measure(seconds: number): Promise<LoadFigures> {
    return this.#ask({ do: 'measure', seconds });
  }

  down(): Promise<EndFigures> {
    return this.#ask({ do: 'down' });
  }

  async #ask<T>(order: GeneratorOrder): Promise<T> {
    const answer = once(this.#child, 'message');
    this.#child.send(order);
    const [message] = (await answer) as [{ readonly answer?: T; readonly error?: string }];
    if (message.answer === undefined) throw new Error(`the generator failed: ${message.error}`);
    return message.answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child);
  }
}
