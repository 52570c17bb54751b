import { isRecord } from '../is-record.ts';
import type { Line } from './format.ts';

/** Something of a text that is told little by little. */
export interface Delta {
  /** The same for all that is told of one text. */
  readonly key: string;
  readonly text: string;
  /** Where in the line it stands. */
  readonly path: readonly string[];
  /** A piece of the text; all that there is of it so far; or all of it. */
  readonly kind: 'piece' | 'so-far' | 'whole';
}

/** What of the pieces before and after can be a part of the same number. */
export const REACH = 64;

/** What a line tells of such a text; undefined: nothing. */
export function deltaOf(line: Line): Delta | undefined {
  if (!('msg' in line) || !isRecord(line.msg)) return undefined;
  if (line.on === 'call') return told(line.msg, 'so-far');
  if (line.on !== 'provider' || line.dir !== 'in') return undefined;
  const found = typed(line.msg, ['msg']) ?? gemini(line.msg);
  return found && { ...found, key: `${line.conn}:${found.key}` };
}

/** The line with this piece in the place of that. */
export function withDelta(line: Line, { path }: Delta, text: string): Line {
  // What stands at a path of texts is a text.
  return replaced(line, path, text) as Line;
}

function replaced(value: unknown, [name, ...rest]: readonly string[], text: string): unknown {
  if (name === undefined) return text;
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === name ? replaced(inner, rest, text) : inner]),
  );
}

type Json = Readonly<Record<string, unknown>>;

/** What observers are told, and sessions tell that are recorded as such. */
function told(message: Json, unfinished: 'piece' | 'so-far'): Delta | undefined {
  const { text, final, role, itemId } = message;
  if (typeof text !== 'string' || typeof final !== 'boolean') return undefined;
  const key = `${String(role)}:${String(itemId)}`;
  return { key, text, path: ['msg', 'text'], kind: final ? 'whole' : unfinished };
}

/** Of services whose messages have a type, and sessions that are recorded as such. */
function typed(message: Json, path: readonly string[]): Delta | undefined {
  const { type, event } = message;
  if (isRecord(event) && typeof event['type'] === 'string') return typed(event, [...path, 'event']);
  if (event === 'transcript') return told(message, 'piece');
  if (typeof type !== 'string' || !/transcript|text/.test(type)) return undefined;
  const [, stem = '', end = ''] = /^(.*)\.(delta|updated|done|completed)$/.exec(type) ?? [];
  const name = end === 'delta' ? 'delta' : typeof message['text'] === 'string' ? 'text' : 'transcript';
  const text = message[name];
  if (end === '' || typeof text !== 'string') return undefined;
  return { key: `${stem}:${placeOf(message)}`, text, path: [...path, name], kind: KINDS[end] ?? 'whole' };
}

const KINDS: Readonly<Record<string, Delta['kind']>> = { delta: 'piece', updated: 'so-far' };

function placeOf(message: Json): string {
  const item = message['item_id'] ?? message['response_id'] ?? '';
  return `${String(item)}:${String(message['content_index'] ?? '')}`;
}

function gemini({ serverContent }: Readonly<Record<string, unknown>>): Delta | undefined {
  if (!isRecord(serverContent)) return undefined;
  for (const side of ['inputTranscription', 'outputTranscription']) {
    const said = serverContent[side];
    if (isRecord(said) && typeof said['text'] === 'string') {
      return { key: side, text: said['text'], path: ['msg', 'serverContent', side, 'text'], kind: 'piece' };
    }
  }
  return undefined;
}
