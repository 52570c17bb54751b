import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../is-record.ts';
import { OWNER_FILE } from './call-folder.ts';
import { isGone, type ProcessIdentity, thisProcess } from './process-identity.ts';

/** Who writes a recording. */
export interface Owner extends ProcessIdentity {
  /** Which of the services of that process. */
  readonly service: string;
}

/** An owner that has not been heard of for so long is gone, wherever it was. */
export const STALE_MS = 5 * 60_000;
/** How often an owner tells that it is there. */
export const HEARTBEAT_MS = 60_000;

export function newOwner(service: string): Owner {
  return { ...thisProcess(), service };
}

export function ownerText(owner: Owner): string {
  return `${JSON.stringify(owner)}\n`;
}

/** Whether nobody writes a recording any more that this service does not write. Rejects when the folder is gone. */
export async function isAbandoned(folder: string, own: Owner, epochMs: number): Promise<boolean> {
  const owner = await ownerOf(folder);
  // Written by this service, and given up.
  if (owner?.service === own.service) return true;
  const gone = owner === undefined ? undefined : isGone(owner, own);
  // A process that is seen to be there may be stopped for a while, and on a file system that takes no times.
  if (gone !== undefined) return gone;
  // By time and not only by process id: machines may share a folder. A time in the future is as good as none.
  return Math.abs(epochMs - (await heardOf(folder))) >= STALE_MS;
}

async function heardOf(folder: string): Promise<number> {
  const file = await lstat(join(folder, OWNER_FILE)).catch(() => undefined);
  return (file ?? (await lstat(folder))).mtimeMs;
}

/** Undefined: there is none, or it is not whole. */
async function ownerOf(folder: string): Promise<Owner | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(join(folder, OWNER_FILE), 'utf8'));
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { machine, pid, born, service } = value;
  if (typeof machine !== 'string' || typeof born !== 'string' || typeof service !== 'string')
    return undefined;
  return typeof pid === 'number' && Number.isInteger(pid) && pid > 0
    ? { machine, pid, born, service }
    : undefined;
}
