import { describe, expect, it } from 'vitest';
import { restaurant } from '../examples/booking/restaurant.js';
import { createBookingTools } from '../examples/booking/tools.js';
import type { ToolContext } from '../src/tools.ts';
import { BookingFile, context, Gate, runTool, slowBookings } from './support/booking-store.ts';

const DETAILS = { date: '2026-11-27', time: '19:30', party_size: 4, name: 'Miller' };

/** The functions over a file, and the means to run one. */
function agent(file: BookingFile, house = restaurant) {
  const tools = createBookingTools({ bookings: file.open(house), restaurant: house });
  return (name: string, args: Readonly<Record<string, unknown>>, own: Partial<ToolContext> = {}) =>
    runTool(tools, name, args, context(own));
}

describe('find_table', () => {
  it('says that a table is free, in words that can be said', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    expect(await run('find_table', { date: '2026-11-27', time: '19:30', party_size: 4 })).toEqual({
      status: 'free',
      when: 'Friday, 27 November 2026, 19:30',
      people: 4,
    });
    expect(file.rows()).toEqual([]);
  });

  it('offers the times next to one that is full', async () => {
    await using file = new BookingFile();
    const run = agent(file, { ...restaurant, tables: [{ name: 'window', seats: 4 }] });
    await run('book_table', DETAILS);
    await run('book_table', { ...DETAILS, confirmed: true });
    expect(await run('find_table', { date: '2026-11-27', time: '19:30', party_size: 2 })).toEqual({
      status: 'full',
      when: 'Friday, 27 November 2026, 19:30',
      other_times: ['17:30', '21:30', '22:00'],
    });
  });

  it('offers times that there are for one that there is not', async () => {
    await using file = new BookingFile();
    expect(
      await agent(file)('find_table', { date: '2026-11-27', time: '19:45', party_size: 2 }),
    ).toMatchObject({
      status: 'no-seating',
      other_times: ['19:00', '19:30', '20:00', '20:30'],
    });
  });

  it('offers nothing that is past or too soon', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    // 20:50 in Berlin.
    const late = { epoch: () => Date.UTC(2026, 10, 21, 19, 50) };
    expect(await run('find_table', { date: '2026-11-21', time: '20:55', party_size: 2 }, late)).toMatchObject(
      {
        status: 'too-soon',
      },
    );
    expect(await run('find_table', { date: '2026-11-21', time: '21:35', party_size: 2 }, late)).toMatchObject(
      {
        status: 'no-seating',
        other_times: ['21:30', '22:00'],
      },
    );
  });

  it('goes by the restaurant’s clock, and not by that of the machine', async () => {
    await using file = new BookingFile();
    const run = agent(file, { ...restaurant, timeZone: 'Pacific/Auckland' });
    // It is Sunday there already.
    expect(await run('find_table', { date: '2026-11-21', time: '19:30', party_size: 2 })).toMatchObject({
      status: 'past',
      reason: expect.stringContaining('Sunday, 22 November 2026, 00:00'),
    });
  });
});

