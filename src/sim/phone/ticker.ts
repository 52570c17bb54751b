import type { Cancel, Clock } from '../../clock.ts';

/** One frame of telephone audio, in ms. */
export const TICK_MS = 20;

/** Something that must be called every 20 ms. */
export interface Ticking {
  /** Called once for each tick, in order; `lateMs` says how long after its deadline. */
  tick(lateMs: number): void;
}

interface Entry {
  readonly ticking: Ticking;
  nextMs: number;
}

/**
 * One timer for all calls. Every call keeps the deadlines of its own start (start + n × 20 ms), so a late timer never
 * moves the following ones, and ticks that were missed are made up for at once.
 */
export class Ticker {
  readonly #clock: Clock;
  readonly #entries: Entry[] = [];
  readonly #wake = (): void => this.#run();
  #cancel: Cancel | undefined;
  #armedMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** First tick 20 ms from now. */
  add(ticking: Ticking): void {
    const nextMs = this.#clock.now() + TICK_MS;
    this.#entries.push({ ticking, nextMs });
    this.#arm(nextMs);
  }

  /** May be called from within a tick. */
  remove(ticking: Ticking): void {
    const at = this.#entries.findIndex((entry) => entry.ticking === ticking);
    if (at === -1) return;
    const [entry] = this.#entries.splice(at, 1);
    if (entry !== undefined) entry.nextMs = Number.POSITIVE_INFINITY;
    if (this.#entries.length === 0) this.#disarm();
  }

  #arm(atMs: number): void {
    if (atMs >= this.#armedMs) return;
    this.#disarm();
    this.#armedMs = atMs;
    // Whole ms upwards: Node cuts fractions off, and a timer that fires early would have to be set again.
    this.#cancel = this.#clock.after(Math.max(0, Math.ceil(atMs - this.#clock.now())), this.#wake);
  }

  #disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
  }

  #run(): void {
    this.#disarm();
    const nowMs = this.#clock.now();
    let earliest = Number.POSITIVE_INFINITY;
    // Backwards, so that a call that ends in its tick can be removed without any other being skipped.
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry === undefined) continue;
      while (entry.nextMs <= nowMs) {
        const lateMs = nowMs - entry.nextMs;
        entry.nextMs += TICK_MS;
        entry.ticking.tick(lateMs);
      }
      if (entry.nextMs < earliest) earliest = entry.nextMs;
    }
    if (earliest < Number.POSITIVE_INFINITY) this.#arm(earliest);
  }
}
