import { afterEach, describe, expect, it } from 'vitest';
import {
  created,
  delta,
  done,
  error,
  functionCall,
  type Line,
  type Message,
  open,
  result,
  speechStarted,
  speechStopped,
} from './support/openai-peer.ts';
import { cleanUp } from './support/peers.ts';

afterEach(cleanUp);

const types = (line: Line): string[] => line.events.map(({ type }) => type);
/** 20 ms of mu-law. */
const FRAME = 160;

/** Halfway, the socket shows that it lives. */
const silence = async (line: Line, ms: number): Promise<void> => {
  for (let left = ms; left > 0; left -= 10_000) {
    line.clock.advance(Math.min(left, 10_000));
    await line.peer.settle();
  }
};

describe('a response that falls silent', () => {
  it('is waited for longer than one that never began, then cancelled and told to be over', async () => {
    const line = await open();
    await line.peer.tell(created('resp_1'), delta('resp_1', 'item_1', FRAME));
    await silence(line, 29_999);
    expect(types(line)).toEqual(['responseStarted', 'audio']);
    await silence(line, 1);
    expect(types(line)).toEqual(['responseStarted', 'audio', 'audioDone', 'responseDone', 'warning']);
    expect(line.of('responseDone')).toMatchObject([{ status: 'failed', reason: 'lost' }]);
    await line.peer.settle();
    expect(line.peer.all('response.cancel')).toMatchObject([{ response_id: 'resp_1' }]);
  });

  it('may end after all: nothing of it is heard, its calls are closed, and the server is forgiven', async () => {
    const line = await open();
    const usage = { input_token_details: { text_tokens: 5 } };
    await line.peer.tell(created('resp_1'), delta('resp_1', 'item_1', FRAME));
    await silence(line, 30_000);
    const before = line.events.length;
    await line.peer.tell(delta('resp_1', 'item_1', FRAME));
    line.session.say('hello');
    await line.peer.settle();
    expect(line.peer.all('response.create')).toEqual([]);
    const end = done('resp_1', 'completed', { output: [functionCall('call_1')], usage });
    await line.peer.tell(end, end);
    expect(types(line).slice(before)).toEqual(['usage']);
    expect(line.peer.all('conversation.item.create')).toMatchObject([
      { item: { type: 'function_call_output', call_id: 'call_1' } },
    ]);
    const asked = await line.peer.next('response.create');
    await line.peer.tell(created('resp_2', asked['event_id']));
    await silence(line, 30_000);
    expect(line.of('error')).toEqual([]);
    expect(line.of('closed')).toEqual([]);
  });

  it('is no second trouble when it gave a last word and no end', async () => {
    const line = await open();
    await line.peer.tell(created('resp_1'));
    await silence(line, 30_000);
    await line.peer.tell(delta('resp_1', 'item_1', FRAME));
    await silence(line, 40_000);
    expect(types(line)).toEqual(['responseStarted', 'responseDone', 'warning']);
  });
});

describe('the end of the speech of the caller', () => {
  const committed: Message = { type: 'input_audio_buffer.committed', item_id: 'item_u' };
  const ofSpeech = (line: Line): string[] => types(line).filter((type) => type.startsWith('speech'));

  it.each([
    ['the turn becomes an item', [committed]],
    ['the server answers by itself', [created('resp_1')]],
    ['everything tells it', [speechStopped, committed, created('resp_1')]],
    ['it is told late', [created('resp_1'), committed, speechStopped]],
  ])('is told once when %s', async (_, messages) => {
    const line = await open();
    await line.peer.tell(speechStarted, ...messages);
    expect(ofSpeech(line)).toEqual(['speechStarted', 'speechStopped']);
    expect(line.of('speechStopped')).toMatchObject([{ itemId: 'item_u' }]);
    await line.peer.tell(speechStarted);
    await silence(line, 30_000);
    expect(ofSpeech(line)).toHaveLength(4);
  });

  it('is told when the caller seems to speak for ever', async () => {
    const line = await open();
    await line.peer.tell(speechStarted);
    await silence(line, 29_999);
    expect(ofSpeech(line)).toEqual(['speechStarted']);
    await silence(line, 1);
    expect(ofSpeech(line)).toEqual(['speechStarted', 'speechStopped']);
    await line.peer.tell(speechStopped);
    expect(ofSpeech(line)).toEqual(['speechStarted', 'speechStopped']);
  });

  it('is not told by the answer to a request of the bridge', async () => {
    const line = await open();
    line.session.say('hello');
    const asked = await line.peer.next('response.create');
    await line.peer.tell(speechStarted, created('resp_1', asked['event_id']));
    expect(ofSpeech(line)).toEqual(['speechStarted']);
  });
});

