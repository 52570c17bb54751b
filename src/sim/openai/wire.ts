/** One event as it stands on the wire, in either direction: a JSON object with a `type`. */
export type WireEvent = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A JSON object that has not been looked into yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** True for JSON objects, false for arrays, null and everything else. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The body of an `error` event, and of `status_details.error` of a failed response. */
export interface WireError {
  readonly type: string;
  readonly code: string | null;
  readonly message: string;
  readonly param?: string | null;
}

/** Thrown while a client event is handled: the client is told by an `error` event and the session goes on. */
export class Refusal extends Error {
  readonly code: string | null;
  readonly param: string | null;

  constructor(code: string | null, message: string, param: string | null = null) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.param = param;
  }

  /** The same as the `error` field of an event. */
  get wire(): WireError {
    return { type: 'invalid_request_error', code: this.code, message: this.message, param: this.param };
  }
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Ids and choices that are the same in every run with the same seed. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 0 ≤ number < 1. */
  roll(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** `prefix` and 20 letters or digits, as in `item_…`. */
  id(prefix: string): string {
    let id = `${prefix}_`;
    for (let i = 0; i < 20; i++) id += ALPHABET.charAt(Math.floor(this.roll() * ALPHABET.length));
    return id;
  }
}
