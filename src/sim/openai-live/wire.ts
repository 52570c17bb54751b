/** One event as it stands on the wire, in either direction: a JSON object with a `type`. */
export type WireEvent = { readonly type: string } & Readonly<Record<string, unknown>>;

/** The body of an `error` event. */
export interface WireError {
  readonly type: string;
  readonly code: string;
  readonly message: string;
  readonly param?: string;
}

/** Thrown while a client event is handled: the client is told by an `error` event and the session goes on. */
export class Refusal extends Error {
  readonly code: string;
  readonly param: string | undefined;

  constructor(code: string, message: string, param?: string) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.param = param;
  }

  /** The same as the `error` field of an event. */
  get wire(): WireError {
    const { code, message, param } = this;
    return { type: 'invalid_request_error', code, message, ...(param === undefined ? {} : { param }) };
  }
}

/** Why a session came to its end, as `session.closed` says it. */
export type CloseReason = 'close_requested' | 'expired' | 'content' | 'remote_hangup' | 'connection_lost';
