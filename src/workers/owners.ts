import type { Clock } from '../clock.ts';
import type { CallName } from './call-names.ts';
import type { WorkerProcess } from './worker-process.ts';

interface Pin {
  readonly worker: WorkerProcess;
  readonly until: number;
}

/** Longer than any carrier repeats a request, and than any memory of what was used already. */
const KEEP_MS = 900_000;
const MOST = 200_000;

/**
 * Which worker has what. Of live calls that is what the workers say; beside it, for a while, who has taken care of requests
 * that proved to be genuine: their repetitions, and whatever else comes of the same call, belong to the same worker.
 */
export class Owners {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #most: number;
  readonly #live = new Map<CallName, WorkerProcess>();
  /** In the order of their last use. */
  readonly #pins = new Map<CallName, Pin>();

  constructor(clock: Clock, keepMs = KEEP_MS, most = MOST) {
    this.#clock = clock;
    this.#keepMs = keepMs;
    this.#most = most;
  }

  /** Calls that are up. */
  get live(): number {
    return this.#live.size;
  }

  /** How many names are remembered beside those of live calls. */
  get remembered(): number {
    return this.#pins.size;
  }

  begun(worker: WorkerProcess, name: CallName): void {
    this.#live.set(name, worker);
  }

  /** Late requests about it are still for the same worker. */
  ended(worker: WorkerProcess, name: CallName): void {
    if (this.#live.get(name) === worker) this.#live.delete(name);
    this.pin(worker, [name]);
  }

  /** The worker that has one of these, if it is still there. A live call goes before everything else. */
  of(names: readonly CallName[]): WorkerProcess | undefined {
    for (const name of names) {
      const worker = this.#live.get(name);
      if (worker?.isGone === false) return worker;
    }
    for (const name of names) {
      const worker = this.#pinned(name);
      if (worker !== undefined) return worker;
    }
    return undefined;
  }

  /** A request of these names was genuine, and was taken care of there. */
  pin(worker: WorkerProcess, names: readonly CallName[]): void {
    const until = this.#clock.now() + this.#keepMs;
    for (const name of names) {
      // Once more at the end: the first ones are forgotten first.
      this.#pins.delete(name);
      this.#pins.set(name, { worker, until });
    }
    this.#forget();
  }

  /** A worker is gone, and its calls with it. */
  drop(worker: WorkerProcess): void {
    for (const [name, owner] of this.#live) if (owner === worker) this.#live.delete(name);
    for (const [name, pin] of this.#pins) if (pin.worker === worker) this.#pins.delete(name);
  }

  #pinned(name: CallName): WorkerProcess | undefined {
    const pin = this.#pins.get(name);
    if (pin === undefined) return undefined;
    if (!pin.worker.isGone && pin.until > this.#clock.now()) return pin.worker;
    this.#pins.delete(name);
    return undefined;
  }

  #forget(): void {
    const now = this.#clock.now();
    for (const [name, { until }] of this.#pins) {
      if (until > now && this.#pins.size <= this.#most) return;
      this.#pins.delete(name);
    }
  }
}
