import { mkdirSync, rmdirSync } from 'node:fs';
import { describe, it } from 'vitest';
import { restaurant } from '../examples/booking/restaurant.js';
import { transferCall } from '../src/tools/built-in.ts';
import { answer, BookingService, cutIn, FILLER, speak } from './support/booking-service.ts';
import { Gate, occupy } from './support/booking-store.ts';
import { STYLES } from './support/carrier-styles.ts';
import { calls, type Step, says } from './support/scripted-model.ts';

/** Whole calls in real time, several at once: a machine that has more to do may take its time. */
const PATIENT = { timeout: 60_000 };

const DETAILS = { date: '2026-11-27', time: '19:30', party_size: 4, name: 'Miller' };
const CONFIRMED = { ...DETAILS, confirmed: true };
const { name: _name, ...SEARCH } = DETAILS;
const RIGHT = 'Is that right?';
const BOOKED = 'It is booked.';

/** The caller asks for a table, and has the details read back. */
const ASKED: readonly Step[] = [calls('book_table', DETAILS), says(RIGHT)];

/** Says what became of the booking; to a caller who says something else meanwhile, that it is at it. */
const listening: Step = (turn) => {
  const { booked, reason } = answer(turn);
  if (booked === undefined) return says('I am at it.');
  return says(booked === true ? BOOKED : `Not booked. ${String(reason)}`);
};

/** One booking as it was asked for. */
const ROW = {
  table: 'stove',
  starts_at: '2026-11-27T19:30',
  party_size: 4,
  name: 'Miller',
  phone: '+15550100123',
  status: 'booked',
  slots: 4,
};

describe.concurrent('a slow database', PATIENT, () => {
  it('is bridged by a word to the caller; then the result is said', async ({ expect }) => {
    const beforeBook = new Gate();
    await using on = await BookingService.start({
      model: [...ASKED, calls('book_table', CONFIRMED), listening],
      slow: { beforeBook },
    });
    const call = await on.connected();
    await speak(call);
    await on.hears(RIGHT);
    const { mark } = on;
    await speak(call);
    await beforeBook.reached();
    await on.hears(FILLER, mark);
    // Heard, and not only said: it begins after what was said before has ended.
    await call.untilHeard(100);
    expect(on.file.rows()).toEqual([]);
    beforeBook.open();
    await on.hears(BOOKED);
    await call.untilHeard(100);
    await call.hangUp();
    expect(on.said.slice(-3)).toEqual([RIGHT, FILLER, BOOKED]);
    expect(on.file.rows()).toMatchObject([{ ...ROW, caller_left: 0 }]);
  });

  it('that takes too long is told to the model, and the booking is not made behind its back', async ({
    expect,
  }) => {
    const beforeBook = new Gate();
    await using on = await BookingService.start({
      model: [...ASKED, calls('book_table', CONFIRMED), says('I am sorry, it does not answer.')],
      slow: { beforeBook },
      timeoutMs: 3000,
    });
    const call = await on.connected();
    await speak(call);
    await on.hears(RIGHT);
    await speak(call);
    await on.hears('it does not answer');
    const tool = await on.event('tool', ({ outcome }) => outcome === 'timeout');
    expect(tool.name).toBe('book_table');
    beforeBook.open();
    await on.settled();
    await call.hangUp();
    expect(on.file.rows()).toEqual([]);
  });
});

describe.concurrent('a disk that fails', PATIENT, () => {
  it('is told to the model without its secrets; the call goes on, and so does the next attempt', async ({
    expect,
  }) => {
    await using on = await BookingService.start({
      model: [
        calls('find_table', SEARCH, 'call_bad'),
        says('I cannot open the book.'),
        calls('find_table', SEARCH, 'call_good'),
        says('There is a table.'),
      ],
    });
    // Where the file should be is something else.
    mkdirSync(on.file.path);
    const call = await on.connected();
    await speak(call);
    await on.hears('I cannot open the book.');
    rmdirSync(on.file.path);
    await speak(call);
    await on.hears('There is a table.');
    await call.hangUp();
    expect(on.outputsOf('call_bad')).toMatchObject([
      { error: expect.stringContaining('the book with the bookings cannot be used right now') },
    ]);
    expect(JSON.stringify(on.outputsOf('call_bad'))).not.toContain(on.file.path);
    expect(on.outputsOf('call_good')).toMatchObject([{ status: 'free' }]);
    const outcomes = on.events.flatMap((event) => (event.type === 'tool' ? [event.outcome] : []));
    expect(outcomes).toEqual(['failed', 'done']);
  });
});

