import { afterEach, describe, expect, it } from 'vitest';
import type { HeardItem } from '../src/provider.ts';
import {
  complete,
  content,
  FRAME_IN,
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

function only<T>(list: readonly T[]): T {
  expect(list).toHaveLength(1);
  return list[0] as T;
}

/** Time passes on a connection that is alive. */
async function pass(line: Line, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5_000) {
    line.clock.advance(Math.min(left, 5_000));
    await line.peer.settle();
  }
}

/** Like the bridge: whatever comes of a response is cut when the service says that it was interrupted. */
function cutsAt(line: Line, items: () => readonly HeardItem[]): void {
  line.onEvent = (event) => {
    if (event.type === 'interrupted') line.session.interrupt(items());
  };
}

/** What was heard of the newest item with speech. */
function heardOf(line: Line, playedMs: number): HeardItem {
  const audio = line.of('audio');
  const itemId = audio.at(-1)?.itemId ?? '';
  const bytes = audio.filter((event) => event.itemId === itemId).reduce((sum, e) => sum + e.bytes.length, 0);
  return { itemId, playedMs, receivedMs: bytes / 48 };
}

describe('audio to the model', () => {
  it('is sent in order as 16 kHz PCM16, whatever the size of the pieces', async () => {
    const line = await open();
    expect(line.session.input).toEqual({ encoding: 'pcm16', rate: 16000 });
    expect(line.session.output).toEqual({ encoding: 'pcm16', rate: 24000 });
    const bytes = Uint8Array.from({ length: 1_284 }, (_, i) => i % 251);
    for (const [from, to] of [
      [0, 640],
      [640, 641],
      [641, 641],
      [641, 1_284],
    ] as const) {
      expect(line.session.sendAudio(bytes.subarray(from, to))).toBe(true);
    }
    await line.peer.settle();
    expect(Buffer.concat(line.peer.audio)).toEqual(Buffer.from(bytes));
    expect(line.peer.audio.every((piece) => piece.length % 2 === 0)).toBe(true);
  });

  it('is followed by the end of the stream when the carrier sends nothing for a second', async () => {
    const line = await open();
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    line.clock.advance(600);
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    line.clock.advance(999);
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual([]);
    line.clock.advance(1);
    await line.peer.next('audioStreamEnd');
    await pass(line, 60_000);
    expect(line.peer.kinds()).toEqual(['audioStreamEnd']);
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    line.clock.advance(1_000);
    await line.peer.next('audioStreamEnd');
  });

  it('may pause without a word when the option says so', async () => {
    const line = await open({}, { streamEndMs: 0 });
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    await pass(line, 10_000);
    expect(line.peer.kinds()).toEqual([]);
  });

  it('waits while the model stands still for a function, and comes out whole afterwards', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(toolCall('c1', 'c2'));
    for (let i = 1; i <= 5; i += 1)
      expect(line.session.sendAudio(new Uint8Array(FRAME_IN).fill(i))).toBe(true);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(0);
    line.session.sendToolResult('c2', result('2'));
    line.session.sendAudio(new Uint8Array(FRAME_IN).fill(6));
    await line.peer.settle();
    const got = Buffer.concat(line.peer.audio);
    expect(got).toEqual(Buffer.concat([1, 2, 3, 4, 5, 6].map((i) => Buffer.alloc(FRAME_IN, i))));
    expect(line.peer.kinds()).toEqual(['toolResponse', 'toolResponse']);
  });

  it('is dropped from its oldest end when a function runs for too long, and that is told', async () => {
    const line = await open(TOOLS, { ...OLD, holdAudioMs: 100 });
    await line.peer.tell(toolCall('c1'));
    const taken = [1, 2, 3, 4, 5, 6, 7].map((i) => line.session.sendAudio(new Uint8Array(FRAME_IN).fill(i)));
    expect(taken).toEqual([true, true, true, true, true, false, false]);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(Buffer.concat(line.peer.audio)[0]).toBe(3);
    expect(line.peer.audioBytes).toBe(5 * FRAME_IN);
    expect(line.of('warning')).toMatchObject([
      { code: 'audio_dropped', message: expect.stringMatching(/^40 ms/) },
    ]);
  });

  it('goes on while a function runs that does not block', async () => {
    const line = await open(TOOLS);
    await line.peer.tell(toolCall('c1'));
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(FRAME_IN);
  });
});

