import type { Clock } from '../../clock.ts';

/** Without word that something was taken in, it counts as taken in by then. */
const TAKEN_IN_MS = 2_000;
/** Whoever has not said by then what they were asked to say does not say it any more. */
const FORGOTTEN_MS = 20_000;

/** Something that the bridge has asked the model to say. */
interface Ask {
  /** Event ids of what was appended for it. */
  readonly eventIds: ReadonlySet<string>;
  readonly askedAt: number;
  /** Since when the model can say it; undefined: it does not know of it yet. */
  since: number | undefined;
  /** Somebody else says when it is known. */
  readonly isHeldBack: boolean;
}

/**
 * What the bridge has asked the model to say, and what has not been said. No event tells why the model speaks: what it
 * begins to say when it has taken in a request is taken for the answer to it.
 */
export class Asks {
  readonly #clock: Clock;
  #open: Ask[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param eventIds of what was appended; none: `known` says when the model can speak of it */
  add(eventIds: readonly string[]): void {
    this.#open.push({
      eventIds: new Set(eventIds),
      askedAt: this.#clock.now(),
      since: undefined,
      isHeldBack: eventIds.length === 0,
    });
  }

  /** What was appended has been taken in. */
  appended(eventId: string | undefined): void {
    for (const ask of this.#open) {
      // Not every server may say what it has taken in: then it is taken for the oldest.
      if (eventId !== undefined && !ask.eventIds.has(eventId)) continue;
      ask.since ??= this.#clock.now();
      return;
    }
  }

  /** What was held back is known to the model now. */
  known(): void {
    for (const ask of this.#open) if (ask.isHeldBack) ask.since ??= this.#clock.now();
  }

  /** What was appended was refused, or nothing came of what was held back (undefined). */
  refused(eventId: string | undefined): void {
    this.#open = this.#open.filter((ask) =>
      eventId === undefined ? !ask.isHeldBack : !ask.eventIds.has(eventId),
    );
  }

  /** The model knows of something that it has not said. */
  get due(): boolean {
    if (this.#open.length === 0) return false;
    const now = this.#clock.now();
    this.#open = this.#open.filter(
      (ask) => now - (ask.since ?? ask.askedAt) < FORGOTTEN_MS || isWaiting(ask),
    );
    return this.#open.some((ask) => isDue(ask, now));
  }

  /** The model begins to speak. True: of what it was asked for. */
  take(): boolean {
    if (!this.due) return false;
    const now = this.#clock.now();
    this.#open = this.#open.filter((ask) => !isDue(ask, now));
    return true;
  }
}

function isWaiting(ask: Ask): boolean {
  return ask.isHeldBack && ask.since === undefined;
}

function isDue(ask: Ask, now: number): boolean {
  if (ask.since !== undefined) return true;
  return !ask.isHeldBack && now - ask.askedAt >= TAKEN_IN_MS;
}
