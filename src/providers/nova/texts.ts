import type { TextOptions, ToolResult } from '../../provider.ts';
import { isFields, jsonOf } from '../common/fields.ts';
import { sayExactly, textOrKeys } from '../common/told.ts';
import { note } from './history.ts';

/** What the model reads when a text of ours or keys of the telephone come in; empty: there is nothing to tell. */
export function textFor(text: string, { role, digits }: TextOptions): string {
  const words = textOrKeys(text.trim(), digits);
  if (words === undefined) return '';
  // The roles of text in mid-call are the caller's and nobody's else, so what is not the caller's is marked.
  return role === 'system' || digits !== undefined ? note(words) : words;
}

/** The same for a text that is not to be answered. */
export function quietText(words: string): string {
  return `${words}\n${note('Take note of this, do not answer it, and say nothing now.')}`;
}

/** Has the model say `text` and nothing else. */
export function sayText(text: string, language: string | undefined): string {
  return note(sayExactly(text, language));
}

/** The service has taken a result and says nothing. */
export const GO_ON = note('The result of the function is there. Go on with the caller.');

const SAY_NOTHING = 'Do not say anything about this result now.';

/**
 * A result as JSON text: anything else is refused with "Tool Response parsing error". One that is not to be spoken of
 * says so itself, because the service has no other way to be told.
 */
export function resultJson({ output, isError, respond }: ToolResult): string {
  const value = jsonOf(output);
  const named = isFields(value) ? value : { [isError ? 'error' : 'result']: value ?? output };
  if (!respond) return JSON.stringify({ ...named, instruction: SAY_NOTHING });
  return isFields(value) ? output : JSON.stringify(named);
}

/** What a call is answered that nobody wants to run. */
export const NOT_RUN: ToolResult = {
  output: JSON.stringify({ error: 'not run: the caller interrupted' }),
  isError: true,
  respond: false,
};
