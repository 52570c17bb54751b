import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
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

/** Compiling the schema of schemas takes ten times as long as a function's own, so that is done once. */
const DRAFT_2020 = new Ajv2020(OPTIONS);
const DRAFT_7 = new Ajv(OPTIONS);
const COMPILING = { ...OPTIONS, meta: false, validateSchema: false } as const;

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
  const draft = isOld ? DRAFT_7 : DRAFT_2020;
  if (draft.validateSchema(plain) !== true) {
    throw new Error(draft.errorsText(draft.errors?.slice(0, 1), { dataVar: 'parameters' }));
  }
  return (isOld ? new Ajv(COMPILING) : new Ajv2020(COMPILING)).compile(plain);
}
