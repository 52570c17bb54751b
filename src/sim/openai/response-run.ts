import type { AudioFormat } from '../../audio/format.ts';
import type { Cancel } from '../../clock.ts';
import type { Dice } from '../common/dice.ts';
import type { JsonObject } from '../common/json.ts';
import { outputsOf, type PlannedOutput } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import type { ResponsePlan } from './api.ts';
import type { Entry } from './conversation.ts';
import { knownFault } from './faults.ts';
import type { InputTokens } from './input-count.ts';
import {
  Budget,
  FunctionCall,
  type OutputHost,
  type OutputRun,
  SpokenMessage,
  WrittenMessage,
} from './outputs.ts';
import type { WireError } from './wire.ts';

/** What the session offers to a response. */
export interface Stage {
  readonly dice: Dice;
  readonly voice: Voice;
  readonly scheduler: Scheduler;
  readonly keepAudio: boolean;
  emit(type: string, fields: JsonObject): void;
  itemAdded(entry: Entry): void;
  itemDone(entry: Entry): void;
  audioSent(entry: Entry, ms: number): void;
  /** The run is over; the stage sends `response.done` with this response. */
  responseDone(run: ResponseRun, response: JsonObject): void;
}

/** Everything about one response that is known when it begins. */
export interface ResponseSpec {
  readonly plan: ResponsePlan;
  readonly format: AudioFormat;
  /** Audio is spoken; otherwise messages are written. */
  readonly spoken: boolean;
  readonly firstAudioMs: number;
  readonly deltaMs: number;
  /** Infinite: all at once. */
  readonly speedFactor: number;
  readonly maxTokens: number | 'inf';
  /** Null: it is not part of the conversation. */
  readonly conversationId: string | null;
  /** The fields of the response object that only mirror the request. */
  readonly mirrored: JsonObject;
  readonly inputTokens: InputTokens;
}

type Status = 'completed' | 'incomplete' | 'cancelled' | 'failed';

/** One response from `response.created` to `response.done`, paced by the scheduler, and stopped at any time. */
export class ResponseRun implements OutputHost {
  readonly responseId: string;
  readonly spec: ResponseSpec;
  readonly budget: Budget;
  readonly dice: Dice;
  readonly voice: Voice;
  readonly format: AudioFormat;
  readonly deltaMs: number;
  readonly speedFactor: number;
  readonly keepAudio: boolean;
  /** Audio that was sent, in ms. */
  audioMs = 0;
  readonly #stage: Stage;
  readonly #outputs: readonly PlannedOutput[];
  readonly #begun: OutputRun[] = [];
  #open: OutputRun | undefined;
  #isOver = false;
  #dueMs = 0;
  #timer: Cancel | undefined;

  constructor(stage: Stage, spec: ResponseSpec) {
    this.#stage = stage;
    this.spec = spec;
    this.responseId = stage.dice.id('resp');
    this.budget = new Budget(spec.maxTokens);
    this.dice = stage.dice;
    this.voice = stage.voice;
    this.format = spec.format;
    this.deltaMs = spec.deltaMs;
    this.speedFactor = spec.speedFactor;
    this.keepAudio = stage.keepAudio;
    this.#outputs = outputsOf(spec.plan);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get isInConversation(): boolean {
    return this.spec.conversationId !== null;
  }

