import { describe, expect, it } from 'vitest';
import { type FaultRule, startOpenAiLiveSimulator, type Turn } from '../src/sim/openai-live.ts';
import {
  append,
  Client,
  commentary,
  type Event,
  FAST,
  FORMATS,
  type FormatName,
  output,
  RESPONSES,
  silence,
  speech,
  start,
  startEvent,
} from './support/openai-live-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const AUDIO = 'session.output_audio.delta';

/** Sends audio and waits until all that it set off has arrived. */
async function hear(client: Client, ...audio: Buffer[]): Promise<void> {
  append(client, Buffer.concat(audio));
  await client.settle();
}

/** Which of the deltas are speech, as text: `.` is one of silence. */
function pattern(client: Client): string {
  return client
    .of(AUDIO)
    .map((event) => (Buffer.from(String(event['delta']), 'base64').every((byte) => byte === 0) ? '.' : '#'))
    .join('');
}

describe('the first event', () => {
  it('has to start the session, and nothing is said before', async () => {
    await using sim = await startOpenAiLiveSimulator(FAST);
    const client = new Client(sim.url);
    await client.opened();
    expect(await client.wrong({ type: 'session.close', event_id: 'x', extra: 1 })).toMatchObject({
      code: 'unknown_parameter',
      client_event_id: 'x',
    });
    expect(await client.wrong(commentary('Hello.'))).toMatchObject({ code: 'session_not_started' });
    const started = await client.ask({ ...startEvent(), event_id: 'mine' }, 'session.started');
    expect(started).toMatchObject({
      client_event_id: 'mine',
      session: {
        model: 'gpt-live-1',
        status: 'active',
        audio: { format: { type: 'audio/pcm', rate: 24_000 }, output: { voice: 'marin' } },
        delegation: { type: 'client' },
      },
    });
    expect(await client.wrong(startEvent())).toMatchObject({ code: 'session_already_started' });
    expect(client.of('session.started')).toHaveLength(1);
  });

  const input = (text: string, role = 'user'): unknown => ({
    role,
    content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text }],
  });

  it.each([
    [{ model: undefined }, 'missing_required_parameter', 'session.model'],
    [{ temperature: 1 }, 'unknown_parameter', 'session.temperature'],
    [{ audio: { input: {} } }, 'unknown_parameter', 'session.audio.input'],
    [{ audio: { format: { type: 'audio/pcm', rate: 8_000 } } }, 'invalid_value', 'session.audio.format.rate'],
    [
      { audio: { format: { type: 'audio/pcmu' } } },
      'missing_required_parameter',
      'session.audio.format.rate',
    ],
    [{ audio: { format: { type: 'audio/opus' } } }, 'invalid_value', 'session.audio.format.type'],
    [{ audio: { output: { voice: 'nova' } } }, 'forbidden', 'session.audio.output.voice'],
    [{ instructions: 'word '.repeat(17_000) }, 'string_above_max_length', 'session.instructions'],
    [{ delegation: { type: 'responses' } }, 'missing_required_parameter', 'session.delegation.responses'],
    [
      { delegation: { type: 'responses', responses: { tools: [] } } },
      'missing_required_parameter',
      'session.delegation.responses.model',
    ],
    [
      { delegation: { type: 'responses', responses: { model: 'm', tools: [{ type: 'function' }] } } },
      'missing_required_parameter',
      'session.delegation.responses.tools[0].name',
    ],
    [{ delegation: { type: 'robot' } }, 'invalid_value', 'session.delegation.type'],
    [{ input: [input('x', 'system')] }, 'invalid_value', 'session.input[0].role'],
    [{ input: Array.from({ length: 129 }, () => input('x')) }, 'array_above_max_length', 'session.input'],
    [{ input: [input('word '.repeat(9_000))] }, 'input_too_long', 'session.input'],
    [{ input: [{ role: 'user', content: [] }] }, 'missing_required_parameter', 'session.input[0].content[0]'],
    [{ client: {} }, 'invalid_value', 'session.client'],
  ])('is refused with %o', async (session, code, param) => {
    await using sim = await startOpenAiLiveSimulator(FAST);
    const client = new Client(sim.url);
    await client.opened();
    expect(await client.wrong(startEvent(session))).toMatchObject({ code, param });
    await client.ask(startEvent(), 'session.started');
  });

  it('is refused for a model that the server does not have', async () => {
    await using sim = await startOpenAiLiveSimulator({ ...FAST, models: ['gpt-live-2'] });
    const client = new Client(sim.url);
    await client.opened();
    expect(await client.wrong(startEvent())).toMatchObject({ code: 'model_not_found' });
  });
});

