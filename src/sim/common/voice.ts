import { type AudioFormat, formatName, PCM16_24K } from '../../audio/format.ts';
import { createTranscoder } from '../../audio/transcode.ts';
import { Dice } from './dice.ts';
import { bytesIn, msOf } from './voice-activity.ts';

const RATE = 24_000;
const BABBLE_MS = 6_000;

/** Audio of one message in the session's output format; babble begins anew when it is over. */
export interface Track {
  readonly bytes: Uint8Array;
  readonly totalBytes: number;
  readonly totalMs: number;
}

/** Where the audio of the answers comes from: given samples, or babble that is made once for each format. */
export class Voice {
  readonly #seed: number;
  readonly #babble = new Map<string, Uint8Array>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Speech-like noise of any length. */
  babble(ms: number, format: AudioFormat): Track {
    const name = formatName(format);
    let bytes = this.#babble.get(name);
    if (bytes === undefined) {
      bytes = encode(makeBabble(this.#seed), format);
      this.#babble.set(name, bytes);
    }
    return { bytes, totalBytes: bytesIn(ms, format), totalMs: ms };
  }

  /** The given samples, 24 kHz PCM16. */
  samples(samples: Int16Array, format: AudioFormat): Track {
    const bytes = encode(samples, format);
    return { bytes, totalBytes: bytes.length, totalMs: msOf(bytes.length, format) };
  }
}

/** A piece of a track; the bytes belong to the track. */
export function cut(track: Track, from: number, to: number): Uint8Array {
  const length = track.bytes.length;
  const start = from % length;
  if (start + (to - from) <= length) return track.bytes.subarray(start, start + to - from);
  const piece = new Uint8Array(to - from);
  for (let at = from; at < to; ) {
    const offset = at % length;
    const part = track.bytes.subarray(offset, Math.min(length, offset + to - at));
    piece.set(part, at - from);
    at += part.length;
  }
  return piece;
}

function encode(samples: Int16Array, format: AudioFormat): Uint8Array {
  const pcm = Buffer.alloc(samples.length * 2);
  for (const [index, sample] of samples.entries()) pcm.writeInt16LE(sample, index * 2);
  if (format.encoding === 'pcm16' && format.rate === RATE) return pcm;
  const transcoder = createTranscoder(PCM16_24K, format);
  const head = transcoder.push(pcm).slice();
  return Buffer.concat([head, transcoder.flush()]).subarray(
    0,
    bytesIn((samples.length * 1000) / RATE, format),
  );
}

/** Syllables of 90 to 210 ms with a pitch that falls, parted by short gaps and, between phrases, longer ones. */
function makeBabble(seed: number): Int16Array {
  const dice = new Dice(seed);
  const samples = new Int16Array((RATE * BABBLE_MS) / 1000);
  let at = 0;
  for (let syllable = 0; at < samples.length; syllable++) {
    const length = Math.round((RATE * (90 + 120 * dice.roll())) / 1000);
    addSyllable(samples, at, length, 110 + 90 * dice.roll(), dice.roll());
    const gapMs = syllable % 7 === 6 ? 180 : 20 + 40 * dice.roll();
    at += length + Math.round((RATE * gapMs) / 1000);
  }
  return samples;
}

function addSyllable(samples: Int16Array, at: number, length: number, pitch: number, vowel: number): void {
  const end = Math.min(samples.length, at + length);
  let phase = 0;
  for (let i = at; i < end; i++) {
    const position = (i - at) / length;
    phase += (2 * Math.PI * pitch * (1.1 - 0.25 * position)) / RATE;
    const shape = Math.sin(Math.PI * position) ** 0.7;
    const tone =
      0.5 * Math.sin(phase) +
      (0.2 + 0.2 * vowel) * Math.sin(3 * phase) +
      (0.4 - 0.3 * vowel) * Math.sin(6 * phase) +
      0.1 * Math.sin(11 * phase);
    samples[i] = Math.round(9_000 * shape * tone);
  }
}
