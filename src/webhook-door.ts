import type { CallDesk } from './call-desk.ts';
import {
  type Answer,
  type CallRef,
  type Carrier,
  type CarrierEvent,
  type CarrierName,
  carrierNamed,
  type IncomingCall,
  type Next,
  type Reply,
  type WebhookRequest,
  type WebhookRoute,
} from './carrier.ts';
import type { Clock } from './clock.ts';
import { assertNever, BridgeError } from './errors.ts';
import { type Act, insist } from './insist.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Reception, Refusal } from './reception.ts';
import type { Session } from './session.ts';
import type { Admission, SessionManager } from './session-manager.ts';
import { documentFor, Stranded } from './stranded.ts';
import type { Tapes, WebhookExchange } from './tape.ts';

export interface WebhookDoorDeps {
  readonly carriers: ReadonlyMap<CarrierName, Carrier>;
  readonly manager: SessionManager;
  readonly desk: CallDesk;
  readonly reception: Reception;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Of calls that are recorded. */
  readonly tapes?: Tapes | undefined;
  /** For calls that nobody here knows. Default: they get an apology. */
  readonly stranded?: Stranded | undefined;
  /** Of a call that is over. */
  readonly onLateRecording?:
    | ((carrier: CarrierName, event: Extract<CarrierEvent, { type: 'recording' }>) => void)
    | undefined;
}

type EventOf<T extends CarrierEvent['type']> = Extract<CarrierEvent, { type: T }>;

/** For what has to be done at the carrier after its webhook was answered. */
const ACTION_MS = 8000;
/** Nothing that can be said to the other end of a transfer whose caller nobody knows. */
const NO_ANNOUNCEMENT = '';

/** Where a request came in, as the path says it. */
export interface WebhookPlace {
  readonly route: WebhookRoute;
  /** Comes from outside and may be anything. */
  readonly carrier: unknown;
  readonly token: string | undefined;
}

/** Takes the answer, once. */
export type Respond = (answer: Answer) => void;

/** Carrier-facing requests, however they came in: every one is verified before anything in it is believed. */
export class WebhookDoor {
  readonly #deps: WebhookDoorDeps;
  readonly #stranded: Stranded;

  constructor(deps: WebhookDoorDeps) {
    this.#deps = deps;
    this.#stranded = deps.stranded ?? new Stranded({ log: deps.log });
  }

  /** Answers, now or later. Throws BAD_FRAME for a request that is no webhook of its carrier. */
  receive(place: WebhookPlace, request: WebhookRequest, respond: Respond): void {
    new Webhook(this.#deps, this.#stranded, place, request, respond).handle();
  }
}

/** One request of a carrier. */
class Webhook {
  readonly #deps: WebhookDoorDeps;
  readonly #stranded: Stranded;
  readonly #place: WebhookPlace;
  readonly #request: WebhookRequest;
  readonly #respond: Respond;
  readonly #since: number;
  #exchange: WebhookExchange | undefined;
  /** When what was to be done at the carrier cannot be done. */
  #whenFailed: (() => void) | undefined;

  constructor(
    deps: WebhookDoorDeps,
    stranded: Stranded,
    place: WebhookPlace,
    request: WebhookRequest,
    respond: Respond,
  ) {
    this.#deps = deps;
    this.#since = deps.clock.now();
    this.#stranded = stranded;
    this.#place = place;
    this.#request = request;
    this.#respond = respond;
  }

