import { BridgeError } from '../../errors.ts';

/** Takes secrets out of text that came from outside: providers like to quote a part of the key. */
export type Scrub = (text: string) => string;

/** Secrets by their look, and by where they stand in an address. */
const LOOKS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:sk|ek|rk)[-_][\w*.-]{4,}/g, '[key]'],
  [/auth_tokens(?:\/|%2F)[\w.%-]+/gi, '[key]'],
  [/([?&](?:access_token|key|token|api-key)=)[^&\s"]+/gi, '$1[key]'],
];

/** @param secrets also known as an address spells them */
export function scrubber(...secrets: readonly string[]): Scrub {
  const spellings = new Set(secrets.flatMap((secret) => [secret, encodeURIComponent(secret)]));
  spellings.delete('');
  return (text) => {
    let clean = text;
    for (const spelling of spellings) clean = clean.replaceAll(spelling, '[key]');
    for (const [look, instead] of LOOKS) clean = clean.replace(look, instead);
    return clean.slice(0, 500);
  };
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

/**
 * What `connect` may reject with, see the contract: settings that cannot be used are those of the session here, and
 * everything else is a session that is not to be had. `cause`: what was thrown.
 */
export function connectError(thrown: unknown): BridgeError {
  const error = BridgeError.from(thrown);
  const { code } = error;
  if (code.startsWith('PROVIDER_') || code === 'TIMEOUT' || code === 'CANCELLED') return error;
  const isConfig = code === 'BAD_CONFIG' || code === 'BAD_INPUT';
  return new BridgeError(isConfig ? 'PROVIDER_CONFIG' : 'PROVIDER_UNAVAILABLE', error.plainMessage, {
    cause: error,
  });
}
