import { afterEach, describe, expect, it } from 'vitest';
import { PCM16_24K } from '../src/audio/format.ts';
import { systemClock } from '../src/clock.ts';
import type { ConnectRequest, HeardItem, ProviderEvent, ProviderSession } from '../src/provider.ts';
import { createGeminiProvider, type GeminiOptions } from '../src/providers/gemini.ts';
import {
  type ConversationTurn,
  type GeminiSimulator,
  type GeminiSimulatorOptions,
  type SimulatedConnection,
  startGeminiSimulator,
} from '../src/sim/gemini.ts';

/** The adapter against a service that checks everything it is sent, and refuses what the real one refuses. */

const MODELS = [
  'gemini-3.8-live',
  'gemini-3.1-flash-live-preview',
  'gemini-2.5-flash-native-audio-preview-12-2025',
] as const;

const open: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Line {
  readonly simulator: GeminiSimulator;
  readonly session: ProviderSession;
  readonly connection: SimulatedConnection;
  readonly events: ProviderEvent[];
  /** Called synchronously with each event, as a call does it. */
  react: (event: ProviderEvent) => void;
  /** The first event of a type, from now on or before, that no earlier call returned or passed over. */
  next<T extends ProviderEvent['type']>(type: T): Promise<Extract<ProviderEvent, { type: T }>>;
  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[];
  audioMs(responseId?: string): number;
}

function isOf<T extends ProviderEvent['type']>(
  type: T,
  event: ProviderEvent,
): event is Extract<ProviderEvent, { type: T }> {
  return event.type === type;
}

async function start(
  sim: GeminiSimulatorOptions = {},
  over: Partial<ConnectRequest> = {},
  options: Partial<GeminiOptions> = {},
  shared?: GeminiSimulator,
): Promise<Line> {
  const simulator =
    shared ??
    (await startGeminiSimulator({ speedFactor: 'burst', firstAudioMs: 5, waitsForPlayback: false, ...sim }));
  if (shared === undefined) open.push(() => simulator.close());
  const provider = createGeminiProvider({ apiKey: 'key', baseUrl: simulator.url, ...options });
  const events: ProviderEvent[] = [];
  let taken = 0;
  let notice: () => void = () => undefined;
  let line: Line | undefined;
  const session = await provider.connect(
    {
      instructions: 'Be brief.',
      voice: undefined,
      language: undefined,
      tools: [{ name: 'lookup', description: 'Looks up', parameters: { type: 'object', properties: {} } }],
      turnDetection: {},
      transcribeCaller: true,
      preferredFormats: [PCM16_24K],
      history: [],
      overrides: {},
      clock: systemClock,
      ...over,
    },
    (event) => {
      events.push(event.type === 'audio' ? { ...event, bytes: Uint8Array.from(event.bytes) } : event);
      line?.react(event);
      notice();
    },
    new AbortController().signal,
  );
  open.push(() => session.close('test over'));
  const connection = await simulator.nextConnection();
  const of: Line['of'] = (type) => events.filter((event): event is never => event.type === type);
  line = {
    simulator,
    session,
    connection,
    events,
    react: () => undefined,
    async next(type) {
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
    },
    of,
    audioMs: (responseId) =>
      of('audio')
        .filter((event) => responseId === undefined || event.responseId === responseId)
        .reduce((sum, { bytes }) => sum + bytes.length / 48, 0),
  };
  return line;
}

const wordsOf = ({ parts }: ConversationTurn): string =>
  parts.map((part) => String(part['text'] ?? JSON.stringify(part))).join(' ');

const finals = (line: Line, role: 'user' | 'assistant'): string[] =>
  line
    .of('transcript')
    .filter((event) => event.final && event.role === role)
    .map(({ text }) => text);

/** Cuts the newest item as the bridge does when its own detector hears the caller. */
function cut(line: Line, playedMs: number): readonly HeardItem[] {
  const itemId = line.of('audio').at(-1)?.itemId ?? '';
  const receivedMs = line
    .of('audio')
    .filter((event) => event.itemId === itemId)
    .reduce((sum, { bytes }) => sum + bytes.length / 48, 0);
  const heard = [{ itemId, playedMs, receivedMs }];
  line.session.interrupt(heard);
  return heard;
}

