import type { AudioCause } from './difference.ts';
import { lengthOf, type Piece, rms, SILENT, type Tally } from './piece.ts';

/** So much of the audio is looked at, from the first sample that differs. */
const LOOK_MS = 400;
/** How far sound is looked for that has been shifted. */
const SHIFT_MS = 300;
/** Two signals with so much in common are the same one. */
const SAME = 0.95;
/** One of them has been made worse. */
const ALIKE = 0.6;
const LEAST_DB = 0.4;
/** What repeats itself is found at the first place, although another may fit a little better. */
const MARGIN = 0.002;
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
  const [a, b] = [expected, found].map((audio, side) => {
    const from = (side === 0 ? inExpected : inFound).from + tally.first;
    return audio.pcm(from, from + reach + look);
  });
  const shift = shiftOf(a ?? within, b ?? here, look, rate / COARSE_RATE);
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
  const end = Math.min(a.length, b.length - from);
  if (end < a.length / 2) return 0;
  let [both, mine, yours] = [0, 0, 0];
  for (let i = 0; i < end; i += step) {
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

interface Shift {
  readonly shift: number;
  readonly match: number;
}

/** By how many samples the sound is late, below 0 early; undefined: it is not there. What was lost is early from there on. */
function shiftOf(expected: Int16Array, found: Int16Array, look: number, step: number): number | undefined {
  const late = bestShift(expected.subarray(0, look), found, step);
  const early = bestShift(found.subarray(0, look), expected, step);
  const better = late.match >= early.match ? late.shift : -early.shift;
  return Math.max(late.match, early.match) >= SAME ? better : undefined;
}

/** The place in `b` at which `a` is found, the first of those that are about as good. */
function bestShift(a: Int16Array, b: Int16Array, step: number): Shift {
  if (rms(a, 0, a.length) <= SILENT) return { shift: 0, match: 0 };
  const coarse = best(a, b, step, b.length, step, step);
  return step === 1 ? coarse : best(a, b, coarse.shift - step, coarse.shift + step, 1, 1);
}

function best(a: Int16Array, b: Int16Array, from: number, to: number, each: number, step: number): Shift {
  let found: Shift = { shift: 0, match: 0 };
  for (let shift = Math.max(1, from); shift <= to; shift += each) {
    const value = match(a, b, shift, step);
    if (value > found.match + MARGIN) found = { shift, match: value };
  }
  return found;
}
