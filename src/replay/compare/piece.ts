import type { ChannelAudio } from './channel-audio.ts';

/** Sound below this RMS, in steps of PCM16, is nothing: the noise of G.711. */
export const SILENT = 12;

/** Samples of a channel, from the first up to and without the last. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** A piece of audio between two other lines, in both calls. */
export interface Piece {
  readonly expected: ChannelAudio;
  readonly found: ChannelAudio;
  readonly inExpected: Stretch;
  readonly inFound: Stretch;
}

/** What was found sample by sample; counted from the beginning of the piece. */
export interface Tally {
  /** Infinity: none. */
  first: number;
  last: number;
  differing: number;
}

/** In samples. */
export function lengthOf({ from, to }: Stretch): number {
  return Math.max(0, to - from);
}

/** Of a stretch of samples; 0 for none. */
export function rms(samples: Int16Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += (samples[i] ?? 0) ** 2;
  return Math.sqrt(sum / Math.max(1, to - from));
}
