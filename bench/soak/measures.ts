import type { Result } from '../results.ts';
import type { SoakFigures } from '../soak-bridge.ts';
import { LiveWorld, later } from './live.ts';
import { held } from './memory.ts';
import { leakResults, memoryResult } from './report.ts';

export interface MemoryOptions {
  readonly audio: 'wideband' | 'passthrough';
  readonly calls: number;
  /** How long they are up before they are looked at. */
  readonly upMs: number;
  say(line: string): void;
}

/** Calls are ended, and sessions closed, well within this time; their ends are remembered for longer. */
const JUST_ENDED_MS = 4_000;
const WARMUP_MS = 15_000;

/** What a call takes while it is up, and what its end takes for the minute that it is remembered. */
export async function memoryPerCall({ audio, calls, upMs, say }: MemoryOptions): Promise<readonly Result[]> {
  const world = await LiveWorld.create(audio, calls + 100);
  await world.churn(WARMUP_MS, 30);
  await world.forget(true);
  const before = await world.figures();
  await world.fill(calls);
  await later(upMs);
  const up = await world.figures();
  world.hangUpAll();
  await later(JUST_ENDED_MS);
  const ended = await world.figures();
  await world.forget(true);
  const after = await world.figures();
  await world.close();
  // On a machine that is held up by others a call may be lost; then there are less to share the memory.
  if (up.calls < 0.9 * calls) throw new Error(`${up.calls} calls are up, wanted ${calls}`);
  const per = (now: SoakFigures, of: 'heap' | 'external' | 'arrayBuffers' | 'rss'): number =>
    Math.round((now.memory[of] - before.memory[of]) / up.calls);
  const parts = { heap: per(up, 'heap'), external: per(up, 'external'), rss: per(up, 'rss') };
  say(
    `${audio}, ${up.calls} calls: ${JSON.stringify(parts)} bytes per call, ${per(ended, 'heap')} when it has just ended`,
  );
  return [
    memoryResult(`memory per call, ${audio}`, parts.heap + parts.external, true, parts),
    memoryResult(`resident memory per call, ${audio}`, parts.rss, false, {}),
    memoryResult(
      `memory per call that has just ended, ${audio}`,
      per(ended, 'heap') + per(ended, 'external'),
      false,
      {
        heap: per(ended, 'heap'),
        external: per(ended, 'external'),
        forgottenHeap: per(after, 'heap'),
        forgottenRss: per(after, 'rss'),
      },
    ),
  ];
}

export interface LiveOptions {
  readonly minutes: number;
  /** Calls that are up at once. */
  readonly atOnce: number;
  readonly quick: boolean;
  say(line: string): void;
}

/** The same as the soak in memory, with real sockets and real time, but for what would only be waited for. */
export async function soakLive({ minutes, atOnce, quick, say }: LiveOptions): Promise<readonly Result[]> {
  const world = await LiveWorld.create('wideband', atOnce + 20);
  await world.fillWithEnded();
  await world.churn(quick ? 20_000 : 120_000, atOnce);
  await world.forget(true);
  const looks: { x: number; y: number }[] = [];
  const things: Record<string, number>[] = [];
  const look = async (): Promise<SoakFigures> => {
    const figures = await world.figures();
    looks.push({ x: world.calls, y: held(figures.memory) });
    things.push({ calls: figures.calls, timers: figures.timers, ...figures.resources });
    say(
      `live: ${world.calls} calls, ${held(figures.memory)} bytes held, rss ${figures.memory.rss}, ${JSON.stringify(things.at(-1))}`,
    );
    return figures;
  };
  const first = await look();
  const until = performance.now() + minutes * 60_000;
  const everyMs = quick ? 10_000 : 45_000;
  while (performance.now() < until) {
    await world.churn(everyMs, atOnce);
    await world.forget(true);
    await look();
  }
  const last = await world.figures();
  await world.close();
  say(`live: ended ${JSON.stringify(last.ended)}, ${last.failovers} failovers`);
  return [
    ...leakResults('over real sockets', looks, things),
    memoryResult(
      'resident memory that an hour of calls has added',
      last.memory.rss - first.memory.rss,
      false,
      {
        calls: (looks.at(-1)?.x ?? 0) - (looks[0]?.x ?? 0),
        minutes,
      },
    ),
  ];
}
