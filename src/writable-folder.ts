import { randomUUID } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode, isMissing } from './file-errors.ts';

/**
 * Makes a folder, and those above it, for this user alone; one that is there stays as it is. Rejects with the error of the
 * file system. Not the recursive way of Node: it tries for ever where a parent takes no folders, as /proc does.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return;
    const parent = dirname(folder);
    if (!isMissing(error) || parent === folder) throw error;
    await makeFolder(parent);
    await mkdir(folder, { mode: 0o700 }).catch(unlessThere);
  }
}

function unlessThere(error: unknown): void {
  if (!hasCode(error, 'EEXIST')) throw error;
}

/** Writes a file in a folder and removes it. Rejects with the error of the file system where that cannot be done. */
export async function tryToWrite(folder: string): Promise<void> {
  const path = join(folder, `.probe-${randomUUID()}`);
  const file = await open(path, 'wx', 0o600);
  try {
    // A full disk is noticed only here.
    await file.writeFile('patchcord\n');
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
