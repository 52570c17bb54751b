import type { JsonSchema } from '../provider.ts';
import type { CheckedArguments } from './parameters.ts';
import { zodProblems } from './problems.ts';

/**
 * Parameters of the bridge's own functions. A zod schema would say the same: but whoever has no other functions would
 * load a hundred modules for these few, and that takes longer than anything else at the start.
 */

/** One parameter: what the model is told of it, and what is wrong with a value; `zod` has the same words for it. */
export interface Parameter<T> {
  readonly schema: JsonSchema;
  readonly isOptional: boolean;
  /** Undefined: the value is a T. The value is undefined where there is none. */
  problem(value: unknown): string | undefined;
  /** Carries the type, and is never there. */
  readonly type?: T;
}

type Shape = Readonly<Record<string, Parameter<unknown>>>;
type Values<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Parameter<infer T> ? T : never;
};

/** The parameters of one function. */
export interface PlainParameters<A> {
  readonly schema: JsonSchema;
  /** What is let through is an `A` without anything else that the model has written. */
  check(args: Readonly<Record<string, unknown>>, isSecret: (key: string) => boolean): CheckedArguments;
  /** Carries the type, and is never there. */
  readonly type?: A;
}

/** The parameters of a function by their names. */
export function plainParameters<const S extends Shape>(shape: S): PlainParameters<Values<S>> {
  const entries = Object.entries(shape);
  const required = entries.filter(([, { isOptional }]) => !isOptional).map(([name]) => name);
  return {
    schema: {
      type: 'object',
      properties: Object.fromEntries(entries.map(([name, { schema }]) => [name, schema])),
      ...(required.length === 0 ? {} : { required }),
    },
    check(args, isSecret) {
      const known: [string, unknown][] = [];
      const issues: Parameters<typeof zodProblems>[0][number][] = [];
      for (const [name, { isOptional, problem }] of entries) {
        const input = Object.hasOwn(args, name) ? args[name] : undefined;
        if (input === undefined && isOptional) continue;
        const message = problem(input);
        if (message === undefined) known.push([name, input]);
        else issues.push({ code: 'custom', path: [name], message, input });
      }
      if (issues.length === 0) return { ok: true, args: Object.fromEntries(known) };
      return { ok: false, problems: zodProblems(issues, isSecret) };
    },
  };
}

/** It may be left out; `description` says to the model what it is. */
export function optional<T>(parameter: Parameter<T>, description: string): Parameter<T | undefined> {
  return { ...parameter, schema: { description, ...parameter.schema }, isOptional: true };
}

/** `description` says to the model what it is. */
export function described<T>(parameter: Parameter<T>, description: string): Parameter<T> {
  return { ...parameter, schema: { ...parameter.schema, description } };
}

/** Text of `min` to `max` characters, of which an emoji is one; default: any. */
export function textOf(min = 0, max = Number.POSITIVE_INFINITY): Parameter<string> {
  return {
    schema: {
      type: 'string',
      ...(min > 0 ? { minLength: min } : {}),
      ...(max < Number.POSITIVE_INFINITY ? { maxLength: max } : {}),
    },
    isOptional: false,
    problem(value) {
      if (typeof value !== 'string') return invalid('string', value);
      const { length } = [...value];
      if (length < min) return `Too small: expected string to have >=${min} characters`;
      if (length > max) return `Too big: expected string to have <=${max} characters`;
      return undefined;
    },
  };
}

/** Text of a certain form, which `wanted` describes. */
export function matching(pattern: RegExp, wanted: string): Parameter<string> {
  return {
    schema: { type: 'string', pattern: pattern.source },
    isOptional: false,
    problem(value) {
      if (typeof value !== 'string') return invalid('string', value);
      return pattern.test(value) ? undefined : wanted;
    },
  };
}

/** One of these words. */
export function oneOf<const T extends string>(words: readonly T[]): Parameter<T> {
  const all: readonly unknown[] = words;
  const options = words.map((word) => `"${word}"`).join('|');
  return {
    schema: { type: 'string', enum: words },
    isOptional: false,
    problem: (value) => (all.includes(value) ? undefined : `Invalid option: expected one of ${options}`),
  };
}

/** A whole number from `min` to `max`, both of which are safe integers. */
export function whole(min: number, max: number): Parameter<number> {
  return {
    schema: { type: 'integer', minimum: min, maximum: max },
    isOptional: false,
    problem(value) {
      if (typeof value !== 'number' || !Number.isFinite(value)) return invalid('number', value);
      if (!Number.isInteger(value)) return 'Invalid input: expected int, received number';
      if (value < min) return `Too small: expected number to be >=${min}`;
      if (value > max) return `Too big: expected number to be <=${max}`;
      return undefined;
    },
  };
}

function invalid(wanted: string, value: unknown): string {
  return `Invalid input: expected ${wanted}, received ${kindOf(value)}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return typeof value;
}
