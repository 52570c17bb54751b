import type { AudioFormat, Rate } from '../../audio/format.ts';
import { msOf, type SpeechListener, VoiceActivity } from '../common/voice-activity.ts';
import type { AudioStatistics } from './api.ts';

/** Speech is what is louder than this (-40 dBFS) for some frames in a row. */
const THRESHOLD = 0.5;

/** What is told about the caller's speech. */
export interface EarsListener {
  callerStarted(): void;
  /** `heardMs`: how much of it was loud. */
  callerStopped(heardMs: number): void;
}

/** The caller's audio: turns are found by its energy and its silences, and it is counted how steadily it comes. */
export class Ears implements SpeechListener {
  readonly #listener: EarsListener;
  readonly #activity = new VoiceActivity(this);
  readonly #now: () => number;
  readonly #keep: boolean;
  readonly kept: Uint8Array[] = [];
  #format: AudioFormat = { encoding: 'pcm16', rate: 16_000 };
  #simulatedAtMs: number | undefined;
  #turnLoudMs = 0;
  #loudMs = 0;
  #audioMs = 0;
  #chunks = 0;
  #shortestMs = Number.POSITIVE_INFINITY;
  #longestMs = 0;
  #longestGapMs = 0;
  #firstAtMs = 0;
  #lastAtMs = 0;
  #lastMs = 0;

  constructor(listener: EarsListener, now: () => number, keep: boolean) {
    this.#listener = listener;
    this.#now = now;
    this.#keep = keep;
  }

  get audioMs(): number {
    return this.#audioMs;
  }

  get isCallerSpeaking(): boolean {
    return this.#activity.speaking || this.#simulatedAtMs !== undefined;
  }

  statistics(): AudioStatistics {
    return {
      chunks: this.#chunks,
      audioMs: this.#audioMs,
      loudMs: this.#loudMs,
      shortestMs: this.#chunks === 0 ? 0 : this.#shortestMs,
      longestMs: this.#longestMs,
      longestGapMs: this.#longestGapMs,
      behindMs: this.#chunks === 0 ? 0 : this.#lastAtMs - this.#firstAtMs - (this.#audioMs - this.#lastMs),
    };
  }

  /** `silenceMs`: so much silence ends a turn. */
  configure(rate: Rate, silenceMs: number): void {
    this.#format = { encoding: 'pcm16', rate };
    this.#activity.format(this.#format);
    this.#activity.tune(THRESHOLD, silenceMs);
  }

  push(bytes: Uint8Array): void {
    this.#count(msOf(bytes.length, this.#format));
    if (this.#keep) this.kept.push(bytes);
    this.#activity.push(bytes);
    this.#collect();
  }

  /** Speech that the script says is there. */
  simulateStart(): void {
    if (this.isCallerSpeaking) return;
    this.#simulatedAtMs = this.#now();
    this.#listener.callerStarted();
  }

  simulateStop(): void {
    const startMs = this.#simulatedAtMs;
    if (startMs === undefined) return;
    this.#simulatedAtMs = undefined;
    this.#listener.callerStopped(this.#now() - startMs);
  }

  speechStarted(): void {
    this.#collect();
    this.#turnLoudMs = 30;
    if (this.#simulatedAtMs === undefined) this.#listener.callerStarted();
  }

  speechStopped(): void {
    this.#collect();
    if (this.#simulatedAtMs === undefined) this.#listener.callerStopped(this.#turnLoudMs);
  }

  #collect(): void {
    const loud = this.#activity.takeLoudMs();
    this.#turnLoudMs += loud;
    this.#loudMs += loud;
  }

  #count(ms: number): void {
    const now = this.#now();
    if (this.#chunks === 0) this.#firstAtMs = now;
    else this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAtMs);
    this.#lastAtMs = now;
    this.#lastMs = ms;
    this.#chunks++;
    this.#audioMs += ms;
    this.#shortestMs = Math.min(this.#shortestMs, ms);
    this.#longestMs = Math.max(this.#longestMs, ms);
  }
}
