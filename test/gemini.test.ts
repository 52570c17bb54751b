import { afterEach, describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import { addressOf } from '../src/providers/gemini/address.ts';
import { GEMINI } from '../src/providers/gemini/facts.ts';
import { generationOf } from '../src/providers/gemini/generations.ts';
import { languageCode } from '../src/providers/gemini/setup.ts';
import { durationMs } from '../src/providers/gemini/wire.ts';
import { createGeminiProvider, type GeminiOptions } from '../src/providers/gemini.ts';
import {
  dial,
  KEY,
  type Line,
  LOOKUP,
  type Message,
  nextClosed,
  open,
  result,
  startServer,
  toolCall,
} from './support/gemini-peer.ts';
import { cleanUp, failure, networkTurn } from './support/peers.ts';

afterEach(cleanUp);

const OLD = { model: 'gemini-2.5-flash-native-audio-preview-12-2025' };
const STUDIO = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';

const types = (line: Line): string[] => line.events.map(({ type }) => type);

describe('the address', () => {
  const url = async (options: Partial<GeminiOptions>): Promise<string> => {
    const { url: found } = await addressOf({ apiKey: KEY, ...options }).dial();
    return String(found);
  };
  const VERTEX = { apiKey: undefined, accessToken: 'ya29.x', platform: 'vertex', project: 'p' } as const;

  it.each<[string, Partial<GeminiOptions>, string]>([
    ['is that of AI Studio', {}, `wss://generativelanguage.googleapis.com${STUDIO}`],
    [
      'has another version',
      { apiVersion: 'v1alpha' },
      `wss://generativelanguage.googleapis.com${STUDIO.replace('v1beta', 'v1alpha')}`,
    ],
    ['may be a host alone', { baseUrl: '127.0.0.1:8080' }, `wss://127.0.0.1:8080${STUDIO}`],
    ['may be one without a path', { baseUrl: 'ws://127.0.0.1:8080/' }, `ws://127.0.0.1:8080${STUDIO}`],
    ['may be one of the web', { baseUrl: 'https://proxy.example' }, `wss://proxy.example${STUDIO}`],
    [
      'may be below a path',
      { baseUrl: 'wss://proxy.example/google/' },
      `wss://proxy.example/google${STUDIO}`,
    ],
    [
      'is left alone when it has the path',
      { baseUrl: `ws://127.0.0.1:1${STUDIO}?a=b` },
      `ws://127.0.0.1:1${STUDIO}?a=b`,
    ],
    [
      'is another method for a token that lives briefly',
      { apiKey: undefined, accessToken: 'auth_tokens/abc' },
      `wss://generativelanguage.googleapis.com${STUDIO}Constrained?access_token=auth_tokens%2Fabc`,
    ],
    [
      'is that of a region of Vertex AI',
      { ...VERTEX, location: 'europe-west4' },
      'wss://europe-west4-aiplatform.googleapis.com/ws/google.cloud.aiplatform.v1.LlmBidiService/BidiGenerateContent',
    ],
    [
      'is that of all regions of Vertex AI',
      { ...VERTEX, location: 'global', apiVersion: 'v1beta1' },
      'wss://aiplatform.googleapis.com/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent',
    ],
  ])('%s', async (_name, options, expected) => {
    expect(await url(options)).toBe(expected);
  });

  it.each<[Partial<GeminiOptions>, RegExp]>([
    [{ apiKey: undefined }, /apiKey and accessToken are missing/],
    [{ apiKey: 'k e y' }, /apiKey is not made of printable characters/],
    [{ baseUrl: 'ftp://x' }, /baseUrl starts with ftp:/],
    [{ baseUrl: '' }, /baseUrl is not a URL/],
    [{ apiVersion: '../v1' }, /apiVersion is/],
    [{ platform: 'vertex' }, /project is missing/],
    [{ platform: 'vertex', project: 'p/../q' }, /project is not a name/],
    [{ platform: 'vertex', project: 'p' }, /takes an accessToken/],
    [{ model: '' }, /model is empty/],
    [{ connectTimeoutMs: 0 }, /connectTimeoutMs is 0/],
    [{ generation: '4' as '3.8' }, /generation is "4", wanted 2\.5, 3\.1, 3\.8/],
    [{ platform: 'cloud' as 'vertex' }, /platform is "cloud"/],
  ])('of %j is refused as a setting', (options, message) => {
    const create = (): unknown => createGeminiProvider({ apiKey: KEY, ...options });
    expect(create).toThrow(message);
    expect(create).toThrow(expect.objectContaining({ code: 'BAD_CONFIG' }));
  });
});

describe('the generation', () => {
  it.each([
    ['gemini-3.8-live', '3.8'],
    ['gemini-3.8-live-extended-thinking', '3.8'],
    ['gemini-4.0-live', '3.8'],
    ['my-tuned-model', '3.8'],
    ['models/gemini-3.1-flash-live-preview', '3.1'],
    ['gemini-live-2.5-flash-native-audio', '2.5'],
    ['projects/p-3.1/locations/l/publishers/google/models/gemini-2.5-flash-native-audio', '2.5'],
    ['gemini-2.0-flash-live-001', '2.5'],
  ])('of %s is %s', (model, name) => {
    expect(generationOf(model).name).toBe(name);
  });
});

describe('small things of the protocol', () => {
  it.each([
    ['50s', 50_000],
    ['9.5s', 9_500],
    ['0s', 0],
    ['', undefined],
    ['5m', undefined],
    [50, undefined],
  ])('the duration %j is %j ms', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });

  it.each([
    ['de-AT', 'de-DE'],
    ['de', 'de-DE'],
    ['EN-gb', 'en-GB'],
    ['zh-CN', 'cmn-CN'],
    ['sv-SE', undefined],
  ])('the language %s is %s', (tag, code) => {
    expect(languageCode(tag)).toBe(code);
  });

  it('all facts are there for people to read', () => {
    expect(GEMINI.voices).toHaveLength(30);
    expect(GEMINI.models).toContain(GEMINI.defaultModel);
    expect(createGeminiProvider({ apiKey: KEY })).toMatchObject({
      name: 'gemini',
      model: 'gemini-3.8-live',
      capabilities: { bargeIn: 'interrupted', truncate: false, cancel: false, resume: true },
    });
  });
});

