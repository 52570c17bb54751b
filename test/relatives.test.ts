import { describe, expect, it } from 'vitest';
import { type AudioFormat, bytesPerMs, MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import type { ConnectRequest, RealtimeProvider } from '../src/provider.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import {
  createAzureOpenAiProvider,
  createAzureVoiceLiveProvider,
  createInworldProvider,
  createXaiProvider,
} from '../src/providers/openai-relatives.ts';
import type { OpenAiSimulatorOptions } from '../src/sim/openai.ts';
import { silence, speech } from './support/openai-client.ts';
import { requestOf, SimHost, TOOL } from './support/openai-line.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** Every relative of OpenAI against a server that plays it, checks each field it is sent, and knows no other. */

const KEY = 'key-0123456789';

interface Relative {
  readonly name: string;
  readonly sim: OpenAiSimulatorOptions;
  readonly provider: (host: SimHost) => RealtimeProvider;
}

const RELATIVES: readonly Relative[] = [
  {
    name: 'azure',
    sim: {},
    provider: ({ endpoint }) => createAzureOpenAiProvider({ endpoint, apiKey: KEY, deployment: 'voice' }),
  },
  {
    name: 'azure of the preview',
    sim: {},
    provider: ({ endpoint }) =>
      createAzureOpenAiProvider({ endpoint, apiKey: KEY, deployment: 'v', apiVersion: '2025-04-01-preview' }),
  },
  {
    name: 'azure-voice-live',
    sim: { dialect: 'voice-live' },
    provider: ({ endpoint }) =>
      createAzureVoiceLiveProvider({ endpoint, apiKey: KEY, model: 'gpt-realtime' }),
  },
  {
    name: 'xai',
    sim: { dialect: 'xai' },
    provider: ({ sim }) => createXaiProvider({ apiKey: KEY, baseUrl: sim.url }),
  },
  {
    name: 'xai that is told what to say',
    sim: { dialect: 'xai' },
    provider: ({ sim }) => createXaiProvider({ apiKey: KEY, baseUrl: sim.url, scriptedSpeech: false }),
  },
  {
    name: 'inworld',
    sim: { dialect: 'inworld' },
    provider: ({ sim }) =>
      createInworldProvider({ apiKey: KEY, baseUrl: sim.url, model: 'openai/gpt-4o-mini' }),
  },
];

const CALL = { name: 'lookup', args: { id: 7 }, callId: 'call_a' };
const EIGHT: AudioFormat = { encoding: 'pcm16', rate: 8000 };

