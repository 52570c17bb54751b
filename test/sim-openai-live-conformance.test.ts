import OpenAI from 'openai';
import { LiveWS } from 'openai/resources/live/ws';
import { describe, expect, it } from 'vitest';
import { startOpenAiLiveSimulator } from '../src/sim/openai-live.ts';
import {
  append,
  commentary,
  type Event,
  FAST,
  output,
  RESPONSES,
  silence,
  speech,
  start,
} from './support/openai-live-client.ts';
import { oneOfEach, typeMistakes } from './support/published-types.ts';

const MODULE = 'openai/resources/live/live';
const RESPONSE_EVENTS = 'openai/resources/responses/responses';

const CALL = { transcript: 'One moment.', audioMs: 300, toolCalls: [{ name: 'lookup', args: { a: 1 } }] };

/** A session in which every event comes that the simulator has. */
async function fullSession(): Promise<readonly Event[]> {
  await using line = await start(
    {
      usageMs: 10,
      respond: ({ kind, index }) =>
        kind === 'user-turn' ? { ...CALL, status: index > 2 ? 'failed' : 'completed' } : undefined,
    },
    {
      delegation: RESPONSES,
      audio: { format: { type: 'audio/pcm', rate: 24_000 }, output: { voice: { id: 'voice_mine' } } },
      input: [
        { role: 'developer', content: [{ type: 'input_text', text: 'It rains.' }] },
        { role: 'assistant', content: [{ type: 'output_text', text: 'Yes.' }] },
      ],
    },
  );
  const { client, connection } = line;
  client.send({ ...commentary('Hello there.'), event_id: 'c1' });
  client.send({ type: 'session.instructions.append', content: 'Be kind.', delegation_id: null });
  client.send({ type: 'session.thinking.append', content: 'It is noon.', delegation_id: null });
  append(client, Buffer.concat([silence(4_000), speech(600), silence(1_500)]));
  await client.nested('response.completed');
  client.send(output(connection.openCalls[0], '{}'));
  client.send({ type: 'response.create' });
  await client.nested('response.output_text.done');
  await client.ask({ type: 'session.input_audio.mute', event_id: 'm' }, 'session.input_audio.muted');
  await client.ask({ type: 'session.input_audio.unmute' }, 'session.input_audio.unmuted');
  const update = { delegation: { type: 'responses', responses: { model: 'other' } } };
  await client.ask({ type: 'session.update', session: update }, 'session.updated');
  const audio = speech(200).toString('base64');
  await client.ask(
    { type: 'session.output_audio.fixture.play', audio },
    'session.output_audio.fixture.playing',
  );
  append(client, silence(500));
  await client.next('session.output_audio.fixture.played');
  append(client, Buffer.concat([speech(600), silence(1_500)]));
  await client.nested('response.failed');
  await client.wrong({ type: 'nonsense', event_id: 'n' });
  await client.next('session.usage.updated');
  await client.ask({ type: 'session.close', event_id: 'x' }, 'session.closed');
  return client.events;
}

describe('the published types', () => {
  it('know every event and every field that a full session sends', async () => {
    const events = await fullSession();
    const types = new Set(events.map(({ type }) => type));
    expect([...types].sort()).toEqual([
      'error',
      'response.event',
      'session.closed',
      'session.commentary.appended',
      'session.delegation.created',
      'session.input_audio.muted',
      'session.input_audio.unmuted',
      'session.input_transcript.delta',
      'session.instructions.appended',
      'session.output_audio.delta',
      'session.output_audio.fixture.played',
      'session.output_audio.fixture.playing',
      'session.output_transcript.delta',
      'session.started',
      'session.thinking.appended',
      'session.updated',
      'session.usage.updated',
    ]);
    const messages = oneOfEach(events);
    expect(await typeMistakes([{ name: 'server', module: MODULE, type: 'ServerEvent', messages }])).toEqual(
      [],
    );
  });

  it('would notice a field too many, and one too few', async () => {
    const event = { type: 'info', event_id: 'e', code: 'c', message: 'm' };
    const { code: _code, ...less } = event;
    const mistakes = await typeMistakes([
      { name: 'server', module: MODULE, type: 'ServerEvent', messages: [event, { ...event, more: 1 }, less] },
    ]);
    expect(mistakes.filter((line) => line.includes('server: '))).toHaveLength(2);
  });

  it('of the Responses API know what the backend says, but for what a snapshot leaves out', async () => {
    const events = (await fullSession())
      .filter(({ type }) => type === 'response.event')
      .map(({ event }) => event as Event)
      // Lifecycle snapshots are cut down in this protocol, so they are not the responses of the other one.
      .filter(({ response }) => response === undefined);
    const messages = oneOfEach(events);
    expect(messages.length).toBeGreaterThan(6);
    const mistakes = await typeMistakes([
      { name: 'backend', module: RESPONSE_EVENTS, type: 'ResponseStreamEvent', messages },
    ]);
    expect(mistakes).toEqual([]);
  });
});

