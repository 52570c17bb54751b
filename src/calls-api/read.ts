import type { z } from 'zod';
import { BridgeError } from '../errors.ts';

type Issue = z.core.$ZodIssue;

/** How much of a name or a word of the request comes back in a message. */
const MAX_SHOWN = 40;

/**
 * What was sent, read by a schema. Throws one BAD_INPUT that names every mistake: field, found, wanted. Texts are told
 * by their length alone: they may be numbers, or what somebody is going to be told.
 * @param what how the whole is called when it is wrong itself: `the body`
 */
export function readInput<T extends z.ZodType>(schema: T, what: string, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const mistakes = new Map<string, string>();
  for (const issue of result.error.issues) {
    for (const [field, mistake] of mistakesOf(issue, what, value)) {
      // The first rule that is broken says what is wanted.
      if (!mistakes.has(field)) mistakes.set(field, `${field}: ${mistake}`);
    }
  }
  throw new BridgeError('BAD_INPUT', [...mistakes.values()].join('; '));
}

/** Numbers in a query come as text. */
export function withNumbers(query: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(query).map(([key, value]) => [
      key,
      typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value,
    ]),
  );
}

function mistakesOf(issue: Issue, what: string, whole: unknown): (readonly [string, string])[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => [
      shorten([...issue.path, key].join('.')),
      'found a field that nobody knows, wanted none of this name',
    ]);
  }
  if (issue.code === 'invalid_key') return [badKey(issue)];
  const field = issue.path.length === 0 ? what : issue.path.join('.');
  const value = valueAt(whole, issue.path);
  // A word out of a list is no secret, and shows the slip of the pen.
  const found =
    issue.code === 'invalid_value' && typeof value === 'string' ? quoted(value) : described(value);
  return [[field, `found ${found}, wanted ${issue.message}`]];
}

/** The issue is told of the value; what is wrong is the name that it has. */
function badKey({ path, issues }: z.core.$ZodIssueInvalidKey): readonly [string, string] {
  const wanted = issues.map(({ message }) => message).join('; ');
  const found = quoted(String(path.at(-1)));
  return [shorten(path.join('.')), `found the name ${found}, wanted ${wanted}`];
}

function valueAt(whole: unknown, path: readonly PropertyKey[]): unknown {
  let value = whole;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function described(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return `text of ${value.length} characters`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value);
    return keys.length === 0 ? 'an empty object' : `an object with ${shorten(keys.join(', '))}`;
  }
  return String(value);
}

function quoted(text: string): string {
  return JSON.stringify(shorten(text));
}

function shorten(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN - 1)}…`;
}
