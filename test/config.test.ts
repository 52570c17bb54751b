import { describe, expect, it } from 'vitest';
import { PROVIDERS } from '../src/config/provider-settings.ts';
import { lacksOf } from '../src/config/providers.ts';
import { Reader } from '../src/config/reader.ts';
import { givenSettings, SECRET, SETTING_KINDS, secretValues } from '../src/config/setting-kinds.ts';
import { type Env, loadConfig } from '../src/config.ts';
import { BridgeError } from '../src/errors.ts';

function mistakes(env: Env): string {
  try {
    loadConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(BridgeError);
    return error instanceof BridgeError ? error.message : '';
  }
  return 'accepted';
}

describe('the configuration', () => {
  it('has a default for everything: the line check on port 8080', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({ port: 8080, provider: 'local', maxCalls: 200, publicUrl: undefined });
  });

  it('takes OpenAI as soon as there is a key, or an address', () => {
    expect(loadConfig({ OPENAI_API_KEY: 'sk' }).provider).toBe('openai');
    expect(loadConfig({ OPENAI_BASE_URL: 'ws://127.0.0.1:9/v1/realtime' }).provider).toBe('openai');
    expect(loadConfig({ OPENAI_API_KEY: 'sk', PROVIDER: 'local' }).provider).toBe('local');
  });

  it('reports every mistake at once, each with variable, found and wanted', () => {
    const text = mistakes({
      PORT: '80a',
      MAX_CALLS: '0',
      LOG_LEVEL: 'loud',
      PUBLIC_URL: 'http://voice.example.com',
      PROVIDER: 'openai',
      OPENAI_BASE_URL: '',
      OPENAI_HEADERS: '{"x":1}',
      OPENAI_SESSION: '[]',
      AUDIO_PATH: 'hifi',
    });
    expect(text).toContain('PORT: found "80a", wanted a whole number from 0 to 65535');
    expect(text).toContain('MAX_CALLS: found "0", wanted a whole number from 1 to 100000');
    expect(text).toContain('LOG_LEVEL: found "loud", wanted one of trace, debug');
    expect(text).toContain('PUBLIC_URL: found "http://voice.example.com", wanted https://');
    expect(text).toContain('OPENAI_API_KEY: found nothing, wanted a key');
    expect(text).toContain('OPENAI_HEADERS: found a number for "x", wanted a string');
    expect(text).toContain('OPENAI_SESSION: found 2 characters that are no JSON object');
    expect(text).toContain('AUDIO_PATH: found "hifi", wanted one of wideband, passthrough');
    expect(text.split('; ')).toHaveLength(8);
  });

  it('keeps recordings for a month and in ten gigabytes, unless it is told otherwise', () => {
    expect(loadConfig({ DATA_DIR: '/data' }).recordings).toEqual({
      by: undefined,
      folder: '/data/recordings',
      maxAgeMs: 30 * 86_400_000,
      maxBytes: 10e9,
      minFreeBytes: 1e9,
    });
    const told = loadConfig({
      RECORDING: 'both',
      RECORDINGS_DIR: '/disk',
      RECORDINGS_MAX_DAYS: '0',
      RECORDINGS_MAX_GB: '0.5',
      RECORDINGS_MIN_FREE_GB: '0',
    });
    expect(told.recordings).toEqual({
      by: 'both',
      folder: '/disk',
      maxAgeMs: undefined,
      maxBytes: 5e8,
      minFreeBytes: 0,
    });
    expect(loadConfig({ RECORDINGS_MAX_GB: '0' }).recordings.maxBytes).toBeUndefined();
    const text = mistakes({ RECORDING: 'true', RECORDINGS_MAX_DAYS: '-1', RECORDINGS_MAX_GB: 'much' });
    expect(text.split('; ')).toEqual([
      expect.stringContaining('RECORDINGS_MAX_DAYS: found "-1", wanted a whole number from 0 to 36500'),
      'RECORDINGS_MAX_GB: found "much", wanted a number from 0 to 1000000',
      'RECORDING: found "true", wanted one of off, bridge, carrier, both',
    ]);
  });

  it('knows what of it may be kept with a recording, and what nobody may write down', () => {
    // Each is text that no other variable has.
    const env = Object.fromEntries(
      Object.entries(SETTING_KINDS).map(([name, kind], i) => {
        const value = `value-${String(i).padStart(3, '0')}-of-it`;
        if (kind === 'account') return [name, `MA${value.replace(/\W/g, '').toUpperCase()}`];
        return [name, kind === 'address' ? `https://${value}.example` : value];
      }),
    );
    const read = new Reader(env);
    const given = givenSettings(read);
    const secrets = secretValues(read);
    const names = Object.entries(SETTING_KINDS);
    for (const [name, kind] of names) {
      expect([name, given[name] === env[name]]).toEqual([
        name,
        ['call', 'account', 'address'].includes(kind),
      ]);
      expect([name, given[name] === SECRET]).toEqual([name, kind === 'secret']);
      expect([name, secrets.includes(env[name] ?? '')]).toEqual([name, kind === 'secret']);
      // Whatever it is said to be: what is called so is one.
      if (/_KEY$|TOKEN|SECRET|PASSWORD|KEY_ID$/.test(name) && name !== 'TELNYX_PUBLIC_KEY')
        expect([name, kind]).toEqual([name, 'secret']);
    }
    const told = JSON.stringify(given);
    for (const secret of secrets) expect(told).not.toContain(secret);
    expect(Object.keys(given)).toContain('OPENAI_MODEL');
    expect(secrets.length).toBeGreaterThan(10);
  });

  it('keeps nothing with a recording that looks like a key in the wrong variable', () => {
    const { given } = loadConfig({
      OPENAI_VOICE: 'sk-proj-0123456789abcdef0123456789',
      OPENAI_MODEL: 'gpt-realtime',
    });
    expect(given).toEqual({ OPENAI_MODEL: 'gpt-realtime' });
  });

  it('keeps addresses and fields without what proves who calls', () => {
    const { given } = loadConfig({
      PROVIDER: 'local',
      OPENAI_BASE_URL: 'wss://me:pass@voice.example/v1/realtime?api-version=2025-04-01-preview&api-key=abc',
      OPENAI_SESSION:
        '{"tools":[{"type":"mcp","authorization":"Bearer abc"}],"speed":1.1,"max_output_tokens":777}',
      TWILIO_BASE_URL: 'https://api.example/x',
    });
    expect(given).toEqual({
      PROVIDER: 'local',
      OPENAI_BASE_URL: 'wss://voice.example/v1/realtime?api-version=2025-04-01-preview&api-key=%5Bsecret%5D',
      OPENAI_SESSION:
        '{"tools":[{"type":"mcp","authorization":"[secret]"}],"speed":1.1,"max_output_tokens":777}',
      TWILIO_BASE_URL: 'https://api.example/x',
    });
  });

  it('does not repeat a secret that was put into the wrong variable', () => {
    const text = mistakes({ TWILIO_ACCOUNT_SID: 'my-secret-token' });
    expect(text).toContain('TWILIO_ACCOUNT_SID: found 15 characters, wanted AC and 32 hexadecimal digits');
    expect(text).not.toContain('my-secret-token');
  });

  it('takes an empty variable for one that is not set, but an empty greeting for none', () => {
    const config = loadConfig({ PORT: '', AGENT_GREETING: '' });
    expect(config.port).toBe(8080);
    expect(config.agent.greeting).toBe('');
  });

  it.each([
    ['https://voice.example.com/', 'https://voice.example.com'],
    ['https://voice.example.com/phone', 'https://voice.example.com/phone'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
  ])('takes PUBLIC_URL %s', (given, taken) => {
    expect(loadConfig({ PUBLIC_URL: given }).publicUrl).toBe(taken);
  });

  it('refuses a PUBLIC_URL with a query, which carriers would not keep', () => {
    expect(mistakes({ PUBLIC_URL: 'https://voice.example.com/?a=1' })).toContain('without ? and #');
  });

  const TELNYX_KEY = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=';

  it.each([
    [
      { TWILIO_ACCOUNT_SID: `AC${'0'.repeat(32)}` },
      'TWILIO_AUTH_TOKEN: found nothing, wanted that of the account',
    ],
    [{ PLIVO_AUTH_ID: 'MASIMULATEDPLIVO0001' }, 'PLIVO_AUTH_TOKEN: found nothing'],
    [
      { TELNYX_API_KEY: 'KEY' },
      'TELNYX_PUBLIC_KEY: found nothing, wanted that of the account of TELNYX_API_KEY',
    ],
    [{ TELNYX_CONNECTION_ID: '1' }, 'TELNYX_PUBLIC_KEY: found nothing'],
    [{ TELNYX_PUBLIC_KEY: 'nonsense' }, 'TELNYX_PUBLIC_KEY: found 8 characters, wanted 32 bytes in base64'],
    [{ TELNYX_PUBLIC_KEY: TELNYX_KEY.replace('g=', 'h=') }, 'TELNYX_PUBLIC_KEY: found 44 characters'],
    [{ TELNYX_PUBLIC_KEY: TELNYX_KEY, TELNYX_API_KEY: 'a\nb' }, 'TELNYX_API_KEY: found 3 characters'],
    [{ TELNYX_CODEC: 'G722' }, 'TELNYX_CODEC: found "G722", wanted one of PCMU, PCMA, L16/8000'],
    [{ TELNYX_L16_ORDER: 'middle' }, 'TELNYX_L16_ORDER: found "middle", wanted one of little, big, detect'],
    [{ PLIVO_AUDIO: 'opus' }, 'PLIVO_AUDIO: found "opus", wanted one of mulaw'],
    [
      { PLIVO_UPGRADE_SIGNATURE: 'yes' },
      'PLIVO_UPGRADE_SIGNATURE: found "yes", wanted one of if-present, required',
    ],
    [{ PLIVO_AUTH_TOKEN: 't', PLIVO_AUTH_ID: 'XX' }, 'PLIVO_AUTH_ID: found 2 characters, wanted MA or SA'],
    [
      { TELNYX_BASE_URL: 'https://u:p@x/v2' },
      'TELNYX_BASE_URL: found 16 characters, wanted an address without user name',
    ],
    [
      { PLIVO_BASE_URL: 'https://x/?a=b' },
      'PLIVO_BASE_URL: found 14 characters, wanted an address without user name',
    ],
    [{ TWILIO_FALLBACK_URL: 'nowhere' }, 'TWILIO_FALLBACK_URL: found "nowhere", wanted'],
    [
      { PUBLIC_URL: 'https://voice.example.com', PLIVO_FALLBACK_URL: 'https://voice.example.com/sorry.xml' },
      'wanted an address on another machine than PUBLIC_URL',
    ],
  ] as const)('refuses %j of a carrier', (env, wanted) => {
    expect(mistakes(env)).toContain(wanted);
  });

  it('is frozen to its depths', () => {
    const config = loadConfig({ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.openai.headers)).toBe(true);
    expect(Object.isFrozen(config.gemini.session)).toBe(true);
    expect(Object.isFrozen(config.nova.credentials)).toBe(true);
  });

  it('guesses what a word was meant to be', () => {
    expect(mistakes({ PROVIDER: 'gemni' })).toContain('PROVIDER: found "gemni", did you mean "gemini"?');
    expect(mistakes({ PROVIDER: 'parrot' })).toContain(
      `PROVIDER: found "parrot", wanted one of ${PROVIDERS.join(', ')}`,
    );
  });
});

