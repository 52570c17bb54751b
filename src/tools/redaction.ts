import { isRecord } from '../is-record.ts';
import { beginningOf } from '../short-text.ts';
import { makeHarmless } from './arguments.ts';

/** What stands in the place of a secret. */
export const REDACTED = '[redacted]';

/** Names of arguments that are secret whoever asks for them, also as whole words of a name such as `new_pin`. */
export const ALWAYS_SECRET: readonly string[] = [
  'password',
  'passwd',
  'pwd',
  'passcode',
  'passphrase',
  'pin',
  'pincode',
  'cvv',
  'cvc',
  'cc',
  'card_number',
  'card_num',
  'card_no',
  'expiry',
  'expiration_date',
  'exp_date',
  'exp_month',
  'exp_year',
  'account_number',
  'account_no',
  'ssn',
  'social_security_number',
  'dob',
  'date_of_birth',
  'birth_date',
  'iban',
  'token',
  'secret',
  'api_key',
  'private_key',
  'access_key',
  'authorization',
  'otp',
  'one_time_code',
  'security_code',
  'verification_code',
];

/** Secret as the whole name only: `card_type` and `scorecard` are not. */
const SECRET_ALONE = ['card', 'credit_card', 'debit_card'];
/** Secret wherever the letters stand: nothing else is called so, and models do not always set words apart. */
const SECRET_LETTERS =
  /passw(?:or)?d|passcode|passphrase|pincode|cardnum|(?:credit|debit)card|accountnumber|socialsecurity|dateofbirth|(?:api|private|access|secret)key|authorization|(?:onetime|security|verification)code|(?:token|secret|cvv|cvc|otp|cardno|accountno)$/;

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
 * Which names of arguments are secret: those that always are, and the given ones. Case, `_`, `-`, spaces and the s of
 * a plural do not count, so that `card_number` also means `cardNumber` and `cardnumbers`; for those that always are,
 * nor does a number at the end. `*` means all.
 */
export function secretNames(given: readonly string[]): (key: string) => boolean {
  if (given.includes(ALL)) return () => true;
  const exact = new Set(given.map((name) => singular(words(name).join(''))));
  const alone = new Set([...ALWAYS_SECRET, ...SECRET_ALONE].map((name) => stem(words(name).join(''))));
  const inside = ALWAYS_SECRET.map((name) => ` ${words(name).map(stem).join(' ')} `);
  return (key) => {
    const parts = words(key.slice(0, 4 * MAX_KEY));
    const joined = parts.join('');
    if (exact.has(singular(joined)) || alone.has(stem(joined))) return true;
    if (SECRET_LETTERS.test(stem(joined))) return true;
    const spoken = ` ${parts.map(stem).join(' ')} `;
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

/** Of `keys2`: key. */
function stem(word: string): string {
  return singular(word.replace(/(?<=\p{L})\p{N}+$/u, ''));
}

function singular(word: string): string {
  return /[^s]s$/.test(word) ? word.slice(0, -1) : word;
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
  return `${beginningOf(text, max)}… [cut: ${text.length} characters]`;
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
