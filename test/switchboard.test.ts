import { describe, expect, it } from 'vitest';
import { CALL_OUTCOMES, type CallOutcome, type ControlResult, type Next } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { CUT_SHORT, transferFailed } from '../src/notices.ts';
import { endCall } from '../src/tools/built-in.ts';
import { COMMANDS, createKit, type KitOptions, pending, refused, TRANSFER } from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';

/** Transfers and keys, by documents that the carrier asks for and by commands. */

const COMMAND: KitOptions = { control: 'command', capabilities: COMMANDS };
const ANNOUNCED = { ...TRANSFER, announce: 'A caller with a question about an invoice.', language: 'en-GB' };

/** What observers are told of transfers. */
function told(kit: ReturnType<typeof createKit>): string[] {
  return kit.events.flatMap((event) =>
    event.type === 'transfer' ? [`${event.status} ${event.outcome}`] : [],
  );
}

/** A carrier whose answers to `direct` the test gives. */
function slow(options: KitOptions = {}) {
  const answers: ((result: ControlResult) => void)[] = [];
  const kit = createKit({
    ...options,
    parts: {
      direct: () => {
        const answer = pending<ControlResult>();
        answers.push(answer.resolve);
        return answer.promise;
      },
    },
  });
  return { kit, answers };
}

