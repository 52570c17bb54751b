import type { Cancel, Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { Day } from './day.ts';
import { DayFiles, type DayStore, type KeptDay } from './day-files.ts';
import type { Money } from './money.ts';

/**
 * `unreadable`: a file was put aside, and what only it held is forgotten; `unwritable`: a day could not be read or
 * written, it is tried again; `currency`: what was spent was in another one.
 */
export type LedgerTrouble = 'unreadable' | 'unwritable' | 'currency';

export interface DayBookOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined: days are not kept. */
  readonly folder: string | undefined;
  /** In the place of files in `folder`. */
  readonly days?: DayStore | undefined;
  readonly count: (trouble: LedgerTrouble) => void;
  /** Called when other processes turn out to have spent something, too. */
  readonly grown: () => void;
}

/** Changes wait so long to be written together. */
const WRITE_MS = 2_000;
const RETRY_MS = 30_000;
const DAY_MS = 86_400_000;
const KEPT_DAYS = 35;
/** How far the calendar may be ahead of the time that has passed; beyond that somebody has set the clock. */
const GLITCH_MS = 2 * DAY_MS;

/** The days of a ledger, in memory and on disk. */
export class DayBook {
  readonly #options: DayBookOptions;
  readonly #files: DayStore | undefined;
  readonly #writeMs: number;
  readonly #days = new Map<string, Day>();
  readonly #unwritten = new Set<Day>();
  #currency: string | undefined;
  #calendar: Intl.DateTimeFormat;
  #lastName: string;
  #turnedMs: number;
  #writeTimer: Cancel | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: DayBookOptions, currency: string | undefined, timeZone: string) {
    this.#options = options;
    this.#files = options.days ?? (options.folder === undefined ? undefined : new DayFiles(options.folder));
    this.#writeMs = this.#files?.writeMs ?? WRITE_MS;
    this.#files?.watch?.(() => this.#onWritten());
    this.#currency = currency;
    this.#calendar = calendarOf(timeZone);
    this.#lastName = this.#nameOf(0);
    this.#turnedMs = options.clock.now();
  }

  /** Reads what was spent before. Throws BAD_CONFIG when the folder cannot be used. */
  async load(): Promise<void> {
    await this.#files?.check();
    // The neighbours too: a reload may bring another time zone, in which it is still yesterday or already tomorrow.
    for (const offsetMs of [-DAY_MS, 0, DAY_MS]) this.#begin(this.#nameOf(offsetMs));
    await this.#syncAll();
    await this.#removeOld();
  }

  today(): Day {
    const name = this.#nameOf(0);
    if (name !== this.#lastName) this.#turnPage(name);
    const known = this.#days.get(name);
    if (known !== undefined) return known;
    const day = this.#begin(name);
    // A clock that was set may have led to a day that is on disk; behind whatever is being written.
    this.#writing = this.#writing.then(() => this.#syncAll());
    return day;
  }

  add(day: Day, key: string, amount: Money): void {
    day.add(key, amount);
    if (this.#files === undefined) return;
    this.#unwritten.add(day);
    this.#writeSoon(this.#writeMs);
  }

  /** What was spent stays, unless it was in another currency. */
  configure(currency: string | undefined, timeZone: string): void {
    this.#currency = currency;
    this.#calendar = calendarOf(timeZone);
    if (currency === undefined) return;
    for (const day of [...this.#days.values()]) {
      if (day.currency !== currency) this.#beginAgain(day);
    }
    if (this.#unwritten.size > 0) this.#writeSoon(this.#writeMs);
  }

  /** Resolves when everything that was put down so far has been written, or has failed to be; never rejects. */
  flush(): Promise<void> {
    this.#writeTimer?.();
    this.#writeTimer = undefined;
    this.#writing = this.#writing.then(() => this.#syncAll());
    return this.#writing;
  }

  /** Writes what is left and leaves no timer behind; never rejects. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.flush();
  }

  #nameOf(offsetMs: number): string {
    return this.#calendar.format(this.#options.clock.epoch() + offsetMs);
  }

  #begin(name: string): Day {
    const day = new Day(name, this.#currency);
    this.#days.set(name, day);
    if (this.#files !== undefined) this.#unwritten.add(day);
    return day;
  }

  #beginAgain(last: Day): void {
    this.#unwritten.delete(last);
    const day = this.#begin(last.name);
    if (!last.isEmpty) this.#tellCurrency(day, last.currency);
  }

  #tellCurrency(day: Day, found: string | undefined): void {
    if (day.isTold) return;
    day.isTold = true;
    this.#options.count('currency');
    this.#options.log.warn(
      { day: day.name, found, wanted: day.currency },
      'what was spent is in another currency: the day begins at 0 again',
    );
  }

  #turnPage(name: string): void {
    const { clock } = this.#options;
    const aheadMs = Date.parse(name) - Date.parse(this.#lastName) - (clock.now() - this.#turnedMs);
    const isLater = name > this.#lastName;
    this.#lastName = name;
    this.#turnedMs = clock.now();
    // A clock that was set wrongly is set right again some time, and must find what was spent.
    if (!isLater || aheadMs > GLITCH_MS) return;
    const oldest = this.#nameOf(-2 * DAY_MS);
    for (const [known, day] of this.#days) {
      if (known < oldest && !this.#unwritten.has(day)) this.#days.delete(known);
    }
    this.#writing = this.#writing.then(() => this.#removeOld());
  }

  async #removeOld(): Promise<void> {
    try {
      await this.#files?.removeBefore(this.#nameOf(-KEPT_DAYS * DAY_MS));
    } catch (err) {
      this.#options.log.warn({ err }, 'the spending of old days could not be removed');
    }
  }

  /** Somebody else has: what they have spent counts here too. */
  #onWritten(): void {
    const today = this.#days.get(this.#lastName);
    if (today === undefined || this.#isClosed) return;
    this.#unwritten.add(today);
    this.#writing = this.#writing.then(() => this.#syncAll());
  }

  #writeSoon(ms: number): void {
    if (this.#isClosed) return;
    this.#writeTimer ??= this.#options.clock.after(ms, () => {
      this.#writeTimer = undefined;
      this.#writing = this.#writing.then(() => this.#syncAll());
    });
  }

  async #syncAll(): Promise<void> {
    if (this.#files === undefined) return;
    for (const day of [...this.#unwritten]) {
      this.#unwritten.delete(day);
      try {
        await this.#sync(this.#files, day);
      } catch (err) {
        this.#options.log.error({ err, day: day.name }, 'the spending of a day could not be read or written');
        this.#options.count('unwritable');
        this.#unwritten.add(day);
        this.#writeSoon(RETRY_MS);
      }
    }
  }

  /** Reads first, for another process may share the folder, as when a new version takes over from an old one. */
  async #sync(files: DayStore, day: Day): Promise<void> {
    const found = this.#comparable(day, await this.#read(files, day.name));
    const before = day.total;
    const draft = day.draft(found);
    if (day.isFresh) await files.write(day.name, { ...draft.all, currency: day.currency }, draft.own);
    day.keep(draft);
    if (draft.all.total > before) this.#options.grown();
  }

  #comparable(day: Day, found: KeptDay | undefined): KeptDay | undefined {
    if (found === undefined || found.currency === day.currency) return found;
    if (day.currency === undefined && day.isEmpty) {
      // Without prices nothing is added to it, and the next agents file may have some again.
      day.currency = found.currency;
      return found;
    }
    if (found.total !== 0n) this.#tellCurrency(day, found.currency);
    return undefined;
  }

  async #read(files: DayStore, day: string): Promise<KeptDay | undefined> {
    try {
      return await files.read(day);
    } catch (err) {
      if (!(err instanceof BridgeError)) throw err;
      const { log, count } = this.#options;
      log.error({ err, day }, 'the spending of a day cannot be read: what only that file held is forgotten');
      count('unreadable');
      await files.putAside(day);
      return undefined;
    }
  }
}

// Swedish writes days as files are best named: 2026-11-21.
function calendarOf(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('sv-SE', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
}