describe.each(RELATIVES)('$name', ({ sim, provider }) => {
  const start = async (options: OpenAiSimulatorOptions = {}, over: Partial<ConnectRequest> = {}) => {
    const host = await SimHost.start({ apiKey: KEY, ...sim, ...options });
    const line = await host.dial(provider(host), over);
    return { host, line, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
  };

  it('greets, and all of it arrives in the format that was asked for', async () => {
    await using on = await start({ respond: () => ({ audioMs: 700, transcript: 'Hello there.' }) });
    on.line.session.say('Hello there.');
    expect((await on.line.next('responseStarted')).asked).toBe(true);
    expect((await on.line.next('responseDone')).status).toBe('completed');
    expect([on.line.session.input, on.line.session.output]).toEqual([MULAW_8K, MULAW_8K]);
    expect(on.line.audioBytes).toBe(700 * bytesPerMs(MULAW_8K));
    expect(on.line.of('transcript').at(-1)).toMatchObject({
      role: 'assistant',
      text: 'Hello there.',
      final: true,
    });
    expect(on.line.refusals).toEqual([]);
  });

  it('hears the caller, writes his words down once, and answers', async () => {
    await using on = await start({ hear: () => ({ transcript: 'Where is my parcel?' }) });
    on.line.session.sendAudio(speech(600, 'audio/pcmu'));
    on.line.session.sendAudio(silence(2_500, 'audio/pcmu'));
    await on.line.next('speechStarted');
    await on.line.next('speechStopped');
    const started = await on.line.next('responseStarted');
    expect(started.asked).toBe(false);
    while (!on.line.of('transcript').some(({ role, final }) => role === 'user' && final)) {
      await on.line.next('transcript');
    }
    await on.line.session.close('heard');
    const heard = on.line.of('transcript').filter(({ role }) => role === 'user');
    expect(heard.filter(({ final }) => final).map(({ text }) => text)).toEqual(['Where is my parcel?']);
    expect(
      heard
        .filter(({ final }) => !final)
        .map(({ text }) => text)
        .join(''),
    ).toBe('Where is my parcel?');
    expect(on.line.refusals).toEqual([]);
  });

  it('stops when the caller cuts in, and tells how much was heard', async () => {
    await using on = await start({
      speedFactor: 1,
      respond: () => ({ audioMs: 5_000, transcript: 'This takes very long.' }),
    });
    on.line.session.sendText('Tell me.', { role: 'user', respond: true });
    const first = await on.line.next('audio');
    on.line.connection.callerStarts();
    await on.line.next('speechStarted');
    on.line.session.interrupt([{ itemId: first.itemId, playedMs: 60, receivedMs: 100 }]);
    expect((await on.line.next('responseDone')).status).toBe('cancelled');
    await on.line.connection.next('conversation.item.truncated');
    expect(on.line.connection.truncations).toMatchObject([{ itemId: first.itemId, audioEndMs: 60 }]);
    expect(on.line.refusals).toEqual([]);
  });

  it('calls functions, and goes on when both are answered', async () => {
    await using on = await start({
      respond: ({ kind }) =>
        kind === 'text'
          ? { toolCalls: [CALL, { ...CALL, callId: 'call_b' }] }
          : { transcript: 'Done.', audioMs: 300 },
    });
    on.line.session.sendText('Look it up.', { role: 'user', respond: true });
    for (const callId of ['call_a', 'call_b']) {
      expect(await on.line.next('toolCall')).toMatchObject({ callId, name: 'lookup', args: '{"id":7}' });
    }
    for (const callId of ['call_a', 'call_b']) {
      on.line.session.sendToolResult(callId, { output: '"found"', isError: false, respond: true });
    }
    const words = await on.line.next('transcript');
    expect(words.text).toBe('Done.');
    expect(on.line.received('response.create')).toHaveLength(2);
    expect(on.line.refusals).toEqual([]);
  });

  it('is told of the conversation so far, in words of its own', async () => {
    await using on = await start(
      {},
      {
        history: [
          { type: 'message', role: 'system', text: 'Do not greet again.' },
          { type: 'message', role: 'assistant', text: 'Hello.' },
          { type: 'tool', callId: 'x', name: 'lookup', args: '{}', output: '"here"' },
          { type: 'message', role: 'user', text: 'Are you there?' },
        ],
      },
    );
    await on.line.next('responseDone');
    expect(on.line.connection.items.map(({ role, type }) => role ?? type)).toEqual([
      'system',
      'assistant',
      'function_call',
      'function_call_output',
      'user',
      'assistant',
    ]);
    expect(on.line.refusals).toEqual([]);
  });

  it('takes every setting that an agent can have', async () => {
    await using on = await start(
      {},
      {
        language: 'es-MX',
        turnDetection: {
          mode: 'semantic',
          threshold: 0.95,
          silenceMs: 20_000,
          prefixMs: 100,
          eagerness: 'high',
        },
        preferredFormats: [PCM16_24K],
      },
    );
    expect(on.line.session.input).toEqual(PCM16_24K);
    on.line.session.say('Hola.');
    await on.line.next('responseDone');
    expect(on.line.refusals).toEqual([]);
  });

  it('counts what it is charged for', async () => {
    await using on = await start();
    on.line.session.sendText('Hi.', { role: 'user', respond: true });
    const { usage } = await on.line.next('usage');
    expect(usage.inputTextTokens + usage.inputAudioTokens).toBeGreaterThan(0);
    expect(usage.outputTextTokens + usage.outputAudioTokens).toBeGreaterThan(0);
  });
});

describe('where and as whom a relative calls', () => {
  const urls = async (make: (host: SimHost) => RealtimeProvider, over: Partial<ConnectRequest> = {}) => {
    await using host = await SimHost.start({ apiKey: KEY });
    const line = await host.dial(make(host), over);
    return line.connection;
  };

  it('is the deployment of an Azure resource, with a key of its own header', async () => {
    const connection = await urls(({ endpoint }) =>
      createAzureOpenAiProvider({ endpoint: `${endpoint}/`, apiKey: KEY, deployment: 'voice' }),
    );
    expect(connection.model).toBe('voice');
    expect(connection.headers['api-key']).toBe(KEY);
    expect(connection.headers['authorization']).toBeUndefined();
  });

  it('is another deployment when a request names one', async () => {
    const make = ({ endpoint }: SimHost) =>
      createAzureOpenAiProvider({ endpoint, apiKey: KEY, deployment: 'voice' });
    expect((await urls(make, { model: 'other' })).model).toBe('other');
  });

  it('is an address of Azure as it stands, which says what is spoken there', async () => {
    const connection = await urls(({ endpoint }) =>
      createAzureOpenAiProvider({
        endpoint: `${endpoint.replace('http', 'ws')}/openai/realtime?api-version=v&deployment=mine`,
        apiKey: KEY,
      }),
    );
    expect(connection.model).toBe('mine');
    const update = connection.received.find(({ event }) => event.type === 'session.update');
    expect(update?.event['session']).toHaveProperty('modalities');
  });

  it('shows a fresh token of Entra for every session', async () => {
    await using host = await SimHost.start();
    let count = 0;
    const token = async (): Promise<string> => {
      count += 1;
      return `token-${count}`;
    };
    const provider = createAzureOpenAiProvider({ endpoint: host.endpoint, token, deployment: 'voice' });
    for (const wanted of ['Bearer token-1', 'Bearer token-2']) {
      const { connection } = await host.dial(provider);
      expect(connection.headers['authorization']).toBe(wanted);
      expect(connection.headers['api-key']).toBeUndefined();
    }
  });

  it('says that there is no token, and nothing of what the one who gets it said', async () => {
    const provider = createAzureOpenAiProvider({
      endpoint: 'https://resource.openai.azure.com',
      token: () => Promise.reject(new Error('secret-of-the-client is wrong')),
      deployment: 'voice',
    });
    const attempt = provider.connect(requestOf(), () => undefined, new AbortController().signal);
    await expect(attempt).rejects.toMatchObject({ code: 'PROVIDER_AUTH' });
    await expect(attempt).rejects.not.toThrow(/secret/);
  });

  it('does not wait for a token for longer than the call needs it', async () => {
    const abort = new AbortController();
    const provider = createAzureOpenAiProvider({
      endpoint: 'https://resource.openai.azure.com',
      token: () => new Promise(() => undefined),
      deployment: 'voice',
    });
    const attempt = provider.connect(requestOf(), () => undefined, abort.signal);
    abort.abort();
    await expect(attempt).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('is a model or an agent of Azure Voice Live, with the version of the interface', async () => {
    const model = await urls(({ endpoint }) =>
      createAzureVoiceLiveProvider({ endpoint, apiKey: KEY, model: 'gpt-5' }),
    );
    expect(model.model).toBe('gpt-5');
    const agent = await urls(({ endpoint }) =>
      createAzureVoiceLiveProvider({ endpoint, apiKey: KEY, agent: { name: 'desk', project: 'shop' } }),
    );
    expect(agent.model).toBe('desk');
  });

  it('is Inworld with a basic key, and the model in the session', async () => {
    const connection = await urls(({ endpoint }) =>
      createInworldProvider({
        apiKey: KEY,
        baseUrl: `${endpoint.replace('http', 'ws')}/api/v1/realtime/session`,
        model: 'openai/gpt-4.1-nano',
      }),
    );
    expect(connection.headers['authorization']).toBe(`Basic ${KEY}`);
    expect(connection.session.model).toBe('openai/gpt-4.1-nano');
    expect(connection.session.audio.input.turn_detection?.type).toBe('semantic_vad');
  });

  it.each([
    [
      'azure',
      (host: SimHost) =>
        createAzureOpenAiProvider({ endpoint: host.endpoint, apiKey: 'bad', deployment: 'd' }),
    ],
    [
      'azure-voice-live',
      (host: SimHost) => createAzureVoiceLiveProvider({ endpoint: host.endpoint, apiKey: 'bad', model: 'm' }),
    ],
    ['xai', (host: SimHost) => createXaiProvider({ apiKey: 'bad', baseUrl: host.sim.url })],
  ])('is refused with PROVIDER_AUTH when the key is wrong: %s', async (_, make) => {
    await using host = await SimHost.start({ apiKey: KEY, dialect: 'xai' });
    await expect(host.dial(make(host))).rejects.toMatchObject({ code: 'PROVIDER_AUTH' });
  });

  it('is refused with PROVIDER_CONFIG when Azure has no such deployment', async () => {
    await using host = await SimHost.start({ models: ['voice'] });
    const provider = createAzureOpenAiProvider({ endpoint: host.endpoint, apiKey: KEY, deployment: 'none' });
    await expect(host.dial(provider)).rejects.toMatchObject({ code: 'PROVIDER_CONFIG' });
  });

  it.each([
    ['endpoint', () => createAzureOpenAiProvider({ endpoint: 'nonsense', apiKey: KEY, deployment: 'd' })],
    ['deployment', () => createAzureOpenAiProvider({ endpoint: 'https://r.openai.azure.com', apiKey: KEY })],
    [
      'both',
      () => createAzureOpenAiProvider({ endpoint: 'https://r', apiKey: KEY, token: 't', deployment: 'd' }),
    ],
    ['apiKey', () => createAzureOpenAiProvider({ endpoint: 'https://r', deployment: 'd' })],
    ['neither model nor agent', () => createAzureVoiceLiveProvider({ endpoint: 'https://r', apiKey: KEY })],
    ['apiKey', () => createXaiProvider({ apiKey: '' })],
    ['baseUrl', () => createInworldProvider({ apiKey: KEY, baseUrl: 'https://api.inworld.ai' })],
  ])('cannot be said with unusable options: %s', (what, make) => {
    expect(make).toThrow(what);
  });

  it('goes by the name that it is given, and says what it can', () => {
    const xai = createXaiProvider({
      apiKey: KEY,
      name: 'second',
      truncate: false,
      resumption: false,
      maxSessionMs: 9,
    });
    expect(xai).toMatchObject({ name: 'second', model: 'grok-voice-latest' });
    expect(xai.capabilities).toMatchObject({ truncate: false, resume: false, maxSessionMs: 9 });
    expect(createXaiProvider({ apiKey: KEY }).capabilities).toMatchObject({ truncate: true, resume: true });
  });
});

describe('xAI', () => {
  const start = async (
    sim: OpenAiSimulatorOptions = {},
    over: Partial<ConnectRequest> = {},
    options: Partial<Parameters<typeof createXaiProvider>[0]> = {},
  ) => {
    const host = await SimHost.start({ dialect: 'xai', ...sim });
    const provider = createXaiProvider({ apiKey: KEY, baseUrl: host.sim.url, ...options });
    const line = await host.dial(provider, over);
    return { host, provider, line, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
  };

  it('is asked for a session with nothing in it but what its schema has', async () => {
    await using on = await start({}, { language: 'pt', voice: 'ara' }, { reasoning: 'none' });
    expect(on.line.received('session.update')[0]?.['session']).toEqual({
      instructions: 'Be brief.\n\nThe language of this call is Portuguese (pt).',
      voice: 'ara',
      turn_detection: {
        type: 'server_vad',
        threshold: 0.5,
        prefix_padding_ms: 333,
        silence_duration_ms: 500,
        idle_timeout_ms: null,
      },
      audio: {
        input: {
          format: { type: 'audio/pcmu' },
          transcription: { model: 'grok-transcribe', language_hint: 'pt-BR' },
        },
        output: { format: { type: 'audio/pcmu' } },
      },
      tools: [{ type: 'function', ...TOOL }],
      resumption: { enabled: true },
      reasoning: { effort: 'none' },
    });
  });

  it.each([
    ['de-AT', 'de'],
    ['es', 'es-ES'],
    ['es-MX', 'es-MX'],
    ['pt-PT', 'pt-PT'],
    ['ar-SA', 'ar-SA'],
    ['sw', undefined],
  ])('is given the hint for %s that it knows: %s', async (language, hint) => {
    await using on = await start({}, { language });
    expect(on.line.connection.session.audio.input.transcription?.['language_hint']).toBe(hint);
  });

  it('takes PCM16 of 8 kHz, so that nothing has to be resampled', async () => {
    await using on = await start(
      { keepAudio: true, respond: () => ({ audioMs: 400 }) },
      { preferredFormats: [EIGHT] },
    );
    expect([on.line.session.input, on.line.session.output]).toEqual([EIGHT, EIGHT]);
    on.line.session.sendText('Go.', { role: 'user', respond: true });
    await on.line.next('responseDone');
    expect(on.line.audioBytes).toBe(400 * 16);
  });

  it('speaks what it is told as it is, without asking the model', async () => {
    await using on = await start();
    on.line.session.say('This call is recorded.');
    await on.line.next('responseDone');
    expect(on.line.received('response.create')).toEqual([]);
    expect(on.line.received('conversation.item.create')).toMatchObject([
      { item: { type: 'force_message', content: [{ text: 'This call is recorded.' }] } },
    ]);
    expect(on.line.of('transcript').at(-1)?.text).toBe('This call is recorded.');
  });

  it('waits with a text of ours until the answer under way is over', async () => {
    await using on = await start({ respond: () => ({ audioMs: 300, transcript: 'One moment.' }) });
    on.line.session.sendText('Hi.', { role: 'user', respond: true });
    on.line.session.say('Goodbye.');
    const texts = [];
    for (let i = 0; i < 2; i += 1) {
      await on.line.next('responseDone');
      texts.push(on.line.of('transcript').at(-1)?.text);
    }
    expect(texts).toEqual(['One moment.', 'Goodbye.']);
    expect(on.line.refusals).toEqual([]);
  });

  it('is told by the model to say it when that is wanted, without a choice of functions', async () => {
    await using on = await start({}, {}, { scriptedSpeech: false });
    on.line.session.say('Hello.');
    await on.line.next('responseDone');
    const [asked] = on.line.received('response.create');
    expect(Object.keys(asked?.['response'] ?? {}).sort()).toEqual(['instructions', 'metadata']);
    expect(on.line.refusals).toEqual([]);
  });

  it('does not tell how much was heard where that is switched off, and a refusal of it is no error', async () => {
    for (const truncate of [true, false]) {
      await using on = await start(
        { speedFactor: 1, lacks: ['conversation.item.truncate'], respond: () => ({ audioMs: 3_000 }) },
        {},
        { truncate },
      );
      on.line.session.sendText('Go.', { role: 'user', respond: true });
      const { itemId } = await on.line.next('audio');
      on.line.session.interrupt([{ itemId, playedMs: 50, receivedMs: 100 }]);
      await on.line.next('responseDone');
      on.line.session.sendText('And again.', { role: 'user', respond: true });
      await on.line.next('responseStarted');
      expect(on.line.refusals).toHaveLength(truncate ? 1 : 0);
      expect(on.line.of('warning')).toHaveLength(truncate ? 1 : 0);
      expect(on.line.of('error')).toEqual([]);
    }
  });

  it('goes on with a conversation in another session, and tells nothing of it again', async () => {
    await using on = await start();
    const { handle } = await on.line.next('resumable');
    expect(handle).toMatch(/^conv_/);
    on.line.session.sendText('My name is Ada.', { role: 'user', respond: true });
    await on.line.next('responseDone');
    on.line.connection.drop();
    await on.line.next('closed');
    const history = [{ type: 'message', role: 'user', text: 'My name is Ada.' }] as const;
    const second = await on.host.dial(on.provider, { resume: handle, history });
    expect((await second.next('resumable')).handle).toBe(handle);
    // The caller's last words have no answer yet.
    await second.next('responseDone');
    expect(second.received('conversation.item.create')).toEqual([]);
    expect(second.connection.items.map(({ role }) => role)).toEqual(['user', 'assistant', 'assistant']);
    expect(second.of('warning')).toEqual([]);
    expect(second.refusals).toEqual([]);
  });

  it('is told of the conversation after all when it has forgotten it', async () => {
    await using on = await start();
    const history = [{ type: 'message', role: 'assistant', text: 'Hello.' }] as const;
    const second = await on.host.dial(on.provider, { resume: 'conv_of_yesterday', history });
    await second.connection.next('conversation.item.added');
    expect(second.of('warning').map(({ code }) => code)).toEqual(['resume_failed']);
    expect(second.connection.items).toHaveLength(1);
    expect((await second.next('resumable')).handle).not.toBe('conv_of_yesterday');
  });

  it('is told of the conversation when it refuses to go on with it', async () => {
    await using on = await start({
      faults: [{ when: { after: 'connect' }, do: 'http', status: 404, connection: 1 }],
    });
    const history = [{ type: 'message', role: 'assistant', text: 'Hello.' }] as const;
    const second = await on.host.dial(on.provider, { resume: 'conv_of_yesterday', history });
    await second.connection.next('conversation.item.added');
    expect(second.of('warning').map(({ code }) => code)).toEqual(['resume_refused']);
    expect(second.connection.items).toHaveLength(1);
  });

  it('is not dialled twice for a key that is wrong', async () => {
    await using on = await start({ apiKey: KEY });
    const provider = createXaiProvider({ apiKey: 'other', baseUrl: on.host.sim.url });
    await expect(on.host.dial(provider, { resume: 'conv_1' })).rejects.toMatchObject({
      code: 'PROVIDER_AUTH',
    });
    expect((await on.host.dial(on.provider)).connection.index).toBe(2);
  });

  it('announces the end of a session that does not say when it ends', async () => {
    await using host = await SimHost.start({ dialect: 'xai' });
    const clock = new VirtualClock();
    // Short enough that the socket does not look for a sign of life meanwhile.
    const times = { maxSessionMs: 25_000, expiryMarginMs: 10_000 };
    const provider = createXaiProvider({ apiKey: KEY, baseUrl: host.sim.url, ...times });
    const line = await host.dial(provider, {}, clock);
    clock.advance(14_999);
    expect(line.of('expiring')).toEqual([]);
    clock.advance(1);
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 10_000 }]);
  });

  it('keeps nothing where that is not wanted', async () => {
    await using on = await start({}, { resume: 'conv_x' }, { resumption: false });
    on.line.session.say('Hello.');
    await on.line.next('responseDone');
    expect(on.line.of('resumable')).toEqual([]);
    expect(on.line.received('session.update')[0]?.['session']).not.toHaveProperty('resumption');
  });

  it('may leave a response without an end, which is not waited for', async () => {
    let answers = 0;
    await using on = await start({
      firstAudioMs: 50,
      faults: [{ when: { after: 'response.created' }, do: 'abandon-response' }],
      respond: () => ({ transcript: `Answer ${answers++}.`, audioMs: 200 }),
    });
    on.line.session.sendText('Hi.', { role: 'user', respond: true });
    const first = await on.line.next('responseStarted');
    on.line.connection.callerStarts();
    on.line.connection.callerStops();
    const second = await on.line.next('responseDone');
    expect(second).toMatchObject({ responseId: first.responseId, status: 'cancelled', reason: 'superseded' });
    expect((await on.line.next('responseDone')).status).toBe('completed');
    on.line.session.say('Anything else?');
    expect((await on.line.next('responseDone')).status).toBe('completed');
    expect(on.line.refusals).toEqual([]);
  });

  it('ends a session that lasts too long, which may be gone on with', async () => {
    await using on = await start({ sessionMs: 40 });
    const { error } = await on.line.next('closed');
    expect(error?.code).toBe('PROVIDER_EXPIRED');
  });
});

describe('Azure Voice Live', () => {
  const start = async (
    options: Partial<Parameters<typeof createAzureVoiceLiveProvider>[0]> = {},
    over: Partial<ConnectRequest> = {},
    sim: OpenAiSimulatorOptions = {},
  ) => {
    const host = await SimHost.start(sim);
    const provider = createAzureVoiceLiveProvider({
      endpoint: host.endpoint,
      apiKey: KEY,
      model: 'gpt-5-mini',
      ...options,
    });
    const line = await host.dial(provider, over);
    const session = line.received('session.update')[0]?.['session'] as Record<
      string,
      Record<string, unknown>
    >;
    return { host, line, session, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
  };

  it('is asked for a flat session with all that it can do for a telephone', async () => {
    await using on = await start(
      {
        removeFillerWords: true,
        speechMs: 120,
        endOfUtteranceDetection: { model: 'semantic_detection_v1_multilingual', timeout_ms: 1_000 },
        noiseReduction: 'azure_deep_noise_suppression',
        echoCancellation: true,
      },
      { language: 'de-AT', voice: 'de-DE-SeraphinaMultilingualNeural', turnDetection: { mode: 'semantic' } },
    );
    expect(on.session).toMatchObject({
      modalities: ['text', 'audio'],
      voice: { type: 'azure-standard', name: 'de-DE-SeraphinaMultilingualNeural' },
      input_audio_format: 'g711_ulaw',
      input_audio_sampling_rate: 8000,
      output_audio_format: 'g711_ulaw',
      input_audio_transcription: { model: 'azure-speech', language: 'de' },
      turn_detection: {
        type: 'azure_semantic_vad_multilingual',
        remove_filler_words: true,
        speech_duration_ms: 120,
        auto_truncate: false,
        end_of_utterance_detection: { model: 'semantic_detection_v1_multilingual', timeout_ms: 1_000 },
        languages: ['de-AT'],
        create_response: true,
        interrupt_response: true,
      },
      input_audio_noise_reduction: { type: 'azure_deep_noise_suppression' },
      input_audio_echo_cancellation: { type: 'server_echo_cancellation' },
    });
    expect(on.line.refusals).toEqual([]);
  });

  it.each([
    ['alloy', 'alloy'],
    ['ava', { type: 'azure-realtime-native', name: 'ava' }],
    ['en-US-AvaMultilingualNeural', { type: 'azure-standard', name: 'en-US-AvaMultilingualNeural' }],
  ])('knows whose voice %s is', async (voice, wire) => {
    await using on = await start({}, { voice });
    expect(on.session['voice']).toEqual(wire);
  });

  it('goes by sound with the settings of sound alone', async () => {
    await using on = await start({ removeFillerWords: true, speechMs: 100 });
    expect(Object.keys(on.session['turn_detection'] ?? {}).sort()).toEqual([
      'auto_truncate',
      'create_response',
      'interrupt_response',
      'prefix_padding_ms',
      'silence_duration_ms',
      'threshold',
      'type',
    ]);
  });

  it.each([
    [{ encoding: 'pcm16', rate: 8000 }, 'pcm16_8000hz'],
    [{ encoding: 'pcm16', rate: 16000 }, 'pcm16_16000hz'],
    [{ encoding: 'pcm16', rate: 24000 }, 'pcm16'],
    [{ encoding: 'alaw', rate: 8000 }, 'g711_alaw'],
  ] as const)('has names of its own for %j', async (format, name) => {
    await using on = await start({}, { preferredFormats: [format] }, { respond: () => ({ audioMs: 500 }) });
    expect(on.session['output_audio_format']).toBe(name);
    expect([on.line.session.input, on.line.session.output]).toEqual([format, format]);
    on.line.session.sendText('Go.', { role: 'user', respond: true });
    await on.line.next('responseDone');
    expect(on.line.audioBytes).toBe(500 * bytesPerMs(format));
  });

  it('is not told how much was heard when it reckons that by itself', async () => {
    await using on = await start(
      { autoTruncate: true },
      {},
      { speedFactor: 1, respond: () => ({ audioMs: 3_000 }) },
    );
    on.line.session.sendText('Go.', { role: 'user', respond: true });
    const { itemId } = await on.line.next('audio');
    on.line.session.interrupt([{ itemId, playedMs: 50, receivedMs: 100 }]);
    await on.line.next('responseDone');
    expect(on.line.received('conversation.item.truncate')).toEqual([]);
  });

  it('speaks a written text where that is wanted', async () => {
    await using on = await start({ scriptedSpeech: true });
    on.line.session.say('This call is recorded.');
    await on.line.next('responseDone');
    expect(on.line.received('response.create')[0]?.['response']).toMatchObject({
      pre_generated_assistant_message: { content: [{ type: 'text', text: 'This call is recorded.' }] },
    });
    expect(on.line.of('transcript').at(-1)?.text).toBe('This call is recorded.');
    expect(on.line.refusals).toEqual([]);
  });

  it('warns of something, and goes on', async () => {
    await using on = await start();
    on.line.connection.inject({ type: 'warning', warning: { code: 'slow', message: 'it is slow today' } });
    expect(await on.line.next('warning')).toMatchObject({ code: 'slow', message: 'it is slow today' });
    on.line.session.say('Hello.');
    expect((await on.line.next('responseDone')).status).toBe('completed');
  });
});

describe('a provider that cannot take a conversation up again', () => {
  it('is told of it, whatever handle a request brings', async () => {
    await using host = await SimHost.start();
    const provider = createOpenAiProvider({ apiKey: KEY, baseUrl: host.sim.url, model: 'gpt-realtime-2.1' });
    const line = await host.dial(provider, {
      resume: 'handle-of-another',
      history: [{ type: 'message', role: 'assistant', text: 'Hello.' }],
    });
    await line.connection.next('conversation.item.added');
    expect(line.connection.items).toHaveLength(1);
    expect(line.of('resumable')).toEqual([]);
    expect(line.of('warning')).toEqual([]);
  });
});
