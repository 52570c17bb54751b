import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type GeminiSimulatorOptions, startGeminiSimulator, type Turn } from '../src/sim/gemini.ts';
import {
  connect,
  content,
  declare,
  GeminiClient,
  type Message,
  MODEL_25,
  MODEL_31,
  MODEL_38,
  say,
  sendAudio,
  setupOf,
  silence,
  speech,
  start,
  tools,
} from './support/gemini-client.ts';
import { seeded } from './support/signal.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const LIVE = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';
const CONSTRAINED = `${LIVE.replace('v1beta', 'v1alpha')}Constrained`;
const VERTEX = '/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent';
const VERTEX_MODEL =
  'projects/p/locations/us-central1/publishers/google/models/gemini-live-2.5-flash-native-audio';

async function refused(setup: Message, options: GeminiSimulatorOptions = {}): Promise<string> {
  await using sim = await startGeminiSimulator(options);
  const client = new GeminiClient(`${sim.liveUrl}?key=k`);
  await client.opened;
  client.send(setup);
  const { code, reason } = await client.closed;
  expect(client.messages).toEqual([]);
  return `${code} ${reason}`;
}

describe('the door', () => {
  it.each([
    ['a key in the query', `${LIVE}?key=right`, {}],
    ['a key in a header, two slashes in front', `/${LIVE}`, { 'x-goog-api-key': 'right' }],
    ['an ephemeral token in the query', `${CONSTRAINED}?access_token=auth_tokens/right`, {}],
    ['an ephemeral token in a header', CONSTRAINED, { authorization: 'Token auth_tokens/right' }],
    [
      'a bearer token at Vertex AI',
      VERTEX.replaceAll('/', '//'),
      { authorization: 'Bearer auth_tokens/right' },
    ],
  ])('opens for %s', async (_, path, headers) => {
    await using sim = await startGeminiSimulator({ apiKey: 'right', accessToken: 'auth_tokens/right' });
    const client = new GeminiClient(sim.url + path, headers);
    await client.opened;
    const { endpoint } = await sim.nextConnection();
    const model = endpoint === 'vertex' ? VERTEX_MODEL : MODEL_38;
    const { setupComplete } = await client.ask(setupOf({}, model), 'setupComplete');
    expect(setupComplete).toEqual(endpoint === 'vertex' ? { sessionId: expect.any(String) } : {});
  });

  it.each([
    ['a wrong key', `${LIVE}?key=wrong`, {}, 1007, 'API key not valid. Please pass a valid API key.'],
    ['no key', LIVE, {}, 1008, "Method doesn't allow unregistered callers"],
    ['a key where a token is wanted', `${CONSTRAINED}?key=right`, {}, 1008, 'invalid authentication'],
    ['a wrong token at Vertex AI', VERTEX, { authorization: 'Bearer no' }, 1008, 'invalid authentication'],
  ])('closes for %s', async (_, path, headers, code, words) => {
    await using sim = await startGeminiSimulator({ apiKey: 'right', accessToken: 'right' });
    const end = await new GeminiClient(sim.url + path, headers).closed;
    expect(end).toEqual({ code, reason: expect.stringContaining(words) });
    expect(Buffer.byteLength(end.reason)).toBeLessThanOrEqual(123);
    expect(sim.connections).toEqual([]);
  });

  it.each([
    [`${LIVE}?key=wrong`, {}, 400, 'INVALID_ARGUMENT'],
    [LIVE, {}, 403, 'PERMISSION_DENIED'],
    [VERTEX, {}, 401, 'UNAUTHENTICATED'],
    ['/ws/elsewhere', {}, 404, 'NOT_FOUND'],
  ])('answers %s by HTTP when that is asked for', async (path, headers, status, word) => {
    await using sim = await startGeminiSimulator({ apiKey: 'right', badKey: 'http' });
    const socket = new WebSocket(sim.url + path, { headers });
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    expect(response.statusCode).toBe(status);
    const [body] = await once(response, 'data');
    expect(JSON.parse(String(body))).toMatchObject({ error: { code: status, status: word } });
    response.destroy();
  });

  it('lets no more sessions in than there is quota for', async () => {
    await using line = await start({ maxSessions: 1 });
    const second = new GeminiClient(`${line.sim.liveUrl}?key=k`);
    expect(await second.closed).toMatchObject({ code: 1011, reason: expect.stringContaining('quota') });
    line.client.socket.close();
    await line.connection.closed;
    await connect(line.sim);
  });

  it('keeps the 101 back as long as it is told', async () => {
    const clock = new VirtualClock();
    await using sim = await startGeminiSimulator({ clock, handshakeDelayMs: 700 });
    const client = new GeminiClient(`${sim.liveUrl}?key=k`);
    // The plan to answer is the first thing that this clock is asked for.
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(699);
    expect(sim.connections).toHaveLength(0);
    clock.advance(5);
    await client.opened;
  });
});

