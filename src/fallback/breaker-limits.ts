import type { Blame } from './blame.ts';
import type { FailoverPolicy } from './policy.ts';
import type { TallyLimits } from './tally.ts';

/** When a breaker opens, and when it tries again. */
export interface BreakerLimits {
  /** Of attempts to have a session. */
  readonly dials: TallyLimits;
  /** Of sessions that were ready: lost, or alive (they have answered). */
  readonly sessions: TallyLimits;
  /** Not ready after this is as bad as not at all, in ms. */
  readonly slowMs: number;
  /** The first pause before a probe, in ms; it doubles with every probe that fails. */
  readonly firstPauseMs: Readonly<Record<Exclude<Blame, 'nothing'>, number>>;
  readonly longestPauseMs: Readonly<Record<Exclude<Blame, 'nothing'>, number>>;
  /** Pauses are longer or shorter by up to this share of them, 0..1. */
  readonly jitter: number;
  /** A probe that was ready has proved itself when its session has answered, or has lived for so long, in ms. */
  readonly proofMs: number;
  /** Whoever opens again so soon after it has closed goes on with the pauses where they were, in ms. */
  readonly relapseMs: number;
}

export const BREAKER_LIMITS: BreakerLimits = {
  // A call dials the same provider at most twice (per model), so three in a row are more than one call's bad luck. At one failure
  // in twenty, three in a row come once in 8,000 calls. The share finds the provider that fails every other time; 10 in
  // half a minute are too many to be chance, and too few to wait for.
  dials: { inARow: 3, badShare: 0.5, atLeast: 10, windowMs: 30_000 },
  // Sessions of one service die together when it restarts: then the share is what tells it from one bad line. The window
  // is that in which a live session surely answers.
  sessions: { inARow: 3, badShare: 0.5, atLeast: 10, windowMs: 60_000 },
  // When the next provider is dialled beside it by default: from here on the caller waits for nothing but this one.
  slowMs: 2000,
  // Most troubles of a server are over within seconds. Credentials and credit do not heal by themselves, but some services
  // report the limit of a minute in the words of a spent account.
  firstPauseMs: { provider: 5000, credential: 60_000 },
  // A probe costs one caller a failed attempt; once in two minutes is little, and finds the end of an outage soon enough.
  longestPauseMs: { provider: 120_000, credential: 600_000 },
  jitter: 0.2,
  // More than the time after which a session that keeps still is given up (8 s by default), so that a provider which
  // takes calls and says nothing does not pass.
  proofMs: 15_000,
  relapseMs: 60_000,
};

/** Those of a service whose calls wait for so long unless an agent says otherwise: whoever has patience wants it kept. */
export function limitsFor({
  connectMs,
  hedgeMs,
  answerMs,
}: Pick<FailoverPolicy, 'connectMs' | 'hedgeMs' | 'answerMs'>): Pick<BreakerLimits, 'slowMs' | 'proofMs'> {
  const { slowMs, proofMs } = BREAKER_LIMITS;
  // The least is for services that dial everybody at once: what they call slow is as fast as providers are.
  const patienceMs = hedgeMs > 0 ? Math.min(hedgeMs, connectMs) : connectMs;
  return { slowMs: Math.max(slowMs, patienceMs), proofMs: Math.max(proofMs, 1.5 * answerMs) };
}
