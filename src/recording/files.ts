import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, statfs, unlink, utimes } from 'node:fs/promises';
import { isMissing } from '../file-errors.ts';

/** One open file of a recording. */
export interface RecordingFile {
  /** Resolves when all bytes are written, or rejects and may have written some. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Resolves when it outlives a loss of power. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** What recordings do with a file system. Everything rejects with the error of the system. */
export interface RecordingFiles {
  /** For this user alone; rejects when something of this name is there, be it a link. */
  makeFolder(path: string): Promise<void>;
  /** For this user alone; rejects when something of this name is there, be it a link. */
  create(path: string): Promise<RecordingFile>;
  rename(from: string, to: string): Promise<void>;
  /** A file that is not there is removed already. */
  remove(path: string): Promise<void>;
  /** Sets its times, ms since 1970 UTC. */
  touch(path: string, epochMs: number): Promise<void>;
  /** Whether anything is there, be it a link. */
  exists(path: string): Promise<boolean>;
  syncFolder(path: string): Promise<void>;
  /** Bytes that this user may still write there. */
  freeBytes(path: string): Promise<number>;
}

/** The file system of this machine. */
export const systemFiles: RecordingFiles = {
  makeFolder: (path) => mkdir(path, { mode: 0o700 }),
  create: createFile,
  rename,
  async remove(path) {
    await unlink(path).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  },
  touch: (path, epochMs) => utimes(path, epochMs / 1000, epochMs / 1000),
  async exists(path) {
    try {
      await lstat(path);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  },
  async syncFolder(path) {
    try {
      const folder = await open(path, 'r');
      await folder.sync().finally(() => folder.close());
    } catch {
      // Not every file system can.
    }
  },
  async freeBytes(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

async function createFile(path: string): Promise<RecordingFile> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  return {
    async write(bytes, position) {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
        if (bytesWritten === 0) throw new Error('the file system takes nothing');
        at += bytesWritten;
      }
    },
    truncate: (length) => file.truncate(length),
    sync: () => file.datasync(),
    close: () => file.close(),
  };
}

/** Runs work in the order in which it came, and only so much of it at once. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * The same files, each operation in its turn. Node has four threads for files and for the names of hosts together: on a
 * disk that hangs, recordings must not keep calls from finding their providers.
 */
export function inTurns(files: RecordingFiles, enter: Turns): RecordingFiles {
  const wrapped = (file: RecordingFile): RecordingFile => ({
    write: (bytes, position) => enter(() => file.write(bytes, position)),
    truncate: (length) => enter(() => file.truncate(length)),
    sync: () => enter(() => file.sync()),
    close: () => enter(() => file.close()),
  });
  return {
    makeFolder: (path) => enter(() => files.makeFolder(path)),
    create: (path) => enter(async () => wrapped(await files.create(path))),
    rename: (from, to) => enter(() => files.rename(from, to)),
    remove: (path) => enter(() => files.remove(path)),
    touch: (path, epochMs) => enter(() => files.touch(path, epochMs)),
    exists: (path) => enter(() => files.exists(path)),
    syncFolder: (path) => enter(() => files.syncFolder(path)),
    freeBytes: (path) => enter(() => files.freeBytes(path)),
  };
}

/** At most so much at once. */
export function turns(most: number): Turns {
  const waiting: (() => void)[] = [];
  let running = 0;
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  };
  return async (work) => {
    if (running < most) running += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      leave();
    }
  };
}
