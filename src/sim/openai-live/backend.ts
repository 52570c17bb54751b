import type { Cancel } from '../../clock.ts';
import type { Dice } from '../common/dice.ts';
import type { JsonObject } from '../common/json.ts';
import type { PlannedCall } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { SimulatedDelegation } from './api.ts';
import { knownFault } from './faults.ts';
import type { Backend as BackendSettings } from './session-config.ts';
import { tokensOf } from './tokens.ts';
import { Refusal, type WireError } from './wire.ts';

/** How long the backend thinks before it has an answer, in ms. */
const THINK_MS = 50;

type Status = 'completed' | 'incomplete' | 'failed';

/** What one response of the backend gives. */
export interface BackendOutput {
  readonly calls: readonly PlannedCall[];
  /** Words for the voice to say; undefined: none. */
  readonly text: string | undefined;
  readonly status: Status;
  readonly error: WireError | undefined;
  /** It has come, unless it failed. */
  readonly done: () => void;
}

/** What the backend asks of the rest of the session. */
export interface BackendHost {
  readonly dice: Dice;
  readonly scheduler: Scheduler;
  readonly settings: BackendSettings | undefined;
  readonly timelineMs: number;
  emit(type: string, fields: JsonObject): void;
  /** An item that the backend has made. */
  added(item: JsonObject): void;
}

/** The Responses backend of a session: delegations, responses, the function calls that wait for an output. */
export class Backend {
  readonly delegations: SimulatedDelegation[] = [];
  readonly #host: BackendHost;
  /** By call id. */
  readonly #open = new Set<string>();
  readonly #timers = new Set<Cancel>();
  #running = 0;
  #delegationId: string | null = null;
  /** The next response fails with this. */
  failNext: WireError | undefined;

  constructor(host: BackendHost) {
    this.#host = host;
  }

  get openCalls(): readonly string[] {
    return [...this.#open];
  }

  get busy(): boolean {
    return this.#running > 0 || this.#open.size > 0;
  }

  /** The voice hands a task to the application. */
  delegateToClient(): string {
    return this.#delegate('client', {}).id;
  }

  /** The voice hands a task to the backend, which makes one response to it. */
  delegate(output: BackendOutput): void {
    const responseId = this.#host.dice.id('resp');
    this.#delegationId = this.#delegate('responses', { response_id: responseId }).id;
    this.#respond(responseId, output);
  }

  /** The client wants the backend to go on; throws a Refusal as long as calls are open. */
  checkFree(): void {
    if (this.#open.size > 0) {
      const message = `No tool output found for function call ${[...this.#open][0]}.`;
      throw new Refusal('invalid_request', message, 'type');
    }
    if (this.#running > 0) {
      throw new Refusal('response_in_progress', 'A response of the backend is in progress.', 'type');
    }
  }

  /** One more response of the delegation that is open. */
  goOn(output: BackendOutput): void {
    this.#respond(this.#host.dice.id('resp'), output);
  }

  /** The output of a function call; throws a Refusal for a call that does not wait for one. */
  takeOutput(callId: unknown): void {
    if (typeof callId === 'string' && this.#open.delete(callId)) return;
    const message = `No tool call found for function call output with call_id ${String(callId)}.`;
    throw new Refusal('invalid_request', message, 'item.call_id');
  }

  close(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #delegate(target: SimulatedDelegation['target'], more: JsonObject): SimulatedDelegation {
    const { dice, timelineMs } = this.#host;
    const delegation: SimulatedDelegation = { id: dice.id('item'), target };
    this.delegations.push(delegation);
    this.#host.emit('session.delegation.created', {
      offset_ms: timelineMs,
      delegation: { id: delegation.id, type: 'delegation', target, ...more },
    });
    return delegation;
  }

  #respond(responseId: string, output: BackendOutput): void {
    const run = new BackendRun(this.#host, this.#delegationId, responseId);
    this.#running++;
    run.begin();
    const cancel = this.#host.scheduler.after(THINK_MS, () => {
      this.#timers.delete(cancel);
      this.#running--;
      const error = this.failNext;
      this.failNext = undefined;
      const failed = error === undefined ? output : { ...output, status: 'failed' as const, error };
      const calls = run.finish(failed);
      if (failed.status === 'completed') for (const callId of calls) this.#open.add(callId);
      if (failed.status !== 'failed') failed.done();
    });
    this.#timers.add(cancel);
  }
}

