import { afterEach, describe, expect, it, vi } from 'vitest';
import { PROVIDER_SETTINGS, PROVIDERS } from '../src/config/provider-settings.ts';
import { type Env, loadConfig } from '../src/config.ts';
import { builtInProviders } from '../src/server/providers.ts';
import { startGeminiSimulator } from '../src/sim/gemini.ts';
import { startNovaSimulator } from '../src/sim/nova.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { startOpenAiLiveSimulator } from '../src/sim/openai-live.ts';
import { requestOf } from './support/provider-request.ts';

/** What a service got to see of one session. */
interface Sight {
  readonly model: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Everything that was sent before the first audio, as JSON. */
  readonly sent: string;
}

interface Place extends AsyncDisposable {
  readonly url: string;
  readonly origin: string;
  sight(): Promise<Sight>;
}

interface Connection {
  readonly model: string;
  readonly headers: Sight['headers'];
  readonly received: readonly { readonly event: object }[];
}

interface Simulator {
  readonly url: string;
  readonly port: number;
  nextConnection(): Promise<Connection>;
  close(): Promise<void>;
}

async function placeOf(starting: Promise<Simulator>): Promise<Place> {
  const simulator = await starting;
  return {
    url: simulator.url,
    origin: `127.0.0.1:${simulator.port}`,
    async sight() {
      const { model, headers, received } = await simulator.nextConnection();
      return { model, headers, sent: JSON.stringify(received.map(({ event }) => event)) };
    },
    [Symbol.asyncDispose]: () => simulator.close(),
  };
}

interface Case {
  readonly start: () => Promise<Place>;
  readonly env: (place: Place) => Env;
  /** In the place of a key: none of this is set, and the service is on this machine. */
  readonly bare?: (place: Place) => Env;
  readonly model: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly sent: readonly string[];
}

const KEY = 'the-key';

