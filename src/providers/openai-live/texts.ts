import type { TextOptions } from '../../provider.ts';
import type { Measure } from '../common/history.ts';
import { textOrKeys } from '../common/told.ts';

/** An append may have 500 tokens; counted with a margin, since the count is a guess. */
const MOST_TOKENS = 450;
const ASCII_TOKENS = 0.4;
const OTHER_TOKENS = 1.2;

function costOf(unit: number): number {
  return unit < 0x80 ? ASCII_TOKENS : OTHER_TOKENS;
}

/** About how many tokens a text has, rather too many than too few. */
function tokensOf(text: string): number {
  let tokens = 0;
  for (let i = 0; i < text.length; i++) tokens += costOf(text.charCodeAt(i));
  return tokens;
}

/** How many characters of the text, from `from` on, have at most `most` tokens; never half of a character. */
function fitting(text: string, from: number, most: number): number {
  let tokens = 0;
  let at = from;
  while (at < text.length) {
    tokens += costOf(text.charCodeAt(at));
    if (tokens > most) break;
    at += 1;
  }
  const isHalf = at < text.length && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
  return isHalf ? at - 1 : at;
}

/** Where a piece that could reach to `to` had better end: after a sentence, else after a word. */
function breakBefore(text: string, from: number, to: number): number {
  const piece = text.slice(from, to);
  const least = piece.length / 2;
  const sentence = Math.max(...['. ', '! ', '? ', '\n', '。', '、'].map((end) => piece.lastIndexOf(end)));
  if (sentence >= least) return from + sentence + 1;
  const word = piece.lastIndexOf(' ');
  return word >= least ? from + word + 1 : to;
}

/** The text in pieces that can be appended one after the other. */
export function pieces(text: string): readonly string[] {
  const parts: string[] = [];
  for (let from = 0; from < text.length; ) {
    const most = fitting(text, from, MOST_TOKENS);
    const to = most >= text.length ? most : breakBefore(text, from, most);
    parts.push(text.slice(from, to).trim());
    from = to;
  }
  return parts.filter((part) => part !== '');
}

/** The end of a text, of at most `most` tokens. */
function tail(text: string, most: number): string {
  let tokens = 0;
  let from = text.length;
  while (from > 0) {
    tokens += costOf(text.charCodeAt(from - 1));
    if (tokens > most) break;
    from -= 1;
  }
  return text.slice((text.charCodeAt(from) & 0xfc00) === 0xdc00 ? from + 1 : from);
}

/** For a history that is counted in tokens. */
export const BY_TOKENS: Measure = Object.freeze({
  sizeOf: tokensOf,
  head: (text: string, most: number): string => text.slice(0, fitting(text, 0, most)),
  tail,
});

/** What the model reads when a text of ours or keys of the telephone come in. */
export function textFor(text: string, { role, respond, digits }: TextOptions): string {
  const isKeys = text.trim() === '' && digits !== undefined;
  const words = textOrKeys(text, digits) ?? text;
  const told = role === 'user' && !isKeys ? `The caller sends this message: ${words}` : words;
  return respond ? `${told}\nSpeak to the caller about this now.` : told;
}

/** What has the model speak first: the caller had spoken last and another session died over it, or it is just its turn. */
export const OPENINGS = Object.freeze({
  answer: 'The caller has spoken last and waits for you: answer them now.',
  'go on': 'It is your turn to speak: go on with this call now.',
});

/** The model answers what it is told of the caller by itself, so that it has to be told if it is not to. */
export const KEEP_STILL = 'Do not speak yet: wait until the caller speaks, or until you are told to.';

/** A function call that this session has not made, and its result. */
export function pastCall(name: string, args: string, output: string): string {
  return `The function ${name} was called with ${args} and returned: ${output}`;
}