describe('an answer', () => {
  it('comes out in order: the caller before the model, start, audio, words, end', async () => {
    const line = await open();
    await line.peer.tell(
      heard('What is '),
      heard('the time?'),
      speech(100, 5),
      spoken('It is '),
      speech(100, 6),
      spoken('noon.'),
      generated,
      complete,
    );
    expect(types(line)).toEqual([
      'transcript',
      'transcript',
      'responseStarted',
      'audio',
      'transcript',
      'audio',
      'transcript',
      'audioDone',
      'transcript',
      'responseDone',
    ]);
    line.clock.advance(500);
    const { responseId, asked } = only(line.of('responseStarted'));
    expect(asked).toBe(false);
    expect(line.of('audio').map(({ bytes }) => [bytes.length, bytes[0]])).toEqual([
      [4_800, 5],
      [4_800, 6],
    ]);
    expect(line.of('audio').every((event) => event.responseId === responseId)).toBe(true);
    expect(line.of('responseDone')).toEqual([
      { type: 'responseDone', responseId, status: 'completed', reason: undefined },
    ]);
    expect(line.of('transcript').filter(({ final }) => final)).toMatchObject([
      { role: 'assistant', text: 'It is noon.' },
      { role: 'user', text: 'What is the time?' },
    ]);
  });

  it('may come in frames of text, and with everything in one message', async () => {
    const line = await open();
    const parts = [1, 2].map((fill) => ({
      inlineData: { mimeType: 'audio/pcm;rate=24000', data: Buffer.alloc(960, fill).toString('base64') },
    }));
    line.peer.socket.send(
      JSON.stringify({
        serverContent: {
          modelTurn: { parts: [{ text: 'hm', thought: true }, ...parts] },
          outputTranscription: { text: 'Yes.' },
          inputTranscription: { text: 'Sure?' },
          generationComplete: true,
          turnComplete: true,
        },
        usageMetadata: { promptTokenCount: 10, responseTokenCount: 5 },
      }),
    );
    await line.peer.settle();
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1, 2]);
    expect(
      line
        .of('transcript')
        .filter(({ final }) => !final)
        .map(({ role, text }) => [role, text]),
    ).toEqual([
      ['user', 'Sure?'],
      ['assistant', 'Yes.'],
    ]);
    expect(line.of('responseDone')).toHaveLength(1);
    expect(line.of('usage')).toHaveLength(1);
    expect(warnings(line)).toEqual([]);
  });

  it('puts the turn of a caller whose words come late before itself', async () => {
    const line = await open();
    await line.peer.tell(speech(100), spoken('Noon.'), generated, heard('What '), complete, heard('time?'));
    const [first] = line.of('transcript');
    expect(first).toMatchObject({ role: 'user', text: '', final: false });
    expect(line.events.findIndex(({ type }) => type === 'transcript')).toBeLessThan(
      line.events.findIndex(({ type }) => type === 'audio'),
    );
    const user = line.of('transcript').filter(({ role }) => role === 'user');
    expect(new Set(user.map(({ itemId }) => itemId)).size).toBe(1);
    line.clock.advance(500);
    expect(line.of('transcript').at(-1)).toMatchObject({ role: 'user', text: 'What time?', final: true });
    await line.peer.tell(heard('Thanks.'));
    expect(line.of('transcript').at(-1)?.itemId).not.toBe(first?.itemId);
  });

  it('still takes words that come after its end when none had come before', async () => {
    const line = await open();
    await line.peer.tell(speech(100), generated, complete);
    line.clock.advance(2_000);
    await line.peer.tell(heard('What '));
    line.clock.advance(499);
    await line.peer.tell(heard('time?'));
    line.clock.advance(500);
    const user = line.of('transcript').filter(({ role }) => role === 'user');
    expect(new Set(user.map(({ itemId }) => itemId)).size).toBe(1);
    expect(user.map(({ text, final }) => [text, final])).toEqual([
      ['', false],
      ['What ', false],
      ['time?', false],
      ['What time?', true],
    ]);
  });

  it('says nothing of the caller when nobody is to write that down', async () => {
    const line = await open({ transcribeCaller: false });
    await line.peer.tell(speech(100), generated, complete);
    expect(line.of('transcript')).toEqual([]);
  });

  it('has its words even when they come before its sound', async () => {
    const line = await open();
    await line.peer.tell(spoken('Hello '), speech(100), spoken('there.'), generated, complete);
    expect(line.of('transcript').filter(({ role, final }) => final && role === 'assistant')).toMatchObject([
      { text: 'Hello there.' },
    ]);
  });

  it('is not begun by words alone, nor by what ends a turn', async () => {
    const line = await open();
    await line.peer.tell(spoken('late'), generated, complete, content({}), { usageMetadata: {} });
    expect(types(line)).toEqual([]);
  });

  it('goes on when its turn was said to be over in the middle of it', async () => {
    const line = await open({}, OLD);
    await line.peer.tell(speech(100), complete);
    line.clock.advance(300);
    await line.peer.tell(speech(100));
    line.clock.advance(300);
    await line.peer.tell(generated, complete);
    expect(line.of('audio')).toHaveLength(2);
    expect(line.of('responseStarted')).toHaveLength(1);
    expect(line.of('responseDone')).toMatchObject([{ status: 'completed' }]);
  });

  it('ends without the word that all was made, a moment after its turn', async () => {
    const line = await open({}, OLD);
    await line.peer.tell(speech(100), complete);
    expect(line.of('responseDone')).toEqual([]);
    line.clock.advance(500);
    expect(types(line).slice(-2)).toEqual(['audioDone', 'responseDone']);
  });

  it.each([
    ['NEED_MORE_INPUT', 'completed'],
    ['MALFORMED_FUNCTION_CALL', 'failed'],
    ['RESPONSE_REJECTED', 'incomplete'],
  ])('that ends by %s is %s', async (turnCompleteReason, status) => {
    const line = await open();
    await line.peer.tell(speech(100), content({ turnComplete: true, turnCompleteReason }));
    expect(line.of('responseDone')).toMatchObject([{ status, reason: turnCompleteReason.toLowerCase() }]);
  });

  it('that is empty for a reason is told as a warning', async () => {
    const line = await open();
    await line.peer.tell(content({ turnComplete: true, turnCompleteReason: 'RESPONSE_REJECTED' }));
    expect(warnings(line)).toEqual(['turn_empty']);
  });

  it('of which no more comes is given up, and the session with the second one', async () => {
    const line = await open();
    await line.peer.tell(speech(100));
    await pass(line, 30_000);
    expect(line.of('responseDone')).toMatchObject([{ status: 'failed', reason: 'lost' }]);
    expect(warnings(line)).toEqual(['response_lost']);
    await line.peer.tell(speech(100), generated, complete);
    for (const _ of [1, 2]) {
      await line.peer.tell(speech(100));
      await pass(line, 25_000);
      line.clock.advance(5_000);
    }
    expect(await line.peer.closed).toBe(1000);
    expect(line.of('closed')).toMatchObject([{ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } }]);
  });

  it('may take as long to be played as it is', async () => {
    const line = await open();
    await line.peer.tell(speech(40_000), generated);
    await pass(line, 50_000);
    expect(line.of('responseDone')).toEqual([]);
    await line.peer.tell(complete);
    expect(line.of('responseDone')).toMatchObject([{ status: 'completed' }]);
  });

  it('is followed by a fresh one with ids of its own', async () => {
    const line = await open();
    await line.peer.tell(speech(100), generated, complete, speech(100), generated, complete);
    const starts = line.of('responseStarted').map(({ responseId }) => responseId);
    expect(new Set(starts).size).toBe(2);
    expect(new Set(line.of('audio').map(({ itemId }) => itemId)).size).toBe(2);
  });

  it('that is written and not spoken is told once', async () => {
    const line = await open();
    const written = content({ modelTurn: { parts: [{ text: 'I write' }] } });
    await line.peer.tell(written, written);
    expect(warnings(line)).toEqual(['answered_in_text']);
  });
});

