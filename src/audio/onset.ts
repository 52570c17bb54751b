import { createVoiceDetector, VOICE_FRAME_MS, type VoiceDetector, type VoiceFrame } from './vad.ts';
import { isHum, type Voiced, Voicing } from './voicing.ts';

export interface OnsetListener {
  /** A frame of speech, with enough voice before it to be sure; comes with every such frame. */
  onVoice(): void;
  /** Nothing that may be speech was heard for `hangoverMs`. */
  onQuiet(): void;
}

export interface OnsetDetectorOptions {
  readonly listener: OnsetListener;
  /** Voice, that is sound with a pitch, needed before it is speech; 60 ms when not given. */
  readonly minSpeechMs?: number | undefined;
  /** Silence after which a speaker has stopped; 600 ms when not given. */
  readonly hangoverMs?: number | undefined;
}

/** A frame with less has no pitch; one that goes on with the pitch before it needs a little less. */
const PERIODIC = 0.5;
const PERIODIC_STILL = 0.45;
const SAME_PITCH = 0.15;
/** A frame counts in full from `PERIODIC_FULL` on, and a little more when it is clearer still. */
const PERIODIC_NONE = 0.2;
const PERIODIC_FULL = 0.7;
const LARGEST_WEIGHT = 1.25;
/** Sound that is as steady as this for 100 ms comes from a machine. */
const STEADY = 0.8;
/** From one frame to the next a pitch changes by less. */
const LARGEST_STEP = 0.25;
/** A plosive's closure does not end the voice that is being counted. */
const LONGEST_GAP_FRAMES = 2;
/** Voice is about the loudest of what is said; a slammed door only grows fainter. A click, over within a frame, says nothing. */
const BELOW_PEAK_DB = 6;
const PEAK_DECAY_DB = 0.4;
/**
 * Of a cough the loud part is noise, and what has a pitch is hardly louder; speech is the other way round. Voice that is
 * not clearly louder than the noise just before it counts for a third.
 */
const NOISY = 0.7;
const ABOVE_NOISE_DB = 3;
const NOISE_DECAY_DB = 0.15;
const DOUBTFUL = 1 / 3;
/** What is this much weaker than the loudest frame is reverberation, or a likelihood that dies away. */
const RANGE_DB = 35;
/** Nobody speaks this long without a breath: it is noise, whose level is learned anew. */
const LONGEST_FRAMES = 1500;

/** Says within 150 ms that a person has begun to speak, and takes no noise, tone, cough or hum for it. Samples are PCM16 at 8 kHz. */
export class OnsetDetector {
  readonly #detector: VoiceDetector = createVoiceDetector({ rate: 8000 });
  readonly #voicing = new Voicing();
  readonly #listener: OnsetListener;
  readonly #minWeight: number;
  readonly #hangoverFrames: number;
  readonly #frame: Int16Array;
  #filled = 0;
  #leastDbm0 = Number.NEGATIVE_INFINITY;
  #speaking = false;
  /** Voice so far, in frames, each by how sure it is. */
  #voice = 0;
  #gap = 0;
  #periodMs = 0;
  /** Loudest sound and loudest noise of late, dBm0: of two and of three frames in a row the weakest, fading with time. */
  #peak = Number.NEGATIVE_INFINITY;
  #noisePeak = Number.NEGATIVE_INFINITY;
  #levelBefore = Number.NEGATIVE_INFINITY;
  #noiseBefore = Number.NEGATIVE_INFINITY;
  #noiseBeforeThat = Number.NEGATIVE_INFINITY;
  #loudest = Number.NEGATIVE_INFINITY;
  #quietFrames = 0;
  #spokenFrames = 0;

  constructor(options: OnsetDetectorOptions) {
    const { listener, minSpeechMs = 60, hangoverMs = 600 } = options;
    this.#listener = listener;
    this.#minWeight = Math.max(1, minSpeechMs / VOICE_FRAME_MS);
    this.#hangoverFrames = Math.max(1, Math.ceil(hangoverMs / VOICE_FRAME_MS));
    this.#frame = new Int16Array(this.#detector.frameSize);
  }

  /** Between the first `onVoice` and `onQuiet`. */
  get speaking(): boolean {
    return this.#speaking;
  }

  /** Between these, the last frame may have been speech. */
  get hears(): boolean {
    return this.#speaking && this.#quietFrames === 0;
  }