/** For each provider, every setting, mostly with a value that is not its default. */
const CASES: Readonly<Record<Exclude<(typeof PROVIDERS)[number], 'local'>, Case>> = {
  openai: {
    start: () => placeOf(startOpenAiSimulator()),
    env: ({ url }) => ({
      OPENAI_API_KEY: KEY,
      OPENAI_BASE_URL: url,
      OPENAI_MODEL: 'gpt-realtime-2',
      OPENAI_VOICE: 'cedar',
      OPENAI_TRANSCRIPTION_MODEL: 'gpt-live-transcribe',
      OPENAI_DIALECT: 'ga',
      OPENAI_AUTH: 'bearer',
      OPENAI_HEADERS: '{"X-Team":"phones"}',
      OPENAI_SESSION: '{"max_output_tokens":321}',
    }),
    bare: ({ url }) => ({ OPENAI_BASE_URL: url }),
    model: 'gpt-realtime-2',
    headers: { authorization: `Bearer ${KEY}`, 'x-team': 'phones' },
    sent: ['"voice":"cedar"', 'gpt-live-transcribe', '"max_output_tokens":321'],
  },
  'openai-live': {
    start: () => placeOf(startOpenAiLiveSimulator()),
    env: ({ url }) => ({
      OPENAI_API_KEY: KEY,
      OPENAI_LIVE_BASE_URL: url,
      OPENAI_LIVE_MODEL: 'gpt-live-1',
      OPENAI_LIVE_VOICE: 'willow',
      OPENAI_LIVE_DELEGATION_MODEL: 'gpt-5.6-other',
      OPENAI_LIVE_SESSION: '{"store":false}',
    }),
    bare: ({ url }) => ({ OPENAI_LIVE_BASE_URL: url }),
    model: 'gpt-live-1',
    headers: { authorization: `Bearer ${KEY}` },
    sent: ['"voice":"willow"', '"model":"gpt-5.6-other"', '"store":false'],
  },
  gemini: {
    start: () => placeOf(startGeminiSimulator()),
    env: ({ url }) => ({
      GEMINI_API_KEY: KEY,
      GEMINI_PLATFORM: 'studio',
      GEMINI_BASE_URL: url,
      GEMINI_API_VERSION: 'v1alpha',
      GEMINI_MODEL: 'gemini-3.1-flash-live-preview',
      GEMINI_VOICE: 'Charon',
      GEMINI_SESSION: '{"generationConfig":{"temperature":0.25}}',
    }),
    bare: ({ url }) => ({ GEMINI_BASE_URL: url }),
    model: 'gemini-3.1-flash-live-preview',
    headers: { 'x-goog-api-key': KEY },
    sent: ['"voiceName":"Charon"', '"temperature":0.25', '"model":"models/gemini-3.1-flash-live-preview"'],
  },
  nova: {
    start: () => placeOf(startNovaSimulator()),
    env: ({ url }) => ({
      AWS_REGION: 'us-west-2',
      AWS_ACCESS_KEY_ID: 'AKIATEST',
      AWS_SECRET_ACCESS_KEY: KEY,
      AWS_SESSION_TOKEN: 'the-token',
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url,
      NOVA_MODEL: 'us.amazon.nova-2-sonic-v1:0',
      NOVA_VOICE: 'tiffany',
      NOVA_SENSITIVITY: 'low',
      NOVA_SESSION: '{"sessionStart":{"inferenceConfiguration":{"temperature":0.25}}}',
    }),
    bare: ({ url }) => ({ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url }),
    model: 'us.amazon.nova-2-sonic-v1:0',
    headers: {
      authorization: expect.stringMatching(/Credential=AKIATEST\/\d+\/us-west-2\/bedrock/),
      'x-amz-security-token': 'the-token',
    },
    sent: ['"voiceId":"tiffany"', '"endpointingSensitivity":"LOW"', '"temperature":0.25'],
  },
  xai: {
    start: () => placeOf(startOpenAiSimulator({ dialect: 'xai' })),
    env: ({ url }) => ({
      XAI_API_KEY: KEY,
      XAI_BASE_URL: url,
      XAI_MODEL: 'grok-voice-think-fast-2.0',
      XAI_VOICE: 'rex',
      XAI_SESSION: '{"reasoning":{"effort":"none"}}',
    }),
    bare: ({ url }) => ({ XAI_BASE_URL: url }),
    model: 'grok-voice-think-fast-2.0',
    headers: { authorization: `Bearer ${KEY}` },
    sent: ['"voice":"rex"', '"effort":"none"'],
  },
  azure: {
    start: () => placeOf(startOpenAiSimulator()),
    env: ({ origin }) => ({
      AZURE_OPENAI_ENDPOINT: `http://${origin}/`,
      AZURE_OPENAI_API_KEY: KEY,
      AZURE_OPENAI_DEPLOYMENT: 'phones',
      AZURE_OPENAI_VOICE: 'sage',
      AZURE_OPENAI_SESSION: '{"max_output_tokens":321}',
    }),
    model: 'phones',
    headers: { 'api-key': KEY },
    sent: ['"voice":"sage"', '"max_output_tokens":321'],
  },
  'azure-voice-live': {
    start: () => placeOf(startOpenAiSimulator()),
    env: ({ origin }) => ({
      AZURE_VOICE_LIVE_ENDPOINT: `http://${origin}`,
      AZURE_VOICE_LIVE_API_KEY: KEY,
      AZURE_VOICE_LIVE_MODEL: 'gpt-realtime-mini',
      AZURE_VOICE_LIVE_API_VERSION: '2026-07-15',
      AZURE_VOICE_LIVE_VOICE: 'en-US-AvaMultilingualNeural',
      AZURE_VOICE_LIVE_SESSION: '{"temperature":0.7}',
    }),
    model: 'gpt-realtime-mini',
    headers: { 'api-key': KEY },
    sent: ['en-US-AvaMultilingualNeural', '"temperature":0.7'],
  },
  inworld: {
    start: () => placeOf(startOpenAiSimulator()),
    env: ({ origin }) => ({
      INWORLD_API_KEY: KEY,
      INWORLD_BASE_URL: `ws://${origin}/api/v1/realtime/session`,
      INWORLD_MODEL: 'openai/gpt-4o-mini',
      INWORLD_VOICE: 'Clive',
      INWORLD_SESSION: '{"max_output_tokens":321}',
    }),
    bare: ({ origin }) => ({ INWORLD_BASE_URL: `ws://${origin}/api/v1/realtime/session` }),
    // Named in the session, not in the address.
    model: '',
    headers: { authorization: `Basic ${KEY}` },
    sent: ['openai/gpt-4o-mini', '"voice":"Clive"', '"max_output_tokens":321'],
  },
};
const NAMES = Object.keys(CASES) as (keyof typeof CASES)[];