describe('a transfer by documents', () => {
  it('has the carrier ask, tells it, and ends as transferred when the other end picks up', async () => {
    const kit = createKit();
    const call = await kit.talk();
    expect(await call.session.transfer(TRANSFER)).toEqual({ status: 'ok' });
    expect(call.orders).toMatchObject([{ what: 'direct', next: { type: 'transfer', to: TRANSFER.to } }]);
    expect(call.ask()).toEqual({ type: 'transfer', ...TRANSFER });
    call.stop();
    expect(call.endReason).toBeUndefined();
    expect(call.leg.closed).toBe('the stream is over');
    call.news('answered');
    expect(call.endReason).toBe('transferred');
    expect(kit.provider.closedWith).toBe('transferred');
    expect(told(kit)).toEqual(['started undefined']);
    // They talk as long as they like; after that the carrier asks.
    expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
    await kit.pass(20_000);
    expect(call.orders).toHaveLength(1);
  });

  it('is known to have succeeded also without news of the other end', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
    expect(call.endReason).toBe('transferred');
  });

  it('may have its stream end before the carrier asks, or after', async () => {
    for (const first of ['stop', 'ask'] as const) {
      const kit = createKit();
      const call = await kit.talk();
      await call.session.transfer(TRANSFER);
      if (first === 'stop') call.stop();
      expect(call.ask()).toMatchObject({ type: 'transfer' });
      if (first === 'ask') call.stop();
      expect(call.endReason).toBeUndefined();
    }
  });

  it('may be asked for before the answer to the order has come', async () => {
    const { kit, answers } = slow();
    const call = await kit.talk();
    const result = call.session.transfer(TRANSFER);
    expect(call.ask()).toMatchObject({ type: 'transfer' });
    expect(told(kit)).toEqual(['started undefined']);
    answers[0]?.({ status: 'ok' });
    expect(await result).toEqual({ status: 'ok' });
    expect(told(kit)).toEqual(['started undefined']);
  });

  it('goes on when the answer to the order says no, but the carrier has come and asked', async () => {
    const { kit, answers } = slow();
    const call = await kit.talk();
    const result = call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    answers[0]?.(refused());
    await result;
    expect(call.session.endReason).toBeUndefined();
    call.news('answered');
    expect(call.endReason).toBe('transferred');
  });

  it('goes on when the answer was lost and the carrier comes after all', async () => {
    const kit = createKit({ parts: { direct: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) } });
    const call = await kit.talk();
    expect(await call.session.transfer(TRANSFER)).toMatchObject({ status: 'error' });
    expect(told(kit)).toEqual([]);
    await kit.pass(3000);
    call.stop();
    expect(call.endReason).toBeUndefined();
    expect(call.ask()).toMatchObject({ type: 'transfer' });
    expect(told(kit)).toEqual(['started undefined']);
    expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
    expect(call.endReason).toBe('transferred');
  });

  it('is forgotten when the answer was lost and nothing comes of it: the agent goes on, without a word', async () => {
    const kit = createKit({ parts: { direct: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) } });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    await kit.pass(21_000);
    expect(call.endReason).toBeUndefined();
    expect(told(kit)).toEqual([]);
    expect(kit.provider.texts).toEqual([]);
    call.stop();
    expect(call.endReason).toBe('caller-hung-up');
  });

  it('may be tried again when the answer was lost', async () => {
    const results: ControlResult[] = [refused('CARRIER_UNAVAILABLE'), { status: 'ok' }];
    const kit = createKit({ parts: { direct: () => Promise.resolve(results.shift() ?? refused()) } });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    expect(await call.session.transfer({ ...TRANSFER, to: '+14155550177' })).toEqual({ status: 'ok' });
    expect(call.ask()).toMatchObject({ to: '+14155550177' });
  });

  it('that the carrier refuses leaves the caller with the agent', async () => {
    const kit = createKit({ parts: { direct: () => Promise.resolve(refused()) } });
    const call = await kit.talk();
    expect(await call.session.transfer(TRANSFER)).toMatchObject({ status: 'error' });
    expect(told(kit)).toEqual([]);
    expect(kit.logged('the carrier did not do what was asked')).toBe(1);
    call.stop();
    expect(call.endReason).toBe('caller-hung-up');
  });

  it('of a request that throws is an error and not an exception', async () => {
    const kit = createKit({
      parts: { direct: () => Promise.reject(new BridgeError('INTERNAL', 'a mistake')) },
    });
    const call = await kit.talk();
    expect(await call.session.transfer(TRANSFER)).toMatchObject({ status: 'error' });
  });

  it('that cannot be written down is refused at once, and the carrier is not troubled', async () => {
    const kit = createKit({
      parts: {
        document: (next) => {
          if (next.type === 'transfer') throw new BridgeError('BAD_INPUT', 'no address');
          return { status: 200, contentType: 'text/xml', body: '' };
        },
      },
    });
    const call = await kit.talk();
    expect(await call.session.transfer({ ...TRANSFER, to: 'reception' })).toMatchObject({
      status: 'error',
      error: { code: 'BAD_INPUT' },
    });
    expect(call.orders).toEqual([]);
  });

  it('is one at a time', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(ANNOUNCED);
    const again = await call.session.transfer({ ...TRANSFER, announce: 'Something else.' });
    expect(again).toMatchObject({ status: 'error', error: { code: 'CONFLICT' } });
    expect(await call.session.sendDigits('1')).toMatchObject({ status: 'error' });
    expect(call.orders).toHaveLength(1);
    expect(call.session.announcement?.text).toBe(ANNOUNCED.announce);
  });

  it('or keys that take the stream away are refused while the agent says its last goodbye', async () => {
    for (const interrupts of [true, false]) {
      const kit = createKit({
        agent: { maxCallMs: 1000 },
        capabilities: interrupts ? {} : { digitsOut: 'request' },
      });
      const call = await kit.talk();
      await kit.pass(1000);
      expect(kit.provider.said.at(-1)).toBe(call.session.agent.maxCallGoodbye);
      const late = { status: 'error', error: { code: 'CONFLICT' } };
      expect(await call.session.transfer(TRANSFER)).toMatchObject(late);
      const keys = await call.session.sendDigits('1');
      if (interrupts) expect(keys).toMatchObject(late);
      else expect(keys).toEqual({ status: 'ok' });
      expect(call.orders).toHaveLength(interrupts ? 0 : 1);
      kit.provider.speak('bye', 'b', 1000);
      await kit.pass(1500);
      expect(call.endReason).toBe('max-duration');
    }
  });

  it('calls off a goodbye that is not the last one', async () => {
    const kit = createKit({ agent: { tools: [endCall] } });
    const call = await kit.talk();
    kit.provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
    await settled();
    expect(await call.session.transfer(TRANSFER)).toEqual({ status: 'ok' });
  });

  it('that the carrier takes and never asks about is given up, and the agent is told', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    await kit.pass(19_500);
    expect(told(kit)).toEqual(['started undefined']);
    await kit.pass(1000);
    expect(told(kit)).toEqual(['started undefined', 'failed failed']);
    expect(kit.provider.texts).toEqual([
      { text: transferFailed('failed'), options: { role: 'system', respond: true } },
    ]);
    expect(call.endReason).toBeUndefined();
  });

  it('whose caller disappears on the way is the end of the call', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.stop();
    await kit.pass(20_500);
    expect(call.endReason).toBe('media-lost');
  });

  it('of which nobody says what became is taken for a success, once it could not ring any longer', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer({ ...TRANSFER, ringS: 60 });
    call.ask();
    call.stop();
    await kit.pass(75_000);
    expect(call.endReason).toBeUndefined();
    await kit.pass(6000);
    expect(call.endReason).toBe('transferred');
    expect(call.ask({ transfer: 'completed' })).toEqual({ type: 'hang-up' });
  });

  it('ends the stream itself where the carrier waits for that', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    await kit.pass(1000);
    expect(call.leg.closed).toBeUndefined();
    await kit.pass(1000);
    expect(call.leg.closed).toBe('something else comes next');
    call.session.onLegClosed(call.leg, true);
    expect(call.endReason).toBeUndefined();
    expect(call.ask()).toMatchObject({ type: 'transfer' });
  });

  it('is told again to a carrier that asks again, whose first answer was lost', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    expect(call.ask()).toMatchObject({ type: 'transfer' });
    expect(call.ask()).toMatchObject({ type: 'transfer' });
    expect(told(kit)).toEqual(['started undefined']);
  });

  it('ends as the caller’s hang-up when the caller gives up meanwhile', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    kit.manager.callOver('twilio', 'CA1');
    expect(call.endReason).toBe('caller-hung-up');
    expect(call.ask({ ended: true, transfer: 'canceled' })).toEqual({ type: 'hang-up' });
  });

  it('does not stop the call from being ended by others, in any phase', async () => {
    const phases: ((call: Awaited<ReturnType<ReturnType<typeof createKit>['talk']>>) => void)[] = [
      () => undefined,
      (call) => call.ask(),
      (call) => call.stop(),
      (call) => call.ask({ transfer: 'busy' }),
      (call) => call.stream(),
    ];
    for (let count = 1; count <= phases.length; count++) {
      const kit = createKit();
      const call = await kit.talk();
      await call.session.transfer(TRANSFER);
      for (const phase of phases.slice(0, count)) phase(call);
      await call.session.end('operator-hung-up');
      await kit.pass(100_000, 5000);
      expect(call.endReason).toBe('operator-hung-up');
      expect(kit.events.filter(({ type }) => type === 'ended')).toHaveLength(1);
      expect(call.ask()).toBeUndefined();
      expect(kit.pacer.size).toBe(0);
      await kit.close();
      expect(kit.clock.pending).toBe(0);
    }
  });
});

