import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import type { RealtimeProvider } from '../provider.ts';

/** `open`: calls pass it by; `half-open`: one call tries whether it works again. */
export type BreakerState = 'closed' | 'open' | 'half-open';

/** What became of one attempt to have a session; exactly one of these is called, once. */
export interface Trial {
  /** This call finds out for all others whether the provider works again. */
  readonly probe: boolean;
  /** The session is there, `ms` after the dialling; a provider that is slow again and again is passed by too. */
  ready(ms: number): void;
  failed(code: ErrorCode): void;
  /** Nobody needs it any more, so it proves nothing. */
  abandoned(): void;
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
  /** A session that was ready has died, or keeps still when it is its turn. */
  lost(code: ErrorCode): void;
  /** A session has answered: it works. */
  answered(): void;
}

export interface BreakerReport {
  readonly provider: string;
  readonly state: BreakerState;
  /** Why it is not closed; undefined for one that is. */
  readonly why: ErrorCode | 'slow' | undefined;
  /** Since when it is in this state, in ms. */
  readonly forMs: number;
}

export interface BreakersOptions {
  readonly clock: Clock;
  /** For log and metrics. */
  onChange(report: BreakerReport): void;
}

/** The circuit breakers of the process. One object of a provider is one credential. */
export class Breakers {
  readonly #breakers = new Map<RealtimeProvider, Breaker>();

  constructor(_options: BreakersOptions) {}

  of(provider: RealtimeProvider): Breaker {
    const known = this.#breakers.get(provider);
    if (known !== undefined) return known;
    const trial: Trial = {
      probe: false,
      ready: () => undefined,
      failed: () => undefined,
      abandoned: () => undefined,
    };
    const breaker: Breaker = {
      name: provider.name,
      state: 'closed',
      admit: () => trial,
      insist: () => trial,
      lost: () => undefined,
      answered: () => undefined,
    };
    this.#breakers.set(provider, breaker);
    return breaker;
  }

  /** Of the providers that were dialled so far. */
  report(): readonly BreakerReport[] {
    return [];
  }
}
