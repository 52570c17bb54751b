import type { Cancel, Clock } from './clock.ts';

export interface SilencePolicy {
  /** The line is quiet for this long before the caller is asked whether they are there; 0: never. */
  readonly afterMs: number;
  readonly prompts: readonly string[];
  readonly goodbye: string;
}

/** Asks a silent caller whether they are still there, a few times, and then takes leave. */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #policy: SilencePolicy;
  readonly #onPrompt: (text: string) => void;
  readonly #onGiveUp: (goodbye: string) => void;
  #cancel: Cancel | undefined;
  #asked = 0;

  constructor(
    clock: Clock,
    policy: SilencePolicy,
    onPrompt: (text: string) => void,
    onGiveUp: (goodbye: string) => void,
  ) {
    this.#clock = clock;
    this.#policy = policy;
    this.#onPrompt = onPrompt;
    this.#onGiveUp = onGiveUp;
  }

  /** Nobody speaks and nothing is under way: the time begins to count. */
  quiet(): void {
    if (this.#policy.afterMs <= 0) return;
    this.#cancel ??= this.#clock.after(this.#policy.afterMs, () => this.#expired());
  }

  /** The agent speaks or works: the time does not count. */
  busy(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** The caller is there. */
  callerActive(): void {
    this.#asked = 0;
    this.busy();
  }

  #expired(): void {
    this.#cancel = undefined;
    const prompt = this.#policy.prompts[this.#asked];
    this.#asked += 1;
    if (prompt === undefined) {
      this.#onGiveUp(this.#policy.goodbye);
      return;
    }
    this.#onPrompt(prompt);
    // A provider that does not answer must not end the watch; an answer stops this timer.
    this.quiet();
  }
}
