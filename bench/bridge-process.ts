import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { createBridge } from '../src/server.ts';

/** What the bridge's process says of itself, on request. Times in ms, memory in bytes. */
export interface BridgeFigures {
  readonly cpuMs: number;
  readonly rss: number;
  readonly heapUsed: number;
  /** Sockets, timers and whatever else keeps the process alive. */
  readonly resources: Readonly<Record<string, number>>;
  readonly calls: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  readonly metrics: string;
}

/** The bridge in a process of its own, so that its figures are its own; driven by messages from the bench. */
const delay = monitorEventLoopDelay({ resolution: 1 });
const bridge = await createBridge({
  config: loadConfig({ ...process.env, PORT: '0', HOST: '127.0.0.1' }),
  log: createLog('error'),
});
const url = await bridge.listen();
delay.enable();
process.send?.({ url, authToken: bridge.localAuthToken });
process.on('message', (message) => {
  if (message === 'stop') stop().catch(fail);
  else if (message === 'figures') figures().catch(fail);
});

async function stop(): Promise<void> {
  await bridge.close();
  process.disconnect();
}

async function figures(): Promise<void> {
  // Twice: what the first collection finalises, the second frees.
  globalThis.gc?.();
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const metrics = await (await fetch(`${url}/metrics`, { headers: { connection: 'close' } })).text();
  const { rss, heapUsed } = process.memoryUsage();
  const answer: BridgeFigures = {
    cpuMs: (user + system) / 1000,
    rss,
    heapUsed,
    resources,
    calls: bridge.calls,
    loopDelayP99Ms: delay.percentile(99) / 1e6,
    loopDelayMaxMs: delay.max / 1e6,
    metrics,
  };
  delay.reset();
  process.send?.(answer);
}

function fail(error: unknown): void {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
}
