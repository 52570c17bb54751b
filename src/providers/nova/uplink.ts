import { type AudioFormat, bytesPerMs, bytesPerSample } from '../../audio/format.ts';
import { afterNetwork, type Cancel, type Clock } from '../../clock.ts';
import type { StreamChunk } from '../../wire.ts';
import { AudioBacklog } from '../common/audio-backlog.ts';
import type { InputEvent } from './input.ts';

export interface UplinkOptions {
  readonly clock: Clock;
  readonly format: AudioFormat;
  /** Caller audio that may wait before the oldest of it is dropped. */
  readonly backlogMs: number;
  /** The service has taken nothing for so long although something waits: it is gone. */
  readonly stallMs: number;
  /** An episode of dropping caller audio is over; called once for it. */
  audioDropped(ms: number): void;
  /** Called once. */
  stalled(forMs: number): void;
}

/** Text around the base64 of the audio in an event that brings it. */
export interface AudioEnvelope {
  readonly head: string;
  readonly tail: string;
}

/** A carrier that sends nothing for so long is on hold, or leaves silence out; shorter gaps are jitter. */
const GAP_MS = 400;
const SILENCE_MS = 100;
/** After a pause of the whole process, silence is not made up for longer than this. */
const MOST_SILENCE_MS = 1_000;
/** Audio in one event. More than this at once is no frame of a line: it is what the caller said a while ago. */
const MOST_AUDIO_MS = 200;
/** Of that so much may wait beside the backlog; nothing of it is old news. */
const MOST_BURST_MS = 12_000;
/** The beginning of the first audio may not be heard (livekit/agents, plugin aws): of a burst it would be a word. */
const DEAF_MS = 500;

const DONE: IteratorResult<StreamChunk, undefined> = Object.freeze({ done: true, value: undefined });

/**
 * The one queue of everything that a session sends. Events leave in the order in which they were put, blocks of several
 * in one piece; the caller's audio leaves between them, and never between the events of a block, which the service would
 * answer with a validation error (livekit/agents#6720).
 */
export class Uplink implements AsyncIterable<StreamChunk> {
  readonly #options: UplinkOptions;
  readonly #bytesPerMs: number;
  readonly #backlog: AudioBacklog;
  readonly #silence: Uint8Array;
  readonly #events: StreamChunk[] = [];
  #envelope: AudioEnvelope | undefined;
  /** The reader that found nothing. */
  #reader: ((result: IteratorResult<StreamChunk, undefined>) => void) | undefined;
  #ended = false;
  /** Audio has come, of which the service may have missed the beginning. */
  #hasBegun = false;
  #droppedBytes = 0;
  #lastAudioAt = 0;
  /** What was sent last was silence of our own. */
  #filling = false;
  #lastTakenAt: number;
  #timer: Cancel | undefined;

  constructor(options: UplinkOptions) {
    this.#options = options;
    this.#bytesPerMs = bytesPerMs(options.format);
    this.#backlog = new AudioBacklog(options.backlogMs * this.#bytesPerMs, bytesPerSample(options.format));
    this.#silence = new Uint8Array(SILENCE_MS * this.#bytesPerMs);
    this.#lastTakenAt = options.clock.now();
  }

  /** Puts events that belong together. */
  put(events: readonly InputEvent[]): void {
    if (this.#ended) return;
    for (const event of events) this.#events.push(chunkOf(JSON.stringify({ event })));
    this.#wake();
  }

  /** From here on audio goes out, and silence when the caller sends none: the service ends a session that hears nothing. */
  openAudio(envelope: AudioEnvelope): void {
    if (this.#ended) return;
    this.#envelope = envelope;
    this.#lastAudioAt = this.#options.clock.now();
    this.#watch(GAP_MS);
  }

  /**
   * Whole samples; they are copied. False when audio was dropped, this or older; pieces of more than 200 ms,
   * which are no frames of a line, are taken whole, though more of them waits than of frames.
   */
  sendAudio(bytes: Uint8Array): boolean {
    const envelope = this.#envelope;
    if (envelope === undefined || this.#ended) return false;
    this.#lastAudioAt = this.#options.clock.now();
    if (bytes.length > MOST_AUDIO_MS * this.#bytesPerMs && this.#hasRoom) {
      this.#putBurst(bytes, envelope);
      return true;
    }
    this.#hasBegun = true;
    return this.#push(bytes);
  }

  /** These are the last events. Audio that still waits is given up. */
  end(last: readonly InputEvent[]): void {
    if (this.#ended) return;
    this.#stopAudio();
    this.put(last);
    this.#ended = true;
    this.#wake();
  }

  /** Nothing more is sent, not even what waits. */
  drop(): void {
    this.#stopAudio();
    this.#ended = true;
    this.#events.length = 0;
    this.#wake();
  }

  [Symbol.asyncIterator](): AsyncIterator<StreamChunk, undefined> {
    return {
      next: () => this.#take(),
      return: () => {
        this.drop();
        return Promise.resolve(DONE);
      },
    };
  }

  #stopAudio(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#envelope = undefined;
    this.#backlog.clear();
    this.#tellDropped();
  }

  #push(bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true;
    const dropped = this.#backlog.push(bytes);
    this.#droppedBytes += dropped;
    this.#wake();
    return dropped === 0;
  }

  get #hasRoom(): boolean {
    return this.#events.length * MOST_AUDIO_MS < MOST_BURST_MS;
  }

  // Behind what waits already; what comes after it waits beside it, and may be dropped without it.
  #putBurst(bytes: Uint8Array, envelope: AudioEnvelope): void {
    const most = MOST_AUDIO_MS * this.#bytesPerMs;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#events.push(chunkOf(envelop(new Uint8Array(DEAF_MS * this.#bytesPerMs), envelope)));
    }
    while (this.#backlog.bytes > 0) this.#events.push(chunkOf(envelop(this.#backlog.take(most), envelope)));
    for (let at = 0; at < bytes.length; at += most) {
      this.#events.push(chunkOf(envelop(bytes.subarray(at, at + most), envelope)));
    }
    this.#wake();
  }

