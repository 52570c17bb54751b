/** Bytes of mu-law that are played in one 20 ms tick. */
export const FRAME_BYTES = 160;

/** What a `clear` did. */
export interface Cleared {
  /** Outstanding marks, in order. */
  readonly marks: readonly string[];
  readonly droppedBytes: number;
}

interface Marker {
  readonly name: string;
  readonly offset: number;
}

/**
 * The carrier's buffer between the bridge and the caller's ear, in mu-law bytes. A mark stands at the byte where it
 * was sent and is reached when everything before it has been played to the end.
 */
export class PlayoutQueue {
  #ring = new Uint8Array(1 << 13);
  #head = 0;
  #buffered = 0;
  #taken = 0;
  #finished = 0;
  readonly #marks: Marker[] = [];
  #highWater = 0;

  /** Bytes waiting to be played. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Bytes that the caller has heard, or is hearing in the tick that is on. */
  get taken(): number {
    return this.#taken;
  }

  /** The most that ever waited, in bytes: how far the bridge ran ahead. */
  get highWater(): number {
    return this.#highWater;
  }

  /** Copies the first `length` bytes of `bytes` to the end of the queue. */
  append(bytes: Uint8Array, length = bytes.length): void {
    const needed = this.#buffered + length;
    if (needed > this.#ring.length) this.#grow(needed);
    const at = (this.#head + this.#buffered) & (this.#ring.length - 1);
    const first = Math.min(length, this.#ring.length - at);
    this.#ring.set(bytes.subarray(0, first), at);
    if (first < length) this.#ring.set(bytes.subarray(first, length), 0);
    this.#buffered = needed;
    if (needed > this.#highWater) this.#highWater = needed;
  }

  /** Adds a mark; true when all audio before it has been played already, so that it is due at once. */
  mark(name: string): boolean {
    const offset = this.#taken + this.#buffered;
    if (offset <= this.#finished && this.#marks.length === 0) return true;
    this.#marks.push({ name, offset });
    return false;
  }

  /** Ends the tick that was on: what it took has now been played. */
  finishFrame(): void {
    this.#finished = this.#taken;
  }

  /** The next mark that has been reached, or undefined. */
  reachedMark(): string | undefined {
    const first = this.#marks[0];
    if (first === undefined || first.offset > this.#finished) return undefined;
    this.#marks.shift();
    return first.name;
  }

  /** Fills `frame` with the next audio and with silence behind it; gives the bytes of audio. */
  takeFrame(frame: Uint8Array): number {
    const length = Math.min(this.#buffered, frame.length);
    const first = Math.min(length, this.#ring.length - this.#head);
    for (let i = 0; i < first; i++) frame[i] = this.#ring[this.#head + i] ?? 0xff;
    for (let i = first; i < length; i++) frame[i] = this.#ring[i - first] ?? 0xff;
    if (length < frame.length) frame.fill(0xff, length);
    this.#head = (this.#head + length) & (this.#ring.length - 1);
    this.#buffered -= length;
    this.#taken += length;
    return length;
  }

  /** Drops everything that waits. The frame that is being played is heard to its end. */
  clear(): Cleared {
    const marks = this.#marks.splice(0).map((marker) => marker.name);
    const droppedBytes = this.#buffered;
    this.#buffered = 0;
    return { marks, droppedBytes };
  }

  #grow(needed: number): void {
    let size = this.#ring.length;
    while (size < needed) size *= 2;
    const bigger = new Uint8Array(size);
    const first = Math.min(this.#buffered, this.#ring.length - this.#head);
    bigger.set(this.#ring.subarray(this.#head, this.#head + first));
    bigger.set(this.#ring.subarray(0, this.#buffered - first), first);
    this.#ring = bigger;
    this.#head = 0;
  }
}
