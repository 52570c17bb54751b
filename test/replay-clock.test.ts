import { describe, expect, it } from 'vitest';
import { ReplayClock } from '../src/replay/replay-clock.ts';
import { TimerHeap } from '../src/replay/timer-heap.ts';

/** Runs everything that runs by itself up to then. */
function runUntil(clock: ReplayClock, ms: number): void {
  while (clock.nextAt <= ms) clock.runNext();
  clock.moveTo(ms);
}

describe('a timer of a call that its recording does not tell of', () => {
  it('waits for what came in meanwhile, which may call it off', () => {
    const clock = new ReplayClock(0, [1000]);
    const ran: string[] = [];
    const cancel = clock.ofCall.after(60, () => ran.push('called off'));
    clock.ofCall.after(70, () => ran.push(`late at ${clock.now()}`));
    // The process was held up until then.
    runUntil(clock, 293);
    cancel();
    expect(ran).toEqual([]);
    while (clock.isLate) clock.runLate();
    expect(ran).toEqual(['late at 293']);
  });

  it('runs by itself when nothing more comes in', () => {
    const clock = new ReplayClock(0, [1000]);
    const ran: number[] = [];
    clock.ofCall.after(60, () => ran.push(clock.now()));
    clock.lastHasCome();
    clock.ofCall.after(100, () => ran.push(clock.now()));
    runUntil(clock, 500);
    expect(ran).toEqual([80, 100]);
    expect(clock.isLate).toBe(false);
  });

  it('keeps nobody waiting who is no part of the call', () => {
    const clock = new ReplayClock(0, [1000]);
    const ran: number[] = [];
    clock.after(60, () => ran.push(clock.now()));
    runUntil(clock, 293);
    expect(ran).toEqual([60]);
  });

  it('does not run in the place of one that is told, nor does one of the service', () => {
    const clock = new ReplayClock(0, [60]);
    const ran: string[] = [];
    clock.after(60, () => ran.push('service'));
    clock.ofCall.after(60, () => ran.push('told'));
    clock.ofCall.after(60, () => ran.push('untold'));
    runUntil(clock, 75);
    expect(ran).toEqual(['service']);
    expect(clock.runTold(60)).toBe(true);
    expect(ran).toEqual(['service', 'told']);
    expect(clock.runTold(60)).toBe(false);
    expect(clock.isLate).toBe(false);
    runUntil(clock, 90);
    expect(clock.isLate).toBe(true);
  });

  it('runs when it is due in a fixture, which tells of none', () => {
    const clock = new ReplayClock(0);
    const ran: number[] = [];
    clock.ofCall.after(60, () => ran.push(clock.now()));
    runUntil(clock, 293);
    expect(ran).toEqual([60]);
  });

  it('is let go at the end', () => {
    const clock = new ReplayClock(0, [1000]);
    const ran: number[] = [];
    clock.ofCall.after(60, () => ran.push(clock.now()));
    clock.letGo();
    runUntil(clock, 293);
    expect(ran).toEqual([80]);
  });
});

describe('timers', () => {
  it('come by their times, and of one time in the order in which they were set, without those that were called off', () => {
    const heap = new TimerHeap();
    const all = Array.from({ length: 500 }, (_, order) => {
      const at = (order * 7919) % 83;
      return { at, order, run: () => undefined, cancelled: order % 5 === 0 };
    });
    for (const timer of all) heap.push(timer);
    const taken: number[] = [];
    for (let timer = heap.take(); timer !== undefined; timer = heap.take()) taken.push(timer.order);
    const wanted = all.filter(({ cancelled }) => !cancelled).sort((a, b) => a.at - b.at || a.order - b.order);
    expect(taken).toEqual(wanted.map(({ order }) => order));
  });
});