  #take(): Promise<IteratorResult<StreamChunk, undefined>> {
    this.#lastTakenAt = this.#options.clock.now();
    const value = this.#next();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  #wake(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const value = this.#next();
    if (value === undefined && !this.#ended) return;
    this.#reader = undefined;
    this.#lastTakenAt = this.#options.clock.now();
    reader(value === undefined ? DONE : { done: false, value });
  }

  #next(): StreamChunk | undefined {
    const event = this.#events.shift();
    if (event !== undefined) return event;
    const envelope = this.#envelope;
    if (envelope === undefined || this.#backlog.bytes === 0) return undefined;
    const bytes = this.#backlog.take(MOST_AUDIO_MS * this.#bytesPerMs);
    if (this.#backlog.bytes === 0 && this.#droppedBytes > 0) this.#tellDropped();
    return chunkOf(envelop(bytes, envelope));
  }

  #tellDropped(): void {
    if (this.#droppedBytes === 0) return;
    const ms = Math.round(this.#droppedBytes / this.#bytesPerMs);
    this.#droppedBytes = 0;
    this.#options.audioDropped(ms);
  }

  // One timer for both: it finds out that the caller's audio has stopped, and that nobody takes what is sent.
  #watch(ms: number): void {
    this.#timer = this.#options.clock.after(ms, () => {
      this.#timer = undefined;
      const now = this.#options.clock.now();
      const late = now - this.#lastAudioAt >= (this.#filling ? SILENCE_MS : GAP_MS);
      // Timers run before the network after the process was held up: what the caller said meanwhile has to come first.
      if (late || this.#waitsSince(now)) afterNetwork(this.#options.clock, () => this.#look());
      else this.#look();
    });
  }

  #look(): void {
    if (this.#envelope === undefined || this.#ended || this.#timer !== undefined) return;
    const now = this.#options.clock.now();
    if (this.#waitsSince(now)) {
      this.drop();
      this.#options.stalled(Math.round(now - this.#lastTakenAt));
      return;
    }
    const quietMs = now - this.#lastAudioAt;
    this.#filling = quietMs >= (this.#filling ? SILENCE_MS : GAP_MS);
    if (this.#filling) this.#fill(Math.min(quietMs, MOST_SILENCE_MS), now);
    this.#watch(this.#filling ? SILENCE_MS : Math.max(1, GAP_MS - quietMs));
  }

  #fill(ms: number, now: number): void {
    this.#lastAudioAt = now;
    // Whoever does not take what the caller said needs no silence after it.
    if (this.#backlog.bytes > 0) return;
    for (let left = Math.round(ms) * this.#bytesPerMs; left > 0; left -= this.#silence.length) {
      this.#push(left < this.#silence.length ? this.#silence.subarray(0, left) : this.#silence);
    }
  }

  #waitsSince(now: number): boolean {
    const waits = this.#events.length > 0 || this.#backlog.bytes > 0;
    return waits && now - this.#lastTakenAt >= this.#options.stallMs;
  }
}

function chunkOf(json: string): StreamChunk {
  return { chunk: { bytes: Buffer.from(json) } };
}

/** Written by hand because escaping base64 is a waste of time, fifty times a second. */
function envelop(bytes: Uint8Array, { head, tail }: AudioEnvelope): string {
  const view = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return `${head}${view.toString('base64')}${tail}`;
}
