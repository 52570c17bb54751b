import { afterEach, describe, expect, it } from 'vitest';
import type { HistoryItem } from '../src/provider.ts';
import {
  complete,
  content,
  generated,
  heard,
  interrupted,
  type Line,
  LOOKUP,
  type Message,
  open,
  result,
  speech,
  spoken,
  texts,
  toolCall,
} from './support/gemini-peer.ts';
import { cleanUp } from './support/peers.ts';

afterEach(cleanUp);

const OLD = { model: 'gemini-2.5-flash-native-audio-preview-12-2025' };
const MIDDLE = { model: 'gemini-3.1-flash-live-preview' };
const TOOLS = { tools: [LOOKUP] };

const types = (line: Line): string[] => line.events.map(({ type }) => type);
const warnings = (line: Line): string[] => line.of('warning').map(({ code }) => code);
const asked = (line: Line): boolean[] => line.of('responseStarted').map((event) => event.asked);
const answer = (fill = 1): Message[] => [speech(100, fill), generated, complete];
const say = (respond: boolean) => ({ role: 'user', respond }) as const;

/** Time passes on a connection that is alive. */
async function pass(line: Line, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5_000) {
    line.clock.advance(Math.min(left, 5_000));
    await line.peer.settle();
  }
}

/** Contents of the results that were sent. */
function responses(line: Line): Message[] {
  return line.peer.all('toolResponse').flatMap((message) => {
    const { functionResponses } = message['toolResponse'] as { functionResponses: Message[] };
    return functionResponses;
  });
}

