import { AudioError } from './audio-error.ts';
import { designFilters, type FilterBank } from './filter-bank.ts';
import { RATES, type Rate } from './format.ts';
import { BLOCK, createPlainKernel, type Kernel, type Run } from './kernel.ts';
import { createWasmKernel } from './kernel-wasm.ts';

/**
 * Streaming conversion between two of the rates 8000, 16000 and 24000.
 *
 * A windowed-sinc low-pass, evaluated only where an output sample is due. `L` outputs are due for every `M` inputs
 * (8 to 24 kHz: L 3, M 1; 24 to 16 kHz: L 2, M 3); such a group is a period. Inputs are kept as M streams, one for each
 * place in the period, so that each pair of an output place and a stream is a plain filter over neighbours, and four
 * outputs can share every load.
 *
 * The cutoff (-6 dB) is half of the lower rate. That puts the zeros of the sinc on the grid of the lower rate, so a
 * third or half of the taps vanish, and going up the input samples come out again unchanged among the new ones.
 */
export interface Resampler {
  readonly from: Rate;
  readonly to: Rate;
  /** Constant delay of the output, in output samples and in ms: sample k of the input is heard at k·to/from + this. */
  readonly delaySamples: number;
  readonly delayMs: number;
  /** Samples that `count` more samples of input will make. */
  capacityFor(count: number): number;
  /**
   * Begins a block: returns the index in `kernel.input` at which up to `BLOCK` samples are to be written. They have to be
   * there, and `convert` to be called, before anybody else uses the kernel; whoever opens and does not convert has changed
   * nothing.
   */
  open(): number;
  /**
   * Converts the samples that were written, whatever the count, and returns how many there are in `kernel.output` now. Only
   * a period that is not complete stays inside. Throws BAD_AUDIO for more than `BLOCK`.
   */
  convert(count: number): number;
  /**
   * Ends a stretch of audio: makes what the delay still holds, and returns how many samples there are in `kernel.output`;
   * afterwards everything is as fresh. With them the stretch has given ⌈inputs·to/from⌉ + delaySamples.
   */
  finish(): number;
  /** Forgets everything that was converted. */
  reset(): void;
}

/** A kernel with the filters of every pair of rates. */
export interface Converter {
  readonly kernel: Kernel;
  readonly conversions: ReadonlyMap<string, Conversion>;
}

interface Conversion {
  readonly bank: FilterBank;
  readonly run: Run;
}

function pairName(from: number, to: number): string {
  return `${from} to ${to}`;
}

/** Prepares a kernel for every pair of rates. */
export function createConverter(kernel: Kernel): Converter {
  const pairs = RATES.flatMap((from) => RATES.filter((to) => to !== from).map((to) => ({ from, to })));
  const conversions = new Map<string, Conversion>();
  for (const { from, to } of pairs) {
    const bank = designFilters(from, to);
    conversions.set(pairName(from, to), { bank, run: kernel.prepare(bank) });
  }
  return { kernel, conversions };
}

/**
 * What all resamplers of a thread work with. Made once, so that all calls share taps and memory, and thereby the
 * processor's cache; nothing in it outlives the call of a function.
 */
export const CONVERTER: Converter = createConverter(createWasmKernel() ?? createPlainKernel());

class PolyphaseResampler implements Resampler {
  readonly from: Rate;
  readonly to: Rate;
  readonly delaySamples: number;
  readonly delayMs: number;
  readonly #input: Int16Array;
  readonly #up: number;
  readonly #down: number;
  readonly #run: Run;
  /** Samples that outputs to come are still made of. */
  readonly #history: number;
  /** The history, then the samples of the period that is not complete. */
  readonly #tail: Int16Array;
  #place = 0;
  #used = false;

  constructor(from: Rate, to: Rate, { bank, run }: Conversion, kernel: Kernel) {
    this.from = from;
    this.to = to;
    this.#input = kernel.input.samples;
    this.#up = bank.up;
    this.#down = bank.down;
    this.#run = run;
    this.#history = (bank.span - 1) * bank.down;
    this.#tail = new Int16Array(this.#history + bank.down - 1);
    this.delaySamples = bank.delay;
    this.delayMs = (bank.delay * 1000) / to;
  }

  capacityFor(count: number): number {
    return Math.floor((count + this.#place) / this.#down) * this.#up;
  }

  open(): number {
    this.#input.set(this.#tail);
    return this.#history + this.#place;
  }

  convert(count: number): number {
    if (count === 0) return 0;
    if (count > BLOCK) throw new AudioError(`resample block has ${count} samples, wanted at most ${BLOCK}`);
    const samples = this.#place + count;
    const periods = Math.floor(samples / this.#down);
    if (periods > 0) this.#run(periods);
    const tail = this.#tail;
    const input = this.#input;
    const from = periods * this.#down;
    for (let i = 0; i < tail.length; i++) tail[i] = input[from + i]!;
    this.#place = samples - from;
    this.#used = true;
    return periods * this.#up;
  }

  finish(): number {
    if (!this.#used) return 0;
    const wanted = Math.ceil((this.#place * this.#up) / this.#down) + this.delaySamples;
    const periods = Math.ceil(wanted / this.#up);
    this.#input.fill(0, this.open(), this.#history + periods * this.#down);
    this.#run(periods);
    this.reset();
    return wanted;
  }

  reset(): void {
    this.#tail.fill(0);
    this.#place = 0;
    this.#used = false;
  }
}

/** A fresh resampler. Throws BAD_AUDIO for equal rates, which need none, and for rates other than 8000, 16000 and 24000. */
export function createResampler(from: Rate, to: Rate, converter = CONVERTER): Resampler {
  const conversion = converter.conversions.get(pairName(from, to));
  if (conversion === undefined) {
    throw new AudioError(
      `cannot resample from ${from} to ${to}, wanted two different rates of ${RATES.join(', ')}`,
    );
  }
  return new PolyphaseResampler(from, to, conversion, converter.kernel);
}
