import { Ajv2020 } from 'ajv/dist/2020.js';
import * as z from 'zod';
import { BridgeError } from '../errors.ts';
import type { JsonSchema } from '../provider.ts';

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

/** Reads a zod 4 schema or a JSON Schema (2020-12) of an object. Throws BAD_INPUT for any other. */
export function readParameters(name: string, given: JsonSchema | z.ZodType | undefined): Parameters {
  if (given === undefined) return { schema: NO_PARAMETERS, check: jsonSchemaCheck(name, NO_PARAMETERS) };
  if (isZod(given)) return zodParameters(name, given);
  checkIsJsonSchema(name, given);
  checkIsObject(name, given);
  return { schema: given, check: jsonSchemaCheck(name, given) };
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

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function zodParameters(name: string, type: z.ZodType): Parameters {
  const { $schema: _version, ...schema } = jsonSchemaOf(name, type);
  checkIsObject(name, schema);
  return {
    schema,
    check(args) {
      const result = z.safeParse(type, args);
      if (result.success) return { ok: true, args: result.data };
      return { ok: false, problems: result.error.issues.map(problem) };
    },
  };
}

function jsonSchemaOf(name: string, type: z.ZodType): JsonSchema {
  try {
    // Its own copy of zod knows the descriptions that were given to it; the first versions have no such method.
    if (typeof type.toJSONSchema === 'function') return type.toJSONSchema({ io: 'input' });
    return z.toJSONSchema(type, { io: 'input' });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BridgeError('BAD_INPUT', `tool ${name}: the parameters have no JSON Schema: ${why}`, { cause });
  }
}

function problem({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}

function checkIsObject(name: string, schema: JsonSchema): void {
  if (schema['type'] === 'object') return;
  const found = JSON.stringify(schema['type']) ?? 'nothing';
  throw new BridgeError(
    'BAD_INPUT',
    `tool ${name}: found parameters of type ${found}, wanted those of an object`,
  );
}

/**
 * Compiles a JSON Schema (2020-12) into a check of arguments. Throws BAD_INPUT for a schema that is none; keywords
 * and formats that are not known are let pass, because models' dialects have more of them than the standard.
 */
function jsonSchemaCheck(
  name: string,
  schema: JsonSchema,
): (args: Readonly<Record<string, unknown>>) => CheckedArguments {
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false, logger: false });
  try {
    const { $schema: _version, $id: _id, ...plain } = schema;
    const validate = ajv.compile(plain);
    return (args) => {
      if (validate(args)) return { ok: true, args };
      const problems = (validate.errors ?? []).map(({ instancePath, message, params }) => {
        const place = instancePath === '' ? '' : `${instancePath.slice(1).replaceAll('/', '.')}: `;
        const allowed = 'allowedValues' in params ? `: ${JSON.stringify(params['allowedValues'])}` : '';
        return `${place}${message ?? 'not allowed'}${allowed}`;
      });
      return { ok: false, problems };
    };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BridgeError('BAD_INPUT', `tool ${name}: the parameters are no JSON Schema: ${why}`, { cause });
  }
}
