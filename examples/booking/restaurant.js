/**
 * The house. What callers can book follows from this file alone; change it, and the agent goes by it.
 *
 * @typedef {object} Restaurant
 * @property {string} timeZone IANA name; every date and time of a booking is meant there
 * @property {number} slotMinutes seatings begin at multiples of this
 * @property {number} seatingMinutes how long a party has its table, a multiple of `slotMinutes`
 * @property {number} leadMinutes the kitchen wants to know so long before
 * @property {number} daysAhead nobody books further ahead
 * @property {readonly { readonly name: string, readonly seats: number }[]} tables
 * @property {readonly (readonly (readonly [first: string, last: string])[])[]} seatings first and last time at which a
 *   party can sit down; of each day, Sunday first
 * @property {readonly string[]} closedOn dates, such as 2026-12-24
 */

/** @type {Restaurant} */
export const restaurant = {
  timeZone: 'Europe/Berlin',
  slotMinutes: 30,
  seatingMinutes: 120,
  leadMinutes: 30,
  daysAhead: 90,
  tables: [
    { name: 'window', seats: 2 },
    { name: 'corner', seats: 2 },
    { name: 'stove', seats: 4 },
    { name: 'garden door', seats: 4 },
    { name: 'long table', seats: 8 },
  ],
  seatings: [
    [
      ['12:00', '13:30'],
      ['17:30', '20:30'],
    ],
    [],
    [['17:30', '21:00']],
    [['17:30', '21:00']],
    [['17:30', '21:00']],
    [['17:30', '22:00']],
    [
      ['12:00', '13:30'],
      ['17:30', '22:00'],
    ],
  ],
  closedOn: ['2026-12-24', '2026-12-25', '2026-12-31'],
};