/** A turn of the caller, as the service finds it in the audio. */
function callerSays(line: Line): void {
  line.connection.callerStarts();
  line.connection.callerStops();
}

describe.each(MODELS)('with %s', (model) => {
  it('a greeting is complete, with its words, in one response that was asked for', async () => {
    const line = await start(
      { respond: () => ({ audioMs: 700, transcript: 'Hello there.' }) },
      {},
      { model },
    );
    line.session.say('Hello there.');
    expect(await line.next('responseStarted')).toMatchObject({ asked: true });
    expect(await line.next('responseDone')).toMatchObject({ status: 'completed' });
    expect(line.audioMs()).toBe(700);
    expect(finals(line, 'assistant')).toEqual(['Hello there.']);
    expect(line.of('audioDone')).toHaveLength(1);
    expect(line.connection.refusal).toBeUndefined();
  });

  it.each(['mixed', 'ahead', 'behind'] as const)(
    'an answer has its own words when they come %s',
    async (words) => {
      const line = await start(
        {
          words,
          respond: () => ({ audioMs: 600, transcript: 'It is exactly noon now.' }),
          hear: () => ({ transcript: 'What time is it, please?', after: 'response' }),
        },
        {},
        { model },
      );
      callerSays(line);
      await line.next('responseDone');
      await expect.poll(() => finals(line, 'user')).toEqual(['What time is it, please?']);
      expect(finals(line, 'assistant')).toEqual(['It is exactly noon now.']);
      const order = line.events.filter(({ type }) => type === 'transcript' || type === 'audio');
      expect(order[0]).toMatchObject({ type: 'transcript', role: 'user' });
    },
  );

  it.each(['prompt', 'late', 'absent', 'after-turn-complete'] as const)(
    'an answer that the bridge cut off is not heard again, and the next one is whole, when the service tells %s',
    async (interruption) => {
      const line = await start(
        {
          interruption,
          interruptedMs: 50,
          waitsForPlayback: true,
          respond: ({ index }) =>
            index === 0 ? { audioMs: 5_000, speedFactor: 20, transcript: 'Long.' } : { audioMs: 400 },
        },
        {},
        { model },
      );
      line.session.say('Say something long.');
      const first = await line.next('responseStarted');
      await expect.poll(() => line.audioMs()).toBeGreaterThan(500);
      cut(line, 100);
      const before = line.audioMs();
      callerSays(line);
      const second = await line.next('responseStarted');
      await expect.poll(() => line.audioMs(second.responseId)).toBe(400);
      expect(line.audioMs(first.responseId)).toBe(before);
      expect(second.asked).toBe(false);
      expect(line.of('responseDone')[0]).toMatchObject({ responseId: first.responseId, status: 'cancelled' });
      expect(line.connection.refusal).toBeUndefined();
    },
  );

  it('functions are answered, alone and together, and spoken of once', async () => {
    const kinds: string[] = [];
    const line = await start(
      {
        inputDuringCall: 1008,
        respond: ({ index, kind }) => {
          kinds.push(kind);
          return index === 0
            ? {
                transcript: 'One moment.',
                toolCalls: [
                  { name: 'lookup', args: { of: 1 }, callId: 'a' },
                  { name: 'lookup', args: { of: 2 }, callId: 'b' },
                ],
              }
            : { audioMs: 300, transcript: 'Both are open.' };
        },
      },
      {},
      { model },
    );
    line.session.sendText('Look both up.', { role: 'user', respond: true });
    await line.next('toolCall');
    const second = await line.next('toolCall');
    expect(second).toMatchObject({ callId: 'b', args: '{"of":2}' });
    // Nothing may come in while the model stands still; the phone sends all the time.
    for (let i = 0; i < 20; i += 1) line.session.sendAudio(new Uint8Array(640));
    line.session.sendToolResult('b', { output: '{"open":true}', isError: false, respond: true });
    line.session.sendToolResult('a', { output: 'broken', isError: true, respond: true });
    await expect.poll(() => finals(line, 'assistant').at(-1)).toBe('Both are open.');
    expect(line.connection.toolResponses).toMatchObject([
      { id: 'b', response: { output: { open: true } } },
      { id: 'a', response: { error: 'broken' } },
    ]);
    expect(kinds).toEqual(['greeting', 'tool-result']);
    expect(line.connection.pendingCalls).toEqual([]);
    await expect.poll(() => line.connection.receivedAudioMs).toBe(400);
    expect(line.of('responseStarted').map(({ asked }) => asked)).toEqual([true, true]);
    expect(line.connection.isOpen).toBe(true);
  });

  it('no call is left open when the caller cuts in, whether the service calls it off or not', async () => {
    for (const cancelsToolCalls of [true, false]) {
      const line = await start(
        {
          cancelsToolCalls,
          respond: ({ index }) =>
            index === 0
              ? { audioMs: 200, toolCalls: [{ name: 'lookup', args: {}, callId: 'a' }] }
              : { audioMs: 300, transcript: 'Yes?' },
        },
        {},
        { model },
      );
      line.session.sendText('Look it up.', { role: 'user', respond: true });
      await line.next('toolCall');
      line.connection.callerStarts();
      cut(line, 100);
      line.session.sendToolResult('a', { output: 'cancelled', isError: true, respond: false });
      line.connection.callerStops();
      await expect.poll(() => finals(line, 'assistant').at(-1)).toBe('Yes?');
      expect(line.connection.pendingCalls).toEqual([]);
      expect(line.connection.refusal).toBeUndefined();
    }
  });

  it('what was said before is known, and answered only if the caller waits', async () => {
    const line = await start(
      { respond: () => ({ audioMs: 200, transcript: 'Yes.' }) },
      {
        history: [
          { type: 'message', role: 'assistant', text: 'Hello.' },
          { type: 'message', role: 'user', text: 'Is it open?' },
          { type: 'tool', callId: 'x', name: 'lookup', args: '{}', output: '1' },
          { type: 'message', role: 'assistant', text: 'It is.' },
          { type: 'message', role: 'system', text: 'The call goes on.' },
        ],
      },
      { model },
    );
    await expect.poll(() => line.connection.conversation.length).toBe(5);
    expect(line.connection.conversation.map(({ role }) => role)).toEqual([
      'user',
      'model',
      'user',
      'model',
      'user',
    ]);
    expect(line.events.filter(({ type }) => type !== 'resumable')).toEqual([]);
    const other = await start(
      { respond: () => ({ audioMs: 200, transcript: 'Yes.' }) },
      { history: [{ type: 'message', role: 'user', text: 'Is it open?' }] },
      { model },
    );
    expect(await other.next('responseStarted')).toMatchObject({ asked: true });
    await other.next('responseDone');
    expect(other.connection.conversation.map(wordsOf)[0]).toBe('Is it open?');
    expect(other.connection.refusal).toBeUndefined();
  });

  it('a session is gone on with by its handle, and nothing is told twice', async () => {
    const line = await start({ respond: () => ({ audioMs: 200, transcript: 'Hello.' }) }, {}, { model });
    line.session.say('Hello.');
    await line.next('responseDone');
    await expect.poll(() => line.of('resumable').at(-1)?.handle).toEqual(expect.any(String));
    const resume = line.of('resumable').at(-1)?.handle;
    const before = line.connection.conversation.length;
    await line.session.close('moving');
    const again = await start(
      {},
      { resume, history: [{ type: 'message', role: 'user', text: 'not told' }] },
      { model },
      line.simulator,
    );
    await expect.poll(() => again.connection.conversation.length).toBe(before);
    again.session.say('Still here.');
    expect(await again.next('responseDone')).toMatchObject({ status: 'completed' });
    expect(again.connection.conversation.map(wordsOf).join()).not.toContain('not told');
    const ids = [...line.of('audio'), ...again.of('audio')].map(({ itemId }) => itemId);
    expect(new Set(ids).size).toBe(2);
  });

  it('an adapter takes what no client expects as a warning, and goes on', async () => {
    const line = await start(
      {
        respond: () => ({ audioMs: 300, transcript: 'Hello.' }),
        faults: [
          { when: { after: 'setupComplete' }, do: 'malformed' },
          { when: { after: 'setupComplete' }, do: 'unknown-event' },
          { when: { after: 'setupComplete' }, do: 'unknown-event', inContent: true },
          { when: { after: 'setupComplete' }, do: 'huge', bytes: 4_000_000 },
          { when: { after: 'turnComplete' }, do: 'duplicate' },
          { when: { after: 'generationComplete' }, do: 'duplicate' },
        ],
      },
      {},
      { model },
    );
    line.session.say('Hello.');
    expect(await line.next('responseDone')).toMatchObject({ status: 'completed' });
    line.session.say('Hello.');
    expect(await line.next('responseDone')).toMatchObject({ status: 'completed' });
    expect(line.audioMs()).toBe(600);
    expect(line.of('responseStarted')).toHaveLength(2);
    expect(line.of('warning').map(({ code }) => code)).toEqual(['bad_frame', 'unknown_message']);
  });
});