describe('an interruption by the service', () => {
  it('ends the answer, and the bridge is told before that', async () => {
    const line = await open();
    await line.peer.tell(heard('Hi'), speech(2_000), spoken('A long answer.'), interrupted, complete);
    expect(types(line).slice(-5)).toEqual([
      'transcript',
      'transcript',
      'interrupted',
      'transcript',
      'responseDone',
    ]);
    expect(line.of('interrupted')).toEqual([
      { type: 'interrupted', responseId: only(line.of('responseStarted')).responseId },
    ]);
    expect(line.of('responseDone')).toMatchObject([{ status: 'cancelled', reason: 'interrupted' }]);
    expect(line.of('audioDone')).toEqual([]);
  });

  it('may come when all was made, and when the turn was said to be over', async () => {
    const line = await open();
    await line.peer.tell(speech(2_000), generated, interrupted, complete);
    expect(line.of('responseDone')).toMatchObject([{ status: 'cancelled' }]);
    await line.peer.tell(speech(2_000), generated, complete, interrupted, complete);
    expect(line.of('interrupted')).toHaveLength(2);
    expect(line.of('interrupted')[1]?.responseId).toBe(line.of('responseStarted')[1]?.responseId);
    expect(line.of('responseDone').map(({ status }) => status)).toEqual(['cancelled', 'completed']);
    expect(warnings(line)).toEqual([]);
  });

  it('may come before anything was said', async () => {
    const line = await open();
    await line.peer.tell(interrupted, complete);
    expect(line.events).toEqual([{ type: 'interrupted', responseId: undefined }]);
  });

  it('keeps what was on its way from the caller, and the next answer is whole', async () => {
    const line = await open();
    await line.peer.tell(speech(100, 1), interrupted, speech(100, 2), complete, speech(100, 3));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1, 3]);
    expect(line.of('responseStarted')).toHaveLength(2);
  });

  it('begins a new turn of the caller', async () => {
    const line = await open();
    await line.peer.tell(heard('One.'), speech(100), interrupted, complete, heard('Two.'), speech(100));
    const user = line.of('transcript').filter(({ role }) => role === 'user');
    expect(user.map(({ text, final }) => [text, final])).toEqual([
      ['One.', false],
      ['One.', true],
      ['Two.', false],
    ]);
    expect(user[2]?.itemId).not.toBe(user[0]?.itemId);
  });
});

