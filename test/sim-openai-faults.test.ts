import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type FaultRule, startOpenAiSimulator } from '../src/sim/openai.ts';
import {
  append,
  Client,
  type Event,
  FAST,
  MODEL,
  silence,
  speech,
  start,
  update,
  userText,
} from './support/openai-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** A session whose answers are short. */
function faulty(...faults: readonly FaultRule[]) {
  return start({ faults, respond: () => ({ audioMs: 300, transcript: 'A short answer.' }) });
}

const CREATE = { type: 'response.create' };

describe('while connecting', () => {
  it('an attempt can be answered with an HTTP status, and the next one goes through', async () => {
    await using sim = await startOpenAiSimulator({
      faults: [{ when: { after: 'connect' }, connection: 0, do: 'http', status: 429, body: 'slow down' }],
    });
    const refused = new WebSocket(sim.url + MODEL, { headers: { authorization: 'Bearer k' } });
    refused.on('error', () => {});
    const [, response] = await once(refused, 'unexpected-response');
    const [body] = await once(response, 'data');
    expect([response.statusCode, String(body)]).toEqual([429, 'slow down']);
    await new Client(sim.url + MODEL).next('session.created');
    expect(sim.connections.map(({ index }) => index)).toEqual([1]);
  });

  it('the TCP connection can be cut', async () => {
    await using sim = await startOpenAiSimulator({ faults: [{ when: { after: 'connect' }, do: 'drop' }] });
    expect(await new Client(sim.url + MODEL).closed).toMatchObject({ code: 1006 });
  });

  it('the upgrade can stay without an answer', async () => {
    await using sim = await startOpenAiSimulator({
      faults: [{ when: { after: 'connect' }, connection: 0, do: 'stall' }],
    });
    const client = new Client(sim.url + MODEL);
    // What was asked later is answered; the first is still waiting.
    await new Client(sim.url + MODEL).next('session.created');
    expect(client.socket.readyState).toBe(WebSocket.CONNECTING);
    await sim.close();
    expect(await client.closed).toMatchObject({ code: 1006 });
  });

  it('the session can be closed before a word is said', async () => {
    await using sim = await startOpenAiSimulator({
      faults: [{ when: { after: 'connect' }, do: 'close', code: 1013 }],
    });
    const client = new Client(sim.url + MODEL);
    expect(await client.closed).toMatchObject({ code: 1013 });
    expect(client.events).toEqual([]);
  });

  it('a script that makes no sense is refused', async () => {
    const bad: FaultRule[] = [
      { when: { after: 'response.created' }, do: 'http', status: 500 },
      { when: { after: 'audioMs' }, do: 'drop' },
      { when: { after: 'connect' }, do: 'explode' } as unknown as FaultRule,
    ];
    for (const rule of bad)
      await expect(startOpenAiSimulator({ faults: [rule] })).rejects.toThrow('BAD_INPUT');
  });
});

