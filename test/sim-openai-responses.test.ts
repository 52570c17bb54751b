import { describe, expect, it } from 'vitest';
import type { Turn } from '../src/sim/openai.ts';
import {
  append,
  Client,
  type Event,
  FORMATS,
  MODEL,
  silence,
  speech,
  start,
  tone,
  update,
  userText,
} from './support/openai-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const SPOKEN = [
  'response.created',
  'response.output_item.added',
  'conversation.item.added',
  'response.content_part.added',
  'response.output_audio_transcript.delta',
  'response.output_audio.delta',
];
const SPOKEN_END = [
  'response.output_audio.done',
  'response.output_audio_transcript.done',
  'response.content_part.done',
  'conversation.item.done',
  'response.output_item.done',
  'response.done',
];

function field(event: Event | undefined, name: string): Record<string, unknown> {
  return event?.[name] as Record<string, unknown>;
}

/** What was heard of an item: its deltas put together. */
function audioOf(client: Client, itemId: unknown): Buffer {
  const deltas = client.events.filter(
    (event) => event.type === 'response.output_audio.delta' && event['item_id'] === itemId,
  );
  return Buffer.concat(deltas.map((event) => Buffer.from(String(event['delta']), 'base64')));
}

describe('a spoken response', () => {
  it('tells its story in the order of the service', async () => {
    await using line = await start({
      respond: () => ({ audioMs: 300, transcript: 'Good evening to you all.' }),
    });
    const { client } = line;
    const done = await client.ask({ type: 'response.create' }, 'response.done');
    await client.next('rate_limits.updated');
    const types = client.types.slice(1);
    expect(types.slice(0, 6)).toEqual(SPOKEN);
    expect(types.slice(-7)).toEqual([...SPOKEN_END, 'rate_limits.updated']);
    const words = client.events.filter((event) => event.type === 'response.output_audio_transcript.delta');
    expect(words.map((event) => event['delta']).join('')).toBe('Good evening to you all.');
    expect(done).toMatchObject({
      response: {
        object: 'realtime.response',
        status: 'completed',
        status_details: null,
        output_modalities: ['audio'],
        output: [
          {
            type: 'message',
            role: 'assistant',
            status: 'completed',
            content: [{ type: 'output_audio', transcript: 'Good evening to you all.' }],
          },
        ],
      },
    });
    const ids = client.events.map((event) => event['event_id']);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(['audio/pcm', 'audio/pcmu', 'audio/pcma'] as const)(
    'sends the samples of the script in %s',
    async (format) => {
      const samples = tone(730);
      await using line = await start({ keepAudio: true, respond: () => ({ audio: samples }) });
      const { client } = line;
      await client.ask(update({ audio: { output: { format: { type: format } } } }), 'session.updated');
      const done = await client.ask({ type: 'response.create' }, 'response.output_audio.done');
      const heard = audioOf(client, done['item_id']);
      expect(heard.length).toBe((730 * FORMATS[format].rate * (format === 'audio/pcm' ? 2 : 1)) / 1000);
      if (format === 'audio/pcm') expect(heard.equals(Buffer.from(samples.buffer))).toBe(true);
      expect(Buffer.from(line.connection.sentAudio(String(done['item_id']))).equals(heard)).toBe(true);
      expect(line.connection.sentAudioMs(String(done['item_id']))).toBe(730);
    },
  );

  it('comes faster than it is heard, in deltas, after a while to think', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      firstAudioMs: 250,
      speedFactor: 4,
      deltaMs: 100,
      respond: () => ({ audioMs: 2_000 }),
    });
    const { client, connection } = line;
    await client.ask({ type: 'response.create' }, 'response.created');
    const sent = (): number =>
      connection.sent.filter(({ event }) => event.type === 'response.output_audio.delta').length;
    clock.advance(249);
    expect(sent()).toBe(0);
    clock.advance(1);
    expect(sent()).toBe(1);
    clock.advance(250);
    expect(sent()).toBe(11);
    clock.advance(230);
    expect(sent()).toBe(20);
    expect(connection.activeResponse).toBeUndefined();
    expect(clock.pending).toBe(1);
  });

  it('keeps its pace though timers are coarse', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, speedFactor: 7, respond: () => ({ audioMs: 20_000 }) });
    await line.client.ask({ type: 'response.create' }, 'response.created');
    clock.advance(20_000 / 7);
    expect(line.connection.activeResponse).toBeUndefined();
    await line.client.next('response.done');
  });

  it('babbles for as long as it should when there are no samples, and never in silence', async () => {
    await using line = await start({ deltaMs: 70, respond: () => ({ audioMs: 13_000 }) });
    const done = await line.client.ask({ type: 'response.create' }, 'response.output_audio.done');
    const heard = audioOf(line.client, done['item_id']);
    expect(heard.length).toBe(13_000 * 48);
    for (let at = 0; at < heard.length; at += 48 * 1_000) {
      const second = heard.subarray(at, at + 48 * 1_000);
      const peak = Math.max(...new Int16Array(second.buffer, second.byteOffset, second.length / 2));
      expect(peak).toBeGreaterThan(2_000);
      expect(peak).toBeLessThan(20_000);
    }
  });

  it('is written when the session wants text', async () => {
    await using line = await start({ respond: () => ({ transcript: 'Only words.' }) });
    const { client } = line;
    await client.ask(update({ output_modalities: ['text'] }), 'session.updated');
    const since = client.events.length;
    const done = await client.ask({ type: 'response.create' }, 'response.done');
    expect(client.story(since, 'response.done')).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
    ]);
    expect(done).toMatchObject({
      response: { output: [{ content: [{ type: 'output_text', text: 'Only words.' }] }] },
    });
  });

  it('ends incomplete when the tokens are used up', async () => {
    await using line = await start({ respond: () => ({ audioMs: 10_000 }) });
    const { client } = line;
    const done = await client.ask(
      { type: 'response.create', response: { max_output_tokens: 20 } },
      'response.done',
    );
    expect(done).toMatchObject({
      response: {
        status: 'incomplete',
        status_details: { type: 'incomplete', reason: 'max_output_tokens' },
        output: [{ status: 'incomplete' }],
        usage: { output_token_details: { audio_tokens: 20 } },
      },
    });
    expect(
      audioOf(
        client,
        field(
          client.events.find((event) => event.type === 'response.output_item.added'),
          'item',
        )['id'],
      ).length,
    ).toBe(48_000);
  });

  it.each([
    [
      { status: 'failed' as const },
      { status: 'failed', status_details: { type: 'failed', error: { type: 'server_error' } } },
    ],
    [
      { audioMs: 200, status: 'incomplete' as const, reason: 'content_filter' as const },
      {
        status: 'incomplete',
        status_details: { reason: 'content_filter' },
        output: [{ status: 'incomplete' }],
      },
    ],
    [{}, { status: 'completed', output: [] }],
  ])('ends as the script says: %j', async (plan, response) => {
    await using line = await start({ respond: () => plan });
    expect(await line.client.ask({ type: 'response.create' }, 'response.done')).toMatchObject({ response });
  });

  it('is billed with everything said so far, of which the cache knows the old part', async () => {
    await using line = await start({ respond: () => ({ audioMs: 2_000, transcript: 'Yes.' }) });
    const { client } = line;
    await client.ask(update({ instructions: 'Talk. '.repeat(200) }), 'session.updated');
    const usages: Record<string, Record<string, number>>[] = [];
    for (let turn = 0; turn < 2; turn++) {
      append(client, Buffer.concat([silence(300), speech(1_000), silence(600)]));
      const since = client.events.length;
      const done = await client.next('response.done', since);
      usages.push(field(done, 'response')['usage'] as Record<string, Record<string, number>>);
    }
    const [first, second] = usages;
    expect(first?.['output_token_details']).toEqual({ audio_tokens: 40, text_tokens: 1 });
    expect(first?.['input_token_details']?.['cached_tokens']).toBe(0);
    expect(Number(second?.['input_tokens'])).toBeGreaterThan(Number(first?.['input_tokens']) + 40);
    expect(second?.['input_token_details']?.['cached_tokens']).toBe(
      Math.floor(Number(first?.['input_tokens']) / 64) * 64,
    );
  });
});

