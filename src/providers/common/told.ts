import type { ConnectRequest, HistoryItem } from '../../provider.ts';
import { languageName } from './instructions.ts';

/** A text for the model to read, or else the keys of the telephone that came in its place; undefined: neither. */
export function textOrKeys(text: string, digits: string | undefined): string | undefined {
  if (text.trim() !== '') return text;
  return digits === undefined ? undefined : `The caller pressed ${digits} on the telephone keypad.`;
}

/** The language that the agent is to speak, in a sentence about it. */
export function tongueOf(language: string | undefined): string {
  return language === undefined ? 'the language of this conversation' : languageName(language);
}

/** Has the model say `text` and nothing else. */
export function sayExactly(text: string, language: string | undefined): string {
  return (
    `Say to the caller now exactly the text between the lines below, in ${tongueOf(language)}. ` +
    `Add nothing before or after it, do not answer it, and do not call a function.\n-----\n${text}\n-----`
  );
}

/**
 * What the caller has said, for services to which our own notes come in the caller's turns, in square brackets: nobody can
 * speak one, and what a function or a transcriber has made of their words must not read like a note.
 */
export function asSpoken(text: string): string {
  return text.replaceAll('[', '(').replaceAll(']', ')');
}

/** The caller has spoken last and got no answer, perhaps because the provider before this one died over it. */
function isUnanswered(history: readonly HistoryItem[]): boolean {
  const last = history.findLast(
    (item) => item.type === 'message' && item.role !== 'system' && item.text.trim() !== '',
  );
  return last?.type === 'message' && last.role === 'user';
}

/**
 * Whether the model is to speak as soon as it knows the conversation so far, and of what: `answer` the caller, who has
 * spoken last there, or `go on` with it. Undefined: it keeps still until something else is said or asked.
 */
export function openingMove({
  history,
  respond,
}: Pick<ConnectRequest, 'history' | 'respond'>): 'answer' | 'go on' | undefined {
  const waits = isUnanswered(history);
  if (!(respond ?? waits)) return undefined;
  return waits ? 'answer' : 'go on';
}

/** How the model is asked to make its opening move, where it has to be asked in words. */
export const OPENING_WORDS = Object.freeze({
  answer: 'answer now what the caller said last.',
  'go on': 'it is your turn to speak: go on with this call now.',
} as const);

/** The output of a handler that failed, in a form that the model cannot take for a good result. */
export function toolOutput(output: string, isError: boolean): string {
  return isError && !output.trimStart().startsWith('{') ? JSON.stringify({ error: output }) : output;
}
