import type { Next, Transfer } from './carrier.ts';
import type { Cancel } from './clock.ts';
import { BridgeError } from './errors.ts';

/** A time in which the media stream is away on purpose, or a transfer is under way beside it. */
export interface Errand {
  readonly kind: 'transfer' | 'digits' | 'codec';
  readonly next: Next;
  /** How long it may take once the carrier was told. */
  readonly limitMs: number;
  /** The carrier has taken the order, or has come to ask. */
  started: boolean;
  /** The carrier was told `next`. */
  told: boolean;
  /** The carrier did not say that it has taken the order, and may have. */
  doubtful: boolean;
  cancel: Cancel;
  cancelEndStream: Cancel;
}

/** From the request to the carrier's question what it shall do, and from its answer to the new stream. */
export const TURNAROUND_MS = 20_000;
/** By then the carrier has ended the stream by itself, or is not going to. */
export const STREAM_GRACE_MS = 1500;
/** A key and the pause after it. */
const MS_PER_DIGIT = 1500;
/** Of an announcement, spoken slowly. */
const MS_PER_CHARACTER = 90;
/** Whoever has heard the announcement has hung up by then, or takes the call. */
const REFUSE_MS = 10_000;
const KEYS = /^[0-9A-Da-d*#wW]{1,64}$/;

/** From the order to dial until somebody has picked up and heard why, or nobody will; in ms. */
export function longestTransfer({ ringS, announce }: Transfer): number {
  return ringS * 1000 + (announce?.length ?? 0) * MS_PER_CHARACTER + TURNAROUND_MS;
}

/** From the moment when the other end has picked up until it has heard the announcement and not refused; in ms. */
export function longestRefusal(announcement: string): number {
  return announcement.length * MS_PER_CHARACTER + REFUSE_MS;
}

/** To press the keys and to come back; in ms. */
export function longestKeys(digits: string): number {
  return TURNAROUND_MS + digits.length * MS_PER_DIGIT;
}

/** Keys as carriers know them. Throws BAD_INPUT for what is none, without showing it. */
export function readKeys(keys: string): string {
  if (KEYS.test(keys)) {
    // The case of a pause says how long it is, that of a key says nothing, and carriers know the capital ones only.
    return keys.replace(/[a-d]/g, (key) => key.toUpperCase());
  }
  throw new BridgeError(
    'BAD_INPUT',
    `the keys are ${keys.length} characters; wanted 1 to 64 of 0-9 A-D # * w W`,
  );
}
