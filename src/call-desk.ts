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
import type { Clock } from './clock.ts';
import { BridgeError } from './errors.ts';
import { HangUpWatch } from './hang-up-watch.ts';
import type { Act } from './insist.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { carryOut } from './orders.ts';
import { PlacedCalls, type PlaceOrder } from './placed-calls.ts';
import { type Random, systemRandom } from './random.ts';
import { bridgeRecords } from './recording-terms.ts';
import type { Session } from './session.ts';
import type { SessionManager } from './session-manager.ts';
import { settleWithin } from './settle.ts';

export interface CallDeskDeps {
  readonly clock: Clock;
  /** Of the ids of calls; default: that of this machine. */
  readonly random?: Random | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly carriers: ReadonlyMap<CarrierName, Carrier>;
  readonly addresses: PublicAddresses;
  /** Who answers such a call. */
  readonly agentName: (carrier: CarrierName, order: PlaceOrder) => string | undefined;
  /** Everybody who may be asked for by name. */
  readonly agents: () => readonly string[];
  /** Calls are about to be recorded by the bridge. May reject. */
  readonly prepareRecording?: (() => Promise<void>) | undefined;
  /** Told of a call that was placed, and was hung up before it had a session. */
  readonly onGivenUp?: ((record: CallRecord) => void) | undefined;
  /** Told of every call once, when it is over. */
  readonly onEnd?: ((record: CallRecord) => void) | undefined;
  /** Asked late: desk and manager know each other. */
  readonly manager: () => SessionManager;
}

const REST_MS = 5000;
const TALKED_MS = 10_000;
const STATUSES: readonly CallStatus[] = ['queued', 'ringing', 'in-progress', 'ended'];

/** Where operators stand: places calls, sees all of them, and has the say over each. */
export class CallDesk {
  readonly records: CallRecords;
  readonly #deps: CallDeskDeps;
  readonly #placed: PlacedCalls;
  readonly #hangUps: HangUpWatch;
  /** Calls that are being hung up by REST: whoever asks for it again gets the same answer. */
  readonly #ending = new Map<CallRecord, Promise<ControlResult>>();
  #stopping = false;

