import { createHash } from 'node:crypto';
import type { Fetch, RestRequest, RestResponse, RestResult, RestVerdict } from '../../src/carrier-rest.ts';
import { askCarrier, cannotAsk, judgeStatus, pathId } from '../../src/carrier-rest.ts';
import { BridgeError } from '../../src/errors.ts';

/** The account and the host that requests go to; `baseUrl` ends with the version, without a slash. */
export interface RestOptions {
  readonly apiKey: string | undefined;
  readonly baseUrl: string;
  /** Undefined: the platform's own. */
  readonly fetch?: Fetch | undefined;
}

/** One request. */
export interface Wish {
  /** For messages: `place a call`, `hang up call`. */
  readonly what: string;
  readonly method: 'GET' | 'POST';
  /** After the base URL; made of parts that are checked. */
  readonly path: string;
  /** A JSON body; members that are undefined are left out. */
  readonly json?: Readonly<Record<string, unknown>>;
  readonly form?: Readonly<Record<string, string>>;
  readonly repeatable: boolean;
}

/** Makes a request. Never rejects. */
export async function ask(options: RestOptions, wish: Wish, signal: AbortSignal): Promise<RestResult> {
  try {
    const judged = wish.method === 'GET' ? judgeLook : judge;
    return await askCarrier(restRequest(options, wish), judged, signal, options.fetch);
  } catch (thrown) {
    return cannotAsk(BridgeError.from(thrown));
  }
}

/** `id` as a part of a path. Telnyx's ids hold colons, which stand there as they are. Throws BAD_INPUT for no id. */
export function idPart(what: string, id: string | undefined): string {
  return encodeURIComponent(pathId(`cannot ask Telnyx to ${what}`, id)).replaceAll('%3A', ':');
}

/** The same id for the same thing, in the form of a UUID: Telnyx ignores a command whose id it has seen within 60 s. */
export function commandId(...parts: readonly string[]): string {
  const hex = createHash('sha256').update(parts.join('\n')).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** A member of an answer's `data`, which Telnyx puts everything in. */
export function dataField(response: RestResponse, name: string): unknown {
  return memberOf(memberOf(response.body, 'data'), name);
}

/** Telnyx's own word for a failure: the `code` of the first of its `errors`. */
function errorCode(body: unknown): string | undefined {
  const errors = memberOf(body, 'errors');
  const code = Array.isArray(errors) ? memberOf(errors[0], 'code') : undefined;
  return typeof code === 'string' || typeof code === 'number' ? String(code).slice(0, 20) : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function restRequest({ apiKey, baseUrl }: RestOptions, wish: Wish): RestRequest {
  if (apiKey === undefined) {
    throw new BridgeError('CARRIER_REFUSED', `cannot ask Telnyx to ${wish.what}: no API key is configured`);
  }
  const body = bodyOf(wish);
  return {
    carrier: 'Telnyx',
    what: wish.what,
    method: wish.method,
    url: baseUrl + wish.path,
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(body === undefined ? {} : { 'content-type': body.type }),
    },
    body: body?.text,
    repeatable: wish.repeatable,
  };
}

function bodyOf({ json, form }: Wish): { readonly type: string; readonly text: string } | undefined {
  if (json !== undefined) return { type: 'application/json', text: JSON.stringify(json) };
  if (form === undefined) return undefined;
  return { type: 'application/x-www-form-urlencoded', text: new URLSearchParams(form).toString() };
}

/** What is over is shown for ten minutes. A 404 without Telnyx's code comes from something else on the way. */
function judgeLook(response: RestResponse): RestVerdict {
  const gone = response.status === 404 && errorCode(response.body) !== undefined;
  return gone ? { status: 'already-ended' } : judge(response);
}

/** The call was over before the request came. */
const ALREADY_ENDED = '90018';

function judge({ status, body }: RestResponse): RestVerdict {
  const code = errorCode(body);
  if (status === 422 && code === ALREADY_ENDED) return { status: 'already-ended' };
  return judgeStatus(status, `HTTP ${status}${code === undefined ? '' : `, error ${code}`}`);
}
