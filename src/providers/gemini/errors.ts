import type { ErrorCode } from '../../errors.ts';
import { fieldsOf, isFields, textOf } from '../common/fields.ts';
import { closeVerdict } from '../common/verdicts.ts';

/** What the session had been through when it was closed. */
export interface Circumstances {
  readonly whileConnecting: boolean;
  /** A handle was shown. */
  readonly resuming: boolean;
  /** The result of a function was among the last things that were said. */
  readonly afterToolResult: boolean;
  /** The service had announced the end. */
  readonly announced: boolean;
}

/** First match counts: what the reasons say is more than what the numbers say. */
const REASONS: readonly (readonly [RegExp, ErrorCode])[] = [
  [/api[ _-]?key|credential|unauthenticated|permission|access token|unregistered caller/i, 'PROVIDER_AUTH'],
  [/too many requests|rate limit|concurrent sessions/i, 'PROVIDER_RATE_LIMITED'],
  [/quota|billing|credits? (?:is|are|have)|resource(?:[ _]has been)?[ _]exhausted/i, 'PROVIDER_QUOTA'],
  // Seen on 3.8 at 58:00 of a session (discuss.ai.google.dev, thread 186392).
  [/deadline expired|maximum (?:session )?duration|session duration/i, 'PROVIDER_EXPIRED'],
  [/overloaded|unavailable|internal error/i, 'PROVIDER_UNAVAILABLE'],
];

function byReason(reason: string): ErrorCode | undefined {
  return REASONS.find(([pattern]) => pattern.test(reason))?.[1];
}

/** Code of a socket that the service closed. */
export function closeCode(code: number, reason: string, when: Circumstances): ErrorCode {
  const found = byReason(reason);
  // At random after results of functions, whatever the reason says; a new session helps (googleapis/js-genai#1236,
  // google/adk-python#3918).
  if (!when.whileConnecting && when.afterToolResult && code === 1008) return 'PROVIDER_CLOSED';
  if (when.announced && (found === undefined || found === 'PROVIDER_UNAVAILABLE')) return 'PROVIDER_EXPIRED';
  if (found !== undefined) return found;
  const verdict = closeVerdict(code, when.whileConnecting);
  // 1007 and 1008 are what a handle gets that is too old: a session without it may be had at once.
  return verdict === 'PROVIDER_CONFIG' && isHandleRefused(when) ? 'PROVIDER_EXPIRED' : verdict;
}

/** Whether an objection to the settings may be one to the handle. */
function isHandleRefused({ whileConnecting, resuming }: Circumstances): boolean {
  return whileConnecting && resuming;
}

/** It may be the handle that was refused: the same again without it may succeed. */
export function mayBeHandle(code: ErrorCode, when: Circumstances): boolean {
  return code === 'PROVIDER_EXPIRED' && isHandleRefused(when);
}

/** HTTP status of a refused upgrade, with what the body says. */
export function statusCode(status: number, words: string): ErrorCode {
  const found = byReason(words);
  if (status === 401 || status === 403) return 'PROVIDER_AUTH';
  if (status === 429) return found === 'PROVIDER_QUOTA' ? 'PROVIDER_QUOTA' : 'PROVIDER_RATE_LIMITED';
  if (status === 408 || status >= 500) return 'PROVIDER_UNAVAILABLE';
  return found ?? 'PROVIDER_CONFIG';
}

/** The words of an error body, `{error: {message, status, details: [{reason}]}}`; the body itself if it is no such. */
export function wordsOfBody(body: string): string {
  try {
    const parsed: unknown = JSON.parse(body);
    const error = fieldsOf(fieldsOf(Array.isArray(parsed) ? parsed[0] : parsed)['error']);
    const details: unknown = error['details'];
    const reasons = (Array.isArray(details) ? details : [])
      .filter(isFields)
      .map((detail) => textOf(detail['reason']));
    const words = [textOf(error['message']), textOf(error['status']), ...reasons];
    const found = words.filter((word) => word !== undefined && word !== '').join(', ');
    return found === '' ? 'no message' : found;
  } catch {
    return body.trim() === '' ? 'no message' : body.trim();
  }
}
