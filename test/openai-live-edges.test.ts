import { afterEach, describe, expect, it } from 'vitest';
import { type AudioFormat, MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import type { HistoryItem, ToolResult } from '../src/provider.ts';
import {
  appended,
  called,
  created,
  ended,
  type Line,
  open,
  quiet,
  speech,
  words,
} from './support/openai-live-peer.ts';
import type { Message } from './support/openai-peer.ts';
import { cleanUp } from './support/peers.ts';

afterEach(cleanUp);

const TOOL = {
  name: 'lookup',
  description: 'Finds the time of a train.',
  parameters: { type: 'object', properties: { train: { type: 'string' } } },
};

const RESULT: ToolResult = { output: '{}', isError: false, respond: true };

/** One stretch of speech, and the silence after it. */
const SPOKEN = Buffer.concat([speech(200, MULAW_8K), quiet(1_000, MULAW_8K)]);

/** For each thing that the model said, whether the bridge had asked for it. */
const asked = (line: Line): boolean[] => line.of('responseStarted').map((event) => event.asked);

function delegationOf(session: Message): Message {
  return (session['delegation'] as Message)['responses'] as Message;
}

describe('a backend', () => {
  it('is not asked to go on while it is at something', async () => {
    await using line = await open();
    await line.peer.tell(created('resp_1'), called('call_1'), ended('resp_1'));
    await line.peer.tell(created('resp_2'));
    line.session.sendToolResult('call_1', RESULT);
    await line.peer.settle();
    expect(line.peer.all('response.item.create')).toHaveLength(1);
    expect(line.peer.all('response.create')).toEqual([]);
    await line.peer.tell(ended('resp_2'));
    await line.peer.next('response.create');
  });

  it('that calls on has not said yet what was asked of it', async () => {
    await using line = await open();
    await line.peer.tell(created('resp_1'), called('call_1'), ended('resp_1'));
    line.session.sendToolResult('call_1', RESULT);
    await line.peer.next('response.create');
    await line.peer.tell(created('resp_2'), called('call_2'), ended('resp_2'));
    await line.stream(SPOKEN);
    expect(asked(line)).toEqual([false]);
    line.session.sendToolResult('call_2', RESULT);
    await line.peer.next('response.create');
    await line.peer.tell(created('resp_3'), ended('resp_3'));
    await line.stream(SPOKEN);
    expect(asked(line)).toEqual([false, true]);
  });

  it('that gave no answer is not waited for: what the next one finds was not asked for', async () => {
    await using line = await open();
    await line.peer.tell(created('resp_1'), called('call_1'), ended('resp_1'));
    line.session.sendToolResult('call_1', RESULT);
    await line.peer.next('response.create');
    await line.peer.tell(created('resp_2'), ended('resp_2', 'failed', { error: { message: 'sorry' } }));
    await line.peer.tell(created('resp_3'), ended('resp_3'));
    await line.stream(SPOKEN);
    expect(asked(line)).toEqual([false]);
  });
});

describe('what the model is only to know', () => {
  it('is nothing that it was asked to say, taken in or not', async () => {
    await using line = await open();
    line.session.sendText('The door is open.', { role: 'system', respond: false });
    const { event_id: id } = await line.peer.next('session.thinking.append');
    await line.peer.tell(appended('thinking', id));
    await line.stream(SPOKEN);
    line.session.sendText('The door is shut.', { role: 'system', respond: false });
    line.clock.advance(3_000);
    await line.stream(SPOKEN);
    expect(asked(line)).toEqual([false, false]);
  });
});

describe('work that is handed to a function of the agent', () => {
  it('has the newest 4,000 characters of what the caller said', async () => {
    await using line = await open({}, { delegation: { type: 'client', function: 'ask' } });
    await line.peer.tell(words('input', 'a'.repeat(3_000), 0), words('input', 'b'.repeat(3_000), 500));
    await line.peer.tell({
      type: 'session.delegation.created',
      event_id: 'd',
      offset_ms: 0,
      delegation: { id: 'item_1', type: 'delegation', target: 'client' },
    });
    const [call] = line.of('toolCall');
    const { request } = JSON.parse(call?.args ?? '{}') as { request: string };
    expect(request).toBe('a'.repeat(1_000) + 'b'.repeat(3_000));
  });
});

describe('the start of a session', () => {
  it('is told no more than 128 messages, however short, and those the newest', async () => {
    const history = Array.from(
      { length: 129 },
      (_, i): HistoryItem => ({ type: 'message', role: 'user', text: `n${i}` }),
    );
    await using line = await open({ history });
    const told = (line.asked['input'] as { content: { text: string }[] }[]).map(
      ({ content: [part] }) => part?.text,
    );
    expect(told).toHaveLength(128);
    expect(told[0]).toMatch(/left out/);
    expect([told[1], told.at(-1)]).toEqual(['n2', 'n128']);
  });

  it('declares functions that need not be called to the letter, several at once', async () => {
    await using line = await open({ tools: [TOOL] });
    expect(delegationOf(line.asked)).toMatchObject({
      tools: [{ type: 'function', ...TOOL, strict: false }],
      parallel_tool_calls: true,
    });
  });

  it.each<[Message, AudioFormat]>([
    [{ format: { type: 'audio/pcmu' } }, MULAW_8K],
    [{ format: { type: 'audio/pcma' } }, { encoding: 'alaw', rate: 8000 }],
    [{ format: { type: 'audio/pcm' } }, PCM16_24K],
    [{}, PCM16_24K],
  ])('may leave out the rate of its audio: %j', async (audio, format) => {
    await using line = await open({}, {}, { audio });
    expect([line.session.input, line.session.output]).toEqual([format, format]);
  });
});

describe('the end of a session', () => {
  it('is waited for as long as the figures of what it cost may take', async () => {
    const line = await open();
    const closing = line.session.close('over');
    await line.peer.next('session.close');
    line.clock.advance(500);
    await line.peer.tell({ type: 'session.usage.updated', event_id: 'u', usage: { seconds: 15 } });
    line.clock.advance(400);
    line.peer.say({
      type: 'session.closed',
      event_id: 'c',
      reason: 'close_requested',
      session: {},
      usage: { seconds: 21 },
    });
    await closing;
    expect(line.of('usage').map(({ seconds }) => seconds)).toEqual([15, 6]);
    expect(line.events.at(-1)).toEqual({ type: 'closed', expected: true, error: undefined });
    expect(line.clock.pending).toBe(0);
  });
});
