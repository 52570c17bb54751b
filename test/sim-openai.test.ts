import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startOpenAiSimulator, type Turn } from '../src/sim/openai.ts';
import {
  append,
  Client,
  FAST,
  FORMATS,
  type FormatName,
  MODEL,
  silence,
  speech,
  start,
  update,
  userText,
} from './support/openai-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

describe('the handshake', () => {
  it.each([
    ['a wrong key', { authorization: 'Bearer sk-wrong' }],
    ['no key', {}],
  ])('accepts the upgrade with %s, says invalid_api_key and closes with 3000', async (_, headers) => {
    await using sim = await startOpenAiSimulator({ apiKey: 'sk-right' });
    const client = new Client(sim.url + MODEL, { headers });
    expect(await client.next('error')).toMatchObject({
      error: { type: 'invalid_request_error', code: 'invalid_api_key' },
    });
    expect(await client.closed).toEqual({ code: 3000, reason: 'invalid_request_error.invalid_api_key' });
    expect(sim.connections).toEqual([]);
  });

  it('takes the right key as a bearer token and as a subprotocol', async () => {
    await using sim = await startOpenAiSimulator({ apiKey: 'sk-right' });
    const bearer = new Client(sim.url + MODEL, { headers: { authorization: 'Bearer sk-right' } });
    await bearer.next('session.created');
    const protocols = ['realtime', 'openai-insecure-api-key.sk-right'];
    const browser = new Client(sim.url + MODEL, { headers: {}, protocols });
    await browser.next('session.created');
    expect(browser.socket.protocol).toBe('realtime');
  });

  it('refuses the beta header with one error and a close, unless it speaks the beta dialect', async () => {
    const headers = { authorization: 'Bearer k', 'openai-beta': 'realtime=v1' };
    await using ga = await startOpenAiSimulator();
    const refused = new Client(ga.url + MODEL, { headers });
    await refused.closed;
    expect(refused.events).toMatchObject([{ type: 'error', error: { code: 'beta_api_shape_disabled' } }]);
    await using beta = await startOpenAiSimulator({ dialect: 'beta' });
    await new Client(beta.url + MODEL, { headers }).next('conversation.created');
  });

  it.each([
    ['/v1/other?model=m', 404],
    ['/v1/realtime', 400],
    ['/v1/realtime?model=', 400],
    ['/v1/realtime?model=m&intent=transcription', 400],
    ['/v1/realtime?call_id=rtc_1', 404],
  ])('answers %s with HTTP %i', async (target, status) => {
    await using sim = await startOpenAiSimulator();
    const socket = new WebSocket(sim.url.replace('/v1/realtime', target), {
      headers: { authorization: 'Bearer k' },
    });
    socket.on('error', () => {});
    const [, response] = await once(socket, 'unexpected-response');
    expect(response.statusCode).toBe(status);
    response.destroy();
  });

  it('refuses a model that it does not have', async () => {
    await using sim = await startOpenAiSimulator({ models: ['gpt-realtime-2.1'] });
    const client = new Client(`${sim.url}?model=gpt-4o-realtime-preview`);
    await client.closed;
    expect(client.events).toMatchObject([{ type: 'error', error: { code: 'model_not_found' } }]);
  });

  it('says when the session will end, and ends it then with session_expired and 1001', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, sessionMs: 90_000 });
    expect(line.client.events[0]).toMatchObject({
      session: {
        object: 'realtime.session',
        model: 'gpt-realtime-2.1',
        expires_at: Math.floor((clock.epoch() + 90_000) / 1000),
      },
    });
    clock.advance(89_999);
    expect(line.connection.isOpen).toBe(true);
    clock.advance(6);
    expect(await line.client.closed).toEqual({
      code: 1001,
      reason: 'Your session hit the maximum duration of 60 minutes.',
    });
    expect(line.client.events.at(-1)).toMatchObject({ type: 'error', error: { code: 'session_expired' } });
  });

  it('keeps the 101 back as long as it is told', async () => {
    const clock = new VirtualClock();
    await using sim = await startOpenAiSimulator({ clock, handshakeDelayMs: 700 });
    const client = new Client(sim.url + MODEL);
    const asked = once(client.socket, 'open');
    // The plan to answer is the first thing that this clock is asked for.
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(699);
    expect(sim.connections).toHaveLength(0);
    clock.advance(5);
    await asked;
    expect(sim.connections).toHaveLength(1);
  });

  it('makes the same ids for the same seed', async () => {
    const ids = async (seed: number): Promise<unknown> => {
      await using line = await start({ seed });
      return line.client.events[0]?.['event_id'];
    };
    expect(await ids(7)).toBe(await ids(7));
    expect(await ids(7)).not.toBe(await ids(8));
  });
});

