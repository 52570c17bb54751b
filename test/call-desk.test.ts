import { describe, expect, it } from 'vitest';
import type {
  CallOutcome,
  CallStatus,
  ControlResult,
  DialRequest,
  DialResult,
  MachineResult,
} from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import type { PlaceOrder } from '../src/placed-calls.ts';
import {
  COMMANDS,
  createKit,
  type Kit,
  type KitOptions,
  pending,
  REOPENING,
  refused,
  TRANSFER,
} from './support/call-kit.ts';
import { settled } from './support/manual-provider.ts';

const ORDER: PlaceOrder = {
  carrier: undefined,
  to: '+14155550111',
  from: '+14155550101',
  ringS: 30,
  maxS: 3600,
  machine: { mode: 'off' },
};

/** The order that the carrier was given last. */
function dialled(kit: Kit): DialRequest {
  const request = kit.carrier.calls.findLast(({ what }) => what === 'dial');
  if (request?.what !== 'dial') throw new BridgeError('BAD_INPUT', 'nobody was dialled');
  return request.request;
}

function progress(kit: Kit, status: CallStatus, outcome?: CallOutcome, callId = 'CA-placed-1'): void {
  const { ref } = dialled(kit);
  const event = { type: 'progress', callId, requestId: undefined, ref, status, outcome } as const;
  kit.desk.progress(kit.carrier, { ...event, sequence: undefined, durationS: undefined });
  if (status === 'ended') kit.manager.callOver('twilio', callId);
}

function machine(kit: Kit, result: MachineResult, greetingOver = false, callId = 'CA-placed-1'): void {
  const event = { type: 'machine', callId, ref: dialled(kit).ref, result, greetingOver } as const;
  kit.desk.machine(kit.carrier, event);
  kit.manager.find('twilio', callId)?.onCarrierEvent(event);
}

/** The callee picks up: the carrier asks what to do. */
function pickUp(kit: Kit, callId = 'CA-placed-1') {
  const { ref, from, to } = dialled(kit);
  return kit.admit(callId, { ref, from, to, direction: 'outbound' });
}

/** A carrier that cannot be asked to hang up, so many times. */
function busy(times: number): KitOptions {
  let left = times;
  return {
    parts: {
      hangUp: () => {
        left -= 1;
        return Promise.resolve(left >= 0 ? refused('CARRIER_UNAVAILABLE') : { status: 'ok' });
      },
    },
  };
}

function hangUps(kit: Kit): number {
  return kit.carrier.calls.filter(({ what }) => what === 'hangUp').length;
}

/** A carrier whose answer to the order to dial the test gives. */
function slow(options: KitOptions = {}) {
  const answer = pending<DialResult>();
  const kit = createKit({ ...options, parts: { ...options.parts, dial: () => answer.promise } });
  return { kit, answer: answer.resolve };
}

const PLACED: DialResult = { status: 'ok', call: { callId: 'CA-placed-1', control: 'document' } };
const LOST: DialResult = {
  status: 'error',
  error: new BridgeError('CARRIER_UNAVAILABLE', 'no answer'),
};

