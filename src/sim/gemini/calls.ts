import { isObject, type JsonObject } from '../common/json.ts';
import type { PlannedCall } from '../common/plan.ts';
import type { ToolResponse } from './api.ts';
import type { Core } from './core.ts';
import { unknownName } from './proto.ts';
import { invalid } from './wire.ts';

interface Call {
  readonly id: string;
  readonly name: string;
  readonly isBlocking: boolean;
  /** Its turn was interrupted; an answer changes nothing but that the call is closed. */
  isLate: boolean;
  isOpen: boolean;
}

/** A call as it stands on the wire, when its id is told. */
export interface MadeCall {
  readonly id: string;
  readonly name: string;
  readonly args: unknown;
}

/** What became of one message of function responses. */
export interface Answered {
  /** All calls that the model stands still for are answered now, and were not before. */
  readonly unblocked: boolean;
  /** Some answer is for the model to speak about, and how soon. */
  readonly wish: 'none' | 'when-idle' | 'at-once';
}

/** The function calls of a session, from the call to the answer. */
export class Calls {
  readonly responses: ToolResponse[] = [];
  readonly #core: Core;
  readonly #calls: Call[] = [];

  constructor(core: Core) {
    this.#core = core;
  }

  /** Ids without an answer that still wait for one. */
  get pending(): readonly string[] {
    return this.#calls.filter((call) => call.isOpen).map((call) => call.id);
  }

  /** The model says and does nothing until these are answered; one that never is blocks it for good. */
  get isBlocked(): boolean {
    return this.#calls.some((call) => call.isOpen && call.isBlocking);
  }

  /** Registers calls and returns them with their ids. A function that was never declared blocks like the others. */
  make(planned: readonly PlannedCall[]): readonly MadeCall[] {
    const { config, dice } = this.#core;
    return planned.map(({ name, args, callId }) => {
      const id = callId ?? `function-call-${Math.floor(dice.roll() * 1e18)}`;
      const isBlocking = config.blocking.get(name) ?? config.generation.behavior === 'BLOCKING';
      this.#calls.push({ id, name, isBlocking, isLate: false, isOpen: true });
      return { id, name, args: argumentsOf(args) };
    });
  }

  /**
   * The turn that made these calls was interrupted. Returns the ids that are called off; without `cancels` there are
   * none, and the calls go on blocking until they are answered (livekit/agents#6600).
   */
  interrupt(ids: readonly string[], cancels: boolean): readonly string[] {
    const open = this.#calls.filter((call) => call.isOpen && ids.includes(call.id));
    for (const call of open) {
      call.isLate = true;
      if (cancels) call.isOpen = false;
    }
    return cancels ? open.map((call) => call.id) : [];
  }

  /** The service calls off those of `ids` that are open, or all; returns which ones. */
  cancel(ids: readonly string[] | undefined): readonly string[] {
    return this.interrupt(ids ?? this.pending, true);
  }

  /** Takes the body of a `toolResponse`. Throws a Refusal, and changes nothing, when one of them answers no call. */
  answer(body: JsonObject): Answered {
    const given = body['functionResponses'];
    if (!Array.isArray(given) || given.length === 0) throw invalid('toolResponse without functionResponses');
    if (this.#core.config.isVertex) {
      for (const [index, response] of given.entries()) this.#checkVertex(response, index);
    }
    const taken = new Set<Call>();
    const pairs = given.map((response: JsonObject) => ({ response, call: this.#find(response, taken) }));
    if (taken.size < pairs.length) throw invalid('one call is answered twice');
    const wasBlocked = this.isBlocked;
    let wish: Answered['wish'] = 'none';
    for (const { response, call } of pairs) {
      const scheduling = this.#close(response, call);
      if (call.isLate || scheduling === 'SILENT') continue;
      if (scheduling === 'INTERRUPT') wish = 'at-once';
      else if (wish === 'none') wish = 'when-idle';
    }
    return { unblocked: wasBlocked && !this.isBlocked, wish };
  }

  #close(response: JsonObject, call: Call): ToolResponse['scheduling'] {
    const given = (response['scheduling'] ?? 'WHEN_IDLE') as ToolResponse['scheduling'];
    // Of a function that blocks it is ignored: the model speaks about it in any case.
    const scheduling = call.isBlocking ? 'WHEN_IDLE' : given;
    const result = isObject(response['response']) ? response['response'] : {};
    // A function that does not hold the model up may answer in several parts.
    call.isOpen = call.isOpen && response['willContinue'] === true && !call.isBlocking;
    // What was called off is answered only once as well.
    if (!call.isOpen) this.#calls.splice(this.#calls.indexOf(call), 1);
    this.responses.push({
      id: call.id,
      name: call.name,
      response: result,
      scheduling: given,
      isLate: call.isLate,
    });
    this.#core.conversation.add({
      role: 'user',
      parts: [{ functionResponse: { id: call.id, name: call.name, response: result } }],
      source: 'function',
      heardMs: 0,
      sentMs: 0,
      interrupted: false,
    });
    return scheduling;
  }

  /** Vertex AI knows fewer fields (livekit/agents#3784); the newest models are documented with `scheduling`. */
  #checkVertex(response: JsonObject, index: number): void {
    const unknown =
      this.#core.config.generation.name === '3.8' ? ['willContinue'] : ['willContinue', 'scheduling'];
    for (const name of unknown) {
      if (response[name] !== undefined) throw unknownName(name, `tool_response.function_responses[${index}]`);
    }
  }

  /** Without ids the calls of one name are answered in their order, those first that wait for it. */
  #find(response: JsonObject, taken: Set<Call>): Call {
    const { id, name } = response;
    const { config, settings } = this.#core;
    if (id === undefined && !config.isVertex && !settings.omitsCallIds) {
      throw invalid('a function response needs its id');
    }
    const named = this.#calls.filter((known) => known.name === name && !taken.has(known));
    const call =
      id === undefined
        ? (named.find(({ isOpen }) => isOpen) ?? named[0])
        : this.#calls.find((known) => known.id === id);
    if (call !== undefined) taken.add(call);
    if (call === undefined) throw invalid('a function response answers no open call');
    if (name !== undefined && name !== call.name)
      throw invalid('a function response has the name of another');
    return call;
  }
}

function argumentsOf(args: object | string): unknown {
  if (typeof args !== 'string') return args;
  try {
    return JSON.parse(args);
  } catch {
    // Here arguments are JSON on the wire, so broken ones can only be something else than an object.
    return args;
  }
}
