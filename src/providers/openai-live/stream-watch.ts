import { afterNetwork, type Cancel, type Clock } from '../../clock.ts';

/** Silence that has been sent in all before a session counts as one that sends silence. */
const KNOWN_AFTER_MS = 3_000;
/** After the process was held up, timers run before the network: the stream may be there and not read yet. */
const SECOND_LOOK_MS = 1_000;

/**
 * Notices that a stream which went on in silence too has stopped: that is the one sign of a service that takes everything
 * and says nothing any more, because its model need not answer. Nothing is expected of a session that sends no silence.
 */
export class StreamWatch {
  readonly #clock: Clock;
  readonly #stallMs: number;
  readonly #onStopped: (forMs: number) => void;
  #silenceMs = 0;
  #lastAt = 0;
  #timer: Cancel | undefined;
  #closed = false;

  /** @param stallMs 0: never */
  constructor(clock: Clock, stallMs: number, onStopped: (forMs: number) => void) {
    this.#clock = clock;
    this.#stallMs = stallMs;
    this.#onStopped = onStopped;
  }

  /** So much of the stream came, while the model spoke or in silence. */
  came(ms: number, speaking: boolean): void {
    this.#lastAt = this.#clock.now();
    if (!speaking) this.#silenceMs += ms;
    if (this.#timer === undefined && this.#silenceMs >= KNOWN_AFTER_MS) this.#watch();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.();
  }

  get #leftMs(): number {
    return this.#lastAt + this.#stallMs - this.#clock.now();
  }

  #watch(): void {
    if (this.#stallMs === 0) return;
    this.#after(this.#leftMs - SECOND_LOOK_MS, () => {
      if (this.#leftMs > SECOND_LOOK_MS) this.#watch();
      // The network has its turn before the second look, whatever the clock says.
      else afterNetwork(this.#clock, () => this.#lookOnce());
    });
  }

  #lookOnce(): void {
    this.#after(Math.min(SECOND_LOOK_MS, this.#stallMs), () => this.#look());
  }

  #look(): void {
    if (this.#leftMs > 0) this.#watch();
    else this.#onStopped(Math.round(this.#stallMs - this.#leftMs));
  }

  #after(ms: number, run: () => void): void {
    if (!this.#closed) this.#timer = this.#clock.after(Math.max(1, ms), run);
  }
}
