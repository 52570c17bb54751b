import { AudioError } from './audio-error.ts';
import { RATES, type Rate } from './format.ts';

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
  /** Most samples that `process` writes for `count` samples of input. */
  capacityFor(count: number): number;
  /**
   * Converts `input[0 … count)`, whatever the count, and writes to `output` from 0 on; returns the samples written.
   * Only a period that is not complete stays inside. `output` must hold `capacityFor(count)` and must not share memory
   * with `input`, which is neither kept nor changed.
   */
  process(input: Int16Array, count: number, output: Int16Array): number;
  /**
   * Ends a stretch of audio: writes what the delay still holds, at most `FLUSH_CAPACITY` samples, and returns how
   * many; afterwards everything is as fresh. With the delay the stretch has given ⌈inputs·to/from⌉ + delaySamples.
   */
  flush(output: Int16Array): number;
  /** Forgets everything that was pushed. */
  reset(): void;
}

/** Room that `flush` needs, in samples. */
export const FLUSH_CAPACITY = 64;

/** Zero crossings of the sinc to each side, at the lower rate: 2 ms at 8 kHz, 1 ms at 16 kHz. */
const LOBES = 16;
/** 74 dB of rejection from 15 % above the cutoff, and 0.002 dB of ripple up to 15 % below it. */
const KAISER_BETA = 7.4;
/** Bounds the memory of an instance and the history's share of the work. */
const BLOCK_PERIODS = 480;

/** The filter from one stream to one output place. */
interface Branch {
  /** Where its first tap falls, counted from the oldest sample of a stream. */
  readonly first: number;
  /** Oldest first; a multiple of four, or a single tap of a pure delay. */
  readonly taps: Float64Array;
  /** Start of the stream in the history. */
  readonly stream: number;
}

/** Everything about a pair of rates that does not change. */
interface Plan {
  readonly up: number;
  readonly down: number;
  /** Length of the longest branch. */
  readonly span: number;
  /** Distance of the streams in the history. */
  readonly stride: number;
  readonly delay: number;
  /** One list for each output place of a period. */
  readonly places: readonly (readonly Branch[])[];
}

/** Bessel function I0, for the Kaiser window. */
function besselI0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** The Kaiser window at `x`, from 0 in the middle to 1 at the edge; 0 beyond it. */
export function kaiser(x: number, beta: number = KAISER_BETA): number {
  const rest = 1 - x * x;
  return rest <= 0 ? 0 : besselI0(beta * Math.sqrt(rest)) / besselI0(beta);
}

