import type { AudioPath } from './relay.ts';

/**
 * A careful conversion between mu-law at 8 kHz and PCM16 at 24 kHz, such as one writes who knows how: a windowed sinc of
 * 97 taps at 24 kHz (Kaiser, beta 7.4, -6 dB at 4 kHz), of which every third but the middle one is 0 and left out, so 32
 * taps for two of three outputs going up, and 65 for each output going down. Rejection 74 dB from 15 % above the cutoff,
 * delay 2 ms each way: the filter that the bridge has as well. Tables for mu-law, no memory allocated for filtering, four
 * sums at a time.
 */
const TIMES = 3;
const HALF = 48;
const TAPS = 2 * HALF + 1;
const BETA = 7.4;
/** Taps of a phase that is not the pure delay, and inputs that have to be kept for them. */
const LENGTH = 32;
/** The middle tap, counted in inputs at 8 kHz. */
const MIDDLE = HALF / TIMES;
/** Samples of the longest message that is taken, at 8 kHz. */
const ROOM = 1_600;

/** By how much audio comes out late, in samples at 8 kHz. */
export const FLOOR_DELAY = MIDDLE;

function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** Sums to 1. */
function lowPass(): Float64Array {
  const taps = Float64Array.from({ length: TAPS }, (_, i) => {
    const x = (i - HALF) / TIMES;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    return (sinc * bessel(BETA * Math.sqrt(1 - ((i - HALF) / HALF) ** 2))) / bessel(BETA);
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

const LOW_PASS = lowPass();

/** The taps of a phase, for the oldest input first. */
function phase(of: number, gain: number, isUp: boolean): Float64Array {
  return Float64Array.from({ length: LENGTH }, (_, i) => {
    const tap = of + TIMES * (isUp ? LENGTH - 1 - i : i);
    return gain * (LOW_PASS[tap] ?? 0);
  });
}

const UP_FIRST = phase(1, TIMES, true);
const UP_SECOND = phase(2, TIMES, true);
const DOWN_FIRST = phase(1, 1, false);
const DOWN_SECOND = phase(2, 1, false);
const DOWN_MIDDLE = LOW_PASS[HALF] ?? 0;

const EXPAND = Int16Array.from({ length: 256 }, (_, code) => {
  const bits = ~code & 0xff;
  const magnitude = (((bits & 15) << 3) + 132) << ((bits >> 4) & 7);
  return bits & 0x80 ? 132 - magnitude : magnitude - 132;
});

const COMPRESS = Uint8Array.from({ length: 65_536 }, (_, i) => {
  const sample = i - 32_768;
  const magnitude = Math.min(32_635, Math.abs(sample)) + 132;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const code = (sample < 0 ? 0x80 : 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15);
  return ~code & 0xff;
});

/** The tables are as long as whatever looks into them goes. */
function at(values: Float64Array | Int16Array | Uint8Array, index: number): number {
  return values[index] as number;
}

function toInt16(value: number): number {
  const whole = Math.round(value);
  if (whole > 32_767) return 32_767;
  return Math.max(whole, -32_768);
}

function dot(taps: Float64Array, input: Float64Array, from: number): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (let i = 0; i < LENGTH; i += 4) {
    a += at(taps, i) * at(input, from + i);
    b += at(taps, i + 1) * at(input, from + i + 1);
    c += at(taps, i + 2) * at(input, from + i + 2);
    d += at(taps, i + 3) * at(input, from + i + 3);
  }
  return a + b + (c + d);
}

class Up {
  readonly #input = new Float64Array(LENGTH + ROOM);
  readonly #output = new Int16Array(TIMES * ROOM);

  process(codes: Buffer): Buffer {
    const input = this.#input;
    const output = this.#output;
    for (let i = 0; i < codes.length; i++) input[LENGTH + i] = at(EXPAND, at(codes, i));
    for (let i = 0; i < codes.length; i++) {
      output[TIMES * i] = at(input, LENGTH + i - MIDDLE);
      output[TIMES * i + 1] = toInt16(dot(UP_FIRST, input, i + 1));
      output[TIMES * i + 2] = toInt16(dot(UP_SECOND, input, i + 1));
    }
    input.copyWithin(0, codes.length, codes.length + LENGTH);
    return Buffer.from(output.buffer, 0, 2 * TIMES * codes.length);
  }
}

class Down {
  readonly #middle = new Float64Array(LENGTH + ROOM);
  readonly #first = new Float64Array(LENGTH + ROOM);
  readonly #second = new Float64Array(LENGTH + ROOM);
  readonly #output = Buffer.alloc(ROOM);

  /** Whole groups of three samples only. */
  process(bytes: Buffer): Buffer {
    const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
    const outputs = samples.length / TIMES;
    for (let i = 0; i < outputs; i++) {
      this.#middle[LENGTH + i] = at(samples, TIMES * i);
      this.#first[LENGTH + i] = at(samples, TIMES * i + 1);
      this.#second[LENGTH + i] = at(samples, TIMES * i + 2);
    }
    const output = this.#output;
    for (let i = 0; i < outputs; i++) {
      const middle = DOWN_MIDDLE * at(this.#middle, LENGTH + i - MIDDLE);
      const sum = middle + dot(DOWN_FIRST, this.#first, i) + dot(DOWN_SECOND, this.#second, i);
      output[i] = at(COMPRESS, 32_768 + toInt16(sum));
    }
    for (const stream of [this.#middle, this.#first, this.#second]) {
      stream.copyWithin(0, outputs, outputs + LENGTH);
    }
    return output.subarray(0, outputs);
  }
}

/** The conversion of one call. */
export function firPath(): AudioPath {
  const up = new Up();
  const down = new Down();
  return {
    up: (payload) => up.process(Buffer.from(payload, 'base64')).toString('base64'),
    down: (payload) => down.process(Buffer.from(payload, 'base64')).toString('base64'),
  };
}
