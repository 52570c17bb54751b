import { AudioError } from './audio-error.ts';
import { type AudioFormat, type Encoding, formatName } from './format.ts';
import { lawTables } from './g711.ts';
import { dbm0 } from './tone.ts';

const BLOCK_MS = 20;
/** Anything weaker is somebody else in the room, or a television. */
const LEAST_DBM0 = -42;
/** Voice is this much louder than what is there when nobody speaks. */
const ABOVE_FLOOR_DB = 12;
/** The floor follows a lower level at once, a higher one slowly: speech has pauses, a vacuum cleaner has none. */
const FLOOR_RISE_DB = 0.06;
const LOWEST_FLOOR_DBM0 = -66;
/** Voice that makes a turn of it; a cough, a key or a door is shorter. */
const TURN_MS = 600;
/** Quiet that ends a turn; the pauses between words are shorter. */
const PAUSE_MS = 700;
/** Nobody speaks for so long without a pause: it is music or noise. */
const LONGEST_MS = 20_000;
/** From syllable to syllable a voice changes by so much (standard deviation); tones and steady noise do not. */
const LEAST_CHANGE_DB = 2.5;

/** Power of one code of G.711, PCM16 units squared. */
function powers(law: 'mulaw' | 'alaw'): Float64Array {
  return Float64Array.from(lawTables(law).decode, (sample) => sample * sample);
}

const POWERS = { mulaw: powers('mulaw'), alaw: powers('alaw') } as const;

function powerOf(bytes: Uint8Array, from: number, to: number, encoding: Encoding): number {
  let sum = 0;
  if (encoding === 'pcm16') {
    for (let i = from; i + 1 < to; i += 2) {
      const sample = ((bytes[i]! | (bytes[i + 1]! << 8)) << 16) >> 16;
      sum += sample * sample;
    }
    return sum;
  }
  const table = POWERS[encoding];
  for (let i = from; i < to; i++) sum += table[bytes[i]!]!;
  return sum;
}

/**
 * Guesses from the level alone whether somebody has said something: a load and an addition per sample, no decoder. It
 * rather misses a turn than takes noise for one; who has to be sure asks an `OnsetDetector`.
 */
export class TurnLevel {
  readonly #encoding: Encoding;
  readonly #blockBytes: number;
  readonly #blockSamples: number;
  #filled = 0;
  #power = 0;
  #floor = LEAST_DBM0 - ABOVE_FLOOR_DB;
  #turns = 0;
  /** Of the stretch of voice that goes on; its blocks, their levels and the squares of these. */
  #blocks = 0;
  #sum = 0;
  #squares = 0;
  #lengthMs = 0;
  #quietMs = 0;
  #counted = false;
  /** It has gone on for too long. */
  #isNoise = false;

  /** Throws BAD_AUDIO for a rate that has no whole 20 ms. */
  constructor(format: AudioFormat) {
    this.#encoding = format.encoding;
    this.#blockSamples = (format.rate * BLOCK_MS) / 1000;
    this.#blockBytes = this.#blockSamples * (format.encoding === 'pcm16' ? 2 : 1);
    if (!Number.isInteger(this.#blockSamples) || this.#blockSamples <= 0) {
      throw new AudioError(`format is ${formatName(format)}, wanted a rate with whole blocks of 20 ms`);
    }
  }

  /** Turns since `forget`; one counts as soon as there is enough of it, and no more when it turns out to be noise. */
  get turns(): number {
    return this.#turns;
  }

  /** Audio in the format given, whole samples, cut anywhere. True: there was voice in it. */
  push(bytes: Uint8Array): boolean {
    let voice = false;
    let at = 0;
    while (at < bytes.length) {
      const end = Math.min(bytes.length, at + this.#blockBytes - this.#filled);
      this.#power += powerOf(bytes, at, end, this.#encoding);
      this.#filled += end - at;
      at = end;
      if (this.#filled < this.#blockBytes) break;
      if (this.#endBlock()) voice = true;
    }
    return voice;
  }

  /** What was said is answered, or was somebody else: the turns count anew. What is known of the noise is kept. */
  forget(): void {
    this.#turns = 0;
    this.#endStretch();
  }

  #endBlock(): boolean {
    const level = Math.max(LOWEST_FLOOR_DBM0, dbm0(Math.sqrt(this.#power / this.#blockSamples)));
    this.#filled = 0;
    this.#power = 0;
    const voice = level >= LEAST_DBM0 && level >= this.#floor + ABOVE_FLOOR_DB;
    this.#floor = Math.min(level, this.#floor + FLOOR_RISE_DB);
    if (voice) this.#voice(level);
    else this.#quiet();
    return voice && !this.#isNoise;
  }

  #voice(level: number): void {
    this.#quietMs = 0;
    this.#lengthMs += BLOCK_MS;
    this.#blocks += 1;
    this.#sum += level;
    this.#squares += level * level;
    if (this.#lengthMs > LONGEST_MS) this.#revoke();
    else if (!this.#counted && this.#blocks * BLOCK_MS >= TURN_MS) this.#count();
  }

  #quiet(): void {
    if (this.#blocks === 0) return;
    this.#lengthMs += BLOCK_MS;
    this.#quietMs += BLOCK_MS;
    if (this.#quietMs >= PAUSE_MS) this.#endStretch();
  }

  #count(): void {
    const mean = this.#sum / this.#blocks;
    const variance = this.#squares / this.#blocks - mean * mean;
    if (variance < LEAST_CHANGE_DB * LEAST_CHANGE_DB) return;
    this.#counted = true;
    this.#turns += 1;
  }

  #revoke(): void {
    if (this.#counted && !this.#isNoise) this.#turns = Math.max(0, this.#turns - 1);
    this.#counted = true;
    this.#isNoise = true;
  }

  #endStretch(): void {
    this.#blocks = 0;
    this.#sum = 0;
    this.#squares = 0;
    this.#lengthMs = 0;
    this.#quietMs = 0;
    this.#counted = false;
    this.#isNoise = false;
  }
}
