import type { Clock } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import { type HookResponse, hostOf, postHook, statusFailure } from './post-hook.ts';

/** What an attempt needs of the world. */
export interface Sender {
  readonly clock: Clock;
  /**
   * The newest secret for an address and the id of a delivery to it; asked for every attempt, because secrets are not stored. Undefined: the address
   * is not configured any more. It is not sent unsigned then, but tried again later.
   */
  readonly secretFor: (url: string, id: string) => string | undefined;
}

/** How one attempt at a delivery went. */
export type Attempt =
  | { readonly type: 'delivered' }
  /** The receiver wants no more of them (410). */
  | { readonly type: 'unwanted'; readonly error: BridgeError }
  /** The process stops. */
  | { readonly type: 'cancelled' }
  | {
      readonly type: 'failed';
      readonly error: BridgeError;
      /** Nobody was there, which says nothing against the delivery. */
      readonly unreachable: boolean;
      readonly retryAfterMs: number | undefined;
    };

const WHAT = 'end webhook';
const ATTEMPT_MS = 15_000;
/** Said by whatever stands before a service that is not there, or has too much to do. */
const NOBODY_THERE: readonly number[] = [429, 502, 503, 504];

/** Sends a delivery once, with a fresh time and signature. Never rejects. */
export async function sendOnce(
  { clock, secretFor }: Sender,
  { id, url, body }: { readonly id: string; readonly url: string; readonly body: string },
  signal: AbortSignal,
): Promise<Attempt> {
  try {
    const secret = secretFor(url, id);
    if (secret === undefined) throw noSecret(url);
    const request = { what: WHAT, url, secret, id, body, timeoutMs: ATTEMPT_MS, wantsAnswer: false };
    return judge(url, await postHook(request, clock, signal));
  } catch (thrown) {
    const error = BridgeError.from(thrown);
    if (signal.aborted) return { type: 'cancelled' };
    return { type: 'failed', error, unreachable: error.code !== 'BAD_CONFIG', retryAfterMs: undefined };
  }
}

function judge(url: string, { status, retryAfterMs }: HookResponse): Attempt {
  if (status >= 200 && status < 300) return { type: 'delivered' };
  const error = statusFailure(WHAT, hostOf(url), status);
  if (status === 410) return { type: 'unwanted', error };
  return { type: 'failed', error, unreachable: NOBODY_THERE.includes(status), retryAfterMs };
}

function noSecret(url: string): BridgeError {
  return new BridgeError(
    'BAD_CONFIG',
    `no secret for the ${WHAT} to ${hostOf(url)}: it is not in the agents file any more; put it back, or remove the delivery`,
  );
}
