/**
 * Caller audio that waits for a socket to take it: the newest bytes up to a limit, the oldest go first. The memory is
 * taken when the first byte has to wait, so a healthy call costs nothing.
 */
export class AudioBacklog {
  readonly #capacity: number;
  readonly #sampleBytes: number;
  #ring: Buffer | undefined;
  #start = 0;
  #length = 0;

  /** Both in bytes; never drops a part of a sample. */
  constructor(capacity: number, sampleBytes: number) {
    this.#capacity = Math.max(sampleBytes, capacity - (capacity % sampleBytes));
    this.#sampleBytes = sampleBytes;
  }

  get bytes(): number {
    return this.#length;
  }

  /** Copies `bytes`; returns how many older bytes, or bytes of the front of `bytes`, were dropped to make room. */
  push(bytes: Uint8Array): number {
    const over = this.#length + bytes.length - this.#capacity;
    const dropped =
      over > 0 ? over + ((this.#sampleBytes - (over % this.#sampleBytes)) % this.#sampleBytes) : 0;
    const fromRing = Math.min(dropped, this.#length);
    this.#skip(fromRing);
    this.#write(bytes.subarray(dropped - fromRing));
    return dropped;
  }

  /** The oldest bytes, at most `max`, and at most up to the end of the memory; valid until the next `push`. */
  take(max: number): Uint8Array {
    if (this.#ring === undefined) return new Uint8Array(0);
    const count = Math.min(max, this.#length, this.#capacity - this.#start);
    const bytes = this.#ring.subarray(this.#start, this.#start + count);
    this.#skip(count);
    return bytes;
  }

  clear(): void {
    this.#length = 0;
    this.#start = 0;
    this.#ring = undefined;
  }

  #skip(count: number): void {
    this.#start = (this.#start + count) % this.#capacity;
    this.#length -= count;
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#ring ??= Buffer.allocUnsafe(this.#capacity);
    const end = (this.#start + this.#length) % this.#capacity;
    const first = Math.min(bytes.length, this.#capacity - end);
    this.#ring.set(bytes.subarray(0, first), end);
    if (first < bytes.length) this.#ring.set(bytes.subarray(first), 0);
    this.#length += bytes.length;
  }
}
