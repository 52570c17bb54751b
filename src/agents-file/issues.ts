import type { z } from 'zod';
import { isRecord } from '../is-record.ts';
import type { Path } from './document.ts';
import { alternatives } from './fields.ts';
import type { MistakeList } from './mistakes.ts';
import { valueAt } from './plain-data.ts';
import { foundWords, isSecret, meant, suggestion } from './words.ts';

/** Turns what zod has to say into mistakes in the words of the bridge. */

type Issue = z.core.$ZodIssue;

/** What an issue says whose schema has no words of its own. */
const NO_WORDS = '\0';
/** A message that is a sentence already, and not only what was wanted. */
const SENTENCE = /^(?:found|not|no|nothing|goes) |, wanted |\b(?:is|are|uses|needs) /;

/** Checks a value whole; every mistake goes to the list. Undefined when there was one. */
export function checkWith<S extends z.ZodType>(
  schema: S,
  value: unknown,
  mistakes: MistakeList,
): z.output<S> | undefined {
  const result = schema.safeParse(value, { error: () => NO_WORDS });
  if (result.success) return result.data;
  const report = new Report(schema, value, mistakes);
  report.issues(result.error.issues, []);
  return undefined;
}

class Report {
  readonly #schema: z.core.$ZodType;
  readonly #value: unknown;
  readonly #mistakes: MistakeList;
  /** Values of a wrong kind, of which there is nothing more to say. */
  readonly #misfits = new Set<string>();

  constructor(schema: z.core.$ZodType, value: unknown, mistakes: MistakeList) {
    this.#schema = schema;
    this.#value = value;
    this.#mistakes = mistakes;
  }

  issues(issues: readonly Issue[], above: Path): void {
    for (const issue of issues) {
      // A key that is missing because it is misspelt is one mistake.
      const path = [...above, ...issue.path];
      const missing = path.length > 0 && valueAt(this.#value, path) === undefined;
      if (!missing || !issues.some((other) => explains(other, issue))) this.#issue(issue, above);
    }
  }

  #issue(issue: Issue, above: Path): void {
    const path = [...above, ...issue.path];
    if (issue.code === 'unrecognized_keys') this.#unknownKeys(issue.keys, path);
    else if (issue.code === 'invalid_key') this.#badKey(issue, path);
    else if (issue.code === 'invalid_union') this.#union(issue, path);
    else this.#say(path, issue.message, issue);
  }

  #unknownKeys(keys: readonly string[], path: Path): void {
    const branches = keysAt(this.#schema, this.#value, path);
    const known = [...new Set(branches.flat())];
    for (const key of keys) {
      const rivals = rivalsOf(key, branches, valueAt(this.#value, path));
      if (rivals.length > 0) {
        const others = alternatives(rivals.map((rival) => JSON.stringify(rival)));
        this.#mistakes.addKey([...path, key], `found it beside ${others}, wanted one or the other`);
        continue;
      }
      // Somebody may have written a secret where its name should be.
      const shown = !isSecret(path) || meant(key, known) !== undefined;
      const found = shown ? foundWords(key, false) : `of ${key.length} characters`;
      this.#mistakes.addKey(
        [...path, key],
        `found an unknown key ${found}, ${suggestion(key, known, 'wanted none here')}`,
        shown,
      );
    }
  }

  #badKey({ issues }: z.core.$ZodIssueInvalidKey, path: Path): void {
    const wanted = issues.map((issue) => this.#wanted(issue)).join('; ');
    this.#mistakes.addKey(path, `found the name ${foundWords(String(path.at(-1)), false)}, wanted ${wanted}`);
  }

  #union(issue: z.core.$ZodIssueInvalidUnion, path: Path): void {
    // Something of the right kind with a mistake in it is better spoken of by that mistake.
    const near = issue.errors.filter((branch) => !branch.some((inner) => isOfAnotherKind(inner)));
    const best = near.toSorted((a, b) => weight(a) - weight(b))[0];
    if (best !== undefined) {
      this.issues(best, path);
      return;
    }
    this.#say(path, issue.message, issue);
  }

  #say(path: Path, message: string, issue: Issue): void {
    const place = path.map(String).join('\0');
    if (this.#misfits.has(place)) return;
    if (issue.code === 'invalid_type' || issue.code === 'invalid_union') this.#misfits.add(place);
    const value = valueAt(this.#value, path);
    const found = isAmount(value, issue) ? String(value) : foundWords(value, isSecret(path));
    if (message !== NO_WORDS && SENTENCE.test(message)) {
      this.#mistakes.add(path, message);
      return;
    }
    const wanted = this.#wanted(issue).replace(/^wanted /, '');
    const hint = /\bquotes\b/.test(wanted) && typeof value === 'number' ? 'a number without quotes' : found;
    this.#mistakes.add(path, `found ${hint}, wanted ${wanted}`);
  }

  #wanted(issue: Issue): string {
    return issue.message === NO_WORDS ? wantedWords(issue) : issue.message;
  }
}

