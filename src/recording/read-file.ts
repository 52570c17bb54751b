import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../file-errors.ts';
import { badRecording } from './shape.ts';

/** An hour of all four WAVs has 700 MB; Node reads no file of more than 2 GiB at once. */
const MOST_BYTES = 2 ** 31 - 1;

/**
 * A file of the folder of a call, whole. Rejects with BAD_RECORDING: what comes with a recording from elsewhere may also be
 * a pipe, which would keep whoever opens it for ever, or a device that never ends.
 */
export async function readOwnFile(folder: string, name: string): Promise<Buffer> {
  let file: FileHandle;
  try {
    file = await open(join(folder, name), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw unreadable(name, isMissing(cause) ? 'nothing' : 'a file that cannot be read', cause);
  }
  try {
    const found = await file.stat();
    if (!found.isFile()) throw unreadable(name, 'something else than a file');
    if (found.size > MOST_BYTES) throw unreadable(name, `${found.size} bytes`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function unreadable(name: string, found: string, cause?: unknown): Error {
  return badRecording(name, `found ${found}, wanted a file in the folder of a recording`, { cause });
}
