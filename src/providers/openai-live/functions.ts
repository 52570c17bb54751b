import { BridgeError } from '../../errors.ts';
import type { ProviderEvent, ToolResult } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import type { Scrub } from '../common/network.ts';
import { toolOutput } from '../common/told.ts';
import type { Asks } from './asks.ts';
import { report } from './errors.ts';
import { pastCall } from './texts.ts';
import type { BackendEvent, WireCall } from './wire.ts';

/** How a text is told to the voice: to be said, or to be known. */
export type Telling = 'commentary' | 'thinking';

interface FunctionsOptions {
  readonly asks: Asks;
  readonly scrub: Scrub;
  /** Of the model behind the voice. */
  readonly model: string | undefined;
  /** What the application does for a voice that hands its work to it. */
  readonly clientFunction: string | undefined;
  /** What the caller has said since this was last asked. */
  takeRequest(): string;
  /** Returns the event id. */
  send(topic: 'output' | 'create', message: Fields): string;
  tell(kind: Telling, text: string, delegationId: string | null): void;
  emit(event: ProviderEvent): void;
}

interface Run {
  readonly responseId: string;
  readonly calls: WireCall[];
}

/**
 * The functions of a session: the voice has none, it hands work to a backend, which calls them. The backend goes on when
 * everything that it has called in the session is answered, not before (livekit/agents-js#2495).
 */
export class Functions {
  readonly #options: FunctionsOptions;
  /** What the backend is at, by delegation. */
  readonly #runs = new Map<string, Run>();
  /** Calls that wait for their result. */
  readonly #open = new Set<string>();
  readonly #known = new Set<string>();
  /** Delegations of the application that wait for their result, by the id of the call that stands for them. */
  readonly #delegations = new Map<string, string>();
  /** The backend was told something that it is to speak of. */
  #wanted = false;
  #answers = 0;

  constructor(options: FunctionsOptions) {
    this.#options = options;
  }

  /** The voice hands work on. */
  delegated(id: string, target: string | undefined): void {
    // What the backend does comes in events of its own.
    if (target !== 'client' || this.#known.has(id)) return;
    this.#known.add(id);
    const { clientFunction, takeRequest, emit, tell } = this.#options;
    if (clientFunction === undefined) {
      emit({ type: 'warning', code: 'delegation', message: 'the model hands work on that nobody here does' });
      tell('commentary', 'Nobody can do this now.', id);
      return;
    }
    this.#delegations.set(id, id);
    const args = JSON.stringify({ request: takeRequest() });
    emit({ type: 'toolCall', responseId: id, callId: id, name: clientFunction, args });
  }

  handle(event: BackendEvent): void {
    switch (event.type) {
      case 'runStarted':
        this.#runs.set(event.run, { responseId: event.responseId ?? `${event.run}_run`, calls: [] });
        break;
      case 'called':
        this.#runOf(event.run).calls.push(event.call);
        break;
      case 'runEnded':
        this.#ended(event);
        break;
    }
  }

  /** What a function gave. */
  result(callId: string, result: ToolResult): void {
    const { respond, call } = result;
    const output = toolOutput(result.output, result.isError);
    const delegationId = this.#delegations.get(callId);
    if (delegationId !== undefined) {
      this.#delegations.delete(callId);
      this.#options.tell(respond ? 'commentary' : 'thinking', output, delegationId);
    } else if (this.#open.delete(callId)) {
      this.#answers += 1;
      const item = { type: 'function_call_output', call_id: callId, output };
      this.#options.send('output', { type: 'response.item.create', item });
      this.#wanted ||= respond;
      this.#goOn();
    } else {
      const { name, args } = call ?? { name: callId, args: '{}' };
      this.#options.tell(respond ? 'commentary' : 'thinking', pastCall(name, args, output), null);
    }
  }

  #runOf(name: string): Run {
    const known = this.#runs.get(name);
    if (known !== undefined) return known;
    const run: Run = { responseId: `${name}_run`, calls: [] };
    this.#runs.set(name, run);
    return run;
  }

  #ended({ run: name, status, error, usage, model }: Extract<BackendEvent, { type: 'runEnded' }>): void {
    const run = this.#runOf(name);
    this.#runs.delete(name);
    const { emit, asks, scrub } = this.#options;
    if (usage !== undefined) emit({ type: 'usage', usage, model: model ?? this.#options.model });
    if (status === 'completed') {
      this.#call(run);
      // What it has to say is told to the voice now.
      if (run.calls.length === 0 && this.#answers > 0) asks.known();
    } else {
      asks.refused(undefined);
      const code = report(error?.code, error?.kind).code;
      const words = `the model behind the voice gave no answer (${status}): ${scrub(error?.message ?? 'no reason given')}`;
      emit({ type: 'error', error: new BridgeError(code, words), fatal: false });
    }
    this.#goOn();
  }

  #call({ responseId, calls }: Run): void {
    const fresh: WireCall[] = [];
    // All of them are open before the first result comes: those who answer at once must not be gone on without.
    for (const call of calls) {
      if (this.#known.has(call.callId)) continue;
      this.#known.add(call.callId);
      this.#open.add(call.callId);
      fresh.push(call);
    }
    for (const call of fresh) this.#options.emit({ type: 'toolCall', responseId, ...call });
  }

  #goOn(): void {
    if (!this.#wanted || this.#open.size > 0 || this.#runs.size > 0) return;
    this.#wanted = false;
    this.#options.asks.add([]);
    this.#options.send('create', { type: 'response.create' });
  }
}
