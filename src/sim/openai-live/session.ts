import type { AudioFormat } from '../../audio/format.ts';
import type { Cancel } from '../../clock.ts';
import type { JsonObject } from '../common/json.ts';
import { babbleMs, type PlannedMessage, type Step, stepsOf } from '../common/plan.ts';
import type { Track } from '../common/voice.ts';
import { bytesIn } from '../common/voice-activity.ts';
import type { ResponsePlan, Turn, TurnKind } from './api.ts';
import { Backend, type BackendHost } from './backend.ts';
import type { Core } from './core.ts';
import { Ears, type EarsHost } from './ears.ts';
import { Mouth } from './mouth.ts';
import { defaultPlan } from './plan.ts';
import { backendOf, formatOf, type SessionConfig } from './session-config.ts';
import { Stream } from './stream.ts';

const BACKCHANNEL: PlannedMessage = { transcript: 'Mm-hm.', audioMs: 300 };
const PCM24K: AudioFormat = { encoding: 'pcm16', rate: 24_000 };

/** What is still to be done in a turn. */
interface Course {
  readonly turn: Turn;
  readonly plan: ResponsePlan;
  readonly steps: readonly Step[];
  at: number;
}

/** A session that was started: what it hears, what it says, and who decides on that. */
export class LiveSession implements EarsHost, BackendHost {
  readonly ears: Ears;
  readonly mouth: Mouth;
  readonly backend: Backend;
  readonly stream: Stream;
  /** What both have said and what was appended, oldest first. */
  readonly items: JsonObject[];
  config: SessionConfig;
  readonly dice: Core['dice'];
  readonly scheduler: Core['scheduler'];
  readonly #core: Core;
  readonly #format: AudioFormat;
  readonly #id: string;
  readonly #expiresAt: number;
  #usage: Cancel | undefined;
  #fresh: JsonObject[] = [];
  #turns = 0;
  /** Turns that are not done with what they wanted to do. */
  readonly #courses = new Set<Course>();
  #hasTalked = false;
  #backchannels = 0;

  constructor(core: Core, config: SessionConfig, audioSent: (spokenMs: number) => void) {
    const { settings, dice, voice } = core;
    this.#core = core;
    this.config = config;
    this.dice = dice;
    this.scheduler = core.scheduler;
    this.items = [...config.input];
    this.#format = formatOf(config);
    this.#id = dice.id('live');
    this.#expiresAt = Math.floor((core.scheduler.epoch() + settings.sessionMs) / 1000);
    this.ears = new Ears({
      format: this.#format,
      host: this,
      endOfTurnMs: settings.endOfTurnMs,
      keep: settings.keepAudio,
      hear: settings.hear,
    });
    this.mouth = new Mouth({
      format: this.#format,
      voice,
      dice,
      noise: settings.noise,
      words: (delta, start_ms, end_ms) =>
        core.emit('session.output_transcript.delta', { delta, start_ms, end_ms }),
    });
    this.backend = new Backend(this);
    this.stream = new Stream({
      core,
      ears: this.ears,
      mouth: this.mouth,
      audioSent,
      beforeFrame: () => this.#beforeFrame(),
    });
  }

  start(): void {
    this.stream.start();
    this.#planUsage();
  }

