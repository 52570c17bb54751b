import { randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Cancel, Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import { isMissing } from '../file-errors.ts';
import type { Log } from '../log.ts';
import { type Random, systemRandom } from '../random.ts';
import { settleWithin } from '../settle.ts';
import { makeFolder, tryToWrite } from '../writable-folder.ts';
import { adopt } from './adopt.ts';
import { DiskSink, type StopReason, type WaitingLimit } from './disk-sink.ts';
import { inTurns, type RecordingFiles, systemFiles, type Turns, turns } from './files.ts';
import type { CallFile } from './format.ts';
import { nameOfPartial, newRecordingName } from './names.ts';
import { HEARTBEAT_MS, isAbandoned, newOwner, type Owner, ownerText } from './owner.ts';
import { folderBytes, type Removal, Retention, type RetentionRules } from './retention.ts';
import type { CallSink } from './sink.ts';

/** What becomes of recordings, for those who count. Called synchronously. */
export interface RecordingNews {
  /** `name`: of its folder, once it is complete. */
  begun?(name: string): void;
  /** So many bytes more are on disk. */
  wrote?(bytes: number): void;
  /** `why`: undefined for one that is complete. `kept`: it is there under its name. */
  over?(why: StopReason | undefined, kept: boolean, name: string): void;
  /** Recordings of processes that have died were finished. */
  recovered?(count: number): void;
  removed?(removal: Removal): void;
}

export interface RecordingStoreOptions {
  /** RECORDINGS_DIR; it is made when there is none. */
  readonly folder: string;
  readonly rules: RetentionRules;
  /** Recordings end, and none begins, when less is free on the disk, in bytes. */
  readonly minFreeBytes: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly news?: RecordingNews | undefined;
  /** Default: that of the system. Of names only: ids of calls have their own. */
  readonly random?: Random | undefined;
  /** Default: the file system. */
  readonly files?: RecordingFiles | undefined;
}

/** How often the space on the disk is looked at while anything is recorded. */
const SPACE_MS = 5_000;
/** How often recordings are removed that are too old or too many, while there are any. */
const TIDY_MS = 2 * 60_000;
/** What all recordings together may keep in memory while the disk is slow. */
const MOST_WAITING_BYTES = 128 * 1024 * 1024;
/** Of the four threads that Node has for files and for the names of hosts. */
const FILES_AT_ONCE = 3;
const CLOSE_MS = 5_000;

/**
 * The recordings folder of a service. Several processes may share it. Recordings begin and end without waiting; what is
 * wrong with the disk is logged, and no call notices it.
 */
export class RecordingStore {
  readonly #options: RecordingStoreOptions;
  readonly #folder: string;
  readonly #turns: Turns = turns(FILES_AT_ONCE);
  readonly #files: RecordingFiles;
  readonly #random: Random;
  readonly #owner: Owner = newOwner(randomUUID());
  readonly #limit: WaitingLimit = { waiting: 0, most: MOST_WAITING_BYTES };
  readonly #retention = new Retention();
  readonly #running = new Set<DiskSink>();
  /** Recordings of processes that have died, and which cannot be finished: that is said once. */
  readonly #hopeless = new Set<string>();
  #heardAt: number;
  #isChecking = false;
  #spaceTimer: Cancel | undefined;
  #tidyTimer: Cancel | undefined;
  #tidying: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: RecordingStoreOptions) {
    this.#options = options;
    this.#folder = resolve(options.folder);
    this.#files = inTurns(options.files ?? systemFiles, this.#turns);
    this.#random = options.random ?? systemRandom;
    this.#heardAt = options.clock.now();
  }

  /** Tries whether the folder can be written, and begins to tidy it. Rejects with BAD_CONFIG when it cannot. */
  static async open(options: RecordingStoreOptions): Promise<RecordingStore> {
    await prepare(resolve(options.folder));
    const store = new RecordingStore(options);
    store.#tidy();
    return store;
  }

  /** Recordings under way. */
  get running(): number {
    return this.#running.size;
  }

  /** Begins to record a call; undefined: the store is closed. Trouble of the disk is logged, and ends the recording. */
  begin(call: CallFile): CallSink | undefined {
    if (this.#closing !== undefined) return undefined;
    const { clock, log, news } = this.#options;
    const name = newRecordingName(clock.epoch(), this.#random);
    const sink: DiskSink = new DiskSink({
      parent: this.#folder,
      name,
      owner: ownerText(this.#owner),
      call,
      clock,
      log,
      files: this.#files,
      limit: this.#limit,
      refused: () => this.#refused(),
      wrote: (bytes) => news?.wrote?.(bytes),
      over: (why, kept) => {
        this.#running.delete(sink);
        this.#watch();
        news?.over?.(why, kept, name);
      },
    });
    this.#running.add(sink);
    news?.begun?.(name);
    this.#watch();
    this.#tidyLater();
    return sink;
  }

  /** Resolves when the tidying that is under way is done. */
  async settled(): Promise<void> {
    await this.#tidying;
  }

  /** Ends recordings that are under way. Idempotent; resolves within 5 s, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#tidyTimer?.();
    const ends = [...this.#running].map((sink) => sink.stop('shutdown'));
    await settleWithin(this.#options.clock, CLOSE_MS, [...ends, this.settled()]);
    this.#spaceTimer?.();
    this.#tidyTimer?.();
  }

  async #refused(): Promise<StopReason | undefined> {
    const free = await this.#free();
    return free < this.#options.minFreeBytes ? 'disk-full' : undefined;
  }

  /** Somebody may have removed the folder: what was in it is gone, and what is recorded from now on need not be. */
  async #free(): Promise<number> {
    try {
      return await this.#files.freeBytes(this.#folder);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await makeFolder(this.#folder);
      return await this.#files.freeBytes(this.#folder);
    }
  }

  /** Looks at the disk now and then, as long as anything is recorded. */
  #watch(): void {
    if (this.#running.size > 0) {
      this.#spaceTimer ??= this.#options.clock.after(SPACE_MS, () => {
        this.#spaceTimer = undefined;
        this.#check();
        this.#watch();
      });
      return;
    }
    this.#spaceTimer?.();
    this.#spaceTimer = undefined;
  }

  #check(): void {
    // A disk that hangs is not asked twice.
    if (this.#isChecking) return;
    this.#isChecking = true;
    void this.#checkNow().finally(() => {
      this.#isChecking = false;
    });
  }

  async #checkNow(): Promise<void> {
    // A disk that cannot say how full it is shows it when it is written to.
    const why = await this.#refused().catch(() => undefined);
    if (why !== undefined) for (const sink of this.#running) void sink.stop(why);
    const now = this.#options.clock.now();
    if (now - this.#heardAt < HEARTBEAT_MS) return;
    this.#heardAt = now;
    for (const sink of this.#running) await sink.touch();
  }

  #tidyLater(): void {
    if (this.#closing !== undefined || this.#tidying !== undefined) return;
    this.#tidyTimer ??= this.#options.clock.after(TIDY_MS, () => this.#tidy());
  }

  #tidy(): void {
    this.#tidyTimer?.();
    this.#tidyTimer = undefined;
    // One thing after the other, so that it takes one turn.
    this.#tidying ??= this.#turns(() => this.#tidyNow())
      .catch((error: unknown) => this.#trouble(error))
      .then((isWorth) => {
        this.#tidying = undefined;
        if (isWorth !== false) this.#tidyLater();
      });
  }

  #trouble(error: unknown): void {
    this.#options.log.error({ err: error }, 'the recordings folder cannot be tidied');
  }

  /** Whether there is anything that will have to be tidied. */
  async #tidyNow(): Promise<boolean> {
    const growing = await this.#recover();
    const { rules, clock, news } = this.#options;
    const left = await this.#retention.run({
      folder: this.#folder,
      rules,
      epochMs: clock.epoch(),
      random: this.#random,
      growing: growing.bytes,
      removed: (removal) => news?.removed?.(removal),
      trouble: (error) => this.#trouble(error),
    });
    const hasRules = rules.maxAgeMs !== undefined || rules.maxBytes !== undefined;
    return growing.count > 0 || (hasRules && left > 0);
  }

  /** Finishes what processes that are gone have left; tells what is being written. */
  async #recover(): Promise<{ readonly count: number; readonly bytes: number }> {
    const entries = await readdir(this.#folder, { withFileTypes: true });
    const growing = { count: 0, bytes: 0 };
    let recovered = 0;
    for (const entry of entries) {
      const name = nameOfPartial(entry.name);
      // A link has a type of its own, and is none of ours.
      if (name === undefined || !entry.isDirectory()) continue;
      if (await this.#recoverOne(entry.name, name)) recovered += 1;
      else {
        growing.count += 1;
        growing.bytes += await folderBytes(join(this.#folder, entry.name)).catch(() => 0);
      }
    }
    if (recovered > 0) {
      this.#options.log.warn(
        { recordings: recovered },
        'recordings of a process that has died were finished',
      );
      this.#options.news?.recovered?.(recovered);
    }
    return growing;
  }

  async #recoverOne(partial: string, name: string): Promise<boolean> {
    const epochMs = this.#options.clock.epoch();
    // Its folder may be there before it can be seen whose it is.
    if (this.#hopeless.has(name) || [...this.#running].some((sink) => sink.name === name)) return false;
    try {
      if (!(await isAbandoned(join(this.#folder, partial), this.#owner, epochMs))) return false;
      const random = this.#random;
      const done = await adopt({ parent: this.#folder, partial, name, own: this.#owner, epochMs, random });
      return done === 'finished';
    } catch (error) {
      // Another process has finished it meanwhile.
      if (isMissing(error)) return false;
      this.#hopeless.add(name);
      this.#trouble(error);
      return false;
    }
  }
}

/** Makes the folder and tries to write. Rejects with BAD_CONFIG. */
async function prepare(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
    if (!(await stat(folder)).isDirectory()) throw new Error('it is no folder');
    await tryToWrite(folder);
  } catch (cause) {
    const message = `RECORDINGS_DIR: found a folder that cannot be written (${String(cause)}), wanted one that can`;
    throw new BridgeError('BAD_CONFIG', message, { cause });
  }
}
