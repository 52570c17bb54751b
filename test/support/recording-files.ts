import { type RecordingFile, type RecordingFiles, systemFiles } from '../../src/recording/files.ts';

/** The operations that a test may spoil; `write` is to an open file, and its path is known. */
export type Operation = keyof RecordingFiles | 'write' | 'truncate' | 'sync' | 'close';

/** An error of the file system. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: said the test`), { code });
}

/** The file system of this machine, where `before` may wait or throw first. */
export function spoiledFiles(
  before: (operation: Operation, path: string) => Promise<void> | void,
): RecordingFiles {
  const wrapped = (file: RecordingFile, path: string): RecordingFile => ({
    write: async (bytes, position) => {
      await before('write', path);
      await file.write(bytes, position);
    },
    truncate: async (length) => {
      await before('truncate', path);
      await file.truncate(length);
    },
    sync: async () => {
      await before('sync', path);
      await file.sync();
    },
    close: async () => {
      await file.close();
      await before('close', path);
    },
  });
  return {
    makeFolder: async (path) => {
      await before('makeFolder', path);
      await systemFiles.makeFolder(path);
    },
    create: async (path) => {
      await before('create', path);
      return wrapped(await systemFiles.create(path), path);
    },
    rename: async (from, to) => {
      await before('rename', from);
      await systemFiles.rename(from, to);
    },
    remove: async (path) => {
      await before('remove', path);
      await systemFiles.remove(path);
    },
    touch: async (path, epochMs) => {
      await before('touch', path);
      await systemFiles.touch(path, epochMs);
    },
    exists: async (path) => {
      await before('exists', path);
      return systemFiles.exists(path);
    },
    syncFolder: async (path) => {
      await before('syncFolder', path);
      await systemFiles.syncFolder(path);
    },
    freeBytes: async (path) => {
      await before('freeBytes', path);
      return systemFiles.freeBytes(path);
    },
  };
}
