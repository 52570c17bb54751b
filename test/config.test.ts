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

  it('is frozen to its depths', () => {
    const config = loadConfig({});
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.openai.headers)).toBe(true);
  });
});
