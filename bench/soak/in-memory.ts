import { writeHeapSnapshot } from 'node:v8';
import { held, memoryNow } from './memory.ts';
import { slopeOf } from './slope.ts';
import { type Left, World } from './world.ts';

export interface InMemoryOptions {
  readonly calls: number;
  readonly batch: number;
  readonly warmup: number;
  readonly audio: 'wideband' | 'passthrough';
  readonly snapshot: string | undefined;
}

/** Sessions are forgotten after 1 min, records after 10, numbers that were used once after 15 at most. */
const FORGOTTEN_MS = 20 * 60_000;

export async function soakInMemory(options: InMemoryOptions): Promise<void> {
  const { calls, batch, warmup, audio } = options;
  const world = await World.create({ audio, maxCalls: 1000 });
  const samples: { x: number; y: number }[] = [];
  const lefts: Left[] = [];
  let at = performance.now();
  while (world.calls < warmup + calls) {
    await world.churn(batch, 40);
    await world.pass(FORGOTTEN_MS);
    const memory = await memoryNow();
    if (world.calls > warmup) samples.push({ x: world.calls, y: held(memory) });
    lefts.push(world.left);
    const now = performance.now();
    process.stdout.write(
      `${world.calls} heap ${memory.heap} ext ${memory.external} ab ${memory.arrayBuffers} rss ${(memory.rss / 1e6).toFixed(0)} ${((batch / (now - at)) * 1000).toFixed(0)} calls/s ${JSON.stringify(world.left)}\n`,
    );
    at = now;
    if (options.snapshot !== undefined) writeHeapSnapshot(`${options.snapshot}-${world.calls}.heapsnapshot`);
  }
  process.stdout.write(`${JSON.stringify(slopeOf(samples))} ${JSON.stringify([...world.happened])}\n`);
  await world.close();
}
