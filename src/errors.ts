/** What the bridge does after an error: the columns of the table in `docs/errors.md`. */
export interface ErrorVerdict {
  /** The same thing may be tried again, at most once, and may then succeed. */
  readonly retry: boolean;
  /** Another provider may do what this one could not. */
  readonly failOver: boolean;
  /** The call cannot go on when nothing else takes over. */
  readonly endCall: boolean;
  readonly text: string;
}

/** Every error of the bridge. `docs/errors.md` has the same rows; a test compares the two. */
export const ERRORS = {
  BAD_CONFIG: {
    retry: false,
    failOver: false,
    endCall: true,
    text: 'a setting is missing or cannot be used',
  },
  BAD_INPUT: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'a value handed to the library or the command line cannot be used',
  },
  BAD_AUDIO: {
    retry: false,
    failOver: false,
    endCall: true,
    text: 'audio has a format that cannot be read or converted',
  },
  BAD_FRAME: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'a message from a carrier or provider could not be read',
  },
  BAD_RECORDING: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'a recording or a fixture is not there or cannot be used',
  },
  CONFLICT: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'the call is not in a state for this: something else is under way, or there is nothing to stop',
  },
  CARRIER_REFUSED: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'the carrier refused a request of the bridge',
  },
  CARRIER_UNAVAILABLE: {
    retry: true,
    failOver: false,
    endCall: false,
    text: 'the carrier did not answer a request of the bridge',
  },
  MEDIA_LOST: {
    retry: false,
    failOver: false,
    endCall: true,
    text: 'the media stream of the carrier never came or broke',
  },
  PROVIDER_AUTH: {
    retry: false,
    failOver: true,
    endCall: true,
    text: 'the provider does not accept the credentials',
  },
  PROVIDER_CONFIG: {
    retry: false,
    failOver: true,
    endCall: true,
    text: 'the provider does not accept the model or the session settings',
  },
  PROVIDER_QUOTA: {
    retry: false,
    failOver: true,
    endCall: true,
    text: 'the account at the provider has no quota or credit left',
  },
  PROVIDER_RATE_LIMITED: {
    retry: true,
    failOver: true,
    endCall: true,
    text: 'the provider limits the rate of requests or sessions',
  },
  PROVIDER_UNAVAILABLE: {
    retry: true,
    failOver: true,
    endCall: true,
    text: 'the provider did not answer or reported an error of its own',
  },
  PROVIDER_CLOSED: {
    retry: true,
    failOver: true,
    endCall: true,
    text: 'the provider ended the session in the middle of the call',
  },
  PROVIDER_EXPIRED: {
    retry: true,
    failOver: true,
    endCall: true,
    text: 'the session reached the longest time that the provider allows, or cannot be gone on with',
  },
  PROVIDER_REJECTED: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'the provider rejected one message; the session goes on',
  },
  TOOL_FAILED: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'a function handler failed or took too long; the model is told',
  },
  HOOK_FAILED: {
    retry: true,
    failOver: false,
    endCall: false,
    text: 'a start or end webhook could not be reached, or did not answer as it should',
  },
  OVER_CAPACITY: {
    retry: false,
    failOver: false,
    endCall: true,
    text: 'as many calls are up as the bridge is allowed to carry',
  },
  CANCELLED: {
    retry: false,
    failOver: false,
    endCall: false,
    text: 'the work was given up because nobody needs it any more',
  },
  TIMEOUT: {
    retry: true,
    failOver: true,
    endCall: false,
    text: 'a wait came to its deadline',
  },
  INTERNAL: {
    retry: false,
    failOver: true,
    endCall: true,
    text: 'the bridge itself failed',
  },
} as const satisfies Record<string, ErrorVerdict>;

export type ErrorCode = keyof typeof ERRORS;
const ERROR_CODES = Object.keys(ERRORS) as ErrorCode[];

/** The one error class. The code leads the message because many tools show nothing else. */
export class BridgeError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.name = 'BridgeError';
    this.code = code;
  }

  get verdict(): ErrorVerdict {
    return ERRORS[this.code];
  }

  /** The message without its code, for those to whom codes are no help: a model, or a list of mistakes. */
  get plainMessage(): string {
    const prefix = `${this.code}: `;
    return this.message.startsWith(prefix) ? this.message.slice(prefix.length) : this.message;
  }

  /**
   * Turns anything that was thrown into a BridgeError; a BridgeError stays what it is, and an error that names one of
   * our codes (those of `src/audio`, which knows nothing of this file) keeps it. `code` is for the rest.
   */
  static from(thrown: unknown, code: ErrorCode = 'INTERNAL'): BridgeError {
    if (thrown instanceof BridgeError) return thrown;
    if (!(thrown instanceof Error)) return new BridgeError(code, String(thrown), { cause: thrown });
    const known = 'code' in thrown ? ERROR_CODES.find((candidate) => candidate === thrown.code) : undefined;
    return new BridgeError(known ?? code, thrown.message, { cause: thrown });
  }
}

/** For the `default:` of a switch over a closed union: a forgotten case does not compile. */
export function assertNever(value: never): never {
  throw new BridgeError('INTERNAL', `unexpected value ${JSON.stringify(value)}`);
}
