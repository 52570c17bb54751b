import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { createBridge } from '../src/server.ts';
import { activeResources, type Memory, memoryNow } from './soak/memory.ts';
import { KEY, NAMES, TOOLS } from './soak/parts.ts';
import { SkippingClock } from './soak/skipping-clock.ts';

/** The bridge of a soak, in a process of its own, so that its memory is its own; driven by messages. */

/** What is asked of it: to skip so many ms, for its figures, or to stop. */
export type SoakAsk = { readonly skipMs: number } | 'figures' | 'stop';

/** What it holds. */
export interface SoakFigures {
  readonly memory: Memory;
  readonly calls: number;
  /** Of the service's own clock. */
  readonly timers: number;
  readonly resources: Readonly<Record<string, number>>;
  /** How calls ended, by reason. */
  readonly ended: Readonly<Record<string, number>>;
  readonly failovers: number;
}

const clock = new SkippingClock();
const models = process.env['SOAK_MODELS'] ?? '';
const ended: Record<string, number> = {};
let failovers = 0;
const bridge = await createBridge({
  config: loadConfig({ ...process.env, PORT: '0', HOST: '127.0.0.1' }),
  log: createLog('silent'),
  clock,
  tools: TOOLS,
  provider: NAMES.map((name) =>
    createOpenAiProvider({ apiKey: KEY, model: 'gpt-realtime', name, baseUrl: `${models}/${name}` }),
  ),
  observe(_callId, event) {
    if (event.type === 'ended') ended[event.reason] = (ended[event.reason] ?? 0) + 1;
    else if (event.type === 'failover') failovers += 1;
  },
});
process.send?.(await bridge.listen());
process.on('message', (asked: SoakAsk) => {
  answer(asked).catch((thrown: unknown) => {
    process.stderr.write(`${String(thrown)}\n`);
    process.exit(1);
  });
});

async function answer(asked: SoakAsk): Promise<void> {
  if (asked === 'stop') {
    await bridge.close();
    process.disconnect();
    return;
  }
  if (asked !== 'figures') {
    clock.skip(asked.skipMs);
    process.send?.('skipped');
    return;
  }
  const memory = await memoryNow();
  const figures: SoakFigures = {
    memory,
    calls: bridge.calls,
    timers: clock.pending,
    resources: activeResources(),
    ended,
    failovers,
  };
  process.send?.(figures);
}
