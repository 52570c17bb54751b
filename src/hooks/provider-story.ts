import type { CallEvent } from '../call-events.ts';
import type { ErrorCode } from '../errors.ts';

/** Another session took the place of the one that the call was held with. */
export interface ReportProviderChange {
  readonly atMs: number;
  /** The same as `to` for a provider that was dialled anew. */
  readonly from: string;
  readonly to: string;
  /** `failover`: the one before was lost; `renewal`: its session was about to end. */
  readonly why: 'failover' | 'renewal';
  /** Why it was lost; null for a renewal. */
  readonly code: ErrorCode | null;
  /** The session went on where the one before had ended, at the same provider. */
  readonly resumed: boolean;
  /** How long the caller waited in silence for what the agent owed them; null: not known, as when the call ended before. */
  readonly gapMs: number | null;
}

/** A provider was dialled in vain, or was lost. */
export interface ReportProviderFailure {
  readonly atMs: number;
  readonly provider: string;
  readonly phase: 'connecting' | 'in-call';
  readonly code: ErrorCode;
  /** Since it was dialled, or since it was ready. */
  readonly ms: number;
}

type Told<T extends CallEvent['type']> = Extract<CallEvent, { readonly type: T }>;

/** More than anybody reads; of a call that has more, the first are told. */
const MOST = 100;

/** Who held a call, and why not somebody else. */
export class ProviderStory {
  readonly #names: string[] = [];
  readonly #changes: ReportProviderChange[] = [];
  readonly #failures: ReportProviderFailure[] = [];
  #failovers = 0;
  #last: string | undefined;
  /** Why the provider in use was lost. */
  #lost: ErrorCode | undefined;
  /** Of the change whose gap is not known yet; undefined: none, or one that is not told. */
  #open: number | undefined;
  /** Of a change that is still to be told of: where the agent owes nothing, its gap is known before it is ready. */
  #early: Told<'failover'> | undefined;

  ready({ provider, why, resumed, atMs }: Told<'providerReady'>): void {
    const from = this.#last;
    const code = this.#lost;
    this.#last = provider;
    const early = this.#early;
    this.#lost = undefined;
    this.#early = undefined;
    if (this.#names.at(-1) !== provider && this.#names.length < MOST) this.#names.push(provider);
    // Whoever is first has taken the place of nobody, and what it took to have it is among the failures.
    if (why === 'start' || from === undefined) return;
    if (why === 'failover') this.#failovers += 1;
    this.#open = undefined;
    if (this.#changes.length >= MOST) return;
    const gapMs = early?.to === provider && early.why === why ? Math.round(early.gapMs) : null;
    if (gapMs === null) this.#open = this.#changes.length;
    this.#changes.push({
      atMs: Math.round(atMs),
      from,
      to: provider,
      why,
      code: why === 'failover' ? (code ?? null) : null,
      resumed,
      gapMs,
    });
  }

  failed({ provider, phase, code, atMs, ms }: Told<'providerFailed'>): void {
    if (phase === 'in-call') this.#lost = code;
    if (this.#failures.length >= MOST) return;
    this.#failures.push({ atMs: Math.round(atMs), provider, phase, code, ms: Math.round(ms) });
  }

  /** The agent is heard again, or owes nothing. */
  heardAgain(event: Told<'failover'>): void {
    const change = this.#open === undefined ? undefined : this.#changes[this.#open];
    const isItsOwn = this.#lost === undefined && change?.to === event.to && change.why === event.why;
    if (this.#open === undefined || change === undefined || !isItsOwn) {
      this.#early = event;
      return;
    }
    this.#changes[this.#open] = { ...change, gapMs: Math.round(event.gapMs) };
    this.#open = undefined;
  }

  /** In the order in which they took over; one that was dialled anew is not named again. */
  get names(): readonly string[] {
    return [...this.#names];
  }

  /** How often a provider was lost and the call went on; also of those changes that were too many to be told. */
  get failovers(): number {
    return this.#failovers;
  }

  get changes(): readonly ReportProviderChange[] {
    return [...this.#changes];
  }

  get failures(): readonly ReportProviderFailure[] {
    return [...this.#failures];
  }
}
