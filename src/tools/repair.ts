import { isRecord } from '../is-record.ts';
import type { JsonSchema } from '../provider.ts';
import { makeHarmless } from './arguments.ts';

/** Schemas that hold for one place; more are not gathered, so that recursive ones come to an end. */
const MAX_SCHEMAS = 64;

/**
 * A copy of arguments in which strings that hold JSON take the place of themselves where the schema wants no string
 * (`"4"` for a number, `"[1,2]"` for an array), and null is left out where it stands for an optional argument that
 * was not given. Undefined: there is nothing of that kind. Only for arguments that are wrong as they are, and only if
 * the copy is right: a string is never repaired where the schema might have wanted it.
 */
export function repairArguments(
  args: Readonly<Record<string, unknown>>,
  parameters: JsonSchema,
): Readonly<Record<string, unknown>> | undefined {
  const repair = new Repair(parameters);
  const repaired = repair.value(args, repair.gather([parameters]));
  return repair.count > 0 && isRecord(repaired) ? repaired : undefined;
}

class Repair {
  count = 0;
  readonly #root: JsonSchema;

  constructor(root: JsonSchema) {
    this.#root = root;
  }

  /** The schemas, those that they refer to and those that they are made of. */
  gather(given: readonly unknown[]): readonly JsonSchema[] {
    const found = new Set<JsonSchema>();
    const open = [...given];
    while (open.length > 0 && found.size < MAX_SCHEMAS) {
      const next = open.pop();
      if (!isRecord(next) || found.has(next)) continue;
      found.add(next);
      open.push(this.#resolve(next['$ref']));
      for (const keyword of ['allOf', 'anyOf', 'oneOf']) {
        const parts = next[keyword];
        if (Array.isArray(parts)) open.push(...parts.slice(0, MAX_SCHEMAS));
      }
    }
    return [...found];
  }

  value(value: unknown, schemas: readonly JsonSchema[]): unknown {
    const decoded = typeof value === 'string' ? this.#decode(value, schemas) : value;
    if (Array.isArray(decoded)) return this.#array(decoded, schemas);
    if (isRecord(decoded)) return this.#object(decoded, schemas);
    return decoded;
  }

  #array(items: readonly unknown[], schemas: readonly JsonSchema[]): unknown[] {
    const rest = this.gather(schemas.map((schema) => schema['items']));
    return items.map((item) => this.value(item, rest));
  }

  #object(value: Readonly<Record<string, unknown>>, schemas: readonly JsonSchema[]): Record<string, unknown> {
    const copy: Record<string, unknown> = {};
    for (const [key, child] of Object.entries(value)) {
      const own = this.gather(schemas.map((schema) => property(schema, key)));
      if (child === null && this.#standsForNothing(key, own, schemas)) this.count += 1;
      else copy[key] = this.value(child, own);
    }
    return copy;
  }

  #standsForNothing(key: string, own: readonly JsonSchema[], parents: readonly JsonSchema[]): boolean {
    const types = wantedTypes(own);
    if (types === undefined || types.has('null')) return false;
    return !parents.some(({ required }) => Array.isArray(required) && required.includes(key));
  }

  #decode(text: string, schemas: readonly JsonSchema[]): unknown {
    const types = wantedTypes(schemas);
    if (types === undefined || types.has('string')) return text;
    const decoded = parseOrUndefined(text);
    if (!types.has(typeOf(decoded)) || losesDigits(decoded)) return text;
    if (typeof decoded === 'object' && decoded !== null && !makeHarmless(decoded)) return text;
    this.count += 1;
    return decoded;
  }

  /** References to the outside were refused with the schema. */
  #resolve(reference: unknown): unknown {
    if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined;
    let place: unknown = this.#root;
    for (const part of reference.split('/').slice(1)) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      place = isRecord(place) && Object.hasOwn(place, key) ? place[key] : undefined;
    }
    return place;
  }
}

function property(schema: JsonSchema, key: string): unknown {
  const { properties, additionalProperties } = schema;
  return isRecord(properties) && Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
}

/** Undefined: no schema says, so that a string may be what is wanted. */
function wantedTypes(schemas: readonly JsonSchema[]): ReadonlySet<string> | undefined {
  const types = new Set<string>();
  for (const { type, const: only, enum: oneOf } of schemas) {
    for (const name of [type].flat()) if (typeof name === 'string') types.add(name);
    if (only !== undefined) types.add(typeOf(only));
    if (Array.isArray(oneOf)) for (const value of oneOf) types.add(typeOf(value));
  }
  if (types.has('integer')) types.add('number');
  return types.size === 0 ? undefined : types;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** An order number of twenty digits is not what it was any more. */
function losesDigits(value: unknown): boolean {
  return typeof value === 'number' && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER);
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
