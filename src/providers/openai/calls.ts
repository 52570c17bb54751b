import type { WireCall } from './wire.ts';

/** The function calls of one response: the model goes on when all of them are answered. */
interface Group {
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
  readonly #groups = new Map<string, Group | undefined>();

  /** Takes over the calls of a completed response; returns those that were not known yet. */
  begin(calls: readonly WireCall[]): readonly WireCall[] {
    const fresh: WireCall[] = [];
    const group: Group = { open: 0, respond: false, items: [] };
    for (const call of calls) {
      if (this.#groups.has(call.callId)) continue;
      this.#groups.set(call.callId, group);
      group.open += 1;
      fresh.push(call);
    }
    return fresh;
  }

  state(callId: string): CallState {
    if (!this.#groups.has(callId)) return 'unknown';
    return this.#groups.get(callId) === undefined ? 'answered' : 'open';
  }

  /** Notes a result; the group when it was the last one missing. */
  answer(callId: string, itemId: string, respond: boolean): Answered | undefined {
    const group = this.#groups.get(callId);
    if (group === undefined) return undefined;
    this.#groups.set(callId, undefined);
    group.open -= 1;
    group.respond ||= respond;
    group.items.push(itemId);
    return group.open === 0 ? group : undefined;
  }
}
