import { BridgeError } from './errors.ts';
import type { LegEvent } from './leg.ts';

/** A media message, or an object in it. */
export type MediaMessage = Readonly<Record<string, unknown>>;

/**
 * Reads the fields of a carrier's media messages. Throws BAD_FRAME that names the field, what was found and what was
 * wanted; what was found is never shown, because it may be what the caller said or typed.
 */
export class MediaFields {
  readonly #carrier: string;

  /** @param carrier as people call it: `Twilio` */
  constructor(carrier: string) {
    this.#carrier = carrier;
  }

  /** One text frame, with the name of its event. */
  read(text: string): MediaMessage {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // Without its cause: the text of a SyntaxError quotes the message, and with it the caller's audio.
      throw new BridgeError(
        'BAD_FRAME',
        `a ${this.#carrier} media message of ${text.length} characters is not JSON`,
      );
    }
    if (!isRecord(value)) throw this.wrong('message', value, 'an object');
    const { event } = value;
    // A name is never wrong: carriers add events without notice.
    if (typeof event !== 'string') throw this.wrong('event', event, 'the name of an event');
    return value;
  }

  inner(message: MediaMessage, name: string): MediaMessage {
    const value = message[name];
    if (!isRecord(value)) throw this.wrong(name, value, 'an object');
    return value;
  }

  /** @param path as the field is called in messages to people */
  text(message: MediaMessage, name: string, path: string): string {
    const value = message[name];
    if (typeof value !== 'string' || value === '') throw this.wrong(path, value, 'text');
    return value;
  }

  /** `media.payload`: base64 text. Undefined for one that is empty. */
  audio(payload: unknown): Uint8Array | undefined {
    if (typeof payload !== 'string') throw this.wrong('media.payload', payload, 'base64 text');
    if (payload === '') return undefined;
    const bytes = bytesOf(payload);
    if (bytes === undefined) throw this.wrong('media.payload', payload, 'base64 text');
    return bytes;
  }

  /** `dtmf.digit`: a key of a telephone, in upper case. */
  digit(value: unknown): string {
    const digit = typeof value === 'number' ? String(value) : value;
    if (typeof digit !== 'string' || !/^[0-9*#A-D]$/i.test(digit)) {
      throw this.wrong('dtmf.digit', digit, 'one of 0-9 * # A-D');
    }
    return digit.toUpperCase();
  }

  wrong(field: string, found: unknown, wanted: string): BridgeError {
    return new BridgeError(
      'BAD_FRAME',
      `${field} of a ${this.#carrier} media message is ${kindOf(found)}; wanted ${wanted}`,
    );
  }
}

export function isRecord(value: unknown): value is MediaMessage {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What was found, without showing it. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return value === '' ? 'empty' : `text of ${value.length} characters`;
  return `of type ${typeof value}`;
}

/** The members of an object that are text, numbers or booleans, as text. */
export function textEntries(record: MediaMessage): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const [name, one] of Object.entries(record)) {
    if (typeof one === 'string') entries.push([name, one]);
    else if (typeof one === 'number' || typeof one === 'boolean') entries.push([name, String(one)]);
  }
  return Object.fromEntries(entries);
}

/** Base64 text as bytes; undefined for anything that is not base64 to its end. */
function bytesOf(payload: string): Uint8Array | undefined {
  let digits = payload.length;
  while (digits > 0 && payload.length - digits < 2 && payload.charCodeAt(digits - 1) === 0x3d) digits--;
  const bytes = Buffer.from(payload, 'base64');
  // Buffer skips what is not base64 and stops early; only the number of bytes tells.
  return digits % 4 === 1 || bytes.length !== Math.floor((digits * 3) / 4) ? undefined : bytes;
}

/** Names of the fields of `media` that are numbers and matter; such a number may be written as text. */
export interface MediaNumbers {
  /** Time in ms since the stream began. */
  readonly atMs?: string | undefined;
  /** Place in the stream. */
  readonly order?: string | undefined;
}

/** A text without a quote, a backslash or a control character, which stands in JSON as it is. */
const PLAIN = '"[ !#-[\\]-\\uffff]*"';
/** Few enough digits that it is a number like any other. */
const DIGITS = '\\d{1,15}';
const NUMBER = '(?:0|[1-9]\\d{0,14})';
/** Carriers have one or two shapes, and another one after they have changed something. */
const MOST_SHAPES = 8;
/** Messages in a row from which nothing new was learnt before that is given up: looking takes time. */
const MOST_TRIES = 100;
const MOST_MEMBERS = 16;

/** One order of the members of a media message. Groups are counted from 1; 0: there is none. */
interface MediaShape {
  readonly pattern: RegExp;
  readonly payload: number;
  readonly atMs: number;
  readonly order: number;
}

