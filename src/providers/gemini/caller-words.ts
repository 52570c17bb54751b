import type { Cancel, Clock } from '../../clock.ts';
import { fittingText } from '../common/limits.ts';

export interface CallerWordsPorts {
  readonly clock: Clock;
  /** What the caller says is written down at all. */
  readonly transcribes: boolean;
  nextId(): string;
  emit(itemId: string, text: string, final: boolean): void;
  /** Words of a turn were more than are kept. */
  dropped(): void;
}

/** So long after the answer to a turn the first of its words may come; later ones are new. */
const MISSED_MS = 3_000;
/** So long after the answer to a turn, or after each other, the rest of its words may come. */
const LATE_MS = 500;
/**
 * While the turn is answered its words are whole when none has come for so long: whoever reads along sees the caller
 * before the agent, and what the caller says into the answer is a turn of its own. Longer than the pauses between words
 * that are late, for the rest of a turn that was told as a whole would count as the next one.
 */
const WHOLE_MS = 1_000;

/**
 * What the caller says, as items, each of which is told as a whole once. Words come without any order, often when the
 * answer to them has begun or is over, so a turn of the caller takes its place before the answer even if nothing of it is
 * known yet.
 */
export class CallerWords {
  readonly #ports: CallerWordsPorts;
  #itemId: string | undefined;
  #text = '';
  /** How far the answer to it is. */
  #answer: 'none' | 'begun' | 'over' = 'none';
  /** When its last word came, or the answer to it began. */
  #lastAt = 0;
  /** Runs when all of it is expected to be there. */
  #endTimer: Cancel | undefined;
  #closed = false;

  constructor(ports: CallerWordsPorts) {
    this.#ports = ports;
  }

  /** The item that is being said. */
  get itemId(): string | undefined {
    return this.#itemId;
  }

  /** A piece to append. */
  piece(text: string): void {
    const piece = fittingText(text, this.#text.length);
    const itemId = this.#open();
    this.#text += piece;
    this.#lastAt = this.#ports.clock.now();
    if (this.#answer !== 'none') this.#endAfter(this.#answer === 'over' ? LATE_MS : WHOLE_MS);
    if (piece !== text) this.#ports.dropped();
    if (piece !== '') this.#ports.emit(itemId, piece, false);
  }

  /** A turn begins: the one before it is over. Returns its item. */
  started(): string {
    if (this.#answer !== 'none') this.#tell();
    return this.#open();
  }

  /** The model begins to answer what was said. */
  answered(): void {
    if (!this.#ports.transcribes) return;
    if (this.#answer !== 'none') this.#tell();
    this.#answer = 'begun';
    this.#lastAt = this.#ports.clock.now();
    if (this.#text !== '') this.#endAfter(WHOLE_MS);
    if (this.#itemId === undefined) this.#ports.emit(this.#open(), '', false);
  }

  /** The answer is about to be over: words that are whole are told before it is. */
  answerEnds(): void {
    if (this.#answer !== 'none' && this.#text !== '' && this.#quietMs() >= LATE_MS) this.#tell();
  }

  /** The answer is over: the rest of the words may still come. */
  answerOver(): void {
    if (this.#answer !== 'begun') return;
    this.#answer = 'over';
    this.#endAfter(this.#text === '' ? MISSED_MS : Math.max(0, LATE_MS - this.#quietMs()));
  }

  /** The caller cuts in: what comes now is the next turn, unless the words of this one are still to come. */
  cutIn(): void {
    if (this.#answer !== 'none' && this.#text !== '') this.#tell();
    else this.answerOver();
  }

  /** No more words come, and no timer is left: whatever is open is whole. */
  close(): void {
    this.#closed = true;
    this.#tell();
  }

  #quietMs(): number {
    return this.#ports.clock.now() - this.#lastAt;
  }

  #endAfter(ms: number): void {
    this.#endTimer?.();
    this.#endTimer = this.#closed ? undefined : this.#ports.clock.after(ms, () => this.#tell());
  }

  #open(): string {
    this.#itemId ??= this.#ports.nextId();
    return this.#itemId;
  }

  #tell(): void {
    const itemId = this.#itemId;
    const text = this.#text;
    this.#endTimer?.();
    this.#endTimer = undefined;
    this.#itemId = undefined;
    this.#text = '';
    this.#answer = 'none';
    if (itemId !== undefined && text !== '') this.#ports.emit(itemId, text, true);
  }
}
