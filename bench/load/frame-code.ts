import { decodeG711, encodeG711 } from '../../src/audio/g711.ts';

/**
 * A number in the sound of a frame of 20 ms, so that whoever hears the frame knows which one it is, also when it has
 * been resampled: seven steps of 15 samples at 8 kHz, each at one of four levels, then silence. Read in the middle of
 * each step, where what a resampler does to the edges has died away.
 */
export const FRAME_MS = 20;
const STEPS = 7;
const STEP_SAMPLES = 15;
const LEVELS = [-12_000, -4_000, 4_000, 12_000] as const;
/** Above it a level is taken for one of the outer two; below the other nothing is there. */
const OUTER = 8_000;
const NOTHING = 1_500;
/** Numbers go round after so many. */
export const NUMBERS = 1024;

/** What the number of a frame means. */
export type CodeKind = 'sequence' | 'slot';

/** How the audio of one side is written. */
export interface Sound {
  readonly name: 'mulaw-8k' | 'pcm16-24k';
  readonly bytesPerSample: 1 | 2;
  /** Samples for one at 8 kHz. */
  readonly times: 1 | 3;
  readonly frameBytes: number;
}

export const MULAW: Sound = { name: 'mulaw-8k', bytesPerSample: 1, times: 1, frameBytes: 160 };
export const PCM24: Sound = { name: 'pcm16-24k', bytesPerSample: 2, times: 3, frameBytes: 960 };

function checkOf(value: number, kind: CodeKind): number {
  return ((value * 7) ^ (value >> 3) ^ (value >> 6) ^ (kind === 'slot' ? 9 : 0)) & 15;
}

/** The levels (0 to 3) of a number, first to last, into `digits`. */
function digitsOf(value: number, kind: CodeKind, digits: Uint8Array): void {
  let bits = (value << 4) | checkOf(value, kind);
  for (let step = STEPS - 1; step >= 0; step--) {
    digits[step] = bits & 3;
    bits >>= 2;
  }
}

function stepBytes(sound: Sound, level: number): Buffer {
  const samples = new Int16Array(STEP_SAMPLES * sound.times).fill(level);
  if (sound.bytesPerSample === 1) return Buffer.from(encodeG711('mulaw', samples));
  return Buffer.from(samples.buffer);
}

/** The base64 of a silent frame. */
export function silentBase64(sound: Sound): string {
  return Buffer.alloc(sound.frameBytes, sound.bytesPerSample === 1 ? 0xff : 0).toString('base64');
}

/** Writes numbers into the base64 of a frame within a message that is ready to be sent, masked or not. */
export class CodeWriter {
  readonly #steps: readonly Buffer[];
  readonly #stepLength: number;
  readonly #digits = new Uint8Array(STEPS);

  /** @param phase place in the message's payload where the base64 begins, modulo 4: a mask repeats after 4 bytes */
  constructor(sound: Sound, mask: Uint8Array | undefined, phase: number) {
    // 15 samples are whole groups of base64 in both sounds, so steps can be written side by side.
    this.#steps = LEVELS.map((level) => {
      const text = Buffer.from(stepBytes(sound, level).toString('base64'));
      if (mask !== undefined) {
        for (let i = 0; i < text.length; i++) text[i] = (text[i] ?? 0) ^ (mask[(phase + i) & 3] ?? 0);
      }
      return text;
    });
    this.#stepLength = this.#steps[0]?.length ?? 0;
  }

  write(message: Buffer, at: number, value: number, kind: CodeKind): void {
    digitsOf(value, kind, this.#digits);
    for (let step = 0; step < STEPS; step++) {
      const text = this.#steps[this.#digits[step] ?? 0];
      if (text !== undefined) message.set(text, at + step * this.#stepLength);
    }
  }
}

/** 6 bits of each character of base64. */
const SIX_BITS = makeSixBits();
/** Level of a byte: of mu-law, or of the upper half of a PCM16 sample; 4: none. */
const MULAW_LEVEL = makeLevels(
  decodeG711(
    'mulaw',
    Uint8Array.from({ length: 256 }, (_, i) => i),
  ),
);
const PCM_LEVEL = makeLevels(Int16Array.from({ length: 256 }, (_, i) => (i < 128 ? i : i - 256) * 256));

function makeSixBits(): Uint8Array {
  const table = new Uint8Array(256);
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let i = 0; i < letters.length; i++) table[letters.charCodeAt(i)] = i;
  return table;
}

