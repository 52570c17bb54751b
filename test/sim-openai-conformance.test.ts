import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { describe, expect, it } from 'vitest';
import {
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
} from '../src/sim/openai.ts';
import { append, Client, MODEL, silence, speech, update, userText } from './support/openai-client.ts';

const NAME = 'gpt-realtime-2.1';

/** What the published types say of each server event: its fields, and which of them must be there. */
function publishedEvents(): ReadonlyMap<
  string,
  { readonly all: Set<string>; readonly required: Set<string> }
> {
  const file = createRequire(import.meta.url)
    .resolve('openai/resources/realtime/realtime')
    .replace(/\.m?js$/, '.d.ts');
  const events = new Map<string, { all: Set<string>; required: Set<string> }>();
  let indent = '';
  let fields: string[] = [];
  let type: string | undefined;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const opened = /^( *)(?:export )?interface \w+ {$/.exec(line);
    if (opened !== null) {
      indent = `${opened[1]}    `;
      fields = [];
      type = undefined;
    }
    const field = new RegExp(`^${indent}(\\w+\\??): (.*)$`).exec(line);
    if (field?.[1] === undefined) continue;
    fields.push(field[1]);
    if (field[1] === 'type') type = /^'([\w.]+)';$/.exec(field[2] ?? '')?.[1];
    if (type === undefined) continue;
    const required = fields.filter((name) => !name.endsWith('?'));
    events.set(type, {
      all: new Set(fields.map((name) => name.replace('?', ''))),
      required: new Set(required),
    });
  }
  return events;
}

describe('the published types', () => {
  it('know every event and every field that a full session sends, and miss none', async () => {
    await using sim = await startOpenAiSimulator({
      speedFactor: 20,
      firstAudioMs: 0,
      respond: ({ index }) =>
        index === 0
          ? { transcript: 'One moment.', audioMs: 200, toolCalls: [{ name: 'f', args: { a: 1 } }] }
          : { audioMs: index === 1 ? 60_000 : 100 },
      hear: ({ index }) => (index === 0 ? {} : { after: 0, error: { type: 'x', code: 'y', message: 'z' } }),
    });
    const client = new Client(sim.url + MODEL);
    await client.next('session.created');
    const input = { transcription: { model: 'gpt-transcribe' } };
    await client.ask(update({ audio: { input } }), 'session.updated');
    await client.ask({ type: 'response.create' }, 'response.done');
    await client.ask(userText('Now talk.', 'mine'), 'conversation.item.done');
    const talking = client.ask({ type: 'response.create' }, 'response.output_audio.delta');
    const item_id = (await talking)['item_id'];
    const loud = Buffer.concat([silence(300), speech(500), silence(700)]);
    append(client, loud);
    await client.next('conversation.item.input_audio_transcription.completed');
    await client.ask(
      { type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms: 10 },
      'conversation.item.truncated',
    );
    append(client, loud);
    await client.next('conversation.item.input_audio_transcription.failed');
    await client.ask({ type: 'conversation.item.retrieve', item_id: 'mine' }, 'conversation.item.retrieved');
    await client.ask({ type: 'conversation.item.delete', item_id: 'mine' }, 'conversation.item.deleted');
    await client.ask({ type: 'input_audio_buffer.clear' }, 'input_audio_buffer.cleared');
    await client.wrong({ type: 'nonsense' });
    const text = { conversation: 'none', output_modalities: ['text'] };
    await client.ask({ type: 'response.create', response: text }, 'response.output_text.done');

    const published = publishedEvents();
    expect(published.get('response.output_audio.delta')?.required.size).toBe(7);
    const types = new Set(client.types);
    expect(types.size).toBeGreaterThanOrEqual(29);
    for (const event of client.events) {
      const shape = published.get(event.type);
      expect(shape, event.type).toBeDefined();
      const names = Object.keys(event);
      expect(names, event.type).toEqual(expect.arrayContaining([...(shape?.required ?? [])]));
      expect([...(shape?.all ?? [])], event.type).toEqual(expect.arrayContaining(names));
    }
  });
});

/** The `openai` package insists on `wss:`; this agent gives it a plain socket under that name. */
class PlainAgent extends Agent {
  override createConnection(options: { host?: string | null; port?: number | string | null }): Socket {
    return connect(Number(options.port), String(options.host));
  }
}

function openaiClient(sim: OpenAiSimulator, apiKey = 'sk-test'): OpenAIRealtimeWS {
  const client = new OpenAI({ apiKey, baseURL: `https://127.0.0.1:${sim.port}/v1` });
  return new OpenAIRealtimeWS({ model: NAME, options: { agent: new PlainAgent() } }, client);
}