describe('a caller whom the bridge hears first', () => {
  it('hears nothing more of that answer, and all of the next one', async () => {
    const line = await open();
    await line.peer.tell(speech(2_000, 1));
    line.session.interrupt([heardOf(line, 500)]);
    await line.peer.tell(
      speech(100, 2),
      spoken('unheard'),
      interrupted,
      complete,
      speech(100, 3),
      generated,
      complete,
    );
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1, 3]);
    // Who cut in knows that they did.
    expect(line.of('interrupted')).toEqual([]);
    expect(line.of('responseDone').map(({ status }) => status)).toEqual(['cancelled', 'completed']);
    expect(line.of('transcript').filter(({ role }) => role === 'assistant')).toEqual([]);
  });

  it.each([
    ['generationComplete', [generated]],
    ['turnComplete', [complete]],
    ['both', [generated, complete]],
  ])('hears the next one also when the service noticed nothing and ends with %s', async (_name, ends) => {
    const line = await open();
    await line.peer.tell(speech(2_000, 1));
    line.session.interrupt([heardOf(line, 500)]);
    await line.peer.tell(speech(2_000, 2), ...(ends as Message[]), speech(100, 3));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1, 3]);
    expect(line.of('responseDone')).toMatchObject([{ status: 'cancelled' }]);
  });

  it('hears the next one when the service ends the first without any word', async () => {
    const line = await open();
    await line.peer.tell(speech(2_000, 1));
    line.session.interrupt([heardOf(line, 500)]);
    await line.peer.tell(speech(100, 2), heard('Stop.'));
    line.clock.advance(1_000);
    await line.peer.tell(speech(100, 3));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1, 3]);
  });

  it('may cut in twice, and into nothing', async () => {
    const line = await open();
    line.session.interrupt([]);
    await line.peer.tell(speech(500));
    line.session.interrupt([heardOf(line, 500)]);
    line.session.interrupt([]);
    await line.peer.tell(interrupted, complete, speech(100));
    expect(line.of('audio')).toHaveLength(2);
    expect(line.peer.kinds()).toEqual([]);
  });
});

