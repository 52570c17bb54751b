import type { CallControl, CallRef, ControlResult, Next } from '../../src/carrier.ts';
import { cannotAsk, controlResult } from '../../src/carrier-rest.ts';
import { BridgeError } from '../../src/errors.ts';
import type { Random } from '../../src/random.ts';
import { writeClientState } from './client-state.ts';
import type { RestOptions } from './rest.ts';
import { ask, commandId, dataField } from './rest.ts';
import { address, seconds, spokenLanguage } from './words.ts';

/** What calls are controlled with. */
export interface ControlOptions extends RestOptions {
  /** The Call Control application that calls are placed with. */
  readonly connectionId: string | undefined;
  /** What Telnyx is to expect on the media socket: `PCMU`, `PCMA`, `L16`, and its rate. */
  readonly codec: string;
  readonly rateHz: number;
  /** Where the events of a leg are sent that was placed for a transfer. */
  readonly eventsUrl: () => string;
  /** Of the ids of commands. */
  readonly random: Random;
  /** What the media socket at this address proves itself by. */
  readonly streamToken: (mediaUrl: string) => string;
}

/** The other end of an announced transfer, as its webhooks tell of it. */
export interface OtherLeg {
  readonly callId: string;
  /** The caller's leg. */
  readonly transferOf: string;
  readonly announce: string;
  readonly language: string | undefined;
}

type Body = Readonly<Record<string, unknown>>;

/** What Telnyx takes. */
const SHORTEST_RING_S = 5;
const LONGEST_RING_S = 600;
const LONGEST_SPEECH = 3000;

/** One command about one leg, by its id. */
export type Command = (
  what: string,
  callId: string | undefined,
  action: string,
  body: Body,
  signal: AbortSignal,
) => Promise<ControlResult>;

/** What the steps of a transfer are made of. */
export interface Tools {
  readonly options: ControlOptions;
  readonly command: Command;
  readonly hangUp: CallControl['hangUp'];
  readonly isLive: CallControl['isLive'];
  /** Legs that ring or are being told, by the leg of the caller whom they are for. */
  readonly otherEnds: Map<string, string>;
}

/** `female` is the voice that speaks all languages without a provider of voices being named. */
export function speechOf(text: string, language: string | undefined): Body | undefined {
  const payload = text.trim().slice(0, LONGEST_SPEECH);
  return payload === '' ? undefined : { payload, voice: 'female', language: spokenLanguage(language) };
}

type TransferTo = Extract<Next, { type: 'transfer' }>;

