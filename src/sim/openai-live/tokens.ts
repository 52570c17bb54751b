import type { Rule } from './check.ts';
import { Refusal } from './wire.ts';

const PIECES =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]/gu;
const LETTERS_PER_TOKEN = 5;

/** About how many tokens a text has: words of Latin script have one or two, signs and characters one each. */
export function tokensOf(text: string): number {
  let tokens = 0;
  for (const [piece] of text.matchAll(PIECES)) tokens += Math.ceil(piece.length / LETTERS_PER_TOKEN);
  return tokens;
}

/** A text of at most so many tokens. */
export function shortText(most: number): Rule {
  return (value, path) => {
    if (typeof value !== 'string') {
      throw new Refusal('invalid_type', `Invalid type for '${path}': expected a string.`, path);
    }
    const found = tokensOf(value);
    if (found <= most) return;
    const message = `Invalid '${path}': expected at most ${most} tokens, but got ${found} tokens instead.`;
    throw new Refusal('string_above_max_length', message, path);
  };
}