describe('the upgrade', () => {
  async function refusal(url: string, headers?: Record<string, string>): Promise<number | undefined> {
    const client = new Client(url, headers);
    return await new Promise((resolve) =>
      client.socket.on('unexpected-response', (_request, response) => resolve(response.statusCode)),
    );
  }

  it('is refused without the right key, elsewhere, and with a model in the address', async () => {
    await using sim = await startOpenAiLiveSimulator({ apiKey: 'sk-right' });
    const key = { authorization: 'Bearer sk-right' };
    expect(await refusal(sim.url)).toBe(401);
    expect(await refusal(sim.url, {})).toBe(401);
    expect(await refusal(`${sim.url}?model=gpt-live-1`, key)).toBe(400);
    expect(await refusal(sim.url.replace('live/sessions', 'realtime'), key)).toBe(404);
    await new Client(sim.url, key).opened();
    expect((await sim.nextConnection()).index).toBe(4);
  });
});

describe('an event of a client', () => {
  it('of an unknown type is answered with those that there are', async () => {
    await using line = await start();
    const { message } = await line.client.wrong({ type: 'session.input_audio.commit' });
    expect(message).toContain("'session.input_audio.append'");
    expect(message).toContain("'session.commentary.append'");
  });

  it.each([
    [{ type: 'session.commentary.append', content: 'x' }, 'missing_required_parameter'],
    [{ type: 'session.commentary.append', content: ['x'], delegation_id: null }, 'invalid_type'],
    [commentary('word '.repeat(501)), 'string_above_max_length'],
    [commentary('x', 'item_unknown'), 'invalid_value'],
    [{ type: 'session.input_audio.append', audio: '%%%' }, 'invalid_value'],
    [{ type: 'session.input_audio.append' }, 'missing_required_parameter'],
    [{ type: 'session.update', session: { model: 'other' } }, 'unknown_parameter'],
    [{ type: 'session.update', session: { delegation: RESPONSES } }, 'invalid_value'],
    [{ type: 'response.create', response: {} }, 'unknown_parameter'],
    [{ type: 'response.create' }, 'invalid_request'],
    [output('call_x', 'y'), 'invalid_request'],
    [{ type: 'session.output_audio.fixture.play', audio: 'AA==' }, 'invalid_value'],
  ])('is refused, and the session goes on: %o', async (event, code) => {
    await using line = await start();
    expect(await line.client.wrong(event)).toMatchObject({ type: 'invalid_request_error', code });
    await hear(line.client, silence(200));
    expect(line.client.of(AUDIO)).toHaveLength(2);
  });

  it('is refused when it is no event at all', async () => {
    await using line = await start();
    for (const text of ['{', '[]', '{}', '{"type":1}']) {
      const since = line.client.events.length;
      line.client.socket.send(text);
      await line.client.next('error', since);
    }
    line.client.socket.send(Buffer.from('{"type":"session.close"}'));
    await line.client.settle();
    expect(line.client.of('error')).toHaveLength(5);
    expect(line.connection.isOpen).toBe(true);
  });
});

