import type { Cancel, Clock } from '../../src/clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  run: () => void;
  /** Place in the heap; -1: it has run or was given up. */
  index: number;
}

/**
 * Time that passes when it is told to. A timer that was given up is gone at once, as in life: one that stayed until it is
 * due would hold on to what it was to run, and look like a leak.
 */
export class SoakClock implements Clock {
  readonly #epochMs: number;
  #now = 0;
  #order = 0;
  readonly #heap: Timer[] = [];

  constructor(epochMs: number) {
    this.#epochMs = epochMs;
  }

  /** Timers that have not run and were not given up. */
  get pending(): number {
    return this.#heap.length;
  }

  /** When the next timer is due; Infinity: there is none. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  now(): number {
    return this.#now;
  }

  epoch(): number {
    return this.#epochMs + Math.floor(this.#now);
  }

  after(ms: number, run: () => void): Cancel {
    this.#order += 1;
    // Whole ms, so that timers of many calls are due together and one turn does for all of them.
    const at = Math.ceil(this.#now + Math.max(0, ms));
    const timer: Timer = { at, order: this.#order, run, index: this.#heap.length };
    this.#heap.push(timer);
    this.#rise(timer);
    return () => this.#remove(timer);
  }

  /** As with real timers, the network has its turn first; here that is the next ms. */
  afterNetwork(run: () => void): Cancel {
    return this.after(1, run);
  }

  /** Goes to the next moment at which a timer is due, at most to `until`, and runs all that are due then. */
  runNext(until: number): void {
    this.#now = Math.max(this.#now, Math.min(until, this.nextAt));
    const now = this.#now;
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#remove(first);
      first.run();
    }
  }

  #remove(timer: Timer): void {
    const { index } = timer;
    if (index < 0) return;
    timer.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === timer) return;
    last.index = index;
    this.#heap[index] = last;
    this.#rise(last);
    this.#sink(last);
  }

  #rise(timer: Timer): void {
    while (timer.index > 0) {
      const parent = this.#heap[(timer.index - 1) >> 1];
      if (parent === undefined || !isBefore(timer, parent)) return;
      this.#swap(timer, parent);
    }
  }

  #sink(timer: Timer): void {
    for (;;) {
      const left = this.#heap[2 * timer.index + 1];
      const right = this.#heap[2 * timer.index + 2];
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, timer)) return;
      this.#swap(timer, child);
    }
  }

  #swap(a: Timer, b: Timer): void {
    const { index } = a;
    a.index = b.index;
    b.index = index;
    this.#heap[a.index] = a;
    this.#heap[b.index] = b;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