/** Whether the unknown key that `other` is about is likely to be the key that `issue` is about. */
function explains(other: Issue, issue: Issue): boolean {
  if (other.code !== 'unrecognized_keys' || issue.path.length !== other.path.length + 1) return false;
  const key = String(issue.path.at(-1));
  const beside = other.path.every((step, i) => step === issue.path[i]);
  return beside && other.keys.some((typed) => meant(typed, [key]) !== undefined);
}

/** The value is no attempt at this branch of a union at all. */
function isOfAnotherKind(issue: Issue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}

/** More digits than these may be somebody's telephone number. */
const MOST_SHOWN = 10_000_000;

/** A number where a number is wanted is no secret. */
function isAmount(value: unknown, issue: Issue): boolean {
  if (typeof value !== 'number' || Math.abs(value) >= MOST_SHOWN) return false;
  if (issue.code === 'invalid_type') return issue.expected === 'number' || issue.expected === 'int';
  return issue.code === 'too_big' || issue.code === 'too_small';
}

/** A key that is missing or unknown says more against a branch than a value that is not right; one that is misspelt is one mistake. */
function weight(issues: readonly Issue[]): number {
  return issues.reduce((sum, issue) => {
    if (issue.code === 'unrecognized_keys') return sum + 3;
    if (issues.some((other) => explains(other, issue))) return sum;
    return sum + (issue.code === 'invalid_type' && issue.path.length === 1 ? 2 : 1);
  }, 0);
}

function wantedWords(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return KINDS[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return alternatives(issue.values.map((value) => JSON.stringify(value) ?? String(value)));
    case 'too_small':
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${amount(issue.minimum, issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${amount(issue.maximum, issue.origin)}`;
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return FORMATS[issue.format] ?? 'another form of text';
    case 'invalid_union':
      return unionWords(issue);
    default:
      return 'something else';
  }
}

function unionWords(issue: z.core.$ZodIssueInvalidUnion): string {
  const given = 'options' in issue && Array.isArray(issue.options) ? issue.options : [];
  const options = given.filter((option) => option !== undefined);
  if (options.length > 0) return alternatives(options.map((option) => JSON.stringify(option)));
  const each = issue.errors.flatMap((branch) => branch.filter(isOfAnotherKind).slice(0, 1));
  const words = each.map((inner) => (inner.message === NO_WORDS ? wantedWords(inner) : inner.message));
  return alternatives([...new Set(words)]);
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

const FORMATS: Readonly<Record<string, string>> = {
  url: 'an address such as https://example.com/path',
  email: 'an e-mail address',
};

function amount(limit: number | bigint, origin: string): string {
  const unit = { string: 'characters', array: 'entries', set: 'entries', record: 'keys' }[origin];
  return unit === undefined ? String(limit) : `${limit} ${unit}`;
}

/** The keys that an object at this path may have, by the schema; of a union those of each branch that fits. */
function keysAt(schema: z.core.$ZodType, value: unknown, path: Path): readonly (readonly string[])[] {
  const [step, ...rest] = path;
  return concrete(schema, value).flatMap((type) => {
    const { def } = type._zod;
    if (step === undefined) {
      return isObject(def) ? [Object.keys(def.shape).filter((key) => key !== '$schema')] : [];
    }
    const next = childType(def, String(step));
    return next === undefined ? [] : keysAt(next, valueAt(value, [step]), rest);
  });
}

/** The keys of an object beside which this one cannot be, though it may be elsewhere. */
function rivalsOf(key: string, branches: readonly (readonly string[])[], value: unknown): readonly string[] {
  const own = branches.find((keys) => keys.includes(key));
  if (own === undefined || !isRecord(value)) return [];
  const known = branches.flat();
  return Object.keys(value).filter((other) => known.includes(other) && !own.includes(other));
}

type Def = z.core.$ZodTypeDef;

function isObject(def: Def): def is z.core.$ZodObjectDef {
  return def.type === 'object';
}

function childType(def: Def, step: string): z.core.$ZodType | undefined {
  if (isObject(def)) return Object.hasOwn(def.shape, step) ? def.shape[step] : undefined;
  if (def.type === 'array') return (def as z.core.$ZodArrayDef).element;
  return def.type === 'record' ? (def as z.core.$ZodRecordDef).valueType : undefined;
}

/** The types without their wrappings; of a union those that can be meant by the value. */
function concrete(type: z.core.$ZodType, value: unknown): readonly z.core.$ZodType[] {
  const def: Def & { readonly innerType?: z.core.$ZodType; readonly in?: z.core.$ZodType } = type._zod.def;
  if (def.innerType !== undefined) return concrete(def.innerType, value);
  if (def.in !== undefined) return concrete(def.in, value);
  if (def.type !== 'union') return [type];
  const { options, discriminator } = def as z.core.$ZodUnionDef & { readonly discriminator?: string };
  const fitting =
    discriminator === undefined
      ? options
      : options.filter((option) => isChosen(option, discriminator, value));
  return (fitting.length === 0 ? options : fitting).flatMap((option) => concrete(option, value));
}

function isChosen(option: z.core.$ZodType, discriminator: string, value: unknown): boolean {
  const chosen = isRecord(value) ? value[discriminator] : undefined;
  return option._zod.propValues?.[discriminator]?.has(chosen as z.core.util.Primitive) ?? false;
}
