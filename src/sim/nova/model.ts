import type { Cancel } from '../../clock.ts';
import type { Dice } from '../common/dice.ts';
import type { JsonObject } from '../common/json.ts';
import { defaultPlan, defaultTranscript, speedOf } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import { Answer, type Stage } from './answer.ts';
import type {
  HistoryEntry,
  NovaError,
  ReceivedResult,
  ResponsePlan,
  SessionConfig,
  ToolSpec,
  Turn,
  TurnKind,
} from './api.ts';
import { Refusal } from './check.ts';
import { Ears, type EarsListener } from './ears.ts';
import { errorOf } from './faults.ts';
import { History, type SpokenMessage } from './history.ts';
import type { IntakeHost } from './intake.ts';
import { Output, type StopReason } from './output.ts';
import { Playback } from './playback.ts';
import { rateOf, sessionOf, toolsOf } from './session.ts';
import type { Settings } from './settings.ts';
import { UsageCount } from './usage.ts';

/** How long the transcript of the caller's turn takes at most when no script says otherwise, in ms. */
const TRANSCRIBE_MS = 100;

/** What the model needs of its connection. */
export interface ModelHost {
  readonly index: number;
  send(type: string, body: JsonObject): void;
  audioSent(ms: number): void;
  /** Ends the stream with an error. */
  fail(error: NovaError): void;
  /** The client has ended the session in order. */
  sessionOver(): void;
}

/** One session: what it is told, what it hears, when it answers, and when it lets itself be interrupted. */
export class Model implements IntakeHost, EarsListener, Stage {
  readonly historyBytes: Settings['historyBytes'];
  readonly toolArguments: Settings['toolArguments'];
  readonly dice: Dice;
  readonly voice: Voice;
  readonly scheduler: Scheduler;
  readonly output: Output;
  readonly ears: Ears;
  readonly sentAudio: Uint8Array[] = [];
  readonly results: ReceivedResult[] = [];
  session: SessionConfig | undefined;
  system = '';
  tools: readonly ToolSpec[] = [];
  /** So many pieces come after the next interruption. */
  lateDeltas = 0;
  /** When audio or text last came, by the scheduler. */
  lastInputMs: number;
  hasAudio = false;
  readonly #host: ModelHost;
  readonly #settings: Settings;
  readonly #history = new History();
  readonly #playback = new Playback();
  readonly #usage = new UsageCount();
  readonly #calls = new Map<string, string>();
  readonly #finals = new Set<Cancel>();
  readonly #timers = new Set<Cancel>();
  #started: JsonObject = {};
  #answer: Answer | undefined;
  #wanted: TurnKind | undefined;
  /** An interruption that the caller's speech has set off, but that has not come yet. */
  #bargeIn: Cancel | undefined;
  #answers = 0;
  #speeches = 0;
  #heardMs = 0;
  #countedAudioMs = 0;
  #afterAnswer: (() => void)[] = [];

