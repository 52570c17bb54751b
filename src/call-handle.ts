import type { Agent } from './agents.ts';
import type { Carrier, IncomingCall } from './carrier.ts';
import type { Clock } from './clock.ts';
import type { Conversation } from './conversation.ts';
import type { Session } from './session.ts';
import type { CallHandle } from './tools.ts';

export interface CallHandleDeps {
  readonly call: IncomingCall;
  readonly carrier: Carrier;
  readonly agent: Agent;
  readonly clock: Clock;
  readonly session: Pick<Session, 'transfer' | 'sendDigits' | 'record'>;
  roundTripMs(): number;
  conversation(): Conversation;
}

/** What the function handlers of one call may know of it and do to it. */
export function callHandle(deps: CallHandleDeps): CallHandle {
  const { call, agent, session } = deps;
  return {
    callId: call.callId,
    carrier: deps.carrier.name,
    direction: call.direction,
    from: call.from,
    to: call.to,
    agent: agent.name,
    variables: agent.variables,
    roundTripMs: () => deps.roundTripMs(),
    epoch: () => deps.clock.epoch(),
    hangUpAfterGoodbye: () => deps.conversation().leaveAfterGoodbye('agent-hung-up'),
    heard: () => deps.conversation().heard(),
    transfer: (transfer) => session.transfer(transfer),
    sendDigits: (digits) => session.sendDigits(digits),
    collectDigits: (wish, signal) => deps.conversation().collectDigits(wish, signal),
    leaveMessage: (text) => deps.conversation().leaveMessage(text),
    record: (on) => session.record(on),
  };
}