describe('what was heard', () => {
  const CUT = /heard only the first 0\.5 seconds of your last answer, up to: "One two"/;

  it('is told when the service believes that all of it was', async () => {
    const line = await open();
    await line.peer.tell(speech(2_000), spoken('One two three four five six.'), generated, complete);
    line.clock.advance(600);
    line.session.interrupt([heardOf(line, 500)]);
    const { clientContent } = await line.peer.next('clientContent');
    expect(clientContent).toMatchObject({ turnComplete: false, turns: [{ role: 'user' }] });
    expect(only(texts(line.peer))).toMatch(/first 0\.5 seconds of your last answer, up to: "One two"/);
  });

  it('is told when the service has cut itself off much later', async () => {
    const line = await open();
    await line.peer.tell(speech(4_000), spoken('One two three four five six seven eight.'));
    line.clock.advance(700);
    line.session.interrupt([{ ...heardOf(line, 500), receivedMs: 2_000 }]);
    line.clock.advance(1_000);
    await line.peer.tell(interrupted, complete);
    await line.peer.settle();
    expect(only(texts(line.peer))).toMatch(/first 0\.5 seconds/);
  });

  it('is not told when the service cut itself off at about the same place', async () => {
    const line = await open();
    await line.peer.tell(speech(4_000), spoken('One two three.'));
    line.clock.advance(1_500);
    line.session.interrupt([heardOf(line, 1_200)]);
    line.clock.advance(300);
    await line.peer.tell(interrupted, complete);
    expect(line.peer.kinds()).toEqual([]);
  });

  it('is not told when it was all', async () => {
    const line = await open();
    await line.peer.tell(speech(4_000), generated, complete);
    line.session.interrupt([]);
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual([]);
  });

  it('is told once the turn is over, when the service noticed nothing', async () => {
    const line = await open();
    await line.peer.tell(speech(2_000), spoken('One two three four five six seven eight.'));
    line.session.interrupt([heardOf(line, 500)]);
    await line.peer.tell(speech(3_000), generated);
    line.clock.advance(5_000);
    expect(line.peer.kinds()).toEqual([]);
    await line.peer.tell(complete);
    await line.peer.settle();
    expect(only(texts(line.peer))).toMatch(CUT);
  });

  it('is not told when the turn is over before it could have been played: the service has noticed', async () => {
    const line = await open();
    await line.peer.tell(speech(4_000), spoken('One two three four five six seven eight.'), generated);
    line.clock.advance(600);
    line.session.interrupt([heardOf(line, 500)]);
    line.clock.advance(600);
    await line.peer.tell(complete, interrupted);
    await line.peer.tell(speech(100));
    expect(line.peer.kinds()).toEqual([]);
    expect(line.of('audio')).toHaveLength(2);
  });

  it('is told from within the event that says so, and only once', async () => {
    const line = await open();
    cutsAt(line, () => [heardOf(line, 0)]);
    await line.peer.tell(speech(3_000), generated);
    line.clock.advance(2_000);
    await line.peer.tell(interrupted, complete, interrupted, complete);
    await line.peer.settle();
    expect(only(texts(line.peer))).toMatch(/heard nothing of your last answer/);
  });

  it('waits for the next text where nothing can be told silently', async () => {
    const line = await open({}, MIDDLE);
    await line.peer.tell(speech(2_000), generated, complete);
    line.session.interrupt([heardOf(line, 0)]);
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual([]);
    line.session.sendText('And now?', { role: 'user', respond: true });
    await line.peer.next('text');
    expect(only(texts(line.peer))).toMatch(/heard nothing of your last answer.*\n\nAnd now\?$/);
  });

  it('is not told when the option says so', async () => {
    const line = await open({}, { correctHeard: false });
    await line.peer.tell(speech(2_000), generated, complete);
    line.session.interrupt([heardOf(line, 0)]);
    await line.peer.settle();
    expect(line.peer.kinds()).toEqual([]);
  });
});

describe('activity that the service tells', () => {
  const activity = (voiceActivityType: string): Message => ({ voiceActivity: { voiceActivityType } });

  it('is speech of the caller, with the item that its words belong to', async () => {
    const line = await open();
    await line.peer.tell(activity('ACTIVITY_START'), heard('Hello'), activity('ACTIVITY_END'));
    const [started] = line.of('speechStarted');
    expect(started?.itemId).toBe(line.of('transcript')[0]?.itemId);
    expect(types(line)).toEqual(['speechStarted', 'transcript', 'speechStopped']);
  });

  it('ends with the answer to it, or after half a minute, if nothing else ends it', async () => {
    const line = await open();
    await line.peer.tell(activity('ACTIVITY_START'), speech(100), generated, complete);
    expect(line.of('speechStopped')).toHaveLength(1);
    await line.peer.tell(activity('ACTIVITY_START'));
    line.clock.advance(30_000);
    expect(line.of('speechStopped')).toHaveLength(2);
  });
});