describe('what the model believes', () => {
  it.each([MODELS[0], MODELS[2]])(
    'is put right when less was heard than it must assume: %s',
    async (model) => {
      const line = await start(
        {
          respond: ({ index }) =>
            index === 0
              ? { audioMs: 4_000, transcript: 'One two three four five six seven eight.' }
              : { audioMs: 300, transcript: 'Sorry.' },
        },
        {},
        { model },
      );
      line.session.say('Count.');
      await line.next('responseDone');
      line.connection.callerStarts();
      cut(line, 1_000);
      const told = (): boolean =>
        line.connection.conversation.map(wordsOf).some((text) => /first 1\.0 seconds.*"One two"/.test(text));
      await expect.poll(told).toBe(true);
      line.connection.callerStops();
      await expect.poll(() => finals(line, 'assistant').at(-1)).toBe('Sorry.');
      // The answer to the caller was not disturbed by it.
      expect(line.of('responseDone').map(({ status }) => status)).toEqual(['completed', 'completed']);
    },
  );

  it('is left alone when the service cut itself off in time', async () => {
    const line = await start({
      waitsForPlayback: true,
      respond: ({ index }) =>
        index === 0 ? { audioMs: 4_000, transcript: 'One two three four.' } : { audioMs: 300 },
    });
    line.session.say('Count.');
    await line.next('audioDone');
    cut(line, 10);
    callerSays(line);
    await line.next('responseDone');
    await line.next('responseDone');
    expect(line.connection.received.map(({ event }) => event.type)).not.toContain('clientContent');
  });
});

