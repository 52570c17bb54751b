import { isRecord } from '../is-record.ts';
import type { Line } from './format.ts';

/** A piece of what is said that comes in pieces. */
export interface Delta {
  /** The same for all pieces of one text. */
  readonly key: string;
  readonly text: string;
  /** Where in the line it stands. */
  readonly path: readonly string[];
}

/** What of the pieces before and after can be a part of the same number. */
export const REACH = 64;

/** What of a line is a piece of a text; undefined: nothing. */
export function deltaOf(line: Line): Delta | undefined {
  if (line.on !== 'provider' || line.dir !== 'in' || !('msg' in line) || !isRecord(line.msg))
    return undefined;
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

/** Of services whose messages have a type, and sessions that are recorded as such. */
function typed(message: Readonly<Record<string, unknown>>, path: readonly string[]): Delta | undefined {
  const { type, delta, event } = message;
  if (isRecord(event) && typeof event['type'] === 'string') return typed(event, [...path, 'event']);
  if (event === 'transcript' && typeof message['text'] === 'string') {
    if (message['final'] === true) return undefined;
    return {
      key: `${String(message['role'])}:${String(message['itemId'])}`,
      text: message['text'],
      path: [...path, 'text'],
    };
  }
  if (typeof type !== 'string' || typeof delta !== 'string' || !/transcript|text/.test(type))
    return undefined;
  const item = message['item_id'] ?? message['response_id'] ?? '';
  return {
    key: `${type}:${String(item)}:${String(message['content_index'] ?? '')}`,
    text: delta,
    path: [...path, 'delta'],
  };
}

function gemini({ serverContent }: Readonly<Record<string, unknown>>): Delta | undefined {
  if (!isRecord(serverContent)) return undefined;
  for (const side of ['inputTranscription', 'outputTranscription']) {
    const said = serverContent[side];
    if (isRecord(said) && typeof said['text'] === 'string') {
      return { key: side, text: said['text'], path: ['msg', 'serverContent', side, 'text'] };
    }
  }
  return undefined;
}