describe('the setup', () => {
  it('must come first, once, and be answered before anything else is sent', async () => {
    expect(await refused(say('Hi.'))).toBe('1007 Request contains an invalid argument.');
    await using twice = await start();
    twice.client.send(setupOf());
    expect(await twice.client.closed).toMatchObject({ code: 1007 });
    const clock = new VirtualClock();
    await using sim = await startGeminiSimulator({ clock, setupMs: 200 });
    const hasty = new GeminiClient(`${sim.liveUrl}?key=k`);
    await hasty.opened;
    hasty.send(setupOf());
    hasty.send(say('Hi.'));
    expect(await hasty.closed).toMatchObject({ code: 1007 });
    expect(sim.connections[0]?.refusal).toContain('before setupComplete');
  });

  it.each<[string, Message, string]>([
    ['a field', { temperature: 1 }, 'Unknown name "temperature" at \'setup\': Cannot find field.'],
    [
      'a field of a field',
      { generationConfig: { speechConfig: { voice: 'Puck' } } },
      'Unknown name "voice" at \'setup.generation_config.speech_config\': Cannot find field.',
    ],
    [
      'a field that only Vertex AI has',
      { explicitVadSignal: true },
      'Unknown name "explicitVadSignal" at \'setup\'',
    ],
    [
      'a field of the preview version',
      { generationConfig: { enableAffectiveDialog: true } },
      'Unknown name "enableAffectiveDialog" at \'setup.generation_config\'',
    ],
    [
      'a field of a declaration',
      tools([{ name: 'f', arguments: {} }]),
      'Unknown name "arguments" at \'setup.tools[0].function_declarations[0]\'',
    ],
    [
      'a keyword of a schema',
      tools([{ name: 'f', parameters: { type: 'OBJECT', additionalProperties: false } }]),
      'Unknown name "additionalProperties" at',
    ],
  ])('is refused with %s that nobody knows', async (_, fields, words) => {
    expect(await refused(setupOf(fields))).toContain(
      `1007 Invalid JSON payload received. ${words}`.slice(0, 125),
    );
  });

  it.each<[string, Message, string]>([
    ['text for a number', { generationConfig: { temperature: 'warm' } }, 'TYPE_FLOAT'],
    ['a word that is none of its list', { generationConfig: { responseModalities: ['SMELL'] } }, 'TYPE_ENUM'],
    ['a number for a text', { systemInstruction: { parts: [{ text: 1 }] } }, 'TYPE_STRING'],
    ['text for a truth', { historyConfig: { initialHistoryInClientContent: 'yes' } }, 'TYPE_BOOL'],
  ])('is refused with %s', async (_, fields, words) => {
    expect(await refused(setupOf(fields))).toMatch(
      new RegExp(`^1007 Invalid value at 'setup\\..*\\(${words}\\)`),
    );
  });

  it.each<[string, Message, string | undefined]>([
    ['text as the modality', { generationConfig: { responseModalities: ['TEXT'] } }, undefined],
    ['two modalities', { generationConfig: { responseModalities: ['AUDIO', 'TEXT'] } }, undefined],
    ['a model that has no path', {}, 'gemini-3.8-live'],
    [
      'thinking where there is none',
      { generationConfig: { thinkingConfig: { thinkingLevel: 'LOW' } } },
      undefined,
    ],
    [
      'a budget for thinking in 3.1',
      { generationConfig: { thinkingConfig: { thinkingBudget: 1 } } },
      MODEL_31,
    ],
    ['proactivity that is off in 3.8', { proactivity: { proactiveAudio: false } }, undefined],
    ['a function that does not block in 3.1', tools([{ name: 'f', behavior: 'NON_BLOCKING' }]), MODEL_31],
    [
      'a function that blocks extended thinking',
      tools([{ name: 'f', behavior: 'BLOCKING' }]),
      'models/gemini-3.8-live-extended-thinking',
    ],
    ['a function twice', declare('f', 'f'), undefined],
    ['a function without a proper name', declare('no name'), undefined],
    [
      'a compression that compresses nothing',
      { contextWindowCompression: { triggerTokens: '10', slidingWindow: { targetTokens: '20' } } },
      undefined,
    ],
  ])('is refused with %s', async (_, fields, model) => {
    const answer = await refused(setupOf(fields, model));
    expect(answer).toBe('1007 Request contains an invalid argument.');
  });

  it('is refused for a model that the server does not have', async () => {
    expect(await refused(setupOf(), { models: ['gemini-3.1-flash-live-preview'] })).toBe(
      '1008 models/gemini-3.8-live is not found for API version v1beta, or is not supported for bidiGenerateContent. Call ListModels to',
    );
  });

  it.each([
    ['models/gemini-2.0-flash-exp', {}],
    ['models/gemini-9-live', {}],
    ['models/gemini-live-2.5-flash-native-audio', {}],
    [MODEL_38, { models: ['gemini-9-live'] }],
  ])('is refused for a model that the Gemini API does not have: %s %j', async (model, options) => {
    const words = `1008 ${model} is not found for API version v1beta, or is not supported`;
    expect((await refused(setupOf({}, model), options)).startsWith(words)).toBe(true);
  });

  it('is refused for a model that Vertex AI does not have', async () => {
    await using sim = await startGeminiSimulator();
    const client = new GeminiClient(sim.vertexUrl, { authorization: 'Bearer t' });
    await client.opened;
    const path = 'projects/p/locations/l/publishers/google/models/gemini-3.1-flash-live-preview';
    client.send(setupOf({}, path));
    const { code, reason } = await client.closed;
    expect(`${code} ${reason}`).toContain(`1008 Publisher Model \`${path}\` was not found`);
  });

  const spoken = (voiceName: string): Message => ({
    generationConfig: {
      responseModalities: ['AUDIO'],
      speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName } } },
    },
  });

  it.each([
    ['alloy', {}],
    ['Puck', { voices: ['Bob'] }],
  ])('is refused with a voice that the service does not have: %s %j', async (voice, options) => {
    const words = `Requested voice api_name '${voice}' is not available for model ${MODEL_38}`;
    expect(await refused(setupOf(spoken(voice)), options)).toBe(`1007 ${words}`);
  });

  it.each<[string, string, GeminiSimulatorOptions]>([
    ['Kore', MODEL_31, {}],
    ['zephyr', MODEL_25, {}],
    ['', MODEL_38, {}],
    ['Bob', MODEL_38, { voices: ['Bob'] }],
    ['whoever', 'models/gemini-9-live', { voices: 'any', models: 'any' }],
    ['Leda', 'models/gemini-9-live', { models: ['gemini-9-live'] }],
  ])('is taken with the voice %j and the model %s', async (voice, model, options) => {
    await using line = await start(options, spoken(voice), model);
    expect(line.connection.isOpen).toBe(true);
  });

  it('may be written in snake_case, and is known in camelCase', async () => {
    await using sim = await startGeminiSimulator();
    const client = new GeminiClient(`${sim.liveUrl}?key=k`);
    await client.opened;
    const { next } = await sim.nextConnection().then((connection) => ({ next: connection }));
    const generation_config = { response_modalities: ['AUDIO'], speech_config: { language_code: 'de-DE' } };
    const setup = { model: MODEL_38, generation_config, input_audio_transcription: {}, tools: null };
    await client.ask({ setup }, 'setupComplete');
    expect(next.setup).toEqual({
      model: MODEL_38,
      generationConfig: { responseModalities: ['AUDIO'], speechConfig: { languageCode: 'de-DE' } },
      inputAudioTranscription: {},
    });
  });

  it('knows affective dialog in 2.5, at the preview version', async () => {
    await using sim = await startGeminiSimulator();
    const client = new GeminiClient(`${sim.liveUrl.replace('v1beta', 'v1alpha')}?key=k`);
    await client.opened;
    const generationConfig = { responseModalities: ['AUDIO'], enableAffectiveDialog: true };
    const proactivity = { proactiveAudio: false };
    await client.ask({ setup: { model: MODEL_25, generationConfig, proactivity } }, 'setupComplete');
  });
});

