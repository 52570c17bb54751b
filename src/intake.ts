import type { LegEvent } from './leg.ts';

type Audio = Extract<LegEvent, { type: 'audio' }>;

/** Messages that may be missing before one is given up: 60 ms of speech at 20 ms a message. */
const WINDOW = 3;
/** A place further off than this is no disorder but a stream that counts anew. */
const RESTART = 1000;
/** So many late messages one after the other are no late messages: they count anew, from a place close by. */
const LATE_RUN = 10;

/**
 * Puts media messages back in order where a carrier does not promise it. A message that is missing is waited for until
 * three later ones are there; one that comes after that, or twice, is dropped.
 */
export class ReorderWindow {
  readonly #deliver: (audio: Audio) => void;
  readonly #waiting: Audio[] = [];
  #next: number | undefined;
  #late = 0;
  /** Late messages since the last one that was in time. */
  #lateRun = 0;

  constructor(deliver: (audio: Audio) => void) {
    this.#deliver = deliver;
  }

  /** Messages that came too late, or a second time. */
  get late(): number {
    return this.#late;
  }

  push(audio: Audio): void {
    const { order } = audio;
    if (order === undefined) {
      this.#deliver(audio);
      return;
    }
    if (this.#next === undefined) {
      this.#begin(audio, order);
      return;
    }
    if (Math.abs(order - this.#next) > RESTART) this.#restart(order);
    if (order < this.#next) {
      this.#late += 1;
      this.#lateRun += 1;
      if (this.#lateRun >= LATE_RUN) this.#restart(order + 1);
      return;
    }
    this.#lateRun = 0;
    if (order === this.#next) this.#give(audio);
    else this.#keep(audio, order);
    this.#drain();
  }

  /** Delivers what is there: nothing more will come. */
  flush(): void {
    for (const audio of this.#waiting.splice(0)) this.#give(audio);
  }

  /** The stream may begin out of order too: unless it is the first by its number, a few are waited for. */
  #begin(audio: Audio, order: number): void {
    this.#keep(audio, order);
    if (order > 1 && this.#waiting.length < WINDOW) return;
    this.#next = this.#waiting[0]?.order;
    this.#drain();
  }

  #give(audio: Audio): void {
    this.#next = (audio.order ?? 0) + 1;
    this.#deliver(audio);
  }

  #keep(audio: Audio, order: number): void {
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.order ?? 0) > order) at -= 1;
    if (this.#waiting[at - 1]?.order === order) this.#late += 1;
    else this.#waiting.splice(at, 0, audio);
  }

  #drain(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (first.order !== this.#next && this.#waiting.length < WINDOW) return;
      this.#waiting.shift();
      this.#give(first);
    }
  }

  #restart(order: number): void {
    this.flush();
    this.#next = order;
    this.#lateRun = 0;
  }
}

/** Audio after which the order of the bytes is settled: a second of 20 ms messages. */
const DECIDE_AFTER = 50;
/** Speech and the noise of a line move many times less in the right order. What does not, says nothing. */
const CLEARLY = 2;

/**
 * Turns PCM16 into little-endian. Where the carrier does not say its order, the first messages are read both ways: speech
 * and noise move less from sample to sample in the right one. As long as that is not clear they are taken for
 * little-endian.
 */
export class ByteOrder {
  #mode: 'big' | 'detect' | 'little';
  #seen = 0;
  #little = 0;
  #big = 0;

  constructor(mode: 'big' | 'detect' | undefined) {
    this.#mode = mode ?? 'little';
  }

  /** Swaps the bytes in place where that is needed. */
  apply(bytes: Uint8Array): void {
    if (this.#mode === 'detect') this.#measure(bytes);
    if (this.#mode === 'big' || (this.#mode === 'detect' && this.#seemsBig)) swapPairs(bytes);
  }

  #measure(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 2; at + 1 < bytes.length; at += 2) {
      this.#little += Math.abs(view.getInt16(at, true) - view.getInt16(at - 2, true));
      this.#big += Math.abs(view.getInt16(at, false) - view.getInt16(at - 2, false));
    }
    this.#seen += 1;
    if (this.#seen < DECIDE_AFTER) return;
    if (this.#seemsBig) this.#mode = 'big';
    else if (this.#little * CLEARLY < this.#big) this.#mode = 'little';
  }

  get #seemsBig(): boolean {
    return this.#big * CLEARLY < this.#little;
  }
}

function swapPairs(bytes: Uint8Array): void {
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    const first = bytes[at] ?? 0;
    bytes[at] = bytes[at + 1] ?? 0;
    bytes[at + 1] = first;
  }
}
