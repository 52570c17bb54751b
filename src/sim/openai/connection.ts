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
import type { ResponsePlan, SimulatedConnection, Truncation } from './api.ts';
import { Core, type Settings } from './core.ts';
import type { ServerDialect } from './dialect.ts';
import { Dialogue, readEvent } from './dialogue.ts';
import { act, type FaultTarget } from './fault-actions.ts';
import type { FaultRule } from './faults.ts';
import { withoutAudio } from './log-view.ts';
import type { SessionConfig } from './session-config.ts';
import type { Shelf } from './shelf.ts';
import { Refusal, type WireError, type WireEvent } from './wire.ts';

/** What a connection is made of. */
export interface ConnectionParts {
  readonly socket: WebSocket;
  readonly index: number;
  readonly model: string;
  readonly type: SessionConfig['type'];
  readonly dialect: ServerDialect;
  /** Id of a conversation that the client wants to go on with. */
  readonly resume: string | undefined;
  readonly shelf: Shelf;
  readonly headers: SimulatedConnection['headers'];
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  readonly voice: Voice;
  readonly onEvent: ((connection: SimulatedConnection, logged: LoggedEvent) => void) | undefined;
}

const EXPIRY: FaultRule = { when: { after: 'ms' }, do: 'error', error: 'session_expired' };

