import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BridgeError } from '../errors.ts';

/** How deep below a folder calls are looked for. */
const DEPTH = 4;
const CALL_FILE = 'call.json';
/** A recording that goes on, or whose process died before it could say that it is over. */
const UNFINISHED = '.partial';

/** The folders of calls that were asked for. */
export interface CallFolders {
  readonly folders: readonly string[];
  /** Below a folder that was named: recordings that are not finished. They are replayed when they are named themselves. */
  readonly leftOut: readonly string[];
}

/**
 * Each path is the folder of a call, or one with calls below it, which come in the order of their names; each is listed
 * once. Throws BAD_INPUT for a path without a call.
 */
export function callFolders(paths: readonly string[]): CallFolders {
  const folders = new Set<string>();
  const leftOut = new Set<string>();
  for (const path of paths) {
    const found = below(path, 0);
    if (found.length === 0) {
      const what =
        statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? 'no call' : 'no such folder';
      throw new BridgeError(
        'BAD_INPUT',
        `${path}: found ${what}, wanted a folder with ${CALL_FILE}, or one with such folders`,
      );
    }
    for (const folder of found)
      (folder !== path && folder.endsWith(UNFINISHED) ? leftOut : folders).add(folder);
  }
  return { folders: [...folders], leftOut: [...leftOut] };
}

function below(path: string, depth: number): readonly string[] {
  if (existsSync(join(path, CALL_FILE))) return [path];
  if (depth === DEPTH || statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
    .map(({ name }) => name)
    .toSorted()
    .flatMap((name) => below(join(path, name), depth + 1));
}
