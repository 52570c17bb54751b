import type { Cancel, Clock } from '../../clock.ts';
import type { ProviderEvent } from '../../provider.ts';
import { fittingText, MOST_TEXT } from '../common/limits.ts';

/** Words that follow each other this closely, by the time of the session, are of one breath. */
const ONE_BREATH_MS = 400;

interface Item {
  readonly id: string;
  text: string;
  /** Where its last word ends, by the time of the session. */
  endMs: number | undefined;
}

interface WordsOptions {
  readonly role: 'user' | 'assistant';
  readonly clock: Clock;
  /** How long after the last word the text of an item is whole, in ms. */
  readonly wholeAfterMs: number;
  newId(): string;
  emit(event: ProviderEvent): void;
  /** More of something has come than is kept of it; what, in words. */
  excess(what: string): void;
}

/**
 * The words of one side, which come as pieces without an end: they are put together into items, each of which is whole
 * when no word of it has come for a while.
 */
export class Words {
  readonly #options: WordsOptions;
  #item: Item | undefined;
  /** Where the speech is that the item is about; undefined: it has not begun, or nobody knows. */
  #speech: 'open' | 'over' | undefined;
  #timer: Cancel | undefined;

  constructor(options: WordsOptions) {
    this.#options = options;
  }

  /** Speech begins: what is said from now on belongs to an item of its own, whose id is returned. */
  begin(): string {
    // Words may come a little before the sound of them.
    const item = this.#item === undefined || this.#speech !== undefined ? this.#open() : this.#item;
    this.#speech = 'open';
    this.#timer?.();
    return item.id;
  }

  /** Speech is over; the last words of it may still be on their way. */
  end(): void {
    this.#speech = 'over';
    this.#wait();
  }

  add(text: string, startMs: number | undefined, endMs: number | undefined): void {
    const { role, emit, excess } = this.#options;
    const item = this.#item === undefined || this.#isNewBreath(startMs) ? this.#open() : this.#item;
    const piece = fittingText(text, item.text.length);
    if (piece.length < text.length) excess(`characters than ${MOST_TEXT} in one item`);
    item.text += piece;
    item.endMs = endMs ?? item.endMs;
    if (piece !== '') emit({ type: 'transcript', role, itemId: item.id, text: piece, final: false });
    if (this.#speech !== 'open') this.#wait();
  }

  /** Whatever is open is whole. */
  close(): void {
    this.#timer?.();
    this.#finish();
  }

  /** Speech is over, and these words are too far from the end of it to be its last ones. */
  #isNewBreath(startMs: number | undefined): boolean {
    const endMs = this.#item?.endMs;
    if (this.#speech !== 'over') return false;
    return startMs === undefined || endMs === undefined || startMs - endMs > ONE_BREATH_MS;
  }

  #open(): Item {
    this.#finish();
    const item: Item = { id: this.#options.newId(), text: '', endMs: undefined };
    this.#item = item;
    return item;
  }

  #wait(): void {
    this.#timer?.();
    this.#timer = this.#options.clock.after(this.#options.wholeAfterMs, () => this.#finish());
  }

  #finish(): void {
    const item = this.#item;
    this.#timer?.();
    this.#item = undefined;
    this.#speech = undefined;
    if (item === undefined || item.text === '') return;
    const { role, emit } = this.#options;
    emit({ type: 'transcript', role, itemId: item.id, text: item.text.trim(), final: true });
  }
}
