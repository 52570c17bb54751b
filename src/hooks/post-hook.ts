import { type Clock, deadline } from '../clock.ts';
import { BridgeError, type ErrorCode } from '../errors.ts';
import { hookUrl, URL_WANTED } from './fields.ts';
import { signedHeaders } from './signature.ts';

/** What every failure of a webhook's receiver is told under. */
const HOOK_CODE: ErrorCode = 'HOOK_FAILED';
/** Longer answers are not read: whatever is told to us is short. */
const MAX_ANSWER_BYTES = 65_536;

/** One signed POST of JSON. */
export interface HookRequest {
  /** For messages: `start webhook`. */
  readonly what: string;
  readonly url: string;
  /** One or more secrets; see `signedHeaders`. */
  readonly secret: string;
  /** The same for every attempt at the same message. */
  readonly id: string;
  readonly body: string;
  /** Longest duration of this attempt, with its answer. */
  readonly timeoutMs: number;
  /** False: the status is all that counts, the rest is thrown away unread. */
  readonly wantsAnswer: boolean;
}

export interface HookResponse {
  /** Whatever the receiver said, 200 to 599. */
  readonly status: number;
  /** Empty when it was not wanted; undefined: longer than 64 KiB, and not read to its end. */
  readonly text: string | undefined;
  /** How long it asks to be left alone; undefined: it does not. */
  readonly retryAfterMs: number | undefined;
}

/**
 * Sends it once and gives the answer, whatever its status. Rejects with BAD_CONFIG for an address or a secret that
 * cannot be used, TIMEOUT, CANCELLED when `signal` aborted, or the error of a connection that failed. No message holds more of the address than its host.
 */
export async function postHook(
  request: HookRequest,
  clock: Clock,
  signal: AbortSignal,
): Promise<HookResponse> {
  const { what, id, secret, body, timeoutMs } = request;
  const url = hookUrl(request.url);
  if (url === undefined) {
    throw new BridgeError('BAD_CONFIG', `the address of the ${what} cannot be used; wanted ${URL_WANTED}`);
  }
  const timestampS = Math.floor(clock.epoch() / 1000);
  const signed = signedHeaders(secret, { id, timestampS, body });
  using limit = deadline(clock, timeoutMs, `the ${what} to ${url.host}`, signal);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'patchcord', ...signed },
      body,
      // What was meant for one address is not handed to another, and a redirected POST may become a GET.
      redirect: 'manual',
      signal: limit.signal,
    });
    const text = await readText(request, response);
    const retryAfterMs = readRetryAfter(response.headers.get('retry-after'), clock);
    return { status: response.status, text, retryAfterMs };
  } catch (thrown) {
    throw lost(thrown, what, url.host, limit.signal);
  }
}

/** For a receiver that answered, but not as it should. `found` follows its host. */
export function hookFailure(what: string, host: string, found: string, cause?: unknown): BridgeError {
  return new BridgeError(HOOK_CODE, `the ${what} to ${host}: ${found}`, { cause });
}

/** The host of a webhook's address, the only part of it that is told to anybody. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'no host';
}

/** What a status that is no success means, as an error. */
export function statusFailure(what: string, host: string, status: number): BridgeError {
  const found =
    status >= 300 && status < 400
      ? `answered ${status}, a redirect, which is not followed; set the final address`
      : `answered ${status}`;
  return hookFailure(what, host, found);
}

async function readText(request: HookRequest, response: Response): Promise<string | undefined> {
  if (response.body === null) return '';
  if (!request.wantsAnswer) {
    // The answer has been given; that its text breaks off changes nothing.
    await response.body.cancel().catch(() => undefined);
    return '';
  }
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  // Leaving the loop gives the rest of the answer up.
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Seconds, or a date; undefined for anything else. */
function readRetryAfter(header: string | null, clock: Clock): number | undefined {
  if (header === null) return undefined;
  const seconds = /^\d{1,9}$/.test(header.trim()) ? Number(header) : undefined;
  const ms = seconds === undefined ? Date.parse(header) - clock.epoch() : seconds * 1000;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function lost(thrown: unknown, what: string, host: string, signal: AbortSignal): BridgeError {
  if (signal.aborted) {
    const { reason } = signal;
    if (reason instanceof BridgeError && reason.code === 'TIMEOUT') return reason;
    return new BridgeError('CANCELLED', `the ${what} to ${host} was given up`, { cause: reason });
  }
  if (thrown instanceof BridgeError) return thrown;
  return hookFailure(what, host, troubleOf(thrown), thrown);
}

/** `fetch` says no more than "fetch failed"; the cause has the name of the trouble, and no secret. */
function troubleOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (cause instanceof AggregateError && cause.errors.length > 0) return troubleOf(cause.errors[0]);
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? `the connection failed: ${code}` : 'the connection failed';
}
