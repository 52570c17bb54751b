import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type DialectName, type OpenAiSimulatorOptions, startOpenAiSimulator } from '../src/sim/openai.ts';
import { Client, FAST, MODEL, silence, speech, userText } from './support/openai-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The simulator in the dialects of OpenAI's relatives. */

const PATHS: Readonly<Record<DialectName, string>> = {
  ga: MODEL,
  beta: MODEL,
  xai: '?model=grok-voice-latest',
  'voice-live': '?api-version=2026-07-15&model=gpt-5',
  inworld: '?key=one&protocol=realtime',
};

const AUTH: Readonly<Record<DialectName, string>> = {
  ga: 'Bearer k',
  beta: 'Bearer k',
  xai: 'Bearer k',
  'voice-live': 'Bearer k',
  inworld: 'Basic k',
};

async function start(dialect: DialectName, options: OpenAiSimulatorOptions = {}) {
  const sim = await startOpenAiSimulator({ ...FAST, dialect, ...options });
  const dial = (query = ''): Client =>
    new Client(sim.url + PATHS[dialect] + query, { headers: { authorization: AUTH[dialect] } });
  const client = dial();
  const connection = await sim.nextConnection();
  await client.next('session.created');
  return { sim, client, connection, dial, [Symbol.asyncDispose]: () => sim.close() };
}

const update = (session: Record<string, unknown>) => ({ type: 'session.update', session });

/** The status of a refused upgrade; 101 when it was let in. */
function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { headers });
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
    socket.on('open', () => {
      socket.terminate();
      resolve(101);
    });
    socket.on('error', () => undefined);
  });
}

describe('what a dialect does not know is refused by name', () => {
  it.each<[DialectName, string, Record<string, unknown>]>([
    ['xai', 'session.type', { type: 'realtime' }],
    ['xai', 'session.output_modalities', { output_modalities: ['audio'] }],
    ['xai', 'session.tool_choice', { tool_choice: 'auto' }],
    [
      'xai',
      'session.turn_detection.create_response',
      { turn_detection: { type: 'server_vad', create_response: true } },
    ],
    ['xai', 'session.audio.output.voice', { audio: { output: { voice: 'eve' } } }],
    [
      'xai',
      'session.audio.input.transcription.language',
      { audio: { input: { transcription: { language: 'de' } } } },
    ],
    ['voice-live', 'session.type', { type: 'realtime' }],
    ['voice-live', 'session.audio', { audio: {} }],
    [
      'voice-live',
      'session.turn_detection.eagerness',
      { turn_detection: { type: 'azure_semantic_vad', eagerness: 'low' } },
    ],
    [
      'voice-live',
      'session.turn_detection.idle_timeout_ms',
      { turn_detection: { type: 'server_vad', idle_timeout_ms: 9 } },
    ],
    [
      'voice-live',
      'session.turn_detection.remove_filler_words',
      { turn_detection: { type: 'server_vad', remove_filler_words: true } },
    ],
    [
      'voice-live',
      'session.turn_detection.languages',
      { turn_detection: { type: 'azure_semantic_vad_en', languages: ['en'] } },
    ],
    ['voice-live', 'session.speed', { speed: 1 }],
    ['inworld', 'session.voice', { voice: 'Dennis' }],
    ['inworld', 'session.tracing', { tracing: null }],
  ])('%s: %s', async (dialect, param, session) => {
    await using on = await start(dialect);
    expect(await on.client.wrong(update(session))).toMatchObject({ code: 'unknown_parameter', param });
  });

  it.each<[DialectName, string, Record<string, unknown>]>([
    ['xai', 'session.turn_detection.threshold', { turn_detection: { type: 'server_vad', threshold: 0.95 } }],
    [
      'xai',
      'session.turn_detection.silence_duration_ms',
      { turn_detection: { silence_duration_ms: 10_001 } },
    ],
    ['xai', 'session.turn_detection.type', { turn_detection: { type: 'semantic_vad' } }],
    ['xai', 'session.reasoning.effort', { reasoning: { effort: 'low' } }],
    [
      'xai',
      'session.audio.input.format.rate',
      { audio: { input: { format: { type: 'audio/pcm', rate: 11_025 } } } },
    ],
    ['voice-live', 'session.voice', { voice: 'nobody' }],
    ['voice-live', 'session.voice.name', { voice: { type: 'azure-standard' } }],
    ['voice-live', 'session.input_audio_format', { input_audio_format: 'pcm16_8000hz' }],
    [
      'voice-live',
      'session.input_audio_sampling_rate',
      { input_audio_format: 'g711_ulaw', input_audio_sampling_rate: 16_000 },
    ],
    [
      'voice-live',
      'session.input_audio_noise_reduction.type',
      { input_audio_noise_reduction: { type: 'deep' } },
    ],
  ])('%s has no such value in %s', async (dialect, param, session) => {
    await using on = await start(dialect);
    expect(await on.client.wrong(update(session))).toMatchObject({ param });
  });

  it.each<[DialectName, string, Record<string, unknown>]>([
    ['xai', 'response.tool_choice', { tool_choice: 'none' }],
    ['xai', 'response.output_modalities', { output_modalities: ['audio'] }],
    ['voice-live', 'response.output_modalities', { output_modalities: ['audio'] }],
    ['voice-live', 'response.conversation', { conversation: 'none' }],
    ['inworld', 'response.prompt', { prompt: null }],
  ])('%s: %s', async (dialect, param, response) => {
    await using on = await start(dialect);
    expect(await on.client.wrong({ type: 'response.create', response })).toMatchObject({ param });
  });

  it('an event that only OpenAI has', async () => {
    await using on = await start('xai');
    const error = await on.client.wrong({ type: 'conversation.item.retrieve', item_id: 'item_1' });
    expect(error).toMatchObject({ code: 'invalid_value', param: 'type' });
    expect(error['message']).not.toContain("'conversation.item.retrieve',");
  });

  it('an event that this server is said to lack', async () => {
    await using on = await start('ga', { lacks: ['conversation.item.truncate'] });
    const error = await on.client.wrong({
      type: 'conversation.item.truncate',
      item_id: 'item_1',
      content_index: 0,
      audio_end_ms: 0,
    });
    expect(error).toMatchObject({ code: 'invalid_value', param: 'type' });
  });

  it('an update that is refused changes nothing', async () => {
    await using on = await start('xai');
    await on.client.ask(update({ instructions: 'One.' }), 'session.updated');
    await on.client.wrong(update({ instructions: 'Two.', nonsense: 1 }));
    expect(on.connection.session.instructions).toBe('One.');
  });
});