describe('connecting', () => {
  it('sends the setup first, and nothing until it is acknowledged', async () => {
    const server = await startServer();
    const attempt = dial(server.url, { history: [{ type: 'message', role: 'user', text: 'Hello?' }] });
    const peer = await server.peer();
    expect(peer.url).toBe(STUDIO);
    expect(peer.headers['x-goog-api-key']).toBe(KEY);
    await peer.next('setup');
    await peer.settle();
    expect(peer.received).toHaveLength(1);
    peer.say({ setupComplete: { sessionId: 's' } }, { setupComplete: {} });
    const session = await attempt.connected;
    await peer.next('clientContent');
    await session.close('over');
    expect(attempt.events).toEqual([{ type: 'closed', expected: true, error: undefined }]);
    expect(attempt.clock.pending).toBe(0);
  });

  it('asks for all that an agent asks for', async () => {
    const { setup } = await open({
      language: 'de-AT',
      voice: 'Kore',
      tools: [LOOKUP],
      turnDetection: { mode: 'server', threshold: 0.7, prefixMs: 80, silenceMs: 700 },
    });
    expect(setup).toEqual({
      model: 'models/gemini-3.8-live',
      generationConfig: {
        responseModalities: ['AUDIO'],
        speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: 'Kore' } }, languageCode: 'de-DE' },
      },
      systemInstruction: {
        parts: [{ text: 'Be brief.\n\nThe language of this call is Austrian German (de-AT).' }],
      },
      tools: [
        {
          functionDeclarations: [
            {
              name: 'lookup',
              description: 'Looks something up.',
              parametersJsonSchema: LOOKUP.parameters,
              behavior: 'NON_BLOCKING',
            },
          ],
        },
      ],
      realtimeInputConfig: {
        automaticActivityDetection: {
          disabled: false,
          startOfSpeechSensitivity: 'START_SENSITIVITY_LOW',
          endOfSpeechSensitivity: 'END_SENSITIVITY_HIGH',
          prefixPaddingMs: 80,
          silenceDurationMs: 700,
        },
        activityHandling: 'START_OF_ACTIVITY_INTERRUPTS',
        turnCoverage: 'TURN_INCLUDES_ONLY_ACTIVITY',
      },
      inputAudioTranscription: {},
      outputAudioTranscription: {},
      sessionResumption: {},
      contextWindowCompression: { triggerTokens: '104857', slidingWindow: { targetTokens: '52428' } },
    });
  });

  it('leaves out what nobody asks for', async () => {
    const { setup } = await open(
      { instructions: '', transcribeCaller: false },
      { compression: false, resumption: false },
    );
    for (const field of [
      'systemInstruction',
      'tools',
      'inputAudioTranscription',
      'sessionResumption',
      'contextWindowCompression',
      'historyConfig',
    ]) {
      expect(setup).not.toHaveProperty(field);
    }
    expect(setup).toMatchObject({ generationConfig: { responseModalities: ['AUDIO'] } });
  });

  it.each<[string, Partial<GeminiOptions>, string | undefined]>([
    ['2.5', OLD, 'BLOCKING'],
    ['3.1', { model: 'gemini-3.1-flash-live-preview' }, undefined],
    [
      '3.1 on demand',
      { model: 'gemini-3.1-flash-live-preview', toolBehavior: 'non-blocking' },
      'NON_BLOCKING',
    ],
    ['3.8', {}, 'NON_BLOCKING'],
    ['3.8 on demand', { toolBehavior: 'blocking' }, 'BLOCKING'],
    ['a name that tells nothing, by option', { model: 'mine', generation: '2.5' }, 'BLOCKING'],
  ])('says of %s how its functions behave', async (_name, options, behavior) => {
    const { setup } = await open({ tools: [LOOKUP] }, options);
    const [tool] = setup['tools'] as { functionDeclarations: Message[] }[];
    expect(tool?.functionDeclarations[0]?.['behavior']).toBe(behavior);
  });

  it.each([
    ['low', 'END_SENSITIVITY_LOW', 1_000],
    ['auto', 'END_SENSITIVITY_HIGH', 500],
    ['high', 'END_SENSITIVITY_HIGH', 300],
  ] as const)('turns the eagerness %s into a sensitivity', async (eagerness, end, silenceDurationMs) => {
    const { setup } = await open({ turnDetection: { mode: 'semantic', eagerness } });
    expect(setup).toMatchObject({
      realtimeInputConfig: { automaticActivityDetection: { endOfSpeechSensitivity: end, silenceDurationMs } },
    });
  });

  it('merges raw fields last, those of the request over those of the options, and null takes one away', async () => {
    const { setup } = await open(
      { overrides: { generationConfig: { temperature: 0.2 }, contextWindowCompression: null } },
      { session: { generationConfig: { temperature: 0.9, topP: 0.5 }, labels: { a: 'b' } } },
    );
    expect(setup).toMatchObject({
      generationConfig: { responseModalities: ['AUDIO'], temperature: 0.2, topP: 0.5 },
      labels: { a: 'b' },
    });
    expect(setup).not.toHaveProperty('contextWindowCompression');
  });

  it('takes the model of the request, and the path of Vertex AI', async () => {
    const server = await startServer();
    const attempt = dial(
      server.url,
      { model: 'gemini-live-2.5-flash-native-audio' },
      {
        apiKey: undefined,
        accessToken: () => Promise.resolve('ya29.fresh'),
        platform: 'vertex',
        project: 'p',
        location: 'us-east4',
      },
    );
    const peer = await server.peer();
    expect(peer.headers.authorization).toBe('Bearer ya29.fresh');
    expect((await peer.next('setup'))['setup']).toMatchObject({
      model: 'projects/p/locations/us-east4/publishers/google/models/gemini-live-2.5-flash-native-audio',
    });
    attempt.abort.abort();
    await failure(attempt);
  });

  it('refuses to leave the turns of the caller to nobody', async () => {
    const server = await startServer();
    const attempt = dial(server.url, {
      overrides: { realtimeInputConfig: { automaticActivityDetection: { disabled: true } } },
    });
    expect(await failure(attempt)).toMatchObject({ code: 'PROVIDER_CONFIG' });
  });
});