describe('placing a call', () => {
  it('gives the carrier an order with addresses that know the call, and the operator a record', async () => {
    const kit = createKit();
    const record = await kit.desk.place(ORDER);
    const { id } = record.view;
    expect(id).toMatch(/^call_[0-9a-f]{24}$/);
    expect(dialled(kit)).toEqual({
      ref: id,
      to: ORDER.to,
      from: ORDER.from,
      ringS: 30,
      maxS: 3600,
      machineDetection: 'off',
      voiceUrl: `https://bridge.test/voice/twilio?ref=${id}`,
      eventsUrl: `https://bridge.test/events/twilio?ref=${id}`,
      statusUrl: `https://bridge.test/status/twilio?ref=${id}`,
      machineUrl: `https://bridge.test/machine/twilio?ref=${id}`,
    });
    expect(record.view).toMatchObject({
      status: 'queued',
      carrierCallId: 'CA-placed-1',
      direction: 'outbound',
      agent: 'line-check',
      answeredAt: undefined,
    });
    expect(kit.desk.records.get(id)).toBe(record);
  });

  it.each([
    [{ mode: 'off' }, 'off'],
    [{ mode: 'report' }, 'detect'],
    [{ mode: 'hang-up' }, 'detect'],
    [{ mode: 'leave-message', message: 'Hello.' }, 'greeting-end'],
  ] as const)('with %o asks for the detection %s', async (policy, wanted) => {
    const kit = createKit();
    await kit.desk.place({ ...ORDER, machine: policy });
    expect(dialled(kit).machineDetection).toBe(wanted);
  });

  it('is refused for a carrier that is not there', async () => {
    const kit = createKit();
    await expect(kit.desk.place({ ...ORDER, carrier: 'plivo' })).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(kit.carrier.calls).toEqual([]);
    expect(kit.desk.pending).toBe(0);
  });

  it('is refused when there is no room, and calls that ring take room', async () => {
    const kit = createKit({ maxCalls: 2 });
    await kit.desk.place(ORDER);
    kit.admit('CA1');
    await expect(kit.desk.place(ORDER)).rejects.toMatchObject({ code: 'OVER_CAPACITY' });
    expect(kit.ask('CA2')).toBe('busy');
    // Whoever was dialled has a place.
    pickUp(kit);
    expect(kit.manager.size).toBe(2);
    expect(kit.desk.pending).toBe(0);
    expect(kit.ask('CA2')).toBe('busy');
  });

  it('is refused when the service is about to stop', async () => {
    const kit = createKit();
    void kit.manager.drain(1000);
    await expect(kit.desk.place(ORDER)).rejects.toMatchObject({ code: 'OVER_CAPACITY' });
  });

  it('is refused from the moment on when the service stops, and so are calls that come in', async () => {
    const kit = createKit(busy(1));
    await kit.desk.place(ORDER);
    const closed = kit.close();
    expect(kit.ask('CA1')).toBe('busy');
    await expect(kit.desk.place(ORDER)).rejects.toMatchObject({ code: 'OVER_CAPACITY' });
    await kit.pass(1100, 100);
    await closed;
    await expect(kit.desk.place(ORDER)).rejects.toMatchObject({ code: 'OVER_CAPACITY' });
    expect(kit.carrier.calls.map(({ what }) => what)).toEqual(['dial', 'hangUp', 'hangUp']);
  });

  it('is refused by a desk that is closed, whoever else goes on', async () => {
    const kit = createKit();
    await kit.desk.close();
    await expect(kit.desk.place(ORDER)).rejects.toMatchObject({ code: 'OVER_CAPACITY' });
  });

  it('that the carrier refuses fails with its reason, and takes no room', async () => {
    const error = new BridgeError('CARRIER_REFUSED', 'not a number');
    const kit = createKit({ parts: { dial: () => Promise.resolve({ status: 'error', error }) } });
    await expect(kit.desk.place(ORDER)).rejects.toBe(error);
    expect(kit.desk.pending).toBe(0);
    expect(kit.desk.records.list()[0]?.view).toMatchObject({ status: 'ended', outcome: 'failed' });
  });

  it('gives the carrier ten seconds to take the order', async () => {
    let aborted = false;
    const kit = createKit({
      parts: {
        dial: (_request, signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              aborted = true;
              resolve(LOST);
            });
          }),
      },
    });
    const placed = kit.desk.place(ORDER).catch((error: unknown) => error);
    await kit.pass(9900, 100);
    expect(aborted).toBe(false);
    await kit.pass(200, 100);
    expect(await placed).toMatchObject({ code: 'CARRIER_UNAVAILABLE' });
  });
});

