import type { ErrorObject } from 'ajv';
import type * as z from 'zod';
import { isRecord } from '../is-record.ts';
import { byNearness } from './nearest.ts';

type IsSecret = (key: string) => boolean;

/** The model does not read more; arguments of 256 KiB can be wrong in as many places. */
const MAX_PROBLEMS = 50;
const MAX_FOUND = 60;
const MAX_ALLOWED = 300;
const MAX_BRANCHES = 4;
/** Messages of zod that do not name the value; an author's own words are complete as they are. */
const ZOD_WORDS = /^(Invalid|Too (big|small))/;

/**
 * What is wrong with arguments, one line a place: the place, what is wanted, what was found there. What was found
 * under a secret name is only said by its kind. The errors must be verbose.
 */
export function ajvProblems(errors: readonly ErrorObject[], isSecret: IsSecret): readonly string[] {
  return errors.slice(0, MAX_PROBLEMS).map((error) => {
    const path = error.instancePath.split('/').slice(1).map(unescaped);
    return ajvProblem(error, path, isSecret);
  });
}

function ajvProblem(error: ErrorObject, path: readonly string[], isSecret: IsSecret): string {
  const params: Readonly<Record<string, unknown>> = error.params;
  const { message = 'is not allowed' } = error;
  switch (error.keyword) {
    case 'required':
      return `${at([...path, String(params['missingProperty'])])}it is missing`;
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key = String(params['additionalProperty'] ?? params['unevaluatedProperty']);
      return `${at([...path, short(key)])}there is no such parameter${alternative(key, error.parentSchema)}`;
    }
    case 'enum':
      return `${at(path)}must be one of ${list(params['allowedValues'])}${found(error.data, path, isSecret)}`;
    case 'const':
      return `${at(path)}must be ${list(params['allowedValue'])}${found(error.data, path, isSecret)}`;
    default:
      return `${at(path)}${message}${found(error.data, path, isSecret)}`;
  }
}

/** The same for the issues of a zod schema; their input must be reported. */
export function zodProblems(issues: readonly z.core.$ZodIssue[], isSecret: IsSecret): readonly string[] {
  return issues.slice(0, MAX_PROBLEMS).map((issue) => zodProblem(issue, [], isSecret));
}

function zodProblem(issue: z.core.$ZodIssue, above: readonly string[], isSecret: IsSecret): string {
  const path = [...above, ...issue.path.map(String)];
  const branches = issue.code === 'invalid_union' ? issue.errors.slice(0, MAX_BRANCHES) : [];
  const wanted = branches
    .map((branch) => branch.map((inside) => zodProblem(inside, path, () => true)).join(', '))
    .filter((text) => text !== '');
  const message = wanted.length > 0 ? `none of these holds: ${wanted.join('; or ')}` : issue.message;
  const isPlain = issue.input !== undefined && ZOD_WORDS.test(issue.message);
  return `${at(path)}${message}${isPlain ? found(issue.input, path, isSecret) : ''}`;
}

function at(path: readonly string[]): string {
  return path.length === 0 ? '' : `${path.map(short).join('.')}: `;
}

function short(key: string): string {
  return key.length > MAX_FOUND ? `${key.slice(0, MAX_FOUND)}…` : key;
}

function unescaped(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

function alternative(key: string, schema: unknown): string {
  const properties = isRecord(schema) && isRecord(schema['properties']) ? schema['properties'] : {};
  const [nearest] = byNearness(key, Object.keys(properties).slice(0, MAX_PROBLEMS));
  return nearest === undefined ? '' : `; the nearest is ${nearest}`;
}

function list(values: unknown): string {
  const text = JSON.stringify(values) ?? 'nothing';
  return text.length > MAX_ALLOWED ? `${text.slice(0, MAX_ALLOWED)}…` : text;
}

function found(value: unknown, path: readonly string[], isSecret: IsSecret): string {
  return `, found ${path.some(isSecret) ? kind(value) : shown(value)}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' && value.length <= MAX_FOUND ? JSON.stringify(value) : kind(value, true);
}

/** Objects are not asked for their text: `toString` may be one of the arguments. */
function kind(value: unknown, exactly = false): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return `a string of ${value.length} characters`;
  return exactly ? String(value) : `a ${typeof value}`;
}
