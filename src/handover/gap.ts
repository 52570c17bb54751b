import type { CallEventBody, ProviderChange } from '../call-events.ts';
import type { Clock } from '../clock.ts';

type FailoverEvent = Extract<CallEventBody, { type: 'failover' }>;

/** What there is to know of a provider that takes over. */
export interface Successor {
  readonly from: string;
  readonly to: string;
  readonly why: ProviderChange;
  readonly connectMs: number;
  /** The agent owes the caller something to hear. */
  readonly owes: boolean;
}

/** How long the caller of a call that changes its provider waits in silence, and through whose fault. */
export class Gap {
  readonly #clock: Clock;
  readonly #emit: (event: FailoverEvent) => void;
  #lostAt: number | undefined;
  #readyAt = 0;
  #successor: Successor | undefined;
  /** Connecting and speaking of providers that were lost before they were heard. */
  #spentMs = 0;
  #soundEndedAt: number;
  /** How long the caller has waited for what never came. */
  #inVainMs = 0;

  constructor(clock: Clock, emit: (event: FailoverEvent) => void) {
    this.#clock = clock;
    this.#emit = emit;
    this.#soundEndedAt = clock.now();
  }

  /** There is nothing more to be heard, of either side. */
  soundEnded(): void {
    this.#soundEndedAt = this.#clock.now();
  }

  /** For how long there has been nothing to be heard, if nobody speaks now. */
  get silentMs(): number {
    return this.#clock.now() - this.#soundEndedAt;
  }

  lost(): void {
    const now = this.#clock.now();
    if (this.#lostAt === undefined) {
      this.#lostAt = now;
      this.#spentMs = 0;
    } else if (this.#successor !== undefined) {
      this.#spentMs += this.#successor.connectMs + now - this.#readyAt;
    }
    this.#successor = undefined;
  }

  /** @param audible something of what the agent said before is still to be heard */
  ready(successor: Successor): void {
    const now = this.#clock.now();
    this.#lostAt ??= now - successor.connectMs;
    this.#readyAt = now;
    this.#successor = successor;
    if (!successor.owes) this.#over(0, 0, 0);
  }

  /** The agent is heard again. @param audible it was never silent: what it said before still plays */
  heard(audible: boolean): void {
    if (this.#successor === undefined || this.#lostAt === undefined) {
      this.#inVainMs = 0;
      return;
    }
    const now = this.#clock.now();
    const answerMs = now - this.#readyAt;
    const ownMs = now - this.#lostAt - this.#spentMs - this.#successor.connectMs - answerMs;
    const gapMs = audible ? 0 : now - this.#soundEndedAt;
    this.#over(gapMs, answerMs, Math.min(gapMs, Math.max(0, ownMs)));
  }

  /** The caller does not wait any longer. @param waited they were owed something */
  callerSpeaks(waited: boolean): void {
    // A successor that is remembered owes them something.
    if (waited || this.#successor !== undefined) this.#inVainMs = Math.max(this.#inVainMs, this.silentMs);
    if (this.#successor !== undefined) this.#over(0, 0, 0);
  }

  #over(gapMs: number, answerMs: number, addedMs: number): void {
    const successor = this.#successor;
    this.#successor = undefined;
    this.#lostAt = undefined;
    const inVainMs = this.#inVainMs;
    this.#inVainMs = 0;
    if (successor === undefined) return;
    const { from, to, why, connectMs } = successor;
    const heardMs = Math.max(gapMs, inVainMs);
    this.#emit({ type: 'failover', from, to, why, gapMs: heardMs, connectMs, answerMs, addedMs });
  }
}
