import { BridgeError } from '../../errors.ts';

/** One line of a fault script, as far as its moment goes. */
export interface TimedRule {
  /**
   * - `connect`: while the connection is being made.
   * - `ms`, `audioMs`, `appendMs`: `value` ms after the connection was opened; when so much audio was sent; when so much
   *   was received.
   * - anything else is the type of an event in either direction: right after the `value`-th (default: first) of it.
   */
  readonly when: { readonly after: string; readonly value?: number };
  /** Only for this attempt to connect, counted from 0, refused ones too; default: all. */
  readonly connection?: number;
}

interface ArmedRule<R> {
  readonly rule: R;
  seen: number;
  done: boolean;
}

/** The rules of one connection that have not had their moment. */
export class FaultScript<R extends TimedRule> {
  readonly #rules: ArmedRule<R>[];

  constructor(rules: readonly R[], connection: number) {
    this.#rules = rules
      .filter((rule) => rule.connection === undefined || rule.connection === connection)
      .map((rule) => ({ rule, seen: 0, done: false }));
  }

  /** The rules of `connect`, or of an event that has just been handled or sent; each is returned once. */
  happened(name: string): readonly R[] {
    return this.#due(
      (armed) => armed.rule.when.after === name && ++armed.seen >= (armed.rule.when.value ?? 1),
    );
  }

  /** The rules of a count that has grown to `value`. */
  reached(name: 'audioMs' | 'appendMs', value: number): readonly R[] {
    return this.#due(({ rule }) => rule.when.after === name && value >= (rule.when.value ?? 0));
  }

  /** The rules that wait for a time since the connection was opened; for the caller to plan. */
  timed(): readonly R[] {
    return this.#due(({ rule }) => rule.when.after === 'ms');
  }

  #due(isDue: (armed: ArmedRule<R>) => boolean): readonly R[] {
    if (this.#rules.length === 0) return [];
    const due: R[] = [];
    for (const armed of this.#rules) {
      if (armed.done || !isDue(armed)) continue;
      armed.done = true;
      due.push(armed.rule);
    }
    return due;
  }
}

const NEEDS_VALUE: readonly string[] = ['ms', 'audioMs', 'appendMs'];

/** What the fault scripts of a simulator may hold. */
export interface ScriptTerms {
  /** Every action that there is, by its name. */
  readonly actions: Readonly<Record<string, true>>;
  /** The actions that need an `error`. */
  readonly failing: readonly string[];
  /** The errors that have a name. */
  readonly errors: readonly string[];
  /** What an error without a name is made of. */
  readonly parts: Readonly<Record<string, 'string' | 'number'>>;
}

function bad(message: string): BridgeError {
  return new BridgeError('BAD_INPUT', message);
}

/** Throws BAD_INPUT for a script that can never do what it says. */
export function checkScript(
  rules: readonly (TimedRule & { readonly do: string; readonly error?: unknown })[],
  terms: ScriptTerms,
): void {
  for (const rule of rules) {
    const { after, value } = rule.when;
    if (!Object.hasOwn(terms.actions, rule.do)) {
      const wanted = Object.keys(terms.actions).join(', ');
      throw bad(`unknown fault ${JSON.stringify(rule.do)}, wanted one of ${wanted}`);
    }
    if (rule.do === 'http' && after !== 'connect') {
      throw bad(`fault 'http' is only possible at 'connect', found '${after}'`);
    }
    if (NEEDS_VALUE.includes(after) && value === undefined) {
      throw bad(`fault '${rule.do}' after '${after}' needs a value in ms`);
    }
    if (terms.failing.includes(rule.do)) checkError(rule.error, terms);
  }
}

/** Throws BAD_INPUT for a code that no close frame can have, such as 1006; undefined is the default of the fault. */
export function checkCloseCode(code: number | undefined): void {
  if (code === undefined || (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code))) return;
  if (code >= 3000 && code <= 4999) return;
  throw bad(`found the close code ${code}, wanted 1000 to 1014 but for 1004 to 1006, or 3000 to 4999`);
}

function checkError(error: unknown, { errors, parts }: ScriptTerms): void {
  if (typeof error === 'string' ? errors.includes(error) : isMadeOf(error, parts)) return;
  const wanted = `${errors.join(', ')} or {${Object.keys(parts).join(', ')}}`;
  throw bad(`unknown error ${JSON.stringify(error)}, wanted ${wanted}`);
}

function isMadeOf(value: unknown, parts: ScriptTerms['parts']): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const found: Readonly<Record<string, unknown>> = { ...value };
  return Object.entries(parts).every(([name, type]) => typeof found[name] === type);
}
