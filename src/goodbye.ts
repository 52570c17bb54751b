import type { EndReason } from './call-events.ts';
import type { Cancel, Clock } from './clock.ts';

export interface GoodbyeOptions {
  readonly clock: Clock;
  /** Speech that is still to be heard, in ms. */
  aheadMs(): number;
  /** A response that the bridge asked for is not done: more of it may come. */
  speaking(): boolean;
  /** `whole`: the goodbye was heard to its end; false: it never came, or was cut off. */
  onOver(reason: EndReason, whole: boolean): void;
}

/** However slow the goodbye is to come, the call ends by then. */
const BEGIN_LIMIT_MS = 20_000;
/** A short goodbye, or one in the model's own words, takes no longer. */
const SHORT_MS = 60_000;
/** Slow speech, in a script where a character is a syllable; others are four times as fast. */
const MS_PER_CHARACTER = 250;
/** A provider that has begun the goodbye and then says nothing for so long says nothing any more. */
const STALLED_MS = 10_000;
const LOOK_AGAIN_MS = 500;

interface Leaving {
  readonly reason: EndReason;
  readonly final: boolean;
  /** Undefined: the model chooses its words. */
  readonly text: string | undefined;
  /** The longest that it may take in all. */
  readonly longestMs: number;
}

/**
 * A call that is about to end: it ends when the goodbye has been heard, and at the latest at the limit. A caller who
 * speaks up before that goes on talking, unless the reason leaves no choice.
 */
export class Goodbye {
  readonly #options: GoodbyeOptions;
  #leaving: Leaving | undefined;
  #cancel: Cancel | undefined;
  /** The goodbye was asked for and has not begun. */
  #awaited = false;
  /** The response in which it is spoken. */
  #responseId: string | undefined;
  /** Nothing of it is known to be missing. */
  #whole = true;
  /** Nobody is on the line. */
  #held = false;
  /** It was cut off when the line was lost, or could not be asked for after that. */
  #lost = false;
  #beganAt = 0;
  /** Until when there was something to be heard, as far as is known. */
  #soundAt = 0;

  constructor(options: GoodbyeOptions) {
    this.#options = options;
  }

  get leaving(): boolean {
    return this.#leaving !== undefined;
  }

  /** All of it was said; the caller may still be hearing it. */
  get said(): boolean {
    return this.leaving && !this.#awaited && this.#whole && !this.#lost && !this.#options.speaking();
  }

  /** The caller cannot call it off any more. */
  finalise(): void {
    if (this.#leaving !== undefined) this.#leaving = { ...this.#leaving, final: true };
  }

  /** The call ends whatever the caller does. */
  get final(): boolean {
    return this.#leaving?.final === true;
  }

  /**
   * The goodbye was asked for. A final one that was begun before stays.
   * @param final the caller cannot call it off
   * @param text undefined: the model chooses its words
   */
  begin(reason: EndReason, final: boolean, text: string | undefined): void {
    if (this.#leaving?.final === true) return;
    const textMs = (text?.length ?? 0) * MS_PER_CHARACTER;
    this.#leaving = { reason, final, text, longestMs: Math.max(SHORT_MS, BEGIN_LIMIT_MS + textMs) };
    this.awaited();
  }

  /** The agent was asked for something that is the goodbye, or the rest of it. */
  awaited(): void {
    if (this.#leaving === undefined) return;
    this.#awaited = true;
    this.#responseId = undefined;
    this.#whole = true;
    this.#lost = false;
    this.#restart();
  }

  /** As long as nobody is on the line, a goodbye is not over, and its time does not pass. */
  hold(on: boolean): void {
    this.#held = on;
    if (on) this.#cancel?.();
    else if (this.#leaving !== undefined) this.#restart();
  }

  /** The line is gone, and with it what was being said. What has not begun can wait. */
  cutOff(): void {
    if (!this.#awaited) this.#lost = true;
  }

  /** It could not be asked for, because the line is gone. */
  unasked(): void {
    this.#lost = true;
  }

  /** Somebody is on the line again: what is to be said to them now, because they have not heard it. */
  again(): { readonly text: string; readonly final: boolean } | undefined {
    if (this.#leaving?.text === undefined || !this.#lost) return undefined;
    const { text, final } = this.#leaving;
    this.awaited();
    return { text, final };
  }

  /**
   * The agent has begun to say it, or goes on.
   * @param responseId undefined: what plays already was the goodbye
   */
  spoken(responseId: string | undefined): void {
    if (this.#leaving === undefined) return;
    this.#awaited = false;
    this.#responseId = responseId;
    this.#soundAt = this.#options.clock.now();
  }

  /** The provider did not finish this response: if it was the goodbye, its end is missing. */
  cutShort(responseId: string): void {
    if (this.#responseId === responseId) this.#whole = false;
  }

  /** The call goes on: a goodbye that is not final is called off. */
  callOff(): void {
    if (this.#leaving?.final === false) this.close();
  }

  /** Nothing is being said, nothing is under way. */
  quiet(): void {
    if (!this.#held && this.#leaving !== undefined && !this.#awaited) this.#over(this.#whole);
  }

  close(): void {
    this.#cancel?.();
    this.#leaving = undefined;
    this.#responseId = undefined;
    this.#lost = false;
  }

  #restart(): void {
    this.#beganAt = this.#options.clock.now();
    this.#wait(BEGIN_LIMIT_MS);
  }

  #wait(ms: number): void {
    this.#cancel?.();
    if (this.#held) return;
    this.#cancel = this.#options.clock.after(ms, () => this.#limit());
  }

  /** A goodbye that is being said may go on to its end, as long as it makes some progress. */
  #limit(): void {
    if (this.#leaving === undefined) return;
    if (this.#awaited) {
      this.#over(false);
      return;
    }
    const { clock, aheadMs, speaking } = this.#options;
    const now = clock.now();
    const leftMs = this.#beganAt + this.#leaving.longestMs - now;
    // Whole ms: a fraction of one may be too small to move the clock.
    const restMs = Math.ceil(aheadMs());
    const open = speaking();
    if (restMs > 0) this.#soundAt = now + restMs;
    const done = restMs <= 0 && !open;
    const stalled = restMs <= 0 && now - this.#soundAt >= STALLED_MS;
    if (done || stalled || leftMs <= 0) this.#over(done && this.#whole);
    else this.#wait(Math.min(leftMs, open ? Math.max(restMs, LOOK_AGAIN_MS) : restMs));
  }

  #over(whole: boolean): void {
    if (this.#leaving === undefined) return;
    const { reason } = this.#leaving;
    this.close();
    this.#options.onOver(reason, whole);
  }
}
