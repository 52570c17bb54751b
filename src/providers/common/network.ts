import { BridgeError } from '../../errors.ts';

/** Takes secrets out of text that came from outside: providers like to quote a part of the key. */
export type Scrub = (text: string) => string;

export function scrubber(secret: string): Scrub {
  return (text) =>
    text
      .replaceAll(secret, '[key]')
      .replace(/\b(?:sk|ek|rk)[-_][\w*.-]{4,}/g, '[key]')
      .slice(0, 500);
}

/** A network error without its stack of addresses; `AggregateError` has an empty message, so the code stands in. */
export function networkError(
  error: Error,
  host: string,
  whileConnecting: boolean,
  scrub: Scrub,
): BridgeError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const text = scrub(error.message) || code || error.name;
  return whileConnecting
    ? new BridgeError('PROVIDER_UNAVAILABLE', `no connection to ${host}: ${text}`, { cause: error })
    : new BridgeError('PROVIDER_CLOSED', `the connection to ${host} broke: ${text}`, { cause: error });
}

/** The contract allows PROVIDER_*, TIMEOUT and CANCELLED; any other reason to give up is a cancellation. */
export function abortError(reason: unknown): BridgeError {
  if (reason instanceof BridgeError && (reason.code === 'TIMEOUT' || reason.code === 'CANCELLED'))
    return reason;
  return new BridgeError('CANCELLED', 'the session is not needed any more', { cause: reason });
}
