import type { Cancel, Clock } from './clock.ts';

/** Something that wants to be looked at every frame while it has work. */
export interface Paced {
  tick(now: number): void;
  /** `tick` threw: the member has been taken out, so that it cannot harm the others. */
  failed(error: unknown): void;
}

/** Length of a telephone frame, and of one beat of the pacer, in ms. */
export const FRAME_MS = 20;

/** The platform counts whole milliseconds, so that a timer runs by up to so much before its time: that is its beat, and not one more. */
const EARLY_MS = 1;

/**
 * One timer for all calls of the process. It beats at absolute multiples of 20 ms from its start, so a late wake-up
 * delays one beat and not all that follow; it sleeps while nobody is registered.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #members = new Set<Paced>();
  #cancel: Cancel | undefined;
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#members.size;
  }

  add(member: Paced): void {
    this.#members.add(member);
    if (this.#cancel === undefined) {
      this.#next = this.#clock.now() + FRAME_MS;
      this.#arm();
    }
  }

  remove(member: Paced): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.close();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#members.clear();
  }

  #arm(): void {
    // A member that joined during a beat has armed the timer already.
    this.#cancel?.();
    this.#cancel = this.#clock.after(Math.max(0, this.#next - this.#clock.now()), this.#beat);
  }

  readonly #beat = (): void => {
    this.#cancel = undefined;
    const now = this.#clock.now();
    // Members compute what is due from the time, so beats that were slept through need no repetition.
    while (this.#next < now + EARLY_MS) this.#next += FRAME_MS;
    for (const member of this.#members) this.#tick(member, now);
    if (this.#members.size > 0) this.#arm();
  };

  #tick(member: Paced, now: number): void {
    try {
      member.tick(now);
    } catch (error) {
      this.remove(member);
      member.failed(error);
    }
  }
}
