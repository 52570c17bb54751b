import { randomBytes } from 'node:crypto';

/** An id as Twilio gives them: a prefix for the kind of thing, and 32 hexadecimal digits. */
export function newSid(prefix: 'CA' | 'MZ' | 'RE'): string {
  return prefix + randomBytes(16).toString('hex');
}

/** Times in webhooks and in the REST interface are RFC 2822. */
export function rfc2822(epochMs: number): string {
  return new Date(epochMs).toUTCString().replace('GMT', '+0000');
}
