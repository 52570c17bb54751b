import { SPELLINGS, xmlOf } from './redact-encodings.ts';
import { maskText, maskValue } from './redact-masks.ts';

/** Shorter values are found everywhere, and mean nothing. */
const SHORTEST = 4;
const SHORTEST_DIGITS = 6;
const MOST_VALUES = 1000;
const LONG = 8;
/** Longer values are found as they are spelled: a regular expression can only be so long, and nobody says so much again in other letters. */
const LONGEST_SOUGHT = 200;
const LONGEST_PATTERN = 4000;

/** `<Parameter name="…" value="…">`, and any attribute. */
const NAMED = /(\bname="([^"]*)"[^<>]*?\bvalue=")([^"]*)/g;
const ATTRIBUTE = /\b([\w.:-]{1,64})="([^"]*)"/g;
const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
};
/** `name=value;name=value`, as carriers hand parameters through. */
const PAIR = /(?<![^\s;,{?&])([\w.%-]{1,64})=([^\s;,&"'<>{}]*)/g;

/** Fields whose values nobody else is to know, by their names; and their values, wherever else they stand. */
export class SecretFields {
  readonly #names: ReadonlySet<string>;
  /** Spellings of what such fields held, and what each becomes. */
  readonly #values = new Map<string, string>();
  #all: Finders | undefined;

  constructor(names: readonly string[]) {
    this.#names = new Set(names.map(plain).filter((name) => name !== ''));
  }

  /** Case and signs do not count, nor what carriers put before the names of parameters. */
  has(name: string): boolean {
    if (this.#names.size === 0) return false;
    const found = plain(name);
    return this.#names.has(found) || this.#names.has(found.replace(/^(?:sipheader)?x?(?:ph)?/, ''));
  }

  /** What such a field held: it keeps its form and nothing else. */
  hide(value: unknown): unknown {
    this.#learn(value);
    return maskValue(value);
  }

  /** A text that may name such a field, or say what one held. */
  text(text: string): string {
    if (this.#names.size === 0 || text.length < SHORTEST) return text;
    return this.values(this.#named(text));
  }

  /** A text that may say what such a field held. As long as it was, but where it is spelled in an encoding. */
  values(text: string): string {
    if (this.#values.size === 0 || text.length < SHORTEST) return text;
    this.#all ??= findersOf([...this.#values.keys()]);
    const { long, short } = this.#all;
    let hidden = text;
    for (const value of long) {
      if (hidden.includes(value))
        hidden = hidden.replaceAll(value, () => this.#values.get(value) ?? maskText(value));
    }
    for (const any of short) {
      hidden = hidden.replace(any, (found) => this.#values.get(found) ?? maskText(found));
    }
    return hidden;
  }

  #named(text: string): string {
    if (!text.includes('=')) return text;
    return text
      .replace(NAMED, (whole, before: string, name: string, value: string) =>
        this.has(name) ? before + this.#hideText(value) : whole,
      )
      .replace(ATTRIBUTE, (whole, name: string, value: string) =>
        this.has(name) ? `${name}="${this.#hideText(value)}"` : whole,
      )
      .replace(PAIR, (whole, name: string, value: string) =>
        this.has(decoded(name)) ? `${name}=${this.#hideEncoded(value)}` : whole,
      );
  }

  /** Of a document: signs that mean something in it are written in another way there, and stay. */
  #hideText(text: string): string {
    const value = text.replace(
      /&(?:amp|lt|gt|quot|apos|#\d+|#x[\da-f]+);/gi,
      (name) => ENTITIES[name] ?? 'x',
    );
    this.#learn(value);
    return xmlOf(maskText(value));
  }

  #hideEncoded(text: string): string {
    const value = decoded(text);
    this.#learn(value);
    return value === text ? maskText(text) : encodeURIComponent(maskText(value));
  }

  #learn(value: unknown): void {
    if (typeof value === 'number') this.#learn(String(value));
    if (typeof value === 'object' && value !== null)
      for (const inner of Object.values(value)) this.#learn(inner);
    if (typeof value !== 'string' || this.#values.has(value) || this.#values.size > MOST_VALUES) return;
    if (value.length < (/\p{L}/u.test(value) ? SHORTEST : SHORTEST_DIGITS)) return;
    const masked = maskText(value);
    for (const spell of SPELLINGS) this.#values.set(spell(value), spell(masked));
    this.#all = undefined;
  }
}

/** What finds known values, the longest first. */
interface Finders {
  readonly long: readonly string[];
  readonly short: readonly RegExp[];
}

function findersOf(values: readonly string[]): Finders {
  const longest = [...values].sort((a, b) => b.length - a.length);
  const short: RegExp[] = [];
  let parts: string[] = [];
  let length = 0;
  const close = (): void => {
    if (parts.length > 0) short.push(new RegExp(parts.join('|'), 'giu'));
    parts = [];
    length = 0;
  };
  for (const value of longest) {
    if (value.length > LONGEST_SOUGHT) continue;
    parts.push(whole(value));
    length += value.length;
    if (length > LONGEST_PATTERN) close();
  }
  close();
  return { long: longest.filter((value) => value.length > LONGEST_SOUGHT), short };
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

/** A short value is a part of many words, and means itself only where it stands alone. */
function whole(text: string): string {
  return text.length < LONG
    ? `(?:(?<![\\p{L}\\p{N}_])|(?<=%[0-9A-F]{2}))${literal(text)}(?![\\p{L}\\p{N}_])`
    : literal(text);
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16)}`);
}