  start(): void {
    this.emit('response.created', { response: this.#object('in_progress', null, null) });
    if (this.#isOver) return;
    this.#dueMs = this.#stage.scheduler.now() + this.spec.firstAudioMs;
    this.#wait();
  }

  /** Ends it as the service does when it is interrupted: closing events for what was begun, then `response.done`. */
  cancel(reason: 'turn_detected' | 'client_cancelled'): void {
    this.#finish('cancelled', { type: 'cancelled', reason });
  }

  fail(error: WireError): void {
    this.#finish('failed', { type: 'failed', error: plain(error) });
  }

  /** Ends it as complete although parts of the plan have not been sent. */
  complete(): void {
    this.#finish('completed', null);
  }

  /** Stops without a word, because nobody listens any more. */
  abandon(): void {
    this.#isOver = true;
    this.#timer?.();
  }

  /** A delta of audio after the end, as a race on the way would bring it; nothing when it never spoke. */
  lateDelta(): void {
    const spoken = this.#begun.findLast((output) => output instanceof SpokenMessage);
    if (spoken instanceof SpokenMessage) spoken.sendDelta();
  }

  emit(type: string, fields: JsonObject): void {
    this.#stage.emit(type, fields);
  }

  itemAdded(entry: Entry): void {
    if (this.isInConversation) this.#stage.itemAdded(entry);
  }

  itemDone(entry: Entry): void {
    if (this.isInConversation) this.#stage.itemDone(entry);
  }

  audioSent(entry: Entry, ms: number): void {
    this.audioMs += ms;
    this.#stage.audioSent(entry, ms);
  }

  #wait(): void {
    const waitMs = this.#dueMs - this.#stage.scheduler.now();
    this.#timer = this.#stage.scheduler.after(waitMs, () => this.#advance());
  }

  /** Deadlines are kept from the start on, so a late timer is made up for at once. */
  #advance(): void {
    const now = this.#stage.scheduler.now();
    while (!this.#isOver && this.#dueMs <= now) this.#dueMs += this.#step();
    if (!this.#isOver) this.#wait();
  }

  /** Milliseconds to wait before the next step. */
  #step(): number {
    if (this.#open === undefined) return this.#next();
    const step = this.#open.step();
    // An event that was just sent may have set off a fault that ended the response.
    if (this.#isOver) return 0;
    if (typeof step === 'number') return step;
    if (step === 'spent') {
      this.#finish('incomplete', { type: 'incomplete', reason: 'max_output_tokens' });
      return 0;
    }
    const ended = this.#open;
    const isLast = this.#begun.length === this.#outputs.length;
    this.#open = undefined;
    ended.end(isLast && this.spec.plan.status === 'incomplete' ? 'incomplete' : 'completed');
    return 0;
  }

  #next(): number {
    const planned = this.#outputs[this.#begun.length];
    if (planned === undefined) {
      this.#finishAsPlanned();
      return 0;
    }
    const output = this.#make(planned, this.#begun.length);
    this.#begun.push(output);
    this.#open = output;
    output.begin();
    return 0;
  }

  #make(planned: PlannedOutput, index: number): OutputRun {
    if (planned.type === 'function_call') return new FunctionCall(this, index, planned);
    return this.spec.spoken
      ? new SpokenMessage(this, index, planned)
      : new WrittenMessage(this, index, planned);
  }

  #finishAsPlanned(): void {
    const { status, reason, error } = this.spec.plan;
    if (status === 'failed') this.fail(error ?? knownFault('server_error').error);
    else if (status === 'incomplete') {
      this.#finish('incomplete', { type: 'incomplete', reason: reason ?? 'max_output_tokens' });
    } else this.complete();
  }

  #finish(status: Status, details: JsonObject | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.();
    const open = this.#open;
    this.#open = undefined;
    open?.end(status === 'completed' ? 'completed' : 'incomplete');
    this.#stage.responseDone(this, this.#object(status, details, this.#usage()));
  }

  #object(status: Status | 'in_progress', details: JsonObject | null, usage: JsonObject | null): JsonObject {
    return {
      object: 'realtime.response',
      id: this.responseId,
      status,
      status_details: details,
      output: this.#begun.map((output) => output.entry.item),
      conversation_id: this.spec.conversationId,
      ...this.spec.mirrored,
      usage,
    };
  }

  #usage(): JsonObject {
    const { text, audio, cachedText, cachedAudio } = this.spec.inputTokens;
    const { budget } = this;
    return {
      total_tokens: text + audio + budget.text + budget.audio,
      input_tokens: text + audio,
      output_tokens: budget.text + budget.audio,
      input_token_details: {
        text_tokens: text,
        audio_tokens: audio,
        image_tokens: 0,
        cached_tokens: cachedText + cachedAudio,
        cached_tokens_details: { text_tokens: cachedText, audio_tokens: cachedAudio, image_tokens: 0 },
      },
      output_token_details: { text_tokens: budget.text, audio_tokens: budget.audio },
    };
  }
}

function plain(error: WireError): JsonObject {
  return { type: error.type, code: error.code, message: error.message };
}