describe('a message', () => {
  it.each<[string, string, string]>([
    ['that is no JSON', '{"realtimeInput', 'Invalid JSON payload received. Parsing terminated'],
    ['of no kind', '{}', 'Request contains an invalid argument.'],
    ['of a kind that nobody knows', '{"ping":{}}', 'Unknown name "ping": Cannot find field.'],
    ['of two kinds', '{"realtimeInput":{"text":"a"},"clientContent":{}}', "'message_type' is already set"],
    ['with nothing in it', '{"realtimeInput":{}}', 'Request contains an invalid argument.'],
    [
      'with audio that is not base64',
      '{"realtimeInput":{"audio":{"mimeType":"audio/pcm","data":"!!!!"}}}',
      'Base64',
    ],
    [
      'with audio of a foreign kind',
      '{"realtimeInput":{"audio":{"mimeType":"audio/opus","data":""}}}',
      'Request',
    ],
    ['with media chunks, which 3.8 does not take', '{"realtimeInput":{"mediaChunks":[]}}', 'deprecated'],
    ['that marks speech which the server finds itself', '{"realtimeInput":{"activityStart":{}}}', 'Explicit'],
    [
      'with a result that is no object',
      '{"toolResponse":{"functionResponses":[{"response":"x"}]}}',
      'Invalid value',
    ],
  ])('%s ends the session with 1007', async (_, frame, words) => {
    await using line = await start();
    line.client.socket.send(frame);
    expect(await line.client.closed).toEqual({ code: 1007, reason: expect.stringContaining(words) });
  });

  it('of any shape is answered or ends the session, and breaks nothing else', async () => {
    const dice = seeded(7);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(dice() * list.length)] as T;
    const kinds = ['realtimeInput', 'clientContent', 'toolResponse', 'contextUpdate', 'setup', 'x'];
    const names = [
      'audio',
      'text',
      'turns',
      'parts',
      'role',
      'data',
      'mimeType',
      'turnComplete',
      'activityEnd',
    ];
    const more = [
      'functionResponses',
      'id',
      'response',
      'mediaChunks',
      'tools',
      'systemInstruction',
      '__proto__',
    ];
    const value = (depth: number): unknown => {
      const leaf = pick<unknown>([null, '', 'user', 'audio/pcm', 0, -1, 1e99, true, [], {}, 'AAAA']);
      if (depth === 0 || dice() < 0.3) return leaf;
      if (dice() < 0.3) return [value(depth - 1), value(depth - 1)];
      return Object.fromEntries([
        [pick([...names, ...more]), value(depth - 1)],
        [pick(names), value(depth - 1)],
      ]);
    };
    await using sim = await startGeminiSimulator({ firstAudioMs: 0, speedFactor: 'burst' });
    for (const model of [MODEL_25, MODEL_31, MODEL_38]) {
      for (let i = 0; i < 60; i++) {
        const { client } = await connect(sim, {}, model);
        for (let k = 0; k < 3; k++) client.send({ [pick(kinds)]: value(4) });
        client.socket.send('{');
        const { code } = await client.closed;
        expect(code).toBe(1007);
      }
    }
    const { client } = await connect(sim);
    await client.ask(say('Still there?'), 'turnComplete');
  });

  it('comes in a binary frame by default, in a text frame on demand, and is taken from either', async () => {
    for (const frames of ['binary', 'text'] as const) {
      await using line = await start({ frames });
      const since = line.client.messages.length;
      line.client.socket.send(Buffer.from(JSON.stringify(say('Hello.'))));
      await line.client.next('turnComplete', since);
      expect(new Set(line.client.frames.map(({ isBinary }) => isBinary))).toEqual(
        new Set([frames === 'binary']),
      );
    }
  });
});

