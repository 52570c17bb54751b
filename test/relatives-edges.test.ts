import { afterEach, describe, expect, it } from 'vitest';
import { type AudioFormat, MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import type { ConnectRequest, ProviderEvent, RealtimeProvider } from '../src/provider.ts';
import {
  FORMATS,
  flatFormat,
  MANY_FORMATS,
  nestedFormat,
  pickFormat,
  readFlatFormat,
  readNestedFormat,
} from '../src/providers/openai/formats.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import {
  createAzureOpenAiProvider,
  createAzureVoiceLiveProvider,
  createInworldProvider,
  createXaiProvider,
} from '../src/providers/openai-relatives.ts';
import {
  created,
  delta,
  KEY,
  type Message,
  type Peer,
  speechStarted,
  startServer,
} from './support/openai-peer.ts';
import { cleanUp, whenOver } from './support/peers.ts';
import { kept, requestOf } from './support/provider-request.ts';
import { VirtualClock } from './support/virtual-clock.ts';

afterEach(cleanUp);

interface Line {
  readonly peer: Peer;
  readonly clock: VirtualClock;
  /** What the session was asked to be. */
  readonly asked: Message;
  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[];
}

/** A session with a server of which the test writes every message. */
async function open(
  make: (url: string) => RealtimeProvider,
  over: Partial<ConnectRequest> = {},
): Promise<Line> {
  const server = await startServer();
  const clock = new VirtualClock();
  const events: ProviderEvent[] = [];
  const { signal } = new AbortController();
  const connecting = make(server.url).connect(
    requestOf({ clock, ...over }),
    (event) => events.push(kept(event)),
    signal,
  );
  const peer = await server.peer();
  const update = await peer.next('session.update');
  const asked = update['session'] as Message;
  peer.say({ type: 'session.updated', session: asked });
  const session = await connecting;
  whenOver(() => {
    const closing = session.close('test over');
    peer.socket.terminate();
    return closing;
  });
  return {
    peer,
    clock,
    asked,
    of: (type) => events.filter((event): event is never => event.type === type),
  };
}

type VoiceLive = Parameters<typeof createAzureVoiceLiveProvider>[0];

const voiceLive =
  (options: Partial<VoiceLive> = {}) =>
  (endpoint: string): RealtimeProvider =>
    createAzureVoiceLiveProvider({ endpoint, apiKey: KEY, model: 'gpt-5', ...options });

const xai = (baseUrl: string): RealtimeProvider => createXaiProvider({ apiKey: KEY, baseUrl });

describe('turns by sense at Azure Voice Live', () => {
  it.each([
    ['en', 'azure_semantic_vad'],
    ['en-US', 'azure_semantic_vad'],
    ['EN-gb', 'azure_semantic_vad'],
    ['de-AT', 'azure_semantic_vad_multilingual'],
    // A language that begins like English.
    ['enm', 'azure_semantic_vad_multilingual'],
  ])('have the detection that is for %s, and are told of the language', async (language, type) => {
    const { asked } = await open(voiceLive(), { language, turnDetection: { mode: 'semantic' } });
    expect(asked['turn_detection']).toMatchObject({ type, languages: [language] });
  });

  it('have the English one where no language is known, and are told of none', async () => {
    const { asked } = await open(voiceLive(), { turnDetection: { mode: 'semantic' } });
    expect(asked['turn_detection']).toMatchObject({ type: 'azure_semantic_vad', remove_filler_words: false });
    expect(asked['turn_detection']).not.toHaveProperty('languages');
  });
});

describe('who writes the caller down at Azure Voice Live', () => {
  it.each([
    ['gpt-realtime', 'whisper-1'],
    ['gpt-realtime-mini', 'whisper-1'],
    ['gpt-5', 'azure-speech'],
  ])('for %s is %s', async (model, writer) => {
    const { asked } = await open(voiceLive({ model }));
    expect(asked['input_audio_transcription']).toEqual({ model: writer });
  });

  it('goes by the model of the session, whatever that of the options', async () => {
    const { asked } = await open(voiceLive({ model: 'gpt-5' }), { model: 'gpt-realtime' });
    expect(asked['input_audio_transcription']).toEqual({ model: 'whisper-1' });
  });

  it('is who the options name', async () => {
    const { asked } = await open(voiceLive({ model: 'gpt-realtime', transcriptionModel: 'azure-speech' }));
    expect(asked['input_audio_transcription']).toEqual({ model: 'azure-speech' });
  });
});

