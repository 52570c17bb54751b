import type { Cancel, Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type Day, DayFiles, newDay } from './day-files.ts';
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
}

export type Spent = 'number-spent' | 'day-spent';

/** `unreadable`: a file was put aside and its day began at 0; `unwritable`: it is tried again; `currency`: as `LedgerRules`. */
export type LedgerTrouble = 'unreadable' | 'unwritable' | 'currency';

export interface LedgerOptions {
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Where days are kept across restarts, made when there is something to keep; undefined: nowhere. Of one process alone.
   */
  readonly folder: string | undefined;
  readonly rules: LedgerRules;
  readonly count?: (trouble: LedgerTrouble) => void;
}

/** What was spent today, for people and metrics. */
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
  readonly number: string;
  readonly meter: CallMeter;
  readonly told: (spent: Spent) => void;
  counted: Money;
  wasTold: boolean;
}

/** How often the cost of time is put down, ms. */
const PULL_MS = 5_000;
/** Changes wait so long to be written together. */
const WRITE_MS = 2_000;
const RETRY_MS = 30_000;
const DAY_MS = 86_400_000;
const KEPT_DAYS = 35;

/**
 * What all calls of the process spend, by day and by number. Days are kept on disk; the last two seconds before a crash
 * may be missing.
 */
export class Ledger {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #files: DayFiles | undefined;
  readonly #count: (trouble: LedgerTrouble) => void;
  readonly #days = new Map<string, Day>();
  readonly #unwritten = new Set<Day>();
  readonly #followed = new Set<Followee>();
  #rules: LedgerRules;
  #calendar: Intl.DateTimeFormat;
  #lastDay: string;
  #pullTimer: Cancel | undefined;
  #writeTimer: Cancel | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor({ clock, log, folder, rules, count }: LedgerOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#files = folder === undefined ? undefined : new DayFiles(folder);
    this.#count = count ?? (() => undefined);
    this.#rules = rules;
    this.#calendar = calendarOf(rules.timeZone);
    this.#lastDay = this.#dayName(0);
  }

  /** Reads what was spent before a restart. Throws BAD_CONFIG when the folder cannot be used. */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const ledger = new Ledger(options);
    await ledger.#load();
    return ledger;
  }

  /** Whether another call of this number may begin; `number` is the service's own one, as carriers write it. */
  mayBegin(number: string): 'yes' | Spent {
    this.#pull();
    return this.#spent(this.#today(), number) ?? 'yes';
  }

  /** Puts down what a call of this number has cost more, in the currency of the rules. */
  add(number: string, amount: Money): void {
    if (amount === 0n) return;
    const today = this.#today();
    today.total += amount;
    today.numbers.set(number, (today.numbers.get(number) ?? 0n) + amount);
    this.#unwritten.add(today);
    this.#writeSoon(WRITE_MS);
    this.#tell(today);
  }

  /**
   * Puts down what the meter of a call comes to, as it grows. `told` is called once, when a budget that the call falls
   * under is spent, and never from within anything that a meter or the ledger is told.
   */
  follow(number: string, meter: CallMeter, told: (spent: Spent) => void): Followed {
    const call: Followee = { number, meter, told, counted: 0n, wasTold: false };
    const unwatch = meter.watch(() => this.#putDown(call));
    this.#followed.add(call);
    this.#putDown(call);
    this.#pullLater();
    return {
      close: () => {
        if (!this.#followed.delete(call)) return;
        unwatch();
        call.wasTold = true;
        this.#putDown(call);
        if (this.#followed.size === 0) this.#stopPulling();
      },
    };
  }

  /** Another agents file. What was spent stays, unless it was in another currency. */
  configure(rules: LedgerRules): void {
    this.#pull();
    this.#rules = rules;
    this.#calendar = calendarOf(rules.timeZone);
    for (const day of [...this.#days.values()]) this.#checkCurrency(day);
    this.#tell(this.#today());
  }

  spentToday(): SpentToday {
    this.#pull();
    const { day, currency, total, numbers } = this.#today();
    return {
      day,
      currency,
      total: decimal(total),
      numbers: new Map([...numbers].map(([number, amount]) => [number, decimal(amount)])),
    };
  }

  /** Resolves when everything that was put down so far has been written, or has failed to be; never rejects. */
  flush(): Promise<void> {
    this.#writeTimer?.();
    this.#writeTimer = undefined;
    this.#writing = this.#writing.then(() => this.#writeAll());
    return this.#writing;
  }

  /** Writes what is left and leaves no timer behind; never rejects. */
  close(): Promise<void> {
    this.#pull();
    this.#isClosed = true;
    this.#stopPulling();
    return this.flush();
  }

  async #load(): Promise<void> {
    await this.#files?.check();
    // The neighbours too: a reload may bring another time zone, in which it is still yesterday or already tomorrow.
    for (const offsetMs of [-DAY_MS, 0, DAY_MS]) {
      const day = await this.#read(this.#dayName(offsetMs));
      if (day === undefined) continue;
      this.#days.set(day.day, day);
      this.#checkCurrency(day);
    }
    await this.#removeOld();
  }

  async #read(day: string): Promise<Day | undefined> {
    try {
      return await this.#files?.read(day);
    } catch (err) {
      this.#log.error({ err, day }, 'the spending of a day cannot be read: it begins at 0 again');
      this.#count('unreadable');
      await this.#files?.putAside(day).catch((error: unknown) => {
        this.#log.warn({ err: error, day }, 'the unreadable spending of a day could not be put aside');
      });
      return undefined;
    }
  }

  async #removeOld(): Promise<void> {
    try {
      await this.#files?.removeBefore(this.#dayName(-KEPT_DAYS * DAY_MS));
    } catch (err) {
      this.#log.warn({ err }, 'the spending of old days could not be removed');
    }
  }

  #dayName(offsetMs: number): string {
    return this.#calendar.format(this.#clock.epoch() + offsetMs);
  }

  #today(): Day {
    const name = this.#dayName(0);
    const known = this.#days.get(name);
    if (known) return known;
    const day = newDay(name, this.#rules.currency);
    this.#days.set(name, day);
    if (name !== this.#lastDay) this.#turnPage(name);
    return day;
  }

  #turnPage(today: string): void {
    this.#lastDay = today;
    const oldest = this.#dayName(-2 * DAY_MS);
    for (const [name, day] of this.#days) {
      if (name < oldest && !this.#unwritten.has(day)) this.#days.delete(name);
    }
    // Behind whatever is being written, so that closing waits for it.
    this.#writing = this.#writing.then(() => this.#removeOld());
  }

  #checkCurrency(day: Day): void {
    const { currency } = this.#rules;
    if (currency === undefined || day.currency === currency) return;
    this.#days.set(day.day, newDay(day.day, currency));
    this.#unwritten.delete(day);
    if (day.total === 0n) return;
    this.#count('currency');
    this.#log.warn(
      { day: day.day, found: day.currency, wanted: currency },
      'what was spent is in another currency: the day begins at 0 again',
    );
  }

  #spent(day: Day, number: string): Spent | undefined {
    const { perDay } = this.#rules;
    if (perDay !== undefined && day.total >= moneyOf(perDay)) return 'day-spent';
    const perNumber = this.#rules.perNumber(number);
    if (perNumber === undefined) return undefined;
    return (day.numbers.get(number) ?? 0n) >= moneyOf(perNumber) ? 'number-spent' : undefined;
  }

  #tell(day: Day): void {
    for (const call of this.#followed) {
      const spent = call.wasTold ? undefined : this.#spent(day, call.number);
      if (spent === undefined) continue;
      call.wasTold = true;
      // Not from within whatever another call has just been told.
      this.#clock.after(0, () => this.#tellOne(call, spent));
    }
  }

  #tellOne(call: Followee, spent: Spent): void {
    if (!this.#followed.has(call)) return;
    try {
      call.told(spent);
    } catch (err) {
      this.#log.error({ err }, 'a call could not be told that a budget is spent');
    }
  }

  #putDown(call: Followee): void {
    // A call that began before a reload is counted by the prices of then.
    if (call.meter.prices.currency !== this.#rules.currency) return;
    const cost = call.meter.cost();
    const more = cost - call.counted;
    call.counted = cost;
    this.add(call.number, more);
  }

  #pull(): void {
    for (const call of this.#followed) this.#putDown(call);
  }

  #pullLater(): void {
    this.#pullTimer ??= this.#clock.after(PULL_MS, () => {
      this.#pullTimer = undefined;
      this.#pull();
      if (this.#followed.size > 0) this.#pullLater();
    });
  }

  #stopPulling(): void {
    this.#pullTimer?.();
    this.#pullTimer = undefined;
  }

  #writeSoon(ms: number): void {
    if (this.#files === undefined || this.#isClosed) return;
    this.#writeTimer ??= this.#clock.after(ms, () => {
      this.#writeTimer = undefined;
      this.#writing = this.#writing.then(() => this.#writeAll());
    });
  }

  async #writeAll(): Promise<void> {
    for (const day of [...this.#unwritten]) {
      this.#unwritten.delete(day);
      try {
        await this.#files?.write(day);
      } catch (err) {
        this.#log.error({ err, day: day.day }, 'the spending of a day could not be written');
        this.#count('unwritable');
        this.#unwritten.add(day);
        this.#writeSoon(RETRY_MS);
      }
    }
  }
}

// Swedish writes days as files are best named: 2026-11-21.
function calendarOf(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('sv-SE', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
}
