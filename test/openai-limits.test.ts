import { afterEach, describe, expect, it } from 'vitest';
import { LONGEST_TIMER_MS } from '../src/clock.ts';
import type { ProviderEvent, RealtimeProvider } from '../src/provider.ts';
import { Expiry } from '../src/providers/common/expiry.ts';
import { MOST_TEXT } from '../src/providers/common/limits.ts';
import { scrubber } from '../src/providers/common/network.ts';
import { Responses, type Spoken } from '../src/providers/openai/responses.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import {
  createAzureVoiceLiveProvider,
  createInworldProvider,
  createXaiProvider,
} from '../src/providers/openai-relatives.ts';
import {
  created,
  delta,
  dial,
  done,
  error,
  functionCall,
  KEY,
  type Line,
  type Message,
  open,
  result,
  speechStarted,
  speechStopped,
  startServer,
} from './support/openai-peer.ts';
import { cleanUp, failure } from './support/peers.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** What a server may send that means no good, or has lost its mind. */

afterEach(cleanUp);

const warnings = (line: Line): string[] => line.of('warning').map(({ code }) => code);
const finals = (line: Line): string[] =>
  line
    .of('transcript')
    .filter(({ final }) => final)
    .map(({ text }) => text);

const part = (index: number, transcript: string, item = 'item_1'): Message => ({
  type: 'response.output_audio_transcript.done',
  response_id: 'resp_1',
  item_id: item,
  output_index: 0,
  content_index: index,
  transcript,
});

describe('places in lists', () => {
  it('that no list is long enough for are none', async () => {
    const line = await open();
    await line.peer.tell(created('resp_1'), part(4_294_967_294, 'Good'), part(2, 'you'), part(1, 'to'));
    expect(finals(line)).toEqual(['Good', 'Good you', 'Good to you']);
  });

  it('do not put a message behind one that came later', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      delta('resp_1', 'item_1', 160, 4_294_967_294),
      delta('resp_1', 'item_2', 160, 7),
    );
    // The second waits for the first.
    expect(line.of('audio').map(({ itemId }) => itemId)).toEqual(['item_1']);
  });
});

describe('codes and reasons that are sentences', () => {
  const SENTENCE = `it was ${KEY}, said\nthe caller`;

  it('become a fixed word', async () => {
    const line = await open();
    line.session.say('one');
    await line.peer.next('response.create');
    await line.peer.tell(
      error('', { code: SENTENCE, event_id: 'pc_cancel_9' }),
      error('input_audio_buffer_commit_empty', {
        message: `${encodeURIComponent(KEY)} ${'x'.repeat(9_000)}`,
      }),
      { type: 'warning', warning: { code: SENTENCE, message: SENTENCE } },
      created('resp_1'),
      done('resp_1', 'incomplete', { status_details: { reason: SENTENCE } }),
      created('resp_2'),
      done('resp_2', 'incomplete', { status_details: { reason: 'x'.repeat(65) } }),
      created('resp_3'),
      done('resp_3', 'incomplete', { status_details: { reason: 'max_output_tokens' } }),
    );
    expect(warnings(line)).toEqual(['cancel_rejected', 'input_audio_buffer_commit_empty', 'provider']);
    const reasons = line.of('responseDone').map(({ reason }) => reason);
    expect(reasons).toEqual(['unknown', 'unknown', 'max_output_tokens']);
    for (const { message } of line.of('warning')) {
      expect(message).not.toContain(KEY);
      expect(message.length).toBeLessThanOrEqual(500);
    }
  });

  it('do not come with the format that a session has', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    const { session } = await peer.next('session.update');
    const format = { type: 'audio/opus', rate: 48_000, note: SENTENCE };
    const audio = { ...((session as Message)['audio'] as Message), output: { format } };
    peer.say({ type: 'session.updated', session: { ...(session as Message), audio } });
    const found = await failure(attempt);
    expect(found.code).toBe('PROVIDER_CONFIG');
    expect(found.plainMessage).toMatch(/^the session has output audio audio\/opus at 48000 Hz, wanted /);
  });

  it('nor with one whose name is a story', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    const { session } = await peer.next('session.update');
    peer.say({
      type: 'session.updated',
      session: { ...(session as Message), audio: undefined, input_audio_format: SENTENCE.repeat(1_000) },
    });
    expect((await failure(attempt)).plainMessage).toMatch(
      /^the session has input audio of an unknown type, /,
    );
  });
});

