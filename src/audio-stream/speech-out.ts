import { AsyncQueue } from '../async-queue.ts';
import { type AudioFormat, bytesPerMs } from '../audio/format.ts';
import { createTranscoder, type Transcoder } from '../audio/transcode.ts';
import type { HeardItem, ProviderEvent } from '../provider.ts';

/** A piece of what the agent says. */
export interface SpokenAudio {
  /** Whole samples in the output format of the stream; empty in the last piece of an item. */
  readonly audio: Uint8Array;
  readonly itemId: string;
  /** Nothing more of this item comes. */
  readonly isFinal: boolean;
  /** With `isFinal`: the caller cut in; whatever of the item has not been heard is not to be played. */
  readonly interrupted: boolean;
}

/** What is known of one item. */
interface Item {
  readonly responseId: string;
  readonly itemId: string;
  /** Bytes, in the output format of the stream. */
  received: number;
  taken: number;
  final: boolean;
}

/** An item that is over is remembered while so many came after it: a player may be that far behind. */
const REMEMBERED = 8;
/** More than anybody plays: whoever lets this much pile up does not read. */
const MOST_MS = 10 * 60_000;

export interface SpeechOutOptions {
  readonly format: AudioFormat;
  /** How much of an item was heard, in ms; undefined: what was taken from the queue. */
  readonly heardMs: ((itemId: string) => number) | undefined;
  onTooMuch(): void;
}

/** What the agent says, on its way to whoever plays it. */
export class SpeechOut {
  readonly queue: AsyncQueue<SpokenAudio>;
  readonly #options: SpeechOutOptions;
  readonly #perMs: number;
  readonly #items = new Map<string, Item>();
  /** Of the responses that are cut off. */
  readonly #refused = new Set<string>();
  #waitingBytes = 0;
  #transcoder: Transcoder | undefined;

  constructor(options: SpeechOutOptions) {
    this.#options = options;
    this.#perMs = bytesPerMs(options.format);
    this.queue = new AsyncQueue((piece) => this.#onTaken(piece));
  }

  /** What the session speaks in. Throws BAD_AUDIO when that cannot be converted. */
  from(format: AudioFormat): void {
    this.#transcoder = createTranscoder(format, this.#options.format);
  }

  audio({ responseId, itemId, bytes }: Extract<ProviderEvent, { type: 'audio' }>): void {
    if (this.#refused.has(responseId) || this.#transcoder === undefined) return;
    this.#put(this.#item(responseId, itemId), this.#transcoder.push(bytes));
  }

  itemDone(responseId: string, itemId: string): void {
    const item = this.#items.get(itemId);
    if (item !== undefined && !this.#refused.has(responseId)) this.#finish(item, false);
  }

  responseDone(responseId: string): void {
    this.#refused.delete(responseId);
    for (const item of this.#items.values()) {
      if (item.responseId === responseId) this.#finish(item, false);
    }
  }

  /** The caller cut in: what waits is dropped, and no more of these responses comes. Returns what was heard of what. */
  interrupt(openResponses: Iterable<string>): readonly HeardItem[] {
    for (const responseId of openResponses) this.#refused.add(responseId);
    this.queue.keep(() => false);
    this.#waitingBytes = 0;
    const heard: HeardItem[] = [];
    for (const item of this.#items.values()) {
      const receivedMs = Math.floor(item.received / this.#perMs);
      const playedMs = this.#playedMs(item, receivedMs);
      if (item.final && playedMs >= receivedMs) continue;
      heard.push({ itemId: item.itemId, playedMs, receivedMs });
      item.final = true;
      this.queue.push(last(item.itemId, true));
    }
    this.#items.clear();
    return heard;
  }

  #playedMs(item: Item, receivedMs: number): number {
    const { heardMs } = this.#options;
    const played = heardMs === undefined ? item.taken / this.#perMs : heardMs(item.itemId);
    return Number.isFinite(played) ? Math.min(receivedMs, Math.max(0, Math.floor(played))) : 0;
  }

  #item(responseId: string, itemId: string): Item {
    let item = this.#items.get(itemId);
    if (item === undefined) {
      item = { responseId, itemId, received: 0, taken: 0, final: false };
      this.#items.set(itemId, item);
      this.#forget();
    }
    return item;
  }

  #forget(): void {
    for (const [itemId, item] of this.#items) {
      if (this.#items.size <= REMEMBERED) return;
      if (item.final && item.taken >= item.received) this.#items.delete(itemId);
    }
  }

  #put(item: Item, bytes: Uint8Array): void {
    if (bytes.length === 0 || item.final) return;
    item.received += bytes.length;
    this.#waitingBytes += bytes.length;
    // The bytes are only lent.
    this.queue.push({
      audio: new Uint8Array(bytes),
      itemId: item.itemId,
      isFinal: false,
      interrupted: false,
    });
    if (this.#waitingBytes > MOST_MS * this.#perMs) this.#options.onTooMuch();
  }

  #finish(item: Item, interrupted: boolean): void {
    if (item.final) return;
    if (this.#transcoder !== undefined) this.#put(item, this.#transcoder.flush());
    item.final = true;
    this.queue.push(last(item.itemId, interrupted));
  }

  #onTaken({ audio, itemId }: SpokenAudio): void {
    this.#waitingBytes = Math.max(0, this.#waitingBytes - audio.length);
    const item = this.#items.get(itemId);
    if (item !== undefined) item.taken += audio.length;
  }
}

function last(itemId: string, interrupted: boolean): SpokenAudio {
  return { audio: new Uint8Array(0), itemId, isFinal: true, interrupted };
}
