import { monitorEventLoopDelay } from 'node:perf_hooks';

/**
 * Loaded into a process that is measured (`node --import`), beside whatever runs there: answers its parent with what the
 * process has used so far. Costs nothing while it is not asked, but for one look at the clock every 10 ms.
 */

/** Of the whole process. Times in ms, memory in bytes. */
export interface ProbeFigures {
  readonly at: number;
  readonly cpuMs: number;
  readonly rss: number;
  /** Heap, and what is outside of it but belongs to it. */
  readonly heap: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
}

const RESOLUTION_MS = 10;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

process.on('message', (message) => {
  const collect = message === 'collect';
  if (message !== 'figures' && !collect) return;
  const { user, system } = process.cpuUsage();
  const at = performance.now();
  if (collect) {
    // Twice: what the first collection finalises, the second frees.
    globalThis.gc?.();
    globalThis.gc?.();
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const figures: ProbeFigures = {
    at,
    cpuMs: (user + system) / 1000,
    rss,
    // Array buffers are counted in `external`.
    heap: heapUsed + external,
    loopDelayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS),
    loopDelayMaxMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS),
  };
  delay.reset();
  process.send?.(figures);
});
// It is in a session of its own, so nobody else would end it.
process.on('disconnect', () => process.exit());
// Whoever is measured ends when it wants to.
process.channel?.unref();
