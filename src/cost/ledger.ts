import type { Cancel, Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { Day } from './day.ts';
import { DayBook, type LedgerTrouble } from './day-book.ts';
import type { DayStore } from './day-files.ts';
import type { CallMeter } from './meter.ts';
import { decimal, type Money, moneyOf } from './money.ts';

/** What the agents file says of days; a reload brings another one. Amounts are in `currency`. */
export interface LedgerRules {
  /** Of the price table; undefined: there is none, and nothing costs anything that is known. */
  readonly currency: string | undefined;
  /** Whose midnight begins a day; an IANA name. */
  readonly timeZone: string;
  /** Undefined: no limit. */
  readonly perDay: number | undefined;
  /** The limit of a day for one of the service's own numbers; undefined: none. */
  perNumber(number: string): number | undefined;
  /** What a number is counted under when there are too many on one day: its pattern. Left out: all others together. */
  patternOf?(number: string): string | undefined;
}

export type Spent = 'number-spent' | 'day-spent';

export interface LedgerOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Where days are kept across restarts, made when there is something to keep; undefined: nowhere. */
  readonly folder: string | undefined;
  /** In the place of files in `folder`, for several processes that are one service. */
  readonly days?: DayStore | undefined;
  readonly rules: LedgerRules;
  readonly count?: (trouble: LedgerTrouble) => void;
}

/** What was spent today, in amounts for people. */
export interface SpentToday {
  readonly day: string;
  readonly currency: string | undefined;
  readonly total: number;
  readonly numbers: ReadonlyMap<string, number>;
}

/** A call whose growing cost is put down. */
export interface Followed {
  /** Puts down the rest; nothing is told any more. Call it when the call is over and its meter has been told. */
  close(): void;
}

interface Followee {
  readonly account: Account;
  readonly meter: CallMeter;
  readonly told: (spent: Spent) => void;
  counted: Money;
  isBroken: boolean;
}

/** One of the service's own numbers. */
interface Account {
  readonly number: string;
  readonly calls: Set<Followee>;
  /** Those of its calls that have not been told that a budget is spent. */
  readonly untold: Set<Followee>;
  /** Looked up once: every call that comes in and every report asks for it. */
  limit: Money | undefined;
  pattern: string;
}

/** How often the cost of time is put down, ms. */
const PULL_MS = 5_000;
/** What is as fresh as this is good enough to answer whether a call may begin, ms. */
const FRESH_MS = 1_000;
const OTHERS = 'others';

/**
 * What all calls of the process spend, by day and by number. Days are kept on disk; what was put down in the last two
 * seconds before a crash may be missing, and what time alone has cost in the last seven.
 */
export class Ledger {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #book: DayBook;
  readonly #followed = new Set<Followee>();
  /** Of the calls that are followed. */
  readonly #accounts = new Map<string, Account>();
  #untold = 0;
  #rules: LedgerRules;
  #perDay: Money | undefined;
  #pullTimer: Cancel | undefined;
  #pulledMs = Number.NEGATIVE_INFINITY;

  private constructor({ clock, log, folder, days, rules, count = () => undefined }: LedgerOptions) {
    this.#clock = clock;
    this.#log = log;
    const options = { clock, log, folder, days, count, grown: () => this.#tellAll(this.#book.today()) };
    this.#book = new DayBook(options, rules.currency, rules.timeZone);
    this.#rules = rules;
    this.#perDay = limitOf(rules.perDay);
  }

  /** Reads what was spent before a restart. Throws BAD_CONFIG when the folder cannot be used. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options);
    await ledger.#book.load();
    return ledger;
  }

  /**
   * Whether another call of this number may begin; `number` is the service's own one, the same text for the same number.
   * What time alone has cost live calls in the last second may be missing.
   */
  mayBegin(number: string): 'yes' | Spent {
    if (this.#clock.now() - this.#pulledMs >= FRESH_MS) this.#pull();
    return this.#spent(this.#book.today(), this.#account(number)) ?? 'yes';
  }

  /** Puts down what a call of this number has cost more, in the currency of the rules. */
  add(number: string, amount: Money): void {
    const today = this.#book.today();
    const account = this.#account(number);
    this.#add(today, account, amount);
    this.#tell(today, account);
  }

  /**
   * Puts down what the meter of a call comes to, as it grows. `told` is called once, when a budget that the call falls
   * under is spent, and never from within anything that a meter or the ledger is told.
   */
  follow(number: string, meter: CallMeter, told: (spent: Spent) => void): Followed {
    const account = this.#account(number);
    const call: Followee = { account, meter, told, counted: 0n, isBroken: false };
    const look = (): void => {
      const today = this.#book.today();
      this.#putDown(today, call);
      this.#tell(today, account);
    };
    const unwatch = meter.watch(look);
    this.#accounts.set(number, account);
    this.#followed.add(call);
    account.calls.add(call);
    account.untold.add(call);
    this.#untold += 1;
    this.#pullLater();
    look();
    return {
      close: () => {
        if (!this.#followed.has(call)) return;
        unwatch();
        this.#toldAlready(call);
        look();
        this.#forget(call);
      },
    };
  }

  /** Another agents file. What was spent stays, unless it was in another currency. */
  configure(rules: LedgerRules): void {
    this.#pull();
    this.#rules = rules;
    this.#perDay = limitOf(rules.perDay);
    for (const account of this.#accounts.values()) Object.assign(account, this.#termsOf(account.number));
    this.#book.configure(rules.currency, rules.timeZone);
    this.#tellAll(this.#book.today());
  }

  spentToday(): SpentToday {
    this.#pull();
    const today = this.#book.today();
    return {
      day: today.name,
      currency: today.currency,
      total: decimal(today.total),
      numbers: new Map(today.entries().map(([number, amount]) => [number, decimal(amount)])),
    };
  }

  /** Resolves when everything that was put down so far has been written, or has failed to be; never rejects. */
  flush(): Promise<void> {
    return this.#book.flush();
  }

  /** Writes what is left and leaves no timer behind; never rejects. */
  close(): Promise<void> {
    this.#pull();
    this.#stopPulling();
    return this.#book.close();
  }

  #account(number: string): Account {
    return (
      this.#accounts.get(number) ?? {
        number,
        calls: new Set(),
        untold: new Set(),
        ...this.#termsOf(number),
      }
    );
  }

  #termsOf(number: string): Pick<Account, 'limit' | 'pattern'> {
    const rules = this.#rules;
    return { limit: limitOf(rules.perNumber(number)), pattern: rules.patternOf?.(number) ?? OTHERS };
  }

  #add(today: Day, { number, pattern }: Account, amount: Money): void {
    if (amount !== 0n) this.#book.add(today, today.keyOf(number, pattern), amount);
  }

