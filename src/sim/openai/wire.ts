/** One event as it stands on the wire, in either direction: a JSON object with a `type`. */
export type WireEvent = { readonly type: string } & Readonly<Record<string, unknown>>;

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
