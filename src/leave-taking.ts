import type { EndReason } from './call-events.ts';
import type { Cancel, Clock } from './clock.ts';

export interface LeaveTakingOptions {
  readonly clock: Clock;
  /** The caller is away, with somebody else or about to be: nobody can take leave of them. */
  isAway(): boolean;
  takeLeave(reason: EndReason, goodbye: string): void;
}

const AGAIN_MS = 2000;

/** The end of a call that has lasted long enough: it waits for a caller who is away, and who comes back or is gone before long. */
export class LeaveTaking {
  readonly #options: LeaveTakingOptions;
  #cancel: Cancel | undefined;

  constructor(options: LeaveTakingOptions) {
    this.#options = options;
  }

  /** Takes leave `ms` from now; takes the place of any leave that waits. */
  after(ms: number, reason: EndReason, goodbye: string): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(ms, () => this.now(reason, goodbye));
  }

  /** Takes leave, or as soon as the caller is there. */
  now(reason: EndReason, goodbye: string): void {
    if (this.#options.isAway()) {
      this.after(AGAIN_MS, reason, goodbye);
      return;
    }
    this.close();
    this.#options.takeLeave(reason, goodbye);
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
