import { afterEach, describe, expect, it } from 'vitest';
import {
  audio,
  audioOutput,
  chunk,
  contentEnd,
  contentStart,
  heard,
  type Line,
  type Message,
  open,
  sentence,
  text,
  toolUse,
  usage,
} from './support/nova-peer.ts';
import { cleanUp } from './support/peers.ts';

afterEach(cleanUp);

/** 100 ms of speech at 8 kHz, telling pieces apart. */
function piece(fill: number, ms = 100): Uint8Array {
  return new Uint8Array(ms * 16).fill(fill);
}

const types = (line: Line): string[] => line.events.map(({ type }) => type);
const warnings = (line: Line): string[] => line.of('warning').map(({ code }) => code);
const started = (line: Line) =>
  line.of('responseStarted').map(({ responseId, asked }) => [responseId, asked]);
const done = (line: Line) => line.of('responseDone').map(({ responseId, status }) => [responseId, status]);
const said = (line: Line) =>
  line
    .of('transcript')
    .filter((event) => event.role === 'assistant' && event.final)
    .map(({ itemId, text: words }) => [itemId, words]);
const spoken = (line: Line): number[] => line.of('audio').map(({ bytes }) => bytes[0] ?? -1);
/** Texts that were put to the model after the instructions. */
const asked = (line: Line): string[] =>
  line.peer
    .all('textInput')
    .slice(1)
    .map(({ content }) => String(content));

async function tell(line: Line, ...messages: readonly (Message | readonly Message[])[]): Promise<void> {
  line.peer.say(...messages.flat());
  await line.settle();
}

const INTERRUPTED = '{ "interrupted" : true }';

