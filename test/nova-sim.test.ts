import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../src/clock.ts';
import type { ConnectRequest, ProviderSession } from '../src/provider.ts';
import { createNovaProvider, type NovaOptions } from '../src/providers/nova.ts';
import { type NovaSimulatorOptions, type SimulatedConnection, startNovaSimulator } from '../src/sim/nova.ts';
import { CREDENTIALS, request, Told } from './support/nova-peer.ts';

/** The provider against a service that checks every event and the order of all. */

const disposals: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const dispose of disposals.splice(0).reverse()) await dispose();
});

interface Call {
  readonly told: Told;
  readonly session: ProviderSession;
  readonly connection: SimulatedConnection;
}

async function service(sim: NovaSimulatorOptions = {}, options: NovaOptions = {}) {
  const simulator = await startNovaSimulator({
    firstAudioMs: 0,
    speedFactor: 'burst',
    endpointScale: 0.2,
    ...sim,
  });
  const provider = createNovaProvider({
    region: 'us-east-1',
    endpoint: simulator.url,
    credentials: CREDENTIALS,
    ...options,
  });
  disposals.push(
    () => simulator.close(),
    () => provider.close(),
  );
  return {
    simulator,
    async call(over: Partial<ConnectRequest> = {}): Promise<Call> {
      const told = new Told();
      const coming = simulator.nextConnection();
      const session = await provider.connect(
        request({ clock: systemClock, ...over }),
        told.sink,
        new AbortController().signal,
      );
      return { told, session, connection: await coming };
    },
  };
}

const NORMAL = /^(usage|transcript|audio|audioDone|responseStarted|responseDone|toolCall|interrupted)$/;

/** Nothing but a conversation was told. */
function expectNoTrouble({ told }: Call): void {
  expect(told.events.map(({ type }) => type).filter((type) => !NORMAL.test(type))).toEqual([]);
}

describe.each([
  ['as it usually does', {}],
  ['with a completion for each turn', { completions: 'per-turn' }],
  ['in pieces of seven bytes', { splitBytes: 7 }],
  ['with its head only before its first output', { headersAtFirstOutput: true }],
  ['with spoken words when they were heard', { finalTextAt: 'played', speedFactor: 8 }],
  ['with arguments encoded twice', { toolArguments: 'double' }],
] as const)('a service that answers %s', (_name, sim: NovaSimulatorOptions) => {
  it('greets, hears the caller, calls a function and speaks of its result', async () => {
    const answers = [
      { transcript: 'Welcome. How can I help?', audioMs: 400 },
      { transcript: 'One moment.', audioMs: 200, toolCalls: [{ name: 'weather', args: { city: 'Graz' } }] },
      { transcript: 'It is sunny.', audioMs: 300 },
    ];
    const { call } = await service(
      {
        ...sim,
        respond: (turn) => answers[turn.index] ?? {},
        hear: () => ({ transcript: 'Weather in Graz?' }),
      },
      { sentMs: 50 },
    );
    const line = await call({
      tools: [{ name: 'weather', description: 'Tells the weather.', parameters: { type: 'object' } }],
    });
    const { told, session, connection } = line;
    session.say('Welcome. How can I help?');
    expect((await told.next('responseStarted')).asked).toBe(true);
    expect((await told.next('responseDone')).status).toBe('completed');
    connection.callerStarts();
    connection.callerStops();
    const { callId, args } = await told.next('toolCall');
    expect(JSON.parse(args)).toEqual({ city: 'Graz' });
    expect((await told.next('responseDone')).status).toBe('completed');
    session.sendToolResult(callId, { output: 'sunny', isError: false, respond: true });
    await told.next('responseDone');
    expect(told.of('responseStarted').map(({ asked }) => asked)).toEqual([true, false, true]);
    expect(connection.toolResults.map(({ content }) => content)).toEqual(['{"result":"sunny"}']);
    const ms = told.of('audio').reduce((sum, { bytes }) => sum + bytes.length / 16, 0);
    expect(ms).toBe(900);
    const users = told.of('transcript').filter(({ role, final }) => role === 'user' && final);
    expect(users.map(({ text }) => text)).toEqual(['Weather in Graz?']);
    const planned = told.of('transcript').filter(({ role, final }) => role === 'assistant' && !final);
    expect(planned.map(({ text }) => text.trim()).join(' ')).toBe(
      'Welcome. How can I help? One moment. It is sunny.',
    );
    expectNoTrouble(line);
    await session.close('over');
    expect(told.events.at(-1)).toEqual({ type: 'closed', expected: true, error: undefined });
    expect(connection.endedInOrder).toBe(true);
  });
});

