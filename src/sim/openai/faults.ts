import { checkCloseCode, checkScript, type ScriptTerms } from '../common/fault-script.ts';
import type { WireError, WireEvent } from './wire.ts';

/**
 * The moment of a fault.
 *
 * - `connect`: while the connection is being made, before the 101.
 * - `ms`, `audioMs`, `appendMs`: `value` ms after the connection was opened; when so much audio was sent; when so much
 *   audio was received. Counted over the whole connection.
 * - the type of an event, in either direction (`session.update`, `response.created`, …): right after the `value`-th
 *   (default: first) event of this type was handled or sent. Types are those of the GA protocol in every dialect that has them.
 */
export interface FaultMoment {
  readonly after: 'connect' | 'ms' | 'audioMs' | 'appendMs' | (string & {});
  readonly value?: number;
}

/** The errors that the service itself ends a session with, or answers a turn with, by name. */
export type KnownError =
  | 'session_expired'
  | 'invalid_api_key'
  | 'insufficient_quota'
  | 'rate_limit_exceeded'
  | 'inference_rate_limit_exceeded'
  | 'server_error'
  | 'model_not_found'
  | 'billing_hard_limit_reached';

export type FaultAction =
  /** The upgrade is answered with this status; only at `connect`. */
  | { readonly do: 'http'; readonly status: number; readonly body?: string }
  /** A close frame; default 1011. At `connect`: right after the 101. */
  | { readonly do: 'close'; readonly code?: number; readonly reason?: string }
  /** The TCP connection is cut. */
  | { readonly do: 'drop' }
  /** Half-open: nothing is read, answered or closed any more. At `connect`: the upgrade is never answered. */
  | { readonly do: 'stall' }
  /** The socket lives (pings are answered), but no event comes any more, for `forMs` or for ever. */
  | { readonly do: 'mute'; readonly forMs?: number }
  /** An `error` event; then a close frame where the service sends one, or as `close` says. */
  | {
      readonly do: 'error';
      readonly error: KnownError | WireError;
      readonly close?: { readonly code: number; readonly reason?: string };
    }
  /** The active response ends as failed with this error in its `status_details`. */
  | { readonly do: 'fail-response'; readonly error: KnownError | WireError }
  /** The active response sends nothing any more, not even its end, and another may begin. */
  | { readonly do: 'abandon-response' }
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
  /** After the next cancelled response, `count` (default 3) more deltas of its audio come. */
  | { readonly do: 'late-deltas'; readonly count?: number }
  /** The next `response.cancel` comes too late: the response completes and the cancel is refused. */
  | { readonly do: 'cancel-race' }
  /** The next `count` (default 1) client events of this type are not handled and not answered. */
  | { readonly do: 'ignore'; readonly type: string; readonly count?: number }
  /** The next client event of this type is refused with this error. */
  | { readonly do: 'refuse'; readonly type: string; readonly error: KnownError | WireError };

/** Every action by its name, so that a script from a file can be checked. */
const FAULT_ACTIONS = {
  http: true,
  close: true,
  drop: true,
  stall: true,
  mute: true,
  error: true,
  'fail-response': true,
  'abandon-response': true,
  malformed: true,
  'unknown-event': true,
  huge: true,
  duplicate: true,
  inject: true,
  omit: true,
  delay: true,
  'late-deltas': true,
  'cancel-race': true,
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

const EXPIRED = 'Your session hit the maximum duration of 60 minutes.';

const KNOWN: Readonly<Record<KnownError, KnownFault>> = {
  session_expired: {
    error: { type: 'invalid_request_error', code: 'session_expired', message: EXPIRED },
    close: { code: 1001, reason: EXPIRED },
  },
  invalid_api_key: {
    error: {
      type: 'invalid_request_error',
      code: 'invalid_api_key',
      message: 'Incorrect API key provided. You can find your API key in the settings of your account.',
    },
    close: { code: 3000, reason: 'invalid_request_error.invalid_api_key' },
  },
  insufficient_quota: {
    error: {
      type: 'insufficient_quota',
      code: 'insufficient_quota',
      message: 'You exceeded your current quota, please check your plan and billing details.',
    },
    close: { code: 4000, reason: 'insufficient_quota' },
  },
  billing_hard_limit_reached: {
    error: {
      type: 'invalid_request_error',
      code: 'billing_hard_limit_reached',
      message: 'Billing hard limit has been reached.',
    },
    close: { code: 4000, reason: 'invalid_request_error.billing_hard_limit_reached' },
  },
  rate_limit_exceeded: {
    error: {
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
      message: 'Rate limit reached. Please try again later.',
    },
  },
  inference_rate_limit_exceeded: {
    error: {
      type: 'rate_limit_error',
      code: 'inference_rate_limit_exceeded',
      message: 'Rate limit reached for inference. Please try again later.',
    },
  },
  server_error: {
    error: {
      type: 'server_error',
      code: 'server_error',
      message: 'The server had an error while processing your request. Sorry about that!',
    },
  },
  model_not_found: {
    error: {
      type: 'invalid_request_error',
      code: 'model_not_found',
      message: 'The model does not exist or you do not have access to it.',
    },
    close: { code: 4000, reason: 'invalid_request_error.model_not_found' },
  },
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

/** The event body and, where the service closes after it, the close frame. */
export function knownFault(error: KnownError | WireError): KnownFault {
  return typeof error === 'string' ? KNOWN[error] : { error };
}
