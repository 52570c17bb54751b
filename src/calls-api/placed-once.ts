import { createHash } from 'node:crypto';
import type { CallRecord, CallView } from '../call-records.ts';
import type { Clock } from '../clock.ts';
import { BridgeError, type ErrorCode } from '../errors.ts';

/** The call of an order; `repeated`: it had been placed before. `other-order`: the key belongs to another order. */
export type PlacedResult =
  | { readonly status: 'placed'; readonly view: CallView; readonly repeated: boolean }
  | { readonly status: 'other-order' };

interface Entry {
  readonly fingerprint: string;
  readonly at: number;
  readonly placed: Promise<Placed>;
}

const KEEP_MS = 86_400_000;
const MAX_KEYS = 10_000;
/** Nobody's telephone has rung when an order came to this: the same key may try again. */
const NOT_PLACED: readonly ErrorCode[] = ['BAD_INPUT', 'OVER_CAPACITY', 'CARRIER_REFUSED'];

/** Orders by their `Idempotency-Key`: the same one made twice is one call, also while the first is under way. */
export class PlacedOnce {
  readonly #clock: Clock;
  /** In the order of their first request. */
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#entries.size;
  }

  /** Places the order, unless it was. Rejects with what placing rejected with, now or the first time. */
  async place(key: string, order: unknown, place: () => Promise<CallRecord>): Promise<PlacedResult> {
    this.#forgetOld();
    const fingerprint = fingerprintOf(order);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) return { status: 'other-order' };
      return { status: 'placed', view: (await known.placed).view, repeated: true };
    }
    this.#makeRoom();
    const placed = place().then((record) => new Placed(record));
    const entry = { fingerprint, at: this.#clock.now(), placed };
    this.#entries.set(key, entry);
    try {
      return { status: 'placed', view: (await placed).view, repeated: false };
    } catch (thrown) {
      const surelyNot = thrown instanceof BridgeError && NOT_PLACED.includes(thrown.code);
      if (surelyNot && this.#entries.get(key) === entry) this.#entries.delete(key);
      throw thrown;
    }
  }

  #forgetOld(): void {
    const limit = this.#clock.now() - KEEP_MS;
    for (const [key, { at }] of this.#entries) {
      if (at > limit) break;
      this.#entries.delete(key);
    }
  }

  #makeRoom(): void {
    const [oldest] = this.#entries.keys();
    if (this.#entries.size >= MAX_KEYS && oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** A call that was placed; when it is over only what is told of it is kept, without all its events. */
class Placed {
  #record: CallRecord | undefined;
  #last: CallView;

  constructor(record: CallRecord) {
    this.#record = record;
    this.#last = record.view;
    record.follow(Number.POSITIVE_INFINITY, (event) => {
      if (event === undefined) this.#release();
    });
  }

  get view(): CallView {
    return this.#record?.view ?? this.#last;
  }

  #release(): void {
    this.#last = this.view;
    this.#record = undefined;
  }
}

/** Orders hold numbers and words, which are not kept for a day only to compare them. */
function fingerprintOf(order: unknown): string {
  return createHash('sha256').update(JSON.stringify(order)).digest('base64');
}