describe('the caller’s speech', () => {
  it('is found in audio of the declared rate, written down in fragments, and answered', async () => {
    const turns: Turn[] = [];
    await using line = await start(
      { respond: (turn) => void turns.push(turn) },
      { inputAudioTranscription: {}, systemInstruction: { parts: [{ text: 'Be kind.' }] } },
    );
    for (const rate of [16_000, 8_000, 48_000]) {
      const since = line.client.messages.length;
      const audio = Buffer.concat([silence(200, rate), speech(600, rate), silence(600, rate)]);
      sendAudio(line.client, audio, rate);
      await line.client.next('turnComplete', since);
      while (!line.client.words('inputTranscription', since).endsWith('.')) {
        await line.client.next('inputTranscription', line.client.messages.length);
      }
    }
    expect(turns.map(({ kind, heardMs, instructions }) => [kind, heardMs, instructions])).toEqual([
      ['user-turn', 600, 'Be kind.'],
      ['user-turn', 600, 'Be kind.'],
      ['user-turn', 600, 'Be kind.'],
    ]);
    expect(line.client.words('inputTranscription')).toBe('Speech of 0.6 seconds.'.repeat(3));
    expect(line.connection.receivedAudioMs).toBeCloseTo(4_200);
  });

  it('is not told of when nobody asked for transcripts, nor are the words of the model', async () => {
    await using line = await start();
    sendAudio(line.client, Buffer.concat([speech(400), silence(600)]));
    await line.client.next('turnComplete');
    expect(line.client.story()).toEqual([
      'setupComplete',
      'modelTurn',
      'generationComplete',
      'turnComplete',
      'interactionStatus',
      'usageMetadata',
    ]);
  });

  it('needs the length and the silence that were configured', async () => {
    const automaticActivityDetection = { prefixPaddingMs: 200, silenceDurationMs: 900 };
    await using line = await start({}, { realtimeInputConfig: { automaticActivityDetection } });
    sendAudio(line.client, Buffer.concat([speech(120), silence(1_000)]));
    sendAudio(line.client, Buffer.concat([speech(400), silence(700), speech(300), silence(1_000)]));
    await line.client.next('turnComplete');
    expect(line.connection.conversation).toMatchObject([{ heardMs: 1_400 }, { role: 'model' }]);
  });

  it('needs to be louder when the sensitivity is low, as it is at Vertex AI', async () => {
    const quiet = Buffer.concat([speech(400, 16_000, 450), silence(600)]);
    const heard = async (startOfSpeechSensitivity: string): Promise<number> => {
      const automaticActivityDetection = { startOfSpeechSensitivity };
      await using line = await start({}, { realtimeInputConfig: { automaticActivityDetection } });
      sendAudio(line.client, quiet);
      await line.client.ask(say('Now.'), 'turnComplete');
      return line.connection.conversation.filter(({ role, source }) => role === 'user' && source === 'speech')
        .length;
    };
    expect(await heard('START_SENSITIVITY_HIGH')).toBe(1);
    expect(await heard('START_SENSITIVITY_LOW')).toBe(0);
  });

  it('is over when the stream ends', async () => {
    await using line = await start();
    sendAudio(line.client, speech(400));
    await line.client.ask({ realtimeInput: { audioStreamEnd: true } }, 'turnComplete');
    expect(line.connection.conversation[0]).toMatchObject({ role: 'user', heardMs: 400 });
  });

  it('is where the client says it is, when that was agreed on', async () => {
    const automaticActivityDetection = { disabled: true };
    await using line = await start({}, { realtimeInputConfig: { automaticActivityDetection } });
    sendAudio(line.client, Buffer.concat([speech(400), silence(800)]));
    line.client.send({ realtimeInput: { activityStart: {} } });
    sendAudio(line.client, silence(300));
    await line.client.ask({ realtimeInput: { activityEnd: {} } }, 'turnComplete');
    expect(line.connection.conversation[0]).toMatchObject({ role: 'user', heardMs: 300 });
    line.client.send({ realtimeInput: { audioStreamEnd: true } });
    expect(await line.client.closed).toMatchObject({ code: 1007 });
  });

  it('can be scripted, with what is understood and when that is told', async () => {
    const clock = new VirtualClock();
    await using line = await start(
      { clock, hear: () => ({ transcript: 'Where is my parcel?', after: 'response' }), voiceActivity: true },
      { inputAudioTranscription: {} },
    );
    line.connection.callerStarts();
    clock.advance(800);
    line.connection.callerStops();
    clock.advance(5);
    await line.client.next('inputTranscription');
    expect(line.connection.conversation[0]).toMatchObject({
      heardMs: 800,
      parts: [{ text: 'Where is my parcel?' }],
    });
    const story = line.client.story();
    expect(story.indexOf('inputTranscription')).toBeGreaterThan(story.indexOf('turnComplete'));
    expect(line.client.all('voiceActivity')).toEqual([
      { voiceActivityType: 'ACTIVITY_START', audioOffset: '0s' },
      { voiceActivityType: 'ACTIVITY_END', audioOffset: '0.800s' },
    ]);
  });
});

