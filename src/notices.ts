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

/** What a provider that takes over reads last. @param functions that run, as the model before it has called them */
export function continues(functions: readonly { readonly name: string; readonly args: string }[]): string {
  const text =
    'You go on with a telephone call that is under way, in the place of another system, which the caller must not notice. ' +
    'What was said so far is above; the caller has heard all of it. Do not greet them, do not introduce yourself, do not ' +
    'repeat anything, and do not speak of a change.';
  if (functions.length === 0) return text;
  const calls = functions.map(({ name, args }) => `${name}(${args})`).join('; ');
  return `${text} These function calls are under way, and you will be told their results; do not call them again: ${calls}`;
}

/** Asked of a provider that takes over in the middle of a sentence. */
export const GO_ON =
  'You were cut off in the middle of what you were saying. The caller has heard the last of your words above. Go on from ' +
  'exactly there, in the middle of the sentence if need be, and repeat nothing.';

export const WAITS_FOR_ANSWER = 'The caller waits for you to answer now.';

/** Asked of a provider that could not be told what the caller has just said. */
export const SAY_AGAIN =
  'What the caller has just said did not reach you. Ask them, in a few words, to say it once more.';

/** Followed by the words. */
export const ONLY_HEARD = 'The caller cut in. Of what you said last they have heard only:';