describe('the openai package', () => {
  it('is spoken to in its own events', async () => {
    await using sim = await startOpenAiSimulator({
      speedFactor: 'burst',
      firstAudioMs: 0,
      keepAudio: true,
      respond: ({ kind }) =>
        kind === 'text'
          ? { toolCalls: [{ name: 'f', args: { n: 1 } }] }
          : { audioMs: 400, transcript: 'Hello there.' },
    });
    const realtime = openaiClient(sim);
    const errors: unknown[] = [];
    realtime.on('error', (error) => errors.push(error));
    const heard: Buffer[] = [];
    let words = '';
    let call: unknown;
    realtime.on('response.output_audio.delta', (event) => heard.push(Buffer.from(event.delta, 'base64')));
    realtime.on('response.output_audio_transcript.delta', (event) => {
      words += event.delta;
    });
    realtime.on('response.function_call_arguments.done', (event) => {
      call = JSON.parse(event.arguments);
    });
    const connection = await sim.nextConnection();
    await new Promise<void>((resolve) => realtime.on('session.created', () => resolve()));
    realtime.send({
      type: 'session.update',
      session: {
        type: 'realtime',
        instructions: 'Be kind.',
        audio: {
          input: { format: { type: 'audio/pcmu' } },
          output: { format: { type: 'audio/pcmu' }, voice: 'marin' },
        },
      },
    });
    await connection.next('session.updated');
    const answered = new Promise<string | undefined>((resolve) =>
      realtime.on('response.done', (event) => resolve(event.response.status)),
    );
    realtime.send({ type: 'response.create' });
    expect(await answered).toBe('completed');
    expect([Buffer.concat(heard).length, words]).toEqual([3_200, 'Hello there.']);
    realtime.send({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Call f.' }] },
    });
    const called = new Promise<void>((resolve) => realtime.on('response.output_item.done', () => resolve()));
    realtime.send({ type: 'response.create' });
    await called;
    expect(call).toEqual({ n: 1 });
    const audio = speech(40, 'audio/pcmu');
    realtime.send({ type: 'input_audio_buffer.append', audio: audio.toString('base64') });
    await new Promise<void>((resolve) => {
      realtime.on('input_audio_buffer.cleared', () => resolve());
      realtime.send({ type: 'input_audio_buffer.clear' });
    });
    expect(Buffer.from(connection.receivedAudio()).equals(audio)).toBe(true);
    expect(errors).toEqual([]);
    realtime.close({ code: 1000, reason: 'bye' });
    expect(await connection.closed).toEqual({ code: 1000, reason: 'bye' });
  });

  it('reports a wrong key and the close that follows it', async () => {
    await using sim = await startOpenAiSimulator({ apiKey: 'sk-right' });
    const realtime = openaiClient(sim, 'sk-wrong');
    const failed = new Promise<string | null | undefined>((resolve) =>
      realtime.on('error', (error) => resolve(error.error?.code)),
    );
    expect(await failed).toBe('invalid_api_key');
    const [code] = await once(realtime.socket, 'close');
    expect(code).toBe(3000);
  });
});

interface AgentsLine extends AsyncDisposable {
  readonly sim: OpenAiSimulator;
  readonly session: RealtimeSession;
  readonly connection: SimulatedConnection;
  readonly errors: unknown[];
}

async function agents(
  options: OpenAiSimulatorOptions,
  tools: ConstructorParameters<typeof RealtimeAgent>[0]['tools'] = [],
): Promise<AgentsLine> {
  const sim = await startOpenAiSimulator({ firstAudioMs: 0, keepAudio: true, ...options });
  const agent = new RealtimeAgent({ name: 'Concierge', instructions: 'Be kind.', tools });
  const session = new RealtimeSession(agent, {
    transport: 'websocket',
    model: NAME,
    tracingDisabled: true,
    config: {
      audio: {
        input: { turnDetection: { type: 'server_vad', silenceDurationMs: 300, interruptResponse: true } },
        output: { voice: 'marin' },
      },
    },
  });
  const errors: unknown[] = [];
  session.on('error', (error) => errors.push(error));
  await session.connect({ apiKey: 'sk-test', url: sim.url + MODEL });
  const connection = await sim.nextConnection();
  await connection.next('session.updated');
  return {
    sim,
    session,
    connection,
    errors,
    [Symbol.asyncDispose]: async () => {
      session.close();
      await sim.close();
    },
  };
}

function happened<T>(subscribe: (resolve: (value: T) => void) => void): Promise<T> {
  return new Promise(subscribe);
}

function array(buffer: Buffer): ArrayBuffer {
  return new Uint8Array(buffer).buffer;
}

