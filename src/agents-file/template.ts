import { beginningOf } from '../short-text.ts';
import { MAX_VARIABLE_CHARS } from '../text-forms.ts';

/** Texts with `{{variables}}`. */

/** Filled in for every call by the bridge itself. */
export const BUILT_IN_VARIABLES = [
  'caller',
  'callee',
  'caller_name',
  'call_id',
  'carrier',
  'direction',
  'agent',
  'time',
  'date',
  'weekday',
] as const;

/** Whether a variable is filled in by the bridge, so that nobody else can set it. */
export function isBuiltInVariable(name: string): boolean {
  const names: readonly string[] = BUILT_IN_VARIABLES;
  return names.includes(name);
}

/** `\{{` is a literal `{{`; a name stands between braces, with blanks around it or without. */
const PLACE = /\\\{\{|\{\{\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\}\}|\{\{/g;

/** One use of braces in a text. */
export interface Placeholder {
  /** As it stands in the text. */
  readonly piece: string;
  /** Index of its first character. */
  readonly at: number;
  /** Undefined: braces that are not closed, or hold no name. */
  readonly name: string | undefined;
}

/** Every use of a variable in a text, and every mistake in such a use. */
export function placeholdersIn(text: string): readonly Placeholder[] {
  const found: Placeholder[] = [];
  for (const match of text.matchAll(PLACE)) {
    const [piece, name] = match;
    if (piece.startsWith('\\')) continue;
    found.push({ piece, at: match.index, name });
  }
  return found;
}

/** Which one of equal pieces of the text it is, counted from 0. */
export function whichOf(text: string, { piece, at }: Placeholder): number {
  return text.slice(0, at).split(piece).length - 1;
}

/**
 * The text with its variables filled in; one that is not known is empty, or with `keep` stays as it is written. What is
 * filled in is not looked into again.
 */
export function fill(
  text: string,
  variables: Readonly<Record<string, string>>,
  unknown: 'empty' | 'keep' = 'empty',
): string {
  return text.replace(PLACE, (piece, name: string | undefined) => {
    if (piece.startsWith('\\')) return '{{';
    if (name === undefined) return piece;
    if (Object.hasOwn(variables, name)) return variables[name] ?? '';
    return unknown === 'keep' ? piece : '';
  });
}

/** A value of a variable as it goes into texts: at most 4000 characters, with blanks for control characters. */
export function tidy(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return beginningOf(value, MAX_VARIABLE_CHARS).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ');
}

/** What nobody sees or hears, and models read all the same: directions, tags, joiners, private characters. */
const UNSEEN = /[\p{Cf}\p{Co}\p{Cs}\p{Variation_Selector}]/gu;

/** A value that anybody who calls can set: at most so many characters, on one line, without any that are not seen. */
export function tidyOfStranger(value: string, most: number): string {
  const seen = tidy(value).replace(UNSEEN, '').replace(/\s+/g, ' ').trim();
  return beginningOf(seen, most);
}
