import { afterEach, describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import type { HistoryItem } from '../src/provider.ts';
import { OPENAI_LIVE } from '../src/providers/openai-live/facts.ts';
import { createOpenAiLiveProvider } from '../src/providers/openai-live.ts';
import { dial, LIVE_ID, open } from './support/openai-live-peer.ts';
import { error, KEY, type Message, startServer } from './support/openai-peer.ts';
import { cleanUp, failure } from './support/peers.ts';
import { VirtualClock } from './support/virtual-clock.ts';

afterEach(cleanUp);

const TOOL = {
  name: 'lookup',
  description: 'Finds the time of a train.',
  parameters: { type: 'object', properties: { train: { type: 'string' } } },
};

const message = (role: 'user' | 'assistant' | 'system', text: string): HistoryItem => ({
  type: 'message',
  role,
  text,
});

function delegationOf(session: Message): Message {
  return (session['delegation'] as Message)['responses'] as Message;
}

describe('the options', () => {
  it.each([
    [{ apiKey: '' }, 'apiKey is empty'],
    [{ baseUrl: 'https://example.org' }, 'wanted ws:// or wss://'],
    [{ model: '' }, 'model is empty'],
    [{ delegation: { type: 'responses', model: '' } }, 'delegation.model is empty'],
    [{ quietMs: 10 }, 'quietMs is 10, wanted milliseconds, 100 or more'],
    [{ silenceLevel: -1 }, 'silenceLevel is -1, wanted 0 to 32767'],
    [{ keepAwakeMs: Number.NaN }, 'keepAwakeMs is NaN'],
    [{ headers: { 'x y': '1' } }, 'header "x y"'],
  ] as const)('are refused when they are unusable: %o', (options, words) => {
    expect(() => createOpenAiLiveProvider({ apiKey: KEY, ...options })).toThrow(words);
  });

  it('give a provider that says what it can do', () => {
    const provider = createOpenAiLiveProvider({ apiKey: KEY });
    expect(provider).toMatchObject({ name: 'openai-live', model: 'gpt-live-1' });
    expect(provider.capabilities).toBe(OPENAI_LIVE.capabilities);
    expect(provider.capabilities).toMatchObject({
      bargeIn: 'none',
      speech: 'continuous',
      truncate: false,
      cancel: false,
    });
  });
});

describe('a session', () => {
  it('is started with what the agent is, and no more than the service knows', async () => {
    await using line = await open(
      { tools: [TOOL], voice: 'cedar', language: 'de' },
      { delegation: { type: 'responses', model: 'gpt-5.6', more: { reasoning: { effort: 'low' } } } },
    );
    expect(Object.keys(line.asked).sort()).toEqual(['audio', 'delegation', 'input', 'instructions', 'model']);
    expect(line.asked).toMatchObject({
      model: 'gpt-live-1',
      audio: { format: { type: 'audio/pcmu', rate: 8000 }, output: { voice: 'cedar' } },
      input: [],
    });
    expect(line.asked['instructions']).toMatch(
      /^Be brief\.\n\nThe language of this call is German \(de\)\.[\s\S]*- Finds the time of a train\./,
    );
    expect(delegationOf(line.asked)).toMatchObject({
      model: 'gpt-5.6',
      tools: [{ type: 'function', ...TOOL }],
      tool_choice: 'auto',
      reasoning: { effort: 'low' },
    });
    expect(delegationOf(line.asked)['instructions']).toContain('Be brief.');
    expect([line.session.input, line.session.output]).toEqual([MULAW_8K, MULAW_8K]);
  });

  it('has instructions without a list when there is nothing that could be done', async () => {
    await using line = await open();
    expect(line.asked['instructions']).toBe('Be brief.');
    expect(delegationOf(line.asked)).toMatchObject({ model: 'gpt-5.6-luna', tools: [] });
  });

  it('takes raw fields of options and request on top, without what does not go with them', async () => {
    await using line = await open(
      { overrides: { audio: { format: { type: 'audio/pcm', rate: 24_000 } }, store: true } },
      { voice: 'voice_mine', session: { delegation: { type: 'client' }, store: false } },
    );
    expect(line.asked).toMatchObject({
      audio: { format: { type: 'audio/pcm', rate: 24_000 }, output: { voice: { id: 'voice_mine' } } },
      store: true,
    });
    expect(line.asked['delegation']).toEqual({ type: 'client' });
    expect(line.session.output).toEqual(PCM16_24K);
  });

  it('speaks the model of the request, and authenticates in the header', async () => {
    await using line = await open({ model: 'gpt-live-2' }, { headers: { 'OpenAI-Project': 'p' } });
    expect(line.asked['model']).toBe('gpt-live-2');
    expect(line.peer.url).not.toContain('?');
    expect(line.peer.headers).toMatchObject({ authorization: `Bearer ${KEY}`, 'openai-project': 'p' });
  });

  it('is told the conversation so far at its start, functions as text', async () => {
    await using line = await open({
      history: [
        message('system', 'The call goes on.'),
        message('user', 'When does it leave?'),
        { type: 'tool', callId: 'c', name: 'lookup', args: '{"train":"1"}', output: '{"time":"12:00"}' },
        message('assistant', ' '),
        message('assistant', 'At noon.'),
      ],
    });
    const told = (line.asked['input'] as Message[]).map(({ role, content }) => [
      role,
      (content as Message[])[0],
    ]);
    expect(told).toEqual([
      ['developer', { type: 'input_text', text: 'The call goes on.' }],
      ['user', { type: 'input_text', text: 'When does it leave?' }],
      [
        'developer',
        {
          type: 'input_text',
          text: 'The function lookup was called with {"train":"1"} and returned: {"time":"12:00"}',
        },
      ],
      ['assistant', { type: 'output_text', text: 'At noon.' }],
    ]);
    expect(line.told('instructions')).toEqual([]);
  });

  it('is told the newest part of a conversation that is too long', async () => {
    const history = Array.from({ length: 400 }, (_, i) => message('user', `${i} ${'word '.repeat(40)}`));
    await using line = await open({ history: [...history, message('assistant', 'Yes.')] });
    const input = line.asked['input'] as Message[];
    expect(input.length).toBeGreaterThan(50);
    expect(input.length).toBeLessThanOrEqual(128);
    expect(JSON.stringify(input.at(-1))).toContain('Yes.');
    expect(JSON.stringify(input).length * 0.4).toBeLessThan(2 * 8_192);
  });

  it('answers a caller who had spoken last', async () => {
    await using line = await open({ history: [message('user', 'When does it leave?')] });
    await line.peer.next('session.instructions.append');
    expect(line.told('instructions')).toEqual([
      'The caller has spoken last and waits for you: answer them now.',
    ]);
  });

  it('is refused with the class of the error that came instead of it, and leaves nothing open', async () => {
    for (const [code, wanted] of [
      ['invalid_api_key', 'PROVIDER_AUTH'],
      ['model_not_found', 'PROVIDER_CONFIG'],
      ['unknown_parameter', 'PROVIDER_CONFIG'],
      ['credit_balance_exhausted', 'PROVIDER_QUOTA'],
      ['rate_limit_exceeded', 'PROVIDER_RATE_LIMITED'],
    ] as const) {
      const server = await startServer();
      const attempt = dial(server.url);
      const peer = await server.peer();
      await peer.next('session.start');
      peer.say(error(code, { message: `no, ${KEY}` }));
      const refused = await failure(attempt);
      expect(refused.code).toBe(wanted);
      expect(refused.message).not.toContain(KEY);
      await peer.closed;
      expect(attempt.clock.pending).toBe(0);
      expect(attempt.events).toEqual([]);
    }
  });

  it.each([
    [401, 'PROVIDER_AUTH'],
    [403, 'PROVIDER_AUTH'],
    [404, 'PROVIDER_CONFIG'],
    [429, 'PROVIDER_RATE_LIMITED'],
    [503, 'PROVIDER_UNAVAILABLE'],
  ])('is refused by HTTP %d as %s', async (status, code) => {
    const server = await startServer({ refuse: { status, body: '{"error":{"message":"no"}}' } });
    expect((await failure(dial(server.url))).code).toBe(code);
  });

  it('is refused when it would have audio that nobody here can read', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    await peer.next('session.start');
    peer.say({ type: 'session.started', session: { id: 'x', audio: { format: { type: 'audio/opus' } } } });
    expect((await failure(attempt)).message).toMatch(/PROVIDER_CONFIG: the session has audio .*opus/);
  });

  it('is given up when it does not come in time, or nobody wants it', async () => {
    const server = await startServer();
    const slow = dial(server.url, {}, { connectTimeoutMs: 500 });
    const first = await server.peer();
    await first.next('session.start');
    slow.clock.advance(500);
    expect((await failure(slow)).code).toBe('TIMEOUT');
    const unwanted = dial(server.url);
    const second = await server.peer();
    await second.next('session.start');
    unwanted.abort.abort();
    expect((await failure(unwanted)).code).toBe('CANCELLED');
    await Promise.all([first.closed, second.closed]);
    await expect.poll(() => slow.clock.pending + unwanted.clock.pending).toBe(0);
  });
});

