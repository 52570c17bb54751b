import type { CallEvent, EndReason } from './call-events.ts';
import { callKey } from './call-key.ts';
import type { CallOutcome, CallRef, CallStatus, CarrierName, MachineResult } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';

/** What operators are told of a call. Times are ms since 1970 UTC. */
export interface CallView {
  /** The bridge's own id of the call. */
  readonly id: string;
  readonly carrier: CarrierName;
  /** The carrier's id; undefined for a call that was placed and does not ring yet. */
  readonly carrierCallId: string | undefined;
  readonly direction: 'inbound' | 'outbound';
  readonly from: string;
  readonly to: string;
  readonly agent: string;
  readonly status: CallStatus;
  /** Set once the call is over. */
  readonly outcome: CallOutcome | undefined;
  /** Why the conversation ended; undefined for a call that never had one. */
  readonly endReason: EndReason | undefined;
  /** What answering-machine detection found. */
  readonly machine: MachineResult | undefined;
  /** What the bridge records of it is kept under this name; undefined: it does not record it. */
  readonly recordingFolder?: string | undefined;
  readonly createdAt: number;
  readonly answeredAt: number | undefined;
  readonly endedAt: number | undefined;
}

/** Something that happened in a call, numbered from 1. Keys that the caller pressed are blanked. */
export interface RecordedEvent {
  readonly number: number;
  readonly type: string;
  /** Ms since 1970 UTC. */
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Told of every event; `undefined`: the call is over and nothing more will come. */
export type RecordListener = (event: RecordedEvent | undefined) => void;

/** What is kept of one call. */
const MAX_EVENTS = 2000;
/** Calls that are over are kept this long, and no more than so many. */
const KEEP_MS = 600_000;
/** Of people who were put through nobody may say when they are done. No carrier's call is longer by default. */
const LONGEST_TALK_MS = 4 * 3_600_000;
const MAX_ENDED = 1000;

/** One call as operators see it. */
export class CallRecord {
  /** How to name the call to its carrier; known once it rings at the latest. */
  ref: CallRef | undefined;
  #view: CallView;
  readonly #clock: Clock;
  readonly #events: RecordedEvent[] = [];
  readonly #listeners = new Set<RecordListener>();
  readonly #onForgotten: (() => void) | undefined;
  #count = 0;

  /** @param onForgotten the oldest event had to make room */
  constructor(clock: Clock, view: CallView, ref: CallRef | undefined, onForgotten?: () => void) {
    this.#clock = clock;
    this.#view = view;
    this.ref = ref;
    this.#onForgotten = onForgotten;
  }

  get view(): CallView {
    return this.#view;
  }

  get isOver(): boolean {
    return this.#view.status === 'ended';
  }

  update(change: Partial<CallView>): void {
    this.#view = { ...this.#view, ...change };
  }