describe('turns that end oddly', () => {
  it('go on when they were said to be over in the middle', async () => {
    const line = await start(
      {
        prematureTurnCompleteMs: 300,
        speedFactor: 10,
        respond: () => ({ audioMs: 1_000, transcript: 'A whole sentence in one.' }),
      },
      {},
      { model: MODELS[2] },
    );
    line.session.say('Hello.');
    await line.next('responseDone');
    expect(line.audioMs()).toBe(1_000);
    expect(line.of('responseStarted')).toHaveLength(1);
  });

  it.each([
    ['failed', 'incomplete'],
    ['incomplete', 'incomplete'],
  ] as const)('are told as what they are when the service gives up: %s', async (status, expected) => {
    const line = await start({ respond: () => ({ audioMs: 300, status }) });
    line.session.say('Hello.');
    expect(await line.next('responseDone')).toMatchObject({ status: expected, reason: expect.any(String) });
  });

  it('may follow each other without a question, when the model thinks on', async () => {
    const line = await start(
      {
        respond: () => ({
          outputs: [
            { type: 'message', audioMs: 300, transcript: 'Let me see.' },
            { type: 'message', audioMs: 300, transcript: 'It is noon.' },
          ],
        }),
      },
      {},
      { model: 'gemini-3.8-live-extended-thinking' },
    );
    line.session.say('Think.');
    await expect.poll(() => line.audioMs()).toBe(600);
    await line.next('responseDone');
    await expect.poll(() => finals(line, 'assistant').join(' ')).toMatch(/Let me see\. ?It is noon\./);
    expect(line.connection.refusal).toBeUndefined();
  });
});

