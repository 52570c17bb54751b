import { describe, expect, it } from 'vitest';
import { type CallRecord, CallRecords, type CallView, type RecordedEvent } from '../src/call-records.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const VIEW: Omit<CallView, 'createdAt'> = {
  id: 'call_1',
  carrier: 'twilio',
  carrierCallId: undefined,
  direction: 'outbound',
  from: '+14155550100',
  to: '+14155550101',
  agent: 'line-check',
  status: 'queued',
  outcome: undefined,
  endReason: undefined,
  machine: undefined,
  answeredAt: undefined,
  endedAt: undefined,
};

function make() {
  const clock = new VirtualClock();
  const records = new CallRecords(clock);
  const add = (id: string, callId?: string): CallRecord =>
    records.add({ ...VIEW, id }, callId === undefined ? undefined : { callId, control: 'document' });
  return { clock, records, add };
}

/** What a follower was told; `end` when that nothing more comes. */
function follow(record: CallRecord, after = 0) {
  const seen: string[] = [];
  const stop = record.follow(after, (event) =>
    seen.push(event === undefined ? 'end' : `${event.number} ${event.type}`),
  );
  return { seen, stop };
}

describe('records of calls', () => {
  it('are found by the bridge’s id, and by the carrier’s once that is known', () => {
    const { records, add } = make();
    const record = add('call_1');
    expect(records.byCall('twilio', 'CA1')).toBeUndefined();
    records.link(record, { callId: undefined, requestId: 'RQ1', control: 'document' });
    expect(record.view.carrierCallId).toBeUndefined();
    expect(record.ref?.requestId).toBe('RQ1');
    records.link(record, { callId: 'CA1', control: 'document' });
    expect(records.byCall('twilio', 'CA1')).toBe(record);
    expect(records.byCall('plivo', 'CA1')).toBeUndefined();
    expect(records.get('call_1')).toBe(record);
  });

  it('are listed newest first', () => {
    const { records, add } = make();
    for (const id of ['a', 'b', 'c']) add(id);
    expect(records.list().map(({ view }) => view.id)).toEqual(['c', 'b', 'a']);
  });

  it('keep the first word on what came of a call', () => {
    const { records, add, clock } = make();
    const record = add('call_1', 'CA1');
    clock.advance(5000);
    records.end(record, 'busy');
    clock.advance(5000);
    records.end(record, 'completed');
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'busy' });
    expect((record.view.endedAt ?? 0) - record.view.createdAt).toBe(5000);
  });

  it('prefer the carrier’s word, when it came before the end', () => {
    const { records, add } = make();
    const record = add('call_1', 'CA1');
    record.update({ outcome: 'time-limit' });
    records.end(record, 'completed');
    expect(record.view.outcome).toBe('time-limit');
  });

  it('are kept for ten minutes after the end', () => {
    const { records, add, clock } = make();
    const record = add('call_1', 'CA1');
    clock.advance(3_600_000);
    expect(records.get('call_1')).toBe(record);
    records.end(record, 'completed');
    clock.advance(599_000);
    expect(records.get('call_1')).toBe(record);
    clock.advance(2000);
    expect(records.get('call_1')).toBeUndefined();
    expect(records.byCall('twilio', 'CA1')).toBeUndefined();
    expect(records.list()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('are no more than a thousand of calls that are over; the oldest go first, those of live calls stay', () => {
    const { records, add, clock } = make();
    const live = add('live');
    for (let i = 0; i < 1010; i++) records.end(add(`call_${i}`, `CA${i}`), 'completed');
    expect(records.list()).toHaveLength(1001);
    expect(records.get('live')).toBe(live);
    expect(records.get('call_9')).toBeUndefined();
    expect(records.byCall('twilio', 'CA9')).toBeUndefined();
    expect(records.get('call_10')).toBeDefined();
    expect(clock.pending).toBe(1);
    records.close();
    expect(clock.pending).toBe(0);
    expect(records.list()).toEqual([]);
  });

  it('of people who were put through do not stay for ever', () => {
    const { records, add, clock } = make();
    const record = add('call_1', 'CA1');
    records.release(record);
    clock.advance(3 * 3_600_000);
    expect(record.isOver).toBe(false);
    clock.advance(3_600_000);
    expect(record.view).toMatchObject({ status: 'ended', outcome: 'completed' });
    const other = add('call_2', 'CA2');
    records.release(other);
    records.release(other, 10_000);
    clock.advance(10_000);
    expect(other.isOver).toBe(true);
    const third = add('call_3', 'CA3');
    records.release(third);
    records.end(third, 'completed');
    records.release(third);
    clock.advance(600_001);
    expect(clock.pending).toBe(0);
  });
});

describe('the events of a call', () => {
  it('are numbered, told as they come, and over when the call is', () => {
    const { records, add } = make();
    const record = add('call_1', 'CA1');
    record.add('ringing', {});
    const { seen } = follow(record);
    record.add('answered', {});
    records.end(record, 'completed');
    expect(seen).toEqual(['1 ringing', '2 answered', '3 over', 'end']);
  });

  it('can be read on from where somebody left off, also after the end', () => {
    const { records, add } = make();
    const record = add('call_1', 'CA1');
    for (const type of ['a', 'b', 'c']) record.add(type, {});
    expect(follow(record, 2).seen).toEqual(['3 c']);
    records.end(record, 'failed');
    expect(follow(record, 2).seen).toEqual(['3 c', '4 over', 'end']);
    expect(follow(record, 99).seen).toEqual(['end']);
  });

  it('are not told to somebody who has stopped listening, nor twice that it is over', () => {
    const { records, add } = make();
    const record = add('call_1', 'CA1');
    const first = follow(record);
    const second = follow(record);
    first.stop();
    record.add('a', {});
    records.end(record, 'completed');
    records.close();
    expect(first.seen).toEqual([]);
    expect(second.seen).toEqual(['1 a', '2 over', 'end']);
  });

  it('end for whoever still listens when the service stops', () => {
    const { records, add } = make();
    const { seen } = follow(add('call_1', 'CA1'));
    records.close();
    expect(seen).toEqual(['end']);
  });

  it('are the last two thousand', () => {
    const { add } = make();
    const record = add('call_1', 'CA1');
    for (let i = 0; i < 2500; i++) record.add('x', {});
    const { seen } = follow(record);
    expect(seen).toHaveLength(2000);
    expect(seen[0]).toBe('501 x');
  });

  it('do not hold what the caller typed, nor the whole conversation a second time', () => {
    const { records, add } = make();
    const record = add('call_1', 'CA1');
    const all: (RecordedEvent | undefined)[] = [];
    record.follow(0, (event) => all.push(event));
    records.observe('twilio', 'CA1', { type: 'digit', atMs: 1, digit: '7' });
    records.observe('twilio', 'CA1', {
      type: 'transcript',
      atMs: 2,
      role: 'user',
      itemId: 'u',
      text: 'Hello.',
      final: true,
    });
    records.observe('twilio', 'CA1', { type: 'ended', atMs: 3, reason: 'agent-hung-up', transcript: [] });
    records.observe('twilio', 'CA2', { type: 'mediaStarted', atMs: 3 });
    expect(all.map((event) => [event?.type, event?.data])).toEqual([
      ['digit', {}],
      ['transcript', { role: 'user', itemId: 'u', text: 'Hello.', final: true }],
      ['ended', { reason: 'agent-hung-up' }],
    ]);
  });
});
