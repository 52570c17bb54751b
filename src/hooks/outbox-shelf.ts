import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import { type Claim, OutboxFiles, type StoredDelivery } from './outbox-files.ts';
import type { Job } from './outbox-queue.ts';
import { hostOf } from './post-hook.ts';

/** What an attempt works on. `claim` undefined: no file stands for it. */
export interface Opened {
  readonly type: 'opened';
  readonly claim: Claim | undefined;
  readonly body: string;
}

/** `gone`: somebody else has it or has delivered it. `later`: somebody else has tried; the job says when it is due. */
export type Opening = Opened | { readonly type: 'gone' | 'later' };

/** Of whatever a file says: the wall clock may have been set since it was written. */
interface Limits {
  readonly longestWaitMs: number;
  /** From when it was accepted. */
  readonly giveUpMs: number;
}

/** What was given up holds what callers said: it is not kept for ever. */
const KEEP_FAILED_MS = 30 * 24 * 3_600_000;
const CLEAR_EVERY_MS = 3_600_000;
/** By so much the two clocks may have gone apart between two looks. */
const STEADY_MS = 60_000;

/** What is kept in memory when the disk takes nothing, in characters. */
const MAX_MEMORY_CHARS = 32 * 1024 * 1024;

/** Keeps deliveries: on the disk, and in memory what the disk does not take. Whatever fails here is logged. */
export class OutboxShelf {
  readonly #files: OutboxFiles;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limits: Limits;
  /** Done with, and their file could not be moved: whether it was delivered. */
  readonly #leftOver = new Map<string, boolean>();
  #memoryChars = 0;
  /** When `failed/` was looked through, by both clocks. */
  #cleared: { readonly now: number; readonly epoch: number } | undefined;

  constructor(deps: {
    readonly folder: string;
    readonly clock: Clock;
    readonly log: Log;
    readonly limits: Limits;
  }) {
    this.#files = new OutboxFiles(deps.folder, deps.clock);
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#limits = deps.limits;
  }

  /** Never rejects. */
  async prepare(): Promise<void> {
    try {
      await this.#files.prepare();
    } catch (error) {
      this.#log.error({ err: error }, 'the folder of the outbox cannot be used');
    }
  }

  /** False: neither disk nor memory took it. Never rejects. */
  async keep(job: Job, body: string): Promise<boolean> {
    this.forget(job);
    job.bytes = Buffer.byteLength(body);
    try {
      await this.#files.save(this.#storedOf(job, body));
      job.stored = true;
      return true;
    } catch (error) {
      this.#log.error({ err: error, id: job.id }, 'a webhook could not be stored and is tried from memory');
    }
    if (this.#remember(job, body)) return true;
    this.#log.error({ id: job.id }, 'neither disk nor memory has room for a webhook');
    return job.stored;
  }

  #remember(job: Job, body: string): boolean {
    this.forget(job);
    if (this.#memoryChars + body.length > MAX_MEMORY_CHARS) return false;
    this.#memoryChars += body.length;
    job.body = body;
    return true;
  }

  /** Gives back the memory that it takes. */
  forget(job: Job): void {
    this.#memoryChars -= job.body?.length ?? 0;
    job.body = undefined;
  }

  /** Takes it for this process alone. Rejects when the disk fails. */
  async open(job: Job): Promise<Opening> {
    if (!job.stored) return { type: 'opened', claim: undefined, body: job.body ?? '' };
    const claim = await this.#claim(job);
    if (claim === 'none') return { type: 'gone' };
    if (claim === undefined && job.body !== undefined) return { type: 'opened', claim, body: job.body };
    const file = await this.#files.read(job.id, claim);
    if (file === 'corrupt') await this.#setAside(job.id, claim);
    if (file === undefined || file === 'corrupt') return { type: 'gone' };
    if (file.attempts > job.attempts && file.nextAt > this.#clock.epoch()) {
      if (claim !== undefined) await this.#files.release(claim);
      this.#takeState(job, file);
      return { type: 'later' };
    }
    job.attempts = Math.max(job.attempts, file.attempts);
    return { type: 'opened', claim, body: job.body ?? file.body };
  }

  /** It has arrived. Never rejects. */
  async delivered(job: Job, { claim }: Opened): Promise<void> {
    this.forget(job);
    if (!job.stored) return;
    try {
      if (claim === undefined) await this.#files.remove(job.id);
      else await this.#files.drop(claim);
    } catch (error) {
      this.#leftOver.set(job.id, true);
      this.#log.error(
        { err: error, id: job.id },
        'a delivered webhook cannot be removed from the disk: the next process may deliver it again',
      );
    }
  }

  /** It waits for another attempt. Never rejects. */
  async again(job: Job, { claim, body }: Opened): Promise<void> {
    try {
      await this.#files.save(this.#storedOf(job, body));
      this.forget(job);
      job.stored = true;
      if (claim !== undefined) await this.#files.drop(claim);
    } catch (error) {
      // What the file said before counts then, if there still is one: it may be tried once too often.
      this.#log.error({ err: error, id: job.id }, 'the state of a webhook could not be stored');
      this.#remember(job, body);
      await this.release(job, claim);
    }
  }

