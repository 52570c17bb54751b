import type { Clock } from '../../clock.ts';

export interface CallerWordsPorts {
  readonly clock: Clock;
  /** What the caller says is written down at all. */
  readonly transcribes: boolean;
  nextId(): string;
  emit(itemId: string, text: string, final: boolean): void;
}

/** Words that come later than this after the end of the answer to them are new ones. */
const LATE_MS = 3_000;

/**
 * What the caller says, as items. Words come without any order, often when the answer to them has begun, so a turn of
 * the caller takes its place before the answer even if nothing of it is known yet.
 */
export class CallerWords {
  readonly #ports: CallerWordsPorts;
  #itemId: string | undefined;
  #text = '';
  /** The answer to it has begun. */
  #answered = false;
  /** When that answer was over and no word of the turn had come. */
  #missedAt: number | undefined;

  constructor(ports: CallerWordsPorts) {
    this.#ports = ports;
  }

  /** The item that is being said. */
  get itemId(): string | undefined {
    return this.#itemId;
  }

  /** A piece to append. */
  piece(text: string): void {
    if (this.#missedAt !== undefined && this.#ports.clock.now() - this.#missedAt > LATE_MS) this.#close();
    this.#ports.emit(this.#open(), text, false);
    this.#text += text;
    if (this.#missedAt !== undefined) this.#close();
  }

  /** A turn begins: the one before it is over. */
  started(): string {
    if (this.#answered) this.#close();
    return this.#open();
  }

  /** The model begins to answer what was said. */
  answered(): void {
    if (!this.#ports.transcribes) return;
    if (this.#answered) this.#close();
    if (this.#itemId === undefined) this.#ports.emit(this.#open(), '', false);
    this.#answered = true;
  }

  /** The answer is over, or was cut off by the next turn. */
  turnOver(): void {
    if (!this.#answered) return;
    if (this.#text === '') this.#missedAt ??= this.#ports.clock.now();
    else this.#close();
  }

  #open(): string {
    this.#itemId ??= this.#ports.nextId();
    return this.#itemId;
  }

  #close(): void {
    const itemId = this.#itemId;
    const text = this.#text;
    this.#itemId = undefined;
    this.#text = '';
    this.#answered = false;
    this.#missedAt = undefined;
    if (itemId !== undefined && text !== '') this.#ports.emit(itemId, text, true);
  }
}
