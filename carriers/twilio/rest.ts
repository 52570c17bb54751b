import type { ControlResult } from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';

/**
 * Requests to Twilio's REST interface. By `fetch` and not by Twilio's own client, which is loaded whole and
 * synchronously while other calls are on the line, takes no AbortSignal and knows no other host.
 */

/** The account and the host that requests go to; `baseUrl` has no slash at its end. */
export interface RestOptions {
  readonly accountSid: string | undefined;
  readonly authToken: string | undefined;
  readonly baseUrl: string;
}

/** `again`: the request may not have arrived, and to make it twice changes nothing. */
interface Attempt {
  readonly result: ControlResult;
  readonly again: boolean;
}

/** Ends a call, whatever state it is in. Never rejects; tries a second time, at once, when the first got lost. */
export async function requestHangUp(
  options: RestOptions,
  callId: string,
  signal: AbortSignal,
): Promise<ControlResult> {
  try {
    const request = hangUpRequest(options, callId);
    const first = await attempt(request, signal);
    // A keep-alive connection that Twilio had closed already looks like an outage for exactly one request.
    return first.again ? (await attempt(request, signal)).result : first.result;
  } catch (thrown) {
    return failed(BridgeError.from(thrown));
  }
}

interface HangUpRequest {
  readonly callId: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

function hangUpRequest({ accountSid, authToken, baseUrl }: RestOptions, callId: string): HangUpRequest {
  if (accountSid === undefined || authToken === undefined) {
    const missing = accountSid === undefined ? 'account SID' : 'auth token';
    throw new BridgeError('CARRIER_REFUSED', `cannot hang up a call at Twilio: no ${missing} is configured`);
  }
  if (!/^[\x21-\x7e]{1,200}$/.test(callId)) {
    throw new BridgeError(
      'BAD_INPUT',
      `cannot hang up a call at Twilio: its id has ${callId.length} characters that are no id`,
    );
  }
  const account = encodeURIComponent(accountSid);
  return {
    callId,
    url: `${baseUrl}/2010-04-01/Accounts/${account}/Calls/${encodeURIComponent(callId)}.json`,
    headers: {
      authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      'user-agent': 'patchcord',
    },
  };
}

async function attempt(request: HangUpRequest, signal: AbortSignal): Promise<Attempt> {
  try {
    const response = await fetch(request.url, {
      method: 'POST',
      headers: request.headers,
      body: 'Status=completed',
      // A redirect would take the credentials elsewhere or turn the POST into a GET.
      redirect: 'manual',
      signal,
    });
    // Read to its end in any case, so that the connection can be used again.
    const body = await response.text().catch(() => '');
    return judge(request.callId, response.status, errorCode(body));
  } catch (thrown) {
    return lost(request, thrown, signal);
  }
}

/** What the answer means; the code is Twilio's own, in the body. */
function judge(callId: string, status: number, code: number | undefined): Attempt {
  if (status >= 200 && status < 300) return { result: { status: 'ok' }, again: false };
  // A 404 without Twilio's code comes from something else on the way: the call may be up, and cost money.
  if ((status === 404 && code === 20404) || (status === 400 && code === 21220)) {
    return { result: { status: 'already-ended' }, again: false };
  }
  const found = `HTTP ${status}${code === undefined ? '' : `, error ${code}`}`;
  if (status === 429 || status >= 500) {
    const error = new BridgeError('CARRIER_UNAVAILABLE', `Twilio did not hang up call ${callId}: ${found}`);
    return { result: failed(error), again: status >= 500 };
  }
  const why = status === 401 || status === 403 ? ' (are the account SID and the auth token right?)' : '';
  const error = new BridgeError(
    'CARRIER_REFUSED',
    `Twilio refused to hang up call ${callId}: ${found}${why}`,
  );
  return { result: failed(error), again: false };
}

function lost(request: HangUpRequest, thrown: unknown, signal: AbortSignal): Attempt {
  if (signal.aborted) return { result: failed(givenUp(request, signal.reason)), again: false };
  const message = `Twilio could not be asked to hang up call ${request.callId}: ${reason(thrown)} at ${new URL(request.url).host}`;
  const error = new BridgeError('CARRIER_UNAVAILABLE', message, { cause: thrown });
  return { result: failed(error), again: true };
}

/** A deadline says something about Twilio; any other abort only that nobody waits any more. */
function givenUp(request: HangUpRequest, cause: unknown): BridgeError {
  const late =
    cause instanceof BridgeError
      ? cause.code === 'TIMEOUT'
      : cause instanceof Error && cause.name === 'TimeoutError';
  return late
    ? new BridgeError(
        'CARRIER_UNAVAILABLE',
        `Twilio did not answer in time when asked to hang up call ${request.callId}`,
        { cause },
      )
    : new BridgeError(
        'CANCELLED',
        `the hang-up of call ${request.callId} was given up before Twilio answered`,
        { cause },
      );
}

/** `fetch` says no more than "fetch failed"; the cause has the name of the trouble. */
function reason(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return 'the connection failed';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}

function errorCode(body: string): number | undefined {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null || !('code' in value)) return undefined;
    return typeof value.code === 'number' ? value.code : undefined;
  } catch {
    return undefined;
  }
}

function failed(error: BridgeError): ControlResult {
  return { status: 'error', error };
}
