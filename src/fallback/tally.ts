/** When it is enough. */
export interface TallyLimits {
  /** So many bad ones in a row, however long that takes. */
  readonly inARow: number;
  /** Of what the window holds, 0..1, once that is at least `atLeast`. */
  readonly badShare: number;
  readonly atLeast: number;
  readonly windowMs: number;
}

const BUCKETS = 6;

/** Counts good and bad outcomes, in a row and in a sliding window. O(1) each, in memory that does not grow. */
export class Tally {
  readonly #limits: TallyLimits;
  readonly #bucketMs: number;
  readonly #good: number[] = new Array(BUCKETS).fill(0);
  readonly #bad: number[] = new Array(BUCKETS).fill(0);
  #goodSum = 0;
  #badSum = 0;
  #row = 0;
  /** The bucket that is being filled, and since when, in ms. */
  #at = 0;
  #since: number;

  constructor(limits: TallyLimits, now: number) {
    this.#limits = limits;
    this.#bucketMs = limits.windowMs / BUCKETS;
    this.#since = now;
  }

  /** @param counts false: it ends the row, but the window holds enough of its like */
  good(now: number, counts = true): void {
    this.#row = 0;
    if (!counts) return;
    this.#turn(now);
    this.#good[this.#at] = (this.#good[this.#at] ?? 0) + 1;
    this.#goodSum += 1;
  }

  /** True: it is enough. */
  bad(now: number): boolean {
    this.#turn(now);
    this.#row += 1;
    this.#bad[this.#at] = (this.#bad[this.#at] ?? 0) + 1;
    this.#badSum += 1;
    const { inARow, badShare, atLeast } = this.#limits;
    const sum = this.#goodSum + this.#badSum;
    return this.#row >= inARow || (sum >= atLeast && this.#badSum >= badShare * sum);
  }

  #turn(now: number): void {
    const steps = Math.floor((now - this.#since) / this.#bucketMs);
    if (steps <= 0) return;
    this.#since += steps * this.#bucketMs;
    for (let step = 0; step < Math.min(steps, BUCKETS); step++) {
      this.#at = (this.#at + 1) % BUCKETS;
      this.#goodSum -= this.#good[this.#at] ?? 0;
      this.#badSum -= this.#bad[this.#at] ?? 0;
      this.#good[this.#at] = 0;
      this.#bad[this.#at] = 0;
    }
  }
}
