import { isHum, type Voiced, Voicing } from '../audio/voicing.ts';
import { MACHINE_SILENCE_DBM0 } from './trim.ts';

export interface VoiceCheckOptions {
  /** Of every frame, dBm0. */
  readonly levels: Float32Array;
  /** Writes a frame as PCM16 at 8 kHz to the front of `into`. */
  decode(frame: number, into: Int16Array): void;
}

/** A frame has a pitch from here on, which is near that of the one before it. */
const PERIODIC = 0.5;
const LARGEST_STEP = 0.25;
const LONGEST_GAP = 3;
/** Sound that is as steady as this for 100 ms comes from a machine. */
const STEADY = 0.8;
/** What is as pure as this and changes less in level from frame to frame is a tone. */
const TONE_PURITY = 0.9;
const TONE_CHANGE_DB = 0.5;
/** Voice is about the loudest of what is said; a slammed door only grows fainter. */
const BELOW_LOUDEST_DB = 8;
/** Frames with a pitch that make a voice of it: 60 ms. */
const ENOUGH = 3;
/** Of one that has just begun. */
const ENOUGH_BEGINNING = 2;
/** What is looked at, around the loudest frame: in speech, that is a vowel. */
const BEFORE = 6;
const AFTER = 8;
const WINDOWS = 2;
/** The pitch is found by comparing with the frames before. */
const WARM_UP = 2;
/** Looking takes time, and a hundred calls may lose their provider at once. */
const MOST_FRAMES = 200;

/**
 * Whether there is a voice in a stretch of sound, or only noise or tones: by pitch, looked for where it is loudest. Made
 * for one look at a range of frames.
 */
export class VoiceCheck {
  readonly #options: VoiceCheckOptions;
  readonly #voicing = new Voicing();
  readonly #samples: Int16Array;
  #left = MOST_FRAMES;
  #found = false;

  constructor(options: VoiceCheckOptions) {
    this.#options = options;
    this.#samples = new Int16Array(this.#voicing.frameSize);
  }

  /** @param beginning the stretch goes on after what is known */
  isVoice(from: number, to: number, beginning: boolean): boolean {
    // Where nothing but noise was heard so far, the rest will be noise as well.
    if (this.#left <= 0) return this.#found;
    const enough = beginning ? ENOUGH_BEGINNING : ENOUGH;
    let [start, end] = [from, to];
    for (let i = 0; i < WINDOWS && start < end; i++) {
      const loudest = this.#loudest(start, end);
      if (this.#pitched(Math.max(from, loudest - BEFORE), Math.min(to, loudest + AFTER), loudest, enough)) {
        this.#found = true;
        return true;
      }
      // Then in the longer of the two parts that are left.
      if (loudest - start > end - loudest) end = loudest - BEFORE;
      else start = loudest + AFTER;
    }
    return false;
  }

  #loudest(from: number, to: number): number {
    let best = from;
    for (let i = from; i < to; i++) if (this.#levelOf(i) > this.#levelOf(best)) best = i;
    return best;
  }

  #levelOf(frame: number): number {
    return this.#options.levels[frame] ?? MACHINE_SILENCE_DBM0;
  }

  #pitched(from: number, to: number, loudest: number, enough: number): boolean {
    const voicing = this.#voicing;
    const least = this.#levelOf(loudest) - BELOW_LOUDEST_DB;
    let [pitched, last, period] = [0, 0, 0];
    voicing.reset();
    for (let i = Math.max(0, from - WARM_UP); i < to; i++) {
      this.#left -= 1;
      this.#options.decode(i, this.#samples);
      const voiced = voicing.process(this.#samples);
      const { periodicity, periodMs, steadiness } = voiced;
      if (i < from || periodicity < PERIODIC || steadiness >= STEADY) continue;
      if (this.#levelOf(i) < least || this.#isTone(i, voiced)) continue;
      const goesOn = i - last <= LONGEST_GAP + 1 && Math.abs(periodMs - period) <= LARGEST_STEP * period;
      pitched = goesOn ? pitched + 1 : 1;
      last = i;
      period = periodMs;
      if (pitched === enough) return true;
    }
    return false;
  }

  #isTone(frame: number, voiced: Voiced): boolean {
    const change = Math.abs(this.#levelOf(frame) - this.#levelOf(frame - 1));
    return (voiced.periodicity >= TONE_PURITY && change < TONE_CHANGE_DB) || isHum(voiced, change);
  }
}