describe('what the agent is to say', () => {
  it.each([
    ['3.8', {}, 'text'],
    ['3.1', MIDDLE, 'text'],
    ['2.5', OLD, 'clientContent'],
  ])(
    'goes to %s as its generation takes it, and its answer is one that was asked for',
    async (_name, model, kind) => {
      const line = await open({ language: 'de-AT' }, model);
      line.session.say('Guten Tag!');
      const message = await line.peer.next(kind);
      if (kind === 'clientContent') expect(message['clientContent']).toMatchObject({ turnComplete: true });
      expect(texts(line.peer)).toEqual([
        expect.stringMatching(/exactly.*German.*\n-----\nGuten Tag!\n-----$/s),
      ]);
      await line.peer.tell(...answer());
      expect(asked(line)).toEqual([true]);
      await line.peer.tell(heard('Hallo'), ...answer());
      expect(asked(line)).toEqual([true, false]);
    },
  );

  it('waits for its turn: one is asked for at a time, and none while the model speaks', async () => {
    const line = await open();
    line.session.say('one');
    line.session.say('two');
    line.session.say('   ');
    await line.peer.next('text');
    await line.peer.tell(speech(100), generated);
    expect(line.peer.all('text')).toHaveLength(1);
    await line.peer.tell(complete);
    await line.peer.next('text');
    await line.peer.tell(...answer());
    expect(line.peer.all('text')).toHaveLength(2);
    expect(asked(line)).toEqual([true, true]);
  });

  it('waits for the answer to a caller who has just spoken, or for three seconds', async () => {
    const line = await open();
    await line.peer.tell(heard('Hello?'));
    line.session.say('one');
    await line.peer.tell(...answer());
    expect(asked(line)).toEqual([false]);
    await line.peer.next('text');
    await line.peer.tell(...answer());
    await line.peer.tell(heard('Hm.'));
    line.session.say('two');
    line.clock.advance(2_999);
    await line.peer.settle();
    expect(line.peer.all('text')).toHaveLength(1);
    line.clock.advance(1);
    await line.peer.next('text');
  });

  it('is out of date when the caller cuts in, unless it has to be said', async () => {
    const line = await open();
    await line.peer.tell(speech(1_000));
    line.session.say('are you there?');
    line.session.say('goodbye', true);
    line.session.interrupt([]);
    await line.peer.tell(interrupted, complete, heard('Wait'), ...answer(2));
    await line.peer.next('text');
    await line.peer.settle();
    expect(texts(line.peer)).toEqual([expect.stringContaining('goodbye')]);
  });

  it('goes out at once when the bridge has cut the model off itself', async () => {
    const line = await open();
    await line.peer.tell(speech(1_000, 1));
    line.session.interrupt([]);
    line.session.say('goodbye', true);
    await line.peer.next('text');
    await line.peer.tell(speech(100, 2), interrupted, complete, ...answer(3));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1, 3]);
    expect(asked(line)).toEqual([false, true]);
    expect(line.of('interrupted')).toEqual([]);
    expect(line.peer.all('text')).toHaveLength(1);
  });

  it('is not heard when the caller cuts in before it begins, and is said later if it has to be', async () => {
    const line = await open();
    line.session.say('hello', false);
    await line.peer.next('text');
    line.session.interrupt([]);
    await line.peer.tell(...answer(1));
    expect(types(line)).toEqual([]);
    line.session.say('goodbye', true);
    await line.peer.next('text');
    line.session.interrupt([]);
    await line.peer.tell(speech(100, 2), generated, complete, heard('No'), ...answer(3));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([3]);
    await line.peer.next('text');
    await line.peer.tell(...answer(4));
    expect(asked(line)).toEqual([false, true]);
    expect(texts(line.peer).filter((text) => text.includes('goodbye'))).toHaveLength(2);
  });

  it('does not wait for the end of what nobody is to hear', async () => {
    const line = await open();
    line.session.sendText('The caller pressed 1.', say(true));
    await line.peer.next('text');
    line.session.interrupt([]);
    line.session.sendText('The caller pressed 2.', say(true));
    await line.peer.tell(speech(100, 1));
    await line.peer.next('text');
    await line.peer.tell(interrupted, complete, ...answer(2));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([2]);
    expect(asked(line)).toEqual([true]);
  });

  it('never costs the caller the answer to what they said when they cut in', async () => {
    const line = await open();
    line.session.say('hello');
    await line.peer.next('text');
    line.session.interrupt([]);
    await line.peer.tell(heard('Stop it.'), ...answer(1));
    expect(line.of('audio')).toHaveLength(1);
    expect(asked(line)).toEqual([false]);
    line.session.say('hello again');
    line.clock.advance(3_000);
    await line.peer.next('text');
    line.session.interrupt([]);
    line.clock.advance(3_000);
    await line.peer.tell(...answer(2));
    expect(line.of('audio')).toHaveLength(2);
  });

  it('is said after the caller when the service cuts it off before it began', async () => {
    const line = await open();
    line.onEvent = (event) => {
      if (event.type === 'interrupted') line.session.interrupt([]);
    };
    line.session.say('dropped');
    line.session.say('kept', true);
    await line.peer.next('text');
    await line.peer.tell(interrupted, complete);
    line.clock.advance(2_000);
    await line.peer.tell(heard('But'), ...answer(1));
    expect(asked(line)).toEqual([false]);
    await line.peer.next('text');
    expect(texts(line.peer)).toEqual([expect.stringContaining('dropped'), expect.stringContaining('kept')]);
  });

  it('is asked for once more when nothing comes of it, and then the session is of no use', async () => {
    const line = await open();
    line.session.say('hello');
    await line.peer.next('text');
    await pass(line, 10_000);
    await line.peer.next('text');
    expect(line.of('error')).toEqual([]);
    line.clock.advance(10_000);
    expect(await line.peer.closed).toBe(1000);
    expect(line.of('closed')).toMatchObject([{ error: { code: 'PROVIDER_UNAVAILABLE' } }]);
    await line.session.close('again');
    expect(line.clock.pending).toBe(0);
  });

  it('is asked for once more at once when the model answers with nothing', async () => {
    const line = await open();
    line.session.say('hello');
    await line.peer.next('text');
    await line.peer.tell(complete);
    await line.peer.next('text');
    await line.peer.tell(complete);
    expect(warnings(line)).toEqual(['response_lost']);
    expect(line.peer.all('text')).toHaveLength(2);
  });

  it('is written to nobody when the session is closed', async () => {
    const line = await open();
    const closing = line.session.close('over');
    line.session.say('late');
    line.session.sendText('late', say(true));
    line.session.sendToolResult('c1', result('late'));
    line.session.interrupt([]);
    expect(line.session.sendAudio(new Uint8Array(640))).toBe(false);
    await closing;
    expect(line.peer.kinds()).toEqual([]);
    expect(types(line)).toEqual(['closed']);
    expect(line.clock.pending).toBe(0);
  });
});