describe('a call that was placed', () => {
  it('rings, is answered, talks and ends', async () => {
    const kit = createKit();
    const record = await kit.desk.place(ORDER);
    const seen: string[] = [];
    record.follow(0, (event) => seen.push(event?.type ?? 'end'));
    progress(kit, 'ringing');
    expect(record.view.status).toBe('ringing');
    await kit.pass(4000);
    const call = pickUp(kit);
    expect(record.view).toMatchObject({ status: 'in-progress', carrierCallId: 'CA-placed-1' });
    expect((record.view.answeredAt ?? 0) - record.view.createdAt).toBe(4000);
    progress(kit, 'in-progress');
    await kit.provider.ready();
    call.stream();
    await kit.pass(60_000);
    expect(call.endReason).toBeUndefined();
    call.stop();
    expect(record.view).toMatchObject({
      status: 'ended',
      outcome: 'completed',
      endReason: 'caller-hung-up',
    });
    progress(kit, 'ended', 'busy');
    expect(record.view.outcome).toBe('completed');
    expect(seen).toEqual([
      'progress',
      'answered',
      'started',
      'providerReady',
      'mediaStarted',
      'ended',
      'over',
      'end',
    ]);
    expect(kit.desk.records.list()).toHaveLength(1);
  });

  it.each(['busy', 'no-answer', 'rejected', 'canceled', 'failed'] as const)(
    'that comes to nothing is over, and takes no room: %s',
    async (outcome) => {
      const kit = createKit();
      const record = await kit.desk.place(ORDER);
      progress(kit, 'ringing');
      progress(kit, 'ended', outcome);
      expect(record.view).toMatchObject({ status: 'ended', outcome, endReason: undefined });
      expect(kit.desk.pending).toBe(0);
      expect(kit.manager.size).toBe(0);
      await kit.pass(90_000, 10_000);
      expect(kit.carrier.calls.map(({ what }) => what)).toEqual(['dial']);
    },
  );

  it('does not go back to an earlier state when its news come out of order', async () => {
    const kit = createKit();
    const record = await kit.desk.place(ORDER);
    progress(kit, 'ringing');
    progress(kit, 'queued');
    expect(record.view.status).toBe('ringing');
    pickUp(kit);
    progress(kit, 'ringing');
    expect(record.view.status).toBe('in-progress');
  });

  it('has the outcome that the carrier tells, also when the conversation ended by it', async () => {
    const kit = createKit();
    const record = await kit.desk.place(ORDER);
    pickUp(kit);
    progress(kit, 'ended', 'time-limit');
    expect(record.view).toMatchObject({ outcome: 'time-limit', endReason: 'caller-hung-up' });
  });

  it('may be answered before the carrier has answered the order', async () => {
    const { kit, answer } = slow();
    const placed = kit.desk.place(ORDER);
    progress(kit, 'ringing');
    const call = pickUp(kit);
    answer(PLACED);
    const record = await placed;
    expect(record.view).toMatchObject({ status: 'in-progress', carrierCallId: 'CA-placed-1' });
    expect(record.ref).toBe(call.session.call);
  });

  it('may ring before the carrier has answered the order, which says more of how to name it', async () => {
    const { kit, answer } = slow({ capabilities: COMMANDS, control: 'command' });
    const placed = kit.desk.place(ORDER);
    progress(kit, 'ringing');
    answer({
      status: 'ok',
      call: { callId: 'CA-placed-1', control: 'command', data: { connectionId: '7' } },
    });
    expect((await placed).ref).toMatchObject({ control: 'command', data: { connectionId: '7' } });
  });

  it('is there when it has rung, whatever became of the answer', async () => {
    const { kit, answer } = slow();
    const placed = kit.desk.place(ORDER);
    progress(kit, 'ringing');
    answer(LOST);
    const record = await placed;
    expect(record.isOver).toBe(false);
    expect(kit.logged('without an answer that says so')).toBe(1);
    pickUp(kit);
    expect(record.view.status).toBe('in-progress');
  });

  it('is there when somebody talks in it, whatever became of the answer', async () => {
    const { kit, answer } = slow();
    const placed = kit.desk.place(ORDER);
    const call = pickUp(kit);
    answer(LOST);
    expect((await placed).view.status).toBe('in-progress');
    expect(call.endReason).toBeUndefined();
  });

  it('is not wanted any more when the order had failed and somebody picks up after all', async () => {
    const { kit, answer } = slow();
    const placed = kit.desk.place(ORDER).catch((error: unknown) => error);
    answer(LOST);
    await placed;
    const { ref } = dialled(kit);
    expect(kit.desk.gaveUp(ref)).toBe(true);
    expect(kit.desk.gaveUp(undefined)).toBe(false);
    expect(kit.desk.gaveUp('call_of_another_process')).toBe(false);
  });

  it('is known by an id of the request until it rings', async () => {
    const call = { callId: undefined, requestId: 'RQ1', control: 'document' } as const;
    const kit = createKit({
      capabilities: REOPENING,
      parts: { dial: () => Promise.resolve({ status: 'ok', call }) },
    });
    const record = await kit.desk.place(ORDER);
    expect(record.view.carrierCallId).toBeUndefined();
    progress(kit, 'ringing', undefined, 'uuid-1');
    expect(record.ref).toMatchObject({ callId: 'uuid-1', requestId: 'RQ1' });
    expect(kit.desk.records.byCall('twilio', 'uuid-1')).toBe(record);
    pickUp(kit, 'uuid-1');
    expect(record.view.status).toBe('in-progress');
  });

  it('of which nothing is heard does not ring for ever', async () => {
    const kit = createKit();
    const record = await kit.desk.place(ORDER);
    await kit.pass(59_000, 1000);
    expect(record.isOver).toBe(false);
    await kit.pass(2000, 1000);
    expect(kit.carrier.calls.map(({ what }) => what)).toEqual(['dial', 'hangUp']);
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'no-answer' });
    expect(kit.desk.pending).toBe(0);
  });

  it('of which nothing is heard and that cannot be hung up takes its room until it must be over', async () => {
    const kit = createKit(busy(Number.POSITIVE_INFINITY));
    const record = await kit.desk.place({ ...ORDER, maxS: 300 });
    await kit.pass(70_000, 1000);
    expect(hangUps(kit)).toBe(4);
    expect(record.isOver).toBe(false);
    expect(kit.desk.pending).toBe(1);
    await kit.pass(70_000, 1000);
    expect(hangUps(kit)).toBe(8);
    await kit.pass(280_000, 1000);
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'no-answer' });
    expect(kit.desk.pending).toBe(0);
    const tried = hangUps(kit);
    await kit.pass(300_000, 10_000);
    expect(hangUps(kit)).toBe(tried);
  });

  it('is answered by the terms of its order, and any other by none', async () => {
    const kit = createKit();
    await kit.desk.place({ ...ORDER, machine: { mode: 'hang-up' } });
    const { ref } = dialled(kit);
    expect(kit.desk.machineFor(kit.incoming('x', { ref }))).toEqual({ mode: 'hang-up' });
    expect(kit.desk.machineFor(kit.incoming('x'))).toEqual({ mode: 'report' });
    expect(kit.desk.machineFor(kit.incoming('x', { ref: 'other' }))).toEqual({ mode: 'report' });
    expect(kit.desk.partiesOf(ref)).toMatchObject({ from: ORDER.from, to: ORDER.to });
  });
});

