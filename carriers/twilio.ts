import { MULAW_8K } from '../src/audio/format.ts';
import type { Carrier, CarrierCapabilities } from '../src/carrier.ts';
import { BridgeError } from '../src/errors.ts';
import { decodeMessage, encodeCommand } from './twilio/media.ts';
import { requestHangUp } from './twilio/rest.ts';
import { acceptDocument, afterDocument, emptyDocument, rejectDocument } from './twilio/twiml.ts';
import { parseWebhook, verifyUpgrade, verifyWebhook } from './twilio/webhook.ts';

/** What the Twilio carrier has to know of its account and of the bridge. */
export interface TwilioOptions {
  /** `AC` and 32 hexadecimal digits; without it nothing can be hung up by request. */
  readonly accountSid: string | undefined;
  /** Signs webhooks and authenticates requests; without it every webhook is refused. */
  readonly authToken: string | undefined;
  /** Where Twilio reaches the bridge, with a path prefix or without; asked at every use. */
  readonly publicUrl: () => string;
  /** REST host, default `https://api.twilio.com`; another edge, region or a simulator. */
  readonly baseUrl?: string | undefined;
  /** True: webhooks and media sockets are accepted without a check. */
  readonly insecure: boolean;
}

const CAPABILITIES: CarrierCapabilities = Object.freeze({
  answerMode: 'document',
  tokenUses: 1,
  orderedMedia: true,
  marksEchoedOnClear: true,
  needsSilenceWhenIdle: false,
  defaultFormat: MULAW_8K,
});

/** The Twilio carrier: TwiML answers, Media Streams, hang-up by REST. Throws BAD_CONFIG for a base URL that cannot be used. */
export function createTwilio(options: TwilioOptions): Carrier {
  const auth = {
    authToken: options.authToken === '' ? undefined : options.authToken,
    publicUrl: options.publicUrl,
    insecure: options.insecure,
  };
  const rest = {
    accountSid: options.accountSid === '' ? undefined : options.accountSid,
    authToken: auth.authToken,
    baseUrl: restBase(options.baseUrl),
  };
  return {
    name: 'twilio',
    capabilities: CAPABILITIES,
    verify: (request) => verifyWebhook(auth, request),
    verifyUpgrade: (request) => verifyUpgrade(auth, request),
    parse: parseWebhook,
    accept: (_call, plan) => acceptDocument(plan),
    reject: rejectDocument,
    after: afterDocument,
    acknowledge: emptyDocument,
    decode: decodeMessage,
    encode: encodeCommand,
    hangUp: (callId, signal) => requestHangUp(rest, callId, signal),
  };
}

function restBase(baseUrl = 'https://api.twilio.com'): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw new BridgeError('BAD_CONFIG', 'the Twilio base URL is not an http or https URL');
  }
  // fetch refuses such URLs with a message that shows them.
  if (url.username !== '' || url.password !== '') {
    throw new BridgeError('BAD_CONFIG', 'the Twilio base URL holds a user name or password; wanted none');
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}
