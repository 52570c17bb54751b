import { MOST_CALLS } from '../common/limits.ts';

/** Which function calls are known, and which of them have a result. */
export class Calls {
  readonly #answered = new Map<string, boolean>();

  /** Undefined: the session has not made it, or that was too long ago. */
  isAnswered(callId: string): boolean | undefined {
    return this.#answered.get(callId);
  }

  /** False: it is known already, or all that are known wait for their results. */
  begin(callId: string): boolean {
    return !this.#answered.has(callId) && this.#remember(callId, false);
  }

  answered(callId: string): void {
    if (this.#answered.has(callId)) this.#answered.set(callId, true);
    else this.#remember(callId, true);
  }

  /** Every call that is known has its result. */
  get allAnswered(): boolean {
    for (const isAnswered of this.#answered.values()) if (!isAnswered) return false;
    return true;
  }

  #remember(callId: string, isAnswered: boolean): boolean {
    if (this.#answered.size >= MOST_CALLS) {
      const oldest = this.#oldestAnswered();
      if (oldest === undefined) return false;
      this.#answered.delete(oldest);
    }
    this.#answered.set(callId, isAnswered);
    return true;
  }

  #oldestAnswered(): string | undefined {
    for (const [callId, isAnswered] of this.#answered) if (isAnswered) return callId;
    return undefined;
  }
}
