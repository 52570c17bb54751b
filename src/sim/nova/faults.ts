import { checkScript, type ScriptTerms } from '../common/fault-script.ts';
import type { NovaError, NovaEvent } from './api.ts';

/**
 * The moment of a fault.
 *
 * - `connect`: while the connection is being made, before the response headers.
 * - `ms`, `audioMs`, `appendMs`: `value` ms after the connection was opened; when so much audio was sent; when so much
 *   audio was received. Counted over the whole connection.
 * - the type of an event, in either direction (`sessionStart`, `textOutput`, …): right after the `value`-th (default:
 *   first) event of this type was handled or sent. `sent:contentStart` and `received:contentStart` name one
 *   direction, and `sent:contentStart:AUDIO` the kind of block too.
 */
export interface FaultMoment {
  readonly after: 'connect' | 'ms' | 'audioMs' | 'appendMs' | (string & {});
  readonly value?: number;
}

/** The errors that the service has, by the names that the stream gives them. */
export const KNOWN_ERRORS = {
  validationException: 'The request is not valid.',
  modelStreamErrorException:
    'The system encountered an unexpected error during processing. Try your request again.',
  modelTimeoutException: 'Model has timed out in processing the request. Try your request again.',
  throttlingException: 'Too many requests, please wait before trying again.',
  internalServerException:
    'The system encountered an unexpected error during processing. Try your request again.',
  serviceUnavailableException: 'The service is temporarily unavailable. Try your request again.',
} as const satisfies Record<string, string>;

export type KnownError = keyof typeof KNOWN_ERRORS;

export type FaultAction =
  /** The request is answered with this status and a typed error; only at `connect`. Default type: by the status. */
  | {
      readonly do: 'http';
      readonly status: number;
      readonly errorType?: string;
      readonly message?: string;
      readonly body?: string;
    }
  /** The service ends the session in order (`completionEnd`); with a code, by RST_STREAM. */
  | { readonly do: 'close'; readonly code?: number; readonly reason?: string }
  /** RST_STREAM, which the SDK shows as an end without an error; default INTERNAL_ERROR (2). */
  | { readonly do: 'rst'; readonly code?: number }
  /** The stream ends without `completionEnd`. */
  | { readonly do: 'end-silently' }
  /** The TCP connection is cut. */
  | { readonly do: 'drop' }
  /** GOAWAY: streams that run go on. */
  | { readonly do: 'goaway'; readonly code?: number }
  /** Half-open: nothing is read, answered or closed any more. At `connect`: no headers come. */
  | { readonly do: 'stall' }
  /** The stream lives, but no event comes any more, for `forMs` or for ever. */
  | { readonly do: 'mute'; readonly forMs?: number }
  /** The stream ends with this error. `as`: an exception of the model, or an error of the framing. */
  | { readonly do: 'error'; readonly error: KnownError | NovaError; readonly as?: 'exception' | 'error' }
  /** A message whose checksum is wrong. */
  | { readonly do: 'bad-crc' }
  /** A message whose bytes are no event; default: cut JSON. `payload`: the JSON around the bytes is broken as well. */
  | { readonly do: 'malformed'; readonly frame?: string; readonly payload?: boolean }
  /** An event that no client knows; `header`: a message of a type that no client knows. */
  | { readonly do: 'unknown-event'; readonly type?: string; readonly header?: boolean }
  /** An unknown event of `bytes` (default 2 MiB). */
  | { readonly do: 'huge'; readonly bytes?: number }
  /** The event that was the moment, or else the last one that was sent, is sent once more. */
  | { readonly do: 'duplicate' }
  /** This event is sent as it is. */
  | { readonly do: 'inject'; readonly event: NovaEvent }
  /** From now on events of these types (`contentEnd`, `contentEnd:AUDIO`) are never sent. */
  | { readonly do: 'omit'; readonly types: readonly string[] }
  /** From now on events of these types come `ms` late, and others overtake them. */
  | { readonly do: 'delay'; readonly types: readonly string[]; readonly ms: number }
  /** After the next interruption, `count` (default 3) more pieces of the audio that was cut off come. */
  | { readonly do: 'late-deltas'; readonly count?: number }
  /** The next `count` (default 1) client events of this type are not handled and not answered. */
  | { readonly do: 'ignore'; readonly type: string; readonly count?: number }
  /** The next client event of this type is refused with this error, which ends the stream. */
  | { readonly do: 'refuse'; readonly type: string; readonly error: KnownError | NovaError };

/** Every action by its name, so that a script from a file can be checked. */
const FAULT_ACTIONS = {
  http: true,
  close: true,
  rst: true,
  'end-silently': true,
  drop: true,
  goaway: true,
  stall: true,
  mute: true,
  error: true,
  'bad-crc': true,
  malformed: true,
  'unknown-event': true,
  huge: true,
  duplicate: true,
  inject: true,
  omit: true,
  delay: true,
  'late-deltas': true,
  ignore: true,
  refuse: true,
} as const satisfies Record<FaultAction['do'], true>;

/** One line of a fault script. */
export type FaultRule = FaultAction & {
  readonly when: FaultMoment;
  /** Only for this attempt to connect, counted from 0, refused ones too; default: all. */
  readonly connection?: number;
};

/** The error that a script names, with the message that the service has for it. */
export function errorOf(error: KnownError | NovaError): NovaError {
  return typeof error === 'string' ? { name: error, message: KNOWN_ERRORS[error] } : error;
}

const TERMS: ScriptTerms = {
  actions: FAULT_ACTIONS,
  failing: ['error', 'refuse'],
  errors: Object.keys(KNOWN_ERRORS),
  parts: { name: 'string', message: 'string' },
};

/** Throws BAD_INPUT for a script that can never do what it says. */
export function checkFaults(rules: readonly FaultRule[]): void {
  checkScript(rules, TERMS);
}
