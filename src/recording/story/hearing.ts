import type { AudioRef } from '../format.ts';

/** Audio that lay on the line at a time: `ms` of it from `atMs` on, which is sample `at` of the WAV and those after it. */
export interface Piece {
  readonly atMs: number;
  readonly ms: number;
  readonly wav: string;
  readonly at: number;
}

/** What became of a mark. `cleared`: the audio before it was dropped, whatever the carrier said then. */
export interface Mark {
  readonly name: string;
  readonly conn: number;
  readonly sentMs: number;
  readonly fate: 'echoed' | 'cleared' | 'lost';
  /** When the carrier named it. */
  readonly backMs: number | undefined;
}

/** The carrier was told to drop what it had not played. */
export interface Clear {
  readonly atMs: number;
  readonly conn: number;
  /** Dropped with it: speech that was sent and not heard. */
  readonly lostMs: number;
}

/** The carrier's buffer ran dry and had to wait for more: `ms` of silence within what was to be one piece of speech. */
export interface Hole {
  readonly atMs: number;
  readonly ms: number;
}

/** How far the carrier was ahead of the caller's ear after something happened; from then on it falls by itself. */
export interface LeadPoint {
  readonly atMs: number;
  readonly leadMs: number;
}

/** What a stream of the carrier made of the audio that it was sent. */
export interface StreamHearing {
  readonly conn: number;
  readonly heard: readonly Piece[];
  /** Sent, and never heard. `atMs`: when it would have been. */
  readonly unheard: readonly Piece[];
  readonly marks: readonly Mark[];
  readonly clears: readonly Clear[];
  readonly holes: readonly Hole[];
  readonly lead: readonly LeadPoint[];
  readonly sent: readonly SentPiece[];
  readonly stretches: readonly Readonly<Stretch>[];
}

/** When position `ms` of a stream was heard; undefined: never. */
export function timeAt({ stretches }: StreamHearing, ms: number): number | undefined {
  const found = stretchAt(stretches, ms);
  return found === undefined || found.dropped ? undefined : found.atMs + ms - found.from;
}

/** The stretch that holds position `ms`; undefined: nothing was sent there. */
export function stretchAt(
  stretches: readonly Readonly<Stretch>[],
  ms: number,
): Readonly<Stretch> | undefined {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((stretches[middle]?.to ?? 0) > ms) high = middle;
    else low = middle + 1;
  }
  const found = stretches[low];
  return found !== undefined && ms >= found.from ? found : undefined;
}

/** Audio as it was handed to the carrier. `position` counts the ms of this stream that were sent before. */
export interface SentPiece {
  readonly atMs: number;
  readonly position: number;
  readonly ms: number;
  readonly ref: AudioRef;
}

/** Plays without a pause: position `from` at `atMs`, up to `to`. */
export interface Stretch {
  /** ms of the stream that were sent before it. */
  readonly from: number;
  to: number;
  atMs: number;
  /** It was handed over: nothing of it was heard before. */
  readonly sentMs: number;
  /** A mark has said so. */
  firm: boolean;
  /** Nobody heard it. */
  readonly dropped: boolean;
}
