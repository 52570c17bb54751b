import { describe, expect, it } from 'vitest';
import { type HostNews, type Job, OutboxQueue } from '../src/hooks/outbox-queue.ts';

function job(id: string, dueAt = 0, host = 'example.com', unreachable = false): Job {
  const state = { bytes: 2, attempts: 0, held: false, lastFailure: null, stored: true, body: undefined };
  return {
    id,
    url: `https://${host}/`,
    host,
    createdAt: dueAt,
    giveUpAt: dueAt + 1e9,
    dueAt,
    unreachable,
    ...state,
  };
}

function queueOf(...jobs: Job[]): OutboxQueue {
  const queue = new OutboxQueue();
  for (const one of jobs) queue.push(one);
  return queue;
}

/** Everything that may run at this time. */
function taken(queue: OutboxQueue, now: number): Job[] {
  const jobs: Job[] = [];
  for (let next = queue.take(now); next !== undefined; next = queue.take(now)) jobs.push(next);
  return jobs;
}

const ids = (jobs: readonly Job[]): string[] => jobs.map(({ id }) => id);
const gone = (restMs = 0): HostNews => ({ type: 'unreachable', restMs });

describe('the queue of the outbox', () => {
  it('gives what is due, the oldest first, whichever host it is for', () => {
    const queue = queueOf(job('c', 30), job('a', 10), job('b', 20, 'other.example'), job('d', 40));
    expect([queue.nextAt(), ids(taken(queue, 5))]).toEqual([10, []]);
    expect(ids(taken(queue, 30))).toEqual(['a', 'b', 'c']);
    expect(queue.nextAt()).toBe(40);
  });

  it('runs four at once', () => {
    const jobs = Array.from({ length: 6 }, (_, n) => job(`${n}`, n));
    const queue = queueOf(...jobs);
    const [first] = taken(queue, 10);
    expect([queue.nextAt(), queue.take(10)]).toEqual([undefined, undefined]);
    if (first !== undefined) queue.done(first, { type: 'well' }, 10);
    expect(ids(taken(queue, 10))).toEqual(['4']);
  });

  it('lets a host that is gone rest for longer each time, up to a minute, and tries one', () => {
    const queue = queueOf(...Array.from({ length: 9 }, (_, n) => job(`${n}`)));
    let now = 0;
    const [first, ...others] = taken(queue, now);
    if (first !== undefined) queue.done(first, gone(), now);
    for (const other of others) queue.done(other, { type: 'nothing' }, now);
    for (const ms of [4000, 8000, 16_000, 32_000, 60_000]) {
      expect(queue.nextAt()).toBe(now + ms);
      expect(queue.take(now + ms - 1)).toBeUndefined();
      now += ms;
      const [probe, ...more] = taken(queue, now);
      expect(more).toEqual([]);
      if (probe !== undefined) queue.done(probe, gone(), now);
    }
  });

  it.each([
    ['what fails together for one outage', 0, 4002],
    ['the longest rest that was asked for', 600_000, 600_001],
  ])('takes %s', (_what, restMs, until) => {
    const queue = queueOf(...Array.from({ length: 5 }, (_, n) => job(`${n}`)));
    const [a, b, ...others] = taken(queue, 0);
    if (a !== undefined) queue.done(a, gone(), 0);
    if (b !== undefined) queue.done(b, gone(restMs), 1);
    // Two are still under way, which is more than it gets now.
    expect(queue.nextAt()).toBeUndefined();
    for (const other of others) queue.done(other, gone(), 2);
    expect(queue.nextAt()).toBe(until);
  });

  it('has those follow that have found nobody, once one goes well, and no others', () => {
    const queue = queueOf(job('probe'));
    const [probe] = taken(queue, 0);
    if (probe !== undefined) queue.done(probe, gone(), 0);
    for (const one of [
      job('refused', 9_000_000),
      job('later', 8_000_000, 'example.com', true),
      job('sooner', 7_000_000, 'example.com', true),
      job('now', 5000),
    ]) {
      queue.push(one);
    }
    const [next] = taken(queue, 5000);
    expect(next?.id).toBe('now');
    if (next !== undefined) queue.done(next, { type: 'well' }, 5000);
    expect(ids(taken(queue, 5000))).toEqual(['sooner', 'later']);
    expect(queue.nextAt()).toBe(9_000_000);
  });

  it('trusts a host again only after one has gone well', () => {
    const queue = queueOf(job('a'), job('b'), job('c'));
    queue.doubt('example.com');
    const [a, ...others] = taken(queue, 0);
    expect(others).toEqual([]);
    if (a !== undefined) queue.done(a, { type: 'failed' }, 0);
    const [b, ...more] = taken(queue, 0);
    expect(more).toEqual([]);
    if (b !== undefined) queue.done(b, { type: 'well' }, 0);
    expect(ids(taken(queue, 0))).toEqual(['c']);
  });

  it('gives back what is taken out of it, once', () => {
    const [a, b] = [job('a'), job('b')];
    const queue = queueOf(a, b);
    expect([queue.remove(a), queue.remove(a), queue.remove(job('b'))]).toEqual([true, false, false]);
    expect(ids(queue.waiting())).toEqual(['b']);
    expect(ids(taken(queue, 0))).toEqual(['b']);
    expect(queue.waiting()).toEqual([]);
  });
});
