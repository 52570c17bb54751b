import type { AudioPath } from './relay.ts';

/**
 * A careful conversion between mu-law at 8 kHz and PCM16 at 24 kHz, such as one writes who knows how: a windowed sinc of
 * 97 taps at 24 kHz (Kaiser, beta 7.4, -6 dB at 4 kHz), in three phases going up, so 32 taps for each output there and 97
 * for each output going down. Rejection 74 dB from 15 % above the cutoff, delay 2 ms each way: the filter that the bridge
 * has as well, without its tricks.
 */
const TIMES = 3;
const HALF = 48;
const TAPS = 2 * HALF + 1;
const BETA = 7.4;
/** Inputs that an output going up is made of, beside the newest. */
const UP_HISTORY = Math.floor((TAPS - 1) / TIMES);
const DOWN_HISTORY = TAPS - 1;
/** Samples of the longest message at 24 kHz that is taken without making new buffers. */
const ROOM = 4_800;

/** By how much audio comes out late, in samples at 8 kHz. */
export const FLOOR_DELAY = HALF / TIMES;

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

/** It is symmetric, so oldest first is newest first. */
const LOW_PASS = lowPass();

/** The taps of each phase, oldest input first. */
const PHASES = Array.from({ length: TIMES }, (_, phase) =>
  Float64Array.from(
    { length: UP_HISTORY + 1 },
    (_, i) => TIMES * (LOW_PASS[phase + (UP_HISTORY - i) * TIMES] ?? 0),
  ),
);

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
  let sum = 0;
  for (let i = 0; i < taps.length; i++) sum += at(taps, i) * at(input, from + i);
  return sum;
}

class Up {
  readonly #input = new Float64Array(UP_HISTORY + ROOM / TIMES);
  readonly #output = new Int16Array(ROOM);

  process(codes: Buffer): Buffer {
    const input = this.#input;
    const output = this.#output;
    for (let i = 0; i < codes.length; i++) input[UP_HISTORY + i] = at(EXPAND, at(codes, i));
    for (let phase = 0; phase < TIMES; phase++) {
      const taps = PHASES[phase] ?? LOW_PASS;
      for (let i = 0; i < codes.length; i++) output[i * TIMES + phase] = toInt16(dot(taps, input, i));
    }
    input.copyWithin(0, codes.length, codes.length + UP_HISTORY);
    return Buffer.from(output.buffer, 0, 2 * TIMES * codes.length);
  }
}

class Down {
  readonly #input = new Float64Array(DOWN_HISTORY + ROOM);
  readonly #output = Buffer.alloc(ROOM / TIMES);

  /** Whole groups of three samples only. */
  process(bytes: Buffer): Buffer {
    const input = this.#input;
    const output = this.#output;
    const count = bytes.length >> 1;
    for (let i = 0; i < count; i++) input[DOWN_HISTORY + i] = bytes.readInt16LE(2 * i);
    const outputs = count / TIMES;
    for (let i = 0; i < outputs; i++) {
      output[i] = at(COMPRESS, 32_768 + toInt16(dot(LOW_PASS, input, i * TIMES)));
    }
    input.copyWithin(0, count, count + DOWN_HISTORY);
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
