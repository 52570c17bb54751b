import type { Rate } from './format.ts';

/** Zero crossings of the sinc to each side, at the lower rate: 2 ms at 8 kHz, 1 ms at 16 kHz. */
const LOBES = 16;
/** 74 dB of rejection from 15 % above the cutoff, and 0.002 dB of ripple up to 15 % below it. */
const KAISER_BETA = 7.4;

/** The filter from one stream of inputs to one output place. */
export interface Branch {
  /** The place in the period whose inputs it takes. */
  readonly stream: number;
  /** Where its first tap falls, counted from the oldest input that is kept. */
  readonly first: number;
  /** Oldest first; a multiple of four, or a single tap of a pure delay. */
  readonly taps: Float64Array;
}

/** The filters between two rates: `up` outputs are due for every `down` inputs, which is a period. */
export interface FilterBank {
  readonly up: number;
  readonly down: number;
  /** Periods that an output is made of: the present one and `span - 1` before. */
  readonly span: number;
  /** In output samples. */
  readonly delay: number;
  /** One list for each output place of a period; sums are made in this order, tap after tap. */
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

/** Designs the filters between two different rates. */
export function designFilters(from: Rate, to: Rate): FilterBank {
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
  const tap = (n: number): number => sinc(n / crossing) * kaiser(n / half);
  const places: Branch[][] = [];
  for (let j = 0; j < up; j++) {
    const branches: Branch[] = [];
    for (let i = 0; i < down; i++) {
      const { first, taps } = branchTaps(tap, span, period, j * down - i * up - delaySteps);
      if (taps.length > 0) branches.push({ stream: i, first, taps });
    }
    normalise(branches);
    places.push(branches);
  }
  return { up, down, span, delay: delaySteps / down, places };
}