describe('the way back to the agent', () => {
  async function rung(outcome: CallOutcome = 'no-answer') {
    const kit = createKit();
    const call = await kit.talk();
    const first = call.plan;
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    await kit.pass(5000);
    const next = call.ask({ transfer: outcome });
    return { kit, call, first, next };
  }

  it('is a new stream with a new token; the old one is worth nothing', async () => {
    const { kit, call, first, next } = await rung();
    expect(next?.type).toBe('stream');
    expect(call.plan.mediaUrl).not.toBe(first.mediaUrl);
    expect(call.mayOpen(first)).toBe(false);
    call.stream();
    expect(call.mayOpen(call.plan)).toBe(false);
    expect(call.leg.closed).toBeUndefined();
    await kit.pass(60_000);
    expect(call.endReason).toBeUndefined();
    expect(kit.provider.closedWith).toBeUndefined();
  });

  it.each(CALL_OUTCOMES.filter((outcome) => outcome !== 'completed'))(
    'tells the model what became of it: %s',
    async (outcome) => {
      const { kit } = await rung(outcome);
      expect(kit.provider.texts).toEqual([
        { text: transferFailed(outcome), options: { role: 'system', respond: true } },
      ]);
      expect(told(kit)).toEqual(['started undefined', `failed ${outcome}`]);
    },
  );

  it('does not let the caller hear what was said to somebody who was about to leave', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    kit.provider.speak('r', 'a', 500);
    call.ask({ transfer: 'busy' });
    call.stream();
    expect(call.leg.played).toEqual([]);
    kit.provider.speak('r2', 'b', 400);
    expect(call.leg.played.length).toBeGreaterThan(0);
  });

  it('is told to the model once, also when the agent was cut off before', async () => {
    const kit = createKit();
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 5000);
    kit.clock.advance(300);
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    call.ask({ transfer: 'busy' });
    call.stream();
    expect(kit.provider.texts.map(({ text }) => text)).toEqual([transferFailed('busy')]);
  });

  it('is shown again to a carrier that has missed the answer', async () => {
    const { call, next } = await rung('busy');
    expect(call.ask({ transfer: 'busy' })).toEqual(next);
    call.stream();
  });

  it('that leads nowhere ends with the last resort', async () => {
    const { call } = await rung();
    // The stream could not be opened: the carrier asks what comes after it.
    expect(call.ask()).toEqual(call.session.agent.lastResort);
    expect(call.endReason).toBe('media-lost');
  });

  it('that nobody takes is given up after twenty seconds', async () => {
    const { kit, call } = await rung();
    await kit.pass(19_500);
    expect(call.endReason).toBeUndefined();
    await kit.pass(1000);
    expect(call.endReason).toBe('media-lost');
  });

  it('takes the place of a stream whose end nobody has told', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    const old = call.leg;
    call.ask({ transfer: 'rejected' });
    call.stream();
    expect(old.closed).toBe('the stream is over');
    expect(call.leg.closed).toBeUndefined();
    call.session.onLegClosed(old, true);
    expect(call.endReason).toBeUndefined();
  });

  it('may be followed by another transfer', async () => {
    const { kit, call } = await rung('busy');
    call.stream();
    expect(await call.session.transfer({ ...TRANSFER, to: '+14155550177' })).toEqual({ status: 'ok' });
    expect(call.ask()).toMatchObject({ to: '+14155550177' });
    call.stop();
    call.news('answered');
    expect(call.endReason).toBe('transferred');
    expect(told(kit)).toHaveLength(3);
  });

  it('does not begin before the carrier asks, whatever its news of the other end', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    call.news('failed', 'busy');
    expect(told(kit)).toEqual(['started undefined']);
    expect(call.ask({ transfer: 'busy' })).toMatchObject({ type: 'stream' });
  });
});

