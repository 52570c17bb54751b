import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BridgeError } from '../errors.ts';
import { isMissing } from '../file-errors.ts';
import { isRecord } from '../is-record.ts';
import type { Spending } from './day.ts';
import { exactText, fromExactText } from './money.ts';

/** A day as it is on disk. */
export interface KeptDay extends Spending {
  /** Undefined: nothing had a price. */
  readonly currency: string | undefined;
}

/** Where days are kept. */
export interface DayStore {
  /** How long changes may wait to be written together; default: as long as for a disk. In ms. */
  readonly writeMs?: number | undefined;
  /** Throws BAD_CONFIG when no day can be kept there. */
  check(): Promise<void>;
  /** Undefined: nothing was written on that day. Throws BAD_INPUT for one that cannot be read. */
  read(day: string): Promise<KeptDay | undefined>;
  /** Keeps `kept` in the place of what was read. `own`: what of it this process has put down since it last wrote. */
  write(day: string, kept: KeptDay, own: Spending): Promise<void>;
  /** Puts a day that cannot be read where it is not read again. */
  putAside(day: string): Promise<void>;
  /** Removes what is older than that day. */
  removeBefore(day: string): Promise<void>;
  /** Calls `changed` when somebody else has written; asked once. */
  watch?(changed: () => void): void;
}

const VERSION = 1;
const NAME = /^spending-(\d{4}-\d{2}-\d{2})\.json(?:\.unreadable|(?:\.[0-9a-f-]{36})?\.tmp)?$/;

function textOf(day: string, { currency, total, numbers }: KeptDay): string {
  const spent = Object.fromEntries([...numbers].map(([number, amount]) => [number, exactText(amount)]));
  return `${JSON.stringify({ version: VERSION, day, currency, total: exactText(total), numbers: spent }, null, 1)}\n`;
}

function unreadable(day: string, why: string): BridgeError {
  return new BridgeError('BAD_INPUT', `the spending of ${day} has ${why}`);
}

function parsed(day: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable(day, `${text.length} characters that are not JSON`);
  }
}

function dayOf(day: string, text: string): KeptDay {
  const value = parsed(day, text);
  if (!isRecord(value) || value['version'] !== VERSION || value['day'] !== day) {
    throw unreadable(day, `another shape, wanted version ${VERSION} of that day`);
  }
  const total = fromExactText(value['total']);
  const currency = value['currency'];
  if (total === undefined || !isRecord(value['numbers'])) throw unreadable(day, 'no amounts');
  if (currency !== undefined && typeof currency !== 'string') throw unreadable(day, 'no currency');
  const found: KeptDay = { currency, total, numbers: new Map() };
  for (const [number, text] of Object.entries(value['numbers'])) {
    const amount = fromExactText(text);
    if (amount === undefined) throw unreadable(day, 'an amount that is none');
    found.numbers.set(number, amount);
  }
  return found;
}

/** The days as files of a folder, one small JSON each; it is made when there is something to write. */
export class DayFiles implements DayStore {
  readonly #folder: string;
  /** Another process may write the same day, and processes of containers have the same number. */
  readonly #draft = randomUUID();

  constructor(folder: string) {
    this.#folder = folder;
  }

  #path(day: string): string {
    return join(this.#folder, `spending-${day}.json`);
  }

  /** Throws BAD_CONFIG when the folder is something else, or is somewhere where none can be. Makes nothing. */
  async check(): Promise<void> {
    try {
      await readdir(this.#folder);
    } catch (cause) {
      if (isMissing(cause)) return;
      throw new BridgeError('BAD_CONFIG', `the folder for spending cannot be used: ${String(cause)}`, {
        cause,
      });
    }
  }

  /** Undefined: nothing was written on that day. Throws BAD_INPUT for a file that holds something else. */
  async read(day: string): Promise<KeptDay | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path(day), 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    return dayOf(day, text);
  }

  /** Puts a file that cannot be read where it does not get lost and is not read again. */
  async putAside(day: string): Promise<void> {
    await rename(this.#path(day), `${this.#path(day)}.unreadable`);
  }

  /** The file is the old one or the new one at any time, also when the machine stops. */
  async write(day: string, kept: KeptDay): Promise<void> {
    const path = this.#path(day);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const draft = `${path}.${this.#draft}.tmp`;
    try {
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(textOf(day, kept));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Removes what is older than that day. */
  async removeBefore(day: string): Promise<void> {
    for (const name of await this.#names()) {
      const found = NAME.exec(name)?.[1];
      if (found !== undefined && found < day) await rm(join(this.#folder, name), { force: true });
    }
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#folder);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }
}
