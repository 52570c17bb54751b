import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Edge } from '../../src/recording/format.ts';
import { emitModules } from './emit-modules.ts';

/** One change of one module of the built program, and the fixture that has to notice it. */
export interface Mutant {
  readonly part: 'playout' | 'barge-in' | 'codec' | 'provider adapter' | 'tool runner';
  /** What is wrong now, in words. */
  readonly what: string;
  /** Of the built program, such as `src/playout.js`. */
  readonly file: string;
  /** Stands exactly once in it, and what takes its place. */
  readonly from: string;
  readonly to: string;
  readonly fixture: string;
  /** What is said of the first difference, and where in the call it is. */
  readonly first: {
    readonly edge: Edge;
    readonly says: RegExp;
    /** At most `withinMs` (default 30) after the first line that goes out by this edge and is of this kind. */
    readonly after: { readonly on: Edge; readonly kind: string; readonly withinMs?: number };
  };
}

/** What a run of the program left. */
export interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Takes what stands exactly once in a text and puts something else there. Throws when it stands there otherwise. */
export function replaceOnce(text: string, from: string, to: string, where: string): string {
  const pieces = text.split(from);
  if (pieces.length === 2) return pieces.join(to);
  throw new Error(`${where}: found ${pieces.length - 1} times, wanted once: ${from}`);
}

/** Gives Node the changed text in the place of one module; the thousands of others are not copied for that. */
const HOOKS = `import { readFileSync } from 'node:fs';
export async function load(url, context, next) {
  if (url !== process.env.MUTANT_URL) return next(url, context);
  return { format: 'module', source: readFileSync(process.env.MUTANT_FILE, 'utf8'), shortCircuit: true };
}
`;

/** The program as it is built, run as it is and with one module changed, in a folder of its own. */
export class MutantLab implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'patchcord-mutants-'));
  readonly #running = new Set<ChildProcess>();
  #mutants = 0;

  constructor() {
    emitModules(this.#at('built'), ['src/cli.ts']);
    // What the program needs beside its modules.
    for (const name of ['node_modules', 'package.json', 'fixtures']) {
      symlinkSync(join(ROOT, name), this.#at(`built/${name}`));
    }
    writeFileSync(this.#at('hooks.mjs'), HOOKS);
    const hooks = JSON.stringify(pathToFileURL(this.#at('hooks.mjs')).href);
    writeFileSync(this.#at('preload.mjs'), `import { register } from 'node:module'; register(${hooks});`);
  }

  /** The program as it is. */
  run(argv: readonly string[]): Promise<Run> {
    return this.#run([], argv, {});
  }

  /** The program with one change. */
  runMutant({ file, from, to }: Mutant, argv: readonly string[]): Promise<Run> {
    this.#mutants += 1;
    const path = this.#at(`built/${file}`);
    const mutant = this.#at(`mutant-${this.#mutants}.js`);
    writeFileSync(mutant, replaceOnce(readFileSync(path, 'utf8'), from, to, file));
    const env = { MUTANT_URL: pathToFileURL(path).href, MUTANT_FILE: mutant };
    return this.#run(['--import', pathToFileURL(this.#at('preload.mjs')).href], argv, env);
  }

  [Symbol.dispose](): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #at(path: string): string {
    return join(this.#folder, path);
  }

  #run(
    flags: readonly string[],
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<Run> {
    const child = spawn(process.execPath, [...flags, this.#at('built/src/cli.js'), ...argv], {
      cwd: ROOT,
      env: {
        PATH: process.env['PATH'],
        AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status) => {
        this.#running.delete(child);
        resolve({ status, out, err });
      });
    });
  }
}
