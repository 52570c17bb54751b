import type { Clip } from '../agents.ts';
import type { Cancel, Clock } from '../clock.ts';
import { gapTone } from './gap-tone.ts';
import type { GapFillerPolicy } from './policy.ts';

export interface GapFillerOptions {
  readonly clock: Clock;
  /** Undefined: nothing is played. */
  readonly policy: GapFillerPolicy | undefined;
  /** Of the agent, such as `de-AT`. */
  readonly language: string | undefined;
  /** False: it could not be played now. */
  play(clip: Clip): boolean;
  stopClip(): void;
  /** Nobody is heard: neither the agent nor the caller speaks. */
  quiet(): boolean;
}

/** From the end of one to the beginning of the next. */
const EVERY_MS = 4000;
const AT_MOST = 3;
/** Who speaks when a clip is due is told to us when they stop; this is for those who forget. */
const LOOK_AGAIN_MS = 500;

/** The clip for a language: the one of this very tag, else of its first part, else of all others; undefined: none. */
export function clipFor(clips: ReadonlyMap<string, Clip>, language: string | undefined): Clip | undefined {
  const tag = language?.toLowerCase() ?? '';
  const [first = ''] = tag.split('-');
  const lower = new Map([...clips].map(([name, clip]) => [name.toLowerCase(), clip]));
  return lower.get(tag) ?? lower.get(first) ?? lower.get('');
}

/**
 * Lets a caller know that somebody is there while a provider is replaced: a clip or a soft tone, after a while, a few times,
 * never over anybody.
 */
export class GapFiller {
  readonly #options: GapFillerOptions;
  #clip: Clip | undefined;
  /** In this gap; undefined: there is none. */
  #played: number | undefined;
  #sounds = false;
  #timer: Cancel | undefined;

  constructor(options: GapFillerOptions) {
    this.#options = options;
  }

  /**
   * A replacement is under way.
   * @param quietForMs how long nobody has been heard already
   */
  begin(quietForMs = 0): void {
    const { policy } = this.#options;
    if (policy === undefined || this.#played !== undefined) return;
    this.#played = 0;
    if (this.#options.quiet()) this.#wait(policy.afterMs - quietForMs);
  }

  /** Nobody is heard any more: the agent's last word, the caller's, or the clip's end. */
  soundEnded(): void {
    const { policy } = this.#options;
    if (policy === undefined || this.#played === undefined) return;
    const wasClip = this.#sounds;
    this.#sounds = false;
    this.#wait(wasClip ? EVERY_MS : policy.afterMs);
  }

  /** Somebody is heard: the clip stops, and the time begins anew at `soundEnded`. */
  busy(): void {
    if (this.#played !== undefined) this.#silence();
  }

  /** The agent can speak again, or nobody will. */
  end(): void {
    this.busy();
    this.#played = undefined;
  }

  #silence(): void {
    this.#timer?.();
    this.#timer = undefined;
    if (this.#sounds) this.#options.stopClip();
    this.#sounds = false;
  }

  #wait(ms: number): void {
    this.#timer?.();
    this.#timer = undefined;
    if (this.#played === undefined || this.#played >= AT_MOST) return;
    this.#timer = this.#options.clock.after(Math.max(0, ms), () => this.#sound());
  }

  #sound(): void {
    this.#timer = undefined;
    if (this.#played === undefined) return;
    const clip = this.#chosen();
    if (!this.#options.quiet() || !this.#options.play(clip)) {
      this.#wait(LOOK_AGAIN_MS);
      return;
    }
    this.#played += 1;
    this.#sounds = true;
    this.#wait((clip.pcm.length * 500) / clip.rate + EVERY_MS);
  }

  #chosen(): Clip {
    const { policy, language } = this.#options;
    const clips = policy?.clips;
    this.#clip ??= (clips === undefined ? undefined : clipFor(clips, language)) ?? gapTone();
    return this.#clip;
  }
}
