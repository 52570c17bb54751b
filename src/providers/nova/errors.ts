import { BridgeError, type ErrorCode } from '../../errors.ts';
import { fieldsOf, textOf } from '../common/fields.ts';
import { codeWord } from '../common/limits.ts';
import type { Scrub } from '../common/network.ts';

/** What is known of a session when it fails. */
export interface FailureContext {
  readonly host: string;
  readonly connecting: boolean;
  /** Its longest time is over, or as good as over. */
  readonly nearItsEnd: boolean;
  /** Of the socket, when it broke. */
  readonly networkCode: string | undefined;
  readonly scrub: Scrub;
}

/** Names of errors, in lower case and without `Exception`, as they come from the head or from within the stream. */
const BY_NAME: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ['accessdenied', 'PROVIDER_AUTH'],
  ['unrecognizedclient', 'PROVIDER_AUTH'],
  ['expiredtoken', 'PROVIDER_AUTH'],
  ['invalidsignature', 'PROVIDER_AUTH'],
  ['signaturedoesnotmatch', 'PROVIDER_AUTH'],
  ['incompletesignature', 'PROVIDER_AUTH'],
  ['missingauthenticationtoken', 'PROVIDER_AUTH'],
  ['invalidclienttokenid', 'PROVIDER_AUTH'],
  ['notauthorized', 'PROVIDER_AUTH'],
  ['credentialsprovidererror', 'PROVIDER_AUTH'],
  ['tokenprovidererror', 'PROVIDER_AUTH'],
  ['resourcenotfound', 'PROVIDER_CONFIG'],
  ['validation', 'PROVIDER_CONFIG'],
  ['throttling', 'PROVIDER_RATE_LIMITED'],
  ['toomanyrequests', 'PROVIDER_RATE_LIMITED'],
  ['servicequotaexceeded', 'PROVIDER_QUOTA'],
  ['limitexceeded', 'PROVIDER_QUOTA'],
  ['modelnotready', 'PROVIDER_UNAVAILABLE'],
  ['modelerror', 'PROVIDER_UNAVAILABLE'],
  ['modelstreamerror', 'PROVIDER_UNAVAILABLE'],
  ['modeltimeout', 'PROVIDER_UNAVAILABLE'],
  ['internalserver', 'PROVIDER_UNAVAILABLE'],
  ['internalfailure', 'PROVIDER_UNAVAILABLE'],
  ['serviceunavailable', 'PROVIDER_UNAVAILABLE'],
  ['timeout', 'PROVIDER_UNAVAILABLE'],
]);

// Both say "validation" and mean trouble of the service (livekit/agents, plugin aws).
const NOT_OUR_FAULT = [/InternalErrorCode=531/, /System instability detected/i];

/** Of what does not say its name. */
const BY_TEXT: readonly (readonly [RegExp, ErrorCode])[] = [
  [/could not load credentials|credential/i, 'PROVIDER_AUTH'],
  [/region is missing/i, 'PROVIDER_CONFIG'],
];

/** Names of errors come from the service as well, where they may be anything, even no text. */
function named(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return new Error(typeof thrown === 'string' ? thrown : 'no reason given');
  if (typeof thrown.name === 'string' && typeof thrown.message === 'string') return thrown;
  return new Error('an error without a name');
}

/** An error prints its cause with all that it holds, so this one holds nothing but what may be seen. */
function clean(error: Error, scrub: Scrub): Error {
  const cause = new Error(scrub(error.message));
  cause.name = codeWord(error.name, 'Error');
  cause.stack = `${cause.name}: ${cause.message}`;
  return cause;
}

function shortName(error: Error): string {
  return error.name.toLowerCase().replace(/(exception|error)$/, '');
}

function statusCode(error: Error): ErrorCode | undefined {
  const metadata = '$metadata' in error ? fieldsOf(error.$metadata) : {};
  const status = metadata['httpStatusCode'];
  if (typeof status !== 'number' || status < 400) return undefined;
  if (status === 401 || status === 403) return 'PROVIDER_AUTH';
  if (status === 429) return 'PROVIDER_RATE_LIMITED';
  if (status === 408 || status === 424 || status >= 500) return 'PROVIDER_UNAVAILABLE';
  return 'PROVIDER_CONFIG';
}

function namedCode(error: Error, nearItsEnd: boolean): ErrorCode | undefined {
  const name = shortName(error);
  const code = BY_NAME.get(name) ?? BY_NAME.get(error.name.toLowerCase());
  if (name === 'modeltimeout' && nearItsEnd) return 'PROVIDER_EXPIRED';
  if (code === 'PROVIDER_CONFIG' && NOT_OUR_FAULT.some((text) => text.test(error.message))) {
    return 'PROVIDER_UNAVAILABLE';
  }
  return code;
}

function codeOf(error: Error, nearItsEnd: boolean): ErrorCode | undefined {
  return (
    namedCode(error, nearItsEnd) ??
    statusCode(error) ??
    BY_TEXT.find(([text]) => text.test(error.message))?.[1]
  );
}

// Neither what the SDK says of a lost connection nor its "Unexpected error" helps anybody.
function networkText(error: Error, { networkCode }: FailureContext): string {
  if (networkCode !== undefined) return networkCode;
  const code = 'code' in error ? textOf(error.code) : undefined;
  return code ?? error.message;
}

/** What an error that ended a stream means; `undefined` is a stream that ended without one. */
export function failure(thrown: unknown, context: FailureContext): BridgeError {
  const { host, connecting, nearItsEnd, scrub } = context;
  if (thrown instanceof BridgeError) return thrown;
  if (thrown === undefined) {
    // Also what the SDK makes of a reset stream and of its own time limits: it reports them as a normal end.
    const code = nearItsEnd ? 'PROVIDER_EXPIRED' : connecting ? 'PROVIDER_UNAVAILABLE' : 'PROVIDER_CLOSED';
    return new BridgeError(code, `${host} ended the stream`);
  }
  const error = named(thrown);
  const cause = clean(error, scrub);
  const known = codeOf(error, nearItsEnd);
  if (known !== undefined) {
    return new BridgeError(known, `${host} answered ${cause.name}: ${cause.message}`, { cause });
  }
  const text = scrub(networkText(error, context));
  return connecting
    ? new BridgeError('PROVIDER_UNAVAILABLE', `no session with ${host}: ${text}`, { cause })
    : new BridgeError('PROVIDER_CLOSED', `the stream from ${host} broke: ${text}`, { cause });
}
