import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { designFilters, type FilterBank } from '../src/audio/filter-bank.ts';
import { RATES, type Rate } from '../src/audio/format.ts';
import { BLOCK, createPlainKernel, type Kernel, roundToInt16 } from '../src/audio/kernel.ts';
import { createWasmKernel } from '../src/audio/kernel-wasm.ts';
import { CONVERTER, createConverter } from '../src/audio/resample.ts';
import { Resampling } from './support/resampling.ts';
import { noise, seeded, toInt16 } from './support/signal.ts';

const PAIRS = RATES.flatMap((from) =>
  RATES.filter((to) => to !== from).map((to): [Rate, Rate] => [from, to]),
);
const KERNELS: readonly [string, () => Kernel | undefined][] = [
  ['the plain kernel', createPlainKernel],
  ['the kernel in WebAssembly', createWasmKernel],
];

function made(create: () => Kernel | undefined): Kernel {
  const kernel = create();
  if (kernel === undefined) throw new Error('this Node has no WebAssembly with vectors');
  return kernel;
}

/** Speech-like noise, full-scale squares, silence and steps: what is rounded, clipped or 0. */
function signal(count: number, seed: number): Int16Array {
  const random = seeded(seed);
  const parts = [noise(count, 3_000, seed), noise(count, 32_767, seed + 1)];
  return Int16Array.from({ length: count }, (_, i) => {
    const part = Math.floor(i / 97) % 5;
    if (part === 2) return i % 14 < 7 ? 32_767 : -32_768;
    if (part === 3) return 0;
    if (part === 4) return random() < 0.5 ? 1 : -1;
    return Math.round(parts[part]?.[i] ?? 0);
  });
}

/** The definition: each output is the sum over the branches of its place, tap after tap, from 0 on. */
function byDefinition(bank: FilterBank, input: Int16Array): Int16Array {
  const { up, down, span, places } = bank;
  const periods = Math.floor(input.length / down);
  const output = new Int16Array(periods * up);
  for (let p = 0; p < periods; p++) {
    for (const [j, branches] of places.entries()) {
      let sum = 0;
      for (const { stream, first, taps } of branches) {
        for (const [k, tap] of taps.entries()) {
          const at = (p - (span - 1) + first + k) * down + stream;
          sum += tap * (input[at] ?? 0);
        }
      }
      output[p * up + j] = Math.max(-32_768, Math.min(32_767, Math.round(sum)));
    }
  }
  return output;
}

/** Runs a bank of one filter over samples that are preceded by silence. */
function filtered(kernel: Kernel, taps: readonly number[], input: readonly number[]): number[] {
  const branch = { stream: 0, first: 0, taps: Float64Array.from(taps) };
  const bank: FilterBank = { up: 1, down: 1, span: taps.length, delay: 0, places: [[branch]] };
  kernel.input.samples.fill(0);
  kernel.input.samples.set(input, taps.length - 1);
  kernel.prepare(bank)(input.length);
  return [...kernel.output.samples.subarray(0, input.length)];
}

describe.each(KERNELS)('%s', (_, create) => {
  const converter = createConverter(made(create));

  it.each(PAIRS)('makes of %i at %i exactly what the definition says, however it is cut', (from, to) => {
    const input = signal(6_001, 11);
    const wanted = byDefinition(designFilters(from, to), input);
    const random = seeded(23);
    const cuts = [() => BLOCK, () => from / 50, () => 1 + Math.floor(random() * 23)];
    for (const cut of cuts) {
      const resampling = new Resampling(from, to, converter);
      const heard: number[] = [];
      for (let at = 0; at < input.length; ) {
        const piece = input.subarray(at, at + cut());
        heard.push(...resampling.push(piece));
        at += piece.length;
      }
      expect(heard).toEqual([...wanted]);
    }
  });

  it('gives the same for blocks of every length', () => {
    const input = signal(BLOCK, 5);
    for (const [from, to] of PAIRS) {
      const whole = new Resampling(from, to, converter).push(input);
      for (let count = 0; count <= BLOCK; count += count < 64 ? 1 : 61) {
        const part = new Resampling(from, to, converter).push(input.subarray(0, count));
        expect(part, `${count} of ${from} to ${to}`).toEqual(whole.subarray(0, part.length));
      }
    }
  });

  it('rounds halves upwards, and the largest float below a half down', () => {
    const kernel = made(create);
    expect(filtered(kernel, [0.5], [1, 3, 5, -1, -3, -5, 0])).toEqual([1, 2, 3, 0, -1, -2, 0]);
    const below = 0.49999999999999994;
    expect(filtered(kernel, [below], [1, -1, 2, 3])).toEqual([0, 0, 1, 1]);
    expect(filtered(kernel, [below, 0, 0, 0], [1, -1, 2, 0])).toEqual([0, 0, 0, 0]);
  });

  it('stays at full scale, however far beyond it', () => {
    const kernel = made(create);
    const loud = [10_922, 10_923, -10_922, -10_923, 32_767, -32_768];
    expect(filtered(kernel, [3], loud)).toEqual([32_766, 32_767, -32_766, -32_768, 32_767, -32_768]);
    expect(filtered(kernel, [1e6], [1, -1, 32_767, -32_768])).toEqual([32_767, -32_768, 32_767, -32_768]);
    expect(filtered(kernel, [1e15], [1, -1])).toEqual([32_767, -32_768]);
  });

  it('does what was done before it: these are the samples of the first version', () => {
    const sums = PAIRS.map(([from, to]) => {
      const resampling = new Resampling(from, to, converter);
      const hash = createHash('sha256');
      for (const frame of [1, 2, 3, 4]) hash.update(resampling.push(toInt16(noise(4_801, 30_000, frame))));
      return hash.update(resampling.finish()).digest('hex').slice(0, 16);
    });
    expect(sums).toEqual(GOLDEN);
  });
});

const GOLDEN = [
  '470a515c69452dec',
  'bdc31a7ecb3d543c',
  'b4cbe648f2102f7b',
  '948a9dacf27cb87a',
  '53a7025445a6c4b7',
  '9ce09ee17ec561f0',
];

describe('rounding', () => {
  it('is that of Math.round, at most full scale', () => {
    const values = [0.5, -0.5, 1.5, -1.5, 32_766.5, 32_767.4, 32_768, -32_768.4, -32_768.6, 1e300];
    expect(values.map((value) => roundToInt16(value) + 0)).toEqual([
      1, 0, 2, -1, 32_767, 32_767, 32_767, -32_768, -32_768, 32_767,
    ]);
  });
});

describe('the kernel that is used', () => {
  it('is the one in WebAssembly', () => {
    expect(createWasmKernel()).toBeDefined();
    expect(CONVERTER.kernel.input.samples.buffer.byteLength % 65_536).toBe(0);
  });

  it('is left out where there is no WebAssembly', () => {
    vi.stubGlobal('WebAssembly', undefined);
    const kernel = createWasmKernel();
    vi.unstubAllGlobals();
    expect(kernel).toBeUndefined();
  });
});