describe('a service that holds the client to its rules', () => {
  it('takes a long history, of which the last turn is answered', async () => {
    const { call } = await service({ respond: () => ({ transcript: 'Yes.', audioMs: 100 }) });
    const long = '€'.repeat(3_000);
    const history = Array.from({ length: 9 }, (_, i) => ({
      type: 'message' as const,
      role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
      text: `${i} ${long}`,
    }));
    const line = await call({
      history: [{ type: 'message', role: 'assistant', text: 'Hello.' }, ...history],
    });
    expect((await line.told.next('responseStarted')).asked).toBe(true);
    await line.told.next('responseDone');
    const { history: seen } = line.connection;
    expect(seen.filter(({ source }) => source === 'history').map(({ role }) => role)).toEqual([
      'USER',
      'ASSISTANT',
      'USER',
      'ASSISTANT',
    ]);
    expectNoTrouble(line);
  });

  it('hears silence in real time while the carrier sends nothing', async () => {
    const { call } = await service();
    const line = await call();
    await vi.waitFor(() => expect(line.connection.receivedAudioMs).toBeGreaterThanOrEqual(600), {
      timeout: 5_000,
    });
    expect(line.connection.audio.loudMs).toBe(0);
    expectNoTrouble(line);
  });

  it('has sessions beside each other that do not mix', async () => {
    const { call } = await service({
      respond: ({ connection }) => ({ transcript: `I am ${connection}.`, audioMs: 100 }),
    });
    const calls = [await call(), await call(), await call()];
    for (const { session } of calls) session.say('Who are you?');
    for (const [i, { told }] of calls.entries()) {
      await told.next('responseDone');
      expect(told.of('transcript')[0]?.text).toBe(`I am ${i}.`);
    }
    await calls[1]?.session.close('over');
    calls[0]?.session.say('Again.');
    await calls[0]?.told.next('responseDone');
    expect(calls[0]?.told.of('responseDone')).toHaveLength(2);
    expect(calls[2]?.connection.isOpen).toBe(true);
  });
});

describe('a caller who cuts in', () => {
  const story = { transcript: 'A long story. It has two parts.', audioMs: 4_000, speedFactor: 4 };

  it.each([0, 3])('is told of by the service, and %i late pieces are dropped', async (count) => {
    const { call } = await service({
      respond: (turn) => (turn.index === 0 ? story : { transcript: 'Yes?', audioMs: 100 }),
      faults: count === 0 ? [] : [{ when: { after: 'sessionStart' }, do: 'late-deltas', count }],
    });
    const line = await call();
    line.session.say('Tell a story.');
    await line.told.next('audio');
    line.connection.callerStarts();
    const { responseId } = await line.told.next('interrupted');
    expect(await line.told.next('responseDone')).toMatchObject({ responseId, status: 'cancelled' });
    const before = line.told.of('audio').length;
    line.connection.callerStops();
    const { responseId: next } = await line.told.next('responseDone');
    expect(next).not.toBe(responseId);
    expect(
      line.told
        .of('audio')
        .slice(before)
        .every((event) => event.responseId === next),
    ).toBe(true);
    expectNoTrouble(line);
  });

  it('is told of when all was sent, for the bridge still plays it', async () => {
    const { call } = await service({
      respond: () => ({ ...story, speedFactor: 100 }),
      finalTextAt: 'played',
    });
    const line = await call();
    line.session.say('Tell a story.');
    const { responseId, status } = await line.told.next('responseDone');
    expect(status).toBe('completed');
    line.connection.callerStarts();
    expect((await line.told.next('interrupted')).responseId).toBe(responseId);
    expectNoTrouble(line);
  });

  it('and whom the bridge heard itself hears nothing more of that answer, and all of the next', async () => {
    const { call } = await service({
      respond: (turn) => (turn.index === 0 ? story : { transcript: 'Yes?', audioMs: 100 }),
    });
    const line = await call();
    line.session.say('Tell a story.');
    const { itemId } = await line.told.next('audio');
    line.session.interrupt([{ itemId, playedMs: 20, receivedMs: 100 }]);
    const before = line.told.of('audio').length;
    line.connection.callerStarts();
    line.connection.callerStops();
    expect((await line.told.next('responseDone')).status).toBe('cancelled');
    const { responseId } = await line.told.next('responseDone');
    expect(
      line.told
        .of('audio')
        .slice(before)
        .every((event) => event.responseId === responseId),
    ).toBe(true);
    expect(line.told.of('interrupted')).toEqual([]);
  });
});

