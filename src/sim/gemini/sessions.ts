import type { Dice } from '../common/dice.ts';
import type { ConversationTurn } from './api.ts';

/** What a handle stands for. */
export interface SavedSession {
  readonly model: string;
  readonly conversation: readonly ConversationTurn[];
  /** How long the conversation had gone on, over all its connections, in ms. */
  readonly ageMs: number;
}

/** The sessions that can be taken up again, by their handles. */
export class Sessions {
  readonly #saved = new Map<string, { readonly session: SavedSession; readonly untilMs: number }>();
  readonly #now: () => number;
  readonly #lifeMs: number;

  constructor(now: () => number, lifeMs: number) {
    this.#now = now;
    this.#lifeMs = lifeMs;
  }

  save(dice: Dice, session: SavedSession): string {
    this.#dropOld();
    const handle = dice.id('handle');
    this.#saved.set(handle, { session, untilMs: this.#now() + this.#lifeMs });
    return handle;
  }

  /** The oldest come first, and all live equally long. */
  #dropOld(): void {
    for (const [handle, { untilMs }] of this.#saved) {
      if (untilMs > this.#now()) return;
      this.#saved.delete(handle);
    }
  }

  find(handle: string): SavedSession | undefined {
    const found = this.#saved.get(handle);
    return found !== undefined && found.untilMs > this.#now() ? found.session : undefined;
  }

  forget(): void {
    this.#saved.clear();
  }
}