describe('what is taken out of messages', () => {
  it.each([
    ['key is a/b+c=', 'key is [key]'],
    ['?x=a%2Fb%2Bc%3D', '?x=[key]'],
    ['wss://h/p?a=1&access_token=abc.def&b=2', 'wss://h/p?a=1&access_token=[key]&b=2'],
    ['GET "/p?key=abc" failed', 'GET "/p?key=[key]" failed'],
    ['?token=abc, ?api-key=abc def', '?token=[key] ?api-key=[key] def'],
    ['auth_tokens/abc-1 and auth_tokens%2Fabc-1', '[key] and [key]'],
    ['Incorrect key: sk-ab**cd', 'Incorrect key: [key]'],
  ])('%j becomes %j', (text, clean) => {
    expect(scrubber('a/b+c=')(text)).toBe(clean);
  });

  it('is nothing where there is no secret', () => {
    expect(scrubber('')('a b')).toBe('a b');
  });
});

describe('the name of what writes the words down', () => {
  const named = (session: unknown, model: string): Message => ({
    type: 'session.updated',
    session: { ...(session as Message), audio: { input: { transcription: { model } } } },
  });
  const heard = (itemId: string): Message => ({
    type: 'conversation.item.input_audio_transcription.completed',
    item_id: itemId,
    transcript: 'yes',
    usage: { input_tokens: 1, output_tokens: 1 },
  });

  it('is the one that was asked for when the server says nonsense, or ever another one', async () => {
    const line = await open();
    const { session } = line.update;
    const names = ['x'.repeat(65), 'two words', 'a', 'gpt/b:c', 'd', 'e', 'f', 'a'];
    for (const [index, name] of names.entries()) {
      await line.peer.tell(named(session, name), heard(`item_${index}`));
    }
    const asked = 'gpt-transcribe';
    const told = line.of('usage').map(({ model }) => model);
    expect(told).toEqual([asked, asked, 'a', 'gpt/b:c', 'd', 'e', asked, 'a']);
  });
});

describe('lengths of time', () => {
  const MOST = `wanted milliseconds, ${LONGEST_TIMER_MS} or less`;
  const endpoint = 'https://example.org';
  it.each<[string, () => RealtimeProvider, string]>([
    [
      'longer than a timer',
      () => createOpenAiProvider({ apiKey: KEY, model: 'm', connectTimeoutMs: 3e9 }),
      `connectTimeoutMs is 3000000000, ${MOST}`,
    ],
    [
      'of a session that are no number',
      () => createXaiProvider({ apiKey: KEY, maxSessionMs: Number.NaN }),
      'maxSessionMs is NaN, wanted milliseconds, 1 or more',
    ],
    [
      'of a session below nothing',
      () => createInworldProvider({ apiKey: KEY, maxSessionMs: -1 }),
      'maxSessionMs is -1, wanted milliseconds, 1 or more',
    ],
    [
      'of a session without an end',
      () =>
        createAzureVoiceLiveProvider({
          apiKey: KEY,
          endpoint,
          model: 'm',
          maxSessionMs: Number.POSITIVE_INFINITY,
        }),
      `maxSessionMs is Infinity, ${MOST}`,
    ],
  ])('%s are refused', (_what, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'BAD_CONFIG' }));
    expect(make).toThrow(message);
  });

  it('that are no number announce no end, and very long ones none too early', () => {
    const clock = new VirtualClock();
    const told: ProviderEvent[] = [];
    const expiry = new Expiry(clock, 1_000, (event) => told.push(event));
    expiry.expect(Number.NaN);
    expect(clock.pending).toBe(0);
    expiry.expect(LONGEST_TIMER_MS * 3);
    clock.advance(LONGEST_TIMER_MS - 1);
    expect(told).toEqual([]);
    expiry.cancel();
  });
});

const FLOOD = { excess: 'too_much' };

