import { describe, expect, it } from 'vitest';
import {
  type GeminiSimulator,
  type GeminiSimulatorOptions,
  startGeminiSimulator,
} from '../src/sim/gemini.ts';
import {
  connect,
  declare,
  FAST,
  GeminiClient,
  type Message,
  MODEL_25,
  say,
  setupOf,
  start,
} from './support/gemini-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

interface Update {
  readonly newHandle?: string;
  readonly resumable?: boolean;
  readonly lastConsumedClientMessageIndex?: string;
}

const RESUMABLE = { sessionResumption: {} };

/** How a session with this handle is refused. */
async function stale(sim: GeminiSimulator, handle: string, model?: string): Promise<string> {
  const client = new GeminiClient(`${sim.liveUrl}?key=k`);
  await client.opened;
  client.send(setupOf({ sessionResumption: { handle } }, model));
  const { code, reason } = await client.closed;
  return `${code} ${reason}`;
}

describe('a handle', () => {
  it('is given when there is something to go on from, and withheld while the model is busy', async () => {
    await using line = await start(
      { respond: ({ index }) => (index === 0 ? { audioMs: 100 } : undefined) },
      RESUMABLE,
    );
    const { client, connection } = line;
    await client.ask(say('Hello.'), 'turnComplete');
    await connection.next('sessionResumptionUpdate', ({ sessionResumptionUpdate }) =>
      JSON.stringify(sessionResumptionUpdate).includes('true'),
    );
    await client.ask(say('Again.'), 'sessionResumptionUpdate');
    const updates = client.all('sessionResumptionUpdate') as Update[];
    expect(updates.slice(0, 4).map(({ resumable }) => resumable)).toEqual([true, false, true, false]);
    expect(updates[1]).toEqual({ newHandle: '', resumable: false });
    expect(new Set(updates.map(({ newHandle }) => newHandle)).size).toBeGreaterThan(2);
  });

  it('is withheld while a function is out', async () => {
    await using line = await start(
      { respond: ({ index }) => (index === 0 ? { toolCalls: [{ name: 'f', args: {}, callId: 'a' }] } : {}) },
      { ...RESUMABLE, ...declare('f') },
    );
    await line.client.ask(say('Call.'), 'turnComplete');
    expect((line.client.all('sessionResumptionUpdate') as Update[]).at(-1)?.resumable).toBe(false);
    const functionResponses = [{ id: 'a', name: 'f', response: {}, scheduling: 'SILENT' }];
    const { sessionResumptionUpdate } = await line.client.ask(
      { toolResponse: { functionResponses } },
      'sessionResumptionUpdate',
    );
    expect(sessionResumptionUpdate).toMatchObject({ resumable: true });
  });

  it('says nothing of what is false when messages leave that out, as proto3 may', async () => {
    await using line = await start({ spellsFalse: false }, RESUMABLE);
    await line.client.ask(say('Hello.'), 'turnComplete');
    expect(line.client.all('sessionResumptionUpdate')[1]).toEqual({});
  });

  it('is not given to those who have not asked', async () => {
    await using line = await start();
    await line.client.ask(say('Hello.'), 'turnComplete');
    expect(line.connection.handle).toBeUndefined();
    expect(line.client.story()).not.toContain('sessionResumptionUpdate');
  });

  it('brings back what was said up to it, on a connection that says nothing by itself', async () => {
    await using line = await start({}, RESUMABLE);
    await line.client.ask(say('My name is Ada.'), 'turnComplete');
    const handle = String(line.connection.handle);
    await line.client.ask(say('Forget this.'), 'turnComplete');
    line.client.socket.terminate();
    const next = await connect(line.sim, { sessionResumption: { handle } });
    expect(next.connection.conversation.map(({ parts }) => parts[0]?.['text'])).toEqual([
      'My name is Ada.',
      'Hello, this is the simulator. Say something.',
    ]);
    expect(next.client.story()).toEqual(['setupComplete', 'sessionResumptionUpdate']);
    await next.client.ask(say('Who am I?'), 'turnComplete');
    expect(next.connection.conversation).toHaveLength(4);
  });

  it('is refused when it is not known, too old, or of another model', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, handleMs: 60_000 }, RESUMABLE);
    const handle = String(line.connection.handle);
    const lost = '1008 BidiGenerateContent session not found';
    expect(await stale(line.sim, 'handle_of_nobody')).toBe(lost);
    expect(await stale(line.sim, handle, MODEL_25)).toBe('1007 Request contains an invalid argument.');
    await connect(line.sim, { sessionResumption: { handle } });
    clock.advance(60_001);
    expect(await stale(line.sim, handle)).toBe(lost);
    line.client.socket.terminate();
    const { connection } = await connect(line.sim, RESUMABLE);
    line.sim.forgetHandles();
    expect(await stale(line.sim, String(connection.handle))).toBe(lost);
  });

  it('can be refused with 1007', async () => {
    await using line = await start({ staleHandle: 1007 });
    expect(await stale(line.sim, 'x')).toBe('1007 Request contains an invalid argument.');
  });

  it('tells of consumed messages at Vertex AI, and nowhere else', async () => {
    await using line = await start();
    const fields = { sessionResumption: { transparent: true } };
    const client = new GeminiClient(line.sim.vertexUrl, { authorization: 'Bearer t' });
    await client.opened;
    client.send(setupOf(fields, 'projects/p/locations/l/publishers/google/models/gemini-3.8-live'));
    const { sessionResumptionUpdate } = await client.next('sessionResumptionUpdate');
    expect(sessionResumptionUpdate).toMatchObject({ lastConsumedClientMessageIndex: '1', resumable: true });
    const other = new GeminiClient(`${line.sim.liveUrl}?key=k`);
    await other.opened;
    other.send(setupOf(fields));
    expect(await other.closed).toMatchObject({ reason: expect.stringContaining('"transparent"') });
  });
});

