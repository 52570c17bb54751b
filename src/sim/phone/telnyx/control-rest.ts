import type { Callee } from '../callee.ts';
import type { CallHandle, DialOrder, RestExchange, RestReply } from '../carrier-sim.ts';
import type { DialResult } from '../driver.ts';
import { actionNamed, type CommandContext, command, recordFromAnswer } from './commands.ts';
import type { ControlCall } from './control-call.ts';
import type { OtherLeg } from './control-transfer.ts';
import { FAULTS, type Fault, refuse } from './errors.ts';
import type { LegIds } from './identity.ts';
import { type Body, DIAL, faultsOf, isBody, missing, textOf, warnOfNames } from './params.ts';
import type { Switchboard } from './switchboard.ts';

/** A call that is over is shown for so long. */
const SHOWN_MS = 600_000;
const RING_S = 30;

/** Reads a JSON body; an absent one is empty. Undefined for what is no object. */
export function readBody(text: string): Body | undefined {
  try {
    const body: unknown = text === '' ? {} : JSON.parse(text);
    return isBody(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** `POST /v2/calls`. */
export function dial(body: Body, exchange: RestExchange, switchboard: Switchboard): RestReply {
  const linkTo = textOf(body, 'link_to');
  const linked = linkTo === undefined ? undefined : exchange.find(linkTo);
  const faults = [...faultsOf(body, DIAL), ...linkFaults(body, linkTo, linked)];
  if (faults.length > 0) return refuse(422, ...faults);
  const commandId = textOf(body, 'command_id');
  const same = commandId === undefined ? undefined : switchboard.dialled(commandId);
  if (same !== undefined) return dialled(same);
  const leg = place(body, linked && switchboard.control(linked), exchange, switchboard);
  if (leg === undefined) return refuse(422, FAULTS.badRequest);
  if (commandId !== undefined) switchboard.remember(commandId, { leg, atMs: leg.call.clock.now() });
  warnOfNames(leg.call.log, 'dial', body, DIAL);
  leg.onAnswer = () => void recordFromAnswer(leg, body, exchange.baseUrl);
  return dialled(leg);
}

function linkFaults(body: Body, linkTo: string | undefined, linked: CallHandle | undefined): Fault[] {
  const needsLink = ['bridge_intent', 'bridge_on_answer', 'park_after_unbridge'].some((name) => body[name]);
  if (linkTo === undefined) return needsLink ? [missing('link_to')] : [];
  if (linked === undefined) return [{ ...FAULTS.invalidCall, pointer: '/link_to' }];
  return linked.isOver ? [{ ...FAULTS.ended, pointer: '/link_to' }] : [];
}

function place(
  body: Body,
  linked: ControlCall | undefined,
  exchange: RestExchange,
  switchboard: Switchboard,
): ControlCall | undefined {
  const to = Array.isArray(body['to']) ? String(body['to'][0]) : String(body['to']);
  const mode = textOf(body, 'answering_machine_detection') ?? 'disabled';
  const order: DialOrder = {
    from: textOf(body, 'from') ?? '',
    to,
    url: textOf(body, 'webhook_url'),
    statusCallbackUrl: undefined,
    detection: mode === 'disabled' ? 'off' : 'async',
    untilGreetingEnds: mode !== 'detect',
    timeoutMs: 1000 * (typeof body['timeout_secs'] === 'number' ? body['timeout_secs'] : RING_S),
    callee: linked && calleeOf(linked.call, to),
    fields: body,
  };
  switchboard.linkTo = linked;
  try {
    return switchboard.control(exchange.dial(order));
  } finally {
    switchboard.linkTo = undefined;
  }
}

/** Whoever is rung for another call is what ringing another leg of that call comes to, where that is said. */
function calleeOf({ options }: CallHandle, to: string): Callee | undefined {
  const { dialResult } = options;
  if (dialResult === undefined) return undefined;
  const result: DialResult = typeof dialResult === 'function' ? dialResult(to) : dialResult;
  const { status, ringMs = 0 } = result;
  switch (status) {
    case 'completed':
      return { kind: 'human', ringMs };
    case 'busy':
      return { kind: 'busy', ringMs };
    case 'failed':
      return { kind: 'unreachable', ringMs };
    case 'no-answer':
      return { kind: 'no-answer' };
  }
}

function dialled(leg: ControlCall): RestReply {
  const { callId } = leg.call.identity;
  // Dialling takes its time: it is never alive yet.
  return { status: 200, body: { data: { ...legData(callId, leg.ids, leg.clientState), is_alive: false } } };
}

/** `GET /v2/calls/{id}`. */
export function showCall(leg: ControlCall): RestReply {
  const { call, startedMs, endedMs } = leg;
  const nowMs = call.clock.epoch();
  if (endedMs !== undefined && nowMs - endedMs > SHOWN_MS) return refuse(404, FAULTS.notFound);
  return shown(call, leg.ids, leg.clientState, startedMs, endedMs);
}

/** The same of any call. */
export function shown(
  call: CallHandle,
  ids: LegIds,
  clientState: string | undefined,
  startedMs: number,
  endedMs: number | undefined,
): RestReply {
  const data = {
    ...legData(call.identity.callId, ids, clientState),
    is_alive: !call.isOver,
    call_duration: Math.round(((endedMs ?? call.clock.epoch()) - startedMs) / 1000),
    start_time: new Date(startedMs).toISOString(),
    ...(endedMs === undefined ? {} : { end_time: new Date(endedMs).toISOString() }),
  };
  return { status: 200, body: { data } };
}

function legData(callId: string, ids: LegIds, clientState: string | undefined): Body {
  return {
    call_control_id: callId,
    call_leg_id: ids.legId,
    call_session_id: ids.sessionId,
    record_type: 'call',
    ...(clientState === undefined ? {} : { client_state: clientState }),
  };
}

/** `POST /v2/calls/{id}/actions/{name}`. */
export function act(leg: ControlCall, name: string, body: Body, context: CommandContext): RestReply {
  const action = actionNamed(name);
  return action === undefined ? refuse(404, FAULTS.notFound) : command(leg, action, body, context);
}

/** Commands to a leg that a transfer has rung: it can be hung up and looked at. */
export function actOnOther(other: OtherLeg, name: string | undefined): RestReply {
  if (name === undefined) {
    const { ids, clientState } = other.leg;
    return {
      status: 200,
      body: { data: { ...legData(other.controlId, ids, clientState), is_alive: !other.isOver } },
    };
  }
  if (other.isOver) return refuse(422, FAULTS.ended);
  if (name !== 'hangup') return refuse(422, FAULTS.notAnswered);
  other.hangUp();
  return { status: 200, body: { data: { result: 'ok' } } };
}
