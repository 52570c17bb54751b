import type { KeyObject } from 'node:crypto';
import { assertNever } from '../../../errors.ts';
import type {
  Callback,
  CallHandle,
  CarrierCall,
  Happening,
  LegResult,
  RequestLimits,
  StreamPlan,
  WireRequest,
} from '../carrier-sim.ts';
import type { CallDriver, DriverContext } from '../driver.ts';
import { pause } from '../pause.ts';
import type { StreamVerb } from '../verbs.ts';
import { ControlDriver } from './control-driver.ts';
import { type ControlFact, type EventLeg, eventBody, Outbox } from './control-events.ts';
import { machineFact, recordingFields, streamFact } from './control-facts.ts';
import { Speech } from './control-speech.ts';
import type { OtherLeg } from './control-transfer.ts';
import type { LegFacts } from './dialect.ts';
import { type Hangup, hangupOf, TIME_LIMIT } from './hangup.ts';
import { type LegIds, newLegIds } from './identity.ts';
import { MediaSide } from './media.ts';
import { type Body, textOf } from './params.ts';
import { Recordings } from './recording.ts';
import type { TelnyxSettings } from './settings.ts';
import { signedHeaders, signingKey } from './signature.ts';

const LONGEST_CALL_S = 14_400;
/** A command with the id of one before it is ignored for so long. */
const COMMAND_IDS_MS = 60_000;

type Progress = Extract<Happening, { type: 'progress' }>;

/** A leg that is led by commands of the bridge, and tells of itself by events. */
export class ControlCall implements CarrierCall, LegFacts {
  readonly call: CallHandle;
  readonly settings: TelnyxSettings;
  readonly recordings: Recordings;
  readonly speech: Speech;
  readonly driver: ControlDriver;
  /** To be done when the call is answered. */
  onAnswer: (() => void) | undefined;
  /** The leg that this one was dialled for, by `link_to`. */
  readonly linkedTo: ControlCall | undefined;
  readonly #ids: LegIds;
  readonly #key: KeyObject;
  readonly #media: MediaSide;
  readonly #outbox: Outbox;
  readonly #commandIds = new Map<string, number>();
  #webhookUrl = '';
  #clientState: string | undefined;
  #peer: ControlCall | undefined;
  /** Stays up when its peer has gone. */
  #parks = false;
  #other: OtherLeg | undefined;
  #hangup: Hangup | undefined;
  #startedMs: number;
  #endedMs: number | undefined;

