import { type Cancel, type Clock, systemClock } from '../../src/clock.ts';

interface Timer {
  readonly due: number;
  readonly run: () => void;
  cancel: Cancel;
}

/** Real time, of which some can be skipped: whatever would be forgotten after minutes is forgotten now. */
export class SkippingClock implements Clock {
  readonly #timers = new Set<Timer>();
  #skipped = 0;

  /** Timers that have not run and were not given up. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return systemClock.now() + this.#skipped;
  }

  epoch(): number {
    return systemClock.epoch() + this.#skipped;
  }

  after(ms: number, run: () => void): Cancel {
    const timer: Timer = { due: this.now() + ms, run, cancel: () => undefined };
    this.#timers.add(timer);
    this.#set(timer);
    return () => {
      timer.cancel();
      this.#timers.delete(timer);
    };
  }

  /** It is `ms` later at once; timers that are due by then run soon. */
  skip(ms: number): void {
    this.#skipped += ms;
    for (const timer of this.#timers) {
      timer.cancel();
      this.#set(timer);
    }
  }

  #set(timer: Timer): void {
    timer.cancel = systemClock.after(timer.due - this.now(), () => {
      this.#timers.delete(timer);
      timer.run();
    });
  }
}
