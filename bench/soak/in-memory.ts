import { writeHeapSnapshot } from 'node:v8';
import type { Result } from '../results.ts';
import { held, memoryNow } from './memory.ts';
import { leakResults } from './report.ts';
import { type Left, World } from './world.ts';

export interface InMemoryOptions {
  /** Calls that are looked at. */
  readonly calls: number;
  /** Calls from one look to the next. */
  readonly batch: number;
  /** Calls before the first look: what is compiled and cached once is no leak. */
  readonly warmup: number;
  readonly audio: 'wideband' | 'passthrough';
  /** Writes a heap snapshot at the first look and one at the last, with these beginnings of their names. */
  readonly snapshots?: string | undefined;
  say(line: string): void;
}

/** Sessions are forgotten after 1 min, records after 10, numbers that were used once after 15 at most. */
const FORGOTTEN_MS = 20 * 60_000;
/** From one call to the next; about a hundred are up at once. */
const RING_EVERY_MS = 40;

/** What is left of each call when all have ended and all that is remembered for a while has been forgotten. */
export async function soakInMemory(options: InMemoryOptions): Promise<readonly Result[]> {
  const { calls, batch, warmup, audio, say, snapshots } = options;
  const world = await World.create({ audio, maxCalls: 1000 });
  const before = world.left;
  const looks: { x: number; y: number }[] = [];
  const left: Left[] = [];
  await world.fillWithEnded();
  while (world.calls < warmup + calls) {
    const from = performance.now();
    await world.churn(batch, RING_EVERY_MS);
    await world.pass(FORGOTTEN_MS);
    const memory = await memoryNow();
    const perS = (1000 * batch) / (performance.now() - from);
    say(`${audio} in memory: ${world.calls} calls, ${held(memory)} bytes held, ${perS.toFixed(0)} calls/s`);
    left.push(world.left);
    if (world.calls < warmup) continue;
    looks.push({ x: world.calls, y: held(memory) });
    const isEnd = looks.length === 1 || world.calls >= warmup + calls;
    if (snapshots !== undefined && isEnd) writeHeapSnapshot(`${snapshots}-${world.calls}.heapsnapshot`);
  }
  await world.close();
  return leakResults(`${audio}, in memory`, looks, [before, ...left]);
}
