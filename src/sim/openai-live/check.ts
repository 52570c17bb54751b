import { isObject } from '../common/json.ts';
import { Refusal } from './wire.ts';

/** Throws a Refusal when `value` is not what the rule wants at `path`. */
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

/** The refusal of a value that is not in a list of words; the service names them all. */
export function notOneOf(path: string, value: unknown, values: readonly string[]): Refusal {
  const shown = typeof value === 'string' ? value : JSON.stringify(value);
  const list = values.map((one) => `'${one}'`).join(', ');
  return new Refusal('invalid_value', `Invalid value: '${shown}'. Supported values are: ${list}.`, path);
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

/** A whole number, `min` or more. */
export function whole(min: number): Rule {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(path, 'an integer', value);
    if (value >= min) return;
    const message = `Invalid '${path}': integer below minimum value. Expected a value >= ${min}, but got ${value} instead.`;
    throw new Refusal('integer_below_min_value', message, path);
  };
}

export function oneOf(...values: readonly string[]): Rule {
  return (value, path) => {
    if (typeof value !== 'string' || !values.includes(value)) throw notOneOf(path, value, values);
  };
}

/** One number of a list. */
export function numberOf(...values: readonly number[]): Rule {
  return (value, path) => {
    if (typeof value !== 'number' || !values.includes(value)) throw notOneOf(path, value, values.map(String));
  };
}

/** `rule`, or null. */
export function nullable(rule: Rule): Rule {
  return (value, path) => {
    if (value !== null) rule(value, path);
  };
}

/** A string that `words` takes, or an object that `rule` takes. */
export function textOr(words: Rule, rule: Rule): Rule {
  return (value, path) => (typeof value === 'string' ? words : rule)(value, path);
}

export function arrayOf(rule: Rule, most = Number.POSITIVE_INFINITY): Rule {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrongType(path, 'an array', value);
    if (value.length > most) {
      const message = `Invalid '${path}': array too long. Expected an array with maximum length ${most}, but got an array with length ${value.length} instead.`;
      throw new Refusal('array_above_max_length', message, path);
    }
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
    for (const [name, field] of Object.entries(value)) {
      const at = join(path, name);
      const rule = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (rule === undefined) throw new Refusal('unknown_parameter', `Unknown parameter: '${at}'.`, at);
      rule(field, at);
    }
  };
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
