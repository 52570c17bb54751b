import { afterEach, describe, expect, it } from 'vitest';
import type { Rate } from '../src/audio/format.ts';
import type { HistoryItem } from '../src/provider.ts';
import { GEMINI } from '../src/providers/gemini/facts.ts';
import { historyTurns } from '../src/providers/gemini/texts.ts';
import { createGeminiProvider, type GeminiOptions } from '../src/providers/gemini.ts';
import { NOVA } from '../src/providers/nova/facts.ts';
import { createNovaProvider, type NovaOptions } from '../src/providers/nova.ts';
import { OPENAI_LIVE } from '../src/providers/openai-live/facts.ts';
import { createOpenAiLiveProvider } from '../src/providers/openai-live.ts';
import { startGeminiSimulator } from '../src/sim/gemini.ts';
import * as nova from './support/nova-peer.ts';
import * as live from './support/openai-live-peer.ts';
import * as openai from './support/openai-peer.ts';
import { cleanUp, failure } from './support/peers.ts';
import { requestOf } from './support/provider-request.ts';

afterEach(cleanUp);

function turn(role: 'user' | 'assistant' | 'system', text: string): HistoryItem {
  return { type: 'message', role, text };
}

describe('what OpenAI says of an account means the same in both of its APIs', () => {
  const APIS = [
    ['Realtime', (url: string) => openai.dial(url)],
    ['Live', (url: string) => live.dial(url)],
  ] as const;

  it.each(APIS)('%s: a balance that is used up is a matter of quota', async (_, dial) => {
    const body = JSON.stringify({ error: { code: 'credit_balance_exhausted', message: 'Top it up.' } });
    const server = await openai.startServer({ refuse: { status: 429, body } });
    expect((await failure(dial(server.url))).code).toBe('PROVIDER_QUOTA');
  });

  it.each(APIS)('%s: a refusal that is only a sentence is told', async (_, dial) => {
    const server = await openai.startServer({
      refuse: { status: 403, body: '{"error":"No such project."}' },
    });
    expect(await failure(dial(server.url))).toMatchObject({
      code: 'PROVIDER_AUTH',
      message: expect.stringContaining('answered HTTP 403: No such project.'),
    });
  });

  it('Realtime: a rate limit without a code is one, and is forgiven once', async () => {
    const line = await openai.open();
    const error = { type: 'rate_limit_error', code: null, message: 'Slow down.' };
    await line.peer.tell({ type: 'error', error });
    expect(line.of('error')).toMatchObject([{ fatal: false, error: { code: 'PROVIDER_RATE_LIMITED' } }]);
  });

  it('Live: a rate limit of inference is one, and is forgiven once', async () => {
    await using line = await live.open();
    const error = { type: 'x', code: 'inference_rate_limit_exceeded', message: 'Slow down.' };
    await line.peer.tell({ type: 'error', event_id: 'e1', error });
    expect(line.of('error')).toMatchObject([{ fatal: false, error: { code: 'PROVIDER_RATE_LIMITED' } }]);
  });
});

describe('OpenAI Live is told of one result once', () => {
  const result = { output: '{"sky":"clear"}', isError: false, respond: true };

  it('of a call of its backend', async () => {
    await using line = await live.open({ tools: [{ name: 'lookup', description: '', parameters: {} }] });
    await line.peer.tell(live.created('resp_1'), live.called('call_1'), live.ended('resp_1'));
    line.session.sendToolResult('call_1', result);
    await line.peer.settle();
    line.session.sendToolResult('call_1', result);
    await line.peer.settle();
    expect(line.peer.all('response.item.create')).toHaveLength(1);
    expect([...line.told('commentary'), ...line.told('thinking')]).toEqual([]);
    expect(line.of('warning')).toMatchObject([{ code: 'tool_answered_twice' }]);
  });

  it('of work that it has handed to the application', async () => {
    const delegation = { type: 'client', function: 'work' } as const;
    await using line = await live.open({}, { delegation });
    const created = { type: 'session.delegation.created', event_id: 'e1', offset_ms: 0 };
    await line.peer.tell({ ...created, delegation: { id: 'item_1', target: 'client' } });
    line.session.sendToolResult('item_1', result);
    line.session.sendToolResult('item_1', result);
    await line.peer.settle();
    expect(line.told('commentary')).toEqual([result.output]);
    expect(line.of('warning')).toMatchObject([{ code: 'tool_answered_twice' }]);
  });

  it('of a call of an earlier session', async () => {
    await using line = await live.open();
    const earlier = { ...result, call: { name: 'weather', args: '{}' } };
    line.session.sendToolResult('call_0', earlier);
    line.session.sendToolResult('call_0', earlier);
    await line.peer.settle();
    expect(line.told('commentary')).toHaveLength(1);
    expect(line.of('warning')).toMatchObject([{ code: 'tool_answered_twice' }]);
  });
});

