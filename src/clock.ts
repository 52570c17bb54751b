import { BridgeError } from './errors.ts';

/** Gives up a timer; calling it again, or after the timer ran, does nothing. */
export type Cancel = () => void;

/** What `after` can count: Node runs longer timers at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The only source of time in the bridge, so that tests and replays can drive it. */
export interface Clock {
  /** Monotonic milliseconds, with a fraction; the origin means nothing. */
  now(): number;
  /** Milliseconds since 1970 UTC. */
  epoch(): number;
  /** Runs `run` once, `ms` from now. */
  after(ms: number, run: () => void): Cancel;
  /** See the function of this name. Only of a clock that has to know of everything that is waited for. */
  afterNetwork?(run: () => void): Cancel;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  epoch: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Runs `run` once, soon, when the network has had its turn: after the process was held up, timers run before what has come
 * meanwhile, whatever the clock says.
 */
export function afterNetwork(clock: Clock, run: () => void): Cancel {
  if (clock.afterNetwork !== undefined) return clock.afterNetwork(run);
  const immediate = setImmediate(run);
  return () => clearImmediate(immediate);
}

/** A signal that aborts with `parent`, or after `ms` with a TIMEOUT that names `what`. Dispose it after the wait. */
export function deadline(
  clock: Clock,
  ms: number,
  what: string,
  parent?: AbortSignal,
): Disposable & { readonly signal: AbortSignal } {
  const own = new AbortController();
  // Linked by hand: AbortSignal.any leaks on a long-lived parent before Node 22 (nodejs/node#55351).
  const follow = (): void => own.abort(parent?.reason);
  if (parent?.aborted) follow();
  else parent?.addEventListener('abort', follow, { once: true });
  const cancel = clock.after(ms, () =>
    own.abort(new BridgeError('TIMEOUT', `${what} took longer than ${ms} ms`)),
  );
  return {
    signal: own.signal,
    [Symbol.dispose]: () => {
      cancel();
      parent?.removeEventListener('abort', follow);
    },
  };
}

/** Resolves after `ms`, or when `signal` aborts; never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
