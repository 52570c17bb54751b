import { isRecord } from '../is-record.ts';

/** Does something with a value that stands in a text in some encoding; the same value: it is left as it is. */
export type Change = (value: unknown) => unknown;

const MOST_DEPTH = 4;
const SHORTEST_BASE64 = 12;
const LONGEST_BASE64 = 65_536;

/**
 * A text that holds JSON, base64 of a text, or both, with `change` done to what it holds; undefined when it holds
 * nothing of the kind. What `change` leaves alone stays spelled as it was.
 */
export function withinText(text: string, change: Change, depth = 0): string | undefined {
  if (depth >= MOST_DEPTH) return undefined;
  return withinJson(text, change) ?? withinBase64(text, change, depth);
}

/** The text of a JSON object or list; undefined: it is none. */
function withinJson(text: string, change: Change): string | undefined {
  if (!/^\s*(?:\{|\[|")/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) && !Array.isArray(value) && typeof value !== 'string') return undefined;
  const changed = change(value);
  return JSON.stringify(changed) === JSON.stringify(value) ? text : spelled(changed, text);
}

/** With the blanks that people and Python put into JSON. */
function spelled(value: unknown, like: string): string {
  const compact = JSON.stringify(value);
  return /^\s*\{\s*"[^"]*":\s/.test(like)
    ? JSON.stringify(value, undefined, like.includes('\n') ? 2 : 0)
    : compact;
}

function withinBase64(text: string, change: Change, depth: number): string | undefined {
  if (text.length < SHORTEST_BASE64 || text.length > LONGEST_BASE64 || text.length % 4 === 1)
    return undefined;
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  const url = /[-_]/.test(text);
  const bytes = Buffer.from(text, url ? 'base64url' : 'base64');
  const inner = bytes.toString('utf8');
  if (!isPrintable(inner)) return undefined;
  const changed = withinText(inner, change, depth + 1) ?? change(inner);
  if (changed === inner || typeof changed !== 'string') return undefined;
  const encoded = Buffer.from(changed).toString(url ? 'base64url' : 'base64');
  return text.endsWith('=') ? encoded : encoded.replace(/=+$/, '');
}

/** Random bytes are hardly ever a text. */
function isPrintable(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a text has not.
  return !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd]/.test(text);
}

/** Ways to spell a text: as it is, in an address, a form, XML, JSON and base64. */
export const SPELLINGS: readonly ((text: string) => string)[] = [
  (text) => text,
  encodeURIComponent,
  (text) => encodeURIComponent(text).replaceAll('%20', '+'),
  xmlOf,
  (text) => JSON.stringify(text).slice(1, -1),
  (text) =>
    text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  (text) => Buffer.from(text).toString('base64').replace(/=+$/, ''),
];

/** A text as XML has it. */
export function xmlOf(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}
