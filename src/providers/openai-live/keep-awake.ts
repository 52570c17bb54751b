import { type AudioFormat, bytesPerMs, silenceByte } from '../../audio/format.ts';
import { afterNetwork, type Cancel, type Clock } from '../../clock.ts';

const PIECE_MS = 100;

/**
 * Sends silence when nothing else is sent. A session goes on only with the audio that it is given: without any it does
 * not say what it was asked to say, nor take in what it was told (livekit/agents#7239).
 */
export class KeepAwake {
  readonly #clock: Clock;
  readonly #afterMs: number;
  readonly #silence: Uint8Array;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #look = (): void => this.#onLook();
  // Timers run before the network after the process was held up: what the caller said meanwhile has to come first.
  readonly #fill = (): void => this.#onQuiet();
  #lastAt: number;
  #timer: Cancel | undefined;
  #closed = false;

  constructor(clock: Clock, format: AudioFormat, afterMs: number, send: (bytes: Uint8Array) => void) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#silence = new Uint8Array(PIECE_MS * bytesPerMs(format)).fill(silenceByte(format));
    this.#send = send;
    this.#lastAt = clock.now();
    this.#timer = clock.after(afterMs, this.#look);
  }

  /** Audio of the caller was sent. */
  heard(): void {
    this.#lastAt = this.#clock.now();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.();
  }

  get #restMs(): number {
    return this.#lastAt + this.#afterMs - this.#clock.now();
  }

  #onLook(): void {
    if (this.#restMs > 0) this.#lookAfter(this.#restMs);
    else afterNetwork(this.#clock, this.#fill);
  }

  #onQuiet(): void {
    if (this.#closed) return;
    if (this.#restMs > 0) {
      this.#lookAfter(this.#restMs);
      return;
    }
    this.#lookAfter(PIECE_MS);
    this.#send(this.#silence);
  }

  #lookAfter(ms: number): void {
    this.#timer = this.#clock.after(Math.ceil(ms), this.#look);
  }
}