describe('one response at a time', () => {
  it('is the rule of the conversation, and its error names the active one', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock, respond: () => ({ audioMs: 100 }) });
    const { client } = line;
    const created = await client.ask({ type: 'response.create' }, 'response.created');
    const id = String(field(created, 'response')['id']);
    expect(line.connection.activeResponse).toBe(id);
    expect(await client.wrong({ type: 'response.create', event_id: 'again' })).toMatchObject({
      code: 'conversation_already_has_active_response',
      message: `Conversation already has an active response in progress: ${id}. Wait until the response is finished before creating a new one.`,
      event_id: 'again',
    });
    clock.advance(1_000);
    await client.next('response.done');
    await client.ask({ type: 'response.create' }, 'response.created');
  });

  it('does not count those beside the conversation, which leave no trace in it', async () => {
    const clock = new VirtualClock();
    const turns: Turn[] = [];
    await using line = await start({
      clock,
      respond: (turn) => {
        turns.push(turn);
        return { audioMs: 100, transcript: 'Aside.' };
      },
    });
    const { client, connection } = line;
    await client.ask(userText('the topic', 'topic'), 'conversation.item.done');
    await client.ask({ type: 'response.create' }, 'response.created');
    const created = await client.ask(
      {
        type: 'response.create',
        response: {
          conversation: 'none',
          metadata: { topic: 'summary' },
          output_modalities: ['text'],
          instructions: 'Sum it up.',
          input: [
            { type: 'item_reference', id: 'topic' },
            { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'And?' }] },
          ],
        },
      },
      'response.created',
    );
    expect(created).toMatchObject({
      response: { conversation_id: null, metadata: { topic: 'summary' }, output_modalities: ['text'] },
    });
    clock.advance(1_000);
    await client.next('response.output_text.done');
    expect(await client.ask(userText('sync'), 'conversation.item.done')).toBeDefined();
    expect(connection.items).toHaveLength(3);
    expect(turns[1]).toMatchObject({
      instructions: 'Sum it up.',
      items: [{ id: 'topic' }, { role: 'user' }],
    });
    const aside = (created['response'] as Record<string, unknown>)['id'];
    expect(await client.wrong({ type: 'response.cancel', response_id: aside })).toMatchObject({
      code: 'response_cancel_not_active',
    });
    const unknown = {
      type: 'response.create',
      response: { conversation: 'none', input: [{ type: 'item_reference', id: 'x' }] },
    };
    expect(await client.wrong(unknown)).toMatchObject({ param: 'response.input[0].id' });
  });

  it('may have its own tools, instructions, voice and format', async () => {
    const turns: Turn[] = [];
    await using line = await start({
      respond: (turn) => {
        turns.push(turn);
        return { audioMs: 100 };
      },
    });
    const { client } = line;
    const tools = [{ type: 'function', name: 'only_now', parameters: { type: 'object' } }];
    const audio = { output: { format: { type: 'audio/pcmu' }, voice: 'cedar' } };
    const done = await client.ask(
      { type: 'response.create', response: { tools, audio, instructions: 'Now.' } },
      'response.done',
    );
    expect(turns).toMatchObject([{ kind: 'greeting', instructions: 'Now.', tools: [{ name: 'only_now' }] }]);
    expect(done).toMatchObject({
      response: { audio: { output: { voice: 'cedar', format: { type: 'audio/pcmu' } } } },
    });
    expect(line.connection.session.audio.output.voice).toBe('alloy');
    expect(
      audioOf(
        client,
        field(
          client.events.find((event) => event.type === 'response.output_item.added'),
          'item',
        )['id'],
      ).length,
    ).toBe(800);
  });

  it('takes no more than 16 pieces of metadata', async () => {
    await using line = await start();
    const metadata = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v']));
    expect(await line.client.wrong({ type: 'response.create', response: { metadata } })).toMatchObject({
      param: 'response.metadata',
    });
  });

  it('knows why it is asked', async () => {
    const kinds: string[] = [];
    await using line = await start({
      respond: ({ kind }) => {
        kinds.push(kind);
        return kinds.length === 2 ? { toolCalls: [{ name: 'f', args: {}, callId: 'call_1' }] } : {};
      },
    });
    const { client } = line;
    await client.ask({ type: 'response.create' }, 'response.done');
    await client.ask(userText('Call it.'), 'conversation.item.done');
    await client.ask({ type: 'response.create' }, 'response.done');
    const output = { type: 'function_call_output', call_id: 'call_1', output: '{}' };
    await client.ask({ type: 'conversation.item.create', item: output }, 'conversation.item.done');
    await client.ask({ type: 'response.create' }, 'response.done');
    await client.ask({ type: 'response.create' }, 'response.done');
    expect(kinds).toEqual(['greeting', 'text', 'tool-result', 'prompt']);
  });
});

