import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sqlite from 'node-sqlite3-wasm';
import { type Bookings, openBookings } from '../../examples/booking/bookings.js';
import { type Restaurant, restaurant } from '../../examples/booking/restaurant.js';
import type { CheckedArguments } from '../../src/tools/parameters.ts';
import type { Tool, ToolContext } from '../../src/tools.ts';
import { callStub } from './call-stub.ts';

/** A row of the table `bookings`, with the name of its table. */
export interface BookingRow {
  readonly id: number;
  readonly table: string;
  readonly starts_at: string;
  readonly party_size: number;
  readonly name: string;
  readonly phone: string;
  readonly note: string;
  readonly status: 'booked' | 'cancelled';
  readonly caller_left: 0 | 1;
  readonly call_id: string;
  readonly idempotency_key: string;
  /** Half hours for which it has the table. */
  readonly slots: number;
}

/** The bookings of a file, which are to be closed. */
export type OpenBookings = ReturnType<typeof openBookings>;

/** A file for bookings, in a folder of its own that goes when it is disposed of. */
export class BookingFile implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;
  readonly #open: OpenBookings[] = [];

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'patchcord-'));
    this.path = join(this.#folder, 'bookings.db');
  }

  /** A store over the file, as the example opens it. */
  open(house: Restaurant = restaurant): OpenBookings {
    const bookings = openBookings(this.path, house);
    this.#open.push(bookings);
    return bookings;
  }

  /** See `rowsIn`. */
  rows(): readonly BookingRow[] {
    return rowsIn(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((bookings) => bookings.close()));
    rmSync(this.#folder, { recursive: true });
  }
}

/** What a file holds, as a connection of its own finds it; checks that nothing in it contradicts itself. */
export function rowsIn(path: string): readonly BookingRow[] {
  return look(path, (db) => {
    const broken = db.all('PRAGMA integrity_check').concat(db.all('PRAGMA foreign_key_check'));
    if (JSON.stringify(broken) !== '[{"integrity_check":"ok"}]') throw new Error(JSON.stringify(broken));
    const rows = db.all(
      `SELECT b.*, t.name AS "table", (SELECT count(*) FROM seatings s WHERE s.booking_id = b.id) AS slots
       FROM bookings b JOIN tables t ON t.id = b.table_id ORDER BY b.id`,
    );
    return rows as unknown as readonly BookingRow[];
  });
}

/** Keeps everybody else away from a file until it is called. */
export function occupy(path: string): () => void {
  const db = new sqlite.Database(path);
  db.exec('PRAGMA busy_timeout = 5000; PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE');
  return () => {
    db.exec('ROLLBACK');
    db.close();
  };
}

/** A connection of its own to the file of a store. */
export function look<T>(path: string, read: (db: sqlite.Database) => T): T {
  const db = new sqlite.Database(path);
  try {
    db.exec('PRAGMA busy_timeout = 5000; PRAGMA locking_mode = EXCLUSIVE');
    return read(db);
  } finally {
    db.close();
  }
}

/** An operation that the test holds up. */
export class Gate {
  readonly #arrivals: (() => void)[] = [];
  readonly #held: (() => void)[] = [];
  #arrived = 0;
  #isOpen = false;

  /** Waits until the test opens the gate. */
  pass(): Promise<void> {
    this.#arrived += 1;
    for (const tell of this.#arrivals.splice(0)) tell();
    if (this.#isOpen) return Promise.resolve();
    return new Promise((resolve) => this.#held.push(resolve));
  }

  /** Resolves when so many have come to the gate. */
  async reached(count = 1): Promise<void> {
    while (this.#arrived < count) await new Promise<void>((resolve) => this.#arrivals.push(resolve));
  }

  open(): void {
    this.#isOpen = true;
    for (const go of this.#held.splice(0)) go();
  }
}

/** Where the database is slow: before it has begun, or when it has committed and the answer is on its way. */
export interface SlowPlaces {
  readonly beforeBook?: Gate;
  readonly afterBook?: Gate;
  readonly beforeFree?: Gate;
}

/** The same bookings, held up at gates. */
export function slowBookings(
  bookings: Bookings,
  { beforeBook, afterBook, beforeFree }: SlowPlaces,
): Bookings {
  return {
    ...bookings,
    async free(seatings, party, signal) {
      await beforeFree?.pass();
      return await bookings.free(seatings, party, signal);
    },
    async book(order, signal) {
      await beforeBook?.pass();
      const outcome = await bookings.book(order, signal);
      await afterBook?.pass();
      return outcome;
    },
  };
}

/** Saturday, 21 November 2026, 12:00 in Berlin. */
export const NOON = Date.UTC(2026, 10, 21, 11);

/** One invocation of a function of an agent, without a call. */
export function context(own: Partial<ToolContext> = {}): ToolContext {
  return {
    ...callStub({ from: '+15550100123', epoch: () => NOON }),
    signal: new AbortController().signal,
    idempotencyKey: 'key-1',
    ...own,
  };
}

/** Runs a function as the bridge would: the arguments are checked first. What they have wrong is the result then. */
export async function runTool(
  tools: readonly Tool[],
  name: string,
  args: Readonly<Record<string, unknown>>,
  call: ToolContext,
): Promise<Readonly<Record<string, unknown>>> {
  const tool = tools.find(({ definition }) => definition.name === name);
  if (tool === undefined) throw new Error(`there is no function ${name}`);
  const checked: CheckedArguments = tool.check(args);
  if (!checked.ok) return { problems: checked.problems };
  return (await tool.run(checked.args, call)) as Readonly<Record<string, unknown>>;
}
