import { BridgeError } from '../errors.ts';
import { beginningOf } from '../short-text.ts';
import { JsonText } from './json-text.ts';

/** Beyond a result's limit, text is still made to tell how much there was; more of it would only cost. */
const SPARE_CHARACTERS = 100_000;

/**
 * What the model is told of what a handler has returned: text as it is, `{"ok":true}` for nothing, anything else as
 * JSON. Results longer than `maxCharacters` are cut, between characters, with a note at the end. What JSON has no
 * words for is made readable (see `JsonText`). Throws TOOL_FAILED for what is no result at all: a stream, a generator,
 * a Response, a function, bytes; the message says what to return instead.
 */
export function resultText(name: string, value: unknown, maxCharacters: number): string {
  const max = Math.max(0, maxCharacters);
  if (value === undefined) return '{"ok":true}';
  if (typeof value === 'string') return wellFormed(cut(value, max, `${value.length}`));
  const odd = oddity(value);
  if (odd !== undefined) throw new BridgeError('TOOL_FAILED', `function ${name} returned ${odd}`);
  const json = new JsonText(max + SPARE_CHARACTERS);
  json.write(value);
  const length = json.isCut ? `more than ${json.length}` : `${json.length}`;
  return wellFormed(cut(json.text, max, length));
}

function cut(text: string, max: number, length: string): string {
  if (text.length <= max) return text;
  const head = beginningOf(text, max);
  return `${head}… [cut: these are the first ${head.length} of ${length} characters of the result]`;
}

/** Half a character in the middle would make the whole message unreadable for some providers. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\uFFFD');
}

/** Why a value is no result; undefined: it is one. Handlers that forget an await return most of these. */
function oddity(value: unknown): string | undefined {
  if (typeof value === 'function') return 'a function; wanted: text or JSON';
  if (typeof value === 'symbol') return 'a symbol; wanted: text or JSON';
  if (typeof value !== 'object' || value === null) return undefined;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Blob) {
    return 'bytes; wanted: text or JSON';
  }
  if (value instanceof Response || ('bodyUsed' in value && 'status' in value))
    return 'a Response; wanted: text or JSON, such as `await response.json()`';
  if (Symbol.asyncIterator in value || value instanceof ReadableStream) {
    return 'a stream or an async generator; wanted: text or JSON when it is complete';
  }
  if (Symbol.iterator in value && 'next' in value) return 'a generator; wanted: text or JSON';
  return undefined;
}