describe.concurrent('wrong arguments', PATIENT, () => {
  it('are told to the model in words that it can act on; it corrects them, and books once', async ({
    expect,
  }) => {
    const wrong = { date: 'next Friday', time: '7:30 pm', party_size: 'a family', confirmed: true };
    await using on = await BookingService.start({
      model: [
        calls('book_table', wrong),
        calls('book_table', '{"date":"2026-11-27","time":'),
        // Some models write the arguments as a text in a text.
        calls('book_table', JSON.stringify(JSON.stringify(DETAILS))),
        says(RIGHT),
        calls('book_table', CONFIRMED),
        listening,
      ],
    });
    const call = await on.connected();
    await speak(call);
    const first = JSON.stringify((await on.output()).output);
    expect(first).toContain('date: wanted the date as YYYY-MM-DD, such as 2026-11-27');
    expect(first).toContain('time: wanted the time of day as HH:MM, 24 hours, such as 19:30');
    expect(first).toContain('party_size: wanted the number of people as digits, such as 4');
    expect(first).toMatch(/name: /);
    expect(JSON.stringify((await on.output()).output)).toMatch(/JSON/);
    expect((await on.output()).output).toMatchObject({ booked: false, status: 'read-back' });
    await on.hears(RIGHT);
    expect(on.file.rows()).toEqual([]);
    await speak(call);
    await on.hears(BOOKED);
    await call.hangUp();
    expect(on.file.rows()).toMatchObject([ROW]);
    const outcomes = on.events.flatMap((event) => (event.type === 'tool' ? [event.outcome] : []));
    expect(outcomes).toEqual(['refused', 'refused', 'done', 'done']);
  });
});

describe.concurrent('a caller who cuts in while the agent asks for patience', PATIENT, () => {
  it('has the table all the same, once, and is told so', async ({ expect }) => {
    const beforeBook = new Gate();
    await using on = await BookingService.start({
      model: [...ASKED, calls('book_table', CONFIRMED, 'call_it'), listening, listening, listening],
      slow: { beforeBook },
    });
    const call = await on.connected();
    await speak(call);
    await on.hears(RIGHT);
    const { mark } = on;
    await speak(call);
    await beforeBook.reached();
    await on.hears(FILLER, mark);
    await call.untilHeard(60);
    await cutIn(call);
    await on.event('bargeIn');
    beforeBook.open();
    await on.hears(BOOKED);
    await call.untilHeard(60);
    await call.hangUp();
    expect(on.file.rows()).toMatchObject([{ ...ROW, caller_left: 0 }]);
    expect(on.outputsOf('call_it')).toMatchObject([{ booked: true }]);
  });

  it('ends a search, which the model is told', async ({ expect }) => {
    const beforeFree = new Gate();
    await using on = await BookingService.start({
      model: [calls('find_table', SEARCH, 'call_it'), says('Yes?'), says('Yes?')],
      slow: { beforeFree },
    });
    const call = await on.connected();
    await speak(call);
    await beforeFree.reached();
    await on.hears(FILLER);
    await call.untilHeard(60);
    await cutIn(call);
    const tool = await on.event('tool');
    expect(tool).toMatchObject({ name: 'find_table', outcome: 'cancelled' });
    await on.hears('Yes?');
    beforeFree.open();
    await on.settled();
    await call.hangUp();
    const told = on.outputsOf('call_it');
    expect(told).toHaveLength(1);
    expect(JSON.stringify(told)).not.toContain('free');
    expect(on.file.rows()).toEqual([]);
  });
});

describe.concurrent('a caller who hangs up while the function runs', PATIENT, () => {
  const model: readonly Step[] = [...ASKED, calls('book_table', CONFIRMED), listening];

  it('before the booking was begun, has none', async ({ expect }) => {
    const beforeBook = new Gate();
    await using on = await BookingService.start({ model, slow: { beforeBook } });
    const call = await on.connected();
    await speak(call);
    await on.hears(RIGHT);
    await speak(call);
    await beforeBook.reached();
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    expect(on.bridge.calls).toBe(0);
    beforeBook.open();
    await on.settled();
    expect(on.file.rows()).toEqual([]);
    expect(on.said).not.toContain(BOOKED);
  });

  it('while it waits for the disk, has it: it had begun', async ({ expect }) => {
    const beforeBook = new Gate();
    await using on = await BookingService.start({ model, slow: { beforeBook } });
    const call = await on.connected();
    await speak(call);
    await on.hears(RIGHT);
    await speak(call);
    await beforeBook.reached();
    const release = occupy(on.file.path);
    beforeBook.open();
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    release();
    await on.settled();
    expect(on.file.rows()).toMatchObject([{ ...ROW, caller_left: 1 }]);
  });

  it('after it was made, has it, and the row says that they were not told', async ({ expect }) => {
    const afterBook = new Gate();
    await using on = await BookingService.start({ model, slow: { afterBook } });
    const call = await on.connected();
    await speak(call);
    await on.hears(RIGHT);
    await speak(call);
    await afterBook.reached();
    expect(on.file.rows()).toMatchObject([{ ...ROW, caller_left: 0 }]);
    await call.hangUp();
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    expect(on.bridge.calls).toBe(0);
    afterBook.open();
    await on.settled();
    expect(on.file.rows()).toMatchObject([{ ...ROW, caller_left: 1 }]);
    expect(on.said).not.toContain(BOOKED);
  });
});

