import { defineTool } from 'patchcord';
import * as z from 'zod';
import { isDate, refusal, seatingsOn, slotsFrom, spoken, wallClock } from './calendar.js';

/**
 * @typedef {import('patchcord').ToolContext} ToolContext
 * @typedef {import('./bookings.js').Bookings} Bookings
 * @typedef {import('./database.js').Booking} Booking
 * @typedef {import('./restaurant.js').Restaurant} Restaurant
 * @typedef {{ readonly start: string, readonly party: number, readonly name: string, readonly phone: string, readonly note: string }} Wish
 */

// What is said here is read by the model when it gets an argument wrong, so it says what is wanted and not what is bad.
const date = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/, { error: 'wanted the date as YYYY-MM-DD, such as 2026-11-27', abort: true })
  .refine(isDate, 'there is no such day in the calendar')
  .describe('YYYY-MM-DD');
const time = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'wanted the time of day as HH:MM, 24 hours, such as 19:30')
  .describe('HH:MM, 24 hours, on the clock of the restaurant');
const partySize = z
  .number('wanted the number of people as digits, such as 4')
  .int('wanted a whole number of people')
  .min(1, 'wanted at least one person')
  .describe('How many people');
const name = z
  .string()
  .trim()
  .min(1, 'wanted the name that the caller gave; ask for it')
  .max(80, 'wanted a name of at most 80 letters');
const E164 = /^\+[1-9]\d{6,14}$/;
const phone = z
  .string()
  .transform((text) => text.replace(/[\s()/.-]/g, ''))
  .pipe(z.string().regex(E164, 'wanted the number with its country code, such as +49301234567'));

const MOST_ALTERNATIVES = 4;

/**
 * The functions of the agent.
 *
 * @param {object} parts
 * @param {Bookings} parts.bookings
 * @param {Restaurant} parts.restaurant
 */
