/** The first that is taken: a quarter of a second of a telephone line, enough for speech that comes in real time. */
const FIRST = 2_048;
/** What is larger than this is not kept by a queue that is empty. */
const SMALL = 4_096;
const NOTHING = new Uint8Array(0);

/**
 * First in, first out, for bytes. Grows by doubling, keeps its memory while it is in use and gives it back once it is
 * empty after having been large: of hundreds of agents that could speak only few have seconds of speech to say.
 */
export class ByteQueue {
  #ring: Uint8Array = NOTHING;
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies `bytes` in. */
  push(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#ring.length) this.#grow(this.#length + bytes.length);
    const size = this.#ring.length;
    const at = (this.#head + this.#length) % size;
    const first = Math.min(bytes.length, size - at);
    this.#ring.set(bytes.subarray(0, first), at);
    if (first < bytes.length) this.#ring.set(bytes.subarray(first), 0);
    this.#length += bytes.length;
  }

  /** Appends `count` bytes of one value. */
  pushValue(value: number, count: number): void {
    if (this.#length + count > this.#ring.length) this.#grow(this.#length + count);
    const size = this.#ring.length;
    const at = (this.#head + this.#length) % size;
    const first = Math.min(count, size - at);
    this.#ring.fill(value, at, at + first);
    if (first < count) this.#ring.fill(value, 0, count - first);
    this.#length += count;
  }

  /** Moves the oldest bytes into `into`; returns how many there were, at most `into.length`. */
  shift(into: Uint8Array): number {
    const count = Math.min(into.length, this.#length);
    const first = Math.min(count, this.#ring.length - this.#head);
    into.set(this.#ring.subarray(this.#head, this.#head + first), 0);
    if (first < count) into.set(this.#ring.subarray(0, count - first), first);
    this.drop(count);
    return count;
  }

  /** Forgets the oldest `count` bytes. */
  drop(count: number): void {
    const dropped = Math.min(count, this.#length);
    this.#length -= dropped;
    this.#head = this.#length === 0 ? 0 : (this.#head + dropped) % this.#ring.length;
    if (this.#length === 0 && this.#ring.length > SMALL) this.#ring = NOTHING;
  }

  clear(): void {
    this.drop(this.#length);
  }

  #grow(needed: number): void {
    let size = Math.max(FIRST, this.#ring.length);
    while (size < needed) size *= 2;
    const ring = new Uint8Array(size);
    const first = Math.min(this.#length, this.#ring.length - this.#head);
    ring.set(this.#ring.subarray(this.#head, this.#head + first), 0);
    if (first < this.#length) ring.set(this.#ring.subarray(0, this.#length - first), first);
    this.#ring = ring;
    this.#head = 0;
  }
}
