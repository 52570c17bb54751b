import { describe, expect, it } from 'vitest';
import type { Cancel, Clock } from '../src/clock.ts';
import { CallClock } from '../src/recording/call-clock.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The end of this turn of the event loop, and everything that was put off until then. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A clock that goes on while the process works. */
class BusyClock implements Clock {
  readonly waits: number[] = [];
  readonly #runs: (() => void)[] = [];
  at = 1000;

  now(): number {
    return this.at;
  }

  epoch(): number {
    return 0;
  }

  after(ms: number, run: () => void): Cancel {
    this.waits.push(ms);
    this.#runs.push(run);
    return () => undefined;
  }

  fire(): void {
    for (const run of this.#runs.splice(0)) run();
  }
}

function clockOver(clock: Clock, onTimer?: (due: number, now: number) => void): CallClock {
  return new CallClock({ clock, startedAt: clock.now(), epochMs: 1_700_000_000_000, onTimer });
}

describe('the time of a recorded call', () => {
  it('counts from its first webhook, to the microsecond', () => {
    const base = new BusyClock();
    const clock = clockOver(base);
    base.at += 1234.567_891;
    expect(clock.stamp()).toBe(1234.568);
    expect(clock.now()).toBe(1234.568);
    expect(clock.epoch()).toBe(1_700_000_001_234);
  });

  it('stands still while one thing is worked off, and goes on in the next turn', async () => {
    const base = new BusyClock();
    const clock = clockOver(base);
    base.at += 10;
    clock.stamp();
    base.at += 5;
    expect(clock.now()).toBe(10);
    await Promise.resolve();
    expect(clock.now()).toBe(10);
    await turn();
    expect(clock.now()).toBe(15);
    // Whatever asked first has stopped it again.
    base.at += 1;
    expect(clock.now()).toBe(15);
  });

  it('gives the next thing in the same turn a time of its own', () => {
    const base = new BusyClock();
    const clock = clockOver(base);
    clock.stamp();
    base.at += 0.25;
    expect(clock.stamp()).toBe(0.25);
    expect(clock.now()).toBe(0.25);
  });

  it('never goes backwards, whatever the clock beneath does', () => {
    const base = new BusyClock();
    const clock = clockOver(base);
    base.at += 20;
    expect(clock.stamp()).toBe(20);
    base.at -= 15;
    expect(clock.stamp()).toBe(20);
    expect(clock.stampAt(1001)).toBe(20);
  });

  it('puts off no more than one thing to the end of a turn', async () => {
    const base = new BusyClock();
    const clock = clockOver(base);
    for (let i = 0; i < 100; i += 1) clock.stamp();
    await turn();
    base.at += 1;
    expect(clock.now()).toBe(1);
  });

  it('runs a timer when it is due, and says so before', () => {
    const base = new VirtualClock();
    const told: unknown[] = [];
    const clock = clockOver(base, (due, now) => told.push({ due, now }));
    clock.after(100, () => told.push(clock.now()));
    const cancel = clock.after(50, () => told.push('never'));
    cancel();
    base.advance(100);
    expect(told).toEqual([{ due: 100, now: 100 }, 100]);
    expect(base.pending).toBe(0);
  });

  it('says when a timer was due that ran late', () => {
    const base = new BusyClock();
    const told: unknown[] = [];
    const clock = clockOver(base, (due, now) => told.push(due, now));
    clock.after(20, () => told.push('ran'));
    base.at += 31.5;
    base.fire();
    expect(told).toEqual([20, 31.5, 'ran']);
  });

  it('does not wait longer because the process was busy before it asked', () => {
    const base = new BusyClock();
    const clock = clockOver(base);
    clock.stamp();
    base.at += 7;
    clock.after(20, () => undefined);
    clock.after(3, () => undefined);
    expect(base.waits).toEqual([13, 0]);
  });

  it('has timers without telling of them', () => {
    const base = new VirtualClock();
    const clock = clockOver(base);
    let ran = 0;
    clock.after(5, () => {
      ran = clock.now();
    });
    base.advance(5);
    expect(ran).toBe(5);
  });
});
