import { encodeG711, lawToLaw } from '../../audio/g711.ts';
import { resampleWhole } from '../../audio/offline.ts';
import { bytesToSamples } from '../../audio/wav.ts';
import type { StoredCall, StoredWav } from '../stored-call.ts';
import type { Piece } from './hearing.ts';

/** Of tracks: what a telephone carries. */
export const TRACK_RATE = 8000;
const PER_MS = TRACK_RATE / 1000;
const SILENCE = 0xff;

/** Samples per second of the WAVs of a call; those that it lacks have as many as a telephone. */
export function ratesOf(stored: StoredCall): (wav: string) => number {
  return (wav) => stored.wavs.get(wav)?.format.rate ?? TRACK_RATE;
}

/** The pieces in their places on the call's time line of `ms`, silence between them: mu-law at 8 kHz. */
export function trackOf(stored: StoredCall, pieces: readonly Piece[], ms: number): Uint8Array {
  const track = new Uint8Array(Math.ceil(ms * PER_MS)).fill(SILENCE);
  const converted = new Map<string, Uint8Array>();
  const rateOf = ratesOf(stored);
  for (const piece of pieces) {
    const wav = stored.wavs.get(piece.wav);
    if (wav === undefined) continue;
    let codes = converted.get(piece.wav);
    if (codes === undefined) {
      codes = asMulaw(wav);
      converted.set(piece.wav, codes);
    }
    const from = Math.round((piece.at / rateOf(piece.wav)) * TRACK_RATE);
    const to = Math.min(codes.length, from + Math.round(piece.ms * PER_MS));
    const place = Math.round(piece.atMs * PER_MS);
    const room = Math.max(0, track.length - place);
    if (place >= 0 && room > 0 && to > from)
      track.set(codes.subarray(from, Math.min(to, from + room)), place);
  }
  return track;
}

function asMulaw({ format, bytes }: StoredWav): Uint8Array {
  if (format.rate === TRACK_RATE && format.encoding === 'mulaw') return bytes;
  if (format.rate === TRACK_RATE && format.encoding === 'alaw') {
    const table = lawToLaw('alaw', 'mulaw');
    return bytes.map((code) => table[code] ?? SILENCE);
  }
  const samples = bytesToSamples(bytes, format.encoding);
  return encodeG711('mulaw', resampleWhole(samples, format.rate, TRACK_RATE));
}
