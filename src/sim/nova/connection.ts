import type { ServerHttp2Stream } from 'node:http2';
import type { Cancel } from '../../clock.ts';
import { Detours } from '../common/detours.ts';
import { Dice } from '../common/dice.ts';
import { EventLog, type LoggedEvent, withResolvers } from '../common/event-log.ts';
import { FaultScript } from '../common/fault-script.ts';
import { isObject, type JsonObject } from '../common/json.ts';
import type { ConnectionEnd } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import type {
  AudioStatistics,
  HistoryEntry,
  NovaError,
  NovaEvent,
  ReceivedResult,
  ResponsePlan,
  SessionConfig,
  SimulatedConnection,
  ToolSpec,
} from './api.ts';
import { Refusal } from './check.ts';
import { act, type FaultTarget } from './fault-actions.ts';
import { errorOf, type FaultRule } from './faults.ts';
import { Intake, readEvent } from './intake.ts';
import { Link } from './link.ts';
import { namesOf, withoutAudio } from './log-view.ts';
import { Model, type ModelHost } from './model.ts';
import { uuid } from './output.ts';
import type { Settings } from './settings.ts';

/** What a connection is made of. */
export interface ConnectionParts {
  readonly stream: ServerHttp2Stream;
  readonly index: number;
  readonly model: string;
  readonly headers: SimulatedConnection['headers'];
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly voice: Voice;
  /** Cuts the TCP connection that the stream belongs to. */
  readonly cutOff: () => void;
  readonly onEvent: ((connection: SimulatedConnection, logged: LoggedEvent) => void) | undefined;
}

const IDLE =
  'Timed out waiting for audio bytes or interactive content. Please ensure gaps between audio bytes and interactive content are less than';

/** One stream: messages to events and back, the log of them, its limits in time, and the faults on the way. */
export class Connection implements SimulatedConnection, FaultTarget, ModelHost {
  readonly index: number;
  readonly model: string;
  readonly headers: SimulatedConnection['headers'];
  readonly closed: Promise<ConnectionEnd>;
  readonly #link: Link;
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #talk: Model;
  readonly #intake: Intake;
  readonly #script: FaultScript<FaultRule>;
  readonly #log: EventLog;
  readonly #cutOff: () => void;
  readonly #onEvent: ConnectionParts['onEvent'];
  readonly #openedMs: number;
  readonly #timers: Cancel[] = [];
  readonly #detours = new Detours<NovaError>();
  readonly #settle: (end: ConnectionEnd) => void;
  #state: 'open' | 'muted' | 'stalled' | 'closing' | 'closed' = 'open';
  #how = '';
  #endedInOrder = false;
  #last: NovaEvent | undefined;

