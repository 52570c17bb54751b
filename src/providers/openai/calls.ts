import { MOST_CALLS } from '../common/limits.ts';
import type { WireCall } from './wire.ts';

/** The function calls of one response: the model goes on when all of them are answered. */
interface Group {
  readonly responseId: string;
  open: number;
  respond: boolean;
  readonly items: string[];
}

/** All calls of a response are answered. */
export interface Answered {
  /** At least one result asks for the model to go on. */
  readonly respond: boolean;
  /** Ids of the items that hold the results. */
  readonly items: readonly string[];
}

export type CallState = 'open' | 'answered' | 'unknown';

/** Which function calls wait for a result. */
export class Calls {
  readonly #calls = new Map<string, { readonly group: Group; answered: boolean }>();

  /**
   * Takes over the calls of a completed response; returns those that were not known yet. Some servers count their
   * calls anew in every response, so one that was answered may come again. `excess`: for one that there is no room for.
   */
  begin(calls: readonly WireCall[], responseId: string, excess: () => void): readonly WireCall[] {
    const fresh: WireCall[] = [];
    const group: Group = { responseId, open: 0, respond: false, items: [] };
    for (const call of calls) {
      const known = this.#calls.get(call.callId);
      if (known && (!known.answered || known.group.responseId === responseId)) continue;
      this.#calls.delete(call.callId);
      if (!this.#makeRoom()) {
        excess();
        break;
      }
      this.#calls.set(call.callId, { group, answered: false });
      group.open += 1;
      fresh.push(call);
    }
    return fresh;
  }

  /** False: as many calls wait as can be known. Otherwise the one that was answered longest ago may be forgotten. */
  #makeRoom(): boolean {
    if (this.#calls.size < MOST_CALLS) return true;
    for (const [callId, { answered }] of this.#calls) {
      if (answered) return this.#calls.delete(callId);
    }
    return false;
  }

  state(callId: string): CallState {
    const known = this.#calls.get(callId);
    if (known === undefined) return 'unknown';
    return known.answered ? 'answered' : 'open';
  }

  /** Notes a result; the group when it was the last one missing. */
  answer(callId: string, itemId: string, respond: boolean): Answered | undefined {
    const known = this.#calls.get(callId);
    if (known === undefined || known.answered) return undefined;
    const { group } = known;
    known.answered = true;
    group.open -= 1;
    group.respond ||= respond;
    group.items.push(itemId);
    return group.open === 0 ? group : undefined;
  }
}