const REQUEST = requestOf({ preferredFormats: [] });

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

async function placed(name: keyof typeof CASES): Promise<Place> {
  const place = await CASES[name].start();
  open.push(place);
  return place;
}

/** Opens a session with the provider that this environment makes, and says what the service saw of it. */
async function seen(name: keyof typeof CASES, env: Env, place: Place): Promise<Sight> {
  const config = loadConfig({ PROVIDER: name, ...env });
  const entry = builtInProviders(config).find((one) => one.name === name);
  const provider = await entry?.create();
  if (provider === undefined) throw new Error(`there is no ${name}`);
  expect(provider).toMatchObject({ name });
  const session = await provider.connect(REQUEST, () => undefined, new AbortController().signal);
  const sight = await place.sight();
  await session.close('done');
  await provider.close?.();
  return sight;
}

describe('the settings of a provider', () => {
  it.each(NAMES)('of %s all reach its service', async (name) => {
    const place = await placed(name);
    const { env, model, headers, sent } = CASES[name];
    const sight = await seen(name, env(place), place);
    expect(sight.model).toBe(model);
    expect(sight.headers).toMatchObject(headers);
    for (const piece of sent) expect(sight.sent).toContain(piece);
  });

  it.each(NAMES.filter((name) => CASES[name].bare !== undefined))(
    'of %s need no key for a server on this machine',
    async (name) => {
      const place = await placed(name);
      const { bare = () => ({}) } = CASES[name];
      const env = bare(place);
      expect(loadConfig(env).provider).toBe(name);
      expect((await seen(name, env, place)).sent).toContain('Be brief.');
    },
  );

  it('of nova sign every request, also beside a Bedrock API key', async () => {
    const place = await placed('nova');
    vi.stubEnv('AWS_BEARER_TOKEN_BEDROCK', 'bedrock-api-key-example');
    const { headers } = await seen('nova', CASES.nova.env(place), place);
    expect(headers['authorization']).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIATEST\//);
  });

  it('are all tried here, but for those that only one of two ways needs', () => {
    const place: Place = {
      url: '',
      origin: '',
      sight: () => Promise.reject(new Error('nobody is here')),
      [Symbol.asyncDispose]: async () => undefined,
    };
    const tried = NAMES.flatMap((name) => Object.keys(CASES[name].env(place)));
    const all = PROVIDERS.flatMap((name) => PROVIDER_SETTINGS[name].map((row) => row.name));
    const elsewhere = ['GEMINI_ACCESS_TOKEN', 'GEMINI_PROJECT', 'GEMINI_LOCATION', 'AWS_PROFILE'];
    expect(all.filter((variable) => !tried.includes(variable))).toEqual(elsewhere);
  });

  it('of Vertex AI name the project and the region, and show the token', async () => {
    const simulator = await startGeminiSimulator();
    open.push(simulator);
    const env = {
      GEMINI_PLATFORM: 'vertex',
      GEMINI_API_KEY: 'for-something-else',
      GEMINI_ACCESS_TOKEN: 'ya29.token',
      GEMINI_PROJECT: 'my-project',
      GEMINI_LOCATION: 'europe-west4',
      GEMINI_BASE_URL: simulator.url,
    };
    const config = loadConfig(env);
    expect(config.provider).toBe('gemini');
    const provider = await builtInProviders(config)
      .find(({ name }) => name === 'gemini')
      ?.create();
    const session = await provider?.connect(REQUEST, () => undefined, new AbortController().signal);
    const { endpoint, headers, setup } = await simulator.nextConnection();
    expect(endpoint).toBe('vertex');
    expect(headers).toMatchObject({ authorization: 'Bearer ya29.token' });
    expect(setup?.['model']).toMatch(
      /^projects\/my-project\/locations\/europe-west4\/publishers\/google\/models\//,
    );
    await session?.close('done');
  });
});