describe('the model’s turn', () => {
  it('is sent faster than it is heard, and is complete when it could have been', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      waitsForPlayback: true,
      firstAudioMs: 300,
      speedFactor: 4,
      respond: () => ({ audioMs: 4_000 }),
    });
    const { client, connection } = line;
    client.send(say('Speak.'));
    await connection.next('realtimeInput.text');
    clock.advance(295);
    expect(connection.sentAudioMs).toBe(0);
    clock.advance(10);
    expect(connection.sentAudioMs).toBe(100);
    clock.advance(1_000);
    expect(connection.state).toBe('playing');
    expect(connection.sentAudioMs).toBe(4_000);
    clock.advance(2_980);
    expect(connection.sent.some(({ event }) => event.type === 'turnComplete')).toBe(false);
    clock.advance(30);
    expect(connection.state).toBe('idle');
    await client.next('turnComplete');
  });

  it.each([
    [MODEL_25, 1, undefined],
    [MODEL_31, 2, {}],
    [MODEL_38, 2, { turnComplete: true, interactionStatus: 'IDLE' }],
  ])('has parts, words and tokens in such messages as %s sends', async (model, count, wanted) => {
    for (const words of ['mixed', 'ahead', 'behind'] as const) {
      await using line = await start(
        { words, respond: () => ({ audioMs: 1_000, transcript: 'One two three four five six seven.' }) },
        { outputAudioTranscription: {} },
        model,
      );
      await line.client.ask(say('Count.'), 'turnComplete');
      const turns = line.client.all('modelTurn') as { parts: unknown[] }[];
      expect(turns.map(({ parts }) => parts.length)).toEqual(Array(10).fill(count));
      expect(line.client.words('outputTranscription')).toBe('One two three four five six seven.');
      expect(line.client.audio()).toHaveLength(48_000);
      const story = line.client.story();
      const isBehind = story.lastIndexOf('outputTranscription') > story.indexOf('generationComplete');
      expect(isBehind).toBe(words === 'behind');
      await line.client.next('usageMetadata');
      const tokens = line.client.messages.find(({ usageMetadata }) => usageMetadata !== undefined);
      expect(tokens?.['serverContent']).toEqual(wanted);
    }
  });

  it('speaks the samples that it is given, thinks first, and can be refused or silent', async () => {
    const audio = Int16Array.from({ length: 2_400 }, (_, i) => i);
    await using line = await start({
      respond: ({ index }) =>
        [{ audio, thought: 'Hm.' }, { status: 'failed' as const }, { status: 'incomplete' as const }][
          index
        ] ?? {
          silent: true,
        },
    });
    const { client } = line;
    await client.ask(say('1'), 'turnComplete');
    expect(client.audio().equals(Buffer.from(audio.buffer))).toBe(true);
    expect(client.all('modelTurn')[0]).toEqual({ role: 'model', parts: [{ text: 'Hm.', thought: true }] });
    const since = client.messages.length;
    expect(await client.ask(say('2'), 'turnComplete')).toMatchObject({
      serverContent: { turnCompleteReason: 'RESPONSE_REJECTED' },
    });
    expect(await client.ask(say('3'), 'turnComplete')).toMatchObject({
      serverContent: { turnCompleteReason: 'GENERATED_OTHER' },
    });
    expect(client.story(since)).not.toContain('generationComplete');
    client.send(say('4'));
    await line.connection.next('realtimeInput.text', ({ realtimeInput }) =>
      JSON.stringify(realtimeInput).includes('4'),
    );
    expect(line.connection.state).toBe('idle');
    expect(line.connection.speak({ audioMs: 100 })).toBe(true);
    expect(line.connection.speak({ audioMs: 100 })).toBe(false);
  });

  it('says no more than the tokens that it may use', async () => {
    const generationConfig = { responseModalities: ['AUDIO'], maxOutputTokens: 25 };
    await using line = await start({ respond: () => ({ audioMs: 5_000 }) }, { generationConfig });
    await line.client.ask(say('Speak.'), 'turnComplete');
    expect(line.connection.sentAudioMs).toBe(1_000);
  });

  it('counts tokens of both kinds, both ways', async () => {
    await using line = await start({ respond: () => ({ audioMs: 2_000 }) });
    sendAudio(line.client, Buffer.concat([speech(1_000), silence(600)]));
    const { usageMetadata } = await line.client.next('usageMetadata');
    expect(usageMetadata).toEqual({
      promptTokenCount: 25,
      responseTokenCount: 50,
      totalTokenCount: 75,
      promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 25 }],
      responseTokensDetails: [{ modality: 'AUDIO', tokenCount: 50 }],
    });
    await line.client.ask(say('Four letters make a token.'), 'usageMetadata');
    expect(line.client.all('usageMetadata')[1]).toMatchObject({
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 7 },
        { modality: 'AUDIO', tokenCount: 75 },
      ],
    });
  });
});