describe('connecting in vain', () => {
  it.each([
    [
      400,
      '{"error":{"code":400,"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}',
      'PROVIDER_AUTH',
    ],
    [401, '', 'PROVIDER_AUTH'],
    [403, '{"error":{"message":"no","status":"PERMISSION_DENIED"}}', 'PROVIDER_AUTH'],
    [404, 'not found', 'PROVIDER_CONFIG'],
    [408, '', 'PROVIDER_UNAVAILABLE'],
    [429, '[{"error":{"message":"You exceeded your current quota"}}]', 'PROVIDER_QUOTA'],
    [429, '', 'PROVIDER_RATE_LIMITED'],
    [503, 'overloaded', 'PROVIDER_UNAVAILABLE'],
  ])('by HTTP %i %s is %s', async (status, body, code) => {
    const server = await startServer({ refuse: { status, body } });
    const attempt = dial(server.url);
    const error = await failure(attempt);
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(`HTTP ${status}`);
    expect(attempt.events).toEqual([]);
    expect(attempt.clock.pending).toBe(0);
  });

  it.each([
    [1007, 'API key not valid. Please pass a valid API key.', 'PROVIDER_AUTH'],
    [1007, 'Request contains an invalid argument.', 'PROVIDER_CONFIG'],
    [1008, 'models/x is not found for API version v1beta', 'PROVIDER_CONFIG'],
    [1008, 'Your project has been denied permission', 'PROVIDER_AUTH'],
    [1011, 'You exceeded your current quota, please check your plan', 'PROVIDER_QUOTA'],
    [1011, 'Resource has been exhausted (e.g. check quota).', 'PROVIDER_QUOTA'],
    [1011, 'Too many requests: concurrent sessions', 'PROVIDER_RATE_LIMITED'],
    [1011, 'Internal error encountered.', 'PROVIDER_UNAVAILABLE'],
    [1013, '', 'PROVIDER_UNAVAILABLE'],
    [1000, '', 'PROVIDER_UNAVAILABLE'],
  ])('by the close code %i %s is %s', async (closeCode, reason, code) => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    await peer.next('setup');
    peer.socket.close(closeCode, reason);
    expect(await failure(attempt)).toMatchObject({ code });
    expect(attempt.events).toEqual([]);
  });

  it('says that it may be the handle', async () => {
    const server = await startServer();
    const attempt = dial(server.url, { resume: 'old' });
    const peer = await server.peer();
    await peer.next('setup');
    peer.socket.close(1008, 'BidiGenerateContent session not found');
    const error = await failure(attempt);
    expect(error.code).toBe('PROVIDER_EXPIRED');
    expect(error.message).toMatch(/did not take the session up again/);
  });

  it('by an error in place of the acknowledgement tells its words, without keys', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    await peer.next('setup');
    peer.say({
      error: { code: 400, message: `the key ${KEY} and AIzaSyOther-1234567 are bad`, status: 'X' },
    });
    const error = await failure(attempt);
    expect(error.message).toContain('[key]');
    expect(error.message).not.toMatch(/AIza/);
  });

  it('ends at the deadline, also when the door is never opened, and when called off', async () => {
    const silent = await startServer({ mute: true });
    const late = dial(silent.url);
    late.clock.advance(10_000);
    expect(await failure(late)).toMatchObject({ code: 'TIMEOUT' });
    const server = await startServer();
    const off = dial(server.url);
    await (await server.peer()).next('setup');
    off.abort.abort();
    expect(await failure(off)).toMatchObject({ code: 'CANCELLED' });
    await expect.poll(() => off.clock.pending).toBe(0);
    const before = dial(server.url, {}, {});
    before.abort.abort();
    expect(await failure(before)).toMatchObject({ code: 'CANCELLED' });
  });

  it('ends when there is no token, and while one is waited for', async () => {
    const server = await startServer();
    const accessToken = (): Promise<string> => Promise.reject(new Error('no network'));
    const none = dial(server.url, {}, { apiKey: undefined, accessToken });
    expect(await failure(none)).toMatchObject({ code: 'PROVIDER_AUTH' });
    const never = dial(
      server.url,
      {},
      { apiKey: undefined, accessToken: () => new Promise<string>(() => undefined) },
    );
    never.clock.advance(10_000);
    expect(await failure(never)).toMatchObject({ code: 'TIMEOUT' });
    expect(never.clock.pending).toBe(0);
  });

  it('is told when nobody is there', async () => {
    const attempt = dial('ws://127.0.0.1:1');
    const error = await failure(attempt);
    expect(error).toBeInstanceOf(BridgeError);
    expect(error.code).toBe('PROVIDER_UNAVAILABLE');
  });
});

