import type { AudioFormat } from '../../audio/format.ts';
import type { Cancel } from '../../clock.ts';
import type { Dice } from '../common/dice.ts';
import { babbleMs, outputsOf, type PlannedCall, type PlannedOutput } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import { cut, type Track, type Voice } from '../common/voice.ts';
import { bytesIn, msOf } from '../common/voice-activity.ts';
import type { ResponsePlan } from './api.ts';
import { type Sentence, SpokenMessage } from './history.ts';
import { type Output, type StopReason, uuid } from './output.ts';
import { sentencesOf } from './plan.ts';

/** What the session offers to an answer. */
export interface Stage {
  readonly dice: Dice;
  readonly voice: Voice;
  readonly scheduler: Scheduler;
  readonly output: Output;
  readonly toolArguments: 'single' | 'double';
  /** A message is about to be spoken. */
  messageBegun(message: SpokenMessage): void;
  audioSent(message: SpokenMessage, bytes: Uint8Array, ms: number): void;
  /** The audio of a sentence is complete: its FINAL text may come. */
  sentenceSent(message: SpokenMessage, text: string, stopReason: StopReason): void;
  toolCalled(toolUseId: string, name: string, args: string): void;
  /** Everything that was planned has been sent. */
  answerDone(answer: Answer): void;
}

/** Everything about one answer that is known when it begins. */
export interface AnswerSpec {
  readonly plan: ResponsePlan;
  readonly format: AudioFormat;
  readonly firstAudioMs: number;
  readonly deltaMs: number;
  /** Infinite: all at once. */
  readonly speedFactor: number;
}

type Step =
  | { readonly type: 'tool'; readonly call: PlannedCall }
  | {
      readonly type: 'sentence';
      readonly message: SpokenMessage;
      readonly track: Track;
      readonly text: string;
      readonly fromByte: number;
      readonly toByte: number;
      readonly stopReason: StopReason;
    };

type SentenceStep = Extract<Step, { type: 'sentence' }>;

/** One answer of the model, sentence by sentence, paced by the scheduler, and stopped at any time. */
export class Answer {
  readonly plan: ResponsePlan;
  readonly #stage: Stage;
  readonly #spec: AnswerSpec;
  readonly #steps: readonly Step[];
  #at = 0;
  #contentId: string | undefined;
  #sentBytes = 0;
  #isOver = false;
  #dueMs = 0;
  #timer: Cancel | undefined;

  constructor(stage: Stage, spec: AnswerSpec) {
    this.#stage = stage;
    this.#spec = spec;
    this.plan = spec.plan;
    this.#steps = stepsOf(outputsOf(spec.plan), stage.voice, spec.format);
  }

  /** Something of it has been sent. */
  get hasBegun(): boolean {
    return this.#at > 0 || this.#contentId !== undefined;
  }

  /** The message whose audio is being sent. */
  get openMessage(): SpokenMessage | undefined {
    const step = this.#steps[this.#at];
    return this.#contentId !== undefined && step?.type === 'sentence' ? step.message : undefined;
  }

  start(): void {
    this.#dueMs = this.#stage.scheduler.now() + this.#spec.firstAudioMs;
    this.#wait();
  }

  /** Stops without a word. */
  abandon(): void {
    this.#isOver = true;
    this.#timer?.();
  }