export function createBookingTools({ bookings, restaurant: house }) {
  /** @param {ToolContext} call */
  const now = (call) => wallClock(call.epoch(), house.timeZone);

  /**
   * Starts of the same day at which a table is free, the nearest first.
   * @param {string} start
   * @param {number} party
   * @param {ToolContext} call
   */
  const alternatives = async (start, party, call) => {
    const possible = seatingsOn(start.slice(0, 10), house).filter(
      (other) => refusal(other, party, now(call), house) === undefined,
    );
    const free = await bookings.free(
      possible.map((other) => slotsFrom(other, house)),
      party,
      call.signal,
    );
    /** @param {string} other */
    const distance = (other) => Math.abs(Date.parse(`${other}Z`) - Date.parse(`${start}Z`));
    return free
      .filter((other) => other !== start)
      .sort((a, b) => distance(a) - distance(b))
      .slice(0, MOST_ALTERNATIVES)
      .map((other) => other.slice(11))
      .sort();
  };

  /**
   * @param {string} start
   * @param {number} party
   * @param {ToolContext} call
   */
  const search = async (start, party, call) => {
    const refused = refusal(start, party, now(call), house);
    if (refused !== undefined) {
      const other_times = refused.status === 'no-seating' ? await alternatives(start, party, call) : [];
      return { ...refused, other_times };
    }
    const [free] = await bookings.free([slotsFrom(start, house)], party, call.signal);
    if (free !== undefined) return { status: 'free', when: spoken(start), people: party };
    return { status: 'full', when: spoken(start), other_times: await alternatives(start, party, call) };
  };

  const findTable = defineTool({
    name: 'find_table',
    description:
      'Whether a table is free. Reserves nothing. With other_times when it is not: offer them to the caller.',
    parameters: z.object({ date, time, party_size: partySize }),
    timeoutMs: 8000,
    // A caller who speaks up while the agent searches wants something else.
    cancelOnInterrupt: true,
    fillerAfterMs: 1500,
    run: (args, call) => search(`${args.date}T${args.time}`, args.party_size, call),
  });

  /**
   * @param {Wish} wish
   * @param {boolean} confirmed
   * @param {ToolContext} call
   */
  const readBack = async (wish, confirmed, call) => {
    const found = await search(wish.start, wish.party, call);
    if (found.status !== 'free') return { booked: false, ...found };
    await bookings.readBack(call.callId, details(wish), now(call), call.signal);
    return {
      booked: false,
      status: 'read-back',
      read_back: readable(wish),
      next: confirmed
        ? 'Nothing is booked: these details were not read back to the caller on this call. Read them, ask whether they are right, and call book_table again when the caller has said yes.'
        : 'Nothing is booked yet. Read these details to the caller, ask whether they are right, and when the caller says yes call book_table again with the same details and confirmed: true.',
    };
  };

  /**
   * @param {Wish} wish
   * @param {ToolContext} call
   */
  const book = async (wish, call) => {
    const refused = refusal(wish.start, wish.party, now(call), house);
    if (refused !== undefined) return { booked: false, ...refused };
    const order = {
      ...wish,
      key: call.idempotencyKey,
      callId: call.callId,
      slots: slotsFrom(wish.start, house),
      now: now(call),
    };
    const outcome = await bookings.book(order, call.signal);
    if (outcome.status === 'full') {
      const other_times = await alternatives(wish.start, wish.party, call);
      return {
        booked: false,
        status: 'full',
        reason: 'Somebody else has just taken the last table.',
        other_times,
      };
    }
    const { booking } = outcome;
    const shown = { booking_number: booking.id, read_back: readable({ ...wish, ...booking }) };
    if (outcome.status === 'booked') {
      // The table is the caller's whether they heard so or not; the house may want to ring them.
      if (call.signal.aborted) await bookings.callerLeft(booking.id);
      return { booked: true, ...shown };
    }
    return {
      booked: false,
      status: 'had-already',
      reason: 'There is a booking for this phone number at that time. To change it, cancel it first.',
      ...shown,
    };
  };

  const bookTable = defineTool({
    name: 'book_table',
    description:
      'Books a table. First call it without confirmed: it gives the details to be read back and books nothing. Call it ' +
      'again with the same details and confirmed: true after the caller has said yes. Only booked: true means booked.',
    parameters: z.object({
      date,
      time,
      party_size: partySize,
      name: name.describe('In whose name'),
      phone: phone
        .optional()
        .describe(
          'With the country code, such as +49301234567. Only when the caller wants to be reached elsewhere, or shows no number',
        ),
      note: z.string().trim().max(200).default('').describe('Wishes such as a high chair; allergies'),
      confirmed: z.boolean().default(false).describe('The caller has heard the details and said yes'),
    }),
    timeoutMs: 15_000,
    // What the caller has confirmed is booked, also when they go on talking meanwhile.
    cancelOnInterrupt: false,
    fillerAfterMs: 1500,
    redact: ['name', 'phone', 'note'],
    async run(args, call) {
      const reachedAt = args.phone ?? (E164.test(call.from) ? call.from : undefined);
      if (reachedAt === undefined) {
        return { booked: false, status: 'phone-needed', reason: 'The caller shows no number. Ask for one.' };
      }
      const wish = {
        start: `${args.date}T${args.time}`,
        party: args.party_size,
        name: args.name,
        phone: reachedAt,
        note: args.note,
      };
      const mayBook = args.confirmed && (await bookings.wasReadBack(call.callId, details(wish), call.signal));
      return mayBook ? book(wish, call) : readBack(wish, args.confirmed, call);
    },
  });

  /**
   * @param {{ readonly date: string, readonly time?: string | undefined, readonly name: string }} which
   * @param {ToolContext} call
   */
  const bookingsOf = async (which, call) => {
    const whose = { phone: call.from, date: which.date, now: now(call), key: call.idempotencyKey };
    const all = await bookings.of(whose, call.signal);
    // A number can be forged, so whoever calls must know the name too, and is not told what is wrong.
    return all.filter(
      (booking) =>
        fold(booking.name) === fold(which.name) &&
        (which.time === undefined || booking.start.endsWith(`T${which.time}`)),
    );
  };

  const cancelBooking = defineTool({
    name: 'cancel_booking',
    description:
      'Cancels a booking that was made from the phone number of the caller. First call it without confirmed: it gives ' +
      'the booking to be read back. Call it again with confirmed: true after the caller has said yes.',
    parameters: z.object({
      date,
      time: time.optional(),
      name: name.describe('In whose name it was booked'),
      confirmed: z.boolean().default(false).describe('The caller has heard which booking it is and said yes'),
    }),
    timeoutMs: 15_000,
    fillerAfterMs: 1500,
    redact: ['name'],
    async run(args, call) {
      const [booking, ...more] = await bookingsOf(args, call);
      if (booking === undefined) {
        return {
          cancelled: false,
          status: 'not-found',
          reason: 'There is no such booking for the number of this caller in that name.',
        };
      }
      if (more.length > 0) {
        const times = [booking, ...more].map(({ start }) => start.slice(11));
        return {
          cancelled: false,
          status: 'several',
          reason: 'Ask which one, and call again with time.',
          times,
        };
      }
      const read_back = readable(booking);
      if (!args.confirmed) return { cancelled: false, status: 'read-back', read_back };
      await bookings.cancel(booking.id, call.idempotencyKey, call.signal);
      return { cancelled: true, read_back };
    },
  });

  return [findTable, bookTable, cancelBooking];
}

/**
 * What a caller has to agree to: another time is another booking, another spelling of a note is not.
 * @param {Wish} wish
 */
function details({ start, party, name: who, phone: number }) {
  return JSON.stringify([start, party, fold(who), number]);
}

/** @param {Pick<Wish, 'start' | 'party' | 'name'>} wish */
function readable({ start, party, name: who }) {
  return `${spoken(start)}, ${party === 1 ? 'one person' : `${party} people`}, in the name of ${who}`;
}

/** @param {string} text */
function fold(text) {
  return text.normalize('NFKC').trim().replace(/\s+/g, ' ').toLowerCase();
}
