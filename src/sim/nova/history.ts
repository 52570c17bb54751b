import type { HistoryEntry } from './api.ts';

/** A sentence of the agent's speech, and where its audio lies in that of its message, in ms. */
export interface Sentence {
  readonly text: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Speech of the agent: what the model believes of it grows with what is heard. */
export class SpokenMessage {
  /** Where in all audio that was sent this message begins, in ms; undefined before its first piece. */
  startMs: number | undefined;
  sentMs = 0;
  /** So many of its sentences have had their FINAL text. */
  told = 0;
  readonly sentences: readonly Sentence[];
  #cutMs: number | undefined;

  constructor(sentences: readonly Sentence[]) {
    this.sentences = sentences;
  }

  /** How much of it was heard when the caller has heard `totalMs` of everything. */
  heardMs(totalMs: number): number {
    if (this.#cutMs !== undefined) return this.#cutMs;
    if (this.startMs === undefined) return 0;
    return Math.max(0, Math.min(this.sentMs, totalMs - this.startMs));
  }

  /** Cuts it off where the caller is; false when he has heard all of it. */
  cut(totalMs: number, isComplete: boolean): boolean {
    const heard = this.heardMs(totalMs);
    if (this.#cutMs !== undefined || (isComplete && heard >= this.sentMs)) return false;
    this.#cutMs = heard;
    return true;
  }

  /** The words that fall into the first `heardMs`. */
  textUntil(heardMs: number): string {
    return this.sentences
      .map((sentence) => heardPart(sentence, heardMs))
      .filter((text) => text !== '')
      .join(' ');
  }

  /** The words that were heard of the sentence that the caller is in; empty when its FINAL text was sent already. */
  openPart(totalMs: number): string {
    const heard = this.heardMs(totalMs);
    const index = this.sentences.findIndex(({ toMs }) => toMs > heard);
    const sentence = this.sentences[index];
    return sentence === undefined || index < this.told ? '' : heardPart(sentence, heard);
  }

  view(totalMs: number): HistoryEntry {
    const heard = this.heardMs(totalMs);
    const shown = { role: 'ASSISTANT', source: 'speech', text: this.textUntil(heard) } as const;
    return this.#cutMs === undefined ? shown : { ...shown, heardMs: Math.round(heard) };
  }
}

/** The words of a sentence that fall into the first `heardMs` of its message; each takes the same time. */
function heardPart(sentence: Sentence, heardMs: number): string {
  if (heardMs >= sentence.toMs) return sentence.text;
  if (heardMs <= sentence.fromMs) return '';
  const words = sentence.text.split(' ');
  const share = (heardMs - sentence.fromMs) / (sentence.toMs - sentence.fromMs);
  return words.slice(0, Math.floor(words.length * share)).join(' ');
}

/** The conversation of one session, oldest first. */
export class History {
  readonly #entries: (HistoryEntry | SpokenMessage)[] = [];
  /** So many were there when the model last answered. */
  #known = 0;

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  add(entry: HistoryEntry | SpokenMessage): void {
    this.#entries.push(entry);
  }

  /** Cuts all speech off that the caller has not heard to its end; these messages. */
  cut(totalMs: number, open: SpokenMessage | undefined): readonly SpokenMessage[] {
    return this.#entries.filter(
      (entry): entry is SpokenMessage => entry instanceof SpokenMessage && entry.cut(totalMs, entry !== open),
    );
  }

  view(totalMs: number): readonly HistoryEntry[] {
    return this.#entries.map((entry) => (entry instanceof SpokenMessage ? entry.view(totalMs) : entry));
  }

  /** How many the model knew when it last answered; from now on it knows all. */
  takeKnown(): number {
    const known = this.#known;
    this.#known = this.#entries.length;
    return known;
  }
}
