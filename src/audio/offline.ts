import waveResampler from 'wave-resampler';
import { AudioError } from './audio-error.ts';
import { greatestCommonDivisor, kaiser, sinc } from './filter-bank.ts';
import { convolve, roundToInt16 } from './kernel.ts';

/** Zero crossings of the kernels to each side. */
const LOBES = 16;
/** Edge of the stopband of both filters, relative to their cutoff; the passband ends as far below it. */
const EDGE = 1.15;
const WINDOW_STEPS = 4096;
const HIGHEST_RATE = 768_000;
/** Up to 1:96; a filter longer than that is a mistake in a header. */
const LARGEST_RATIO = 96;

/** The Kaiser window of the interpolation, tabulated: the package asks for it once for every tap of every sample. */
const WINDOW = Float64Array.from({ length: WINDOW_STEPS + 2 }, (_, i) => kaiser(i / WINDOW_STEPS));

function interpolationWindow(x: number): number {
  const at = (Math.abs(x) / LOBES) * WINDOW_STEPS;
  if (at >= WINDOW_STEPS) return 0;
  const below = Math.floor(at);
  return WINDOW[below]! + (at - below) * (WINDOW[below + 1]! - WINDOW[below]!);
}

/** Copies with `lead` samples before and `trail` after: the signal mirrored in its first and last sample. */
function mirrored(samples: Int16Array, lead: number, trail: number): Float64Array {
  const last = samples.length - 1;
  const period = Math.max(1, 2 * last);
  const padded = new Float64Array(lead + samples.length + trail);
  for (let i = 0; i < padded.length; i++) {
    const at = (((i - lead) % period) + period) % period;
    padded[i] = samples[at > last ? period - at : at]!;
  }
  return padded;
}

/** Removes what the lower rate cannot carry; `cutoff` relative to half of the rate. Linear phase, no delay. */
function lowPass(x: Float64Array, cutoff: number): Float64Array {
  const half = Math.ceil(LOBES / cutoff / 4) * 4;
  const taps = Float64Array.from(
    { length: 2 * half },
    (_, k) => sinc((k - half) * cutoff) * kaiser((k - half) / half),
  );
  const sum = taps.reduce((a, b) => a + b, 0);
  for (let k = 0; k < taps.length; k++) taps[k]! /= sum;
  // Room at both ends for the filter, and for the block of four sums that `convolve` makes at a time.
  const room = new Float64Array(x.length + 2 * half + 8);
  room.set(x, half);
  const sums = new Float64Array(x.length + 4);
  convolve(room, 0, taps, sums, x.length);
  return sums.subarray(0, x.length);
}

/** Cutoff of the low-pass relative to half of `from`; near 1:1 it leaves room for the images of the interpolation. */
function cutoffFor(from: number, to: number): number {
  return Math.min(to / from, (2 - EDGE) / EDGE);
}

function assertRates(from: number, to: number): void {
  const usable = (rate: number): boolean => Number.isInteger(rate) && rate >= 1 && rate <= HIGHEST_RATE;
  if (usable(from) && usable(to) && Math.max(from / to, to / from) <= LARGEST_RATIO) return;
  throw new AudioError(
    `cannot resample from ${from} to ${to} Hz, wanted whole numbers up to ${HIGHEST_RATE}, at most 1:${LARGEST_RATIO} apart`,
  );
}

/**
 * A whole recording at another rate, new samples, `round(length · toRate / fromRate)` of them; for files, where all of
 * the audio is there at once. At least 60 dB of rejection; sample k of the result is at k·fromRate/toRate exactly;
 * the ends are as loud as the rest. Throws BAD_AUDIO for rates that cannot be used.
 *
 * wave-resampler interpolates. Left to itself it stretches the signal by a sample, droops and aliases, so it is given
 * a signal that is band-limited already, an own window, and lengths for which its step comes out exact.
 */
export function resampleWhole(samples: Int16Array, fromRate: number, toRate: number): Int16Array {
  assertRates(fromRate, toRate);
  if (fromRate === toRate || samples.length === 0) return samples.slice();
  const divisor = greatestCommonDivisor(fromRate, toRate);
  // Inputs after which the grids of both rates meet again: a lead of whole groups shifts the output by whole samples.
  const group = fromRate / divisor;
  const context = Math.ceil(LOBES / cutoffFor(fromRate, toRate)) + LOBES + 8;
  const leadGroups = Math.ceil(context / group);
  const lead = leadGroups * group;
  const groups = Math.ceil((lead + samples.length + context) / group);
  // The package takes steps of (length - 1) / outputs.
  const length = groups * group + 1;
  const padded = mirrored(samples, lead, length - lead - samples.length);
  const outputs = groups * (toRate / divisor);
  const source = fromRate > toRate ? lowPass(padded, cutoffFor(fromRate, toRate)) : padded;
  // The package makes as many samples as this ratio says; the half keeps rounding from taking one away.
  const made = waveResampler.resample(source, fromRate, (fromRate * (outputs + 0.5)) / length, {
    method: 'sinc',
    sincFilterSize: LOBES,
    sincWindow: interpolationWindow,
    LPF: false,
  });
  const first = leadGroups * (toRate / divisor);
  const result = new Int16Array(Math.round((samples.length * toRate) / fromRate));
  for (let i = 0; i < result.length; i++) result[i] = roundToInt16(made[first + i]!);
  return result;
}
