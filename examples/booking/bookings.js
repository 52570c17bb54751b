import { Worker } from 'node:worker_threads';

/**
 * @typedef {import('./database.js').Order} Order
 * @typedef {import('./database.js').Outcome} Outcome
 * @typedef {import('./database.js').Booking} Booking
 * @typedef {import('./database.js').Whose} Whose
 * @typedef {import('./restaurant.js').Restaurant} Restaurant
 * @typedef {import('./bookings-thread.js').Operation} Operation
 * @typedef {import('./bookings-thread.js').Reply} Reply
 * @typedef {{ resolve(value: unknown): void, reject(error: unknown): void }} Waiter
 */

/**
 * What the agent's functions need of the bookings; see `BookingDatabase` for each. A signal gives up what has not begun:
 * what has is done as a whole, whoever still waits for it.
 *
 * @typedef {object} Bookings
 * @property {(seatings: readonly (readonly string[])[], party: number, signal: AbortSignal) => Promise<string[]>} free
 * @property {(callId: string, details: string, now: string, signal: AbortSignal) => Promise<void>} readBack
 * @property {(callId: string, details: string, signal: AbortSignal) => Promise<boolean>} wasReadBack
 * @property {(order: Order, signal: AbortSignal) => Promise<Outcome>} book
 * @property {(id: number) => Promise<void>} callerLeft
 * @property {(whose: Whose, signal: AbortSignal) => Promise<Booking[]>} of
 * @property {(id: number, key: string, signal: AbortSignal) => Promise<void>} cancel
 */

/**
 * The bookings in a file, in a thread of their own. The thread is started with an operation, rests when there has been
 * none for a while, keeps no process alive, and is started anew should it die. Nothing more is asked of closed bookings.
 *
 * @param {string} file
 * @param {Restaurant} house
 * @param {number} [restAfterMs]
 * @returns {Bookings & { close(): Promise<void> }}
 */
export function openBookings(file, house, restAfterMs = 60_000) {
  const thread = new Thread({ file, tables: house.tables }, restAfterMs);
  return {
    free: (seatings, party, signal) => thread.ask('free', [seatings, party], signal),
    readBack: (callId, details, now, signal) => thread.ask('readBack', [callId, details, now], signal),
    wasReadBack: (callId, details, signal) => thread.ask('wasReadBack', [callId, details], signal),
    book: (order, signal) => thread.ask('book', [order], signal),
    callerLeft: (id) => thread.ask('callerLeft', [id]),
    of: (whose, signal) => thread.ask('of', [whose], signal),
    cancel: (id, key, signal) => thread.ask('cancel', [id, key], signal),
    close: () => thread.close(),
  };
}

class Thread {
  #data;
  #restAfterMs;
  /** @type {Worker | undefined} */
  #worker;
  /** @type {Map<number, Waiter>} */
  #waiting = new Map();
  /** @type {NodeJS.Timeout | undefined} */
  #rest;
  #lastId = 0;

  /**
   * @param {{ readonly file: string, readonly tables: Restaurant['tables'] }} data
   * @param {number} restAfterMs
   */
  constructor(data, restAfterMs) {
    this.#data = data;
    this.#restAfterMs = restAfterMs;
  }

  /**
   * @template T
   * @param {Operation} operation
   * @param {readonly unknown[]} args
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async ask(operation, args, signal) {
    signal?.throwIfAborted();
    clearTimeout(this.#rest);
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#lastId;
    // A process does not end while somebody waits for an answer.
    worker.ref();
    const value = await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, operation, args });
    });
    return /** @type {T} */ (value);
  }

  async close() {
    clearTimeout(this.#rest);
    const worker = this.#worker;
    if (worker !== undefined) this.#gone(worker, new Error('the bookings were closed'));
    await worker?.terminate();
  }

  #start() {
    const worker = new Worker(new URL('./bookings-thread.js', import.meta.url), { workerData: this.#data });
    worker.unref();
    worker.on('message', (/** @type {Reply} */ reply) => this.#settle(reply));
    worker.on('error', (error) => this.#gone(worker, unusable(error)));
    worker.on('exit', () => this.#gone(worker, new Error('the thread of the bookings has ended')));
    return worker;
  }

  /** @param {Reply} reply */
  #settle({ id, value, error }) {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#idle();
    if (error === undefined) waiter?.resolve(value);
    else waiter?.reject(unusable(new Error(error)));
  }

  /** Nobody may ever ask again: the agents file was read anew, and other functions have taken the place of these. */
  #idle() {
    this.#worker?.unref();
    this.#rest = setTimeout(() => {
      this.close().catch(() => undefined);
    }, this.#restAfterMs);
    this.#rest.unref();
  }

  /**
   * @param {Worker} worker
   * @param {Error} error
   */
  #gone(worker, error) {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const waiter of this.#waiting.values()) waiter.reject(error);
    this.#waiting.clear();
  }
}

/**
 * What the model is told, and may say: it has no use for the names of files and tables.
 * @param {Error} cause
 */
function unusable(cause) {
  return new Error('the book with the bookings cannot be used right now', { cause });
}
