import type { EndReason } from './call-events.ts';
import type { Cancel, Clock } from './clock.ts';

/** However slow the goodbye is to come, the call ends by then. */
const GOODBYE_LIMIT_MS = 20_000;

/**
 * A call that is about to end: it ends when the goodbye has been heard, and at the latest at the limit. A caller who
 * speaks up before that goes on talking, unless the reason leaves no choice.
 */
export class Goodbye {
  readonly #clock: Clock;
  readonly #onOver: (reason: EndReason) => void;
  #leaving: { readonly reason: EndReason; readonly final: boolean; readonly cancel: Cancel } | undefined;
  /** The goodbye was asked for and has not begun. */
  #awaited = false;

  constructor(clock: Clock, onOver: (reason: EndReason) => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  get leaving(): boolean {
    return this.#leaving !== undefined;
  }

  /**
   * @param awaited the goodbye is still to be spoken; false: what plays now is the goodbye
   * @param final the caller cannot call it off
   */
  begin(reason: EndReason, awaited: boolean, final: boolean): void {
    if (this.#leaving?.final === true) return;
    this.#leaving?.cancel();
    const cancel = this.#clock.after(GOODBYE_LIMIT_MS, () => this.#onOver(reason));
    this.#leaving = { reason, final, cancel };
    this.#awaited = awaited;
  }

  /** The agent has begun to speak. */
  spoken(): void {
    this.#awaited = false;
  }

  /** The caller speaks: a goodbye that is not final is called off. */
  callerSpoke(): void {
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

  close(): void {
    this.#leaving?.cancel();
    this.#leaving = undefined;
  }
}
