import { type BigIntStats, constants, type Stats } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Source } from './mistakes.ts';

/** What became of an attempt to read a file; `found` is what to say of it in a mistake. */
export type FileContent =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly found: string };

/** Modules, and what they are likely to import from beside them. */
const SCRIPT = /\.(?:[cm]?[jt]s|json)$/;

/**
 * What a file looks like from outside; another text when it was changed, replaced or taken away. Of a folder, which
 * modules are in it. Never rejects.
 */
export async function versionOf(path: string): Promise<string> {
  try {
    // Followed through links: where a folder is swapped by a link, all files behind it are others at once.
    const stats = await stat(path, { bigint: true });
    // Not its times: a database in the same folder changes them with every call.
    return stats.isDirectory() ? (await scriptsIn(path)).join('\n') : versionText(stats);
  } catch {
    return 'gone';
  }
}

async function scriptsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => SCRIPT.test(name)).sort();
}

function versionText({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}`;
}

/** Reads files and keeps in mind which ones, and what they looked like before that. */
export class SourceFiles {
  readonly #versions = new Map<string, string>();

  /** Reads a file of at most `most` bytes. Never rejects. */
  async read(path: string, most: number): Promise<FileContent> {
    await this.note(path);
    try {
      const before = unfit(await stat(path), most);
      if (before !== undefined) return { ok: false, found: before };
      // To open a pipe would wait for a writer, and it may have taken the place of the file since.
      await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const found = unfit(await file.stat(), most);
      return found === undefined ? { ok: true, bytes: await file.readFile() } : { ok: false, found };
    } catch (thrown) {
      return { ok: false, found: failureWords(thrown) };
    }
  }

  /** A file or folder that others read: it counts as it is now. */
  async note(path: string): Promise<void> {
    if (!this.#versions.has(path)) this.#versions.set(path, await versionOf(path));
  }

  /** A folder and the modules in it, or a file. */
  async noteFolder(path: string): Promise<void> {
    await this.note(path);
    for (const name of await scriptsIn(path)) await this.note(join(path, name));
  }

  get sources(): readonly Source[] {
    return [...this.#versions].map(([path, version]) => ({ path, version }));
  }
}

/** What is found in the place of a file that can be read; undefined: nothing is wrong with it. */
function unfit(stats: Stats, most: number): string | undefined {
  if (stats.isDirectory()) return 'a folder';
  if (!stats.isFile()) return 'something that is no file';
  return stats.size > most ? `a file of ${stats.size} bytes` : undefined;
}

function failureWords(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'no such file';
    case 'EACCES':
    case 'EPERM':
      return 'a file that may not be read';
    case 'ELOOP':
      return 'links that lead in a circle';
    default:
      return `a file that cannot be read (${typeof code === 'string' ? code : 'unknown error'})`;
  }
}
