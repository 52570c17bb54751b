import type { CarrierName } from './carrier.ts';

/** A call among those of all carriers, for maps: two carriers may use the same id. */
export function callKey(carrier: CarrierName, callId: string): string {
  return `${carrier} ${callId}`;
}
