import type { Clock } from './clock.ts';

/** Resolves when all are settled, whichever way, or after `ms`; never rejects. */
export function settleWithin(clock: Clock, ms: number, work: readonly Promise<unknown>[]): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, resolve);
    void Promise.allSettled(work).then(() => {
      cancel();
      resolve();
    });
  });
}

/** Lets whatever waits have its turn: long work in one piece would hold up the audio of calls. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