describe('the end of a session', () => {
  it('is asked for, with the last of what is charged for, and comes once', async () => {
    const line = await open();
    await line.peer.tell({ type: 'session.usage.updated', event_id: 'u', usage: { seconds: 15 } });
    const closing = line.session.close('over');
    await line.peer.next('session.close');
    line.peer.say({
      type: 'session.closed',
      event_id: 'c',
      reason: 'close_requested',
      session: {},
      usage: { seconds: 21 },
    });
    await Promise.all([closing, line.session.close('again')]);
    expect(line.of('usage').map(({ seconds }) => seconds)).toEqual([15, 6]);
    expect(line.of('usage')[0]?.model).toBeUndefined();
    expect(line.events.at(-1)).toEqual({ type: 'closed', expected: true, error: undefined });
    expect(line.of('closed')).toHaveLength(1);
    expect(line.clock.pending).toBe(0);
    expect(await line.peer.closed).toBe(1000);
  });

  it('is not waited for longer than a second', async () => {
    const line = await open();
    const closing = line.session.close('over');
    await line.peer.next('session.close');
    line.clock.advance(1_000);
    await closing;
    expect(line.of('closed')).toEqual([{ type: 'closed', expected: true, error: undefined }]);
    expect(line.clock.pending).toBe(0);
  });

  it.each([
    ['expired', 'PROVIDER_EXPIRED'],
    ['content', 'PROVIDER_CLOSED'],
    ['remote_hangup', 'PROVIDER_CLOSED'],
    ['connection_lost', 'PROVIDER_CLOSED'],
  ])('by the service is an error of its own: %s', async (reason, code) => {
    const line = await open();
    line.peer.say({ type: 'session.closed', event_id: 'c', reason, session: {}, usage: { seconds: 3 } });
    await line.peer.closed;
    expect(line.events).toMatchObject([
      { type: 'usage', seconds: 3 },
      { type: 'error', fatal: true, error: { code } },
      { type: 'closed', expected: false, error: { code } },
    ]);
  });

  it.each([
    [1011, '', 'PROVIDER_UNAVAILABLE'],
    [1008, '', 'PROVIDER_CONFIG'],
    [1001, 'invalid_request_error.session_expired', 'PROVIDER_EXPIRED'],
    [1000, '', 'PROVIDER_CLOSED'],
  ])('without a word is judged by its close frame: %d %s', async (close, reason, code) => {
    const line = await open();
    line.peer.socket.close(close, reason);
    await line.peer.closed;
    await expect.poll(() => line.of('closed')).toMatchObject([{ expected: false, error: { code } }]);
  });

  it('is announced by the time that the session names', async () => {
    const inS = Math.floor(new VirtualClock().epoch() / 1000) + 70;
    await using line = await open({}, { expiryMarginMs: 60_000 }, { expires_at: inS });
    line.clock.advance(9_900);
    expect(line.of('expiring')).toEqual([]);
    line.clock.advance(200);
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 60_000 }]);
  });

  it('is believed to be far away when the clocks disagree', async () => {
    await using line = await open({}, {}, { expires_at: 12 });
    line.clock.advance(15_000);
    expect(line.of('expiring')).toEqual([]);
  });
});

describe('ids', () => {
  it('begin with that of the session, so that they differ from those of the next one', async () => {
    await using line = await open();
    await line.peer.tell({ type: 'session.output_transcript.delta', event_id: 'e', delta: 'Hi' });
    expect(line.of('transcript')[0]?.itemId).toBe(`${LIVE_ID}_item_1`);
  });
});
