import type { RawData, WebSocket } from 'ws';
import type { Cancel } from '../../clock.ts';
import { Detours } from '../common/detours.ts';
import { Dice } from '../common/dice.ts';
import { EventLog, type LoggedEvent, withResolvers } from '../common/event-log.ts';
import { FaultScript } from '../common/fault-script.ts';
import type { JsonObject } from '../common/json.ts';
import type { ConnectionEnd } from '../common/plan.ts';
import type { Scheduler } from '../common/scheduler.ts';
import type { Voice } from '../common/voice.ts';
import type { ResponsePlan, SimulatedDelegation, SimulatedLiveConnection } from './api.ts';
import { Commands, type CommandsHost, readEvent } from './commands.ts';
import type { Core, Settings } from './core.ts';
import { act, type FaultTarget } from './fault-actions.ts';
import type { FaultRule } from './faults.ts';
import { withoutAudio } from './log-view.ts';
import type { LiveSession } from './session.ts';
import type { SessionConfig } from './session-config.ts';
import { type CloseReason, Refusal, type WireError, type WireEvent } from './wire.ts';

/** What a connection is made of. */
export interface ConnectionParts {
  readonly socket: WebSocket;
  readonly index: number;
  readonly headers: SimulatedLiveConnection['headers'];
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly voice: Voice;
  readonly onEvent: ((connection: SimulatedLiveConnection, logged: LoggedEvent) => void) | undefined;
}

const EXPIRY: FaultRule = { when: { after: 'ms' }, do: 'end-session', reason: 'expired' };
const DELTA = 'session.output_audio.delta';
const APPEND = 'session.input_audio.append';

/** One WebSocket: frames to events and back, the log of them, and the faults on the way. */
export class Connection implements SimulatedLiveConnection, FaultTarget, CommandsHost {
  readonly index: number;
  readonly headers: SimulatedLiveConnection['headers'];
  readonly closed: Promise<ConnectionEnd>;
  readonly core: Core;
  readonly #socket: WebSocket;
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #commands: Commands;
  readonly #script: FaultScript<FaultRule>;
  readonly #log: EventLog;
  readonly #onEvent: ConnectionParts['onEvent'];
  readonly #openedMs: number;
  readonly #timers: Cancel[] = [];
  readonly #detours = new Detours<WireError>();
  readonly #settle: (end: ConnectionEnd) => void;
  #state: 'open' | 'muted' | 'stalled' | 'closing' | 'closed' = 'open';
  #last: WireEvent | undefined;
  #sentAudioMs = 0;

  constructor(parts: ConnectionParts) {
    const { settings, scheduler, voice } = parts;
    this.#socket = parts.socket;
    this.index = parts.index;
    this.headers = parts.headers;
    this.#settings = settings;
    this.#scheduler = scheduler;
    this.#onEvent = parts.onEvent;
    this.#openedMs = scheduler.now();
    this.#log = new EventLog(settings.keepEvents);
    this.#script = new FaultScript(settings.faults, parts.index);
    const { promise, resolve } = withResolvers<ConnectionEnd>();
    this.closed = promise;
    this.#settle = resolve;
    this.core = {
      settings,
      connection: parts.index,
      scheduler,
      dice: new Dice(settings.seed * 1_000_003 + parts.index),
      voice,
      emit: (type, fields) => this.emit(type, fields),
    };
    this.#commands = new Commands(this);
    parts.socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    parts.socket.on('close', (code, reason) => this.#onClose(code, String(reason)));
    // A client that breaks the WebSocket protocol is closed by the library; there is nothing to add.
    parts.socket.on('error', () => {});
  }

  /** Sets the faults that wait for a time. The service says nothing before the session is started. */
  open(): void {
    this.#happened('connect');
    for (const rule of this.#script.timed()) {
      this.#timers.push(this.#scheduler.after(rule.when.value ?? 0, () => act(this, rule)));
    }
    this.#timers.push(this.#scheduler.after(this.#settings.sessionMs, () => act(this, EXPIRY)));
  }

  get #session(): LiveSession | undefined {
    return this.#commands.session;
  }

  get session(): SessionConfig | undefined {
    return this.#session?.config;
  }

  get model(): string {
    return this.session?.model ?? '';
  }

  get received(): readonly LoggedEvent[] {
    return this.#log.list('received');
  }

  get sent(): readonly LoggedEvent[] {
    return this.#log.list('sent');
  }

  get receivedAudioMs(): number {
    return this.#session?.ears.receivedMs ?? 0;
  }

  get receivedAppends(): number {
    return this.#session?.ears.appends ?? 0;
  }

