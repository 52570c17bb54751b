import { type Cancel, type Clock, LONGEST_TIMER_MS } from '../../clock.ts';
import type { ProviderEvent } from '../../provider.ts';

/** Announces the end of a session, as long before it as the settings say. */
export class Expiry {
  readonly #clock: Clock;
  readonly #marginMs: number;
  readonly #emit: (event: ProviderEvent) => void;
  #cancel: Cancel | undefined;

  constructor(clock: Clock, marginMs: number, emit: (event: ProviderEvent) => void) {
    this.#clock = clock;
    this.#marginMs = marginMs;
    this.#emit = emit;
  }

  /** The session ends in `leftMs`, whatever was said of it before; a time that is no number says nothing. */
  expect(leftMs: number): void {
    if (Number.isNaN(leftMs)) return;
    const endsAt = this.#clock.now() + leftMs;
    // One that is announced as soon as it stands would be exchanged for another one at once, and so on.
    const marginMs = leftMs > this.#marginMs ? this.#marginMs : leftMs / 2;
    this.#cancel?.();
    this.#cancel = this.#clock.after(Math.min(LONGEST_TIMER_MS, Math.max(0, leftMs - marginMs)), () => {
      this.#emit({ type: 'expiring', inMs: Math.max(0, Math.round(endsAt - this.#clock.now())) });
    });
  }

  /** Nothing is announced any more. */
  cancel(): void {
    this.#cancel?.();
  }
}
