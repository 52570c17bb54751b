import { type AudioFormat, bytesPerSample, silenceByte } from '../audio/format.ts';
import { createFrameMeter, type FrameMeter } from '../audio/frame-level.ts';
import { lawTables } from '../audio/g711.ts';
import { ZERO_DBM0_RMS } from '../audio/tone.ts';

/** Measured a frame at a time, and smoothed over so much: words last longer than sounds. */
const FRAME_MS = 20;
const SMOOTH_MS = 120;
/** Steps of loudness: turns show, and nothing of what was said in them. */
const STEP_DB = 6;
const LOUDEST_DBM0 = -6;
/** Whatever is more quiet is nobody's voice, and sounds like this. */
const FLOOR_DBM0 = -48;
const QUIET_DBM0 = -66;
const NOTHING = 1e-12;

/**
 * Takes speech and gives noise of the same length, about as loud. Of the speech nothing but its loudness is looked at,
 * smoothed and in coarse steps, so that it can be heard that somebody speaks, and neither who nor what. Audio may be cut
 * anywhere, also within a sample.
 */
export class SpeechNoise {
  readonly #levelOf: FrameMeter;
  readonly #width: 1 | 2;
  readonly #frameBytes: number;
  readonly #silence: number;
  readonly #encode: Uint8Array | undefined;
  #position = 0;
  #power = NOTHING;
  #dice: number;
  #sample = 0;

  /** @param seed any whole number: two channels are not to have the same noise */
  constructor(format: AudioFormat, seed: number) {
    this.#levelOf = createFrameMeter(format);
    this.#silence = silenceByte(format);
    this.#width = bytesPerSample(format);
    this.#frameBytes = (format.rate / 1000) * FRAME_MS * this.#width;
    this.#encode = format.encoding === 'pcm16' ? undefined : lawTables(format.encoding).encode;
    this.#dice = (seed ^ 0x9e37_79b9) | 1;
  }

  /** New bytes, as many. */
  push(bytes: Uint8Array): Uint8Array {
    const noise = new Uint8Array(bytes.length);
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + this.#frameBytes - (this.#position % this.#frameBytes));
      // Where there is nothing at all there is nothing to hide, and whoever sends it may mean something by it.
      const isSilent = this.#listen(bytes, at, end);
      if (isSilent) this.#skip(noise, at, end);
      else this.#fill(noise, at, end);
      at = end;
    }
    return noise;
  }

  /** Whether it is digital silence. */
  #listen(bytes: Uint8Array, from: number, to: number): boolean {
    // The rest of a sample says nothing of its loudness.
    const start = this.#width === 2 && this.#position % 2 === 1 ? from + 1 : from;
    if (to - start < this.#width) return bytes.subarray(from, to).every((byte) => byte === this.#silence);
    const level = this.#levelOf(bytes, start, to);
    const power = Math.max(NOTHING, 10 ** (level / 10));
    const share = Math.min(1, ((to - from) / this.#frameBytes) * (FRAME_MS / SMOOTH_MS));
    this.#power += (power - this.#power) * share;
    return bytes.subarray(from, to).every((byte) => byte === this.#silence);
  }

  #skip(noise: Uint8Array, from: number, to: number): void {
    noise.fill(this.#silence, from, to);
    this.#position += to - from;
    this.#sample = 0;
  }

  #fill(noise: Uint8Array, from: number, to: number): void {
    // Even noise reaches the root of three times its power.
    const peak = ZERO_DBM0_RMS * 10 ** (this.#dbm0() / 20) * Math.sqrt(3);
    for (let at = from; at < to; at++, this.#position++) {
      const first = this.#width === 1 || this.#position % 2 === 0;
      if (first) this.#sample = Math.round(this.#roll() * peak);
      if (this.#encode !== undefined) noise[at] = this.#encode[this.#sample & 0xffff] ?? 0;
      else noise[at] = first ? this.#sample & 0xff : (this.#sample >> 8) & 0xff;
    }
  }

  #dbm0(): number {
    const level = 10 * Math.log10(this.#power);
    if (level < FLOOR_DBM0) return QUIET_DBM0;
    return Math.min(LOUDEST_DBM0, Math.round(level / STEP_DB) * STEP_DB);
  }

  /** -1 to 1. */
  #roll(): number {
    let dice = this.#dice;
    dice ^= dice << 13;
    dice ^= dice >>> 17;
    dice ^= dice << 5;
    this.#dice = dice;
    return dice / 2 ** 31;
  }
}

/** The same for a stereo file: only the channels that are asked for. */
export class StereoNoise {
  readonly #left: SpeechNoise | undefined;
  readonly #right: SpeechNoise | undefined;
  readonly #width: 1 | 2;

  constructor(format: AudioFormat, which: { readonly left: boolean; readonly right: boolean }) {
    this.#left = which.left ? new SpeechNoise(format, 1) : undefined;
    this.#right = which.right ? new SpeechNoise(format, 2) : undefined;
    this.#width = bytesPerSample(format);
  }

  /** Whole frames of both channels; new bytes, as many. */
  push(bytes: Uint8Array): Uint8Array {
    const stereo = bytes.slice();
    if (this.#left !== undefined) this.#replace(stereo, 0, this.#left);
    if (this.#right !== undefined) this.#replace(stereo, this.#width, this.#right);
    return stereo;
  }

  #replace(stereo: Uint8Array, first: number, noise: SpeechNoise): void {
    const width = this.#width;
    const mono = new Uint8Array(stereo.length / 2);
    for (let from = first, to = 0; to < mono.length; from += 2 * width, to += width) {
      for (let i = 0; i < width; i++) mono[to + i] = stereo[from + i] ?? 0;
    }
    const made = noise.push(mono);
    for (let to = first, from = 0; from < made.length; to += 2 * width, from += width) {
      for (let i = 0; i < width; i++) stereo[to + i] = made[from + i] ?? 0;
    }
  }
}