describe('audio to the model', () => {
  it('leaves in order and whole, whatever the size of the pieces', async () => {
    const line = await open();
    const all = Uint8Array.from({ length: 1_014 }, (_, i) => i % 251);
    let at = 0;
    for (const size of [320, 1, 0, 333, 360]) {
      expect(line.session.sendAudio(all.subarray(at, at + size))).toBe(true);
      at += size;
    }
    await line.peer.heard(1_014);
    expect(line.peer.audio).toEqual(Buffer.from(all));
    expect(line.peer.audioSizes.every((size) => size % 2 === 0)).toBe(true);
  });

  it('may lie in a buffer that is used again at once', async () => {
    const line = await open();
    const buffer = new Uint8Array(640).fill(1);
    line.session.sendAudio(buffer.subarray(320));
    buffer.fill(2);
    line.session.sendAudio(buffer.subarray(0, 320));
    buffer.fill(3);
    await line.peer.heard(640);
    expect(line.peer.audio).toEqual(Buffer.concat([Buffer.alloc(320, 1), Buffer.alloc(320, 2)]));
  });

  it('has one name for the whole session, and is announced as 8 kHz LPCM', async () => {
    const line = await open();
    for (let i = 0; i < 3; i += 1) line.session.sendAudio(piece(1));
    await line.peer.heard(4_800);
    const start = line.peer.all('contentStart').find((body) => body['type'] === 'AUDIO');
    expect(start).toMatchObject({
      role: 'USER',
      interactive: true,
      audioInputConfiguration: {
        mediaType: 'audio/lpcm',
        sampleRateHertz: 8000,
        sampleSizeBits: 16,
        channelCount: 1,
        audioType: 'SPEECH',
        encoding: 'base64',
      },
    });
    const names = new Set(line.peer.all('audioInput').map((body) => body['contentName']));
    expect([...names]).toEqual([start?.['contentName']]);
    expect(line.session.input).toEqual({ encoding: 'pcm16', rate: 8000 });
  });

  it('becomes silence in real time while the carrier sends none, and stops being silence at once', async () => {
    const line = await open();
    line.session.sendAudio(piece(7));
    await line.peer.heard(1_600);
    line.clock.advance(399);
    line.session.sendAudio(piece(8));
    await line.peer.heard(3_200);
    // Not yet: shorter gaps are jitter.
    line.clock.advance(399);
    await line.sent();
    expect(line.peer.audioBytes).toBe(3_202);
    await line.pass(400);
    await line.peer.heard(3_202 + 6_400);
    await line.pass(1_000);
    await line.peer.heard(3_202 + 22_400);
    const silence = line.peer.audio.subarray(3_202);
    expect(silence.every((byte) => byte === 0)).toBe(true);
    for (let i = 0; i < 50; i += 1) {
      line.session.sendAudio(piece(9, 20));
      await line.pass(20);
    }
    await line.peer.heard(3_202 + 22_400 + 16_000);
    await line.sent();
    const rest = line.peer.audio.subarray(3_202 + 22_400, -2);
    expect(rest.length).toBe(16_000);
    expect(rest.every((byte) => byte === 9)).toBe(true);
  });

  it('is not torn apart by silence when the process stood still and all of it comes at once', async () => {
    const line = await open();
    line.session.sendAudio(piece(7));
    await line.peer.heard(1_600);
    // The timer runs first; then the network is read, within the same turn of the event loop.
    line.clock.advance(900);
    for (let i = 0; i < 9; i += 1) line.session.sendAudio(piece(8));
    await line.peer.heard(1_600 + 9 * 1_600);
    await line.sent();
    expect(line.peer.audio.subarray(1_600, 1_600 + 9 * 1_600).every((byte) => byte === 8)).toBe(true);
  });

  it('is not made up for a pause of the whole process', async () => {
    const line = await open();
    line.clock.advance(400);
    await line.peer.heard(6_400);
    // All at once, as after the process stood still.
    const { clock } = line;
    const now = clock.now.bind(clock);
    let ahead = 0;
    clock.now = () => now() + ahead;
    ahead = 60_000;
    clock.advance(100);
    await line.peer.heard(6_400 + 16_000);
    await line.sent();
    expect(line.peer.audioBytes).toBe(6_400 + 16_000 + 2);
  });

  it('waits for a service that does not take it, drops the oldest, and says so once', async () => {
    const line = await open({}, { backlogMs: 500 });
    line.peer.stream.pause();
    let refused = 0;
    let frames = 0;
    while (refused < 5) {
      frames += 1;
      if (!line.session.sendAudio(piece(frames % 251))) refused += 1;
      // Lets the connection take what it can.
      if (frames % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(line.events).toEqual([]);
    line.session.sendText('still here', { role: 'user', respond: true });
    line.peer.stream.resume();
    await line.peer.heardEnd(piece(frames % 251));
    const dropped = Number(/^(\d+) ms/.exec(line.of('warning')[0]?.message ?? '')?.[1]);
    expect(warnings(line)).toEqual(['audio_dropped']);
    expect(dropped).toBeGreaterThanOrEqual(500);
    expect(line.peer.audioBytes).toBe((frames * 100 - dropped) * 16);
    expect(asked(line)).toEqual(['still here']);
    expect(line.session.sendAudio(piece(1))).toBe(true);
  });

  it('that nobody takes for five seconds ends the session as unavailable', async () => {
    const line = await open();
    line.peer.stream.pause();
    // Until the connection is full, nobody can know.
    for (let i = 0; i < 40 && line.session.sendAudio(piece(1, 500)); i += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let i = 0; i < 49; i += 1) {
      line.session.sendAudio(piece(1));
      await line.pass(100);
      expect(line.of('closed')).toEqual([]);
    }
    await line.pass(600);
    const closed = await line.next('closed');
    expect(closed).toMatchObject({ expected: false, error: { code: 'PROVIDER_UNAVAILABLE' } });
    expect(closed.error?.message).toMatch(/has taken no audio for 5\d{3} ms/);
    expect(line.clock.pending).toBe(0);
  });
});

describe('an answer', () => {
  it('to the caller has both transcripts in order, its speech, and an end', async () => {
    const line = await open();
    await tell(line, heard('u1', 'What time is it?'), sentence('s1', 'It is noon.', piece(1)));
    expect(line.events.filter(({ type }) => type !== 'usage')).toMatchObject([
      { type: 'transcript', role: 'user', itemId: 'u1', text: 'What time is it?', final: false },
      { type: 'transcript', role: 'user', itemId: 'u1', text: 'What time is it?', final: true },
      { type: 'responseStarted', responseId: 'resp_1', asked: false },
      { type: 'transcript', role: 'assistant', itemId: 's1-planned', text: 'It is noon.', final: false },
      { type: 'audio', responseId: 'resp_1', itemId: 's1-planned' },
      { type: 'audioDone', responseId: 'resp_1', itemId: 's1-planned' },
      { type: 'responseDone', responseId: 'resp_1', status: 'completed', reason: undefined },
      { type: 'transcript', role: 'assistant', itemId: 's1-planned', text: 'It is noon.', final: true },
    ]);
  });

  it('of several sentences is one answer with an item for each', async () => {
    const line = await open();
    await tell(line, sentence('a', 'One.', piece(1), false), sentence('b', 'Two.', piece(2)));
    expect(started(line)).toEqual([['resp_1', false]]);
    expect(line.of('audio').map(({ itemId }) => itemId)).toEqual(['a-planned', 'b-planned']);
    expect(line.of('audioDone').map(({ itemId }) => itemId)).toEqual(['a-planned', 'b-planned']);
    expect(said(line)).toEqual([
      ['a-planned', 'One.'],
      ['b-planned', 'Two.'],
    ]);
    expect(done(line)).toEqual([['resp_1', 'completed']]);
  });

  it('is over with its speech, and its spoken words find their sentences however late they come', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'First this.'),
      audio('aa', [piece(1)]),
      text('b', 'ASSISTANT', 'SPECULATIVE', 'Then that.'),
      audio('bb', [piece(2)], 'END_TURN'),
    );
    expect(done(line)).toEqual([['resp_1', 'completed']]);
    expect(said(line)).toEqual([]);
    await tell(
      line,
      // The second one first, and with other spaces and case.
      text('x', 'ASSISTANT', 'FINAL', 'then  that'),
      text('y', 'ASSISTANT', 'FINAL', 'First this.', 'END_TURN'),
    );
    expect(said(line)).toEqual([
      ['b', 'then  that'],
      ['a', 'First this.'],
    ]);
  });

  it('whose words were told in pieces has them joined', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'A long sentence with an end.'),
      audio('aa', [piece(1)], 'END_TURN'),
      text('x', 'ASSISTANT', 'FINAL', 'A long sentence'),
      text('y', 'ASSISTANT', 'FINAL', 'with an end.', 'END_TURN'),
    );
    expect(said(line)).toEqual([['a', 'A long sentence with an end.']]);
  });

  it('of which nobody tells what was spoken is told as planned when the next one begins', async () => {
    const line = await open();
    await tell(line, text('a', 'ASSISTANT', 'SPECULATIVE', 'Planned.'), audio('aa', [piece(1)], 'END_TURN'));
    expect(said(line)).toEqual([]);
    await tell(line, sentence('b', 'Next.', piece(2)));
    expect(said(line)).toEqual([
      ['a', 'Planned.'],
      ['b-planned', 'Next.'],
    ]);
  });

  it('may have speech that was announced by nothing', async () => {
    const line = await open();
    await tell(line, audioOutput('lost-start', piece(3)), contentEnd('lost-start', 'AUDIO', 'END_TURN'));
    expect(types(line).filter((type) => type !== 'usage')).toEqual([
      'responseStarted',
      'audio',
      'audioDone',
      'responseDone',
    ]);
  });

  it.each(['once', 'for each turn'])('is the same when the completion is told %s', async (how) => {
    const line = await open();
    const start: Message = { name: 'completionStart', body: { completionId: 'c' } };
    const end: Message = { name: 'completionEnd', body: { completionId: 'c', stopReason: 'END_TURN' } };
    await tell(line, start, heard('u', 'Hi.'), sentence('a', 'One.', piece(1)));
    if (how !== 'once') await tell(line, end, start);
    await tell(line, heard('v', 'Go on.'), sentence('b', 'Two.', piece(2)));
    expect(done(line)).toEqual([
      ['resp_1', 'completed'],
      ['resp_2', 'completed'],
    ]);
    expect(spoken(line)).toEqual([1, 2]);
  });

  it('that the caller said nothing to hear of is not transcribed when nobody wants that', async () => {
    const line = await open({ transcribeCaller: false });
    await tell(line, heard('u1', 'private words'), sentence('s', 'Yes.', piece(1)));
    expect(line.of('transcript').every(({ role }) => role === 'assistant')).toBe(true);
    expect(started(line)).toEqual([['resp_1', false]]);
  });

  it('of which nothing more comes is given up, and what waits is asked for', async () => {
    const line = await open();
    await tell(line, contentStart('a', 'TEXT', 'ASSISTANT', 'SPECULATIVE'));
    line.session.sendText('Are you there?', { role: 'user', respond: true });
    await line.pass(14_999);
    await line.sent();
    expect(asked(line)).toEqual([]);
    await line.pass(1);
    await line.sent();
    expect(done(line)).toEqual([['resp_1', 'failed']]);
    expect(warnings(line)).toEqual(['response_lost']);
    expect(asked(line)).toEqual(['Are you there?']);
  });
});

