import { BridgeError } from '../../errors.ts';

/** A JSON object of the provider, not looked at yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** Whether a value is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object, or an empty one for anything else. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

/** The text, or undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The text as JSON; undefined when it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The `error` of an HTTP answer, undefined if it has none; some servers put the message where others put an object. */
export function errorOfBody(body: string): unknown {
  const error = fieldsOf(jsonOf(body))['error'];
  return typeof error === 'string' ? { message: error } : error;
}

/** A message with settings as JSON. Throws PROVIDER_CONFIG for values that JSON does not have, such as a BigInt. */
export function settingsText(message: Fields): string {
  try {
    return JSON.stringify(message);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n', 1)[0] : typeof cause;
    throw new BridgeError('PROVIDER_CONFIG', `the session settings cannot be written as JSON: ${why}`, {
      cause,
    });
  }
}

// More than any answer has tokens, or any session seconds: whoever counts can tell, and can still add it up.
const MOST = 1_000_000_000;

/** A count of tokens or seconds as it can be charged; 0 for anything else. */
export function countOf(value: unknown): number {
  return typeof value === 'number' && value > 0 ? Math.min(value, MOST) : 0;
}

/** Deeper than any settings: those that hold themselves have no end. */
const DEEPEST = 100;

/**
 * `over` on top of `base`, object by object; `under`: what a part of `over` is put on in the place of what is there.
 * Throws PROVIDER_CONFIG for settings that hold themselves.
 */
export function merged(
  base: Fields,
  over: Fields,
  under: (key: string, there: Fields, over: Fields) => Fields = (_key, there) => there,
  depth = 0,
): Fields {
  if (depth > DEEPEST) {
    throw new BridgeError('PROVIDER_CONFIG', `the session settings are more than ${DEEPEST} levels deep`);
  }
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined || key === '__proto__') continue;
    const there = result[key];
    result[key] =
      isFields(value) && isFields(there) ? merged(under(key, there, value), value, under, depth + 1) : value;
  }
  return result;
}
