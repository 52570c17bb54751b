import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { hasCode, isMissing } from '../file-errors.ts';

/** One delivery as it lies on the disk. Times are ms since 1970 UTC. The secret that signs it is not among it. */
export interface StoredDelivery {
  readonly id: string;
  readonly url: string;
  readonly body: string;
  readonly createdAt: number;
  /** Attempts that have failed. */
  readonly attempts: number;
  /** Not to be tried before. */
  readonly nextAt: number;
  /** It waits for something that may still be added, and not for another attempt. */
  readonly held: boolean;
  /** The last attempt found nobody there. */
  readonly unreachable: boolean;
  /** What the last attempt failed of, for whoever looks into the folder. */
  readonly lastFailure: string | null;
}

/** A file that nobody else delivers meanwhile. */
export interface Claim {
  readonly id: string;
  readonly path: string;
}

/** What a look into the folder found. */
export interface Scan {
  /** Deliveries that wait. */
  readonly ids: readonly string[];
  /** How many of them were being sent by a process that is gone. */
  readonly reclaimed: number;
  /** Files of such processes that the disk lets nobody move. */
  readonly stuck: number;
}

/** Ids are parts of file names and of what is signed. */
export const DELIVERY_ID = /^[A-Za-z0-9_-]{1,100}$/;

/**
 * How long a claim counts. An attempt takes 15 s at most, so whoever has not let go by then was stopped. By time and
 * not only by process id: in containers that share a folder, every process has the same id.
 */
export const CLAIM_MS = 60_000;

const GIVEN_UP = /^[A-Za-z0-9_-]{1,100}\.(?:delivery|corrupt|given-up)\.json$/;
const WAITING = /^([A-Za-z0-9_-]{1,100})\.delivery\.json$/;
const SENDING = /^([A-Za-z0-9_-]{1,100})\.(\d{1,15})\.([0-9a-f]{8})\.(\d{1,10})\.([0-9a-f]{16})\.sending$/;
const WRITING = /^[A-Za-z0-9_-]{1,100}\.(\d{1,15})\.[0-9a-f]{16}\.writing$/;

const Stored = z.object({
  format: z.literal(1),
  id: z.string().regex(DELIVERY_ID),
  url: z.string(),
  body: z.string(),
  createdAt: z.number(),
  attempts: z.int().min(0),
  nextAt: z.number(),
  held: z.boolean(),
  unreachable: z.boolean(),
  lastFailure: z.string().nullable(),
});

/**
 * The folder of the outbox: `<id>.delivery.json` waits, `<id>.<claimed at>.<machine>.<pid>.<instance>.sending` is being
 * delivered, `<id>.….writing` is not complete yet, in `failed/` is what was given up. Any other file is somebody else's.
 * Several processes may use it at once: a delivery belongs to the one whose rename of its file succeeds.
 */
export class OutboxFiles {
  readonly folder: string;
  readonly #clock: Clock;
  readonly #instance = randomBytes(8).toString('hex');
  readonly #machine = machineTag();

  constructor(folder: string, clock: Clock) {
    this.folder = folder;
    this.#clock = clock;
  }