describe.concurrent('two callers', PATIENT, () => {
  it('who want the last table at once: one has it, the other is offered another time', async ({ expect }) => {
    const beforeBook = new Gate();
    await using on = await BookingService.start({
      model: [...ASKED, calls('book_table', CONFIRMED), listening],
      house: { ...restaurant, tables: [{ name: 'stove', seats: 4 }] },
      slow: { beforeBook },
    });
    const phones = await Promise.all([
      on.connected({ from: '+15550100123' }),
      on.connected({ from: '+15550100124' }),
    ]);
    await Promise.all(
      phones.map(async (phone) => {
        await speak(phone);
        await on.event('transcript', ({ callId, text }) => callId === phone.callId && text === RIGHT);
        await speak(phone);
      }),
    );
    await beforeBook.reached(2);
    expect(on.file.rows()).toEqual([]);
    beforeBook.open();
    await on.hears(BOOKED);
    await on.hears('Somebody else has just taken the last table');
    await Promise.all(phones.map((phone) => phone.hangUp()));
    expect(on.file.rows()).toMatchObject([{ party_size: 4, table: 'stove', slots: 4 }]);
    const told = [0, 1].flatMap((index) =>
      on.outputs(index).filter(({ output }) => output['status'] === 'full'),
    );
    expect(told).toMatchObject([{ output: { booked: false, other_times: ['17:30', '21:30', '22:00'] } }]);
  });
});

describe.concurrent('what comes twice', PATIENT, () => {
  it('the call, from its carrier: one conversation, one booking', async ({ expect }) => {
    await using on = await BookingService.start({
      model: [...ASKED, calls('book_table', CONFIRMED), listening],
    });
    const call = await on.connected({ faults: { duplicateWebhook: 'concurrent' } });
    await speak(call);
    await on.hears(RIGHT);
    await speak(call);
    await on.hears(BOOKED);
    await call.hangUp();
    expect(on.openai.connections).toHaveLength(1);
    expect(on.file.rows()).toMatchObject([ROW]);
  });

  it('the function call, from the model: one booking, and the same answer', async ({ expect }) => {
    const twice = { name: 'book_table', args: CONFIRMED };
    await using on = await BookingService.start({
      model: [
        ...ASKED,
        calls('book_table', CONFIRMED, 'call_it'),
        // By another name it is another invocation, which finds what the guest has.
        { toolCalls: [{ ...twice, callId: 'call_more' }] },
        listening,
      ],
    });
    const call = await on.connected();
    await speak(call);
    await on.hears(RIGHT);
    await speak(call);
    await on.hears('Not booked. There is a booking for this phone number at that time.');
    await call.hangUp();
    expect(on.outputsOf('call_it')).toMatchObject([{ booked: true, booking_number: 1 }]);
    expect(on.outputsOf('call_more')).toMatchObject([{ status: 'had-already', booking_number: 1 }]);
    expect(on.file.rows()).toMatchObject([ROW]);
  });
});

describe.concurrent.each(STYLES)('a caller at $name', PATIENT, (style) => {
  it('is put through to a human when they want one', async ({ expect }) => {
    const reception = {
      name: 'reception',
      description: 'for parties of more than eight',
      to: '+15550100199',
      callerId: undefined,
      ringS: 20,
      announce: undefined,
      language: undefined,
    };
    await using on = await BookingService.start({
      style,
      agent: { tools: [transferCall([reception])] },
      model: [
        calls('find_table', { ...SEARCH, party_size: 12 }),
        {
          transcript: 'I put you through.',
          audioMs: 300,
          toolCalls: [{ name: 'transfer_call', args: { destination: 'reception' } }],
        },
      ],
    });
    const call = await on.connected({ dialResult: { status: 'completed', durationMs: 500 } });
    await speak(call);
    const report = await call.ended;
    expect(report.outcome).toBe('completed');
    expect((await on.event('ended')).reason).toBe('transferred');
    const legs = call.eventsOf('leg');
    // Plivo writes numbers without the plus.
    expect(new Set(legs.map(({ target }) => target.replace('+', '')))).toEqual(new Set(['15550100199']));
    expect(legs.map(({ status }) => status)).toEqual(['ringing', 'in-progress', 'completed']);
    expect((await on.event('tool')).name).toBe('find_table');
    expect(on.outputs()[0]?.output).toMatchObject({ status: 'party-too-large' });
    await on.settled();
    expect(on.file.rows()).toEqual([]);
  });
});
