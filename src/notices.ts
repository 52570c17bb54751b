import type { CallOutcome } from './carrier.ts';
import { shortText } from './short-text.ts';

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

/** Of what a model has called: enough to know a call by, and no more, since the model may have written a book. */
const MOST_NAMES = 64;
const MOST_ARGUMENTS = 500;
const MOST_CALLS = 8;

interface Called {
  readonly name: string;
  readonly args: string;
}

/**
 * What a provider that takes over reads last. What callers have made a model write stands in the middle, on one line, so
 * that nothing of it reads like a line of ours. @param functions that run, as the model before it has called them
 */
export function continues(functions: readonly Called[]): string {
  return (
    'You go on with a telephone call that is under way, in the place of another system, which the caller must not notice. ' +
    `What was said so far is above; the caller has heard all of it. ${underWay(functions)}Do not greet them, do not ` +
    'introduce yourself, do not repeat anything, and do not speak of a change.'
  );
}

function underWay(functions: readonly Called[]): string {
  if (functions.length === 0) return '';
  const calls = functions.slice(0, MOST_CALLS).map(({ name, args }) => {
    return `${oneLine(name, MOST_NAMES)}(${oneLine(args, MOST_ARGUMENTS)})`;
  });
  if (functions.length > MOST_CALLS) calls.push(`and ${functions.length - MOST_CALLS} more`);
  return `These function calls are under way, and you will be told their results: ${calls.join('; ')}. Do not call them again. `;
}

/** JSON has no need of control characters, which whoever reads a text may take for its end. */
function oneLine(text: string, max: number): string {
  // Cut first: what is left out need not be looked at.
  return shortText(text, max).replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}

/** Asked of a provider that takes over in the middle of a sentence. @param heard the last words of it, as far as they are known */
export function goOn(heard: string): string {
  const words = heard === '' ? 'the last of your words above' : `your words up to ${JSON.stringify(heard)}`;
  return (
    `You were cut off in the middle of what you were saying. The caller has heard ${words}. Go on from exactly there, in ` +
    'the middle of the sentence if need be, and repeat nothing.'
  );
}

/** Told to a provider that hears once more what the one before it was cut off in answering. */
export const GO_ON_ANSWERING =
  'You were cut off in the middle of your answer to what the caller says now, which you are sent once more. They have ' +
  'heard the last of your words above. Go on from exactly there, and repeat nothing.';

/** Told to a provider that takes speech only as it is spoken, while the caller speaks. */
export const MISSED_BEGINNING =
  'The caller is speaking, and the beginning of what they say did not reach you. If the rest does not make sense alone, ' +
  'ask them, in a few words, to say it once more.';

export const WAITS_FOR_ANSWER = 'The caller waits for you to answer now.';

/** Asked of a provider that could not be told what the caller has just said. */
export const SAY_AGAIN =
  'What the caller has just said did not reach you. Ask them, in a few words, to say it once more.';

/** Followed by the words. */
export const ONLY_HEARD = 'The caller cut in. Of what you said last they have heard only:';