describe('text', () => {
  it('of the caller goes as it is, and what the system says is marked', async () => {
    const line = await open();
    line.session.sendText('My name is Ada.', { role: 'user', respond: true });
    await line.peer.next('text');
    await line.peer.tell(...answer());
    line.session.sendText('The line broke.', { role: 'system', respond: true });
    await line.peer.next('text');
    await line.peer.tell(...answer());
    line.session.sendText('', { role: 'user', respond: true, digits: '42#' });
    await line.peer.next('text');
    expect(texts(line.peer)).toEqual([
      'My name is Ada.',
      '[From the system, not said by the caller: The line broke.]',
      expect.stringContaining('The caller pressed 42# on the telephone keypad.'),
    ]);
    expect(asked(line)).toEqual([true, true]);
  });

  it.each([
    ['3.8', {}],
    ['2.5', OLD],
  ])('that needs no answer is told to %s when nothing is under way', async (_name, model) => {
    const line = await open({}, model);
    line.session.sendText('A', say(false));
    const { clientContent } = await line.peer.next('clientContent');
    expect(clientContent).toEqual({
      turns: [{ role: 'user', parts: [{ text: 'A' }] }],
      turnComplete: false,
    });
    await line.peer.tell(speech(100));
    line.session.sendText('B', say(false));
    line.session.sendText('C', say(false));
    await line.peer.settle();
    expect(line.peer.received).toHaveLength(2);
    await line.peer.tell(generated, complete);
    await line.peer.next('clientContent');
    expect(texts(line.peer)).toEqual(['A', 'B', 'C']);
    expect(line.peer.received).toHaveLength(3);
  });

  it('that needs no answer does not cut off the one that the caller waits for', async () => {
    const line = await open();
    await line.peer.tell(heard('What time is it?'));
    line.session.sendText('A', say(false));
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual([]);
    await line.peer.tell(...answer());
    await line.peer.next('clientContent');
  });

  it('that needs no answer goes along with the next that does, where it would get one', async () => {
    const line = await open({}, MIDDLE);
    line.session.sendText('A', say(false));
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual([]);
    line.session.sendText('B', say(true));
    await line.peer.next('text');
    expect(texts(line.peer)).toEqual(['A\n\nB']);
  });

  it('that needs no answer goes before the one that does', async () => {
    const line = await open();
    await line.peer.tell(speech(100));
    line.session.sendText('A', say(false));
    line.session.sendText('B', say(true));
    await line.peer.tell(generated, complete);
    await line.peer.next('text');
    expect(line.peer.kinds()).toEqual(['clientContent', 'text']);
    expect(texts(line.peer)).toEqual(['A', 'B']);
  });

  it('is kept up to a limit, and what is lost is told', async () => {
    const line = await open({}, MIDDLE);
    for (let i = 0; i < 40; i += 1) line.session.sendText(`note ${i}.`, say(false));
    line.session.sendText('now', say(true));
    await line.peer.next('text');
    expect(texts(line.peer)[0]).not.toContain('note 7.');
    expect(texts(line.peer)[0]).toContain('note 8.');
    expect(warnings(line)).toHaveLength(8);
  });
});

