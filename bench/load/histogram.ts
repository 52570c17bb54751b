/** Buckets for each doubling: a figure read back is at most 1.1 % too large. */
const PER_OCTAVE = 64;
/** Smallest value that is told apart from 0, in ms. */
const SMALLEST_MS = 0.001;
const OCTAVES = 26;

/** Percentiles of a histogram, in ms; all 0 when nothing was recorded. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Times in ms, counted in buckets that grow with them, so that recording allocates nothing. */
export class Histogram {
  readonly #buckets = new Uint32Array(PER_OCTAVE * OCTAVES);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** Counts one time in ms; what is below 1 µs counts as 1 µs. */
  record(ms: number): void {
    const place = ms <= SMALLEST_MS ? 0 : Math.ceil(Math.log2(ms / SMALLEST_MS) * PER_OCTAVE);
    const index = Math.min(place, this.#buckets.length - 1);
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count += 1;
    if (ms > this.#max) this.#max = ms;
  }

  /** The time that `share` (0 to 1) of all are not above, in ms. */
  percentile(share: number): number {
    const wanted = Math.ceil(this.#count * share);
    if (wanted === 0) return 0;
    let seen = 0;
    for (let index = 0; index < this.#buckets.length; index++) {
      seen += this.#buckets[index] ?? 0;
      if (seen >= wanted) return Math.min(this.#max, SMALLEST_MS * 2 ** (index / PER_OCTAVE));
    }
    return this.#max;
  }

  /** What is to be told of it. */
  spread(): Spread {
    return {
      count: this.#count,
      p50: this.percentile(0.5),
      p99: this.percentile(0.99),
      p999: this.percentile(0.999),
      max: this.#max,
    };
  }

  /** Forgets everything. */
  reset(): void {
    this.#buckets.fill(0);
    this.#count = 0;
    this.#max = 0;
  }
}
