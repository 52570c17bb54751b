import { BridgeError } from './errors.ts';

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
    let digits = payload.length;
    while (digits > 0 && payload.length - digits < 2 && payload.charCodeAt(digits - 1) === 0x3d) digits--;
    const bytes = Buffer.from(payload, 'base64');
    // Buffer skips what is not base64 and stops early; only the number of bytes tells.
    if (digits % 4 === 1 || bytes.length !== Math.floor((digits * 3) / 4)) {
      throw this.wrong('media.payload', payload, 'base64 text');
    }
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
