import { lstat, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../file-errors.ts';
import { isRecord } from '../is-record.ts';
import type { Random } from '../random.ts';
import { isRecordingName, isRemovingName, letters, timeOfName } from './names.ts';

/** What is kept of recordings; undefined: without end. */
export interface RetentionRules {
  readonly maxAgeMs: number | undefined;
  /** Of all recordings together, those under way included. */
  readonly maxBytes: number | undefined;
}

export interface Removal {
  readonly why: 'age' | 'size';
  readonly bytes: number;
}

export interface RetentionPass {
  readonly folder: string;
  readonly rules: RetentionRules;
  readonly epochMs: number;
  readonly random: Random;
  /** Bytes of recordings that are being written. */
  readonly growing: number;
  readonly removed: (removal: Removal) => void;
  /** A recording could not be removed, or not be looked at. */
  readonly trouble: (error: unknown) => void;
}

interface Kept {
  readonly name: string;
  readonly bytes: number;
}

/**
 * Removes recordings by age and by size, the oldest first. Only folders with a name of ours that hold a call.json are
 * recordings: a folder that somebody has renamed stays for ever.
 */
export class Retention {
  /** Recordings do not grow when they are over. */
  readonly #sizes = new Map<string, number>();

  /** Gives how many recordings are left. Rejects when the folder cannot be read. */
  async run(pass: RetentionPass): Promise<number> {
    const entries = await readdir(pass.folder, { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    for (const name of folders) if (isRemovingName(name)) await this.#erase(pass, name);
    const names = folders.filter(isRecordingName).sort();
    const young: string[] = [];
    for (const name of names) {
      const isOld =
        pass.rules.maxAgeMs !== undefined && timeOfName(name) < pass.epochMs - pass.rules.maxAgeMs;
      if (!isOld || !(await this.#remove(pass, name, 'age'))) young.push(name);
    }
    this.#forgetBut(young);
    return pass.rules.maxBytes === undefined ? young.length : this.#shrink(pass, young, pass.rules.maxBytes);
  }

  #forgetBut(names: readonly string[]): void {
    const known = new Set(names);
    for (const name of this.#sizes.keys()) if (!known.has(name)) this.#sizes.delete(name);
  }

  async #shrink(pass: RetentionPass, names: readonly string[], maxBytes: number): Promise<number> {
    const kept: Kept[] = [];
    for (const name of names) kept.push({ name, bytes: await this.#sizeOf(pass, name) });
    let total = kept.reduce((sum, { bytes }) => sum + bytes, pass.growing);
    let left = kept.length;
    for (const { name, bytes } of kept) {
      if (total <= maxBytes) break;
      if (!(await this.#remove(pass, name, 'size'))) continue;
      total -= bytes;
      left -= 1;
    }
    return left;
  }

  async #sizeOf(pass: RetentionPass, name: string): Promise<number> {
    const known = this.#sizes.get(name);
    if (known !== undefined) return known;
    try {
      const bytes = await folderBytes(join(pass.folder, name));
      this.#sizes.set(name, bytes);
      return bytes;
    } catch (error) {
      if (!isMissing(error)) pass.trouble(error);
      return 0;
    }
  }

  /** Whether it is gone now, by whomever. */
  async #remove(pass: RetentionPass, name: string, why: Removal['why']): Promise<boolean> {
    try {
      const path = join(pass.folder, name);
      if (!(await isRecording(path))) return false;
      const bytes = await this.#sizeOf(pass, name);
      // Half of a recording must not look like one.
      const dying = `${name}.${letters(pass.random, 8)}.removing`;
      await rename(path, join(pass.folder, dying));
      this.#sizes.delete(name);
      pass.removed({ why, bytes });
      await this.#erase(pass, dying);
      return true;
    } catch (error) {
      if (isMissing(error)) return true;
      pass.trouble(error);
      return false;
    }
  }

  async #erase(pass: RetentionPass, name: string): Promise<void> {
    // Links in it are removed, and not what they lead to.
    await rm(join(pass.folder, name), { recursive: true, force: true }).catch(pass.trouble);
  }
}

/** Bytes of the files of a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    try {
      bytes += (await lstat(join(folder, name))).size;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return bytes;
}

async function isRecording(folder: string): Promise<boolean> {
  const path = join(folder, 'call.json');
  try {
    if (!(await lstat(path)).isFile()) return false;
    const call: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isRecord(call) && typeof call['format'] === 'number' && isRecord(call['origin']);
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return false;
    throw error;
  }
}