describe('messages that nobody expects', () => {
  it('are told as warnings, and the session goes on', async () => {
    const line = await open();
    line.peer.socket.send('{"serverContent":');
    line.peer.socket.send('[1]');
    line.peer.socket.send(Buffer.from([0xff, 0xfe]));
    await line.peer.tell(
      { somethingNew: { phone: '+4366012345' } },
      { somethingNew: {} },
      { serverContent: { modelTurn: { parts: 'none' } } },
      { toolCall: { functionCalls: [{ id: 'x' }] } },
      { serverContent: null, toolCall: null, goAway: null },
      { serverContent: 5 },
      speech(100),
    );
    expect(warnings(line)).toEqual([
      'bad_frame',
      'bad_frame',
      'bad_frame',
      'unknown_message',
      'bad_frame',
      'bad_frame',
    ]);
    expect(JSON.stringify(line.of('warning'))).not.toContain('+43');
    expect(line.of('audio')).toHaveLength(1);
  });

  it('may be as large as a minute of speech', async () => {
    const line = await open();
    await line.peer.tell(speech(60_000), { padding: 'x'.repeat(8_000_000) }, speech(100));
    expect(line.of('audio').map(({ bytes }) => bytes.length)).toEqual([60_000 * 48, 4_800]);
  });

  it('end the session when the speech has a rate that would be heard wrongly', async () => {
    const line = await open();
    line.peer.say(
      content({ modelTurn: { parts: [{ inlineData: { mimeType: 'audio/pcm;rate=16000', data: 'AAAA' } }] } }),
    );
    expect(await line.peer.closed).toBe(1000);
    expect(line.of('closed')).toMatchObject([{ expected: false, error: { code: 'PROVIDER_CONFIG' } }]);
  });
});

describe('usage', () => {
  const report = (prompt: number, response: number, more: Message = {}): Message => ({
    usageMetadata: {
      promptTokenCount: prompt,
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: prompt - 40 },
        { modality: 'AUDIO', tokenCount: 40 },
      ],
      responseTokenCount: response,
      responseTokensDetails: [{ modality: 'AUDIO', tokenCount: response }],
      ...more,
    },
  });
  const counts = (line: Line): number[][] =>
    line
      .of('usage')
      .map(({ usage }) => [usage.inputTextTokens, usage.inputAudioTokens, usage.outputAudioTokens]);

  it('is counted by modality, with what was cached and thought', async () => {
    const line = await open();
    await line.peer.tell(
      report(100, 20, {
        cachedContentTokenCount: 30,
        thoughtsTokenCount: 7,
        toolUsePromptTokenCount: 5,
      }),
    );
    expect(line.of('usage')).toEqual([
      {
        type: 'usage',
        usage: {
          inputTextTokens: 65,
          inputAudioTokens: 40,
          cachedTextTokens: 30,
          cachedAudioTokens: 0,
          outputTextTokens: 7,
          outputAudioTokens: 20,
        },
      },
    ]);
  });

  it('is that of each turn, as it is charged', async () => {
    const line = await open();
    await line.peer.tell({ ...complete, ...report(100, 20) }, { ...complete, ...report(160, 20) });
    expect(counts(line)).toEqual([
      [60, 40, 20],
      [120, 40, 20],
    ]);
  });

  it('is not counted twice when a turn reports more than once, nor when its report comes late', async () => {
    const line = await open();
    await line.peer.tell(report(100, 0), speech(100), report(100, 12), generated, complete, report(100, 20));
    await line.peer.tell(report(160, 0), speech(100), generated, complete, report(160, 30));
    expect(counts(line)).toEqual([
      [60, 40, 0],
      [0, 0, 12],
      [0, 0, 8],
      [120, 40, 0],
      [0, 0, 30],
    ]);
  });

  it('counts anew after the result of a function', async () => {
    const line = await open(TOOLS, OLD);
    await line.peer.tell(report(100, 10), toolCall('c1'));
    line.session.sendToolResult('c1', result('1'));
    await line.peer.tell(report(120, 20), complete);
    expect(counts(line)).toEqual([
      [60, 40, 10],
      [80, 40, 20],
    ]);
  });

  it('is nothing when the report is none', async () => {
    const line = await open();
    await line.peer.tell(
      { usageMetadata: {} },
      { usageMetadata: 'many' },
      { usageMetadata: { promptTokenCount: -1 } },
    );
    expect(line.of('usage')).toEqual([]);
  });
});