  constructor(deps: CallDeskDeps) {
    this.#deps = deps;
    this.records = new CallRecords(deps.clock, deps.onEnd, () => deps.metrics.eventForgotten());
    this.#hangUps = new HangUpWatch(deps);
    this.#placed = new PlacedCalls({
      ...deps,
      records: this.records,
      hasSession: (record) => this.#sessionOf(record) !== undefined,
      hangUp: (record) => this.#hangUpByRest(record, 'no-answer'),
    });
  }

  /** Calls that were placed and may still be answered. */
  get pending(): number {
    return this.#placed.size;
  }

  /**
   * Places a call. Resolves when the carrier has taken the order. Rejects with BAD_INPUT, OVER_CAPACITY,
   * CARRIER_REFUSED or CARRIER_UNAVAILABLE; then no call was placed, as far as can be known.
   */
  async place(order: PlaceOrder): Promise<CallRecord> {
    const carrier = this.#carrierFor(order.carrier);
    // Whoever wants a recording is told that there can be none.
    if (bridgeRecords(order.recording)) await this.#deps.prepareRecording?.();
    if (this.#stopping || !this.#deps.manager().hasRoom) {
      throw new BridgeError(
        'OVER_CAPACITY',
        'no call can be placed: all lines are busy, or the service is stopping',
      );
    }
    const agent = this.#agentFor(carrier, order);
    return await this.#placed.place(carrier, order, agent, newId(this.#deps));
  }

  /** A call that another process has placed, and that is answered here. Throws BAD_INPUT for a carrier or agent that there is not. */
  adopt(order: PlaceOrder, ref: string): void {
    const carrier = this.#carrierFor(order.carrier);
    this.#placed.adopt(carrier, order, this.#agentFor(carrier, order), ref);
  }

  /** What was said of a call when it was ordered; undefined: it was not placed here, or is under way. */
  orderOf(ref: string | undefined): PlaceOrder | undefined {
    return this.#placed.get(ref)?.order;
  }

  /**
   * Ends a call, whether it rings or is up. What fails for the moment is tried again, for 27 s at most; meanwhile whoever
   * picks up is hung up on. Never rejects.
   */
  async hangUp(record: CallRecord): Promise<ControlResult> {
    const placed = this.#placed.giveUp(record.view.id);
    // Only the answer to the order to dial says by which name the call can be hung up.
    if (record.ref === undefined) await placed?.dialled;
    const session = this.#sessionOf(record);
    if (session !== undefined) {
      return await carryOut(session, { does: 'end', reason: 'operator-hung-up' });
    }
    if (record.isOver) return { status: 'already-ended' };
    // It rings, or the caller was put through and the carrier alone has the call.
    const outcome = record.view.answeredAt === undefined ? 'canceled' : 'completed';
    const result = await this.#hangUpByRest(record, outcome);
    if (placed !== undefined) this.#deps.onGivenUp?.(record);
    return result;
  }

  transfer(record: CallRecord, transfer: Transfer): Promise<ControlResult> {
    return this.#withSession(record, (session) => carryOut(session, { does: 'transfer', transfer }));
  }

  sendDigits(record: CallRecord, digits: string): Promise<ControlResult> {
    return this.#withSession(record, (session) => carryOut(session, { does: 'send-digits', digits }));
  }

  record(record: CallRecord, on: boolean): Promise<ControlResult> {
    return this.#withSession(record, (session) => carryOut(session, { does: 'record', on }));
  }

  /** What is done when this call is answered by a machine. */
  machineFor({ ref }: IncomingCall): MachinePolicy {
    return this.#placed.get(ref)?.machine ?? { mode: 'report' };
  }

  /** The call was placed by this bridge, which has kept room for it. */
  isPlaced(carrier: Carrier, ref: string | undefined): boolean {
    return this.#placed.wanted(ref)?.carrier === carrier;
  }

  /** The call was placed by this bridge, and then given up: whoever picks up now is not wanted any more. */
  gaveUp(ref: string | undefined): boolean {
    if (this.#placed.get(ref) !== undefined) return this.#placed.wanted(ref) === undefined;
    return ref !== undefined && this.records.get(ref)?.isOver === true;
  }

  /** Whom a placed call connects, for a carrier that does not say so when it is answered. */
  partiesOf(ref: string | undefined): { readonly from: string; readonly to: string } | undefined {
    return this.#placed.wanted(ref)?.record.view;
  }

  /** The session of a call has begun. `recordingFolder`: where the bridge keeps what it records of it. */
  begun(session: Session, recordingFolder?: string): void {
    const { call, carrier } = session;
    const now = this.#deps.clock.epoch();
    const placed = this.#placed.get(call.ref);
    if (placed?.carrier === carrier) {
      const { record, found } = placed;
      this.#placed.delete(record.view.id);
      this.records.link(record, call);
      record.update({ status: 'in-progress', answeredAt: now, agent: session.agent.name, recordingFolder });
      record.add('answered', {});
      if (found !== undefined) session.onCarrierEvent(found);
      return;
    }
    this.records.add(
      {
        id: newId(this.#deps),
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
        recordingFolder,
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
      this.records.release(record, TALKED_MS);
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
    if (event.status === 'in-progress' || STATUSES.indexOf(event.status) <= STATUSES.indexOf(status)) return;
    record.update({ status: event.status });
    record.add('progress', { status: event.status });
  }

  /** What was found out about the callee of a call that has no session yet. */
  machine(carrier: Carrier, event: Extract<CarrierEvent, { type: 'machine' }>): void {
    const placed = this.#placed.get(event.ref);
    // That a message can be left now is the last word on a machine.
    if (placed?.carrier !== carrier || placed.found?.greetingOver === true) return;
    placed.found = event;
    placed.record.update({ machine: event.result });
  }

  /** Hangs up what rings: nobody who picks up from now on is welcome. The promises, which never reject, tell when it is done. */
  callOff(): readonly Promise<ControlResult>[] {
    return this.#placed.list().map(({ record }) => this.hangUp(record));
  }

  /** Gives up what rings; nothing is placed any more. */
  async close(): Promise<void> {
    this.#stopping = true;
    const { clock } = this.#deps;
    const hangUps = this.callOff();
    await settleWithin(clock, REST_MS, hangUps);
    // Who has not answered by now gets no more time, and what failed is tried once more without the pause.
    this.#placed.abort();
    await Promise.all([this.#hangUps.close(), settleWithin(clock, REST_MS, hangUps)]);
    this.#placed.clear();
    this.records.close();
  }

  /** Found out now: when somebody has picked up it is too late to say that nobody will talk with them. */
  #agentFor(carrier: Carrier, order: PlaceOrder): string {
    const agent = this.#deps.agentName(carrier.name, order);
    if (agent !== undefined) return agent;
    const wanted = `wanted one of ${this.#deps.agents().join(', ')}`;
    throw new BridgeError(
      'BAD_INPUT',
      order.agent === undefined
        ? `from: the agents file has no agent for this number; name one as agent, ${wanted}`
        : `agent: found ${JSON.stringify(order.agent)}, ${wanted}`,
    );
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

  #hangUpByRest(record: CallRecord, outcome: CallOutcome): Promise<ControlResult> {
    const known = this.#ending.get(record);
    if (known !== undefined) return known;
    const work = this.#insist(record, outcome).finally(() => this.#ending.delete(record));
    this.#ending.set(record, work);
    return work;
  }

  async #insist(record: CallRecord, outcome: CallOutcome): Promise<ControlResult> {
    const { carriers, log } = this.#deps;
    const { ref, view } = record;
    const carrier = carriers.get(view.carrier);
    if (carrier === undefined || ref === undefined) return notYet();
    const act: Act = (signal) =>
      // The carrier's own word may come between two tries.
      record.isOver ? Promise.resolve({ status: 'already-ended' }) : carrier.hangUp(ref, signal);
    const result = await this.#hangUps.hangUp(carrier, act, log.child({ call: view.id }));
    // A call that could not be hung up is still there.
    if (result.status !== 'error') this.#over(record, outcome);
    return result;
  }

  #over(record: CallRecord, outcome: CallOutcome): void {
    // First, because what was ordered belongs to the end.
    this.records.end(record, outcome);
    this.#placed.delete(record.view.id);
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

function newId({ random = systemRandom }: CallDeskDeps): string {
  return `call_${Buffer.from(random.bytes(12)).toString('hex')}`;
}
