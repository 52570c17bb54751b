import { randomBytes } from 'node:crypto';
import type { CarrierName } from '../carrier.ts';
import { telnyxPublicKey } from '../sim/phone/telnyx/signature.ts';

/** An account at a simulated carrier. */
export interface Account {
  readonly id: string;
  readonly secret: string;
}

/** An account that nobody else has. */
export function newAccount(carrier: CarrierName): Account {
  const secret = randomBytes(16).toString('hex');
  const letters = randomBytes(9).toString('hex').toUpperCase();
  switch (carrier) {
    case 'twilio':
      return { id: `AC${randomBytes(16).toString('hex')}`, secret };
    case 'plivo':
      return { id: `MA${letters}`, secret };
    case 'telnyx':
      return { id: randomBytes(16).toString('hex'), secret };
  }
}

/** The settings of a service that has this account; `url` is the address of the simulated REST interface. */
export function settingsFor(
  carrier: CarrierName,
  { id, secret }: Account,
  url: string,
): readonly (readonly [string, string])[] {
  switch (carrier) {
    case 'twilio':
      return [
        ['TWILIO_ACCOUNT_SID', id],
        ['TWILIO_AUTH_TOKEN', secret],
        ['TWILIO_BASE_URL', url],
      ];
    case 'telnyx':
      return [
        ['TELNYX_PUBLIC_KEY', telnyxPublicKey(secret)],
        ['TELNYX_API_KEY', secret],
        ['TELNYX_CONNECTION_ID', '1'],
        ['TELNYX_BASE_URL', `${url}/v2`],
      ];
    case 'plivo':
      return [
        ['PLIVO_AUTH_ID', id],
        ['PLIVO_AUTH_TOKEN', secret],
        ['PLIVO_BASE_URL', url],
      ];
  }
}
