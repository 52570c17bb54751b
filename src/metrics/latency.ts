/** The same for every series of one figure. */
export type Bounds = readonly number[];

/** What the bridge itself takes: below a millisecond unless something is wrong. */
export const OWN_MS: Bounds = [
  0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 20, 50, 100,
];
/** What a carrier waits for before its caller hears anything. */
export const WEBHOOK_MS: Bounds = [0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 250, 500, 1000, 2500, 5000];
/** What people wait for. */
export const TURN_MS: Bounds = [
  10, 25, 50, 100, 150, 200, 300, 400, 500, 600, 800, 1000, 1250, 1500, 2000, 3000, 5000, 10_000,
];

/**
 * A histogram of durations in ms that costs next to nothing to fill: no labels are looked up and nothing is allocated, so
 * it may be told of every frame of every call. Whoever wants the figures reads them: see `LatencyHistogram`.
 */
export class Latency {
  /** Ends with infinity, so that every duration has its bucket. */
  readonly #bounds: Float64Array;
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds upper bounds of the buckets in ms, ascending */
  constructor(bounds: Bounds) {
    this.#bounds = Float64Array.of(...bounds, Number.POSITIVE_INFINITY);
    this.#counts = new Float64Array(this.#bounds.length);
  }

  /** What is no duration, NaN or below 0, is not counted. */
  observe(ms: number): void {
    if (!(ms >= 0)) return;
    const bounds = this.#bounds;
    let bucket = 0;
    while (ms > (bounds[bucket] ?? ms)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += ms;
  }

  /** Of all durations, in ms. */
  get sum(): number {
    return this.#sum;
  }

  get count(): number {
    let count = 0;
    for (const one of this.#counts) count += one;
    return count;
  }

  /** Durations up to each bound, those of the bounds before it included; the last is the count of all. */
  cumulative(): number[] {
    let count = 0;
    return Array.from(this.#counts, (one) => {
      count += one;
      return count;
    });
  }
}
