import { checkCloseCode, checkScript, type ScriptTerms } from '../common/fault-script.ts';
import type { JsonObject } from '../common/json.ts';

/** How a connection is ended. */
export interface CloseFrame {
  readonly code: number;
  readonly reason?: string;
}

/**
 * The moment of a fault.
 *
 * - `connect`: while the connection is being made, before the 101.
 * - `ms`, `audioMs`, `appendMs`: `value` ms after the connection was opened; when so much audio was sent; when so much
 *   audio was received. Counted over the whole connection.
 * - the name of an event, in either direction (`setup`, `setupComplete`, `modelTurn`, `toolCall`, …): right after the
 *   `value`-th (default: first) of this name was handled or sent.
 */
export interface FaultMoment {
  readonly after: 'connect' | 'ms' | 'audioMs' | 'appendMs' | (string & {});
  readonly value?: number;
}

/** The ends that users of the service report, by name. */
export type KnownError =
  | 'internal'
  | 'unavailable'
  | 'deadline'
  | 'quota'
  | 'invalid-argument'
  | 'api-key'
  | 'no-model'
  | 'not-found'
  | 'not-implemented'
  | 'session-not-found';

export type FaultAction =
  /** The upgrade is answered with this status; only at `connect`. */
  | { readonly do: 'http'; readonly status: number; readonly body?: string }
  /** A close frame; default 1011. At `connect`: right after the 101. */
  | { readonly do: 'close'; readonly code?: number; readonly reason?: string }
  /** The TCP connection is cut. */
  | { readonly do: 'drop' }
  /** Half-open: nothing is read, answered or closed any more. At `connect`: the upgrade is never answered. */
  | { readonly do: 'stall' }
  /** The socket lives (pings are answered), but no message comes any more, for `forMs` or for ever. */
  | { readonly do: 'mute'; readonly forMs?: number }
  /** The close frame of a known error: this protocol has no other errors. */
  | { readonly do: 'error'; readonly error: KnownError | CloseFrame }
  /** The turn under way ends as one that was refused, with this `turnCompleteReason`. */
  | { readonly do: 'fail-response'; readonly reason?: string }
  /** A frame that is no message; default: cut JSON. `text` sends it as a text frame. */
  | { readonly do: 'malformed'; readonly frame?: string; readonly text?: boolean }
  /** A message, or (`inContent`) a member of `serverContent`, that no client knows. */
  | { readonly do: 'unknown-event'; readonly type?: string; readonly inContent?: boolean }
  /** An unknown message of `bytes` (default 2 MiB). */
  | { readonly do: 'huge'; readonly bytes?: number }
  /** The message that was the moment, or else the last one that was sent, is sent once more. */
  | { readonly do: 'duplicate' }
  /** This message is sent as it is. */
  | { readonly do: 'inject'; readonly event: JsonObject }
  /** From now on these things are never sent; messages that are empty without them neither. */
  | { readonly do: 'omit'; readonly types: readonly string[] }
  /** From now on messages that hold one of these come `ms` late, and others overtake them. */
  | { readonly do: 'delay'; readonly types: readonly string[]; readonly ms: number }
  /** After the next `interrupted`, `count` (default 3) more pieces of its audio come. */
  | { readonly do: 'late-deltas'; readonly count?: number }
  /** The next `count` (default 1) client messages of this name are not handled and not answered. */
  | { readonly do: 'ignore'; readonly type: string; readonly count?: number }
  /** `goAway`; the connection does not end by it. */
  | { readonly do: 'go-away'; readonly leftMs?: number }
  /** The model is cut off as if the caller had interrupted it. */
  | { readonly do: 'interrupt' }
  /** A `turnComplete` in the middle of a turn (googleapis/python-genai#2117). */
  | { readonly do: 'premature-turn-complete' }
  /** All handles of the simulator are stale now. */
  | { readonly do: 'forget-handles' };

/** Every action by its name, so that a script from a file can be checked. */
const FAULT_ACTIONS = {
  http: true,
  close: true,
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
  'late-deltas': true,
  ignore: true,
  'go-away': true,
  interrupt: true,
  'premature-turn-complete': true,
  'forget-handles': true,
} as const satisfies Record<FaultAction['do'], true>;

/** One line of a fault script. */
export type FaultRule = FaultAction & {
  readonly when: FaultMoment;
  /** Only for this attempt to connect, counted from 0, refused ones too; default: all. */
  readonly connection?: number;
};

const KNOWN: Readonly<Record<KnownError, CloseFrame>> = {
  internal: { code: 1011, reason: 'Internal error encountered.' },
  unavailable: { code: 1011, reason: 'The service is currently unavailable.' },
  deadline: { code: 1011, reason: 'Deadline expired before operation could complete.' },
  quota: {
    code: 1011,
    reason: 'You exceeded your current quota, please check your plan and billing details.',
  },
  'invalid-argument': { code: 1007, reason: 'Request contains an invalid argument.' },
  'api-key': { code: 1007, reason: 'API key not valid. Please pass a valid API key.' },
  'no-model': {
    code: 1008,
    reason: 'models/none is not found for API version v1beta, or is not supported for bidiGenerateContent.',
  },
  'not-found': { code: 1008, reason: 'Requested entity was not found.' },
  'not-implemented': { code: 1008, reason: 'Operation is not implemented, or supported, or enabled.' },
  'session-not-found': { code: 1008, reason: 'BidiGenerateContent session not found' },
};

const TERMS: ScriptTerms = {
  actions: FAULT_ACTIONS,
  failing: ['error'],
  errors: Object.keys(KNOWN),
  parts: { code: 'number' },
};

/** Throws BAD_INPUT for a script that can never do what it says. */
export function checkFaults(rules: readonly FaultRule[]): void {
  checkScript(rules, TERMS);
  for (const rule of rules) {
    if (rule.do === 'close') checkCloseCode(rule.code);
    if (rule.do === 'error') checkCloseCode(knownFault(rule.error).code);
  }
}

/** The close frame that an error stands for. */
export function knownFault(error: KnownError | CloseFrame): CloseFrame {
  return typeof error === 'string' ? KNOWN[error] : error;
}