describe('session.update', () => {
  it('answers with the whole session, merged, with arrays replaced and formats filled in', async () => {
    await using line = await start();
    const tool = (name: string) => ({
      type: 'function',
      name,
      description: 'd',
      parameters: { type: 'object' },
    });
    await line.client.ask(
      update({ instructions: 'Be kind.', tools: [tool('a'), tool('b')] }),
      'session.updated',
    );
    const { session } = await line.client.ask(
      update({
        tools: [tool('c')],
        audio: {
          input: { format: { type: 'audio/pcmu' } },
          output: { format: { type: 'audio/pcm' }, voice: 'cedar' },
        },
      }),
      'session.updated',
    );
    expect(session).toMatchObject({
      type: 'realtime',
      instructions: 'Be kind.',
      tools: [{ name: 'c' }],
      audio: {
        input: {
          format: { type: 'audio/pcmu' },
          turn_detection: { type: 'server_vad', silence_duration_ms: 500 },
        },
        output: { format: { type: 'audio/pcm', rate: 24000 }, voice: 'cedar', speed: 1 },
      },
    });
    expect(session).toEqual(
      expect.objectContaining({ expires_at: expect.any(Number), id: expect.stringMatching(/^sess_/) }),
    );
  });

  it('lets the keys that a partial turn_detection leaves out fall back to the defaults', async () => {
    await using line = await start();
    const detection = (fields: object) => update({ audio: { input: { turn_detection: fields } } });
    await line.client.ask(
      detection({ type: 'server_vad', threshold: 0.9, silence_duration_ms: 900 }),
      'session.updated',
    );
    await line.client.ask(detection({ type: 'server_vad', silence_duration_ms: 300 }), 'session.updated');
    expect(line.connection.session.audio.input.turn_detection).toMatchObject({
      threshold: 0.5,
      silence_duration_ms: 300,
      prefix_padding_ms: 300,
    });
    await line.client.ask(update({ audio: { input: { turn_detection: null } } }), 'session.updated');
    expect(line.connection.session.audio.input.turn_detection).toBeNull();
  });

  it.each([
    ['no session', { type: 'session.update' }, 'missing_required_parameter', 'session'],
    ['no type', { type: 'session.update', session: {} }, 'missing_required_parameter', 'session.type'],
    ['another type', update({ type: 'transcription' }), 'invalid_value', 'session.type'],
    ['temperature', update({ temperature: 0.8 }), 'unknown_parameter', 'session.temperature'],
    ['a flat voice', update({ voice: 'marin' }), 'unknown_parameter', 'session.voice'],
    [
      'both modalities',
      update({ output_modalities: ['text', 'audio'] }),
      'invalid_value',
      'session.output_modalities',
    ],
    [
      'an unknown voice',
      update({ audio: { output: { voice: 'bob' } } }),
      'invalid_value',
      'session.audio.output.voice',
    ],
    ['another model', update({ model: 'gpt-realtime' }), 'invalid_value', 'session.model'],
    ['instructions that are no text', update({ instructions: 5 }), 'invalid_type', 'session.instructions'],
    [
      '16 kHz',
      update({ audio: { input: { format: { type: 'audio/pcm', rate: 16000 } } } }),
      'invalid_value',
      'session.audio.input.format.rate',
    ],
    [
      'a rate for mu-law',
      update({ audio: { output: { format: { type: 'audio/pcmu', rate: 8000 } } } }),
      'unknown_parameter',
      'session.audio.output.format.rate',
    ],
    [
      'a beta format',
      update({ audio: { input: { format: 'g711_ulaw' } } }),
      'invalid_type',
      'session.audio.input.format',
    ],
    [
      'a threshold of 2',
      update({ audio: { input: { turn_detection: { type: 'server_vad', threshold: 2 } } } }),
      'decimal_above_max_value',
      'session.audio.input.turn_detection.threshold',
    ],
    [
      'eagerness for server_vad',
      update({ audio: { input: { turn_detection: { type: 'server_vad', eagerness: 'low' } } } }),
      'unknown_parameter',
      'session.audio.input.turn_detection.eagerness',
    ],
    [
      'too many tokens',
      update({ max_output_tokens: 4097 }),
      'integer_above_max_value',
      'session.max_output_tokens',
    ],
    [
      'a tool without a name',
      update({ tools: [{ type: 'function', parameters: {} }] }),
      'missing_required_parameter',
      'session.tools[0].name',
    ],
    [
      'a tool with a strange field',
      update({ tools: [{ type: 'function', name: 'a', strict: true }] }),
      'unknown_parameter',
      'session.tools[0].strict',
    ],
    ['a wrong tool choice', update({ tool_choice: 'maybe' }), 'invalid_value', 'session.tool_choice'],
  ])('refuses %s and changes nothing', async (_, event, code, param) => {
    await using line = await start();
    const before = line.connection.session;
    const error = await line.client.wrong({ ...event, event_id: 'evt_mine' });
    expect(error).toMatchObject({ type: 'invalid_request_error', code, param, event_id: 'evt_mine' });
    expect(line.connection.session).toBe(before);
    expect(line.connection.isOpen).toBe(true);
  });

  it('knows which settings need a model that reasons', async () => {
    await using sim = await startOpenAiSimulator();
    const plain = new Client(`${sim.url}?model=gpt-realtime-1.5`);
    await plain.next('session.created');
    expect(await plain.wrong(update({ reasoning: { effort: 'low' } }))).toMatchObject({
      code: 'unsupported_parameter',
    });
    const reasoning = new Client(sim.url + MODEL);
    await reasoning.next('session.created');
    await reasoning.ask(
      update({ reasoning: { effort: 'low' }, parallel_tool_calls: true }),
      'session.updated',
    );
  });

  it('fixes the voice once audio was sent, the speed while a response is made, and tracing once it is set', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, speedFactor: 1, respond: () => ({ audioMs: 1_000 }) });
    const { client } = line;
    await client.ask(update({ audio: { output: { voice: 'marin' } } }), 'session.updated');
    await client.ask({ type: 'response.create' }, 'response.created');
    clock.advance(50);
    await client.next('response.output_audio.delta');
    expect(await client.wrong(update({ audio: { output: { voice: 'cedar' } } }))).toMatchObject({
      code: 'cannot_update_voice',
    });
    expect(await client.wrong(update({ audio: { output: { speed: 1.5 } } }))).toMatchObject({
      code: 'invalid_value',
    });
    clock.advance(2_000);
    await client.next('response.done');
    await client.ask(update({ audio: { output: { voice: 'marin', speed: 1.5 } } }), 'session.updated');
    await client.ask(update({ tracing: 'auto' }), 'session.updated');
    expect(await client.wrong(update({ tracing: null }))).toMatchObject({ param: 'session.tracing' });
  });
});

