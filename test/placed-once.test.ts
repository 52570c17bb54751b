import { describe, expect, it } from 'vitest';
import { type CallRecord, CallRecords } from '../src/call-records.ts';
import { PlacedOnce } from '../src/calls-api/placed-once.ts';
import { BridgeError } from '../src/errors.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function desk() {
  const clock = new VirtualClock();
  const records = new CallRecords(clock);
  let placed = 0;
  const place = (): Promise<CallRecord> => {
    placed += 1;
    const view = {
      id: `call_${placed}`,
      carrier: 'twilio',
      carrierCallId: undefined,
      direction: 'outbound',
      from: '+1',
      to: '+2',
      agent: 'agent',
      status: 'queued',
      outcome: undefined,
      endReason: undefined,
      machine: undefined,
      answeredAt: undefined,
      endedAt: undefined,
    } as const;
    return Promise.resolve(records.add(view, undefined));
  };
  return { clock, records, place, once: new PlacedOnce(clock), placed: () => placed };
}

describe('orders with a key', () => {
  it('are remembered for a day', async () => {
    const { once, place, clock, placed } = desk();
    await once.place('key', 1, place);
    clock.advance(86_399_000);
    expect(await once.place('key', 1, place)).toMatchObject({ repeated: true, view: { id: 'call_1' } });
    clock.advance(1000);
    expect(await once.place('key', 1, place)).toMatchObject({ repeated: false, view: { id: 'call_2' } });
    expect(placed()).toBe(2);
  });

  it('are remembered up to ten thousand, the oldest forgotten first', async () => {
    const { once, place } = desk();
    for (let i = 0; i < 10_001; i++) await once.place(`key ${i}`, i, place);
    expect(once.size).toBe(10_000);
    expect(await once.place('key 1', 1, place)).toMatchObject({ repeated: true });
    expect(await once.place('key 0', 0, place)).toMatchObject({ repeated: false });
  });

  it('tell what became of their call', async () => {
    const { once, place, records } = desk();
    await once.place('key', 1, place);
    const record = records.get('call_1');
    record?.update({ status: 'ringing' });
    expect(await once.place('key', 1, place)).toMatchObject({ view: { status: 'ringing' } });
    if (record !== undefined) records.end(record, 'busy');
    expect(await once.place('key', 1, place)).toMatchObject({ view: { status: 'ended', outcome: 'busy' } });
  });

  it.each([
    ['OVER_CAPACITY', false],
    ['BAD_INPUT', false],
    ['CARRIER_REFUSED', false],
    ['CARRIER_UNAVAILABLE', true],
    ['BAD_FRAME', true],
    ['CANCELLED', true],
    ['INTERNAL', true],
  ] as const)('that failed with %s are kept: %s', async (code, kept) => {
    const { once, place, placed } = desk();
    const failing = () => Promise.reject(new BridgeError(code, 'no'));
    await expect(once.place('key', 1, failing)).rejects.toThrow(code);
    const again = once.place('key', 1, place);
    if (kept) await expect(again).rejects.toThrow(code);
    else expect(await again).toMatchObject({ status: 'placed', repeated: false });
    expect(placed()).toBe(kept ? 0 : 1);
  });
});
