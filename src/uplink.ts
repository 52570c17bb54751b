import { ByteQueue } from './audio/byte-queue.ts';
import { type AudioFormat, bytesPerMs, silenceByte } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { Clock } from './clock.ts';
import { FRAME_MS, type Paced, type Pacer } from './pacer.ts';

/** The least of a provider session that the uplink needs. */
export interface UplinkSession {
  /** False when audio had to be dropped. */
  sendAudio(bytes: Uint8Array): boolean;
}

export interface UplinkCounts {
  framesIn: number;
  /** Silence put in for holes in the carrier's stream, and to end a turn that the carrier left open. */
  filledMs: number;
  /** Oldest audio lost because the provider took too long to be ready. */
  lostBeforeReadyMs: number;
  /** Frames at which the provider reported that its socket is full. */
  refused: number;
}

/** What is kept for a provider that is not ready; the oldest goes first. */
const KEEP_MS = 10_000;
/** Longest hole that is filled: a longer one is a call on hold, not lost packets. */
const MAX_HOLE_MS = 10_000;
/** A carrier that says nothing for this long while the caller speaks has stopped sending, not lost a packet. */
const STALLED_MS = 750;
const CLOSING_SILENCE_MS = 1000;

/**
 * What the caller said, from the leg to the provider: complete, in order, without holes. Speech that comes before the
 * provider is ready is kept and delivered first.
 */
export class Uplink implements Paced {
  readonly counts: UplinkCounts = { framesIn: 0, filledMs: 0, lostBeforeReadyMs: 0, refused: 0 };
  readonly #clock: Clock;
  readonly #pacer: Pacer;
  readonly #perMs: number;
  readonly #silentFrame: Uint8Array;
  #early: ByteQueue | undefined = new ByteQueue();
  #session: UplinkSession | undefined;
  #transcoder: Transcoder | undefined;
  /** Stream time of the first frame minus what had been received by then, and stream time received since. */
  #base: number | undefined;
  #receivedMs = 0;
  #lastMediaAt = 0;
  #speechOpen = false;

  constructor(options: { readonly format: AudioFormat; readonly clock: Clock; readonly pacer: Pacer }) {
    this.#clock = options.clock;
    this.#pacer = options.pacer;
    this.#perMs = bytesPerMs(options.format);
    this.#silentFrame = new Uint8Array(this.#perMs * FRAME_MS).fill(silenceByte(options.format));
  }

  /** One media message of the carrier; `atMs` is its presentation time in the stream. */
  receive(bytes: Uint8Array, atMs: number | undefined): void {
    this.#lastMediaAt = this.#clock.now();
    this.counts.framesIn += 1;
    if (atMs !== undefined) this.#fillHole(atMs);
    this.#receivedMs += bytes.length / this.#perMs;
    this.#forward(bytes);
  }

  /** The provider is ready: delivers what was kept, then everything as it comes. `transcoder` ends in its input format. */
  connect(session: UplinkSession, transcoder: Transcoder): void {
    this.#session = session;
    this.#transcoder = transcoder;
    const early = this.#early;
    this.#early = undefined;
    if (early === undefined) return;
    const piece = new Uint8Array(this.#perMs * 100);
    while (early.length > 0) this.#forward(piece.subarray(0, early.shift(piece)));
  }

  /** The provider hears speech: from now on a carrier that falls silent is answered with closing silence. */
  speechStarted(): void {
    if (this.#speechOpen) return;
    this.#speechOpen = true;
    this.#pacer.add(this);
  }

  speechStopped(): void {
    if (!this.#speechOpen) return;
    this.#speechOpen = false;
    this.#pacer.remove(this);
  }

  tick(now: number): void {
    if (now - this.#lastMediaAt < STALLED_MS) return;
    // Server-side voice detection only ends a turn on audio that is silent, never on audio that is missing.
    this.#silence(CLOSING_SILENCE_MS);
    this.#receivedMs += CLOSING_SILENCE_MS;
    this.speechStopped();
  }

  close(): void {
    this.speechStopped();
    this.#session = undefined;
    this.#early = undefined;
  }

  #fillHole(atMs: number): void {
    this.#base ??= atMs - this.#receivedMs;
    const hole = atMs - this.#base - this.#receivedMs;
    if (hole >= FRAME_MS) {
      this.#silence(Math.min(hole, MAX_HOLE_MS));
      this.#receivedMs += hole;
    } else if (hole < -STALLED_MS) {
      // The closing silence was too much, or the carrier began to count anew.
      this.#base = atMs - this.#receivedMs;
    }
  }

  #silence(ms: number): void {
    const frames = Math.round(ms / FRAME_MS);
    this.counts.filledMs += frames * FRAME_MS;
    for (let i = 0; i < frames; i++) this.#forward(this.#silentFrame);
  }

  #forward(bytes: Uint8Array): void {
    if (this.#session !== undefined && this.#transcoder !== undefined) {
      const out = this.#transcoder.push(bytes);
      if (out.length > 0 && !this.#session.sendAudio(out)) this.counts.refused += 1;
      return;
    }
    const early = this.#early;
    if (early === undefined) return;
    early.push(bytes);
    const over = early.length - KEEP_MS * this.#perMs;
    if (over <= 0) return;
    early.drop(over);
    this.counts.lostBeforeReadyMs += over / this.#perMs;
  }
}