describe('client events', () => {
  it.each([
    ['an unknown type', { type: 'response.start' }, 'invalid_value', 'type'],
    ['no type', {}, 'missing_required_parameter', 'type'],
    ['a beta name', { type: 'transcription_session.update' }, 'invalid_value', 'type'],
    ['an unknown field', { type: 'response.cancel', id: 'resp_1' }, 'unknown_parameter', 'id'],
    ['WebRTC’s buffer clear', { type: 'output_audio_buffer.clear' }, 'invalid_value', 'type'],
    ['no item id', { type: 'conversation.item.delete' }, 'missing_required_parameter', 'item_id'],
    [
      'a wrong conversation',
      { type: 'response.create', response: { conversation: 'x' } },
      'invalid_value',
      'response.conversation',
    ],
    [
      'beta modalities',
      { type: 'response.create', response: { modalities: ['text'] } },
      'unknown_parameter',
      'response.modalities',
    ],
  ])('are refused with %s, and the session goes on', async (_, event, code, param) => {
    await using line = await start();
    expect(await line.client.wrong(event)).toMatchObject({ code, param });
    await line.client.ask(userText('Still here?'), 'conversation.item.added');
  });

  it('are refused when they are no JSON, no object or no text', async () => {
    await using line = await start();
    for (const frame of ['{"type":', '[1]', Buffer.from('{"type":"response.create"}')]) {
      const since = line.client.events.length;
      line.client.socket.send(frame);
      expect(await line.client.next('error', since)).toMatchObject({
        error: { type: 'invalid_request_error' },
      });
    }
  });
});

