import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Clock, deadline, systemClock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { Tool } from '../tools.ts';
import { type HandlerFile, moduleTrouble } from './module-trouble.ts';

/** Functions from modules, and the files that they came from (absolute paths, sorted within each folder). */
export interface LoadedHandlers {
  readonly tools: readonly Tool[];
  readonly sources: readonly string[];
}

/** How modules are loaded. */
export interface LoadOptions {
  /** Measures how long each takes. Default: that of the system. */
  readonly clock?: Clock | undefined;
  /** Nobody wants them any more: no module is waited for. */
  readonly signal?: AbortSignal | undefined;
}

/** One module may open a database meanwhile; one that takes longer waits for something that never comes. */
const LOAD_MS = 10_000;
const SCRIPT = ['.js', '.mjs'];
const TYPED = ['.ts', '.mts'];

/**
 * Imports the functions of handler modules: single modules, or folders of them, relative to `baseDir`. A module that
 * has changed since it was last imported is imported anew; what it imports itself is not. Rejects with one BAD_CONFIG
 * that names every mistake, a line each; one that has not been loaded after ten seconds is a mistake. Rejects with the
 * reason of `signal` when it aborts.
 */
export async function loadHandlers(
  paths: readonly string[],
  baseDir: string,
  options: LoadOptions = {},
): Promise<LoadedHandlers> {
  const mistakes: string[] = [];
  const files = new Map<string, string>();
  for (const path of paths) {
    for (const file of await filesOf(path, baseDir, mistakes)) files.set(file.path, file.shown);
  }
  const tools = await importAll(files, options, mistakes);
  if (mistakes.length > 0) throw new BridgeError('BAD_CONFIG', mistakes.join('\n'));
  return { tools, sources: [...files.keys()] };
}

async function importAll(
  files: ReadonlyMap<string, string>,
  options: LoadOptions,
  mistakes: string[],
): Promise<readonly Tool[]> {
  const tools = new Map<string, { readonly tool: Tool; readonly shown: string }>();
  // One after the other: a module that opens a database when it is loaded meets nobody else.
  for (const [path, shown] of files) {
    for (const tool of await importTools({ path, shown }, options, mistakes)) {
      const { name } = tool.definition;
      const other = tools.get(name);
      if (other === undefined) tools.set(name, { tool, shown });
      else if (other.shown === shown) mistakes.push(`${shown}: it exports two functions named ${name}`);
      else if (other.tool !== tool) mistakes.push(`${shown}: the function ${name} is also in ${other.shown}`);
    }
  }
  return [...tools.values()].map(({ tool }) => tool);
}

async function filesOf(path: string, baseDir: string, mistakes: string[]): Promise<readonly HandlerFile[]> {
  const full = resolve(baseDir, path);
  const found = await stat(full).catch(() => undefined);
  if (found === undefined) {
    mistakes.push(`${path}: there is no such file or folder`);
    return [];
  }
  if (!found.isDirectory()) return singleFile({ path: full, shown: path }, mistakes);
  const names = await readdir(full).catch(() => undefined);
  if (names === undefined) {
    mistakes.push(`${path}: the folder cannot be read`);
    return [];
  }
  const chosen = chooseModules(names);
  if (chosen.length === 0) mistakes.push(`${path}: the folder has no modules, wanted .js, .mjs or .ts files`);
  return chosen
    .map((name) => ({ path: join(full, name), shown: join(path, name) }))
    .flatMap((file) => singleFile(file, mistakes));
}

function singleFile(file: HandlerFile, mistakes: string[]): readonly HandlerFile[] {
  const kind = extname(file.path);
  if (SCRIPT.includes(kind) || TYPED.includes(kind)) return [file];
  mistakes.push(`${file.shown}: found a ${kind || 'file without ending'}, wanted a .js, .mjs or .ts module`);
  return [];
}

/** In order of their names; where a TypeScript file lies beside what was compiled from it, only that is taken. */
function chooseModules(names: readonly string[]): readonly string[] {
  const modules = names.filter(isModule).sort();
  const compiled = new Set(modules.filter((name) => SCRIPT.includes(extname(name))).map(stem));
  return modules.filter((name) => SCRIPT.includes(extname(name)) || !compiled.has(stem(name)));
}