describe('the openai package', () => {
  it('is spoken to in its own events, both ways', async () => {
    await using sim = await startOpenAiLiveSimulator({
      ...FAST,
      keepAudio: true,
      hear: () => ({ transcript: 'What time is it?' }),
      respond: ({ kind }) =>
        kind === 'user-turn'
          ? CALL
          : kind === 'tool-result'
            ? { transcript: 'It is noon, as far as I know.', audioMs: 2_000 }
            : undefined,
    });
    const client = new OpenAI({ apiKey: 'sk-test', baseURL: `http://127.0.0.1:${sim.port}/v1` });
    const live = new LiveWS(client);
    const errors: unknown[] = [];
    live.on('error', (error) => errors.push(error.error?.error.code));
    const happened = <T>(subscribe: (resolve: (value: T) => void) => void): Promise<T> =>
      new Promise(subscribe);
    const heard: Buffer[] = [];
    const words = { input: '', output: '' };
    live.on('session.output_audio.delta', ({ delta }) => heard.push(Buffer.from(delta, 'base64')));
    live.on('session.input_transcript.delta', ({ delta }) => {
      words.input += delta;
    });
    live.on('session.output_transcript.delta', ({ delta }) => {
      words.output += delta;
    });
    const listen = (...audio: Buffer[]): void => {
      for (const piece of audio) {
        live.send({ type: 'session.input_audio.append', audio: piece.toString('base64') });
      }
    };
    const connection = await sim.nextConnection();
    await happened<void>((resolve) => live.socket.on('open', () => resolve()));
    const started = happened<string>((resolve) =>
      live.on('session.started', ({ session }) => resolve(session.model)),
    );
    live.send({
      type: 'session.start',
      session: {
        model: 'gpt-live-1',
        instructions: 'Be kind.',
        audio: { format: { type: 'audio/pcmu', rate: 8_000 }, output: { voice: 'willow' } },
        delegation: {
          type: 'responses',
          responses: { model: 'gpt-5.6-luna', tools: [{ type: 'function', name: 'lookup' }] },
        },
      },
    });
    expect(await started).toBe('gpt-live-1');
    expect(connection.session).toMatchObject({ audio: { format: { type: 'audio/pcmu' } } });
    live.send({ type: 'session.commentary.append', content: 'Good day.', delegation_id: null });
    const called = happened<string>((resolve) =>
      live.on('response.event', ({ event }) => {
        const item = event['item'] as { type: string; call_id: string } | undefined;
        if (event['type'] === 'response.output_item.done' && item?.type === 'function_call') {
          resolve(item.call_id);
        }
      }),
    );
    const completed = connection.next(
      'response.event',
      (sent) => (sent['event'] as Event).type === 'response.completed',
    );
    listen(silence(1_000, 'pcmu'), speech(600, 'pcmu'), silence(1_400, 'pcmu'));
    const call_id = await called;
    await completed;
    live.send({
      type: 'response.item.create',
      item: { type: 'function_call_output', call_id, output: '{"time":"12:00"}' },
    });
    const answered = connection.next(
      'response.event',
      (sent) => (sent['event'] as Event).type === 'response.completed',
    );
    live.send({ type: 'response.create' });
    await answered;
    // The model is talked over.
    listen(silence(200, 'pcmu'), speech(600, 'pcmu'));
    live.send({ type: 'session.close' });
    const ended = await happened<{ reason: string; seconds: number }>((resolve) =>
      live.on('session.closed', ({ reason, usage }) => resolve({ reason, seconds: usage.seconds })),
    );
    expect(ended).toEqual({ reason: 'close_requested', seconds: 3 });
    expect(words.input).toBe('What time is it?');
    expect(words.output).toMatch(/^Good day\.One moment\.It/);
    expect(words.output).not.toContain('I know');
    expect(Buffer.concat(heard).equals(Buffer.from(connection.sentAudio()))).toBe(true);
    expect(connection.items).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ type: 'function_call_output', output: '{"time":"12:00"}' }),
      ]) as unknown as object,
    );
    expect(errors).toEqual([]);
    await connection.closed;
  });

  it('hears of a refusal and of errors', async () => {
    await using sim = await startOpenAiLiveSimulator(FAST);
    const live = new LiveWS(new OpenAI({ apiKey: 'sk-test', baseURL: `http://127.0.0.1:${sim.port}/v1` }));
    const codes: unknown[] = [];
    const told = new Promise<void>((resolve) =>
      live.on('error', (error) => {
        codes.push(error.error?.error.code);
        if (codes.length === 2) resolve();
      }),
    );
    await new Promise<void>((resolve) => live.socket.on('open', () => resolve()));
    live.send({ type: 'response.create' });
    live.send({ type: 'session.start', session: { model: 'gpt-live-1', instructions: 'x '.repeat(20_000) } });
    await told;
    expect(codes).toEqual(['session_not_started', 'string_above_max_length']);
    live.close({ code: 1000, reason: 'bye' });
    expect(await (await sim.nextConnection()).closed).toEqual({ code: 1000, reason: 'bye' });
  });
});