  constructor(parts: {
    readonly host: ModelHost;
    readonly settings: Settings;
    readonly scheduler: Scheduler;
    readonly dice: Dice;
    readonly voice: Voice;
  }) {
    this.#host = parts.host;
    this.#settings = parts.settings;
    this.historyBytes = parts.settings.historyBytes;
    this.toolArguments = parts.settings.toolArguments;
    this.dice = parts.dice;
    this.voice = parts.voice;
    this.scheduler = parts.scheduler;
    this.lastInputMs = parts.scheduler.now();
    this.output = new Output(parts.dice, (type, body) => this.#host.send(type, body));
    this.ears = new Ears(this, () => this.scheduler.now(), parts.settings.keepAudio);
  }

  get history(): readonly HistoryEntry[] {
    return this.#history.view(this.#totalHeardMs);
  }

  get openCalls(): readonly string[] {
    return [...this.#calls.keys()];
  }

  get isSpeaking(): boolean {
    return this.#playback.remainingMs(this.scheduler.now()) > 0;
  }

  get sentAudioMs(): number {
    return this.#playback.sentMs;
  }

  get #totalHeardMs(): number {
    return this.#playback.heardMs(this.scheduler.now());
  }

  // What the client tells.

  sessionStarted(body: JsonObject): void {
    this.#started = body;
  }

  promptStarted(body: JsonObject): void {
    const session = sessionOf(this.#started, body);
    const { voices } = this.#settings;
    if (voices !== 'any' && !voices.includes(session.voice)) throw new Refusal('Received invalid voiceId');
    this.session = session;
    this.tools = toolsOf(body);
    this.output.promptName = session.promptName;
    this.output.outputRate = session.outputRate;
  }

  systemTold(text: string): void {
    this.system = text;
    this.#usage.text('input', text);
  }

  historyTold(role: 'USER' | 'ASSISTANT' | 'SYSTEM_SPEECH', text: string): void {
    this.#history.add({ role, source: 'history', text });
    this.#usage.text('input', text);
  }

  audioOpened(configuration: JsonObject): void {
    this.hasAudio = true;
    this.lastInputMs = this.scheduler.now();
    const { endpointWaitsMs, endpointScale } = this.#settings;
    const waitMs = endpointWaitsMs[this.session?.sensitivity ?? 'HIGH'] * endpointScale;
    this.ears.configure(rateOf(configuration), waitMs);
  }

  audioCame(bytes: Buffer): void {
    this.lastInputMs = this.scheduler.now();
    this.ears.push(bytes);
  }

  textCame(text: string): void {
    this.lastInputMs = this.scheduler.now();
    const kind = this.#history.isEmpty ? 'greeting' : 'text';
    this.#history.add({ role: 'USER', source: 'text', text });
    this.#usage.text('input', text);
    this.#want(kind);
  }

  isCallOpen(toolUseId: string): boolean {
    return this.#calls.has(toolUseId);
  }

  resultCame(toolUseId: string, content: string): void {
    this.results.push({ toolUseId, name: this.#calls.get(toolUseId) ?? '', content });
    this.#calls.delete(toolUseId);
    this.#history.add({ role: 'TOOL', source: 'tool', text: content, toolUseId });
    this.#usage.text('input', content);
    if (this.#calls.size === 0) this.#want('tool-result');
  }

  promptEnded(): void {
    this.#answer?.abandon();
    this.#answer = undefined;
    this.output.end();
  }

  sessionEnded(): void {
    this.#host.sessionOver();
  }

  // What the caller does.

  callerStarted(): void {
    if (this.#settings.bargeInDelayMs === 0) this.#interrupt();
    else this.#bargeIn = this.#later(this.#settings.bargeInDelayMs, () => this.#interrupt());
  }

  callerStopped(heardMs: number): void {
    if (this.#bargeIn !== undefined) this.#interrupt();
    this.#heardMs = heardMs;
    const hearing = this.#settings.hear({ index: this.#speeches++, heardMs }) ?? {};
    const text = hearing.transcript ?? defaultTranscript(heardMs);
    this.#history.add({ role: 'USER', source: 'speech', text });
    this.#countSpeech();
    const tell = (): void => this.#tellHeard(text);
    if (hearing.after === 'response') this.#afterAnswer.push(tell);
    else {
      const waitMs = hearing.after ?? Math.min(TRANSCRIBE_MS, this.#settings.firstAudioMs);
      if (waitMs === 0) tell();
      else this.#later(waitMs, tell);
    }
    this.#wanted = undefined;
    this.#begin('user-turn');
  }

  #tellHeard(text: string): void {
    this.output.begin();
    this.output.text('USER', 'FINAL', text, 'PARTIAL_TURN');
  }

  #countSpeech(): void {
    const { audioMs } = this.ears;
    this.#usage.speech('input', audioMs - this.#countedAudioMs);
    this.#countedAudioMs = audioMs;
    this.#tellUsage();
  }

  #tellUsage(): void {
    const usage = this.#usage.take();
    if (usage !== undefined) this.output.emit('usageEvent', usage);
  }

  // What the model does.

  /** Carries out a plan that no turn asked for; false when an answer is being made. */
  speak(plan: ResponsePlan): boolean {
    if (this.#answer !== undefined || this.session === undefined) return false;
    this.#history.takeKnown();
    this.#answers++;
    this.#start(plan, this.session);
    return true;
  }

  close(): void {
    this.#answer?.abandon();
    this.#answer = undefined;
    for (const cancel of [...this.#timers, ...this.#finals]) cancel();
    this.#timers.clear();
    this.#finals.clear();
    this.#afterAnswer = [];
  }

  #later(ms: number, run: () => void, among = this.#timers): Cancel {
    const cancel = this.scheduler.after(ms, () => {
      among.delete(cancel);
      run();
    });
    among.add(cancel);
    return () => {
      cancel();
      among.delete(cancel);
    };
  }

  #want(kind: TurnKind): void {
    if (this.#answer === undefined && !this.ears.isCallerSpeaking) this.#begin(kind);
    else this.#wanted = kind;
  }

  #begin(kind: TurnKind): void {
    const { session } = this;
    if (session === undefined) return;
    // A turn of the caller takes the place of an answer that has not been heard.
    this.#answer?.abandon();
    const turn = this.#turn(kind, session);
    this.#start(this.#settings.respond(turn) ?? defaultPlan(turn), session);
  }

  #turn(kind: TurnKind, session: SessionConfig): Turn {
    const items = this.history;
    const known = this.#history.takeKnown();
    return {
      index: this.#answers++,
      kind,
      connection: this.#host.index,
      instructions: this.system,
      heardMs: kind === 'user-turn' ? this.#heardMs : 0,
      items,
      newItems: items.slice(known).filter(({ role }) => role !== 'ASSISTANT'),
      tools: this.tools,
      session,
    };
  }

  #start(plan: ResponsePlan, session: SessionConfig): void {
    const settings = this.#settings;
    this.#answer = new Answer(this, {
      plan,
      format: { encoding: 'pcm16', rate: session.outputRate },
      firstAudioMs: plan.firstAudioMs ?? settings.firstAudioMs,
      deltaMs: plan.deltaMs ?? settings.deltaMs,
      speedFactor: plan.speedFactor === undefined ? settings.speedFactor : speedOf(plan.speedFactor),
    });
    this.#answer.start();
  }

  /** The caller speaks: what he does not want to hear any more ends, and he is told so. */
  #interrupt(): void {
    this.#bargeIn?.();
    this.#bargeIn = undefined;
    const answer = this.#answer;
    const heardMs = this.#totalHeardMs;
    const isHeard = this.isSpeaking && (this.#settings.interruptsSent || answer !== undefined);
    this.#answer = undefined;
    if (answer?.hasBegun !== true && !isHeard) {
      answer?.abandon();
      return;
    }
    const cut = this.#history.cut(heardMs, answer?.openMessage);
    this.#playback.stop(this.scheduler.now());
    for (const cancel of this.#finals) cancel();
    this.#finals.clear();
    this.output.interrupted();
    const late = this.lateDeltas;
    this.lateDeltas = 0;
    answer?.interrupt(late);
    for (const part of cut.map((message) => message.openPart(heardMs))) {
      if (part !== '') this.output.text('ASSISTANT', 'FINAL', part, 'INTERRUPTED');
    }
    this.#tellUsage();
    this.#finishCompletion();
  }

  messageBegun(message: SpokenMessage): void {
    this.output.begin();
    this.#history.add(message);
    message.startMs = this.#playback.sentMs;
  }

  audioSent(message: SpokenMessage, bytes: Uint8Array, ms: number): void {
    message.sentMs += ms;
    this.#playback.sent(ms, this.scheduler.now());
    this.#usage.speech('output', ms);
    if (this.#settings.keepAudio) this.sentAudio.push(bytes);
    this.#host.audioSent(ms);
  }

  sentenceSent(message: SpokenMessage, text: string, stopReason: StopReason): void {
    this.#usage.text('output', text);
    this.#whenHeard(() => {
      message.told++;
      this.output.text('ASSISTANT', 'FINAL', text, stopReason);
    });
  }

  /** At once, or when the caller has heard what was sent. */
  #whenHeard(run: () => void): void {
    if (this.#settings.finalTextAt === 'sent') run();
    else this.#later(this.#playback.remainingMs(this.scheduler.now()), run, this.#finals);
  }

  toolCalled(toolUseId: string, name: string, args: string): void {
    this.output.begin();
    this.#calls.set(toolUseId, name);
    this.#usage.text('output', args);
  }

  answerDone(answer: Answer): void {
    if (this.#answer !== answer) return;
    this.#answer = undefined;
    const late = this.#afterAnswer;
    this.#afterAnswer = [];
    for (const tell of late) tell();
    this.#tellUsage();
    if (answer.plan.status === 'failed') {
      this.#host.fail(answer.plan.error ?? errorOf('modelStreamErrorException'));
      return;
    }
    this.#whenHeard(() => this.#finishCompletion());
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted !== undefined) this.#begin(wanted);
  }

  #finishCompletion(): void {
    if (this.#settings.completions === 'per-turn') this.output.end();
  }
}
