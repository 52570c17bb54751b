import { describe, expect, it } from 'vitest';
import { PLOTS } from '../bench/soak/plots.ts';
import { slopeOf } from '../bench/soak/slope.ts';
import { World } from '../bench/soak/world.ts';

/** Longer than anything of a call is remembered for its time. */
const FORGOTTEN_MS = 20 * 60_000;

describe('calls that come and go', () => {
  it('leave no session, stream, record, socket or timer behind, however they end', async () => {
    const world = await World.create({ audio: 'passthrough', maxCalls: 500 });
    const before = world.left;
    await world.churn(6 * PLOTS.length * 3, 40);
    expect([...world.ended.keys()].sort()).toEqual(PLOTS.map(({ name }) => name).sort());
    for (const reason of [
      'caller-hung-up',
      'agent-hung-up',
      'media-lost',
      'media-never-came',
      'operator-hung-up',
    ]) {
      expect(world.happened.get(`ended: ${reason}`), reason).toBeGreaterThan(0);
    }
    for (const type of ['bargeIn', 'tool', 'failover', 'providerFailed']) {
      expect(world.happened.get(type), type).toBeGreaterThan(0);
    }
    await world.pass(FORGOTTEN_MS);
    expect(world.left).toEqual(before);
    expect(world.left).toEqual({ sessions: 0, streams: 0, records: 0, modelLines: 0, phones: 0, timers: 0 });
    await world.close();
  }, 120_000);

  it('are held for a while as what can be asked of them, and not as sessions', async () => {
    const world = await World.create({ audio: 'passthrough', maxCalls: 10 });
    const phone = world.ring({ name: 'one', manner: 'hangs-up', temper: 'answers' });
    const { manager } = world.service;
    await world.pass(1000);
    expect(manager.size).toBe(1);
    while (!phone.over) await world.pass(100);
    await world.pass(5000);
    expect(manager.size).toBe(0);
    expect(manager.remembers('twilio', phone.callId)).toBe(true);
    await world.pass(61_000);
    expect(manager.remembers('twilio', phone.callId)).toBe(false);
    await world.close();
  });
});

describe('the slope of a soak', () => {
  it('is that of the line, with no doubt where all points are on it', () => {
    const { perUnit, margin } = slopeOf([0, 1, 2, 3].map((x) => ({ x, y: 5 + 2 * x })));
    expect(perUnit).toBeCloseTo(2);
    expect(margin).toBeCloseTo(0);
  });

  it('says how much it may be wrong', () => {
    const { perUnit, margin } = slopeOf([0, 3, 1, 5, 2].map((y, x) => ({ x, y })));
    expect(perUnit).toBeCloseTo(0.6);
    expect(margin).toBeGreaterThan(1);
    expect(slopeOf([{ x: 1, y: 1 }]).margin).toBe(Number.POSITIVE_INFINITY);
  });
});
