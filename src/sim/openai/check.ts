import { isObject } from '../common/json.ts';
import { Refusal } from './wire.ts';

/** Throws a Refusal, worded as the service words it, when `value` is not what the rule wants at `path`. */
export type Rule = (value: unknown, path: string) => void;

/** What a value is called in messages. */
function kind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function wrongType(path: string, wanted: string, value: unknown): Refusal {
  const message = `Invalid type for '${path}': expected ${wanted}, but got ${kind(value)} instead.`;
  return new Refusal('invalid_type', message, path);
}

function list(values: readonly string[]): string {
  const quoted = values.map((value) => `'${value}'`);
  const last = quoted.pop();
  return quoted.length === 0 ? `${last}` : `${quoted.join(', ')}, and ${last}`;
}

/** The refusal of a value that is not in a list of words. */
export function notOneOf(path: string, value: unknown, values: readonly string[]): Refusal {
  const shown = typeof value === 'string' ? value : JSON.stringify(value);
  const message = `Invalid value: '${shown}'. Supported values are: ${list(values)}.`;
  return new Refusal('invalid_value', message, path);
}

/** The refusal of a field that has to be there. */
export function missing(path: string): Refusal {
  return new Refusal('missing_required_parameter', `Missing required parameter: '${path}'.`, path);
}

/** Anything at all. */
export const anything: Rule = () => {};

export const text: Rule = (value, path) => {
  if (typeof value !== 'string') throw wrongType(path, 'a string', value);
};

export const truth: Rule = (value, path) => {
  if (typeof value !== 'boolean') throw wrongType(path, 'a boolean', value);
};

export const record: Rule = (value, path) => {
  if (!isObject(value)) throw wrongType(path, 'an object', value);
};

function limits(value: number, min: number, max: number, path: string, noun: string): void {
  if (value >= min && value <= max) return;
  const side = value < min ? 'below minimum' : 'above maximum';
  const sign = value < min ? `>= ${min}` : `<= ${max}`;
  const code = `${noun}_${value < min ? 'below_min' : 'above_max'}_value`;
  const message = `Invalid '${path}': ${noun} ${side} value. Expected a value ${sign}, but got ${value} instead.`;
  throw new Refusal(code, message, path);
}

/** A whole number from `min` to `max`. */
export function whole(min: number, max = Number.POSITIVE_INFINITY): Rule {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(path, 'an integer', value);
    limits(value, min, max, path, 'integer');
  };
}

/** Any number from `min` to `max`. */
export function decimal(min: number, max: number): Rule {
  return (value, path) => {
    if (typeof value !== 'number') throw wrongType(path, 'a decimal number', value);
    limits(value, min, max, path, 'decimal');
  };
}

export function oneOf(...values: readonly string[]): Rule {
  return (value, path) => {
    if (typeof value !== 'string' || !values.includes(value)) throw notOneOf(path, value, values);
  };
}

/** `rule`, or null. */
export function nullable(rule: Rule): Rule {
  return (value, path) => {
    if (value !== null) rule(value, path);
  };
}

/** Whichever rule of `words` and `rule` fits: one of the words, or what `rule` takes. */
export function wordOr(words: readonly string[], rule: Rule): Rule {
  return (value, path) => {
    if (typeof value === 'string' && words.includes(value)) return;
    if (typeof value === 'string') throw notOneOf(path, value, words);
    rule(value, path);
  };
}

export function arrayOf(rule: Rule): Rule {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrongType(path, 'an array', value);
    for (const [index, entry] of value.entries()) rule(entry, `${path}[${index}]`);
  };
}

/** An object with no other fields than `fields`, of which `required` must be there. */
export function object(fields: Readonly<Record<string, Rule>>, required: readonly string[] = []): Rule {
  return (value, path) => {
    if (!isObject(value)) throw wrongType(path, 'an object', value);
    for (const name of required) {
      if (value[name] === undefined) throw missing(join(path, name));
    }
    for (const [name, field] of Object.entries(value)) checkField(fields, name, field, join(path, name));
  };
}

function checkField(fields: Readonly<Record<string, Rule>>, name: string, field: unknown, at: string): void {
  const rule = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (rule === undefined) throw new Refusal('unknown_parameter', `Unknown parameter: '${at}'.`, at);
  rule(field, at);
}

/** An object whose field `tag` says which of the rules holds for it. */
export function tagged(tag: string, rules: Readonly<Record<string, Rule>>): Rule {
  return (value, path) => {
    if (!isObject(value)) throw wrongType(path, 'an object', value);
    const name = value[tag];
    if (name === undefined) throw missing(join(path, tag));
    const rule = typeof name === 'string' && Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) throw notOneOf(join(path, tag), name, Object.keys(rules));
    rule(value, path);
  };
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
