import type { Money } from './money.ts';

/** Sums of a day, by number or by pattern of numbers. */
export interface Spending {
  total: Money;
  readonly numbers: Map<string, Money>;
}

/** What may have an entry of its own on one day; the rest is counted by pattern, for a caller may choose the number. */
const MOST_NUMBERS = 1000;

function nothing(): Spending {
  return { total: 0n, numbers: new Map() };
}

function larger(a: Money, b: Money): Money {
  return a > b ? a : b;
}

function add(to: Spending, key: string, amount: Money): void {
  to.total += amount;
  to.numbers.set(key, (to.numbers.get(key) ?? 0n) + amount);
}

/** What of a day is to be on disk, and what of it this process has put down since it last looked there. */
export interface Draft {
  readonly all: Spending;
  readonly own: Spending;
}

/** What was spent on one day: what is on disk, and what this process has put down since. */
export class Day {
  /** `2026-11-21`, in the time zone of the ledger. */
  readonly name: string;
  /** Undefined: nothing has a price. */
  currency: string | undefined;
  /** Somebody has been told that what is on disk does not count. */
  isTold = false;
  #kept: Spending = nothing();
  #own: Spending = nothing();
  readonly #keys = new Set<string>();

  constructor(name: string, currency: string | undefined) {
    this.name = name;
    this.currency = currency;
  }

  get total(): Money {
    return this.#kept.total + this.#own.total;
  }

  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  /** There is something that is not on disk. */
  get isFresh(): boolean {
    return this.#own.numbers.size > 0;
  }

  /** What was spent under this key. */
  of(key: string): Money {
    return (this.#kept.numbers.get(key) ?? 0n) + (this.#own.numbers.get(key) ?? 0n);
  }

  /** What a number is counted under: itself, or its pattern when there are too many. */
  keyOf(number: string, pattern: string): string {
    return this.#keys.has(number) || this.#keys.size < MOST_NUMBERS ? number : pattern;
  }

  add(key: string, amount: Money): void {
    this.#keys.add(key);
    add(this.#own, key, amount);
  }

  entries(): readonly (readonly [key: string, amount: Money])[] {
    return [...this.#keys].map((key) => [key, this.of(key)]);
  }

  /**
   * What is to be on disk instead of what was found there. Another process may have put something down, too; less than
   * was seen there before is no reason to believe that less was spent.
   */
  draft(found: Spending | undefined): Draft {
    const { total, numbers } = this.#kept;
    const all: Spending = { total: larger(total, found?.total ?? total), numbers: new Map(numbers) };
    for (const [key, amount] of found?.numbers ?? [])
      all.numbers.set(key, larger(amount, numbers.get(key) ?? amount));
    const own: Spending = { total: this.#own.total, numbers: new Map(this.#own.numbers) };
    all.total += own.total;
    for (const [key, amount] of own.numbers) all.numbers.set(key, (all.numbers.get(key) ?? 0n) + amount);
    return { all, own };
  }

  /** The draft is on disk, or is what is there already. */
  keep({ all, own }: Draft): void {
    this.#kept = all;
    for (const key of all.numbers.keys()) this.#keys.add(key);
    const rest = nothing();
    rest.total = this.#own.total - own.total;
    for (const [key, amount] of this.#own.numbers) {
      const more = amount - (own.numbers.get(key) ?? 0n);
      if (more !== 0n) rest.numbers.set(key, more);
    }
    this.#own = rest;
  }
}