describe('the stream', () => {
  it('goes on only with the audio that is sent, as much of it, and silence is sent as well', async () => {
    await using line = await start();
    await line.client.settle();
    expect(line.client.of(AUDIO)).toEqual([]);
    await hear(line.client, silence(1_050));
    expect(line.client.of(AUDIO)).toHaveLength(10);
    expect(line.client.heard.equals(silence(1_000))).toBe(true);
    expect(line.client.of(AUDIO)[0]).toEqual({ type: AUDIO, delta: silence(100).toString('base64') });
    await hear(line.client, silence(50));
    expect([line.connection.timelineMs, line.connection.receivedAudioMs]).toEqual([1_100, 1_100]);
  });

  it('never goes faster than it is heard, however fast audio comes', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, speedFactor: 1 });
    const { client, connection } = line;
    await hear(client, silence(2_000));
    const counts: number[] = [];
    for (let i = 0; i < 10; i++) {
      clock.advance(100);
      counts.push(connection.timelineMs);
    }
    expect(counts).toEqual([200, 300, 400, 500, 600, 700, 800, 900, 1_000, 1_100]);
    // A pause in what comes is not made up for.
    clock.advance(10_000);
    await hear(client, silence(2_000));
    expect(connection.timelineMs).toBeLessThanOrEqual(2_200);
  });

  it('goes by the clock when it is told to', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, speedFactor: 1, inputClock: false });
    for (let i = 0; i < 10; i++) clock.advance(100);
    await line.client.settle();
    expect(pattern(line.client)).toBe('..........');
  });

  it('may leave silence out, or be a little noisy', async () => {
    await using silent = await start({ silentFrames: false });
    silent.client.send(commentary('Hello there.'));
    await hear(silent.client, silence(3_000));
    expect(pattern(silent.client)).toMatch(/^#{7,8}$/);
    await using noisy = await start({ noise: 40, respond: () => ({ audioMs: 3_000 }) });
    noisy.client.send(commentary('Hello there.'));
    await hear(noisy.client, silence(5_000));
    // What was said has left no trace in the noise.
    const heard = noisy.client.heard.subarray(-48_000);
    const peaks = Array.from({ length: heard.length / 2 }, (_, i) => Math.abs(heard.readInt16LE(2 * i)));
    expect(Math.max(...peaks)).toBeGreaterThan(20);
    expect(Math.max(...peaks)).toBeLessThanOrEqual(40);
  });

  it.each(Object.keys(FORMATS) as FormatName[])('has one format both ways: %s', async (format) => {
    await using line = await start(
      { keepAudio: true, respond: () => ({ audioMs: 500 }) },
      { audio: { format: FORMATS[format].wire } },
    );
    const { client, connection } = line;
    const spoken = Buffer.concat([silence(200, format), speech(600, format), silence(1_700, format)]);
    append(client, spoken, 400);
    await client.settle();
    expect(Buffer.from(connection.receivedAudio()).equals(spoken)).toBe(true);
    expect(connection.timelineMs).toBe(2_500);
    expect(Buffer.from(connection.sentAudio()).equals(client.heard)).toBe(true);
    expect(connection.sentAudioMs).toBe(500);
    expect(client.words('input')).toBe('Speech of 0.6 seconds.');
  });
});

