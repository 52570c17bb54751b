import type { CallHandle } from '../carrier-sim.ts';
import type { CallStatus, EndedBy } from '../events.ts';

/** Why a leg ended, in the words of telephony and in Plivo's. */
export interface HangupCause {
  readonly word: string;
  readonly code: string;
  readonly name: string;
  readonly source: 'Caller' | 'Callee' | 'Carrier' | 'Plivo' | 'API Request' | 'Answer XML' | 'Error';
}

/** What only Plivo's part of a call knows of its end. */
export type OwnEnd = 'time-limit' | 'machine' | 'loop' | undefined;

const NORMAL = { word: 'NORMAL_CLEARING', code: '4000', name: 'Normal Hangup' } as const;

/** Causes of legs that were not taken, by what became of them. */
export const UNTAKEN = {
  busy: { word: 'USER_BUSY', code: '3010', name: 'Busy Line', source: 'Carrier' },
  rejected: { word: 'CALL_REJECTED', code: '3020', name: 'Rejected', source: 'Callee' },
  'no-answer': { word: 'NO_ANSWER', code: '6010', name: 'Ring Timeout Reached', source: 'Plivo' },
  canceled: { word: 'ORIGINATOR_CANCEL', code: '1000', name: 'Canceled', source: 'API Request' },
  failed: {
    word: 'NETWORK_OUT_OF_ORDER',
    code: '2000',
    name: 'Invalid Destination Address',
    source: 'Carrier',
  },
  unconfirmed: {
    word: 'NORMAL_CLEARING',
    code: '9110',
    name: 'Confirm Key Challenge Failed',
    source: 'Plivo',
  },
} as const satisfies Record<string, HangupCause>;

/** Somebody has hung up in the ordinary way. */
export function normalHangup(source: HangupCause['source']): HangupCause {
  return { ...NORMAL, source };
}

/** Why a call ended. */
export function causeOf(call: CallHandle, by: EndedBy | undefined, own: OwnEnd): HangupCause {
  if (own === 'machine') {
    return { word: 'NORMAL_CLEARING', code: '9100', name: 'Machine Detected', source: 'Plivo' };
  }
  if (own === 'time-limit') {
    return { word: 'ALLOTTED_TIMEOUT', code: '6000', name: 'Scheduled Hangup', source: 'Plivo' };
  }
  if (own === 'loop') {
    return { word: 'EXCHANGE_ROUTING_ERROR', code: '2060', name: 'Loop Detected', source: 'Plivo' };
  }
  return call.isAnswered ? answeredCause(call, by) : unansweredCause(call, by);
}

function answeredCause(call: CallHandle, by: EndedBy | undefined): HangupCause {
  switch (by) {
    case 'caller':
      // Whoever is at the telephone: of a call that the bridge placed it is the callee.
      return normalHangup(call.identity.direction === 'inbound' ? 'Caller' : 'Callee');
    case 'rest':
      return normalHangup('API Request');
    case 'document':
      return call.log.events.some((event) => event.type === 'hangup')
        ? normalHangup('Answer XML')
        : { ...NORMAL, code: '4010', name: 'End Of XML Instructions', source: 'Plivo' };
    default:
      return { ...NORMAL, code: '7011', name: 'Error Reaching Answer URL', source: 'Error' };
  }
}

function unansweredCause(call: CallHandle, by: EndedBy | undefined): HangupCause {
  const isInbound = call.identity.direction === 'inbound';
  const refusal = call.log.events.find((event) => event.type === 'reject');
  if (refusal?.type === 'reject') return { ...UNTAKEN[refusal.reason], source: 'Answer XML' };
  if (by === 'caller' && isInbound) return { ...UNTAKEN.canceled, source: 'Caller' };
  if (by === 'rest' || by === 'caller') return UNTAKEN.canceled;
  if (isInbound)
    return { ...UNTAKEN.failed, code: '7011', name: 'Error Reaching Answer URL', source: 'Error' };
  if (call.options.callee?.kind === 'rejects') return UNTAKEN.rejected;
  return call.status === 'busy' ? UNTAKEN.busy : UNTAKEN['no-answer'];
}

const STATUS_WORDS: Readonly<Record<CallStatus, string>> = {
  initiated: 'ringing',
  ringing: 'ringing',
  'in-progress': 'in-progress',
  completed: 'completed',
  busy: 'busy',
  'no-answer': 'no-answer',
  canceled: 'cancel',
  failed: 'failed',
};

/** Plivo's word for the state of a call. Inbound calls are all `completed` in the end, whatever became of them. */
export function statusWord({ identity, status, isAnswered, options }: CallHandle): string {
  const word = STATUS_WORDS[status];
  if (word === 'ringing' || word === 'in-progress') return word;
  if (identity.direction === 'inbound') return 'completed';
  // There is no word for being declined in what the hangup URL is told; the cause says it.
  return options.callee?.kind === 'rejects' && !isAnswered && word !== 'cancel' ? 'failed' : word;
}
