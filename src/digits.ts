import type { Cancel, Clock } from './clock.ts';

/** How the keys that a caller presses become one piece of input. */
export interface DigitRule {
  /** Ends the input and is not part of it; undefined: none does. */
  readonly endKey: string | undefined;
  /** A pause of this length after a key ends the input. */
  readonly timeoutMs: number;
  /** So many keys are an input. */
  readonly max: number;
}

/** Where a key was reported. */
export type DigitSource = 'socket' | 'webhook';

/** A key that is reported in two ways arrives twice within this time. */
const TWIN_MS = 5000;
const MAX_WAITING = 64;

/** Gathers keys until the input is complete. What was pressed is never logged: it may be a card number. */
export class DigitCollector {
  readonly #clock: Clock;
  readonly #rule: DigitRule;
  readonly #onInput: (digits: string) => void;
  #digits = '';
  #cancel: Cancel | undefined;

  constructor(clock: Clock, rule: DigitRule, onInput: (digits: string) => void) {
    this.#clock = clock;
    this.#rule = rule;
    this.#onInput = onInput;
  }

  /** Some keys were pressed and the input is not complete. */
  get collecting(): boolean {
    return this.#digits !== '';
  }

  press(digit: string): void {
    // On its own the end key is an answer like any other.
    if (digit === this.#rule.endKey && this.#digits !== '') {
      this.flush();
      return;
    }
    this.#digits += digit;
    this.#cancel?.();
    if (this.#digits.length >= this.#rule.max) this.flush();
    else this.#cancel = this.#clock.after(this.#rule.timeoutMs, () => this.flush());
  }

  /** What there is is the input. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const digits = this.#digits;
    this.#digits = '';
    if (digits !== '') this.#onInput(digits);
  }

  /** What there is, for somebody else: it is no input any more. */
  take(): string {
    const digits = this.#digits;
    this.close();
    return digits;
  }

  close(): void {
    this.#cancel?.();
    this.#digits = '';
  }
}

/** Counts a key once that the carrier reports on the media socket and as a webhook, in either order. */
export class DigitTwins {
  readonly #clock: Clock;
  #waiting: { readonly digit: string; readonly source: DigitSource; readonly at: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True for a key that was not reported before in the other way. */
  isNew(digit: string, source: DigitSource): boolean {
    const now = this.#clock.now();
    this.#waiting = this.#waiting.filter((one) => now - one.at < TWIN_MS).slice(-MAX_WAITING);
    const twin = this.#waiting.findIndex((one) => one.digit === digit && one.source !== source);
    if (twin >= 0) {
      this.#waiting.splice(twin, 1);
      return false;
    }
    this.#waiting.push({ digit, source, at: now });
    return true;
  }
}
