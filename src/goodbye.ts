import type { EndReason } from './call-events.ts';
import type { Cancel, Clock } from './clock.ts';

/** However slow the goodbye is to come, the call ends by then, or when what is said by then has been heard. */
const GOODBYE_LIMIT_MS = 20_000;
const MAX_GOODBYE_MS = 60_000;

/**
 * A call that is about to end: it ends when the goodbye has been heard, and at the latest at the limit. A caller who
 * speaks up before that goes on talking, unless the reason leaves no choice.
 */
export class Goodbye {
  readonly #clock: Clock;
  readonly #onOver: (reason: EndReason) => void;
  readonly #aheadMs: () => number;
  #leaving: { readonly reason: EndReason; readonly final: boolean; cancel: Cancel } | undefined;
  /** The goodbye was asked for and has not begun. */
  #awaited = false;

  /** @param aheadMs speech that is still to be heard */
  constructor(clock: Clock, onOver: (reason: EndReason) => void, aheadMs: () => number) {
    this.#clock = clock;
    this.#onOver = onOver;
    this.#aheadMs = aheadMs;
  }

  get leaving(): boolean {
    return this.#leaving !== undefined;
  }

  /** The call ends whatever the caller does. */
  get final(): boolean {
    return this.#leaving?.final === true;
  }

  /**
   * @param awaited the goodbye is still to be spoken; false: what plays now is the goodbye
   * @param final the caller cannot call it off
   */
  begin(reason: EndReason, awaited: boolean, final: boolean): void {
    if (this.#leaving?.final === true) return;
    this.#leaving?.cancel();
    const cancel = this.#clock.after(GOODBYE_LIMIT_MS, () => this.#limit());
    this.#leaving = { reason, final, cancel };
    this.#awaited = awaited;
  }

  /** The agent has begun to speak. */
  spoken(): void {
    this.#awaited = false;
  }

  /** The call goes on: a goodbye that is not final is called off. */
  callOff(): void {
    if (this.#leaving === undefined || this.#leaving.final) return;
    this.close();
  }

  /** Nothing is being said, nothing is under way. */
  quiet(): void {
    if (this.#leaving === undefined || this.#awaited) return;
    const { reason } = this.#leaving;
    this.close();
    this.#onOver(reason);
  }

  /** A goodbye that is being heard may go on to its end. */
  #limit(): void {
    if (this.#leaving === undefined) return;
    const { reason } = this.#leaving;
    const left = this.#awaited ? 0 : Math.min(this.#aheadMs(), MAX_GOODBYE_MS - GOODBYE_LIMIT_MS);
    this.#leaving.cancel = this.#clock.after(left, () => this.#onOver(reason));
  }

  close(): void {
    this.#leaving?.cancel();
    this.#leaving = undefined;
  }
}
