import { describe, expect, it } from 'vitest';
import { assemble, type Routine } from '../src/audio/wasm.ts';

// The types of Node do not declare WebAssembly; these are the parts that are used.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

/** Assembles one routine and runs it over one page of memory; returns the page. */
function run(
  routine: Routine,
  args: readonly number[],
  prepare: (page: DataView) => void = () => {},
): DataView {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const page = new DataView(memory.buffer);
  prepare(page);
  const module = new WebAssembly.Module(assemble({ routine }, 1));
  const { exports } = new WebAssembly.Instance(module, { host: { memory } });
  (exports as { routine: (...args: readonly number[]) => void }).routine(...args);
  return page;
}

/** Stores a number as a float, so that it can be looked at. */
function value(word: string): number {
  return run({ params: [], code: `0 ${word} to-float store-float` }, []).getFloat64(0, true);
}

describe('the assembler', () => {
  it.each([
    0, 1, 63, 64, 127, 128, 8191, 8192, 65_535, 2_147_483_647, -1, -64, -65, -8192, -8193, -2_147_483_648,
  ])('writes the whole number %i', (number) => {
    expect(value(String(number))).toBe(number);
  });

  it.each(['0.5f', '-1f', '.25f', '32767f'])('writes the float %s', (word) => {
    const page = run({ params: [], code: `0 ${word} store-float+8` }, []);
    expect(page.getFloat64(8, true)).toBe(Number(word.slice(0, -1)));
  });

  it('runs loops over variables, and reaches memory with an offset', () => {
    // Sums up samples into a variable, and stores what it has after each.
    const code = `
      loop
        sum from load-sample+2 + =sum
        to sum to-float store-float+1000
        from 2 + =from  to 8 + =to
        from until <
      again-if end`;
    const routine = { params: ['from', 'until', 'to'], numbers: ['sum'], code };
    const page = run(routine, [0, 8, 0], (memory) => {
      for (const [i, sample] of [99, 5, -7, 100, -32_768].entries()) memory.setInt16(2 * i, sample, true);
    });
    expect([0, 1, 2, 3].map((i) => page.getFloat64(1000 + 8 * i, true))).toEqual([5, -2, 98, -32_670]);
  });

  it('does as many variables and words as one likes', () => {
    const names = Array.from({ length: 200 }, (_, i) => `n${i}`);
    const code = `${names.map((name, i) => `${i} =${name}`).join(' ')} 0 ${names.join(' ')} ${'+ '.repeat(199)} to-float store-float`;
    expect(run({ params: [], numbers: names, code }, []).getFloat64(0, true)).toBe((199 * 200) / 2);
  });

  it.each(['lod', 'load+x', 'load+-1', '1.5', '=nobody', 'constructor'])('refuses the word %s', (word) => {
    expect(() => assemble({ routine: { params: ['x'], code: `x ${word}` } }, 1)).toThrow(
      expect.objectContaining({ code: 'BAD_AUDIO', message: `no instruction is named ${word}` }),
    );
  });

  it('refuses a variable that has the name of an instruction', () => {
    expect(() => assemble({ routine: { params: ['end'], code: '' } }, 1)).toThrow(
      /name of an instruction, end/,
    );
  });
});
