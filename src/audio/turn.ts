import type { Rate } from './format.ts';
import { createVoiceDetector, VOICE_FRAME_MS, type VoiceDetector, type VoiceFrame } from './vad.ts';

/** A stretch of speech; ms of the audio since the detector was made. */
export interface Turn {
  readonly startMs: number;
  /** End of the last voiced frame. */
  readonly endMs: number;
  /** It was ended for its length: probably noise that was taken for voice. */
  readonly cut: boolean;
}

export interface TurnListener {
  /** Every frame, before what follows from it; `frame` and `samples` (from 0, one frame long) are used again. */
  onFrame?(frame: VoiceFrame, samples: Int16Array): void;
  /** `startMs` lies in the past, by at least `minSpeechMs`. */
  onSpeechStart(startMs: number): void;
  onSpeechEnd(turn: Turn): void;
}

export interface TurnDetectorOptions {
  readonly rate: Rate;
  readonly listener: TurnListener;
  /** See `VoiceDetectorOptions`. */
  readonly threshold?: number | undefined;
  /** Voice needed before it is speech; 140 ms when not given: a key's tone that begins and ends makes up to 100. */
  readonly minSpeechMs?: number | undefined;
  /** Silence that ends a turn; 600 ms when not given. */
  readonly hangoverMs?: number | undefined;
  /** Speech is never longer; 30 s when not given. */
  readonly maxTurnMs?: number | undefined;
}

/** What is asked of speech before it counts. */
export interface Guard {
  /** Voice, with gaps as short as those between syllables. */
  readonly minSpeechMs: number;
  /** Part of it that is at least `minLevelDbm0`; a person is not equally loud all the time. */
  readonly minLoudMs: number;
  readonly minLevelDbm0: number;
}

/** Says when a person starts and stops to speak, from a stream of samples that may be cut anywhere. */
export interface TurnDetector {
  readonly speaking: boolean;
  /** Audio taken so far, in whole frames. */
  readonly atMs: number;
  /** Takes the first `count` samples. Allocates nothing but the turn at its end. */
  push(samples: Int16Array, count: number): void;
  /**
   * Until it is called again, more is asked of what may be an echo of our own speech; without an argument everything
   * is as at the beginning.
   */
  guard(guard?: Guard): void;
  /** Forgets an open turn and a beginning one, without a word. */
  abandon(): void;
}

/** A plosive's closure is no end of speech. */
const LONGEST_GAP_FRAMES = 4;
/** Loud frames that are further apart do not belong to the same word. */
const LOUD_MEMORY_FRAMES = 20;
/** Of the voice before the first loud frame, so much is the same person's. */
const BEFORE_LOUD_FRAMES = 15;
/** What is this much weaker than the loudest frame is reverberation, or the likelihood dying away. */
const RANGE_DB = 35;

function framesIn(ms: number): number {
  return Math.max(1, Math.ceil(ms / VOICE_FRAME_MS));
}

class RunningTurnDetector implements TurnDetector {
  readonly #detector: VoiceDetector;
  readonly #listener: TurnListener;
  readonly #minFrames: number;
  readonly #hangoverFrames: number;
  readonly #maxFrames: number;
  readonly #frame: Int16Array;
  #filled = 0;
  #frames = 0;
  #guardFrames: number;
  #guardLoudFrames: number;
  #guardLevel = Number.NEGATIVE_INFINITY;
  #speaking = false;
  /** Of the open turn, or of what may become one: first frame, frame after the last voiced one, voiced frames. */
  #start = 0;
  #end = 0;
  #voiced = 0;
  #peak = Number.NEGATIVE_INFINITY;
  /** Of what may become a turn: loud frames, the first of them, and the frame after the last. */
  #loud = 0;
  #firstLoud = 0;
  #lastLoud = 0;

