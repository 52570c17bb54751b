import { join } from 'node:path';
import { type Cancel, type Clock, pause } from '../clock.ts';
import type { Env } from '../config.ts';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { settleWithin } from '../settle.ts';
import type { Subject } from './call-names.ts';
import type { Facts, Word } from './messages.ts';
import { Owners } from './owners.ts';
import type { SpendingDesk } from './spending-desk.ts';
import { WorkerProcess } from './worker-process.ts';

export interface PoolOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** What a worker process runs. */
  readonly entry: URL;
  /** Of this service alone: where workers take requests. */
  readonly folder: string;
  /** How many workers there are to be. */
  readonly count: number;
  /** Of all workers together; at least `count`. */
  readonly maxCalls: number;
  readonly env: Env;
  readonly insecure: boolean;
  readonly localAuthToken: string | undefined;
  readonly spending: SpendingDesk;
  /** Told of every process that has ended. */
  readonly onGone?: ((worker: WorkerProcess) => void) | undefined;
}

interface Slot {
  readonly number: number;
  readonly maxCalls: number;
  worker: WorkerProcess | undefined;
  /** Processes that have died since the last one that lived for a while. */
  failures: number;
  /** `Clock.now()` when its process was started. */
  since: number;
  /** When it was last given a call. */
  turn: number;
  cancel: Cancel;
}

/** A request that was given to a worker. */
export interface Claim {
  /** `genuine`: the worker has taken it for what it says it is. */
  done(genuine: boolean): void;
}

/** A worker that has lived for so long is not one that cannot live. */
const LONG_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** A worker that does not say by then whose a call is has something else to do. */
const ASK_MS = 5000;
/** How long a request waits for a worker when there is none. */
const WAIT_MS = 5000;
/** The news of a call may be slower than the answer to its request. */
const NEWS_MS = 25;
const CLOSE_MS = 20_000;
/** How often workers are asked whether they get to anything, and how often in a row they may not answer. */
const BEAT_MS = 5000;
const MOST_MISSED = 6;
/** As long as an `Idempotency-Key` counts. */
const ORDERS_MS = 86_400_000;
const MOST_ORDERS = 100_000;

/** The worker processes of a service: started, told apart, replaced when they die, and ended. */
export class Pool {
  readonly #options: PoolOptions;
  readonly #slots: readonly Slot[];
  readonly #owners: Owners;
  /** By their keys. */
  readonly #orders: Owners;
  /** Names in requests that are being answered. */
  readonly #coming = new Map<string, { readonly worker: WorkerProcess; count: number }>();
  readonly #closing = new AbortController();
  #localUrl = '';
  #started = 0;
  #turn = 0;
  #restarts = 0;
  #draining = false;
  #cancelBeat: Cancel = () => undefined;