describe('text to the model', () => {
  it('is one block that no audio slips into, and its answer was asked for', async () => {
    const line = await open();
    for (let i = 0; i < 5; i += 1) line.session.sendAudio(piece(1, 20));
    line.session.sendText('Please go on.', { role: 'user', respond: true });
    for (let i = 0; i < 5; i += 1) line.session.sendAudio(piece(2, 20));
    await line.peer.heard(3_200);
    const names = line.peer.names();
    const at = names.indexOf('textInput', 6);
    expect(names.slice(at - 1, at + 2)).toEqual(['contentStart', 'textInput', 'contentEnd']);
    const start = line.peer.received[at - 1]?.body;
    expect(start).toMatchObject({ type: 'TEXT', role: 'USER', interactive: true });
    expect(line.peer.received[at]?.body['contentName']).toBe(start?.['contentName']);
    expect(line.peer.received[at + 1]?.body['contentName']).toBe(start?.['contentName']);
    await tell(line, sentence('a', 'As I said.', piece(1)));
    expect(started(line)).toEqual([['resp_1', true]]);
  });

  it('that is long goes in pieces of one kilobyte, cut between characters', async () => {
    const line = await open();
    const long = 'ä€😀x'.repeat(300);
    line.session.sendText(long, { role: 'user', respond: true });
    await line.sent();
    const pieces = asked(line);
    expect(pieces.join('')).toBe(long);
    expect(pieces.length).toBe(3);
    for (const one of pieces) expect(Buffer.byteLength(one)).toBeLessThanOrEqual(1_024);
  });

  it('is marked where the caller did not say it', async () => {
    const line = await open();
    line.session.sendText('The line is bad.', { role: 'system', respond: true });
    await tell(line, sentence('a', 'Sorry.', piece(1)));
    line.session.sendText('', { role: 'user', respond: true, digits: '12#' });
    await tell(line, sentence('b', 'Thanks.', piece(1)));
    line.session.sendText('  ', { role: 'user', respond: true });
    await line.sent();
    expect(asked(line)).toEqual(['[The line is bad.]', '[The caller pressed 12# on the telephone keypad.]']);
    expect(String(line.peer.all('textInput')[0]?.['content'])).toMatch(/square brackets/);
  });

  it('that must not be answered says so, and an answer to it is not played', async () => {
    const line = await open();
    line.session.sendText('The caller is a VIP.', { role: 'system', respond: false });
    await line.sent();
    expect(asked(line)[0]).toMatch(/^\[The caller is a VIP\.]\n\[.*do not answer/);
    await tell(line, sentence('a', 'Noted.', piece(1)));
    expect(types(line)).not.toContain('responseStarted');
    expect(types(line)).not.toContain('audio');
    expect(said(line)).toEqual([]);
    await tell(line, sentence('b', 'Hello.', piece(2)));
    expect(spoken(line)).toEqual([2]);
  });

  it('that must not be answered silences no answer to the caller', async () => {
    const line = await open();
    line.session.sendText('The caller is a VIP.', { role: 'system', respond: false });
    await line.sent();
    await tell(line, heard('u', 'Hello?'), sentence('a', 'Yes?', piece(4)));
    expect(started(line)).toEqual([['resp_1', false]]);
    expect(spoken(line)).toEqual([4]);
  });

  it('waits until the answer under way is over', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'Well,'),
      contentStart('aa', 'AUDIO', 'ASSISTANT'),
    );
    line.session.say('Goodbye.');
    line.session.sendText('More.', { role: 'user', respond: true });
    await line.sent();
    expect(asked(line)).toEqual([]);
    await tell(line, audioOutput('aa', piece(1)), contentEnd('aa', 'AUDIO', 'END_TURN'));
    await line.sent();
    expect(asked(line)).toHaveLength(1);
    expect(asked(line)[0]).toMatch(/exactly.*\n-----\nGoodbye\.\n-----/);
    await tell(line, sentence('b', 'Goodbye.', piece(2)));
    await line.sent();
    expect(asked(line)[1]).toBe('More.');
    await tell(line, sentence('c', 'More.', piece(3)));
    expect(started(line)).toEqual([
      ['resp_1', false],
      ['resp_2', true],
      ['resp_3', true],
    ]);
  });

  it('waits for the answer to what the caller has just said, but not for ever', async () => {
    const line = await open();
    await tell(line, heard('u', 'One moment'));
    line.session.say('Are you there?');
    await line.pass(2_999);
    await line.sent();
    expect(asked(line)).toEqual([]);
    await line.pass(1);
    await line.sent();
    expect(asked(line)).toHaveLength(1);
  });

  it('waits for the answer to what the caller said into the answer before', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'Well,'),
      contentStart('aa', 'AUDIO', 'ASSISTANT'),
    );
    line.session.say('Are you there?');
    await tell(
      line,
      heard('u', 'Mm-hm.'),
      audioOutput('aa', piece(1)),
      contentEnd('aa', 'AUDIO', 'END_TURN'),
    );
    await line.pass(2_900);
    await line.sent();
    expect(asked(line)).toEqual([]);
    await line.pass(100);
    await line.sent();
    expect(asked(line)).toHaveLength(1);
  });

  it('is asked for once more when nothing comes of it, and then the session is of no use', async () => {
    const line = await open();
    line.session.say('Hello.');
    await line.pass(10_000);
    await line.sent();
    expect(warnings(line)).toEqual(['response_lost']);
    expect(asked(line)).toHaveLength(2);
    await line.pass(10_000);
    expect(await line.next('closed')).toMatchObject({
      expected: false,
      error: { code: 'PROVIDER_UNAVAILABLE' },
    });
    expect(types(line).slice(-2)).toEqual(['error', 'closed']);
  });

  it('that the service gives back as words of the caller is none of theirs', async () => {
    const line = await open();
    line.session.sendText('Hello there.', { role: 'user', respond: true });
    await line.sent();
    await tell(line, heard('echo', 'Hello there.'), sentence('a', 'Hi.', piece(1)));
    expect(line.of('transcript').some(({ role }) => role === 'user')).toBe(false);
    expect(started(line)).toEqual([['resp_1', true]]);
  });
});

