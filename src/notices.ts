import type { CallOutcome } from './carrier.ts';

/** What the model is told of things that only the bridge knows. */

/** Said when the process has to stop. */
export const RESTART_GOODBYE =
  'I am sorry, this service has to restart. Please call again in a moment. Goodbye.';

/** Said when a call has cost what it may. */
export const SPENT_GOODBYE = 'I am sorry, we have to end this call here. Thank you for calling. Goodbye.';

export const STREAM_BROKE =
  'The connection to the caller broke for a moment and is back. They did not hear the end of what you said last.';

/** The stream was away for a while because keys were pressed: nothing is wrong with the connection. */
export const CUT_SHORT =
  'You were cut off on purpose, because keys were pressed on the line. They did not hear the end of what you said last.';

const OUTCOMES: Readonly<Record<CallOutcome, string>> = {
  completed: 'the other end has hung up',
  busy: 'the line is busy',
  'no-answer': 'nobody answered',
  rejected: 'the call was not accepted',
  canceled: 'it was given up',
  failed: 'the number could not be reached',
  'time-limit': 'it took too long',
};

export function transferFailed(outcome: CallOutcome): string {
  return `The transfer came to nothing: ${OUTCOMES[outcome]}. The caller is on the line with you again. Tell them.`;
}
