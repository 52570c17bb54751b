import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { hasCode } from '../file-errors.ts';

/** Which process this is, so that others can see whether it is still there. */
export interface ProcessIdentity {
  /** Where process ids mean the same: machine since its start, container, host name. */
  readonly machine: string;
  readonly pid: number;
  /** When it was started, in ticks of the machine; empty where that is not known. Ids are used again. */
  readonly born: string;
}

export function thisProcess(): ProcessIdentity {
  const parts = [
    hostname(),
    quiet(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    quiet(() => readlinkSync('/proc/self/ns/pid')),
  ];
  const machine = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
  return { machine, pid: process.pid, born: bornOf('self') };
}

/** Whether that process is gone; undefined: it cannot be seen from here, or nobody can say. */
export function isGone(other: ProcessIdentity, own: ProcessIdentity): boolean | undefined {
  if (other.machine !== own.machine) return undefined;
  if (!isThere(other.pid)) return true;
  const born = bornOf(String(other.pid));
  if (born === '' || other.born === '') return undefined;
  return born !== other.born;
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there and belongs to somebody else.
    return hasCode(error, 'EPERM');
  }
}

/** Field 22 of /proc/N/stat; the name in field 2 may hold blanks and brackets. */
function bornOf(pid: string): string {
  const text = quiet(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function quiet(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
