import { type AudioFormat, bytesPerMs } from '../../audio/format.ts';
import { lawTables } from '../../audio/g711.ts';

/** Energy is judged for every 10 ms of audio. */
const FRAME_MS = 10;
/** Speech has begun when this much of it came in a row: a click is no speech. */
const ATTACK_MS = 30;

/** What the judge of a stretch of audio wants to be told about. */
export interface SpeechListener {
  /** `startMs`: where the first loud frame begins. */
  speechStarted(startMs: number): void;
  /** `endMs`: how far the audio had come when the silence was long enough; `lastLoudMs`: where speech ended. */
  speechStopped(endMs: number, lastLoudMs: number): void;
}

/**
 * Finds speech in received audio by its energy. Time is counted in audio, not by the clock, so the same audio gives
 * the same result however fast it comes. The bytes of a sample may be split between two calls.
 */
export class VoiceActivity {
  readonly #listener: SpeechListener;
  #decode: Int16Array | undefined;
  #frameSamples = 240;
  #half = -1;
  #samples = 0;
  #energy = 0;
  #frames = 0;
  #level = levelOf(0.5);
  #silenceMs = 500;
  #speaking = false;
  #loudRun = 0;
  #lastLoudMs = 0;
  #loudMs = 0;

  constructor(listener: SpeechListener) {
    this.#listener = listener;
  }

  /** All audio that was judged, in ms. */
  get positionMs(): number {
    return this.#frames * FRAME_MS;
  }

  /** How much of the audio was loud since this was last asked, in ms. */
  takeLoudMs(): number {
    const loud = this.#loudMs;
    this.#loudMs = 0;
    return loud;
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** `threshold` 0..1; speech ends after `silenceMs` of quiet audio, never when it is infinite. */
  tune(threshold: number, silenceMs: number): void {
    this.#level = levelOf(threshold);
    this.#silenceMs = silenceMs;
  }

  format(format: AudioFormat): void {
    this.#decode = format.encoding === 'pcm16' ? undefined : lawTables(format.encoding).decode;
    this.#frameSamples = (format.rate * FRAME_MS) / 1000;
    this.#half = -1;
    this.#samples = 0;
    this.#energy = 0;
  }

  /** Speech that is open is over, and nobody is told. */
  forget(): void {
    this.#speaking = false;
    this.#loudRun = 0;
  }

  push(bytes: Uint8Array): void {
    if (this.#decode === undefined) this.#pushPcm(bytes);
    else this.#pushLaw(bytes, this.#decode);
  }

  #pushLaw(bytes: Uint8Array, decode: Int16Array): void {
    for (let i = 0; i < bytes.length; i++) this.#sample(decode[bytes[i] ?? 0] ?? 0);
  }

  #pushPcm(bytes: Uint8Array): void {
    let i = 0;
    if (this.#half >= 0 && bytes.length > 0) {
      this.#sample((((bytes[0] ?? 0) << 24) >> 16) | this.#half);
      i = 1;
    }
    for (; i + 1 < bytes.length; i += 2) {
      this.#sample((((bytes[i + 1] ?? 0) << 24) >> 16) | (bytes[i] ?? 0));
    }
    this.#half = i < bytes.length ? (bytes[i] ?? 0) : -1;
  }

  #sample(sample: number): void {
    this.#energy += sample * sample;
    if (++this.#samples < this.#frameSamples) return;
    const loud = Math.sqrt(this.#energy / this.#samples) > this.#level;
    this.#samples = 0;
    this.#energy = 0;
    this.#frames++;
    this.#judge(loud);
  }

  #judge(loud: boolean): void {
    const now = this.#frames * FRAME_MS;
    this.#loudRun = loud ? this.#loudRun + FRAME_MS : 0;
    if (loud) {
      this.#loudMs += FRAME_MS;
      this.#lastLoudMs = now;
    }
    if (!this.#speaking && this.#loudRun >= ATTACK_MS) {
      this.#speaking = true;
      this.#listener.speechStarted(now - this.#loudRun);
    } else if (this.#speaking && now - this.#lastLoudMs >= this.#silenceMs) {
      this.#speaking = false;
      this.#listener.speechStopped(now, this.#lastLoudMs);
    }
  }
}

/** The RMS that speech has to pass: -60 dBFS at threshold 0, -40 at 0.5, -20 at 1. */
function levelOf(threshold: number): number {
  return 32_768 * 10 ** ((-60 + 40 * threshold) / 20);
}

/** Whole bytes in `ms` of audio. */
export function bytesIn(ms: number, format: AudioFormat): number {
  const samples = Math.round((ms * format.rate) / 1000);
  return format.encoding === 'pcm16' ? samples * 2 : samples;
}

/** Milliseconds that `bytes` last. */
export function msOf(bytes: number, format: AudioFormat): number {
  return bytes / bytesPerMs(format);
}
