import type { MachinePolicy } from './answering-machine.ts';
import type { CallRecord, CallRecords } from './call-records.ts';
import type { PublicAddresses } from './call-urls.ts';
import type { Carrier, CarrierEvent, CarrierName, ControlResult } from './carrier.ts';
import { type Cancel, type Clock, deadline } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { RecordedBy } from './recording-terms.ts';

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
  /** Who is to talk; undefined: whoever has the calls of the number `from`. */
  readonly agent?: string | undefined;
  /** What they are told of the call. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** Who records it; undefined: as the agent has it. */
  readonly recording?: RecordedBy | undefined;
}

/** A call that was placed and is not answered yet. */
export interface PlacedCall {
  readonly record: CallRecord;
  readonly order: PlaceOrder;
  readonly carrier: Carrier;
  readonly machine: MachinePolicy;
  /** Settles when the carrier has answered the order to dial; never rejects. */
  readonly dialled: Promise<unknown>;
  /** What was found out about the callee before the conversation began. */
  found: Extract<CarrierEvent, { type: 'machine' }> | undefined;
}

interface Entry extends PlacedCall {
  dialled: Promise<unknown>;
  /** It is being hung up, which may take a while: whoever picks up meanwhile is not wanted. */
  givenUp: boolean;
  cancel: Cancel;
  /** The carrier has ended it by then in any case, in ms of the clock. */
  readonly overAt: number;
}

export interface PlacedCallsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly addresses: PublicAddresses;
  readonly records: CallRecords;
  readonly hasSession: (record: CallRecord) => boolean;
  /** Has a call hung up that nobody has answered; never rejects. When it succeeds the call is over. */
  readonly hangUp: (record: CallRecord) => Promise<ControlResult>;
}

/** For a request to dial; the carrier itself rings after it. */
const DIAL_MS = 10_000;
/** After the time that it may ring, for the carrier to say so. */
const RING_GRACE_MS = 30_000;
/** A call of which nothing is heard and that could not be hung up: until the next time. */
const FORGOTTEN_AGAIN_MS = 60_000;

/** The calls that were placed and ring, or may ring: orders, deadlines, and what is known of them before they are answered. */
export class PlacedCalls {
  readonly #deps: PlacedCallsDeps;
  /** By `ref`, which is also the id of the call. */
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new AbortController();

  constructor(deps: PlacedCallsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** A call that may still be answered, wanted or not. */
  get(ref: string | undefined): PlacedCall | undefined {
    return ref === undefined ? undefined : this.#entries.get(ref);
  }

  /** The same, but only while whoever picks up is welcome. */
  wanted(ref: string | undefined): PlacedCall | undefined {
    const entry = ref === undefined ? undefined : this.#entries.get(ref);
    return entry?.givenUp === false ? entry : undefined;
  }

  list(): PlacedCall[] {
    return [...this.#entries.values()];
  }

  /**
   * Gives the order to dial. Resolves when the carrier has taken it. Rejects with the carrier's error; then the call is
   * over.
   * @param ref of this call, and its id
   */
  async place(carrier: Carrier, order: PlaceOrder, agent: string, ref: string): Promise<CallRecord> {
    const entry = this.#enter(carrier, order, agent, ref);
    const dialled = this.#dial(entry, order);
    entry.dialled = dialled.catch(() => undefined);
    return await dialled;
  }

  /** An order that another process has given: whoever picks up is welcome here. */
  adopt(carrier: Carrier, order: PlaceOrder, agent: string, ref: string): void {
    this.#enter(carrier, order, agent, ref);
  }

  /** Whoever picks up from now on is not wanted. Gives the call, if it is one that was placed and not answered. */
  giveUp(ref: string): PlacedCall | undefined {
    const entry = this.#entries.get(ref);
    if (entry !== undefined) entry.givenUp = true;
    return entry;
  }

  /** It was answered, or has come to nothing. */
  delete(ref: string): void {
    this.#entries.get(ref)?.cancel();
    this.#entries.delete(ref);
  }

  /** Orders to dial that the carrier has not answered are waited for no longer. */
  abort(): void {
    this.#closing.abort(new BridgeError('CANCELLED', 'the service stops'));
  }

  clear(): void {
    for (const ref of [...this.#entries.keys()]) this.delete(ref);
  }

  #enter(carrier: Carrier, order: PlaceOrder, agent: string, id: string): Entry {
    const { clock, records } = this.#deps;
    const record = records.add(
      {
        id,
        carrier: carrier.name,
        carrierCallId: undefined,
        direction: 'outbound',
        from: order.from,
        to: order.to,
        agent,
        status: 'queued',
        outcome: undefined,
        endReason: undefined,
        machine: undefined,
        answeredAt: undefined,
        endedAt: undefined,
      },
      undefined,
    );
    const longestMs = order.ringS * 1000 + RING_GRACE_MS;
    const entry: Entry = {
      record,
      order,
      carrier,
      machine: order.machine.mode === 'off' ? { mode: 'report' } : order.machine,
      dialled: Promise.resolve(),
      found: undefined,
      givenUp: false,
      cancel: clock.after(longestMs, () => this.#forgotten(entry)),
      overAt: clock.now() + longestMs + order.maxS * 1000,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  async #dial({ record, carrier }: Entry, order: PlaceOrder): Promise<CallRecord> {
    const { clock, log, addresses, records, hasSession } = this.#deps;
    const { id } = record.view;
    using limit = deadline(clock, DIAL_MS, 'the order to dial', this.#closing.signal);
    const urls = addresses.forDial(carrier.name, id);
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
      log.warn({ ...fields, err: result.error }, 'a call was placed without an answer that says so');
      return record;
    }
    // A session, if there is one already, knows more.
    if (!hasSession(record) && !record.isOver) {
      records.link(record, { ...result.call, callId: result.call.callId ?? known });
    }
    log.info({ ...fields, callId: record.ref?.callId }, 'call placed');
    return record;
  }

  /** The carrier never said what became of it: it must not ring on. */
  #forgotten(entry: Entry): void {
    const { record } = entry;
    entry.givenUp = true;
    this.#deps.log.warn(
      { call: record.view.id },
      'the carrier does not say what became of a call that was placed',
    );
    void this.#deps.hangUp(record).then((result) => {
      // Over by now, or answered by a word of the carrier that came meanwhile.
      if (result.status !== 'error' || this.#entries.get(record.view.id) !== entry) return;
      this.#tryAgain(entry);
    });
  }

  /** It may ring, or somebody may listen to silence: as long as the carrier has not said no to both it takes its room. */
  #tryAgain(entry: Entry): void {
    const { clock } = this.#deps;
    if (this.#closing.signal.aborted) return;
    if (clock.now() >= entry.overAt) this.#over(entry.record, 'no-answer');
    else entry.cancel = clock.after(FORGOTTEN_AGAIN_MS, () => this.#forgotten(entry));
  }

  #over(record: CallRecord, outcome: 'failed' | 'no-answer'): void {
    this.#deps.records.end(record, outcome);
    this.delete(record.view.id);
  }
}

function detectionFor(machine: PlaceOrder['machine']): 'off' | 'detect' | 'greeting-end' {
  if (machine.mode === 'off') return 'off';
  return machine.mode === 'leave-message' ? 'greeting-end' : 'detect';
}
