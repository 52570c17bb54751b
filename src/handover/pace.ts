/** Usual speech in most languages that are written with letters. */
const USUAL_CHARACTERS = 30;
const USUAL_MS = 2000;

/** How fast the agent speaks in this call: tells how many words there is audio for, when a provider died over them. */
export class Pace {
  // What is usual weighs as much as a first short sentence.
  #characters = USUAL_CHARACTERS;
  #ms = USUAL_MS;

  /** Something was said from beginning to end. Words that are not known say nothing. */
  learn(characters: number, ms: number): void {
    if (characters === 0 || ms <= 0) return;
    this.#characters += characters;
    this.#ms += ms;
  }

  /** What takes so long to say. */
  characters(ms: number): number {
    return Math.floor((ms * this.#characters) / this.#ms);
  }
}
