import { randomUUID } from 'node:crypto';
import type { CallHandle, CarrierSim, TroubleCodes } from '../carrier-sim.ts';
import { PlivoCall } from './call.ts';
import { plivoRest } from './rest.ts';
import { readSettings } from './settings.ts';

/** Plivo's hangup causes for documents that cannot be had; the rest are words of ours. */
const CODES: TroubleCodes = {
  'http-failure': '7011',
  'no-connection': '7011',
  'content-type': '8011',
  'bad-address': 'bad_address',
  'stream-unanswered': 'stream_unanswered',
  'stream-refused': 'stream_refused',
  'stream-broken': 'stream_broken',
  'stream-tls': 'stream_tls',
  'stream-not-upgraded': 'stream_not_upgraded',
  'stream-protocol': 'stream_protocol',
};

/** Plivo: XML documents, numbers without a plus, HMAC-SHA256 over addresses, forms and nonces; `settings.ts` has its options. */
export function createPlivoSim(): CarrierSim {
  const parts = new WeakMap<CallHandle, PlivoCall>();
  const live = new Set<PlivoCall>();
  return {
    name: 'plivo',
    codes: CODES,
    rest: plivoRest((call) => parts.get(call), live),
    identify(options) {
      const { requestIds } = readSettings(options);
      const requestId = options.order?.fields['request_uuid'];
      const isSame = requestIds === 'same' && typeof requestId === 'string';
      return {
        callId: isSame ? requestId : randomUUID(),
        accountId: options.accountSid ?? 'MASIMULATEDPLIVO0001',
        authToken: options.authToken ?? 'U2ltdWxhdGVkVG9rZW5TaW11bGF0ZWRUb2tlblNp',
        from: withoutPlus(options.from ?? '14155550100'),
        to: withoutPlus(options.to ?? '14155550101'),
        direction: options.direction ?? 'inbound',
      };
    },
    attend(call) {
      const part = new PlivoCall(call, CODES);
      parts.set(call, part);
      for (const other of live) if (other.call.isOver) live.delete(other);
      live.add(part);
      return part;
    },
  };
}

/** Numbers are written without it, whatever the bridge wrote. */
function withoutPlus(address: string): string {
  return /^\+\d+$/.test(address) ? address.slice(1) : address;
}