describe('an agent of Azure Voice Live', () => {
  it.each([
    [{ name: 'desk', project: 'shop', version: '7' }, '7'],
    [{ name: 'desk', project: 'shop' }, null],
  ])('is asked for by name, project and version: %j', async (agent, version) => {
    const server = await startServer();
    const endpoint = server.url.replace('ws:', 'http:');
    const { signal } = new AbortController();
    const connecting = createAzureVoiceLiveProvider({ endpoint, apiKey: KEY, agent }).connect(
      requestOf({ clock: new VirtualClock() }),
      () => undefined,
      signal,
    );
    const peer = await server.peer();
    const { pathname, searchParams } = new URL(peer.url, server.url);
    expect(pathname).toBe('/voice-live/realtime');
    expect(searchParams.get('agent-name')).toBe('desk');
    expect(searchParams.get('agent-project-name')).toBe('shop');
    expect(searchParams.get('agent-version')).toBe(version);
    expect(searchParams.get('model')).toBeNull();
    peer.socket.close(1011);
    await expect(connecting).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  });
});

describe('what the caller says to xAI', () => {
  const WORDS = 'conversation.item.input_audio_transcription';
  const words = (kind: 'updated' | 'completed', transcript: string): Message => ({
    type: `${WORDS}.${kind}`,
    item_id: 'item_u',
    content_index: 0,
    transcript,
  });

  it('comes from the beginning each time, is told in pieces, and is whole once it is answered', async () => {
    const line = await open(xai);
    await line.peer.tell(
      speechStarted,
      words('updated', 'Where'),
      words('updated', 'Where is'),
      words('updated', 'Where is'),
      // It is said to be whole, and then goes on.
      words('completed', 'Where is my'),
      words('completed', 'Where is my parcel?'),
    );
    const told = (): unknown[] => line.of('transcript').map(({ text, final }) => (final ? [text] : text));
    expect(told()).toEqual(['Where', ' is', ' my', ' parcel?']);
    await line.peer.tell(created('resp_1'), delta('resp_1', 'item_a', 160));
    expect(told()).toEqual(['Where', ' is', ' my', ' parcel?', ['Where is my parcel?']]);
  });

  it('is whole at once with a server that says so once', async () => {
    const line = await open((baseUrl) => createOpenAiProvider({ apiKey: KEY, baseUrl, model: 'm' }));
    await line.peer.tell(speechStarted, words('completed', 'Where is my parcel?'));
    expect(line.of('transcript').map(({ text, final }) => [text, final])).toEqual([
      ['Where is my parcel?', true],
    ]);
  });
});

describe('a session that does not say when it ends', () => {
  const LIMITS = { maxSessionMs: 15_000, expiryMarginMs: 5_000 };

  it.each<[string, (url: string) => RealtimeProvider]>([
    ['xai', (baseUrl) => createXaiProvider({ apiKey: KEY, baseUrl, ...LIMITS })],
    ['inworld', (baseUrl) => createInworldProvider({ apiKey: KEY, baseUrl, ...LIMITS })],
    ['azure-voice-live', voiceLive(LIMITS)],
  ])('ends all the same: %s', async (_name, make) => {
    const line = await open(make);
    line.clock.advance(9_999);
    expect(line.of('expiring')).toEqual([]);
    line.clock.advance(1);
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 5_000 }]);
  });

  it('ends with Azure OpenAI after its longest time, and with a compatible server perhaps never', async () => {
    // The margin is all but the first ten seconds of the time that is known of them.
    const first = (provider: RealtimeProvider): number => (provider.capabilities.maxSessionMs ?? 0) - 10_000;
    const usual = createAzureOpenAiProvider({ endpoint: 'ws://azure.test', apiKey: KEY, deployment: 'd' });
    const azure = await open((endpoint) =>
      createAzureOpenAiProvider({ endpoint, apiKey: KEY, deployment: 'd', expiryMarginMs: first(usual) }),
    );
    azure.clock.advance(10_000);
    expect(azure.of('expiring')).toEqual([{ type: 'expiring', inMs: first(usual) }]);
    const compatible = await open((baseUrl) =>
      createOpenAiProvider({ apiKey: KEY, baseUrl, model: 'm', expiryMarginMs: first(usual) }),
    );
    compatible.clock.advance(10_000);
    expect(compatible.of('expiring')).toEqual([]);
  });
});