describe('the end of a session', () => {
  it('comes with a close frame after the event that the script names, the nth time', async () => {
    await using line = await faulty({
      when: { after: 'response.created', value: 2 },
      do: 'close',
      code: 1011,
      reason: 'gone',
    });
    await line.client.ask(CREATE, 'response.done');
    line.client.send(CREATE);
    expect(await line.client.closed).toEqual({ code: 1011, reason: 'gone' });
    expect(line.client.types.at(-1)).toBe('response.created');
  });

  it('comes without a close frame in the middle of the speech', async () => {
    await using line = await faulty({ when: { after: 'audioMs', value: 200 }, do: 'drop' });
    line.client.send(CREATE);
    expect(await line.client.closed).toMatchObject({ code: 1006 });
    expect(line.connection.isOpen).toBe(false);
    expect(
      line.connection.sent.filter(({ event }) => event.type === 'response.output_audio.delta'),
    ).toHaveLength(2);
  });

  it('comes when so much audio was received', async () => {
    await using line = await faulty({ when: { after: 'appendMs', value: 100 }, do: 'close', code: 1001 });
    append(line.client, silence(80));
    await line.client.ask(userText('sync'), 'conversation.item.done');
    append(line.client, silence(20));
    expect(await line.client.closed).toMatchObject({ code: 1001 });
    expect(line.connection.receivedAudioMs).toBe(100);
  });

  it('comes after a time', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, faults: [{ when: { after: 'ms', value: 5_000 }, do: 'drop' }] });
    clock.advance(4_990);
    expect(line.connection.isOpen).toBe(true);
    clock.advance(20);
    expect(await line.client.closed).toMatchObject({ code: 1006 });
    expect(clock.pending).toBeLessThanOrEqual(1);
  });

  it.each([
    ['session_expired', 1001],
    ['insufficient_quota', 4000],
    ['invalid_api_key', 3000],
  ] as const)('comes with the error %s', async (error, code) => {
    await using line = await faulty({ when: { after: 'session.update' }, do: 'error', error });
    line.client.send(update({}));
    expect(await line.client.closed).toMatchObject({ code });
    expect(line.client.events.at(-1)).toMatchObject({ type: 'error', error: { code: error } });
  });

  it('does not come with errors that the session survives', async () => {
    const error = { type: 'server_error', code: null, message: 'Once more, please.' };
    await using line = await faulty({ when: { after: 'session.update' }, do: 'error', error });
    expect(await line.client.wrong(update({}))).toMatchObject(error);
    await line.client.ask(CREATE, 'response.done');
  });

  it('does not come at all when the connection is half-open: nothing is read, sent or answered', async () => {
    await using line = await faulty({ when: { after: 'audioMs', value: 100 }, do: 'stall' });
    const { client, connection } = line;
    client.send(CREATE);
    await client.next('response.output_audio.delta');
    client.send(userText('Hello?'));
    let isAlive = false;
    client.socket.once('pong', () => {
      isAlive = true;
    });
    client.socket.ping();
    // Another connection to the same server shows that there was time to answer.
    const other = new Client(line.sim.url + MODEL);
    await other.next('session.created');
    await other.ask(userText('x'), 'conversation.item.done');
    expect(client.types.filter((type) => type === 'response.output_audio.delta')).toHaveLength(1);
    expect(connection.received.map(({ event }) => event.type)).toEqual(['response.create']);
    expect([isAlive, client.socket.readyState]).toEqual([false, WebSocket.OPEN]);
    connection.drop();
    expect(await client.closed).toMatchObject({ code: 1006 });
  });
});

