import { createHmac } from 'node:crypto';
import type { FormFields } from '../carrier-sim.ts';
import { withoutFragment } from '../http.ts';

/**
 * What Twilio puts into `X-Twilio-Signature`: base64 HMAC-SHA1 of the address, followed by every form field's name and
 * value in the order of the names. `url` is used letter by letter, without its fragment. A GET request and a WebSocket
 * upgrade have no fields.
 */
export function twilioSignature(authToken: string, url: string, fields: FormFields = {}): string {
  const hash = createHmac('sha1', authToken);
  hash.update(withoutFragment(url), 'utf8');
  for (const name of Object.keys(fields).sort()) {
    for (const value of signedValues(fields[name])) hash.update(name + value, 'utf8');
  }
  return hash.digest('base64');
}

// Twilio signs a repeated field once for each different value, sorted.
function signedValues(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : [...new Set(value)].sort();
}
