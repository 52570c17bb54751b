import { rmdirSync, statSync } from 'node:fs';
import sqlite from 'node-sqlite3-wasm';

/**
 * @typedef {import('node-sqlite3-wasm').Database} Connection
 *
 * @typedef {object} Order
 * @property {string} key names the invocation: one booking comes of it, however often it is made
 * @property {string} callId
 * @property {string} start
 * @property {readonly string[]} slots for which the table is taken, the start first
 * @property {number} party
 * @property {string} name
 * @property {string} phone
 * @property {string} note
 * @property {string} now
 *
 * @typedef {object} Booking
 * @property {number} id
 * @property {string} table
 * @property {string} start
 * @property {number} party
 * @property {string} name
 *
 * @typedef {{ readonly status: 'booked' | 'had-already', readonly booking: Booking } | { readonly status: 'full' }} Outcome
 *
 * @typedef {{ readonly phone: string, readonly date: string, readonly now: string, readonly key: string }} Whose
 */

/** Of the schema: raise it with a change, and say here how an older file is brought up to it. */
const VERSION = 1;

// What must never happen is made impossible here, and not only avoided by the code below: two parties at one table, a
// party that does not fit, an invocation that books twice, a guest with two bookings for the same time.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS tables (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    seats INTEGER NOT NULL CHECK (seats BETWEEN 1 AND 50),
    in_use INTEGER NOT NULL DEFAULT 1
  ) STRICT;

  CREATE TABLE IF NOT EXISTS bookings (
    id INTEGER PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    call_id TEXT NOT NULL,
    table_id INTEGER NOT NULL REFERENCES tables (id),
    starts_at TEXT NOT NULL CHECK (starts_at GLOB '20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]'),
    party_size INTEGER NOT NULL CHECK (party_size >= 1),
    name TEXT NOT NULL CHECK (length(trim(name)) BETWEEN 1 AND 80),
    phone TEXT NOT NULL CHECK (phone GLOB '+[1-9]*' AND length(phone) BETWEEN 8 AND 16),
    note TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL DEFAULT 'booked' CHECK (status IN ('booked', 'cancelled')),
    caller_left INTEGER NOT NULL DEFAULT 0,
    booked_at TEXT NOT NULL,
    cancel_key TEXT UNIQUE
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS one_booking_of_a_guest ON bookings (phone, starts_at) WHERE status = 'booked';

  CREATE TABLE IF NOT EXISTS seatings (
    table_id INTEGER NOT NULL REFERENCES tables (id),
    slot TEXT NOT NULL,
    booking_id INTEGER NOT NULL REFERENCES bookings (id),
    PRIMARY KEY (table_id, slot)
  ) STRICT, WITHOUT ROWID;

  CREATE TRIGGER IF NOT EXISTS party_fits BEFORE INSERT ON bookings
  WHEN NEW.party_size > (SELECT seats FROM tables WHERE id = NEW.table_id)
  BEGIN
    SELECT RAISE(ABORT, 'the party is larger than the table');
  END;

  CREATE TABLE IF NOT EXISTS read_backs (
    call_id TEXT NOT NULL,
    details TEXT NOT NULL,
    read_at TEXT NOT NULL,
    PRIMARY KEY (call_id, details)
  ) STRICT, WITHOUT ROWID;

  PRAGMA user_version = ${VERSION};
`;

const BOOKING = `
  SELECT b.id, t.name AS "table", b.starts_at AS start, b.party_size AS party, b.name
  FROM bookings b JOIN tables t ON t.id = b.table_id`;

/** Another process may be at it; each of them takes milliseconds. */
const BUSY_MS = 10_000;
const RETRY_MS = 10;
/** A lock that is older belongs to a process that has died: nobody holds one for more than an operation. */
const DEAD_MS = 30_000;

/**
 * The bookings in an SQLite file. Every operation has a connection of its own, and is one transaction: it is done as a
 * whole, or not at all.
 */
export class BookingDatabase {
  #file;
  #tables;

  /**
   * @param {string} file is made when it is not there; its folder must be
   * @param {readonly { readonly name: string, readonly seats: number }[]} tables
   */
  constructor(file, tables) {
    this.#file = file;
    this.#tables = tables;
    this.#transaction((db) => this.#furnish(db));
  }

  /**
   * Those of the seatings, each a list of slots, for which a table is free.
   * @param {readonly (readonly string[])[]} seatings
   * @param {number} party
   * @returns {string[]} their starts
   */
  free(seatings, party) {
    return this.#transaction((db) =>
      seatings.filter((slots) => freeTable(db, slots, party) !== undefined).map(([start = '']) => start),
    );
  }

  /**
   * Remembers what is about to be read back to a caller.
   * @param {string} callId
   * @param {string} details
   * @param {string} now
   */
  readBack(callId, details, now) {
    this.#transaction((db) =>
      db.run('INSERT OR IGNORE INTO read_backs VALUES (?, ?, ?)', [callId, details, now]),
    );
  }

  /**
   * @param {string} callId
   * @param {string} details
   */
  wasReadBack(callId, details) {
    return this.#transaction(
      (db) =>
        db.get('SELECT 1 FROM read_backs WHERE call_id = ? AND details = ?', [callId, details]) !== null,
    );
  }

  /**
   * @param {Order} order
   * @returns {Outcome}
   */
  book(order) {
    return this.#transaction((db) => {
      const before = this.#before(db, order);
      if (before !== undefined) return before;
      const table = freeTable(db, order.slots, order.party);
      if (table === undefined) return { status: 'full' };
      const { lastInsertRowid: id } = db.run(
        `INSERT INTO bookings (idempotency_key, call_id, table_id, starts_at, party_size, name, phone, note, booked_at)
         VALUES (:key, :call, :table, :start, :party, :name, :phone, :note, :now)`,
        {
          ':key': order.key,
          ':call': order.callId,
          ':table': table,
          ':start': order.start,
          ':party': order.party,
          ':name': order.name,
          ':phone': order.phone,
          ':note': order.note,
          ':now': order.now,
        },
      );
      for (const slot of order.slots) db.run('INSERT INTO seatings VALUES (?, ?, ?)', [table, slot, id]);
      const booking = found(db, 'b.id = ?', [id]);
      if (booking === undefined) throw new Error('the booking that was just made is not there');
      return { status: 'booked', booking };
    });
  }

  /**
   * What came of this very invocation, or what this guest has at that time from another one.
   * @param {Connection} db
   * @param {Order} order
   * @returns {Outcome | undefined}
   */
  #before(db, order) {
    const same = found(db, 'b.idempotency_key = ?', [order.key]);
    if (same !== undefined) return { status: 'booked', booking: same };
    const other = found(db, `b.phone = ? AND b.starts_at = ? AND b.status = 'booked'`, [
      order.phone,
      order.start,
    ]);
    return other && { status: 'had-already', booking: other };
  }

  /**
   * The caller was gone before the booking could be confirmed, so that somebody may ring them.
   * @param {number} id
   */
  callerLeft(id) {
    this.#transaction((db) => db.run('UPDATE bookings SET caller_left = 1 WHERE id = ?', id));
  }

  /**
   * What a guest has on a day and could still cancel, or has cancelled by this very invocation.
   * @param {Whose} whose
   * @returns {Booking[]}
   */
  of({ phone, date, now, key }) {
    return this.#transaction((db) => {
      const where = `b.phone = ? AND b.starts_at GLOB ? AND b.starts_at > ? AND (b.status = 'booked' OR b.cancel_key = ?)`;
      const rows = db.all(`${BOOKING} WHERE ${where} ORDER BY b.starts_at`, [phone, `${date}T*`, now, key]);
      return /** @type {Booking[]} */ (/** @type {unknown} */ (rows));
    });
  }

  /**
   * Gives the table back. Doing it again changes nothing.
   * @param {number} id
   * @param {string} key names the invocation
   */
  cancel(id, key) {
    this.#transaction((db) => {
      db.run(`UPDATE bookings SET status = 'cancelled', cancel_key = ? WHERE id = ?`, [key, id]);
      db.run('DELETE FROM seatings WHERE booking_id = ?', id);
    });
  }

  /**
   * The tables of the house as they are now. One that is gone keeps its bookings, and gets no more.
   * @param {Connection} db
   */
  #furnish(db) {
    db.exec(SCHEMA);
    db.run('UPDATE tables SET in_use = 0');
    for (const { name, seats } of this.#tables) {
      db.run(
        `INSERT INTO tables (name, seats) VALUES (:name, :seats)
         ON CONFLICT (name) DO UPDATE SET seats = :seats, in_use = 1`,
        { ':name': name, ':seats': seats },
      );
    }
  }

  /**
   * @template T
   * @param {(db: Connection) => T} work
   * @returns {T}
   */
  #transaction(work) {
    const db = this.#begin();
    try {
      // Somebody may have moved the file away.
      if (db.get('PRAGMA user_version')?.['user_version'] !== VERSION) this.#furnish(db);
      const result = work(db);
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK');
      throw error;
    } finally {
      db.close();
    }
  }

  /** @returns {Connection} */
  #begin() {
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
      breakDeadLock(this.#file);
      const db = new sqlite.Database(this.#file);
      try {
        // This SQLite cannot tell its own lock from another's when it looks for a journal to roll back, so that a process
        // that dies in the middle of a commit would leave half of it. A write-ahead log has no such question to ask; it
        // needs the file for itself, which it has for as long as an operation takes.
        db.exec(`
          PRAGMA locking_mode = EXCLUSIVE;
          PRAGMA journal_mode = WAL;
          PRAGMA synchronous = FULL;
          BEGIN IMMEDIATE`);
        return db;
      } catch (error) {
        db.close();
        if (!isBusy(error) || waitedMs >= BUSY_MS) throw error;
      }
      // SQLite's own way to wait would keep a core busy in this build.
      Atomics.wait(clock, 0, 0, RETRY_MS);
    }
  }
}

/** @param {unknown} error */
function isBusy(error) {
  return error instanceof Error && error.message === 'database is locked';
}

/**
 * The smallest table that the party fits at, and that nobody has in any of these slots.
 * @param {Connection} db
 * @param {readonly string[]} slots
 * @param {number} party
 * @returns {number | undefined}
 */
function freeTable(db, slots, party) {
  const row = db.get(
    `SELECT id FROM tables
     WHERE in_use = 1 AND seats >= ?
       AND NOT EXISTS (SELECT 1 FROM seatings WHERE table_id = tables.id AND slot IN (${slots.map(() => '?').join()}))
     ORDER BY seats, id LIMIT 1`,
    [party, ...slots],
  );
  return row === null ? undefined : Number(row['id']);
}

/**
 * @param {Connection} db
 * @param {string} where
 * @param {(string | number | bigint)[]} values
 * @returns {Booking | undefined}
 */
function found(db, where, values) {
  const row = db.get(`${BOOKING} WHERE ${where}`, values);
  return row === null ? undefined : /** @type {Booking} */ (/** @type {unknown} */ (row));
}

/**
 * A process that was killed in the middle leaves its lock, a folder, behind. What it had not committed is in no table.
 * @param {string} file
 */
function breakDeadLock(file) {
  const lock = `${file}.lock`;
  try {
    if (Date.now() - statSync(lock).mtimeMs > DEAD_MS) rmdirSync(lock);
  } catch {
    // There is none, or somebody was faster.
  }
}