describe('a session that goes wrong', () => {
  it('can fall silent for a while though its socket lives', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      respond: () => ({}),
      faults: [{ when: { after: 'conversation.item.create' }, do: 'mute', forMs: 1_000 }],
    });
    await line.client.ask(userText('one'), 'conversation.item.done');
    line.client.send(userText('two'));
    const pong = once(line.client.socket, 'pong');
    line.client.socket.ping();
    await pong;
    clock.advance(1_010);
    const since = line.client.events.length;
    await line.client.ask(userText('three'), 'conversation.item.done');
    expect(line.client.types.slice(since)).toEqual(['conversation.item.added', 'conversation.item.done']);
    expect(line.connection.items).toHaveLength(3);
  });

  it('can fail a response with an error in its status', async () => {
    await using line = await faulty({
      when: { after: 'response.output_audio.delta' },
      do: 'fail-response',
      error: 'rate_limit_exceeded',
    });
    const done = await line.client.ask(CREATE, 'response.done');
    expect(done).toMatchObject({
      response: {
        status: 'failed',
        status_details: { type: 'failed', error: { code: 'rate_limit_exceeded' } },
        output: [{ status: 'incomplete' }],
      },
    });
    expect(line.client.types.filter((type) => type === 'response.output_audio.delta')).toHaveLength(1);
    expect(await line.client.ask(CREATE, 'response.done')).toMatchObject({
      response: { status: 'completed' },
    });
  });

  it('can send frames that are no events', async () => {
    await using line = await faulty(
      { when: { after: 'response.created' }, do: 'malformed' },
      {
        when: { after: 'response.created', value: 2 },
        do: 'malformed',
        frame: '{"no":"type"}',
        binary: true,
      },
    );
    const frames: [string, boolean][] = [];
    line.client.socket.on('message', (data, isBinary) => frames.push([String(data), isBinary]));
    await line.client.ask(CREATE, 'response.done');
    await line.client.ask(CREATE, 'response.done');
    expect(frames.filter(([text]) => !text.includes('"type":') || !text.endsWith('}'))).toEqual([
      ['{"type":"response.output_audio.del', false],
      ['{"no":"type"}', true],
    ]);
  });

  it('can send events that are unknown, huge, twice, or of the script’s own making', async () => {
    await using line = await faulty(
      { when: { after: 'conversation.item.create', value: 1 }, do: 'unknown-event', type: 'server.gossip' },
      { when: { after: 'conversation.item.create', value: 2 }, do: 'huge', bytes: 3_000_000 },
      { when: { after: 'conversation.item.added', value: 3 }, do: 'duplicate' },
      { when: { after: 'conversation.item.create', value: 4 }, do: 'inject', event: { type: 'ping', n: 1 } },
    );
    const { client } = line;
    for (const id of ['a', 'b', 'c', 'd']) await client.ask(userText(id, id), 'conversation.item.done');
    await client.next('ping');
    expect(client.types).toContain('server.gossip');
    const huge = client.events.find((event) => event.type === 'session.weather.updated');
    expect(String(huge?.['padding']).length).toBe(3_000_000);
    const third = client.events.filter(
      (event) =>
        event.type === 'conversation.item.added' && (event['item'] as Event | undefined)?.['id'] === 'c',
    );
    expect(third).toHaveLength(2);
    expect(third[0]).toEqual(third[1]);
  });

  it('can leave out events that a compatible server does not know', async () => {
    const types = ['rate_limits.updated', 'conversation.item.done', 'response.created'];
    await using line = await faulty({ when: { after: 'connect' }, do: 'omit', types });
    await line.client.ask(CREATE, 'response.done');
    await line.client.ask(userText('x'), 'conversation.item.added');
    await line.client.wrong({ type: 'nonsense' });
    for (const type of types) expect(line.client.types).not.toContain(type);
  });

  it('can send events late, so that others overtake them', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      respond: () => ({ audioMs: 100 }),
      faults: [{ when: { after: 'connect' }, do: 'delay', types: ['input_audio_buffer.committed'], ms: 500 }],
    });
    append(line.client, Buffer.concat([speech(300), silence(600)]));
    await line.client.next('response.created');
    clock.advance(400);
    await line.client.next('response.done');
    clock.advance(200);
    await line.client.next('input_audio_buffer.committed');
  });

  it('keeps the order of what is late by the same time', async () => {
    const clock = new VirtualClock();
    const types = ['conversation.item.added', 'conversation.item.done'];
    await using line = await start({
      clock,
      faults: [{ when: { after: 'connect' }, do: 'delay', types, ms: 100 }],
    });
    const { client } = line;
    for (let i = 0; i < 12; i++) client.send(userText('x', `item_${i}`));
    await client.wrong({ type: 'nonsense' });
    const since = client.events.length;
    clock.advance(110);
    client.send(userText('last', 'last'));
    await client.wrong({ type: 'nonsense' });
    const told = client.events.slice(since, -1).map((event) => (event['item'] as Event | undefined)?.['id']);
    expect(told).toEqual(Array.from({ length: 24 }, (_, i) => `item_${Math.floor(i / 2)}`));
  });

  it('can let deltas come after the response was cancelled', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      speedFactor: 1,
      respond: () => ({ audioMs: 10_000 }),
      faults: [{ when: { after: 'connect' }, do: 'late-deltas', count: 2 }],
    });
    const { client } = line;
    await client.ask(CREATE, 'response.created');
    clock.advance(300);
    const done = await client.ask({ type: 'response.cancel' }, 'response.done');
    await client.ask(userText('sync'), 'conversation.item.done');
    const after = client.events.slice(client.events.indexOf(done));
    const late = after.filter((event) => event.type === 'response.output_audio.delta');
    expect(late).toMatchObject([{ item_id: expect.any(String) }, { output_index: 0 }]);
    expect(late[0]?.['response_id']).toBe((done['response'] as Event | undefined)?.['id']);
  });

  it('can complete a response in the moment that it is cancelled', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      respond: () => ({ audioMs: 1_000 }),
      faults: [{ when: { after: 'connect' }, do: 'cancel-race' }],
    });
    await line.client.ask(CREATE, 'response.created');
    const error = await line.client.wrong({ type: 'response.cancel' });
    expect(error).toMatchObject({ code: 'response_cancel_not_active' });
    expect(await line.client.next('response.done')).toMatchObject({ response: { status: 'completed' } });
  });

  it('can leave client events unanswered, or refuse them with any error', async () => {
    const error = { type: 'invalid_request_error', code: 'invalid_value', message: 'Not today.' };
    await using line = await faulty(
      { when: { after: 'connect' }, do: 'ignore', type: 'session.update', count: 2 },
      { when: { after: 'connect' }, do: 'refuse', type: 'conversation.item.create', error },
    );
    const { client, connection } = line;
    client.send(update({ instructions: 'one' }));
    client.send(update({ instructions: 'two' }));
    expect(await client.wrong({ ...userText('x'), event_id: 'mine' })).toMatchObject({
      ...error,
      event_id: 'mine',
    });
    expect(connection.session.instructions).toBe('');
    expect(client.types).not.toContain('session.updated');
    await client.ask(update({ instructions: 'three' }), 'session.updated');
    await client.ask(userText('y'), 'conversation.item.done');
  });
});

