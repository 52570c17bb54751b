import type { Clock } from '../clock.ts';
import { assertNever, type ErrorCode } from '../errors.ts';
import { BLAME } from './blame.ts';
import type { BreakerLimits } from './breaker-limits.ts';
import type { Breaker, BreakerReport, BreakerState, Trial } from './breakers.ts';
import { Tally } from './tally.ts';

export interface ProviderBreakerOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly limits: BreakerLimits;
  random(): number;
  onChange(report: BreakerReport): void;
}

type Why = ErrorCode | 'slow';

type Phase =
  | { readonly state: 'closed'; readonly since: number; readonly dials: Tally; readonly sessions: Tally }
  | { readonly state: 'open'; readonly since: number; readonly why: Why; readonly pauseMs: number }
  | {
      readonly state: 'half-open';
      readonly since: number;
      readonly why: Why;
      /** Undefined: the last one proved nothing, and the next call takes its place. */
      probe: Probe | undefined;
    };

interface Probe {
  readonly trial: ProviderTrial;
  /** Since when it is dialling, or ready. */
  readonly since: number;
  readonly ready: boolean;
}

/**
 * One breaker, driven by what its users tell it and by the clock. Attempts to have a session and sessions in mid-call are
 * counted apart: a hundred calls that go on well say nothing to a caller who is refused, and the other way round.
 */
export class ProviderBreaker implements Breaker {
  readonly name: string;
  readonly #options: ProviderBreakerOptions;
  #phase: Phase;
  /** Counts openings and closings: what began in another era is no witness in this one. */
  #era = 0;
  /** Openings since it was last well. */
  #strikes = 0;
  /** Those of this era of which nothing is known yet, the oldest first. */
  readonly #dialling = new Set<ProviderTrial>();

  constructor(options: ProviderBreakerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#phase = this.#closed(options.clock.now());
  }

  get state(): BreakerState {
    return this.#settled().state;
  }

  admit(): Trial | undefined {
    const phase = this.#settled();
    switch (phase.state) {
      case 'closed':
        return this.#trial(false);
      case 'open':
        return this.#now - phase.since < phase.pauseMs ? undefined : this.#probe();
      case 'half-open':
        return phase.probe === undefined ? this.#probe() : undefined;
      default:
        return assertNever(phase);
    }
  }

  insist(): Trial {
    // Who had to be let in anyway may prove that the provider works, but not that it does not: that is known.
    return this.admit() ?? this.#trial(false);
  }

  report(): BreakerReport {
    return this.#described(this.#settled());
  }

  #described(phase: Phase): BreakerReport {
    return {
      provider: this.name,
      state: phase.state,
      why: phase.state === 'closed' ? undefined : phase.why,
      forMs: Math.round(this.#now - phase.since),
      pauseMs: phase.state === 'open' ? Math.round(phase.pauseMs) : undefined,
    };
  }

