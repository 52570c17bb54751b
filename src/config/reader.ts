import { likeASecret, suggestion } from '../agents-file/words.ts';
import { SAYABLE } from '../text-forms.ts';
import type { PROVIDER_SETTINGS } from './provider-settings.ts';
import type { SETTINGS } from './settings.ts';

export type Env = Readonly<Record<string, string | undefined>>;

type ProviderSettings = typeof PROVIDER_SETTINGS;
/** The name of a variable; one that is in no table cannot be read. */
export type Setting =
  | (typeof SETTINGS)[number]['name']
  | ProviderSettings[keyof ProviderSettings][number]['name'];

/** Reads variables and collects what is wrong with them. An empty variable is one that is not set. */
export class Reader {
  readonly bad: string[] = [];
  readonly #env: Env;

  constructor(env: Env) {
    this.#env = env;
  }

  text(name: Setting): string | undefined {
    const value = this.#env[name]?.trim();
    return value === '' ? undefined : value;
  }

  /** One that OpenTelemetry has defined for all programs. */
  standard(name: `OTEL_${string}`): string | undefined {
    const value = this.#env[name]?.trim();
    return value === '' ? undefined : value;
  }

  /** As it is, also when it is empty. */
  given(name: Setting): string | undefined {
    return this.#env[name];
  }

  /** Something that is sent in a header. */
  secret(name: Setting): string | undefined {
    const text = this.text(name);
    if (text !== undefined && !/^[\x21-\x7e]+$/.test(text))
      this.#wrong(name, text, 'letters and digits only');
    return text;
  }

  whole(name: Setting, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    this.#wrong(name, text, `a whole number from ${min} to ${max}`);
    return fallback;
  }

  /** A number with a fraction or without. */
  amount(name: Setting, fallback: number, min: number, max: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (/^\d{1,7}(\.\d{1,3})?$/.test(text) && value >= min && value <= max) return value;
    this.#wrong(name, text, `a number from ${min} to ${max}`);
    return fallback;
  }

  /** Seconds, with a fraction or without, as ms. All arguments are ms. */
  ms(name: Setting, fallback: number, min: number, max: number): number {
    return this.#seconds(name, fallback, min, max, '');
  }

  /** The same, or 0 for something that is never done. */
  msOrNever(name: Setting, fallback: number, min: number, max: number): number {
    return this.text(name) === '0' ? 0 : this.#seconds(name, fallback, min, max, ', or 0 for never');
  }

