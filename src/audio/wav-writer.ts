import { close as closeDescriptor, closeSync, openSync, write as writeFile, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { frameBytes, type WavFormat, wavHeader } from './wav.ts';

/** A WAV file that grows. */
export interface WavWriter {
  /** Audio bytes taken so far. */
  readonly bytes: number;
  /** Audio bytes refused because the disk was too slow or failed. */
  readonly droppedBytes: number;
  /** Copies audio in the file's encoding, channels interleaved, any length; false when it had to be dropped. */
  write(bytes: Uint8Array): boolean;
  /** Resolves when all audio taken so far is in the file, or with the first error of the file system: never rejects. */
  flush(): Promise<Error | undefined>;
  /**
   * Writes the rest and the final header. Idempotent. Rejects with the first error of the file system; what was on
   * disk until then stays a readable file.
   */
  close(): Promise<void>;
}

/** Audio is put on disk a second at a time, and the header with it. */
const FLUSH_MS = 1000;
/** Audio that may wait for a slow disk, in ms. */
const BACKLOG_MS = 30_000;

const writeAt = promisify(writeFile);
const closeFile = promisify(closeDescriptor);

class FileWavWriter implements WavWriter {
  bytes = 0;
  droppedBytes = 0;
  readonly #format: WavFormat;
  readonly #file: number;
  /** Where the audio begins in the file. */
  readonly #start: number;
  readonly #flushBytes: number;
  readonly #maxWaiting: number;
  /** Full buffers, oldest first, then the one that is being filled. */
  readonly #full: Uint8Array[] = [];
  #filling: Uint8Array;
  #filled = 0;
  #onDisk = 0;
  #running = false;
  #work: Promise<void> = Promise.resolve();
  #error: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(file: number, format: WavFormat, start: number) {
    const bytesPerMs = (format.rate * frameBytes(format)) / 1000;
    this.#file = file;
    this.#start = start;
    this.#format = format;
    this.#flushBytes = Math.ceil(bytesPerMs * FLUSH_MS);
    this.#maxWaiting = Math.ceil(bytesPerMs * BACKLOG_MS);
    this.#filling = new Uint8Array(this.#flushBytes);
  }

  write(bytes: Uint8Array): boolean {
    const stuck = this.bytes - this.#onDisk > this.#maxWaiting;
    if (stuck || this.#closing !== undefined || this.#error !== undefined) {
      this.droppedBytes += bytes.length;
      return false;
    }
    for (let at = 0; at < bytes.length; ) {
      const count = Math.min(bytes.length - at, this.#flushBytes - this.#filled);
      this.#filling.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === this.#flushBytes) this.#retire();
    }
    this.bytes += bytes.length;
    return true;
  }

  async flush(): Promise<Error | undefined> {
    if (this.#closing === undefined) this.#retire();
    await this.#work;
    return this.#error;
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  /** Hands what was filled over to the disk. */
  #retire(): void {
    if (this.#filled === 0) return;
    this.#full.push(this.#filling.subarray(0, this.#filled));
    this.#filling = new Uint8Array(this.#flushBytes);
    this.#filled = 0;
    if (this.#running || this.#error !== undefined) return;
    this.#running = true;
    this.#work = this.#drain().catch((error: unknown) => {
      this.#error = error instanceof Error ? error : new Error(String(error));
      this.#full.length = 0;
      this.#running = false;
    });
  }

  async #drain(): Promise<void> {
    for (let next = this.#full[0]; next !== undefined; next = this.#full[0]) {
      await this.#put(next, this.#start + this.#onDisk);
      this.#full.shift();
      this.#onDisk += next.length;
      // Audio first, so that a header never promises what is not there.
      await this.#put(wavHeader(this.#format, this.#onDisk), 0);
    }
    this.#running = false;
  }

  async #put(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await writeAt(this.#file, bytes, at, bytes.length - at, position + at)).bytesWritten;
    }
  }

  async #finish(): Promise<void> {
    this.#retire();
    await this.#work;
    try {
      if (this.#error !== undefined) throw this.#error;
      const end = this.#start + this.#onDisk;
      if (end % 2 === 1) await this.#put(new Uint8Array(1), end);
    } finally {
      await closeFile(this.#file);
    }
  }
}

/**
 * Creates the file, or empties it, and writes a header, so that the file can be opened at any moment from now on: it
 * then holds all audio but that of the last second. Throws BAD_AUDIO for a format that cannot be written, and the file
 * system's error when the file cannot be created.
 */
export function createWavWriter(path: string, format: WavFormat): WavWriter {
  const header = wavHeader(format, 0);
  const file = openSync(path, 'w');
  try {
    writeSync(file, header);
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return new FileWavWriter(file, { ...format }, header.length);
}
