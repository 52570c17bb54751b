import type { AudioFormat } from '../src/audio/format.ts';
import { MULAW_8K } from '../src/audio/format.ts';
import type { Carrier, CarrierCapabilities } from '../src/carrier.ts';
import { type Fetch, restBase } from '../src/carrier-rest.ts';
import {
  announcementDocument,
  emptyDocument,
  nextDocument,
  rejectDocument,
  streamDocument,
} from './plivo/documents.ts';
import { createMedia } from './plivo/media.ts';
import { createNonceCache } from './plivo/nonces.ts';
import { createControl } from './plivo/rest.ts';
import { readSigned, verifyUpgrade, verifyWebhook } from './plivo/signature.ts';
import { parseWebhook } from './plivo/webhook.ts';

/** What both directions of a stream can hold, by the name in the settings. */
export const PLIVO_AUDIO = ['mulaw', 'l16-8000', 'l16-16000'] as const;
export type PlivoAudio = (typeof PLIVO_AUDIO)[number];

/** What the Plivo carrier has to know of its account and of the bridge. */
export interface PlivoOptions {
  /** `MA…` or, of a subaccount, `SA…`; without it no request can be made. */
  readonly authId: string | undefined;
  /** Signs webhooks and authenticates requests; without it every webhook is refused. */
  readonly authToken: string | undefined;
  /** Where Plivo reaches the bridge, with a path prefix or without; asked at every use. */
  readonly publicUrl: () => string;
  /** REST host, default `https://api.plivo.com`; or a simulator. */
  readonly baseUrl?: string | undefined;
  /** Where Plivo goes on with a placed call when the bridge has no answer. */
  readonly fallbackUrl?: string | undefined;
  /** True: webhooks and media sockets are accepted without a check. */
  readonly insecure: boolean;
  /** Makes the requests; default: the platform's own. */
  readonly fetch?: Fetch | undefined;
  /** Milliseconds since 1970, for the memory of nonces. */
  readonly epochMs: () => number;
  /** What streams are asked to hold, default mu-law. */
  readonly audio?: PlivoAudio | undefined;
  /** True: a media socket without a signature is refused. Default false: the pages do not agree that there is one. */
  readonly requireUpgradeSignature?: boolean | undefined;
  /** Told in which form the URL of a media socket was signed, such as `wss` or `http/websocket`. */
  readonly onUpgradeSignature?: ((candidate: string) => void) | undefined;
}

const L16_8K: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 8000 });
const L16_16K: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 16000 });
const FORMATS: Readonly<Record<PlivoAudio, AudioFormat>> = {
  mulaw: MULAW_8K,
  'l16-8000': L16_8K,
  'l16-16000': L16_16K,
};
const ALL_FORMATS = Object.freeze([MULAW_8K, L16_8K, L16_16K]);

const capabilities = (defaultFormat: AudioFormat): CarrierCapabilities =>
  Object.freeze({
    webhookAuth: 'url-signature',
    upgradeAuth: 'signature-if-present',
    // Twice more when the first connection fails.
    tokenUses: 3,
    orderedMedia: true,
    saysStopped: false,
    marksEchoedOnClear: false,
    needsSilenceWhenIdle: false,
    defaultFormat,
    inputs: ALL_FORMATS,
    outputs: ALL_FORMATS,
    digitsIn: 'socket',
    digitsOut: 'socket',
    transfer: Object.freeze({ endsStream: true, announced: true, wayBack: true }),
    machineDetection: 'machine',
    dialGives: 'request-id',
  });

/** The Plivo carrier: XML answers, audio streams, control by REST. Throws BAD_CONFIG for a base URL that cannot be used. */
export function createPlivo(options: PlivoOptions): Carrier {
  const format = FORMATS[options.audio ?? 'mulaw'];
  const authToken = options.authToken === '' ? undefined : options.authToken;
  const nonces = createNonceCache(options.epochMs);
  const auth = {
    authToken,
    publicUrl: options.publicUrl,
    insecure: options.insecure,
    requireUpgradeSignature: options.requireUpgradeSignature ?? false,
    onUpgradeSignature: options.onUpgradeSignature,
    isReplay: nonces.isReplay,
  };
  const control = createControl({
    authId: options.authId === '' ? undefined : options.authId,
    authToken,
    fallbackUrl: options.fallbackUrl,
    fetch: options.fetch,
    baseUrl: restBase('Plivo', options.baseUrl ?? 'https://api.plivo.com'),
  });
  return {
    name: 'plivo',
    capabilities: capabilities(format),
    controlsCalls: Boolean(options.authId && authToken),
    verify: (request) => verifyWebhook(auth, request),
    verifyUpgrade: (request) => verifyUpgrade(auth, request),
    parse: (request, route) => parseWebhook(readSigned(request, route), route),
    accept: (_call, plan) => ({ answer: streamDocument(plan, format) }),
    reject: (_call, reason) => ({ answer: rejectDocument(reason) }),
    document: (next, urls) => nextDocument(next, urls, format),
    announcement: announcementDocument,
    acknowledge: emptyDocument,
    ...createMedia(format),
    ...control,
  };
}
