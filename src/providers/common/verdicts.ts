import type { ErrorCode } from '../../errors.ts';

/** What the HTTP status of a refusal means, where nothing else tells. */
export function statusVerdict(status: number): ErrorCode {
  if (status === 401 || status === 403) return 'PROVIDER_AUTH';
  if (status === 429) return 'PROVIDER_RATE_LIMITED';
  if (status === 408 || status >= 500) return 'PROVIDER_UNAVAILABLE';
  return 'PROVIDER_CONFIG';
}

/** Closes after which the same again will not do: the peer objects to what was said, not to the moment. */
const OBJECTIONS: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009, 1010]);

/** What the code of a close frame means, where nothing else tells. */
export function closeVerdict(code: number, whileConnecting: boolean): ErrorCode {
  if (OBJECTIONS.has(code)) return 'PROVIDER_CONFIG';
  if (whileConnecting || code === 1011 || code === 1012 || code === 1013) return 'PROVIDER_UNAVAILABLE';
  return 'PROVIDER_CLOSED';
}
