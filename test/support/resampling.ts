import type { Rate } from '../../src/audio/format.ts';
import { BLOCK } from '../../src/audio/kernel.ts';
import { CONVERTER, type Converter, createResampler } from '../../src/audio/resample.ts';

/** A resampler that takes and gives arrays, whatever their length. */
export class Resampling {
  readonly resampler;
  readonly #kernel;

  constructor(from: Rate, to: Rate, converter: Converter = CONVERTER) {
    this.resampler = createResampler(from, to, converter);
    this.#kernel = converter.kernel;
  }

  push(input: Int16Array): Int16Array {
    const output = new Int16Array(this.resampler.capacityFor(input.length));
    let written = 0;
    for (let at = 0; at < input.length; at += BLOCK) {
      const block = input.subarray(at, at + BLOCK);
      this.#kernel.input.samples.set(block, this.resampler.open());
      const made = this.resampler.convert(block.length);
      output.set(this.#made(made), written);
      written += made;
    }
    if (written !== output.length) throw new Error(`${written} samples made, ${output.length} announced`);
    return output;
  }

  finish(): Int16Array {
    return this.#made(this.resampler.finish()).slice();
  }

  #made(count: number): Int16Array {
    return this.#kernel.output.samples.subarray(0, count);
  }
}
