import { afterEach, describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { dial, error, KEY, type Line, type Message, open, startServer } from './support/openai-peer.ts';
import { cleanUp, failure } from './support/peers.ts';
import { requestOf } from './support/provider-request.ts';
import { VirtualClock } from './support/virtual-clock.ts';

afterEach(cleanUp);

describe('connecting to OpenAI', () => {
  it('dials the model with the key as a bearer token, and resolves only when the session is updated', async () => {
    const server = await startServer();
    const attempt = dial(server.url, {}, { safetyIdentifier: 'hash-1', headers: { 'X-Trace': 'on' } });
    const peer = await server.peer();
    expect(peer.url).toBe('/v1/realtime?model=gpt-realtime-2.1');
    expect(peer.headers).toMatchObject({
      authorization: `Bearer ${KEY}`,
      'openai-safety-identifier': 'hash-1',
      'x-trace': 'on',
    });
    expect(peer.headers['openai-beta']).toBeUndefined();
    expect(peer.headers['sec-websocket-extensions']).toBeUndefined();
    let resolved = false;
    const noticed = attempt.connected.then(() => {
      resolved = true;
    });
    await peer.next('session.update');
    await peer.tell({ type: 'session.created', session: { id: 'sess_1' } });
    expect(resolved).toBe(false);
    peer.say({ type: 'session.updated', session: {} });
    const session = await attempt.connected;
    await noticed;
    expect([session.input, session.output]).toEqual([MULAW_8K, MULAW_8K]);
    expect(attempt.events).toEqual([]);
    peer.socket.terminate();
    await session.close('over');
  });

  it('sends the key in the header of Azure and leaves a URL that names its deployment alone', async () => {
    const server = await startServer();
    const attempt = dial(`${server.url}?deployment=d&api-version=v`, {}, { auth: 'api-key' });
    const peer = await server.peer();
    expect(peer.url).toBe('/v1/realtime?deployment=d&api-version=v');
    expect(peer.headers['api-key']).toBe(KEY);
    expect(peer.headers.authorization).toBeUndefined();
    attempt.abort.abort();
    await failure(attempt);
  });

  it.each([
    ['PROVIDER_AUTH', 401, '{"error":{"code":"invalid_api_key","message":"bad"}}'],
    ['PROVIDER_AUTH', 403, ''],
    ['PROVIDER_CONFIG', 400, '{"error":{"code":"DeploymentNotFound"}}'],
    ['PROVIDER_CONFIG', 404, 'not json'],
    ['PROVIDER_RATE_LIMITED', 429, '{"error":{"code":"rate_limit_exceeded"}}'],
    ['PROVIDER_QUOTA', 429, '{"error":{"code":"insufficient_quota"}}'],
    ['PROVIDER_UNAVAILABLE', 503, '<html>'],
    ['PROVIDER_CONFIG', 302, ''],
  ])('rejects with %s when the upgrade is answered %i %s', async (code, status, body) => {
    const server = await startServer({ refuse: { status, body } });
    const attempt = dial(server.url);
    const thrown = await failure(attempt);
    expect(thrown.code).toBe(code);
    expect(thrown.message).toContain(`HTTP ${status}`);
    expect(attempt.events).toEqual([]);
    expect(attempt.clock.pending).toBe(0);
  });

  it.each([
    ['PROVIDER_AUTH', error('invalid_api_key')],
    ['PROVIDER_CONFIG', error('beta_api_shape_disabled')],
    ['PROVIDER_CONFIG', error('model_not_found')],
    ['PROVIDER_CONFIG', error('unknown_parameter', { event_id: 'pc_session_1' })],
    ['PROVIDER_QUOTA', error('insufficient_quota')],
    ['PROVIDER_UNAVAILABLE', error('', { type: 'server_error' })],
    ['PROVIDER_RATE_LIMITED', error('rate_limit_exceeded')],
  ])('rejects with %s when the session is answered by an error', async (code, message) => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    peer.say(message);
    expect((await failure(attempt)).code).toBe(code);
    await peer.closed;
    expect(attempt.events).toEqual([]);
    expect(attempt.clock.pending).toBe(0);
  });

  it.each([
    ['PROVIDER_AUTH', 3000, 'invalid_request_error.invalid_api_key'],
    ['PROVIDER_CONFIG', 4000, ''],
    ['PROVIDER_CONFIG', 1008, 'policy'],
    ['PROVIDER_UNAVAILABLE', 1011, ''],
    ['PROVIDER_UNAVAILABLE', 1000, ''],
  ])(
    'rejects with %s when the socket is closed with %i before the session stands',
    async (code, close, reason) => {
      const server = await startServer();
      const attempt = dial(server.url);
      const peer = await server.peer();
      peer.socket.close(close, reason);
      expect((await failure(attempt)).code).toBe(code);
      expect(attempt.clock.pending).toBe(0);
    },
  );

  it('rejects with PROVIDER_UNAVAILABLE when nobody listens', async () => {
    const server = await startServer();
    const url = server.url.replace(/:\d+/, ':1');
    const thrown = await failure(dial(url));
    expect(thrown.code).toBe('PROVIDER_UNAVAILABLE');
    expect(thrown.message).toContain('127.0.0.1:1');
  });

  it('gives up after the deadline when the server does not even answer the upgrade', async () => {
    const server = await startServer({ mute: true });
    const attempt = dial(server.url, {}, { connectTimeoutMs: 700 });
    attempt.clock.advance(700);
    expect((await failure(attempt)).code).toBe('TIMEOUT');
    expect(attempt.clock.pending).toBe(0);
  });

  it('gives up after the deadline when the session is never acknowledged, and hangs up', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    await peer.next('session.update');
    attempt.clock.advance(9_999);
    await peer.tell({ type: 'session.created', session: {} });
    attempt.clock.advance(1);
    expect((await failure(attempt)).code).toBe('TIMEOUT');
    await peer.closed;
    expect(attempt.clock.pending).toBe(0);
  });

  it('is cancelled by its signal, before it dials, while it dials and while it waits', async () => {
    const server = await startServer();
    const provider = createOpenAiProvider({ apiKey: KEY, baseUrl: server.url, model: 'm' });
    const early = provider.connect(
      requestOf({ clock: new VirtualClock() }),
      () => undefined,
      AbortSignal.abort(),
    );
    await expect(early).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(server.upgrades).toBe(0);
    const dialling = dial(server.url);
    dialling.abort.abort();
    expect((await failure(dialling)).code).toBe('CANCELLED');
    const waiting = dial(server.url);
    const peer = await server.peer();
    await peer.next('session.update');
    waiting.abort.abort(new Error('caller hung up'));
    expect((await failure(waiting)).code).toBe('CANCELLED');
    await peer.closed;
    expect(waiting.clock.pending).toBe(0);
  });

  it.each([KEY, 'azure+key/0123='])(
    'never shows the key, not even when the server quotes it: %s',
    async (apiKey) => {
      const server = await startServer();
      const attempt = dial(`${server.url}?secret=in-url`, {}, { apiKey });
      const peer = await server.peer();
      peer.say(
        error('invalid_api_key', { message: `Incorrect key ${apiKey} or sk-proj-abcd****wxyz given` }),
      );
      const thrown = await failure(attempt);
      expect(thrown.message).toContain('Incorrect key [key] or [key]');
      expect(`${thrown.stack} ${JSON.stringify(thrown)}`).not.toMatch(/sk-|in-url|0123/);
    },
  );

  it.each([
    ['apiKey', { apiKey: '' }],
    ['apiKey', { apiKey: 'sk-a\nb' }],
    ['baseUrl', { baseUrl: 'https://api.openai.com/v1/realtime' }],
    ['baseUrl', { baseUrl: 'nonsense' }],
    ['model', { model: '' }],
    ['connectTimeoutMs', { connectTimeoutMs: Number.NaN }],
    ['X-Bad', { headers: { 'X-Bad': 'a\r\nb' } }],
  ])('refuses options with an unusable %s', (name, options) => {
    expect(() => createOpenAiProvider({ apiKey: KEY, model: 'm', ...options })).toThrow(name);
  });
});