/** sin(πx)/πx, exactly 0 at the whole numbers other than 0. */
export function sinc(x: number): number {
  if (x === 0) return 1;
  return Number.isInteger(x) ? 0 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * Adds a filter to `count` running sums: `sums[i] += Σ taps[k] · x[at + i + k]`. The number of taps is a multiple of four.
 * Works on four sums at a time, so up to 3 sums beyond `count` are spoilt, and up to 6 samples beyond the last one
 * needed are read; both arrays must reach that far. Each sum is made in the same order wherever it falls among the
 * four, which is why any cutting of the input gives the same bits.
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

/** The largest whole number that divides both. */
export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The taps from stream `i` to output place `j`, oldest first, without the zeros at both ends. */
function branchTaps(
  tap: (n: number) => number,
  span: number,
  period: number,
  newest: number,
): { first: number; taps: Float64Array } {
  const all = Float64Array.from({ length: span }, (_, k) => tap(newest + period * (span - 1 - k)));
  const first = all.findIndex((value) => value !== 0);
  const end = all.findLastIndex((value) => value !== 0) + 1;
  if (first < 0) return { first: 0, taps: new Float64Array(0) };
  if (end - first === 1) return { first, taps: all.slice(first, end) };
  const start = Math.min(first, span - Math.ceil((end - first) / 4) * 4);
  const length = Math.ceil((end - start) / 4) * 4;
  return { first: start, taps: all.slice(start, start + length) };
}

/** Without this a constant input would come out with a tone at the input rate on top of it. */
function normalise(branches: readonly Branch[]): void {
  let sum = 0;
  for (const { taps } of branches) for (const tap of taps) sum += tap;
  for (const { taps } of branches) for (let k = 0; k < taps.length; k++) taps[k]! /= sum;
}

function pairName(from: number, to: number): string {
  return `${from} to ${to}`;
}

function makePlan(from: Rate, to: Rate): Plan {
  const divisor = greatestCommonDivisor(from, to);
  const up = to / divisor;
  const down = from / divisor;
  // One step is 1/(from·up) s, the grid on which inputs (every `up` steps) and outputs (every `down`) both fall.
  const crossing = Math.max(up, down);
  const half = LOBES * crossing;
  // The shortest delay for which the last input of a period completes all its outputs.
  const delaySteps = half - down;
  const period = up * down;
  const span = Math.ceil((2 * half - up - down + period) / period / 4) * 4;
  const stride = span + BLOCK_PERIODS + 8;
  const tap = (n: number): number => sinc(n / crossing) * kaiser(n / half);
  const places: Branch[][] = [];
  for (let j = 0; j < up; j++) {
    const branches: Branch[] = [];
    for (let i = 0; i < down; i++) {
      const { first, taps } = branchTaps(tap, span, period, j * down - i * up - delaySteps);
      if (taps.length > 0) branches.push({ first, taps, stream: i * stride });
    }
    normalise(branches);
    places.push(branches);
  }
  return { up, down, span, stride, delay: delaySteps / down, places };
}

/** Made once, so that all calls share the taps and thereby the processor's cache. */
const PLANS: ReadonlyMap<string, Plan> = new Map(
  RATES.flatMap((from) =>
    RATES.filter((to) => to !== from).map((to): [string, Plan] => [pairName(from, to), makePlan(from, to)]),
  ),
);

class PolyphaseResampler implements Resampler {
  readonly from: Rate;
  readonly to: Rate;
  readonly delaySamples: number;
  readonly delayMs: number;
  readonly #plan: Plan;
  /** M streams; each begins with the `span - 1` samples before the block that is being filled. */
  readonly #history: Float64Array;
  readonly #sums = new Float64Array(BLOCK_PERIODS + 4);
  /** Complete periods in the block, and samples in the period that is not complete. */
  #periods = 0;
  #place = 0;
  #used = false;

  constructor(from: Rate, to: Rate, plan: Plan) {
    this.from = from;
    this.to = to;
    this.#plan = plan;
    this.#history = new Float64Array(plan.stride * plan.down);
    this.delaySamples = plan.delay;
    this.delayMs = (plan.delay * 1000) / to;
  }

  capacityFor(count: number): number {
    const { up, down } = this.#plan;
    return Math.floor((count + this.#place) / down) * up;
  }

  process(input: Int16Array, count: number, output: Int16Array): number {
    if (output.length < this.capacityFor(count)) {
      throw new AudioError(
        `resample output holds ${output.length} samples, wanted ${this.capacityFor(count)} for ${count} of input`,
      );
    }
    let taken = 0;
    let written = 0;
    while (taken < count) {
      taken += this.#fill(input, taken, count);
      written = this.#drain(output, written);
    }
    return written;
  }

  flush(output: Int16Array): number {
    if (!this.#used) return 0;
    const { up, down, delay } = this.#plan;
    const wanted = Math.ceil((this.#place * up) / down) + delay;
    const { stride, span } = this.#plan;
    const periods = Math.ceil(wanted / up);
    for (let i = 0; i < down; i++) {
      const start = i * stride + span - 1;
      this.#history.fill(0, start + (i < this.#place ? 1 : 0), start + periods);
    }
    this.#periods = periods;
    this.#place = 0;
    const spare = new Int16Array(periods * up);
    this.#drain(spare, 0);
    for (let i = 0; i < wanted; i++) output[i] = spare[i]!;
    this.reset();
    return wanted;
  }

  reset(): void {
    this.#history.fill(0);
    this.#periods = 0;
    this.#place = 0;
    this.#used = false;
  }

  /** Sorts samples into the streams until the block is full; returns how many it took. */
  #fill(input: Int16Array, from: number, count: number): number {
    const { down, stride, span } = this.#plan;
    const history = this.#history;
    const room = (BLOCK_PERIODS - this.#periods) * down - this.#place;
    const end = Math.min(count, from + room);
    let at = this.#periods + span - 1;
    let place = this.#place;
    for (let i = from; i < end; i++) {
      history[place * stride + at] = input[i]!;
      place += 1;
      if (place === down) {
        place = 0;
        at += 1;
      }
    }
    this.#periods = at - span + 1;
    this.#place = place;
    this.#used = true;
    return end - from;
  }

  /** Makes the outputs of all complete periods, then moves the history back to the start of the streams. */
  #drain(output: Int16Array, written: number): number {
    const { up, down, span, stride, places } = this.#plan;
    const periods = this.#periods;
    if (periods === 0) return written;
    for (let j = 0; j < up; j++) this.#fillPlace(places[j]!, output, written + j);
    for (let i = 0; i < down; i++) {
      const start = i * stride;
      this.#history.copyWithin(start, start + periods, start + periods + span);
    }
    this.#periods = 0;
    return written + periods * up;
  }

  /** One output place of every period in the block. */
  #fillPlace(branches: readonly Branch[], output: Int16Array, first: number): void {
    const sums = this.#sums;
    const periods = this.#periods;
    const { up } = this.#plan;
    sums.fill(0, 0, periods + 4);
    for (let b = 0; b < branches.length; b++) this.#addBranch(branches[b]!);
    for (let p = 0, at = first; p < periods; p++, at += up) output[at] = roundToInt16(sums[p]!);
  }

  #addBranch(branch: Branch): void {
    const { taps } = branch;
    const at = branch.stream + branch.first;
    const sums = this.#sums;
    const history = this.#history;
    const periods = this.#periods;
    if (taps.length > 1) {
      convolve(history, at, taps, sums, periods);
      return;
    }
    const tap = taps[0]!;
    for (let p = 0; p < periods; p++) sums[p]! += tap * history[at + p]!;
  }
}

/** A fresh resampler. Throws BAD_AUDIO for equal rates, which need none, and for rates other than 8000, 16000 and 24000. */
export function createResampler(from: Rate, to: Rate): Resampler {
  const plan = PLANS.get(pairName(from, to));
  if (plan === undefined) {
    throw new AudioError(
      `cannot resample from ${from} to ${to}, wanted two different rates of ${RATES.join(', ')}`,
    );
  }
  return new PolyphaseResampler(from, to, plan);
}
