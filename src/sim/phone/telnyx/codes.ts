import type { TroubleCodes } from '../carrier-sim.ts';

/** Telnyx has words for reasons where others have numbers; for most of these it has nothing in public. */
export const CODES: TroubleCodes = {
  'http-failure': 'webhook_failed',
  'no-connection': 'webhook_unreachable',
  'content-type': 'webhook_content_type',
  'bad-address': 'invalid_url',
  'stream-unanswered': 'connection_timeout',
  'stream-refused': 'connection_failed',
  'stream-broken': 'connection_lost',
  'stream-tls': 'tls_failed',
  'stream-not-upgraded': 'upgrade_failed',
  'stream-protocol': 'protocol_error',
};

/** A document that is no XML, and one with something odd in it. */
export const DOCUMENT_CODES = { malformed: 'invalid_texml', odd: 'odd_texml' } as const;
