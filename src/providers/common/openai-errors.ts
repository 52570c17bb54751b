import type { ErrorCode } from '../../errors.ts';

/** Errors of OpenAI's APIs that end a session, by their `code` or `type`, and what they are for the bridge. */
export const FATAL_ERRORS: readonly (readonly [name: string, code: ErrorCode])[] = [
  ['invalid_api_key', 'PROVIDER_AUTH'],
  ['authentication_error', 'PROVIDER_AUTH'],
  ['account_deactivated', 'PROVIDER_AUTH'],
  ['model_not_found', 'PROVIDER_CONFIG'],
  ['insufficient_quota', 'PROVIDER_QUOTA'],
  ['billing_hard_limit_reached', 'PROVIDER_QUOTA'],
  ['credit_balance_exhausted', 'PROVIDER_QUOTA'],
  ['session_expired', 'PROVIDER_EXPIRED'],
];

/** The same of errors that may pass. */
export const PASSING_ERRORS: readonly (readonly [name: string, code: ErrorCode])[] = [
  ['rate_limit_exceeded', 'PROVIDER_RATE_LIMITED'],
  ['rate_limit_error', 'PROVIDER_RATE_LIMITED'],
  ['inference_rate_limit_exceeded', 'PROVIDER_RATE_LIMITED'],
  ['server_error', 'PROVIDER_UNAVAILABLE'],
  ['internal_error', 'PROVIDER_UNAVAILABLE'],
];
