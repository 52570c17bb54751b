/** Power spectrum of real signals by an FFT of fixed size, a power of two; allocates nothing per transform. */
export class Spectrum {
  /** Lines of the result: half of the size, from 0 Hz up to, not including, half of the rate. */
  readonly bins: number;
  readonly #size: number;
  readonly #order: Uint16Array;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  constructor(size: number) {
    this.#size = size;
    this.bins = size / 2;
    const bits = Math.log2(size);
    this.#order = Uint16Array.from({ length: size }, (_, i) => {
      let reversed = 0;
      for (let b = 0; b < bits; b++) if (i & (1 << b)) reversed |= 1 << (bits - 1 - b);
      return reversed;
    });
    this.#cos = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: size / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    this.#re = new Float64Array(size);
    this.#im = new Float64Array(size);
  }

  /** Squared magnitudes of `input`, which may be shorter than the transform: the rest is taken as zero. */
  power(input: Float64Array, into: Float64Array): void {
    const order = this.#order;
    const re = this.#re;
    const im = this.#im;
    re.fill(0);
    im.fill(0);
    for (let i = 0; i < input.length; i++) re[order[i]!] = input[i]!;
    for (let half = 1; half < this.#size; half *= 2) this.#pass(half);
    for (let k = 0; k < this.bins; k++) into[k] = re[k]! * re[k]! + im[k]! * im[k]!;
  }

  #pass(half: number): void {
    const re = this.#re;
    const im = this.#im;
    const stride = this.#size / (2 * half);
    for (let k = 0; k < half; k++) {
      const c = this.#cos[k * stride]!;
      const s = this.#sin[k * stride]!;
      for (let i = k; i < this.#size; i += 2 * half) {
        const j = i + half;
        const tr = re[j]! * c - im[j]! * s;
        const ti = re[j]! * s + im[j]! * c;
        re[j] = re[i]! - tr;
        im[j] = im[i]! - ti;
        re[i]! += tr;
        im[i]! += ti;
      }
    }
  }
}
