import { BridgeError } from '../../errors.ts';
import type { JsonObject } from './json.ts';

/** One event as it stands on the wire; a protocol without a `type` of its own is given one for the log. */
export type TypedEvent = { readonly type: string } & JsonObject;

/** An event that came in or went out; audio is left out. */
export interface LoggedEvent {
  readonly direction: 'received' | 'sent';
  /** Milliseconds since the connection was opened. */
  readonly atMs: number;
  readonly event: TypedEvent;
}

interface Remembered {
  readonly logged: LoggedEvent;
  taken: boolean;
}

interface Waiter {
  readonly type: string;
  readonly accept: (event: TypedEvent) => boolean;
  readonly resolve: (logged: LoggedEvent) => void;
  readonly reject: (error: BridgeError) => void;
}

/** The last events of one connection, and those who wait for one. */
export class EventLog {
  readonly #limit: number;
  readonly #remembered: Remembered[] = [];
  readonly #waiters: Waiter[] = [];
  #closed: string | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  list(direction: LoggedEvent['direction']): readonly LoggedEvent[] {
    return this.#remembered.map(({ logged }) => logged).filter((logged) => logged.direction === direction);
  }

  /** `remember`: false for what comes too often; only those who wait already are told. */
  add(logged: LoggedEvent, remember: boolean): void {
    const at = this.#waiters.findIndex(
      ({ type, accept }) => type === logged.event.type && accept(logged.event),
    );
    const waiter = at === -1 ? undefined : this.#waiters.splice(at, 1)[0];
    if (remember) this.#remember({ logged, taken: waiter !== undefined });
    waiter?.resolve(logged);
  }

  #remember(entry: Remembered): void {
    this.#remembered.push(entry);
    // In batches, for taking the first of a long list away costs as much as taking many.
    if (this.#remembered.length > this.#limit * 1.25) {
      this.#remembered.splice(0, this.#remembered.length - this.#limit);
    }
  }

  next(type: string, accept: (event: TypedEvent) => boolean): Promise<LoggedEvent> {
    const past = this.#remembered.find(
      (entry) => !entry.taken && entry.logged.event.type === type && accept(entry.logged.event),
    );
    if (past !== undefined) {
      past.taken = true;
      return Promise.resolve(past.logged);
    }
    const { promise, resolve, reject } = withResolvers<LoggedEvent>();
    // A test may close the connection before it awaits; that alone is no failure.
    promise.catch(() => {});
    if (this.#closed === undefined) this.#waiters.push({ type, accept, resolve, reject });
    else reject(gone(type, this.#closed));
    return promise;
  }

  /** Those who still wait are told how the connection ended. */
  close(how: string): void {
    this.#closed = how;
    for (const { type, reject } of this.#waiters.splice(0)) reject(gone(type, how));
  }
}

function gone(type: string, how: string): BridgeError {
  return new BridgeError('CANCELLED', `no '${type}' came before the connection ended (${how})`);
}

/** Promise.withResolvers, which Node 20 does not have. */
export function withResolvers<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
} {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
