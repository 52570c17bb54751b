import { fittingText } from '../common/limits.ts';
import { addition } from './turns.ts';

export interface CallerWordsPorts {
  emit(itemId: string, text: string, final: boolean): void;
  /** Words of a block were more than are kept. */
  dropped(): void;
}

/** A duplicate comes soon or never. */
const MOST_TOLD = 64;

/** What the caller says, block by block: the pieces as they come, and each block as a whole once. */
export class CallerWords {
  readonly #ports: CallerWordsPorts;
  #itemId: string | undefined;
  #text = '';
  /** Blocks that were told as a whole: what still comes of them is too late. */
  readonly #told = new Set<string>();

  constructor(ports: CallerWordsPorts) {
    this.#ports = ports;
  }

  piece(itemId: string, text: string): void {
    if (itemId !== this.#itemId) this.over();
    if (this.#told.has(itemId)) return;
    this.#itemId = itemId;
    const wanted = addition(this.#text, text);
    const piece = fittingText(wanted, this.#text.length);
    this.#text += piece;
    if (piece !== wanted) this.#ports.dropped();
    if (piece !== '') this.#ports.emit(itemId, piece, false);
  }

  /** The block has ended, or something else begins. */
  over(): void {
    const itemId = this.#itemId;
    const text = this.#text.trim();
    if (itemId === undefined) return;
    this.#itemId = undefined;
    this.#text = '';
    this.#told.add(itemId);
    const [oldest] = this.#told;
    if (this.#told.size > MOST_TOLD && oldest !== undefined) this.#told.delete(oldest);
    this.#ports.emit(itemId, text, true);
  }
}
