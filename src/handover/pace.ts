/** Usual speech in most languages that are written with letters. */
const USUAL_CHARACTERS = 30;
const USUAL_MS = 2000;
/** How far words run ahead of their audio, where they do. */
const LEAD_MS = 500;
/** Of a text that is there when its last audio comes, where words run ahead. */
const MOST_OF_IT = 0.95;

/** How the agent speaks in this call: tells which of its words there is audio for, when a provider died over them. */
export class Pace {
  // What is usual weighs as much as a first short sentence.
  #characters = USUAL_CHARACTERS;
  #ms = USUAL_MS;
  /** Words come after their audio. */
  #lags = false;

  /**
   * Something was said from beginning to end. Words that are not known say nothing.
   * @param atTheEnd so many characters were there when the last audio came
   */
  learn(characters: number, ms: number, atTheEnd: number): void {
    if (characters === 0 || ms <= 0) return;
    this.#characters += characters;
    this.#ms += ms;
    this.#lags = atTheEnd < characters * MOST_OF_IT;
  }

  /** Of so many characters those for which there is audio, if there is so much of it in all. */
  said(characters: number, ms: number): number {
    if (this.#lags) return characters;
    const byPace = (ms * this.#characters) / this.#ms;
    // Twice the time that it takes: then it is all.
    if (byPace >= characters * 2) return characters;
    return Math.floor(Math.min(byPace, (characters * ms) / (ms + LEAD_MS)));
  }
}
