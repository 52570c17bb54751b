import type { DayStore, KeptDay } from '../../src/cost/day-files.ts';
import { BridgeError } from '../../src/errors.ts';

/** A disk for what was spent, which can be broken. */
export class MemoryDays implements DayStore {
  readonly days = new Map<string, KeptDay>();
  /** What the next accesses reject with. */
  broken: 'full' | 'unreadable' | undefined;
  aside = 0;
  writes = 0;

  async check(): Promise<void> {
    // It is there.
  }

  async read(day: string): Promise<KeptDay | undefined> {
    if (this.broken === 'unreadable') throw new BridgeError('BAD_INPUT', 'it is torn');
    return this.days.get(day);
  }

  async write(day: string, kept: KeptDay): Promise<void> {
    if (this.broken === 'full') throw new Error('the disk is full');
    this.writes += 1;
    this.days.set(day, { ...kept, numbers: new Map(kept.numbers) });
  }

  async putAside(): Promise<void> {
    this.aside += 1;
    this.broken = undefined;
  }

  async removeBefore(): Promise<void> {
    // Nothing is old.
  }
}
