import type { Cancel, Clock } from '../../src/clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const TICK_MS = 4;
/** Less than anybody here takes for a silence, more than most turns of the event loop take. */
const MOST_AT_ONCE_MS = 100;

/**
 * The time of the wall for as long as the process gets to run, and no time while it does not: what has come in
 * meanwhile is read before the next timer runs. So both ends of a connection in one process agree on how late it is,
 * however busy the machine is. To be disposed of, for it ticks.
 */
export class LoopClock implements Clock, Disposable {
  #now = 0;
  #last = performance.now();
  #order = 0;
  readonly #epoch = Date.now();
  readonly #timers = new Set<Timer>();
  readonly #ticker = setInterval(() => this.#tick(), TICK_MS);

  now(): number {
    return this.#now;
  }

  epoch(): number {
    return this.#epoch + this.#now;
  }

  after(ms: number, run: () => void): Cancel {
    this.#order += 1;
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticker);
    this.#timers.clear();
  }

  #tick(): void {
    const wall = performance.now();
    const end = this.#now + Math.min(MOST_AT_ONCE_MS, wall - this.#last);
    this.#last = wall;
    const due = [...this.#timers]
      .filter(({ at }) => at <= end)
      .sort((a, b) => a.at - b.at || a.order - b.order);
    for (const timer of due) {
      // One that ran before it may have given it up.
      if (!this.#timers.delete(timer)) continue;
      this.#now = Math.max(this.#now, timer.at);
      timer.run();
    }
    this.#now = end;
  }
}