  handle(): void {
    const { carriers, tapes } = this.#deps;
    const { route } = this.#place;
    const carrier = carrierNamed(carriers, this.#place.carrier);
    if (carrier === undefined) {
      this.#refuse(404, 'unknown-carrier');
      return;
    }
    const verdict = carrier.verify(this.#request);
    if (!verdict.ok) {
      this.#refuse(403, verdict.reason);
      return;
    }
    const event = carrier.parse(this.#request, route);
    this.#exchange = tapes?.webhook(carrier.name, route, this.#request);
    const callId = callIdOf(event);
    if (callId !== undefined) this.#exchange?.concerns(callId);
    const reply = this.#on(carrier, event);
    if (!(reply instanceof Promise)) {
      this.#reply(carrier, reply);
      return;
    }
    reply.then(
      (late) => this.#reply(carrier, late),
      (thrown: unknown) => this.#failed(thrown),
    );
  }

  #on(carrier: Carrier, event: CarrierEvent): Reply | Promise<Reply> {
    const { log } = this.#deps;
    switch (event.type) {
      case 'incoming':
        return this.#onIncoming(carrier, event);
      case 'answered':
        return this.#onAnswered(carrier, event);
      case 'progress':
        this.#onProgress(carrier, event);
        break;
      case 'stream':
        this.#onStream(carrier, event);
        break;
      case 'after-stream':
        return this.#onAfterStream(carrier, event);
      case 'announce':
        return { answer: this.#announcement(carrier) };
      case 'machine':
        log.info({ callId: event.callId, result: event.result }, 'answering machine detection');
        this.#deps.desk.machine(carrier, event);
        this.#session(carrier, event.callId)?.onCarrierEvent(event);
        break;
      case 'transfer':
        if (!this.#deps.manager.remembers(carrier.name, event.callId))
          return this.#stranded.transfer(carrier, event);
        this.#deps.manager.transferNews(carrier.name, event);
        break;
      case 'recording':
        this.#onRecording(carrier, event);
        return { answer: carrier.acknowledge(), action: event.perform };
      case 'digit':
        this.#session(carrier, event.callId)?.onCarrierEvent(event);
        break;
      case 'step':
        this.#whenFailed = () => this.#stepFailed(carrier, event);
        return { answer: carrier.acknowledge(), action: event.perform };
      case 'ignored':
        log.debug({ why: event.why }, 'webhook ignored');
        break;
      default:
        assertNever(event);
    }
    return { answer: carrier.acknowledge() };
  }

  #onIncoming(carrier: Carrier, event: EventOf<'incoming'>): Reply | Promise<Reply> {
    const { log, desk, reception } = this.#deps;
    const { call } = event;
    if (desk.gaveUp(call.ref)) {
      log.warn({ callId: call.callId }, 'a call was answered that had been given up');
      return this.#next(carrier, { type: 'hang-up' });
    }
    // In command style the call has been answered: to do it again, a minute later, would be refused by the carrier.
    if (call.control === 'command' && this.#session(carrier, call.callId) !== undefined) {
      return { answer: carrier.acknowledge() };
    }
    const admission = reception.receive(carrier, call, desk.isPlaced(carrier, call.ref));
    if (!(admission instanceof Promise)) return this.#onAdmission(carrier, event, admission);
    return admission.then((late) => this.#onAdmission(carrier, event, late));
  }

  #onAdmission(carrier: Carrier, event: EventOf<'incoming'>, admission: Admission | Refusal): Reply {
    const { log, desk } = this.#deps;
    const { call } = event;
    this.#logAdmission(carrier, call, admission);
    if (admission === 'over') {
      log.warn({ callId: call.callId }, 'webhook of a call that is over');
      return this.#next(carrier, { type: 'hang-up' });
    }
    if (typeof admission === 'string') return carrier.reject(call, admission);
    if (event.machine !== undefined) {
      const { callId, ref } = call;
      const found = { type: 'machine', callId, ref, result: event.machine, greetingOver: false } as const;
      desk.machine(carrier, found);
      admission.session.onCarrierEvent(found);
    }
    this.#whenFailed = () => this.#noStream(admission.session);
    return carrier.accept(call, admission.plan);
  }

  /** Command style: the stream can be opened now. */
  #onAnswered(carrier: Carrier, event: EventOf<'answered'>): Reply | Promise<Reply> {
    const { manager, desk, log, reception } = this.#deps;
    const answer = carrier.acknowledge();
    const found = manager.known(carrier.name, event.call.callId);
    const known = found === 'over' ? undefined : found;
    const parties = desk.partiesOf(event.ref);
    if (known === undefined && parties === undefined) {
      // One that has just ended is being led to its end; any other would stay up, in silence.
      if (manager.remembers(carrier.name, event.call.callId)) return { answer };
      log.warn({ callId: event.call.callId }, 'a call was answered that nobody here knows');
      return this.#hangUp(carrier, event.call);
    }
    const call: IncomingCall = known?.session.call ?? {
      ...event.call,
      from: parties?.from ?? '',
      to: parties?.to ?? '',
      direction: 'outbound',
      callerName: undefined,
      ref: event.ref,
    };
    if (known !== undefined) return this.#openStream(carrier, call, known);
    const admission = reception.receive(carrier, call, desk.isPlaced(carrier, call.ref));
    const open = (late: Admission | Refusal): Reply => {
      this.#logAdmission(carrier, call, late);
      return this.#openStream(carrier, call, late);
    };
    return admission instanceof Promise ? admission.then(open) : open(admission);
  }

  #openStream(carrier: Carrier, call: IncomingCall, admission: Admission | Refusal): Reply {
    if (typeof admission === 'string') return this.#hangUp(carrier, call);
    const answer = carrier.acknowledge();
    const { session, plan } = admission;
    // The same webhook twice, or one that was overtaken by the stream.
    if (session.hadLeg) return { answer };
    this.#whenFailed = () => this.#noStream(session);
    return {
      answer,
      action: (signal) => carrier.direct(call, { type: 'stream', plan }, plan, signal),
    };
  }

  /** The call could not be answered, or its stream not be opened. */
  #noStream(session: Session): void {
    if (!session.hadLeg) void session.end('failed');
  }

