import { isObject, type JsonObject } from '../common/json.ts';

/** What the service ends a session with: its errors have a name and a message, nothing else. */
export class Refusal extends Error {
  readonly exception: string;

  constructor(message: string, exception = 'validationException') {
    super(message);
    this.name = 'Refusal';
    this.exception = exception;
  }
}

/** Throws a Refusal unless the value is what it should be; `path` is where it stands, as in `#/promptStart`. */
export type Rule = (value: unknown, path: string) => void;

function malformed(path: string, what: string): Refusal {
  return new Refusal(`Malformed input request: ${path}: ${what}, please reformat your input and try again.`);
}

/** Text; with `isFilled` not an empty one. */
export function text(isFilled = false): Rule {
  return (value, path) => {
    if (typeof value !== 'string') throw malformed(path, `expected type: String, found: ${typeName(value)}`);
    if (isFilled && value === '') throw malformed(path, 'expected minLength: 1, actual: 0');
  };
}

export function flag(): Rule {
  return (value, path) => {
    if (typeof value !== 'boolean')
      throw malformed(path, `expected type: Boolean, found: ${typeName(value)}`);
  };
}

/** A number of this range; both ends belong to it. */
export function number(min: number, max: number, isWhole = false): Rule {
  return (value, path) => {
    const fits = typeof value === 'number' && (isWhole ? Number.isInteger(value) : Number.isFinite(value));
    if (!fits)
      throw malformed(path, `expected type: ${isWhole ? 'Integer' : 'Number'}, found: ${typeName(value)}`);
    if (value < min || value > max) throw malformed(path, `${value} is not between ${min} and ${max}`);
  };
}

export function oneOf(...wanted: readonly unknown[]): Rule {
  return (value, path) => {
    if (wanted.includes(value)) return;
    throw malformed(path, `${JSON.stringify(value)} is not a valid enum value`);
  };
}

export function list(rule: Rule): Rule {
  return (value, path) => {
    if (!Array.isArray(value)) throw malformed(path, `expected type: JSONArray, found: ${typeName(value)}`);
    for (const [index, entry] of value.entries()) rule(entry, `${path}/${index}`);
  };
}

/** An object with these fields; names that end in `?` may be left out, and no others are allowed. */
export function object(fields: Readonly<Record<string, Rule>>): Rule {
  const rules = new Map(Object.entries(fields).map(([name, rule]) => [name.replace('?', ''), rule]));
  const required = Object.keys(fields).filter((name) => !name.endsWith('?'));
  return (value, path) => {
    if (!isObject(value)) throw malformed(path, `expected type: JSONObject, found: ${typeName(value)}`);
    for (const [name, field] of Object.entries(value)) {
      const rule = rules.get(name);
      if (rule === undefined) throw malformed(path, `extraneous key [${name}] is not permitted`);
      rule(field, `${path}/${name}`);
    }
    const missing = required.find((name) => !Object.hasOwn(value, name));
    if (missing !== undefined) throw malformed(path, `required key [${missing}] not found`);
  };
}

/** Text that holds a JSON object. */
export function jsonText(): Rule {
  return (value, path) => {
    text()(value, path);
    if (!isObject(parsed(String(value)))) throw malformed(path, 'expected a JSON schema as text');
  };
}

/** What the text says as JSON; undefined when it is none. */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** A field that a rule has checked to be text. */
export function textOf(body: JsonObject, name: string): string {
  return String(body[name] ?? '');
}

/** A field that a rule has checked to be an object; empty when it is left out. */
export function objectOf(body: JsonObject, name: string): JsonObject {
  const value = body[name];
  return isObject(value) ? value : {};
}

function typeName(value: unknown): string {
  if (value === null) return 'Null';
  if (Array.isArray(value)) return 'JSONArray';
  const name = typeof value;
  return name === 'object' ? 'JSONObject' : name.charAt(0).toUpperCase() + name.slice(1);
}
