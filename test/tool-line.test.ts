import { afterEach, describe, expect, it } from 'vitest';
import { type FillerPolicy, voiceAgent } from '../src/agents.ts';
import { MULAW_8K } from '../src/audio/format.ts';
import type { CallEvent } from '../src/call-events.ts';
import { systemClock } from '../src/clock.ts';
import { loadConfig } from '../src/config.ts';
import { connectRequest } from '../src/connect-request.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { createLog } from '../src/log.ts';
import type { ProviderEvent } from '../src/provider.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { createBridge } from '../src/server.ts';
import {
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
  type Turn,
} from '../src/sim/openai.ts';
import { type CallOptions, startExchange } from '../src/sim/phone.ts';
import { collectDigits, transferCall } from '../src/tools/built-in.ts';
import type { Tool } from '../src/tools.ts';
import { slowTool as slow } from './support/slow-tool.ts';

/** Function calls with a simulated phone, the real service and the simulated OpenAI, on real sockets. */

const FILLER: FillerPolicy = {
  afterMs: 2000,
  texts: ['One moment.'],
  clip: undefined,
  everyMs: 8000,
  atMost: 3,
};

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

async function line(
  functions: readonly Tool[],
  sim: OpenAiSimulatorOptions,
  filler?: Partial<FillerPolicy>,
  phone: Partial<CallOptions> = {},
) {
  const exchange = await startExchange();
  open.push(exchange);
  const openai = await startOpenAiSimulator({ speedFactor: 'burst', firstAudioMs: 20, ...sim });
  open.push(openai);
  const events: CallEvent[] = [];
  const log: string[] = [];
  const bridge = await createBridge({
    config: loadConfig({
      PORT: '0',
      HOST: '127.0.0.1',
      OPENAI_BASE_URL: openai.url,
      OPENAI_API_KEY: 'sk-test',
      TWILIO_ACCOUNT_SID: SID,
      TWILIO_AUTH_TOKEN: TOKEN,
      TWILIO_BASE_URL: exchange.restBaseUrl ?? '',
    }),
    log: createLog('trace', { write: (text: string) => log.push(text) }),
    agent: {
      ...voiceAgent({ ...TEXT, greeting: 'Hello.' }, functions),
      filler: filler === undefined ? undefined : { ...FILLER, ...filler },
    },
    observe: (_callId, event) => events.push(event),
  });
  open.push(bridge);
  const url = await bridge.listen();
  const webhookUrl = `${url}/voice/twilio`;
  const call = exchange.placeCall({ webhookUrl, authToken: TOKEN, accountSid: SID, ...phone });
  const connection = await openai.nextConnection();
  await call.streaming;
  return { call, connection, events, log };
}

const SID = `AC${'0'.repeat(31)}1`;
const TOKEN = '12345678901234567890123456789012';
const TEXT = {
  instructions: 'Be brief.',
  greeting: undefined,
  voice: undefined,
  language: undefined,
  audio: 'wideband',
  maxCallMs: 600_000,
  silenceMs: 0,
} as const;

const orderedTo = (turn: Turn, text: string): boolean => String(turn.request['instructions']).includes(text);

/** What the server was sent and what it refused, from a message of one type on. */
function sentSince(connection: SimulatedConnection, first: string): string[] {
  const log = [...connection.received, ...connection.sent]
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ direction, event }) => (direction === 'received' || event.type === 'error' ? event.type : ''))
    .filter((type) => type !== '');
  return log.slice(log.indexOf(first));
}

