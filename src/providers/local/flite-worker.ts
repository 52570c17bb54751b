/**
 * What runs in the speech worker. A worker cannot load this file where the sources run untranslated on Node 20, and
 * needs another name once they are compiled, so it is started from the source text of what is declared here. Hence the
 * rule of this file: nothing may be imported, and nothing outside of the declarations listed in `WORKER_SOURCE` may be
 * used, but what every worker has.
 */

/** A compiled program; opaque, and may be sent to a worker. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: string;
}

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

// The types of Node do not declare WebAssembly; these are the parts that are used.
declare const WebAssembly: {
  readonly Memory: abstract new () => WasmMemory;
  readonly Instance: new (
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

/** A sentence to speak. `voice` is a name that flite knows. */
export interface SpeechJob {
  readonly id: number;
  readonly text: string;
  readonly voice: string;
}

/** Samples at 16 kHz, or why there are none. */
export type SpeechAnswer =
  | { readonly id: number; readonly samples: Int16Array }
  | { readonly id: number; readonly error: string };

/** The part of a message port that the worker needs. */
export interface WorkerPort {
  on(event: 'message', listener: (job: SpeechJob) => void): unknown;
  postMessage(answer: SpeechAnswer, transfer: readonly ArrayBuffer[]): void;
}

/** What `proc_exit` throws, because nothing else ends a program inside its own call. */
export class ProgramExit {
  readonly code: number;

  constructor(code: number) {
    this.code = code;
  }
}

/**
 * The thirteen WASI functions that flite asks for, over memory: one folder, in which files can be created and written,
 * and nothing else of the world. `node:wasi` prints a warning and wants a real folder.
 */
export class MemoryWasi {
  /** What was written, by name. */
  readonly files = new Map<string, { bytes: Uint8Array; size: number; at: number }>();
  /** What the program said to its standard output and error. */
  messages = '';
  memory: WasmMemory | undefined;
  readonly #args: readonly Uint8Array[];
  readonly #open = new Map<number, { bytes: Uint8Array; size: number; at: number }>();
  #nextFile = 4;

  constructor(args: readonly string[]) {
    const encoder = new TextEncoder();
    this.#args = args.map((arg) => encoder.encode(`${arg}\0`));
  }

  /** The import object. Results are errno values: 0 success, 8 bad file, 28 invalid, 52 not supported, 70 not seekable. */
  get imports(): Record<string, (...args: never[]) => number> {
    return {
      args_sizes_get: (count: number, size: number) => this.#argsSizes(count, size),
      args_get: (pointers: number, buffer: number) => this.#argsGet(pointers, buffer),
      // A clock that stands still makes the same text the same samples.
      clock_time_get: (_id: number, _precision: bigint, out: number) => {
        this.#view().setBigUint64(out, 0n, true);
        return 0;
      },
      fd_close: (file: number) => (this.#open.delete(file) ? 0 : 8),
      fd_fdstat_get: (file: number, out: number) => this.#stat(file, out),
      fd_fdstat_set_flags: () => 0,
      fd_prestat_get: (file: number, out: number) => this.#folder(file, out),
      fd_prestat_dir_name: (file: number, out: number, size: number) => {
        if (file !== 3 || size < 1) return 28;
        this.#bytes()[out] = 0x2f;
        return 0;
      },
      fd_read: (file: number, _list: number, _count: number, out: number) => {
        this.#view().setUint32(out, 0, true);
        return file === 0 ? 0 : 8;
      },
      fd_seek: (file: number, offset: bigint, whence: number, out: number) =>
        this.#seek(file, Number(offset), whence, out),
      fd_write: (file: number, list: number, count: number, out: number) =>
        this.#write(file, list, count, out),
      path_open: (
        folder: number,
        _flags: number,
        name: number,
        size: number,
        create: number,
        _rights: bigint,
        _inherited: bigint,
        _fdFlags: number,
        out: number,
      ) => this.#openFile(folder, name, size, create, out),
      proc_exit: (code: number) => {
        throw new ProgramExit(code);
      },
    };
  }

  #buffer(): ArrayBuffer {
    if (this.memory === undefined) throw new Error('the program has no memory');
    return this.memory.buffer;
  }

  #view(): DataView {
    return new DataView(this.#buffer());
  }

  #bytes(): Uint8Array {
    return new Uint8Array(this.#buffer());
  }

  #argsSizes(count: number, size: number): number {
    const view = this.#view();
    view.setUint32(count, this.#args.length, true);
    view.setUint32(
      size,
      this.#args.reduce((sum, arg) => sum + arg.length, 0),
      true,
    );
    return 0;
  }

