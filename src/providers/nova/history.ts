import type { HistoryItem } from '../../provider.ts';
import { utf8Tail } from './utf8.ts';

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

interface Turn {
  readonly role: 'USER' | 'ASSISTANT';
  readonly parts: string[];
}

/** Stands for the turn of a caller who had not said anything when the agent spoke. */
const CALLER_IS_THERE = note('The caller is on the line.');

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
 * and words of the system are notes in the caller's turns (in the agent's the model would learn to speak like that), and
 * the oldest turns are left out when all of it is too long.
 */
export function pastConversation(history: readonly HistoryItem[], limits: HistoryLimits): PastConversation {
  const past = new Past();
  for (const item of history) past.add(item);
  const blocks = past.turns.map(({ role, parts }) => ({ role, text: parts.join('\n') }));
  const unanswered = blocks.at(-1)?.role === 'USER' ? blocks.pop()?.text : undefined;
  return { blocks: fitting(blocks, limits.total), unanswered, notes: past.notes };
}

class Past {
  readonly turns: Turn[] = [];
  /** What came after something that the agent said: it belongs to what the caller says next. */
  notes: string[] = [];

  add(item: HistoryItem): void {
    const words = asNote(item);
    if (words !== undefined) this.#note(words);
    else if (item.type === 'message' && item.text.trim() !== '') this.#turn(item.role, item.text);
  }

  #note(words: string): void {
    const last = this.turns.at(-1);
    if (last?.role === 'USER') last.parts.push(words);
    else this.notes.push(words);
  }

  #turn(speaker: string, text: string): void {
    const role = speaker === 'user' ? 'USER' : 'ASSISTANT';
    const parts = role === 'USER' ? [...this.notes, text] : [text];
    if (role === 'USER') this.notes = [];
    const last = this.turns.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else this.turns.push({ role, parts });
  }
}

function fitting(blocks: readonly HistoryBlock[], total: number): HistoryBlock[] {
  const kept: HistoryBlock[] = [];
  let left = total - Buffer.byteLength(CALLER_IS_THERE);
  for (const block of blocks.toReversed()) {
    const bytes = Buffer.byteLength(block.text);
    if (bytes > left) {
      // The newest turn is worth having even in part.
      if (kept.length === 0) kept.push({ role: block.role, text: utf8Tail(block.text, left) });
      break;
    }
    kept.unshift(block);
    left -= bytes;
  }
  if (kept[0]?.role === 'ASSISTANT') kept.unshift({ role: 'USER', text: CALLER_IS_THERE });
  return kept;
}
