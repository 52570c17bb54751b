import { type AudioFormat, formatName, sameFormat } from '../../audio/format.ts';
import { dbm0 } from '../../audio/tone.ts';
import type { ChannelAudio } from './channel-audio.ts';
import { causeOf } from './diagnosis.ts';
import type { AudioCause, AudioDifference } from './difference.ts';
import { lengthOf, type Piece, rms, type Tally } from './piece.ts';

export interface AudioTerms {
  /** The tolerance. */
  readonly sample: number;
  /** It is looked at closer what the difference is; that takes milliseconds. */
  readonly diagnose: boolean;
  /** What is found beyond the end of the expected piece does not count. */
  readonly isOpenEnded: boolean;
}

/** A difference in a piece of audio; `sample` is where, counted in the piece. */
export interface AudioVerdict {
  readonly sample: number;
  readonly audio: AudioDifference;
}

/** Samples that are compared at a time. */
const BLOCK = 8_192;
const LEVEL_MS = 20;

/** Compares a piece of audio by its samples; undefined: it is the same. */
export function compareAudio(piece: Piece, terms: AudioTerms): AudioVerdict | undefined {
  const [long, found] = [lengthOf(piece.inExpected), lengthOf(piece.inFound)];
  const { expected: a, found: b } = piece;
  if (long > 0 && found > 0 && a.format && b.format && !sameFormat(a.format, b.format)) {
    const cause = { type: 'format', expected: formatName(a.format), found: formatName(b.format) } as const;
    return describe(piece, 0, { differing: Math.min(long, found) }, cause);
  }
  const common = Math.min(long, found);
  const tally = count(piece, common, terms.sample);
  if (tally.differing === 0) {
    if (long === found || (found > long && terms.isOpenEnded)) return undefined;
    const ms = (found > 0 ? b : a).ms(Math.abs(found - long));
    return describe(piece, common, tally, { type: found < long ? 'short' : 'long', ms });
  }
  const cause = terms.diagnose ? causeOf(piece, tally) : ({ type: 'other' } as const);
  return describe(piece, tally.first, tally, cause);
}

/** A difference of which is known what and where it is. */
export function moveTo(
  piece: Piece,
  { audio }: AudioVerdict,
  sample: number,
  cause: AudioCause,
): AudioVerdict {
  return describe(piece, sample, audio, cause);
}

function count({ expected, found, inExpected, inFound }: Piece, samples: number, tolerance: number): Tally {
  const tally: Tally = { first: Number.POSITIVE_INFINITY, last: 0, differing: 0 };
  for (let at = 0; at < samples; at += BLOCK) {
    const to = Math.min(samples, at + BLOCK);
    const a = expected.bytes(inExpected.from + at, inExpected.from + to);
    const b = found.bytes(inFound.from + at, inFound.from + to);
    if (Buffer.compare(a, b) === 0) continue;
    countBlock(
      expected.pcm(inExpected.from + at, inExpected.from + to),
      found.pcm(inFound.from + at, inFound.from + to),
      at,
      tolerance,
      tally,
    );
  }
  return tally;
}

function countBlock(a: Int16Array, b: Int16Array, at: number, tolerance: number, tally: Tally): void {
  for (const [i, sample] of a.entries()) {
    if (Math.abs(sample - (b[i] ?? 0)) <= tolerance) continue;
    tally.differing += 1;
    tally.last = at + i;
    if (tally.first > at + i) tally.first = at + i;
  }
}

function describe(
  { expected, found, inExpected, inFound }: Piece,
  sample: number,
  { differing }: Pick<Tally, 'differing'>,
  cause: AudioCause,
): AudioVerdict {
  const at = inExpected.from + sample;
  const there = inFound.from + sample;
  const place = expected.place(at);
  const foundPlace = found.place(there);
  const known = place ?? foundPlace;
  const [a, b] = [levelAt(expected, at, inExpected.to), levelAt(found, there, inFound.to)];
  const audio: AudioDifference = {
    wav: known?.wav ?? '',
    sample: known?.sample ?? 0,
    ms: (place ? expected : found).ms(known?.sample ?? 0),
    foundWav: foundPlace?.wav,
    foundSample: foundPlace?.sample,
    expectedValue: a.value,
    foundValue: b.value,
    expectedDbm0: a.level,
    foundDbm0: b.level,
    differing,
    compared: Math.min(lengthOf(inExpected), lengthOf(inFound)),
    expectedMs: expected.ms(lengthOf(inExpected)),
    foundMs: found.ms(lengthOf(inFound)),
    cause,
  };
  return { sample, audio };
}

function levelAt(
  audio: ChannelAudio,
  from: number,
  to: number,
): { readonly value: number | undefined; readonly level: number | undefined } {
  const rate: AudioFormat['rate'] = audio.format?.rate ?? 8000;
  const pcm = audio.pcm(from, Math.min(to, from + (rate / 1000) * LEVEL_MS));
  const level = dbm0(rms(pcm, 0, pcm.length));
  return { value: pcm[0], level: Number.isFinite(level) ? Math.round(level * 10) / 10 : undefined };
}
