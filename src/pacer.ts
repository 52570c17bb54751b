import type { Cancel, Clock } from './clock.ts';

/** Something that wants to be looked at every frame while it has work. */
export interface Paced {
  /**
   * Returns the time from which it wants to be looked at again, if that is not the next frame; whoever has work before that
   * is to be `add`ed once more.
   */
  tick(now: number): number | undefined;
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
  readonly #members: Paced[] = [];
  /** By member. Side by side, so that a beat touches nothing of those that have nothing to do. */
  readonly #dueAt: number[] = [];
  #cancel: Cancel | undefined;
  #next = 0;
  /** Of the beat that runs. */
  #index = -1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#members.length;
  }

  /** A member that is there already is looked at in the next frame. */
  add(member: Paced): void {
    const index = this.#members.indexOf(member);
    if (index >= 0) {
      this.#dueAt[index] = 0;
      return;
    }
    this.#members.push(member);
    this.#dueAt.push(0);
    if (this.#cancel === undefined) {
      this.#next = this.#clock.now() + FRAME_MS;
      this.#arm();
    }
  }

  remove(member: Paced): void {
    const index = this.#members.indexOf(member);
    if (index < 0) return;
    this.#members.splice(index, 1);
    this.#dueAt.splice(index, 1);
    // Whoever comes after it moves up.
    if (index <= this.#index) this.#index -= 1;
    if (this.#members.length === 0) this.close();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#members.length = 0;
    this.#dueAt.length = 0;
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
    for (this.#index = 0; this.#index < this.#members.length; this.#index++) {
      if ((this.#dueAt[this.#index] ?? 0) <= now) this.#tick(this.#index, now);
    }
    this.#index = -1;
    if (this.#members.length > 0) this.#arm();
  };

  #tick(index: number, now: number): void {
    const member = this.#members[index];
    if (member === undefined) return;
    try {
      const again = member.tick(now) ?? 0;
      // Members come and go meanwhile.
      if (this.#members[this.#index] === member) this.#dueAt[this.#index] = again;
    } catch (error) {
      this.remove(member);
      member.failed(error);
    }
  }
}
