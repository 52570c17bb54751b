import type { Clip, FillerPolicy } from './agents.ts';
import type { Cancel, Clock } from './clock.ts';

export interface FillerOptions {
  readonly clock: Clock;
  readonly policy: FillerPolicy | undefined;
  /** Has the agent say this, unasked. */
  say(text: string): void;
  play(clip: Clip): void;
  stopClip(): void;
  /** This response is not done, or not heard to its end. */
  isUnderWay(responseId: string): boolean;
  /** The provider is at work on a response other than this one. */
  hasOther(responseId: string | undefined): boolean;
  /** What the agent says is cut off. */
  cut(): void;
}

/** Lets a caller who waits for a function know that somebody is there: after a while, a few times, never over anybody. */
export class Filler {
  readonly #options: FillerOptions;
  #cancel: Cancel | undefined;
  /** Since when nobody speaks, as far as is known. */
  #quietSince: number | undefined;
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
   * @param afterMs from when nobody spoke any more until the first one of this wait; 0: never
   */
  quiet(afterMs: number): void {
    const { policy, clock } = this.#options;
    const since = this.#quietSince ?? clock.now();
    this.#quietSince = since;
    // Another function, with more or less patience, may be the one that is waited for now.
    this.#cancel?.();
    this.#cancel = undefined;
    // What was asked for and has not come is not asked for again: both would come then, one after the other.
    if (policy === undefined || afterMs <= 0 || this.#asked || this.#count >= policy.atMost) return;
    const waitMs = this.#count > 0 ? policy.everyMs : afterMs;
    const leftMs = Math.max(0, since + waitMs - clock.now());
    this.#cancel = clock.after(leftMs, () => this.#sound(policy));
  }

  /** Somebody speaks: the time begins anew when they have finished. */
  busy(): void {
    this.#quietSince = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** The bridge has asked for this response. */
  askedResponse(responseId: string): void {
    if (this.#asked) this.#responseId = responseId;
    this.#asked = false;
  }

  /** What the agent says was cut off: what it has not begun to say is not said. */
  interrupted(): void {
    this.#asked = false;
    this.#responseId = undefined;
  }

  /** There is nothing to wait for any more: what sounds is cut off. */
  end(): void {
    this.busy();
    this.#count = 0;
    const { isUnderWay, hasOther, stopClip, cut } = this.#options;
    stopClip();
    const responseId = this.#responseId;
    const wanted = this.#asked || (responseId !== undefined && isUnderWay(responseId));
    this.interrupted();
    // While another response is open, cutting would be at its cost.
    if (wanted && !hasOther(responseId)) cut();
  }

  #sound(policy: FillerPolicy): void {
    this.busy();
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