  /** For its trials: a session is there. */
  ready(trial: ProviderTrial, ms: number): void {
    if (!this.#isNews(trial)) return;
    const phase = this.#phase;
    if (ms >= this.#options.limits.slowMs) this.#failed(trial, 'slow');
    else if (phase.state === 'closed') phase.dials.good(this.#now);
    else this.#prove(phase, trial);
  }

  /** For its trials: there is no session. */
  failed(trial: ProviderTrial, code: ErrorCode): void {
    const isNews = this.#isNews(trial);
    if (trial.era !== this.#era) return;
    if (BLAME[code] === 'nothing') this.#provedNothing(trial);
    else if (isNews || isCredential(code)) this.#failed(trial, code);
  }

  /** For its trials: nobody waits for it any more. */
  abandoned(trial: ProviderTrial): void {
    if (!this.#isNews(trial)) return;
    if (this.#now - trial.since >= this.#options.limits.slowMs) this.#failed(trial, 'slow');
    else this.#provedNothing(trial);
  }

  /** For its trials: the session is lost. */
  sessionLost(trial: ProviderTrial, code: ErrorCode): void {
    const phase = this.#settled();
    // One that has not spoken since the breaker closed may have died of what it was open for.
    if (trial.era !== this.#era) return;
    if (phase.state === 'closed') this.#sessionLost(phase.sessions, code);
    else if (phase.state === 'half-open' && phase.probe?.trial === trial) this.#probeFailed(phase, code);
  }

  /** For its trials: the session has answered. */
  sessionAnswered(trial: ProviderTrial): void {
    const phase = this.#settled();
    if (phase.state === 'closed') {
      trial.era = this.#era;
      // A talkative session is one that works, and no more than that.
      phase.sessions.good(this.#now, trial.countsIn(this.#now, this.#options.limits.sessions.windowMs));
    } else if (phase.state === 'half-open' && phase.probe?.trial === trial) {
      this.#close(trial);
    }
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  /** The state after what the clock alone has changed. */
  #settled(): Phase {
    const { proofMs, slowMs } = this.#options.limits;
    const phase = this.#phase;
    if (phase.state === 'half-open' && phase.probe?.ready) {
      const { trial, since } = phase.probe;
      if (this.#now - since >= proofMs) this.#close(trial, since + proofMs);
    }
    for (const trial of this.#dialling) {
      if (this.#now - trial.since < slowMs) break;
      // A connection that hangs is found out by the next call, and not at a deadline that may be far away.
      this.#dialling.delete(trial);
      this.#failed(trial, 'slow', trial.since + slowMs);
    }
    return this.#phase;
  }

  /** Whether this is the first that is known of a trial of this era. */
  #isNews(trial: ProviderTrial): boolean {
    const isNews = this.#dialling.delete(trial);
    this.#settled();
    return isNews && trial.era === this.#era;
  }

  #trial(probe: boolean): ProviderTrial {
    const trial = new ProviderTrial(this, probe, this.#era, this.#now);
    this.#dialling.add(trial);
    return trial;
  }

  #probe(): ProviderTrial {
    const trial = this.#trial(true);
    this.#halfOpen({ trial, since: this.#now, ready: false });
    return trial;
  }

  #halfOpen(probe: Probe): void {
    const phase = this.#phase;
    if (phase.state === 'half-open') phase.probe = probe;
    else if (phase.state === 'open')
      this.#enter({ state: 'half-open', since: this.#now, why: phase.why, probe });
  }

  /** The first that is ready has to prove itself, whether it is the probe or had to be let in. */
  #prove(phase: Exclude<Phase, { state: 'closed' }>, trial: ProviderTrial): void {
    if (phase.state === 'half-open' && phase.probe?.ready) return;
    this.#halfOpen({ trial, since: this.#now, ready: true });
  }

  /** @param at when that was: it may be noticed late */
  #failed(trial: ProviderTrial, why: Why, at = this.#now): void {
    const phase = this.#phase;
    switch (phase.state) {
      case 'closed':
        if (phase.dials.bad(at) || isCredential(why)) this.#open(why, at);
        return;
      case 'half-open':
        if (phase.probe?.trial === trial) this.#open(why, at);
        return;
      case 'open':
        return;
      default:
        assertNever(phase);
    }
  }

  #sessionLost(sessions: Tally, code: ErrorCode): void {
    if (BLAME[code] === 'nothing') return;
    if (sessions.bad(this.#now) || isCredential(code)) this.#open(code);
  }

  #probeFailed(phase: Extract<Phase, { state: 'half-open' }>, code: ErrorCode): void {
    if (BLAME[code] === 'nothing') phase.probe = undefined;
    else this.#open(code);
  }

  #provedNothing(trial: ProviderTrial): void {
    const phase = this.#phase;
    if (phase.state === 'half-open' && phase.probe?.trial === trial) phase.probe = undefined;
  }

  #open(why: Why, at = this.#now): void {
    const { random, limits } = this.#options;
    const phase = this.#phase;
    const wasWell = phase.state === 'closed' && at - phase.since >= limits.relapseMs;
    if (wasWell) this.#strikes = 0;
    const blame = isCredential(why) ? 'credential' : 'provider';
    const doubled = limits.firstPauseMs[blame] * 2 ** this.#strikes;
    const share = 1 + limits.jitter * (2 * random() - 1);
    const pauseMs = share * Math.min(doubled, limits.longestPauseMs[blame]);
    this.#strikes += 1;
    this.#newEra();
    this.#enter({ state: 'open', since: at, why, pauseMs });
  }

  /** @param witness its session goes on into the new era */
  #close(witness: ProviderTrial, at = this.#now): void {
    this.#newEra();
    witness.era = this.#era;
    this.#enter(this.#closed(at));
  }

  #newEra(): void {
    this.#era += 1;
    this.#dialling.clear();
  }

  #closed(since: number): Phase {
    const { dials, sessions } = this.#options.limits;
    return { state: 'closed', since, dials: new Tally(dials, since), sessions: new Tally(sessions, since) };
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#options.onChange(this.#described(phase));
  }
}

function isCredential(why: Why): boolean {
  return why !== 'slow' && BLAME[why] === 'credential';
}

/** Takes each word of its user once, in the order in which they can come. */
class ProviderTrial implements Trial {
  readonly probe: boolean;
  /** When it was let in, or so much later as the process was held up since then. */
  since: number;
  /** Of the breaker, in which it was let in, or has answered last. */
  era: number;
  readonly #breaker: ProviderBreaker;
  #stage: 'dialling' | 'ready' | 'over' = 'dialling';
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(breaker: ProviderBreaker, probe: boolean, era: number, since: number) {
    this.#breaker = breaker;
    this.probe = probe;
    this.era = era;
    this.since = since;
  }

  ready(ms: number): void {
    if (this.#stage !== 'dialling') return;
    this.#stage = 'ready';
    this.#breaker.ready(this, ms);
  }

  failed(code: ErrorCode): void {
    if (this.#stage !== 'dialling') return;
    this.#stage = 'over';
    if (code === 'CANCELLED') this.#breaker.abandoned(this);
    else this.#breaker.failed(this, code);
  }

  heldUp(ms: number): void {
    this.since += ms;
  }

  abandoned(): void {
    if (this.#stage !== 'dialling') return;
    this.#stage = 'over';
    this.#breaker.abandoned(this);
  }

  lost(code: ErrorCode): void {
    if (this.#stage !== 'ready') return;
    this.#stage = 'over';
    this.#breaker.sessionLost(this, code);
  }

  answered(): void {
    if (this.#stage === 'ready') this.#breaker.sessionAnswered(this);
  }

  /** Whether its answer is the first for so long. */
  countsIn(now: number, windowMs: number): boolean {
    if (now - this.#countedAt < windowMs) return false;
    this.#countedAt = now;
    return true;
  }
}
