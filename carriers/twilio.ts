import { MULAW_8K } from '../src/audio/format.ts';
import type { Carrier, CarrierCapabilities } from '../src/carrier.ts';
import { type Fetch, restBase } from '../src/carrier-rest.ts';
import { createMedia } from './twilio/media.ts';
import { createControl } from './twilio/rest.ts';
import { readSigned, verifyUpgrade, verifyWebhook } from './twilio/signature.ts';
import {
  announcementDocument,
  emptyDocument,
  nextDocument,
  rejectDocument,
  streamDocument,
} from './twilio/twiml.ts';
import { parseWebhook } from './twilio/webhook.ts';

/** What the Twilio carrier has to know of its account and of the bridge. */
export interface TwilioOptions {
  /** `AC` and 32 hexadecimal digits; without it no request can be made. */
  readonly accountSid: string | undefined;
  /** Signs webhooks and authenticates requests; without it every webhook is refused. */
  readonly authToken: string | undefined;
  /** Where Twilio reaches the bridge, with a path prefix or without; asked at every use. */
  readonly publicUrl: () => string;
  /** REST host, default `https://api.twilio.com`; another edge, region or a simulator. */
  readonly baseUrl?: string | undefined;
  /** Where Twilio goes on with a placed call when the bridge has no answer. */
  readonly fallbackUrl?: string | undefined;
  /** True: webhooks and media sockets are accepted without a check. */
  readonly insecure: boolean;
  /** Makes the requests; default: the platform's own. */
  readonly fetch?: Fetch | undefined;
}

const CAPABILITIES: CarrierCapabilities = Object.freeze({
  webhookAuth: 'url-signature',
  upgradeAuth: 'signature',
  tokenUses: 1,
  orderedMedia: true,
  saysStopped: true,
  marksEchoedOnClear: true,
  needsSilenceWhenIdle: false,
  defaultFormat: MULAW_8K,
  inputs: Object.freeze([MULAW_8K]),
  outputs: Object.freeze([MULAW_8K]),
  digitsIn: 'socket',
  digitsOut: 'interrupts-stream',
  transfer: Object.freeze({ endsStream: true, announced: true, wayBack: true }),
  machineDetection: 'beep',
  dialGives: 'call-id',
});

/** The Twilio carrier: TwiML answers, Media Streams, control by REST. Throws BAD_CONFIG for a base URL that cannot be used. */
export function createTwilio(options: TwilioOptions): Carrier {
  const auth = {
    authToken: options.authToken === '' ? undefined : options.authToken,
    publicUrl: options.publicUrl,
    insecure: options.insecure,
  };
  const control = createControl({
    accountSid: options.accountSid === '' ? undefined : options.accountSid,
    authToken: auth.authToken,
    fallbackUrl: options.fallbackUrl,
    fetch: options.fetch,
    baseUrl: restBase('Twilio', options.baseUrl ?? 'https://api.twilio.com'),
  });
  return {
    name: 'twilio',
    capabilities: CAPABILITIES,
    controlsCalls: Boolean(options.accountSid && auth.authToken),
    verify: (request) => verifyWebhook(auth, request),
    verifyUpgrade: (request) => verifyUpgrade(auth, request),
    parse: (request, route) => parseWebhook(readSigned(request, route), route),
    accept: (_call, plan) => ({ answer: streamDocument(plan) }),
    reject: (_call, reason) => ({ answer: rejectDocument(reason) }),
    document: nextDocument,
    announcement: announcementDocument,
    acknowledge: emptyDocument,
    ...createMedia(),
    ...control,
  };
}