describe('a connection', () => {
  async function timed(
    options: GeminiSimulatorOptions,
    fields: Message = {},
  ): Promise<Awaited<ReturnType<typeof start>> & { clock: VirtualClock }> {
    const clock = new VirtualClock();
    return { ...(await start({ clock, ...options }, fields)), clock };
  }

  it('is told a minute ahead that it ends, and ends', async () => {
    await using line = await timed({});
    line.clock.advance(539_999);
    expect(line.client.story()).not.toContain('goAway');
    line.clock.advance(6);
    expect(await line.client.next('goAway')).toEqual({ goAway: { timeLeft: '60s' } });
    line.clock.advance(60_000);
    expect(await line.client.closed).toEqual({
      code: 1011,
      reason: 'Deadline expired before operation could complete.',
    });
  });

  it('can end without a word, or in another way', async () => {
    await using line = await timed({
      sessionMs: 5_000,
      goAwayMs: Number.POSITIVE_INFINITY,
      endClose: { code: 1000 },
    });
    line.clock.advance(5_005);
    expect(await line.client.closed).toEqual({ code: 1000, reason: '' });
    expect(line.client.story()).toEqual(['setupComplete']);
  });

  it('is told at once when it is shorter than the time ahead', async () => {
    await using line = await timed({ sessionMs: 9_500 });
    line.clock.advance(5);
    expect(await line.client.next('goAway')).toEqual({ goAway: { timeLeft: '9.500s' } });
  });

  it('carries a conversation of 15 minutes at most, over all connections, unless it is compressed', async () => {
    await using line = await timed({}, RESUMABLE);
    line.clock.advance(599_000);
    line.client.send(say('Hello.'));
    await line.connection.next('realtimeInput.text');
    line.clock.advance(100);
    const sessionResumption = { handle: line.connection.handle };
    const second = await connect(line.sim, { sessionResumption });
    const third = await connect(line.sim, { sessionResumption, contextWindowCompression: {} });
    line.clock.advance(301_100);
    expect(await second.client.closed).toMatchObject({ code: 1011 });
    expect(third.connection.isOpen).toBe(true);
    expect(second.client.story()).toContain('goAway');
  });

  it('ends when the context is full', async () => {
    await using line = await start({ contextTokens: 100, respond: () => ({ audioMs: 5_000 }) });
    await line.client.ask(say('Hello.'), 'turnComplete');
    line.client.send(say('Again.'));
    expect(await line.client.closed).toEqual({ code: 1007, reason: 'Request contains an invalid argument.' });
    expect(line.connection.refusal).toContain('more than 100 tokens');
  });

  it('forgets its beginning instead, when that was agreed on', async () => {
    const contextWindowCompression = { triggerTokens: '200', slidingWindow: { targetTokens: '130' } };
    await using line = await start(
      { contextTokens: 300, respond: () => ({ audioMs: 4_000 }) },
      { contextWindowCompression },
    );
    for (const text of ['One.', 'Two.', 'Three.', 'Four.']) await line.client.ask(say(text), 'turnComplete');
    expect(line.connection.conversation.map(({ role, parts }) => parts[0]?.['text'] ?? role)).toEqual([
      'Three.',
      'model',
      'Four.',
      'model',
    ]);
  });

  it('gives the same ids for the same seed', async () => {
    const handle = async (seed: number): Promise<unknown> => {
      await using sim = await startGeminiSimulator({ ...FAST, seed });
      return (await connect(sim, RESUMABLE)).connection.handle;
    };
    expect(await handle(7)).toBe(await handle(7));
    expect(await handle(7)).not.toBe(await handle(8));
  });
});
