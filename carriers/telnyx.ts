import type { AudioFormat } from '../src/audio/format.ts';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import type { Answer, Carrier, CarrierCapabilities, CarrierEvent, WebhookRequest } from '../src/carrier.ts';
import { type Fetch, restBase } from '../src/carrier-rest.ts';
import { BridgeError } from '../src/errors.ts';
import { type Random, systemRandom } from '../src/random.ts';
import { createControl } from './telnyx/control.ts';
import type { ControlEvent, Steps } from './telnyx/events.ts';
import { parseEvent, readEvent } from './telnyx/events.ts';
import { parseForm, readFlat, readForm } from './telnyx/form.ts';
import type { L16ByteOrder } from './telnyx/media.ts';
import { createMedia } from './telnyx/media.ts';
import { Seen } from './telnyx/seen.ts';
import { isJson, readPublicKey, streamToken, verifyUpgrade, verifyWebhook } from './telnyx/signature.ts';
import { createTexml } from './telnyx/texml.ts';
import { address, seconds, spokenLanguage } from './telnyx/words.ts';

/** What is sent to Telnyx: a codec, and for L16 its rate in samples per second. */
export const TELNYX_CODECS = ['PCMU', 'PCMA', 'L16/8000', 'L16/16000', 'L16/24000'] as const;
export type TelnyxCodec = (typeof TELNYX_CODECS)[number];

/** What the Telnyx carrier has to know of its account and of the bridge. */
export interface TelnyxOptions {
  /** Without it nothing can be asked for by request, and calls of Call Control cannot be answered. */
  readonly apiKey: string | undefined;
  /** Base64 of 32 bytes, from the portal; without it every webhook is refused. */
  readonly publicKey: string | undefined;
  /** The Call Control application that calls are placed with. */
  readonly connectionId: string | undefined;
  /** REST host with the version, default `https://api.telnyx.com/v2`. */
  readonly baseUrl?: string | undefined;
  /** Where Telnyx reaches the bridge, with a path prefix or without, no slash at its end; asked at every use. */
  readonly publicUrl: () => string;
  /** True: webhooks and media sockets are accepted without a check. */
  readonly insecure: boolean;
  /** Makes the requests; default: the platform's own. */
  readonly fetch?: Fetch | undefined;
  /** Of the ids of commands, and of what media sockets prove themselves by; default: that of this machine. */
  readonly random?: Random | undefined;
  /** Milliseconds since 1970. */
  readonly epochMs: () => number;
  /** What we send; default PCMU. What the caller's leg sends is up to the caller's network. */
  readonly codec?: TelnyxCodec | undefined;
  /** Of L16, which Telnyx does not document; default `detect`: found out for what comes in, little-endian out. */
  readonly l16ByteOrder?: L16ByteOrder | undefined;
}

const ALAW_8K: AudioFormat = Object.freeze({ encoding: 'alaw', rate: 8000 });
const PCM16_8K: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 8000 });
const PCM16_16K: AudioFormat = Object.freeze({ encoding: 'pcm16', rate: 16000 });

const FORMATS: Readonly<Record<TelnyxCodec, AudioFormat>> = Object.freeze({
  PCMU: MULAW_8K,
  PCMA: ALAW_8K,
  'L16/8000': PCM16_8K,
  'L16/16000': PCM16_16K,
  'L16/24000': PCM16_24K,
});

/** Long after the last attempt of Telnyx to deliver an event, which comes within minutes. */
const REMEMBER_EVENTS_MS = 600_000;

/**
 * The Telnyx carrier, of both kinds: applications of Call Control (events and commands) and of TeXML (documents).
 * Throws BAD_CONFIG for a public key that is none and for a base URL that cannot be used.
 */
