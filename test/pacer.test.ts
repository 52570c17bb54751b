import { describe, expect, it } from 'vitest';
import { Pacer } from '../src/pacer.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const failed = (error: unknown): void => {
  throw error;
};

describe('the pacer', () => {
  it('beats at absolute multiples of 20 ms, however late it wakes up', () => {
    const clock = new VirtualClock();
    // Every wake-up is late by another amount, as on a busy machine.
    const late = [3, 17, 0, 45, 9, 1, 30, 2];
    let index = 0;
    const lateClock = {
      now: () => clock.now(),
      epoch: () => clock.epoch(),
      after: (ms: number, run: () => void) => clock.after(ms + (late[index++ % late.length] ?? 0), run),
    };
    const pacer = new Pacer(lateClock);
    const beats: number[] = [];
    pacer.add({ tick: (now): undefined => void beats.push(now), failed });
    clock.advance(2000);
    expect(beats.length).toBeGreaterThan(50);
    // A chain of relative timers would drift by the sum of the delays; here each beat is late by its own only.
    for (const [i, beat] of beats.entries()) expect((beat - (late[i % late.length] ?? 0)) % 20).toBe(0);
    pacer.close();
    expect(clock.pending).toBe(0);
  });

  it('keeps beating for the others when a member leaves during a beat', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    let first = 0;
    let second = 0;
    const one = {
      tick: (): undefined => {
        first += 1;
        pacer.remove(one);
      },
      failed,
    };
    pacer.add(one);
    pacer.add({
      tick: (): undefined => {
        second += 1;
      },
      failed,
    });
    clock.advance(100);
    expect([first, second]).toEqual([1, 5]);
  });

  it('sleeps while nobody is there, also when the last one leaves during a beat', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    const one = { tick: (): undefined => pacer.remove(one) as undefined, failed };
    pacer.add(one);
    clock.advance(100);
    expect(clock.pending).toBe(0);
    expect(pacer.size).toBe(0);
  });

  it('beats once a beat when the last member leaves and another comes within one', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    let ticks = 0;
    const next = {
      tick: (): undefined => {
        ticks += 1;
      },
      failed,
    };
    const one = {
      tick: (): undefined => {
        pacer.remove(one);
        pacer.add(next);
      },
      failed,
    };
    pacer.add(one);
    clock.advance(1020);
    expect(clock.pending).toBe(1);
    expect(ticks).toBeLessThanOrEqual(51);
    expect(ticks).toBeGreaterThanOrEqual(50);
  });

  it('takes a member out that throws, tells it, and goes on with the others', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    const told: unknown[] = [];
    let ticks = 0;
    pacer.add({
      tick: (): undefined => {
        throw new RangeError('a mistake');
      },
      failed: (error) => told.push(error),
    });
    pacer.add({
      tick: (): undefined => {
        ticks += 1;
      },
      failed,
    });
    clock.advance(100);
    expect(told).toEqual([new RangeError('a mistake')]);
    expect(ticks).toBe(5);
  });
});

describe('timers that run a fraction of a millisecond early, as those of the platform do', () => {
  it('give one beat for each 20 ms, not two', () => {
    const clock = new VirtualClock();
    // Node counts whole milliseconds, and wakes up a little after them.
    const early = {
      now: () => clock.now(),
      epoch: () => clock.epoch(),
      after: (ms: number, run: () => void) => clock.after(Math.floor(ms) + 0.4, run),
    };
    const pacer = new Pacer(early);
    const beats: number[] = [];
    pacer.add({ tick: (now) => beats.push(now), failed: () => undefined });
    clock.advance(1010);
    expect(beats).toHaveLength(50);
    pacer.close();
  });

  it('leaves a member alone until the time that it has named, or until it is added once more', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    const from = clock.now();
    const beats: number[] = [];
    const others: number[] = [];
    const one = {
      tick: (now: number) => {
        beats.push(now - from);
        return now + 90;
      },
      failed,
    };
    pacer.add(one);
    pacer.add({ tick: (now): undefined => void others.push(now), failed });
    clock.advance(200);
    expect(beats).toEqual([20, 120]);
    pacer.add(one);
    clock.advance(40);
    expect(beats).toEqual([20, 120, 220]);
    expect(others).toHaveLength(12);
    expect(pacer.size).toBe(2);
  });

  it('goes on with whoever comes after a member that leaves during its own beat', () => {
    const clock = new VirtualClock();
    const pacer = new Pacer(clock);
    const told: string[] = [];
    const stays = (name: string) => ({ tick: (): undefined => void told.push(name), failed });
    const leaves = (name: string, others: () => readonly Parameters<Pacer['remove']>[0][]) => ({
      tick: (): undefined => {
        told.push(name);
        for (const other of others()) pacer.remove(other);
      },
      failed,
    });
    const a = stays('a');
    const c = stays('c');
    const b: ReturnType<typeof leaves> = leaves('b', () => [a, b]);
    for (const member of [a, b, c]) pacer.add(member);
    clock.advance(20);
    expect(told).toEqual(['a', 'b', 'c']);
    clock.advance(20);
    expect(told).toEqual(['a', 'b', 'c', 'c']);
  });
});
