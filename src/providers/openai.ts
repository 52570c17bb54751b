import type { RealtimeProvider } from '../provider.ts';
import type { OptionChecks } from './common/options.ts';
import { keyAccess } from './openai/access.ts';
import { BETA, GA } from './openai/dialects.ts';
import { OPENAI } from './openai/facts.ts';
import { checksOf, type FamilyOptions, familyProvider } from './openai/provider.ts';

/** Settings of the OpenAI Realtime provider and of servers that speak like it. Times are in ms. */
export interface OpenAiOptions extends FamilyOptions {
  readonly apiKey: string;
  /** `ws:` or `wss:`; the default is `wss://api.openai.com/v1/realtime`. */
  readonly baseUrl?: string | undefined;
  /** Goes into the URL as `?model=`, unless that names one already. */
  readonly model: string;
  /** How the key travels: `bearer` (the default), or `api-key` as on Azure. */
  readonly auth?: 'bearer' | 'api-key' | undefined;
  /** Shape of what is sent; both are understood. Default `ga`; `beta` for servers that speak the older one. */
  readonly dialect?: 'ga' | 'beta' | undefined;
  /** A hash of the end user, for the provider's abuse reports. */
  readonly safetyIdentifier?: string | undefined;
}

function addressFor(check: OptionChecks, baseUrl: string, model: string): URL {
  const url = check.url(baseUrl);
  const named = ['model', 'deployment', 'call_id'].some((key) => url.searchParams.has(key));
  if (!named && model === '') throw check.bad('model is empty, wanted the name of a realtime model');
  if (!named) url.searchParams.set('model', model);
  return url;
}

/** The OpenAI Realtime API over WebSocket, and what is compatible with it. Throws BAD_CONFIG for unusable options. */
export function createOpenAiProvider(options: OpenAiOptions): RealtimeProvider {
  const check = checksOf(OPENAI);
  const { baseUrl = 'wss://api.openai.com/v1/realtime', safetyIdentifier, headers } = options;
  const others: Record<string, string> = {};
  if (safetyIdentifier !== undefined) others['OpenAI-Safety-Identifier'] = safetyIdentifier;
  const address = (model: string | undefined): URL => addressFor(check, baseUrl, model ?? options.model);
  return familyProvider(check, options, {
    name: 'openai',
    facts: OPENAI,
    dialect: options.dialect === 'beta' ? BETA : GA,
    access: keyAccess(check, options.auth ?? 'bearer', options.apiKey, { ...others, ...headers }),
    address,
    // An address that names a model has the last word.
    model: address(undefined).searchParams.get('model') ?? undefined,
    transcriber: () => 'gpt-transcribe',
    // A compatible server that names no end may have none.
    endsUnsaid: false,
  });
}