describe('the names of formats', () => {
  const PCM16_8K: AudioFormat = { encoding: 'pcm16', rate: 8000 };
  const PCM16_16K: AudioFormat = { encoding: 'pcm16', rate: 16000 };
  const ALAW_8K: AudioFormat = { encoding: 'alaw', rate: 8000 };

  it.each([
    [MULAW_8K, { type: 'audio/pcmu' }, 'g711_ulaw'],
    [ALAW_8K, { type: 'audio/pcma' }, 'g711_alaw'],
    [PCM16_24K, { type: 'audio/pcm', rate: 24000 }, 'pcm16'],
    [PCM16_16K, { type: 'audio/pcm', rate: 16000 }, 'pcm16_16000hz'],
    [PCM16_8K, { type: 'audio/pcm', rate: 8000 }, 'pcm16_8000hz'],
  ] as const)('of %j are written and read back', (format, nested, flat) => {
    expect(nestedFormat(format)).toEqual(nested);
    expect(flatFormat(format)).toBe(flat);
    expect(readNestedFormat(nested)).toEqual(format);
    expect(readFlatFormat(flat, undefined)).toEqual(format);
  });

  it.each([
    [{ type: 'audio/pcm' }, PCM16_24K],
    [{ type: 'audio/pcmu', rate: 24000 }, MULAW_8K],
    [{ type: 'audio/pcm', rate: 44100 }, undefined],
    [{ type: 'audio/opus' }, undefined],
    ['audio/pcm', undefined],
    [undefined, undefined],
  ])('of a nested session may be short, or strange: %j', (nested, format) => {
    expect(readNestedFormat(nested)).toEqual(format);
  });

  it.each([
    ['pcm16', 16000, PCM16_16K],
    ['pcm16', 8000, PCM16_8K],
    ['pcm16', 44100, PCM16_24K],
    // A rate beside a name that says it is of no account.
    ['g711_ulaw', 24000, MULAW_8K],
    ['pcm16_8000hz', 24000, PCM16_8K],
    ['opus', 8000, undefined],
    [undefined, 8000, undefined],
  ])('of a flat session are read with the rate beside them: %j, %j', (name, rate, format) => {
    expect(readFlatFormat(name, rate)).toEqual(format);
  });

  it('are those that a request prefers and the server has, in the order of the request', () => {
    const request = requestOf({ preferredFormats: [PCM16_16K, ALAW_8K, MULAW_8K] });
    expect(pickFormat(request, MANY_FORMATS)).toEqual(PCM16_16K);
    expect(pickFormat(request, FORMATS)).toEqual(ALAW_8K);
    expect(pickFormat(requestOf({ preferredFormats: [PCM16_8K] }), FORMATS)).toEqual(PCM16_24K);
    expect(pickFormat(requestOf({ preferredFormats: [] }), MANY_FORMATS)).toEqual(PCM16_24K);
  });
});

describe('a conversation of xAI that is not gone on with', () => {
  it('is not named to those who read of it', async () => {
    const resume = 'conv_of-yesterday-17';
    const body = JSON.stringify({ error: { message: `there is no conversation ${resume}` } });
    const server = await startServer({ refuse: { status: 404, body } });
    const events: ProviderEvent[] = [];
    const request = requestOf({ clock: new VirtualClock(), resume });
    const { signal } = new AbortController();
    await expect(xai(server.url).connect(request, (event) => events.push(event), signal)).rejects.toThrow(
      '404',
    );
    expect(server.upgrades).toBe(2);
    expect(events).toMatchObject([{ type: 'warning', code: 'resume_refused' }]);
    expect(JSON.stringify(events)).toContain('there is no conversation [handle]');
    expect(JSON.stringify(events)).not.toContain('yesterday');
  });
});
