import type { BridgeError } from '../errors.ts';
import type { Candidate } from './candidate.ts';

/** Sessions that may be lost one after the other without an answer in between. */
const MOST_LOSSES = 2;

/** Who is still to be tried in this call, and in which order. */
export class Turnout {
  readonly #candidates: readonly Candidate[];
  /** They will not work for as long as the call lasts: their credentials, settings or credit are at fault. */
  readonly #out = new Set<Candidate>();
  /** Sessions that were lost since the last answer. */
  readonly #losses = new Map<Candidate, number>();

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
  }

  inOrder(): readonly Candidate[] {
    return this.#candidates;
  }

  /** Instead of the one that was lost: those behind it, those before it, and itself once more if that may help. */
  after(candidate: Candidate): readonly Candidate[] {
    const at = this.#at(candidate);
    const others = [...this.#candidates.slice(at + 1), ...this.#candidates.slice(0, at + 1)];
    return others.filter((one) => !this.#out.has(one) && (this.#losses.get(one) ?? 0) < MOST_LOSSES);
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
  }

  answered(candidate: Candidate): void {
    this.#losses.delete(this.#known(candidate));
  }

  #known(candidate: Candidate): Candidate {
    return this.#candidates[this.#at(candidate)] ?? candidate;
  }

  /** Who is dialled to go on with its session is a copy. */
  #at({ provider, wanted }: Candidate): number {
    return this.#candidates.findIndex((one) => one.provider === provider && one.wanted === wanted);
  }
}