describe('an interruption', () => {
  const LONG: GeminiSimulatorOptions = {
    waitsForPlayback: true,
    speedFactor: 4,
    respond: ({ index }) =>
      index === 0
        ? { audioMs: 10_000, transcript: Array.from({ length: 100 }, (_, i) => `w${i}`).join(' ') }
        : { audioMs: 100 },
  };

  async function speaking(options: GeminiSimulatorOptions = {}, fields: Message = {}, model = MODEL_38) {
    const clock = new VirtualClock();
    const line = await start(
      { ...LONG, ...options, clock },
      { outputAudioTranscription: {}, ...fields },
      model,
    );
    line.client.send(say('Tell me a story.'));
    await line.connection.next('realtimeInput.text');
    clock.advance(1_000);
    expect(line.connection.state).toBe('generating');
    return { ...line, clock };
  }

  it('cuts the turn off, and the model keeps only what could have been heard', async () => {
    await using line = await speaking();
    const { client, clock, connection } = line;
    sendAudio(client, speech(100));
    await client.next('turnComplete');
    const sentMs = connection.sentAudioMs;
    expect(sentMs).toBeGreaterThan(3_900);
    expect(client.story().slice(-4)).toEqual([
      'interrupted',
      'turnComplete',
      'interactionStatus',
      'usageMetadata',
    ]);
    expect(client.story()).not.toContain('generationComplete');
    const [, model] = connection.conversation;
    expect(model).toMatchObject({ role: 'model', sentMs, interrupted: true });
    expect(model?.heardMs).toBeGreaterThan(900);
    expect(model?.heardMs).toBeLessThan(1_010);
    expect(model?.parts).toEqual([{ text: Array.from({ length: 10 }, (_, i) => `w${i}`).join(' ') }]);
    clock.advance(2_000);
    expect(connection.sentAudioMs).toBe(sentMs);
  });

  it('reaches a turn of which everything was sent but not yet heard', async () => {
    await using line = await speaking();
    line.clock.advance(2_000);
    expect(line.connection.state).toBe('playing');
    sendAudio(line.client, speech(100));
    await line.client.next('turnComplete');
    const story = line.client.story();
    expect(story.indexOf('interrupted')).toBeGreaterThan(story.indexOf('generationComplete'));
  });

  it('is not told of when the turn was over', async () => {
    await using line = await speaking();
    line.clock.advance(10_000);
    await line.client.next('turnComplete');
    const since = line.client.messages.length;
    sendAudio(line.client, speech(400));
    line.client.send({ realtimeInput: { audioStreamEnd: true } });
    await line.connection.next('realtimeInput.audioStreamEnd');
    line.clock.advance(1_000);
    await line.client.next('turnComplete', since);
    expect(line.client.story(since)).not.toContain('interrupted');
  });

  it.each([
    ['late', ['modelTurn', 'interrupted', 'turnComplete']],
    ['absent', ['turnComplete']],
    ['after-turn-complete', ['turnComplete', 'interrupted']],
  ] as const)('can be told %s', async (interruption, wanted) => {
    await using line = await speaking({ interruption, interruptedMs: 400 });
    const { connection } = line;
    const since = connection.sent.length;
    connection.callerStarts();
    line.clock.advance(500);
    const names = ['modelTurn', 'interrupted', 'turnComplete'];
    const told = connection.sent.slice(since).map(({ event }) => event.type);
    const story = told.filter((name) => names.includes(name)).filter((name, i, all) => name !== all[i - 1]);
    expect(story).toEqual(wanted);
    expect(connection.state).toBe('idle');
  });

  it('can come before there is anything to hear', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, firstAudioMs: 500 });
    line.client.send(say('Hello.'));
    await line.connection.next('realtimeInput.text');
    clock.advance(200);
    line.connection.callerStarts();
    await line.client.next('turnComplete');
    expect(line.client.story().slice(0, 3)).toEqual(['setupComplete', 'interrupted', 'turnComplete']);
    expect(line.connection.conversation).toHaveLength(1);
  });

  it('happens only when the client wants it', async () => {
    const realtimeInputConfig = { activityHandling: 'NO_INTERRUPTION' };
    await using line = await speaking({}, { realtimeInputConfig });
    line.connection.callerStarts();
    line.clock.advance(300);
    line.connection.callerStops();
    expect(line.connection.state).toBe('generating');
    line.clock.advance(12_000);
    await line.client.next('turnComplete');
    expect(line.client.story()).not.toContain('interrupted');
    expect(line.connection.conversation.map(({ role }) => role)).toEqual(['user', 'model', 'user', 'model']);
  });

  it('can come from the client, by text and by content', async () => {
    await using text = await speaking();
    text.client.send(say('Stop.'));
    await text.client.next('interrupted');
    await using whole = await speaking({ contentInterrupts: false });
    whole.client.send(content(false, ['user', 'A note.']));
    await whole.connection.next('clientContent');
    expect(whole.connection.state).toBe('generating');
    whole.client.send(content(true, ['user', 'An order.']));
    await whole.client.next('interrupted');
    await using part = await speaking();
    part.client.send(content(false));
    await part.client.next('interrupted');
    expect(part.connection.conversation.at(-1)).toMatchObject({ role: 'model', interrupted: true });
  });

  it('can be preceded by a turnComplete that comes too early', async () => {
    await using line = await speaking({ prematureTurnCompleteMs: 500 });
    await line.client.next('turnComplete');
    line.clock.advance(10_000);
    await line.client.next('generationComplete');
    const story = line.client.story();
    expect(story.indexOf('turnComplete')).toBeLessThan(story.indexOf('generationComplete'));
    expect(story.lastIndexOf('turnComplete')).toBeGreaterThan(story.indexOf('generationComplete'));
  });
});