const AZURE = {
  AZURE_OPENAI_ENDPOINT: 'https://a.openai.azure.com',
  AZURE_OPENAI_API_KEY: 'k',
  AZURE_OPENAI_DEPLOYMENT: 'd',
};
const VOICE_LIVE = {
  AZURE_VOICE_LIVE_ENDPOINT: 'https://a.services.ai.azure.com',
  AZURE_VOICE_LIVE_API_KEY: 'k',
  AZURE_VOICE_LIVE_MODEL: 'm',
};
const AWS = { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'AKIAX', AWS_SECRET_ACCESS_KEY: 's' };
const VERTEX = { GEMINI_PLATFORM: 'vertex', GEMINI_PROJECT: 'p' };

describe('the provider of a service that names none', () => {
  it.each([
    [{}, 'local'],
    [{ GEMINI_API_KEY: 'AIza' }, 'gemini'],
    [{ GEMINI_ACCESS_TOKEN: 'auth_tokens/x' }, 'gemini'],
    [{ GEMINI_BASE_URL: 'ws://127.0.0.1:9' }, 'gemini'],
    [{ ...VERTEX, GEMINI_API_KEY: 'AIza' }, 'local'],
    [{ ...VERTEX, GEMINI_ACCESS_TOKEN: 'ya29' }, 'gemini'],
    [{ XAI_API_KEY: 'xai-1' }, 'xai'],
    [AZURE, 'azure'],
    [{ AZURE_OPENAI_API_KEY: 'k' }, 'local'],
    [VOICE_LIVE, 'azure-voice-live'],
    [AWS, 'local'],
    [{ ...AWS, NOVA_MODEL: 'amazon.nova-2-sonic-v1:0' }, 'nova'],
    [{ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://127.0.0.1:9' }, 'nova'],
    [{ AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'https://vpce.example.com' }, 'local'],
    [{ AWS_PROFILE: 'voice', NOVA_MODEL: 'm' }, 'nova'],
    [{ INWORLD_API_KEY: 'k' }, 'inworld'],
    [{ OPENAI_LIVE_BASE_URL: 'ws://127.0.0.1:9' }, 'openai-live'],
    [{ INWORLD_API_KEY: 'k', XAI_API_KEY: 'k', GEMINI_API_KEY: 'k' }, 'gemini'],
    [{ GEMINI_API_KEY: 'k', OPENAI_API_KEY: 'k', OPENAI_LIVE_MODEL: 'm' }, 'openai'],
    [{ GEMINI_API_KEY: ' ', XAI_API_KEY: '' }, 'local'],
  ] as const)('of %j is the right one', (env, wanted) => {
    expect(loadConfig(env).provider).toBe(wanted);
  });

  it.each([
    ['openai', ['OPENAI_API_KEY: found nothing, wanted a key because PROVIDER is openai']],
    ['openai-live', ['OPENAI_API_KEY: found nothing, wanted a key because PROVIDER is openai-live']],
    ['gemini', ['GEMINI_API_KEY: found nothing, wanted a key because PROVIDER is gemini']],
    ['nova', ['AWS_REGION: found nothing, wanted a name because PROVIDER is nova']],
    ['xai', ['XAI_API_KEY: found nothing, wanted a key because PROVIDER is xai']],
    [
      'azure',
      [
        'AZURE_OPENAI_ENDPOINT: found nothing, wanted an address because PROVIDER is azure',
        'AZURE_OPENAI_API_KEY: found nothing, wanted a key because PROVIDER is azure',
        'AZURE_OPENAI_DEPLOYMENT: found nothing, wanted a name because PROVIDER is azure',
      ],
    ],
    ['azure-voice-live', ['AZURE_VOICE_LIVE_ENDPOINT: found nothing', 'AZURE_VOICE_LIVE_API_KEY: found']],
    ['inworld', ['INWORLD_API_KEY: found nothing, wanted a key because PROVIDER is inworld']],
  ])('cannot be %s without its settings, which are all named at once', (name, wanted) => {
    const text = mistakes({ PROVIDER: name });
    for (const one of wanted) expect(text).toContain(one);
  });

  it.each([
    ['openai', ['openai']],
    ['openai,gemini', ['openai', 'gemini']],
    [' gemini ,  openai ', ['gemini', 'openai']],
    ['gemini, local', ['gemini', 'local']],
  ])('may be several, in the order in which they are tried: %j', (PROVIDER, providers) => {
    const config = loadConfig({ PROVIDER, OPENAI_API_KEY: 'sk', GEMINI_API_KEY: 'k' });
    expect(config.providers).toEqual(providers);
    expect(config.provider).toBe(providers[0]);
    expect(Object.isFrozen(config.providers)).toBe(true);
  });

  it('is one alone where none is named, whatever else is configured: that costs money', () => {
    expect(loadConfig({ OPENAI_API_KEY: 'sk', GEMINI_API_KEY: 'k' }).providers).toEqual(['openai']);
  });

  it.each([
    ['openai,gemni', 'PROVIDER: found "gemni", did you mean "gemini"?'],
    ['openai,gemini,openai', 'PROVIDER: found "openai", which is there before, wanted each once'],
    ['openai,,gemini', `PROVIDER: found "", wanted one of ${PROVIDERS.join(', ')}`],
    [',', `PROVIDER: found "", wanted one of ${PROVIDERS.join(', ')}`],
    ['openai gemini', `PROVIDER: found "openai gemini", wanted one of ${PROVIDERS.join(', ')}`],
    ['openai,xai,inworld', 'XAI_API_KEY: found nothing, wanted a key because PROVIDER names xai'],
    ['openai,xai,inworld', 'INWORLD_API_KEY: found nothing, wanted a key because PROVIDER names inworld'],
    ['openai,sk-0123456789abcdef', 'PROVIDER: found 19 characters, wanted one of'],
  ])('cannot be the list %j', (PROVIDER, wanted) => {
    expect(mistakes({ PROVIDER, OPENAI_API_KEY: 'sk', GEMINI_API_KEY: 'k' })).toContain(wanted);
  });

  it('names a variable once that two of a list lack', () => {
    const text = mistakes({ PROVIDER: 'openai,openai-live' });
    expect(text.match(/OPENAI_API_KEY/g)).toHaveLength(1);
  });

  it('lacks what Vertex AI needs, and not what AI Studio would', () => {
    const text = mistakes({ PROVIDER: 'gemini', GEMINI_PLATFORM: 'vertex', GEMINI_API_KEY: 'k' });
    expect(text).toContain('GEMINI_ACCESS_TOKEN: found nothing, wanted a token');
    expect(text).toContain('GEMINI_PROJECT: found nothing, wanted a name');
    expect(text).not.toContain('GEMINI_API_KEY');
  });
});

describe('the settings of providers', () => {
  it('are read into a section each', () => {
    const config = loadConfig({
      OPENAI_API_KEY: 'sk',
      OPENAI_LIVE_VOICE: 'cedar',
      GEMINI_API_KEY: 'AIza',
      GEMINI_SESSION: '{"generationConfig":{"temperature":0.5}}',
      GEMINI_API_VERSION: 'v1alpha',
      NOVA_SENSITIVITY: 'low',
      ...AWS,
      AWS_SESSION_TOKEN: 't',
      XAI_API_KEY: 'xai-1',
      XAI_SESSION: '{"a":1}',
      ...AZURE,
      ...VOICE_LIVE,
      AZURE_VOICE_LIVE_API_VERSION: '2026-07-15',
      INWORLD_BASE_URL: 'ws://127.0.0.1:9/',
    });
    expect(config.openaiLive).toMatchObject({ apiKey: 'sk', voice: 'cedar' });
    expect(config.gemini).toMatchObject({
      platform: 'studio',
      apiVersion: 'v1alpha',
      session: { generationConfig: { temperature: 0.5 } },
    });
    expect(config.nova).toMatchObject({
      region: 'us-east-1',
      sensitivity: 'low',
      credentials: { accessKeyId: 'AKIAX', secretAccessKey: 's', sessionToken: 't' },
    });
    expect(config.xai.session).toEqual({ a: 1 });
    expect(config.azure).toMatchObject({ deployment: 'd' });
    expect(config.azureVoiceLive).toMatchObject({ model: 'm', apiVersion: '2026-07-15' });
    expect(config.inworld.baseUrl).toBe('ws://127.0.0.1:9');
    for (const name of PROVIDERS) expect(lacksOf(name, config), name).toEqual([]);
  });

  it.each([
    ['azure', { ...AZURE, AZURE_OPENAI_DEPLOYMENT: '' }, ['AZURE_OPENAI_DEPLOYMENT']],
    ['azure', { ...AZURE, AZURE_OPENAI_DEPLOYMENT: '', AZURE_OPENAI_ENDPOINT: 'wss://a/x?deployment=d' }, []],
    ['azure-voice-live', { ...VOICE_LIVE, AZURE_VOICE_LIVE_MODEL: '' }, ['AZURE_VOICE_LIVE_MODEL']],
    [
      'azure-voice-live',
      { ...VOICE_LIVE, AZURE_VOICE_LIVE_MODEL: '', AZURE_VOICE_LIVE_ENDPOINT: 'ws://a/x?agent-name=a' },
      [],
    ],
  ] as const)('of %s may have the model in the address: %j', (name, env, wanted) => {
    expect(lacksOf(name, loadConfig(env))).toEqual(wanted);
  });

  it.each([
    ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
    ['AWS_SECRET_ACCESS_KEY', 'AWS_ACCESS_KEY_ID'],
  ])('want %s and %s together, or none of them', (one, other) => {
    const load = () => loadConfig({ AWS_REGION: 'us-east-1', [one]: 'x' });
    expect(load).toThrow(`BAD_CONFIG: ${other}: found nothing, wanted that of the account of ${one}`);
  });

  it('let Nova’s events be signed with anything for a server on this machine only', () => {
    const local = { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://127.0.0.1:9000' };
    expect(loadConfig(local).nova).toMatchObject({
      region: 'us-east-1',
      credentials: { accessKeyId: 'no-key' },
    });
    expect(loadConfig({ ...local, ...AWS }).nova.credentials?.accessKeyId).toBe('AKIAX');
    expect(loadConfig({ ...local, AWS_PROFILE: 'p' }).nova.credentials).toBeUndefined();
    const remote = { AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'https://vpce.example.com' };
    expect(loadConfig(remote).nova.credentials).toBeUndefined();
  });

  it.each([
    [{ GEMINI_PLATFORM: 'AIzaSyA0000000000000000000000000000000' }, /GEMINI_PLATFORM: found 38 characters/],
    [{ GEMINI_BASE_URL: 'AIzaSyA0000000000000000000000000000000' }, /GEMINI_BASE_URL: found 38 characters/],
    [{ GEMINI_API_KEY: 'AIza\nbad' }, /GEMINI_API_KEY: found 8 characters/],
    [{ GEMINI_SESSION: '{"key":"AIzaSecret"' }, /GEMINI_SESSION: found 19 characters that are no JSON/],
    [{ AWS_SECRET_ACCESS_KEY: 'my secret' }, /AWS_SECRET_ACCESS_KEY: found 9 characters/],
    [{ NOVA_SENSITIVITY: 'hi' }, /NOVA_SENSITIVITY: found "hi", wanted one of high, medium, low/],
    [{ AWS_REGION: 'Frankfurt' }, /AWS_REGION: found "Frankfurt", wanted one such as us-east-1/],
    [{ XAI_BASE_URL: 'https://user:pw@x' }, /XAI_BASE_URL: found 17 characters, wanted an address/],
    [{ AZURE_OPENAI_ENDPOINT: 'a.openai.azure.com' }, /AZURE_OPENAI_ENDPOINT: found "a\.openai/],
    [
      { AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'http://x/?k=1' },
      /AWS_ENDPOINT_URL_BEDROCK_RUNTIME: found 13 characters/,
    ],
  ] as const)('refuse %j without showing a secret', (env, wanted) => {
    const text = mistakes(env);
    expect(text).toMatch(wanted);
    expect(text).not.toMatch(/SyA|AIza|my secret|:pw/);
  });
});

describe('what happens when a provider fails', () => {
  it('is set in seconds, with a fraction or without', () => {
    expect(loadConfig({}).failover).toEqual({ connectMs: 5000, hedgeMs: 2000, answerMs: 8000 });
    const env = {
      FAILOVER_CONNECT_SECONDS: '0.5',
      FAILOVER_HEDGE_SECONDS: '1.25',
      FAILOVER_ANSWER_SECONDS: '8',
    };
    expect(loadConfig(env).failover).toEqual({ connectMs: 500, hedgeMs: 1250, answerMs: 8000 });
    const never = { FAILOVER_HEDGE_SECONDS: '0', FAILOVER_ANSWER_SECONDS: '0' };
    expect(loadConfig(never).failover).toMatchObject({ hedgeMs: 0, answerMs: 0 });
  });

  it.each([
    ['FAILOVER_CONNECT_SECONDS', '0', 'from 0.5 to 60'],
    ['FAILOVER_CONNECT_SECONDS', '61', 'from 0.5 to 60'],
    ['FAILOVER_CONNECT_SECONDS', '5s', 'from 0.5 to 60'],
    ['FAILOVER_CONNECT_SECONDS', '-5', 'from 0.5 to 60'],
    ['FAILOVER_CONNECT_SECONDS', '1e1', 'from 0.5 to 60'],
    ['FAILOVER_CONNECT_SECONDS', 'Infinity', 'from 0.5 to 60'],
    ['FAILOVER_HEDGE_SECONDS', '0.05', 'from 0.1 to 60, or 0 for never'],
    ['FAILOVER_ANSWER_SECONDS', '0.5', 'from 1 to 300, or 0 for never'],
    ['FAILOVER_ANSWER_SECONDS', '1.0001', 'from 1 to 300, or 0 for never'],
  ])('cannot be %s=%s', (name, value, wanted) => {
    expect(mistakes({ [name]: value })).toContain(
      `${name}: found "${value}", wanted a number of seconds ${wanted}`,
    );
  });

  it.each([
    [{}, undefined],
    [
      { LAST_RESORT_TRANSFER: '+15550199' },
      {
        type: 'transfer',
        to: '+15550199',
        callerId: undefined,
        ringS: 25,
        announce: undefined,
        language: undefined,
      },
    ],
    [
      { LAST_RESORT_MESSAGE: 'Sprechen Sie.', AGENT_LANGUAGE: 'de' },
      { type: 'message', text: 'Sprechen Sie.', language: 'de', maxS: 120 },
    ],
    [{ LAST_RESORT_SAY: 'Sorry.' }, { type: 'say', text: 'Sorry.', language: undefined }],
    [{ LAST_RESORT_SAY: '', LAST_RESORT_MESSAGE: ' ' }, undefined],
  ])('ends with one last resort: %j', (env, wanted) => {
    expect(loadConfig(env).lastResort).toEqual(wanted);
  });

  it('does not have two last resorts, nor a number that cannot be called, and repeats none', () => {
    const both = { LAST_RESORT_TRANSFER: '0155501990', LAST_RESORT_SAY: 'x'.repeat(2001) };
    const text = mistakes(both);
    expect(text).toContain(
      'LAST_RESORT_TRANSFER: found 10 characters, wanted "+" and 3 to 15 digits, or "sip:…"',
    );
    expect(text).toContain('LAST_RESORT_SAY: found 2001 characters, wanted at most 2000');
    expect(text).toContain('LAST_RESORT_TRANSFER, LAST_RESORT_SAY: found 2 of them, wanted at most one');
    expect(text).not.toContain('155501990');
  });
});
