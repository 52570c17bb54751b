import {
  type FunctionDeclaration,
  GoogleGenAI,
  type LiveConnectConfig,
  type LiveServerMessage,
  Modality,
  type Session,
} from '@google/genai';
import { describe, expect, it } from 'vitest';
import {
  type GeminiSimulator,
  type GeminiSimulatorOptions,
  type SimulatedConnection,
  startGeminiSimulator,
} from '../src/sim/gemini.ts';
import {
  answer,
  declare,
  FAST,
  GeminiClient,
  type Message,
  MODEL_25,
  MODEL_31,
  say,
  sendAudio,
  setupOf,
  silence,
  speech,
  start,
} from './support/gemini-client.ts';
import { typeMistakes } from './support/published-types.ts';

/** The published class has two getters, which no message carries. */
function asTyped(messages: readonly Message[]): readonly Message[] {
  return messages.map((message) => ({ ...message, text: '', data: '' }));
}

describe('the published types', () => {
  it('know every message and every field that full sessions of each generation send', async () => {
    const seen: Message[] = [];
    const everything = {
      inputAudioTranscription: {},
      outputAudioTranscription: {},
      sessionResumption: {},
      ...declare('f'),
    };
    for (const model of [MODEL_25, MODEL_31, undefined]) {
      await using line = await start(
        {
          speedFactor: 8,
          interimTranscripts: true,
          finishedTranscripts: true,
          voiceActivity: true,
          respond: ({ index }) =>
            index === 0
              ? { thought: 'Hm.', transcript: 'One moment.', toolCalls: [{ name: 'f', args: { a: 1 } }] }
              : index === 1
                ? { transcript: 'A long story.', audioMs: 60_000, toolCalls: [{ name: 'f', args: {} }] }
                : { status: 'failed' },
        },
        everything,
        model,
      );
      const { client, connection } = line;
      const call = await client.ask(say('Hello.'), 'toolCall');
      const [first] = (call['toolCall'] as { functionCalls: { id: string }[] }).functionCalls;
      const speaking = client.messages.length;
      client.send(answer(String(first?.id), 'f'));
      await client.next('modelTurn', speaking);
      sendAudio(client, Buffer.concat([speech(500), silence(700)]));
      await client.next('turnCompleteReason');
      await client.next('inputTranscription');
      connection.goAway(50_000);
      await client.next('goAway');
      seen.push(...client.messages);
    }
    await using vertex = await startGeminiSimulator({
      ...FAST,
      respond: () => ({ toolCalls: [{ name: 'f', args: {} }] }),
    });
    const client = new GeminiClient(vertex.vertexUrl, { authorization: 'Bearer t' });
    await client.opened;
    const path = 'projects/p/locations/l/publishers/google/models/gemini-live-2.5-flash-native-audio';
    const transparent = { sessionResumption: { transparent: true } };
    await client.ask(setupOf({ ...declare('f'), ...transparent }, path), 'setupComplete');
    await client.ask(say('Call.'), 'toolCall');
    (await vertex.nextConnection()).callerStarts();
    await client.next('turnComplete');
    seen.push(...client.messages);
    const contents = new Set(seen.flatMap(({ serverContent }) => Object.keys(serverContent ?? {})));
    expect([...contents].sort()).toEqual([
      'generationComplete',
      'inputTranscription',
      'interactionStatus',
      'interimInputTranscription',
      'interrupted',
      'modelTurn',
      'outputTranscription',
      'turnComplete',
      'turnCompleteReason',
    ]);
    const names = new Set(seen.flatMap((message) => Object.keys(message)));
    expect([...names].sort()).toEqual([
      'goAway',
      'serverContent',
      'sessionResumptionUpdate',
      'setupComplete',
      'toolCall',
      'toolCallCancellation',
      'usageMetadata',
      'voiceActivity',
    ]);
    const type = { name: 'gemini', module: '@google/genai', type: 'LiveServerMessage' };
    expect(await typeMistakes([{ ...type, messages: asTyped(seen.map(short)) }])).toEqual([]);
    const odd = [{ serverContent: { turnComplet: true } }, { serverContent: { interactionStatus: 'BUSY' } }];
    expect(await typeMistakes([{ ...type, messages: asTyped(odd) }])).toHaveLength(2);
  }, 30_000);
});

/** Audio is cut, for the compiler reads all of it. */
function short(message: Message): Message {
  return JSON.parse(
    JSON.stringify(message, (key, value: unknown) => (key === 'data' ? 'AAAA' : value)),
  ) as Message;
}

interface Talk extends AsyncDisposable {
  readonly sim: GeminiSimulator;
  readonly session: Session;
  readonly connection: SimulatedConnection;
  readonly messages: LiveServerMessage[];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** Resolves with the first message from now on that `accept` takes. */
  until(accept: (message: LiveServerMessage) => unknown): Promise<LiveServerMessage>;
}