  #argsGet(pointers: number, buffer: number): number {
    const view = this.#view();
    const bytes = this.#bytes();
    let at = buffer;
    for (const [i, arg] of this.#args.entries()) {
      view.setUint32(pointers + 4 * i, at, true);
      bytes.set(arg, at);
      at += arg.length;
    }
    return 0;
  }

  /** File types: 2 a terminal, 3 a folder, 4 a file; all rights are given. */
  #stat(file: number, out: number): number {
    if (file > 3 && !this.#open.has(file)) return 8;
    this.#bytes().fill(0, out, out + 24);
    const view = this.#view();
    view.setUint8(out, file < 3 ? 2 : file === 3 ? 3 : 4);
    view.setBigUint64(out + 8, 0xffff_ffff_ffff_ffffn, true);
    view.setBigUint64(out + 16, 0xffff_ffff_ffff_ffffn, true);
    return 0;
  }

  #folder(file: number, out: number): number {
    if (file !== 3) return 8;
    const view = this.#view();
    view.setUint32(out, 0, true);
    view.setUint32(out + 4, 1, true);
    return 0;
  }

  #seek(file: number, offset: number, whence: number, out: number): number {
    if (file < 3) return 70;
    const open = this.#open.get(file);
    if (open === undefined) return 8;
    const origin = whence === 0 ? 0 : whence === 1 ? open.at : open.size;
    if (whence > 2 || origin + offset < 0) return 28;
    open.at = origin + offset;
    this.#view().setBigUint64(out, BigInt(open.at), true);
    return 0;
  }

  #write(file: number, list: number, count: number, out: number): number {
    if (file > 2 && !this.#open.has(file)) return 8;
    const view = this.#view();
    let written = 0;
    for (let i = 0; i < count; i++) {
      const from = view.getUint32(list + 8 * i, true);
      const size = view.getUint32(list + 8 * i + 4, true);
      this.#put(file, this.#bytes().subarray(from, from + size));
      written += size;
    }
    view.setUint32(out, written, true);
    return 0;
  }

  #put(file: number, piece: Uint8Array): void {
    const open = this.#open.get(file);
    if (open === undefined) {
      this.messages = (this.messages + new TextDecoder().decode(piece)).slice(-1000);
      return;
    }
    const end = open.at + piece.length;
    if (end > open.bytes.length) {
      const larger = new Uint8Array(Math.max(2 * open.bytes.length, end));
      larger.set(open.bytes);
      open.bytes = larger;
    }
    open.bytes.set(piece, open.at);
    open.at = end;
    open.size = Math.max(open.size, end);
  }

  /** Of the flags of `create`, 1 creates and 8 empties; there is nothing to be found but what was written here. */
  #openFile(folder: number, name: number, size: number, create: number, out: number): number {
    if (folder !== 3) return 8;
    const path = new TextDecoder().decode(this.#bytes().slice(name, name + size));
    let file = this.files.get(path);
    if (file === undefined && (create & 1) === 0) return 44;
    if (file === undefined || (create & 8) !== 0) {
      file = { bytes: new Uint8Array(65_536), size: 0, at: 0 };
      this.files.set(path, file);
    }
    file.at = 0;
    this.#open.set(this.#nextFile, file);
    this.#view().setUint32(out, this.#nextFile, true);
    this.#nextFile += 1;
    return 0;
  }
}

/** The samples of a WAV file as flite writes it: a header of 44 bytes, mono, 16 bit. Throws for anything else. */
export function readFliteWav(bytes: Uint8Array): Int16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWav = bytes.length >= 44 && view.getUint32(0) === 0x52494646 && view.getUint32(36) === 0x64617461;
  if (!isWav) throw new Error(`flite wrote ${bytes.length} bytes that are no WAV file`);
  const [channels, rate, bits] = [
    view.getUint16(22, true),
    view.getUint32(24, true),
    view.getUint16(34, true),
  ];
  if (channels !== 1 || rate !== 16_000 || bits !== 16) {
    throw new Error(`flite wrote ${channels} channels, ${bits} bits at ${rate} Hz, wanted 1, 16 and 16000`);
  }
  const count = Math.min(view.getUint32(40, true), bytes.length - 44) >> 1;
  const samples = new Int16Array(count);
  for (let i = 0; i < count; i++) samples[i] = view.getInt16(44 + 2 * i, true);
  return samples;
}

/** Speaks one text: PCM16 samples at 16 kHz. Throws when the program fails. Blocks for about a tenth of the speech's length. */
export function runFlite(module: WasmModule, voice: string, text: string): Int16Array {
  const wasi = new MemoryWasi(['flite', '-voice', voice, '-t', text, '-o', '/speech.wav']);
  // A program runs once; every text gets a new instance.
  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi.imports });
  const { memory, _start: start } = instance.exports;
  if (!(memory instanceof WebAssembly.Memory) || typeof start !== 'function') {
    throw new Error('flite exports no memory or no start');
  }
  wasi.memory = memory;
  try {
    start();
  } catch (thrown) {
    if (!(thrown instanceof ProgramExit)) throw thrown;
    if (thrown.code !== 0) throw new Error(`flite ended with ${thrown.code}: ${wasi.messages.trim()}`);
  }
  const file = wasi.files.get('speech.wav');
  if (file === undefined) throw new Error(`flite wrote no file: ${wasi.messages.trim()}`);
  return readFliteWav(file.bytes.subarray(0, file.size));
}

/** Answers jobs, one after the other, for as long as the port lives. */
export function serveSpeech(port: WorkerPort, module: WasmModule): void {
  port.on('message', (job) => {
    try {
      const samples = runFlite(module, job.voice, job.text);
      port.postMessage({ id: job.id, samples }, [samples.buffer as ArrayBuffer]);
    } catch (thrown) {
      port.postMessage({ id: job.id, error: thrown instanceof Error ? thrown.message : String(thrown) }, []);
    }
  });
}

/** The worker's program, for `new Worker(…, { eval: true, workerData: module })`. */
export const WORKER_SOURCE = [
  "'use strict';",
  ...[ProgramExit, MemoryWasi, readFliteWav, runFlite, serveSpeech].map(String),
  "const { parentPort, workerData } = require('node:worker_threads');",
  `${serveSpeech.name}(parentPort, workerData);`,
].join('\n');
