import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../src/clock.ts';
import type { Env } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { listenOn } from '../src/server/port.ts';
import { FrontDoor } from '../src/workers/front-door.ts';
import { Pool } from '../src/workers/pool.ts';
import { SpendingDesk } from '../src/workers/spending-desk.ts';
import type { WorkerProcess } from '../src/workers/worker-process.ts';
import { MemoryDays } from './support/memory-days.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** Worker processes that only behave like some, and what becomes of them. */

const ENTRY = new URL('./support/fake-worker.mjs', import.meta.url);
type Line = Readonly<Record<string, unknown>>;

class Place {
  readonly log: Line[] = [];
  readonly gone: WorkerProcess[] = [];
  readonly pool: Pool;
  #onLine: (line: Line) => void = () => undefined;

  constructor(clock: VirtualClock | typeof systemClock, env: Env, count = 2) {
    const folder = mkdtempSync(join(tmpdir(), 'pool-'));
    const write = (text: string): void => {
      const line: Line = JSON.parse(text);
      this.log.push(line);
      this.#onLine(line);
    };
    const log = createLog('info', { write });
    const spending = new SpendingDesk({ clock, log, files: new MemoryDays() });
    const rest = { insecure: false, localAuthToken: undefined, maxCalls: 5 };
    const onGone = (worker: WorkerProcess): void => void this.gone.push(worker);
    this.pool = new Pool({ ...rest, clock, log, entry: ENTRY, folder, count, env, spending, onGone });
    onTestFinished(async () => {
      await this.pool.close();
      rmSync(folder, { recursive: true });
    });
  }

  /** The next line of the log that says this. */
  next(msg: string): Promise<Line> {
    return new Promise((resolve) => {
      this.#onLine = (line) => {
        if (line['msg'] === msg) resolve(line);
      };
    });
  }

  async door(): Promise<string> {
    const door = new FrontDoor({
      pool: this.pool,
      clock: systemClock,
      log: createLog('silent'),
      maxCalls: 5,
    });
    onTestFinished(() => door.close());
    const url = await listenOn(door.http, { host: '127.0.0.1', port: 0 });
    await this.pool.start(url);
    return url;
  }
}

const TAKES = 'a worker process takes calls';
const DIED =
  'a worker process has died: its calls go on with their last resort, and another one takes its place';

async function voice(url: string, callSid: string, route = 'voice'): Promise<string> {
  const body = new URLSearchParams({ CallSid: callSid });
  return await (await fetch(`${url}/${route}/twilio`, { method: 'POST', body })).text();
}

