import type { Clock } from '../clock.ts';

export interface TurnOptions {
  readonly clock: Clock;
  /** How much of the caller has been heard, in ms. */
  positionMs(): number;
  /** What the caller said until then need not be said to another provider. */
  accountedFor(upToMs: number): void;
}

/** A provider notices speech only after a while, and says so later still. */
const PREROLL_MS = 1000;
/** What a provider that works has not noticed by then was no speech. */
const NOTICED_BY_MS = 1500;
/** Somebody who got no answer for so long does not wait for it any more. */
const OWED_FOR_MS = 20_000;
/** Turns whose words are still waited for. */
const MOST_ENDS = 8;

/** What the caller has said that nobody has answered, and whether an answer is owed for it. */
export class Turn {
  readonly #options: TurnOptions;
  #speaking = false;
  /** Of the speech that is open, or was last. */
  #fromMs = 0;
  #toMs = 0;
  #stoppedAt: number | undefined;
  #owed = false;
  /** The provider acts on what it has heard of the speech that is open here: it hears an end sooner than our ear. */
  #actedOn = false;
  /** Where turns of the caller ended, by the names that the provider gave them. */
  readonly #ends = new Map<string, number>();

  constructor(options: TurnOptions) {
    this.#options = options;
  }

  get speaking(): boolean {
    return this.#speaking;
  }

  /** When the caller stopped to speak last. */
  get stoppedAt(): number | undefined {
    return this.#stoppedAt;
  }

  /** The caller has spoken and waits. */
  get owed(): boolean {
    if (!this.#owed || this.#stoppedAt === undefined) return false;
    return this.#options.clock.now() - this.#stoppedAt < OWED_FOR_MS;
  }

  callerSpeaks(): void {
    if (this.#speaking) return;
    this.#speaking = true;
    this.#actedOn = false;
    this.#fromMs = Math.max(0, this.#options.positionMs() - PREROLL_MS);
  }

  callerStopped(): void {
    if (!this.#speaking) return;
    this.#speaking = false;
    this.#toMs = this.#options.positionMs();
    this.#stoppedAt = this.#options.clock.now();
    this.#owed = !this.#actedOn;
  }

  /** The provider has heard the end of a turn, whose words will come under this name. */
  named(itemId: string): void {
    this.#ends.set(itemId, this.#options.positionMs());
    const [oldest] = this.#ends.keys();
    if (this.#ends.size > MOST_ENDS && oldest !== undefined) this.#ends.delete(oldest);
  }

  /** The caller's words are known: those of the turn of this name, or of the last one. */
  known(itemId?: string): void {
    const allMs = this.#speaking ? this.#fromMs : this.#toMs;
    const endMs = itemId === undefined ? undefined : this.#ends.get(itemId);
    // Words often come long after they were said, when the caller has said more.
    this.#options.accountedFor(Math.min(endMs ?? allMs, allMs));
  }

  /** The agent speaks, or works, because of what the caller has said. */
  answering(): void {
    this.#owed = false;
    this.#actedOn = this.#speaking;
  }

  /** The caller has more to say: what the agent began was no answer. */
  interrupted(): void {
    this.#actedOn = false;
  }

  /** The agent has answered. */
  answered(): void {
    this.#owed = false;
    this.known();
  }

  /** The provider shows that it listens: what it has not taken for speech by now was none. */
  sign(): void {
    if (this.#speaking || this.owed) return;
    this.#options.accountedFor(this.#options.positionMs() - NOTICED_BY_MS);
  }

  /** Another line has begun. */
  restart(): void {
    this.#fromMs = 0;
    this.#toMs = 0;
    this.#ends.clear();
  }
}
