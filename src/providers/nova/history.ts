import type { HistoryItem } from '../../provider.ts';
import { EARLIER_LEFT_OUT } from '../common/history.ts';
import { asSpoken } from '../common/told.ts';
import { utf8Head, utf8Tail } from './utf8.ts';

/** One turn of the past, as the service wants it: turns alternate, and the caller has the first one. */
export interface HistoryBlock {
  readonly role: 'USER' | 'ASSISTANT';
  readonly text: string;
}

export interface PastConversation {
  readonly blocks: readonly HistoryBlock[];
  /** The caller's last turn, which nobody has answered: it is put to the model when the audio stands. */
  readonly unanswered: string | undefined;
  /** What is known and belongs to no turn any more: part of the instructions. */
  readonly notes: readonly string[];
}

export interface HistoryLimits {
  /** Of one `textInput`. */
  readonly bytesPerInput: number;
  /** Of all texts of the past. */
  readonly total: number;
}

/** What was said, or a note of ours. */
interface Part {
  readonly text: string;
  readonly isNote: boolean;
}

interface Turn {
  readonly role: 'USER' | 'ASSISTANT';
  readonly parts: Part[];
}

/** Between two parts there is a line break, or an empty line. */
const BREAK_BYTES = 2;

/** Stands for the turn of a caller who had not said anything when the agent spoke. */
const CALLER_IS_THERE = note('The caller is on the line.');
/** Stands before the first turn when others before it are left out. */
const LEFT_OUT = note(EARLIER_LEFT_OUT);
/** What has to be said before the first turn, whichever it is. */
const LEAD_BYTES = Math.max(sizeOf(CALLER_IS_THERE), sizeOf(LEFT_OUT));

/** Something that the caller did not say, in the turn of the caller: there is no other place for it. */
export function note(text: string): string {
  return `[${text}]`;
}

/** A function call and its result, for a session that has not made it. */
export function toolNote(name: string, args: string, output: string): string {
  return note(`The function ${name} was called earlier in this call with ${args} and gave: ${output}`);
}

/** The text of a note of ours, unless it is something that was said. */
function asNote(item: HistoryItem): string | undefined {
  if (item.type === 'tool') return toolNote(item.name, item.args, item.output);
  return item.role === 'system' ? note(item.text) : undefined;
}

/**
 * The conversation so far in the form that the service takes: neighbouring turns of one side are merged, function calls
 * and words of the system are notes in the caller's turns (in the agent's the model would learn to speak like that). When
 * all of it is too long, the oldest turns are left out, and of long notes the ends.
 * @param answersLast the caller's last turn, if nobody has answered it, is kept apart, to be put to the model
 */
export function pastConversation(
  history: readonly HistoryItem[],
  limits: HistoryLimits,
  answersLast = true,
): PastConversation {
  const past = new Past();
  for (const item of history) past.add(item);
  const { turns, notes } = past;
  const open = turns.at(-1)?.role === 'USER' ? turns.pop()?.parts : undefined;
  // What is newest comes first, but not at the price of everything before it.
  const before = turns.length === 0 ? 0 : LEAD_BYTES + sum(turns.map(({ parts }) => bytesOf(parts)));
  const newest = shortened(open ?? notes, Math.max(limits.total / 2, limits.total - before));
  const blocks = fitting(turns, limits.total - sum(newest.map(sizeOf)));
  if (open === undefined) return { blocks, unanswered: undefined, notes: newest };
  const text = newest.join('\n');
  if (answersLast) return { blocks, unanswered: text, notes: [] };
  // A past that ends with the caller is answered by nobody until there is audio, or text to be answered.
  return { blocks: [...blocks, { role: 'USER', text }], unanswered: undefined, notes: [] };
}

function sizeOf(text: string): number {
  return Buffer.byteLength(text) + BREAK_BYTES;
}

function bytesOf(parts: readonly Part[]): number {
  return sum(parts.map(({ text }) => sizeOf(text)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

/** What has been said is worth more than what is noted about it, and what is new more than what is old. */
function byWorth(parts: readonly Part[]): readonly Part[] {
  const newest = parts.toReversed();
  return [...newest.filter(({ isNote }) => !isNote), ...newest.filter(({ isNote }) => isNote)];
}

const CUT = '…]';
/** Less of a note tells nothing. */
const LEAST_NOTE = 64;

/** A note has its beginning, which says what it is; of what was said the end counts. */
function cut({ text, isNote }: Part, most: number): string {
  if (Buffer.byteLength(text) <= most) return text;
  if (!isNote) return utf8Tail(text, most);
  return most < LEAST_NOTE ? '' : `${utf8Head(text, most - Buffer.byteLength(CUT))}${CUT}`;
}

/** The parts, in order, as far as `most` bytes have room for them. */
function shortened(parts: readonly Part[], most: number): string[] {
  let rest = bytesOf(parts);
  if (rest <= most) return parts.map(({ text }) => text);
  let left = most;
  const kept = new Map<Part, string>();
  for (const part of byWorth(parts)) {
    rest -= sizeOf(part.text);
    // No part takes more than half of what is left, unless the others leave it more.
    const text = cut(part, Math.floor(Math.max(left / 2, left - rest)) - BREAK_BYTES);
    if (text === '') continue;
    kept.set(part, text);
    left -= sizeOf(text);
  }
  return parts.flatMap((part) => kept.get(part) ?? []);
}

class Past {
  readonly turns: Turn[] = [];
  /** What came after something that the agent said: it belongs to what the caller says next. */
  notes: Part[] = [];

  add(item: HistoryItem): void {
    const words = asNote(item);
    if (words !== undefined) this.#note({ text: words, isNote: true });
    else if (item.type === 'message' && item.text.trim() !== '') this.#turn(item.role, item.text);
  }

  #note(words: Part): void {
    const last = this.turns.at(-1);
    if (last?.role === 'USER') last.parts.push(words);
    else this.notes.push(words);
  }

  #turn(speaker: string, text: string): void {
    const role = speaker === 'user' ? 'USER' : 'ASSISTANT';
    const said = { text: role === 'USER' ? asSpoken(text) : text, isNote: false };
    const parts = role === 'USER' ? [...this.notes, said] : [said];
    if (role === 'USER') this.notes = [];
    const last = this.turns.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else this.turns.push({ role, parts });
  }
}

function fitting(turns: readonly Turn[], total: number): HistoryBlock[] {
  const kept: HistoryBlock[] = [];
  let left = total - LEAD_BYTES;
  for (const { role, parts } of turns.toReversed()) {
    const isWhole = bytesOf(parts) <= left;
    // The newest turn is worth having even in part, and what was said without all that was noted about it.
    const isWorth =
      isWhole || kept.length === 0 || bytesOf(parts.filter(({ isNote }) => !isNote)) <= left / 2;
    const text = isWorth ? shortened(parts, left).join('\n') : '';
    if (text === '') break;
    kept.unshift({ role, text });
    if (!isWhole) break;
    left -= sizeOf(text);
  }
  return led(kept, kept.length < turns.length);
}

/** The caller has the first turn, and what was left out is noted there. */
function led(kept: readonly HistoryBlock[], isShort: boolean): HistoryBlock[] {
  const [first, ...others] = kept;
  if (first === undefined) return [];
  if (first.role === 'ASSISTANT') {
    return [{ role: 'USER', text: isShort ? LEFT_OUT : CALLER_IS_THERE }, ...kept];
  }
  return isShort ? [{ role: 'USER', text: `${LEFT_OUT}\n${first.text}` }, ...others] : [...kept];
}