describe('the model', () => {
  it('says what it is given to say, and tells the words with their time as they are said', async () => {
    await using line = await start();
    const { client } = line;
    client.send({ ...commentary('Good day to you.'), event_id: 'mine' });
    await client.settle();
    expect(client.of('session.commentary.appended')).toEqual([]);
    await hear(client, silence(2_000));
    expect(client.of('session.commentary.appended')).toMatchObject([
      { client_event_id: 'mine', start_ms: 0, end_ms: 200 },
    ]);
    expect(client.words('output')).toBe('Good day to you.');
    for (const { start_ms, end_ms } of client.of('session.output_transcript.delta')) {
      expect(Number(end_ms) - Number(start_ms)).toBe(200);
      expect(Number(start_ms) % 200).toBe(0);
    }
    expect(pattern(client)).toMatch(/^\.#{9,10}\.+$/);
  });

  it('says several things one after the other', async () => {
    await using line = await start();
    line.client.send(commentary('First.'));
    line.client.send(commentary(' Second.'));
    await hear(line.client, silence(2_000));
    expect(line.client.words('output')).toBe('First. Second.');
  });

  it('answers when the caller has finished, knowing what was said', async () => {
    const turns: Turn[] = [];
    await using line = await start(
      {
        hear: ({ index }) => ({ transcript: ['Hello.', 'And now?'][index] ?? '' }),
        respond: (turn) => {
          turns.push(turn);
          return { transcript: 'Yes.', audioMs: 400 };
        },
      },
      { input: [{ role: 'developer', content: [{ text: 'It rains.' }] }], instructions: 'Be kind.' },
    );
    const { client } = line;
    client.send({ type: 'session.thinking.append', content: 'It is noon.', delegation_id: null });
    await hear(client, speech(600), silence(1_400), speech(300), silence(1_400));
    expect(turns.map(({ kind, index, heardMs }) => [kind, index, heardMs])).toEqual([
      ['user-turn', 0, 600],
      ['user-turn', 1, 300],
    ]);
    const [first, second] = turns;
    expect(first?.instructions).toBe('Be kind.');
    expect(JSON.stringify(first?.items)).toMatch(/It rains\.[\s\S]*It is noon\.[\s\S]*Hello\./);
    expect(JSON.stringify(second?.newItems)).toMatch(/Yes\.[\s\S]*And now\?/);
    expect(client.words('input')).toBe('Hello.And now?');
    expect(client.words('output')).toBe('Yes.Yes.');
  });

  it('falls silent when it is talked over, and only what it said was said', async () => {
    await using line = await start({
      respond: ({ index }) =>
        index === 0
          ? { transcript: 'A very long story about nothing at all that goes on and on.', audioMs: 6_000 }
          : { transcript: 'Sorry.', audioMs: 300 },
    });
    const { client, connection } = line;
    client.send(commentary('Tell.'));
    await hear(client, silence(2_000), speech(500), silence(2_000));
    const said = client.words('output');
    expect(said).toMatch(/^A very long/);
    expect(said).not.toContain('on and on');
    expect(said).toMatch(/Sorry\.$/);
    // 2 s alone, 300 ms together with the caller.
    expect(pattern(client)).toMatch(/^\.#{20,22}\.{3,}#{3}\.+$/);
    expect(JSON.stringify(connection.items)).toContain(said.replace('Sorry.', ''));
  });

  it('goes on when the caller only makes a sound, and may make one itself', async () => {
    await using line = await start({ respond: () => ({ transcript: 'A long story.', audioMs: 3_000 }) });
    line.client.send(commentary('Tell.'));
    await hear(line.client, silence(1_000), speech(150), silence(3_000));
    expect(line.client.words('output')).toBe('A long story.');
    await using other = await start({ backchannelMs: 1_000, respond: () => ({}) });
    await hear(other.client, speech(2_500), silence(1_000));
    expect(other.client.words('output')).toBe('Mm-hm.Mm-hm.');
  });

  it('hears nothing while its input is muted, and both are acknowledged', async () => {
    await using line = await start();
    const { client } = line;
    await client.ask({ type: 'session.input_audio.mute', event_id: 'm' }, 'session.input_audio.muted');
    await hear(client, speech(600), silence(1_000));
    expect(client.words('input')).toBe('');
    await client.ask({ type: 'session.input_audio.unmute' }, 'session.input_audio.unmuted');
    await hear(client, speech(600), silence(1_000));
    expect(client.words('input')).toBe('Speech of 0.6 seconds.');
  });

  it('is silenced by a fixture, which nobody can talk over, and nothing can be appended meanwhile', async () => {
    await using line = await start({ respond: () => ({ transcript: 'A long story.', audioMs: 3_000 }) });
    const { client } = line;
    client.send(commentary('Tell.'));
    await hear(client, silence(500));
    const audio = speech(1_000).toString('base64');
    await client.ask(
      { type: 'session.output_audio.fixture.play', audio, event_id: 'f' },
      'session.output_audio.fixture.playing',
    );
    expect(await client.wrong(commentary('No.'))).toMatchObject({ code: 'fixture_active' });
    expect(await client.wrong({ type: 'session.output_audio.fixture.play', audio })).toMatchObject({
      code: 'fixture_active',
    });
    const before = client.heard.length;
    await hear(client, speech(900), silence(400));
    expect(client.heard.subarray(before, before + 48_000).equals(speech(1_000))).toBe(true);
    expect(client.of('session.output_audio.fixture.played')).toMatchObject([{ client_event_id: 'f' }]);
    expect(client.words('input')).toBe('');
  });
});

describe('delegation', () => {
  const CALLS = {
    transcript: 'One moment.',
    audioMs: 400,
    toolCalls: [
      { name: 'lookup', args: { a: 1 }, callId: 'call_1' },
      { name: 'lookup', args: 'no JSON', callId: 'call_2' },
    ],
  };

  it('to the backend calls functions after what is said first, and goes on when all are answered', async () => {
    const turns: Turn[] = [];
    await using line = await start(
      {
        respond: (turn) => {
          turns.push(turn);
          return turn.kind === 'tool-result' ? { transcript: 'It is noon.', audioMs: 500 } : CALLS;
        },
      },
      { delegation: RESPONSES },
    );
    const { client, connection } = line;
    client.send(commentary('Go.'));
    await hear(client, silence(1_000));
    const response = (await client.nested('response.completed'))['response'];
    expect(response).toMatchObject({ status: 'completed', output: [], model: 'gpt-5.6-luna' });
    const [delegation] = client.of('session.delegation.created');
    expect(delegation).toMatchObject({ delegation: { target: 'responses' } });
    const items = client
      .of('response.event')
      .map((event) => event['event'] as Event)
      .filter(({ type }) => type === 'response.output_item.done')
      .map(({ item }) => item);
    expect(items).toMatchObject([
      { type: 'reasoning' },
      { type: 'function_call', call_id: 'call_1', arguments: '{"a":1}', status: 'completed' },
      { type: 'function_call', call_id: 'call_2', arguments: 'no JSON' },
    ]);
    expect(connection.openCalls).toEqual(['call_1', 'call_2']);
    client.send(output('call_2', 'two'));
    expect(await client.wrong({ type: 'response.create' })).toMatchObject({ code: 'invalid_request' });
    expect(await client.wrong(output('call_2', 'again'))).toMatchObject({ code: 'invalid_request' });
    client.send(output('call_1', 'one'));
    client.send({ type: 'response.create' });
    await client.nested('response.output_text.done');
    await hear(client, silence(1_000));
    expect(client.words('output')).toBe('One moment.It is noon.');
    expect(turns.map(({ kind }) => kind)).toEqual(['greeting', 'tool-result']);
    expect(turns[1]?.newItems.filter(({ type }) => type === 'function_call_output')).toMatchObject([
      { call_id: 'call_2', output: 'two' },
      { call_id: 'call_1', output: 'one' },
    ]);
    expect(turns[1]?.tools).toMatchObject([{ name: 'lookup' }]);
  });

  it('to the backend may fail, and its settings can be changed, but not who does the work', async () => {
    await using line = await start(
      {
        faults: [
          { when: { after: 'session.delegation.created' }, do: 'fail-response', error: 'server_error' },
        ],
        respond: () => CALLS,
      },
      { delegation: RESPONSES },
    );
    const { client, connection } = line;
    const update = { type: 'responses', responses: { model: 'other' } };
    const updated = await client.ask(
      { type: 'session.update', session: { delegation: update } },
      'session.updated',
    );
    expect(updated['session']).toMatchObject({
      delegation: { responses: { model: 'other', tools: [{ name: 'lookup' }] } },
    });
    expect(
      await client.wrong({ type: 'session.update', session: { delegation: { type: 'client' } } }),
    ).toMatchObject({ param: 'session.delegation.type' });
    client.send(commentary('Go.'));
    await hear(client, silence(1_000));
    const failed = (await client.nested('response.failed'))['response'];
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'server_error' }, model: 'other' });
    expect(connection.openCalls).toEqual([]);
    expect(await client.wrong(commentary('x', connection.delegations[0]?.id ?? ''))).toMatchObject({
      param: 'delegation_id',
    });
  });

  it('to the application says no more than that there is work, and is answered by what is appended', async () => {
    await using line = await start({
      respond: ({ kind }) => (kind === 'user-turn' ? { toolCalls: CALLS.toolCalls } : undefined),
    });
    const { client, connection } = line;
    await hear(client, speech(500), silence(600));
    const [event] = client.of('session.delegation.created');
    const [delegation] = connection.delegations;
    expect(event?.['delegation']).toEqual({ id: delegation?.id, type: 'delegation', target: 'client' });
    client.send(commentary('It is noon.', delegation?.id));
    await hear(client, silence(2_000));
    expect(client.words('output')).toBe('It is noon.');
  });
});

