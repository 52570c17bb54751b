/**
 * Dates and times as the restaurant's wall clock shows them: `2026-11-27` and `2026-11-27T19:30`. They sort as text, and
 * no guest ever booked by UTC.
 *
 * @typedef {import('./restaurant.js').Restaurant} Restaurant
 * @typedef {{ readonly status: 'past' | 'too-soon' | 'too-far' | 'closed' | 'no-seating' | 'party-too-large', readonly reason: string }} Refusal
 */

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * The time on the restaurant's wall.
 * @param {number} epochMs
 * @param {string} timeZone
 * @returns {string} such as 2026-11-27T19:30
 */
export function wallClock(epochMs, timeZone) {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  }).formatToParts(epochMs);
  const { year, month, day, hour, minute } = Object.fromEntries(
    parts.map(({ type, value }) => [type, value]),
  );
  return `${year}-${month}-${day}T${hour}:${minute}`;
}

/**
 * Whether there is such a day: 2026-02-30 has the right form, and is none.
 * @param {string} date
 */
export function isDate(date) {
  const ms = Date.parse(`${date}T00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date);
}

/**
 * @param {string} start
 * @param {number} minutes
 */
export function later(start, minutes) {
  return new Date(Date.parse(`${start}Z`) + minutes * MINUTE_MS).toISOString().slice(0, 16);
}

/**
 * As people say it, such as “Friday, 27 November 2026, 19:30”.
 * @param {string} start
 */
export function spoken(start) {
  const day = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'UTC',
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
  });
  return `${day.format(Date.parse(`${start}Z`)).replace(/^(\w+) /, '$1, ')}, ${start.slice(11)}`;
}

/**
 * Every half hour, or whatever the house goes by, for which a party has its table.
 * @param {string} start
 * @param {Restaurant} house
 */
export function slotsFrom(start, { slotMinutes, seatingMinutes }) {
  return Array.from({ length: seatingMinutes / slotMinutes }, (_, index) =>
    later(start, index * slotMinutes),
  );
}

/**
 * The times of a day at which parties can sit down.
 * @param {string} date
 * @param {Restaurant} house
 */
export function seatingsOn(date, house) {
  if (house.closedOn.includes(date)) return [];
  const starts = [];
  for (const [first, last] of house.seatings[new Date(`${date}T00:00Z`).getUTCDay()] ?? []) {
    const end = `${date}T${last}`;
    for (let start = `${date}T${first}`; start <= end; start = later(start, house.slotMinutes))
      starts.push(start);
  }
  return starts;
}

/**
 * Why nobody can have a table then, however many are free; undefined: they may.
 * @param {string} start
 * @param {number} party
 * @param {string} now the time on the wall
 * @param {Restaurant} house
 * @returns {Refusal | undefined}
 */
export function refusal(start, party, now, house) {
  const largest = Math.max(...house.tables.map(({ seats }) => seats));
  if (party > largest) {
    return {
      status: 'party-too-large',
      reason: `The largest table has ${largest} seats. Offer to put the caller through to the reception.`,
    };
  }
  if (start <= now) return { status: 'past', reason: `That is past: it is ${spoken(now)} here.` };
  if (start < later(now, house.leadMinutes)) {
    return { status: 'too-soon', reason: `Tables are booked at least ${house.leadMinutes} minutes ahead.` };
  }
  if (Date.parse(`${start}Z`) > Date.parse(`${now}Z`) + house.daysAhead * DAY_MS) {
    return { status: 'too-far', reason: `Tables are booked at most ${house.daysAhead} days ahead.` };
  }
  const seatings = seatingsOn(start.slice(0, 10), house);
  if (seatings.length === 0) {
    return {
      status: 'closed',
      reason: `The restaurant is closed on ${spoken(start).replace(/, [\d:]+$/, '')}.`,
    };
  }
  if (seatings.includes(start)) return undefined;
  const times = seatings.map((seating) => seating.slice(11)).join(', ');
  return { status: 'no-seating', reason: `On that day parties can sit down at ${times}.` };
}
