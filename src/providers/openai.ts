import type { ProviderCapabilities, RealtimeProvider } from '../provider.ts';
import { scrubber } from './common/network.ts';
import { optionsOf } from './common/options.ts';
import { type Dialect, FORMATS } from './openai/config.ts';
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
  speech: 'turns',
  truncate: true,
  cancel: true,
  resume: false,
  cancelsTools: false,
  parallelTools: true,
  maxSessionMs: MAX_SESSION_MS,
  announcesEnd: false,
  history: undefined,
});

const options = optionsOf('OpenAI provider');

function urlFor(baseUrl: string, model: string): URL {
  const url = options.url(baseUrl);
  const named = ['model', 'deployment', 'call_id'].some((key) => url.searchParams.has(key));
  if (!named && model === '') throw options.bad('model is empty, wanted the name of a realtime model');
  if (!named) url.searchParams.set('model', model);
  return url;
}

function headersOf({ auth, safetyIdentifier, headers }: OpenAiOptions, key: string): Record<string, string> {
  const own: Record<string, string> =
    auth === 'api-key' ? { 'api-key': key } : { Authorization: `Bearer ${key}` };
  if (safetyIdentifier !== undefined) own['OpenAI-Safety-Identifier'] = safetyIdentifier;
  return options.headers({ ...own, ...headers });
}

/** The OpenAI Realtime API over WebSocket, and what is compatible with it. Throws BAD_CONFIG for unusable options. */
export function createOpenAiProvider(given: OpenAiOptions): RealtimeProvider {
  const apiKey = options.key(given.apiKey);
  const { baseUrl = 'wss://api.openai.com/v1/realtime' } = given;
  const setup: SessionSetup = Object.freeze({
    url: urlFor(baseUrl, given.model),
    headers: headersOf(given, apiKey),
    dialect: given.dialect ?? 'ga',
    voice: given.voice,
    transcriptionModel: given.transcriptionModel ?? 'gpt-transcribe',
    session: given.session ?? {},
    connectTimeoutMs: options.ms('connectTimeoutMs', given.connectTimeoutMs, 10_000, 1),
    highWaterMs: options.ms('highWaterMs', given.highWaterMs, 2_000, 20),
    backlogMs: options.ms('backlogMs', given.backlogMs, 2_000),
    expiryMarginMs: options.ms('expiryMarginMs', given.expiryMarginMs, 5 * 60_000),
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
      const own = model === undefined ? setup : { ...setup, url: urlFor(baseUrl, model) };
      return OpenAiSession.connect(own, request, sink, signal);
    },
  };
}
