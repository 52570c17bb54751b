import { assertNever } from '../../errors.ts';
import type { HistoryItem, TextOptions } from '../../provider.ts';
import { type Fields, textOf } from '../common/fields.ts';
import { BY_CHARACTERS, fittingHistory, type HistoryRoom } from '../common/history.ts';
import { sayExactly, textOrKeys } from '../common/told.ts';
import type { Dialect } from './dialect.ts';
import { HISTORY } from './facts.ts';
import type { Correction } from './responses.ts';

/** What a message of ours is about; it leads its event id, so that an error that names the id can be judged. */
export type Topic = 'session' | 'item' | 'response' | 'cancel' | 'truncate' | 'delete' | 'history';

const TOPICS: ReadonlySet<string> = new Set<Topic>([
  'session',
  'item',
  'response',
  'cancel',
  'truncate',
  'delete',
  'history',
]);

function isTopic(text: string | undefined): text is Topic {
  return text !== undefined && TOPICS.has(text);
}

/** The topic of one of our event ids, `pc_truncate_7`; undefined for an id that is not ours. */
export function topicOf(eventId: string | undefined): Topic | undefined {
  const topic = eventId?.startsWith('pc_') ? eventId.split('_', 2)[1] : undefined;
  return isTopic(topic) ? topic : undefined;
}

export function messageItem(
  role: 'user' | 'assistant' | 'system',
  text: string,
  { assistantText }: Pick<Dialect, 'assistantText'>,
): Fields {
  return {
    type: 'message',
    role,
    content: [{ type: role === 'assistant' ? assistantText : 'input_text', text }],
  };
}

export function callItem(callId: string, name: string, args: string): Fields {
  return { type: 'function_call', call_id: callId, name, arguments: args };
}

export function resultItem(callId: string, output: string): Fields {
  return { type: 'function_call_output', call_id: callId, output };
}

const ROOM: HistoryRoom = Object.freeze({
  maxItems: HISTORY.maxItems,
  maxSize: HISTORY.maxCharacters,
  measure: BY_CHARACTERS,
  extraSize: 0,
});

/**
 * The conversation so far as items, in order, as far as there is room for it. Calls get ids of their own: those of another
 * provider may be longer than the 32 characters that this one takes (AidenAI-IO/aiden-firmware#651), and only have to tell
 * the pairs apart.
 */
export function historyItems(history: readonly HistoryItem[], dialect: Dialect): readonly Fields[] {
  const items: Fields[] = [];
  for (const [at, item] of fittingHistory(history, ROOM).entries()) {
    if (item.type === 'message') {
      items.push(messageItem(item.role, item.text, dialect));
      continue;
    }
    const callId = `call_history_${at + 1}`;
    items.push(callItem(callId, item.name, item.args));
    items.push(resultItem(callId, item.output));
  }
  return items;
}

/** What the model reads when a text of ours or keys of the telephone come in. */
export function textFor(text: string, options: TextOptions): string {
  return textOrKeys(text, options.digits) ?? text;
}

/** Under this name the fields of a request hold a text that the server speaks without the model. */
const SCRIPT = 'force_message';

/** What a dialect makes of a text that the agent has to say, and what it needs to know for it. */
export interface Saying {
  readonly dialect: Dialect;
  /** Of the session. */
  readonly instructions: string;
  readonly language: string | undefined;
}

/** Fields of a response in which `text` is said and nothing else. */
export function sayFields(text: string, saying: Saying): Fields {
  const { dialect } = saying;
  switch (dialect.script) {
    case 'force-message':
      return { [SCRIPT]: text };
    case 'pre-generated':
      return { pre_generated_assistant_message: messageItem('assistant', text, dialect) };
    case 'instructions':
      return orderFields(text, saying);
    default:
      return assertNever(dialect.script);
  }
}

// Instructions of a response replace the session's.
function orderFields(text: string, { dialect, instructions, language }: Saying): Fields {
  const order = sayExactly(text, language);
  return {
    instructions: instructions === '' ? order : `${instructions}\n\n${order}`,
    ...(dialect.quietsFunctions ? { tool_choice: 'none' } : {}),
  };
}

/** The message that asks for a response: a text that the server speaks by itself is an item, and no request follows. */
export function requestMessage(fields: Fields): Fields {
  const script = textOf(fields[SCRIPT]);
  if (script === undefined) return { type: 'response.create', response: fields };
  const content = [{ type: 'output_text', text: script }];
  const item = { type: SCRIPT, role: 'assistant', interruptible: true, content };
  return { type: 'conversation.item.create', item };
}

export function correctionMessage(correction: Correction): Fields {
  if (correction.type === 'delete') return { type: 'conversation.item.delete', item_id: correction.itemId };
  return {
    type: 'conversation.item.truncate',
    item_id: correction.itemId,
    content_index: correction.contentIndex,
    audio_end_ms: correction.endMs,
  };
}
