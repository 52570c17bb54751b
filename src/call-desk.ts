import { randomBytes } from 'node:crypto';
import type { MachinePolicy } from './answering-machine.ts';
import { type CallEvent, type EndReason, outcomeOf } from './call-events.ts';
import { type CallRecord, CallRecords } from './call-records.ts';
import type { PublicAddresses } from './call-urls.ts';
import type {
  CallOutcome,
  CallStatus,
  Carrier,
  CarrierEvent,
  CarrierName,
  ControlResult,
  IncomingCall,
  Transfer,
} from './carrier.ts';
import { type Cancel, type Clock, deadline } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Session } from './session.ts';
import type { SessionManager } from './session-manager.ts';
import { settleWithin } from './settle.ts';

/** A call that an operator wants to be placed. */
export interface PlaceOrder {
  /** Undefined: the only carrier that is configured. */
  readonly carrier: CarrierName | undefined;
  readonly to: string;
  readonly from: string;
  /** How long it rings. */
  readonly ringS: number;
  readonly maxS: number;
  /** `off`: no answering-machine detection. */
  readonly machine: MachinePolicy | { readonly mode: 'off' };
}

export interface CallDeskDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly carriers: ReadonlyMap<CarrierName, Carrier>;
  readonly addresses: PublicAddresses;
  /** Who answers such a call. */
  readonly agentName: (call: Pick<IncomingCall, 'from' | 'to' | 'direction'>) => string;
  /** Asked late: desk and manager know each other. */
  readonly manager: () => SessionManager;
}

/** A call that was placed and is not answered yet. */
interface Pending {
  readonly record: CallRecord;
  readonly carrier: Carrier;
  readonly machine: MachinePolicy;
  cancel: Cancel;
  /** Settles when the carrier has answered the order to dial; never rejects. */
  dialled: Promise<unknown>;
  /** What was found out about the callee before the conversation began. */
  found: Extract<CarrierEvent, { type: 'machine' }> | undefined;
}

/** For a request to dial; the carrier itself rings after it. */
const DIAL_MS = 10_000;
/** After the time that it may ring, for the carrier to say so. */
const RING_GRACE_MS = 30_000;
const REST_MS = 5000;
const HANG_UP_MS = 10_000;
const ORDER: readonly CallStatus[] = ['queued', 'ringing', 'in-progress', 'ended'];

/** Where operators stand: places calls, sees all of them, and has the say over each. */
export class CallDesk {
  readonly records: CallRecords;
  readonly #deps: CallDeskDeps;
  /** By `ref`, which is also the id of the call. */
  readonly #pending = new Map<string, Pending>();
  readonly #closing = new AbortController();

  constructor(deps: CallDeskDeps) {
    this.#deps = deps;
    this.records = new CallRecords(deps.clock);
  }

  /** Calls that were placed and may still be answered. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Places a call. Resolves when the carrier has taken the order. Rejects with BAD_INPUT, OVER_CAPACITY,
   * CARRIER_REFUSED or CARRIER_UNAVAILABLE; then no call was placed, as far as can be known.
   */
  async place(order: PlaceOrder): Promise<CallRecord> {
    const carrier = this.#carrierFor(order.carrier);
    if (!this.#deps.manager().hasRoom) {
      throw new BridgeError(
        'OVER_CAPACITY',
        'no call can be placed: all lines are busy, or the service is stopping',
      );
    }
    const pending = this.#enter(carrier, order);
    const dialled = this.#dial(pending, order);
    pending.dialled = dialled.catch(() => undefined);
    return await dialled;
  }

