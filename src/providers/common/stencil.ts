import type { Fields } from './fields.ts';

/** What may differ in messages of one form: base64, a short text, or a number. */
type Kind = 'speech' | 'name' | 'number';

interface Hole {
  readonly kind: Kind;
  readonly at: number;
  readonly end: number;
}

/** Longer texts that nobody needs are read as JSON: looking for their end character by character costs more. */
const MOST_NAME = 64;
const MOST_DIGITS = 15;
const MOST_HOLES = 8;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const SPACE = 0x20;
/** After the key of a number in JSON that is known to be valid. */
const NUMBER = /[ \t\n\r]*:[ \t\n\r]*(-?\d+(?:\.\d+)?)[ \t\n\r]*[,}]/y;

/**
 * The form of a message that was read as JSON: its text with holes in it. Another text that differs only in what is in the
 * holes is the same message with other values there, so that nobody has to read all of it as JSON once more. That holds
 * because a hole is the whole inside of one text, or the whole of one number, and is filled with what is valid there.
 */
export class Stencil {
  readonly #pieces: readonly string[];
  readonly #kinds: readonly Kind[];
  readonly #speech: string[] = [];

  private constructor(text: string, holes: readonly Hole[]) {
    let from = 0;
    this.#pieces = [...holes, { at: text.length, end: text.length }].map(({ at, end }) => {
      const piece = copyOf(text.slice(from, at));
      from = end;
      return piece;
    });
    this.#kinds = holes.map(({ kind }) => kind);
  }

  /**
   * The form of `text`, which is valid JSON; undefined when the places of its speech cannot be told for certain.
   * @param speech the texts in it that hold base64, as they were read
   * @param free fields of it, texts or numbers, on whose values nothing depends; a text of which it is not certain where it
   * stands, and anything else, stays as it is
   */
  static of(text: string, speech: readonly string[], free: Fields): Stencil | undefined {
    // Otherwise what was read is not what is written.
    if (text.includes('\\')) return undefined;
    const holes: Hole[] = [];
    for (const base64 of speech) {
      const hole = base64 === '' ? undefined : textIn(text, base64, 'speech');
      if (hole === undefined) return undefined;
      holes.push(hole);
    }
    for (const [key, value] of Object.entries(free)) {
      const hole = typeof value === 'string' ? nameIn(text, value) : numberIn(text, key, value);
      if (hole !== undefined) holes.push(hole);
    }
    if (holes.length > MOST_HOLES) return undefined;
    holes.sort((a, b) => a.at - b.at);
    const apart = holes.every((hole, i) => hole.at > (holes[i - 1]?.end ?? -1));
    return apart ? new Stencil(text, holes) : undefined;
  }

  /**
   * What stands in the places of the speech, in the order of the text; undefined for a text of another form. Valid until
   * the next call. Whether it is base64 is for the caller to find out: only then is the text valid JSON.
   */
  match(text: string): readonly string[] | undefined {
    const pieces = this.#pieces;
    const kinds = this.#kinds;
    let at = 0;
    let found = 0;
    for (let i = 0; i < kinds.length; i++) {
      const piece = pieces[i] ?? '';
      const from = at + piece.length;
      // Measured: half of what `startsWith` takes with so long a text.
      if (text.slice(at, from) !== piece) return undefined;
      at = endOf(kinds[i], text, from);
      if (at < 0) return undefined;
      if (kinds[i] === 'speech') this.#speech[found++] = text.slice(from, at);
    }
    return text.slice(at) === pieces[kinds.length] ? this.#speech : undefined;
  }
}

/** A part of a text would keep the whole of it in memory. */
function copyOf(piece: string): string {
  return Buffer.from(piece).toString();
}

/** The one place where this text stands in quotes: without a backslash anywhere it is the text that was read. */
function textIn(text: string, value: string, kind: Kind): Hole | undefined {
  const quoted = `"${value}"`;
  const at = text.indexOf(quoted);
  if (at < 0 || text.includes(quoted, at + 1)) return undefined;
  return { kind, at: at + 1, end: at + 1 + value.length };
}

function nameIn(text: string, value: string): Hole | undefined {
  return value.length > MOST_NAME ? undefined : textIn(text, value, 'name');
}

/** A number of a field of this name: the name stands there only once, so it is that of the field. */
function numberIn(text: string, key: string, value: unknown): Hole | undefined {
  const name = typeof value === 'number' ? textIn(text, key, 'number') : undefined;
  if (name === undefined) return undefined;
  NUMBER.lastIndex = name.end + 1;
  const digits = NUMBER.exec(text)?.[1];
  if (digits === undefined) return undefined;
  const at = text.indexOf(digits, name.end + 1);
  return { kind: 'number', at, end: at + digits.length };
}

/** Where what fills a hole ends; -1 when it is nothing that may stand there. */
function endOf(kind: Kind | undefined, text: string, at: number): number {
  switch (kind) {
    case 'speech':
      return text.indexOf('"', at);
    case 'name':
      return endOfName(text, at);
    default:
      return endOfNumber(text, at);
  }
}

function endOfName(text: string, from: number): number {
  const most = Math.min(text.length, from + MOST_NAME + 1);
  for (let at = from; at < most; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH || code < SPACE) return -1;
  }
  return -1;
}

function endOfNumber(text: string, from: number): number {
  const whole = endOfDigits(text, from);
  // JSON has no numbers that begin with a zero too many.
  if (whole === from || (whole > from + 1 && text.charCodeAt(from) === ZERO)) return -1;
  if (text.charCodeAt(whole) !== POINT) return whole;
  const end = endOfDigits(text, whole + 1);
  return end === whole + 1 ? -1 : end;
}

function endOfDigits(text: string, from: number): number {
  let at = from;
  while (at < from + MOST_DIGITS && text.charCodeAt(at) >= ZERO && text.charCodeAt(at) <= NINE) at++;
  return at;
}