describe('a machine that picks up', () => {
  const order: PlaceOrder = { ...ORDER, machine: { mode: 'leave-message', message: 'Call back.' } };

  it('may be found out before anybody asks what to do with the call', async () => {
    const kit = createKit();
    const record = await kit.desk.place(order);
    machine(kit, 'machine');
    machine(kit, 'machine-beep', true);
    // Events may come in any order: nothing is more precise than the beep.
    machine(kit, 'machine');
    expect(record.view.machine).toBe('machine-beep');
    const call = pickUp(kit);
    await kit.provider.ready();
    call.stream();
    expect(kit.provider.insisted).toEqual(['Call back.']);
  });

  it('may be found out in the conversation', async () => {
    const kit = createKit();
    const record = await kit.desk.place(order);
    const call = pickUp(kit);
    await kit.provider.ready();
    call.stream();
    machine(kit, 'machine-beep', true);
    expect(record.view.machine).toBe('machine-beep');
    kit.provider.speak('r', 'a', 500);
    await kit.pass(1000, 100);
    expect(record.view).toMatchObject({ endReason: 'message-left', outcome: 'completed' });
  });

  it('is not taken from another carrier’s word', async () => {
    const kit = createKit();
    const record = await kit.desk.place(order);
    const other = createKit().carrier;
    const event = { type: 'machine', callId: 'x', result: 'fax', greetingOver: false } as const;
    kit.desk.machine(other, { ...event, ref: dialled(kit).ref });
    expect(record.view.machine).toBeUndefined();
  });
});

