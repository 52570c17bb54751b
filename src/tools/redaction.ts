import { makeHarmless } from './arguments.ts';
import { isRecord } from './records.ts';

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]';

/** Names of arguments that are secret whoever asks for them, also as a part of a name such as `new_password`. */
export const ALWAYS_SECRET: readonly string[] = [
  'password',
  'passwd',
  'pwd',
  'passcode',
  'passphrase',
  'pin',
  'cvv',
  'cvv2',
  'cvc',
  'card_number',
  'account_number',
  'ssn',
  'social_security_number',
  'iban',
  'token',
  'secret',
  'api_key',
  'private_key',
  'authorization',
  'otp',
  'one_time_code',
  'security_code',
];

/** Every argument is secret. */
const ALL = '*';
const MAX_BYTES = 4096;
const MAX_TEXT = 512;
const MAX_KEY = 100;
/** JSON in a string is looked into as well, as deep as this. */
const MAX_NESTED_TEXT = 3;
const CUT_KEY = '…';
const CUT = { [CUT_KEY]: 'cut' };
const CUT_BYTES = Buffer.byteLength(JSON.stringify(CUT));
/** What did not fit leaves `""`, `{}` or `null` behind, once. */
const UNPAID_BYTES = 4;

/**
 * Which names of arguments are secret: those that always are, and the given ones. Case, `_`, `-` and spaces do not
 * count, so that `card_number` also means `cardNumber`; `*` means all.
 */
export function secretNames(given: readonly string[]): (key: string) => boolean {
  if (given.includes(ALL)) return () => true;
  const exact = new Set([...ALWAYS_SECRET, ...given].map((name) => words(name).join('')));
  const inside = ALWAYS_SECRET.map((name) => ` ${words(name).join(' ')} `);
  return (key) => {
    const parts = words(key.slice(0, 4 * MAX_KEY));
    if (exact.has(parts.join(''))) return true;
    const spoken = ` ${parts.join(' ')} `;
    return inside.some((name) => spoken.includes(name));
  };
}

/** Of `cardNumber`, `card_number`, `CARD-NUMBER`: card, number. */
function words(name: string): readonly string[] {
  return name
    .replace(/(\p{Ll}|\p{N})(?=\p{Lu})/gu, '$1 ')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}

/**
 * A copy of arguments for events and reports: what is secret is `[redacted]` at any depth, also in JSON in a string;
 * long strings are cut, and so is the whole at 4 KiB of JSON, which a key `…` then tells.
 */
export function redactArguments(
  args: Readonly<Record<string, unknown>>,
  isSecret: (key: string) => boolean,
): Readonly<Record<string, unknown>> {
  const copy = new RedactedCopy(isSecret);
  const result = copy.object(args, 0);
  return copy.isCut ? { ...result, ...CUT } : result;
}

class RedactedCopy {
  isCut = false;
  readonly #isSecret: (key: string) => boolean;
  #left = MAX_BYTES - CUT_BYTES - UNPAID_BYTES;

  constructor(isSecret: (key: string) => boolean) {
    this.#isSecret = isSecret;
  }

  object(from: Readonly<Record<string, unknown>>, textDepth: number): Record<string, unknown> {
    const copy: Record<string, unknown> = {};
    if (!this.#take(2)) return copy;
    for (const [key, value] of Object.entries(from)) {
      const name = cutText(key, MAX_KEY);
      // A colon and a comma; what it may take at least is taken before what it does take.
      if (!this.#take(bytesOf(name) + 4)) break;
      copy[name] = this.#isSecret(key) ? this.#text(REDACTED) : this.#value(value, textDepth);
    }
    return copy;
  }

  #array(from: readonly unknown[], textDepth: number): unknown[] {
    const copy: unknown[] = [];
    if (!this.#take(2)) return copy;
    for (const value of from) {
      if (!this.#take(1)) break;
      copy.push(this.#value(value, textDepth));
    }
    return copy;
  }

  #value(value: unknown, textDepth: number): unknown {
    if (typeof value === 'string') return this.#string(value, textDepth);
    if (Array.isArray(value)) return this.#array(value, textDepth);
    if (isRecord(value)) return this.object(value, textDepth);
    return this.#take(bytesOf(value)) ? value : null;
  }

  #string(text: string, textDepth: number): unknown {
    const inside = textDepth < MAX_NESTED_TEXT ? jsonIn(text) : undefined;
    if (inside === undefined) return this.#text(text);
    return this.#value(inside, textDepth + 1);
  }

  #text(text: string): string {
    const short = cutText(text, MAX_TEXT);
    return this.#take(bytesOf(short)) ? short : '';
  }

  #take(bytes: number): boolean {
    if (bytes > this.#left) this.isCut = true;
    else this.#left -= bytes;
    return !this.isCut;
  }
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? 'null');
}

function cutText(text: string, max: number): string {
  if (text.length <= max) return text;
  // Half a character would be none.
  return `${text.slice(0, max).replace(/[\uD800-\uDBFF]$/, '')}… [cut: ${text.length} characters]`;
}

function jsonIn(text: string): object | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && makeHarmless(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