describe('Gemini is told as much of the past as it takes', () => {
  const textsOf = (history: readonly HistoryItem[]): string[] =>
    historyTurns(history).flatMap(({ parts }) => (parts as { text: string }[]).map(({ text }) => text));

  it('and a result that is too long alone in part, in a form that says what it is', () => {
    const call = { type: 'tool', callId: 'c', name: 'lookup', args: '{"id":1}' } as const;
    const texts = textsOf([
      turn('user', 'What is in it?'),
      { ...call, output: 'x'.repeat(500_000) },
      turn('assistant', 'Much.'),
    ]);
    expect(texts).toHaveLength(3);
    expect(texts[0]).toBe('What is in it?');
    expect(texts[1]).toMatch(
      /result of the function lookup, which you called earlier with \{"id":1\}: x+…\]$/,
    );
    expect(texts[1]?.length).toBeLessThan(50_200);
    expect(texts[2]).toBe('Much.');
  });

  it('and no half of an old sentence', () => {
    const history = Array.from({ length: 10 }, (_, i) => turn('user', `${i}`.repeat(40_000)));
    const texts = textsOf(history);
    expect(texts[0]).toMatch(/left out/);
    expect(texts.slice(1)).toEqual(history.slice(-4).map((item) => item.type === 'message' && item.text));
  });
});

describe('what is not sure of a service is a setting', () => {
  it('OpenAI Live: how many tokens of the past a session takes', async () => {
    const history = Array.from({ length: 40 }, (_, i) => turn('user', `${i} ${'word '.repeat(40)}`));
    const told = async (historyTokens?: number): Promise<number> => {
      await using line = await live.open({ history }, { historyTokens });
      return (line.asked['input'] as unknown[]).length;
    };
    expect(await told()).toBe(40);
    // One of them says that others are left out.
    expect(await told(1_000)).toBe(10);
    expect(await told(0)).toBe(0);
  });

  it('OpenAI Live: and whoever asks is told how much that is', () => {
    const capabilities = (historyTokens?: number) =>
      createOpenAiLiveProvider({ apiKey: 'k', historyTokens }).capabilities;
    expect(capabilities()).toBe(OPENAI_LIVE.capabilities);
    expect(capabilities(16_384)).toEqual({
      ...OPENAI_LIVE.capabilities,
      history: { maxItems: 128, maxCharacters: 32_768 },
    });
    expect(() => capabilities(-1)).toThrow('BAD_CONFIG: OpenAI Live provider: historyTokens is -1, wanted');
    expect(() => capabilities(0.5)).toThrow('historyTokens is 0.5');
  });

  it.each([
    [1_700, undefined, 'MEDIUM'],
    [1_700, { HIGH: 1_600, MEDIUM: 2_000, LOW: 3_000 }, 'HIGH'],
    [2_400, undefined, 'LOW'],
    [2_400, { MEDIUM: 2_000, LOW: 3_000 }, 'MEDIUM'],
    [2_600, { MEDIUM: 2_000, LOW: 3_000 }, 'LOW'],
  ])('Nova: which level is nearest to a pause of %i ms with %j: %s', async (silenceMs, waitsMs, level) => {
    const line = await nova.open({ turnDetection: { silenceMs } }, { waitsMs });
    await line.sent();
    expect(line.peer.all('sessionStart')[0]).toMatchObject({
      turnDetectionConfiguration: { endpointingSensitivity: level },
    });
  });

  it.each<[NovaOptions['waitsMs'], string]>([
    [{ HIGH: -1 }, 'waitsMs.HIGH is -1, wanted milliseconds'],
    [{ LOW: Number.NaN }, 'waitsMs.LOW is NaN, wanted milliseconds'],
    [{ HIGH: 1_800 }, 'waitsMs are 1800, 1750 and 2000 for HIGH, MEDIUM and LOW, wanted the shortest first'],
  ])('Nova: waits that make no sense are refused: %j', (waitsMs, words) => {
    expect(() => createNovaProvider({ region: 'us-east-1', waitsMs })).toThrow(words);
  });

  it('Nova: more of the past where the account takes more, and whoever asks is told', () => {
    const { capabilities } = createNovaProvider({ historyLimits: { total: 200_000 } });
    expect(capabilities).toEqual({
      ...NOVA.capabilities,
      history: { maxItems: NOVA.capabilities.history?.maxItems, maxCharacters: 200_000 },
    });
  });

  it.each<[Rate]>([[8000], [16000], [24000]])('Gemini: the rate of what it hears, %i', async (inputRate) => {
    await using sim = await startGeminiSimulator({ keepAudio: true });
    const provider = createGeminiProvider({ apiKey: 'k', baseUrl: sim.url, inputRate });
    const request = requestOf({ preferredFormats: [{ encoding: 'pcm16', rate: 24000 }] });
    const session = await provider.connect(request, () => undefined, new AbortController().signal);
    const connection = await sim.nextConnection();
    expect(session.input).toEqual({ encoding: 'pcm16', rate: inputRate });
    expect(session.output).toEqual({ encoding: 'pcm16', rate: 24000 });
    expect(provider.capabilities.inputs).toEqual([session.input]);
    const second = Uint8Array.from({ length: inputRate * 2 }, (_, i) => (i % 2 === 0 ? i >> 4 : 0));
    expect(session.sendAudio(second)).toBe(true);
    await session.close('test over');
    await connection.closed;
    expect(connection.receivedAudioMs).toBe(1_000);
    expect(Buffer.compare(connection.receivedAudio(), second)).toBe(0);
  });

  it('Gemini: 16 kHz unless somebody says otherwise, and no rate that nothing here has', () => {
    const create = (over: object) => createGeminiProvider({ apiKey: 'k', ...over } as GeminiOptions);
    expect(create({}).capabilities).toBe(GEMINI.capabilities);
    expect(() => create({ inputRate: 44_100 })).toThrow(
      'BAD_CONFIG: Gemini provider: inputRate is 44100, wanted 8000, 16000, 24000',
    );
  });
});