describe('the caller cuts in', () => {
  it('and the service says so, in the clothes of a text', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'A long story.'),
      contentStart('aa', 'AUDIO', 'ASSISTANT'),
      audioOutput('aa', piece(1)),
    );
    await tell(
      line,
      contentStart('i', 'TEXT', 'ASSISTANT', 'FINAL'),
      { name: 'textOutput', body: { contentId: 'i', role: 'ASSISTANT', content: INTERRUPTED } },
      audioOutput('aa', piece(2)),
      contentEnd('aa', 'AUDIO', 'INTERRUPTED'),
      contentEnd('i', 'TEXT', 'INTERRUPTED'),
    );
    expect(types(line).filter((type) => type !== 'usage' && type !== 'transcript')).toEqual([
      'responseStarted',
      'audio',
      'interrupted',
      'responseDone',
    ]);
    expect(line.of('interrupted')).toEqual([{ type: 'interrupted', responseId: 'resp_1' }]);
    expect(done(line)).toEqual([['resp_1', 'cancelled']]);
    // All that was generated, because it is cut by what was heard.
    expect(said(line)).toEqual([['a', 'A long story.']]);
    expect(spoken(line)).toEqual([1]);
    await tell(line, heard('u', 'Stop!'), sentence('b', 'Fine.', piece(3)));
    expect(started(line).at(-1)).toEqual(['resp_2', false]);
    expect(spoken(line)).toEqual([1, 3]);
  });

  it.each(['{"interrupted":true}', ' {\n "interrupted": true }'])(
    'whatever the spaces in %j',
    async (content) => {
      const line = await open();
      await tell(line, text('a', 'ASSISTANT', 'SPECULATIVE', 'So,'), audio('aa', [piece(1)]));
      await tell(line, { name: 'textOutput', body: { contentId: 'i', role: 'ASSISTANT', content } });
      expect(line.of('interrupted')).toHaveLength(1);
      expect(said(line)).toEqual([['a', 'So,']]);
    },
  );

  it('when all of the answer has come already, and the bridge still plays it', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'A long story.'),
      audio('aa', [piece(1)], 'END_TURN'),
    );
    await tell(
      line,
      text('x', 'ASSISTANT', 'FINAL', 'A long'),
      text('i', 'ASSISTANT', 'FINAL', INTERRUPTED, 'INTERRUPTED'),
    );
    expect(done(line)).toEqual([['resp_1', 'completed']]);
    expect(line.of('interrupted')).toEqual([{ type: 'interrupted', responseId: 'resp_1' }]);
    expect(said(line)).toEqual([['a', 'A long story.']]);
  });

  it('as the bridge hears before the service: the rest of that answer is dropped, and the next one is not', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'One.'),
      audio('aa', [piece(1)]),
      text('b', 'ASSISTANT', 'SPECULATIVE', 'Two.'),
      contentStart('bb', 'AUDIO', 'ASSISTANT'),
      audioOutput('bb', piece(2)),
    );
    line.session.interrupt([{ itemId: 'a', playedMs: 40, receivedMs: 100 }]);
    await tell(
      line,
      audioOutput('bb', piece(3)),
      contentEnd('bb', 'AUDIO', 'PARTIAL_TURN'),
      sentence('c', 'Three.', piece(4)),
    );
    expect(spoken(line)).toEqual([1, 2]);
    expect(done(line)).toEqual([['resp_1', 'cancelled']]);
    // The service finds out later, which is no news.
    await tell(line, text('i', 'ASSISTANT', 'FINAL', INTERRUPTED, 'INTERRUPTED'));
    expect(line.of('interrupted')).toEqual([]);
    await tell(line, heard('u', 'Wait.'), sentence('d', 'Yes?', piece(5)));
    expect(spoken(line)).toEqual([1, 2, 5]);
    expect(done(line).at(-1)).toEqual(['resp_2', 'completed']);
  });

  it('as the bridge hears: the words of the caller end an answer whose own end never comes', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'One.'),
      contentStart('aa', 'AUDIO', 'ASSISTANT'),
      audioOutput('aa', piece(1)),
    );
    line.session.interrupt([{ itemId: 'a', playedMs: 10, receivedMs: 100 }]);
    await tell(line, heard('u', 'Wait.'), audioOutput('aa', piece(2)), sentence('b', 'Yes?', piece(3)));
    expect(done(line)).toEqual([
      ['resp_1', 'cancelled'],
      ['resp_2', 'completed'],
    ]);
    expect(spoken(line)).toEqual([1, 3]);
  });

  it('as the bridge hears, and nobody says anything any more: what waits is asked for all the same', async () => {
    const line = await open();
    await tell(line, text('a', 'ASSISTANT', 'SPECULATIVE', 'One.'), contentStart('aa', 'AUDIO', 'ASSISTANT'));
    line.session.interrupt([]);
    line.session.sendText('', { role: 'user', respond: true, digits: '1' });
    await line.pass(5_000);
    await line.sent();
    expect(done(line)).toEqual([['resp_1', 'cancelled']]);
    expect(asked(line)).toHaveLength(1);
    expect(warnings(line)).toEqual([]);
  });

  it('before the agent has said what was asked of it: it is dropped, unless it has to be said', async () => {
    const line = await open();
    line.session.say('Are you there?');
    await line.sent();
    line.session.say('Never mind.');
    line.session.interrupt([]);
    await tell(line, sentence('a', 'Are you there?', piece(1)));
    await line.sent();
    expect(spoken(line)).toEqual([]);
    expect(types(line)).not.toContain('responseStarted');
    expect(asked(line)).toHaveLength(1);
  });

  it('before the agent has said what was asked of it, and it never does: what comes after does not wait long', async () => {
    const line = await open();
    line.session.say('Are you there?');
    await line.sent();
    line.session.interrupt([]);
    line.session.sendText('', { role: 'user', respond: true, digits: '1' });
    await line.pass(3_000);
    await line.sent();
    expect(asked(line)).toHaveLength(2);
    expect(warnings(line)).toEqual([]);
  });

  it('before the agent has said what has to be said: it is said after the turn of the caller', async () => {
    const line = await open();
    line.session.say('This call ends now.', true);
    await line.sent();
    line.session.interrupt([]);
    await tell(line, heard('u', 'What?'), sentence('a', 'I said nothing.', piece(1)));
    await line.sent();
    expect(started(line)).toEqual([['resp_1', false]]);
    expect(asked(line)).toHaveLength(2);
    await tell(line, sentence('b', 'This call ends now.', piece(2)));
    expect(started(line)[1]).toEqual(['resp_2', true]);
  });

  it('when what has to be said has begun and nothing of it was heard: it waits for the caller, and is said', async () => {
    const line = await open();
    line.session.say('This call ends now.', true);
    await line.sent();
    await tell(line, text('a', 'ASSISTANT', 'SPECULATIVE', 'This call'));
    line.session.interrupt([]);
    await tell(line, text('i', 'ASSISTANT', 'FINAL', INTERRUPTED, 'INTERRUPTED'));
    await line.sent();
    expect(asked(line)).toHaveLength(1);
    await line.pass(3_000);
    await line.sent();
    expect(asked(line)).toHaveLength(2);
  });
});