describe('book_table', () => {
  it('gives the details to be read back, and books when the caller has said yes', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    const first = await run('book_table', DETAILS);
    expect(first).toMatchObject({
      booked: false,
      status: 'read-back',
      read_back: 'Friday, 27 November 2026, 19:30, 4 people, in the name of Miller',
      next: expect.stringContaining('confirmed: true'),
    });
    expect(file.rows()).toEqual([]);
    const second = await run('book_table', { ...DETAILS, confirmed: true, note: 'a high chair' });
    expect(second).toEqual({
      booked: true,
      booking_number: 1,
      read_back: 'Friday, 27 November 2026, 19:30, 4 people, in the name of Miller',
    });
    expect(file.rows()).toMatchObject([
      {
        starts_at: '2026-11-27T19:30',
        party_size: 4,
        name: 'Miller',
        phone: '+15550100123',
        note: 'a high chair',
      },
    ]);
  });

  it('books nothing that was not read back on this call, whatever the model says', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    const skipped = await run('book_table', { ...DETAILS, confirmed: true });
    expect(skipped).toMatchObject({ booked: false, next: expect.stringContaining('were not read back') });
    const other = await run('book_table', { ...DETAILS, time: '20:00', confirmed: true });
    expect(other).toMatchObject({ booked: false });
    const elsewhere = await run('book_table', { ...DETAILS, confirmed: true }, { callId: 'CA2' });
    expect(elsewhere).toMatchObject({ booked: false });
    expect(file.rows()).toEqual([]);
    // Now both were.
    expect(await run('book_table', { ...DETAILS, name: ' miller ', confirmed: true })).toMatchObject({
      booked: true,
    });
  });

  it('takes the number that the caller gives, and wants one when none is shown', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    const hidden = { from: 'anonymous' };
    expect(await run('book_table', DETAILS, hidden)).toMatchObject({ booked: false, status: 'phone-needed' });
    const given = { ...DETAILS, phone: '+49 (30) 123-45 67' };
    await run('book_table', given, hidden);
    expect(await run('book_table', { ...given, confirmed: true }, hidden)).toMatchObject({ booked: true });
    expect(file.rows()).toMatchObject([{ phone: '+49301234567' }]);
  });

  it.each([
    [{ date: '2026-11-20' }, 'past'],
    [{ date: '2026-11-23' }, 'closed'],
    [{ time: '15:00' }, 'no-seating'],
    [{ party_size: 9 }, 'party-too-large'],
    [{ date: '2027-11-26' }, 'too-far'],
  ])('books nothing for %j: %s', async (wrong, status) => {
    await using file = new BookingFile();
    const run = agent(file);
    for (const confirmed of [false, true]) {
      expect(await run('book_table', { ...DETAILS, ...wrong, confirmed })).toMatchObject({
        booked: false,
        status,
      });
    }
    expect(file.rows()).toEqual([]);
  });

  it('looks again at what was possible when it was read back', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    await run('book_table', DETAILS);
    const nextYear = { epoch: () => Date.UTC(2027, 0, 1) };
    expect(await run('book_table', { ...DETAILS, confirmed: true }, nextYear)).toMatchObject({
      status: 'past',
    });
    expect(file.rows()).toEqual([]);
  });

  it('tells whoever comes second for the last table, with other times', async () => {
    await using file = new BookingFile();
    const run = agent(file, { ...restaurant, tables: [{ name: 'window', seats: 4 }] });
    const callers = ['1', '2'].map((n) => ({ callId: n, from: `+1555010012${n}`, idempotencyKey: n }));
    for (const caller of callers) {
      expect(await run('book_table', DETAILS, caller)).toMatchObject({ status: 'read-back' });
    }
    const confirmed = { ...DETAILS, confirmed: true };
    const answers = await Promise.all(callers.map((caller) => run('book_table', confirmed, caller)));
    expect(answers).toMatchObject([
      { booked: true },
      { booked: false, status: 'full', other_times: ['17:30', '21:30', '22:00'] },
    ]);
    expect(file.rows()).toHaveLength(1);
  });

  it('says of a guest’s second booking for the same time that there is one', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    const six = { ...DETAILS, party_size: 6 };
    await run('book_table', DETAILS);
    await run('book_table', six);
    await run('book_table', { ...DETAILS, confirmed: true });
    const second = await run('book_table', { ...six, confirmed: true }, { idempotencyKey: 'key-2' });
    expect(second).toMatchObject({
      booked: false,
      status: 'had-already',
      read_back: expect.stringContaining('4 people'),
    });
    expect(file.rows()).toHaveLength(1);
  });

  it.each([
    [{ date: 'next Friday' }, 'date: wanted the date as YYYY-MM-DD, such as 2026-11-27'],
    [{ date: '2026-02-30' }, 'date: there is no such day in the calendar'],
    [{ time: '7 pm' }, 'time: wanted the time of day as HH:MM, 24 hours, such as 19:30'],
    [{ time: '24:00' }, 'time: wanted the time of day as HH:MM, 24 hours, such as 19:30'],
    [{ party_size: 'four' }, 'party_size: wanted the number of people as digits, such as 4'],
    [{ party_size: 2.5 }, 'party_size: wanted a whole number of people'],
    [{ party_size: 0 }, 'party_size: wanted at least one person'],
    [{ name: ' ' }, 'name: wanted the name that the caller gave; ask for it'],
    [{ phone: '0301234567' }, 'phone: wanted the number with its country code, such as +49301234567'],
  ])('tells the model what it got wrong in %j', async (wrong, problem) => {
    await using file = new BookingFile();
    expect(await agent(file)('book_table', { ...DETAILS, ...wrong })).toEqual({ problems: [problem] });
  });

  it('books for a caller who has left when it had begun, and notes that they did not hear so', async () => {
    await using file = new BookingFile();
    const afterBook = new Gate();
    const tools = createBookingTools({ bookings: slowBookings(file.open(), { afterBook }), restaurant });
    await runTool(tools, 'book_table', DETAILS, context());
    const call = new AbortController();
    const booking = runTool(
      tools,
      'book_table',
      { ...DETAILS, confirmed: true },
      context({ signal: call.signal }),
    );
    await afterBook.reached();
    call.abort(new Error('the caller hung up'));
    afterBook.open();
    await booking;
    expect(file.rows()).toMatchObject([{ status: 'booked', caller_left: 1, slots: 4 }]);
  });

  it('books nothing for a caller who has left before it had begun', async () => {
    await using file = new BookingFile();
    const beforeBook = new Gate();
    const tools = createBookingTools({ bookings: slowBookings(file.open(), { beforeBook }), restaurant });
    await runTool(tools, 'book_table', DETAILS, context());
    const call = new AbortController();
    const booking = runTool(
      tools,
      'book_table',
      { ...DETAILS, confirmed: true },
      context({ signal: call.signal }),
    );
    await beforeBook.reached();
    call.abort(new Error('the caller hung up'));
    beforeBook.open();
    await expect(booking).rejects.toThrow('the caller hung up');
    expect(file.rows()).toEqual([]);
  });
});