describe('the session that is asked for', () => {
  it('has every key of the voice detection, in both modes', async () => {
    const server = await open({ turnDetection: { threshold: 0.7, silenceMs: 300 } });
    const semantic = await open({ turnDetection: { mode: 'semantic', eagerness: 'high' } });
    const vad = (line: Line) => (line.update['session'] as never)['audio']['input']['turn_detection'];
    expect(vad(server)).toEqual({
      type: 'server_vad',
      threshold: 0.7,
      prefix_padding_ms: 300,
      silence_duration_ms: 300,
      idle_timeout_ms: null,
      create_response: true,
      interrupt_response: true,
    });
    expect(vad(semantic)).toEqual({
      type: 'semantic_vad',
      eagerness: 'high',
      create_response: true,
      interrupt_response: true,
    });
  });

  it('is nested and complete in the current dialect', async () => {
    const tools = [{ name: 'lookup', description: 'Looks up', parameters: { type: 'object' } }];
    const line = await open({ tools, language: 'de-AT', voice: 'marin' });
    expect(line.update['session']).toMatchObject({
      type: 'realtime',
      instructions: 'Be brief.\n\nThe language of this call is Austrian German (de-AT).',
      output_modalities: ['audio'],
      audio: {
        input: { format: { type: 'audio/pcmu' }, transcription: { model: 'gpt-transcribe', language: 'de' } },
        output: { format: { type: 'audio/pcmu' }, voice: 'marin' },
      },
      tools: [{ type: 'function', ...tools[0] }],
      tool_choice: 'auto',
    });
  });

  it('is flat in the older dialect, and its history has the older content types', async () => {
    const line = await open(
      { history: [{ type: 'message', role: 'assistant', text: 'Hello.' }], voice: 'alloy' },
      { dialect: 'beta' },
    );
    expect(line.update['session']).toMatchObject({
      modalities: ['text', 'audio'],
      voice: 'alloy',
      input_audio_format: 'g711_ulaw',
      output_audio_format: 'g711_ulaw',
      input_audio_transcription: { model: 'gpt-transcribe' },
      turn_detection: { type: 'server_vad', create_response: true, interrupt_response: true },
    });
    expect(line.update['session']).not.toHaveProperty('type');
    const item = (await line.peer.next('conversation.item.create'))['item'];
    expect(item).toMatchObject({ role: 'assistant', content: [{ type: 'text', text: 'Hello.' }] });
  });

  it.each([
    [[{ encoding: 'alaw', rate: 8000 }], { type: 'audio/pcma' }],
    [[{ encoding: 'pcm16', rate: 16000 }, MULAW_8K], { type: 'audio/pcmu' }],
    [[{ encoding: 'pcm16', rate: 8000 }], { type: 'audio/pcm', rate: 24000 }],
    [[], { type: 'audio/pcm', rate: 24000 }],
  ] as const)('takes the first preferred format that it can: %j', async (preferredFormats, wire) => {
    const line = await open({ preferredFormats });
    expect(line.update['session']).toMatchObject({
      audio: { input: { format: wire }, output: { format: wire } },
    });
    expect(line.session.input).toEqual(line.session.output);
  });

  it('takes the formats that the server settled on, and refuses those that nobody can read', async () => {
    const line = await open({}, {}, { audio: { output: { format: { type: 'audio/pcm', rate: 24000 } } } });
    expect([line.session.input, line.session.output]).toEqual([MULAW_8K, PCM16_24K]);
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    peer.say({ type: 'session.updated', session: { audio: { input: { format: { type: 'audio/opus' } } } } });
    expect((await failure(attempt)).code).toBe('PROVIDER_CONFIG');
  });

  it('does not care about the formats that a session starts from, nor about those that are null', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    const opus = { format: { type: 'audio/opus' } };
    peer.say(
      { type: 'session.created', session: { audio: { input: opus, output: opus } } },
      { type: 'session.created', session: { input_audio_format: 'g711_mu', output_audio_format: 'opus' } },
      {
        type: 'session.updated',
        session: { input_audio_format: null, audio: { input: { format: null }, output: { format: null } } },
      },
    );
    const session = await attempt.connected;
    expect([session.input, session.output]).toEqual([MULAW_8K, MULAW_8K]);
    peer.socket.terminate();
    await session.close('over');
  });

  it('merges raw fields of the options, then of the request, and keeps the keys of one voice detection apart', async () => {
    const line = await open(
      {
        transcribeCaller: false,
        overrides: { audio: { input: { turn_detection: { type: 'semantic_vad', eagerness: 'low' } } } },
      },
      { session: { max_output_tokens: 99, audio: { output: { speed: 1.2 } }, instructions: 'Other.' } },
    );
    expect(line.update['session']).toMatchObject({
      instructions: 'Other.',
      max_output_tokens: 99,
      audio: { input: { transcription: null }, output: { speed: 1.2, format: { type: 'audio/pcmu' } } },
    });
    expect((line.update['session'] as never)['audio']['input']['turn_detection']).toEqual({
      type: 'semantic_vad',
      eagerness: 'low',
      create_response: true,
      interrupt_response: true,
    });
  });
});

