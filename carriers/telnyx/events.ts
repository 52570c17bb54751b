import type {
  CallOutcome,
  CallParties,
  CallRef,
  CarrierEvent,
  ControlResult,
  IncomingCall,
} from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';
import type { ClientState } from './client-state.ts';
import { readClientState } from './client-state.ts';
import { keyOf, machineResult, outcomeOf, party, quoted } from './words.ts';

/** What follows in something that the bridge has asked for: an announced transfer, or a message. */
export interface Steps {
  announce(leg: OtherLeg, signal: AbortSignal): Promise<ControlResult>;
  connect(leg: OtherLeg, signal: AbortSignal): Promise<ControlResult>;
  /** The other end cannot be connected. */
  letGo(leg: OtherLeg, signal: AbortSignal): Promise<ControlResult>;
  /** The caller's leg is over: nobody need be rung for it any longer. */
  callerGone(callId: string, signal: AbortSignal): Promise<ControlResult>;
  /** The other end is connected, or is gone. */
  settled(callId: string): void;
  /** The caller has been asked for a message, of at most so many seconds. */
  recordMessage(callId: string, maxS: number, signal: AbortSignal): Promise<ControlResult>;
  /** The message was left, or cannot be. */
  messageOver(callId: string, signal: AbortSignal): Promise<ControlResult>;
}

