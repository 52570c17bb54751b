import { PCM16_24K } from '../../audio/format.ts';
import type { Cancel } from '../../clock.ts';
import type { JsonObject } from '../common/json.ts';
import { type Step, speedOf, stepsOf } from '../common/plan.ts';
import { msOf } from '../common/voice-activity.ts';
import type { ConversationTurn, ResponsePlan } from './api.ts';
import type { Calls } from './calls.ts';
import { audioTokens, type Slot, textTokens } from './conversation.ts';
import type { Core } from './core.ts';
import { Spoken } from './spoken.ts';

/** What a turn of the model needs of the session that it belongs to. */
export interface TurnStage {
  readonly calls: Calls;
  /** So many pieces of audio come after the next interruption. */
  lateDeltas: number;
  audioSent(bytes: Uint8Array, ms: number): void;
  /** After its last message. */
  turnOver(turn: ModelTurn): void;
}

/** How an interruption is told; see `GeminiSimulatorOptions.interruption`. */
export type CutStyle = 'prompt' | 'absent' | 'after-turn-complete';

/** What one plan of a turn has come to. */
interface Round {
  readonly plan: ResponsePlan;
  readonly slot: Slot;
  readonly spoken: Spoken[];
  readonly calls: JsonObject[];
}

/** One turn of the model, from its first output to `turnComplete`: several rounds when it waits for functions. */
export class ModelTurn {
  state: 'generating' | 'waiting' | 'playing' | 'over' = 'generating';
  readonly #core: Core;
  readonly #stage: TurnStage;
  readonly #callIds: string[] = [];
  readonly #rounds: Round[] = [];
  readonly #prompt: { text: number; audio: number };
  #steps: readonly Step[] = [];
  #at = 0;
  #open: Spoken | undefined;
  #sentMs = 0;
  /** When everything that was sent is assumed to have been played. */
  #playEndMs = Number.NEGATIVE_INFINITY;
  #dueMs = 0;
  #timer: Cancel | undefined;
  #textTokens = 0;
  #wasPremature = false;

  constructor(core: Core, stage: TurnStage) {
    this.#core = core;
    this.#stage = stage;
    const { text, audio } = core.conversation.tokens();
    const tools = core.config.tools.length === 0 ? '' : JSON.stringify(core.config.tools);
    this.#prompt = { text: text + textTokens(core.config.instructions + tools), audio };
  }

  /** Carries a plan out: the first one, or what follows on the answers of its functions. */
  run(plan: ResponsePlan): void {
    const slot = this.#core.conversation.open(modelTurn([], 0, 0, false));
    this.#rounds.push({ plan, slot, spoken: [], calls: [] });
    this.#steps = stepsOf(plan);
    this.#at = 0;
    this.#open = undefined;
    this.state = 'generating';
    this.#dueMs = this.#core.scheduler.now() + (plan.firstAudioMs ?? this.#core.settings.firstAudioMs);
    this.#wait(() => this.#begin(plan));
  }