describe('hanging up', () => {
  it('ends a call that is up', async () => {
    const kit = createKit();
    const call = await kit.talk();
    const record = kit.desk.records.byCall('twilio', 'CA1');
    if (record === undefined) throw new BridgeError('INTERNAL', 'no record');
    expect(await kit.desk.hangUp(record)).toEqual({ status: 'ok' });
    expect(call.endReason).toBe('operator-hung-up');
    expect(await kit.desk.hangUp(record)).toEqual({ status: 'already-ended' });
  });

  it('cancels one that rings', async () => {
    const kit = createKit();
    const record = await kit.desk.place(ORDER);
    expect(await kit.desk.hangUp(record)).toEqual({ status: 'ok' });
    expect(kit.carrier.calls.at(-1)).toMatchObject({ what: 'hangUp', call: { callId: 'CA-placed-1' } });
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'canceled' });
    expect(kit.desk.pending).toBe(0);
    expect(kit.desk.gaveUp(record.view.id)).toBe(true);
  });

  it('cancels one whose order the carrier has not answered yet, as soon as it has', async () => {
    const { kit, answer } = slow();
    const placed = kit.desk.place(ORDER);
    const record = kit.desk.records.list()[0];
    if (record === undefined) throw new BridgeError('INTERNAL', 'no record');
    const result = kit.desk.hangUp(record);
    await settled();
    expect(kit.carrier.calls.map(({ what }) => what)).toEqual(['dial']);
    answer(PLACED);
    expect(await result).toEqual({ status: 'ok' });
    expect(kit.carrier.calls.map(({ what }) => what)).toEqual(['dial', 'hangUp']);
    expect((await placed).view.outcome).toBe('canceled');
  });

  it('is tried again when the carrier is busy, and whoever picks up meanwhile is not wanted', async () => {
    const kit = createKit(busy(1));
    const record = await kit.desk.place(ORDER);
    const { id: ref } = record.view;
    const result = kit.desk.hangUp(record);
    await kit.pass(900, 100);
    expect(record.isOver).toBe(false);
    expect(kit.desk.pending).toBe(1);
    expect([kit.desk.gaveUp(ref), kit.desk.partiesOf(ref)]).toEqual([true, undefined]);
    expect(kit.desk.isPlaced(kit.carrier, ref)).toBe(false);
    await kit.pass(200, 100);
    expect(await result).toEqual({ status: 'ok' });
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'canceled' });
    expect(kit.desk.pending).toBe(0);
    expect(hangUps(kit)).toBe(2);
    expect(await kit.metrics.text()).not.toContain('hang_up_failures_total{');
  });

  it('that fails for good is said, logged and counted, and the call stays known and unwanted', async () => {
    const kit = createKit(busy(4));
    const record = await kit.desk.place(ORDER);
    const result = kit.desk.hangUp(record);
    await kit.pass(8000);
    expect(await result).toMatchObject({ status: 'error' });
    expect(hangUps(kit)).toBe(4);
    expect(record.isOver).toBe(false);
    expect(kit.desk.gaveUp(record.view.id)).toBe(true);
    expect(kit.logged('the call could not be hung up')).toBe(1);
    expect(await kit.metrics.text()).toContain('patchcord_hang_up_failures_total{carrier="twilio"} 1');
    // The time that it may ring is over.
    await kit.pass(60_000, 1000);
    expect(hangUps(kit)).toBe(5);
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'no-answer' });
  });

  it('that is asked for twice is one request', async () => {
    const kit = createKit(busy(1));
    const record = await kit.desk.place(ORDER);
    const results = Promise.all([kit.desk.hangUp(record), kit.desk.hangUp(record)]);
    await kit.pass(1100, 100);
    expect(await results).toEqual([{ status: 'ok' }, { status: 'ok' }]);
    expect(hangUps(kit)).toBe(2);
  });

  it('is not tried again when the carrier says meanwhile that the call is over', async () => {
    const kit = createKit(busy(4));
    const record = await kit.desk.place(ORDER);
    const result = kit.desk.hangUp(record);
    await settled();
    progress(kit, 'ended', 'busy');
    await kit.pass(1100, 100);
    expect(await result).toEqual({ status: 'already-ended' });
    expect(hangUps(kit)).toBe(1);
    expect(record.view.outcome).toBe('busy');
  });

  it('ends one that was put through', async () => {
    const kit = createKit();
    const call = await kit.talk();
    await call.session.transfer(TRANSFER);
    call.ask();
    call.stop();
    call.news('answered');
    const record = kit.desk.records.byCall('twilio', 'CA1');
    if (record === undefined) throw new BridgeError('INTERNAL', 'no record');
    expect(record.view).toMatchObject({ status: 'in-progress', endReason: 'transferred' });
    expect(await kit.desk.hangUp(record)).toEqual({ status: 'ok' });
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'completed' });
  });

  it('happens to everything that rings when the time to drain is over: nobody is greeted after that', async () => {
    const kit = createKit(busy(1));
    const call = await kit.talk();
    const record = await kit.desk.place(ORDER);
    const drained = kit.manager.drain(40_000);
    await kit.pass(39_900, 1000);
    expect([record.isOver, hangUps(kit)]).toEqual([false, 0]);
    await kit.pass(200, 100);
    expect(kit.desk.gaveUp(record.view.id)).toBe(true);
    expect(kit.ask('CA-placed-1', { ref: record.view.id })).toBe('busy');
    expect(kit.provider.said.at(-1)).toContain('restart');
    await kit.pass(1100, 100);
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'canceled' });
    expect(hangUps(kit)).toBe(2);
    expect(call.endReason).toBeUndefined();
    await call.session.end('caller-hung-up');
    await drained;
    await kit.close();
  });

  it('does not happen while there is time: a call that is answered then is a conversation', async () => {
    const kit = createKit();
    const first = await kit.talk();
    await kit.desk.place(ORDER);
    const drained = kit.manager.drain(60_000);
    await kit.pass(30_000, 1000);
    const second = pickUp(kit);
    await kit.provider.ready();
    second.stream();
    await kit.pass(20_000, 1000);
    expect(second.endReason).toBeUndefined();
    await kit.pass(11_000, 1000);
    // It is told to leave like any other.
    kit.provider.speak('r', 'a', 500);
    await kit.pass(1000, 100);
    expect(second.endReason).toBe('shutdown');
    await first.session.end('caller-hung-up');
    await kit.pass(6000, 1000);
    await drained;
  });

  it('happens to everything that rings when the service stops, also to what is being dialled', async () => {
    const { kit, answer } = slow();
    const placed = kit.desk.place(ORDER);
    const closed = kit.close();
    answer(PLACED);
    await closed;
    await placed;
    expect(kit.carrier.calls.map(({ what }) => what)).toEqual(['dial', 'hangUp']);
    expect(kit.clock.pending).toBe(0);
  });

  it('is tried again when the service stops, and does not hold it up for long', async () => {
    for (const times of [1, Number.POSITIVE_INFINITY]) {
      const kit = createKit(busy(times));
      const record = await kit.desk.place(ORDER);
      let over = false;
      void kit.close().then(() => {
        over = true;
      });
      await kit.pass(5100, 100);
      expect(over).toBe(true);
      expect(record.isOver).toBe(times === 1);
      // At 0, 1 and 3 s, and a last time when the patience is over.
      expect(hangUps(kit)).toBe(times === 1 ? 2 : 4);
      expect(kit.clock.pending).toBe(0);
    }
  });

  it('does not hold up the stop of the service for long', async () => {
    const kit = createKit({
      parts: {
        dial: (_request, signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => resolve(LOST));
          }),
      },
    });
    const placed = kit.desk.place(ORDER).catch((error: unknown) => error);
    let over = false;
    void kit.desk.close().then(() => {
      over = true;
    });
    await kit.pass(5500);
    expect(over).toBe(true);
    expect(await placed).toBeInstanceOf(BridgeError);
  });
});