describe('items', () => {
  it('are added, said to be done, and placed where the client wants them', async () => {
    await using line = await start();
    const { client } = line;
    await client.ask(userText('one', 'one'), 'conversation.item.done');
    await client.ask(userText('two', 'two'), 'conversation.item.done');
    const first = await client.ask(
      { ...userText('zero', 'zero'), previous_item_id: 'root' },
      'conversation.item.added',
    );
    expect(first).toMatchObject({
      previous_item_id: null,
      item: { id: 'zero', object: 'realtime.item', status: 'completed' },
    });
    const middle = await client.ask(
      { ...userText('half'), previous_item_id: 'one' },
      'conversation.item.added',
    );
    expect(middle).toMatchObject({ previous_item_id: 'one', item: { id: expect.stringMatching(/^item_/) } });
    const words = line.connection.items.map((item) => JSON.stringify(item['content']));
    expect(words.map((text) => /"text":"(\w+)"/.exec(text)?.[1])).toEqual(['zero', 'one', 'half', 'two']);
  });

  it.each([
    ['after an unknown one', { ...userText('x'), previous_item_id: 'nobody' }, 'previous_item_id'],
    ['with an id that is taken', userText('x', 'taken'), 'item.id'],
    ['with an id of strange letters', userText('x', 'no spaces'), 'item.id'],
    ['without an item', { type: 'conversation.item.create' }, 'item'],
    ['of an unknown type', { type: 'conversation.item.create', item: { type: 'thought' } }, 'item.type'],
    [
      'of a user who says text',
      {
        type: 'conversation.item.create',
        item: { type: 'message', role: 'user', content: [{ type: 'text', text: 'x' }] },
      },
      'item.content[0].type',
    ],
    [
      'of an assistant with audio',
      {
        type: 'conversation.item.create',
        item: { type: 'message', role: 'assistant', content: [{ type: 'output_audio', audio: 'AAAA' }] },
      },
      'item.content[0].audio',
    ],
    [
      'of a system that listens',
      {
        type: 'conversation.item.create',
        item: { type: 'message', role: 'system', content: [{ type: 'input_audio', audio: 'AAAA' }] },
      },
      'item.content[0].type',
    ],
    [
      'that answer a call nobody made',
      {
        type: 'conversation.item.create',
        item: { type: 'function_call_output', call_id: 'call_no', output: '{}' },
      },
      'item.call_id',
    ],
  ])('are refused %s', async (_, event, param) => {
    await using line = await start();
    await line.client.ask(userText('here', 'taken'), 'conversation.item.done');
    expect(await line.client.wrong(event)).toMatchObject({ param, type: 'invalid_request_error' });
    expect(line.connection.items).toHaveLength(1);
  });

  it('can be fetched and deleted once', async () => {
    await using line = await start();
    const { client } = line;
    await client.ask(userText('here', 'mine'), 'conversation.item.done');
    const fetched = await client.ask(
      { type: 'conversation.item.retrieve', item_id: 'mine' },
      'conversation.item.retrieved',
    );
    expect(fetched).toMatchObject({ item: { id: 'mine', role: 'user' } });
    await client.ask({ type: 'conversation.item.delete', item_id: 'mine' }, 'conversation.item.deleted');
    expect(line.connection.items).toEqual([]);
    const again = await client.wrong({ type: 'conversation.item.delete', item_id: 'mine' });
    expect(again).toMatchObject({ code: 'item_delete_invalid_item_id' });
    const gone = await client.wrong({ type: 'conversation.item.retrieve', item_id: 'mine' });
    expect(gone).toMatchObject({ code: 'item_retrieve_invalid_item_id' });
  });

  it('are truncated to what was heard, which takes their words away', async () => {
    await using line = await start({ respond: () => ({ audioMs: 1_200, transcript: 'A long sentence.' }) });
    const { client, connection } = line;
    const done = await client.ask({ type: 'response.create' }, 'response.output_audio.done');
    const item_id = String(done['item_id']);
    const cut = { type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms: 700 };
    expect(await client.ask(cut, 'conversation.item.truncated')).toMatchObject({
      item_id,
      content_index: 0,
      audio_end_ms: 700,
    });
    expect(connection.truncations).toEqual([
      { itemId: item_id, contentIndex: 0, audioEndMs: 700, sentMs: 1_200 },
    ]);
    expect(connection.items).toMatchObject([{ status: 'incomplete', content: [{ transcript: '' }] }]);
    expect(connection.sentAudioMs(item_id)).toBe(1_200);
    expect(await client.wrong({ ...cut, audio_end_ms: 785 })).toMatchObject({
      code: 'invalid_value',
      message: 'Audio content of 700ms is already shorter than 785ms',
    });
    expect(await client.wrong({ ...cut, audio_end_ms: -1 })).toMatchObject({
      code: 'integer_below_min_value',
    });
    expect(await client.wrong({ ...cut, audio_end_ms: 10.5 })).toMatchObject({ code: 'invalid_type' });
    expect(await client.wrong({ ...cut, content_index: 1 })).toMatchObject({ code: 'invalid_value' });
    expect(await client.wrong({ ...cut, item_id: 'item_no' })).toMatchObject({
      code: 'item_truncate_invalid_item_id',
    });
    expect(connection.truncations).toHaveLength(1);
  });

  it('cannot be truncated before they have audio, nor when they are not the agent’s speech', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      firstAudioMs: 0,
      respond: () => ({ audioMs: 0, transcript: 'Hm.' }),
    });
    const { client } = line;
    client.send({ type: 'response.create' });
    await client.next('response.created');
    clock.advance(100);
    const added = await client.next('response.output_item.done');
    const silent = String((added['item'] as Record<string, unknown>)['id']);
    await client.ask(userText('words', 'words'), 'conversation.item.done');
    for (const item_id of [silent, 'words']) {
      const error = await client.wrong({
        type: 'conversation.item.truncate',
        item_id,
        content_index: 0,
        audio_end_ms: 0,
      });
      expect(error).toMatchObject({
        code: 'unsupported_content_type',
        message: 'Only model output audio messages can be truncated',
      });
    }
  });
});

