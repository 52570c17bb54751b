import type { JsonObject } from '../common/json.ts';
import type { ConversationTurn } from './api.ts';

/** Of speech, in either direction. */
const TOKENS_PER_SECOND = 25;

/** A turn that may still change: the model's own while it is spoken. */
export interface Slot {
  turn: ConversationTurn;
}

export interface Tokens {
  readonly text: number;
  readonly audio: number;
}

/** What the model sees, oldest first. */
export class Conversation {
  #slots: Slot[] = [];
  #fresh: Slot[] = [];

  get turns(): readonly ConversationTurn[] {
    return this.#slots.map((slot) => slot.turn);
  }

  get isEmpty(): boolean {
    return this.#slots.length === 0;
  }

  /** What was added since this was last taken. */
  takeFresh(): readonly ConversationTurn[] {
    const turns = this.#fresh.map((slot) => slot.turn);
    this.#fresh = [];
    return turns;
  }

  get hasFresh(): boolean {
    return this.#fresh.length > 0;
  }

  /** Adds what the model has not seen yet. */
  add(turn: ConversationTurn): Slot {
    const slot = this.open(turn);
    this.#fresh.push(slot);
    return slot;
  }

  /** Adds what the model itself does. */
  open(turn: ConversationTurn): Slot {
    const slot = { turn };
    this.#slots.push(slot);
    return slot;
  }

  /** Takes a turn away that came to nothing. */
  remove(slot: Slot): void {
    this.#slots = this.#slots.filter((other) => other !== slot);
  }

  restore(turns: readonly ConversationTurn[]): void {
    this.#slots = turns.map((turn) => ({ turn }));
  }

  tokens(): Tokens {
    let text = 0;
    let audio = 0;
    for (const { turn } of this.#slots) {
      const tokens = tokensOf(turn);
      text += tokens.text;
      audio += tokens.audio;
    }
    return { text, audio };
  }

  /** Drops the oldest turns until `target` tokens are left at most; the newest stays. */
  slide(target: number): void {
    let { text, audio } = this.tokens();
    while (this.#slots.length > 1 && text + audio > target) {
      const oldest = this.#slots.shift();
      if (oldest === undefined) return;
      const tokens = tokensOf(oldest.turn);
      text -= tokens.text;
      audio -= tokens.audio;
    }
  }
}

function tokensOf(turn: ConversationTurn): Tokens {
  if (turn.source === 'speech') return { text: 0, audio: audioTokens(turn.heardMs) };
  return { text: turn.parts.reduce((sum, part) => sum + partTokens(part), 0), audio: 0 };
}

function partTokens(part: JsonObject): number {
  const words = part['text'];
  return textTokens(typeof words === 'string' ? words : JSON.stringify(part));
}

/** Roughly 4 letters make a token. */
export function textTokens(words: string): number {
  return Math.ceil(words.length / 4);
}

export function audioTokens(ms: number): number {
  return Math.ceil((ms * TOKENS_PER_SECOND) / 1000);
}