  receivedAudio(): Uint8Array {
    return Buffer.concat(this.#session?.ears.kept ?? []);
  }

  get timelineMs(): number {
    return this.#session?.timelineMs ?? 0;
  }

  get sentAudioMs(): number {
    return this.#sentAudioMs;
  }

  sentAudio(): Uint8Array {
    return Buffer.concat(this.#session?.stream.kept ?? []);
  }

  get speaking(): boolean {
    return this.#session?.mouth.busy ?? false;
  }

  get items(): readonly JsonObject[] {
    return this.#session?.items ?? [];
  }

  get delegations(): readonly SimulatedDelegation[] {
    return this.#session?.backend.delegations ?? [];
  }

  get openCalls(): readonly string[] {
    return this.#session?.backend.openCalls ?? [];
  }

  get isOpen(): boolean {
    return this.#state !== 'closing' && this.#state !== 'closed';
  }

  get lastSent(): WireEvent | undefined {
    return this.#last;
  }

  next(type: string, accept: (event: WireEvent) => boolean = () => true): Promise<LoggedEvent> {
    return this.#log.next(type, accept);
  }

  inject(event: WireEvent): void {
    this.transmit(event);
  }

  speak(plan: ResponsePlan): boolean {
    return this.#session?.speak(plan) ?? false;
  }

  callerStarts(): void {
    this.#session?.ears.simulateStart();
  }

  callerStops(): void {
    this.#session?.ears.simulateStop();
  }

  endSession(reason: CloseReason, clientEventId?: unknown): void {
    const session = this.#session;
    if (session !== undefined) {
      const client = typeof clientEventId === 'string' ? { client_event_id: clientEventId } : {};
      this.emit('session.closed', { ...client, reason, session: session.resource(), usage: session.usage });
    }
    this.close(1000);
  }

  close(code = 1000, reason = ''): void {
    if (!this.isOpen) return;
    this.#state = 'closing';
    this.#commands.close();
    this.#socket.close(code, reason);
  }

  drop(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    this.#commands.close();
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

  omit(types: readonly string[]): void {
    this.#detours.omit(types);
  }

  delay(types: readonly string[], ms: number): void {
    this.#detours.delay(types, ms);
  }

  ignore(type: string, count: number, error: WireError | undefined): void {
    this.#detours.ignore(type, count, error);
  }

  refuse(error: WireError): void {
    this.#commands.refuse(error, undefined);
  }

  failResponse(error: WireError): void {
    if (this.#session !== undefined) this.#session.backend.failNext = error;
  }

  audioSent(spokenMs: number): void {
    if (spokenMs === 0) return;
    this.#sentAudioMs += spokenMs;
    for (const rule of this.#script.reached('audioMs', this.#sentAudioMs)) act(this, rule);
  }

  emit(type: string, fields: JsonObject): void {
    const waitMs = this.#detours.waitMs([type]);
    if (waitMs === Number.POSITIVE_INFINITY) return;
    const event: WireEvent = { type, ...this.#eventId(type), ...fields };
    if (waitMs === 0) this.transmit(event);
    else this.#scheduler.after(waitMs, () => this.transmit(event));
  }

  transmit(given: WireEvent): void {
    if (this.#state !== 'open') return;
    const event = given['event_id'] === undefined ? { ...given, ...this.#eventId(given.type) } : given;
    this.#last = event;
    this.#socket.send(JSON.stringify(event));
    this.#note('sent', event, event.type !== DELTA || this.speaking);
    this.#happened(event.type);
  }

  sendFrame(frame: string | Uint8Array): void {
    if (this.#state === 'open') this.#socket.send(frame);
  }

  /** Audio alone has no id. */
  #eventId(type: string): JsonObject {
    return type === DELTA ? {} : { event_id: this.core.dice.id('event') };
  }

  #note(direction: LoggedEvent['direction'], event: WireEvent, remember: boolean): void {
    const logged = { direction, atMs: this.#scheduler.now() - this.#openedMs, event: withoutAudio(event) };
    this.#log.add(logged, remember);
    this.#onEvent?.(this, logged);
  }

  #happened(name: string): void {
    for (const rule of this.#script.happened(name)) act(this, rule);
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (!this.isOpen || this.#state === 'stalled') return;
    try {
      if (isBinary) throw new Refusal('invalid_type', 'Only text frames are accepted.');
      this.#onEventReceived(readEvent(String(data)));
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.#commands.refuse(thrown.wire, undefined);
    }
  }

  #onEventReceived(event: WireEvent): void {
    const isAppend = event.type === APPEND;
    this.#note('received', event, !isAppend);
    if (!this.#isIgnored(event)) this.#commands.handle(event);
    this.#happened(event.type);
    if (!isAppend) return;
    for (const rule of this.#script.reached('appendMs', this.receivedAudioMs)) act(this, rule);
  }

  #isIgnored(event: WireEvent): boolean {
    const ignored = this.#detours.takeIgnored(event.type);
    if (ignored === undefined) return false;
    if (ignored.error !== undefined) this.#commands.refuse(ignored.error, event['event_id']);
    return true;
  }

  #onClose(code: number, reason: string): void {
    this.#state = 'closed';
    this.#commands.close();
    for (const cancel of this.#timers) cancel();
    this.#log.close(reason === '' ? `close ${code}` : `close ${code} ${reason}`);
    this.#settle({ code, reason });
  }
}