describe('while the caller is away', () => {
  it('nobody asks whether they are there, and the agent goes on asking afterwards', async () => {
    const kit = createKit({
      agent: { greeting: undefined, silence: { afterMs: 4000, prompts: ['There?'], goodbye: 'Bye.' } },
    });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    await kit.pass(25_000);
    expect(kit.provider.said).toEqual([]);
    call.ask({ transfer: 'busy' });
    await kit.pass(10_000);
    expect(kit.provider.said).toEqual([]);
    call.stream();
    await kit.pass(4500);
    expect(kit.provider.said).toEqual(['There?']);
  });

  it('the model does not hang up on them, neither before nor after it has put them through', async () => {
    for (const order of ['before', 'after'] as const) {
      const kit = createKit({ agent: { tools: [endCall] } });
      const call = await kit.talk();
      const hangUp = async (): Promise<void> => {
        kit.provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'end_call', args: '{}' });
        await settled();
      };
      if (order === 'before') await hangUp();
      await call.session.transfer(TRANSFER);
      if (order === 'after') await hangUp();
      call.ask();
      call.stop();
      await kit.pass(25_000);
      expect(call.endReason).toBeUndefined();
      call.news('answered');
      expect(call.endReason).toBe('transferred');
    }
  });

  it('the longest time of the call does not cut the ringing off, and is remembered', async () => {
    const kit = createKit({ agent: { maxCallMs: 10_000 } });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    await kit.pass(20_000);
    expect(call.endReason).toBeUndefined();
    call.ask({ transfer: 'busy' });
    call.stream();
    await kit.pass(2500);
    expect(kit.provider.said.at(-1)).toBe(call.session.agent.maxCallGoodbye);
  });

  it('the stop of the service waits for them', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    call.session.leave('shutdown', 'Goodbye.');
    await kit.pass(10_000);
    expect(call.endReason).toBeUndefined();
    call.news('answered');
    expect(call.endReason).toBe('transferred');
  });
});

