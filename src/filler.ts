import type { Clip, FillerPolicy } from './agents.ts';
import type { Cancel, Clock } from './clock.ts';

export interface FillerOptions {
  readonly clock: Clock;
  readonly policy: FillerPolicy | undefined;
  /** Has the agent say this, unasked. */
  say(text: string): void;
  play(clip: Clip): void;
  stopClip(): void;
  /** This response is not done, or not heard to its end; undefined: any is open. */
  isUnderWay(responseId: string | undefined): boolean;
  /** What the agent says is cut off. */
  cut(): void;
}

/** Lets a caller who waits for a function know that somebody is there: after a while, a few times, never over anybody. */
export class Filler {
  readonly #options: FillerOptions;
  #cancel: Cancel | undefined;
  #dueAt = 0;
  /** Sounded in this wait. */
  #count = 0;
  /** Of the call: the texts are said in turn over all of its waits. */
  #turn = 0;
  /** A text was asked for and has not begun. */
  #asked = false;
  /** The response in which it is said. */
  #responseId: string | undefined;

  constructor(options: FillerOptions) {
    this.#options = options;
  }

  /**
   * A function runs and nobody speaks.
   * @param afterMs until the first one of this wait; 0: never
   */
  quiet(afterMs: number): void {
    const { policy, clock } = this.#options;
    if (policy === undefined || afterMs <= 0 || this.#count >= policy.atMost) return;
    const waitMs = this.#count > 0 ? policy.everyMs : afterMs;
    const dueAt = clock.now() + waitMs;
    // Another function, which has less patience, may have begun meanwhile.
    if (this.#cancel !== undefined && this.#dueAt <= dueAt) return;
    this.busy();
    this.#dueAt = dueAt;
    this.#cancel = clock.after(waitMs, () => this.#sound(policy));
  }

  /** Somebody speaks: the time begins anew when they have finished. */
  busy(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** The bridge has asked for this response. */
  askedResponse(responseId: string): void {
    if (this.#asked) this.#responseId = responseId;
    this.#asked = false;
  }

  /** The agent was interrupted: what it has not begun to say is not said. */
  interrupted(): void {
    this.#asked = false;
    this.#responseId = undefined;
  }

  /** There is nothing to wait for any more: what sounds is cut off. */
  end(): void {
    this.busy();
    this.#count = 0;
    const { isUnderWay, stopClip, cut } = this.#options;
    stopClip();
    const said = this.#responseId !== undefined && isUnderWay(this.#responseId);
    // While another response is open, cutting would be at its cost.
    const onItsWay = this.#asked && !isUnderWay(undefined);
    this.interrupted();
    if (said || onItsWay) cut();
  }

  #sound(policy: FillerPolicy): void {
    this.#cancel = undefined;
    const { clip, texts } = policy;
    const text = texts[this.#turn % texts.length];
    this.#count += 1;
    this.#turn += 1;
    if (clip !== undefined) {
      this.#options.play(clip);
    } else if (text !== undefined) {
      this.#asked = true;
      this.#options.say(text);
    }
  }
}