  #seconds(name: Setting, fallback: number, min: number, max: number, more: string): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Math.round(Number(text) * 1000);
    if (/^\d{1,6}(\.\d{1,3})?$/.test(text) && value >= min && value <= max) return value;
    this.#wrong(name, text, `a number of seconds from ${min / 1000} to ${max / 1000}${more}`);
    return fallback;
  }

  /** Something that is said on the phone. */
  sayable(name: Setting): string | undefined {
    const text = this.text(name);
    if (text === undefined || text.length <= SAYABLE) return text;
    this.bad.push(`${name}: found ${text.length} characters, wanted at most ${SAYABLE}`);
    return undefined;
  }

  /** A list with commas between its words, each once; undefined when it is not set, empty when nothing of it is good. */
  listOf<const T extends string>(name: Setting, values: readonly T[]): readonly T[] | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found: T[] = [];
    for (const word of text.split(',').map((piece) => piece.trim())) {
      const value = values.find((candidate) => candidate === word);
      if (value === undefined) this.#found(name, word, suggestion(word, values, 'wanted nothing'));
      else if (found.includes(value)) this.#found(name, word, 'which is there before, wanted each once');
      else found.push(value);
    }
    return found;
  }

  /** Settings that mean the same thing in several ways. */
  onlyOne(names: readonly Setting[]): void {
    const set = names.filter((name) => this.text(name) !== undefined);
    if (set.length > 1) this.bad.push(`${set.join(', ')}: found ${set.length} of them, wanted at most one`);
  }

  oneOf<const T extends string, F extends T | undefined>(
    name: Setting,
    values: readonly T[],
    fallback: F,
  ): T | F {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = values.find((candidate) => candidate === text);
    if (value === undefined) this.#found(name, text, suggestion(text, values, 'wanted nothing'));
    return value ?? fallback;
  }

  matching(name: Setting, pattern: RegExp, wanted: string): string | undefined {
    const text = this.text(name);
    if (text !== undefined && !pattern.test(text)) this.#wrong(name, text, wanted);
    return text;
  }

  url(name: Setting, protocols: readonly string[]): string | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !protocols.includes(url.protocol)) {
      this.#wrong(name, text, `an address that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    }
    return text.replace(/\/+$/, '');
  }

  /** A carrier's REST host: with a path or without, and nothing else, because requests put theirs behind it. */
  host(name: Setting): string | undefined {
    const text = this.url(name, ['https:', 'http:']);
    if (text === undefined || !URL.canParse(text)) return undefined;
    const { username, password, search, hash } = new URL(text);
    if (`${username}${password}${search}${hash}` !== '') {
      this.#wrong(name, text, 'an address without user name, password, ? and #');
    }
    return text;
  }

  /** An address of somebody else, for the case that this service is gone. */
  fallbackUrl(name: Setting): string | undefined {
    const text = this.url(name, ['https:', 'http:']);
    const own = this.text('PUBLIC_URL');
    if (text === undefined || own === undefined || !URL.canParse(text) || !URL.canParse(own)) return text;
    if (new URL(text).host === new URL(own).host)
      this.#wrong(name, text, 'an address on another machine than PUBLIC_URL');
    return text;
  }

  /** Whatever of an account is set, its webhooks can only be checked with `needed`. */
  together(needed: Setting, others: readonly Setting[]): void {
    const set = others.filter((name) => this.text(name) !== undefined);
    if (set.length === 0 || this.text(needed) !== undefined) return;
    this.bad.push(`${needed}: found nothing, wanted that of the account of ${set.join(' and ')}`);
  }

  /** Carriers sign and open encrypted addresses only; a plain one is for trying things on this machine. */
  publicUrl(): string | undefined {
    const text = this.url('PUBLIC_URL', ['https:', 'http:']);
    if (text === undefined || !URL.canParse(text)) return undefined;
    const url = new URL(text);
    const local = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
    if (url.protocol === 'http:' && !local)
      this.#wrong('PUBLIC_URL', text, 'https:// (http:// only for this machine)');
    if (url.search !== '' || url.hash !== '') this.#wrong('PUBLIC_URL', text, 'an address without ? and #');
    return text;
  }

  object(name: Setting): Readonly<Record<string, unknown>> {
    const text = this.text(name);
    if (text === undefined) return {};
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
    } catch {
      // Said below, with the same words as for JSON that is no object.
    }
    this.bad.push(
      `${name}: found ${text.length} characters that are no JSON object, wanted one such as {"key":"value"}`,
    );
    return {};
  }

  headers(name: Setting): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {};
    for (const [key, value] of Object.entries(this.object(name))) {
      if (typeof value === 'string') headers[key] = value;
      else this.bad.push(`${name}: found a ${typeof value} for ${JSON.stringify(key)}, wanted a string`);
    }
    return headers;
  }

  #wrong(name: Setting, found: string, wanted: string): void {
    this.#found(name, found, `wanted ${wanted}`);
  }

  #found(name: Setting, found: string, rest: string): void {
    // What is pasted into the wrong variable is often a key.
    const secret = /KEY|TOKEN|SID|AUTH_ID|TRANSFER/.test(name) || /[?@]/.test(found) || likeASecret(found);
    this.bad.push(`${name}: found ${secret ? `${found.length} characters` : JSON.stringify(found)}, ${rest}`);
  }
}

/** Freezes an object and everything in it. */
export function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value))
    if (typeof child === 'object' && child !== null) deepFreeze(child);
  return Object.freeze(value);
}
