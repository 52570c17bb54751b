import { checkCloseCode, checkScript, type ScriptTerms } from '../common/fault-script.ts';
import type { CloseReason, WireError, WireEvent } from './wire.ts';

/**
 * The moment of a fault.
 *
 * - `connect`: while the connection is being made, before the 101.
 * - `ms`, `audioMs`, `appendMs`: `value` ms after the connection was opened; when so much speech was sent; when so much
 *   audio was received. Counted over the whole connection.
 * - the type of an event, in either direction (`session.start`, `session.delegation.created`, …): right after the
 *   `value`-th (default: first) event of this type was handled or sent.
 */
export interface FaultMoment {
  readonly after: 'connect' | 'ms' | 'audioMs' | 'appendMs' | (string & {});
  readonly value?: number;
}

/** Errors by name. How each of them is told is not documented; the names are those of the maker's other APIs. */
export type KnownError =
  | 'session_expired'
  | 'invalid_api_key'
  | 'insufficient_quota'
  | 'credit_balance_exhausted'
  | 'rate_limit_exceeded'
  | 'server_error'
  | 'model_not_found';

export type FaultAction =
  /** The upgrade is answered with this status; only at `connect`. */
  | { readonly do: 'http'; readonly status: number; readonly body?: string }
  /** A close frame; default 1011. At `connect`: right after the 101. */
  | { readonly do: 'close'; readonly code?: number; readonly reason?: string }
  /** `session.closed` with this reason, then the end of the connection. */
  | { readonly do: 'end-session'; readonly reason: CloseReason }
  /** The TCP connection is cut. */
  | { readonly do: 'drop' }
  /** Half-open: nothing is read, answered or closed any more. At `connect`: the upgrade is never answered. */
  | { readonly do: 'stall' }
  /** The socket lives (pings are answered), but no event comes any more, for `forMs` or for ever. */
  | { readonly do: 'mute'; readonly forMs?: number }
  /** An `error` event; then a close frame where `close` says so, or where the error ends the session. */
  | {
      readonly do: 'error';
      readonly error: KnownError | WireError;
      readonly close?: { readonly code: number; readonly reason?: string };
    }
  /** The next response of the backend ends as failed. */
  | { readonly do: 'fail-response'; readonly error: KnownError | WireError }
  /** A frame that is no event; default: cut JSON. `binary` sends it as a binary frame. */
  | { readonly do: 'malformed'; readonly frame?: string; readonly binary?: boolean }
  /** An event of a type that no client knows. */
  | { readonly do: 'unknown-event'; readonly type?: string }
  /** An unknown event of `bytes` (default 2 MiB). */
  | { readonly do: 'huge'; readonly bytes?: number }
  /** The event that was the moment, or else the last one that was sent, is sent once more. */
  | { readonly do: 'duplicate' }
  /** This event is sent as it is. */
  | { readonly do: 'inject'; readonly event: WireEvent }
  /** From now on events of these types are never sent, as by servers that do not know them. */
  | { readonly do: 'omit'; readonly types: readonly string[] }
  /** From now on events of these types come `ms` late, and others overtake them. */
  | { readonly do: 'delay'; readonly types: readonly string[]; readonly ms: number }
  /** The next `count` (default 1) client events of this type are not handled and not answered. */
  | { readonly do: 'ignore'; readonly type: string; readonly count?: number }
  /** The next client event of this type is refused with this error. */
  | { readonly do: 'refuse'; readonly type: string; readonly error: KnownError | WireError };

/** Every action by its name, so that a script from a file can be checked. */
const FAULT_ACTIONS = {
  http: true,
  close: true,
  'end-session': true,
  drop: true,
  stall: true,
  mute: true,
  error: true,
  'fail-response': true,
  malformed: true,
  'unknown-event': true,
  huge: true,
  duplicate: true,
  inject: true,
  omit: true,
  delay: true,
  ignore: true,
  refuse: true,
} as const satisfies Record<FaultAction['do'], true>;

/** One line of a fault script. */
export type FaultRule = FaultAction & {
  readonly when: FaultMoment;
  /** Only for this attempt to connect, counted from 0, refused ones too; default: all. */
  readonly connection?: number;
};

interface KnownFault {
  readonly error: WireError;
  readonly close?: { readonly code: number; readonly reason: string };
}

function known(type: string, code: KnownError, message: string, close?: number): KnownFault {
  const error = { type, code, message };
  return close === undefined ? { error } : { error, close: { code: close, reason: `${type}.${code}` } };
}

const KNOWN: Readonly<Record<KnownError, KnownFault>> = {
  session_expired: known('invalid_request_error', 'session_expired', 'Your session has expired.', 1001),
  invalid_api_key: known('invalid_request_error', 'invalid_api_key', 'Incorrect API key provided.', 3000),
  insufficient_quota: known(
    'insufficient_quota',
    'insufficient_quota',
    'You exceeded your current quota, please check your plan and billing details.',
    4000,
  ),
  credit_balance_exhausted: known(
    'invalid_request_error',
    'credit_balance_exhausted',
    'Your credit balance is exhausted.',
    4000,
  ),
  rate_limit_exceeded: known(
    'rate_limit_error',
    'rate_limit_exceeded',
    'Rate limit reached. Please try again later.',
  ),
  server_error: known(
    'server_error',
    'server_error',
    'The server had an error while processing your request. Sorry about that!',
  ),
  model_not_found: known(
    'invalid_request_error',
    'model_not_found',
    'The model does not exist or you do not have access to it.',
    4000,
  ),
};

const TERMS: ScriptTerms = {
  actions: FAULT_ACTIONS,
  failing: ['error', 'fail-response', 'refuse'],
  errors: Object.keys(KNOWN),
  parts: { type: 'string', message: 'string' },
};

/** Throws BAD_INPUT for a script that can never do what it says. */
export function checkFaults(rules: readonly FaultRule[]): void {
  checkScript(rules, TERMS);
  for (const rule of rules) {
    if (rule.do === 'close') checkCloseCode(rule.code);
    if (rule.do === 'error') checkCloseCode(rule.close?.code);
  }
}

/** The event body and, where the session ends with it, the close frame. */
export function knownFault(error: KnownError | WireError): KnownFault {
  return typeof error === 'string' ? KNOWN[error] : { error };
}
