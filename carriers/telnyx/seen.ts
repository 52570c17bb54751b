/** As many as are kept at most: some minutes of the webhooks of a large service, in a few megabytes. */
const MOST = 50_000;

/** Remembers what came before, each for its own time, and never more than a fixed number; the oldest are forgotten first. */
export class Seen {
  readonly #until = new Map<string, number>();
  readonly #most: number;

  constructor(most = MOST) {
    this.#most = most;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#until.size;
  }

  /** Whether `key` came before and is not forgotten; times in ms since 1970. */
  has(key: string, nowMs: number): boolean {
    const until = this.#until.get(key);
    return until !== undefined && until >= nowMs;
  }

  /** Remembers `key` up to and including `untilMs`. */
  add(key: string, untilMs: number, nowMs: number): void {
    this.#until.delete(key);
    this.#forget(nowMs);
    this.#until.set(key, untilMs);
  }

  /** From the front only: what came first is nearly always what is over first. */
  #forget(nowMs: number): void {
    for (const [key, until] of this.#until) {
      if (until >= nowMs && this.#until.size < this.#most) return;
      this.#until.delete(key);
    }
  }
}
