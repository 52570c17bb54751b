import type { ErrorCode } from '../errors.ts';

/**
 * What an error of one call says to all other calls. `credential`: it is no good for anybody; `provider`: it may be the
 * same for the next one; `nothing`: it is a matter of this call, this agent or this service.
 */
export type Blame = 'credential' | 'provider' | 'nothing';

/** Of every error, so that a new one does not compile until somebody has thought about it. */
export const BLAME: Readonly<Record<ErrorCode, Blame>> = {
  PROVIDER_AUTH: 'credential',
  PROVIDER_QUOTA: 'credential',
  PROVIDER_UNAVAILABLE: 'provider',
  // A limit on sessions is there for the next call, too, until somebody hangs up.
  PROVIDER_RATE_LIMITED: 'provider',
  PROVIDER_CLOSED: 'provider',
  TIMEOUT: 'provider',
  // A model or a setting of one agent must not take the provider from the others.
  PROVIDER_CONFIG: 'nothing',
  // The session has lasted as long as it may.
  PROVIDER_EXPIRED: 'nothing',
  // The session goes on.
  PROVIDER_REJECTED: 'nothing',
  CANCELLED: 'nothing',
  // A mistake of ours would open all breakers, one after the other, and heal by none.
  INTERNAL: 'nothing',
  BAD_CONFIG: 'nothing',
  BAD_INPUT: 'nothing',
  BAD_AUDIO: 'nothing',
  BAD_RECORDING: 'nothing',
  BAD_FRAME: 'nothing',
  CONFLICT: 'nothing',
  CARRIER_REFUSED: 'nothing',
  CARRIER_UNAVAILABLE: 'nothing',
  MEDIA_LOST: 'nothing',
  TOOL_FAILED: 'nothing',
  HOOK_FAILED: 'nothing',
  OVER_CAPACITY: 'nothing',
};
