import { MOST_CALLS } from '../common/limits.ts';
import type { WireCall } from './wire.ts';

/** The function calls of one message: of what was called together the model speaks when it has heard all. */
interface Group {
  open: number;
  respond: boolean;
}

export interface Call {
  /** By which the bridge knows it. */
  readonly callId: string;
  /** By which the service knows it; undefined: it gave none. */
  readonly wireId: string | undefined;
  readonly name: string;
  readonly responseId: string;
  /** The model stands still until it has the result. */
  readonly blocking: boolean;
  /** When it was made. */
  readonly at: number;
  readonly group: Group;
  /** `withdrawn`: the service does not want it any more, and has been answered. */
  state: 'open' | 'answered' | 'withdrawn';
}

/** Which function calls wait for a result. */
export class Calls {
  readonly #calls = new Map<string, Call>();
  readonly #idFor: () => string;
  readonly #onTooMany: () => void;
  #blocking = 0;

  /**
   * @param idFor makes an id for a call that came without
   * @param onTooMany a call was not taken, for too many wait for their results
   */
  constructor(idFor: () => string, onTooMany: () => void) {
    this.#idFor = idFor;
    this.#onTooMany = onTooMany;
  }

  /** Calls without a result for which the model stands still. */
  get blocking(): number {
    return this.#blocking;
  }

  /** Takes over the calls of one message; returns those that were not known yet. What they are called with is not kept. */
  begin(
    calls: readonly WireCall[],
    responseId: string,
    at: number,
    blocks: (name: string) => boolean,
  ): readonly { readonly call: Call; readonly args: string }[] {
    const group: Group = { open: 0, respond: false };
    const fresh: { call: Call; args: string }[] = [];
    for (const { id, name, args } of calls) {
      const callId = id ?? this.#idFor();
      if (this.#calls.has(callId)) continue;
      const blocking = blocks(name);
      const call: Call = { callId, wireId: id, name, responseId, blocking, at, group, state: 'open' };
      if (!this.#remember(call)) continue;
      group.open += 1;
      if (blocking) this.#blocking += 1;
      fresh.push({ call, args });
    }
    return fresh;
  }

  find(callId: string): Call | undefined {
    return this.#calls.get(callId);
  }

  /** Calls of the service's own message of cancellation that still wait for a result. */
  open(callIds: readonly string[]): readonly Call[] {
    return callIds.map((id) => this.#calls.get(id)).filter((call) => call?.state === 'open') as Call[];
  }

  /** A call of an earlier session was told: once. */
  told(callId: string, name: string): void {
    const group: Group = { open: 0, respond: false };
    this.#remember({
      callId,
      wireId: undefined,
      name,
      responseId: '',
      blocking: false,
      at: 0,
      group,
      state: 'answered',
    });
  }

  /** Notes that an open call got its result. True when it was the last one missing of those called together. */
  settle(call: Call, state: 'answered' | 'withdrawn', respond: boolean): boolean {
    call.state = state;
    call.group.open -= 1;
    call.group.respond ||= respond;
    if (call.blocking) this.#blocking -= 1;
    return call.group.open === 0;
  }

  /** False: all that are known wait for their results. */
  #remember(call: Call): boolean {
    if (this.#calls.size >= MOST_CALLS) {
      const settled = [...this.#calls.values()].find(({ state }) => state !== 'open');
      if (settled === undefined) {
        this.#onTooMany();
        return false;
      }
      this.#calls.delete(settled.callId);
    }
    this.#calls.set(call.callId, call);
    return true;
  }
}
