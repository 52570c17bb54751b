import { type AudioFormat, silenceByte } from '../../audio/format.ts';
import type { Dice } from '../common/dice.ts';
import { cut, type Track, type Voice } from '../common/voice.ts';
import { bytesIn, msOf } from '../common/voice-activity.ts';

const NOISE_MS = 1_000;
const RATE = 24_000;
/** Words are told in steps of the session's time of so many ms. */
export const WORDS_MS = 200;

/** Something that is to be said. */
export interface Utterance {
  readonly track: Track;
  readonly transcript: string;
  /** Time of the session at which it begins, at the earliest. */
  readonly fromMs: number;
  /** Something that was given to be played as it is: nobody can talk over it. */
  readonly isFixture: boolean;
  /** `said`: the words as far as they came. */
  ended(said: string, whole: boolean): void;
}

/** One delta of the output stream. */
export interface Frame {
  readonly bytes: Uint8Array;
  /** How much of it is speech, in ms. */
  readonly spokenMs: number;
}

/** The one stream of a session's output: what is to be said, one thing after the other, and silence in between. */
export class Mouth {
  readonly #format: AudioFormat;
  readonly #silence: Track | undefined;
  readonly #tellWords: (words: string, startMs: number, endMs: number) => void;
  readonly #queue: Utterance[] = [];
  #played = 0;
  #told = 0;
  #silenceAt = 0;

  constructor(parts: {
    readonly format: AudioFormat;
    readonly voice: Voice;
    readonly dice: Dice;
    /** Loudest sample of what stands for silence. */
    readonly noise: number;
    /** A piece of the words that were said from `startMs` to `endMs` of the session. */
    readonly words: (words: string, startMs: number, endMs: number) => void;
  }) {
    this.#format = parts.format;
    this.#tellWords = parts.words;
    if (parts.noise > 0) this.#silence = parts.voice.samples(hiss(parts.dice, parts.noise), parts.format);
  }

  /** Something is being said, or is about to be. */
  get busy(): boolean {
    return this.#queue.length > 0;
  }

  /** Something is being said and has been heard in part. */
  get speaking(): boolean {
    return this.#played > 0;
  }

  get playsFixture(): boolean {
    return this.#queue[0]?.isFixture === true;
  }

  say(utterance: Utterance): void {
    this.#queue.push(utterance);
  }

  /** What is being said stops at once. */
  stop(atMs: number): void {
    const utterance = this.#queue[0];
    if (utterance === undefined) return;
    this.#queue.shift();
    this.#tell(utterance, atMs);
    this.#end(utterance, false);
  }

  /** Everything that was planned is given up. */
  clear(): void {
    this.#queue.length = 0;
    this.#played = 0;
    this.#told = 0;
  }

  /** The output from `startMs` to `endMs` of the session. */
  frame(startMs: number, endMs: number): Frame {
    const bytes = this.#quiet(bytesIn(endMs - startMs, this.#format));
    let filled = 0;
    let spoken = 0;
    for (
      let next = this.#due(startMs);
      next !== undefined && filled < bytes.length;
      next = this.#due(startMs)
    ) {
      const count = Math.min(bytes.length - filled, next.track.totalBytes - this.#played);
      bytes.set(cut(next.track, this.#played, this.#played + count), filled);
      this.#played += count;
      filled += count;
      spoken += count;
      if (this.#played < next.track.totalBytes) break;
      this.#queue.shift();
      this.#tell(next, endMs);
      this.#end(next, true);
    }
    const open = this.#queue[0];
    const isStep = Math.floor(endMs / WORDS_MS) > Math.floor(startMs / WORDS_MS);
    if (open !== undefined && this.speaking && isStep) this.#tell(open, endMs);
    return { bytes, spokenMs: msOf(spoken, this.#format) };
  }

  #due(atMs: number): Utterance | undefined {
    const next = this.#queue[0];
    return next !== undefined && (this.speaking || next.fromMs <= atMs) ? next : undefined;
  }

  #end(utterance: Utterance, whole: boolean): void {
    const said = whole ? utterance.transcript : utterance.transcript.slice(0, this.#told);
    this.#played = 0;
    this.#told = 0;
    utterance.ended(said, whole);
  }

  /** The words up to where the audio is, as far as they were not told before. */
  #tell({ transcript, track }: Utterance, atMs: number): void {
    const reached = track.totalBytes === 0 ? 1 : this.#played / track.totalBytes;
    let to = Math.floor(transcript.length * reached);
    // A word is told when it is over.
    if (to < transcript.length) to = transcript.lastIndexOf(' ', to);
    if (to <= this.#told) return;
    const words = transcript.slice(this.#told, to);
    this.#told = to;
    const endMs = Math.ceil(atMs / WORDS_MS) * WORDS_MS;
    this.#tellWords(words, endMs - WORDS_MS, endMs);
  }

  #quiet(length: number): Uint8Array {
    if (this.#silence === undefined) return new Uint8Array(length).fill(silenceByte(this.#format));
    // A copy, also of a Buffer, whose slices share its memory.
    const bytes = new Uint8Array(cut(this.#silence, this.#silenceAt, this.#silenceAt + length));
    this.#silenceAt += length;
    return bytes;
  }
}

function hiss(dice: Dice, peak: number): Int16Array {
  return Int16Array.from({ length: (RATE * NOISE_MS) / 1000 }, () =>
    Math.round((2 * dice.roll() - 1) * peak),
  );
}