describe('a session', () => {
  it('reports its seconds, and for the last time when it is closed', async () => {
    await using line = await start({ usageMs: 20 });
    const { client } = line;
    await hear(client, silence(2_500));
    const used = await client.next('session.usage.updated', client.events.length);
    expect(used).toMatchObject({ usage: { seconds: 2 }, context_window: {} });
    await hear(client, silence(600));
    const closed = await client.ask({ type: 'session.close', event_id: 'c' }, 'session.closed');
    expect(closed).toMatchObject({
      client_event_id: 'c',
      reason: 'close_requested',
      usage: { seconds: 3 },
      session: { status: 'active' },
    });
    expect((await client.closed).code).toBe(1000);
  });

  it('names its end and comes to it', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, sessionMs: 60_000 });
    const { session } = (await line.client.next('session.started')) as Event & {
      session: { expires_at: number };
    };
    expect(session.expires_at * 1000 - clock.epoch()).toBeGreaterThan(58_000);
    clock.advance(60_010);
    expect(await line.client.next('session.closed')).toMatchObject({ reason: 'expired' });
    expect((await line.client.closed).code).toBe(1000);
  });

  it('can be led by the test', async () => {
    await using line = await start({ hear: () => ({ transcript: 'Yes.', after: 'response' }) });
    const { client, connection } = line;
    expect(connection.speak({ transcript: 'By the way.', audioMs: 500 })).toBe(true);
    expect(connection.speak({ audioMs: 500 })).toBe(false);
    await hear(client, silence(800));
    connection.callerStarts();
    await hear(client, silence(400));
    connection.callerStops();
    await client.settle();
    expect(client.words('input')).toBe('');
    await hear(client, silence(3_000));
    expect(client.words('output')).toBe('By the way.I heard 0.4 seconds of speech.');
    expect(client.words('input')).toBe('Yes.');
    connection.inject({ type: 'info', code: 'notice', message: 'Hm.' });
    expect(await client.next('info')).toMatchObject({ code: 'notice' });
    connection.endSession('remote_hangup');
    expect(await client.next('session.closed')).toMatchObject({ reason: 'remote_hangup' });
    expect(await connection.closed).toEqual({ code: 1000, reason: '' });
    await expect(connection.next('session.started', () => false)).rejects.toThrow('CANCELLED');
  });
});

