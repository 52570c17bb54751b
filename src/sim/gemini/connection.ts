import type { RawData, WebSocket } from 'ws';
import type { Cancel } from '../../clock.ts';
import { Dice } from '../common/dice.ts';
import { EventLog, type LoggedEvent, type TypedEvent, withResolvers } from '../common/event-log.ts';
import { FaultScript } from '../common/fault-script.ts';
import type { JsonObject } from '../common/json.ts';
import type { ConnectionEnd } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import type { Door } from './address.ts';
import type { ConversationTurn, ResponsePlan, SimulatedConnection, ToolResponse } from './api.ts';
import { Core, type Settings } from './core.ts';
import { Dialogue, type DialogueHost } from './dialogue.ts';
import { act, type FaultTarget } from './fault-actions.ts';
import type { FaultRule } from './faults.ts';
import { Life } from './life.ts';
import { type ClientMessage, readMessage } from './messages.ts';
import type { Sessions } from './sessions.ts';
import { duration, fitReason, invalid, logged, loggedAudio, namesOf, Refusal, without } from './wire.ts';

/** What a connection is made of. */
export interface ConnectionParts {
  readonly socket: WebSocket;
  readonly index: number;
  readonly door: Door;
  readonly headers: SimulatedConnection['headers'];
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly voice: Voice;
  readonly sessions: Sessions;
  readonly onEvent: ((connection: SimulatedConnection, logged: LoggedEvent) => void) | undefined;
}

const AUDIO_FRAME = 'realtimeInput.audio';

/** One WebSocket: frames to messages and back, the log of them, and the faults on the way. */
export class Connection implements SimulatedConnection, FaultTarget, DialogueHost {
  readonly index: number;
  readonly endpoint: Door['endpoint'];
  readonly apiVersion: string;
  readonly headers: SimulatedConnection['headers'];
  readonly closed: Promise<ConnectionEnd>;
  refusal: string | undefined;
  sentAudioMs = 0;
  readonly #socket: WebSocket;
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #core: Core;
  readonly #dialogue: Dialogue;
  readonly #life: Life;
  readonly #script: FaultScript<FaultRule>;
  readonly #log: EventLog;
  readonly #onEvent: ConnectionParts['onEvent'];
  readonly #openedMs: number;
  readonly #timers: Cancel[] = [];
  readonly #omitted = new Set<string>();
  readonly #delayed = new Map<string, number>();
  readonly #ignored = new Map<string, number>();
  readonly #sentAudio: Uint8Array[] = [];
  readonly #settle: (end: ConnectionEnd) => void;
  #state: 'open' | 'muted' | 'stalled' | 'closing' | 'closed' = 'open';
  #last: JsonObject | undefined;