function isModule(name: string): boolean {
  if (/^[_.]/.test(name) || /\.(?:test|spec|d)\.\w+$/.test(name)) return false;
  return SCRIPT.includes(extname(name)) || TYPED.includes(extname(name));
}

function stem(name: string): string {
  return basename(name, extname(name));
}

async function importTools(
  { path, shown }: HandlerFile,
  options: LoadOptions,
  mistakes: string[],
): Promise<readonly Tool[]> {
  let module: unknown;
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    // Node keeps modules by their address for ever: without this, a reload would get the old one.
    module = await imported(`${pathToFileURL(path).href}?v=${mtimeNs}-${size}-${ino}`, options);
  } catch (thrown) {
    options.signal?.throwIfAborted();
    using limit = deadline(options.clock ?? systemClock, LOAD_MS, 'a look', options.signal);
    mistakes.push(await moduleTrouble(thrown, { path, shown }, limit.signal));
    return [];
  }
  const { tools, problems } = toolsOf(module);
  mistakes.push(...problems.map((problem) => `${shown}: ${problem}`));
  return tools;
}

/** The module, or a TIMEOUT when it is late: nothing can stop it, so that it is only waited for no longer. */
async function imported(address: string, { clock = systemClock, signal }: LoadOptions): Promise<unknown> {
  signal?.throwIfAborted();
  using limit = deadline(clock, LOAD_MS, 'a module', signal);
  return await new Promise((resolve, reject) => {
    limit.signal.addEventListener('abort', () => reject(limit.signal.reason), { once: true });
    import(address).then(resolve, reject);
  });
}

/** What a module has to offer: its functions, and what is wrong with it. */
interface ModuleTools {
  readonly tools: readonly Tool[];
  readonly problems: readonly string[];
}

/**
 * The functions that a module exports: each made by `defineTool`, by name or by default, also in arrays; other
 * exports are ignored. They are told by their shape, because the module may bring another copy of this package.
 */
function toolsOf(module: unknown): ModuleTools {
  const tools: Tool[] = [];
  const problems: string[] = [];
  for (const [name, value] of exportsOf(module)) {
    const problem = toolProblem(value);
    if (problem === undefined && isTool(value)) tools.push(value);
    else if (problem !== undefined) problems.push(`export ${name}: ${problem}`);
  }
  // One that is exported twice, such as by name and by default, is one.
  const unique = [...new Set(tools)];
  if (unique.length === 0 && problems.length === 0) {
    problems.push('it exports no function, wanted at least one that defineTool made');
  }
  return { tools: unique, problems };
}

function exportsOf(module: unknown): readonly (readonly [name: string, value: unknown])[] {
  if (!isRecord(module)) return [];
  return Object.entries(module).flatMap(([name, value]) =>
    Array.isArray(value)
      ? value.map((item: unknown, index) => [`${name}[${index}]`, item] as const)
      : [[name, value] as const],
  );
}

/** What looks as if it should be a function and is none; undefined for functions and for everything else. */
function toolProblem(value: unknown): string | undefined {
  if (!isRecord(value) || typeof value['run'] !== 'function') return undefined;
  if (!isRecord(value['definition'])) {
    return typeof value['description'] === 'string'
      ? 'found the options of a function, wanted defineTool({ … }) around them'
      : undefined;
  }
  if (isTool(value)) return undefined;
  // Earlier versions did not ask for it.
  return typeof value['definition']['description'] === 'string'
    ? 'another version of patchcord made it, wanted this one'
    : 'found no description, wanted text that tells the model what it does and when to call it';
}

function isTool(value: unknown): value is Tool {
  return (
    isRecord(value) &&
    isDefinition(value['definition']) &&
    typeof value['run'] === 'function' &&
    typeof value['check'] === 'function' &&
    typeof value['timeoutMs'] === 'number' &&
    typeof value['cancelOnInterrupt'] === 'boolean' &&
    typeof value['maxResultChars'] === 'number' &&
    Array.isArray(value['redact'])
  );
}

function isDefinition(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value['name'] === 'string' &&
    typeof value['description'] === 'string' &&
    isRecord(value['parameters'])
  );
}