describe('the caller’s audio', () => {
  it.each(Object.keys(FORMATS) as FormatName[])('in %s becomes a turn by its energy', async (format) => {
    const turns: Turn[] = [];
    await using line = await start({
      keepAudio: true,
      respond: (turn) => {
        turns.push(turn);
        return { audioMs: 100 };
      },
    });
    const { client, connection } = line;
    const audio = { input: { format: { type: format }, transcription: { model: 'gpt-transcribe' } } };
    await client.ask(update({ audio }), 'session.updated');
    const said = Buffer.concat([silence(1_000, format), speech(800, format), silence(700, format)]);
    append(client, said, format === 'audio/pcm' ? 960 : 160);
    await client.next('response.done');
    await client.next('conversation.item.input_audio_transcription.completed');
    const [started, stopped, committed, added] = await Promise.all([
      client.next('input_audio_buffer.speech_started'),
      client.next('input_audio_buffer.speech_stopped'),
      client.next('input_audio_buffer.committed'),
      client.next('conversation.item.added'),
    ]);
    expect(started).toMatchObject({ audio_start_ms: 700, item_id: committed['item_id'] });
    expect(stopped).toMatchObject({ audio_end_ms: 2_300, item_id: committed['item_id'] });
    expect(added).toMatchObject({
      item: { id: committed['item_id'], role: 'user', content: [{ type: 'input_audio' }] },
    });
    expect(turns).toMatchObject([{ kind: 'user-turn', heardMs: 800, index: 0 }]);
    expect(client.story().slice(2, 8)).toEqual([
      'input_audio_buffer.speech_started',
      'input_audio_buffer.speech_stopped',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
      'response.created',
    ]);
    expect(connection.receivedAudioMs).toBe(2_500);
    expect(Buffer.from(connection.receivedAudio()).equals(said)).toBe(true);
  });

  it('may be cut inside a sample', async () => {
    await using line = await start({ keepAudio: true, respond: () => ({}) });
    const said = Buffer.concat([silence(200), speech(400), silence(600)]);
    append(line.client, said, 333);
    await line.client.next('response.done');
    expect(await line.client.next('input_audio_buffer.speech_stopped')).toMatchObject({
      audio_end_ms: 1_100,
    });
    await line.client.ask(userText('sync'), 'conversation.item.done');
    expect(Buffer.from(line.connection.receivedAudio()).equals(said)).toBe(true);
  });

  it('is no louder for being cut inside a sample', async () => {
    await using line = await start();
    append(line.client, speech(600, 'audio/pcm', 100), 333);
    await line.client.ask(userText('sync'), 'conversation.item.done');
    expect(line.client.types).not.toContain('input_audio_buffer.speech_started');
  });

  it('is speech only when it is as loud as the threshold asks, and longer than a click', async () => {
    await using line = await start({ respond: () => ({}) });
    const { client } = line;
    append(client, Buffer.concat([speech(20), silence(600), speech(500, 'audio/pcm', 300), silence(600)]));
    await client.ask(
      update({ audio: { input: { turn_detection: { type: 'server_vad', threshold: 0 } } } }),
      'session.updated',
    );
    expect(client.types).not.toContain('input_audio_buffer.speech_started');
    append(client, Buffer.concat([speech(500, 'audio/pcm', 300), silence(600)]));
    await client.next('input_audio_buffer.speech_stopped');
  });

  it.each([
    ['high', 500],
    ['auto', 1_000],
    ['low', 2_000],
  ])('waits longer before it answers with eagerness %s', async (eagerness, ms) => {
    await using line = await start({ respond: () => ({}) });
    const turn_detection = { type: 'semantic_vad', eagerness };
    await line.client.ask(update({ audio: { input: { turn_detection } } }), 'session.updated');
    append(line.client, Buffer.concat([speech(400), silence(2_200)]));
    expect(await line.client.next('input_audio_buffer.speech_stopped')).toMatchObject({
      audio_end_ms: 400 + ms,
    });
  });

  it('is left unanswered when the session wants no responses of the server', async () => {
    await using line = await start({ respond: () => ({}) });
    const turn_detection = { type: 'server_vad', create_response: false };
    await line.client.ask(update({ audio: { input: { turn_detection } } }), 'session.updated');
    append(line.client, Buffer.concat([speech(400), silence(600)]));
    await line.client.next('input_audio_buffer.committed');
    await line.client.ask(userText('sync', 'sync'), 'conversation.item.done');
    await line.client.ask({ type: 'conversation.item.delete', item_id: 'sync' }, 'conversation.item.deleted');
    expect(line.client.types).not.toContain('response.created');
    await line.client.ask({ type: 'response.create' }, 'response.done');
    expect(line.client.types.filter((type) => type === 'response.created')).toHaveLength(1);
  });

  it('is a turn of the client’s own making without turn detection', async () => {
    const turns: Turn[] = [];
    await using line = await start({
      respond: (turn) => {
        turns.push(turn);
        return {};
      },
    });
    const { client } = line;
    await client.ask(update({ audio: { input: { turn_detection: null } } }), 'session.updated');
    append(client, speech(80));
    expect(await client.wrong({ type: 'input_audio_buffer.commit' })).toMatchObject({
      code: 'input_audio_buffer_commit_empty',
      message: expect.stringContaining('80.00ms'),
    });
    await client.ask({ type: 'input_audio_buffer.clear' }, 'input_audio_buffer.cleared');
    append(client, Buffer.concat([silence(100), speech(300), silence(900)]));
    await client.ask({ type: 'input_audio_buffer.commit' }, 'conversation.item.done');
    expect(client.types).not.toContain('input_audio_buffer.speech_started');
    await client.ask({ type: 'response.create' }, 'response.done');
    expect(turns).toMatchObject([{ kind: 'user-turn', heardMs: 300 }]);
  });

  it('is refused when it is no base64, missing, or more than 15 MiB at once', async () => {
    await using line = await start();
    for (const audio of ['not base64!', undefined, 7, 'A'.repeat(15 * 1024 * 1024 + 4)]) {
      expect(await line.client.wrong({ type: 'input_audio_buffer.append', audio })).toMatchObject({
        param: 'audio',
      });
    }
    expect(line.connection.receivedAudioMs).toBe(0);
  });

  it('that does not come for idle_timeout_ms makes the server ask', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, respond: () => ({ audioMs: 1_000 }) });
    const { client } = line;
    const turn_detection = { type: 'server_vad', idle_timeout_ms: 6_000 };
    await client.ask(update({ audio: { input: { turn_detection } } }), 'session.updated');
    await client.ask({ type: 'response.create' }, 'response.created');
    clock.advance(10);
    await client.next('response.done');
    const since = client.events.length;
    clock.advance(6_900);
    await client.ask(userText('sync'), 'conversation.item.done');
    expect(client.types).not.toContain('input_audio_buffer.timeout_triggered');
    clock.advance(110);
    await client.next('response.created', since);
    const from = client.types.indexOf('input_audio_buffer.timeout_triggered');
    expect(client.types.slice(from, from + 5)).toEqual([
      'input_audio_buffer.timeout_triggered',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
      'response.created',
    ]);
  });

  it.each([
    ['before the response', 0, false],
    ['after it', 'response', true],
  ] as const)('is transcribed %s when the script says so', async (_, after, isLate) => {
    await using line = await start({
      respond: () => ({ audioMs: 60 }),
      firstAudioMs: 60,
      hear: () => ({ transcript: 'Good evening.', after }),
    });
    const { client } = line;
    await client.ask(
      update({ audio: { input: { transcription: { model: 'gpt-transcribe' } } } }),
      'session.updated',
    );
    append(client, Buffer.concat([speech(400), silence(600)]));
    await client.next('response.done');
    const completed = await client.next('conversation.item.input_audio_transcription.completed');
    expect(completed).toMatchObject({
      transcript: 'Good evening.',
      content_index: 0,
      usage: { type: 'tokens' },
    });
    const order = client.types.indexOf(completed.type) - client.types.indexOf('response.done');
    expect(order > 0).toBe(isLate);
    const deltas = client.events.filter((event) => event.type.endsWith('transcription.delta'));
    expect(deltas.map((event) => event['delta']).join('')).toBe('Good evening.');
  });

  it('may fail to be transcribed', async () => {
    const error = { type: 'transcription_error', code: 'audio_unintelligible', message: 'no words' };
    await using line = await start({ respond: () => ({}), hear: () => ({ error, after: 0 }) });
    await line.client.ask(
      update({ audio: { input: { transcription: { model: 'whisper-1' } } } }),
      'session.updated',
    );
    line.connection.callerStarts();
    line.connection.callerStops();
    expect(await line.client.next('conversation.item.input_audio_transcription.failed')).toMatchObject({
      error,
    });
  });

  it('makes no responses in a transcription session', async () => {
    await using sim = await startOpenAiSimulator(FAST);
    const client = new Client(`${sim.url}?intent=transcription`);
    await client.next('session.created');
    const session = {
      type: 'transcription',
      audio: { input: { transcription: { model: 'gpt-transcribe' } } },
    };
    await client.ask({ type: 'session.update', session }, 'session.updated');
    append(client, Buffer.concat([speech(400), silence(600)]));
    await client.next('conversation.item.input_audio_transcription.completed');
    await client.wrong({ type: 'response.create' });
    expect(client.types).not.toContain('response.created');
  });
});