describe('what is told to the model', () => {
  it('makes it speak first, as a greeting', async () => {
    const kinds: string[] = [];
    const respond = ({ kind }: Turn) => void kinds.push(kind);
    await using text = await start({ respond });
    await text.client.ask(say('Greet the caller.'), 'turnComplete');
    await text.client.ask(say('And now?'), 'turnComplete');
    await text.client.ask(content(true), 'turnComplete');
    await using history = await start({ respond }, {}, MODEL_25);
    history.client.send(content(false, ['user', 'Hi.'], ['model', 'Hello.']));
    await history.client.ask(content(true, ['user', 'Go on.']), 'turnComplete');
    expect(kinds).toEqual(['greeting', 'text', 'prompt', 'text']);
  });

  it('may have the role system in 2.5 only', async () => {
    await using old = await start({}, {}, MODEL_25);
    await old.client.ask(content(true, ['system', 'The caller is on hold.']), 'turnComplete');
    await using line = await start();
    line.client.send(content(true, ['system', 'x']));
    expect(await line.client.closed).toEqual({ code: 1007, reason: 'Please use a valid role: user, model.' });
  });

  it('is a history in 3.1, announced and before everything else', async () => {
    const historyConfig = { initialHistoryInClientContent: true };
    await using line = await start({}, { historyConfig }, MODEL_31);
    const { client, connection } = line;
    client.send(say('Held back.'));
    client.send(content(false, ['user', 'Hi.']));
    await client.ask(content(true, ['model', 'Hello.']), 'turnComplete');
    expect(connection.conversation.map(({ parts }) => parts[0]?.['text'])).toEqual([
      'Hi.',
      'Hello.',
      'Held back.',
      'I have read what you wrote.',
    ]);
    client.send(content(true, ['user', 'Once more.']));
    expect(await client.closed).toMatchObject({ code: 1007 });
    await using plain = await start({}, {}, MODEL_31);
    plain.client.send(content(true, ['user', 'Hi.']));
    await plain.client.closed;
    expect(plain.connection.refusal).toContain('announced history');
  });

  it('changes instructions and functions in 3.8 only', async () => {
    const turns: Turn[] = [];
    await using line = await start({ respond: (turn) => void turns.push(turn) }, declare('f'));
    const systemInstruction = { parts: [{ text: 'New.' }] };
    line.client.send({ contextUpdate: { systemInstruction } });
    await line.client.ask(say('1'), 'turnComplete');
    line.client.send({ contextUpdate: { tools: { tools: [] } } });
    await line.client.ask(say('2'), 'turnComplete');
    expect(turns.map(({ instructions, tools: known }) => [instructions, known.length])).toEqual([
      ['New.', 1],
      ['New.', 0],
    ]);
    await using old = await start({}, {}, MODEL_31);
    old.client.send({ contextUpdate: { systemInstruction } });
    expect(await old.client.closed).toMatchObject({ code: 1007 });
  });
});
