import { ByteQueue } from '../../audio/byte-queue.ts';
import { type AudioFormat, bytesPerMs, bytesPerSample } from '../../audio/format.ts';
import { lawTables } from '../../audio/g711.ts';
import { createLevelMeter, dbm0, type LevelMeter, ZERO_DBM0_RMS } from '../../audio/tone.ts';
import { createTurnDetector, type Turn, type TurnDetector, type TurnListener } from '../../audio/turn.ts';
import { VOICE_FRAME_MS, type VoiceFrame } from '../../audio/vad.ts';
import type { Clock } from '../../clock.ts';
import type { Measurement } from './sentences.ts';

/** One turn of the caller. */
export interface HeardTurn extends Measurement {
  /** What was heard, exactly, with some air at both ends; at most the longest echo. */
  readonly bytes: Uint8Array;
  /** The turn was longer than `bytes`. */
  readonly shortened: boolean;
}

export interface EarOptions {
  readonly format: AudioFormat;
  readonly clock: Clock;
  /** Likelihood from which a frame is voice. */
  readonly threshold: number;
  /** Kept from before the speech. */
  readonly prefixMs: number;
  readonly hangoverMs: number;
  /** Voice that is needed to cut in on our own speech; half of it has to be louder than an echo. */
  readonly bargeInMs: number;
  readonly longestEchoMs: number;
  onSpeechStart(): void;
  onSpeechEnd(turn: HeardTurn): void;
}

/** An echo of our own speech is at least this much weaker than its loudest frame: 20 dB, and 3 for doubt. */
const ECHO_MARGIN_DB = 17;
/** The detector knows the echo of a tone by itself, if it is above the noise: that is all that a tone has to be guarded for. */
const LOUDEST_TONE_RMS = ZERO_DBM0_RMS * 10 ** (-12 / 20);
/** Our speech may come back this long after it was due: networks, buffers, rooms. */
const ECHO_TAIL_MS = 700;
/** Kept of the end of the speech for the echo's sake. */
const SUFFIX_MS = 200;
/** Speech is this close to its loudest frame; the rest are pauses, which do not count for its level. */
const SPEECH_RANGE_DB = 25;
/** Samples that are decoded in one go: 20 ms at 24 kHz. */
const BLOCK = 480;

/** Decodes `bytes[from … to)`, whole samples, to the front of `into`; returns how many samples that made. */
type Decode = (bytes: Uint8Array, from: number, to: number, into: Int16Array) => number;

function decodePcm16(bytes: Uint8Array, from: number, to: number, into: Int16Array): number {
  let count = 0;
  for (let i = from; i + 1 < to; i += 2) {
    into[count] = (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8);
    count += 1;
  }
  return count;
}

function decoderFor({ encoding }: AudioFormat): Decode {
  if (encoding === 'pcm16') return decodePcm16;
  const { decode } = lawTables(encoding);
  return (bytes, from, to, into) => {
    for (let i = from; i < to; i++) into[i - from] = decode[bytes[i] ?? 0] ?? 0;
    return to - from;
  };
}

/** Calls `take` with the RMS of each 20 ms of `bytes`. */
function eachFrame(bytes: Uint8Array, format: AudioFormat, take: (rms: number) => void): void {
  const frame = new Int16Array((format.rate * VOICE_FRAME_MS) / 1000);
  const size = frame.length * bytesPerSample(format);
  const decode = decoderFor(format);
  for (let at = 0; at < bytes.length; at += size) {
    const count = decode(bytes, at, Math.min(at + size, bytes.length), frame);
    let energy = 0;
    for (let i = 0; i < count; i++) energy += (frame[i] ?? 0) ** 2;
    take(Math.sqrt(energy / Math.max(1, count)));
  }
}

function loudestFrame(bytes: Uint8Array, format: AudioFormat): number {
  let loudest = 0;
  eachFrame(bytes, format, (rms) => {
    loudest = Math.max(loudest, rms);
  });
  return loudest;
}

/** Level of the frames that are not pauses, in dBm0. */
function speechLevel(bytes: Uint8Array, format: AudioFormat): number {
  const least = loudestFrame(bytes, format) * 10 ** (-SPEECH_RANGE_DB / 20);
  let energy = 0;
  let frames = 0;
  eachFrame(bytes, format, (rms) => {
    if (rms < least) return;
    energy += rms * rms;
    frames += 1;
  });
  return dbm0(Math.sqrt(energy / Math.max(1, frames)));
}

function clippedSamples(bytes: Uint8Array, format: AudioFormat): number {
  const samples = new Int16Array(bytes.length);
  const meter = createLevelMeter(format.rate);
  meter.push(samples, 0, decoderFor(format)(bytes, 0, bytes.length, samples));
  return meter.read().clipped;
}

/**
 * The caller's voice: says when a turn begins and ends, keeps what was heard, knows the noise of the line, and does
 * not take our own speech for the caller's.
 */
export class Ear implements TurnListener {
  readonly #options: EarOptions;
  readonly #decode: Decode;
  readonly #detector: TurnDetector;
  readonly #floor: LevelMeter;
  readonly #guard: { readonly minSpeechMs: number; readonly minLoudMs: number; minLevelDbm0: number };
  readonly #samples = new Int16Array(BLOCK);
  /** Bytes that are decoded in one go. */
  readonly #step: number;
  /** First half of a sample whose second half has not come. */
  #half: number | undefined;
  readonly #perMs: number;
  readonly #recent = new ByteQueue();
  readonly #keptBytes: number;
  readonly #longestBytes: number;
  /** Place of the first byte of `#recent` in the stream. */
  #recentAt = 0;
  #received = 0;
  /** Our speech is heard until then; before any audio has come, only how much of it there is. */
  #spokenUntil = 0;
  #loudest = 0;
  #hearing = false;