export function createTelnyx(options: TelnyxOptions): Carrier {
  const codec = options.codec ?? 'PCMU';
  const output = FORMATS[codec];
  if (output === undefined) {
    throw new BridgeError('BAD_CONFIG', `the Telnyx codec is none of ${TELNYX_CODECS.join(', ')}`);
  }
  const codecName = codec.split('/', 1)[0] ?? codec;
  const { insecure, epochMs, random = systemRandom } = options;
  const secret = random.bytes(32);
  const signatures = { key: readPublicKey(options.publicKey), insecure, epochMs, seen: new Seen() };
  const media = { output, l16ByteOrder: options.l16ByteOrder ?? 'detect' };
  // TeXML takes no L16.
  const document = codecName === 'L16' ? 'PCMU' : codecName;
  const texml = createTexml({ codec: document, rateHz: MULAW_8K.rate, address, seconds, spokenLanguage });
  const control = createControl({
    apiKey: options.apiKey || undefined,
    fetch: options.fetch,
    random,
    baseUrl: restBase('Telnyx', options.baseUrl ?? 'https://api.telnyx.com/v2'),
    connectionId: options.connectionId || undefined,
    codec: codecName,
    rateHz: output.rate,
    eventsUrl: () => `${options.publicUrl()}/events/telnyx`,
    streamToken: (mediaUrl) => streamToken(secret, mediaUrl),
  });
  const { answer, reject, ...others } = control;
  const { announce, connect, letGo, callerGone, settled, recordMessage, messageOver, ...rest } = others;
  const steps = { announce, connect, letGo, callerGone, settled, recordMessage, messageOver };
  return {
    name: 'telnyx',
    capabilities: capabilities('document'),
    controlsCalls: Boolean(options.apiKey),
    commandCapabilities: capabilities('command'),
    verify: (request) => verifyWebhook(signatures, request),
    verifyUpgrade: (request, call) => verifyUpgrade({ secret, insecure }, request, call),
    parse: webhookParser(steps, epochMs),
    accept: (call, plan) =>
      call.control === 'document'
        ? { answer: texml.stream(plan) }
        : { answer: EMPTY, action: (signal) => answer(call, signal) },
    reject: (call, reason) =>
      call.control === 'document'
        ? { answer: texml.reject(reason) }
        : { answer: EMPTY, action: (signal) => reject(call, reason, signal) },
    document: texml.next,
    announcement: texml.announcement,
    // A document without a verb: TeXML wants one, and for events every answer of 200 is as good as another.
    acknowledge: texml.nothing,
    ...createMedia(media),
    ...rest,
  };
}

const EMPTY: Answer = Object.freeze({ status: 200, contentType: '', body: '' });

function capabilities(control: 'document' | 'command'): CarrierCapabilities {
  const document = control === 'document';
  return Object.freeze({
    webhookAuth: 'body-signature',
    // Call Control takes a token of ours with the stream, TeXML does not.
    upgradeAuth: document ? 'path' : 'token-header',
    tokenUses: 1,
    orderedMedia: false,
    saysStopped: true,
    marksEchoedOnClear: true,
    needsSilenceWhenIdle: true,
    defaultFormat: MULAW_8K,
    inputs: Object.freeze([MULAW_8K, ALAW_8K, PCM16_8K, PCM16_16K, PCM16_24K]),
    outputs: Object.freeze(document ? [MULAW_8K, ALAW_8K] : Object.values(FORMATS)),
    digitsIn: 'socket-and-webhook',
    digitsOut: 'request',
    transfer: Object.freeze({ endsStream: document, announced: true, wayBack: true }),
    machineDetection: 'beep',
    dialGives: 'call-id',
  } as const);
}

function webhookParser(steps: Steps, epochMs: () => number): Carrier['parse'] {
  const done = new Seen();
  return (request, route) => {
    const ref = new URLSearchParams(request.target.split('?')[1] ?? '').get('ref') || undefined;
    // Only what is signed is read: never the query of a GET, beside our own `ref`.
    if (!isJson(request.body)) return parseForm(readForm(request.body, route), ref, route);
    const body = readJson(request);
    const event = readEvent(body, ref);
    return event === undefined ? parseForm(readFlat(body), ref, route) : once(event, steps, done, epochMs());
  };
}

/**
 * Telnyx may deliver an event several times, also at once. Two events start something in the bridge that knows its
 * duplicates itself; of all others the second one is nothing: a key would be pressed twice, a transfer be tried twice.
 */
function once(event: ControlEvent, steps: Steps, done: Seen, nowMs: number): CarrierEvent {
  const parsed = parseEvent(event, steps);
  if (parsed.type === 'incoming' || parsed.type === 'answered') return parsed;
  if (done.has(event.id, nowMs)) return { type: 'ignored', why: 'the event came before' };
  done.add(event.id, nowMs + REMEMBER_EVENTS_MS, nowMs);
  return parsed;
}

function readJson(request: WebhookRequest): Readonly<Record<string, unknown>> {
  try {
    // It begins like an object, so it is one.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body));
  } catch {
    // Without its cause, which quotes what it could not read.
    throw new BridgeError(
      'BAD_FRAME',
      `a Telnyx webhook of ${request.body.length} bytes is not JSON; wanted an event`,
    );
  }
}