  /** Until it is called again, what is weaker may be an echo of our own speech; -Infinity: nothing is. */
  set leastDbm0(level: number) {
    this.#leastDbm0 = level;
  }

  /** Takes the first `count` samples, cut anywhere. Allocates nothing. */
  push(samples: Int16Array, count: number): void {
    const frame = this.#frame;
    for (let i = 0; i < count; i++) {
      frame[this.#filled] = samples[i]!;
      this.#filled += 1;
      if (this.#filled < frame.length) continue;
      this.#filled = 0;
      this.#take(this.#detector.process(frame), this.#voicing.process(frame));
    }
  }

  /** Counts the voice anew, as if nobody had spoken so far. */
  forgetVoice(): void {
    this.#voice = 0;
    this.#gap = 0;
  }

  /** Forgets who speaks, without a word. What is known of the noise stays. */
  abandon(): void {
    this.forgetVoice();
    this.#speaking = false;
    this.#loudest = Number.NEGATIVE_INFINITY;
  }

  #take(frame: VoiceFrame, voiced: Voiced): void {
    const level = frame.tonal ? Number.NEGATIVE_INFINITY : frame.levelDbm0;
    const hum = isHum(voiced, level - this.#levelBefore);
    this.#follow(level, frame.speech && voiced.periodicity < NOISY);
    if (!hum && this.#isVoice(frame, voiced)) this.#count(level, voiced);
    else this.#pass(hum || frame.tonal);
    if (this.#speaking) this.#listenForEnd(frame);
  }

  #follow(level: number, noisy: boolean): void {
    const noise = noisy ? level : Number.NEGATIVE_INFINITY;
    this.#peak = Math.max(this.#peak - PEAK_DECAY_DB, Math.min(level, this.#levelBefore));
    this.#noisePeak = Math.max(
      this.#noisePeak - NOISE_DECAY_DB,
      Math.min(noise, this.#noiseBefore, this.#noiseBeforeThat),
    );
    this.#levelBefore = level;
    this.#noiseBeforeThat = this.#noiseBefore;
    this.#noiseBefore = noise;
  }

  #isVoice(frame: VoiceFrame, voiced: Voiced): boolean {
    const still = this.#voice > 0 && this.#gap <= 1 && this.#isNear(voiced.periodMs, SAME_PITCH);
    return (
      frame.speech &&
      voiced.periodicity >= (still ? PERIODIC_STILL : PERIODIC) &&
      voiced.steadiness < STEADY &&
      frame.levelDbm0 >= this.#leastDbm0 &&
      frame.levelDbm0 >= this.#peak - BELOW_PEAK_DB
    );
  }

  #isNear(periodMs: number, share: number): boolean {
    return Math.abs(periodMs - this.#periodMs) <= share * this.#periodMs;
  }

  #count(level: number, { periodicity, periodMs }: Voiced): void {
    const clear = (periodicity - PERIODIC_NONE) / (PERIODIC_FULL - PERIODIC_NONE);
    const sure = level >= this.#noisePeak + ABOVE_NOISE_DB ? 1 : DOUBTFUL;
    if (this.#voice === 0 || this.#isNear(periodMs, LARGEST_STEP)) {
      this.#voice += sure * Math.min(clear, LARGEST_WEIGHT);
    }
    this.#periodMs = periodMs;
    this.#gap = 0;
    if (this.#voice < this.#minWeight) return;
    this.#speaking = true;
    this.#listener.onVoice();
  }

  #pass(artificial: boolean): void {
    this.#gap += 1;
    if (artificial || this.#gap > LONGEST_GAP_FRAMES) this.#voice = 0;
  }

  #listenForEnd(frame: VoiceFrame): void {
    const heard = frame.speech && frame.levelDbm0 >= this.#loudest - RANGE_DB;
    this.#quietFrames = heard ? 0 : this.#quietFrames + 1;
    this.#loudest = Math.max(this.#loudest, heard ? frame.levelDbm0 : this.#loudest);
    this.#spokenFrames += 1;
    const tooLong = this.#spokenFrames >= LONGEST_FRAMES;
    if (this.#quietFrames < this.#hangoverFrames && !tooLong) return;
    // Steady noise would count as speech again at once.
    if (tooLong) this.#detector.reset();
    this.abandon();
    this.#spokenFrames = 0;
    this.#quietFrames = 0;
    this.#listener.onQuiet();
  }
}