/** One WebSocket: frames to events and back, the log of them, and the faults on the way. */
export class Connection implements SimulatedConnection, FaultTarget {
  readonly index: number;
  readonly model: string;
  readonly headers: SimulatedConnection['headers'];
  readonly closed: Promise<ConnectionEnd>;
  readonly #socket: WebSocket;
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #core: Core;
  readonly #dialogue: Dialogue;
  readonly #dialect: ServerDialect;
  readonly #shelf: Shelf;
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
    this.#socket = parts.socket;
    this.index = parts.index;
    this.model = parts.model;
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
    this.#dialect = parts.dialect;
    this.#shelf = parts.shelf;
    const earlier = parts.shelf.find(parts.resume, this.#openedMs);
    this.#core = new Core({
      settings: parts.settings,
      connection: parts.index,
      scheduler: parts.scheduler,
      dice: new Dice(parts.settings.seed * 1_000_003 + parts.index),
      voice: parts.voice,
      model: parts.model,
      type: parts.type,
      dialect: parts.dialect,
      conversationId: earlier?.id,
      send: (type, fields) => this.emit(type, fields),
    });
    this.#dialogue = new Dialogue(this.#core, (ms) => this.#audioSent(ms), earlier);
    parts.socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    parts.socket.on('close', (code, reason) => this.#onClose(code, String(reason)));
    // A client that breaks the WebSocket protocol is closed by the library; there is nothing to add.
    parts.socket.on('error', () => {});
  }

  /** Says hello and sets the faults that wait for a time. */
  open(): void {
    this.#happened('connect', undefined);
    if (this.#state === 'open' || this.#state === 'muted') this.#dialogue.open();
    for (const rule of this.#script.timed()) {
      this.#timers.push(this.#scheduler.after(rule.when.value ?? 0, () => act(this, rule, undefined)));
    }
    const { expiry } = this.#dialect;
    const end: FaultRule = expiry === undefined ? EXPIRY : { ...EXPIRY, ...expiry };
    this.#timers.push(this.#scheduler.after(this.#settings.sessionMs, () => act(this, end, undefined)));
    if (this.#dialect.pingMs !== undefined) this.#pingEvery(this.#dialect.pingMs);
  }

  #pingEvery(ms: number): void {
    const cancel = this.#scheduler.after(ms, () => {
      this.#timers.splice(this.#timers.indexOf(cancel), 1);
      this.emit('ping', { timestamp: Math.round(this.#scheduler.epoch()) });
      if (this.isOpen) this.#pingEvery(ms);
    });
    this.#timers.push(cancel);
  }

  get session(): SessionConfig {
    return this.#core.config;
  }

  get received(): readonly LoggedEvent[] {
    return this.#log.list('received');
  }

  get sent(): readonly LoggedEvent[] {
    return this.#log.list('sent');
  }

  get receivedAudioMs(): number {
    return this.#dialogue.ears.input.receivedMs;
  }

  get receivedAppends(): number {
    return this.#dialogue.ears.appends;
  }

  receivedAudio(): Uint8Array {
    return Buffer.concat(this.#dialogue.ears.kept);
  }

  sentAudioMs(itemId: string): number {
    return this.#core.spoken.get(itemId)?.sentMs ?? 0;
  }

  sentAudio(itemId: string): Uint8Array {
    return Buffer.concat(this.#core.spoken.get(itemId)?.audio ?? []);
  }

  get truncations(): readonly Truncation[] {
    return this.#dialogue.truncations;
  }

  get items(): readonly JsonObject[] {
    return this.#core.conversation.entries.map((entry) => entry.item);
  }

  get activeResponse(): string | undefined {
    return this.#dialogue.responder.active?.responseId;
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
    return this.#dialogue.speak(plan);
  }

  callerStarts(): void {
    this.#dialogue.ears.simulateStart();
  }

  callerStops(): void {
    this.#dialogue.ears.simulateStop();
  }

  close(code = 1000, reason = ''): void {
    if (!this.isOpen) return;
    this.#state = 'closing';
    this.#dialogue.close();
    this.#socket.close(code, reason);
  }

  drop(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closing';
    this.#dialogue.close();
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

  lateDeltas(count: number): void {
    this.#dialogue.responder.lateDeltas = count;
  }

  raceNextCancel(): void {
    this.#dialogue.responder.cancelRace = true;
  }

  ignore(type: string, count: number, error: WireError | undefined): void {
    this.#detours.ignore(type, count, error);
  }

  abandonResponse(): void {
    this.#dialogue.responder.forsake();
  }

  refuse(error: WireError): void {
    this.#dialogue.refuse(error, null);
  }

  failResponse(error: WireError): void {
    this.#dialogue.responder.fail(error);
  }

  emit(type: string, fields: JsonObject): void {
    const waitMs = this.#detours.waitMs([type]);
    if (waitMs === Number.POSITIVE_INFINITY) return;
    const event: WireEvent = { type, event_id: this.#core.dice.id('event'), ...fields };
    if (waitMs === 0) this.transmit(event);
    else this.#scheduler.after(waitMs, () => this.transmit(event));
  }

  transmit(given: WireEvent): void {
    if (this.#state !== 'open') return;
    const event =
      given['event_id'] === undefined ? { ...given, event_id: this.#core.dice.id('event') } : given;
    const wire = this.#dialect.write(event);
    if (wire === undefined) return;
    this.#last = event;
    this.#socket.send(JSON.stringify(wire));
    this.#note('sent', event, true);
    this.#happened(event.type, event);
  }

  sendFrame(frame: string | Uint8Array): void {
    if (this.#state === 'open') this.#socket.send(frame);
  }

  #note(direction: LoggedEvent['direction'], event: WireEvent, remember: boolean): void {
    const logged = { direction, atMs: this.#scheduler.now() - this.#openedMs, event: withoutAudio(event) };
    this.#log.add(logged, remember);
    this.#onEvent?.(this, logged);
  }

  #happened(name: string, cause: WireEvent | undefined): void {
    for (const rule of this.#script.happened(name)) act(this, rule, cause);
  }

  #audioSent(ms: number): void {
    this.#sentAudioMs += ms;
    for (const rule of this.#script.reached('audioMs', this.#sentAudioMs)) act(this, rule, undefined);
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (!this.isOpen || this.#state === 'stalled') return;
    try {
      if (isBinary) throw new Refusal('invalid_type', 'Only text frames are accepted.');
      this.#onEventReceived(readEvent(String(data)));
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      this.#dialogue.refuse(thrown.wire, null);
    }
  }

  #onEventReceived(event: WireEvent): void {
    const isAppend = event.type === 'input_audio_buffer.append';
    this.#note('received', event, !isAppend);
    if (!this.#isIgnored(event)) this.#dialogue.handle(event);
    this.#happened(event.type, event);
    if (!isAppend) return;
    for (const rule of this.#script.reached('appendMs', this.receivedAudioMs)) act(this, rule, undefined);
  }

  #isIgnored(event: WireEvent): boolean {
    const ignored = this.#detours.takeIgnored(event.type);
    if (ignored === undefined) return false;
    if (ignored.error !== undefined) this.#dialogue.refuse(ignored.error, event['event_id']);
    return true;
  }

  #onClose(code: number, reason: string): void {
    this.#state = 'closed';
    this.#dialogue.close();
    if (this.#core.keepsConversation) {
      const { conversation } = this.#core;
      this.#shelf.put({ id: conversation.id, items: this.items, atMs: this.#scheduler.now() });
    }
    for (const cancel of this.#timers) cancel();
    this.#log.close(reason === '' ? `close ${code}` : `close ${code} ${reason}`);
    this.#settle({ code, reason });
  }
}
