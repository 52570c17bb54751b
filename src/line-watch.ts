import type { LiveResult } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';
import type { Log } from './log.ts';

export interface LineWatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** When the last message of the caller's side came, or the stream went away; undefined: nothing is watched. */
  lastMediaAt(): number | undefined;
  /** The stream is away, so that nothing can come. */
  isAway(): boolean;
  isLive(): Promise<LiveResult>;
  /** The carrier knows nothing of the call any more. */
  onDead(): void;
}

const SILENT_MS = 10_000;
const LOOK_EVERY_MS = 5000;

/** A socket that is open and says nothing, or is away: the carrier is asked whether there still is a call behind it. */
export class LineWatch {
  readonly #options: LineWatchOptions;
  #cancel: Cancel | undefined;
  /** The silence that the carrier was asked about last. */
  #askedAt: number | undefined;
  #closed = false;

  constructor(options: LineWatchOptions) {
    this.#options = options;
  }

  /** There is a stream to be watched, from now until `close`. Further calls change nothing. */
  begin(): void {
    if (this.#cancel === undefined) this.#wait();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #wait(): void {
    if (this.#closed) return;
    this.#cancel = this.#options.clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  #look(): void {
    const { clock, lastMediaAt } = this.#options;
    const last = lastMediaAt();
    const since = Math.max(last ?? Number.POSITIVE_INFINITY, this.#askedAt ?? 0);
    if (clock.now() - since < SILENT_MS) {
      this.#wait();
      return;
    }
    this.#askedAt = clock.now();
    this.#ask().then(
      () => this.#wait(),
      () => this.#wait(),
    );
  }

  async #ask(): Promise<void> {
    const { log, isLive, isAway, onDead } = this.#options;
    const result = await isLive();
    if (this.#closed) return;
    if (result.status === 'error') {
      log.warn({ err: result.error }, 'nothing comes from the carrier, and it cannot be asked why');
      return;
    }
    if (!result.live) onDead();
    else if (!isAway()) log.warn('nothing comes from the carrier, which says that the call is up');
  }
}