  #begin(plan: ResponsePlan): void {
    if (plan.thought !== undefined) {
      this.#textTokens += textTokens(plan.thought);
      this.#core.content({ modelTurn: { role: 'model', parts: [{ text: plan.thought, thought: true }] } });
    }
    this.#pump();
  }

  #wait(run: () => void): void {
    this.#timer = this.#core.scheduler.after(this.#dueMs - this.#core.scheduler.now(), () => {
      this.#timer = undefined;
      run();
    });
  }

  #pump(): void {
    while (this.state === 'generating') {
      const ms = this.#step();
      if (ms === 0 || this.state !== 'generating') continue;
      this.#dueMs += ms;
      this.#wait(() => this.#pump());
      return;
    }
  }

  get #round(): Round | undefined {
    return this.#rounds.at(-1);
  }

  /** One piece of output; returns how long to wait for the next. */
  #step(): number {
    const step = this.#steps[this.#at];
    const round = this.#round;
    if (step === undefined || round === undefined) {
      this.#roundOver();
      return 0;
    }
    if (step.type === 'calls') {
      this.#at++;
      this.#call(step.calls, round);
      return 0;
    }
    this.#open ??= this.#speak(step.message, round);
    return this.#play(this.#open, round.plan);
  }

  #speak(message: Parameters<typeof stepsOf>[0], round: Round): Spoken {
    const { settings, config } = this.#core;
    const leftMs = (config.maxOutputTokens * 1_000) / 25 - this.#sentMs;
    const spoken = new Spoken(this.#core, message, round.plan.deltaMs ?? settings.deltaMs, leftMs);
    round.spoken.push(spoken);
    return spoken;
  }

  #play(spoken: Spoken, plan: ResponsePlan): number {
    const { settings } = this.#core;
    const bytes = spoken.step();
    const ms = this.#account(bytes);
    if (this.state !== 'generating') return 0;
    if (spoken.isDone) this.#said(spoken);
    if (!this.#wasPremature && this.#sentMs >= settings.prematureTurnCompleteMs) this.completeEarly();
    return ms / (plan.speedFactor === undefined ? settings.speedFactor : speedOf(plan.speedFactor));
  }

  #said(spoken: Spoken): void {
    if (this.#core.settings.words !== 'behind') spoken.flush();
    this.#open = undefined;
    this.#at++;
    // A model that goes on thinking completes a turn with every utterance, and says that this is not all.
    if (this.#thinksOn && this.#at < this.#steps.length) {
      this.#core.content({ turnComplete: true, interactionStatus: 'IN_PROGRESS' });
    }
  }

  get #thinksOn(): boolean {
    return this.#core.config.model.includes('extended-thinking');
  }

  #account(bytes: Uint8Array): number {
    const ms = msOf(bytes.length, PCM16_24K);
    this.#sentMs += ms;
    this.#playEndMs = Math.max(this.#playEndMs, this.#core.scheduler.now()) + ms;
    if (ms > 0) this.#stage.audioSent(bytes, ms);
    return ms;
  }

  #call(planned: Parameters<Calls['make']>[0], round: Round): void {
    const made = this.#stage.calls.make(planned);
    for (const call of made) {
      round.calls.push({ functionCall: call });
      this.#callIds.push(call.id);
      this.#textTokens += textTokens(JSON.stringify(call));
    }
    const { omitsCallIds } = this.#core.settings;
    const functionCalls = omitsCallIds ? made.map(({ name, args }) => ({ name, args })) : made;
    // The audio before a call ends like that of a turn, though the turn goes on (livekit/agents#4699).
    if (round.spoken.length > 0) this.#core.content({ generationComplete: true });
    this.#core.emit({ toolCall: { functionCalls } });
  }

  #roundOver(): void {
    const round = this.#round;
    if (round === undefined) return;
    this.#record(false);
    if (this.#stage.calls.isBlocked) {
      this.state = 'waiting';
      return;
    }
    const { status, reason, error } = round.plan;
    if (status === 'failed' && error !== undefined) {
      this.state = 'over';
      this.#core.end(error);
    } else if (status === 'failed' || status === 'incomplete') {
      this.#complete(reason ?? (status === 'failed' ? 'RESPONSE_REJECTED' : 'GENERATED_OTHER'));
    } else {
      this.#generated(round);
    }
  }

  #generated(round: Round): void {
    this.state = 'playing';
    if (this.#core.settings.words === 'behind') {
      this.#core.content({ generationComplete: true });
      for (const spoken of round.spoken) spoken.flush();
    } else {
      this.#core.content({ generationComplete: true });
    }
    if (this.state !== 'playing') return;
    this.#dueMs = this.#core.settings.waitsForPlayback ? this.#playEndMs : Number.NEGATIVE_INFINITY;
    if (this.#dueMs <= this.#core.scheduler.now()) this.#complete();
    else this.#wait(() => this.#complete());
  }

  /** All functions that it waited for have answered, and none is to be spoken about. */
  finish(): void {
    const round = this.#round;
    if (this.state === 'waiting' && round !== undefined) this.#generated(round);
  }

  #complete(reason?: string): void {
    this.state = 'over';
    this.#record(false);
    this.#turnComplete(reason);
    this.#stage.turnOver(this);
  }

  /** `turnComplete` although the turn goes on. */
  completeEarly(): void {
    this.#wasPremature = true;
    this.#core.content({ turnComplete: true });
  }

  /** The service gives the turn up. */
  fail(reason: string): void {
    this.#stop();
    this.#complete(reason);
  }

  /** The caller, or the client, has cut it off. */
  cut(style: CutStyle): void {
    if (this.state === 'over') return;
    this.#stop();
    this.#record(true);
    this.state = 'over';
    if (style === 'prompt') this.#core.content({ interrupted: true });
    this.#sendLate();
    this.#callOff();
    this.#turnComplete(undefined);
    if (style === 'after-turn-complete') this.#core.content({ interrupted: true });
    this.#stage.turnOver(this);
  }

  #sendLate(): void {
    const spoken = this.#rounds.flatMap((round) => round.spoken).at(-1);
    for (; this.#stage.lateDeltas > 0 && spoken !== undefined; this.#stage.lateDeltas--) {
      const bytes = spoken.late();
      this.#stage.audioSent(bytes, msOf(bytes.length, PCM16_24K));
    }
  }

  #callOff(): void {
    const ids = this.#stage.calls.interrupt(this.#callIds, this.#core.settings.cancelsToolCalls);
    if (ids.length > 0) this.#core.emit({ toolCallCancellation: { ids } });
  }

  #turnComplete(reason: string | undefined): void {
    const { generation } = this.#core.config;
    const why = reason === undefined ? {} : { turnCompleteReason: reason };
    const goesOn = this.#thinksOn && this.#stage.calls.pending.length > 0;
    const status = generation.interactionStatus ? { interactionStatus: goesOn ? 'IN_PROGRESS' : 'IDLE' } : {};
    const content = { turnComplete: true, ...why, ...status };
    const usageMetadata = this.#usage();
    switch (generation.usage) {
      case 'alone':
        this.#core.emit({ usageMetadata });
        this.#core.content(content);
        break;
      case 'empty-content':
        this.#core.content(content);
        this.#core.content({}, { usageMetadata });
        break;
      case 'with-turn':
        this.#core.content(content, { usageMetadata });
        break;
    }
  }

  #usage(): JsonObject {
    const { text, audio } = this.#prompt;
    const spokenTokens = audioTokens(this.#sentMs);
    const promptTokenCount = text + audio;
    const responseTokenCount = spokenTokens + this.#textTokens;
    return {
      promptTokenCount,
      responseTokenCount,
      totalTokenCount: promptTokenCount + responseTokenCount,
      promptTokensDetails: details(text, audio),
      responseTokensDetails: details(this.#textTokens, spokenTokens),
    };
  }

  /** Stops without a word, because nobody listens any more. */
  abandon(): void {
    this.#stop();
    this.state = 'over';
  }

  #stop(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  /** Writes down what the model has said; of what was cut off only the part that could have been heard. */
  #record(interrupted: boolean): void {
    const unplayedMs = Math.max(0, this.#playEndMs - this.#core.scheduler.now());
    let heardMs = interrupted ? Math.max(0, this.#sentMs - unplayedMs) : this.#sentMs;
    for (const { slot, spoken, calls } of this.#rounds) {
      const sentMs = spoken.reduce((sum, message) => sum + message.sentMs, 0);
      const said = spoken.map((message) => {
        const words = message.heard(heardMs);
        heardMs -= message.sentMs;
        return words;
      });
      const text = said.filter((words) => words !== '').join(' ');
      const parts = [...(text === '' ? [] : [{ text }]), ...calls];
      const heard = Math.max(0, Math.min(sentMs, heardMs + sentMs));
      slot.turn = modelTurn(parts, heard, sentMs, interrupted && heard < sentMs);
      if (parts.length === 0 && sentMs === 0) this.#core.conversation.remove(slot);
    }
  }
}

function modelTurn(
  parts: readonly JsonObject[],
  heardMs: number,
  sentMs: number,
  interrupted: boolean,
): ConversationTurn {
  const source = parts.some((part) => part['functionCall'] !== undefined) ? 'function' : 'speech';
  return { role: 'model', parts, source, heardMs, sentMs, interrupted };
}

function details(text: number, audio: number): readonly JsonObject[] {
  const all = [
    { modality: 'TEXT', tokenCount: text },
    { modality: 'AUDIO', tokenCount: audio },
  ];
  return all.filter(({ tokenCount }) => tokenCount > 0);
}