describe('an interruption', () => {
  async function speaking(
    turnDetection: object = { type: 'server_vad' },
    plan: object = { audioMs: 60_000, transcript: 'On and on it goes.' },
  ) {
    const clock = new VirtualClock();
    const line = await start({ clock, speedFactor: 4, respond: ({ index }) => (index === 0 ? plan : {}) });
    await line.client.ask(update({ audio: { input: { turn_detection: turnDetection } } }), 'session.updated');
    await line.client.ask({ type: 'response.create', response: {} }, 'response.created');
    return { ...line, clock };
  }

  it('by speech closes what was begun, and ends the response as cancelled by the turn', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      speedFactor: 4,
      respond: ({ index }) => (index === 0 ? { audioMs: 60_000, transcript: 'On and on.' } : {}),
    });
    const { client, connection } = line;
    await client.ask({ type: 'response.create' }, 'response.created');
    clock.advance(500);
    await client.next('response.output_audio.delta');
    append(client, Buffer.concat([silence(400), speech(300)]));
    const done = await client.next('response.done');
    const types = client.types;
    const from = types.indexOf('input_audio_buffer.speech_started');
    expect(types.slice(from, from + 7)).toEqual(['input_audio_buffer.speech_started', ...SPOKEN_END]);
    expect(done).toMatchObject({
      response: {
        status: 'cancelled',
        status_details: { type: 'cancelled', reason: 'turn_detected' },
        output: [{ status: 'incomplete' }],
      },
    });
    clock.advance(5_000);
    await client.ask(userText('sync'), 'conversation.item.done');
    expect(client.types.slice(types.indexOf('response.done'))).not.toContain('response.output_audio.delta');
    const [item] = connection.items;
    const heard = {
      type: 'conversation.item.truncate',
      item_id: item?.['id'],
      content_index: 0,
      audio_end_ms: 350,
    };
    expect(await client.ask(heard, 'conversation.item.truncated')).toMatchObject({ audio_end_ms: 350 });
  });

  it('does not happen when the session forbids it, and then the answer to the turn fails', async () => {
    await using line = await speaking({ type: 'server_vad', interrupt_response: false });
    append(line.client, Buffer.concat([speech(300), silence(600)]));
    expect(await line.client.next('error')).toMatchObject({
      error: { code: 'conversation_already_has_active_response' },
    });
    expect(line.connection.activeResponse).toBeDefined();
  });

  it('by the client names the response or takes the active one, and is an error without one', async () => {
    await using line = await speaking();
    const { client, connection } = line;
    expect(await client.wrong({ type: 'response.cancel', response_id: 'resp_no' })).toMatchObject({
      code: 'response_cancel_not_active',
    });
    const done = await client.ask(
      { type: 'response.cancel', response_id: connection.activeResponse },
      'response.done',
    );
    expect(done).toMatchObject({
      response: { status: 'cancelled', status_details: { reason: 'client_cancelled' }, output: [] },
    });
    expect(await client.wrong({ type: 'response.cancel' })).toMatchObject({
      code: 'response_cancel_not_active',
      message: 'Cancellation failed: no active response found',
    });
  });

  it('may be told by a truncation alone, and the item then stays as it was cut', async () => {
    await using line = await speaking();
    const { client, connection, clock } = line;
    clock.advance(500);
    const { item_id } = await client.next('response.output_audio.delta');
    const cut = { type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms: 90 };
    await client.ask(cut, 'conversation.item.truncated');
    clock.advance(500);
    await client.ask({ type: 'response.cancel' }, 'response.done');
    expect(connection.items).toMatchObject([{ status: 'incomplete', content: [{ transcript: '' }] }]);
    expect(await client.wrong({ ...cut, audio_end_ms: 91 })).toMatchObject({ code: 'invalid_value' });
  });

  it('in the middle of a function call still says that the arguments are done', async () => {
    const clock = new VirtualClock();
    await using line = await start({
      clock,
      speedFactor: 1,
      respond: () => ({ toolCalls: [{ name: 'f', args: { long: 'x'.repeat(100) } }] }),
    });
    const { client } = line;
    await client.ask({ type: 'response.create' }, 'response.created');
    clock.advance(40);
    await client.next('response.function_call_arguments.delta');
    const done = await client.ask({ type: 'response.cancel' }, 'response.done');
    const args = await client.next('response.function_call_arguments.done');
    expect(() => JSON.parse(String(args['arguments']))).toThrow(SyntaxError);
    expect(done).toMatchObject({
      response: { status: 'cancelled', output: [{ type: 'function_call', status: 'incomplete' }] },
    });
  });
});

