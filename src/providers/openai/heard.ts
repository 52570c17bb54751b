import { fittingText, MOST_TEXT } from '../common/limits.ts';

/** What the caller said in one turn, as far as it was told. */
interface Heard {
  /** Pieces that were handed on, put together. */
  told: string;
  /** All of it, when the server tells it from the beginning each time; the last word may still be wrong. */
  soFar: string | undefined;
  /** The whole that was handed on. */
  final: string | undefined;
}

/** Enough for every turn whose text may still be on its way. */
const MOST_TURNS = 32;

/**
 * The words of the caller, which servers tell in pieces, or again and again from the beginning, and of which some never
 * say that they are final, and some say so several times.
 */
export class HeardWords {
  readonly #tell: (itemId: string, text: string, final: boolean) => void;
  readonly #excess: (what: string) => void;
  readonly #turns = new Map<string, Heard>();
  /** The turn that the caller is in, or that was not answered yet. */
  #open: string | undefined;

  /** `tell`: a piece to append, or with `final` the whole. `excess`: more of something has come than is kept of it. */
  constructor(
    tell: (itemId: string, text: string, final: boolean) => void,
    excess: (what: string) => void = () => undefined,
  ) {
    this.#tell = tell;
    this.#excess = excess;
  }

  /** The caller begins another turn, of that name where the server has one. */
  begin(itemId: string | undefined): void {
    this.settle(itemId);
    this.#open = itemId;
  }

  /** What comes next. */
  piece(itemId: string, more: string): void {
    const turn = this.#turn(itemId);
    const text = this.#fitting(more, turn.told.length);
    if (text === '' || turn.final !== undefined) return;
    turn.told += text;
    this.#tell(itemId, text, false);
  }

  /** All of it up to now. What was handed on cannot be taken back, so a correction waits for the end. */
  soFar(itemId: string, all: string): void {
    const turn = this.#turn(itemId);
    const text = this.#fitting(all, 0);
    turn.soFar = text;
    if (turn.final !== undefined || !text.startsWith(turn.told)) return;
    const piece = text.slice(turn.told.length);
    turn.told = text;
    if (piece !== '') this.#tell(itemId, piece, false);
  }

  /** The whole; one that says nothing new is no news. */
  whole(itemId: string, all: string): void {
    const turn = this.#turn(itemId);
    const text = this.#fitting(all, 0);
    turn.soFar = undefined;
    if (turn.final === text) return;
    turn.final = text;
    this.#tell(itemId, text, true);
  }

  /** What is said to be the whole, by a server that may yet say otherwise before it answers. */
  said(itemId: string, text: string): void {
    if (itemId === this.#open) this.soFar(itemId, text);
    else this.whole(itemId, text);
  }

  /** The turn is answered: what was told last is the whole. */
  answered(): void {
    this.#open = undefined;
    this.settle();
  }

  /** Nothing more comes but of one turn: what was told last of the others is the whole. */
  settle(except?: string): void {
    for (const [itemId, turn] of this.#turns) {
      if (itemId !== except && turn.soFar !== undefined) this.whole(itemId, turn.soFar);
    }
  }

  #fitting(text: string, length: number): string {
    const fitting = fittingText(text, length);
    if (fitting.length < text.length) this.#excess(`characters than ${MOST_TEXT} in one turn of the caller`);
    return fitting;
  }

  #turn(itemId: string): Heard {
    let turn = this.#turns.get(itemId);
    if (turn !== undefined) return turn;
    turn = { told: '', soFar: undefined, final: undefined };
    this.#turns.set(itemId, turn);
    for (const old of this.#turns.keys()) {
      if (this.#turns.size <= MOST_TURNS) break;
      this.#turns.delete(old);
    }
    return turn;
  }
}