describe('the say over a call', () => {
  const asks: readonly [string, (kit: Kit) => Promise<ControlResult>][] = (
    [
      ['transfer', (kit, record) => kit.desk.transfer(record, TRANSFER)],
      ['keys', (kit, record) => kit.desk.sendDigits(record, '1')],
      ['recording', (kit, record) => kit.desk.record(record, true)],
    ] as readonly [
      string,
      (kit: Kit, record: Parameters<Kit['desk']['hangUp']>[0]) => Promise<ControlResult>,
    ][]
  ).map(([name, ask]) => [
    name,
    (kit) => {
      const record = kit.desk.records.list()[0];
      if (record === undefined) throw new BridgeError('INTERNAL', 'no record');
      return ask(kit, record);
    },
  ]);

  it.each(asks)('%s: waits for somebody to answer, and ends with the call', async (_name, ask) => {
    const kit = createKit();
    await kit.desk.place(ORDER);
    expect(await ask(kit)).toMatchObject({ status: 'error', error: { code: 'BAD_INPUT' } });
    const call = pickUp(kit);
    await kit.provider.ready();
    call.stream();
    expect(await ask(kit)).toEqual({ status: 'ok' });
    await call.session.end('caller-hung-up');
    expect(await ask(kit)).toEqual({ status: 'already-ended' });
  });
});

