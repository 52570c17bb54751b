import { isObject } from '../common/json.ts';
import { Refusal } from './wire.ts';

/**
 * Checks a value as the service's parser of proto3 JSON does and returns it in its canonical form: names in camelCase,
 * nulls left out. Throws a Refusal (close 1007) that names the place in snake_case, as the service does.
 */
export type Reader = (value: unknown, path: string) => unknown;

function wrong(value: unknown, path: string, type: string): Refusal {
  const found = JSON.stringify(value) ?? 'undefined';
  return new Refusal(1007, `Invalid value at '${path}' (${type}), ${found.slice(0, 60)}`);
}

/** Anything at all, as it is: JSON Schemas, arguments, results. */
export const anything: Reader = (value) => value;

export const text: Reader = (value, path) => {
  if (typeof value !== 'string') throw wrong(value, path, 'TYPE_STRING');
  return value;
};

export const truth: Reader = (value, path) => {
  if (typeof value !== 'boolean') throw wrong(value, path, 'TYPE_BOOL');
  return value;
};

/** Numbers may be written as text. */
export const float: Reader = (value, path) => {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof number !== 'number' || Number.isNaN(number)) throw wrong(value, path, 'TYPE_FLOAT');
  return number;
};

export const int32: Reader = (value, path) => {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw wrong(value, path, 'TYPE_INT32');
  return number;
};

/** Canonical as text, for JSON numbers are too small for it. */
export const int64: Reader = (value, path) => {
  const digits = typeof value === 'number' ? String(value) : value;
  if (typeof digits !== 'string' || !/^-?\d+$/.test(digits)) throw wrong(value, path, 'TYPE_INT64');
  return digits;
};

/** Any JSON object. */
export const struct: Reader = (value, path) => {
  if (!isObject(value)) throw wrong(value, path, 'TYPE_MESSAGE');
  return value;
};

/** One of the names of an enum; the `…_UNSPECIFIED` of it counts as absent, so it is not among them. */
export function oneOf(...names: readonly string[]): Reader {
  return (value, path) => {
    if (typeof value !== 'string' || !names.includes(value)) throw wrong(value, path, 'TYPE_ENUM');
    return value;
  };
}

export function listOf(reader: Reader): Reader {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrong(value, path, 'TYPE_MESSAGE');
    return value.map((entry, index) => reader(entry, `${path}[${index}]`));
  };
}

/** A map with text as keys. */
export function mapOf(reader: Reader): Reader {
  return (value, path) => {
    if (!isObject(value)) throw wrong(value, path, 'TYPE_MESSAGE');
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, reader(entry, path)]));
  };
}

/** A message with these fields, named in camelCase; on the wire snake_case is good as well. */
export function message(fields: Readonly<Record<string, Reader>>): Reader {
  return (value, path) => {
    if (!isObject(value)) throw wrong(value, path, 'TYPE_MESSAGE');
    const read: Record<string, unknown> = {};
    for (const [name, entry] of Object.entries(value)) {
      const key = camel(name);
      const reader = Object.hasOwn(fields, key) ? fields[key] : undefined;
      if (reader === undefined) throw unknownName(name, path);
      if (entry !== null) read[key] = reader(entry, join(path, snake(key)));
    }
    return read;
  };
}

/** A message that may hold itself, such as a schema. */
export function lazy(reader: () => Reader): Reader {
  return (value, path) => reader()(value, path);
}

export function unknownName(name: string, path: string): Refusal {
  const place = path === '' ? '' : ` at '${path}'`;
  return new Refusal(
    1007,
    `Invalid JSON payload received. Unknown name "${name}"${place}: Cannot find field.`,
  );
}

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