describe('a request that is refused', () => {
  it('makes room for the next one although the error does not name it', async () => {
    const line = await open();
    line.session.say('one');
    line.session.say('two');
    await line.peer.next('response.create');
    await line.peer.tell(error('invalid_value'));
    expect(line.peer.all('response.create')).toHaveLength(2);
    expect(line.of('error')).toMatchObject([{ fatal: false }]);
    // With a response under way the error may be about anything.
    await line.peer.tell(created('resp_1'), error('invalid_value'));
    line.session.say('three');
    await line.peer.settle();
    expect(line.peer.all('response.create')).toHaveLength(2);
    await line.peer.tell(done('resp_1'));
    expect(line.peer.all('response.create')).toHaveLength(3);
  });

  it.each([
    ['names it', true],
    ['does not name it', false],
  ])('for its metadata is repeated without, once, when the error %s', async (_, named) => {
    const line = await open();
    line.session.say('one');
    const first = await line.peer.next('response.create');
    const refusal = (of: Message): Message =>
      error('unknown_parameter', {
        param: 'response.metadata',
        ...(named ? { event_id: of['event_id'] } : {}),
      });
    await line.peer.tell(refusal(first));
    const second = await line.peer.next('response.create');
    const fields = first['response'] as Message;
    expect(fields['metadata']).toBeDefined();
    expect(second['response']).toEqual({ ...fields, metadata: undefined });
    expect(types(line)).toEqual(['warning']);
    await line.peer.tell(refusal(second));
    expect(line.peer.all('response.create')).toHaveLength(2);
    expect(types(line)).toEqual(['warning', 'error']);
  });
});

describe('ids that are counted anew in every response', () => {
  it('tell the messages of different responses apart', async () => {
    const line = await open();
    await line.peer.tell(
      created('resp_1'),
      delta('resp_1', 'item_0', FRAME),
      done('resp_1'),
      created('resp_2'),
      delta('resp_2', 'item_0', FRAME),
      done('resp_2'),
    );
    expect(line.of('audio').map(({ responseId, itemId }) => [responseId, itemId])).toEqual([
      ['resp_1', 'item_0'],
      ['resp_2', 'item_0'],
    ]);
    expect(line.of('audioDone').map(({ responseId }) => responseId)).toEqual(['resp_1', 'resp_2']);
    // The second one was never corrected, whatever became of the first.
    line.session.interrupt([{ itemId: 'item_0', playedMs: 10, receivedMs: 20 }]);
    await line.peer.settle();
    expect(line.peer.all('conversation.item.truncate')).toMatchObject([{ audio_end_ms: 10 }]);
  });

  it('tell the calls of different responses apart, once each is answered', async () => {
    const line = await open();
    const call = { output: [functionCall('call_0')] };
    await line.peer.tell(created('resp_1'), done('resp_1', 'completed', call));
    line.session.sendToolResult('call_0', result('1', false));
    await line.peer.tell(created('resp_2'), done('resp_2', 'completed', call));
    // Still open: whose result would come next, nobody could tell.
    await line.peer.tell(created('resp_3'), done('resp_3', 'completed', call));
    expect(line.of('toolCall').map(({ responseId }) => responseId)).toEqual(['resp_1', 'resp_2']);
    line.session.sendToolResult('call_0', result('2'));
    await line.peer.next('response.create');
    expect(line.of('warning')).toEqual([]);
  });
});

describe('a response that was cut off and never ends', () => {
  it('is over when the server makes its next one, and told so once', async () => {
    const line = await open();
    await line.peer.tell(created('resp_1'), delta('resp_1', 'item_1', FRAME), speechStarted);
    line.session.interrupt([{ itemId: 'item_1', playedMs: 10, receivedMs: 20 }]);
    await line.peer.tell(speechStopped, created('resp_2'));
    expect(line.of('responseDone')).toMatchObject([{ responseId: 'resp_1', status: 'cancelled' }]);
    await line.peer.tell(done('resp_2'));
    // Nothing is waited for any more.
    line.session.say('hello');
    const asked = await line.peer.next('response.create');
    await line.peer.tell(done('resp_1', 'cancelled'), created('resp_3', asked['event_id']));
    expect(line.of('responseDone').map(({ responseId }) => responseId)).toEqual(['resp_1', 'resp_2']);
    expect(line.peer.all('response.cancel')).toEqual([]);
  });
});

describe('function calls of other servers', () => {
  const written = (callId: string): Message => ({
    type: 'response.function_call_arguments.done',
    response_id: 'resp_1',
    item_id: `item_${callId}`,
    call_id: callId,
    name: 'lookup',
    arguments: '{"a":1}',
  });

  it('count also when the completed response still calls them in progress', async () => {
    const line = await open();
    const output = [
      functionCall('call_1', 'lookup', 'in_progress'),
      functionCall('call_2', 'lookup', 'incomplete'),
    ];
    await line.peer.tell(created('resp_1'), done('resp_1', 'completed', { output }));
    expect(line.of('toolCall').map(({ callId }) => callId)).toEqual(['call_1']);
  });

  it('are taken from their arguments when the response ends without its items, and only then', async () => {
    const line = await open();
    await line.peer.tell(created('resp_1'), written('call_1'), done('resp_1'));
    expect(line.of('toolCall')).toEqual([
      { type: 'toolCall', responseId: 'resp_1', callId: 'call_1', name: 'lookup', args: '{"a":1}' },
    ]);
    const cut = await open();
    const output = [functionCall('call_1', 'lookup', 'incomplete')];
    await cut.peer.tell(created('resp_1'), written('call_1'), done('resp_1', 'completed', { output }));
    expect(cut.of('toolCall')).toEqual([]);
  });
});

describe('a transcript', () => {
  it('is handed on piece by piece also when every piece repeats those before it', async () => {
    const line = await open();
    const words = (text: string): Message => ({
      type: 'response.output_audio_transcript.delta',
      response_id: 'resp_1',
      item_id: 'item_1',
      delta: text,
    });
    await line.peer.tell(
      created('resp_1'),
      words('One'),
      words('One two'),
      words('One two three'),
      words(' four'),
    );
    expect(line.of('transcript').map(({ text }) => text)).toEqual(['One', ' two', ' three', ' four']);
  });
});