  #isDaySpent(day: Day): boolean {
    return this.#perDay !== undefined && day.total >= this.#perDay;
  }

  #spent(day: Day, { number, pattern, limit }: Account): Spent | undefined {
    if (this.#isDaySpent(day)) return 'day-spent';
    if (limit === undefined) return undefined;
    return day.of(day.keyOf(number, pattern)) >= limit ? 'number-spent' : undefined;
  }

  #tell(day: Day, account: Account): void {
    if (this.#untold === 0) return;
    if (this.#isDaySpent(day)) this.#tellAll(day);
    else this.#tellAccount(day, account);
  }

  #tellAll(day: Day): void {
    if (this.#untold === 0) return;
    for (const account of this.#accounts.values()) this.#tellAccount(day, account);
  }

  #tellAccount(day: Day, account: Account): void {
    if (account.untold.size === 0) return;
    const spent = this.#spent(day, account);
    if (spent === undefined) return;
    for (const call of account.untold) {
      this.#toldAlready(call);
      // Not from within whatever another call has just been told.
      this.#clock.after(0, () => this.#tellOne(call, spent));
    }
  }

  #toldAlready(call: Followee): void {
    if (call.account.untold.delete(call)) this.#untold -= 1;
  }

  #tellOne(call: Followee, spent: Spent): void {
    if (!this.#followed.has(call)) return;
    try {
      call.told(spent);
    } catch (err) {
      this.#log.error({ err }, 'a call could not be told that a budget is spent');
    }
  }

  #forget(call: Followee): void {
    const { account } = call;
    this.#followed.delete(call);
    account.calls.delete(call);
    if (account.calls.size === 0) this.#accounts.delete(account.number);
    if (this.#followed.size === 0) this.#stopPulling();
  }

  #putDown(today: Day, call: Followee): void {
    // A call that began before a reload is counted by the prices of then.
    if (call.meter.prices.currency !== this.#rules.currency) return;
    const cost = this.#costOf(call);
    if (cost === undefined) return;
    const more = cost - call.counted;
    call.counted = cost;
    this.#add(today, call.account, more);
  }

  /** Undefined: it cannot be told, which must not be the trouble of other calls. */
  #costOf(call: Followee): Money | undefined {
    try {
      return call.meter.cost();
    } catch (err) {
      if (!call.isBroken) this.#log.error({ err }, 'the cost of a call cannot be told and is not put down');
      call.isBroken = true;
      return undefined;
    }
  }

  #pull(): void {
    const today = this.#book.today();
    this.#pulledMs = this.#clock.now();
    for (const call of this.#followed) this.#putDown(today, call);
    this.#tellAll(today);
  }

  #pullLater(): void {
    this.#pullTimer ??= this.#clock.after(PULL_MS, () => {
      this.#pullTimer = undefined;
      // Before the work: whatever happens there, the next one comes.
      if (this.#followed.size > 0) this.#pullLater();
      this.#pull();
    });
  }

  #stopPulling(): void {
    this.#pullTimer?.();
    this.#pullTimer = undefined;
  }
}

function limitOf(amount: number | undefined): Money | undefined {
  return amount === undefined ? undefined : moneyOf(amount);
}
