import type { CallHandle, Happening, LegResult } from '../carrier-sim.ts';

/** Why a leg is over, in Telnyx's words; `sip` is a SIP status. */
export interface Hangup {
  readonly cause:
    | 'call_rejected'
    | 'normal_clearing'
    | 'originator_cancel'
    | 'timeout'
    | 'time_limit'
    | 'user_busy'
    | 'not_found'
    | 'no_answer'
    | 'unspecified';
  readonly source: 'caller' | 'callee' | 'unknown';
  readonly sip: string;
}

type Progress = Extract<Happening, { readonly type: 'progress' }>;

const hangup = (cause: Hangup['cause'], source: Hangup['source'], sip: string): Hangup => ({
  cause,
  source,
  sip,
});

/** How a leg ended that reached its time limit. */
export const TIME_LIMIT: Hangup = hangup('time_limit', 'unknown', '200');

/** Why this leg is over; the one who called and the one who is called are meant from Telnyx's side. */
export function hangupOf(call: CallHandle, end: Progress): Hangup {
  const isPlaced = call.options.callee !== undefined || call.identity.direction === 'outbound';
  if (call.isAnswered) return hangup('normal_clearing', sourceOf(end, isPlaced), '200');
  switch (end.outcome) {
    case 'busy':
      return hangup('user_busy', 'callee', '486');
    case 'rejected':
      return hangup('call_rejected', 'callee', '603');
    case 'no-answer':
      return unansweredOf(call);
    case 'failed':
      return isPlaced ? hangup('not_found', 'unknown', '404') : hangup('unspecified', 'unknown', '500');
    default:
      return hangup('originator_cancel', 'caller', '487');
  }
}

// Whether other ways to the same number would be tried after the time is up decides which word it is.
function unansweredOf({ options }: CallHandle): Hangup {
  const isFinal = options.order?.fields['retry_on_timeout'] === false;
  return hangup(isFinal ? 'no_answer' : 'timeout', 'caller', '487');
}

function sourceOf({ by }: Progress, isPlaced: boolean): Hangup['source'] {
  switch (by) {
    case 'caller':
      return isPlaced ? 'callee' : 'caller';
    case 'rest':
    case 'document':
      return isPlaced ? 'caller' : 'callee';
    default:
      return 'unknown';
  }
}

/** Why the other leg of a transfer is over. */
export function legHangupOf(result: LegResult): Hangup {
  switch (result) {
    case 'completed':
      return hangup('normal_clearing', 'callee', '200');
    case 'busy':
      return hangup('user_busy', 'callee', '486');
    case 'no-answer':
      return hangup('timeout', 'caller', '487');
    case 'failed':
      return hangup('not_found', 'unknown', '404');
  }
}
