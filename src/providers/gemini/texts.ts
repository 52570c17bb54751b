import type { ConnectRequest, HistoryItem, TextOptions } from '../../provider.ts';
import type { Fields } from '../common/fields.ts';
import { BY_CHARACTERS, fittingHistory, type HistoryRoom } from '../common/history.ts';
import { asSpoken, OPENING_WORDS, textOrKeys, tongueOf } from '../common/told.ts';
import { HISTORY } from './facts.ts';

/**
 * Everything that is told goes under the caller's role, for newer models refuse the role `system`; what the caller has
 * not said is marked as such.
 */
function marked(text: string): string {
  return `[From the system, not said by the caller: ${text}]`;
}

/** One turn of `clientContent`. */
export function turn(role: 'user' | 'model', texts: readonly string[]): Fields {
  return { role, parts: texts.map((text) => ({ text })) };
}

/** What the model reads when a text of ours or keys of the telephone come in; empty: nothing. */
export function textFor(text: string, options: TextOptions): string {
  const words = textOrKeys(text, options.digits);
  if (words === undefined) return '';
  return options.role === 'system' || words !== text ? marked(words) : words;
}

/** Has the model say `text` and nothing else. */
export function sayText(text: string, language: ConnectRequest['language']): string {
  return (
    `[From the system, not said by the caller. Say to the caller now exactly the text between the lines below, in ` +
    `${tongueOf(language)}. Add nothing before or after it, do not answer it, do not mention this message, and do not call a ` +
    `function.]\n-----\n${text}\n-----`
  );
}

/** Has the model speak first, when the history alone does not make it: of what the caller said last, or just so. */
export const OPENINGS = Object.freeze({
  answer: marked(OPENING_WORDS.answer),
  'go on': marked(OPENING_WORDS['go on']),
});

/** Tells what was heard of an answer that was cut off; `heard` is empty when nothing was. */
export function heardText(heard: string, playedMs: number): string {
  const quote = heard === '' ? '' : `, up to: "${heard}"`;
  const what =
    playedMs <= 0
      ? 'the caller heard nothing of your last answer.'
      : `the caller cut in and heard only the first ${(playedMs / 1000).toFixed(1)} seconds of your last answer${quote}.`;
  return marked(`${what} Do not answer this message.`);
}

/** A call of an earlier session of this phone call, with its result. */
function earlierCall(callId: string, call: { name: string; args: string } | undefined): string {
  return call === undefined
    ? `result of the function call ${callId}, made earlier`
    : `result of the function ${call.name}, which you called earlier with ${call.args}`;
}

export function earlierResult(
  callId: string,
  call: { name: string; args: string } | undefined,
  output: string,
): string {
  return marked(`${earlierCall(callId, call)}: ${output}`);
}

function told(item: HistoryItem): { readonly role: 'user' | 'model'; readonly text: string } {
  if (item.type === 'tool') {
    return { role: 'user', text: earlierResult(item.callId, item, item.output) };
  }
  switch (item.role) {
    case 'user':
      return { role: 'user', text: asSpoken(item.text) };
    case 'assistant':
      return { role: 'model', text: item.text };
    case 'system':
      return { role: 'user', text: marked(item.text) };
  }
}

const ROOM: HistoryRoom = Object.freeze({
  maxItems: HISTORY.maxItems,
  maxSize: HISTORY.maxCharacters,
  measure: BY_CHARACTERS,
  extraSize: 0,
});

/**
 * The conversation so far as turns, as far as there is room for it: the caller's first, then by turns, however many items
 * each one is made of.
 */
export function historyTurns(history: readonly HistoryItem[]): readonly Fields[] {
  const turns: { role: 'user' | 'model'; texts: string[] }[] = [];
  for (const item of fittingHistory(history, ROOM)) {
    const { role, text } = told(item);
    const last = turns.at(-1);
    if (last === undefined && role === 'model')
      turns.push({ role: 'user', texts: [marked('the call begins.')] });
    if (last !== undefined && last.role === role) last.texts.push(text);
    else turns.push({ role, texts: [text] });
  }
  return turns.map(({ role, texts }) => turn(role, texts));
}

/** The first `share` (0..1) of a text, ending at a word. */
export function cutAtWord(text: string, share: number): string {
  if (share >= 1) return text;
  const cut = text.slice(0, Math.floor(text.length * Math.max(0, share)));
  if (/\s/.test(text.charAt(cut.length))) return cut;
  return cut.slice(0, Math.max(0, cut.search(/\s\S*$/)));
}
