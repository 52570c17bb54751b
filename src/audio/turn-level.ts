import { AudioError } from './audio-error.ts';
import { type AudioFormat, bytesPerSample, formatName } from './format.ts';
import { lawTables } from './g711.ts';
import { dbm0 } from './tone.ts';

const BLOCK_MS = 20;
/** Anything weaker is somebody else in the room, or a television. */
const LEAST_DBM0 = -42;
/** Voice is this much louder than what is there when nobody speaks. */
const ABOVE_FLOOR_DB = 12;
/** The floor follows a lower level at once, a higher one slowly: speech has pauses, a vacuum cleaner has none. */
const FLOOR_RISE_DB = 0.03;
const LOWEST_FLOOR_DBM0 = -66;
/** Voice that makes a turn of it; a cough, a key or a door is shorter. */
const TURN_MS = 600;
/** Quiet that ends a turn; the pauses between words are shorter. */
const PAUSE_MS = 700;
/** Nobody speaks for so long without a pause: it is music or noise. */
const LONGEST_MS = 20_000;
/** Quiet after which that is over: it swells and fades. */
const NOISE_PAUSE_MS = 5_000;
/**
 * Power of the difference from sample to sample against that of the samples, at 8 kHz: vowels lie below this, and breath,
 * crackle, coughs, keys and s above.
 */
const BRIGHTEST_VOWEL_DB = -4;
/** From sound to sound the brightness of a voice changes by so much (standard deviation); that of tones and of noise does not. */
const LEAST_CHANGE_DB = 3.5;

/**
 * Guesses from level and brightness alone whether somebody has said something: a table and two multiplications per sample,
 * no decoder. It rather misses a turn than takes noise for one; who has to be sure asks an `OnsetDetector`.
 */
export class TurnLevel {
  /** Undefined: PCM16. */
  readonly #decode: Int16Array | undefined;
  readonly #blockBytes: number;
  readonly #blockSamples: number;
  /** What the difference is smaller by at a higher rate, dB. */
  readonly #brighter: number;
  #filled = 0;
  #last = 0;
  #power = 0;
  #difference = 0;
  #floor = LEAST_DBM0 - ABOVE_FLOOR_DB;
  #turns = 0;
  /** Of the stretch that goes on: blocks that are loud, vowels among them, their brightness and its squares. */
  #loud = 0;
  #vowels = 0;
  #sum = 0;
  #squares = 0;
  #lengthMs = 0;
  #quietMs = 0;
  #counted = false;
  /** Quiet that is still missing until something counts again. */
  #noiseMs = 0;

  /** Throws BAD_AUDIO for a rate that has no whole 20 ms. */
  constructor(format: AudioFormat) {
    this.#decode = format.encoding === 'pcm16' ? undefined : lawTables(format.encoding).decode;
    this.#blockSamples = (format.rate * BLOCK_MS) / 1000;
    this.#blockBytes = this.#blockSamples * bytesPerSample(format);
    this.#brighter = 20 * Math.log10(format.rate / 8000);
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
      this.#measure(bytes, at, end);
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

  #measure(bytes: Uint8Array, from: number, to: number): void {
    const decode = this.#decode;
    const step = decode === undefined ? 2 : 1;
    let last = this.#last;
    let power = 0;
    let difference = 0;
    for (let i = from; i + step <= to; i += step) {
      const sample =
        decode === undefined ? ((bytes[i]! | (bytes[i + 1]! << 8)) << 16) >> 16 : decode[bytes[i]!]!;
      power += sample * sample;
      difference += (sample - last) * (sample - last);
      last = sample;
    }
    this.#last = last;
    this.#power += power;
    this.#difference += difference;
  }

  #endBlock(): boolean {
    const level = Math.max(LOWEST_FLOOR_DBM0, dbm0(Math.sqrt(this.#power / this.#blockSamples)));
    const loud = level >= LEAST_DBM0 && level >= this.#floor + ABOVE_FLOOR_DB;
    this.#floor = Math.min(level, this.#floor + FLOOR_RISE_DB);
    if (loud) this.#onLoud(10 * Math.log10((this.#difference + 1) / this.#power) + this.#brighter);
    else this.#onQuiet();
    this.#filled = 0;
    this.#power = 0;
    this.#difference = 0;
    return loud && this.#noiseMs === 0;
  }

  #onLoud(colour: number): void {
    if (this.#noiseMs > 0) {
      this.#noiseMs = NOISE_PAUSE_MS;
      return;
    }
    this.#quietMs = 0;
    this.#lengthMs += BLOCK_MS;
    this.#loud += 1;
    if (colour < BRIGHTEST_VOWEL_DB) this.#vowels += 1;
    this.#sum += colour;
    this.#squares += colour * colour;
    if (this.#lengthMs > LONGEST_MS) this.#revoke();
    else if (!this.#counted && this.#isTurn) this.#count();
  }

  get #isTurn(): boolean {
    if (this.#vowels * BLOCK_MS < TURN_MS) return false;
    const mean = this.#sum / this.#loud;
    return this.#squares / this.#loud - mean * mean >= LEAST_CHANGE_DB ** 2;
  }

  #onQuiet(): void {
    this.#noiseMs = Math.max(0, this.#noiseMs - BLOCK_MS);
    if (this.#loud === 0) return;
    this.#lengthMs += BLOCK_MS;
    this.#quietMs += BLOCK_MS;
    if (this.#quietMs >= PAUSE_MS) this.#endStretch();
  }

  #count(): void {
    this.#counted = true;
    this.#turns += 1;
  }

  #revoke(): void {
    if (this.#counted) this.#turns = Math.max(0, this.#turns - 1);
    this.#noiseMs = NOISE_PAUSE_MS;
    this.#endStretch();
  }

  #endStretch(): void {
    this.#loud = 0;
    this.#vowels = 0;
    this.#sum = 0;
    this.#squares = 0;
    this.#lengthMs = 0;
    this.#quietMs = 0;
    this.#counted = false;
  }
}
