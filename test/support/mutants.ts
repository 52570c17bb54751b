import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  /** What is said of the first difference: which edge, which message, when (ms since the webhook). */
  readonly first: {
    readonly edge: string;
    readonly says: RegExp;
    readonly atMs: readonly [from: number, to: number];
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

/** The program as it is built, and changed copies of it, in a folder of their own. */
export class MutantLab implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'patchcord-mutants-'));
  readonly #running = new Set<ChildProcess>();
  #copies = 0;

  constructor() {
    emitModules(this.#at('whole'), ['src/cli.ts']);
    this.#furnish('whole');
  }

  /** The program as it is. */
  run(argv: readonly string[]): Promise<Run> {
    return this.#run('whole', argv);
  }

  /** The program with one change. */
  async runMutant({ file, from, to }: Mutant, argv: readonly string[]): Promise<Run> {
    this.#copies += 1;
    const copy = `mutant-${this.#copies}`;
    for (const part of ['src', 'carriers']) {
      cpSync(this.#at(`whole/${part}`), this.#at(`${copy}/${part}`), { recursive: true });
    }
    this.#furnish(copy);
    const path = this.#at(`${copy}/${file}`);
    writeFileSync(path, replaceOnce(readFileSync(path, 'utf8'), from, to, file));
    try {
      return await this.#run(copy, argv);
    } finally {
      rmSync(this.#at(copy), { recursive: true, force: true });
    }
  }

  [Symbol.dispose](): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #at(path: string): string {
    return join(this.#folder, path);
  }

  /** What the program needs beside its modules. */
  #furnish(copy: string): void {
    for (const name of ['node_modules', 'package.json', 'fixtures']) {
      symlinkSync(join(ROOT, name), this.#at(`${copy}/${name}`));
    }
  }

  #run(copy: string, argv: readonly string[]): Promise<Run> {
    const child = spawn(process.execPath, [this.#at(`${copy}/src/cli.js`), ...argv], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
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