describe('the agents package', () => {
  it('configures the session and talks both ways', async () => {
    await using line = await agents({ respond: () => ({ audioMs: 500, transcript: 'Good evening.' }) });
    const { session, connection } = line;
    expect(connection.session).toMatchObject({
      instructions: 'Be kind.',
      audio: {
        input: { turn_detection: { type: 'server_vad', silence_duration_ms: 300 } },
        output: { voice: 'marin' },
      },
    });
    let bytes = 0;
    session.on('audio', (event) => {
      bytes += event.data.byteLength;
    });
    const complete = happened<void>((resolve) =>
      session.on('history_updated', (history) => {
        const told = JSON.stringify(history);
        if (told.includes('0.6 seconds') && told.includes('Good evening.')) resolve();
      }),
    );
    const stopped = happened<void>((resolve) => session.on('audio_stopped', () => resolve()));
    session.sendAudio(array(Buffer.concat([silence(200), speech(600), silence(400)])));
    await stopped;
    await complete;
    expect(bytes).toBe(24_000);
    expect(session.history).toMatchObject([
      { role: 'user', content: [{ type: 'input_audio', transcript: 'Speech of 0.6 seconds.' }] },
      {
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_audio', transcript: 'Good evening.' }],
      },
    ]);
    expect(line.errors).toEqual([]);
  });

  it('keeps the history of what both said', async () => {
    await using line = await agents({ respond: () => ({ audioMs: 100, transcript: 'Yes.' }) });
    const { session, connection } = line;
    session.sendMessage('Are you there?');
    const ended = happened<void>((resolve) => session.on('agent_end', () => resolve()));
    await ended;
    expect(session.history).toMatchObject([
      { role: 'user', content: [{ type: 'input_text', text: 'Are you there?' }] },
      { role: 'assistant', content: [{ transcript: 'Yes.' }] },
    ]);
    session.updateHistory((history) => history.slice(1));
    await connection.next('conversation.item.deleted');
    expect(connection.items).toHaveLength(1);
    expect(line.errors).toEqual([]);
  });

  it('is interrupted, and truncates to what it had played', async () => {
    await using line = await agents({
      speedFactor: 8,
      respond: ({ index }) =>
        index === 0 ? { audioMs: 20_000, transcript: 'A very long story.' } : { audioMs: 100 },
    });
    const { session, connection } = line;
    const interrupted = happened<void>((resolve) => session.on('audio_interrupted', () => resolve()));
    session.sendMessage('Tell me a story.');
    await happened<void>((resolve) => session.on('audio', () => resolve()));
    session.sendAudio(array(Buffer.concat([speech(400)])));
    await interrupted;
    const { event } = await connection.next('conversation.item.truncated');
    const done = await connection.next('response.done');
    expect(done.event).toMatchObject({
      response: { status: 'cancelled', status_details: { reason: 'turn_detected' } },
    });
    const [cut] = connection.truncations;
    expect(cut).toMatchObject({ itemId: event['item_id'], audioEndMs: event['audio_end_ms'] });
    expect(cut?.audioEndMs).toBeLessThanOrEqual(cut?.sentMs ?? 0);
    expect(cut?.sentMs).toBeLessThan(20_000);
    session.sendAudio(array(silence(500)));
    await connection.next('response.done');
    expect(connection.sent.filter((entry) => entry.event.type === 'error')).toEqual([]);
    expect(line.errors).toEqual([]);
  });

  it('runs a function and speaks with what it gave', async () => {
    const asked: unknown[] = [];
    const weather = tool({
      name: 'weather',
      description: 'The weather of a city.',
      strict: false,
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' } },
        required: ['city'],
        additionalProperties: true,
      },
      execute: (args) => {
        asked.push(args);
        return 'rain';
      },
    });
    const outputs: unknown[] = [];
    await using line = await agents(
      {
        respond: ({ kind, newItems, tools }) => {
          if (kind !== 'tool-result')
            return { toolCalls: [{ name: String(tools[0]?.['name']), args: { city: 'Porto' } }] };
          outputs.push(newItems[0]?.['output']);
          return { audioMs: 100, transcript: 'It rains.' };
        },
      },
      [weather],
    );
    const spoken = line.connection.next('response.output_audio_transcript.done');
    line.session.sendMessage('How is the weather in Porto?');
    expect((await spoken).event).toMatchObject({ transcript: 'It rains.' });
    expect(asked).toEqual([{ city: 'Porto' }]);
    expect(outputs).toEqual(['rain']);
    expect(line.errors).toEqual([]);
  });

  it('hears of errors, and of the end', async () => {
    await using line = await agents({});
    line.session.transport.sendEvent({ type: 'response.cancel', response_id: 'resp_no' });
    await line.connection.next('error');
    const gone = happened<string>((resolve) =>
      line.session.transport.on('connection_change', (status) => resolve(status)),
    );
    line.connection.close(1001, 'maintenance');
    expect(await gone).toBe('disconnected');
    const codes = line.errors.map((error) => JSON.stringify(error));
    expect(codes.filter((text) => text.includes('response_cancel_not_active'))).toHaveLength(1);
  });
});
