import type { Cancel, Clock } from '../clock.ts';

export interface RenewalOptions {
  readonly clock: Clock;
  /** Nobody speaks and nothing is under way. */
  mayRenew(): boolean;
  /** Dial the next session; `ready` or `failed` is the answer. */
  begin(): void;
  /** There was no good moment, and the time is over: exchange it like one that is lost. */
  force(): void;
  /** Nobody can be had in the place of this session: say goodbye while it lasts. */
  onCannot(): void;
}

/** A session is used for so long, or for half of the time that it has left, before another one is looked for. */
const LEAST_USE_MS = 10_000;
/** How often it is looked whether the moment is good. */
const LOOK_MS = 200;
/** A moment before the provider ends the session by itself, in the middle of a word. */
const FORCE_BEFORE_MS = 3000;
/** A provider that cannot be had is not asked again at once. */
const AGAIN_MS = 5000;
/** What a goodbye takes. */
const GOODBYE_BEFORE_MS = 25_000;

/** Exchanges a session that is about to end for another one, early, in a moment at which nobody can notice it. */
export class Renewal {
  readonly #options: RenewalOptions;
  #endsAt: number | undefined;
  #cancel: Cancel | undefined;
  #dialling = false;
  #failures = 0;
  #leaving = false;

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  /** The session ends in `inMs`; a time that is no number says nothing. @param usedMs how long it has been in use */
  expect(inMs: number, usedMs: number): void {
    if (!Number.isFinite(inMs)) return;
    this.#endsAt = this.#options.clock.now() + Math.max(0, inMs);
    // A provider that announces the end of every session at its beginning is not dialled without a pause.
    const pauseMs = Math.max(0, LEAST_USE_MS - usedMs);
    if (!this.#dialling) this.#look(Math.max(0, Math.min(pauseMs, inMs / 2)));
  }

  /** The next session is there. False: this is no moment to begin with it, and another one is dialled later. */
  ready(): boolean {
    this.#dialling = false;
    if (this.#endsAt === undefined) return false;
    if (!this.#options.mayRenew()) {
      this.#look(LOOK_MS);
      return false;
    }
    this.close();
    return true;
  }

  /** The next session cannot be had. */
  failed(): void {
    this.#dialling = false;
    this.#failures += 1;
    if (this.#endsAt !== undefined) this.#look(AGAIN_MS);
  }

  /** There is nothing to be renewed any more, or nothing yet. */
  close(): void {
    this.#cancel?.();
    this.#endsAt = undefined;
    this.#dialling = false;
    this.#failures = 0;
    this.#leaving = false;
  }

  #look(inMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(inMs, () => this.#now());
  }

  #now(): void {
    if (this.#endsAt === undefined || this.#dialling) return;
    const { clock, mayRenew, begin, force, onCannot } = this.#options;
    const leftMs = this.#endsAt - clock.now();
    if (this.#leaving) return;
    if (this.#failures > 0 && leftMs <= GOODBYE_BEFORE_MS) {
      this.#leaving = true;
      onCannot();
    } else if (leftMs <= FORCE_BEFORE_MS) {
      force();
    } else if (mayRenew()) {
      this.#dialling = true;
      begin();
    } else {
      this.#look(LOOK_MS);
    }
  }
}
