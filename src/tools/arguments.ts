import { isRecord } from '../is-record.ts';

/** Longer texts of arguments are not even looked at; bytes of UTF-8. */
export const MAX_ARGUMENT_BYTES = 256 * 1024;
/** Deeper ones would exhaust the stack of whoever walks them, validators among them. */
const MAX_DEPTH = 64;
/** Text in text in text; more than that is no accident of encoding. */
const MAX_DECODINGS = 4;
const FENCE = '```';

/** What the model wrote, or what is wrong with it: `problem` for the model, without a value of the arguments. */
export type ReadArguments =
  | { readonly ok: true; readonly args: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads the arguments that a model wrote. Models get the envelope wrong more often than the content, so these are let
 * pass: no text or `null` for no arguments, JSON in a JSON string (up to three times), a byte order mark, a Markdown
 * fence, and closing brackets, fences or words after a complete object. A second object after the first is not: two
 * calls would become one. Nor is an unfinished object: its last value may be a part of what was meant.
 *
 * Keys that reach the prototype of an object are dropped.
 */
export function parseArguments(text: string): ReadArguments {
  if (text.length > MAX_ARGUMENT_BYTES || Buffer.byteLength(text) > MAX_ARGUMENT_BYTES) {
    return { ok: false, problem: `the arguments are larger than ${MAX_ARGUMENT_BYTES} bytes` };
  }
  let rest = text;
  for (let decoded = 0; decoded < MAX_DECODINGS; decoded++) {
    const read = readOnce(rest);
    if (!read.ok) return read;
    if (typeof read.value !== 'string') return asObject(read.value);
    rest = read.value;
  }
  return { ok: false, problem: 'the arguments are JSON in a string, many times over; wanted: a JSON object' };
}

type ReadJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string };

function readOnce(text: string): ReadJson {
  const plain = withoutWrapping(text);
  if (plain === '') return { ok: true, value: {} };
  try {
    return { ok: true, value: JSON.parse(plain) };
  } catch {
    return readFirstObject(plain);
  }
}

/** `trim` takes a byte order mark for white space. */
function withoutWrapping(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith(FENCE)) return trimmed;
  const inside = trimmed.slice(FENCE.length, trimmed.endsWith(FENCE) ? -FENCE.length : undefined);
  return inside.replace(/^[a-z]+(?=[\s{"])/i, '').trim();
}

function readFirstObject(text: string): ReadJson {
  const end = endOfObject(text);
  if (end === undefined) return { ok: false, problem: 'the arguments are not valid JSON' };
  if (end === text.length + 1) {
    return { ok: false, problem: 'the arguments are not valid JSON: the text ends in the middle' };
  }
  const after = text.slice(end);
  if (after.includes('{')) {
    return { ok: false, problem: 'the arguments are more than one JSON object; wanted: one for each call' };
  }
  try {
    return { ok: true, value: JSON.parse(text.slice(0, end)) };
  } catch {
    return { ok: false, problem: 'the arguments are not valid JSON' };
  }
}

/** Index after the `}` that closes the object at the beginning; `length + 1`: it never does; undefined: no object. */
function endOfObject(text: string): number | undefined {
  if (text[0] !== '{') return undefined;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '"') i = endOfString(text, i);
    else if (char === '{') depth += 1;
    else if (char === '}') {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return text.length + 1;
}

function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

function asObject(value: unknown): ReadArguments {
  if (value === null) return { ok: true, args: {} };
  if (!isRecord(value)) {
    const found = Array.isArray(value) ? 'an array' : `a ${typeof value}`;
    return { ok: false, problem: `the arguments are ${found}; wanted: a JSON object` };
  }
  if (!makeHarmless(value)) {
    return { ok: false, problem: `the arguments are nested more than ${MAX_DEPTH} levels deep` };
  }
  return { ok: true, args: value };
}

/**
 * Drops, in place, what JSON text may hold to reach a prototype through whoever copies or merges it: `__proto__`, and
 * a `constructor` with a `prototype`. False: deeper than is allowed.
 */
export function makeHarmless(root: object): boolean {
  const open: { readonly value: object; readonly depth: number }[] = [{ value: root, depth: 1 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, depth } = next;
    if (depth > MAX_DEPTH) return false;
    if (!Array.isArray(value)) dropPrototypeKeys(value);
    for (const child of Object.values(value)) {
      if (typeof child === 'object' && child !== null) open.push({ value: child, depth: depth + 1 });
    }
  }
  return true;
}

function dropPrototypeKeys(value: object): void {
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__');
  const own = Object.getOwnPropertyDescriptor(value, 'constructor')?.value;
  if (isRecord(own) && Object.hasOwn(own, 'prototype')) Reflect.deleteProperty(value, 'constructor');
}
