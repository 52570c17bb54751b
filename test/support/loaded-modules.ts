import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { makeFolder } from './agents-folder.ts';
import { emitModules } from './emit-modules.ts';

/** Modules that a command has loaded, by address or path, in their order. */
export interface Loaded {
  /** Until it listened; of a command that does not listen: all. */
  readonly before: readonly string[];
  /** From then on. */
  readonly after: readonly string[];
}

/** Writes down what is loaded, one a line: modules by a hook, what is `require`d by a wrapper. */
const HOOKS = `import { appendFileSync } from 'node:fs';
export async function load(url, context, next) {
  appendFileSync(process.env.LOADED, url + '\\n');
  return next(url, context);
}
`;
const PRELOAD = `import { appendFileSync } from 'node:fs';
import Module, { register } from 'node:module';
register('./hooks.mjs', import.meta.url);
const load = Module.prototype.load;
Module.prototype.load = function (path) {
  appendFileSync(process.env.LOADED, path + '\\n');
  return load.call(this, path);
};
const write = process.stdout.write;
process.stdout.write = function (text, ...rest) {
  if (String(text).startsWith('listening on ')) appendFileSync(process.env.LOADED, 'listening\\n');
  return write.call(this, text, ...rest);
};
`;

/** The commands as they are built, in a folder of their own. */
export class BuiltCommands implements Disposable {
  readonly #folder = makeFolder({
    'package.json': '{ "type": "module", "version": "0.0.0" }',
    'hooks.mjs': HOOKS,
    'preload.mjs': PRELOAD,
  });
  #runs = 0;

  constructor() {
    emitModules(this.#folder.at('built'), ['src/cli.ts']);
    symlinkSync(
      fileURLToPath(new URL('../../node_modules', import.meta.url)),
      this.#folder.at('node_modules'),
    );
    symlinkSync(this.#folder.at('package.json'), this.#folder.at('built/package.json'));
  }

  /** Writes a file beside them, and gives its absolute path back. */
  write(name: string, content: string): string {
    return this.#folder.write(name, content);
  }

  /**
   * What a command has loaded when it is done; one that listens is told to stop as soon as it does. Rejects when it ends
   * badly or says nothing.
   */
  async loadedBy(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Loaded> {
    this.#runs += 1;
    const list = this.#folder.at(`loaded-${this.#runs}`);
    const flags = ['--import', this.#folder.at('preload.mjs'), this.#folder.at('built/src/cli.js')];
    const child = spawn(process.execPath, [...flags, ...argv], {
      env: {
        PATH: process.env['PATH'],
        LOADED: list,
        LOG_LEVEL: 'silent',
        DATA_DIR: this.#folder.at(`data-${this.#runs}`),
        ...env,
      },
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (data) => {
      out += data;
      if (/^listening on .*\n/.test(out)) child.kill('SIGTERM');
    });
    child.stderr.on('data', (data) => {
      err += data;
    });
    const [status] = await once(child, 'exit');
    if (status !== 0 || out === '') throw new Error(`${argv.join(' ')} ended with ${status}: ${err}`);
    const loaded = readFileSync(list, 'utf8').trim().split('\n');
    const listening = loaded.indexOf('listening');
    if (listening < 0) return { before: loaded, after: [] };
    return { before: loaded.slice(0, listening), after: loaded.slice(listening + 1) };
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

/** Arguments of a service that may listen where it likes. */
export const SERVE: readonly string[] = ['serve', '--port', '0', '--host', '127.0.0.1'];

/** The packages of others among them. */
export function packagesIn(loaded: readonly string[]): readonly string[] {
  const found = loaded.flatMap((path) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  return [...new Set(found)].toSorted();
}

/** Those among them that belong to the program: `src/server.js`. */
export function ownIn(loaded: readonly string[]): readonly string[] {
  return loaded.flatMap((path) => /\/built\/((?:src|carriers)\/.*)$/.exec(path)?.[1] ?? []);
}
