import type { Cancel, Clock } from './clock.ts';
import type { CollectedDigits, DigitWish } from './tools.ts';

/** Keys that somebody has asked for: until there are enough, the end key comes, or none comes for too long. */
export class Collection {
  readonly #clock: Clock;
  readonly #wish: DigitWish;
  readonly #onOver: (result: CollectedDigits) => void;
  #digits = '';
  #cancel: Cancel | undefined;
  #over = false;

  constructor(clock: Clock, wish: DigitWish, onOver: (result: CollectedDigits) => void) {
    this.#clock = clock;
    this.#wish = wish;
    this.#onOver = onOver;
  }

  press(digit: string): void {
    if (this.#over) return;
    if (digit === this.#wish.endKey) {
      this.#finish({ status: 'complete', digits: this.#digits });
      return;
    }
    this.#digits += digit;
    if (this.#digits.length >= this.#wish.max) this.#finish({ status: 'complete', digits: this.#digits });
    else this.#wait(this.#wish.nextMs);
  }

  /** The agent has finished asking: the caller's time for the first key begins. */
  quiet(): void {
    if (!this.#over && this.#digits === '')
      this.#cancel ??= this.#clock.after(this.#wish.firstMs, () => this.#late());
  }

  /** Somebody speaks: nobody presses a first key meanwhile. */
  busy(): void {
    if (this.#digits !== '') return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Nobody waits for them any more. */
  give(): void {
    this.#finish({ status: 'gone' });
  }

  #wait(ms: number): void {
    this.#cancel?.();
    this.#cancel = this.#clock.after(ms, () => this.#late());
  }

  #late(): void {
    this.#finish({ status: 'timeout', digits: this.#digits });
  }

  #finish(result: CollectedDigits): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancel?.();
    this.#onOver(result);
  }
}
