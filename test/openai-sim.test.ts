import { afterEach, describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { systemClock } from '../src/clock.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../src/provider.ts';
import { createOpenAiProvider, type OpenAiOptions } from '../src/providers/openai.ts';
import {
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
} from '../src/sim/openai.ts';

/** The adapter against a server that checks everything it is sent, and refuses what the real one refuses. */

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Line {
  readonly simulator: OpenAiSimulator;
  readonly session: ProviderSession;
  readonly connection: SimulatedConnection;
  readonly events: ProviderEvent[];
  readonly audioBytes: () => number;
  /** Called synchronously with each event, as a call does it. */
  react: (event: ProviderEvent) => void;
  /** The first event of a type, from now on or before, that no earlier call returned. */
  next<T extends ProviderEvent['type']>(type: T): Promise<Extract<ProviderEvent, { type: T }>>;
}

function isOf<T extends ProviderEvent['type']>(
  type: T,
  event: ProviderEvent,
): event is Extract<ProviderEvent, { type: T }> {
  return event.type === type;
}

async function start(
  sim: OpenAiSimulatorOptions = {},
  over: Partial<ConnectRequest> = {},
  options: Partial<OpenAiOptions> = {},
): Promise<Line> {
  const simulator = await startOpenAiSimulator({ speedFactor: 'burst', firstAudioMs: 5, ...sim });
  open.push(() => simulator.close());
  const provider = createOpenAiProvider({
    apiKey: 'key',
    baseUrl: simulator.url,
    model: 'gpt-realtime-2.1',
    ...options,
  });
  const events: ProviderEvent[] = [];
  let taken = 0;
  let bytes = 0;
  let notice: () => void = () => undefined;
  let line: Line | undefined;
  const request: ConnectRequest = {
    instructions: 'Be brief.',
    voice: undefined,
    language: undefined,
    tools: [{ name: 'lookup', description: 'Looks up', parameters: { type: 'object', properties: {} } }],
    turnDetection: {},
    transcribeCaller: true,
    preferredFormats: [MULAW_8K],
    history: [],
    overrides: {},
    clock: systemClock,
    ...over,
  };
  const session = await provider.connect(
    request,
    (event) => {
      if (event.type === 'audio') bytes += event.bytes.length;
      events.push(event);
      line?.react(event);
      notice();
    },
    new AbortController().signal,
  );
  open.push(() => session.close('test over'));
  const connection = await simulator.nextConnection();
  const next: Line['next'] = async (type) => {
    for (;;) {
      for (; taken < events.length; taken += 1) {
        const event = events[taken];
        if (event === undefined || !isOf(type, event)) continue;
        taken += 1;
        return event;
      }
      await new Promise<void>((resolve) => {
        notice = resolve;
      });
    }
  };
  line = {
    simulator,
    session,
    connection,
    events,
    audioBytes: () => bytes,
    react: () => undefined,
    next,
  };
  return line;
}

const refusals = (line: Line): unknown[] =>
  line.connection.sent.filter(({ event }) => event['type'] === 'error').map(({ event }) => event['error']);

const received = (line: Line, type: string): unknown[] =>
  line.connection.received.filter(({ event }) => event['type'] === type).map(({ event }) => event);

describe('the adapter with the simulated server', () => {
  it.each(['ga', 'beta'] as const)(
    'speaks a greeting of the right length in the %s dialect',
    async (dialect) => {
      const line = await start(
        { dialect, respond: () => ({ audioMs: 700, transcript: 'Hello.' }) },
        {},
        { dialect },
      );
      line.session.say('Hello.');
      expect((await line.next('responseDone')).status).toBe('completed');
      expect(line.audioBytes()).toBe(700 * 8);
      expect(line.events.filter(({ type }) => type === 'audioDone')).toHaveLength(1);
      expect(line.events.filter((event) => event.type === 'transcript' && event.final)).toMatchObject([
        { text: 'Hello.' },
      ]);
      expect(line.events.some(({ type }) => type === 'usage')).toBe(true);
      expect(refusals(line)).toEqual([]);
    },
  );

  it('is accepted with 24 kHz, semantic turns, voice, language and a history with tools', async () => {
    const line = await start(
      {},
      {
        preferredFormats: [],
        voice: 'marin',
        language: 'de-AT',
        turnDetection: { mode: 'semantic' },
        history: [
          { type: 'message', role: 'system', text: 'The call goes on.' },
          { type: 'message', role: 'user', text: 'Hello?' },
          { type: 'tool', callId: 'another', name: 'lookup', args: '{}', output: '1' },
          { type: 'message', role: 'assistant', text: 'One.' },
          { type: 'message', role: 'user', text: 'And now?' },
        ],
      },
    );
    expect(line.session.input).toEqual(PCM16_24K);
    await line.next('responseDone');
    expect(line.connection.items.length).toBeGreaterThanOrEqual(6);
    expect(refusals(line)).toEqual([]);
  });

  it('runs two calls and speaks once when both are answered', async () => {
    const line = await start({
      respond: ({ kind }) =>
        kind === 'tool-result'
          ? { audioMs: 100 }
          : {
              toolCalls: [
                { name: 'lookup', args: { a: 1 } },
                { name: 'lookup', args: { b: 2 } },
              ],
            },
    });
    line.session.sendText('Look both up.', { role: 'user', respond: true });
    for (const output of ['1', '2']) {
      const call = await line.next('toolCall');
      expect(call.name).toBe('lookup');
      line.session.sendToolResult(call.callId, { output, isError: false, respond: true });
    }
    await line.next('responseDone');
    await line.next('responseDone');
    expect(received(line, 'response.create')).toHaveLength(2);
    expect(refusals(line)).toEqual([]);
  });

  it('cuts in at a point of the speech that the server accepts', async () => {
    const line = await start({ respond: () => ({ audioMs: 5_000 }), speedFactor: 8, deltaMs: 50 });
    line.session.say('A long story.');
    const { itemId, responseId } = await line.next('audio');
    await line.next('audio');
    let before = 0;
    line.react = (event) => {
      if (event.type !== 'speechStarted') return;
      line.session.interrupt([{ itemId, playedMs: 60_000, receivedMs: 60_000 }]);
      before = line.audioBytes();
    };
    line.connection.callerStarts();
    const ended = await line.next('responseDone');
    expect(ended).toMatchObject({ responseId, status: 'cancelled' });
    await line.connection.next('conversation.item.truncated');
    expect(line.audioBytes()).toBe(before);
    expect(line.connection.truncations).toMatchObject([{ itemId, audioEndMs: before / 8 }]);
    expect(refusals(line)).toEqual([]);
    line.connection.callerStops();
    const answer = await line.next('responseStarted');
    expect(answer.responseId).not.toBe(responseId);
  });

  it('cancels a response when a key is pressed, and answers the key', async () => {
    const line = await start({ respond: () => ({ audioMs: 5_000 }), speedFactor: 8, deltaMs: 50 });
    line.session.say('A long story.');
    const { itemId } = await line.next('audio');
    line.session.interrupt([{ itemId, playedMs: 0, receivedMs: 50 }]);
    line.session.sendText('The caller pressed 5.', { role: 'user', respond: true, digits: '5' });
    expect((await line.next('responseDone')).status).toBe('cancelled');
    await line.next('responseStarted');
    expect(refusals(line)).toEqual([]);
  });

  it('hears the caller and writes down what was said', async () => {
    const line = await start({ hear: () => ({ transcript: 'Good evening.' }) });
    line.connection.callerStarts();
    for (let i = 0; i < 25; i += 1) line.session.sendAudio(new Uint8Array(160).fill(0xff));
    await line.next('speechStarted');
    line.connection.callerStops();
    await line.next('speechStopped');
    expect(line.connection.receivedAudioMs).toBe(500);
    for (;;) {
      const { role, text, final } = await line.next('transcript');
      if (role !== 'user' || !final) continue;
      expect(text).toBe('Good evening.');
      return;
    }
  });

  it.each([
    ['duplicate', { do: 'duplicate', when: { after: 'response.output_audio.delta', value: 2 } }],
    ['malformed', { do: 'malformed', when: { after: 'response.created' } }],
    ['unknown', { do: 'unknown-event', when: { after: 'response.created' } }],
    ['huge', { do: 'huge', when: { after: 'response.created' } }],
    [
      'unannounced',
      {
        do: 'omit',
        types: ['response.created', 'response.output_item.added', 'response.output_item.done'],
        when: { after: 'session.updated' },
      },
    ],
    [
      'unfinished',
      {
        do: 'omit',
        types: ['response.output_audio.done', 'rate_limits.updated', 'conversation.item.added'],
        when: { after: 'session.updated' },
      },
    ],
  ] as const)('plays a response in full when something is %s', async (_name, fault) => {
    const line = await start({ respond: () => ({ audioMs: 600 }), faults: [fault] });
    line.session.say('Hello.');
    expect((await line.next('responseDone')).status).toBe('completed');
    expect(line.audioBytes()).toBe(600 * 8);
    line.session.say('Again.');
    expect((await line.next('responseDone')).status).toBe('completed');
    expect(line.audioBytes()).toBe(1_200 * 8);
  });

  it.each([
    ['session_expired', 'PROVIDER_EXPIRED'],
    ['insufficient_quota', 'PROVIDER_QUOTA'],
  ] as const)('is over after %s', async (known, code) => {
    const line = await start({
      faults: [{ do: 'error', error: known, when: { after: 'response.created' } }],
    });
    line.session.say('Hello.');
    expect(await line.next('closed')).toMatchObject({ expected: false, error: { code } });
  });

  it('survives one failed response and asks for it again', async () => {
    const line = await start({
      respond: () => ({ audioMs: 300 }),
      firstAudioMs: 30,
      faults: [{ do: 'fail-response', error: 'server_error', when: { after: 'response.created' } }],
    });
    line.session.say('Hello.');
    expect((await line.next('error')).fatal).toBe(false);
    expect((await line.next('responseDone')).status).toBe('failed');
    expect((await line.next('responseDone')).status).toBe('completed');
    expect(line.audioBytes()).toBe(300 * 8);
  });

  it('drops what a server sends of a cancelled response', async () => {
    const line = await start({
      respond: () => ({ audioMs: 5_000 }),
      speedFactor: 8,
      deltaMs: 50,
      faults: [{ do: 'late-deltas', when: { after: 'session.updated' } }],
    });
    line.session.say('A long story.');
    const { itemId } = await line.next('audio');
    line.session.interrupt([{ itemId, playedMs: 20, receivedMs: 50 }]);
    const before = line.audioBytes();
    await line.next('responseDone');
    line.session.sendText('Go on.', { role: 'user', respond: true });
    await line.next('responseStarted');
    expect(line.audioBytes()).toBe(before);
  });

  it('is told that the connection was cut', async () => {
    const line = await start();
    line.connection.drop();
    expect(await line.next('closed')).toMatchObject({ expected: false, error: { code: 'PROVIDER_CLOSED' } });
  });
});
