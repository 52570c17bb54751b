import { type AudioFormat, bytesPerMs } from '../../audio/format.ts';
import { lawTables } from '../../audio/g711.ts';
import type { Cancel, Clock } from '../../clock.ts';

/** Loudness is judged for every 10 ms. */
const WINDOW_MS = 10;
/** Sound this near to speech belongs to it, however soft it is: where a word sets in, and where it dies away. */
const EDGE_MS = 60;
/** Shorter pauses are played as they are; in longer ones the line is left alone, and time itself is the pause. */
const SHORT_PAUSE_MS = 200;
/** Samples up to this are no sound at all: the softest code of A-law is 8. */
const NOTHING = 8;

type Loudness = 'nothing' | 'quiet' | 'loud';
/** What becomes of a window; `end`: it is the moment at which a pause is too long to be one. */
type Fate = 'pass' | 'hold' | 'drop' | 'end';

export interface StretchListener {
  /** The model has begun to speak. */
  begun(): void;
  /** Only valid during the call. */
  sound(bytes: Uint8Array): void;
  /** The model has been quiet for long enough. */
  over(): void;
}

export interface StretchSettings {
  readonly format: AudioFormat;
  readonly clock: Clock;
  /** RMS of a sample, 0..32767, above which sound is speech. */
  readonly silenceLevel: number;
  /** Asked at each quiet moment: how long a pause has to be to end the stretch, in ms. */
  readonly quietMs: () => number;
  /** The most that `quietMs` gives. */
  readonly mostQuietMs: number;
}

/**
 * Cuts the one stream of a session, in which silence is sent as well, into stretches of speech. What is passed on never
 * runs ahead of the stream: in a pause nothing is passed on, and when speech goes on the silence before it is passed on
 * only as far as the listener has not been idle for that long already. So no queue builds up behind, and pauses last as
 * long as they did, also when the stream comes in bursts.
 */
export class Stretches {
  readonly #settings: StretchSettings;
  readonly #listener: StretchListener;
  readonly #decode: Int16Array | undefined;
  readonly #perMs: number;
  readonly #windowBytes: number;
  readonly #level: number;
  /** Quiet sound of which nobody knows yet whether it is part of a stretch; the newest of it. */
  readonly #held: Uint8Array;
  /** The beginning of a window whose rest has not come. */
  readonly #part: Uint8Array;
  #partLength = 0;
  #heldLength = 0;
  #pauseMs = 0;
  #speaking = false;
  #closed = false;
  /** When the listener will have played all that it was given. */
  #playedBy = 0;
  #lastPushAt = 0;
  #timer: Cancel | undefined;

