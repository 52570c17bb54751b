import { describe, it } from 'vitest';
import { answer, BookingService, speak } from './support/booking-service.ts';
import { STYLES } from './support/carrier-styles.ts';
import { calls, type Step, says } from './support/scripted-model.ts';

/** Whole calls in real time, several at once: a machine that has more to do may take its time. */
const PATIENT = { timeout: 60_000 };

const DETAILS = { date: '2026-11-27', time: '19:30', party_size: 4, name: 'Miller' };
const CONFIRMED = { ...DETAILS, confirmed: true };
const READ_BACK = 'Friday, 27 November 2026, 19:30, 4 people, in the name of Miller';
const { name: _name, ...SEARCH } = DETAILS;

const GOODBYE = 'Booked. Until Friday, goodbye!';

/** A whole booking: three turns of the caller, a function in each. */
const WHOLE: readonly Step[] = [
  calls('find_table', SEARCH),
  (turn) => says(`There is a table on ${String(answer(turn)['when'])}. In what name?`),
  calls('book_table', DETAILS),
  (turn) => says(`So that is ${String(answer(turn)['read_back'])}. Is that right?`),
  calls('book_table', CONFIRMED),
  (turn) => ({
    transcript: answer(turn)['booked'] === true ? GOODBYE : 'Not booked.',
    audioMs: 500,
    toolCalls: [{ name: 'end_call', args: {} }],
  }),
];

describe.concurrent.each(STYLES)('a caller at $name', PATIENT, (style) => {
  it('books a table: it is searched, read back, confirmed, and the goodbye is heard', async ({ expect }) => {
    await using on = await BookingService.start({ style, model: WHOLE, fillerAfterMs: 5000 });
    const call = on.dial();
    for (let turn = 0; turn < 3; turn++) await speak(call);
    const report = await call.ended;
    expect(report.outcome).toBe('completed');
    expect(report.endedBy).not.toBe('caller');
    expect(on.said).toEqual([
      'Trattoria, good evening!',
      'There is a table on Friday, 27 November 2026, 19:30. In what name?',
      `So that is ${READ_BACK}. Is that right?`,
      GOODBYE,
    ]);
    const ended = await on.event('ended');
    expect(ended.reason).toBe('agent-hung-up');
    // Heard, and not only said.
    expect(ended.transcript.find(({ text }) => text === GOODBYE)).toMatchObject({ interrupted: false });
    expect(on.file.rows()).toMatchObject([
      {
        table: 'stove',
        starts_at: '2026-11-27T19:30',
        party_size: 4,
        name: 'Miller',
        phone: '+15550100123',
        status: 'booked',
        caller_left: 0,
        slots: 4,
      },
    ]);
    const tools = on.events.filter((event) => event.type === 'tool');
    expect(tools.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['find_table', 'done'],
      ['book_table', 'done'],
      ['book_table', 'done'],
      ['end_call', 'done'],
    ]);
    // The name is nobody's business but the restaurant's.
    expect(JSON.stringify(tools)).not.toContain('Miller');
    expect(on.log.join('')).not.toMatch(/Miller|15550100123/);
  });
});