describe('a pool of workers', () => {
  it('does not begin when one of them cannot, and says why', async () => {
    const { pool, gone } = new Place(systemClock, { HOW_2: 'bad' });
    await expect(pool.start('http://here')).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      plainMessage: 'the file is wrong',
    });
    expect(gone.length).toBe(2);
    expect(pool.up).toEqual([]);
  });

  it('replaces one that dies, later each time that it dies at once', async () => {
    const clock = new VirtualClock();
    const at = new Place(clock, { HOW_1: 'dies' });
    const first = at.next(DIED);
    await at.pool.start('http://here').catch(() => undefined);
    await first;
    for (const ms of [100, 200, 400, 800]) {
      const again = at.next(DIED);
      clock.advance(ms - 1);
      const before = at.pool.restarts;
      clock.advance(1);
      expect(at.pool.restarts).toBe(before + 1);
      expect(await again).toMatchObject({ worker: 1, level: 50 });
    }
  });

  it('kills one that has not answered for half a minute, and not before', async () => {
    const clock = new VirtualClock();
    const at = new Place(clock, { HOW_1: 'hangs' });
    await at.pool.start('http://here');
    const [still, well] = at.pool.up;
    const answered = async (): Promise<void> => {
      await well?.ask([]);
    };
    const killed = at.next(DIED);
    for (let beats = 0; beats < 6; beats += 1) {
      clock.advance(5000);
      await answered();
    }
    expect([still?.isSlow, well?.isSlow, at.gone.length]).toEqual([true, false, 0]);
    // Somebody who hangs is given nothing new, however little they have to do.
    expect(await at.pool.find({ names: [], kind: 'new' })).toBe(well);
    expect(await at.pool.find({ names: [], kind: 'new' })).toBe(well);
    clock.advance(5000);
    expect(await killed).toMatchObject({ worker: 1 });
    expect(at.gone).toEqual([still]);
  });

  it('takes a machine that was asleep for one that was asleep', async () => {
    const clock = new VirtualClock();
    const at = new Place(clock, {});
    await at.pool.start('http://here');
    for (let naps = 0; naps < 10; naps += 1) {
      clock.advance(5000);
      // Everybody answers what they are asked first, and this after it.
      await Promise.all(at.pool.up.map((worker) => worker.ask([])));
    }
    expect(at.gone).toEqual([]);
  });

  it('gives a call to whoever has the fewest, and what follows to the same one', async () => {
    const at = new Place(systemClock, {});
    const url = await at.door();
    const [one, other] = [await voice(url, 'CA1'), await voice(url, 'CA2')];
    expect([one, other].sort()).toEqual(['slot 1', 'slot 2']);
    for (let times = 0; times < 3; times += 1) {
      expect(await voice(url, 'CA1')).toBe(one);
      expect(await voice(url, 'CA2', 'status')).toBe(other);
    }
  });

  it('asks who has what nobody has told of', async () => {
    const at = new Place(systemClock, { HOW_1: 'mine1', HOW_2: 'mine2' });
    const url = await at.door();
    for (const slot of [2, 1, 2, 2, 1])
      expect(await (await fetch(`${url}/calls/mine${slot}`)).text()).toBe(`slot ${slot}`);
    expect(await (await fetch(`${url}/voice/twilio?ref=mine2`, { method: 'POST' })).text()).toBe('slot 2');
  });

  it('has another one answer what one has died of, but for an order', async () => {
    const at = new Place(systemClock, { HOW_1: 'breaks' });
    const url = await at.door();
    // Whoever it is given to first, the answer is that of the one that lives.
    expect([await voice(url, 'CA1'), await voice(url, 'CA2')]).toEqual(['slot 2', 'slot 2']);
    expect(at.gone.length).toBe(1);
    const back = at.next(TAKES);
    await back;
    const orders = await Promise.all([1, 2].map(() => fetch(`${url}/calls`, { method: 'POST', body: '{}' })));
    expect(orders.map(({ status }) => status).sort()).toEqual([200, 500]);
    const failed = orders.find(({ status }) => status === 500);
    expect(await failed?.json()).toMatchObject({ error: { code: 'INTERNAL', retry: false } });
  });

  it('passes a request and its answer on as they are', async () => {
    const at = new Place(systemClock, {}, 1);
    const url = await at.door();
    const answer = await fetch(`${url}/nothing?a=b%20c`, { method: 'PUT', body: 'x'.repeat(300_000) });
    expect([answer.status, await answer.text()]).toEqual([200, 'slot 1']);
    const readiness = await fetch(`${url}/healthz`);
    expect(await readiness.json()).toEqual({ status: 'ok' });
  });

  it('lets a request wait for a worker that is about to come', async () => {
    const clock = new VirtualClock();
    const at = new Place(clock, {}, 1);
    await at.pool.start('http://here');
    const [only] = at.pool.up;
    const died = at.next(DIED);
    only?.kill();
    await died;
    const found = at.pool.find({ names: [], kind: 'new' });
    const up = at.next(TAKES);
    clock.advance(100);
    await up;
    clock.advance(100);
    expect((await found)?.slot).toBe(1);
    const nobody = new Place(clock, {}, 1).pool.find({ names: [], kind: 'new' });
    for (let waits = 0; waits < 60; waits += 1) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await nobody).toBeUndefined();
  });

  it('gives up sockets for a worker that is gone', async () => {
    const at = new Place(systemClock, { HOW_1: 'breaks' }, 1);
    const url = await at.door();
    const died = at.next(DIED);
    await fetch(`${url}/nothing`, { method: 'POST' });
    await died;
    const [worker] = at.gone;
    const { Socket } = await import('node:net');
    const socket = new Socket();
    const closed = once(socket, 'close');
    worker?.handOver({ socket, bytes: Buffer.alloc(0) });
    await closed;
  });
});
