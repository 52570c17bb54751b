import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { openBookings } from '../examples/booking/bookings.js';
import { slotsFrom } from '../examples/booking/calendar.js';
import { BookingDatabase, type Order } from '../examples/booking/database.js';
import { restaurant } from '../examples/booking/restaurant.js';
import { BookingFile, look } from './support/booking-store.ts';

const run = promisify(execFile);
const NEVER = new AbortController().signal;
const EVENING = '2026-11-27T19:30';

function order(own: Partial<Order> = {}): Order {
  const start = own.start ?? EVENING;
  return {
    key: 'key-1',
    callId: 'CA1',
    start,
    slots: slotsFrom(start, restaurant),
    party: 2,
    name: 'Miller',
    phone: '+15550100123',
    note: '',
    now: '2026-11-21T12:00',
    ...own,
  };
}

const SMALL = { ...restaurant, tables: [{ name: 'window', seats: 2 }] };

/** A lock of a process that died a minute ago. */
function age(lock: string): void {
  const then = new Date(Date.now() - 60_000);
  utimesSync(lock, then, then);
}

describe('the bookings', () => {
  it('take the smallest table that the party fits at, for as long as it stays', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    expect(await bookings.book(order({ party: 3 }), NEVER)).toMatchObject({ status: 'booked' });
    expect(file.rows()).toMatchObject([
      {
        table: 'stove',
        starts_at: EVENING,
        party_size: 3,
        name: 'Miller',
        phone: '+15550100123',
        status: 'booked',
        caller_left: 0,
        call_id: 'CA1',
        idempotency_key: 'key-1',
        slots: 4,
      },
    ]);
  });

  it('are made once for each invocation, and answered alike', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    const first = await bookings.book(order(), NEVER);
    // Not by its being the same guest.
    const second = await bookings.book(order({ phone: '+15550100999' }), NEVER);
    expect(second).toEqual(first);
    // Nor because the store remembers.
    expect(await file.open().book(order({ phone: '+15550100998' }), NEVER)).toEqual(first);
    expect(file.rows()).toHaveLength(1);
  });

  it('are one for each guest and time, whatever the invocation', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    await bookings.book(order(), NEVER);
    const again = await bookings.book(order({ key: 'key-2', party: 4 }), NEVER);
    expect(again).toMatchObject({ status: 'had-already', booking: { party: 2 } });
    expect(file.rows()).toHaveLength(1);
  });

  it('end when the last table is taken, and not half an hour later', async () => {
    await using file = new BookingFile();
    const bookings = file.open(SMALL);
    const make = (key: string, start: string) =>
      bookings.book(order({ key, start, phone: `+1555010${key}` }), NEVER);
    expect((await make('0001', '2026-11-27T19:30')).status).toBe('booked');
    expect((await make('0002', '2026-11-27T21:00')).status).toBe('full');
    expect((await make('0003', '2026-11-27T18:00')).status).toBe('full');
    expect((await make('0004', '2026-11-27T21:30')).status).toBe('booked');
    expect((await make('0005', '2026-11-27T17:30')).status).toBe('booked');
    expect(file.rows().map(({ starts_at }) => starts_at.slice(11))).toEqual(['19:30', '21:30', '17:30']);
  });

  it('of many who want the last table at once are one, through several connections', async () => {
    await using file = new BookingFile();
    const stores = [file.open(SMALL), file.open(SMALL), file.open(SMALL)];
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        stores[index % 3]?.book(order({ key: `key-${index}`, phone: `+155501001${10 + index}` }), NEVER),
      ),
    );
    expect(outcomes.map((outcome) => outcome?.status).sort()).toEqual([
      'booked',
      ...Array.from({ length: 11 }, () => 'full'),
    ]);
    expect(file.rows()).toHaveLength(1);
  });

  it('are found and cancelled; the table is free again, and cancelling twice is cancelling once', async () => {
    await using file = new BookingFile();
    const bookings = file.open(SMALL);
    await bookings.book(order(), NEVER);
    const whose = { phone: '+15550100123', date: '2026-11-27', now: '2026-11-27T12:00', key: 'cancel-1' };
    const [booking] = await bookings.of(whose, NEVER);
    expect(booking).toMatchObject({ start: EVENING, name: 'Miller' });
    expect(await bookings.of({ ...whose, now: EVENING }, NEVER)).toEqual([]);
    expect(await bookings.of({ ...whose, phone: '+15550100124' }, NEVER)).toEqual([]);
    for (let times = 0; times < 2; times++) await bookings.cancel(booking?.id ?? 0, 'cancel-1', NEVER);
    expect(file.rows()).toMatchObject([{ status: 'cancelled', slots: 0 }]);
    // The invocation that has cancelled it finds it when it comes again; no other does.
    expect(await bookings.of(whose, NEVER)).toHaveLength(1);
    expect(await bookings.of({ ...whose, key: 'cancel-2' }, NEVER)).toEqual([]);
    expect(await bookings.book(order({ key: 'key-2', phone: '+15550100124' }), NEVER)).toMatchObject({
      status: 'booked',
    });
  });

  it('say which seatings are free', async () => {
    await using file = new BookingFile();
    const bookings = file.open(SMALL);
    await bookings.book(order(), NEVER);
    const seatings = ['17:30', '18:00', '21:00', '21:30'].map((time) =>
      slotsFrom(`2026-11-27T${time}`, restaurant),
    );
    expect(await bookings.free(seatings, 2, NEVER)).toEqual(['2026-11-27T17:30', '2026-11-27T21:30']);
    expect(await bookings.free(seatings, 3, NEVER)).toEqual([]);
  });

  it('stay when the house gets another table, and a table that it gave away is booked no more', async () => {
    await using file = new BookingFile();
    await file.open(SMALL).book(order(), NEVER);
    const moved = file.open({ ...restaurant, tables: [{ name: 'hall', seats: 6 }] });
    expect(await moved.book(order({ key: 'key-2', phone: '+15550100124' }), NEVER)).toMatchObject({
      booking: { table: 'hall' },
    });
    expect(file.rows().map(({ table }) => table)).toEqual(['window', 'hall']);
  });

  it.each([
    ['a party that is larger than its table', { party_size: 3 }, 'larger than the table'],
    ['nobody', { party_size: 0 }, 'CHECK'],
    ['no name', { name: ' ' }, 'CHECK'],
    ['no telephone number', { phone: 'unknown' }, 'CHECK'],
    ['a time that is none', { starts_at: 'tomorrow' }, 'CHECK'],
    ['a table that is not there', { table_id: 9 }, 'FOREIGN KEY'],
  ])('cannot be for %s, whoever writes into the file', async (_what, wrong, message) => {
    await using file = new BookingFile();
    await file.open(SMALL).free([], 1, NEVER);
    const row = {
      idempotency_key: 'k',
      call_id: 'CA1',
      table_id: 1,
      starts_at: EVENING,
      party_size: 2,
      name: 'Miller',
      phone: '+15550100123',
      booked_at: '2026-11-21T12:00',
      ...wrong,
    };
    const columns = Object.keys(row);
    const insert = `INSERT INTO bookings (${columns.join()}) VALUES (${columns.map(() => '?').join()})`;
    expect(() => look(file.path, (db) => db.run(insert, Object.values(row)))).toThrow(message);
    expect(file.rows()).toEqual([]);
  });

  it('are not begun for somebody who has given up', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    await expect(bookings.book(order(), AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    await bookings.free([], 1, NEVER);
    expect(file.rows()).toEqual([]);
  });

  it('answer with what went wrong, and go on afterwards', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    await expect(bookings.book(order({ phone: 'nobody' }), NEVER)).rejects.toMatchObject({
      message: 'the book with the bookings cannot be used right now',
      cause: { message: expect.stringContaining('CHECK') },
    });
    expect(await bookings.book(order(), NEVER)).toMatchObject({ status: 'booked' });
    const nowhere = openBookings(join(file.path, 'no', 'folder'), restaurant);
    await expect(nowhere.book(order(), NEVER)).rejects.toMatchObject({
      message: 'the book with the bookings cannot be used right now',
      cause: { message: expect.stringContaining('Could not open') },
    });
  });

  it('leave nobody waiting who asks when they are closed', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    await bookings.free([], 1, NEVER);
    const asked = expect(bookings.free([], 1, NEVER)).rejects.toThrow('the bookings were closed');
    await bookings.close();
    await asked;
  });

  it('let their thread rest when nobody asks, and wake it when somebody does', async () => {
    await using file = new BookingFile();
    const bookings = openBookings(file.path, SMALL, 1);
    for (let times = 0; times < 2; times++) {
      const [thread] = await Promise.all([started(), bookings.free([], 1, NEVER)]);
      await once(thread, 'exit');
    }
  });

  it('begin anew when somebody has moved the file away', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    await bookings.book(order(), NEVER);
    rmSync(file.path);
    expect(await bookings.book(order({ key: 'key-2' }), NEVER)).toMatchObject({ status: 'booked' });
    expect(file.rows()).toMatchObject([{ idempotency_key: 'key-2', slots: 4 }]);
  });
});

