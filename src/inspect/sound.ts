import { gzipSync } from 'node:zlib';
import { decodeG711 } from '../audio/g711.ts';
import { interleave } from '../audio/wav.ts';
import type { Tracks } from '../recording/story.ts';

/** How loud a track is, bucket by bucket: base64 of one byte each, 255 times the square root of the largest sample. */
export interface Peaks {
  readonly bucketMs: number;
  readonly said: string;
  readonly heard: string;
  readonly unheard: string;
}

/** Both tracks, left said and right heard, as mu-law at 8 kHz: pieces of `chunkMs`, each packed by gzip, as base64. */
export interface Sound {
  readonly chunkMs: number;
  readonly chunks: readonly string[];
  /** Of all chunks, as text. */
  readonly bytes: number;
}

/** Figures of an hour in this resolution take half a megabyte. */
const LONG_MS = 600_000;
const CHUNK_MS = 60_000;
const PER_MS = 8;
const ALL_CODES = Uint8Array.from({ length: 256 }, (_, code) => code);

/** The waveforms, so that a page need not read the sound to draw them. */
export function peaksOf({ said, heard, unheard }: Tracks): Peaks {
  const bucketMs = said.length / PER_MS > LONG_MS ? 20 : 5;
  const encode = (track: Uint8Array): string => Buffer.from(loudness(track, bucketMs)).toString('base64');
  return { bucketMs, said: encode(said), heard: encode(heard), unheard: encode(unheard) };
}

function loudness(track: Uint8Array, bucketMs: number): Uint8Array {
  const size = bucketMs * PER_MS;
  const heights = decodeG711('mulaw', ALL_CODES).map((sample) =>
    Math.round(255 * Math.sqrt(Math.min(1, Math.abs(sample) / 32_768))),
  );
  const peaks = new Uint8Array(Math.ceil(track.length / size));
  for (let index = 0; index < peaks.length; index += 1) {
    let most = 0;
    const end = Math.min(track.length, (index + 1) * size);
    for (let at = index * size; at < end; at += 1) most = Math.max(most, heights[track[at] ?? 0] ?? 0);
    peaks[index] = most;
  }
  return peaks;
}

/** The sound of a call for its page. */
export function soundOf({ said, heard }: Tracks): Sound {
  const chunks: string[] = [];
  const size = CHUNK_MS * PER_MS;
  for (let from = 0; from < said.length; from += size) {
    const stereo = interleave(said.subarray(from, from + size), heard.subarray(from, from + size), 'mulaw');
    chunks.push(gzipSync(stereo, { level: 2 }).toString('base64'));
  }
  return { chunkMs: CHUNK_MS, chunks, bytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0) };
}
