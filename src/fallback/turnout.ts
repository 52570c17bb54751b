import type { Clock } from '../clock.ts';
import type { BridgeError } from '../errors.ts';
import type { Candidate } from './candidate.ts';

/** Sessions that may be lost one after the other without an answer in between. */
const MOST_LOSSES = 2;
/** Sessions that may be lost within a minute, whatever they said: more is a storm of dialling and no conversation. */
const MOST_A_MINUTE = 4;
const MINUTE_MS = 60_000;

/** Who is still to be tried in this call, and in which order. */
export class Turnout {
  readonly #candidates: readonly Candidate[];
  /** They will not work for as long as the call lasts: their credentials, settings or credit are at fault. */
  readonly #out = new Set<Candidate>();
  /** Sessions that were lost since the last answer. */
  readonly #losses = new Map<Candidate, number>();
  /** When the newest sessions of each were lost. */
  readonly #lostAt = new Map<Candidate, readonly number[]>();
  readonly #clock: Clock;

  constructor(candidates: readonly Candidate[], clock: Clock) {
    this.#candidates = candidates;
    this.#clock = clock;
  }

  inOrder(): readonly Candidate[] {
    return this.#candidates;
  }

  /** It was neither refused for good nor lost too often. */
  mayTry(candidate: Candidate): boolean {
    const known = this.#known(candidate);
    if (this.#out.has(known) || (this.#losses.get(known) ?? 0) >= MOST_LOSSES) return false;
    return this.#lately(known).length < MOST_A_MINUTE;
  }

  /** Instead of the one that was lost: those behind it, those before it, and itself once more if that may help. */
  after(candidate: Candidate): readonly Candidate[] {
    const at = this.#at(candidate);
    const others = [...this.#candidates.slice(at + 1), ...this.#candidates.slice(0, at + 1)];
    return others.filter((one) => this.mayTry(one));
  }

  /** A new session in the place of one that is about to end: with the same one if possible. */
  from(candidate: Candidate): readonly Candidate[] {
    const at = this.#at(candidate);
    const all = [...this.#candidates.slice(at), ...this.#candidates.slice(0, at)];
    return all.filter((one) => !this.#out.has(one));
  }

  failed(candidate: Candidate, error: BridgeError): void {
    const known = this.#candidates[this.#at(candidate)];
    // A handle that was refused says nothing of a session without one.
    if (known === candidate && !error.verdict.retry) this.#out.add(candidate);
  }

  lost(candidate: Candidate, error: BridgeError): void {
    const known = this.#known(candidate);
    if (!error.verdict.retry) this.#out.add(known);
    this.#losses.set(known, (this.#losses.get(known) ?? 0) + 1);
    this.#lostAt.set(known, [...this.#lately(known), this.#clock.now()]);
  }

  /** The call has gone on: whoever was lost before may be well again. */
  answered(): void {
    this.#losses.clear();
  }

  #lately(known: Candidate): readonly number[] {
    const since = this.#clock.now() - MINUTE_MS;
    return (this.#lostAt.get(known) ?? []).filter((at) => at > since);
  }

  #known(candidate: Candidate): Candidate {
    return this.#candidates[this.#at(candidate)] ?? candidate;
  }

  /** Who is dialled to go on with its session is a copy. */
  #at({ provider, wanted }: Candidate): number {
    return this.#candidates.findIndex((one) => one.provider === provider && one.wanted === wanted);
  }
}
