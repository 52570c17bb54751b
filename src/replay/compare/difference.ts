import type { Edge } from '../../recording/format.ts';

/** How a replay can differ; `id`: one of ours does not stand everywhere where it stood. */
export const DIFFERENCE_KINDS = ['missing', 'additional', 'value', 'id', 'time', 'order', 'audio'] as const;
export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number];

/** What is wrong with a piece of audio, as far as that can be known. Times in ms, levels in dB. */
export type AudioCause =
  /** The same sound, later (`ms` > 0) or earlier. */
  | { readonly type: 'shifted'; readonly ms: number }
  | { readonly type: 'gain'; readonly db: number }
  | { readonly type: 'inverted' }
  /** Nothing where there was sound. */
  | { readonly type: 'silent' }
  /** Sound where there was nothing. */
  | { readonly type: 'not-silent' }
  /** So much is not there, or is there in addition, and the sound goes on behind it. */
  | { readonly type: 'lost' | 'inserted'; readonly ms: number }
  /** It is the same as far as it goes. */
  | { readonly type: 'short' | 'long'; readonly ms: number }
  /** The same sound with something on top of it, so many dB below it. */
  | { readonly type: 'noise'; readonly snrDb: number }
  | { readonly type: 'format'; readonly expected: string; readonly found: string }
  /** Other sound, or nobody has looked closer: only the first of many are looked at. */
  | { readonly type: 'other' };

/** Where a piece of audio differs and how. Samples are counted in their WAV, `ms` is the place in it. */
export interface AudioDifference {
  readonly wav: string;
  readonly sample: number;
  readonly ms: number;
  readonly foundWav: string | undefined;
  readonly foundSample: number | undefined;
  /** The sample at this place as PCM16; undefined: there is none. */
  readonly expectedValue: number | undefined;
  readonly foundValue: number | undefined;
  /** Of the 20 ms from there on, in dBm0; undefined: digital silence, or nothing. */
  readonly expectedDbm0: number | undefined;
  readonly foundDbm0: number | undefined;
  /** Samples of the piece that differ by more than the tolerance, and how many there were to compare. */
  readonly differing: number;
  readonly compared: number;
  readonly expectedMs: number;
  readonly foundMs: number;
  readonly cause: AudioCause;
}

/** One difference between a call and its replay. JSON as it is. */
export interface Difference {
  readonly kind: DifferenceKind;
  /** ms of the call; that of the found line where nothing was expected. */
  readonly t: number;
  readonly edge: Edge;
  readonly conn: number | undefined;
  /** `to the carrier: clear` */
  readonly what: string;
  /** Of the field that differs: `msg.media.payload`, `t`. */
  readonly path: string | undefined;
  /** Other fields of the line that differ too, at most five. */
  readonly also: readonly string[];
  readonly expected: unknown;
  readonly found: unknown;
  /** Indexes into the lines of the two calls, from 0. */
  readonly expectedLine: number | undefined;
  readonly foundLine: number | undefined;
  readonly audio: AudioDifference | undefined;
}
