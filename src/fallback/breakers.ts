import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import type { RealtimeProvider } from '../provider.ts';
import { ProviderBreaker } from './breaker.ts';
import { BREAKER_LIMITS, type BreakerLimits } from './breaker-limits.ts';

/** `open`: calls pass it by; `half-open`: one call tries whether it works again. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * What became of one attempt to have a session: one of `ready`, `failed` and `abandoned`, once; then of the session that
 * is ready: `answered` as often as it does, and `lost` once, unless the call ended before.
 */
export interface Trial {
  /** This call finds out for all others whether the provider works again. */
  readonly probe: boolean;
  /** The session is there, `ms` after the dialling; a provider that is slow again and again is passed by too. */
  ready(ms: number): void;
  failed(code: ErrorCode): void;
  /** The process was held up for so long: in that time nothing could be heard of the provider. */
  heldUp(ms: number): void;
  /** Nobody needs it any more. That proves nothing, unless it has taken too long already. */
  abandoned(): void;
  /** Its session has died, or keeps still when it is its turn. */
  lost(code: ErrorCode): void;
  /** Its session has answered. */
  answered(): void;
}

/** Whether one provider, with one credential, is worth dialling. */
export interface Breaker {
  /** Of the provider. */
  readonly name: string;
  readonly state: BreakerState;
  /** Undefined: it is not to be dialled now, unless nobody else is left. */
  admit(): Trial | undefined;
  /** For a call that has nobody else; never refused, and what becomes of it counts. */
  insist(): Trial;
}

export interface BreakerReport {
  readonly provider: string;
  readonly state: BreakerState;
  /** Why it is not closed; undefined for one that is. */
  readonly why: ErrorCode | 'slow' | undefined;
  /** Since when it is in this state, in ms. */
  readonly forMs: number;
  /** Of one that is open: for how long nobody is let in, from when it opened, in ms. */
  readonly pauseMs: number | undefined;
}

export interface BreakersOptions {
  readonly clock: Clock;
  /**
   * For log and metrics. There are no timers: that a pause or a time of proof is over is noticed, and told, when the
   * next call (or report) asks.
   */
  onChange(report: BreakerReport): void;
  /** 0 ≤ x < 1; keeps processes that saw the same failure from probing in step. Default: Math.random. */
  random?(): number;
  readonly limits?: Partial<BreakerLimits>;
}

/** The circuit breakers of the process. One object of a provider is one credential. */
export class Breakers {
  readonly #breakers = new Map<RealtimeProvider, ProviderBreaker>();
  readonly #options: BreakersOptions;
  readonly #limits: BreakerLimits;

  constructor(options: BreakersOptions) {
    this.#options = options;
    this.#limits = { ...BREAKER_LIMITS, ...options.limits };
  }

  /** Whoever is not ready by then is called slow, in ms. */
  get slowMs(): number {
    return this.#limits.slowMs;
  }

  of(provider: RealtimeProvider): Breaker {
    const known = this.#breakers.get(provider);
    if (known !== undefined) return known;
    const { clock, random = Math.random } = this.#options;
    const breaker = new ProviderBreaker({
      name: provider.name,
      clock,
      random,
      limits: this.#limits,
      onChange: (report) => this.#options.onChange(report),
    });
    this.#breakers.set(provider, breaker);
    return breaker;
  }

  /** Of the providers that were dialled so far. */
  report(): readonly BreakerReport[] {
    return Array.from(this.#breakers.values(), (breaker) => breaker.report());
  }
}