describe('the end', () => {
  it.each([
    [1000, '', 'PROVIDER_CLOSED'],
    [1001, '', 'PROVIDER_CLOSED'],
    [1007, 'Request contains an invalid argument.', 'PROVIDER_CONFIG'],
    [1008, 'Operation is not implemented, or supported, or enabled.', 'PROVIDER_CONFIG'],
    [1011, 'Internal error encountered.', 'PROVIDER_UNAVAILABLE'],
    [1011, 'Deadline expired before operation could complete.', 'PROVIDER_EXPIRED'],
    [1011, 'You exceeded your current quota', 'PROVIDER_QUOTA'],
    [1012, '', 'PROVIDER_UNAVAILABLE'],
  ])('by %i %s is %s', async (closeCode, reason, code) => {
    const line = await open();
    const closed = nextClosed(line);
    line.peer.socket.close(closeCode, reason);
    expect(await closed).toMatchObject({ expected: false, error: { code } });
    expect(types(line)).toEqual(['error', 'closed']);
    expect(line.of('error')).toMatchObject([{ fatal: true }]);
    await line.session.close('again');
    expect(types(line)).toEqual(['error', 'closed']);
    expect(line.clock.pending).toBe(0);
  });

  it('that follows the result of a function is one of those that pass', async () => {
    const line = await open({ tools: [LOOKUP] });
    await line.peer.tell(toolCall('c1'));
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    const closed = nextClosed(line);
    line.peer.socket.close(1008, 'Operation is not implemented, or supported, or enabled.');
    expect(await closed).toMatchObject({ error: { code: 'PROVIDER_CLOSED' } });
  });

  it('that was announced is the end of the session', async () => {
    const line = await open();
    await line.peer.tell({ goAway: { timeLeft: '50s' } });
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 50_000 }]);
    const closed = nextClosed(line);
    line.peer.socket.close(1011, 'The service is currently unavailable.');
    expect(await closed).toMatchObject({ error: { code: 'PROVIDER_EXPIRED' } });
  });

  it('comes as an error when the network breaks', async () => {
    const line = await open();
    const closed = nextClosed(line);
    line.peer.socket.terminate();
    expect(await closed).toMatchObject({ expected: false, error: { code: 'PROVIDER_CLOSED' } });
  });

  it('comes when the other side says nothing any more, not even to a ping', async () => {
    const line = await open();
    line.peer.socket.pause();
    const closed = nextClosed(line);
    line.clock.advance(9_000);
    await networkTurn();
    line.clock.advance(1_000);
    expect(await closed).toMatchObject({ error: { code: 'PROVIDER_UNAVAILABLE' } });
  });

  it('is announced by our own clock when the service does not', async () => {
    const line = await open({}, { expiryMarginMs: 90_000 });
    const steps = (10 * 60_000 - 90_000) / 10_000;
    for (let i = 0; i < steps; i += 1) {
      expect(line.of('expiring')).toEqual([]);
      line.clock.advance(10_000);
      await line.peer.settle();
    }
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 90_000 }]);
  });

  it('is announced soon when the announcement cannot be read', async () => {
    const line = await open();
    await line.peer.tell({ goAway: {} });
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 10_000 }]);
  });
});

describe('a handle to go on by', () => {
  it('is told when it is new, and withdrawn while there is none', async () => {
    const line = await open();
    const update = (fields: Message): Message => ({ sessionResumptionUpdate: fields });
    await line.peer.tell(
      update({ resumable: false }),
      update({ newHandle: 'h1', resumable: true }),
      update({ newHandle: 'h1', resumable: true }),
      update({ newHandle: '', resumable: false }),
      update({ newHandle: 'h2', resumable: true, lastConsumedClientMessageIndex: '7' }),
    );
    expect(line.of('resumable').map(({ handle }) => handle)).toEqual(['h1', undefined, 'h2']);
  });
});
