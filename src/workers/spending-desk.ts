import type { Cancel, Clock } from '../clock.ts';
import { Day, type Spending } from '../cost/day.ts';
import type { DayStore, KeptDay } from '../cost/day-files.ts';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { SharedDay } from './messages.ts';

export interface SpendingDeskOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Where the days outlive the process. */
  readonly files: DayStore;
}

/** Changes wait so long to be written together, in ms. */
const WRITE_MS = 2000;
const RETRY_MS = 30_000;
const DAY_MS = 86_400_000;
const KEPT_DAYS = 35;
/** Days that are kept in memory; workers ask for three at most, unless a clock was set. */
const MOST_DAYS = 16;

/** What all workers of a service spend: added up in one place, and written by one process. */
export class SpendingDesk {
  readonly #options: SpendingDeskOptions;
  readonly #days = new Map<string, Promise<{ day: Day }>>();
  readonly #unwritten = new Map<string, { day: Day }>();
  #timer: Cancel | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: SpendingDeskOptions) {
    this.#options = options;
  }

  /** A day, with what was spent on it by all workers, and by services that share the disk. Never rejects. */
  async read(name: string): Promise<SharedDay | undefined> {
    const { day } = await this.#entry(name);
    return day.isEmpty ? undefined : told(day);
  }

  /** Adds what a worker has spent. What was spent in another currency is given up: workers have begun at 0 again. Never rejects. */
  async add(name: string, currency: string | undefined, own: Spending): Promise<SharedDay> {
    const entry = await this.#entry(name);
    if (entry.day.currency !== currency) {
      if (!entry.day.isEmpty) entry.day = new Day(name, currency);
      entry.day.currency = currency;
    }
    for (const [key, amount] of own.numbers) entry.day.add(key, amount);
    this.#unwritten.set(name, entry);
    this.#writeSoon(WRITE_MS);
    return told(entry.day);
  }

  /** Writes what is left and leaves no timer behind; never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.();
    this.#timer = undefined;
    await this.#writeAll();
  }

  #entry(name: string): Promise<{ day: Day }> {
    const known = this.#days.get(name);
    if (known !== undefined) return known;
    const [oldest] = this.#days.keys();
    if (this.#days.size >= MOST_DAYS && oldest !== undefined) this.#days.delete(oldest);
    const entry = this.#load(name);
    this.#days.set(name, entry);
    return entry;
  }

  async #load(name: string): Promise<{ day: Day }> {
    const found = await this.#found(name);
    const day = new Day(name, found?.currency);
    if (found !== undefined) day.keep(day.draft(found));
    void this.#removeOld(name);
    return { day };
  }

  async #found(name: string): Promise<KeptDay | undefined> {
    const { files, log } = this.#options;
    try {
      return await files.read(name);
    } catch (err) {
      log.error(
        { err, day: name },
        'the spending of a day cannot be read: what only that file held is forgotten',
      );
      if (err instanceof BridgeError) await files.putAside(name).catch(() => undefined);
      return undefined;
    }
  }

  async #removeOld(name: string): Promise<void> {
    const oldest = Date.parse(name) - KEPT_DAYS * DAY_MS;
    if (Number.isNaN(oldest)) return;
    const { files, log } = this.#options;
    await files
      .removeBefore(new Date(oldest).toISOString().slice(0, 10))
      .catch((err: unknown) => log.warn({ err }, 'the spending of old days could not be removed'));
  }

  #writeSoon(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= this.#options.clock.after(ms, () => {
      this.#timer = undefined;
      void this.#writeAll();
    });
  }

  #writeAll(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      for (const [name, entry] of [...this.#unwritten]) {
        this.#unwritten.delete(name);
        await this.#write(name, entry);
      }
    });
    return this.#writing;
  }

  async #write(name: string, entry: { day: Day }): Promise<void> {
    const { files, log } = this.#options;
    const { day } = entry;
    try {
      const found = await files.read(name).catch(unlessUnreadable);
      const draft = day.draft(found?.currency === day.currency ? found : undefined);
      await files.write(name, { ...draft.all, currency: day.currency }, draft.own);
      day.keep(draft);
    } catch (err) {
      log.error({ err, day: name }, 'the spending of a day could not be read or written');
      this.#unwritten.set(name, entry);
      this.#writeSoon(RETRY_MS);
    }
  }
}

/** What cannot be read is written over: it was in memory, as far as anybody could read it. */
function unlessUnreadable(error: unknown): undefined {
  if (!(error instanceof BridgeError)) throw error;
}

function told(day: Day): SharedDay {
  return { currency: day.currency, total: day.total, numbers: new Map(day.entries()) };
}