describe('functions', () => {
  it('are called with arguments that were encoded once or twice', async () => {
    const line = await open();
    const args = JSON.stringify({ city: 'Graz' });
    await tell(
      line,
      toolUse('t1', 'call-1', 'weather', args),
      toolUse('t2', 'call-2', 'weather', JSON.stringify(args)),
      toolUse('t3', 'call-3', 'weather', ''),
      toolUse('t4', 'call-4', 'weather', '{broken'),
    );
    expect(line.of('toolCall')).toMatchObject([
      { callId: 'call-1', name: 'weather', args, responseId: 'resp_1' },
      { callId: 'call-2', args },
      { callId: 'call-3', args: '{}' },
      { callId: 'call-4', args: '{broken' },
    ]);
  });

  it('that are called together belong to one answer, which is over when no more come', async () => {
    const line = await open();
    await tell(line, toolUse('t1', 'call-1', 'a', '{}'));
    line.clock.advance(200);
    await tell(line, toolUse('t2', 'call-2', 'b', '{}'));
    line.clock.advance(249);
    expect(done(line)).toEqual([]);
    await line.pass(1);
    expect(done(line)).toEqual([['resp_1', 'completed']]);
    expect(line.of('toolCall').map(({ responseId }) => responseId)).toEqual(['resp_1', 'resp_1']);
  });

  it('get their results in any order, as JSON text, in blocks of their own', async () => {
    const line = await open();
    await tell(
      line,
      toolUse('t1', 'call-1', 'a', '{}'),
      toolUse('t2', 'call-2', 'b', '{}'),
      toolUse('t3', 'call-3', 'c', '{}'),
    );
    line.session.sendToolResult('call-2', { output: 'twelve', isError: false, respond: true });
    line.session.sendAudio(piece(1));
    line.session.sendToolResult('call-1', { output: '{"a":1}', isError: false, respond: true });
    line.session.sendToolResult('call-3', { output: 'it broke', isError: true, respond: true });
    line.session.sendToolResult('call-3', { output: 'again', isError: false, respond: true });
    await line.sent();
    const blocks = line.peer.all('contentStart').filter((body) => body['type'] === 'TOOL');
    expect(blocks.map((body) => body['toolResultInputConfiguration'])).toEqual(
      ['call-2', 'call-1', 'call-3'].map((toolUseId) => ({
        toolUseId,
        type: 'TEXT',
        textInputConfiguration: { mediaType: 'text/plain' },
      })),
    );
    expect(blocks.every((body) => body['role'] === 'TOOL' && body['interactive'] === false)).toBe(true);
    expect(line.peer.all('toolResult').map(({ content }) => content)).toEqual([
      '{"result":"twelve"}',
      '{"a":1}',
      '{"error":"it broke"}',
    ]);
    const names = line.peer.names();
    for (const [at, name] of names.entries()) {
      if (name === 'toolResult')
        expect([names[at - 1], names[at + 1]]).toEqual(['contentStart', 'contentEnd']);
    }
    expect(warnings(line)).toEqual(['tool_answered_twice']);
  });

  it('have answers that were asked for', async () => {
    const line = await open();
    await tell(line, heard('u', 'Weather?'), toolUse('t1', 'call-1', 'weather', '{}'));
    line.clock.advance(250);
    line.session.sendToolResult('call-1', { output: '{}', isError: false, respond: true });
    await tell(line, sentence('a', 'Sunny.', piece(1)));
    expect(started(line)).toEqual([
      ['resp_1', false],
      ['resp_2', true],
    ]);
  });

  it('may run while the agent speaks on', async () => {
    const line = await open();
    await tell(
      line,
      text('a', 'ASSISTANT', 'SPECULATIVE', 'One moment.'),
      audio('aa', [piece(1)]),
      toolUse('t1', 'call-1', 'weather', '{}'),
      sentence('b', 'I am looking.', piece(2)),
    );
    line.clock.advance(250);
    expect(done(line)).toEqual([['resp_1', 'completed']]);
    expect(spoken(line)).toEqual([1, 2]);
  });

  it('are reminded of when their results lead to nothing', async () => {
    const line = await open();
    await tell(line, toolUse('t1', 'call-1', 'weather', '{}'));
    line.clock.advance(250);
    line.session.sendToolResult('call-1', { output: '{}', isError: false, respond: true });
    await line.pass(10_000);
    await line.sent();
    expect(warnings(line)).toEqual(['response_lost']);
    expect(asked(line)).toEqual([expect.stringMatching(/result of the function is there/)]);
  });

  it('whose result is not to be spoken of say so, and an answer to that is not played', async () => {
    const line = await open();
    await tell(line, sentence('a', 'Goodbye.', piece(1), false), toolUse('t1', 'call-1', 'hang_up', '{}'));
    line.clock.advance(250);
    line.session.sendToolResult('call-1', { output: '{"ok":true}', isError: false, respond: false });
    await line.sent();
    const [result] = line.peer.all('toolResult').map(({ content }) => JSON.parse(String(content)) as unknown);
    expect(result).toEqual({ ok: true, instruction: expect.stringMatching(/not say anything/) });
    await tell(line, sentence('b', 'Goodbye again.', piece(2)));
    expect(spoken(line)).toEqual([1]);
    await tell(line, heard('u', 'Wait!'), sentence('c', 'Yes?', piece(3)));
    expect(spoken(line)).toEqual([1, 3]);
  });

  it('that a hidden answer calls are answered without being run', async () => {
    const line = await open();
    line.session.sendText('Just so you know.', { role: 'system', respond: false });
    await line.sent();
    await tell(line, toolUse('t1', 'call-1', 'weather', '{}'));
    await line.sent();
    expect(line.of('toolCall')).toEqual([]);
    expect(line.peer.all('toolResult')).toHaveLength(1);
  });

  it('of an earlier session are told of as text', async () => {
    const line = await open();
    const call = { name: 'weather', args: '{"city":"Graz"}' };
    line.session.sendToolResult('old-1', { output: 'sunny', isError: false, respond: true, call });
    await line.sent();
    expect(line.peer.all('toolResult')).toEqual([]);
    expect(asked(line)).toEqual([
      '[The function weather was called earlier in this call with {"city":"Graz"} and gave: sunny]',
    ]);
    await tell(line, sentence('a', 'Sunny in Graz.', piece(1)));
    expect(started(line)).toEqual([['resp_1', true]]);
  });

  it('are called once, however often the service says so', async () => {
    const line = await open();
    const call = toolUse('t1', 'call-1', 'weather', '{}');
    await tell(line, call, call);
    expect(line.of('toolCall')).toHaveLength(1);
  });
});

