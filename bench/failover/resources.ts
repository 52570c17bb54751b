import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What keeps this process alive, and what it holds. */
export interface Resources {
  /** Sockets, servers, timers and the like, by kind. */
  readonly active: Readonly<Record<string, number>>;
  /** After a collection, in bytes. */
  readonly heap: number;
}

/** Sockets that were closed are gone a moment later. */
const SETTLE_MS = 2_000;

export async function resources(): Promise<Resources> {
  await new Promise((resolve) => {
    setTimeout(resolve, SETTLE_MS);
  });
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  // Twice: what the first collection finalises, the second frees.
  for (let i = 0; i < 2; i++) if (typeof collect === 'function') collect();
  const active: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) active[kind] = (active[kind] ?? 0) + 1;
  return { active, heap: process.memoryUsage().heapUsed };
}
