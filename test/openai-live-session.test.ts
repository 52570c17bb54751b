import { afterEach, describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import type { HeardItem, ToolResult } from '../src/provider.ts';
import { SERVER_EVENTS } from '../src/providers/openai-live/wire.ts';
import {
  appended,
  called,
  created,
  delta,
  ended,
  LIVE_ID,
  type Line,
  open,
  quiet,
  speech,
  words,
} from './support/openai-live-peer.ts';
import { error, type Message } from './support/openai-peer.ts';
import { cleanUp } from './support/peers.ts';

afterEach(cleanUp);

const say = (ms: number): Buffer => speech(ms, MULAW_8K);
const hush = (ms: number): Buffer => quiet(ms, MULAW_8K);
const result = (output: string, more: Partial<ToolResult> = {}): ToolResult => ({
  output,
  isError: false,
  respond: true,
  ...more,
});

/** What happened, without the audio itself: a run of it is one entry, in ms. */
function story(line: Line): unknown[] {
  const told: unknown[] = [];
  for (const event of line.events) {
    const last = told.at(-1);
    if (event.type === 'audio') {
      const ms = event.bytes.length / 8;
      if (typeof last === 'number') told[told.length - 1] = last + ms;
      else told.push(ms);
    } else if (event.type === 'responseStarted') told.push(event.asked ? 'asked' : 'unasked');
    else if (event.type === 'transcript') {
      if (event.final) told.push(`${event.role}: ${event.text}`);
    } else if (event.type === 'responseDone') told.push(event.status);
    else if (event.type !== 'audioDone') told.push(event.type);
  }
  return told;
}

describe('what the model says', () => {
  it('is a response with an item for each stretch of speech, in order', async () => {
    await using line = await open();
    await line.stream(Buffer.concat([hush(300), say(500), hush(1_000), say(200), hush(1_000)]));
    expect(line.events).toMatchObject([
      { type: 'responseStarted', responseId: `${LIVE_ID}_resp_1`, asked: false },
      ...Array.from({ length: 5 }, () => ({ type: 'audio', itemId: `${LIVE_ID}_item_1` })),
      { type: 'audioDone', responseId: `${LIVE_ID}_resp_1`, itemId: `${LIVE_ID}_item_1` },
      { type: 'responseDone', responseId: `${LIVE_ID}_resp_1`, status: 'completed' },
      { type: 'responseStarted', responseId: `${LIVE_ID}_resp_2` },
      { type: 'audio', itemId: `${LIVE_ID}_item_2` },
      { type: 'audio', itemId: `${LIVE_ID}_item_2` },
      { type: 'audioDone' },
      { type: 'responseDone' },
    ]);
    const heard = Buffer.concat(line.of('audio').map(({ bytes }) => bytes));
    expect(heard.equals(Buffer.concat([say(500), say(200)]))).toBe(true);
  });

  it('has its words with it, and they are whole when the stretch is over', async () => {
    await using line = await open();
    await line.stream(say(200));
    await line.peer.tell(words('output', 'Good', 0));
    await line.stream(say(300));
    await line.peer.tell(words('output', ' day.', 200));
    await line.stream(hush(1_300));
    expect(story(line)).toEqual(['unasked', 500, 'completed', 'assistant: Good day.']);
    const ids = line.of('transcript').map(({ itemId }) => itemId);
    expect(new Set(ids)).toEqual(new Set([`${LIVE_ID}_item_1`]));
  });

  it('has words that come a little before the sound, or a little after its end', async () => {
    await using line = await open();
    await line.peer.tell(words('output', 'One', 0));
    await line.stream(Buffer.concat([say(300), hush(900)]));
    await line.peer.tell(words('output', ' two.', 200));
    await line.peer.tell(words('output', 'Three.', 2_000));
    await line.stream(Buffer.concat([say(300), hush(1_300)]));
    expect(story(line)).toEqual([
      'unasked',
      300,
      'completed',
      'assistant: One two.',
      'unasked',
      300,
      'completed',
      'assistant: Three.',
    ]);
    const finals = line.of('transcript').filter(({ final }) => final);
    const spoken = line.of('audio').map(({ itemId }) => itemId);
    expect(finals.map(({ itemId }) => itemId)).toEqual([...new Set(spoken)]);
  });

  it('is in whole samples when it is PCM16', async () => {
    await using line = await open({ preferredFormats: [PCM16_24K] });
    const audio = Buffer.concat([speech(100, PCM16_24K), quiet(900, PCM16_24K)]);
    await line.peer.tell(delta(audio.subarray(0, 2_001)), delta(audio.subarray(2_001)));
    const heard = Buffer.concat(line.of('audio').map(({ bytes }) => bytes));
    expect(heard.equals(speech(100, PCM16_24K))).toBe(true);
  });

  it('is not played further in a stretch that the caller has cut in on, and nothing is sent', async () => {
    await using line = await open();
    await line.stream(say(500));
    const heard: HeardItem[] = [{ itemId: `${LIVE_ID}_item_1`, playedMs: 300, receivedMs: 500 }];
    line.session.interrupt(heard);
    await line.stream(Buffer.concat([say(500), hush(900), say(200), hush(900)]));
    expect(story(line)).toEqual(['unasked', 500, 'cancelled', 'unasked', 200, 'completed']);
    const sent = line.peer.received.map(({ type }) => type);
    expect(sent.filter((type) => type !== 'session.input_audio.append')).toEqual(['session.start']);
  });

  it('is brought to its end when the session is closed in the middle of it', async () => {
    const line = await open();
    await line.stream(say(300));
    await line.peer.tell(words('output', 'Good', 0), words('input', 'Hi', 0));
    const closing = line.session.close('over');
    line.peer.socket.close();
    await closing;
    expect(story(line)).toEqual(['unasked', 300, 'completed', 'assistant: Good', 'user: Hi', 'closed']);
    expect(line.clock.pending).toBe(0);
  });
});

describe('what the caller says', () => {
  it('is put together from its pieces, and whole when none has come for a while', async () => {
    await using line = await open();
    await line.peer.tell(words('input', 'Please', 600), words('input', ' check.', 800));
    line.clock.advance(700);
    await line.peer.tell(words('input', ' Now.', 1_700));
    line.clock.advance(801);
    await line.peer.tell(words('input', 'Hello?', 4_000));
    line.clock.advance(801);
    expect(story(line)).toEqual(['user: Please check. Now.', 'user: Hello?']);
    expect(new Set(line.of('transcript').map(({ itemId }) => itemId)).size).toBe(2);
  });

  it('is not told when nobody wants it', async () => {
    await using line = await open({ transcribeCaller: false });
    await line.peer.tell(words('input', 'Please', 600));
    line.clock.advance(1_000);
    expect(line.events).toEqual([]);
  });

  it('goes to the model as it comes', async () => {
    await using line = await open();
    for (const size of [160, 1, 0, 333])
      expect(line.session.sendAudio(new Uint8Array(size).fill(7))).toBe(true);
    await line.peer.settle();
    const audio = line.peer.all('session.input_audio.append').map((sent) => String(sent['audio']));
    expect(Buffer.concat(audio.map((text) => Buffer.from(text, 'base64'))).equals(Buffer.alloc(494, 7))).toBe(
      true,
    );
  });

  it('is silence where nothing comes, for a session stands still without audio', async () => {
    await using line = await open();
    const count = (): number => line.peer.all('session.input_audio.append').length;
    for (let ms = 0; ms < 400; ms += 20) {
      line.clock.advance(20);
      line.session.sendAudio(new Uint8Array(160));
    }
    await line.peer.settle();
    expect(count()).toBe(20);
    for (let ms = 0; ms < 1_000; ms += 20) {
      line.clock.advance(20);
      await new Promise(setImmediate);
    }
    await line.peer.settle();
    // The first after 400 ms, then one each 100 ms.
    expect(count()).toBe(27);
    expect(line.peer.all('session.input_audio.append').at(-1)?.['audio']).toBe(
      Buffer.alloc(800, 0xff).toString('base64'),
    );
    line.session.sendAudio(new Uint8Array(160));
    line.clock.advance(399);
    await line.peer.settle();
    expect(count()).toBe(28);
  });
});

describe('what the model is asked to say', () => {
  it('is answered by the stretch that follows, once it was taken in', async () => {
    await using line = await open();
    line.session.say('Good day.');
    const { event_id, content, delegation_id } = await line.peer.next('session.commentary.append');
    expect([content, delegation_id]).toEqual(['Good day.', null]);
    await line.stream(Buffer.concat([say(200), hush(900)]));
    await line.peer.tell(appended('commentary', event_id));
    await line.stream(Buffer.concat([say(300), hush(900), say(100), hush(900)]));
    expect(story(line)).toEqual([
      'unasked',
      200,
      'completed',
      'asked',
      300,
      'completed',
      'unasked',
      100,
      'completed',
    ]);
  });

  it('begins a response of its own in the middle of a speech, at the next pause', async () => {
    await using line = await open();
    await line.stream(say(400));
    line.session.say('Good bye.');
    await line.peer.tell(
      appended('commentary', (await line.peer.next('session.commentary.append'))['event_id']),
    );
    await line.stream(Buffer.concat([say(300), hush(400), say(200), hush(400), say(200), hush(900)]));
    expect(story(line)).toEqual(['unasked', 700, 'completed', 'asked', 200 + 200, 'completed']);
  });

  it('counts as taken in after a while with a server that does not say so', async () => {
    await using line = await open();
    line.session.say('Good day.');
    line.clock.advance(2_000);
    await line.stream(Buffer.concat([say(200), hush(900)]));
    expect(story(line)).toEqual(['asked', 200, 'completed']);
  });

  it('is forgotten when the model has not said it for long', async () => {
    await using line = await open();
    line.session.say('Good day.');
    await line.peer.tell(
      appended('commentary', (await line.peer.next('session.commentary.append'))['event_id']),
    );
    // In steps in which the line is not taken for dead.
    for (let s = 0; s < 21; s += 3) {
      line.clock.advance(3_000);
      await line.peer.settle();
    }
    await line.stream(say(200));
    expect(story(line)).toEqual(['unasked', 200]);
  });

  it('is not waited for when it was refused', async () => {
    await using line = await open();
    line.session.say('Good day.');
    const { event_id } = await line.peer.next('session.commentary.append');
    await line.peer.tell(error('fixture_active', { client_event_id: event_id }));
    line.clock.advance(2_000);
    await line.stream(say(200));
    expect(line.of('error')).toMatchObject([{ fatal: false, error: { code: 'PROVIDER_REJECTED' } }]);
    expect(line.of('responseStarted')).toMatchObject([{ asked: false }]);
  });

  it('goes out in pieces that the service takes, cut between sentences or words', async () => {
    await using line = await open();
    const sentence = 'This is a sentence of some length that ends here. ';
    const text = sentence.repeat(60).trim();
    line.session.say(text);
    line.session.say('好'.repeat(900));
    line.session.say(' \n ');
    await line.peer.settle();
    const told = line.told('commentary').map(String);
    const first = told.filter((piece) => piece.includes('sentence'));
    expect(first.join(' ')).toBe(text);
    expect(first.length).toBeGreaterThan(2);
    for (const piece of first) expect(piece.endsWith('.')).toBe(true);
    const rest = told.slice(first.length);
    expect(rest.join('')).toBe('好'.repeat(900));
    for (const piece of rest) expect(piece.length).toBeLessThanOrEqual(375);
  });

  it('is text, which is told by the way that it is meant', async () => {
    await using line = await open();
    line.session.sendText('It rains.', { role: 'system', respond: false });
    line.session.sendText('Where are you?', { role: 'user', respond: true });
    line.session.sendText('', { role: 'user', respond: true, digits: '42#' });
    await line.peer.settle();
    expect(line.told('thinking')).toEqual(['It rains.']);
    expect(line.told('instructions')).toEqual([
      'The caller sends this message: Where are you?\nSpeak to the caller about this now.',
      'The caller pressed 42# on the telephone keypad.\nSpeak to the caller about this now.',
    ]);
  });
});

describe('functions', () => {
  it('are called when the response of the backend is complete, all of them, and not before', async () => {
    await using line = await open();
    await line.peer.tell(
      {
        type: 'session.delegation.created',
        event_id: 'd',
        offset_ms: 0,
        delegation: { id: 'item_d', type: 'delegation', target: 'responses', response_id: 'resp_1' },
      },
      created('resp_1'),
      called('call_1', '{"a":1}'),
      called('call_2'),
      called('call_cut', '{"a', 'incomplete'),
    );
    expect(line.events).toEqual([]);
    const usage = { input_tokens: 100, input_tokens_details: { cached_tokens: 40 }, output_tokens: 7 };
    await line.peer.tell(ended('resp_1', 'completed', { usage, model: 'gpt-5.6-luna-1' }));
    expect(line.events).toEqual([
      {
        type: 'usage',
        model: 'gpt-5.6-luna-1',
        usage: {
          inputTextTokens: 100,
          inputAudioTokens: 0,
          cachedTextTokens: 40,
          cachedAudioTokens: 0,
          outputTextTokens: 7,
          outputAudioTokens: 0,
        },
      },
      { type: 'toolCall', responseId: 'resp_1', callId: 'call_1', name: 'lookup', args: '{"a":1}' },
      { type: 'toolCall', responseId: 'resp_1', callId: 'call_2', name: 'lookup', args: '{}' },
    ]);
  });

  it('are answered one by one, and the backend goes on once, when all of the session are', async () => {
    await using line = await open();
    await line.peer.tell(created('resp_1'), called('call_1'), called('call_2'), ended('resp_1'));
    line.session.sendToolResult('call_2', result('{"b":2}'));
    await line.peer.settle();
    expect(line.peer.all('response.create')).toEqual([]);
    // A second task in the same session: its call is waited for as well.
    await line.peer.tell(created('resp_2'), called('call_3'), ended('resp_2'));
    line.session.sendToolResult('call_1', result('gone', { isError: true }));
    await line.peer.settle();
    expect(line.peer.all('response.create')).toEqual([]);
    line.session.sendToolResult('call_3', result('{"c":3}'));
    await line.peer.next('response.create');
    expect(line.peer.all('response.item.create').map(({ item }) => item)).toEqual([
      { type: 'function_call_output', call_id: 'call_2', output: '{"b":2}' },
      { type: 'function_call_output', call_id: 'call_1', output: '{"error":"gone"}' },
      { type: 'function_call_output', call_id: 'call_3', output: '{"c":3}' },
    ]);
    expect(line.peer.all('response.create')).toHaveLength(1);
  });

  it('have what is said of their results asked for, which it is when the backend has answered', async () => {
    await using line = await open();
    await line.peer.tell(created('resp_1'), called('call_1'), ended('resp_1'));
    line.session.sendToolResult('call_1', result('{}'));
    await line.peer.next('response.create');
    await line.peer.tell(created('resp_2'));
    await line.stream(Buffer.concat([say(200), hush(900)]));
    await line.peer.tell(ended('resp_2'));
    await line.stream(Buffer.concat([say(300), hush(900)]));
    expect(story(line)).toEqual(['toolCall', 'unasked', 200, 'completed', 'asked', 300, 'completed']);
  });

  it('are told and not spoken of when nobody is to speak', async () => {
    await using line = await open();
    await line.peer.tell(created('resp_1'), called('call_1'), ended('resp_1'));
    line.session.sendToolResult('call_1', result('{}', { respond: false }));
    await line.peer.next('response.item.create');
    await line.peer.settle();
    expect(line.peer.all('response.create')).toEqual([]);
  });

  it('are not called for a response that failed, and the backend goes on with what it has', async () => {
    await using line = await open();
    await line.peer.tell(
      created('resp_1'),
      called('call_1'),
      ended('resp_1', 'failed', { error: { code: 'server_error', message: 'sorry' } }),
    );
    expect(line.of('toolCall')).toEqual([]);
    expect(line.of('error')).toMatchObject([{ fatal: false, error: { code: 'PROVIDER_UNAVAILABLE' } }]);
    await line.peer.tell(created('resp_2'), called('call_2'), ended('resp_2'));
    line.session.sendToolResult('call_2', result('{}'));
    await line.peer.next('response.create');
  });

  it('are called once, however often a call is delivered', async () => {
    await using line = await open();
    await line.peer.tell(created('resp_1'), called('call_1'), called('call_1'), ended('resp_1'));
    await line.peer.tell(created('resp_2'), called('call_1'), ended('resp_2'));
    expect(line.of('toolCall')).toHaveLength(1);
  });

  it('of an earlier session are told with their call', async () => {
    await using line = await open();
    const call = { name: 'lookup', args: '{"a":1}' };
    line.session.sendToolResult('call_old', result('{"b":2}', { call }));
    line.session.sendToolResult('call_older', result('{"c":3}', { call, respond: false }));
    await line.peer.settle();
    expect(line.told('commentary')).toEqual([
      'The function lookup was called with {"a":1} and returned: {"b":2}',
    ]);
    expect(line.told('thinking')).toHaveLength(1);
    expect(line.peer.all('response.item.create')).toEqual([]);
  });

  const delegated = (id: string): Message => ({
    type: 'session.delegation.created',
    event_id: `d_${id}`,
    offset_ms: 0,
    delegation: { id, type: 'delegation', target: 'client' },
  });

  it('can be one that does all that the voice hands on, with the words of the caller', async () => {
    await using line = await open({}, { delegation: { type: 'client', function: 'ask' } });
    expect(line.asked['delegation']).toEqual({ type: 'client' });
    await line.peer.tell(words('input', 'Is it', 0), words('input', ' open?', 200), delegated('item_1'));
    await line.peer.tell(words('input', 'And now?', 5_000), delegated('item_2'), delegated('item_2'));
    expect(line.of('toolCall').map(({ callId, name, args }) => [callId, name, JSON.parse(args)])).toEqual([
      ['item_1', 'ask', { request: 'Is it open?' }],
      ['item_2', 'ask', { request: 'And now?' }],
    ]);
    line.session.sendToolResult('item_1', result('It is.'));
    line.session.sendToolResult('item_2', result('Still.', { respond: false }));
    await line.peer.settle();
    expect(line.peer.all('session.commentary.append')).toMatchObject([
      { content: 'It is.', delegation_id: 'item_1' },
    ]);
    expect(line.peer.all('session.thinking.append')).toMatchObject([
      { content: 'Still.', delegation_id: 'item_2' },
    ]);
  });

  it('that nobody does are declined, so that the voice does not wait for them', async () => {
    await using line = await open({}, { delegation: { type: 'client' } });
    await line.peer.tell(delegated('item_1'));
    expect(await line.peer.next('session.commentary.append')).toMatchObject({ delegation_id: 'item_1' });
    expect(line.of('warning').map(({ code }) => code)).toEqual(['delegation']);
  });
});

describe('troubles', () => {
  it('of one message are told, and the session goes on', async () => {
    await using line = await open();
    await line.peer.tell(error('unknown_parameter'));
    await line.stream(say(100));
    expect(story(line)).toEqual(['error', 'unasked', 100]);
  });

  it('of the service are borne once, and end the session when they come again', async () => {
    const line = await open();
    await line.peer.tell(error('server_error'));
    await line.stream(Buffer.concat([say(100), hush(900)]));
    await line.peer.tell(error('server_error'));
    expect(line.of('closed')).toEqual([]);
    line.peer.say(error('server_error'));
    await line.peer.closed;
    expect(line.of('closed')).toMatchObject([{ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } }]);
    expect(line.peer.all('session.close')).toHaveLength(1);
  });

  it('that end a session say so', async () => {
    const line = await open();
    line.peer.say(error('credit_balance_exhausted'));
    await line.peer.closed;
    expect(line.events).toMatchObject([
      { type: 'error', fatal: true, error: { code: 'PROVIDER_QUOTA' } },
      { type: 'closed', expected: false },
    ]);
  });

  it('in what comes are warnings', async () => {
    await using line = await open();
    line.peer.socket.send('{"type":"session.output_audio.del');
    line.peer.socket.send('[]');
    line.peer.socket.send('{"type":"session.output_audio.delta"}');
    line.peer.socket.send('{"type":"session.weather.updated"}');
    await line.peer.tell({ type: 'info', event_id: 'i', code: 'notice', message: 'Mind the gap.' });
    expect(line.of('warning').map(({ code }) => code)).toEqual([
      'bad_frame',
      'bad_frame',
      'bad_frame',
      'notice',
    ]);
    expect(line.events).toHaveLength(4);
  });

  it('of a message that comes twice are none: it counts once', async () => {
    await using line = await open();
    const piece = words('output', 'Hi', 0);
    await line.peer.tell(piece, piece);
    await line.peer.tell({ type: 'session.usage.updated', event_id: 'u', usage: { seconds: 5 } });
    await line.peer.tell({ type: 'session.usage.updated', event_id: 'v', usage: { seconds: 5 } });
    expect(line.of('transcript').filter(({ final }) => !final)).toHaveLength(1);
    expect(line.of('usage')).toHaveLength(1);
  });

  it('are none when the service sends whatever it is known to send, bare of everything', async () => {
    await using line = await open();
    const ends = ['session.closed'];
    for (const type of SERVER_EVENTS.keys()) {
      if (!ends.includes(type)) await line.peer.tell({ type, event_id: `event_${type}` });
    }
    expect(line.of('closed')).toEqual([]);
  });
});
