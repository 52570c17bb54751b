import { afterNetwork, type Cancel, type Clock } from '../../clock.ts';

export interface HeartbeatOptions {
  readonly clock: Clock;
  /** Sends a ping; its answer, like all that comes, is reported by `sign`. */
  ping(): void;
  /** Half open: nothing has come for so many ms, not even the answer to a ping. Once, last. */
  onSilent(forMs: number): void;
}

/** Nothing has come for this long: is anybody there? */
const PING_AFTER_MS = 5_000;
const ANSWER_WITHIN_MS = 4_000;
/** Whoever has said something within this time is not asked for another sign. */
const LEAST_MS = 1_000;
/** After the process was held up, timers run before the network: an answer may be there and not read yet. */
const SECOND_LOOK_MS = 1_000;

/**
 * Notices within 10 s that the other side is gone, and half as late when something was just sent that wants an answer. A
 * caller waits in silence for as long as that takes. While something comes it sends nothing.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #lastSign = 0;
  /** When the ping that nobody has answered was sent. */
  #pinged: number | undefined;
  #timer: Cancel | undefined;
  #turn: Cancel | undefined;
  #running = false;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** The connection stands. */
  start(): void {
    this.#running = true;
    this.sign();
    this.#rest();
  }

  /** Something came, whatever it is: a pong waits its turn behind a long burst of audio. */
  sign(): void {
    this.#lastSign = this.#options.clock.now();
  }

  /** Something was sent that the other side has to answer. */
  expect(): void {
    const heardJustNow = this.#options.clock.now() - this.#lastSign < LEAST_MS;
    if (this.#running && this.#pinged === undefined && !heardJustNow) this.#ping();
  }

  /** Nothing is sent or told any more. */
  stop(): void {
    this.#running = false;
    this.#timer?.();
    this.#timer = undefined;
    this.#turn?.();
  }

  /** Until it is time to ask. */
  #rest(): void {
    this.#pinged = undefined;
    const { clock } = this.#options;
    this.#after(this.#lastSign + PING_AFTER_MS - clock.now(), () => {
      if (clock.now() - this.#lastSign < PING_AFTER_MS) this.#rest();
      else this.#ping();
    });
  }

  #ping(): void {
    this.#pinged = this.#options.clock.now();
    this.#after(ANSWER_WITHIN_MS, () => this.#look(false));
    this.#options.ping();
  }

  #look(twice: boolean): void {
    const { clock, onSilent } = this.#options;
    if (this.#lastSign >= (this.#pinged ?? 0)) {
      this.#rest();
    } else if (twice) {
      this.stop();
      onSilent(Math.round(clock.now() - this.#lastSign));
    } else {
      // The network has its turn first, whatever the clock says.
      this.#turn = afterNetwork(clock, () => this.#after(SECOND_LOOK_MS, () => this.#look(true)));
    }
  }

  #after(ms: number, run: () => void): void {
    this.#timer?.();
    this.#timer = this.#options.clock.after(Math.max(0, ms), run);
  }
}