describe('faults', () => {
  async function withFault(...faults: FaultRule[]) {
    const line = await start({ faults, respond: () => ({ transcript: 'A story.', audioMs: 2_000 }) });
    line.client.send(commentary('Tell.'));
    append(line.client, silence(3_000));
    return line;
  }
  const at = { after: 'audioMs', value: 500 } as const;

  it.each([
    [{ do: 'close', code: 1012, reason: 'restart' }, 1012],
    [{ do: 'drop' }, 1006],
    [{ do: 'end-session', reason: 'content' }, 1000],
    [{ do: 'error', error: 'session_expired' }, 1001],
  ] as const)('end the connection: %o', async (fault, code) => {
    await using line = await withFault({ when: at, ...fault });
    expect((await line.client.closed).code).toBe(code);
    expect(line.connection.sentAudioMs).toBeGreaterThanOrEqual(500);
    expect(line.connection.sentAudioMs).toBeLessThan(2_000);
  });

  it('send what no client expects, and the session goes on', async () => {
    await using line = await withFault(
      { when: at, do: 'malformed' },
      { when: at, do: 'unknown-event' },
      { when: at, do: 'huge', bytes: 100_000 },
      { when: at, do: 'duplicate' },
      { when: at, do: 'inject', event: { type: 'info', code: 'x', message: 'y' } },
      { when: at, do: 'error', error: 'server_error' },
    );
    await line.client.next('error');
    await line.client.settle();
    const kinds = line.client.events.map(({ type }) => type);
    expect(kinds).toEqual(expect.arrayContaining(['malformed', 'session.weather.updated', 'info', 'error']));
    expect(line.client.words('output')).toBe('A story.');
  });

  it('keep things back', async () => {
    await using line = await withFault(
      { when: { after: 'session.started' }, do: 'omit', types: ['session.commentary.appended'] },
      { when: { after: 'session.started' }, do: 'delay', types: ['session.output_transcript.delta'], ms: 30 },
      { when: { after: 'session.started' }, do: 'ignore', type: 'session.thinking.append' },
      {
        when: { after: 'session.started' },
        do: 'refuse',
        type: 'session.update',
        error: { type: 'server_error', code: 'nope', message: 'No.' },
      },
    );
    const { client } = line;
    await client.settle();
    expect(client.of('session.commentary.appended')).toEqual([]);
    expect(client.words('output')).toBe('');
    await client.next('session.output_transcript.delta');
    client.send({ type: 'session.thinking.append', content: '', delegation_id: 7 });
    expect(await client.wrong({ type: 'session.update', session: {} })).toMatchObject({ code: 'nope' });
    expect(client.of('error')).toHaveLength(1);
  });

  it('can be silence, for a while or for ever', async () => {
    await using line = await withFault({ when: at, do: 'mute' });
    await line.client.settle();
    const count = line.client.events.length;
    line.client.send({ type: 'nonsense' });
    await line.client.settle();
    expect(line.client.events).toHaveLength(count);
    expect(line.connection.isOpen).toBe(true);
  });

  it('come before the session as well, and are checked', async () => {
    await using sim = await startOpenAiLiveSimulator({
      faults: [{ when: { after: 'connect' }, do: 'http', status: 503, connection: 0 }],
    });
    const refused = new Client(sim.url);
    expect((await refused.closed).code).toBe(1006);
    await new Client(sim.url).opened();
    expect((await sim.nextConnection()).index).toBe(1);
    const wrong = [{ when: { after: 'ms' }, do: 'drop' }] as const;
    await expect(startOpenAiLiveSimulator({ faults: wrong })).rejects.toThrow('needs a value in ms');
    await expect(startOpenAiLiveSimulator({ deltaMs: 15 })).rejects.toThrow('wanted a multiple of 10');
    await expect(startOpenAiLiveSimulator({ inputClock: false, speedFactor: 'burst' })).rejects.toThrow(
      'has no end',
    );
  });
});
