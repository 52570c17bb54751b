import { afterEach, describe, expect, it } from 'vitest';
import { MOST_TEXT } from '../src/providers/common/limits.ts';
import { backend, called, dial, ended, type Line, open, words } from './support/openai-live-peer.ts';
import { KEY, type Message, startServer } from './support/openai-peer.ts';
import { cleanUp, failure } from './support/peers.ts';

/** What a Live server may send, or may never send, that means no good. */

afterEach(cleanUp);

const warnings = (line: Line): string[] => line.of('warning').map(({ code }) => code);
const result = (output: string) => ({ output, isError: false, respond: true });
const started = (run: string): Message =>
  backend({ type: 'response.created', response: { id: `resp_${run}` } }, run);
const delegation = (id: string): Message => ({
  type: 'session.delegation.created',
  delegation: { id, target: 'client' },
});

/** Time passes, with a server that is there all the while. */
async function pass({ clock, peer }: Line, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5_000) {
    clock.advance(Math.min(left, 5_000));
    await peer.settle();
  }
}

describe('work whose end is lost', () => {
  /** One run has called a function, and another is under way. */
  const busy = async (): Promise<Line> => {
    const line = await open();
    await line.peer.tell(
      backend({ type: 'response.created', response: { id: 'resp_a' } }),
      called('call_1'),
      ended('resp_a'),
      started('item_b'),
    );
    line.session.sendToolResult('call_1', result('seven'));
    await line.peer.settle();
    expect(line.peer.all('response.create')).toEqual([]);
    return line;
  };

  it('is not waited for after 30 s without a sign: the model speaks of what it knows', async () => {
    await using line = await busy();
    await pass(line, 20_000);
    await line.peer.tell(backend({ type: 'response.output_text.delta', delta: 'S' }, 'item_b'));
    await pass(line, 29_999);
    expect(warnings(line)).toEqual([]);
    expect(line.peer.all('response.create')).toEqual([]);
    line.clock.advance(1);
    await line.peer.settle();
    expect(warnings(line)).toEqual(['response_lost']);
    expect(line.peer.all('response.create')).toHaveLength(1);
    await pass(line, 60_000);
    expect(warnings(line)).toEqual(['response_lost']);
    expect(line.of('closed')).toEqual([]);
  });

  it('is taken up again when it goes on after all', async () => {
    await using line = await busy();
    await line.peer.tell(
      backend(
        {
          type: 'response.output_item.done',
          item: { type: 'function_call', call_id: 'call_2', name: 'lookup', arguments: '{}' },
        },
        'item_b',
      ),
    );
    await pass(line, 30_000);
    expect(warnings(line)).toEqual(['response_lost']);
    await line.peer.tell(backend({ type: 'response.completed', response: { id: 'resp_item_b' } }, 'item_b'));
    expect(line.of('toolCall').map(({ callId, responseId }) => [callId, responseId])).toEqual([
      ['call_1', 'resp_a'],
      ['call_2', 'resp_item_b'],
    ]);
  });

  it('is watched for by one timer, which ends with the session', async () => {
    const line = await busy();
    await line[Symbol.asyncDispose]();
    expect(line.clock.pending).toBe(0);
  });
});

describe('what a Live server says of itself', () => {
  const SENTENCE = `it was ${KEY}, said the caller`;

  it('is a code only where it is a word', async () => {
    await using line = await open();
    await line.peer.tell(
      { type: 'info', code: SENTENCE, message: SENTENCE },
      { type: 'info', code: 'x'.repeat(65), message: 'x'.repeat(9_000) },
      { type: 'info', code: 'vad.changed', message: 'so' },
    );
    expect(warnings(line)).toEqual(['info', 'info', 'vad.changed']);
    for (const { message } of line.of('warning')) {
      expect(message).not.toContain(KEY);
      expect(message.length).toBeLessThanOrEqual(500);
    }
  });

  it('is no part of what is told of a format but its type and rate', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    const peer = await server.peer();
    await peer.next('session.start');
    const format = { type: 'audio/opus', rate: 48_000, note: SENTENCE };
    peer.say({ type: 'session.started', session: { id: 'live_1', audio: { format } } });
    const error = await failure(attempt);
    expect(error.code).toBe('PROVIDER_CONFIG');
    expect(error.plainMessage).toMatch(/^the session has audio audio\/opus at 48000 Hz, wanted /);
  });

  it('does not lead the names of what is said when it is no name', async () => {
    await using line = await open({}, {}, { id: SENTENCE });
    await line.peer.tell(words('input', 'Hello', 0));
    expect(line.of('transcript')[0]?.itemId).toMatch(/^live_\d+_item_1$/);
  });

  it('names few models, and only by their names', async () => {
    await using line = await open();
    const usage = { input_tokens: 1, output_tokens: 1 };
    for (const model of ['two words', 'a', 'gpt/b:c', 'x'.repeat(65), 'd', 'e', 'f', 'a']) {
      await line.peer.tell(ended('resp_1', 'completed', { model, usage }));
    }
    const asked = 'gpt-5.6-luna';
    const told = line.of('usage').map(({ model }) => model);
    expect(told).toEqual([asked, 'a', 'gpt/b:c', asked, 'd', 'e', asked, 'a']);
  });
});

describe('a flood', () => {
  it('of calls in one run is cut off, and told of once', async () => {
    await using line = await open();
    const calls = Array.from({ length: 300 }, (_, i) => called(`call_${i}`));
    await line.peer.tell(...calls, ended('resp_1'));
    expect(line.of('toolCall')).toHaveLength(256);
    expect(warnings(line)).toEqual(['too_much']);
  });

  it('of long arguments in a run without an end is cut off', async () => {
    await using line = await open();
    const calls = Array.from({ length: 5 }, (_, i) => called(`call_${i}`, 'x'.repeat(300_000)));
    await line.peer.tell(...calls, ended('resp_1'));
    expect(line.of('toolCall')).toHaveLength(3);
    expect(warnings(line)).toEqual(['too_much']);
  });

  it('of runs without an end keeps the newest', async () => {
    await using line = await open();
    await line.peer.tell(...Array.from({ length: 40 }, (_, i) => started(`item_${i}`)));
    expect(warnings(line)).toEqual(['too_much']);
    await pass(line, 30_000);
    expect(warnings(line)).toEqual(['too_much', 'response_lost']);
  });

  it('of work for the application is cut off, and goes on when some of it is done', async () => {
    await using line = await open({}, { delegation: { type: 'client', function: 'work' } });
    await line.peer.tell(...Array.from({ length: 1_100 }, (_, i) => delegation(`item_${i}`)));
    expect(line.of('toolCall')).toHaveLength(1_000);
    expect(warnings(line)).toEqual(['too_much']);
    line.session.sendToolResult('item_7', result('done'));
    await line.peer.tell(delegation('item_2000'), delegation('item_2001'));
    expect(line.of('toolCall').at(-1)?.callId).toBe('item_2000');
    expect(line.of('toolCall')).toHaveLength(1_001);
  });

  it('of words is told as far as an item is long', async () => {
    await using line = await open();
    const text = 'abcd'.repeat(10_000);
    await line.peer.tell(words('input', text, 0), words('input', text, 200), words('input', text, 400));
    line.clock.advance(1_000);
    expect(line.of('transcript').map((told) => [told.text.length, told.final])).toEqual([
      [40_000, false],
      [MOST_TEXT - 40_000, false],
      [MOST_TEXT, true],
    ]);
    expect(warnings(line)).toEqual(['too_much']);
  });
});