describe('function calls', () => {
  it('come in pieces, then whole, and are answered by their id', async () => {
    const turns: Turn[] = [];
    await using line = await start({
      respond: (turn) => {
        turns.push(turn);
        return turn.kind === 'tool-result'
          ? { transcript: 'It is raining.', audioMs: 100 }
          : { toolCalls: [{ name: 'weather', args: { city: 'Lisbon', unit: 'celsius' } }] };
      },
    });
    const { client } = line;
    const since = client.events.length;
    const done = await client.ask({ type: 'response.create' }, 'response.done');
    expect(client.story(since, 'response.done')).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
    ]);
    const deltas = client.events.filter((event) => event.type === 'response.function_call_arguments.delta');
    expect(deltas.length).toBeGreaterThan(1);
    const whole = await client.next('response.function_call_arguments.done');
    expect(deltas.map((event) => event['delta']).join('')).toBe(whole['arguments']);
    expect(JSON.parse(String(whole['arguments']))).toEqual({ city: 'Lisbon', unit: 'celsius' });
    const [call] = field(done, 'response')['output'] as Record<string, unknown>[];
    expect(call).toMatchObject({
      type: 'function_call',
      name: 'weather',
      call_id: whole['call_id'],
      status: 'completed',
    });
    const item = { type: 'function_call_output', call_id: whole['call_id'], output: '{"sky":"rain"}' };
    await client.ask({ type: 'conversation.item.create', item }, 'conversation.item.done');
    await client.ask({ type: 'response.create' }, 'response.done');
    expect(turns[1]).toMatchObject({ kind: 'tool-result', newItems: [{ output: '{"sky":"rain"}' }] });
  });

  it('come several at once, after a spoken preamble, in the order of the output', async () => {
    await using line = await start({
      respond: () => ({
        outputs: [
          { type: 'message', transcript: 'One moment.', audioMs: 200, phase: 'commentary' },
          { type: 'function_call', name: 'a', args: '{broken' },
          { type: 'function_call', name: 'b', args: {} },
          { type: 'message', transcript: 'Well.', audioMs: 100, phase: 'final_answer' },
        ],
      }),
    });
    const done = await line.client.ask({ type: 'response.create' }, 'response.done');
    expect(done).toMatchObject({
      response: {
        output: [
          { type: 'message', phase: 'commentary' },
          { type: 'function_call', name: 'a', arguments: '{broken' },
          { type: 'function_call', name: 'b', arguments: '{}' },
          { type: 'message', phase: 'final_answer' },
        ],
      },
    });
    const added = line.client.events.filter((event) => event.type === 'response.output_item.added');
    expect(added.map((event) => event['output_index'])).toEqual([0, 1, 2, 3]);
    expect(new Set(added.map((event) => field(event, 'item')['id'])).size).toBe(4);
  });
});

