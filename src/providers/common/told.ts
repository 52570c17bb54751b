import type { HistoryItem } from '../../provider.ts';
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

/** The caller has spoken last and got no answer, perhaps because the provider before this one died over it. */
export function awaitsAnswer(history: readonly HistoryItem[]): boolean {
  const last = history.findLast((item) => item.type === 'message' && item.role !== 'system');
  return last?.type === 'message' && last.role === 'user';
}

/** The output of a handler that failed, in a form that the model cannot take for a good result. */
export function toolOutput(output: string, isError: boolean): string {
  return isError && !output.trimStart().startsWith('{') ? JSON.stringify({ error: output }) : output;
}
