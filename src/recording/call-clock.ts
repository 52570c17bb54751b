import { afterNetwork, type Cancel, type Clock } from '../clock.ts';

export interface CallClockOptions {
  readonly clock: Clock;
  /** `clock.now()` and `clock.epoch()` of the call's first webhook. */
  readonly startedAt: number;
  readonly epochMs: number;
  /** The clock beneath stands still by itself while one thing is worked off, as that of a replay does. */
  readonly steady?: boolean | undefined;
  /** Told before a timer runs that was due at `due`, ms of this clock; undefined: nobody wants to know. */
  readonly onTimer?: ((due: number, now: number) => void) | undefined;
}

const PER_MS = 1000;

/** As exact as a recording has its times. */
function wholeMicroseconds(ms: number): number {
  return Math.round(ms * PER_MS) / PER_MS;
}

/**
 * The time of one call, in ms since its first webhook, to the microsecond. It stands still while the process works off
 * one thing from outside, so that a replay, which feeds that thing at the same time, computes the same numbers. Never
 * goes backwards.
 */
export class CallClock implements Clock {
  readonly #options: CallClockOptions;
  #now = 0;
  /** The turn of the event loop in which time stands still has not ended. */
  #stands = false;
  readonly #goOn = (): void => {
    this.#stands = false;
  };

  constructor(options: CallClockOptions) {
    this.#options = options;
  }

  now(): number {
    return this.#stands ? this.#now : this.stamp();
  }

  /** Whole ms, as `Date.now` counts them. */
  epoch(): number {
    return this.#options.epochMs + Math.floor(this.now());
  }

  /** Something from outside has happened, at the time that this returns. */
  stamp(): number {
    return this.stampAt(this.#options.clock.now());
  }

  /** Something from outside that happened at this time of the clock beneath, if that is not past already. */
  stampAt(baseNow: number): number {
    this.#now = Math.max(this.#now, wholeMicroseconds(baseNow - this.#options.startedAt));
    if (!this.#stands && this.#options.steady !== true) {
      this.#stands = true;
      setImmediate(this.#goOn);
    }
    return this.#now;
  }

  after(ms: number, run: () => void): Cancel {
    const { clock, startedAt, onTimer } = this.#options;
    const now = this.now();
    const due = wholeMicroseconds(now + ms);
    // What has passed since time was stopped is part of the wait.
    const late = Math.max(0, wholeMicroseconds(clock.now() - startedAt) - now);
    return clock.after(Math.max(0, ms - late), () => {
      const at = this.stamp();
      onTimer?.(due, at);
      run();
    });
  }

  afterNetwork(run: () => void): Cancel {
    const { clock, onTimer } = this.#options;
    const due = this.now();
    return afterNetwork(clock, () => {
      const at = this.stamp();
      onTimer?.(due, at);
      run();
    });
  }
}
