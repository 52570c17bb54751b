import { BridgeError } from '../errors.ts';
import type { ProviderCapabilities, RealtimeProvider } from '../provider.ts';
import { type Dialect, FORMATS } from './openai/config.ts';
import { scrubber } from './openai/errors.ts';
import { OpenAiSession, type SessionSetup } from './openai/session.ts';

/** Settings of the OpenAI Realtime provider and of servers that speak like it. Times are in ms. */
export interface OpenAiOptions {
  readonly apiKey: string;
  /** `ws:` or `wss:`; the default is `wss://api.openai.com/v1/realtime`. */
  readonly baseUrl?: string | undefined;
  /** The name of the deployment on Azure; goes into the URL as `?model=`, unless that names one already. */
  readonly model: string;
  /** For requests that name no voice. */
  readonly voice?: string | undefined;
  /** How the key travels: `bearer` (the default), or `api-key` as on Azure. */
  readonly auth?: 'bearer' | 'api-key' | undefined;
  /** Shape of what is sent; both are understood. Default `ga`; `beta` for servers that speak the older one. */
  readonly dialect?: Dialect | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A hash of the end user, for the provider's abuse reports. */
  readonly safetyIdentifier?: string | undefined;
  /** Raw session fields, merged over what the bridge makes; those of a request are merged over these. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
  /** Writes down what the caller says; the default is `gpt-transcribe`. */
  readonly transcriptionModel?: string | undefined;
  /** For dialling and the first `session.updated` together; 10 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** Caller audio that may lie in the socket; 2 s. */
  readonly highWaterMs?: number | undefined;
  /** Caller audio that waits beside a full socket before the oldest is dropped; 2 s. */
  readonly backlogMs?: number | undefined;
  /** How long before the end of the session `expiring` comes; 5 min. */
  readonly expiryMarginMs?: number | undefined;
}

const MAX_SESSION_MS = 60 * 60_000;

const CAPABILITIES: ProviderCapabilities = Object.freeze({
  inputs: FORMATS,
  outputs: FORMATS,
  bargeIn: 'speech-started',
  truncate: true,
  cancel: true,
  resume: false,
  maxSessionMs: MAX_SESSION_MS,
  history: undefined,
});

function bad(message: string): BridgeError {
  return new BridgeError('BAD_CONFIG', `OpenAI provider: ${message}`);
}

// Not a word of the key or the query of the URL goes into a message: both may be secret.
function checkedKey(apiKey: string): string {
  if (/^[\x21-\x7e]+$/.test(apiKey)) return apiKey;
  throw bad(`apiKey is ${apiKey === '' ? 'empty' : 'not made of printable characters'}, wanted a key`);
}

function checkedUrl(baseUrl: string, model: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (url === undefined) throw bad('baseUrl is not a URL, wanted ws:// or wss://');
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw bad(`baseUrl starts with ${url.protocol}//, wanted ws:// or wss://`);
  }
  if (url.hash !== '') throw bad('baseUrl has a fragment (#), wanted none');
  const named = ['model', 'deployment', 'call_id'].some((key) => url.searchParams.has(key));
  if (!named && model === '') throw bad('model is empty, wanted the name of a realtime model');
  if (!named) url.searchParams.set('model', model);
  return url;
}

function checkedMs(name: string, value: number | undefined, otherwise: number, least = 0): number {
  if (value === undefined) return otherwise;
  if (Number.isFinite(value) && value >= least) return value;
  throw bad(`${name} is ${value}, wanted milliseconds, ${least} or more`);
}

function checkedHeaders(options: OpenAiOptions, apiKey: string): Record<string, string> {
  const own: Record<string, string> =
    options.auth === 'api-key' ? { 'api-key': apiKey } : { Authorization: `Bearer ${apiKey}` };
  if (options.safetyIdentifier !== undefined) own['OpenAI-Safety-Identifier'] = options.safetyIdentifier;
  const headers = { ...own, ...options.headers };
  for (const [name, value] of Object.entries(headers)) {
    if (/^[\w-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value)) continue;
    throw bad(`header ${JSON.stringify(name)} has characters that a header cannot have`);
  }
  return headers;
}

/** The OpenAI Realtime API over WebSocket, and what is compatible with it. Throws BAD_CONFIG for unusable options. */
export function createOpenAiProvider(options: OpenAiOptions): RealtimeProvider {
  const apiKey = checkedKey(options.apiKey);
  const { baseUrl = 'wss://api.openai.com/v1/realtime' } = options;
  const setup: SessionSetup = Object.freeze({
    url: checkedUrl(baseUrl, options.model),
    headers: checkedHeaders(options, apiKey),
    dialect: options.dialect ?? 'ga',
    voice: options.voice,
    transcriptionModel: options.transcriptionModel ?? 'gpt-transcribe',
    session: options.session ?? {},
    connectTimeoutMs: checkedMs('connectTimeoutMs', options.connectTimeoutMs, 10_000, 1),
    highWaterMs: checkedMs('highWaterMs', options.highWaterMs, 2_000, 20),
    backlogMs: checkedMs('backlogMs', options.backlogMs, 2_000),
    expiryMarginMs: checkedMs('expiryMarginMs', options.expiryMarginMs, 5 * 60_000),
    maxSessionMs: MAX_SESSION_MS,
    scrub: scrubber(apiKey),
  });
  return {
    name: 'openai',
    capabilities: CAPABILITIES,
    // An address that names a model has the last word.
    model: setup.url.searchParams.get('model') ?? undefined,
    connect(request, sink, signal) {
      const { model } = request;
      const own = model === undefined ? setup : { ...setup, url: checkedUrl(baseUrl, model) };
      return OpenAiSession.connect(own, request, sink, signal);
    },
  };
}