  constructor(call: CallHandle, settings: TelnyxSettings, linkedTo: ControlCall | undefined) {
    this.call = call;
    this.settings = settings;
    this.linkedTo = linkedTo;
    const fields = call.options.order?.fields ?? {};
    const connectionId = textOf(fields, 'connection_id');
    this.#ids = newLegIds({
      ...(linkedTo === undefined ? {} : { sessionId: linkedTo.sessionId }),
      ...(connectionId === undefined ? {} : { connectionId }),
    });
    this.#clientState = textOf(fields, 'client_state');
    this.#parks = fields['park_after_unbridge'] === 'self';
    this.#key = signingKey(call.identity.authToken, settings.signingSeed);
    this.#media = new MediaSide(call, settings, this);
    this.#outbox = new Outbox(call, settings.eventOrder);
    this.recordings = new Recordings(call);
    this.speech = new Speech(call, (fact) => this.post(fact));
    this.driver = new ControlDriver(this);
    this.#startedMs = call.clock.epoch();
  }

  get ids(): LegIds {
    return this.#ids;
  }

  get sessionId(): string {
    return this.#ids.sessionId;
  }

  get clientState(): string | undefined {
    return this.#clientState;
  }

  get isBridged(): boolean {
    return this.#peer !== undefined || this.#other?.isBridged === true;
  }

  /** A leg is being rung for a transfer, or connected. */
  get isTransferring(): boolean {
    return this.#other !== undefined;
  }

  get startedMs(): number {
    return this.#startedMs;
  }

  get endedMs(): number | undefined {
    return this.#endedMs;
  }

  /** The leg as events name it now. */
  get eventLeg(): EventLeg {
    const { callId, from, to } = this.call.identity;
    return {
      controlId: callId,
      ids: this.#ids,
      clientState: this.#clientState,
      from,
      to,
      webhookUrl: this.#webhookUrl,
    };
  }

  drive(context: DriverContext): CallDriver {
    this.#webhookUrl = context.webhookUrl;
    this.driver.attach(context);
    return this.driver;
  }

  /** Tells the bridge at once. */
  post(fact: ControlFact, leg: EventLeg = this.eventLeg): void {
    this.call.callBack(this.#outbox.take(leg, fact));
  }

  /** The event that an inbound call begins with. */
  initiated(): unknown {
    return eventBody(this.call.clock, this.eventLeg, this.#initiatedFact('incoming', 'parked'));
  }

  /** What every command may change. */
  adopt(body: Body): void {
    this.#clientState = textOf(body, 'client_state') ?? this.#clientState;
    this.#webhookUrl = textOf(body, 'webhook_url') ?? this.#webhookUrl;
  }

  /** True when a command with this id came within the last minute: it is to be ignored. */
  isRepeated(commandId: string | undefined): boolean {
    if (commandId === undefined) return false;
    const nowMs = this.call.clock.now();
    const untilMs = this.#commandIds.get(commandId) ?? Number.NEGATIVE_INFINITY;
    if (nowMs < untilMs) return true;
    this.#commandIds.set(commandId, nowMs + COMMAND_IDS_MS);
    return false;
  }

  /** A command failed: its id may be used again. */
  forget(commandId: string | undefined): void {
    if (commandId !== undefined) this.#commandIds.delete(commandId);
  }

  /** The event of the end says this instead of what the core makes of it. */
  endsBy(hangup: Hangup): void {
    this.#hangup ??= hangup;
  }

  /** A leg is rung for a transfer of this one; undefined: that is over. */
  set otherLeg(leg: OtherLeg | undefined) {
    this.#other = leg;
  }

  /** Connects two legs; `parks`: this one stays when the other one goes. */
  bridge(other: ControlCall, parks: boolean): void {
    this.#peer = other;
    other.#peer = this;
    this.#parks ||= parks;
    const [caller, callee] = this.linkedTo === other ? [other, this] : [this, other];
    caller.#logLeg(callee, 'in-progress');
    for (const leg of [this, other]) leg.post({ type: 'call.bridged', kind: 'leg' });
    caller.#limitTalk(callee);
  }

  tell(happening: Happening): readonly Callback[] {
    switch (happening.type) {
      case 'progress':
        return this.#progress(happening);
      case 'stream-started':
        this.#media.started();
        return this.#take(streamFact(happening));
      case 'stream-ended':
        this.#media.ended();
        return this.#take(streamFact(happening));
      case 'key':
        return this.#take({ type: 'call.dtmf.received', kind: 'key', fields: { digit: happening.digit } });
      case 'machine':
        return this.#take(machineFact(this.call.options.order?.fields ?? {}, happening.result, this.#word));
      case 'leg':
        return this.#other?.tell(happening.status, (leg, fact) => this.#outbox.take(leg, fact)) ?? [];
      case 'stream-ahead':
        return [];
      default:
        return assertNever(happening);
    }
  }

  headers({ body }: WireRequest): Readonly<Record<string, string>> {
    return signedHeaders(this.#key, this.call.clock.epoch(), body, this.call.faults.webhookSignature);
  }

  limits(): RequestLimits {
    return { totalMs: this.settings.webhookTimeoutMs, retries: 1 };
  }

  planStream(verb: StreamVerb, baseUrl: string): StreamPlan {
    return this.#media.plan(verb, baseUrl);
  }

  #take(fact: ControlFact | undefined): readonly Callback[] {
    return fact === undefined ? [] : this.#outbox.take(this.eventLeg, fact);
  }

  get #word(): string | undefined {
    const { detection } = this.settings;
    return detection === 'as-it-is' ? undefined : detection;
  }

  #progress(happening: Progress): readonly Callback[] {
    if (happening.durationS !== undefined) return this.#end(happening);
    switch (happening.status) {
      case 'initiated':
        // An inbound one begins with a webhook whose answer matters, which the driver sends.
        return this.call.options.order === undefined
          ? []
          : this.#take(this.#initiatedFact('outgoing', 'bridging'));
      case 'ringing':
        this.#logLinked('ringing');
        return [];
      case 'in-progress':
        return this.#answered();
      default:
        return [];
    }
  }

  #initiatedFact(direction: 'incoming' | 'outgoing', state: 'parked' | 'bridging'): ControlFact {
    const fields = {
      direction,
      state,
      start_time: new Date(this.#startedMs).toISOString(),
      caller_id_name: "José  O'Neil",
      custom_headers: [],
      offered_codecs: this.settings.legCodec.split('/')[0],
      shaken_stir_attestation: 'A',
      shaken_stir_validated: true,
      sip_headers: [],
      tags: ['TAG1'],
      field_of_tomorrow: { weather: ['ü + a&b=c%20 "’"', null] },
    };
    return { type: 'call.initiated', kind: 'progress', fields };
  }

  #answered(): readonly Callback[] {
    this.onAnswer?.();
    const { clock, leaving, options } = this.call;
    const limitS = options.order?.fields['time_limit_secs'];
    const limitMs = 1000 * (typeof limitS === 'number' ? limitS : LONGEST_CALL_S);
    const cut = (): void => {
      if (leaving.aborted) return;
      this.endsBy(TIME_LIMIT);
      this.call.hangUp('carrier');
    };
    pause(clock, limitMs, leaving).then(cut, () => {});
    if (options.order?.fields['bridge_on_answer'] === true) queueMicrotask(() => this.#bridgeOnAnswer());
    const fields = { state: 'answered', start_time: new Date(this.#startedMs).toISOString(), tags: ['TAG1'] };
    return this.#take({ type: 'call.answered', kind: 'progress', fields });
  }

  #bridgeOnAnswer(): void {
    const { linkedTo } = this;
    if (linkedTo === undefined || linkedTo.call.leaving.aborted || this.call.leaving.aborted) return;
    this.bridge(linkedTo, false);
  }

  #end(happening: Progress): readonly Callback[] {
    this.#endedMs = this.call.clock.epoch();
    const { cause, source, sip } = this.#hangup ?? hangupOf(this.call, happening);
    const fields = {
      state: 'hangup',
      hangup_cause: cause,
      hangup_source: source,
      sip_hangup_cause: sip,
      start_time: new Date(this.#startedMs).toISOString(),
      call_quality_stats: null,
      tags: ['TAG1'],
    };
    const other = this.#other?.leave();
    const callbacks = [
      ...this.speech.leave().flatMap((fact) => this.#take(fact)),
      ...(other === undefined ? [] : this.#outbox.take(other.leg, other.fact)),
      ...this.stopRecording(),
      ...this.#take({ type: 'call.hangup', kind: 'progress', fields }),
      ...this.#outbox.flush(),
    ];
    this.#letPeerGo(happening);
    return callbacks;
  }

  /** What is told of a recording that ends now, if there is one. */
  stopRecording(): readonly Callback[] {
    const recording = this.recordings.stop();
    if (recording === undefined) return [];
    const fields = recordingFields(recording);
    const leg = { ...this.eventLeg, clientState: recording.clientState ?? this.#clientState };
    return this.#outbox.take(leg, { type: 'call.recording.saved', kind: 'recording', fields });
  }

  #letPeerGo(happening: Progress): void {
    const peer = this.#peer;
    this.#logLinked(legResult(happening));
    if (peer === undefined) return;
    this.#peer = undefined;
    peer.#peer = undefined;
    if (this.linkedTo === undefined && peer.linkedTo === undefined) this.#logLeg(peer, 'completed');
    if (!peer.#parks) peer.call.hangUp('carrier');
  }

  #logLinked(status: 'ringing' | LegResult): void {
    if (this.linkedTo !== undefined) this.linkedTo.#logLeg(this, status);
  }

  #logLeg(leg: ControlCall, status: 'ringing' | 'in-progress' | LegResult): void {
    if (this.call.isOver) return;
    this.call.log.add({ type: 'leg', target: leg.call.identity.to, status });
  }

  // How long the two talk is said where it is said for all transfers; without that somebody has to hang up.
  #limitTalk(callee: ControlCall): void {
    const { dialResult } = this.call.options;
    if (dialResult === undefined) return;
    const { durationMs } =
      typeof dialResult === 'function' ? dialResult(callee.call.identity.to) : dialResult;
    const { clock, leaving } = callee.call;
    pause(clock, durationMs, leaving).then(
      () => callee.call.hangUp('caller'),
      () => {},
    );
  }
}

function legResult({ outcome }: Progress): LegResult {
  switch (outcome) {
    case 'completed':
    case 'busy':
    case 'failed':
      return outcome;
    case 'rejected':
      return 'busy';
    default:
      return 'no-answer';
  }
}
