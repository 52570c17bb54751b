import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a process holds after a collection, in bytes. */
export interface Memory {
  readonly heap: number;
  readonly external: number;
  /** Part of `external`. */
  readonly arrayBuffers: number;
  readonly rss: number;
}

/** Collects until nothing more comes of it, which also runs what was to run at the end of things. */
export async function memoryNow(): Promise<Memory> {
  const collect = collector();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    collect();
    // Finalisers have their turn after a collection, and what they let go of goes with the next.
    await new Promise(setImmediate);
    const { heapUsed } = process.memoryUsage();
    if (heapUsed >= least) break;
    least = heapUsed;
  }
  const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
  return { heap: heapUsed, external, arrayBuffers, rss };
}

/** Heap and what lies outside it, without the resident pages, which never come back as they were. */
export function held({ heap, external }: Memory): number {
  return heap + external;
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  return () => {
    if (typeof collect === 'function') collect();
  };
}

/** Sockets, timers and whatever else keeps this process alive, by kind. */
export function activeResources(): Readonly<Record<string, number>> {
  const active: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) active[kind] = (active[kind] ?? 0) + 1;
  return active;
}