  /** Makes the folder where there is none, for this user alone. */
  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
  }

  /** When it resolves, the delivery outlives the process and the machine. */
  async save(delivery: StoredDelivery): Promise<void> {
    try {
      await this.#write(delivery, this.#waiting(delivery.id));
    } catch (error) {
      if (!isMissing(error)) throw error;
      await this.prepare();
      await this.#write(delivery, this.#waiting(delivery.id));
    }
  }

  /** Takes a delivery for this process alone; undefined: somebody else has it, or has delivered it. */
  async claim(id: string): Promise<Claim | undefined> {
    const { pid } = process;
    const name = `${id}.${Math.floor(this.#clock.epoch())}.${this.#machine}.${pid}.${this.#instance}.sending`;
    const path = join(this.folder, name);
    try {
      await rename(this.#waiting(id), path);
      return { id, path };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** A delivery, by its claim or, without one, as it waits. Undefined: it is not there; `corrupt`: it cannot be read. */
  async read(id: string, claim?: Claim): Promise<StoredDelivery | 'corrupt' | undefined> {
    let text: string;
    try {
      text = await readFile(claim?.path ?? this.#waiting(id), 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    const read = Stored.safeParse(parseJson(text));
    // A file under the name of another would be sent under the id of that.
    return read.success && read.data.id === id ? read.data : 'corrupt';
  }

  /** It was delivered, or another file has taken its place. */
  async drop(claim: Claim): Promise<void> {
    await removeFile(claim.path);
  }

  /** It waits again, as it was. */
  async release(claim: Claim): Promise<void> {
    await rename(claim.path, this.#waiting(claim.id)).catch((error: unknown) => {
      // Somebody else took it for given up, and has it now.
      if (!isMissing(error)) throw error;
    });
  }

  /** Removes a delivery that waits. */
  async remove(id: string): Promise<void> {
    await removeFile(this.#waiting(id));
  }

  /** It is not tried any more, and kept for people to look at. */
  async fail(delivery: StoredDelivery): Promise<void> {
    await mkdir(this.#failed(), { recursive: true, mode: 0o700 });
    await this.#write(delivery, join(this.#failed(), `${delivery.id}.delivery.json`));
  }

  /** Moves a file as it is to where people find it; `why` becomes part of its name. */
  async setAside(id: string, why: 'corrupt' | 'given-up', claim?: Claim): Promise<void> {
    await mkdir(this.#failed(), { recursive: true, mode: 0o700 });
    const from = claim?.path ?? this.#waiting(id);
    await rename(from, join(this.#failed(), `${id}.${why}.json`)).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }

  /** Removes what was given up before this time (ms since 1970 UTC); gives how many. */
  async clearFailed(before: number): Promise<number> {
    let removed = 0;
    for (const name of await this.#names(this.#failed())) {
      if (!GIVEN_UP.test(name)) continue;
      const path = join(this.#failed(), name);
      const { mtimeMs } = await stat(path);
      if (mtimeMs >= before) continue;
      await removeFile(path);
      removed += 1;
    }
    return removed;
  }

  /** Looks at everything; takes up what processes that are gone have left behind. A folder that is not there is empty. */
  async scan(): Promise<Scan> {
    const names = await this.#names();
    const waiting = new Set(names.flatMap((name) => WAITING.exec(name)?.[1] ?? []));
    let [reclaimed, stuck] = [0, 0];
    for (const name of names) {
      if (this.#isLeftWriting(name)) await this.#tidy(join(this.folder, name));
      const id = this.#leftSending(name);
      if (id === undefined) continue;
      const moved = await this.#takeUp({ id, path: join(this.folder, name) }, waiting.has(id));
      if (moved) waiting.add(id);
      reclaimed += moved ? 1 : 0;
      stuck += moved ? 0 : 1;
    }
    return { ids: [...waiting], reclaimed, stuck };
  }

  async #names(folder = this.folder): Promise<string[]> {
    try {
      return await readdir(folder);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  async #takeUp(claim: Claim, waits: boolean): Promise<boolean> {
    try {
      // The file that waits is the newer one: it was written before the claim was to be dropped.
      if (waits) await this.drop(claim);
      else await this.release(claim);
      return true;
    } catch {
      return false;
    }
  }

  async #write(delivery: StoredDelivery, path: string): Promise<void> {
    const nonce = randomBytes(8).toString('hex');
    const own = join(this.folder, `${delivery.id}.${Math.floor(this.#clock.epoch())}.${nonce}.writing`);
    try {
      const file = await open(own, 'wx', 0o600);
      try {
        await file.writeFile(JSON.stringify({ format: 1, ...delivery }));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(own, path);
    } catch (error) {
      await this.#tidy(own);
      throw error;
    }
    await this.#syncFolder();
  }

  /** Without it a machine that loses its power may forget the name of a file whose contents it has kept. */
  async #syncFolder(): Promise<void> {
    try {
      const folder = await open(this.folder, 'r');
      await folder.sync().finally(() => folder.close());
    } catch {
      // Not every file system can.
    }
  }

  async #tidy(path: string): Promise<void> {
    await unlink(path).catch(() => undefined);
  }

  #isLeftWriting(name: string): boolean {
    const since = WRITING.exec(name)?.[1];
    return since !== undefined && this.#isOld(Number(since));
  }

  /** The id of a delivery whose claim does not count any more. */
  #leftSending(name: string): string | undefined {
    const [, id, since, machine, pid, instance] = SENDING.exec(name) ?? [];
    if (id === undefined) return undefined;
    const gone = machine === this.#machine && instance !== this.#instance && !isAlive(Number(pid));
    return gone || this.#isOld(Number(since)) ? id : undefined;
  }

  /** A time in the future is as good as none: the clock was set back. */
  #isOld(since: number): boolean {
    return Math.abs(this.#clock.epoch() - since) >= CLAIM_MS;
  }

  #waiting(id: string): string {
    return join(this.folder, `${id}.delivery.json`);
  }

  #failed(): string {
    return join(this.folder, 'failed');
  }
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there and belongs to somebody else.
    return hasCode(error, 'EPERM');
  }
}

/** Where process ids mean the same: machine since its start, container, host name. */
function machineTag(): string {
  const parts = [
    hostname(),
    quiet(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    quiet(() => readlinkSync('/proc/self/ns/pid')),
  ];
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 8);
}

function quiet(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