interface OtherLeg {
  readonly callId: string;
  readonly transferOf: string;
  readonly announce: string;
  readonly language: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** One webhook of Call Control. */
export interface ControlEvent {
  readonly type: string;
  /** Of the event: a duplicate has the same. */
  readonly id: string;
  readonly payload: Fields;
  readonly state: ClientState;
  /** From the address that it came in by. */
  readonly ref: string | undefined;
}

/** The envelope, taken apart; undefined for JSON that has none. Throws BAD_FRAME for an event without a payload. */
export function readEvent(body: Fields, ref: string | undefined): ControlEvent | undefined {
  const { data } = body;
  if (!isRecord(data)) return undefined;
  const { event_type: type, payload } = data;
  if (typeof type !== 'string') return undefined;
  if (!isRecord(payload)) throw missing(type, 'data.payload', 'an object');
  return {
    type,
    // Every event has one; without it nothing would be lost but the recognition of duplicates.
    id: text(data['id']) ?? `${type} ${text(payload['call_control_id'])} ${text(data['occurred_at'])}`,
    payload,
    state: readClientState(payload['client_state']),
    ref,
  };
}

/** What an event means. Types that are not known are ignored. Throws BAD_FRAME when its leg is not named. */
export function parseEvent(event: ControlEvent, steps: Steps): CarrierEvent {
  if (event.type.startsWith('call.recording.')) return recording(event, steps);
  const transferOf = event.state['transferOf'];
  return transferOf === undefined ? callersLeg(event, steps) : otherLeg(event, transferOf, steps);
}

function callersLeg(event: ControlEvent, steps: Steps): CarrierEvent {
  const { type, payload } = event;
  switch (type) {
    case 'call.initiated':
      return payload['direction'] === 'outgoing' ? progress(event, 'ringing', undefined) : incoming(event);
    case 'call.answered':
      return { type: 'answered', call: callRef(event), ref: refOf(event), idempotencyKey: event.id };
    case 'call.hangup':
      return {
        ...progress(event, 'ended', hangupOutcome(payload)),
        perform: (signal) => steps.callerGone(legOf(event), signal),
      };
    case 'streaming.started':
      return { type: 'stream', callId: legOf(event), kind: 'started', error: undefined };
    case 'streaming.stopped':
    case 'streaming.failed':
      // A failed stream too: nobody but the bridge does anything about the caller, who hears nothing.
      return {
        ...afterStream(event, false),
        mediaUrl: text(payload['stream_url']),
        error: text(payload['failure_reason']),
      };
    case 'call.speak.ended':
      if (asksForMessage(event)) return message(event, steps);
      return { ...afterStream(event, payload['status'] === 'call_hangup'), spoken: true };
    case 'call.dtmf.received':
      return endsMessage(event) ? messageOver(event, steps) : digit(event);
    case 'call.machine.detection.ended':
    case 'call.machine.premium.detection.ended':
      return machine(event, false);
    case 'call.machine.greeting.ended':
    case 'call.machine.premium.greeting.ended':
      return machine(event, true);
    default:
      return { type: 'ignored', why: `event ${quoted(type)} asks for nothing` };
  }
}

/** The words are said that ask for a message, and the caller is still there. */
function asksForMessage({ state, payload }: ControlEvent): boolean {
  return state['stage'] === 'message' && payload['status'] !== 'call_hangup';
}

function message(event: ControlEvent, steps: Steps): CarrierEvent {
  const callId = legOf(event);
  const maxS = Number(event.state['maxS']);
  return {
    type: 'step',
    callId,
    perform: (signal) => steps.recordMessage(callId, maxS, signal),
    otherwise: (signal) => steps.messageOver(callId, signal),
  };
}

/** What ends a message in the documents of other carriers too. */
function endsMessage({ state, payload }: ControlEvent): boolean {
  return state['stage'] === 'recording' && payload['digit'] === '#';
}

function messageOver(event: ControlEvent, steps: Steps): CarrierEvent {
  const callId = legOf(event);
  const hangUp = (signal: AbortSignal): Promise<ControlResult> => steps.messageOver(callId, signal);
  return { type: 'step', callId, perform: hangUp, otherwise: hangUp };
}

function otherLeg(event: ControlEvent, transferOf: string, steps: Steps): CarrierEvent {
  const { type, state, payload } = event;
  const announce = state['announce'];
  const leg = { callId: legOf(event), transferOf, announce: announce ?? '', language: state['language'] };
  if (type === 'call.answered' && announce !== undefined) {
    return step(leg, steps, (signal) => steps.announce(leg, signal));
  }
  if (type === 'call.speak.ended' && state['stage'] === 'told' && payload['status'] !== 'call_hangup') {
    return step(leg, steps, (signal) => steps.connect(leg, signal));
  }
  // Not call.answered: the two are connected only now.
  if (type === 'call.bridged' || type === 'call.hangup') steps.settled(transferOf);
  if (type === 'call.bridged') {
    return { type: 'transfer', callId: transferOf, status: 'answered', outcome: undefined };
  }
  if (type === 'call.hangup') return otherEndGone(transferOf, state, payload);
  return { type: 'ignored', why: `event ${quoted(type)} of the other end of a transfer asks for nothing` };
}

function afterStream(event: ControlEvent, ended: boolean) {
  const call = callRef(event);
  const { payload, state } = event;
  const parties: CallParties = {
    from: party(payload['from']),
    to: party(payload['to']),
    direction: refOf(event) === undefined ? 'inbound' : 'outbound',
  };
  return {
    type: 'after-stream',
    callId: call.callId,
    ended,
    transfer: undefined,
    call,
    parties: text(payload['to']) === undefined ? undefined : parties,
    agent: state['agent'],
  } as const;
}

function step(
  leg: OtherLeg,
  steps: Steps,
  perform: (signal: AbortSignal) => Promise<ControlResult>,
): CarrierEvent {
  // Whoever cannot be connected must not be left in silence.
  return { type: 'step', callId: leg.transferOf, perform, otherwise: (signal) => steps.letGo(leg, signal) };
}

function otherEndGone(callId: string, state: ClientState, payload: Fields): CarrierEvent {
  const outcome = hangupOutcome(payload);
  const announced = state['announce'] !== undefined || state['stage'] !== undefined;
  if (announced ? state['stage'] === 'bridged' : outcome === 'completed' || outcome === 'time-limit') {
    return { type: 'ignored', why: 'the other end of a transfer has hung up' };
  }
  // Whoever hangs up while being told what the call is about does not want it.
  return {
    type: 'transfer',
    callId,
    status: 'failed',
    outcome: outcome === 'completed' ? 'rejected' : outcome,
    call: { callId, control: 'command' },
  };
}

function hangupOutcome(payload: Fields): CallOutcome {
  return outcomeOf(text(payload['hangup_cause']) ?? '') ?? 'failed';
}

function progress(
  event: ControlEvent,
  status: 'ringing' | 'ended',
  outcome: CallOutcome | undefined,
): Extract<CarrierEvent, { type: 'progress' }> {
  return {
    type: 'progress',
    callId: legOf(event),
    requestId: undefined,
    ref: refOf(event),
    status,
    outcome,
    // Events are not numbered, and may come in any order.
    sequence: undefined,
    durationS: undefined,
  };
}

function incoming(event: ControlEvent): CarrierEvent {
  const { payload } = event;
  const call: IncomingCall = {
    ...callRef(event),
    from: party(payload['from']),
    to: party(payload['to']),
    direction: 'inbound',
    callerName: text(payload['caller_id_name']),
    ref: undefined,
  };
  return { type: 'incoming', call, machine: undefined, idempotencyKey: event.id };
}

/** With what commands need later: the application, our own number as caller id of a transfer, and the `ref`. */
function callRef(event: ControlEvent): CallRef & { readonly callId: string } {
  const { payload } = event;
  const ref = refOf(event);
  const connectionId = text(payload['connection_id']);
  // Ours is the one that the caller has called, or that a call was placed from.
  const own = party(ref === undefined ? payload['to'] : payload['from']);
  return {
    callId: legOf(event),
    control: 'command',
    data: {
      ...(connectionId === undefined ? {} : { connectionId }),
      ...(/^\+\d+$/.test(own) ? { number: own } : {}),
      ...(ref === undefined ? {} : { ref }),
    },
  };
}

function digit(event: ControlEvent): CarrierEvent {
  const key = keyOf(event.payload['digit']);
  return key === undefined
    ? { type: 'ignored', why: 'the key of a call.dtmf.received event is none' }
    : { type: 'digit', callId: legOf(event), digit: key };
}

function machine(event: ControlEvent, greetingOver: boolean): CarrierEvent {
  const found = machineResult(text(event.payload['result']) ?? '');
  // Only machines have greetings: where the end of one is unsure, that it is a machine is not.
  const result = greetingOver && found === 'unknown' ? 'machine' : found;
  return { type: 'machine', callId: legOf(event), ref: refOf(event), result, greetingOver };
}

function recording({ type, payload, state }: ControlEvent, steps: Steps): CarrierEvent {
  if (type !== 'call.recording.saved' && type !== 'call.recording.error') {
    return { type: 'ignored', why: `event ${quoted(type)} asks for nothing` };
  }
  // The payload has the ids of leg and session, and not the one that the bridge knows the call by.
  const callId = state['of'] ?? text(payload['call_control_id']);
  if (callId === undefined) {
    return { type: 'ignored', why: 'a recording that the bridge has not asked for' };
  }
  const url = fileOf(payload['recording_urls']) ?? fileOf(payload['public_recording_urls']);
  const from = instant(payload['recording_started_at']);
  const to = instant(payload['recording_ended_at']);
  const known = from !== undefined && to !== undefined && to >= from;
  const durationS = known ? Math.round((to - from) / 1000) : undefined;
  const isMessage = state['stage'] === 'recording';
  const perform = (signal: AbortSignal): Promise<ControlResult> => steps.messageOver(callId, signal);
  return { type: 'recording', callId, url, durationS, perform: isMessage ? perform : undefined };
}

function fileOf(urls: unknown): string | undefined {
  return isRecord(urls) ? (text(urls['wav']) ?? text(urls['mp3'])) : undefined;
}

function instant(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

function refOf({ state, ref }: ControlEvent): string | undefined {
  return state['ref'] ?? ref;
}

function legOf({ type, payload }: ControlEvent): string {
  const id = text(payload['call_control_id']);
  if (id === undefined) throw missing(type, 'payload.call_control_id', 'the id of a call');
  return id;
}

function missing(type: string, field: string, wanted: string): BridgeError {
  return new BridgeError(
    'BAD_FRAME',
    `${field} of a Telnyx ${quoted(type)} event is missing; wanted ${wanted}`,
  );
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