describe('an announcement', () => {
  it('is for the other end of this transfer, in the language that was wanted', async () => {
    const kit = createKit();
    const call = await kit.talk();
    expect(call.session.announcement).toBeUndefined();
    await call.session.transfer(ANNOUNCED);
    expect(call.session.announcement).toEqual({ text: ANNOUNCED.announce, language: 'en-GB' });
  });

  it('is there also when the news that somebody has picked up is faster than the question for it', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(ANNOUNCED);
    call.ask();
    call.stop();
    call.news('answered');
    const token = call.plan.afterUrl.split('/').at(-1) ?? '';
    expect(kit.manager.byAfterToken('twilio', token)?.announcement?.text).toBe(ANNOUNCED.announce);
  });

  it('may be refused by whoever hears it, and the agent has the caller back', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(ANNOUNCED);
    call.ask();
    call.stop();
    call.news('answered');
    expect(call.endReason).toBeUndefined();
    expect(call.ask({ transfer: 'rejected' })).toMatchObject({ type: 'stream' });
    expect(told(kit)).toEqual(['started undefined', 'failed rejected']);
  });

  it('that was heard and not refused ends as transferred, without a word from the carrier', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(ANNOUNCED);
    call.ask();
    call.stop();
    call.news('answered');
    await kit.pass(30_000);
    expect(call.endReason).toBe('transferred');
  });

  it('of the transfer before is not made to the next one', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(ANNOUNCED);
    call.ask();
    call.stop();
    call.ask({ transfer: 'busy' });
    call.stream();
    await call.session.transfer(TRANSFER);
    expect(call.session.announcement).toBeUndefined();
  });

  it('is refused where the carrier cannot make it', async () => {
    const kit = createKit({
      capabilities: { transfer: { endsStream: true, announced: false, wayBack: true } },
    });
    const call = await kit.talk();
    expect(await call.session.transfer(ANNOUNCED)).toMatchObject({
      status: 'error',
      error: { code: 'BAD_INPUT' },
    });
    expect(call.orders).toEqual([]);
  });

  it('takes its time, which is not taken for a failure', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.transfer({ ...ANNOUNCED, announce: 'word '.repeat(100) });
    await kit.pass(90_000);
    expect(call.endReason).toBeUndefined();
  });
});