  constructor(parts: ConnectionParts) {
    this.index = parts.index;
    this.model = parts.model;
    this.headers = parts.headers;
    this.#settings = parts.settings;
    this.#scheduler = parts.scheduler;
    this.#cutOff = parts.cutOff;
    this.#onEvent = parts.onEvent;
    this.#openedMs = parts.scheduler.now();
    this.#log = new EventLog(parts.settings.keepEvents);
    this.#script = new FaultScript(parts.settings.faults, parts.index);
    const { promise, resolve } = withResolvers<ConnectionEnd>();
    this.closed = promise;
    this.#settle = resolve;
    const { settings, scheduler, voice } = parts;
    const dice = new Dice(settings.seed * 1_000_003 + parts.index);
    this.#talk = new Model({ host: this, settings, scheduler, dice, voice });
    this.#intake = new Intake(this.#talk);
    this.#link = new Link(parts.stream, uuid(dice), settings.splitBytes, {
      came: (bytes) => this.#onBytes(bytes),
      broken: (error) => this.#refuse(new Refusal(error.plainMessage)),
      ended: () => this.#onInputEnd(),
      closed: (code) => this.#onClose(code),
    });
  }

  /** Sends the response headers (or waits with them) and sets the limits and the faults that wait for a time. */
  open(): void {
    if (!this.#settings.headersAtFirstOutput) this.#link.respond();
    this.#happened('connect', undefined);
    for (const rule of this.#script.timed()) {
      this.#timers.push(this.#scheduler.after(rule.when.value ?? 0, () => act(this, rule, undefined)));
    }
    const expire = (): void => this.fail(errorOf('modelTimeoutException'));
    this.#timers.push(this.#scheduler.after(this.#settings.sessionMs, expire));
    this.#watchIdle();
  }

  get session(): SessionConfig | undefined {
    return this.#talk.session;
  }

  get system(): string {
    return this.#talk.system;
  }

  get voice(): string | undefined {
    return this.#talk.session?.voice;
  }

  get tools(): readonly ToolSpec[] {
    return this.#talk.tools;
  }

  get history(): readonly HistoryEntry[] {
    return this.#talk.history;
  }

  get toolResults(): readonly ReceivedResult[] {
    return this.#talk.results;
  }

  get openToolCalls(): readonly string[] {
    return this.#talk.openCalls;
  }

  get received(): readonly LoggedEvent[] {
    return this.#log.list('received');
  }

  get sent(): readonly LoggedEvent[] {
    return this.#log.list('sent');
  }

  get receivedAudioMs(): number {
    return this.#talk.ears.audioMs;
  }

  get audio(): AudioStatistics {
    return this.#talk.ears.statistics();
  }

  receivedAudio(): Uint8Array {
    return Buffer.concat(this.#talk.ears.kept);
  }

  get sentAudioMs(): number {
    return this.#talk.sentAudioMs;
  }

  sentAudio(): Uint8Array {
    return Buffer.concat(this.#talk.sentAudio);
  }

  get isSpeaking(): boolean {
    return this.#talk.isSpeaking;
  }

  get isOpen(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  get endedInOrder(): boolean {
    return this.#endedInOrder;
  }

  get lastSent(): NovaEvent | undefined {
    return this.#last;
  }

  next(type: string, accept: (event: NovaEvent) => boolean = () => true): Promise<LoggedEvent> {
    return this.#log.next(type, (event) => accept(event as NovaEvent & JsonObject));
  }

  inject(event: NovaEvent): void {
    this.transmit(event);
  }

  speak(plan: ResponsePlan): boolean {
    return this.#talk.speak(plan);
  }

  callerStarts(): void {
    this.#talk.ears.simulateStart();
  }

  callerStops(): void {
    this.#talk.ears.simulateStop();
  }

  close(code = 0, reason = 'the service ended the session'): void {
    if (!this.isOpen) return;
    if (code === 0) this.#talk.output.end();
    this.#end(reason);
    if (code === 0) this.#link.end();
    else this.#link.reset(code);
  }

  reset(code: number): void {
    this.close(code, 'the service reset the stream');
  }

  endSilently(): void {
    if (!this.isOpen) return;
    this.#end('the service ended the stream');
    this.#link.end();
  }

  drop(): void {
    if (this.#state === 'closed') return;
    this.#end('the TCP connection was cut');
    this.#cutOff();
  }

  goAway(code: number): void {
    this.#link.goAway(code);
  }

  stall(): void {
    if (!this.isOpen) return;
    this.#state = 'stalled';
    this.#link.stall();
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

  omit(types: readonly string[]): void {
    this.#detours.omit(types);
  }

  delay(types: readonly string[], ms: number): void {
    this.#detours.delay(types, ms);
  }

  lateDeltas(count: number): void {
    this.#talk.lateDeltas = count;
  }

  ignore(type: string, count: number, error: NovaError | undefined): void {
    this.#detours.ignore(type, count, error);
  }

  /** Ends the stream with an error, as the service does for everything that it does not go on with. */
  fail(error: NovaError, as: 'exception' | 'error' = 'exception'): void {
    if (this.#state !== 'open') return;
    this.#end(error.name);
    this.#link.writeError(error, as);
    this.#link.end();
  }

  send(type: string, body: JsonObject): void {
    this.emit({ type, body });
  }

  emit(event: NovaEvent): void {
    const waitMs = this.#detours.waitMs(namesOf(event));
    if (waitMs === 0) this.transmit(event);
    else if (waitMs !== Number.POSITIVE_INFINITY) this.#scheduler.after(waitMs, () => this.transmit(event));
  }

  transmit(event: NovaEvent): void {
    if (this.#state !== 'open') return;
    this.#last = event;
    this.#link.writeEvent(JSON.stringify({ event: { [event.type]: event.body } }));
    this.#note('sent', event, true);
    this.#eventHappened('sent', event);
  }

  writeBytes(bytes: string): void {
    if (this.#state === 'open') this.#link.writeEvent(bytes);
  }

  writePayload(payload: string): void {
    if (this.#state === 'open') this.#link.writePayload(payload);
  }

  writeUnknown(type: string): void {
    if (this.#state === 'open') this.#link.writeUnknown(type);
  }

  writeBadChecksum(): void {
    if (this.#state === 'open') this.#link.writeBadChecksum();
  }

  audioSent(): void {
    for (const rule of this.#script.reached('audioMs', this.sentAudioMs)) act(this, rule, undefined);
  }

  sessionOver(): void {
    this.#endedInOrder = true;
    this.#end('the client ended the session');
    this.#link.end();
  }

  #watchIdle(): void {
    const talk = this.#talk;
    const limitMs = talk.hasAudio ? this.#settings.idleMs : this.#settings.preopenedIdleMs;
    const leftMs = talk.lastInputMs + limitMs - this.#scheduler.now();
    if (leftMs > 0) {
      this.#timers.push(this.#scheduler.after(leftMs, () => this.#watchIdle()));
      return;
    }
    const message = talk.hasAudio
      ? `${IDLE} ${limitMs / 1000} seconds.`
      : 'Timed out waiting for input events';
    this.fail({ name: 'validationException', message });
  }

  #note(direction: LoggedEvent['direction'], event: NovaEvent, remember: boolean): void {
    const logged = { direction, atMs: this.#scheduler.now() - this.#openedMs, event: withoutAudio(event) };
    this.#log.add(logged, remember);
    this.#onEvent?.(this, logged);
  }

  #eventHappened(direction: LoggedEvent['direction'], event: NovaEvent): void {
    if (this.#settings.faults.length === 0) return;
    const cause = direction === 'sent' ? event : undefined;
    for (const name of namesOf(event)) {
      this.#happened(`${direction}:${name}`, cause);
      if (!name.includes(':')) this.#happened(name, cause);
    }
  }

  #happened(name: string, cause: NovaEvent | undefined): void {
    for (const rule of this.#script.happened(name)) act(this, rule, cause);
  }

  #onBytes(bytes: Buffer): void {
    if (!this.isOpen || this.#state === 'stalled') return;
    try {
      const { type, body } = readEvent(bytes);
      this.#onEventReceived({ type, body: isObject(body) ? body : {} }, body);
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.#refuse(thrown);
    }
  }

  #onEventReceived(event: NovaEvent, body: unknown): void {
    const isAudio = event.type === 'audioInput';
    this.#note('received', event, !isAudio);
    const ignored = this.#detours.takeIgnored(event.type);
    if (ignored === undefined) this.#intake.handle(event.type, body);
    else if (ignored.error !== undefined) this.fail(ignored.error);
    this.#eventHappened('received', event);
    if (!isAudio) return;
    for (const rule of this.#script.reached('appendMs', this.receivedAudioMs)) act(this, rule, undefined);
  }

  #refuse(refusal: Refusal): void {
    this.fail({ name: refusal.exception, message: refusal.message });
  }

  #onInputEnd(): void {
    if (!this.isOpen || this.#state === 'stalled') return;
    this.#end('the client ended its stream');
    this.#link.end();
  }

  /** Nothing is handled or said any more. */
  #end(how: string): void {
    this.#state = 'closing';
    this.#how = how;
    this.#talk.close();
    for (const cancel of this.#timers) cancel();
    this.#timers.length = 0;
  }

  #onClose(code: number): void {
    if (this.isOpen) this.#end('the client was gone');
    this.#state = 'closed';
    this.#log.close(this.#how);
    this.#settle({ code, reason: this.#how });
  }
}