describe('xAI', () => {
  it('names the conversation after the session, and does not say when it ends', async () => {
    await using on = await start('xai');
    const { conversation } = await on.client.next('conversation.created');
    expect(conversation).toMatchObject({ id: expect.stringMatching(/^conv_/) });
    const [created] = on.client.events;
    expect(created?.['session']).toMatchObject({ voice: 'eve', turn_detection: { type: 'server_vad' } });
    expect(created?.['session']).not.toHaveProperty('expires_at');
  });

  it('merges what it is told of, and shows all of it', async () => {
    await using on = await start('xai');
    await on.client.ask(update({ audio: { input: { format: { type: 'audio/pcmu' } } } }), 'session.updated');
    const updated = await on.client.ask(update({ audio: { output: { speed: 1.2 } } }), 'session.updated');
    expect(updated['session']).toMatchObject({
      audio: {
        input: { format: { type: 'audio/pcmu' } },
        output: { speed: 1.2, format: { type: 'audio/pcm' } },
      },
    });
  });

  it('leaves out what it never sends, and gives back metadata', async () => {
    await using on = await start('xai');
    on.client.send(userText('Hi.'));
    const done = await on.client.ask(
      { type: 'response.create', response: { metadata: { a: 'b' } } },
      'response.done',
    );
    expect(done['response']).toMatchObject({
      status: 'completed',
      status_details: 'unimplemented',
      metadata: { a: 'b' },
      usage: { total_tokens: expect.any(Number) },
    });
    expect(on.client.types).not.toContain('conversation.item.done');
    expect(on.client.types).not.toContain('rate_limits.updated');
    expect(on.client.types).toContain('response.output_audio.delta');
  });

  it('tells the words of the caller from the beginning each time', async () => {
    await using on = await start('xai', { hear: () => ({ transcript: 'Good morning there' }) });
    const audio = { input: { format: { type: 'audio/pcmu' }, transcription: { model: 'grok-transcribe' } } };
    await on.client.ask(update({ audio }), 'session.updated');
    for (const bytes of [speech(600, 'audio/pcmu'), silence(900, 'audio/pcmu')]) {
      on.client.send({ type: 'input_audio_buffer.append', audio: bytes.toString('base64') });
    }
    await on.client.next('conversation.item.input_audio_transcription.completed');
    const words = on.client.events.filter(({ type }) => type.endsWith('transcription.updated'));
    expect(words.map(({ transcript }) => transcript)).toEqual(['Good', 'Good morning', 'Good morning there']);
  });

  it('says a text as it is, and only when nothing else is being said', async () => {
    await using on = await start('xai', { speedFactor: 1, respond: () => ({ audioMs: 400, toolCalls: [] }) });
    const item = { type: 'force_message', content: [{ type: 'output_text', text: 'We record this.' }] };
    const say = { type: 'conversation.item.create', item };
    await on.client.ask(say, 'response.created');
    expect(await on.client.wrong(say)).toMatchObject({ code: 'conversation_already_has_active_response' });
    await on.client.next('response.done');
    const words = await on.client.next('response.output_audio_transcript.done');
    expect(words['transcript']).toBe('We record this.');
    expect(on.connection.items).toMatchObject([{ role: 'assistant' }]);
    expect(await on.client.wrong({ ...say, item: { type: 'force_message' } })).toMatchObject({
      param: 'item.content',
    });
  });

  it('keeps a conversation for half an hour when it is asked to, before and after', async () => {
    const clock = new VirtualClock();
    await using on = await start('xai', { clock });
    const created = await on.client.next('conversation.created');
    const { id } = created['conversation'] as { id: string };
    await on.client.ask(update({ resumption: { enabled: true } }), 'session.updated');
    await on.client.ask(userText('I am Ada.'), 'conversation.item.added');
    on.connection.drop();
    await on.connection.closed;
    const again = async (ask: boolean): Promise<number> => {
      const client = on.dial(`&conversation_id=${id}`);
      const connection = await on.sim.nextConnection();
      await client.next('conversation.created');
      await client.ask(update({ resumption: { enabled: ask } }), 'session.updated');
      if (ask && connection.items.length > 0) await client.next('conversation.item.created');
      const { length } = connection.items;
      connection.drop();
      await connection.closed;
      return length;
    };
    expect(await again(false)).toBe(0);
    clock.advance(29 * 60_000);
    expect(await again(true)).toBe(1);
    clock.advance(31 * 60_000);
    expect(await again(true)).toBe(0);
  });

  it('shows now and then that it lives', async () => {
    const clock = new VirtualClock();
    await using on = await start('xai', { clock });
    clock.advance(25_000);
    await on.client.next('ping');
    expect(on.connection.sent.filter(({ event }) => event.type === 'ping')).toHaveLength(2);
  });

  it('ends a session that has lasted too long in words of its own', async () => {
    await using on = await start('xai', { sessionMs: 30 });
    const { error } = await on.client.next('error');
    expect(error).toMatchObject({ type: 'max_duration' });
    expect((await on.client.closed).code).toBe(1000);
  });
});

