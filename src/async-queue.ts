/** What one side puts in and the other takes out with `for await`; one reader. */
export class AsyncQueue<T> implements AsyncIterableIterator<T> {
  #items: T[] = [];
  #waiting: { resolve(result: IteratorResult<T>): void; reject(error: Error): void } | undefined;
  #ended = false;
  #error: Error | undefined;
  readonly #onTaken: ((item: T) => void) | undefined;

  /** @param onTaken told of each item when the reader has it */
  constructor(onTaken?: (item: T) => void) {
    this.#onTaken = onTaken;
  }

  get length(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#ended) return;
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#items.push(item);
      return;
    }
    this.#waiting = undefined;
    this.#onTaken?.(item);
    waiting.resolve({ value: item, done: false });
  }

  /** Keeps of what nobody has taken yet only what `wanted` says. */
  keep(wanted: (item: T) => boolean): void {
    this.#items = this.#items.filter(wanted);
  }

  /** The oldest goes. */
  dropFirst(): void {
    this.#items.shift();
  }

  /** The reader gets what is there, and then the end, or `error`. Only the first call counts. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    if (error === undefined) waiting.resolve({ value: undefined, done: true });
    else waiting.reject(this.#takeError(error));
  }

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#onTaken?.(item);
      return Promise.resolve({ value: item, done: false });
    }
    if (this.#error !== undefined) return Promise.reject(this.#takeError(this.#error));
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  /** The reader has had enough: what comes is thrown away. */
  return(): Promise<IteratorResult<T>> {
    this.#items = [];
    this.end();
    this.#error = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  // It is told once; afterwards the iteration is over, as with a generator that threw.
  #takeError(error: Error): Error {
    this.#error = undefined;
    return error;
  }
}