describe('a transfer by commands', () => {
  it('goes on beside the stream, and ends as transferred when the two are connected', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    expect(await call.session.transfer(TRANSFER)).toEqual({ status: 'ok' });
    expect(call.leg.closed).toBeUndefined();
    await kit.pass(10_000);
    expect(call.leg.closed).toBeUndefined();
    call.news('answered');
    expect(call.endReason).toBe('transferred');
    await kit.pass(10_000);
    expect(call.orders.filter(({ what }) => what !== 'isLive')).toHaveLength(1);
    expect(call.ask()).toEqual({ type: 'nothing' });
  });

  it('that fails leaves the caller with the agent, who is told', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 20_000);
    await call.session.transfer(TRANSFER);
    const before = kit.provider.interruptions.length;
    call.news('failed', 'no-answer');
    expect(kit.provider.texts.map(({ text }) => text)).toEqual([transferFailed('no-answer')]);
    // In mid-sentence: there is no reason to cut the agent off.
    expect(kit.provider.interruptions.length).toBe(before);
    expect(call.orders).toHaveLength(1);
    await kit.pass(60_000);
    expect(call.endReason).toBeUndefined();
  });

  it('is not mistaken for a hang-up when the stream ends before the news of its success', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.stop();
    expect(call.endReason).toBeUndefined();
    expect(call.ask()).toEqual({ type: 'nothing' });
    call.news('answered');
    expect(call.endReason).toBe('transferred');
    expect(call.orders).toHaveLength(1);
  });

  it('that fails after the stream has ended opens a new one', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.stop();
    call.news('failed', 'busy');
    await settled();
    const last = call.orders.at(-1);
    expect(last).toMatchObject({ what: 'direct', next: { type: 'stream' } });
    expect(told(kit)).toEqual(['started undefined', 'failed busy']);
    if (last?.what === 'direct' && last.next.type === 'stream') call.stream(last.next.plan);
    await kit.pass(60_000);
    expect(call.endReason).toBeUndefined();
  });

  it('that fails, and whose stream cannot be opened again, is the end', async () => {
    const results: ControlResult[] = [{ status: 'ok' }, refused()];
    const kit = createKit({
      ...COMMAND,
      parts: { direct: () => Promise.resolve(results.shift() ?? { status: 'ok' }) },
    });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.stop();
    call.news('failed', 'busy');
    await settled();
    expect(call.endReason).toBe('media-lost');
  });

  it('is believed by its news when the answer to the order was lost', async () => {
    const kit = createKit({
      ...COMMAND,
      parts: { direct: () => Promise.resolve(refused('CARRIER_UNAVAILABLE')) },
    });
    const call = await kit.talk();
    expect(await call.session.transfer(TRANSFER)).toMatchObject({ status: 'error' });
    call.news('answered');
    expect(call.endReason).toBe('transferred');
  });

  it('of which nothing is heard has failed when it cannot ring any longer and the stream is still there', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    await kit.pass(49_500);
    expect(told(kit)).toEqual(['started undefined']);
    await kit.pass(1000);
    expect(told(kit)).toEqual(['started undefined', 'failed failed']);
    expect(call.endReason).toBeUndefined();
  });

  it('of which nothing is heard is taken for a success when the stream has ended meanwhile', async () => {
    const kit = createKit(COMMAND);
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.stop();
    await kit.pass(49_500);
    expect(call.endReason).toBeUndefined();
    await kit.pass(1000);
    expect(call.endReason).toBe('transferred');
  });

  it('that was refused stays refused, whatever news comes of it', async () => {
    const kit = createKit({ ...COMMAND, parts: { direct: () => Promise.resolve(refused()) } });
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.news('answered');
    call.news('failed', 'busy');
    expect(call.endReason).toBeUndefined();
    expect(told(kit)).toEqual([]);
  });
});

describe('a recording by the carrier', () => {
  it('is started once and stopped once, and does not end the call', async () => {
    const kit = createKit();
    const call = await kit.talk();
    expect(await call.session.record(false)).toMatchObject({ status: 'error', error: { code: 'CONFLICT' } });
    expect(await call.session.record(true)).toEqual({ status: 'ok' });
    expect(await call.session.record(true)).toEqual({ status: 'ok' });
    expect(await call.session.record(false)).toEqual({ status: 'ok' });
    expect(call.orders.map(({ what }) => what)).toEqual(['startRecording', 'stopRecording']);
    expect(call.endReason).toBeUndefined();
  });

  it('that the carrier has stopped by itself is stopped', async () => {
    const kit = createKit({ parts: { stopRecording: () => Promise.resolve({ status: 'already-ended' }) } });
    const call = await kit.talk();
    await call.session.record(true);
    expect(await call.session.record(false)).toEqual({ status: 'ok' });
    expect(await call.session.record(false)).toMatchObject({ status: 'error', error: { code: 'CONFLICT' } });
  });

  it('that could not be started can be tried again', async () => {
    const kit = createKit({ parts: { startRecording: () => Promise.resolve(refused('CARRIER_REFUSED')) } });
    const call = await kit.talk();
    expect(await call.session.record(true)).toMatchObject({ status: 'error' });
    expect(await call.session.record(true)).toMatchObject({ status: 'error' });
    expect(call.orders.map(({ what }) => what)).toEqual(['startRecording', 'startRecording']);
  });
});