describe('the beta dialect', () => {
  async function beta() {
    const sim = await startOpenAiSimulator({
      ...FAST,
      dialect: 'beta',
      respond: () => ({ audioMs: 100, transcript: 'Hi.' }),
    });
    const client = new Client(sim.url + MODEL);
    const connection = await sim.nextConnection();
    await client.next('conversation.created');
    return { sim, client, connection, [Symbol.asyncDispose]: () => sim.close() };
  }

  it('has a flat session and refuses the nested one', async () => {
    await using line = await beta();
    const flat = {
      modalities: ['text', 'audio'],
      voice: 'sage',
      instructions: 'Be brief.',
      input_audio_format: 'g711_ulaw',
      output_audio_format: 'g711_alaw',
      input_audio_transcription: { model: 'whisper-1' },
      turn_detection: { type: 'server_vad', silence_duration_ms: 300 },
      temperature: 0.7,
      max_response_output_tokens: 500,
    };
    const updated = await line.client.ask({ type: 'session.update', session: flat }, 'session.updated');
    const { temperature: _, turn_detection: __, ...shown } = flat;
    expect(updated).toMatchObject({
      session: { ...shown, turn_detection: { silence_duration_ms: 300, threshold: 0.5 } },
    });
    expect(updated['session']).not.toHaveProperty('audio');
    expect(line.connection.session).toMatchObject({
      audio: { input: { format: { type: 'audio/pcmu' } } },
      max_output_tokens: 500,
    });
    expect(await line.client.wrong(update({}))).toMatchObject({
      code: 'unknown_parameter',
      param: 'session.type',
    });
  });

  it('has the old names of events and contents', async () => {
    await using line = await beta();
    const { client } = line;
    const item = { type: 'message', role: 'assistant', content: [{ type: 'text', text: 'Earlier.' }] };
    const created = await client.ask({ type: 'conversation.item.create', item }, 'conversation.item.created');
    expect(created).toMatchObject({ item: { content: [{ type: 'text', text: 'Earlier.' }] } });
    const response = { modalities: ['audio', 'text'], temperature: 0.9, max_response_output_tokens: 100 };
    const since = client.events.length;
    const done = await client.ask({ type: 'response.create', response }, 'response.done');
    expect(client.story(since, 'response.done')).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.created',
      'response.content_part.added',
      'response.audio_transcript.delta',
      'response.audio.delta',
      'response.audio.done',
      'response.audio_transcript.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.done',
    ]);
    expect(done).toMatchObject({
      response: {
        modalities: ['text', 'audio'],
        output: [{ content: [{ type: 'audio', transcript: 'Hi.' }] }],
      },
    });
  });
});

describe('closing', () => {
  it('gives the port back, which nobody else could have before', async () => {
    const sim = await startOpenAiSimulator();
    await expect(startOpenAiSimulator({ port: sim.port })).rejects.toThrow('EADDRINUSE');
    const { port } = sim;
    await sim.close();
    await using again = await startOpenAiSimulator({ port });
    expect(again.url).toBe(`ws://127.0.0.1:${port}/v1/realtime`);
  });

  it('ends every session and every attempt, twice is once, and leaves nothing planned', async () => {
    const clock = new VirtualClock();
    const sim = await startOpenAiSimulator({ clock, respond: () => ({ audioMs: 60_000 }) });
    const clients = [new Client(sim.url + MODEL), new Client(sim.url + MODEL)];
    for (const client of clients) await client.next('session.created');
    clients[0]?.send(CREATE);
    await clients[0]?.next('response.created');
    const waiting = sim.connections.map((connection) => connection.next('never'));
    sim.connections[1]?.stall();
    await Promise.all([sim.close(), sim.close()]);
    for (const client of clients) expect(await client.closed).toMatchObject({ code: 1006 });
    for (const next of waiting) await expect(next).rejects.toThrow('CANCELLED');
    await expect(sim.nextConnection()).resolves.toBe(sim.connections[0]);
    await expect(sim.nextConnection()).resolves.toBe(sim.connections[1]);
    await expect(sim.nextConnection()).rejects.toThrow('CANCELLED');
    expect(clock.pending).toBe(0);
  });
});
