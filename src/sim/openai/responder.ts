import { isObject, type JsonObject } from '../common/json.ts';
import { defaultPlan, speedOf } from '../common/plan.ts';
import type { ResponsePlan, Turn, TurnKind } from './api.ts';
import { notOneOf } from './check.ts';
import { checkItem, type Entry, silentEntry } from './conversation.ts';
import type { Core } from './core.ts';
import { InputCount, instructionPart, itemPart } from './input-count.ts';
import { ResponseRun, type ResponseSpec, type Stage } from './response-run.ts';
import { audioFormat, checkReasoning, type WireFormat } from './session-config.ts';
import { Refusal, type WireError } from './wire.ts';

const EMPTY: JsonObject = Object.freeze({});
const TOKENS_PER_MINUTE = 40_000;

/** Makes responses: at most one in the conversation, and any number beside it. */
export class Responder implements Stage {
  readonly dice: Core['dice'];
  readonly voice: Core['voice'];
  readonly scheduler: Core['scheduler'];
  readonly keepAudio: boolean;
  /** So many deltas come after the next response that is cancelled. */
  lateDeltas = 0;
  /** The next cancel is too late. */
  cancelRace = false;
  readonly #core: Core;
  readonly #ended: (run: ResponseRun) => void;
  readonly #audioSent: (ms: number) => void;
  readonly #beside = new Set<ResponseRun>();
  #active: ResponseRun | undefined;
  #index = 0;
  readonly #input = new InputCount();

  constructor(core: Core, ended: (run: ResponseRun) => void, audioSent: (ms: number) => void) {
    this.#core = core;
    this.dice = core.dice;
    this.voice = core.voice;
    this.scheduler = core.scheduler;
    this.keepAudio = core.settings.keepAudio;
    this.#ended = ended;
    this.#audioSent = audioSent;
  }

  get active(): ResponseRun | undefined {
    return this.#active;
  }

  /** A `response.create` of the client, its fields checked; throws a Refusal. */
  request(given: unknown, heardMs: number): void {
    const request = isObject(given) ? given : EMPTY;
    checkReasoning(request, this.#core.config.model, 'response');
    const conversation = request['conversation'] ?? 'auto';
    if (conversation !== 'auto' && conversation !== 'none') {
      throw notOneOf('response.conversation', conversation, ['auto', 'none']);
    }
    const input = this.#inputOf(request['input']);
    if (conversation === 'auto') this.#checkFree();
    this.#begin(input === undefined ? this.#kind() : 'text', request, heardMs, input);
  }

  /** A response that the server begins by itself; throws a Refusal when one is active. */
  answer(kind: TurnKind, heardMs: number): void {
    this.#checkFree();
    this.#begin(kind, EMPTY, heardMs, undefined);
  }

  /** Says a text that the client has written; throws a Refusal when a response is active. */
  recite(text: string): void {
    this.#checkFree();
    const turn = this.#turn(this.#kind(), EMPTY, 0, undefined);
    this.#start(recital(text, this.#core.settings.respond(turn)), turn);
  }

  /** The active response sends nothing any more, not even its end. */
  forsake(): void {
    this.#active?.abandon();
    this.#active = undefined;
  }

  /** Carries out a plan that no turn asked for; false when a response is active. */
  speak(plan: ResponsePlan): boolean {
    if (this.#active !== undefined) return false;
    const turn = this.#turn('prompt', EMPTY, 0, undefined);
    this.#start(plan, turn);
    return true;
  }

  /** A `response.cancel` of the client; throws a Refusal when there is nothing to cancel. */
  cancel(id: unknown): void {
    const run = id === undefined ? this.#active : this.#find(id);
    if (run !== undefined && this.cancelRace) {
      this.cancelRace = false;
      run.complete();
    } else if (run !== undefined) {
      this.#stop(run, 'client_cancelled');
      return;
    }
    throw new Refusal('response_cancel_not_active', 'Cancellation failed: no active response found');
  }

  /** The caller speaks over the response. */
  interrupt(): void {
    if (this.#active !== undefined) this.#stop(this.#active, 'turn_detected');
  }

  fail(error: WireError): void {
    this.#active?.fail(error);
  }

  close(): void {
    this.#active?.abandon();
    for (const run of this.#beside) run.abandon();
    this.#beside.clear();
  }

  #find(id: unknown): ResponseRun | undefined {
    if (this.#active?.responseId === id) return this.#active;
    for (const run of this.#beside) if (run.responseId === id) return run;
    return undefined;
  }

  #stop(run: ResponseRun, reason: 'turn_detected' | 'client_cancelled'): void {
    run.cancel(reason);
    for (; this.lateDeltas > 0; this.lateDeltas--) run.lateDelta();
  }

  #checkFree(): void {
    if (this.#active === undefined) return;
    const message = `Conversation already has an active response in progress: ${this.#active.responseId}. Wait until the response is finished before creating a new one.`;
    throw new Refusal('conversation_already_has_active_response', message);
  }

  /** The items that a request names instead of the conversation. */
  #inputOf(input: unknown): readonly JsonObject[] | undefined {
    if (!Array.isArray(input)) return undefined;
    return input.map((item: unknown, index) => {
      const path = `response.input[${index}]`;
      if (!isObject(item) || item['type'] !== 'item_reference') return checkItem(item, path);
      const entry = this.#core.conversation.find(item['id']);
      if (entry !== undefined) return entry.item;
      throw new Refusal(
        'invalid_value',
        `Item with item_id '${String(item['id'])}' not found.`,
        `${path}.id`,
      );
    });
  }

  #kind(): TurnKind {
    const { fresh, conversation } = this.#core;
    if (fresh.some((entry) => entry.item['type'] === 'function_call_output')) return 'tool-result';
    if (fresh.some((entry) => entry.item['role'] === 'user' && entry.audioMs > 0)) return 'user-turn';
    if (fresh.some((entry) => entry.item['role'] === 'user')) return 'text';
    const hasTalked = conversation.entries.some((entry) => entry.item['role'] !== 'system');
    return hasTalked ? 'prompt' : 'greeting';
  }

  #begin(
    kind: TurnKind,
    request: JsonObject,
    heardMs: number,
    input: readonly JsonObject[] | undefined,
  ): void {
    const turn = this.#turn(kind, request, kind === 'user-turn' ? heardMs : 0, input);
    const planned = this.#core.settings.respond(turn);
    const written = writtenFor(request);
    const plan = written === undefined ? (planned ?? defaultPlan(turn)) : recital(written, planned);
    this.#start(plan, turn, input);
  }

  #turn(
    kind: TurnKind,
    request: JsonObject,
    heardMs: number,
    input: readonly JsonObject[] | undefined,
  ): Turn {
    const core = this.#core;
    const tools = request['tools'];
    return {
      index: this.#index++,
      kind,
      connection: core.connection,
      instructions: String(request['instructions'] ?? core.config.instructions),
      heardMs,
      items: input ?? core.conversation.entries.map((entry) => entry.item),
      newItems: core.fresh.map((entry) => entry.item),
      tools: Array.isArray(tools) ? (tools as readonly JsonObject[]) : core.config.tools,
      session: core.config,
      request,
    };
  }