/** The next thread that is started. */
function started(): Promise<Worker> {
  return new Promise((resolve) => process.once('worker', resolve));
}

describe('a process that dies', () => {
  it('leaves a lock behind, which is no lock after a while', async () => {
    await using file = new BookingFile();
    const bookings = file.open();
    await bookings.free([], 1, NEVER);
    const lock = `${file.path}.lock`;
    mkdirSync(lock);
    age(lock);
    expect(await bookings.book(order(), NEVER)).toMatchObject({ status: 'booked' });
    expect(existsSync(lock)).toBe(false);
  });

  it('has booked as a whole or not at all, at whatever moment it died', async () => {
    await using file = new BookingFile();
    const program = fileURLToPath(new URL('support/booking-crash.js', import.meta.url));
    const { stdout } = await run(process.execPath, [program, file.path]);
    const copies = Number(stdout);
    expect(copies).toBeGreaterThan(10);
    const outcomes: number[] = [];
    for (let index = 0; index < copies; index++) {
      const copy = join(dirname(file.path), `copy-${index}`, 'bookings.db');
      if (existsSync(`${copy}.lock`)) age(`${copy}.lock`);
      const found = new BookingDatabase(copy, SMALL.tables);
      const free = found.free([slotsFrom(EVENING, restaurant)], 2);
      const rows = look(copy, (db) => {
        expect(db.all('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
        return db.all(
          'SELECT (SELECT count(*) FROM seatings WHERE booking_id = b.id) AS slots FROM bookings b',
        );
      });
      // Either the row with all its slots, or a free table.
      expect([rows, free]).toEqual(rows.length === 1 ? [[{ slots: 4 }], []] : [[], [EVENING]]);
      outcomes.push(rows.length);
    }
    // Nothing at first, then the booking, and never back.
    expect(outcomes[0]).toBe(0);
    expect(outcomes.at(-1)).toBe(1);
    expect(outcomes).toEqual([...outcomes].sort());
  });
});