describe('cancel_booking', () => {
  it('reads the booking back, cancels it, and says so again when it is asked again', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    await run('book_table', DETAILS);
    await run('book_table', { ...DETAILS, confirmed: true });
    const which = { date: '2026-11-27', name: 'MILLER' };
    const read_back = 'Friday, 27 November 2026, 19:30, 4 people, in the name of Miller';
    expect(await run('cancel_booking', which)).toEqual({ cancelled: false, status: 'read-back', read_back });
    expect(file.rows()).toMatchObject([{ status: 'booked' }]);
    for (let times = 0; times < 2; times++) {
      const confirmed = { ...which, confirmed: true };
      expect(await run('cancel_booking', confirmed, { idempotencyKey: 'key-2' })).toEqual({
        cancelled: true,
        read_back,
      });
    }
    expect(file.rows()).toMatchObject([{ status: 'cancelled', slots: 0 }]);
    expect(await run('cancel_booking', which, { idempotencyKey: 'key-3' })).toMatchObject({
      status: 'not-found',
    });
  });

  it.each([
    ['another name', { name: 'Smith' }, {}],
    ['another number', {}, { from: '+15550100999' }],
    ['no number', {}, { from: 'anonymous' }],
    ['another day', { date: '2026-11-28' }, {}],
    ['another time', { time: '20:00' }, {}],
    ['one that is past', {}, { epoch: () => Date.UTC(2026, 10, 28) }],
  ])('finds nothing for %s', async (_what, wrong, caller) => {
    await using file = new BookingFile();
    const run = agent(file);
    await run('book_table', DETAILS);
    await run('book_table', { ...DETAILS, confirmed: true });
    const args = { date: '2026-11-27', name: 'Miller', confirmed: true, ...wrong };
    expect(await run('cancel_booking', args, caller)).toMatchObject({
      cancelled: false,
      status: 'not-found',
    });
    expect(file.rows()).toMatchObject([{ status: 'booked' }]);
  });

  it('asks which one when there are several', async () => {
    await using file = new BookingFile();
    const run = agent(file);
    for (const time of ['12:00', '19:30']) {
      const details = { ...DETAILS, date: '2026-11-28', time };
      await run('book_table', details);
      await run('book_table', { ...details, confirmed: true }, { idempotencyKey: time });
    }
    const which = { date: '2026-11-28', name: 'Miller', confirmed: true };
    expect(await run('cancel_booking', which)).toMatchObject({
      status: 'several',
      times: ['12:00', '19:30'],
    });
    expect(await run('cancel_booking', { ...which, time: '12:00' })).toMatchObject({ cancelled: true });
    expect(file.rows().map(({ status }) => status)).toEqual(['cancelled', 'booked']);
  });
});

describe('what the model is told of the functions', () => {
  it('is a JSON Schema that says what is wanted', async () => {
    await using file = new BookingFile();
    const tools = createBookingTools({ bookings: file.open(), restaurant });
    expect(tools.map(({ definition }) => definition.name)).toEqual([
      'find_table',
      'book_table',
      'cancel_booking',
    ]);
    expect(tools[1]?.definition.parameters).toMatchObject({
      type: 'object',
      required: ['date', 'time', 'party_size', 'name'],
      properties: {
        date: { type: 'string', description: 'YYYY-MM-DD' },
        party_size: { type: 'integer', minimum: 1 },
        phone: { type: 'string' },
        confirmed: { type: 'boolean', default: false },
      },
    });
    expect(tools.map(({ cancelOnInterrupt }) => cancelOnInterrupt)).toEqual([true, false, false]);
    expect(tools.map(({ redact }) => redact)).toEqual([[], ['name', 'phone', 'note'], ['name']]);
  });
});
