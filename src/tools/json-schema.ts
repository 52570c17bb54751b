import { createRequire } from 'node:module';
import type { Ajv, Options, ValidateFunction } from 'ajv';
import type { JsonSchema } from '../provider.ts';

const OPTIONS = {
  allErrors: true,
  strict: false,
  validateFormats: false,
  logger: false,
  // Errors say what was found.
  verbose: true,
  // Or `constructor` and `toString`, which every object inherits, would be properties that are there.
  ownProperties: true,
} as const;

const COMPILING = { ...OPTIONS, meta: false, validateSchema: false } as const;

/** A version of the standard: whoever checks schemas, and whoever compiles one. */
interface Draft {
  readonly checker: Ajv;
  compiler(): Ajv;
}

/**
 * Loaded when the first schema comes, and at once, as functions are defined without waiting for anything: a service whose
 * functions have no schema would load a hundred modules for nothing. Compiling the schema of schemas takes ten times as
 * long as a function's own, so that is done once.
 */
const draft2020 = once(() => {
  const { Ajv2020 } = load<typeof import('ajv/dist/2020.js')>('ajv/dist/2020.js');
  return draftOf((options) => new Ajv2020(options));
});
const draft7 = once(() => {
  const { Ajv } = load<typeof import('ajv')>('ajv');
  return draftOf((options) => new Ajv(options));
});

function draftOf(make: (options: Options) => Ajv): Draft {
  return { checker: make(OPTIONS), compiler: () => make(COMPILING) };
}

function load<T>(name: string): T {
  return createRequire(import.meta.url)(name);
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/**
 * Compiles a JSON Schema (2020-12, or draft 7 if it says so) into its check, whose errors are verbose. Keywords and
 * formats that are not known are let pass, because models' dialects have more of them than the standard. Throws an
 * Error for a schema that is none, refers to the outside or is to be checked asynchronously.
 */
export function compileSchema(schema: JsonSchema): ValidateFunction {
  const { $schema: version, $id: _id, ...plain } = schema;
  // Its check would return a promise, which lets everything pass.
  if ('$async' in plain) throw new Error('$async is not taken');
  const isOld = typeof version === 'string' && /draft-0[67]/.test(version);
  const { checker, compiler } = isOld ? draft7() : draft2020();
  if (checker.validateSchema(plain) !== true) {
    throw new Error(checker.errorsText(checker.errors?.slice(0, 1), { dataVar: 'parameters' }));
  }
  return compiler().compile(plain);
}