  constructor(settings: StretchSettings, listener: StretchListener) {
    const { format, silenceLevel, mostQuietMs } = settings;
    this.#settings = settings;
    this.#listener = listener;
    this.#decode = format.encoding === 'pcm16' ? undefined : lawTables(format.encoding).decode;
    this.#perMs = bytesPerMs(format);
    this.#windowBytes = this.#perMs * WINDOW_MS;
    this.#level = silenceLevel * silenceLevel;
    this.#held = new Uint8Array(this.#windowBytes * Math.ceil(Math.max(EDGE_MS, mostQuietMs) / WINDOW_MS));
    this.#part = new Uint8Array(this.#windowBytes);
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** The next piece of the stream; whole samples. */
  push(bytes: Uint8Array): void {
    this.#lastPushAt = this.#settings.clock.now();
    const size = this.#windowBytes;
    let at = this.#partLength > 0 ? this.#finishPart(bytes) : 0;
    let passFrom = at;
    for (; at + size <= bytes.length; at += size) {
      const fate = this.#judge(bytes, at);
      if (fate === 'pass') continue;
      if (at > passFrom) this.#pass(bytes.subarray(passFrom, at));
      passFrom = at + size;
      // Only now, after what came before it.
      if (fate === 'hold') this.#hold(bytes.subarray(at, passFrom));
      else if (fate === 'end') this.#end();
    }
    if (at > passFrom) this.#pass(bytes.subarray(passFrom, at));
    if (at === bytes.length) return;
    this.#part.set(bytes.subarray(at), this.#partLength);
    this.#partLength += bytes.length - at;
  }

  /** Nothing more will come. */
  close(): void {
    this.#closed = true;
    if (this.#speaking) this.#end();
  }

  /** Returns how many of `bytes` belonged to a window that had begun before. */
  #finishPart(bytes: Uint8Array): number {
    const count = Math.min(this.#windowBytes - this.#partLength, bytes.length);
    this.#part.set(bytes.subarray(0, count), this.#partLength);
    this.#partLength += count;
    if (this.#partLength < this.#windowBytes) return count;
    this.#partLength = 0;
    const fate = this.#judge(this.#part, 0);
    if (fate === 'pass') this.#pass(this.#part);
    else if (fate === 'hold') this.#hold(this.#part);
    else if (fate === 'end') this.#end();
    return count;
  }

  /** What becomes of the window at `at`. */
  #judge(bytes: Uint8Array, at: number): Fate {
    const loudness = this.#loudness(bytes, at);
    if (loudness === 'loud') {
      if (this.#speaking) this.#goOn();
      else if (this.#closed) return 'drop';
      else this.#begin();
      return 'pass';
    }
    if (this.#speaking) return this.#judgePause(loudness);
    // What is held before a stretch is the onset of its first word, which nothing at all is no part of.
    if (loudness === 'quiet') return 'hold';
    this.#heldLength = 0;
    return 'drop';
  }

  #judgePause(loudness: Loudness): Fate {
    this.#pauseMs += WINDOW_MS;
    if (this.#pauseMs >= this.#settings.quietMs()) return 'end';
    const diesAway = loudness === 'quiet' && this.#heldLength === 0 && this.#pauseMs <= EDGE_MS;
    return diesAway ? 'pass' : 'hold';
  }

  #begin(): void {
    const { clock } = this.#settings;
    this.#speaking = true;
    this.#playedBy = clock.now();
    this.#watch(this.#settings.mostQuietMs);
    this.#listener.begun();
    this.#passHeld(Math.min(this.#heldLength, EDGE_MS * this.#perMs));
  }

  #goOn(): void {
    this.#pauseMs = 0;
    if (this.#heldLength === 0) return;
    const heldMs = this.#heldLength / this.#perMs;
    const idleMs = heldMs < SHORT_PAUSE_MS ? 0 : Math.max(0, this.#settings.clock.now() - this.#playedBy);
    const windows = Math.ceil(Math.max(0, heldMs - idleMs) / WINDOW_MS);
    this.#passHeld(windows * this.#windowBytes);
  }

  /** The newest `count` bytes of what was held. */
  #passHeld(count: number): void {
    const held = this.#held.subarray(this.#heldLength - Math.min(count, this.#heldLength), this.#heldLength);
    this.#heldLength = 0;
    if (held.length > 0) this.#pass(held);
  }

  #pass(bytes: Uint8Array): void {
    if (!this.#speaking) return;
    this.#playedBy = Math.max(this.#playedBy, this.#settings.clock.now()) + bytes.length / this.#perMs;
    this.#listener.sound(bytes);
  }

  /** Keeps a quiet window, and forgets the oldest that there is no room for. */
  #hold(window: Uint8Array): void {
    if (this.#heldLength === this.#held.length) {
      this.#held.copyWithin(0, window.length);
      this.#heldLength -= window.length;
    }
    this.#held.set(window, this.#heldLength);
    this.#heldLength += window.length;
  }

  #end(): void {
    this.#timer?.();
    this.#speaking = false;
    this.#pauseMs = 0;
    this.#heldLength = 0;
    this.#listener.over();
  }

  // Silence may not be sent at all: then it is the clock that tells how long nothing came.
  #watch(ms: number): void {
    this.#timer?.();
    this.#timer = this.#settings.clock.after(ms, () => {
      const idleMs = this.#settings.clock.now() - this.#lastPushAt;
      const { mostQuietMs } = this.#settings;
      if (idleMs >= mostQuietMs) this.#end();
      else this.#watch(mostQuietMs - idleMs);
    });
  }

  #loudness(bytes: Uint8Array, at: number): Loudness {
    const decode = this.#decode;
    return decode === undefined ? this.#pcmLoudness(bytes, at) : this.#lawLoudness(bytes, at, decode);
  }

  #pcmLoudness(bytes: Uint8Array, at: number): Loudness {
    let energy = 0;
    let peak = 0;
    for (let i = at; i < at + this.#windowBytes; i += 2) {
      const sample = (((bytes[i + 1] ?? 0) << 24) >> 16) | (bytes[i] ?? 0);
      energy += sample * sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    return this.#graded(energy / (this.#windowBytes / 2), peak);
  }

  #lawLoudness(bytes: Uint8Array, at: number, decode: Int16Array): Loudness {
    let energy = 0;
    let peak = 0;
    for (let i = at; i < at + this.#windowBytes; i++) {
      const sample = decode[bytes[i] ?? 0] ?? 0;
      energy += sample * sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    return this.#graded(energy / this.#windowBytes, peak);
  }

  #graded(power: number, peak: number): Loudness {
    if (power > this.#level) return 'loud';
    return peak > NOTHING ? 'quiet' : 'nothing';
  }
}
