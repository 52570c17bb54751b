import { MULAW_8K } from '../../src/audio/format.ts';
import type { Answer, Carrier, ControlResult } from '../../src/carrier.ts';

const EMPTY: Answer = { status: 200, contentType: 'text/xml', body: '<Response/>' };

/** A carrier that believes everything; `hungUp` collects the calls that were hung up by REST. */
export function fakeCarrier(hungUp: string[] = [], result: ControlResult = { status: 'ok' }): Carrier {
  return {
    name: 'twilio',
    capabilities: {
      answerMode: 'document',
      tokenUses: 1,
      orderedMedia: true,
      marksEchoedOnClear: true,
      needsSilenceWhenIdle: false,
      defaultFormat: MULAW_8K,
    },
    verify: () => ({ ok: true }),
    verifyUpgrade: () => ({ ok: true }),
    parse: () => ({ type: 'ignored', why: 'a fake carrier has no webhooks' }),
    accept: () => EMPTY,
    reject: () => EMPTY,
    after: () => EMPTY,
    acknowledge: () => EMPTY,
    decode: () => [],
    encode: (command) => command.type,
    hangUp: (callId) => {
      hungUp.push(callId);
      return Promise.resolve(result);
    },
  };
}