  constructor(options: PoolOptions) {
    const { clock, count, maxCalls } = options;
    this.#options = options;
    this.#owners = new Owners(clock);
    this.#orders = new Owners(clock, ORDERS_MS, MOST_ORDERS);
    this.#slots = Array.from({ length: count }, (_, index) => ({
      number: index + 1,
      maxCalls: Math.floor(maxCalls / count) + (index < maxCalls % count ? 1 : 0),
      worker: undefined,
      failures: 0,
      since: 0,
      turn: 0,
      cancel: () => undefined,
    }));
  }

  /** Those that take requests. */
  get up(): readonly WorkerProcess[] {
    return this.#slots.flatMap(({ worker }) => (worker?.isUp === true ? [worker] : []));
  }

  /** How many there are to be. */
  get size(): number {
    return this.#slots.length;
  }

  /** Processes that were started in the place of others. */
  get restarts(): number {
    return this.#restarts;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Starts all workers. Resolves when every one of them takes requests; rejects with what the first of them cannot begin
   * for, and none is left then. `localUrl`: where the port is.
   */
  async start(localUrl: string): Promise<Facts> {
    this.#localUrl = localUrl;
    const started = this.#slots.map((slot) => this.#start(slot).ready);
    try {
      const [facts] = await Promise.all(started);
      if (facts === undefined) throw new BridgeError('INTERNAL', 'there are no workers');
      this.#beatLater();
      return facts;
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  /**
   * Who is to have a request: the worker that knows what it is about, else the one with the fewest calls. Undefined when
   * there is none, for some seconds. `not`: one that has failed to answer it.
   */
  async find({ names, kind }: Subject, not?: WorkerProcess): Promise<WorkerProcess | undefined> {
    const owners = kind === 'order' ? this.#orders : this.#owners;
    const known = owners.of(names) ?? this.#comingOf(names);
    if (known?.isUp === true && known !== not) return known;
    if (kind === 'known' && known === undefined) {
      const found = await this.#ask(names);
      if (found !== undefined && found !== not) return found;
    }
    return this.#idlest(not) ?? (await this.#anyone(not));
  }

  /** A request goes to this worker. */
  claim(worker: WorkerProcess, { names, kind }: Subject): Claim {
    const counts = kind === 'order' || (kind === 'new' && this.#owners.of(names) === undefined);
    if (counts) worker.inFlight += 1;
    for (const name of names) {
      const coming = this.#coming.get(name);
      if (coming?.worker === worker) coming.count += 1;
      else this.#coming.set(name, { worker, count: 1 });
    }
    return {
      done: (genuine) => {
        for (const name of names) this.#came(worker, name);
        if (genuine) (kind === 'order' ? this.#orders : this.#owners).pin(worker, names);
        if (counts)
          this.#options.clock.after(NEWS_MS, () => {
            worker.inFlight -= 1;
          });
      },
    };
  }

  /** A call that a worker has placed. */
  placed(worker: WorkerProcess, name: string): void {
    this.#owners.pin(worker, [name]);
  }

  /** No new calls; resolves when the last one is over. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const slot of this.#slots) slot.cancel();
    await Promise.all(this.#slots.map(({ worker }) => worker?.drain()));
  }

  /** Ends every call and every process. Idempotent; never rejects. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#closing.abort();
    this.#cancelBeat();
    for (const slot of this.#slots) slot.cancel();
    const workers = this.#slots.flatMap(({ worker }) => worker ?? []);
    await settleWithin(
      this.#options.clock,
      CLOSE_MS,
      workers.map((worker) => worker.close()),
    );
    for (const worker of workers) if (!worker.isGone) worker.kill();
    await Promise.all(workers.map((worker) => worker.exited));
  }

  #start(slot: Slot): WorkerProcess {
    const { entry, folder, env, insecure, localAuthToken, clock, log } = this.#options;
    this.#started += 1;
    slot.since = clock.now();
    const worker = new WorkerProcess(
      entry,
      {
        type: 'start',
        slot: slot.number,
        env: { ...env, MAX_CALLS: String(slot.maxCalls) },
        insecure,
        localUrl: this.#localUrl,
        localAuthToken,
        // A name of its own: that of the one before may still be there.
        socketPath: join(folder, `${slot.number}-${this.#started}`),
      },
      {
        begun: (from, name) => this.#owners.begun(from, name),
        ended: (from, name) => this.#owners.ended(from, name),
        day: (from, word) => void this.#onDay(from, word),
        gone: (one) => this.#onGone(slot, one),
      },
    );
    slot.worker = worker;
    const { pid } = worker;
    worker.ready.then(
      () => log.info({ worker: slot.number, pid }, 'a worker process takes calls'),
      (error: unknown) => {
        // Of the first ones whoever starts the service is told.
        if (this.#restarts > 0)
          log.error({ worker: slot.number, pid, err: error }, 'a worker process cannot begin');
      },
    );
    return worker;
  }

  #beatLater(): void {
    this.#cancelBeat = this.#options.clock.after(BEAT_MS, () => {
      this.#beatLater();
      for (const worker of this.up) this.#beat(worker);
    });
  }

  /** Whoever gets to nothing holds on to its calls, whose callers hear nothing. By count: a machine that sleeps is no worker that hangs. */
  #beat(worker: WorkerProcess): void {
    if (worker.beat() < MOST_MISSED) return;
    this.#options.log.error(
      { worker: worker.slot },
      'a worker process does not answer any more: it is killed',
    );
    worker.kill();
  }

  #onGone(slot: Slot, worker: WorkerProcess): void {
    this.#options.onGone?.(worker);
    this.#owners.drop(worker);
    this.#orders.drop(worker);
    for (const [name, coming] of this.#coming) if (coming.worker === worker) this.#coming.delete(name);
    if (this.#draining) return;
    const { clock, log } = this.#options;
    const { number, since } = slot;
    log.error(
      { worker: number, calls: worker.calls },
      'a worker process has died: its calls go on with their last resort, and another one takes its place',
    );
    if (clock.now() - since >= LONG_MS) slot.failures = 0;
    const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** slot.failures);
    slot.failures += 1;
    slot.cancel = clock.after(ms, () => this.#replace(slot));
  }

  #replace(slot: Slot): void {
    this.#restarts += 1;
    this.#start(slot);
  }

  async #onDay(
    from: WorkerProcess,
    { id, name, currency, own }: Extract<Word, { type: 'day' }>,
  ): Promise<void> {
    const { spending } = this.#options;
    const day = own === undefined ? await spending.read(name) : await spending.add(name, currency, own);
    from.send({ type: 'day', id, day });
    if (own === undefined) return;
    for (const worker of this.up) if (worker !== from) worker.send({ type: 'spent' });
  }

  #comingOf(names: readonly string[]): WorkerProcess | undefined {
    for (const name of names) {
      const coming = this.#coming.get(name);
      if (coming !== undefined) return coming.worker;
    }
    return undefined;
  }

  #came(worker: WorkerProcess, name: string): void {
    const coming = this.#coming.get(name);
    if (coming?.worker !== worker) return;
    coming.count -= 1;
    if (coming.count <= 0) this.#coming.delete(name);
  }

  /** The first one that says that it has one of these. */
  #ask(names: readonly string[]): Promise<WorkerProcess | undefined> {
    const { clock } = this.#options;
    if (names.length === 0) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const asked = this.up.map(async (worker) => {
        if (await worker.ask(names)) resolve(worker);
      });
      void settleWithin(clock, ASK_MS, asked).then(() => resolve(undefined));
    });
  }

  #idlest(not: WorkerProcess | undefined): WorkerProcess | undefined {
    let best: Slot | undefined;
    for (const slot of this.#slots) {
      if (slot.worker?.isUp !== true || slot.worker === not) continue;
      if (best === undefined || isBetter(slot, best)) best = slot;
    }
    if (best === undefined) return undefined;
    this.#turn += 1;
    best.turn = this.#turn;
    return best.worker;
  }

  /** Waits for one that is being started. */
  async #anyone(not: WorkerProcess | undefined): Promise<WorkerProcess | undefined> {
    const { clock } = this.#options;
    const until = clock.now() + WAIT_MS;
    while (clock.now() < until && !this.#closing.signal.aborted) {
      await pause(clock, FIRST_PAUSE_MS, this.#closing.signal);
      const found = this.#idlest(not);
      if (found !== undefined) return found;
    }
    // Better the one that has failed than none.
    return not?.isUp === true ? not : undefined;
  }
}

/** Whoever gets to their work goes first, then whoever has room, then whoever has fewer calls, then whose turn it is. */
function isBetter(one: Slot, other: Slot): boolean {
  const [a, b] = [loadOf(one), loadOf(other)];
  if (isSlow(one) !== isSlow(other)) return isSlow(other);
  const [roomOfOne, roomOfOther] = [a < one.maxCalls, b < other.maxCalls];
  if (roomOfOne !== roomOfOther) return roomOfOne;
  return a === b ? one.turn < other.turn : a < b;
}

function isSlow({ worker }: Slot): boolean {
  return worker?.isSlow === true;
}

function loadOf({ worker }: Slot): number {
  return worker === undefined ? 0 : worker.calls + worker.inFlight;
}