async function talk(
  sim: GeminiSimulator,
  config: LiveConnectConfig = {},
  model = 'gemini-3.8-live',
): Promise<Talk> {
  const messages: LiveServerMessage[] = [];
  const waiters = new Map<(message: LiveServerMessage) => unknown, (message: LiveServerMessage) => void>();
  const client = new GoogleGenAI({
    apiKey: 'k',
    httpOptions: { baseUrl: `http://127.0.0.1:${sim.port}`, apiVersion: 'v1beta' },
  });
  let ended: (end: { code: number; reason: string }) => void = () => {};
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ended = resolve;
  });
  const session = await client.live.connect({
    model,
    config: { responseModalities: [Modality.AUDIO], ...config },
    callbacks: {
      onmessage: (message) => {
        messages.push(message);
        for (const [accept, resolve] of waiters) {
          if (!accept(message)) continue;
          waiters.delete(accept);
          resolve(message);
        }
      },
      onclose: ({ code, reason }) => ended({ code, reason }),
    },
  });
  return {
    sim,
    session,
    connection: await sim.nextConnection(),
    messages,
    closed,
    until: (accept) => new Promise((resolve) => waiters.set(accept, resolve)),
    [Symbol.asyncDispose]: async () => {
      session.close();
      await sim.close();
    },
  };
}

async function single(
  options: GeminiSimulatorOptions,
  config?: LiveConnectConfig,
  model?: string,
): Promise<Talk> {
  return talk(await startGeminiSimulator({ ...FAST, ...options }), config, model);
}

function blob(audio: Buffer): { data: string; mimeType: string } {
  return { data: audio.toString('base64'), mimeType: 'audio/pcm;rate=16000' };
}

function inFrames(session: Session, audio: Buffer): void {
  for (let at = 0; at < audio.length; at += 640) {
    session.sendRealtimeInput({ audio: blob(audio.subarray(at, at + 640)) });
  }
}

const LOOKUP: FunctionDeclaration = {
  name: 'lookup',
  description: 'Looks something up.',
  parametersJsonSchema: { type: 'object', properties: { key: { type: 'string' } } },
};