describe('a flood', () => {
  it('of messages in one response is cut off, and told of once', async () => {
    const line = await open();
    const items = Array.from({ length: 300 }, (_, i) => part(0, `${i}`, `item_${i}`));
    await line.peer.tell(created('resp_1'), ...items, done('resp_1'));
    expect(finals(line)).toHaveLength(256);
    expect(warnings(line)).toEqual([FLOOD.excess]);
    expect(line.of('responseDone')).toMatchObject([{ responseId: 'resp_1', status: 'completed' }]);
  });

  it('of responses without an end ends the oldest of them', async () => {
    const line = await open();
    const ids = Array.from({ length: 80 }, (_, i) => `resp_${i}`);
    await line.peer.tell(...ids.map((id) => created(id)));
    expect(line.of('responseStarted').map(({ responseId }) => responseId)).toEqual(ids);
    expect(line.of('responseDone')).toEqual(
      ids.slice(0, 16).map((responseId) => ({
        type: 'responseDone',
        responseId,
        status: 'cancelled',
        reason: 'superseded',
      })),
    );
  });

  it('of calls at the end of a response is cut off, and goes on when there is room', async () => {
    const line = await open();
    const output = Array.from({ length: 1_100 }, (_, i) => functionCall(`call_${i}`));
    await line.peer.tell(created('resp_1'), done('resp_1', 'completed', { output }));
    expect(line.of('toolCall')).toHaveLength(1_000);
    expect(warnings(line)).toEqual([FLOOD.excess]);
    line.session.sendToolResult('call_7', result('ok', false));
    const more = [functionCall('call_2000'), functionCall('call_2001')];
    await line.peer.tell(created('resp_2'), done('resp_2', 'completed', { output: more }));
    expect(line.of('toolCall').map(({ callId }) => callId)).toHaveLength(1_001);
    expect(line.of('toolCall').at(-1)?.callId).toBe('call_2000');
    expect(warnings(line)).toHaveLength(1);
  });

  it.each([
    ['many', 300, 'x', 256],
    ['long', 5, 'x'.repeat(300_000), 3],
  ])('of calls that are %s while a response runs is cut off', async (_what, count, text, kept) => {
    const line = await open();
    const calls = Array.from({ length: count }, (_, i) => ({
      type: 'response.output_item.done',
      response_id: 'resp_1',
      output_index: i,
      item: { ...functionCall(`call_${i}`), arguments: text },
    }));
    await line.peer.tell(created('resp_1'), ...calls, done('resp_1'));
    expect(line.of('toolCall')).toHaveLength(kept);
    expect(warnings(line)).toEqual([FLOOD.excess]);
  });

  it('of words of the agent is told as far as a turn is long', async () => {
    const line = await open();
    const piece = (text: string): Message => ({
      type: 'response.output_audio_transcript.delta',
      response_id: 'resp_1',
      item_id: 'item_1',
      delta: text,
    });
    const words = 'a b '.repeat(10_000);
    await line.peer.tell(
      created('resp_1'),
      piece(words),
      piece(words),
      piece(words),
      part(0, words.repeat(3)),
    );
    const pieces = line.of('transcript').filter(({ final }) => !final);
    expect(pieces.map(({ text }) => text.length)).toEqual([40_000, MOST_TEXT - 40_000]);
    expect(finals(line).map((text) => text.length)).toEqual([MOST_TEXT]);
    expect(warnings(line)).toEqual([FLOOD.excess]);
  });

  it('of words of the caller is told as far as a turn is long', async () => {
    const line = await open();
    const type = 'conversation.item.input_audio_transcription';
    const words = 'a b '.repeat(10_000);
    const piece = { type: `${type}.delta`, item_id: 'item_u', delta: words };
    const whole = { type: `${type}.completed`, item_id: 'item_u', transcript: words.repeat(3) };
    await line.peer.tell(speechStarted, speechStopped, piece, piece, piece, whole);
    const told = line.of('transcript').map(({ text, final }) => [text.length, final]);
    expect(told).toEqual([
      [40_000, false],
      [MOST_TEXT - 40_000, false],
      [MOST_TEXT, true],
    ]);
    expect(warnings(line)).toEqual([FLOOD.excess]);
  });

  it('of names that are no names is dropped', async () => {
    const line = await open();
    await line.peer.tell(created('x'.repeat(300)), delta('resp_1', 'y'.repeat(300), 160));
    expect(warnings(line)).toEqual(['bad_frame', 'bad_frame']);
    expect(line.of('responseStarted')).toEqual([]);
  });

  it('of tiny pieces of audio that wait for an earlier message does not wait for ever', () => {
    const heard: Spoken[] = [];
    const responses = new Responses({
      audio: (item) => heard.push(item),
      audioDone: () => undefined,
      words: () => undefined,
      wroteText: () => undefined,
      forgotten: () => undefined,
      excess: () => undefined,
    });
    const response = responses.add('resp_1', 0, false);
    const [first, second] = ['item_1', 'item_2'].map((id, at) => responses.item(response, id, at));
    if (first === undefined || second === undefined) expect.unreachable('two messages are not too many');
    responses.audio(response, first, Buffer.alloc(160));
    const tiny = Buffer.alloc(1);
    for (let i = 0; i < 40_000; i++) responses.audio(response, second, tiny);
    expect(heard).toHaveLength(40_001);
    expect(response.heldBytes).toBe(0);
  });
});
