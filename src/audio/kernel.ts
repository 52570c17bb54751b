import type { Branch, FilterBank } from './filter-bank.ts';

/** Whether this machine has the low byte first, as PCM16 has it on the wire. */
export const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Most new samples that a kernel converts in one go: 120 ms at 8 kHz, 40 ms at 24 kHz. */
export const BLOCK = 960;
/** Room for the longest history of samples before a block, and for what is read and written beyond its end. */
const SPARE = 128;
/** Samples of input that a kernel has room for: history, a period that is not complete, a block. */
export const INPUT_ROOM = BLOCK + SPARE;
/** Samples of output that a kernel has room for: three for each of input. */
export const OUTPUT_ROOM = 3 * INPUT_ROOM;

/**
 * The arithmetic of resampling, and the memory in which it is done. All resamplers of a thread share one: it holds nothing
 * from one run to the next, so that hundreds of calls in turn meet memory that is still in the processor's cache.
 *
 * Inputs are sorted into as many streams as there are places in a period, so that each pair of an output place and a
 * stream is a plain filter over neighbours. Each output is made in the same order wherever it falls in a block, which is
 * why any cutting of the input gives the same bits, and so do all kernels.
 */
export interface Kernel {
  /** Samples in the order of time: `(span - 1) · down` of history, then whole periods. */
  readonly input: SampleRoom;
  /** Where `run` puts the result, from 0 on. */
  readonly output: SampleRoom;
  /** What runs the filters of a bank; made once, for everybody. */
  prepare(bank: FilterBank): Run;
}

/** Memory for samples, seen as samples and as bytes. What is in it is valid until anybody uses the kernel. */
export interface SampleRoom {
  readonly samples: Int16Array;
  /** The same memory, in the order of the machine. */
  readonly bytes: Uint8Array;
}

/** Makes all outputs of that many periods: `periods · up` samples of `output`. */
export type Run = (periods: number) => void;

/** Room for one stream: history, a block, and what is read beyond its end. */
export function strideOf({ span, down }: FilterBank): number {
  return span + Math.ceil(INPUT_ROOM / down / 8) * 8 + 8;
}

/**
 * Adds a filter to `count` running sums: `sums[i] += Σ taps[k] · x[at + i + k]`. The number of taps is a multiple of four.
 * Works on four sums at a time, so up to 3 sums beyond `count` are spoilt, and up to 6 samples beyond the last one
 * needed are read; both arrays must reach that far.
 */
export function convolve(
  x: Float64Array,
  at: number,
  taps: Float64Array,
  sums: Float64Array,
  count: number,
): void {
  const length = taps.length;
  for (let i = 0; i < count; i += 4) {
    const base = at + i;
    let s0 = sums[i]!;
    let s1 = sums[i + 1]!;
    let s2 = sums[i + 2]!;
    let s3 = sums[i + 3]!;
    let x0 = x[base]!;
    let x1 = x[base + 1]!;
    let x2 = x[base + 2]!;
    for (let k = 0; k < length; k += 4) {
      const next = base + k;
      const a = taps[k]!;
      const x3 = x[next + 3]!;
      s0 += a * x0;
      s1 += a * x1;
      s2 += a * x2;
      s3 += a * x3;
      const b = taps[k + 1]!;
      x0 = x[next + 4]!;
      s0 += b * x1;
      s1 += b * x2;
      s2 += b * x3;
      s3 += b * x0;
      const c = taps[k + 2]!;
      x1 = x[next + 5]!;
      s0 += c * x2;
      s1 += c * x3;
      s2 += c * x0;
      s3 += c * x1;
      const d = taps[k + 3]!;
      x2 = x[next + 6]!;
      s0 += d * x3;
      s1 += d * x0;
      s2 += d * x1;
      s3 += d * x2;
    }
    sums[i] = s0;
    sums[i + 1] = s1;
    sums[i + 2] = s2;
    sums[i + 3] = s3;
  }
}

/** To the nearest whole sample; what is louder than full scale stays at full scale instead of wrapping round. */
export function roundToInt16(value: number): number {
  if (value >= 32_767) return 32_767;
  if (value <= -32_768) return -32_768;
  return Math.round(value);
}

/** `count` samples of a piece of memory, from the byte `at` on. */
export function sampleRoom(memory: ArrayBuffer, at: number, count: number): SampleRoom {
  return { samples: new Int16Array(memory, at, count), bytes: new Uint8Array(memory, at, 2 * count) };
}

/** The kernel in plain JavaScript, for where there is no WebAssembly with vectors. */
export function createPlainKernel(): Kernel {
  const input = sampleRoom(new ArrayBuffer(2 * INPUT_ROOM), 0, INPUT_ROOM);
  const output = sampleRoom(new ArrayBuffer(2 * OUTPUT_ROOM), 0, OUTPUT_ROOM);
  const sums = new Float64Array(INPUT_ROOM + 8);
  return {
    input,
    output,
    prepare: (bank) => {
      const { up, down, span, places } = bank;
      const streams = Array.from({ length: down }, () => new Float64Array(strideOf(bank)));
      return (periods) => {
        for (let i = 0; i < down; i++) spread(input.samples, i, down, streams[i]!, span - 1 + periods);
        for (let j = 0; j < up; j++) {
          sumPlace(places[j]!, streams, sums, periods);
          for (let p = 0, at = j; p < periods; p++, at += up) output.samples[at] = roundToInt16(sums[p]!);
        }
      };
    },
  };
}

/** One output place of every period. */
function sumPlace(
  branches: readonly Branch[],
  streams: readonly Float64Array[],
  sums: Float64Array,
  count: number,
): void {
  sums.fill(0, 0, count + 4);
  for (let b = 0; b < branches.length; b++) {
    const { stream, first, taps } = branches[b]!;
    if (taps.length === 1) addScaled(streams[stream]!, first, taps[0]!, sums, count);
    else convolve(streams[stream]!, first, taps, sums, count);
  }
}

/** Every `step`-th sample from `at` on. */
function spread(input: Int16Array, at: number, step: number, stream: Float64Array, count: number): void {
  for (let p = 0, from = at; p < count; p++, from += step) stream[p] = input[from]!;
}

function addScaled(x: Float64Array, at: number, tap: number, sums: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) sums[i]! += tap * x[at + i]!;
}
