import { createHash } from 'node:crypto';

const MAX_LENGTH = 128;
const FIT = /^[\x21-\x7e]+$/;

/**
 * A key that is the same for the same invocation of a function and fit for an HTTP header: printable ASCII, at most
 * 128 characters. Ids that are not are hashed, whole, so that different ones stay different.
 */
export function idempotencyKey(callId: string, toolCallId: string, repetition = 1): string {
  // Some servers count the calls of each response from 0 again.
  const suffix = repetition === 1 ? '' : `:${repetition}`;
  const key = `${callId}:${toolCallId}${suffix}`;
  if (key.length <= MAX_LENGTH && FIT.test(key)) return key;
  return `sha256-${createHash('sha256').update(key).digest('base64url')}`;
}
