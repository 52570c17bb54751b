import { BridgeError } from '../errors.ts';
import type { CarrierName, CarrierSim } from './phone/carrier-sim.ts';
import { type Exchange, type ExchangeOptions, startExchangeOf } from './phone/exchange.ts';
import { createPlivoSim } from './phone/plivo/plivo.ts';
import { createTelnyxSim } from './phone/telnyx/telnyx.ts';
import { createTwilioSim } from './phone/twilio/twilio.ts';

export type { SimulatedCall } from './phone/call.ts';
export type { CallOptions, CallReport } from './phone/call-terms.ts';
export type { Callee } from './phone/callee.ts';
export type { Exchange } from './phone/exchange.ts';
export type { PhoneFaults } from './phone/faults.ts';

/** Makers of the carriers; one is made for each exchange. */
const CARRIERS: Readonly<Partial<Record<CarrierName, () => CarrierSim>>> = {
  twilio: createTwilioSim,
  telnyx: createTelnyxSim,
  plivo: createPlivoSim,
};

/**
 * Starts an exchange with the face of a carrier (default: Twilio): one ticker for all its calls, and the REST interface
 * on a port of its own. Rejects with BAD_INPUT for a carrier that the simulated phone does not know.
 */
export async function startExchange(
  options: ExchangeOptions & { readonly carrier?: CarrierName | undefined } = {},
): Promise<Exchange> {
  const { carrier = 'twilio' } = options;
  const make = CARRIERS[carrier];
  if (make === undefined) {
    const known = Object.keys(CARRIERS).join(', ');
    throw new BridgeError('BAD_INPUT', `carrier: found ${JSON.stringify(carrier)}, wanted one of ${known}`);
  }
  return await startExchangeOf(make(), options);
}