/**
 * Reads the media messages that a carrier sends all the time, several times faster than a JSON parser does. What they
 * look like is learnt from those that the parser has read: the names of their members and the kind of each value, in that
 * order and without white space. A pattern is made of that which takes nothing that the parser would read in another way;
 * all else is left to the parser.
 */
export class UsualMedia {
  readonly #numbers: MediaNumbers;
  readonly #shapes: MediaShape[] = [];
  #tries = 0;

  constructor(numbers: MediaNumbers) {
    this.#numbers = numbers;
  }

  /** Undefined for a message that looks like none that was learnt, or has no audio, or none that can be read. */
  read(text: string): Extract<LegEvent, { type: 'audio' }> | undefined {
    for (let i = 0; i < this.#shapes.length; i++) {
      const shape = this.#shapes[i];
      const found = shape?.pattern.exec(text);
      if (shape !== undefined && found) return audioOf(shape, found);
    }
    return undefined;
  }

  /** @param message that the parser has read, and that holds audio of the caller */
  learn(message: MediaMessage): void {
    if (this.#tries >= MOST_TRIES || this.#shapes.length >= MOST_SHAPES) return;
    this.#tries += 1;
    const shape = shapeOf(message, this.#numbers);
    if (shape === undefined || this.#shapes.some(({ pattern }) => pattern.source === shape.pattern.source))
      return;
    this.#shapes.push(shape);
    this.#tries = 0;
  }
}

function audioOf(
  shape: MediaShape,
  found: RegExpExecArray,
): Extract<LegEvent, { type: 'audio' }> | undefined {
  const payload = found[shape.payload];
  // What may not stand in JSON as it is, is no base64 either.
  const bytes = payload ? bytesOf(payload) : undefined;
  if (bytes === undefined) return undefined;
  const atMs = shape.atMs === 0 ? undefined : Number(found[shape.atMs]);
  return shape.order === 0
    ? { type: 'audio', bytes, atMs }
    : { type: 'audio', bytes, atMs, order: Number(found[shape.order]) };
}

/** Undefined for a message that is not worth a pattern of its own. */
function shapeOf(message: MediaMessage, numbers: MediaNumbers): MediaShape | undefined {
  const groups: string[] = [];
  const inner = (name: string, value: unknown): string | undefined => {
    if (name === 'track') return typeof value === 'string' && isWord(value) ? `"${value}"` : undefined;
    if (name !== 'payload' && name !== numbers.atMs && name !== numbers.order) return plainValue(value);
    groups.push(name);
    return name === 'payload' ? '"([^"]*)"' : numberOf(value);
  };
  const outer = (name: string, value: unknown): string | undefined => {
    if (name === 'event') return '"media"';
    return name === 'media' && isRecord(value) ? objectOf(value, inner) : plainValue(value);
  };
  const source = objectOf(message, outer);
  if (source === undefined) return undefined;
  const group = (name: string | undefined): number => (name === undefined ? 0 : groups.indexOf(name) + 1);
  return {
    pattern: new RegExp(`^${source}$`),
    payload: group('payload'),
    atMs: group(numbers.atMs),
    order: group(numbers.order),
  };
}

function objectOf(
  record: MediaMessage,
  memberOf: (name: string, value: unknown) => string | undefined,
): string | undefined {
  const members: string[] = [];
  for (const [name, value] of Object.entries(record)) {
    const member = memberOf(name, value);
    if (member === undefined || !isWord(name)) return undefined;
    members.push(`"${name}":${member}`);
  }
  return members.length > MOST_MEMBERS ? undefined : `\\{${members.join(',')}\\}`;
}

/** The kind of a value that does not matter. */
function plainValue(value: unknown): string | undefined {
  if (typeof value === 'string') return PLAIN;
  return typeof value === 'number' ? NUMBER : undefined;
}

function numberOf(value: unknown): string | undefined {
  if (typeof value === 'string') return /^\d{1,15}$/.test(value) ? `"(${DIGITS})"` : undefined;
  return typeof value === 'number' ? `(${NUMBER})` : undefined;
}

/** Means nothing but itself in a pattern. */
function isWord(text: string): boolean {
  return /^\w{1,40}$/.test(text);
}

/** Audio as base64, read from its place in the buffer. */
export function base64Of(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64');
}

/**
 * Does the same for one stream: whoever plays has one buffer that comes again and again, and the view of it that can
 * write base64 is made once.
 */
export function base64Writer(): (bytes: Uint8Array) => string {
  let last: Uint8Array | undefined;
  let view: Buffer | undefined;
  return (bytes) => {
    if (bytes !== last || view === undefined) {
      last = bytes;
      view = viewOf(bytes);
    }
    return view.toString('base64');
  };
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
