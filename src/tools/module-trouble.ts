import { execFile } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BridgeError } from '../errors.ts';

/** A module of functions, and what it is called in messages. */
export interface HandlerFile {
  /** Absolute. */
  readonly path: string;
  /** As the agents file names it. */
  readonly shown: string;
}

const MAX_MESSAGE = 500;

/**
 * Why a module could not be imported, in one line that begins with its name, and with the line in it where that is
 * known. Never rejects; gives up looking for the line when `signal` aborts.
 */
export async function moduleTrouble(
  thrown: unknown,
  file: HandlerFile,
  signal: AbortSignal,
): Promise<string> {
  const known = knownTrouble(thrown);
  if (known !== undefined) return `${file.shown}: ${known}`;
  const message = messageOf(thrown)
    .replace(/^BAD_INPUT: /, '')
    .slice(0, MAX_MESSAGE);
  const line = await lineOf(thrown, file.path, signal);
  if (line === 'elsewhere') return `${file.shown}: a module that it imports cannot be loaded: ${message}`;
  return `${file.shown}${line === undefined ? '' : `:${line}`}: it cannot be loaded: ${message}`;
}

function messageOf(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).replace(/\s+/g, ' ').trim();
}

/** What has more to do with the surroundings than with what stands in the module. */
function knownTrouble(thrown: unknown): string | undefined {
  if (thrown instanceof BridgeError && thrown.code === 'TIMEOUT') {
    return 'it is not loaded after 10 s, wanted a module that does not wait for ever at its top level (await)';
  }
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return `Node ${process.versions.node} cannot import TypeScript, wanted Node 24 or a module compiled to .js`;
  }
  if (messageOf(thrown).includes("Cannot find package 'patchcord'")) {
    return "it imports 'patchcord', which is not installed there, wanted npm install patchcord beside the agents file";
  }
  return undefined;
}

/** A line of the module; `elsewhere`: of another one. */
type Line = number | 'elsewhere' | undefined;

async function lineOf(thrown: unknown, path: string, signal: AbortSignal): Promise<Line> {
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : '';
  // Node knows a module by what it finds behind links.
  const behind = await realpath(path).catch(() => path);
  for (const name of [pathToFileURL(path).href, path, pathToFileURL(behind).href, behind]) {
    const line = lineIn(stack, name);
    if (line !== undefined) return line;
  }
  return thrown instanceof SyntaxError ? await syntaxLine(path, signal) : undefined;
}

/** Where a stack first speaks of a file: `…/a.js:3:5`, or `…/a.js?v=1:3:5`. */
function lineIn(stack: string, name: string): number | undefined {
  for (let at = stack.indexOf(name); at >= 0; at = stack.indexOf(name, at + 1)) {
    const [, line] = /^(?:\?[\w=-]*)?:(\d+)/.exec(stack.slice(at + name.length)) ?? [];
    if (line !== undefined) return Number(line);
  }
  return undefined;
}

/**
 * Node keeps the place of a mistake in the syntax of a module to itself unless the process ends of it: so another one
 * does, which only reads.
 */
async function syntaxLine(path: string, signal: AbortSignal): Promise<Line> {
  if (!['.js', '.mjs'].includes(extname(path))) return undefined;
  const source = await readFile(path).catch(() => undefined);
  if (source === undefined || signal.aborted) return undefined;
  return await new Promise((resolve) => {
    const args = ['--input-type=module', '--check', '-'];
    const child = execFile(process.execPath, args, { env: {}, signal }, (error, _out, told) => {
      const [, line] = /^\[stdin\]:(\d+)/.exec(told) ?? [];
      if (line !== undefined) resolve(Number(line));
      else resolve(error === null ? 'elsewhere' : undefined);
    });
    // It may be gone before it has read everything.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(source);
  });
}
