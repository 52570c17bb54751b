import { dbm0, ZERO_DBM0_RMS } from './audio/tone.ts';
import type { Transcoder } from './audio/transcode.ts';

/** Levels are kept for pieces of the line of this length. */
const SLOT_MS = 20;
/** The same in PCM16 at 8 kHz. */
const SLOT_BYTES = 320;
/** More than the longest lead and the longest echo together: 10 s. */
const SLOTS = 512;
/** An echo comes back this long after it was due: networks, buffers, rooms. */
const ECHO_MS = 700;
/** The carrier begins to play what it is given up to this much later than we think. */
const LATE_MS = 300;
/** What is weaker is silence, which nobody is greeted with. */
const AUDIBLE_RMS = ZERO_DBM0_RMS * 10 ** (-50 / 20);
const NOTHING = new Float64Array(0);

/**
 * How loud what the caller hears is, and was lately: what comes back of it as an echo is weaker than that. Times are those
 * of the clock in ms. A carrier is given audio ahead of the ear and plays it in real time.
 */
export class PlayedLevel {
  readonly #decoder: Transcoder;
  /** Empty as long as nothing was played: most calls are heard by their provider alone. */
  #rms = NOTHING;
  /** The newest slot that has a value, counted from time 0. */
  #newest = -1;
  /** When the last of what was given will have been played. */
  #end = Number.NEGATIVE_INFINITY;
  #since: number | undefined;

  /** @param decoder from the line's format to PCM16 at 8 kHz */
  constructor(decoder: Transcoder) {
    this.#decoder = decoder;
  }

  /** When the first audible sound was played; undefined: there was none. */
  get since(): number | undefined {
    return this.#since;
  }

  /** Audio that the carrier is given now. */
  play(bytes: Uint8Array, now: number): void {
    if (this.#end < now) this.#end = now;
    const pcm = this.#decoder.push(bytes);
    for (let at = 0; at < pcm.length; at += SLOT_BYTES) {
      const to = Math.min(at + SLOT_BYTES, pcm.length);
      this.#note(rmsOf(pcm, at, to));
      this.#end += ((to - at) / SLOT_BYTES) * SLOT_MS;
    }
  }

  /** The carrier forgets what it has not played. */
  clear(now: number): void {
    if (this.#end <= now) return;
    this.#end = now;
    this.#newest = Math.min(this.#newest, slotOf(now));
  }

  /** Level in dBm0 of the loudest 20 ms that may be heard as an echo now; -Infinity: there is none. */
  loudestDbm0(now: number, roundTripMs: number): number {
    const first = slotOf(now - ECHO_MS - LATE_MS - roundTripMs);
    const last = Math.min(slotOf(now) + 1, this.#newest);
    let loudest = 0;
    for (let slot = Math.max(first, last - SLOTS + 1, 0); slot <= last; slot++) {
      const rms = this.#rms[slot % SLOTS] ?? 0;
      if (rms > loudest) loudest = rms;
    }
    return loudest > 0 ? dbm0(loudest) : Number.NEGATIVE_INFINITY;
  }

  #note(rms: number): void {
    if (this.#rms.length === 0) this.#rms = new Float64Array(SLOTS);
    const slot = slotOf(this.#end);
    // Between two pieces there was silence.
    const from = Math.max(this.#newest + 1, slot - SLOTS + 1);
    for (let skipped = from; skipped <= slot; skipped++) this.#rms[skipped % SLOTS] = 0;
    this.#newest = Math.max(this.#newest, slot);
    this.#rms[slot % SLOTS] = Math.max(this.#rms[slot % SLOTS] ?? 0, rms);
    if (rms >= AUDIBLE_RMS) this.#since ??= this.#end;
  }
}

function slotOf(ms: number): number {
  return Math.floor(ms / SLOT_MS);
}

/** Of `bytes[from … to)`, PCM16, little-endian. */
function rmsOf(bytes: Uint8Array, from: number, to: number): number {
  let energy = 0;
  for (let i = from; i + 1 < to; i += 2) {
    const sample = (((bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8)) << 16) >> 16;
    energy += sample * sample;
  }
  return Math.sqrt((2 * energy) / (to - from));
}