describe('without a script', () => {
  it('the simulator greets, and says how much it heard', async () => {
    await using line = await start();
    const { client } = line;
    await client.ask(
      update({ audio: { input: { transcription: { model: 'gpt-transcribe' } } } }),
      'session.updated',
    );
    const greeting = await client.ask({ type: 'response.create' }, 'response.output_audio_transcript.done');
    expect(greeting['transcript']).toContain('Hello');
    await client.next('response.done');
    const since = client.events.length;
    append(client, Buffer.concat([silence(300), speech(2_100), silence(700)]));
    const answer = await client.next('response.output_audio_transcript.done', since);
    expect(answer['transcript']).toBe('I heard 2.1 seconds of speech.');
    const heard = await client.next('conversation.item.input_audio_transcription.completed');
    expect(heard['transcript']).toBe('Speech of 2.1 seconds.');
  });
});

describe('a test', () => {
  it('can speak for the model and for the caller', async () => {
    const clock = new VirtualClock();
    await using line = await start({ clock });
    const { client, connection } = line;
    expect(connection.speak({ audioMs: 500, transcript: 'Unasked.' })).toBe(true);
    expect(connection.speak({ audioMs: 500 })).toBe(false);
    clock.advance(1_000);
    await client.next('response.done');
    connection.callerStarts();
    clock.advance(1_500);
    connection.callerStops();
    clock.advance(1_000);
    const said = await connection.next(
      'response.output_audio_transcript.done',
      (event) => event['transcript'] !== 'Unasked.',
    );
    expect(said.event['transcript']).toBe('I heard 1.5 seconds of speech.');
    connection.inject({ type: 'session.surprise', n: 1 });
    expect(await client.next('session.surprise')).toMatchObject({
      n: 1,
      event_id: expect.stringMatching(/^event_/),
    });
  });

  it('waits for events of both directions, each once, and is told when none can come any more', async () => {
    await using line = await start();
    const { client, connection } = line;
    client.send(userText('one', 'one'));
    client.send(userText('two', 'two'));
    await client.next('conversation.item.done', 3);
    const named = (id: string) => (event: Event) => (event['item'] as Record<string, unknown>)['id'] === id;
    expect((await connection.next('conversation.item.create', named('two'))).direction).toBe('received');
    expect((await connection.next('conversation.item.create')).event).toMatchObject({ item: { id: 'one' } });
    const never = connection.next('conversation.item.create');
    client.socket.close(1000, 'enough');
    await expect(never).rejects.toThrow('CANCELLED');
    expect(await connection.closed).toEqual({ code: 1000, reason: 'enough' });
  });

  it('sees every event without the audio, and a log that does not grow without end', async () => {
    const seen: string[] = [];
    await using line = await start({
      keepEvents: 40,
      onEvent: (_, { event }) => seen.push(JSON.stringify(event)),
      respond: () => ({ audioMs: 20_000 }),
    });
    append(line.client, speech(40));
    await line.client.ask({ type: 'response.create' }, 'response.done');
    expect(Math.max(...seen.map((text) => text.length))).toBeLessThan(2_000);
    expect(seen.some((text) => text.includes('"bytes":960'))).toBe(true);
    expect(line.connection.sent.length).toBeLessThanOrEqual(50);
    expect(line.connection.received.map(({ event }) => event.type)).not.toContain(
      'input_audio_buffer.append',
    );
    expect(line.connection.receivedAppends).toBe(2);
  });

  it('can have 200 sessions at once that all hear and speak', async () => {
    await using line = await start({ speedFactor: 4, respond: () => ({ audioMs: 600 }) });
    const clients = Array.from({ length: 200 }, () => new Client(line.sim.url + MODEL));
    await Promise.all(clients.map((client) => client.next('session.created')));
    for (const client of clients) append(client, Buffer.concat([silence(100), speech(300), silence(600)]));
    await Promise.all(clients.map((client) => client.next('response.done')));
    for (const client of clients) {
      expect(client.types.filter((type) => type === 'response.output_audio.delta')).toHaveLength(6);
    }
    expect(line.sim.connections).toHaveLength(201);
  });
});