describe('keys that interrupt the stream', () => {
  const digits: Next = { type: 'digits', digits: '12#' };

  it('are pressed by the carrier, which then brings the stream back', async () => {
    const kit = createKit();
    const call = await kit.talk();
    kit.provider.speak('r', 'a', 5000);
    kit.clock.advance(300);
    expect(await call.session.sendDigits('12#')).toEqual({ status: 'ok' });
    expect(call.ask()).toEqual(digits);
    call.stop();
    await kit.pass(2000);
    expect(call.ask()).toMatchObject({ type: 'stream' });
    call.stream();
    expect(call.endReason).toBeUndefined();
    expect(kit.provider.interruptions.at(-1)?.[0]?.itemId).toBe('a');
    // The agent was cut off, and has to know; but nothing broke.
    expect(kit.provider.texts).toEqual([{ text: CUT_SHORT, options: { role: 'system', respond: true } }]);
    expect(told(kit)).toEqual([]);
  });

  it('are told again to a carrier that asks again, whose first answer was lost', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.sendDigits('12#');
    const ordered = call.plan.afterUrl;
    expect(call.askAt(ordered)).toEqual(digits);
    call.stop();
    // Asked twice, and that is not the question what comes after the keys.
    expect(call.askAt(ordered)).toEqual(digits);
    const pressed = call.afterUrl;
    expect(pressed).not.toBe(ordered);
    const back = call.askAt(pressed);
    expect(back).toMatchObject({ type: 'stream' });
    expect(call.askAt(pressed)).toEqual(back);
    call.stream();
    await kit.pass(30_000);
    expect(call.endReason).toBeUndefined();
    expect(call.leg.closed).toBeUndefined();
    // And once more, on the stream that came back.
    await call.session.sendDigits('12#');
    expect(call.ask()).toEqual(digits);
    expect(call.ask()).toMatchObject({ type: 'stream' });
  });

  it('that the carrier never comes for are the end, because the stream is over', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.sendDigits('12#');
    await kit.pass(2000);
    expect(call.leg.closed).toBe('something else comes next');
    call.session.onLegClosed(call.leg, true);
    await kit.pass(17_500);
    expect(call.endReason).toBeUndefined();
    await kit.pass(1000);
    expect(call.endReason).toBe('media-lost');
  });

  it('that the carrier refuses leave the call as it is', async () => {
    const kit = createKit({ parts: { direct: () => Promise.resolve(refused()) } });
    const call = await kit.talk();
    expect(await call.session.sendDigits('12#')).toMatchObject({ status: 'error' });
    await kit.pass(30_000);
    expect(call.leg.closed).toBeUndefined();
    expect(call.endReason).toBeUndefined();
  });

  it('after which the caller does not come back are the end', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.sendDigits('12#');
    call.ask();
    call.stop();
    await kit.pass(24_000);
    expect(call.endReason).toBeUndefined();
    await kit.pass(1000);
    expect(call.endReason).toBe('media-lost');
  });

  it('are not in the log', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.sendDigits('8675309#');
    call.ask();
    call.stop();
    call.ask();
    call.stream();
    await call.session.sendDigits('8675309x');
    expect(kit.lines.join('')).not.toContain('8675309');
  });
});
