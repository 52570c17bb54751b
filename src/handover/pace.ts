/** Usual speech in most languages that are written with letters. */
const USUAL_CHARACTERS = 30;
const USUAL_MS = 2000;
/** Of the words that are known, those that there is audio for, before anything was learned: they run ahead of theirs. */
const USUAL_SHARE = 0.8;
const LEAST_SHARE = 0.5;
/** Nothing is learned from a shorter one. */
const LEAST_MS = 1000;
/** Of a text that is there when its last audio comes, where words run ahead. */
const MOST_OF_IT = 0.95;
/** Words come one by one. */
const A_WORD_MS = 400;
/** Nobody speaks always at one speed. */
const FASTER = 1.15;

/** What is known of one piece of the agent's speech that is complete. */
export interface Spoken {
  readonly characters: number;
  readonly ms: number;
  /** Of the characters, those that were there when the last audio came. */
  readonly atTheEnd: number;
  /** The audio that was there when the last of the characters came before that, in ms. */
  readonly writtenAtMs: number;
}

/** How the agent speaks in this call: tells which of its words there is audio for, when a provider died over them. */
export class Pace {
  // What is usual weighs as much as a first short sentence.
  #characters = USUAL_CHARACTERS;
  #ms = USUAL_MS;
  #share = USUAL_SHARE;
  /** Words come after their audio. */
  #lags = false;

  /** Something was said from beginning to end. Words that are not known say nothing. */
  learn({ characters, ms, atTheEnd, writtenAtMs }: Spoken): void {
    if (characters === 0 || ms <= 0) return;
    this.#characters += characters;
    this.#ms += ms;
    this.#lags = atTheEnd < characters * MOST_OF_IT;
    if (ms >= LEAST_MS) this.#share = Math.max(LEAST_SHARE, writtenAtMs / ms);
  }

  /**
   * Of so many characters those for which there is audio, if there is so much of it in all.
   * @param writtenAtMs see `Spoken`
   */
  said(characters: number, ms: number, writtenAtMs: number): number {
    if (this.#lags) return characters;
    const perMs = this.#characters / this.#ms;
    // Twice the time that it takes: then it is all.
    if (ms * perMs >= characters * 2) return characters;
    const before = Math.min(characters * this.#share, writtenAtMs * perMs * FASTER);
    // When no more words come, the voice comes nearer to their end.
    const since = writtenAtMs === 0 ? ms : Math.max(0, ms - writtenAtMs - A_WORD_MS);
    return Math.floor(Math.min(characters, before + since * perMs));
  }
}