describe('the caller', () => {
  it('is heard through the socket, in real audio, and told of where the service does', async () => {
    const line = await start({ voiceActivity: true, respond: () => ({ audioMs: 200 }), keepAudio: true });
    const frame = new Uint8Array(640);
    const samples = new Int16Array(frame.buffer);
    for (let i = 0; i < samples.length; i += 1) samples[i] = Math.round(9_000 * Math.sin(i / 5));
    for (let ms = 0; ms < 800; ms += 20) line.session.sendAudio(frame);
    for (let ms = 0; ms < 1_000; ms += 20) line.session.sendAudio(new Uint8Array(640));
    await line.next('speechStarted');
    await line.next('speechStopped');
    expect(await line.next('responseStarted')).toMatchObject({ asked: false });
    expect(line.connection.receivedAudio().length).toBe(1_800 * 32);
  });

  it('ends their turn also when the carrier stops sending', async () => {
    const line = await start({ respond: () => ({ audioMs: 200 }) }, {}, { streamEndMs: 100 });
    const frame = new Uint8Array(640);
    const samples = new Int16Array(frame.buffer);
    for (let i = 0; i < samples.length; i += 1) samples[i] = Math.round(9_000 * Math.sin(i / 5));
    for (let ms = 0; ms < 800; ms += 20) line.session.sendAudio(frame);
    expect(await line.next('responseStarted')).toMatchObject({ asked: false });
    expect(line.connection.received.map(({ event }) => event.type)).toContain('realtimeInput.audioStreamEnd');
  });
});

describe('other doors', () => {
  it('open to a token that lives briefly', async () => {
    const line = await start(
      { accessToken: 'auth_tokens/abc', respond: () => ({ audioMs: 100 }) },
      {},
      { apiKey: undefined, accessToken: 'auth_tokens/abc' },
    );
    expect(line.connection.endpoint).toBe('constrained');
    line.session.say('Hello.');
    await line.next('responseDone');
  });

  it.each(['gemini-live-2.5-flash-native-audio', 'gemini-3.8-live'])(
    'are those of Vertex AI, with functions: %s',
    async (model) => {
      const line = await start(
        {
          accessToken: 'ya29.abc',
          respond: ({ index }) =>
            index === 0
              ? { toolCalls: [{ name: 'lookup', args: {} }] }
              : { audioMs: 100, transcript: 'Done.' },
        },
        {},
        { apiKey: undefined, accessToken: () => 'ya29.abc', platform: 'vertex', project: 'p', model },
      );
      expect(line.connection.endpoint).toBe('vertex');
      line.session.sendText('Look it up.', { role: 'user', respond: true });
      const call = await line.next('toolCall');
      line.session.sendToolResult(call.callId, { output: '1', isError: false, respond: true });
      await expect.poll(() => finals(line, 'assistant')).toEqual(['Done.']);
      expect(line.connection.refusal).toBeUndefined();
    },
  );
});

describe('the end', () => {
  it('is announced, comes, and is known as what it is', async () => {
    const line = await start({ sessionMs: 400, goAwayMs: 200 });
    expect(await line.next('expiring')).toMatchObject({ inMs: 200 });
    expect(await line.next('closed')).toMatchObject({ expected: false, error: { code: 'PROVIDER_EXPIRED' } });
  });

  it.each([
    ['quota', 'PROVIDER_QUOTA'],
    ['internal', 'PROVIDER_UNAVAILABLE'],
    ['deadline', 'PROVIDER_EXPIRED'],
    ['invalid-argument', 'PROVIDER_CONFIG'],
    ['api-key', 'PROVIDER_AUTH'],
  ] as const)('of a session by %s is %s', async (error, code) => {
    const line = await start({ faults: [{ when: { after: 'modelTurn' }, do: 'error', error }] });
    line.session.say('Hello.');
    expect(await line.next('closed')).toMatchObject({ expected: false, error: { code } });
  });

  it('at random after a function is one that passes', async () => {
    const line = await start({
      respond: ({ index }) =>
        index === 0 ? { toolCalls: [{ name: 'lookup', args: {}, callId: 'a' }] } : { audioMs: 100 },
      faults: [{ when: { after: 'toolResponse' }, do: 'error', error: 'not-implemented' }],
    });
    line.session.sendText('Look it up.', { role: 'user', respond: true });
    await line.next('toolCall');
    line.session.sendToolResult('a', { output: '1', isError: false, respond: true });
    expect(await line.next('closed')).toMatchObject({ error: { code: 'PROVIDER_CLOSED' } });
  });

  it.each([1007, 1008] as const)(
    'of a handle that is too old (%i) is told when it is shown',
    async (staleHandle) => {
      await expect(start({ staleHandle }, { resume: 'long-gone' })).rejects.toMatchObject({
        code: 'PROVIDER_EXPIRED',
        message: expect.stringContaining('did not take the session up again'),
      });
    },
  );
});