  #start(plan: ResponsePlan, turn: Turn, input?: readonly JsonObject[]): void {
    const core = this.#core;
    const run = new ResponseRun(this, this.#spec(plan, turn, input));
    if (run.isInConversation) {
      this.#active = run;
      core.fresh = [];
    } else {
      this.#beside.add(run);
    }
    run.start();
  }

  #spec(plan: ResponsePlan, turn: Turn, input: readonly JsonObject[] | undefined): ResponseSpec {
    const { config, settings, conversation } = this.#core;
    const { request } = turn;
    const modalities = (request['output_modalities'] ?? config.output_modalities) as readonly string[];
    const output = outputOf(request);
    const format = (output['format'] ?? config.audio.output.format) as WireFormat;
    const maxTokens = (request['max_output_tokens'] ?? config.max_output_tokens) as number | 'inf';
    return {
      plan,
      format: audioFormat(format),
      spoken: modalities.includes('audio'),
      firstAudioMs: plan.firstAudioMs ?? settings.firstAudioMs,
      deltaMs: plan.deltaMs ?? settings.deltaMs,
      speedFactor: plan.speedFactor === undefined ? settings.speedFactor : speedOf(plan.speedFactor),
      maxTokens,
      conversationId: request['conversation'] === 'none' ? null : conversation.id,
      mirrored: {
        output_modalities: modalities,
        max_output_tokens: maxTokens,
        audio: { output: { format, voice: output['voice'] ?? config.audio.output.voice } },
        metadata: request['metadata'] ?? null,
      },
      inputTokens: this.#inputTokens(turn, input),
    };
  }

  #inputTokens(turn: Turn, input: readonly JsonObject[] | undefined): ResponseSpec['inputTokens'] {
    const items = input?.map((item) => silentEntry(String(item['id']), item));
    return this.#input.count([
      instructionPart(turn.instructions, turn.tools),
      ...(items ?? this.#core.conversation.entries).map(itemPart),
    ]);
  }

  emit(type: string, fields: JsonObject): void {
    this.#core.emit(type, fields);
  }

  itemAdded(entry: Entry): void {
    const previous_item_id = this.#core.conversation.add(entry);
    this.emit('conversation.item.added', { previous_item_id, item: entry.item });
  }

  itemDone(entry: Entry): void {
    const previous_item_id = this.#core.conversation.before(entry.id);
    this.emit('conversation.item.done', { previous_item_id, item: entry.item });
  }

  audioSent(entry: Entry, ms: number): void {
    if (entry.sentMs === ms) this.#core.spoken.set(entry.id, entry);
    this.#audioSent(ms);
  }

  responseDone(run: ResponseRun, response: JsonObject): void {
    this.#beside.delete(run);
    if (this.#active === run) this.#active = undefined;
    this.emit('response.done', { response });
    const used = Math.min(TOKENS_PER_MINUTE, this.#input.lastTokens);
    this.emit('rate_limits.updated', {
      rate_limits: [
        { name: 'requests', limit: 1_000, remaining: 999, reset_seconds: 0.06 },
        { name: 'tokens', limit: TOKENS_PER_MINUTE, remaining: TOKENS_PER_MINUTE - used, reset_seconds: 1.5 },
      ],
    });
    if (run.isInConversation) this.#ended(run);
  }
}

/** The words are the client's; how they sound and how it ends is the script's. */
function recital(transcript: string, planned: ResponsePlan | undefined): ResponsePlan {
  const { outputs: _, toolCalls: __, ...rest } = planned ?? {};
  return { ...rest, transcript };
}

/** What the client has written for the agent to say. */
function writtenFor(request: JsonObject): string | undefined {
  const message = request['pre_generated_assistant_message'];
  const content = isObject(message) ? message['content'] : undefined;
  if (!Array.isArray(content)) return undefined;
  return content.map((piece: unknown) => (isObject(piece) ? String(piece['text']) : '')).join(' ');
}

function outputOf(request: JsonObject): JsonObject {
  const audio = request['audio'];
  const output = isObject(audio) ? audio['output'] : undefined;
  return isObject(output) ? output : EMPTY;
}
