const BUCKET_MS = 1000;
/** Long enough that some packet of it came without delay, short enough that clocks do not part meanwhile. */
const BUCKETS = 8;

interface Bucket {
  readonly index: number;
  least: number;
}

/**
 * Reads a carrier's clock, counted in samples, off the arrival of its audio. The packet that was under way the shortest
 * counts: all others came late. Follows a clock that is too fast or too slow.
 */
export class EarClock {
  readonly #perMs: number;
  readonly #buckets: Bucket[] = [];
  /** Of our time in samples over the carrier's, when nothing has come yet. */
  #fallback = 0;

  constructor(samplesPerMs: number) {
    this.#perMs = samplesPerMs;
  }

  /** A stream begins: all that is known is that its clock shows `samples` about now. */
  reset(now: number, samples: number): void {
    this.#buckets.length = 0;
    this.#fallback = now * this.#perMs - samples;
  }

  /** A packet has come, and the audio ends at `samples` now. */
  arrived(now: number, samples: number): void {
    const ahead = now * this.#perMs - samples;
    const index = Math.floor(now / BUCKET_MS);
    const newest = this.#buckets.at(-1);
    if (newest !== undefined && newest.index >= index) {
      newest.least = Math.min(newest.least, ahead);
      return;
    }
    this.#buckets.push({ index, least: ahead });
    if (this.#buckets.length > BUCKETS) this.#buckets.shift();
  }

  /** What the carrier's clock showed when whatever arrives without delay at `now` was sent, in samples. */
  at(now: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const bucket of this.#buckets) least = Math.min(least, bucket.least);
    return now * this.#perMs - (least === Number.POSITIVE_INFINITY ? this.#fallback : least);
  }
}
