import { describe, expect, it } from 'vitest';
import { Pacer } from '../src/pacer.ts';
import { Playout } from '../src/playout.ts';
import { VirtualClock } from './support/virtual-clock.ts';
import { VirtualLeg } from './support/virtual-leg.ts';

/** Mu-law bytes of `ms` of speech, numbered so that order shows. */
function speech(ms: number, from = 0): Uint8Array {
  return Uint8Array.from({ length: ms * 8 }, (_, i) => (from + i) % 251);
}

function start(leadMs = 1000) {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const leg = new VirtualLeg(clock);
  const seen = { drained: 0, heard: [] as string[] };
  const playout = new Playout({
    leg,
    clock,
    pacer,
    leadMs,
    onDrained: () => {
      seen.drained += 1;
    },
    onHeard: (itemId) => seen.heard.push(itemId),
    onFailed: (error) => {
      throw error;
    },
  });
  leg.onMark = (name) => playout.acknowledge(name);
  return { clock, pacer, leg, playout, seen };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

describe('playout', () => {
  it('counts how often the line ran dry in the middle of an item, and nothing else', () => {
    const { clock, playout, leg } = start();
    playout.push('r', 'a', speech(200), 200);
    clock.advance(150);
    expect(playout.counts).toEqual({ underruns: 0, marksLost: 0 });
    clock.advance(300);
    playout.push('r', 'a', speech(200), 200);
    clock.advance(400);
    expect(playout.counts.underruns).toBe(1);
    // Another item, and another response, begin when they are there.
    playout.push('r', 'b', speech(200), 200);
    clock.advance(100);
    playout.endResponse('r');
    clock.advance(1000);
    playout.push('s', 'c', speech(200), 200);
    playout.endResponse('s');
    clock.advance(1000);
    expect(playout.counts).toEqual({ underruns: 1, marksLost: 0 });
    expect(leg.holes).toBe(3);
  });

  it('counts how often marks stayed away', () => {
    const { clock, playout, leg } = start();
    leg.echoesMarks = false;
    playout.push('r', 'a', speech(500), 500);
    playout.endResponse('r');
    clock.advance(5000);
    expect(playout.counts).toEqual({ underruns: 0, marksLost: 1 });
  });

  it('gives the carrier at most the lead, and everything in order in the end', () => {
    const { clock, leg, playout } = start(1000);
    const all = speech(5000);
    for (let i = 0; i < all.length; i += 1000) playout.push('r', 'a', all.subarray(i, i + 1000), 125);
    playout.endResponse('r');
    let most = 0;
    for (let i = 0; i < 300; i++) {
      clock.advance(20);
      most = Math.max(most, leg.aheadMs);
    }
    expect(most).toBeLessThanOrEqual(1000);
    expect(joined(leg.played)).toEqual(all);
  });

  it('never lets the carrier run dry while speech is queued', () => {
    const { clock, leg, playout } = start(1000);
    playout.push('r', 'a', speech(5000), 5000);
    playout.endResponse('r');
    for (let t = 0; t < 4900; t += 20) {
      expect(leg.aheadMs).toBeGreaterThan(0);
      clock.advance(20);
    }
  });

  it('sends whole frames only and fills the tail of a response with silence', () => {
    const { leg, playout } = start();
    playout.push('r', 'a', speech(30), 30);
    playout.push('r', 'a', speech(25), 25);
    playout.endResponse('r');
    const sent = joined(leg.played);
    expect(leg.played.every((part) => part.length % 160 === 0)).toBe(true);
    expect(sent.length).toBe(480);
    expect([...sent.subarray(440)]).toEqual(Array(40).fill(0xff));
  });

  it('keeps no part of a frame back in a pause of a response: it would be heard after the pause, as a click', () => {
    const { clock, leg, playout } = start();
    playout.push('r', 'a', speech(110), 110);
    clock.advance(200);
    const sent = joined(leg.played);
    expect(sent.length).toBe(120 * 8);
    expect(sent.subarray(0, 880)).toEqual(speech(110));
    expect([...sent.subarray(880)]).toEqual(Array(80).fill(0xff));
    playout.push('r', 'a', speech(100, 880), 100);
    clock.advance(60);
    const [item] = playout.unfinished();
    expect(item?.receivedMs).toBe(210);
    expect(item?.playedMs).toBeGreaterThan(120);
    expect(item?.playedMs).toBeLessThan(210);
    clock.advance(500);
    expect(playout.unfinished()).toEqual([{ itemId: 'a', playedMs: 210, receivedMs: 210 }]);
    playout.endResponse('r');
    clock.advance(500);
    expect(joined(leg.played).length).toBe(220 * 8);
    expect(playout.idle).toBe(true);
  });

  it.each([
    ['runs dry again and again without a cushion', 60, true],
    ['never runs dry behind a cushion', 120, false],
  ])('of speech that comes in real time, each piece up to 80 ms late, %s', (_what, startMs, dry) => {
    const { clock, leg, playout } = start(1000);
    playout.startMs = startMs;
    const late = [0, 70, 20, 80, 10, 60, 40, 0, 75, 30];
    let at = 0;
    for (let i = 0; i < 50; i++) {
      const due = i * 100 + (late[i % late.length] ?? 0);
      clock.advance(Math.max(0, due - at));
      at = Math.max(at, due);
      playout.push('r', 'a', speech(100, i * 800), 100);
    }
    playout.endResponse('r');
    clock.advance(1000);
    expect(leg.holes > 0).toBe(dry);
    expect(playout.unfinished()).toEqual([]);
  });

  it('waits for 60 ms of speech before it begins on an idle line, but not longer than that', () => {
    const { clock, leg, playout } = start();
    playout.push('r', 'a', speech(20), 20);
    expect(leg.played).toHaveLength(0);
    clock.advance(20);
    playout.push('r', 'a', speech(40), 40);
    expect(joined(leg.played).length).toBe(480);
    clock.advance(500);
    playout.push('r', 'a', speech(20), 20);
    clock.advance(40);
    expect(joined(leg.played).length).toBe(480);
    clock.advance(40);
    expect(joined(leg.played).length).toBe(640);
  });

  it('begins at once when a response is shorter than that', () => {
    const { leg, playout } = start();
    playout.push('r', 'a', speech(20), 20);
    playout.endResponse('r');
    expect(joined(leg.played).length).toBe(160);
  });

  it('marks the start, every 200 ms and the end of a response', () => {
    const { clock, leg, playout } = start();
    playout.push('r', 'a', speech(500), 500);
    playout.endResponse('r');
    clock.advance(1000);
    expect(leg.log.filter((line) => line.startsWith('mark'))).toHaveLength(1 + 2 + 1);
    expect(leg.log[0]).toMatch(/^mark/);
    expect(leg.log.at(-1)).toMatch(/^mark/);
  });

  it('knows within a frame what was heard when the caller cuts in, at any moment', () => {
    for (let at = 15; at < 3900; at += 77) {
      const { clock, leg, playout } = start();
      playout.push('r', 'a', speech(4000), 4000);
      clock.advance(at);
      const heardMs = leg.heardBytes / 8;
      const [cut] = playout.interrupt();
      expect(Math.abs((cut?.playedMs ?? 0) - heardMs)).toBeLessThanOrEqual(20);
    }
  });

  it('never reports more than was received, and reports items that were not begun as unheard', () => {
    const { clock, playout } = start();
    playout.push('r', 'a', speech(100), 98);
    playout.push('r', 'b', speech(3000), 3000);
    clock.advance(50);
    expect(playout.interrupt()).toEqual([
      { itemId: 'a', playedMs: 60, receivedMs: 98 },
      { itemId: 'b', playedMs: 0, receivedMs: 3000 },
    ]);
  });

  it('clears the carrier also when the provider has long finished', () => {
    const { clock, leg, playout } = start();
    playout.push('r', 'a', speech(2000), 2000);
    playout.endResponse('r');
    clock.advance(300);
    const cut = playout.interrupt();
    expect(leg.log.at(-1)).toBe('clear');
    expect(cut).toHaveLength(1);
  });

  it('does not count the marks that a clear sends back as heard', () => {
    const { clock, playout, seen } = start();
    playout.push('r', 'a', speech(2000), 2000);
    clock.advance(300);
    playout.interrupt();
    clock.advance(50);
    playout.push('r2', 'b', speech(1000), 1000);
    clock.advance(100);
    expect(playout.heardMs('b')).toBeLessThanOrEqual(100);
    expect(playout.heardMs('b')).toBeGreaterThanOrEqual(80);
    expect(seen.heard).toEqual([]);
  });

  it('says that all was heard only after the last mark has come back', () => {
    const { clock, playout, seen } = start();
    playout.push('r', 'a', speech(1000), 1000);
    clock.advance(500);
    playout.endResponse('r');
    clock.advance(480);
    expect(seen.drained).toBe(0);
    clock.advance(60);
    expect(seen.drained).toBe(1);
    expect(seen.heard).toEqual(['a']);
    expect(playout.idle).toBe(true);
  });

  it('falls back to the wall clock when the carrier returns no marks', () => {
    const { clock, leg, playout, seen } = start();
    leg.echoesMarks = false;
    playout.push('r', 'a', speech(3000), 3000);
    playout.endResponse('r');
    clock.advance(2000);
    expect(playout.heardMs('a')).toBeGreaterThan(1900);
    expect(playout.heardMs('a')).toBeLessThanOrEqual(2000);
    clock.advance(3000);
    expect(seen.drained).toBe(1);
    expect(joined(leg.played).length).toBe(24_000);
  });

  it('stands still while the carrier waits for speech that comes too slowly', () => {
    const { clock, leg, playout } = start();
    playout.push('r', 'a', speech(200), 200);
    clock.advance(700);
    playout.push('r', 'a', speech(2000), 2000);
    clock.advance(400);
    const heardMs = leg.heardBytes / 8;
    expect(heardMs).toBeCloseTo(600, -1);
    expect(Math.abs((playout.interrupt()[0]?.playedMs ?? 0) - heardMs)).toBeLessThanOrEqual(20);
  });

  it('adds the round trip, because a clear is under way as long as a mark was', () => {
    const { clock, leg, playout } = start();
    leg.roundTripMs = 80;
    playout.push('r', 'a', speech(4000), 4000);
    clock.advance(1000);
    expect(playout.interrupt()[0]?.playedMs).toBeGreaterThanOrEqual(1080);
  });

  it('gives the carrier no more than the lead however long the round trip is said to be', () => {
    const { clock, leg, playout } = start(1000);
    leg.roundTripMs = 15_000;
    playout.push('r', 'a', speech(30_000), 30_000);
    let most = 0;
    for (let i = 0; i < 500; i++) {
      clock.advance(20);
      most = Math.max(most, leg.aheadMs);
    }
    expect(most).toBeLessThanOrEqual(1000);
  });

  it('knows what was heard also before the first mark has come back', () => {
    const { clock, leg, playout } = start();
    // One way 100 ms: the carrier begins to play 100 ms after it was sent, the mark comes back 200 ms after.
    leg.roundTripMs = 200;
    const acknowledge = leg.onMark;
    leg.onMark = (name) => clock.after(200, () => acknowledge(name));
    playout.push('r', 'a', speech(4000), 4000);
    clock.advance(150);
    // The clear arrives 100 ms from now; by then 150 ms were heard.
    expect(Math.abs((playout.interrupt()[0]?.playedMs ?? 0) - 150)).toBeLessThanOrEqual(20);
  });

  it('uses one timer for all calls and none when nobody speaks', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    const playouts = Array.from({ length: 20 }, () => {
      const leg = new VirtualLeg(clock);
      leg.echoesMarks = false;
      return new Playout({
        leg,
        clock,
        pacer,
        leadMs: 1000,
        onDrained: () => undefined,
        onHeard: () => undefined,
        onFailed: () => undefined,
      });
    });
    expect(clock.pending).toBe(0);
    for (const playout of playouts) playout.push('r', 'a', speech(3000), 3000);
    expect(clock.pending - 20 * 6).toBe(1);
    for (const playout of playouts) playout.close();
    clock.advance(5000);
    expect(clock.pending).toBe(0);
  });
});
