import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';

/** One thing in a file of a recording that is not as it should be. */
export interface Mistake {
  /** Such as `msg.status`; empty: the whole. */
  readonly field: string;
  readonly found: string;
  readonly wanted: string;
}

/** Looks at one value and notes what is wrong with it. */
export type Check = (value: unknown, field: string, mistakes: Mistake[]) => void;

/** Checks by the names of fields; one that is not there is checked as undefined. */
export type Fields = Readonly<Record<string, Check>>;

/** A word that can be shown: what is longer, or holds anything else, may be something that was said, or a number. */
const SHOWN = /^[A-Za-z][A-Za-z_.-]{0,40}$/;

/** What a value is, in words that tell nothing of a call. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'object':
      return 'an object';
    case 'string':
      return SHOWN.test(value) ? `"${value}"` : `a text of ${value.length} characters`;
    case 'number':
      return Number.isFinite(value) && Math.abs(value) < 1e7 ? String(value) : 'a number';
    default:
      return String(value);
  }
}

/** A check by a question; `wanted` finishes the sentence. */
export function is(wanted: string, asks: (value: unknown) => boolean): Check {
  return (value, field, mistakes) => {
    if (!asks(value)) mistakes.push({ field, found: kindOf(value), wanted });
  };
}

export const aText = is('a text', (value) => typeof value === 'string');
export const aTruth = is('true or false', (value) => typeof value === 'boolean');
export const aNumber = is('a number', (value) => Number.isFinite(value));
export const aTime = is('ms, 0 or more', (value) => Number.isFinite(value) && Number(value) >= 0);
export const aCount = is(
  'a whole number, 0 or more',
  (value) => Number.isInteger(value) && Number(value) >= 0,
);
export const anIndex = is(
  'a whole number, 1 or more',
  (value) => Number.isInteger(value) && Number(value) >= 1,
);
export const anObject = is('an object', isRecord);
export const aList = is('a list', Array.isArray);
/** JSON of any kind, but it has to be there. */
export const something = is('a value', (value) => value !== undefined);
export const anything: Check = () => undefined;

/** One of these words, or numbers. */
export function oneOf(values: readonly (string | number)[]): Check {
  return is(`one of ${values.join(', ')}`, (value) => values.some((known) => known === value));
}

/** As the check has it, or not there. */
export function maybe(check: Check): Check {
  return (value, field, mistakes) => {
    if (value !== undefined) check(value, field, mistakes);
  };
}

/** A list of such values. */
export function listOf(check: Check): Check {
  return (value, field, mistakes) => {
    if (!Array.isArray(value)) aList(value, field, mistakes);
    else for (const [index, entry] of value.entries()) check(entry, `${field}[${index}]`, mistakes);
  };
}

/** An object of any names with such values. The names are not told: they may be numbers that people have. */
export function mapOf(check: Check): Check {
  return (value, field, mistakes) => {
    if (!isRecord(value)) anObject(value, field, mistakes);
    else for (const entry of Object.values(value)) check(entry, inside(field, '…'), mistakes);
  };
}

/** An object with these fields; others are a mistake unless they are `left` alone. */
export function objectOf(fields: Fields, left = false): Check {
  // Recordings have many lines.
  const checks = Object.entries(fields);
  return (value, field, mistakes) => {
    if (!isRecord(value)) {
      anObject(value, field, mistakes);
      return;
    }
    for (const [name, check] of checks) check(value[name], inside(field, name), mistakes);
    if (!left) noOthers(value, fields, field, mistakes);
  };
}

function noOthers(
  value: Readonly<Record<string, unknown>>,
  fields: Fields,
  field: string,
  mistakes: Mistake[],
): void {
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(fields, name)) continue;
    const found = SHOWN.test(name) ? `the field ${name}` : 'an unknown field';
    mistakes.push({ field, found, wanted: `only ${Object.keys(fields).join(', ')}` });
  }
}

/** The object has other fields for every value of one of them. */
export function objectBy(name: string, kinds: Readonly<Record<string, Fields>>): Check {
  const known = oneOf(Object.keys(kinds));
  const checks = new Map(
    Object.entries(kinds).map(([kind, fields]) => [kind, objectOf({ [name]: anything, ...fields })]),
  );
  return (value, field, mistakes) => {
    if (!isRecord(value)) {
      anObject(value, field, mistakes);
      return;
    }
    const kind = value[name];
    const check = typeof kind === 'string' ? checks.get(kind) : undefined;
    if (check === undefined) known(kind, inside(field, name), mistakes);
    else check(value, field, mistakes);
  };
}

function inside(field: string, name: string): string {
  return field === '' ? name : `${field}.${name}`;
}

/** As one sentence: `msg.status: found "ok", wanted a number`. */
export function tellMistake({ field, found, wanted }: Mistake): string {
  return `${field === '' ? '' : `${field}: `}found ${found}, wanted ${wanted}`;
}

/** Throws BAD_RECORDING with all mistakes, if there are any; `where` names the file and the line. */
export function assertNone(mistakes: readonly Mistake[], where: string): void {
  if (mistakes.length > 0) throw badRecording(where, mistakes.map(tellMistake).join('; '));
}

/** A recording that cannot be used; `where` names the file and the line. */
export function badRecording(where: string, what: string, options?: ErrorOptions): BridgeError {
  return new BridgeError('BAD_RECORDING', `${where}: ${what}`, options);
}