describe('a call that came in', () => {
  it('has a record like any other', async () => {
    const kit = createKit();
    const call = await kit.talk();
    const record = kit.desk.records.byCall('twilio', 'CA1');
    expect(record?.view).toMatchObject({
      direction: 'inbound',
      from: '+14155550100',
      to: '+14155550101',
      status: 'in-progress',
    });
    call.cut();
    expect(record?.view).toMatchObject({ status: 'ended', outcome: 'failed', endReason: 'media-lost' });
  });

  it('that was put through is over when the carrier says so, or soon after they have talked', async () => {
    for (const how of ['status', 'talked'] as const) {
      const kit = createKit();
      const call = await kit.talk();
      await call.session.transfer(TRANSFER);
      call.ask();
      call.stop();
      call.news('answered');
      const record = kit.desk.records.byCall('twilio', 'CA1');
      await kit.pass(600_000, 60_000);
      expect(record?.isOver).toBe(false);
      if (how === 'talked') {
        kit.desk.talked('twilio', 'CA1');
        await kit.pass(11_000, 1000);
      } else {
        const event = { type: 'progress', callId: 'CA1', requestId: undefined, ref: undefined } as const;
        const ended = { ...event, status: 'ended', outcome: 'completed' } as const;
        kit.desk.progress(kit.carrier, { ...ended, sequence: undefined, durationS: 600 });
      }
      expect(record?.view).toMatchObject({ status: 'ended', outcome: 'completed' });
    }
  });
});
