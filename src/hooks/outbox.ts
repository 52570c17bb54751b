import { type Cancel, LONGEST_TIMER_MS } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { settleWithin } from '../settle.ts';
import { type Attempt, type Sender, sendOnce } from './outbox-attempt.ts';
import { DELIVERY_ID } from './outbox-files.ts';
import { type HostNews, type Job, OutboxQueue } from './outbox-queue.ts';
import { type Opened, OutboxShelf } from './outbox-shelf.ts';
import { hostOf } from './post-hook.ts';

/** Something that has to reach a webhook. */
export interface Delivery {
  /** The `webhook-id` of every attempt: 1 to 100 letters, digits, _ and -. */
  readonly id: string;
  readonly url: string;
  /** JSON. */
  readonly body: string;
  /** It is not sent before, because something may still be added to it; see `amend`. Default 0. */
  readonly holdMs?: number | undefined;
}

/** `retried`: an attempt failed and another will be made. `failed`: it was given up, or could not be kept. */
export type DeliveryOutcome = 'delivered' | 'retried' | 'failed';

/** `clock` and `secretFor` are those of every attempt. */
export interface OutboxDeps extends Sender {
  readonly log: Log;
  /** Where deliveries lie until they have arrived; made when there is none. */
  readonly folder: string;
  /** 0 to 1, for the jitter of the waits. */
  readonly random: () => number;
  /** What may lie in the folder, in bytes; default 1 GiB. */
  readonly maxBytes?: number | undefined;
  /** False: what others have left in the folder is for somebody else to deliver; default true. */
  readonly adopts?: boolean | undefined;
  /** For metrics. */
  readonly count?: ((outcome: DeliveryOutcome) => void) | undefined;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const LONGEST_WAIT_MS = 2 * HOUR_MS;
/** Waits after the first, second, … attempt that failed; the last one for all that come after. */
export const BACK_OFF_MS = [
  5000,
  30_000,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  LONGEST_WAIT_MS,
] as const;
/** Waits are longer or shorter by so much of themselves, so that what failed together is not tried together. */
const JITTER = 0.1;
/** How long somebody else's service may be down. */
export const GIVE_UP_MS = 72 * HOUR_MS;
/** A service that nobody misses for days must not take the disk from everything else. */
const MAX_BYTES = 1024 * 1024 * 1024;
/** Beside its body a file has some keys, and the file system has its blocks. */
const FILE_BYTES = 4096;
/** How often the folder is looked at for what other processes have left. */
const SCAN_MS = MINUTE_MS;

/** What became of a delivery in one attempt. */
interface Settled {
  readonly news: HostNews;
  /** It waits for its next turn. */
  readonly waits: boolean;
  readonly outcome: DeliveryOutcome | undefined;
}

/** Nothing to send, or nothing sent; what is on the disk is found again by the next look at it. */
const NOTHING: Settled = { news: { type: 'nothing' }, waits: false, outcome: undefined };

/**
 * Delivers webhooks at least once: what it has accepted lies on the disk until the receiver has taken it, across
 * restarts and crashes, and is tried for three days. Several processes may share a folder.
 */
export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #shelf: OutboxShelf;
  readonly #queue = new OutboxQueue();
  readonly #jobs = new Map<string, Job>();
  /** Being stored, by id: resolve when that is over. */
  readonly #storing = new Map<string, Promise<void>>();
  readonly #working = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();
  #cancelPump: Cancel | undefined;
  #cancelScan: Cancel | undefined;
  #scanning: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
    this.#shelf = new OutboxShelf({
      ...deps,
      limits: { longestWaitMs: LONGEST_WAIT_MS * (1 + JITTER), giveUpMs: GIVE_UP_MS },
    });
  }

  /** Deliveries that this process knows of and that have not arrived. */
  get pending(): number {
    return this.#jobs.size;
  }

  /** Takes up what earlier processes have left. Never rejects: with a folder that cannot be used it works from memory. */
  async start(): Promise<void> {
    await this.#shelf.prepare();
    await this.#scan();
  }

  /**
   * Accepts a delivery. True once it lies on the disk; false when the disk did not take it, and it is tried from memory
   * as long as this process lives, or there is no room for it at all. An id that waits already is accepted once.
   * Rejects with BAD_INPUT only.
   */
  async add(delivery: Delivery): Promise<boolean> {
    const { id, url, body, holdMs = 0 } = delivery;
    if (!DELIVERY_ID.test(id)) {
      throw new BridgeError(
        'BAD_INPUT',
        `the id of a delivery: found ${id.length} characters, wanted 1 to 100 letters, digits, _ or -`,
      );
    }
    const known = this.#jobs.get(id);
    if (known !== undefined) {
      await this.#storing.get(id);
      return known.stored;
    }
    const bytes = Buffer.byteLength(body);
    if (!this.#hasRoom(id, bytes)) return false;
    const now = this.#now();
    const createdAt = this.#deps.clock.epoch();
    const due = { dueAt: now + Math.max(0, holdMs), giveUpAt: now + GIVE_UP_MS, held: holdMs > 0 };
    const state = {
      bytes,
      attempts: 0,
      unreachable: false,
      lastFailure: null,
      stored: false,
      body: undefined,
    };
    const job: Job = { id, url, host: hostOf(url), createdAt, ...due, ...state };
    this.#jobs.set(id, job);
    await this.#store(job, body);
    return job.stored;
  }

  #hasRoom(id: string, bytes: number): boolean {
    const { maxBytes = MAX_BYTES, log, count } = this.#deps;
    let used = bytes + FILE_BYTES;
    for (const job of this.#jobs.values()) used += job.bytes + FILE_BYTES;
    if (used <= maxBytes) return true;
    log.error({ id, deliveries: this.#jobs.size, maxBytes }, 'the outbox is full: a webhook is lost');
    count?.('failed');
    return false;
  }

  /** Exchanges what is sent, and sends it now. False: it is not held any more, and nothing was exchanged. */
  async amend(id: string, body: string): Promise<boolean> {
    await this.#storing.get(id);
    const job = this.#jobs.get(id);
    if (job === undefined || !job.held || !this.#queue.remove(job)) return false;
    job.held = false;
    job.dueAt = this.#now();
    await this.#store(job, body);
    return true;
  }

  /**
   * Makes no further attempts at what has failed before, tries what was not tried yet, and waits for that for `graceMs`
   * at most. Then whatever runs is broken off. What has not arrived stays on the disk. Never rejects.
   */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    this.#cancelScan?.();
    await settleWithin(this.#deps.clock, graceMs, [this.#tryTheRest()]);
    this.#stop.abort(new BridgeError('CANCELLED', 'the outbox is closed'));
    this.#cancelPump?.();
    await this.#idle();
    const lost = [...this.#jobs.values()].filter((job) => !job.stored).length;
    if (lost > 0) this.#deps.log.error({ deliveries: lost }, 'webhooks are lost with the process');
  }

  async #tryTheRest(): Promise<void> {
    await Promise.allSettled([...this.#storing.values(), this.#scanning]);
    for (const job of this.#queue.waiting()) {
      this.#queue.remove(job);
      if (job.attempts > 0 && job.stored) continue;
      job.held = false;
      job.dueAt = this.#now();
      this.#queue.push(job);
    }
    this.#pump();
    await this.#idle();
  }

  async #idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.allSettled(this.#working);
  }

  /** Not the time of day, which somebody may set. */
  #now(): number {
    return this.#deps.clock.now();
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#deps.log.error({ err: error }, 'the outbox itself failed'))
      .finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }

  /** Keeps a delivery, then has it wait for its turn. Never rejects. */
  #store(job: Job, body: string): Promise<void> {
    const work = this.#shelf.keep(job, body).then((kept) => {
      this.#storing.delete(job.id);
      if (!kept) {
        this.#jobs.delete(job.id);
        this.#deps.count?.('failed');
        return;
      }
      this.#queue.push(job);
      this.#pump();
    });
    this.#storing.set(job.id, work);
    this.#track(work);
    return work;
  }

  /** Starts whatever may run now, and comes back for the next. */
  #pump(): void {
    this.#cancelPump?.();
    this.#cancelPump = undefined;
    if (this.#stop.signal.aborted) return;
    for (let job = this.#queue.take(this.#now()); job !== undefined; job = this.#queue.take(this.#now())) {
      this.#track(this.#run(job));
    }
    const at = this.#queue.nextAt();
    if (at === undefined || this.#closing !== undefined) return;
    this.#cancelPump = this.#deps.clock.after(Math.min(LONGEST_TIMER_MS, Math.max(0, at - this.#now())), () =>
      this.#pump(),
    );
  }

  async #run(job: Job): Promise<void> {
    const settled = await this.#deliver(job).catch((error: unknown) => {
      this.#deps.log.error({ err: error, id: job.id }, 'a webhook cannot be read from the disk');
      return NOTHING;
    });
    this.#queue.done(job, settled.news, this.#now());
    if (!settled.waits) this.#forget(job);
    else if (this.#closing === undefined) this.#queue.push(job);
    this.#pump();
    if (settled.outcome !== undefined) this.#deps.count?.(settled.outcome);
  }

  #forget(job: Job): void {
    this.#shelf.forget(job);
    this.#jobs.delete(job.id);
  }

  async #deliver(job: Job): Promise<Settled> {
    const opening = await this.#shelf.open(job);
    if (opening.type !== 'opened') return { ...NOTHING, waits: opening.type === 'later' };
    const { id, url } = job;
    const attempt = await sendOnce(this.#deps, { id, url, body: opening.body }, this.#stop.signal);
    switch (attempt.type) {
      case 'delivered':
        this.#deps.log.info({ id, host: job.host, attempts: job.attempts + 1 }, 'a webhook was delivered');
        await this.#shelf.delivered(job, opening);
        return { news: { type: 'well' }, waits: false, outcome: 'delivered' };
      case 'unwanted':
        return await this.#giveUp(job, opening, attempt.error, { type: 'nothing' });
      case 'cancelled':
        await this.#shelf.release(job, opening.claim);
        return { ...NOTHING, waits: true };
      case 'failed':
        return await this.#failed(job, opening, attempt);
    }
  }

  async #failed(
    job: Job,
    opened: Opened,
    { error, unreachable, retryAfterMs }: Extract<Attempt, { type: 'failed' }>,
  ): Promise<Settled> {
    const now = this.#now();
    const restMs = Math.min(retryAfterMs ?? 0, LONGEST_WAIT_MS);
    const news: HostNews = unreachable ? { type: 'unreachable', restMs } : { type: 'failed' };
    const leftMs = job.giveUpAt - now;
    if (leftMs <= 0) return await this.#giveUp(job, opened, error, news);
    const waitMs = Math.min(leftMs, Math.max(restMs, this.#backOff(job.attempts)));
    job.attempts += 1;
    job.held = false;
    job.dueAt = now + waitMs;
    job.unreachable = unreachable;
    job.lastFailure = error.message;
    const { id, host, attempts } = job;
    this.#deps.log.warn({ err: error, id, host, attempts, waitMs: Math.round(waitMs) }, 'a webhook failed');
    await this.#shelf.again(job, opened);
    return { news, waits: true, outcome: 'retried' };
  }

  async #giveUp(job: Job, opened: Opened, error: BridgeError, news: HostNews): Promise<Settled> {
    job.attempts += 1;
    job.lastFailure = error.message;
    const { id, host, attempts } = job;
    this.#deps.log.error({ err: error, id, host, attempts }, 'a webhook was given up');
    await this.#shelf.giveUp(job, opened);
    return { news, waits: false, outcome: 'failed' };
  }

  #backOff(attempts: number): number {
    const ms = BACK_OFF_MS[attempts] ?? LONGEST_WAIT_MS;
    return ms * (1 - JITTER + 2 * JITTER * this.#deps.random());
  }

  /** Looks at the folder now, and every minute from then on. Never rejects. */
  async #scan(): Promise<void> {
    const look = this.#look();
    this.#scanning = look;
    this.#track(look);
    await look;
    this.#scanning = undefined;
    if (this.#closing !== undefined) return;
    this.#cancelScan = this.#deps.clock.after(SCAN_MS, () => void this.#scan());
  }

  async #look(): Promise<void> {
    const left = this.#deps.adopts === false ? [] : await this.#shelf.look();
    for (const id of left) {
      if (this.#closing !== undefined) return;
      if (!this.#jobs.has(id)) await this.#adopt(id);
    }
    await this.#storeAgain();
  }

  async #adopt(id: string): Promise<void> {
    const job = await this.#shelf.adopt(id).catch((error: unknown) => {
      this.#deps.log.error({ err: error, id }, 'a file of the outbox cannot be read or moved');
      return undefined;
    });
    // Meanwhile it may have been added here.
    if (job === undefined || this.#jobs.has(id)) return;
    this.#jobs.set(id, job);
    if (job.unreachable) this.#queue.doubt(job.host);
    this.#queue.push(job);
    this.#pump();
  }

  /** What the disk had no room for may fit by now. */
  async #storeAgain(): Promise<void> {
    for (const job of this.#queue.waiting()) {
      const { body } = job;
      if (body === undefined || !this.#queue.remove(job)) continue;
      await this.#store(job, body);
      if (!job.stored) return;
    }
  }
}