  constructor(parts: ConnectionParts) {
    this.#socket = parts.socket;
    this.index = parts.index;
    this.endpoint = parts.door.endpoint;
    this.apiVersion = parts.door.apiVersion;
    this.headers = parts.headers;
    this.#settings = parts.settings;
    this.#scheduler = parts.scheduler;
    this.#onEvent = parts.onEvent;
    this.#openedMs = parts.scheduler.now();
    this.#log = new EventLog(parts.settings.keepEvents);
    this.#script = new FaultScript(parts.settings.faults, parts.index);
    const { promise, resolve } = withResolvers<ConnectionEnd>();
    this.closed = promise;
    this.#settle = resolve;
    this.#core = new Core({
      ...parts,
      connection: parts.index,
      dice: new Dice(parts.settings.seed * 1_000_003 + parts.index),
      send: (message) => this.emit(message),
      end: ({ code, reason }) => this.close(code, reason ?? ''),
    });
    this.#dialogue = new Dialogue(this.#core, this);
    this.#life = new Life(this.#core, parts.door, this);
    parts.socket.on('message', (data) => this.#onMessage(data));
    parts.socket.on('close', (code, reason) => this.#onClose(code, String(reason)));
    // A client that breaks the WebSocket protocol is closed by the library; there is nothing to add.
    parts.socket.on('error', () => {});
  }

  /** Sets the faults that wait for a time. */
  open(): void {
    this.#happened('connect', undefined);
    for (const rule of this.#script.timed()) {
      this.#timers.push(this.#scheduler.after(rule.when.value ?? 0, () => act(this, rule, undefined)));
    }
    if (this.isOpen) this.#life.open();
  }

  get model(): string {
    return this.#core.isSetUp ? this.#core.config.model : '';
  }

  get setup(): JsonObject | undefined {
    return this.#core.isSetUp ? this.#core.config.setup : undefined;
  }

  get conversation(): readonly ConversationTurn[] {
    return this.#core.conversation.turns;
  }

  get toolResponses(): readonly ToolResponse[] {
    return this.#dialogue.calls.responses;
  }

  get pendingCalls(): readonly string[] {
    return this.#dialogue.calls.pending;
  }

  get received(): readonly LoggedEvent[] {
    return this.#log.list('received');
  }

  get sent(): readonly LoggedEvent[] {
    return this.#log.list('sent');
  }

  get receivedAudioMs(): number {
    return this.#dialogue.ears.receivedMs;
  }

  get receivedAppends(): number {
    return this.#dialogue.ears.appends;
  }

  receivedAudio(): Uint8Array {
    return Buffer.concat(this.#dialogue.ears.kept);
  }

  sentAudio(): Uint8Array {
    return Buffer.concat(this.#sentAudio);
  }

  get handle(): string | undefined {
    return this.#life.handle;
  }

  get state(): SimulatedConnection['state'] {
    const state = this.#dialogue.turn?.state ?? 'over';
    return state === 'over' ? 'idle' : state;
  }

  get isOpen(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  get lastSent(): JsonObject | undefined {
    return this.#last;
  }

  next(type: string, accept: (event: TypedEvent) => boolean = () => true): Promise<LoggedEvent> {
    return this.#log.next(type, accept);
  }

  inject(message: JsonObject): void {
    this.transmit(message);
  }

  speak(plan: ResponsePlan): boolean {
    return this.#core.isSetUp && this.#dialogue.speak(plan);
  }

  cancelCalls(ids?: readonly string[]): readonly string[] {
    return this.#dialogue.cancelCalls(ids);
  }

  callerStarts(): void {
    if (this.#life.isReady) this.#dialogue.ears.simulateStart();
  }

  callerStops(): void {
    this.#guarded(() => this.#dialogue.ears.simulateStop());
  }

  close(code = 1000, reason = ''): void {
    if (!this.isOpen) return;
    this.#state = 'closing';
    this.#quiet();
    this.#socket.close(code, fitReason(reason));
  }

  drop(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    this.#quiet();
    this.#socket.terminate();
  }

  stall(): void {
    if (!this.isOpen) return;
    this.#state = 'stalled';
    this.#socket.pause();
  }

  mute(forMs?: number): void {
    if (this.#state !== 'open') return;
    this.#state = 'muted';
    if (forMs === undefined) return;
    const speakAgain = (): void => {
      if (this.#state === 'muted') this.#state = 'open';
    };
    this.#timers.push(this.#scheduler.after(forMs, speakAgain));
  }

  goAway(leftMs: number): void {
    this.emit({ goAway: { timeLeft: duration(leftMs) } });
  }

  omit(types: readonly string[]): void {
    for (const type of types) this.#omitted.add(type);
  }

  delay(types: readonly string[], ms: number): void {
    for (const type of types) this.#delayed.set(type, ms);
  }

  lateDeltas(count: number): void {
    this.#dialogue.lateDeltas = count;
  }

  ignore(type: string, count: number): void {
    this.#ignored.set(type, count);
  }

  failTurn(reason: string): void {
    this.#dialogue.turn?.fail(reason);
  }

  interruptTurn(): void {
    this.#dialogue.turn?.cut('prompt');
  }

  completeEarly(): void {
    this.#dialogue.turn?.completeEarly();
  }

  forgetHandles(): void {
    this.#core.sessions.forget();
  }

  emit(given: JsonObject): void {
    const message = without(given, this.#omitted);
    if (message === undefined) return;
    const delayMs = this.#delayed.size === 0 ? undefined : this.#delayOf(message);
    if (delayMs === undefined) this.transmit(message);
    else this.#scheduler.after(delayMs, () => this.transmit(message));
  }

  #delayOf(message: JsonObject): number | undefined {
    for (const name of namesOf(message)) {
      const ms = this.#delayed.get(name);
      if (ms !== undefined) return ms;
    }
    return undefined;
  }

  transmit(message: JsonObject): void {
    if (this.#state !== 'open') return;
    this.#last = message;
    const text = JSON.stringify(message);
    this.#socket.send(this.#settings.frames === 'text' ? text : Buffer.from(text));
    const names = namesOf(message);
    for (const name of names) this.#note('sent', logged(name, message), true);
    for (const name of names) this.#happened(name, message);
  }

  sendFrame(frame: string | Uint8Array): void {
    if (this.#state === 'open') this.#socket.send(frame);
  }

  audioSent(bytes: Uint8Array, ms: number): void {
    this.sentAudioMs += ms;
    if (this.#settings.keepAudio) this.#sentAudio.push(bytes);
    for (const rule of this.#script.reached('audioMs', this.sentAudioMs)) act(this, rule, undefined);
  }

  busy(isBusy: boolean): void {
    this.#life.busy(isBusy);
  }

  #note(direction: LoggedEvent['direction'], event: TypedEvent, remember: boolean): void {
    const entry = { direction, atMs: this.#scheduler.now() - this.#openedMs, event };
    this.#log.add(entry, remember);
    this.#onEvent?.(this, entry);
  }

  #happened(name: string, cause: JsonObject | undefined): void {
    for (const rule of this.#script.happened(name)) act(this, rule, cause);
  }

  #onMessage(data: RawData): void {
    if (!this.isOpen || this.#state === 'stalled') return;
    // The service takes text in frames of either kind.
    this.#guarded(() => this.#onRead(readMessage(String(data))));
  }

  /** Answers what breaks a rule with a close, as the service does. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.refusal = thrown.message;
      this.close(thrown.code, thrown.reason);
    }
  }

  #onRead(message: ClientMessage): void {
    const whole = { [message.kind]: message.body };
    const names = namesOf(whole);
    for (const name of names) {
      const isAudio = name === AUDIO_FRAME;
      this.#note('received', isAudio ? loggedAudio(name, message.body) : logged(name, whole), !isAudio);
    }
    this.#life.countMessage();
    if (!names.some((name) => this.#isIgnored(name))) this.#take(message);
    for (const name of names) this.#happened(name, undefined);
    if (!names.includes(AUDIO_FRAME)) return;
    for (const rule of this.#script.reached('appendMs', this.receivedAudioMs)) act(this, rule, undefined);
  }

  #take(message: ClientMessage): void {
    if (this.#life.isReady) {
      this.#dialogue.handle(message);
      return;
    }
    if (message.kind !== 'setup') throw invalid('nothing may be sent before setupComplete but one setup');
    this.#life.begin(message.body, () => this.#dialogue.open());
  }

  #isIgnored(name: string): boolean {
    const left = this.#ignored.get(name);
    if (left === undefined) return false;
    if (left <= 1) this.#ignored.delete(name);
    else this.#ignored.set(name, left - 1);
    return true;
  }

  #quiet(): void {
    this.#dialogue.close();
    this.#life.close();
    for (const cancel of this.#timers.splice(0)) cancel();
  }

  #onClose(code: number, reason: string): void {
    this.#state = 'closed';
    this.#quiet();
    this.#log.close(reason === '' ? `close ${code}` : `close ${code} ${reason}`);
    this.#settle({ code, reason });
  }
}