describe('Azure Voice Live', () => {
  it('has the old names of events, and none of those that its types do not have', async () => {
    await using on = await start('voice-live');
    expect(on.client.types).toEqual(['session.created']);
    const done = await on.client.ask({ type: 'response.create' }, 'response.done');
    expect(done['response']).toMatchObject({ modalities: ['text', 'audio'], output_audio_format: 'pcm16' });
    expect(on.client.types).toContain('response.audio.delta');
    expect(on.client.types).toContain('conversation.item.created');
    expect(on.client.types).not.toContain('conversation.item.done');
  });

  it('hears PCM16 of the rate that it is told', async () => {
    await using on = await start('voice-live');
    await on.client.ask(
      update({ input_audio_format: 'pcm16', input_audio_sampling_rate: 16_000 }),
      'session.updated',
    );
    on.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(32_000).toString('base64') });
    await on.client.ask(userText('.'), 'conversation.item.created');
    expect(on.connection.receivedAudioMs).toBe(1_000);
  });

  it('does not change a voice that was heard', async () => {
    await using on = await start('voice-live');
    await on.client.ask({ type: 'response.create' }, 'response.done');
    expect(await on.client.wrong(update({ voice: 'verse' }))).toMatchObject({ code: 'cannot_update_voice' });
  });

  it('says a text that is written already', async () => {
    await using on = await start('voice-live');
    const message = {
      type: 'message',
      role: 'assistant',
      content: [{ type: 'text', text: 'We record this.' }],
    };
    const response = { pre_generated_assistant_message: message };
    const words = await on.client.ask(
      { type: 'response.create', response },
      'response.audio_transcript.done',
    );
    expect(words['transcript']).toBe('We record this.');
  });
});