  /** Command style: nobody here wants this call. */
  #hangUp(carrier: Carrier, call: CallRef): Reply {
    this.#whenFailed = () => this.#deps.metrics.hangUpFailed(carrier.name);
    return { answer: carrier.acknowledge(), action: (signal) => carrier.hangUp(call, signal) };
  }

  /** Why somebody is not let in is for the reception to say. */
  #logAdmission(carrier: Carrier, call: IncomingCall, admission: Admission | Refusal): void {
    if (typeof admission === 'string') return;
    const { callId, direction } = call;
    const pii = { from: call.from, to: call.to };
    const fields = { callId, carrier: carrier.name, agent: admission.agent, direction, pii };
    this.#deps.log.info(fields, 'call answered');
  }

  /** Carriers mostly tell of a recording when the call is over. */
  #onRecording(carrier: Carrier, event: EventOf<'recording'>): void {
    const session = this.#session(carrier, event.callId);
    if (session === undefined) this.#deps.onLateRecording?.(carrier.name, event);
    else session.onCarrierEvent(event);
  }

  #onProgress(carrier: Carrier, event: EventOf<'progress'>): void {
    const { desk, log } = this.#deps;
    const { callId, status, outcome } = event;
    log.debug({ callId, status, outcome }, 'call progress');
    // First, because the carrier's word on the outcome is the more precise one.
    desk.progress(carrier, event);
    if (status === 'ended') this.#callOver(carrier, callId);
  }

  #callOver(carrier: Carrier, callId: string): void {
    const { manager, reception } = this.#deps;
    manager.callOver(carrier.name, callId);
    // After it, so that nobody is let in who has hung up.
    reception.callOver(carrier.name, callId);
  }

  #onStream(carrier: Carrier, { callId, kind, error }: EventOf<'stream'>): void {
    const { log, manager } = this.#deps;
    if (kind !== 'degraded') manager.streamNews(carrier.name, callId, kind);
    if (kind === 'failed') log.warn({ callId, error }, 'the carrier could not use the media stream');
    if (kind === 'degraded')
      log.warn({ callId, error }, 'the carrier holds too much audio, or is read too slowly');
  }

  #onAfterStream(carrier: Carrier, event: EventOf<'after-stream'>): Reply {
    const { manager, desk, log, metrics } = this.#deps;
    const { callId } = event;
    const { token } = this.#place;
    const asked = manager.asked(carrier.name, token, event);
    // A caller who has hung up may be reported here before the socket says so.
    if (event.ended) this.#callOver(carrier, callId);
    if (event.ended || event.transfer === 'completed') desk.talked(carrier.name, callId);
    if (asked === undefined) {
      this.#whenFailed = () => metrics.hangUpFailed(carrier.name);
      return this.#stranded.after(carrier, event, token);
    }
    if (event.error !== undefined)
      log.warn({ callId, error: event.error }, 'the carrier could not use the media stream');
    const { session, next, urls } = asked;
    if (session.call.control === 'document')
      return { answer: documentFor(carrier, next, urls, this.#deps.log) };
    const answer = carrier.acknowledge();
    if (next.type === 'nothing') return { answer };
    return { answer, action: (signal) => carrier.direct(session.call, next, urls, signal) };
  }

  /** The transfer has come to nothing, and the caller is waiting. */
  #stepFailed(carrier: Carrier, { callId, otherwise }: EventOf<'step'>): void {
    this.#whenFailed = undefined;
    this.#act(carrier, otherwise);
    const failed = { type: 'transfer', callId, status: 'failed', outcome: 'failed' } as const;
    this.#deps.manager.transferNews(carrier.name, failed);
  }

  /** For a call without a session. */
  #next(carrier: Carrier, next: Next): Reply {
    return { answer: carrier.document(next, { afterUrl: '', announceUrl: '', statusUrl: '' }) };
  }

  #announcement(carrier: Carrier): Answer {
    const { token } = this.#place;
    const session = token === undefined ? undefined : this.#deps.manager.byAfterToken(carrier.name, token);
    const { text = NO_ANNOUNCEMENT, language } = session?.announcement ?? {};
    return text === '' ? carrier.acknowledge() : carrier.announcement(text, language);
  }

  #session(carrier: Carrier, callId: string): Session | undefined {
    return this.#deps.manager.find(carrier.name, callId);
  }

  #reply(carrier: Carrier, { answer, action }: Reply): void {
    this.#answer(answer);
    const { clock, metrics } = this.#deps;
    metrics.webhookAnswered(carrier.name, this.#place.route, clock.now() - this.#since);
    // After the answer: a carrier may not take a command for a call whose webhook is still open.
    if (action !== undefined) this.#act(carrier, action);
  }

  /** Everything that follows a webhook may be asked for twice: commands that matter carry an id. */
  #act(carrier: Carrier, action: Act): void {
    const { clock, log } = this.#deps;
    const pause = (ms: number): Promise<boolean> =>
      new Promise((resolve) => clock.after(ms, () => resolve(true)));
    void insist(clock, 'what was to be done after a webhook', ACTION_MS, action, pause).then((result) => {
      // A caller who has hung up meanwhile is no failure.
      if (result.status !== 'error') return;
      log.error({ carrier: carrier.name, err: result.error }, 'the carrier did not do its part');
      this.#whenFailed?.();
    });
  }

  #failed(thrown: unknown): void {
    this.#deps.log.error({ err: BridgeError.from(thrown) }, 'a webhook could not be answered');
    this.#answer(statusAnswer(500));
  }

  #refuse(status: number, reason: string): void {
    this.#deps.metrics.refused('webhook', reason);
    const { route, carrier } = this.#place;
    this.#deps.log.warn({ reason, path: `/${route}/${String(carrier)}` }, 'webhook refused');
    this.#answer(statusAnswer(status));
  }

  #answer(answer: Answer): void {
    this.#exchange?.answered(answer);
    this.#respond(answer);
  }
}

function callIdOf(event: CarrierEvent): string | undefined {
  return 'callId' in event ? event.callId : 'call' in event ? event.call?.callId : undefined;
}

/** An answer that says no more than that. */
export function statusAnswer(status: number): Answer {
  return { status, contentType: '', body: '' };
}