describe('on the whole line', () => {
  it('functions that were called together are answered as they end, and the model speaks once, after the last', async () => {
    const one = slow('one');
    const two = slow('two');
    const { call, connection, events } = await line([one.tool, two.tool], {
      respond: ({ kind, newItems }) => {
        if (kind === 'greeting') {
          return {
            toolCalls: [
              { name: 'one', args: {} },
              { name: 'two', args: {} },
            ],
          };
        }
        return {
          audioMs: 300,
          transcript: `Both: ${newItems.map((item) => String(item['output'])).join(' ')}`,
        };
      },
    });
    await connection.next('response.done');
    await expect.poll(() => two.calls.length).toBe(1);
    await two.finish('second');
    await connection.next('conversation.item.create');
    await one.finish('first');
    await call.untilHeard(200);
    expect(connection.received.filter(({ event }) => event.type === 'response.create')).toHaveLength(2);
    expect(connection.sent.filter(({ event }) => event.type === 'error')).toEqual([]);
    expect(JSON.stringify(connection.items)).toContain('Both: second first');
    await call.hangUp();
    expect(events.filter(({ type }) => type === 'tool')).toMatchObject([{ name: 'two' }, { name: 'one' }]);
  });

  it('a filler is heard, and cut off by the result, of which the model then speaks', async () => {
    const search = slow('search');
    const { call, connection } = await line(
      [search.tool],
      {
        respond: (turn) => {
          if (turn.kind === 'greeting') return { toolCalls: [{ name: 'search', args: {} }] };
          if (orderedTo(turn, 'One moment.')) return { audioMs: 4000, transcript: 'One moment.' };
          return { audioMs: 500, transcript: 'Here it is.' };
        },
      },
      { afterMs: 200 },
    );
    await call.untilHeard(300);
    await search.finish();
    await call.next('clear');
    const { event } = await connection.next('conversation.item.truncate');
    expect(Number(event['audio_end_ms'])).toBeLessThan(3000);
    expect(sentSince(connection, 'conversation.item.truncate')).toEqual([
      'conversation.item.truncate',
      'conversation.item.create',
      'response.create',
    ]);
    await connection.next('response.done', (done) => JSON.stringify(done).includes('Here it is.'));
    await call.next('agent-speaking');
    await call.hangUp();
    expect(call.clears).toHaveLength(1);
    expect(connection.sent.filter(({ event: sent }) => sent.type === 'error')).toEqual([]);
  });

  it('a filler that is still being made is taken back, and nobody hears any of it', async () => {
    const search = slow('search');
    const { call, connection } = await line(
      [search.tool],
      {
        respond: (turn) => {
          if (turn.kind === 'greeting') return { toolCalls: [{ name: 'search', args: {} }] };
          if (orderedTo(turn, 'One moment.')) return { audioMs: 4000, firstAudioMs: 3000 };
          return { audioMs: 500, transcript: 'Here it is.' };
        },
      },
      { afterMs: 100 },
    );
    await connection.next('response.create', (event) => JSON.stringify(event).includes('One moment.'));
    await search.finish();
    await connection.next('conversation.item.create');
    await call.untilHeard(100);
    await call.next('agent-quiet');
    await call.hangUp();
    expect(call.heard.filter((byte) => byte !== 0xff && byte !== 0x7f).length).toBeLessThan(8 * 600);
    expect(JSON.stringify(connection.items)).toContain('Here it is.');
    expect(connection.sent.filter(({ event }) => event.type === 'error')).toEqual([]);
  });

  it('a response that the caller cut off runs none of its functions', async () => {
    const search = slow('search');
    const { call, connection, events } = await line([search.tool], {
      speedFactor: 1,
      respond: ({ kind }) =>
        kind === 'greeting'
          ? {
              outputs: [
                { type: 'function_call', name: 'search', args: {} },
                { type: 'message', audioMs: 6000, transcript: 'On and on.' },
              ],
            }
          : {},
    });
    await call.untilHeard(300);
    connection.callerStarts();
    const { event } = await connection.next('response.done');
    expect(event).toMatchObject({ response: { status: 'cancelled' } });
    expect(JSON.stringify(event)).toContain('function_call');
    connection.callerStops();
    await connection.next('response.done');
    await call.hangUp();
    expect(search.calls).toEqual([]);
    expect(events.filter(({ type }) => type === 'tool')).toEqual([]);
    expect(JSON.stringify(connection.received)).not.toContain('function_call_output');
  });

  it('keys that a function waits for go to it alone', async () => {
    const pin = collectDigits({ max: 4, endKey: '#', firstMs: 10_000, nextMs: 5000 });
    const { call, connection, log } = await line([pin], {
      respond: ({ kind }) =>
        kind === 'greeting'
          ? {
              audioMs: 2500,
              transcript: 'Your PIN, please.',
              toolCalls: [{ name: 'collect_digits', args: {} }],
            }
          : { audioMs: 300, transcript: 'Thank you.' },
    });
    // In the middle of the question, by somebody who presses the end key out of habit.
    await call.untilHeard(400);
    await call.pressKeys('8675#');
    const { event } = await connection.next('conversation.item.create');
    expect(event['item']).toMatchObject({
      type: 'function_call_output',
      output: '{"status":"complete","digits":"8675"}',
    });
    await connection.next('response.done', (done) => JSON.stringify(done).includes('Thank you.'));
    await call.hangUp();
    expect(call.clears.length).toBeGreaterThan(0);
    expect(connection.items.filter((item) => item['role'] === 'user')).toEqual([]);
    expect(connection.sent.filter(({ event: sent }) => sent.type === 'error')).toEqual([]);
    expect(log.join('')).not.toContain('8675');
  });

  it('a caller hears that they are put through, and is back with the agent when nobody answers', async () => {
    const transfer = transferCall([
      {
        name: 'reception',
        description: undefined,
        to: '+14155550177',
        callerId: undefined,
        ringS: 20,
        announce: undefined,
        language: undefined,
      },
    ]);
    const { call, connection, events } = await line(
      [transfer],
      {
        respond: ({ kind }) =>
          kind === 'greeting'
            ? {
                audioMs: 700,
                transcript: 'I put you through.',
                toolCalls: [{ name: 'transfer_call', args: { destination: 'reception' } }],
              }
            : { audioMs: 300, transcript: 'Nobody is there.' },
      },
      undefined,
      { dialResult: { status: 'no-answer', durationMs: 0, ringMs: 300 } },
    );
    expect((await call.next('dial')).targets).toEqual(['+14155550177']);
    expect(call.eventsOf('stream-ended')[0]?.unheardBytes).toBe(0);
    expect(call.heard.filter((byte) => byte !== 0xff && byte !== 0x7f).length).toBeGreaterThan(8 * 500);
    const { event } = await connection.next('conversation.item.create', (sent) =>
      JSON.stringify(sent).includes('nobody answered'),
    );
    expect(event['item']).toMatchObject({ role: 'system' });
    await connection.next('response.done', (done) => JSON.stringify(done).includes('Nobody is there.'));
    await call.next('agent-speaking', (one) => one.atMs > (call.eventsOf('dial')[0]?.atMs ?? 0));
    await call.hangUp();
    // The goodbye to somebody who is put through is not asked for again.
    expect(connection.received.filter(({ event: got }) => got.type === 'response.create')).toHaveLength(2);
    expect(events.filter(({ type }) => type === 'tool')).toMatchObject([{ outcome: 'done', isError: false }]);
  });

  it('a result of a call that another session made is told with its call, and the model speaks of it', async () => {
    const turns: Turn[] = [];
    const openai = await startOpenAiSimulator({
      firstAudioMs: 20,
      respond: (turn) => {
        turns.push(turn);
        return { audioMs: 100, transcript: 'Right.' };
      },
    });
    open.push(openai);
    const provider = createOpenAiProvider({ baseUrl: openai.url, apiKey: 'sk-test', model: 'm' });
    const events: ProviderEvent[] = [];
    const agent = voiceAgent(TEXT, []);
    const request = connectRequest(agent, soleCandidate(provider)[0], MULAW_8K, systemClock, { history: [] });
    const session = await provider.connect(
      request,
      (event) => events.push(event),
      new AbortController().signal,
    );
    const connection = await openai.nextConnection();
    const told = {
      output: '{"free":true}',
      isError: false,
      respond: true,
      call: { name: 'search', args: '{"at":"7"}' },
    };
    const callId = `another-provider-${'x'.repeat(64)}`;
    session.sendToolResult(callId, told);
    await connection.next('response.done');
    // Once is enough.
    session.sendToolResult(callId, told);
    await session.close('done');
    await connection.closed;
    expect(turns).toMatchObject([
      {
        kind: 'tool-result',
        newItems: [
          { type: 'function_call', name: 'search', arguments: '{"at":"7"}' },
          { type: 'function_call_output', output: '{"free":true}' },
        ],
      },
    ]);
    const [call, output] = turns[0]?.newItems ?? [];
    expect(call?.['call_id']).toBe(output?.['call_id']);
    expect(String(call?.['call_id']).length).toBeLessThanOrEqual(32);
    expect(connection.sent.filter(({ event }) => event.type === 'error')).toEqual([]);
    expect(events).toContainEqual(expect.objectContaining({ type: 'warning', code: 'tool_answered_twice' }));
  });
});