  add(type: string, data: Readonly<Record<string, unknown>>): void {
    this.#count += 1;
    const event = { number: this.#count, type, at: this.#clock.epoch(), data };
    this.#events.push(event);
    if (this.#events.length > MAX_EVENTS) {
      this.#events.shift();
      this.#onForgotten?.();
    }
    for (const listener of this.#listeners) listener(event);
  }

  /** Tells of the events after `number`, then of every one to come. Gives the way to stop it. */
  follow(after: number, listener: RecordListener): () => void {
    for (const event of this.#events) if (event.number > after) listener(event);
    if (this.isOver) {
      listener(undefined);
      return () => undefined;
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** No more events will come. */
  finish(): void {
    for (const listener of this.#listeners) listener(undefined);
    this.#listeners.clear();
  }
}

/** The calls of this process that are being placed, are up, or ended a little while ago. */
export class CallRecords {
  readonly #clock: Clock;
  readonly #byId = new Map<string, CallRecord>();
  readonly #byCall = new Map<string, CallRecord>();
  /** Ended calls, oldest first, with the time until which they are kept. */
  readonly #ended = new Map<CallRecord, number>();
  #cancelSweep: Cancel | undefined;
  /** Calls that go on without the bridge, with the timer that takes them for ended. */
  readonly #released = new Map<CallRecord, Cancel>();

  readonly #onEnd: ((record: CallRecord) => void) | undefined;
  readonly #onForgotten: (() => void) | undefined;

  /** `onEnd` is told of every call once, when it is over; `onForgotten` of every event that had to make room. */
  constructor(clock: Clock, onEnd?: (record: CallRecord) => void, onForgotten?: () => void) {
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.#onForgotten = onForgotten;
  }

  add(view: Omit<CallView, 'createdAt'>, ref: CallRef | undefined): CallRecord {
    const known = { ...view, createdAt: this.#clock.epoch() };
    const record = new CallRecord(this.#clock, known, ref, this.#onForgotten);
    this.#byId.set(view.id, record);
    if (ref !== undefined) this.link(record, ref);
    return record;
  }

  /** The carrier has said by which id it knows the call. */
  link(record: CallRecord, ref: CallRef): void {
    record.ref = ref;
    if (ref.callId === undefined) return;
    record.update({ carrierCallId: ref.callId });
    this.#byCall.set(callKey(record.view.carrier, ref.callId), record);
  }

  get(id: string): CallRecord | undefined {
    return this.#byId.get(id);
  }

  byCall(carrier: CarrierName, callId: string): CallRecord | undefined {
    return this.#byCall.get(callKey(carrier, callId));
  }

  /** Newest first. */
  list(): CallRecord[] {
    return [...this.#byId.values()].reverse();
  }

  /** The call is over, with what came of it; the first word on this stays. */
  end(record: CallRecord, outcome: CallOutcome): void {
    if (record.isOver) return;
    this.#released.get(record)?.();
    this.#released.delete(record);
    // The carrier's own word came before.
    const said = record.view.outcome ?? outcome;
    record.update({ status: 'ended', outcome: said, endedAt: this.#clock.epoch() });
    record.add('over', { outcome: said });
    record.finish();
    this.#onEnd?.(record);
    this.#ended.set(record, this.#clock.now() + KEEP_MS);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MAX_ENDED && oldest !== undefined) this.#forget(oldest);
    this.#cancelSweep ??= this.#clock.after(KEEP_MS, () => this.#sweep());
  }

  /** The call goes on without the bridge: it is over when the carrier says so, and after `waitMs` in any case. */
  release(record: CallRecord, waitMs = LONGEST_TALK_MS): void {
    if (record.isOver) return;
    this.#released.get(record)?.();
    const cancel = this.#clock.after(waitMs, () => this.end(record, 'completed'));
    this.#released.set(record, cancel);
  }

  /** What a session reports, put down in the record of its call. */
  observe(carrier: CarrierName, callId: string, event: CallEvent): void {
    const record = this.byCall(carrier, callId);
    if (record === undefined) return;
    const { type, atMs: _, ...data } = event;
    if (event.type === 'digit') record.add(type, {});
    else if (event.type === 'ended') record.add(type, { reason: event.reason });
    else record.add(type, data);
  }

  close(): void {
    this.#cancelSweep?.();
    for (const cancel of this.#released.values()) cancel();
    this.#released.clear();
    for (const record of this.#byId.values()) record.finish();
    this.#ended.clear();
    this.#byId.clear();
    this.#byCall.clear();
  }

  /** One timer for all calls that have ended, set for the one that is to be forgotten next. */
  #sweep(): void {
    this.#cancelSweep = undefined;
    const now = this.#clock.now();
    for (const [record, until] of this.#ended) {
      if (until <= now) {
        this.#forget(record);
        continue;
      }
      this.#cancelSweep = this.#clock.after(until - now, () => this.#sweep());
      return;
    }
  }

  #forget(record: CallRecord): void {
    this.#ended.delete(record);
    this.#byId.delete(record.view.id);
    const { carrier, carrierCallId } = record.view;
    if (carrierCallId !== undefined) this.#byCall.delete(callKey(carrier, carrierCallId));
  }
}
