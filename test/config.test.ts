import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { BridgeError } from '../src/errors.ts';

function mistakes(env: Record<string, string>): string {
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
  ] as const)('refuses %j of a carrier', (env, wanted) => {
    expect(mistakes(env)).toContain(wanted);
  });

  it('is frozen to its depths', () => {
    const config = loadConfig({});
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.openai.headers)).toBe(true);
  });
});
