import type { Cancel, Clock } from '../../clock.ts';

export interface CallerWordsPorts {
  readonly clock: Clock;
  /** What the caller says is written down at all. */
  readonly transcribes: boolean;
  nextId(): string;
  emit(itemId: string, text: string, final: boolean): void;
}

/** So long after the answer to a turn the first of its words may come; later ones are new. */
const MISSED_MS = 3_000;
/** So long after the answer to a turn, or after each other, the rest of its words may come. */
const LATE_MS = 500;

/**
 * What the caller says, as items. Words come without any order, often when the answer to them has begun or is over, so
 * a turn of the caller takes its place before the answer even if nothing of it is known yet.
 */
export class CallerWords {
  readonly #ports: CallerWordsPorts;
  #itemId: string | undefined;
  #text = '';
  /** The answer to it has begun. */
  #answered = false;
  /** Runs when the answer is over. */
  #endTimer: Cancel | undefined;

  constructor(ports: CallerWordsPorts) {
    this.#ports = ports;
  }

  /** The item that is being said. */
  get itemId(): string | undefined {
    return this.#itemId;
  }

  /** A piece to append. */
  piece(text: string): void {
    this.#ports.emit(this.#open(), text, false);
    this.#text += text;
    if (this.#endTimer !== undefined) this.#endAfter(LATE_MS);
  }

  /** A turn begins: the one before it is over. Returns its item. */
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

  /** The answer is over: the rest of the words may still come. */
  answerOver(): void {
    if (this.#answered && this.#endTimer === undefined) {
      this.#endAfter(this.#text === '' ? MISSED_MS : LATE_MS);
    }
  }

  /** The caller cuts in: what comes now is the next turn, unless the words of this one are still to come. */
  cutIn(): void {
    if (this.#answered && this.#text !== '') this.#close();
    else this.answerOver();
  }

  /** No timer is left. */
  close(): void {
    this.#endTimer?.();
    this.#endTimer = undefined;
  }

  #endAfter(ms: number): void {
    this.#endTimer?.();
    this.#endTimer = this.#ports.clock.after(ms, () => this.#close());
  }

  #open(): string {
    this.#itemId ??= this.#ports.nextId();
    return this.#itemId;
  }

  #close(): void {
    const itemId = this.#itemId;
    const text = this.#text;
    this.close();
    this.#itemId = undefined;
    this.#text = '';
    this.#answered = false;
    if (itemId !== undefined && text !== '') this.#ports.emit(itemId, text, true);
  }
}