describe('the paths and keys of the relatives', () => {
  it.each([
    [101, '/openai/v1/realtime?model=d', { 'api-key': 'good' }],
    [101, '/openai/v1/realtime?model=d', { authorization: 'Bearer good' }],
    [401, '/openai/v1/realtime?model=d', { 'api-key': 'bad' }],
    [401, '/openai/v1/realtime?model=d', { authorization: 'Basic good' }],
    [401, '/openai/v1/realtime?model=d', {}],
    [400, '/openai/v1/realtime?model=none', { 'api-key': 'good' }],
    [400, '/openai/v1/realtime', { 'api-key': 'good' }],
    [101, '/openai/realtime?api-version=v&deployment=d', { 'api-key': 'good' }],
    [400, '/openai/realtime?api-version=v&model=d', { 'api-key': 'good' }],
    [400, '/openai/realtime?deployment=d', { 'api-key': 'good' }],
    [101, '/voice-live/realtime?api-version=v&model=d', { 'api-key': 'good' }],
    [101, '/voice-live/realtime?api-version=v&model=d&api-key=good', {}],
    [400, '/voice-live/realtime?model=d', { 'api-key': 'good' }],
    [400, '/voice-live/realtime?api-version=v&agent-name=d', { 'api-key': 'good' }],
    [101, '/voice-live/realtime?api-version=v&agent-name=d&agent-project-name=p', { 'api-key': 'good' }],
    [101, '/api/v1/realtime/session?key=1&protocol=realtime', { authorization: 'Basic good' }],
    [401, '/api/v1/realtime/session?key=1&protocol=realtime', { authorization: 'Bearer good' }],
    [400, '/api/v1/realtime/session?key=1', { authorization: 'Basic good' }],
    [404, '/v2/realtime?model=d', { authorization: 'Bearer good' }],
  ])('answers %i to %s with %j', async (status, path, headers) => {
    await using sim = await startOpenAiSimulator({ apiKey: 'good', models: ['d'] });
    expect(await statusOf(`ws://127.0.0.1:${sim.port}${path}`, headers as Record<string, string>)).toBe(
      status,
    );
  });

  it('are beside those of OpenAI, each with its dialect', async () => {
    await using sim = await startOpenAiSimulator(FAST);
    const azure = new Client(`ws://127.0.0.1:${sim.port}/openai/realtime?api-version=v&deployment=d`);
    expect((await azure.next('session.created'))['session']).toHaveProperty('modalities');
    const openai = new Client(sim.url + MODEL);
    expect((await openai.next('session.created'))['session']).toHaveProperty('output_modalities');
  });
});

describe('a response that is left without an end', () => {
  it('makes room for another one', async () => {
    await using on = await start('ga', {
      firstAudioMs: 20,
      faults: [{ when: { after: 'response.created' }, do: 'abandon-response' }],
    });
    const first = await on.client.ask({ type: 'response.create' }, 'response.created');
    const second = await on.client.ask({ type: 'response.create' }, 'response.done');
    expect((second['response'] as { id: string }).id).not.toBe((first['response'] as { id: string }).id);
    expect(on.client.types.filter((type) => type === 'response.done')).toHaveLength(1);
  });
});