describe('Google’s own client', () => {
  it('connects with everything that it can configure, through its double slash', async () => {
    await using line = await single(
      {},
      {
        temperature: 0.7,
        topP: 0.9,
        topK: 20,
        maxOutputTokens: 500,
        seed: 3,
        speechConfig: { languageCode: 'en-US', voiceConfig: { prebuiltVoiceConfig: { voiceName: 'Puck' } } },
        systemInstruction: 'Be kind.',
        tools: [{ functionDeclarations: [LOOKUP] }, { googleSearch: {} }],
        sessionResumption: {},
        inputAudioTranscription: {},
        outputAudioTranscription: { languageCodes: ['en-US'] },
        contextWindowCompression: { triggerTokens: '100000', slidingWindow: { targetTokens: '50000' } },
        proactivity: { proactiveAudio: true },
        realtimeInputConfig: { automaticActivityDetection: { prefixPaddingMs: 20, silenceDurationMs: 400 } },
      },
    );
    expect(line.connection.model).toBe('gemini-3.8-live');
    expect(line.connection.setup).toMatchObject({
      model: 'models/gemini-3.8-live',
      generationConfig: { responseModalities: ['AUDIO'], temperature: 0.7 },
      systemInstruction: { parts: [{ text: 'Be kind.' }] },
      sessionResumption: {},
    });
    expect(line.session.setupComplete).toEqual({});
    expect(line.connection.refusal).toBeUndefined();
  });

  it('talks both ways', async () => {
    await using line = await single(
      { keepAudio: true, respond: () => ({ audioMs: 500, transcript: 'Good evening to you.' }) },
      { inputAudioTranscription: {}, outputAudioTranscription: {} },
    );
    const { session, messages, connection } = line;
    const done = line.until((message) => message.serverContent?.turnComplete);
    const written = line.until((message) =>
      message.serverContent?.inputTranscription?.text?.includes('seconds'),
    );
    const audio = Buffer.concat([silence(200), speech(600), silence(600)]);
    inFrames(session, audio);
    const { usageMetadata } = await done;
    await written;
    const heard = Buffer.concat(messages.map(({ data }) => Buffer.from(data ?? '', 'base64')));
    expect(heard.equals(Buffer.from(connection.sentAudio()))).toBe(true);
    expect(heard.length).toBe(24_000);
    const said = messages.map(({ serverContent }) => serverContent?.outputTranscription?.text ?? '').join('');
    expect(said).toBe('Good evening to you.');
    expect(usageMetadata).toMatchObject({ responseTokensDetails: [{ modality: 'AUDIO', tokenCount: 13 }] });
    expect(Buffer.from(connection.receivedAudio()).equals(audio)).toBe(true);
  });

  it('is told that it was interrupted, and of no complete generation', async () => {
    await using line = await single({
      speedFactor: 2,
      waitsForPlayback: true,
      respond: ({ kind }) => (kind === 'greeting' ? { audioMs: 60_000 } : { audioMs: 100 }),
    });
    const { session, messages } = line;
    const speaking = line.until((message) => message.data !== undefined);
    session.sendRealtimeInput({ text: 'Tell me a story.' });
    await speaking;
    const interrupted = line.until((message) => message.serverContent?.interrupted);
    const over = line.until((message) => message.serverContent?.turnComplete);
    inFrames(session, speech(300));
    await interrupted;
    await over;
    expect(messages.some(({ serverContent }) => serverContent?.generationComplete)).toBe(false);
  });

  it('runs a function and hears what the model makes of it', async () => {
    await using line = await single(
      {
        respond: ({ kind }) =>
          kind === 'tool-result'
            ? { audioMs: 200 }
            : { toolCalls: [{ name: 'lookup', args: { key: 'a' }, callId: 'c1' }] },
      },
      { tools: [{ functionDeclarations: [LOOKUP] }] },
      'gemini-2.5-flash-native-audio-preview-12-2025',
    );
    const called = line.until((message) => message.toolCall);
    line.session.sendRealtimeInput({ text: 'Look it up.' });
    expect((await called).toolCall?.functionCalls).toEqual([
      { id: 'c1', name: 'lookup', args: { key: 'a' } },
    ]);
    const done = line.until((message) => message.serverContent?.turnComplete);
    line.session.sendToolResponse({ functionResponses: [{ id: 'c1', name: 'lookup', response: { n: 1 } }] });
    await done;
    expect(line.connection.toolResponses).toMatchObject([{ id: 'c1', response: { n: 1 }, isLate: false }]);
  });

  it('tells a history, text, and new instructions', async () => {
    await using line = await single({});
    const { session, connection } = line;
    const turns = [
      { role: 'user', parts: [{ text: 'My name is Ada.' }] },
      { role: 'model', parts: [{ text: 'Hello Ada.' }] },
    ];
    session.sendClientContent({ turns, turnComplete: false });
    session.sendContextUpdate({ systemInstruction: 'Be short.', tools: { tools: [] } });
    const done = line.until((message) => message.serverContent?.turnComplete);
    session.sendClientContent({ turns: 'Who am I?' });
    await done;
    expect(connection.conversation.map(({ role, parts }) => [role, parts[0]?.['text']])).toEqual([
      ['user', 'My name is Ada.'],
      ['model', 'Hello Ada.'],
      ['user', 'Who am I?'],
      ['model', 'I have read what you wrote.'],
    ]);
    expect(connection.setup).toMatchObject({
      systemInstruction: { parts: [{ text: 'Be short.' }] },
      tools: [],
    });
  });

  it('goes on where another connection ended', async () => {
    await using first = await single({}, { sessionResumption: {} });
    const done = first.until((message) => message.sessionResumptionUpdate?.resumable);
    first.session.sendRealtimeInput({ text: 'Remember me.' });
    const handle = (await done).sessionResumptionUpdate?.newHandle;
    first.session.close();
    await first.closed;
    await using second = await talk(first.sim, { sessionResumption: { handle: String(handle) } });
    expect(second.connection.conversation).toHaveLength(2);
  });

  it('hears of goAway, of errors, and of the end', async () => {
    await using line = await single({});
    const goAway = line.until((message) => message.goAway);
    line.connection.goAway(9_500);
    expect((await goAway).goAway).toEqual({ timeLeft: '9.500s' });
    line.session.sendToolResponse({ functionResponses: [{ id: 'x', name: 'y', response: {} }] });
    expect(await line.closed).toEqual({ code: 1007, reason: 'Request contains an invalid argument.' });
    expect(line.connection.refusal).toContain('no open call');
  });

  it('is refused with a wrong key before it is set up', async () => {
    await using sim = await startGeminiSimulator({ apiKey: 'right' });
    const httpOptions = { baseUrl: `http://127.0.0.1:${sim.port}` };
    const client = new GoogleGenAI({ apiKey: 'wrong', httpOptions });
    const end = await new Promise<{ code: number; reason: string }>((resolve) => {
      // It waits for a setupComplete that never comes: only the callback tells.
      client.live
        .connect({
          model: 'gemini-3.8-live',
          callbacks: { onmessage: () => {}, onclose: ({ code, reason }) => resolve({ code, reason }) },
        })
        .catch(() => {});
    });
    expect(end).toEqual({ code: 1007, reason: 'API key not valid. Please pass a valid API key.' });
  });
});
