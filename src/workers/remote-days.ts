import type { Spending } from '../cost/day.ts';
import type { DayStore, KeptDay } from '../cost/day-files.ts';
import type { SharedDay } from './messages.ts';

/** Asks for a day, after adding what was spent here. */
export type AskForDay = (
  name: string,
  currency: string | undefined,
  own: Spending | undefined,
) => Promise<SharedDay | undefined>;

/** The days of a service as one of its workers sees them: they are kept by the process that has the port, which alone writes. */
export class RemoteDays implements DayStore {
  /** Others wait for what is spent here. */
  readonly writeMs = 250;
  readonly #ask: AskForDay;
  #changed: () => void = () => undefined;

  constructor(ask: AskForDay) {
    this.#ask = ask;
  }

  /** Somebody else has spent something. */
  told(): void {
    this.#changed();
  }

  async check(): Promise<void> {
    // Whoever keeps them has looked.
  }

  async read(day: string): Promise<KeptDay | undefined> {
    return await this.#ask(day, undefined, undefined);
  }

  async write(day: string, { currency }: KeptDay, own: Spending): Promise<void> {
    await this.#ask(day, currency, own);
  }

  async putAside(): Promise<void> {
    // Nothing comes from there that cannot be read.
  }

  async removeBefore(): Promise<void> {
    // Done where they are kept.
  }

  watch(changed: () => void): void {
    this.#changed = changed;
  }
}
