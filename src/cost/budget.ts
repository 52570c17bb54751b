import type { Cancel, Clock } from '../clock.ts';
import type { CallMeter } from './meter.ts';
import { type Money, moneyOf } from './money.ts';

export interface CallBudgetOptions {
  readonly clock: Clock;
  readonly meter: CallMeter;
  /** What the call may cost, in the currency of the meter's prices. */
  readonly perCall: number;
  /** What is left when the end is told pays for the goodbye: told at this share of the budget. Default 0.95. */
  readonly tellAt?: number;
  /** How long the goodbye takes, ms: it must not begin another minute that the budget does not hold. Default 8000. */
  readonly goodbyeMs?: number;
  /** Called once, and never from within what the meter is told of. */
  readonly told: () => void;
}

const TELL_AT = 0.95;
const GOODBYE_MS = 8000;
/** How far ahead a call is looked after without anything happening in it. */
const HORIZON_MS = 86_400_000;
const PARTS = 1_000_000;

/**
 * Tells when a call has nearly cost what it may: looks after everything that the provider reports, and sets a timer
 * for the moment when time alone will have used the budget up.
 */
export class CallBudget {
  readonly #clock: Clock;
  readonly #meter: CallMeter;
  readonly #limit: Money;
  readonly #tellFrom: Money;
  readonly #goodbyeMs: number;
  readonly #told: () => void;
  readonly #unwatch: Cancel;
  #timer: Cancel | undefined;

  constructor({ clock, meter, perCall, tellAt = TELL_AT, goodbyeMs = GOODBYE_MS, told }: CallBudgetOptions) {
    this.#clock = clock;
    this.#meter = meter;
    this.#limit = moneyOf(perCall);
    this.#tellFrom = (this.#limit * BigInt(Math.round(tellAt * PARTS))) / BigInt(PARTS);
    this.#goodbyeMs = goodbyeMs;
    this.#told = told;
    this.#unwatch = meter.watch(() => this.#look());
    this.#look();
  }

  /** Nothing is told any more. */
  close(): void {
    this.#timer?.();
    this.#unwatch();
  }

  #look(): void {
    this.#timer?.();
    const waitMs = this.#untilSpent();
    this.#timer = this.#clock.after(waitMs ?? HORIZON_MS, () => this.#due());
  }

  #due(): void {
    if (this.#untilSpent() !== 0) {
      this.#look();
      return;
    }
    this.close();
    this.#told();
  }

  #isSpent(atMs: number): boolean {
    return this.#meter.cost(atMs) >= this.#tellFrom || this.#meter.cost(atMs + this.#goodbyeMs) > this.#limit;
  }

  /** Whole ms until the end has to be told if nothing but time passes; undefined: not within the horizon. */
  #untilSpent(): number | undefined {
    const nowMs = this.#clock.now();
    if (this.#isSpent(nowMs)) return 0;
    if (!this.#isSpent(nowMs + HORIZON_MS)) return undefined;
    let tooEarly = 0;
    let spent = HORIZON_MS;
    while (spent - tooEarly > 1) {
      const middle = Math.floor((tooEarly + spent) / 2);
      if (this.#isSpent(nowMs + middle)) spent = middle;
      else tooEarly = middle;
    }
    return spent;
  }
}
