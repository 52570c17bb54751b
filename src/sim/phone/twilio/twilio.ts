import type { CarrierSim } from '../carrier-sim.ts';
import { TwilioCall } from './call.ts';
import { CODES } from './codes.ts';
import { type TwilioBook, twilioRest } from './rest.ts';
import { newSid } from './sid.ts';

/**
 * Twilio: answer documents, mu-law both ways, HMAC-SHA1 over addresses and forms. `CallOptions.settings`: `answeredBy`
 * is what the detection says whoever it was (one of `ANSWERED_BY`); `actionAfterHangUp`, when it is `yes`, has the action
 * of a `<Connect>` or `<Dial>` asked also when the call ends in it.
 */
export function createTwilioSim(): CarrierSim {
  const book: TwilioBook = { calls: new WeakMap(), recordings: new Map(), baseUrl: 'https://api.twilio.com' };
  return {
    name: 'twilio',
    codes: CODES,
    rest: twilioRest(book),
    identify: ({ accountSid, authToken, from, to, direction }) => ({
      callId: newSid('CA'),
      accountId: accountSid ?? `AC${'0'.repeat(31)}1`,
      authToken: authToken ?? '12345678901234567890123456789012',
      from: from ?? '+14155550100',
      to: to ?? '+14155550101',
      direction: direction ?? 'inbound',
    }),
    attend(call) {
      const own = new TwilioCall(call, book);
      book.calls.set(call, own);
      return own;
    },
  };
}
