import { frameBytes, type WavFormat, wavHeader } from '../audio/wav.ts';
import type { RecordingFile, RecordingFiles } from './files.ts';

/** What waits to be written is kept in pieces of this size. */
const BLOCK_BYTES = 16_384;
/** What the header of a WAV says while it grows: readers take what is there. */
export const UNKNOWN_BYTES = 0xffff_ffff;

/** Bytes that wait to be written, in order. */
class Backlog {
  #full: Uint8Array[] = [];
  #filling = new Uint8Array(0);
  #filled = 0;

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#filled === this.#filling.length) this.#next(bytes.length - at);
      const count = Math.min(bytes.length - at, this.#filling.length - this.#filled);
      this.#filling.set(bytes.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
    }
  }

  take(): Uint8Array {
    const pieces = [...this.#full, this.#filling.subarray(0, this.#filled)];
    this.#full = [];
    this.#filling = new Uint8Array(0);
    this.#filled = 0;
    const only = pieces.length === 1 ? pieces[0] : undefined;
    return only ?? Buffer.concat(pieces);
  }

  #next(wanted: number): void {
    if (this.#filled > 0) this.#full.push(this.#filling);
    this.#filling = new Uint8Array(Math.max(BLOCK_BYTES, wanted));
    this.#filled = 0;
  }
}

/** A file of a recording that grows; it is made when there is something to write. */
export class OutFile {
  readonly #path: string;
  readonly #files: RecordingFiles;
  readonly #wav: WavFormat | undefined;
  readonly #start: number;
  readonly #backlog = new Backlog();
  #file: RecordingFile | undefined;
  /** Bytes behind the header that are in the file, whole writes only. */
  #onDisk = 0;

  /** `wav`: it has this header. */
  constructor(path: string, files: RecordingFiles, wav?: WavFormat) {
    this.#path = path;
    this.#files = files;
    this.#wav = wav;
    this.#start = wav === undefined ? 0 : wavHeader(wav, 0).length;
  }

  /** Copies the bytes. */
  push(bytes: Uint8Array): void {
    this.#backlog.push(bytes);
  }

  /** What waits, for `write`. */
  take(): Uint8Array {
    return this.#backlog.take();
  }

  /** Rejects with the error of the file system; the file may then hold more than was written whole, see `close`. */
  async write(bytes: Uint8Array): Promise<void> {
    const file = this.#file ?? (await this.#create());
    await file.write(bytes, this.#start + this.#onDisk);
    this.#onDisk += bytes.length;
  }

  async #create(): Promise<RecordingFile> {
    const file = await this.#files.create(this.#path);
    this.#file = file;
    if (this.#wav !== undefined) await file.write(wavHeader(this.#wav, UNKNOWN_BYTES), 0);
    return file;
  }

  /**
   * Cuts off what was not written whole, finishes the header and syncs. Rejects with the first error of the file system,
   * and has closed the file all the same.
   */
  async close(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      await this.#finish(file);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #finish(file: RecordingFile): Promise<void> {
    const wav = this.#wav;
    const end = this.#start + this.#onDisk;
    await file.truncate(end);
    if (wav === undefined) return;
    const width = frameBytes(wav);
    const audio = Math.ceil(this.#onDisk / width) * width;
    // Whole frames, and then an even number of bytes.
    const padding = audio + (audio % 2) - this.#onDisk;
    if (padding > 0) await file.write(new Uint8Array(padding), end);
    await file.write(wavHeader(wav, audio), 0);
  }
}
