import { fittingText } from '../common/limits.ts';

/** One sentence of the agent: its planned words, its speech, and the words that the service says were spoken. */
export interface Sentence {
  readonly id: string;
  readonly turn: Turn;
  /** Told ahead of the speech. */
  planned: string;
  /** Told when it was spoken, in one piece or more. */
  said: string;
  /** The block that brings its speech. */
  speechId: string | undefined;
  /** Audio handed on, in bytes. */
  received: number;
  /** No more audio of it will come. */
  complete: boolean;
  /** The caller cut it off. */
  cut: boolean;
  /** The whole of its words was told. */
  told: boolean;
}

/** One answer of the agent, which the service does not name. */
export interface Turn {
  readonly id: string;
  /** Nothing of it was ever handed on, not even its start. */
  readonly hidden: boolean;
  /** Nothing of it is handed on any more. */
  discarded: boolean;
  /** The caller cut it off, and that was told or is known. */
  interrupted: boolean;
  done: boolean;
  readonly sentences: Sentence[];
  /** Characters that were planned and that were spoken, in all its sentences. */
  plannedLength: number;
  saidLength: number;
}

/** Words as they are compared: case, spaces and punctuation differ between the plan and what was spoken. */
function plain(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

/** What one piece of text adds to those before it. */
export function addition(before: string, text: string): string {
  return before === '' || /^\s/.test(text) || /\s/.test(before.slice(-1)) ? text : ` ${text}`;
}

/** Adds planned words to a sentence. Returns what was added, which is shorter when its turn has as many as are kept. */
export function plan(sentence: Sentence, text: string): string {
  const { turn } = sentence;
  const piece = fittingText(addition(sentence.planned, text), turn.plannedLength);
  sentence.planned += piece;
  turn.plannedLength += piece.length;
  return piece;
}

/** The spoken words of a sentence are complete, as far as its plan tells. */
function covers(sentence: Sentence): boolean {
  return plain(sentence.said).length >= plain(sentence.planned).length;
}

/** More than the longest session has time for; an answer with more is taken for two. */
const MOST_SENTENCES = 256;

/** Nothing more fits into it: all its sentences are there, and the last one is being spoken or was. */
export function isFull({ sentences }: Turn): boolean {
  return sentences.length >= MOST_SENTENCES && sentences.at(-1)?.speechId !== undefined;
}

/** Enough for all whose spoken words may still come. */
const MOST_TURNS = 16;

/** The agent's turns and their sentences, and which of them a block of output belongs to. */
export class Turns {
  readonly #turns: Turn[] = [];
  readonly #onWhole: (sentence: Sentence, text: string) => void;
  #count = 0;

  /** @param onWhole called once for each sentence, with the whole of its words */
  constructor(onWhole: (sentence: Sentence, text: string) => void) {
    this.#onWhole = onWhole;
  }

  /** The one that is not over. */
  get open(): Turn | undefined {
    const last = this.#turns.at(-1);
    return last?.done === false ? last : undefined;
  }

  /** The newest, whether it is over or not. */
  get last(): Turn | undefined {
    return this.#turns.at(-1);
  }

  begin(hidden: boolean): Turn {
    for (const turn of this.#turns) this.tellAll(turn);
    this.#count += 1;
    const turn: Turn = {
      id: `resp_${this.#count}`,
      hidden,
      discarded: hidden,
      interrupted: false,
      done: false,
      sentences: [],
      plannedLength: 0,
      saidLength: 0,
    };
    this.#turns.push(turn);
    if (this.#turns.length > MOST_TURNS) this.#turns.shift();
    return turn;
  }

  /** The sentence that planned words belong to: those that come before its speech are one. */
  planned(turn: Turn, contentId: string): Sentence {
    const last = turn.sentences.at(-1);
    return last !== undefined && last.speechId === undefined ? last : this.#add(turn, contentId);
  }

  /** The sentence whose speech a block brings. */
  spoken(turn: Turn, contentId: string): Sentence {
    const sentence = turn.sentences.find((one) => one.speechId === undefined) ?? this.#add(turn, contentId);
    sentence.speechId = contentId;
    return sentence;
  }

  /** The sentence of a block of speech that has begun; undefined: it was not told, or too long ago. */
  bySpeech(contentId: string): Sentence | undefined {
    for (let i = this.#turns.length - 1; i >= 0; i -= 1) {
      const found = this.#turns[i]?.sentences.find((one) => one.speechId === contentId);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  byId(itemId: string): Sentence | undefined {
    for (const turn of this.#turns) {
      const found = turn.sentences.find((one) => one.id === itemId);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /**
   * Words that the service says were spoken: those of the first sentence whose plan has them, else of the first that has
   * none yet. Gives the turn they belong to.
   */
  said(text: string): Turn | undefined {
    const words = plain(text);
    const waiting = this.#turns.flatMap((turn) => turn.sentences).filter((one) => !one.told);
    const sentence =
      waiting.find((one) => plain(one.planned).includes(words)) ?? waiting.find((one) => one.said === '');
    if (sentence === undefined) return undefined;
    const piece = fittingText(addition(sentence.said, text), sentence.turn.saidLength);
    sentence.said += piece;
    sentence.turn.saidLength += piece.length;
    // A part of it may be all that was spoken before the caller cut in; then the plan is told, and cut by what was heard.
    if (covers(sentence)) this.#tell(sentence);
    return sentence.turn;
  }

  /** No more words of this turn will come, or they do not matter. */
  tellAll(turn: Turn): void {
    for (const sentence of turn.sentences) this.#tell(sentence);
  }

  #tell(sentence: Sentence): void {
    if (sentence.told) return;
    sentence.told = true;
    const cut = sentence.cut || sentence.turn.interrupted || sentence.turn.discarded;
    // Whoever cuts it by what was heard needs all that was generated, not what the service thinks was heard.
    const text = (cut ? sentence.planned || sentence.said : sentence.said || sentence.planned).trim();
    if (text !== '' && !sentence.turn.hidden) this.#onWhole(sentence, text);
  }

  #add(turn: Turn, id: string): Sentence {
    const sentence: Sentence = {
      id,
      turn,
      planned: '',
      said: '',
      speechId: undefined,
      received: 0,
      complete: false,
      cut: false,
      told: false,
    };
    turn.sentences.push(sentence);
    return sentence;
  }
}