  /** Stops; `late`: so many more pieces of the sentence come before its block is closed. */
  interrupt(late: number): void {
    this.abandon();
    const step = this.#steps[this.#at];
    const contentId = this.#contentId;
    if (contentId === undefined || step?.type !== 'sentence') return;
    for (let i = 0; i < late; i++) {
      this.#stage.output.audio(contentId, cut(step.track, 0, bytesIn(this.#spec.deltaMs, this.#spec.format)));
    }
    this.#stage.output.close(contentId, 'AUDIO', 'INTERRUPTED');
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
    const step = this.#steps[this.#at];
    if (step === undefined) {
      this.#isOver = true;
      this.#stage.answerDone(this);
      return 0;
    }
    if (step.type === 'tool') {
      this.#at++;
      this.#call(step.call);
      return 0;
    }
    if (this.#contentId === undefined) this.#open(step);
    // An event that was just sent may have set off a fault that ended the session.
    return this.#contentId === undefined || this.#isOver ? 0 : this.#play(step, this.#contentId);
  }

  #open(step: SentenceStep): void {
    const { output } = this.#stage;
    if (step.message.startMs === undefined) this.#stage.messageBegun(step.message);
    this.#sentBytes = step.fromByte;
    if (step.text !== '') output.text('ASSISTANT', 'SPECULATIVE', step.text, 'PARTIAL_TURN');
    this.#contentId = output.openAudio();
  }

  #play(step: SentenceStep, contentId: string): number {
    const { format, deltaMs, speedFactor } = this.#spec;
    const to = Math.min(step.toByte, this.#sentBytes + Math.max(2, bytesIn(deltaMs, format)));
    const bytes = cut(step.track, this.#sentBytes, to);
    const ms = msOf(bytes.length, format);
    this.#sentBytes = to;
    if (ms > 0) {
      this.#stage.output.audio(contentId, bytes);
      this.#stage.audioSent(step.message, bytes, ms);
    }
    if (to >= step.toByte && !this.#isOver) this.#close(step, contentId);
    return ms / speedFactor;
  }

  #close(step: SentenceStep, contentId: string): void {
    this.#contentId = undefined;
    this.#at++;
    this.#stage.output.close(contentId, 'AUDIO', step.stopReason);
    if (step.text !== '') this.#stage.sentenceSent(step.message, step.text, step.stopReason);
  }

  #call(call: PlannedCall): void {
    const toolUseId = call.callId ?? uuid(this.#stage.dice);
    const args = typeof call.args === 'string' ? call.args : JSON.stringify(call.args);
    this.#stage.toolCalled(toolUseId, call.name, args);
    const content = this.#stage.toolArguments === 'double' ? JSON.stringify(args) : args;
    this.#stage.output.toolUse(toolUseId, call.name, content);
  }
}

function stepsOf(outputs: readonly PlannedOutput[], voice: Voice, format: AudioFormat): readonly Step[] {
  return outputs.flatMap((planned, index): readonly Step[] => {
    if (planned.type === 'function_call') return [{ type: 'tool', call: planned }];
    const track =
      planned.audio === undefined
        ? voice.babble(babbleMs(planned), format)
        : voice.samples(planned.audio, format);
    const isLast = index === outputs.length - 1;
    return sentenceSteps(sentencesOf(planned.transcript ?? ''), track, format, isLast);
  });
}

/** Each sentence has its share of the audio by its letters, in whole samples. */
function sentenceSteps(
  texts: readonly string[],
  track: Track,
  format: AudioFormat,
  isLast: boolean,
): readonly Step[] {
  const letters = Math.max(1, texts.join('').length);
  const ends: number[] = [];
  for (const [index, text] of texts.entries()) {
    const share = (text.length / letters) * track.totalBytes;
    const end = (ends[index - 1] ?? 0) + Math.round(share / 2) * 2;
    ends.push(index === texts.length - 1 ? track.totalBytes : Math.min(end, track.totalBytes));
  }
  const sentences = texts.map((text, index): Sentence & { fromByte: number; toByte: number } => {
    const fromByte = ends[index - 1] ?? 0;
    const toByte = ends[index] ?? 0;
    return { text, fromByte, toByte, fromMs: msOf(fromByte, format), toMs: msOf(toByte, format) };
  });
  const message = new SpokenMessage(sentences);
  return sentences.map(({ text, fromByte, toByte }, index) => ({
    type: 'sentence',
    message,
    track,
    text,
    fromByte,
    toByte,
    stopReason: isLast && index === sentences.length - 1 ? 'END_TURN' : 'PARTIAL_TURN',
  }));
}
