import type { AudioCause } from './difference.ts';
import { lengthOf, type Piece, rms, type Tally } from './piece.ts';

/** So much of the audio is looked at, from the first sample that differs. */
const LOOK_MS = 400;
/** How far sound is looked for that has been shifted. */
const SHIFT_MS = 300;
/** Two signals with so much in common are the same one. */
const SAME = 0.95;
/** One of them has been made worse. */
const ALIKE = 0.6;
/** Below this it is nothing, in steps of PCM16: the noise of G.711. */
const SILENT = 12;
const LEAST_DB = 0.4;
/** The rate at which is searched, whatever that of the audio is. */
const COARSE_RATE = 8_000;

/** What is wrong with a piece of audio of which some samples differ. */
export function causeOf(piece: Piece, tally: Tally): AudioCause {
  const { expected, found, inExpected, inFound } = piece;
  const rate = expected.format?.rate ?? COARSE_RATE;
  const look = (rate / 1000) * LOOK_MS;
  const reach = (rate / 1000) * SHIFT_MS;
  const end = Math.min(tally.first + look, lengthOf(inExpected), lengthOf(inFound));
  const within = expected.pcm(inExpected.from + tally.first, inExpected.from + end);
  const here = found.pcm(inFound.from + tally.first, inFound.from + end);
  const quiet = silence(within, here);
  if (quiet !== undefined) return quiet;
  const gain = match(within, here, 0);
  if (Math.abs(gain) >= SAME) return scaled(within, here, gain);
  // The sound may have been moved out of this piece, and goes on behind it.
  const a = expected.pcm(inExpected.from + tally.first, inExpected.from + tally.first + look);
  const from = inFound.from + tally.first - reach;
  const before = Math.max(0, from);
  const b = found.pcm(before, from + 2 * reach + look);
  const shift = bestShift(a, b, { zero: reach - (before - from), reach, step: rate / COARSE_RATE });
  if (shift !== undefined) return { type: 'shifted', ms: Math.round((shift * 10_000) / rate) / 10 };
  return Math.abs(gain) >= ALIKE ? noisy(gain) : { type: 'other' };
}

function silence(expected: Int16Array, found: Int16Array): AudioCause | undefined {
  const [a, b] = [rms(expected, 0, expected.length), rms(found, 0, found.length)];
  if (a <= SILENT === b <= SILENT) return undefined;
  return { type: b <= SILENT ? 'silent' : 'not-silent' };
}

/** How much two signals have in common, from -1 to 1; `b` is read from `from` on, as far as both go: half of `a` at least. */
function match(a: Int16Array, b: Int16Array, from: number, step = 1): number {
  const first = Math.max(0, -from);
  const end = Math.min(a.length, b.length - from);
  if (end - first < a.length / 2) return 0;
  let [both, mine, yours] = [0, 0, 0];
  for (let i = first; i < end; i += step) {
    const [x, y] = [a[i] ?? 0, b[from + i] ?? 0];
    both += x * y;
    mine += x * x;
    yours += y * y;
  }
  return mine === 0 || yours === 0 ? 0 : both / Math.sqrt(mine * yours);
}

function scaled(expected: Int16Array, found: Int16Array, gain: number): AudioCause {
  if (gain < 0) return { type: 'inverted' };
  const db = 20 * Math.log10(rms(found, 0, found.length) / rms(expected, 0, expected.length));
  return Math.abs(db) < LEAST_DB ? noisy(gain) : { type: 'gain', db: Math.round(db * 10) / 10 };
}

/** Of two signals that have `c` in common, the part that is not is so far below. */
function noisy(gain: number): AudioCause {
  const common = gain * gain;
  return { type: 'noise', snrDb: Math.round(10 * Math.log10(common / Math.max(1e-9, 1 - common))) };
}

interface Search {
  /** Where in `b` no shift is. */
  readonly zero: number;
  readonly reach: number;
  readonly step: number;
}

/** The shift in samples at which `a` is found in `b`, the smallest of those that are about as good; undefined: nowhere. */
function bestShift(a: Int16Array, b: Int16Array, { zero, reach, step }: Search): number | undefined {
  if (rms(a, 0, a.length) <= SILENT) return undefined;
  const coarse = best(a, b, zero, candidates(0, reach, step), step);
  const fine = step === 1 ? coarse : best(a, b, zero, around(coarse.shift, step), 1);
  return fine.match >= SAME ? fine.shift : undefined;
}

function best(
  a: Int16Array,
  b: Int16Array,
  zero: number,
  shifts: readonly number[],
  step: number,
): { readonly shift: number; readonly match: number } {
  let found = { shift: 0, match: 0 };
  for (const shift of shifts) {
    const value = match(a, b, zero + shift, step);
    if (value > found.match + 0.002) found = { shift, match: value };
  }
  return found;
}

/** From no shift on, to both sides. */
function candidates(middle: number, reach: number, step: number): readonly number[] {
  const all = [middle];
  for (let shift = step; shift <= reach; shift += step) all.push(middle + shift, middle - shift);
  return all;
}

function around(middle: number, step: number): readonly number[] {
  return candidates(middle, step, 1);
}