describe('the conversation so far', () => {
  it('is told in order after the session stands, tools in pairs, and nothing is asked for', async () => {
    const line = await open({
      history: [
        { type: 'message', role: 'system', text: 'Do not greet again.' },
        { type: 'message', role: 'user', text: 'Where is my parcel?' },
        {
          type: 'tool',
          callId: 'a-very-long-id-of-another-provider-000',
          name: 'find',
          args: '{}',
          output: '"here"',
        },
        { type: 'message', role: 'user', text: '  ' },
        { type: 'message', role: 'assistant', text: 'In Graz.' },
      ],
    });
    await line.peer.settle();
    expect(line.peer.types()[0]).toBe('session.update');
    const items = line.peer.all('conversation.item.create').map((message) => message['item'] as Message);
    expect(items.map(({ type, role }) => role ?? type)).toEqual([
      'system',
      'user',
      'function_call',
      'function_call_output',
      'assistant',
    ]);
    expect(items[2]).toMatchObject({ name: 'find', arguments: '{}' });
    expect(items[2]?.['call_id']).toBe(items[3]?.['call_id']);
    expect(String(items[2]?.['call_id']).length).toBeLessThanOrEqual(32);
    expect(items[4]?.['content']).toEqual([{ type: 'output_text', text: 'In Graz.' }]);
    expect(line.peer.all('response.create')).toEqual([]);
  });

  it('is answered when the caller spoke last', async () => {
    const line = await open({
      history: [
        { type: 'message', role: 'assistant', text: 'Hello.' },
        { type: 'message', role: 'user', text: 'Are you open today?' },
        { type: 'message', role: 'system', text: 'The call goes on.' },
      ],
    });
    await line.peer.next('response.create');
    await line.peer.settle();
    expect(line.peer.all('response.create')).toHaveLength(1);
  });

  it('does not end the session when an item of it is refused', async () => {
    const line = await open({ history: [{ type: 'message', role: 'assistant', text: 'Hello.' }] });
    const item = await line.peer.next('conversation.item.create');
    await line.peer.tell(error('invalid_value', { event_id: item['event_id'] }));
    expect(line.events.map(({ type }) => type)).toEqual(['warning']);
  });
});