describe('a service in trouble', () => {
  it.each([
    ['rst', 'PROVIDER_CLOSED'],
    ['end-silently', 'PROVIDER_CLOSED'],
    ['close', 'PROVIDER_CLOSED'],
    ['drop', 'PROVIDER_CLOSED'],
    ['bad-crc', 'PROVIDER_CLOSED'],
  ] as const)('by %s in mid-sentence ends the session as %s', async (what, code) => {
    const { call } = await service({
      respond: () => ({ transcript: 'A long story.', audioMs: 2_000, speedFactor: 8 }),
      faults: [{ when: { after: 'audioMs', value: 300 }, do: what }],
    });
    const line = await call();
    line.session.say('Tell a story.');
    expect(await line.told.next('closed')).toMatchObject({ expected: false, error: { code } });
    expect(line.told.of('audio').length).toBeGreaterThan(0);
  });

  it('that is half open is found out', async () => {
    const { call } = await service({}, { stallMs: 1_000 });
    const line = await call();
    line.connection.stall();
    const frame = new Uint8Array(1_600).fill(3);
    await vi.waitFor(
      () => {
        // A telephone sends all the time.
        line.session.sendAudio(frame);
        expect(line.told.of('closed')).toHaveLength(1);
      },
      { timeout: 10_000, interval: 5 },
    );
    expect(line.told.of('closed')).toMatchObject([
      { expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } },
    ]);
  });

  it('that says GOAWAY or sends nonsense goes on', async () => {
    const { call } = await service({
      respond: () => ({ transcript: 'Here I am.', audioMs: 300 }),
      faults: [
        { when: { after: 'sessionStart' }, do: 'goaway' },
        { when: { after: 'sent:contentStart' }, do: 'malformed' },
        { when: { after: 'sent:contentStart' }, do: 'unknown-event' },
        { when: { after: 'sent:contentStart' }, do: 'unknown-event', header: true },
        { when: { after: 'sent:contentStart' }, do: 'huge' },
        { when: { after: 'audioOutput' }, do: 'duplicate' },
        { when: { after: 'textOutput' }, do: 'duplicate' },
      ],
    });
    const line = await call();
    line.session.say('Hello.');
    expect((await line.told.next('responseDone')).status).toBe('completed');
    expect(line.told.of('audio').reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(300 * 16);
    expect(
      line.told
        .of('transcript')
        .filter(({ final }) => !final)
        .map(({ text }) => text),
    ).toEqual(['Here I am.']);
    expect(line.told.of('warning').map(({ code }) => code)).toEqual(['bad_frame']);
    await line.session.close('over');
  });

  it('that is stalled does not keep us from leaving', async () => {
    const { call } = await service();
    const line = await call();
    line.connection.stall();
    await line.session.close('over');
    expect(line.told.events.at(-1)).toEqual({ type: 'closed', expected: true, error: undefined });
  });
});

describe('an account that is not set up', () => {
  function bareEnvironment(): void {
    for (const name of [
      'AWS_ACCESS_KEY_ID',
      'AWS_SECRET_ACCESS_KEY',
      'AWS_PROFILE',
      'AWS_REGION',
      'AWS_DEFAULT_REGION',
    ]) {
      vi.stubEnv(name, undefined);
    }
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent/config');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent/credentials');
  }

  it('without credentials is PROVIDER_AUTH', async () => {
    bareEnvironment();
    const { call } = await service({}, { credentials: undefined });
    await expect(call()).rejects.toMatchObject({ code: 'PROVIDER_AUTH' });
  });

  it('with a Bedrock API key alone is PROVIDER_AUTH, because events are signed', async () => {
    bareEnvironment();
    vi.stubEnv('AWS_BEARER_TOKEN_BEDROCK', 'bedrock-api-key-example');
    const { call } = await service({}, { credentials: undefined });
    await expect(call()).rejects.toMatchObject({ code: 'PROVIDER_AUTH' });
  });

  it('without a region is PROVIDER_CONFIG', async () => {
    bareEnvironment();
    const { call } = await service({}, { region: undefined });
    await expect(call()).rejects.toMatchObject({ code: 'PROVIDER_CONFIG' });
  });
});