describe('the conversation so far', () => {
  const HISTORY: readonly HistoryItem[] = [
    { type: 'message', role: 'assistant', text: 'Hello.' },
    { type: 'message', role: 'user', text: 'Is it open?' },
    { type: 'tool', callId: 'x', name: 'lookup', args: '{"of":"hours"}', output: '{"open":true}' },
    { type: 'message', role: 'assistant', text: 'Yes.' },
    { type: 'message', role: 'system', text: 'The line broke.' },
  ];

  it('is told as turns, the caller first, with calls as text', async () => {
    const line = await open({ history: HISTORY });
    const { clientContent } = await line.peer.next('clientContent');
    const { turns, turnComplete } = clientContent as { turns: Message[]; turnComplete: boolean };
    expect(turnComplete).toBe(false);
    expect(turns.map(({ role }) => role)).toEqual(['user', 'model', 'user', 'model', 'user']);
    const all = texts(line.peer);
    expect(all[2]).toBe('Is it open?');
    expect(all[3]).toMatch(/result of the function lookup.*\{"of":"hours"\}.*\{"open":true\}/);
    expect(all[5]).toContain('The line broke.');
    expect(line.setup).not.toHaveProperty('historyConfig');
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual(['clientContent']);
  });

  it.each([
    ['3.8', {}],
    ['2.5', OLD],
  ])('that ends with the caller is answered by %s', async (_name, model) => {
    const line = await open({ history: HISTORY.slice(0, 2) }, model);
    const { clientContent } = await line.peer.next('clientContent');
    expect(clientContent).toMatchObject({ turnComplete: true });
    line.session.say('not before that');
    await line.peer.settle();
    expect(line.peer.received).toHaveLength(2);
    await line.peer.tell(...answer());
    expect(asked(line)).toEqual([true]);
  });

  it('is asked about once more when no answer comes', async () => {
    const line = await open({ history: HISTORY.slice(0, 2) });
    await line.peer.next('clientContent');
    await pass(line, 10_000);
    await line.peer.next('text');
    expect(texts(line.peer).at(-1)).toMatch(/answer now/);
  });

  it('is announced to 3.1, closed there, and answered on demand', async () => {
    const line = await open({ history: HISTORY.slice(0, 2) }, MIDDLE);
    expect(line.setup).toMatchObject({ historyConfig: { initialHistoryInClientContent: true } });
    await line.peer.next('text');
    expect(line.peer.kinds()).toEqual(['clientContent', 'text']);
    expect(line.peer.received[1]).toMatchObject({ clientContent: { turnComplete: true } });
    expect(texts(line.peer).at(-1)).toMatch(/answer now what the caller said last/);
  });

  it('is not told with a handle, nor when there is none', async () => {
    const resumed = await open({ history: HISTORY, resume: 'handle-7' }, MIDDLE);
    expect(resumed.setup).toMatchObject({ sessionResumption: { handle: 'handle-7' } });
    expect(resumed.setup).not.toHaveProperty('historyConfig');
    const fresh = await open({ history: [{ type: 'message', role: 'user', text: '  ' }] }, MIDDLE);
    expect(fresh.setup).not.toHaveProperty('historyConfig');
    for (const line of [resumed, fresh]) {
      await line.peer.settle();
      expect(line.peer.kinds()).toEqual([]);
    }
  });

  it('is cut at its older end when it is more than a session takes', async () => {
    const history: HistoryItem[] = Array.from({ length: 30 }, (_, i) => ({
      type: 'message',
      role: i % 2 === 0 ? 'user' : 'assistant',
      text: `${i} ${'x'.repeat(9_990)}`,
    }));
    const line = await open({ history });
    await line.peer.next('clientContent');
    const all = texts(line.peer);
    expect(all.join('').length).toBeLessThan(201_000);
    expect(all.at(-1)).toMatch(/^29 /);
    expect(all.length).toBeGreaterThan(18);
  });
});

