import { isRecord } from '../is-record.ts';

/**
 * A copy of what JSON makes of a value, without the way over text; undefined for what is none. Throws what
 * `JSON.stringify` throws, or RangeError for a value that holds itself.
 */
export function asJson(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      // There is no -0 in JSON.
      return Number.isFinite(value) ? value + 0 : null;
    case 'object':
      return value === null ? null : objectAsJson(value);
    default:
      return byText(value);
  }
}

function objectAsJson(value: object): unknown {
  if (Array.isArray(value)) return Array.from(value, (inner: unknown) => asJson(inner) ?? null);
  if (!isRecord(value) || !isPlain(value)) return byText(value);
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const inner = asJson(value[name]);
    if (inner !== undefined) copy[name] = inner;
  }
  return copy;
}

/** Nothing of it is written in a way of its own, and an assignment to its names is one. */
function isPlain(value: Readonly<Record<string, unknown>>): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  const isOrdinary = prototype === Object.prototype || prototype === null;
  return isOrdinary && typeof value['toJSON'] !== 'function' && !Object.hasOwn(value, '__proto__');
}

function byText(value: unknown): unknown {
  const text: string | undefined = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}
