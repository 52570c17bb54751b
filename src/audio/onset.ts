import { createVoiceDetector, VOICE_FRAME_MS, type VoiceDetector, type VoiceFrame } from './vad.ts';
import { type Voiced, Voicing } from './voicing.ts';

export interface OnsetListener {
  /** A frame of speech, with enough voice before it to be sure; comes with every such frame. */
  onVoice(): void;
  /** Nothing that may be speech was heard for `hangoverMs`. */
  onQuiet(): void;
}

export interface OnsetDetectorOptions {
  readonly listener: OnsetListener;
  /** Voice, that is sound with a pitch, needed before it is speech; 80 ms when not given. */
  readonly minSpeechMs?: number | undefined;
  /** Silence after which a speaker has stopped; 600 ms when not given. */
  readonly hangoverMs?: number | undefined;
}

/** A frame with less is noise, whatever its colour. */
const PERIODIC = 0.6;
/** Sound that is as steady as this for 100 ms comes from a machine. */
const STEADY = 0.8;
/** A plosive's closure does not end the voice that is being counted. */
const LONGEST_GAP_FRAMES = 4;
/** From one frame to the next a pitch changes by less. */
const LARGEST_STEP = 0.25;
/** Of a cough or a slammed door the loud part is noise, and what of it has a pitch is fainter; speech is the other way round. */
const BELOW_PEAK_DB = 6;
const PEAK_DECAY_DB = 0.4;
/** What is this much weaker than the loudest frame is reverberation, or a likelihood that dies away. */
const RANGE_DB = 35;
/** Nobody speaks this long without a breath: it is noise, whose level is learned anew. */
const LONGEST_FRAMES = 1500;

/** Says within 150 ms that a person has begun to speak, and takes no noise, tone, cough or hum for it. Samples are PCM16 at 8 kHz. */
export class OnsetDetector {
  readonly #detector: VoiceDetector = createVoiceDetector({ rate: 8000 });
  readonly #voicing = new Voicing();
  readonly #listener: OnsetListener;
  readonly #minFrames: number;
  readonly #hangoverFrames: number;
  readonly #frame: Int16Array;
  #filled = 0;
  #leastDbm0 = Number.NEGATIVE_INFINITY;
  #speaking = false;
  #voicedFrames = 0;
  #gap = 0;
  #period = 0;
  #peak = Number.NEGATIVE_INFINITY;
  #before = Number.NEGATIVE_INFINITY;
  #loudest = Number.NEGATIVE_INFINITY;
  #quietFrames = 0;
  #spokenFrames = 0;

  constructor(options: OnsetDetectorOptions) {
    const { listener, minSpeechMs = 80, hangoverMs = 600 } = options;
    this.#listener = listener;
    this.#minFrames = Math.max(1, Math.ceil(minSpeechMs / VOICE_FRAME_MS));
    this.#hangoverFrames = Math.max(1, Math.ceil(hangoverMs / VOICE_FRAME_MS));
    this.#frame = new Int16Array(this.#detector.frameSize);
  }

  /** Between the first `onVoice` and `onQuiet`. */
  get speaking(): boolean {
    return this.#speaking;
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
    this.#voicedFrames = 0;
    this.#gap = 0;
  }

  /** Forgets who speaks, without a word. What is known of the noise stays. */
  abandon(): void {
    this.forgetVoice();
    this.#speaking = false;
    this.#loudest = Number.NEGATIVE_INFINITY;
  }

  #take(frame: VoiceFrame, voiced: Voiced): void {
    this.#followPeak(frame);
    if (this.#isVoice(frame, voiced)) this.#count(voiced);
    else this.#pass(frame);
    if (this.#speaking) this.#listenForEnd(frame);
  }

  #followPeak(frame: VoiceFrame): void {
    const level = frame.tonal ? Number.NEGATIVE_INFINITY : frame.levelDbm0;
    // A click is over within a frame, and hides no speech.
    this.#peak = Math.max(this.#peak - PEAK_DECAY_DB, Math.min(level, this.#before));
    this.#before = level;
  }

  #isVoice(frame: VoiceFrame, voiced: Voiced): boolean {
    return (
      frame.speech &&
      voiced.periodicity >= PERIODIC &&
      voiced.steadiness < STEADY &&
      frame.levelDbm0 >= this.#leastDbm0 &&
      frame.levelDbm0 >= this.#peak - BELOW_PEAK_DB
    );
  }

  #count({ periodMs }: Voiced): void {
    const near = Math.abs(periodMs - this.#period) <= LARGEST_STEP * this.#period;
    this.#voicedFrames =
      near || this.#voicedFrames === 0 ? this.#voicedFrames + 1 : Math.max(1, this.#voicedFrames);
    this.#period = periodMs;
    this.#gap = 0;
    if (this.#voicedFrames < this.#minFrames) return;
    this.#speaking = true;
    this.#listener.onVoice();
  }

  #pass(frame: VoiceFrame): void {
    this.#gap += 1;
    if (frame.tonal || this.#gap > LONGEST_GAP_FRAMES) this.#voicedFrames = 0;
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
