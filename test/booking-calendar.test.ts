import { describe, expect, it } from 'vitest';
import {
  isDate,
  later,
  refusal,
  seatingsOn,
  slotsFrom,
  spoken,
  wallClock,
} from '../examples/booking/calendar.js';
import { restaurant } from '../examples/booking/restaurant.js';

describe('the calendar of the restaurant', () => {
  it('reads the clock on its own wall, in summer and in winter', () => {
    expect(wallClock(Date.UTC(2026, 10, 21, 11, 5), 'Europe/Berlin')).toBe('2026-11-21T12:05');
    expect(wallClock(Date.UTC(2026, 6, 21, 22, 30), 'Europe/Berlin')).toBe('2026-07-22T00:30');
    expect(wallClock(Date.UTC(2026, 10, 21, 23, 59), 'America/Los_Angeles')).toBe('2026-11-21T15:59');
  });

  it('does not take the hour that the clocks skip or repeat for anything but what the wall shows', () => {
    expect(wallClock(Date.UTC(2026, 2, 29, 1, 0), 'Europe/Berlin')).toBe('2026-03-29T03:00');
    expect(wallClock(Date.UTC(2026, 9, 25, 0, 30), 'Europe/Berlin')).toBe('2026-10-25T02:30');
    expect(wallClock(Date.UTC(2026, 9, 25, 1, 30), 'Europe/Berlin')).toBe('2026-10-25T02:30');
  });

  it.each([
    ['2026-11-27', true],
    ['2028-02-29', true],
    ['2026-02-29', false],
    ['2026-13-01', false],
    ['2026-11-31', false],
    ['0000-00-00', false],
  ])('knows whether there is a day %s: %s', (date, is) => {
    expect(isDate(date)).toBe(is);
  });

  it('goes on over midnight, the end of a month and of a year', () => {
    expect(later('2026-12-31T23:30', 30)).toBe('2027-01-01T00:00');
    expect(slotsFrom('2026-11-30T22:30', restaurant)).toEqual([
      '2026-11-30T22:30',
      '2026-11-30T23:00',
      '2026-11-30T23:30',
      '2026-12-01T00:00',
    ]);
  });

  it('says dates as people do', () => {
    expect(spoken('2026-11-27T19:30')).toBe('Friday, 27 November 2026, 19:30');
  });

  it('has the seatings of the day of the week', () => {
    expect(seatingsOn('2026-11-23', restaurant)).toEqual([]);
    expect(seatingsOn('2026-11-22', restaurant)).toEqual([
      ...['12:00', '12:30', '13:00', '13:30'].map((time) => `2026-11-22T${time}`),
      ...['17:30', '18:00', '18:30', '19:00', '19:30', '20:00', '20:30'].map((time) => `2026-11-22T${time}`),
    ]);
  });
});

describe('a table is refused', () => {
  const now = '2026-11-21T12:00';

  it.each([
    ['2026-11-20T19:30', 2, 'past', 'That is past: it is Saturday, 21 November 2026, 12:00 here.'],
    ['2026-11-21T12:00', 2, 'past', 'That is past'],
    ['2026-11-21T12:29', 2, 'too-soon', 'at least 30 minutes ahead'],
    ['2027-02-20T19:30', 2, 'too-far', 'at most 90 days ahead'],
    ['2026-11-23T19:30', 2, 'closed', 'closed on Monday, 23 November 2026.'],
    ['2026-12-24T19:30', 2, 'closed', 'closed on Thursday, 24 December 2026.'],
    [
      '2026-11-27T19:45',
      2,
      'no-seating',
      '17:30, 18:00, 18:30, 19:00, 19:30, 20:00, 20:30, 21:00, 21:30, 22:00',
    ],
    ['2026-11-27T23:00', 2, 'no-seating', 'parties can sit down at 17:30'],
    ['2026-11-27T19:30', 9, 'party-too-large', 'The largest table has 8 seats'],
  ])('at %s for %i: %s', (start, party, status, reason) => {
    expect(refusal(start, party, now, restaurant)).toEqual({
      status,
      reason: expect.stringContaining(reason),
    });
  });

  it.each([
    ['2026-11-21T12:30', 2],
    ['2026-11-27T22:00', 8],
  ])('but not at %s for %i', (start, party) => {
    expect(refusal(start, party, now, restaurant)).toBeUndefined();
  });
});