  /** The session as the service shows it. */
  resource(): JsonObject {
    const { input: _told, ...config } = this.config;
    return { id: this.#id, expires_at: this.#expiresAt, status: 'active', ...config, input: [] };
  }

  get settings(): BackendHost['settings'] {
    return backendOf(this.config);
  }

  get timelineMs(): number {
    return this.stream.positionMs;
  }

  /** Whole seconds of the session's time, which is what is charged. */
  get usage(): JsonObject {
    return { seconds: Math.floor(this.timelineMs / 1000) };
  }

  emit(type: string, fields: JsonObject): void {
    this.#core.emit(type, fields);
  }

  /** An item of the conversation. */
  added(item: JsonObject): void {
    this.items.push(item);
    this.#fresh.push(item);
  }

  callerStarted(): void {
    this.#backchannels = 0;
  }

  callerStopped(heardMs: number): void {
    // Whoever only murmured something while the model went on speaking is not answered.
    if (!this.mouth.speaking) this.answer('user-turn', heardMs, '');
  }

  words(delta: string, start_ms: number, end_ms: number): void {
    this.emit('session.input_transcript.delta', { delta, start_ms, end_ms });
  }

  heard(transcript: string): void {
    this.#hasTalked = true;
    this.added(message('user', transcript));
  }

  /** There is a reason for the model to do something. */
  answer(kind: TurnKind, heardMs: number, text: string): void {
    const turn = this.#turn(kind, heardMs, text);
    const plan = this.#core.settings.respond(turn) ?? defaultPlan(turn);
    this.#begin(turn, plan);
  }

  /** The client wants the backend to go on. */
  goOn(): void {
    const hasResult = this.#fresh.some((item) => item['type'] === 'function_call_output');
    const turn = this.#turn(hasResult ? 'tool-result' : 'prompt', 0, '');
    this.#answerOfBackend(turn, this.#core.settings.respond(turn) ?? defaultPlan(turn));
  }

  /** Something was given to the model to say. */
  prompt(text: string): void {
    this.answer(this.#hasTalked ? 'prompt' : 'greeting', 0, text);
  }

  /** A plan that nothing was the reason for; false when the model is speaking. */
  speak(plan: ResponsePlan): boolean {
    if (this.mouth.busy) return false;
    this.#begin(this.#turn('prompt', 0, ''), plan);
    return true;
  }

  /** Audio that is played as it is, 24 kHz PCM16; `ended` is not told when it is cut off. */
  playFixture(pcm: Uint8Array, ended: () => void): void {
    this.#courses.clear();
    this.mouth.stop(this.timelineMs);
    this.mouth.clear();
    this.mouth.say({
      track: this.#fixture(pcm),
      transcript: '',
      fromMs: this.timelineMs,
      isFixture: true,
      ended: (_said, whole) => {
        if (whole) ended();
      },
    });
  }

  close(): void {
    this.#usage?.();
    this.mouth.clear();
    this.backend.close();
    this.stream.stop();
  }

  #planUsage(): void {
    this.#usage = this.scheduler.after(this.#core.settings.usageMs, () => {
      const usage_ratio = Math.min(1, this.timelineMs / 800_000);
      this.emit('session.usage.updated', { usage: this.usage, context_window: { usage_ratio } });
      this.#planUsage();
    });
  }

  /** Once for each frame of the stream: the model reacts to what it hears. */
  #beforeFrame(): void {
    const { talkedMs } = this.ears;
    if (talkedMs === undefined || this.mouth.playsFixture) return;
    const { yieldMs, backchannelMs } = this.#core.settings;
    if (this.#courses.size > 0 && this.mouth.busy && talkedMs >= yieldMs) this.#yield();
    else if (backchannelMs !== undefined && talkedMs >= backchannelMs * (this.#backchannels + 1)) {
      this.#backchannels++;
      this.#say(BACKCHANNEL, this.timelineMs, () => {});
    }
  }

  /** The caller talks over the model. */
  #yield(): void {
    this.#courses.clear();
    this.mouth.stop(this.timelineMs);
    this.mouth.clear();
  }

  #begin(turn: Turn, plan: ResponsePlan): void {
    this.#fresh = [];
    this.#follow({ turn, plan, steps: stepsOf(plan), at: 0 });
  }

  #follow(course: Course): void {
    this.#courses.add(course);
    this.#step(course);
  }

  #step(course: Course): void {
    const step = course.steps[course.at++];
    if (step === undefined) {
      this.#courses.delete(course);
      this.ears.answered();
    } else if (step.type === 'calls') {
      this.#call(course, step);
      // What is left to be said is said while the functions run.
      this.#step(course);
    } else {
      const waitMs = course.at === 1 ? (course.plan.firstAudioMs ?? this.#core.settings.firstAudioMs) : 0;
      this.#say(step.message, this.timelineMs + waitMs, () => {
        if (this.#courses.has(course)) this.#step(course);
        else this.ears.answered();
      });
    }
  }

  /** Functions are called by the backend; without one, the application is asked to do what they stand for. */
  #call({ plan }: Course, { calls }: Extract<Step, { type: 'calls' }>): void {
    if (this.settings === undefined) {
      this.backend.delegateToClient();
      return;
    }
    const { status = 'completed', error } = plan;
    this.backend.delegate({ calls, text: undefined, status, error, done: () => {} });
  }

  /** The plan of a turn that is about the output of functions is what the backend makes of it, and what is said then. */
  #answerOfBackend(turn: Turn, plan: ResponsePlan): void {
    this.#fresh = [];
    const steps = stepsOf(plan);
    const calls = steps.flatMap((step) => (step.type === 'calls' ? step.calls : []));
    const messages = steps.filter((step) => step.type === 'message');
    const words = messages.map(({ message: { transcript } }) => transcript ?? '').join(' ');
    const { status = 'completed', error } = plan;
    const done = (): void => this.#follow({ turn, plan, steps: messages, at: 0 });
    this.backend.goOn({ calls, text: words === '' ? undefined : words, status, error, done });
  }

  #say(planned: PlannedMessage, fromMs: number, ended: () => void): void {
    this.#hasTalked = true;
    this.mouth.say({
      track: this.#track(planned),
      transcript: planned.transcript ?? '',
      fromMs,
      isFixture: false,
      ended: (said) => {
        if (said !== '') this.added(message('assistant', said));
        ended();
      },
    });
  }

  #track(planned: PlannedMessage): Track {
    const { voice } = this.#core;
    return planned.audio === undefined
      ? voice.babble(babbleMs(planned), this.#format)
      : voice.samples(planned.audio, this.#format);
  }

  #fixture(pcm: Uint8Array): Track {
    const samples = new Int16Array(pcm.length >> 1);
    const view = new DataView(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(2 * i, true);
    const track = this.#core.voice.samples(samples, this.#format);
    const totalBytes = bytesIn((samples.length * 1000) / PCM24K.rate, this.#format);
    return { ...track, totalBytes: Math.min(track.totalBytes, totalBytes) };
  }

  #turn(kind: TurnKind, heardMs: number, text: string): Turn {
    const tools = this.settings?.['tools'];
    return {
      index: this.#turns++,
      kind,
      connection: this.#core.connection,
      instructions: this.config.instructions,
      heardMs,
      text,
      items: [...this.items],
      newItems: [...this.#fresh],
      tools: Array.isArray(tools) ? (tools as readonly JsonObject[]) : [],
      session: this.config,
    };
  }
}

/** Something that was said or appended, as a message in wire shape. */
export function message(role: 'user' | 'assistant' | 'developer', text: string): JsonObject {
  return {
    type: 'message',
    role,
    content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text }],
  };
}
