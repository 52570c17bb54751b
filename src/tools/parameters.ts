import { createRequire } from 'node:module';
import type * as z from 'zod';
import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { JsonSchema } from '../provider.ts';
import { compileSchema } from './json-schema.ts';
import { ajvProblems, zodProblems } from './problems.ts';
import { secretNames } from './redaction.ts';

/** What became of arguments: what the handler is given, or what the model got wrong, in words that it can act on. */
export type CheckedArguments =
  | { readonly ok: true; readonly args: unknown }
  | { readonly ok: false; readonly problems: readonly string[] };

const NO_PARAMETERS: JsonSchema = { type: 'object', properties: {} };

/** The parameters of a function: what the model is told of them, and the check of what it then writes. */
interface Parameters {
  readonly schema: JsonSchema;
  check(args: Readonly<Record<string, unknown>>): CheckedArguments;
}

/** Larger ones cost every session more than they are worth, and some servers would have us compile anything. */
const MAX_SCHEMA_CHARACTERS = 100_000;

/**
 * Reads a zod 4 schema or a JSON Schema (2020-12, or draft 7 if it says so) of an object. Throws BAD_INPUT for any
 * other, for one that refers to the outside, and for one of more than 100,000 characters.
 * @param redact names of arguments whose values are not repeated to the model
 */
export function readParameters(
  name: string,
  given: JsonSchema | z.ZodType | undefined,
  redact: readonly string[] = [],
): Parameters {
  const isSecret = secretNames(redact);
  // Not compiled, which would load a compiler: whatever is written there is let through, and not read.
  if (given === undefined) return { schema: NO_PARAMETERS, check: (args) => ({ ok: true, args }) };
  const schema = given;
  if (isZod(schema)) return zodParameters(name, schema, isSecret);
  checkIsJsonSchema(name, schema);
  checkIsObject(name, schema);
  checkSize(name, schema);
  return { schema, check: jsonSchemaCheck(name, schema, isSecret) };
}

function checkSize(name: string, schema: JsonSchema): void {
  let length: number;
  try {
    length = JSON.stringify(schema).length;
  } catch (cause) {
    throw new BridgeError('BAD_INPUT', `tool ${name}: the parameters cannot be written as JSON`, { cause });
  }
  if (length <= MAX_SCHEMA_CHARACTERS) return;
  throw new BridgeError(
    'BAD_INPUT',
    `tool ${name}: found parameters of ${length} characters, wanted at most ${MAX_SCHEMA_CHARACTERS}`,
  );
}

/** By what zod 4 schemas have and not by class: a module of handlers may bring a zod of its own. */
function isZod(given: object): given is z.ZodType {
  return '_zod' in given;
}

/** A schema of another library would be taken for a JSON Schema without keywords, which lets everything pass. */
function checkIsJsonSchema(name: string, given: object): void {
  const standard: unknown = '~standard' in given ? given['~standard'] : undefined;
  const vendor = isRecord(standard) ? standard['vendor'] : undefined;
  const isOldZod = vendor === 'zod' || (isRecord(given) && isRecord(given['_def']));
  if (!isOldZod && standard === undefined && isRecord(given) && !Array.isArray(given)) return;
  const found = isOldZod ? 'zod 3' : typeof vendor === 'string' ? vendor : 'something else';
  throw new BridgeError(
    'BAD_INPUT',
    `tool ${name}: found parameters made by ${found}, wanted a zod 4 schema of an object or a JSON Schema`,
  );
}

function zodParameters(name: string, type: z.ZodType, isSecret: (key: string) => boolean): Parameters {
  const { $schema: _version, ...schema } = jsonSchemaOf(name, type);
  checkIsObject(name, schema);
  const safeParse = parserOf(type);
  return {
    schema,
    check(args) {
      const result = safeParse(args);
      if (result.success) return { ok: true, args: result.data };
      return { ok: false, problems: zodProblems(result.error.issues, isSecret) };
    },
  };
}

/** Whoever brings such a schema has loaded a zod of their own; only one without methods, of `zod/mini`, needs ours. */
function parserOf(type: z.ZodType): (args: unknown) => z.ZodSafeParseResult<unknown> {
  if (typeof type.safeParse === 'function') return (args) => type.safeParse(args, { reportInput: true });
  const zod = ownZod();
  return (args) => zod.safeParse(type, args, { reportInput: true });
}

/** Loaded when it is needed, and at once: functions are defined without waiting for anything. */
function ownZod(): typeof z {
  return createRequire(import.meta.url)('zod');
}

function jsonSchemaOf(name: string, type: z.ZodType): JsonSchema {
  try {
    // Its own copy of zod knows the descriptions that were given to it; the first versions have no such method.
    if (typeof type.toJSONSchema === 'function') return type.toJSONSchema({ io: 'input' });
    return ownZod().toJSONSchema(type, { io: 'input' });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BridgeError('BAD_INPUT', `tool ${name}: the parameters have no JSON Schema: ${why}`, { cause });
  }
}

function checkIsObject(name: string, schema: JsonSchema): void {
  if (schema['type'] === 'object') return;
  const found = JSON.stringify(schema['type']) ?? 'nothing';
  throw new BridgeError(
    'BAD_INPUT',
    `tool ${name}: found parameters of type ${found}, wanted those of an object`,
  );
}

function jsonSchemaCheck(
  name: string,
  schema: JsonSchema,
  isSecret: (key: string) => boolean,
): Parameters['check'] {
  try {
    const validate = compileSchema(schema);
    return (args) => {
      if (validate(args)) return { ok: true, args };
      return { ok: false, problems: ajvProblems(validate.errors ?? [], isSecret) };
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BridgeError('BAD_INPUT', `tool ${name}: the parameters are no JSON Schema: ${why}`, { cause });
  }
}