describe('function calls', () => {
  it('end the answer that made them, are answered by id, and the next answer is asked for', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(heard('Is it open?'), speech(100, 1), toolCall('c1'));
    expect(line.of('toolCall')).toMatchObject([{ callId: 'c1', name: 'lookup', args: '{"of":"c1"}' }]);
    expect(line.of('toolCall')[0]?.responseId).toBe(line.of('responseStarted')[0]?.responseId);
    line.clock.advance(400);
    expect(types(line).slice(-2)).toEqual(['audioDone', 'responseDone']);
    line.session.sendToolResult('c1', result('{"open":true}'));
    await line.peer.next('toolResponse');
    expect(responses(line)).toEqual([{ id: 'c1', name: 'lookup', response: { output: { open: true } } }]);
    await line.peer.tell(...answer(2));
    expect(asked(line)).toEqual([false, true]);
  });

  it('are followed by an answer that has its words even when they come before its sound', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(speech(100), spoken('Wait.'), toolCall('c1'));
    line.clock.advance(400);
    await line.peer.tell(spoken(' late'));
    line.session.sendToolResult('c1', result('1'));
    await line.peer.tell(spoken('It is '), speech(100), spoken('open.'), generated, complete);
    const finals = line.of('transcript').filter(({ role, final }) => final && role === 'assistant');
    expect(finals.map(({ text }) => text)).toEqual(['Wait.', 'It is open.']);
  });

  it('may be all that an answer is', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(toolCall('c1'), generated, complete);
    expect(types(line)).toEqual(['transcript', 'responseStarted', 'toolCall', 'responseDone']);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.tell(...answer());
    expect(asked(line)).toEqual([false, true]);
    expect(warnings(line)).toEqual([]);
  });

  it('take the sound with them that trails', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(speech(100), toolCall('c1'));
    line.clock.advance(300);
    await line.peer.tell(speech(20));
    line.clock.advance(399);
    expect(line.of('responseDone')).toEqual([]);
    line.clock.advance(1);
    expect(line.of('responseDone')).toHaveLength(1);
    await line.peer.tell(generated, complete);
    expect(line.of('responseStarted')).toHaveLength(1);
  });

  it('that do not block say when the model is to speak of all that was called together', async () => {
    const line = await open(TOOLS);
    await line.peer.tell(toolCall('c1', 'c2', 'c3'));
    line.session.sendToolResult('c2', result('2'));
    line.session.sendToolResult('c1', { output: 'it broke', isError: true, respond: false });
    line.session.sendToolResult('c3', result('3', false));
    await line.peer.settle();
    expect(responses(line)).toEqual([
      { id: 'c2', name: 'lookup', response: { output: '2' }, scheduling: 'SILENT' },
      { id: 'c1', name: 'lookup', response: { error: 'it broke' }, scheduling: 'SILENT' },
      { id: 'c3', name: 'lookup', response: { output: '3' }, scheduling: 'WHEN_IDLE' },
    ]);
    await line.peer.tell(complete, ...answer());
    expect(asked(line)).toEqual([false, true]);
  });

  it('that are not to be spoken of are told silently, and what comes then is for the caller', async () => {
    const line = await open(TOOLS);
    await line.peer.tell(toolCall('c1'), generated, complete);
    line.session.sendToolResult('c1', result('1', false));
    await line.peer.tell(...answer());
    expect(responses(line)).toMatchObject([{ scheduling: 'SILENT' }]);
    expect(asked(line)).toEqual([false, false]);
    expect(line.of('audio')).toHaveLength(1);
  });

  it('that block are spoken of in any case, and the caller does not hear it when it was not to be', async () => {
    const line = await open(TOOLS, MIDDLE);
    await line.peer.tell(toolCall('c1'), generated, complete);
    line.session.sendToolResult('c1', result('1', false));
    await line.peer.tell(...answer(1), heard('And?'), ...answer(2));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([2]);
    const loud = await open(TOOLS, { ...MIDDLE, quietToolResults: false });
    await loud.peer.tell(toolCall('c1'));
    loud.session.sendToolResult('c1', result('1', false));
    await loud.peer.tell(...answer(1));
    expect(loud.of('audio')).toHaveLength(1);
  });

  it('that block and were overtaken by the caller do not cost them their answer', async () => {
    const line = await open(TOOLS, MIDDLE);
    await line.peer.tell(toolCall('c1'));
    line.clock.advance(1_000);
    line.session.interrupt([]);
    line.session.sendToolResult('c1', { output: 'cancelled', isError: true, respond: false });
    await line.peer.tell(...answer(1));
    expect(line.of('audio')).toHaveLength(1);
  });

  it('that the service withdraws are given up, and answered all the same, once', async () => {
    const line = await open(TOOLS);
    await line.peer.tell(toolCall('c1', 'c2'), { toolCallCancellation: { ids: ['c1', 'other'] } });
    expect(line.of('toolCallsCancelled')).toEqual([{ type: 'toolCallsCancelled', callIds: ['c1'] }]);
    line.session.sendToolResult('c1', result('late'));
    line.session.sendToolResult('c2', result('2'));
    await line.peer.settle();
    expect(responses(line)).toEqual([
      { id: 'c1', name: 'lookup', response: { error: 'cancelled' }, scheduling: 'SILENT' },
      { id: 'c2', name: 'lookup', response: { output: '2' }, scheduling: 'WHEN_IDLE' },
    ]);
    expect(warnings(line)).toEqual([]);
  });

  it('of an answer that was cut off are not run, and answered', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(speech(500));
    line.session.interrupt([]);
    await line.peer.tell(toolCall('c1'));
    expect(line.of('toolCall')).toEqual([]);
    expect(responses(line)).toEqual([
      { id: 'c1', name: 'lookup', response: { error: 'not run: the caller interrupted' } },
    ]);
    line.session.sendAudio(new Uint8Array(640));
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(640);
  });

  it('that come twice are one, and have one result', async () => {
    const line = await open(TOOLS);
    await line.peer.tell(toolCall('c1'), toolCall('c1'));
    line.session.sendToolResult('c1', result('1'));
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(line.of('toolCall')).toHaveLength(1);
    expect(responses(line)).toHaveLength(1);
    expect(warnings(line)).toEqual(['tool_answered_twice']);
  });

  it('of an earlier session are told as text, together with their results', async () => {
    const line = await open(TOOLS);
    line.session.sendToolResult('call_old', {
      ...result('{"open":true}'),
      call: { name: 'lookup', args: '{"of":1}' },
    });
    await line.peer.next('text');
    expect(texts(line.peer)).toEqual([expect.stringMatching(/lookup.*\{"of":1\}: \{"open":true\}/)]);
    await line.peer.tell(...answer());
    line.session.sendToolResult('call_other', result('2', false));
    await line.peer.next('clientContent');
    line.session.sendToolResult('call_old', result('again'));
    expect(warnings(line)).toEqual(['tool_answered_twice']);
    expect(responses(line)).toEqual([]);
  });

  it('let nothing be asked for while the model stands still', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(toolCall('c1'));
    line.session.say('One moment.');
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual([]);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.tell(speech(100), content({ generationComplete: true, turnComplete: true }));
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual(['toolResponse', 'clientContent']);
  });

  it('let the agent speak meanwhile when they do not block', async () => {
    const line = await open(TOOLS);
    await line.peer.tell(toolCall('c1'), generated, complete);
    line.session.say('One moment.');
    await line.peer.next('text');
    await line.peer.tell(...answer());
    line.session.sendToolResult('c1', result('1'));
    await line.peer.tell(...answer());
    expect(asked(line)).toEqual([false, true, true]);
  });

  it('go to Vertex AI without an id, and come from there without one', async () => {
    const line = await open(TOOLS, {
      apiKey: undefined,
      accessToken: 'ya29.token',
      platform: 'vertex',
      project: 'p',
      model: 'gemini-live-2.5-flash-native-audio',
      toolBehavior: 'non-blocking',
    });
    await line.peer.tell({ toolCall: { functionCalls: [{ name: 'lookup', args: {} }] } });
    const [call] = line.of('toolCall');
    line.session.sendToolResult(call?.callId ?? '', result('1'));
    await line.peer.next('toolResponse');
    expect(responses(line)).toEqual([{ name: 'lookup', response: { output: '1' } }]);
  });
});