function makeLevels(samples: Int16Array): Uint8Array {
  return Uint8Array.from(samples, (sample) => {
    if (Math.abs(sample) < NOTHING) return 4;
    if (sample < 0) return sample < -OUTER ? 0 : 1;
    return sample > OUTER ? 3 : 2;
  });
}

/** Is told what a stream of audio says. */
export interface CodeListener {
  onNumber(value: number, kind: CodeKind, now: number): void;
  /** A frame without a number that can be read. */
  onNone(now: number): void;
}

/**
 * Reads the numbers out of a stream of audio as it comes in messages of any length, without decoding more than the
 * seven samples that say them.
 */
export class CodeReader {
  readonly #listener: CodeListener;
  readonly #levels: Uint8Array;
  readonly #frameBytes: number;
  /** Where in a frame the steps are read. */
  readonly #places: readonly number[];
  #received = 0;
  #frameStart = 0;
  #step = 0;
  #bits = 0;
  #whole = true;

  /** @param delay by how much the audio is late in its own stream, in samples of `sound` */
  constructor(sound: Sound, delay: number, listener: CodeListener) {
    this.#listener = listener;
    this.#levels = sound.bytesPerSample === 1 ? MULAW_LEVEL : PCM_LEVEL;
    this.#frameBytes = sound.frameBytes;
    const length = STEP_SAMPLES * sound.times;
    this.#places = Array.from(
      { length: STEPS },
      (_, step) => (delay + step * length + (length >> 1) + 1) * sound.bytesPerSample - 1,
    );
  }

  /** One message: the base64 of it is in `data` from `at` to `end`, masked by `mask` as counted from `origin`. */
  read(data: Buffer, at: number, end: number, mask: Uint8Array, origin: number, now: number): number {
    const length = base64Bytes(data, at, end, mask, origin);
    const until = this.#received + length;
    for (;;) {
      const place = this.#frameStart + (this.#places[this.#step] ?? 0);
      if (place >= until) break;
      this.#take(byteAt(data, at, place - this.#received, mask, origin), now);
    }
    this.#received = until;
    return length;
  }

  #take(byte: number, now: number): void {
    const level = this.#levels[byte] ?? 4;
    if (level === 4) this.#whole = false;
    this.#bits = (this.#bits << 2) | (level & 3);
    this.#step += 1;
    if (this.#step === STEPS) this.#finish(now);
  }

  #finish(now: number): void {
    const value = this.#bits >> 4;
    const check = this.#bits & 15;
    const whole = this.#whole;
    this.#frameStart += this.#frameBytes;
    this.#step = 0;
    this.#bits = 0;
    this.#whole = true;
    if (whole && check === checkOf(value, 'sequence')) this.#listener.onNumber(value, 'sequence', now);
    else if (whole && check === checkOf(value, 'slot')) this.#listener.onNumber(value, 'slot', now);
    else this.#listener.onNone(now);
  }
}

const EQUALS = 0x3d;

function base64Bytes(data: Buffer, at: number, end: number, mask: Uint8Array, origin: number): number {
  const last = (data[end - 1] ?? 0) ^ (mask[(end - 1 - origin) & 3] ?? 0);
  const before = (data[end - 2] ?? 0) ^ (mask[(end - 2 - origin) & 3] ?? 0);
  const padding = last !== EQUALS ? 0 : before === EQUALS ? 2 : 1;
  return ((end - at) >> 2) * 3 - padding;
}

function byteAt(data: Buffer, at: number, index: number, mask: Uint8Array, origin: number): number {
  const group = (index / 3) | 0;
  const rest = index - group * 3;
  const place = at + group * 4 + rest;
  const first = SIX_BITS[(data[place] ?? 0) ^ (mask[(place - origin) & 3] ?? 0)] ?? 0;
  const second = SIX_BITS[(data[place + 1] ?? 0) ^ (mask[(place + 1 - origin) & 3] ?? 0)] ?? 0;
  if (rest === 0) return ((first << 2) | (second >> 4)) & 255;
  if (rest === 1) return ((first << 4) | (second >> 2)) & 255;
  return ((first << 6) | second) & 255;
}