  constructor(options: TurnDetectorOptions) {
    const { rate, threshold, minSpeechMs = 140, hangoverMs = 600, maxTurnMs = 30_000 } = options;
    this.#detector = createVoiceDetector({ rate, threshold });
    this.#listener = options.listener;
    this.#minFrames = framesIn(minSpeechMs);
    this.#hangoverFrames = framesIn(hangoverMs);
    this.#maxFrames = framesIn(maxTurnMs);
    this.#guardFrames = this.#minFrames;
    this.#guardLoudFrames = this.#minFrames;
    this.#frame = new Int16Array(this.#detector.frameSize);
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  get atMs(): number {
    return this.#frames * VOICE_FRAME_MS;
  }

  push(samples: Int16Array, count: number): void {
    const frame = this.#frame;
    for (let i = 0; i < count; i++) {
      frame[this.#filled] = samples[i]!;
      this.#filled += 1;
      if (this.#filled < frame.length) continue;
      this.#filled = 0;
      this.#take(this.#detector.process(frame));
    }
  }

  guard(guard?: Guard): void {
    this.#guardFrames = guard === undefined ? this.#minFrames : framesIn(guard.minSpeechMs);
    this.#guardLoudFrames = guard === undefined ? this.#minFrames : framesIn(guard.minLoudMs);
    this.#guardLevel = guard?.minLevelDbm0 ?? Number.NEGATIVE_INFINITY;
  }

  abandon(): void {
    this.#speaking = false;
    this.#voiced = 0;
    this.#loud = 0;
    this.#peak = Number.NEGATIVE_INFINITY;
  }

  #take(frame: VoiceFrame): void {
    this.#listener.onFrame?.(frame, this.#frame);
    this.#frames += 1;
    if (this.#speaking) this.#continue(frame);
    else this.#await(frame);
  }

  #isVoiced(frame: VoiceFrame): boolean {
    return frame.speech && frame.levelDbm0 >= this.#peak - RANGE_DB;
  }

  #note(frame: VoiceFrame): void {
    this.#end = this.#frames;
    this.#voiced += 1;
    this.#peak = Math.max(this.#peak, frame.levelDbm0);
  }

  #await(frame: VoiceFrame): void {
    if (!this.#isVoiced(frame)) {
      if (frame.tonal || this.#frames - this.#end > LONGEST_GAP_FRAMES) this.abandon();
      return;
    }
    if (this.#voiced === 0) this.#start = this.#frames - 1;
    this.#note(frame);
    this.#noteLoud(frame);
    if (this.#voiced < this.#guardFrames || this.#loud < this.#guardLoudFrames) return;
    // What came long before may have been our own echo.
    this.#start = Math.max(this.#start, this.#firstLoud - BEFORE_LOUD_FRAMES);
    this.#speaking = true;
    this.#listener.onSpeechStart(this.#start * VOICE_FRAME_MS);
  }

  #noteLoud(frame: VoiceFrame): void {
    if (frame.levelDbm0 < this.#guardLevel) {
      if (this.#frames - this.#lastLoud > LOUD_MEMORY_FRAMES) this.#loud = 0;
      return;
    }
    if (this.#loud === 0) this.#firstLoud = this.#frames - 1;
    this.#loud += 1;
    this.#lastLoud = this.#frames;
  }

  #continue(frame: VoiceFrame): void {
    if (this.#isVoiced(frame)) this.#note(frame);
    if (this.#frames - this.#start >= this.#maxFrames) {
      // Steady noise would start the next turn at once.
      this.#detector.reset();
      this.#finish(true);
    } else if (this.#frames - this.#end >= this.#hangoverFrames) {
      this.#finish(false);
    }
  }

  #finish(cut: boolean): void {
    const turn: Turn = { startMs: this.#start * VOICE_FRAME_MS, endMs: this.#end * VOICE_FRAME_MS, cut };
    this.abandon();
    this.#listener.onSpeechEnd(turn);
  }
}

/** A turn detector that knows nothing of the line yet. Throws BAD_AUDIO for a rate other than 8000, 16000 and 24000. */
export function createTurnDetector(options: TurnDetectorOptions): TurnDetector {
  return new RunningTurnDetector(options);
}
