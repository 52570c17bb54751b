import type { ControlResult } from './carrier.ts';
import { BridgeError } from './errors.ts';

/**
 * One request to a carrier's REST interface. By `fetch` and not by the carriers' own clients: those are loaded whole
 * and synchronously while other calls are on the line, take no AbortSignal, and two of three know no other host.
 */
export interface RestRequest {
  /** As people call it: `Twilio`. */
  readonly carrier: string;
  /** For messages: `hang up call CA1`. Holds no number and no secret. */
  readonly what: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** To make it twice changes nothing, so it is made again when the first one got lost. */
  readonly repeatable: boolean;
}

export interface RestResponse {
  readonly status: number;
  /** The answer as JSON; undefined when it is none. */
  readonly body: unknown;
}

/** How requests are made; that of the platform, or one that stands in its place. */
export type Fetch = typeof fetch;

/** What an answer means to the carrier that it came from. */
export type RestVerdict =
  | { readonly status: 'ok' }
  | { readonly status: 'already-ended' }
  | { readonly status: 'refused'; readonly why: string }
  | { readonly status: 'unavailable'; readonly why: string };

/** A request that did what was asked, or found the call over, with the answer; or why not. */
export type RestResult =
  | { readonly status: 'ok'; readonly response: RestResponse }
  | { readonly status: 'already-ended' }
  | { readonly status: 'error'; readonly error: BridgeError };

interface Attemptable extends Omit<RestRequest, 'headers'> {
  readonly headers: Headers;
  readonly makeRequest: Fetch;
}

interface Attempt {
  readonly result: RestResult;
  readonly again: boolean;
}

/**
 * Makes the request, and a second time at once when the first was lost or met a server error and it is repeatable: a
 * keep-alive connection that the carrier had closed already looks like an outage for exactly one request. Never rejects.
 */
export async function askCarrier(
  request: RestRequest,
  judge: (response: RestResponse) => RestVerdict,
  signal: AbortSignal,
  makeRequest: Fetch = fetch,
): Promise<RestResult> {
  const headers = headersOf(request);
  if (headers === undefined) return cannotAsk(badHeader(request));
  const once = (): Promise<Attempt> => attempt({ ...request, headers, makeRequest }, judge, signal);
  const first = await once();
  if (!first.again || !request.repeatable) return first.result;
  return (await once()).result;
}

/** The result without the answer. */
export function controlResult(result: RestResult): ControlResult {
  return result.status === 'ok' ? { status: 'ok' } : result;
}

/** For a request that cannot even be made. */
export function cannotAsk(error: BridgeError): { readonly status: 'error'; readonly error: BridgeError } {
  return { status: 'error', error };
}

/** The parts of an answer that are alike everywhere; a carrier looks for its own codes first. */
export function judgeStatus(status: number, found: string): RestVerdict {
  if (status >= 200 && status < 300) return { status: 'ok' };
  if (status === 429 || status >= 500) return { status: 'unavailable', why: found };
  const hint = status === 401 || status === 403 ? ' (are the credentials right?)' : '';
  return { status: 'refused', why: found + hint };
}

/** A base URL without slash at its end. Throws BAD_CONFIG for what is no http or https URL, or holds credentials. */
export function restBase(carrier: string, baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new BridgeError('BAD_CONFIG', `the ${carrier} base URL is not an http or https URL`);
  }
  // fetch refuses such URLs with a message that shows them.
  if (url.username !== '' || url.password !== '') {
    throw new BridgeError('BAD_CONFIG', `the ${carrier} base URL holds a user name or password; wanted none`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** An id that can stand in a path. Throws BAD_INPUT for anything else, without showing it. */
export function pathId(what: string, id: string | undefined): string {
  if (id !== undefined && /^[\x21-\x7e]{1,400}$/.test(id) && !/[/?#\\]/.test(id) && !/^\.+$/.test(id))
    return id;
  throw new BridgeError('BAD_INPUT', `${what}: the id has ${id?.length ?? 0} characters that are no id`);
}

/** Undefined for what HTTP cannot carry: the platform's own complaint quotes the header, and with it the key. */
function headersOf({ headers }: RestRequest): Headers | undefined {
  try {
    return new Headers({ accept: 'application/json', 'user-agent': 'patchcord', ...headers });
  } catch {
    return undefined;
  }
}

function badHeader({ carrier, what }: RestRequest): BridgeError {
  return new BridgeError(
    'CARRIER_REFUSED',
    `${carrier} cannot be asked to ${what}: a header has characters that HTTP cannot carry (are the credentials right?)`,
  );
}

async function attempt(
  request: Attemptable,
  judge: (response: RestResponse) => RestVerdict,
  signal: AbortSignal,
): Promise<Attempt> {
  const { carrier, what, headers, makeRequest } = request;
  try {
    const response = await makeRequest(request.url, {
      method: request.method,
      headers,
      ...(request.body === undefined ? {} : { body: request.body }),
      // A redirect would take the credentials elsewhere or turn the POST into a GET.
      redirect: 'manual',
      signal,
    });
    // Read to its end in any case, so that the connection can be used again.
    const text = await response.text().catch(() => '');
    const answer = { status: response.status, body: readJson(text) };
    const verdict = judge(answer);
    switch (verdict.status) {
      case 'ok':
        return { result: { status: 'ok', response: answer }, again: false };
      case 'already-ended':
        return { result: { status: 'already-ended' }, again: false };
      case 'unavailable':
        return {
          result: cannotAsk(
            new BridgeError('CARRIER_UNAVAILABLE', `${carrier} did not ${what}: ${verdict.why}`),
          ),
          // Not after 429: to ask again at once is what the carrier has just asked not to do.
          again: answer.status >= 500,
        };
      case 'refused':
        return {
          result: cannotAsk(
            new BridgeError('CARRIER_REFUSED', `${carrier} refused to ${what}: ${verdict.why}`),
          ),
          again: false,
        };
    }
  } catch (thrown) {
    return lost(request, thrown, signal);
  }
}

function lost({ carrier, what, url }: Attemptable, thrown: unknown, signal: AbortSignal): Attempt {
  if (signal.aborted) return { result: cannotAsk(givenUp(carrier, what, signal.reason)), again: false };
  const message = `${carrier} could not be asked to ${what}: ${reason(thrown)} at ${new URL(url).host}`;
  return {
    result: cannotAsk(new BridgeError('CARRIER_UNAVAILABLE', message, { cause: thrown })),
    again: true,
  };
}

/** A deadline says something about the carrier; any other abort only that nobody waits any more. */
function givenUp(carrier: string, what: string, cause: unknown): BridgeError {
  const late =
    cause instanceof BridgeError
      ? cause.code === 'TIMEOUT'
      : cause instanceof Error && cause.name === 'TimeoutError';
  return late
    ? new BridgeError('CARRIER_UNAVAILABLE', `${carrier} did not answer in time when asked to ${what}`, {
        cause,
      })
    : new BridgeError('CANCELLED', `the request to ${what} was given up before ${carrier} answered`, {
        cause,
      });
}

/** `fetch` says no more than "fetch failed"; the cause has the name of the trouble. */
function reason(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return 'the connection failed';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