/** Connects the caller with somebody else, who is told why first where that is wanted. */
export async function transfer(
  tools: Tools,
  call: CallRef,
  next: TransferTo,
  signal: AbortSignal,
): Promise<ControlResult> {
  try {
    const to = address('the transfer target', next.to);
    const from = next.callerId?.trim() || call.data?.['number'];
    const ring = seconds('the ring time of a transfer', next.ringS, SHORTEST_RING_S, LONGEST_RING_S);
    const announced = next.announce?.trim() ?? '';
    if (announced !== '')
      return await dialOtherEnd(tools, call, { ...next, to, announce: announced }, ring, signal);
    const body = {
      to,
      from,
      timeout_secs: ring,
      target_leg_client_state: writeClientState({ transferOf: call.callId }),
    };
    return await tools.command('transfer call', call.callId, 'transfer', body, signal);
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
}

/** So many transfers under way at once are none that anybody waits for. */
const MOST_OTHER_ENDS = 10_000;

/** `transfer` can play the other end a file before it connects, but says nothing: so it is rung, told, and bridged. */
async function dialOtherEnd(
  { options, otherEnds }: Tools,
  call: CallRef,
  next: TransferTo,
  ring: number,
  signal: AbortSignal,
): Promise<ControlResult> {
  const what = 'place the call of a transfer';
  const connection = call.data?.['connectionId'] ?? options.connectionId;
  const from = next.callerId?.trim() || call.data?.['number'];
  if (connection === undefined) return cannotAsk(noConnection(what));
  if (from === undefined)
    return cannotAsk(
      new BridgeError('BAD_INPUT', `cannot ask Telnyx to ${what}: it has no caller id; wanted a number`),
    );
  const json = {
    connection_id: connection,
    to: next.to,
    from,
    timeout_secs: ring,
    // Refused when the caller has hung up meanwhile.
    link_to: call.callId,
    client_state: writeClientState({
      transferOf: call.callId,
      announce: next.announce?.slice(0, LONGEST_SPEECH),
      language: next.language,
    }),
    webhook_url: options.eventsUrl(),
    webhook_url_method: 'POST',
    command_id: options.random.uuid(),
  };
  // Not repeated: whoever is rung twice hangs up.
  const result = await ask(
    options,
    { what, method: 'POST', path: '/calls', json, repeatable: false },
    signal,
  );
  const other = result.status === 'ok' ? dataField(result.response, 'call_control_id') : undefined;
  if (typeof other === 'string' && call.callId !== undefined) {
    otherEnds.set(call.callId, other);
    const [oldest] = otherEnds.keys();
    if (otherEnds.size > MOST_OTHER_ENDS && oldest !== undefined) otherEnds.delete(oldest);
  }
  return controlResult(result);
}

/** Lets go of whoever is rung, or told, for this caller. Telnyx goes on ringing them when the caller is gone. */
export async function dropOtherEnd(
  tools: Tools,
  callId: string,
  signal: AbortSignal,
): Promise<ControlResult> {
  const other = tools.otherEnds.get(callId);
  if (other === undefined) return { status: 'ok' };
  tools.otherEnds.delete(callId);
  return await tools.command('hang up call', other, 'hangup', {}, signal);
}

/** Says which setting is missing. */
export function noConnection(what: string): BridgeError {
  return new BridgeError(
    'CARRIER_REFUSED',
    `cannot ask Telnyx to ${what}: no connection id is configured (TELNYX_CONNECTION_ID, the id of a Call Control application)`,
  );
}

/** The other end has picked up: tells it why, if the caller is still there. */
export async function announce(tools: Tools, leg: OtherLeg, signal: AbortSignal): Promise<ControlResult> {
  // A caller who has given up while it rang: nothing has told this leg, and it would be told of nobody.
  const live = await tools.isLive({ callId: leg.transferOf, control: 'command' }, signal);
  if (live.status === 'ok' && !live.live)
    return tools.hangUp({ callId: leg.callId, control: 'command' }, signal);
  const told = writeClientState({ transferOf: leg.transferOf, stage: 'told' });
  const speech = speechOf(leg.announce, leg.language);
  if (speech === undefined) return connect(tools, leg, signal);
  const body = { ...speech, client_state: told, command_id: commandId(leg.callId, 'announce') };
  const result = await tools.command('speak on call', leg.callId, 'speak', body, signal);
  // Better connected without a word than not at all.
  return result.status === 'error' ? connect(tools, leg, signal) : result;
}

/** The other end has been told: connects it with the caller. */
export async function connect(tools: Tools, leg: OtherLeg, signal: AbortSignal): Promise<ControlResult> {
  const body = {
    call_control_id: leg.transferOf,
    // Asked for this leg and not the caller's, because the state goes to the leg that is asked for: its hang-up must
    // not look like that of somebody who was never connected.
    client_state: writeClientState({ transferOf: leg.transferOf, stage: 'bridged' }),
    command_id: commandId(leg.callId, 'bridge'),
  };
  const result = await tools.command('connect call', leg.callId, 'bridge', body, signal);
  // One of the two is gone: the other end must not be left in silence.
  return result.status === 'already-ended' ? await letGo(tools, leg, signal) : result;
}

/** Whoever was rung and cannot be connected is let go. */
export function letGo(tools: Tools, leg: OtherLeg, signal: AbortSignal): Promise<ControlResult> {
  tools.otherEnds.delete(leg.transferOf);
  return tools.hangUp({ callId: leg.callId, control: 'command' }, signal);
}