  /** Nobody will try it again; it stays for people to look at. Never rejects. */
  async giveUp(job: Job, { claim, body }: Opened): Promise<void> {
    this.forget(job);
    try {
      await this.#files.fail(this.#storedOf(job, body));
      if (claim !== undefined) await this.#files.drop(claim);
      else if (job.stored) await this.#files.remove(job.id);
    } catch (error) {
      this.#leftOver.set(job.id, false);
      this.#log.error(
        { err: error, id: job.id },
        'a webhook that was given up could not be put into failed/',
      );
      await this.release(job, claim);
    }
  }

  /** It waits as it was before it was opened. Never rejects: a claim that stays is taken for given up after a while. */
  async release(job: Job, claim: Claim | undefined): Promise<void> {
    if (claim === undefined) return;
    await this.#files.release(claim).catch((error: unknown) => {
      this.#log.error({ err: error, id: job.id }, 'a webhook could not be put back');
    });
  }

  /** Ids of all that wait on the disk. Never rejects. */
  async look(): Promise<readonly string[]> {
    try {
      await this.#clearFailed();
      return await this.#scan();
    } catch (error) {
      this.#log.error({ err: error }, 'the folder of the outbox cannot be read');
      return [];
    }
  }

  /** Nothing is removed where the wall clock was set since the last look: it may be wrong, and put right again. */
  async #clearFailed(): Promise<void> {
    const [now, epoch, last] = [this.#clock.now(), this.#clock.epoch(), this.#cleared];
    if (last !== undefined && now - last.now < CLEAR_EVERY_MS) return;
    this.#cleared = { now, epoch };
    if (last === undefined || Math.abs(epoch - last.epoch - (now - last.now)) > STEADY_MS) return;
    try {
      const removed = await this.#files.clearFailed(epoch - KEEP_FAILED_MS);
      if (removed > 0)
        this.#log.info({ files: removed }, 'webhooks that were given up long ago were removed');
    } catch (error) {
      this.#log.error({ err: error }, 'webhooks that were given up long ago could not be removed');
    }
  }

  async #scan(): Promise<readonly string[]> {
    const { ids, reclaimed, stuck } = await this.#files.scan();
    if (stuck > 0) this.#log.error({ files: stuck }, 'webhooks that a process had left cannot be taken up');
    if (reclaimed > 0)
      this.#log.warn({ deliveries: reclaimed }, 'webhooks are taken up that a process had left');
    return ids;
  }

  /** A file that this process has not written: an earlier one has, or another that shares the folder. */
  async adopt(id: string): Promise<Job | undefined> {
    const delivered = this.#leftOver.get(id);
    if (delivered !== undefined) {
      await (delivered ? this.#files.remove(id) : this.#files.setAside(id, 'given-up'));
      this.#leftOver.delete(id);
      return undefined;
    }
    const file = await this.#files.read(id);
    if (file === 'corrupt') await this.#setAside(id);
    if (file === undefined || file === 'corrupt') return undefined;
    const { url, createdAt } = file;
    const bytes = Buffer.byteLength(file.body);
    const giveUpAt = this.#fromEpoch(createdAt + this.#limits.giveUpMs, this.#limits.giveUpMs);
    const known = { id, url, host: hostOf(url), createdAt, giveUpAt, bytes, stored: true, body: undefined };
    const job: Job = { ...known, attempts: 0, dueAt: 0, held: false, unreachable: false, lastFailure: null };
    this.#takeState(job, file);
    return job;
  }

  /** `none`: somebody else has it. Undefined: the disk lets nobody have it, so that it is sent without. */
  async #claim(job: Job): Promise<Claim | undefined | 'none'> {
    try {
      return (await this.#files.claim(job.id)) ?? 'none';
    } catch (error) {
      this.#log.error({ err: error, id: job.id }, 'a webhook could not be claimed and is sent all the same');
      return undefined;
    }
  }

  async #setAside(id: string, claim?: Claim): Promise<void> {
    this.#log.error({ id }, 'a file of the outbox cannot be read and was put into failed/');
    await this.#files.setAside(id, 'corrupt', claim);
  }

  #takeState(job: Job, { attempts, nextAt, held, unreachable, lastFailure }: StoredDelivery): void {
    job.attempts = attempts;
    job.dueAt = this.#fromEpoch(nextAt, this.#limits.longestWaitMs);
    job.held = held;
    job.unreachable = unreachable;
    job.lastFailure = lastFailure;
  }

  /** The `Clock.now()` of a time of a file, at most so far ahead. */
  #fromEpoch(at: number, mostMs: number): number {
    return this.#clock.now() + Math.min(at - this.#clock.epoch(), mostMs);
  }

  #storedOf(job: Job, body: string): StoredDelivery {
    const { id, url, createdAt, attempts, dueAt, held, unreachable, lastFailure } = job;
    const nextAt = this.#clock.epoch() + dueAt - this.#clock.now();
    return { id, url, body, createdAt, attempts, nextAt, held, unreachable, lastFailure };
  }
}
