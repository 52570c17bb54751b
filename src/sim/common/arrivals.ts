import { BridgeError } from '../../errors.ts';
import { withResolvers } from './event-log.ts';

/** The connections that a simulator has accepted, and those who wait for one. */
export class Arrivals<C> {
  readonly list: C[] = [];
  readonly #waiters: ReturnType<typeof withResolvers<C>>[] = [];
  #handedOut = 0;
  #closed = false;

  add(connection: C): void {
    this.list.push(connection);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#handedOut++;
    waiter.resolve(connection);
  }

  /** The next connection that no earlier call has returned. */
  next(): Promise<C> {
    const ready = this.list[this.#handedOut];
    if (ready !== undefined) {
      this.#handedOut++;
      return Promise.resolve(ready);
    }
    const waiter = withResolvers<C>();
    // A test may end before it awaits; that alone is no failure.
    waiter.promise.catch(() => {});
    if (this.#closed) waiter.reject(new BridgeError('CANCELLED', 'the simulator is closed'));
    else this.#waiters.push(waiter);
    return waiter.promise;
  }

  /** Those who still wait are told that nobody comes any more. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiters.splice(0)) {
      reject(new BridgeError('CANCELLED', 'the simulator closed before a connection came'));
    }
  }
}