  async #dial({ record, carrier }: Pending, order: PlaceOrder): Promise<CallRecord> {
    const { id } = record.view;
    using limit = deadline(this.#deps.clock, DIAL_MS, 'the order to dial', this.#closing.signal);
    const urls = this.#deps.addresses.forDial(carrier.name, id);
    const result = await carrier.dial(
      {
        ref: id,
        to: order.to,
        from: order.from,
        ringS: order.ringS,
        maxS: order.maxS,
        machineDetection: detectionFor(order.machine),
        ...urls,
      },
      limit.signal,
    );
    const known = record.ref?.callId;
    const fields = { carrier: carrier.name, call: id };
    if (result.status === 'error' && known === undefined) {
      this.#over(record, 'failed');
      throw result.error;
    }
    if (result.status === 'error') {
      // A webhook was faster: the call is there, whatever became of the answer.
      this.#deps.log.warn(
        { ...fields, err: result.error },
        'a call was placed without an answer that says so',
      );
      return record;
    }
    // A session, if there is one already, knows more.
    if (this.#sessionOf(record) === undefined && !record.isOver) {
      this.records.link(record, { ...result.call, callId: result.call.callId ?? known });
    }
    this.#deps.log.info({ ...fields, callId: record.ref?.callId }, 'call placed');
    return record;
  }

  /** Ends a call, whether it rings or is up. Never rejects. */
  async hangUp(record: CallRecord): Promise<ControlResult> {
    // Only the answer to the order to dial says by which name the call can be hung up.
    if (record.ref === undefined) await this.#pending.get(record.view.id)?.dialled;
    const session = this.#sessionOf(record);
    if (session !== undefined) {
      await session.end('operator-hung-up');
      return { status: 'ok' };
    }
    if (record.isOver) return { status: 'already-ended' };
    // It rings, or the caller was put through and the carrier alone has the call.
    return await this.#hangUpByRest(record, record.view.answeredAt === undefined ? 'canceled' : 'completed');
  }

  transfer(record: CallRecord, transfer: Transfer): Promise<ControlResult> {
    return this.#withSession(record, (session) => session.transfer(transfer));
  }

  sendDigits(record: CallRecord, digits: string): Promise<ControlResult> {
    return this.#withSession(record, (session) => session.sendDigits(digits));
  }

  record(record: CallRecord, on: boolean): Promise<ControlResult> {
    return this.#withSession(record, (session) => session.record(on));
  }

  /** What is done when this call is answered by a machine. */
  machineFor({ ref }: IncomingCall): MachinePolicy {
    return (ref === undefined ? undefined : this.#pending.get(ref)?.machine) ?? { mode: 'report' };
  }

  /** The call was placed by this bridge, which has kept room for it. */
  isPlaced(carrier: Carrier, ref: string | undefined): boolean {
    return ref !== undefined && this.#pending.get(ref)?.carrier === carrier;
  }

  /** The call was placed by this bridge, and then given up: whoever picks up now is not wanted any more. */
  gaveUp(ref: string | undefined): boolean {
    return ref !== undefined && this.records.get(ref)?.isOver === true;
  }

  /** Whom a placed call connects, for a carrier that does not say so when it is answered. */
  partiesOf(ref: string | undefined): { readonly from: string; readonly to: string } | undefined {
    return ref === undefined ? undefined : this.#pending.get(ref)?.record.view;
  }

  /** The session of a call has begun. */
  begun(session: Session): void {
    const { call, carrier } = session;
    const now = this.#deps.clock.epoch();
    const pending = call.ref === undefined ? undefined : this.#pending.get(call.ref);
    if (pending !== undefined && pending.carrier === carrier) {
      pending.cancel();
      this.#pending.delete(pending.record.view.id);
      this.records.link(pending.record, call);
      pending.record.update({ status: 'in-progress', answeredAt: now, agent: session.agent.name });
      pending.record.add('answered', {});
      if (pending.found !== undefined) session.onCarrierEvent(pending.found);
      return;
    }
    this.records.add(
      {
        id: newId(),
        carrier: carrier.name,
        carrierCallId: call.callId,
        direction: call.direction,
        from: call.from,
        to: call.to,
        agent: session.agent.name,
        status: 'in-progress',
        outcome: undefined,
        endReason: undefined,
        machine: undefined,
        answeredAt: now,
        endedAt: undefined,
      },
      call,
    );
  }

  /** What a session reports. */
  observe(carrier: CarrierName, callId: string, event: CallEvent): void {
    this.records.observe(carrier, callId, event);
    if (event.type === 'machine') {
      this.records.byCall(carrier, callId)?.update({ machine: event.result });
    }
  }

  /** The conversation is over; the carrier may say more of the call. */
  ended(session: Session, reason: EndReason): void {
    const record = this.records.byCall(session.carrier.name, session.callId);
    if (record === undefined) return;
    record.update({ endReason: reason });
    // A caller who was put through is still on the line.
    if (reason === 'transferred') this.records.release(record);
    else this.records.end(record, outcomeOf(reason));
  }

  /** Two who were connected have talked; the carrier is told to hang up, and may or may not say when it has. */
  talked(carrier: CarrierName, callId: string): void {
    const record = this.records.byCall(carrier, callId);
    if (record !== undefined && this.#sessionOf(record) === undefined)
      this.records.release(record, HANG_UP_MS);
  }

  /** News of a call's progress, of which the session knows nothing or which it does not need. */
  progress(carrier: Carrier, event: Extract<CarrierEvent, { type: 'progress' }>): void {
    const record = this.#recordOf(carrier, event);
    if (record === undefined || record.isOver) return;
    if (record.ref?.callId === undefined && event.callId !== '') {
      this.records.link(record, {
        ...record.ref,
        control: record.ref?.control ?? 'document',
        callId: event.callId,
      });
    }
    if (event.status === 'ended') {
      const outcome = event.outcome ?? 'completed';
      // A session is about to hear of it, and knows less of the outcome.
      if (this.#sessionOf(record) === undefined) this.#over(record, outcome);
      else record.update({ outcome });
      return;
    }
    // News may overtake each other. Answered is a call when its conversation begins.
    const { status } = record.view;
    if (event.status === 'in-progress' || ORDER.indexOf(event.status) <= ORDER.indexOf(status)) return;
    record.update({ status: event.status });
    record.add('progress', { status: event.status });
  }

  /** What was found out about the callee of a call that has no session yet. */
  machine(carrier: Carrier, event: Extract<CarrierEvent, { type: 'machine' }>): void {
    const pending = event.ref === undefined ? undefined : this.#pending.get(event.ref);
    // That a message can be left now is the last word on a machine.
    if (pending?.carrier !== carrier || pending.found?.greetingOver === true) return;
    pending.found = event;
    pending.record.update({ machine: event.result });
  }

  /** Gives up what rings; nothing is placed any more. */
  async close(): Promise<void> {
    const hangUps = [...this.#pending.values()].map(({ record }) => this.hangUp(record));
    await settleWithin(this.#deps.clock, REST_MS, hangUps);
    this.#closing.abort(new BridgeError('CANCELLED', 'the service stops'));
    for (const pending of this.#pending.values()) pending.cancel();
    this.#pending.clear();
    this.records.close();
  }

  #carrierFor(name: CarrierName | undefined): Carrier {
    const { carriers } = this.#deps;
    const names = [...carriers.keys()].join(', ');
    if (name === undefined) {
      const [only, ...others] = carriers.values();
      if (only !== undefined && others.length === 0) return only;
      throw new BridgeError('BAD_INPUT', `carrier: found nothing, wanted one of ${names}`);
    }
    const carrier = carriers.get(name);
    if (carrier !== undefined) return carrier;
    throw new BridgeError('BAD_INPUT', `carrier: found ${name}, which is not configured; there is ${names}`);
  }

  #enter(carrier: Carrier, order: PlaceOrder): Pending {
    const { clock } = this.#deps;
    const id = newId();
    const direction = 'outbound';
    const record = this.records.add(
      {
        id,
        carrier: carrier.name,
        carrierCallId: undefined,
        direction,
        from: order.from,
        to: order.to,
        agent: this.#deps.agentName({ from: order.from, to: order.to, direction }),
        status: 'queued',
        outcome: undefined,
        endReason: undefined,
        machine: undefined,
        answeredAt: undefined,
        endedAt: undefined,
      },
      undefined,
    );
    const pending: Pending = {
      record,
      carrier,
      machine: order.machine.mode === 'off' ? { mode: 'report' } : order.machine,
      cancel: clock.after(order.ringS * 1000 + RING_GRACE_MS, () => this.#forgotten(record)),
      found: undefined,
      dialled: Promise.resolve(),
    };
    this.#pending.set(id, pending);
    return pending;
  }

  /** The carrier never said what became of it: it must not ring on. */
  #forgotten(record: CallRecord): void {
    this.#deps.log.warn(
      { call: record.view.id },
      'the carrier does not say what became of a call that was placed',
    );
    void this.#hangUpByRest(record, 'no-answer').then(() => this.#over(record, 'no-answer'));
  }

  async #hangUpByRest(record: CallRecord, outcome: CallOutcome): Promise<ControlResult> {
    const { clock, carriers, log, metrics } = this.#deps;
    const carrier = carriers.get(record.view.carrier);
    if (carrier === undefined || record.ref === undefined) return notYet();
    using limit = deadline(clock, REST_MS, 'the hang-up by REST');
    const result = await carrier.hangUp(record.ref, limit.signal);
    if (result.status !== 'error') this.#over(record, outcome);
    else {
      metrics.hangUpFailed(carrier.name);
      log.error({ call: record.view.id, err: result.error }, 'the call could not be hung up');
    }
    return result;
  }

  #over(record: CallRecord, outcome: CallOutcome): void {
    this.#pending.get(record.view.id)?.cancel();
    this.#pending.delete(record.view.id);
    this.records.end(record, outcome);
  }

  #recordOf(carrier: Carrier, event: Extract<CarrierEvent, { type: 'progress' }>): CallRecord | undefined {
    const byRef = event.ref === undefined ? undefined : this.records.get(event.ref);
    if (byRef?.view.carrier === carrier.name) return byRef;
    return this.records.byCall(carrier.name, event.callId);
  }

  #sessionOf(record: CallRecord): Session | undefined {
    const { carrier, carrierCallId } = record.view;
    return carrierCallId === undefined ? undefined : this.#deps.manager().find(carrier, carrierCallId);
  }

  async #withSession(
    record: CallRecord,
    work: (session: Session) => Promise<ControlResult>,
  ): Promise<ControlResult> {
    const session = this.#sessionOf(record);
    if (session !== undefined) return await work(session);
    return record.isOver ? { status: 'already-ended' } : notYet();
  }
}

function notYet(): ControlResult {
  return { status: 'error', error: new BridgeError('BAD_INPUT', 'the call has not been answered yet') };
}

function detectionFor(machine: PlaceOrder['machine']): 'off' | 'detect' | 'greeting-end' {
  if (machine.mode === 'off') return 'off';
  return machine.mode === 'leave-message' ? 'greeting-end' : 'detect';
}

function newId(): string {
  return `call_${randomBytes(12).toString('hex')}`;
}