describe('odd services', () => {
  it('that send an event twice are heard once', async () => {
    const line = await open();
    const twice = [...heard('u', 'Hello.'), ...sentence('a', 'Hi.', piece(1))].flatMap((one) => [one, one]);
    await tell(line, twice);
    expect(spoken(line)).toEqual([1]);
    expect(line.of('transcript').map(({ role, final }) => [role, final])).toEqual([
      ['user', false],
      ['user', true],
      ['assistant', false],
      ['assistant', true],
    ]);
    expect(line.of('responseDone')).toHaveLength(1);
  });

  it('may send the same silence twice', async () => {
    const line = await open();
    await tell(line, audio('aa', [piece(0), piece(0)], 'END_TURN'));
    expect(spoken(line)).toEqual([0, 0]);
  });

  it('that send nonsense are warned of, and the session goes on', async () => {
    const line = await open();
    for (const bad of ['{"event":', '[]', '"text"', '{}', '{"event":{}}', '{"event":{"textOutput":{}}}']) {
      line.peer.raw(chunk(bad));
    }
    line.peer.raw(chunk('{"event":{"audioOutput":{"contentId":7,"content":"AAAA"}}}'));
    await tell(line, { name: 'somethingNew', body: { a: 1 } }, sentence('a', 'Still here.', piece(1)));
    expect(new Set(warnings(line))).toEqual(new Set(['bad_frame']));
    expect(warnings(line)).toHaveLength(7);
    expect(spoken(line)).toEqual([1]);
  });

  it('may send one very long event', async () => {
    const line = await open();
    const long = new Uint8Array(4 * 1_048_576).fill(5);
    await tell(
      line,
      { name: 'novelty', body: { text: 'x'.repeat(2_000_000) } },
      audio('aa', [long], 'END_TURN'),
    );
    expect(line.of('audio')[0]?.bytes.length).toBe(long.length);
  });

  it('are charged for what is new, once', async () => {
    const line = await open();
    const body = (delta: number, total: number): Message => ({
      name: 'usageEvent',
      body: {
        details: {
          delta: {
            input: { speechTokens: delta, textTokens: 1 },
            output: { speechTokens: 2, textTokens: 3 },
          },
          total: {
            input: { speechTokens: total, textTokens: 1 },
            output: { speechTokens: 2, textTokens: 3 },
          },
        },
      },
    });
    line.peer.say(body(1_000, 1_000), body(1_000, 1_000), body(2_000, 3_000));
    line.peer.say(usage({}, {}), { name: 'usageEvent', body: { totalTokens: 5 } });
    await line.settle();
    expect(
      line
        .of('usage')
        .map((event) => event.usage.inputAudioTokens)
        .slice(0, 2),
    ).toEqual([1_000, 2_000]);
    expect(line.of('usage')[0]?.usage).toEqual({
      inputTextTokens: 1,
      inputAudioTokens: 1_000,
      cachedTextTokens: 0,
      cachedAudioTokens: 0,
      outputTextTokens: 3,
      outputAudioTokens: 2,
    });
    expect(line.of('usage')).toHaveLength(3);
  });
});