/** One response of the backend, event by event. */
class BackendRun {
  readonly #host: BackendHost;
  readonly #delegationId: string | null;
  readonly #responseId: string;
  #sequence = 0;
  #index = 0;
  #tokens = 0;

  constructor(host: BackendHost, delegationId: string | null, responseId: string) {
    this.#host = host;
    this.#delegationId = delegationId;
    this.#responseId = responseId;
  }

  begin(): void {
    this.#emit('response.created', { response: this.#response('in_progress', null, null) });
    this.#emit('response.in_progress', { response: this.#response('in_progress', null, null) });
    const item = { id: this.#host.dice.id('rs'), type: 'reasoning', summary: [] };
    this.#emit('response.output_item.added', { output_index: this.#index, item });
    this.#emit('response.output_item.done', { output_index: this.#index++, item });
  }

  /** Returns the ids of the function calls. */
  finish({ calls, text, status, error }: BackendOutput): readonly string[] {
    const ids = status === 'failed' ? [] : calls.map((call) => this.#call(call, status));
    if (text !== undefined && status !== 'failed') this.#say(text, status);
    const wire = error ?? knownFault('server_error').error;
    const why = status === 'failed' ? { code: wire.code, message: wire.message } : null;
    this.#emit(`response.${status}`, { response: this.#response(status, why, this.#usage()) });
    return ids;
  }

  #call({ name, args, callId }: PlannedCall, status: Status): string {
    const { dice } = this.#host;
    const call_id = callId ?? dice.id('call');
    const text = typeof args === 'string' ? args : JSON.stringify(args);
    const item = { id: dice.id('fc'), type: 'function_call', call_id, name };
    const place = { output_index: this.#index++, item_id: item.id };
    this.#tokens += tokensOf(text) + tokensOf(name);
    this.#emit('response.output_item.added', {
      output_index: place.output_index,
      item: { ...item, status: 'in_progress', arguments: '' },
    });
    this.#emit('response.function_call_arguments.delta', { ...place, delta: text });
    this.#emit('response.function_call_arguments.done', { ...place, arguments: text });
    const done = { ...item, status: status === 'completed' ? 'completed' : 'incomplete', arguments: text };
    this.#emit('response.output_item.done', { output_index: place.output_index, item: done });
    this.#host.added(done);
    return call_id;
  }

  #say(text: string, status: Status): void {
    const item = { id: this.#host.dice.id('msg'), type: 'message', role: 'assistant' };
    const place = { output_index: this.#index++, item_id: item.id, content_index: 0 };
    const part = { type: 'output_text', annotations: [], logprobs: [], text };
    this.#tokens += tokensOf(text);
    this.#emit('response.output_item.added', {
      output_index: place.output_index,
      item: { ...item, status: 'in_progress', content: [] },
    });
    this.#emit('response.output_text.delta', { ...place, delta: text, logprobs: [] });
    this.#emit('response.output_text.done', { ...place, text, logprobs: [] });
    this.#emit('response.output_item.done', {
      output_index: place.output_index,
      item: { ...item, status: status === 'completed' ? 'completed' : 'incomplete', content: [part] },
    });
  }

  /** Snapshots leave out what would make them large: instructions, tools and, also at the end, the output. */
  #response(status: string, error: JsonObject | null, usage: JsonObject | null): JsonObject {
    return {
      id: this.#responseId,
      object: 'response',
      created_at: Math.floor(this.#host.scheduler.epoch() / 1000),
      status,
      error,
      incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
      instructions: null,
      model: this.#host.settings?.model ?? '',
      output: [],
      tools: [],
      usage,
    };
  }

  #usage(): JsonObject {
    const input = 200 + this.#index * 20;
    return {
      input_tokens: input,
      input_tokens_details: { cached_tokens: 128 },
      output_tokens: this.#tokens + 16,
      output_tokens_details: { reasoning_tokens: 16 },
      total_tokens: input + this.#tokens + 16,
    };
  }

  #emit(type: string, fields: JsonObject): void {
    this.#host.emit('response.event', {
      delegation_id: this.#delegationId,
      event: { type, sequence_number: this.#sequence++, ...fields },
    });
  }
}