  constructor(options: EarOptions) {
    const { format, prefixMs, bargeInMs } = options;
    this.#options = options;
    this.#decode = decoderFor(format);
    this.#step = BLOCK * bytesPerSample(format);
    this.#perMs = bytesPerMs(format);
    this.#keptBytes = (prefixMs + 2 * bargeInMs + 500) * this.#perMs;
    this.#longestBytes = options.longestEchoMs * this.#perMs;
    this.#floor = createLevelMeter(format.rate);
    this.#guard = { minSpeechMs: bargeInMs, minLoudMs: bargeInMs / 2, minLevelDbm0: 0 };
    this.#detector = createTurnDetector({
      rate: format.rate,
      listener: this,
      threshold: options.threshold,
      hangoverMs: options.hangoverMs,
    });
  }

  get speaking(): boolean {
    return this.#detector.speaking;
  }

  /** Level of the line when nobody speaks, dBm0; undefined before there was such a moment. */
  get noiseDbm0(): number | undefined {
    return this.#floor.read().noiseFloorDbm0;
  }

  /** Audio of the caller, in the ear's format; cut anywhere. */
  hear(bytes: Uint8Array): void {
    const now = this.#options.clock.now();
    if (!this.#hearing) this.#begin(now);
    this.#guard.minLevelDbm0 = dbm0(this.#loudest) - ECHO_MARGIN_DB;
    this.#detector.guard(this.#isOwn(now) ? this.#guard : undefined);
    const whole = this.#half === undefined && bytes.length % 2 === 0;
    this.#hearWhole(whole || this.#step === BLOCK ? bytes : this.#align(bytes));
  }

  /** Our own speech, or a tone, on its way to the caller. */
  speak(bytes: Uint8Array, tonal: boolean): void {
    const now = this.#hearing ? this.#options.clock.now() : 0;
    if (now > this.#spokenUntil + ECHO_TAIL_MS) this.#loudest = 0;
    this.#spokenUntil = Math.max(now, this.#spokenUntil) + bytes.length / this.#perMs;
    const loudest = loudestFrame(bytes, this.#options.format);
    this.#loudest = Math.max(this.#loudest, tonal ? Math.min(loudest, LOUDEST_TONE_RMS) : loudest);
  }

  /** Our speech was cut off; what is in the air may still come back. */
  hush(): void {
    this.#spokenUntil = this.#hearing ? Math.min(this.#spokenUntil, this.#options.clock.now()) : 0;
  }

  /** Forgets the turn that is open, if any; true when there was one. */
  abandon(): boolean {
    const open = this.#detector.speaking;
    this.#detector.abandon();
    if (open) this.#forget();
    return open;
  }

  onFrame(frame: VoiceFrame, samples: Int16Array): void {
    if (frame.speech || frame.tonal || this.#isOwn(this.#options.clock.now())) return;
    this.#floor.push(samples, 0, samples.length);
  }

  onSpeechStart(startMs: number): void {
    const from = Math.max(0, startMs - this.#options.prefixMs) * this.#perMs;
    const drop = Math.max(0, from - this.#recentAt);
    this.#recent.drop(drop);
    this.#recentAt += drop;
    this.#options.onSpeechStart();
  }

  onSpeechEnd(turn: Turn): void {
    const until = (turn.endMs + SUFFIX_MS) * this.#perMs;
    const wanted = until - this.#recentAt;
    const bytes = new Uint8Array(Math.min(wanted, this.#recent.length, this.#longestBytes));
    this.#recent.shift(bytes);
    this.#forget();
    const { format } = this.#options;
    this.#options.onSpeechEnd({
      bytes,
      shortened: bytes.length < wanted,
      ms: turn.endMs - turn.startMs,
      levelDbm0: speechLevel(bytes, format),
      clipped: clippedSamples(bytes, format),
    });
  }

  /** The carrier's stream has begun: what was said before is heard from now on. */
  #begin(now: number): void {
    this.#hearing = true;
    if (this.#spokenUntil > 0) this.#spokenUntil += now;
  }

  #hearWhole(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += this.#step) {
      const to = Math.min(at + this.#step, bytes.length);
      // Kept before it is judged, piece by piece: the beginning of a turn must be there when the turn is noticed.
      this.#store(at === 0 && to === bytes.length ? bytes : bytes.subarray(at, to));
      this.#detector.push(this.#samples, this.#decode(bytes, at, to, this.#samples));
    }
  }

  /** Bytes that were cut inside of a sample: with the half kept before, and without the half at the end. */
  #align(bytes: Uint8Array): Uint8Array {
    const kept = this.#half === undefined ? 0 : 1;
    const joined = new Uint8Array(kept + bytes.length);
    if (this.#half !== undefined) joined[0] = this.#half;
    joined.set(bytes, kept);
    const odd = joined.length % 2 === 1;
    this.#half = odd ? joined.at(-1) : undefined;
    return odd ? joined.subarray(0, -1) : joined;
  }

  #isOwn(now: number): boolean {
    return this.#loudest > 0 && now < this.#spokenUntil + ECHO_TAIL_MS;
  }

  #store(bytes: Uint8Array): void {
    this.#received += bytes.length;
    if (this.#detector.speaking) {
      if (this.#recent.length < this.#longestBytes) this.#recent.push(bytes);
      return;
    }
    this.#recent.push(bytes);
    const over = this.#recent.length - this.#keptBytes;
    if (over <= 0) return;
    this.#recent.drop(over);
    this.#recentAt += over;
  }

  #forget(): void {
    this.#recent.clear();
    this.#recentAt = this.#received;
  }
}
