import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import twilio from 'twilio';
import { describe, expect, it } from 'vitest';
import { encodeWav, readWav, samplesToBytes } from '../src/audio/wav.ts';
import { twilioSignature } from '../src/sim/phone/twilio/signature.ts';
import type { PhoneFaults, SimulatedCall } from '../src/sim/phone.ts';
import {
  atTheBridge,
  type MediaEnd,
  type Message,
  nextTurn,
  onTheLine,
  TOKEN,
  tone,
  twilioFrames,
  xml,
} from './support/hand-bridge.ts';

describe('the media stream of the simulated phone', () => {
  it('says connected and start, and then sends silence every 20 ms in strings', async () => {
    await using line = await onTheLine();
    line.clock.advance(60);
    const media = await line.media.count('media', 3);
    expect(line.media.messages[0]).toEqual({ event: 'connected', protocol: 'Call', version: '1.0.0' });
    expect(line.media.messages[1]).toEqual({
      event: 'start',
      sequenceNumber: '1',
      streamSid: line.call.streamId,
      start: {
        accountSid: line.call.identity.accountId,
        streamSid: line.call.streamId,
        callSid: line.call.callId,
        tracks: ['inbound'],
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
        customParameters: {},
      },
    });
    const payload = Buffer.alloc(160, 0xff).toString('base64');
    expect(media).toEqual(
      [1, 2, 3].map((chunk) => ({
        event: 'media',
        sequenceNumber: String(chunk + 1),
        streamSid: line.call.streamId,
        media: { track: 'inbound', chunk: String(chunk), timestamp: String(chunk * 20 - 15), payload },
      })),
    );
    expect(
      twilio.validateRequest(
        TOKEN,
        String(line.media.headers['x-twilio-signature']),
        `ws://${line.bridge.host}/media/tok_1`,
        {},
      ),
    ).toBe(true);
  });
});

describe('the play-out queue of the simulated phone', () => {
  it('plays 20 ms a tick and echoes a mark when the audio before it has been played', async () => {
    await using line = await onTheLine();
    line.media.play(60);
    line.media.mark('sixty');
    line.media.play(20);
    line.media.mark('eighty');
    await line.read();
    line.clock.advance(60);
    await line.media.count('media', 3);
    expect(line.media.of('mark')).toEqual([]);
    line.clock.advance(20);
    const [first] = await line.media.count('mark', 1);
    expect(first).toEqual({
      event: 'mark',
      sequenceNumber: '5',
      streamSid: line.call.streamId,
      mark: { name: 'sixty' },
    });
    line.clock.advance(20);
    await line.media.count('mark', 2);
    expect(line.call.marks).toMatchObject([
      { name: 'sixty', flushed: false, atMs: 80 },
      { name: 'eighty', flushed: false, atMs: 100 },
    ]);
    // The mark comes before the frame of the same tick.
    expect(line.media.messages.map((message) => message['event'])).toEqual(
      'connected start media media media mark media mark media'.split(' '),
    );
  });

  it('echoes a mark at once when nothing is buffered', async () => {
    await using line = await onTheLine();
    line.media.mark('now');
    await line.media.count('mark', 1);
    line.media.play(20);
    await line.read();
    line.clock.advance(40);
    line.media.mark('again');
    await line.media.count('mark', 2);
    expect(line.call.marks.map((mark) => mark.atMs)).toEqual([0, 40]);
  });

  it('plays silence when the audio runs out, and marks wait for audio and not for time', async () => {
    await using line = await onTheLine();
    // 50 ms: two and a half frames.
    line.media.play(50, 0x20);
    await line.read();
    line.clock.advance(120);
    line.media.play(20, 0x21);
    line.media.mark('m');
    await line.read();
    line.clock.advance(40);
    await line.media.count('mark', 1);
    const heard = [...line.call.heard];
    const runs = heard.filter((code, at) => code !== heard[at - 1]);
    expect(runs).toEqual([0x20, 0xff, 0x21, 0xff]);
    expect(heard.indexOf(0xff)).toBe(400);
    expect(heard.indexOf(0x21)).toBe(960);
    expect(heard).toHaveLength(8 * 160);
    // One hole: the rest of the third frame and three whole frames.
    expect(await line.call.hangUp()).toMatchObject({ underruns: 1, underrunMs: 80, heardBytes: 560 });
  });

  it('a clear empties it, echoes all marks in order and says how much was heard', async () => {
    await using line = await onTheLine();
    line.media.play(1000);
    line.media.mark('a');
    line.media.play(500);
    line.media.mark('b');
    await line.read();
    line.clock.advance(200);
    line.media.send('clear');
    const echoed = await line.media.count('mark', 2);
    expect(echoed.map((message) => message['mark'])).toEqual([{ name: 'a' }, { name: 'b' }]);
    expect(line.call.clears).toMatchObject([
      { heardBytes: 1600, stretchBytes: 1600, droppedBytes: 12_000 - 1600, marks: ['a', 'b'], atMs: 200 },
    ]);
    line.clock.advance(20);
    await line.media.count('media', 11);
    expect(line.call.heard.subarray(1600).every((code) => code === 0xff)).toBe(true);
    // The next clear counts from this one.
    line.media.play(40);
    await line.read();
    line.clock.advance(100);
    line.media.send('clear');
    await line.read();
    expect(line.call.clears[1]).toMatchObject({ heardBytes: 320, droppedBytes: 0, marks: [] });
    expect(line.call.marks.every((mark) => mark.flushed)).toBe(true);
  });

  it('holds minutes of audio that come at once, byte for byte', async () => {
    await using line = await onTheLine();
    line.media.play(100, 0xfe);
    await line.read();
    line.clock.advance(60);
    const bytes = Buffer.from(Array.from({ length: 8000 * 30 }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
    for (let at = 0; at < bytes.length; at += 7777) {
      const payload = bytes.subarray(at, at + 7777).toString('base64');
      line.media.send('media', { media: { payload } });
    }
    line.media.mark('end');
    await line.read();
    line.clock.advance(30_060);
    await line.media.count('mark', 1);
    expect(Buffer.from(line.call.heard.subarray(800, 800 + bytes.length)).equals(bytes)).toBe(true);
    const report = await line.call.hangUp();
    expect(report).toMatchObject({
      highWaterBytes: bytes.length + 320,
      heardBytes: bytes.length + 800,
      underruns: 0,
    });
  });

  it('warns of what Twilio would warn of and goes on', async () => {
    await using line = await onTheLine();
    const { socket, streamSid } = line.media;
    const mark = { name: 'still here' };
    for (const text of [
      'not json',
      '[]',
      '"clear"',
      '{"event":"clear"}',
      '{"event":"clear","streamSid":"MZ0"}',
      JSON.stringify({ event: 'connected', streamSid }),
      JSON.stringify({ event: 'media', streamSid }),
      JSON.stringify({ event: 'media', streamSid, media: { payload: 7 } }),
      JSON.stringify({ event: 'media', streamSid, media: { payload: '' } }),
      JSON.stringify({ event: 'media', streamSid, media: { payload: '%%%%' } }),
      JSON.stringify({ event: 'mark', streamSid, mark: 'm' }),
      JSON.stringify({ event: 'mark', streamSid, mark: {} }),
      JSON.stringify({ event: 'clear', streamSid, sequenceNumber: '1' }),
    ]) {
      socket.send(text);
      socket.send(text);
    }
    socket.send(Buffer.from([1, 2, 3]));
    line.media.send('media', { media: { payload: Buffer.from('RIFF....WAVE').toString('base64') } });
    line.media.send('mark', { mark });
    await line.read();
    line.clock.advance(40);
    await line.media.count('mark', 1);
    const warnings = [...line.call.warnings];
    expect(warnings.filter(([text]) => text.startsWith('31951: '))).toHaveLength(12);
    expect(line.call.warnings.get('31951: the text is not JSON')).toBe(2);
    expect(line.call.warnings.get('31951: streamSid is missing')).toBe(2);
    expect(line.call.warnings.get('31950: a binary frame on the media socket')).toBe(1);
    expect(line.call.eventsOf('warning')).toHaveLength(warnings.length);
    // A field too many is told, but the clear was done.
    expect(line.call.clears).toHaveLength(2);
  });
});

describe('the end of a stream', () => {
  it('by the bridge asks the action what to do next', async () => {
    await using line = await onTheLine({ dialResult: { status: 'completed', durationMs: 0 } });
    line.bridge.answer = () => xml('<Say>bye</Say>');
    line.media.socket.close(1000, 'done');
    const report = await line.call.ended;
    expect(report.streams).toEqual([{ how: 'bridge-closed', code: 1000, reason: 'done' }]);
    expect(report.warnings.get('31921: the server closed (1000)')).toBe(1);
    expect(report.endedBy).toBe('document');
  });

  it('by the caller brings stop and a close with 1000', async () => {
    await using line = await onTheLine();
    line.clock.advance(20);
    await line.media.count('media', 1);
    const report = await line.call.hangUp();
    expect(await line.media.closed).toBe(1000);
    expect(line.media.messages.at(-1)).toEqual({
      event: 'stop',
      sequenceNumber: '3',
      streamSid: line.call.streamId,
      stop: { accountSid: line.call.identity.accountId, callSid: line.call.callId },
    });
    expect(report).toMatchObject({ endedBy: 'caller', outcome: 'completed' });
    expect(await line.call.hangUp()).toBe(report);
    expect(line.clock.pending).toBe(0);
  });

  it('goes to the action when there is one, and else to the next verb', async () => {
    await using place = await atTheBridge();
    for (const [attributes, expected] of [
      ['action="/after/1"', 'action'],
      ['', 'verb'],
    ] as const) {
      place.bridge.answer = ({ target }) =>
        target === '/after/1'
          ? xml('<Say>action</Say>')
          : { body: place.bridge.document('<Say>verb</Say>', attributes) };
      const connected = place.bridge.media();
      const call = place.place();
      const media = await connected;
      await call.streaming;
      media.socket.close(1000);
      await call.ended;
      expect(call.eventsOf('say').map((say) => say.text)).toEqual([expected]);
    }
    expect(place.bridge.requestsTo('/after/1')).toMatchObject([{ form: { CallStatus: 'in-progress' } }]);
  });

  it('is told to the status callback of the stream', async () => {
    await using place = await atTheBridge();
    const seen = async (
      end: (media: MediaEnd, call: SimulatedCall) => void,
      faults: Partial<PhoneFaults> = {},
    ): Promise<unknown> => {
      place.bridge.requests.length = 0;
      const connected = place.bridge.media();
      const call = place.place({ faults });
      const media = await connected;
      await call.streaming;
      end(media, call);
      await call.next('callback', ({ event }) => event !== 'stream-started');
      await call.hangUp();
      const told = place.bridge.requestsTo('/stream-status');
      expect(told[0]?.form).toMatchObject({
        CallSid: call.callId,
        StreamSid: call.streamId,
        StreamName: 'agent',
      });
      return told.map(({ form }) => [form['StreamEvent'], form['StreamError']?.slice(0, 5)]);
    };
    place.bridge.answer = ({ target }) =>
      target === '/voice/twilio'
        ? xml(
            `<Connect><Stream url="ws://${place.bridge.host}/m" name="agent" statusCallback="/stream-status"/></Connect><Pause length="9"/>`,
          )
        : { status: 204, body: '' };
    const close = (media: MediaEnd): void => media.socket.close(1000);
    const started = ['stream-started', undefined];
    expect(await seen(close)).toEqual([started, ['stream-stopped', undefined]]);
    expect(await seen(close, { reportCloseAsError: true })).toEqual([started, ['stream-error', '31921']]);
    const crash = (media: MediaEnd): void => media.socket.terminate();
    expect(await seen(crash)).toEqual([started, ['stream-error', '31903']]);
    const hangUp = (_: MediaEnd, call: SimulatedCall): void => void call.hangUp();
    expect(await seen(hangUp)).toEqual([started, ['stream-stopped', undefined]]);
  });

  it.each([
    ['http://127.0.0.1:1/m', '31922'],
    ['ws://bridge.example.com/m', '31922'],
    ['wss://', '31923'],
    ['ws://127.0.0.1:1/m', '31902'],
  ])('that cannot begin, as with %s, is %s and the verbs behind it are run', async (url, code) => {
    await using place = await atTheBridge(() =>
      xml(`<Connect action="/after"><Stream url="${url}" statusCallback="/s"/></Connect><Say>sorry</Say>`),
    );
    const call = place.place();
    const report = await call.ended;
    expect(report.streams).toMatchObject([{ how: 'failed', errorCode: code, started: false }]);
    expect(call.eventsOf('say')).toHaveLength(1);
    expect(place.bridge.requestsTo('/after')).toEqual([]);
    expect(place.bridge.requestsTo('/s')).toMatchObject([{ form: { StreamEvent: 'stream-error' } }]);
  });

  it('that is refused is 31920, and another track than the caller’s is 31941', async () => {
    await using place = await atTheBridge();
    place.bridge.refuseUpgrade = 403;
    expect((await place.place().ended).streams).toMatchObject([
      { errorCode: '31920', text: expect.stringContaining('403') },
    ]);
    place.bridge.answer = () => xml('<Connect><Stream url="wss://x/" track="both_tracks"/></Connect>');
    expect((await place.place().ended).streams).toMatchObject([{ errorCode: '31941' }]);
  });

  it('that is never answered is 31901 after 10 s', async () => {
    await using place = await atTheBridge();
    const silent = createServer();
    const upgraded = new Promise<Duplex>((resolve) => {
      silent.on('upgrade', (_request, socket) => resolve(socket));
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : 0;
    place.bridge.answer = () => xml(`<Connect><Stream url="ws://127.0.0.1:${port}/"/></Connect>`);
    const call = place.place();
    const socket = await upgraded;
    place.clock.advance(10_000);
    expect((await call.ended).streams).toMatchObject([{ errorCode: '31901' }]);
    socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });

  it('that breaks a rule of WebSocket is 31924', async () => {
    await using line = await onTheLine();
    // A frame with a reserved opcode.
    const raw = line.media.socket as unknown as { readonly _socket: { write(bytes: Buffer): void } };
    raw._socket.write(Buffer.from([0x83, 0x00]));
    expect((await line.call.ended).streams).toMatchObject([{ errorCode: '31924', started: true }]);
  });
});

describe('the caller', () => {
  it('says WAV files of any rate as 8 kHz mu-law and is silent otherwise', async () => {
    await using line = await onTheLine();
    const wav = encodeWav(
      { encoding: 'pcm16', rate: 44_100, channels: 1 },
      samplesToBytes(tone(100, 44_100), 'pcm16'),
    );
    const said = line.call.speak(wav);
    line.clock.advance(200);
    expect(await said).toBe(true);
    const frames = await line.media.count('media', 10);
    const silent = Buffer.alloc(160, 0xff).toString('base64');
    const spoken = frames.map((frame) => (frame['media'] as Message)['payload'] !== silent);
    expect(spoken).toEqual([...Array(5).fill(true), ...Array(5).fill(false)]);
    const sent = twilioFrames(frames);
    expect(Buffer.from(line.call.sent).equals(sent)).toBe(true);
    expect(line.call.eventsOf('caller-quiet')).toMatchObject([{ atMs: 120 }]);
  });

  it('waits with speech for the stream, says one thing after the other, and can fall silent', async () => {
    await using place = await atTheBridge();
    const connected = place.bridge.media();
    const call = place.place();
    const first = call.speak(tone(30));
    const second = call.speak({ samples: tone(40, 16_000), rate: 16_000 });
    const media = await connected;
    await call.streaming;
    place.clock.advance(60);
    expect(await first).toBe(true);
    call.fallSilent();
    expect(await second).toBe(false);
    place.clock.advance(60);
    await media.count('media', 6);
    expect(call.eventsOf('caller-speaking')).toHaveLength(1);
    // 30 ms of speech, and the rest of its second frame is silence.
    expect(call.sent.subarray(240, 320).every((code) => code === 0xff)).toBe(true);
    const third = call.speak(tone(1000));
    await call.hangUp();
    expect(await third).toBe(false);
    expect(await call.speak(tone(20))).toBe(false);
    expect(() => call.speak(new Uint8Array(10))).toThrow('BAD_AUDIO');
  });

  it('presses keys one after the other, or all at once under a fault', async () => {
    await using line = await onTheLine();
    const pressed = line.call.pressKeys('1#');
    await nextTurn();
    line.clock.advance(400);
    expect(await pressed).toBe(true);
    const keys = await line.media.count('dtmf', 2);
    expect(keys[0]).toMatchObject({
      streamSid: line.call.streamId,
      dtmf: { track: 'inbound_track', digit: '1' },
    });
    expect(line.call.eventsOf('key').map((key) => key.atMs)).toEqual([20, 180]);
    await expect(line.call.pressKeys('1x')).rejects.toThrow('"x"');
    await using burst = await onTheLine({ faults: { dtmfBurst: true } });
    const all = burst.call.pressKeys('123');
    await nextTurn();
    burst.clock.advance(20);
    expect(await all).toBe(true);
    expect(burst.call.eventsOf('key').map((key) => key.atMs)).toEqual([20, 20, 20]);
  });

  it('hears for how long the agent spoke and when it was quiet', async () => {
    await using line = await onTheLine();
    const heard = line.call.untilHeard(100);
    const quiet = line.call.untilQuiet(600);
    line.media.play(200);
    await line.read();
    line.clock.advance(100);
    expect(await heard).toBe(true);
    expect(line.call.events.at(-1)).toMatchObject({ type: 'agent-speaking', atMs: 20 });
    line.clock.advance(680);
    let isQuiet = false;
    const noted = quiet.then((value) => {
      isQuiet = value;
    });
    await nextTurn();
    expect(isQuiet).toBe(false);
    line.clock.advance(20);
    await noted;
    expect(isQuiet).toBe(true);
    expect(await line.call.next('agent-quiet')).toMatchObject({ atMs: 600 });
    // What was heard before the caller spoke is no answer.
    line.call.speak(tone(40)).catch(() => {});
    line.clock.advance(1000);
    let isAnswered = false;
    const answer = line.call.untilQuiet(600).then((value) => {
      isAnswered = value;
    });
    await nextTurn();
    expect(isAnswered).toBe(false);
    line.media.play(20);
    await line.read();
    line.clock.advance(620);
    await answer;
    expect(isAnswered).toBe(true);
    const never = line.call.untilHeard(20);
    await line.call.hangUp();
    expect(await never).toBe(false);
  });

  it('measures turns from the last loud frame to the first', async () => {
    await using line = await onTheLine();
    const { call, media, clock } = line;
    for (const [gapMs, answerMs] of [
      [300, 200],
      [700, 200],
    ] as const) {
      call.speak(tone(100)).catch(() => {});
      clock.advance(100 + gapMs);
      media.play(answerMs);
      await line.read();
      clock.advance(1000);
    }
    // Cuts in, and is not answered.
    media.play(1000);
    await line.read();
    clock.advance(200);
    call.speak(tone(100)).catch(() => {});
    clock.advance(100);
    media.send('clear');
    await line.read();
    clock.advance(1000);
    const report = await call.hangUp();
    expect(report.turns.map((turn) => [turn.latencyMs, turn.cutIn])).toEqual([
      [300, false],
      [700, false],
      [undefined, true],
    ]);
    expect(report.firstAgentMs).toBe(400);
    expect(report.lateTicks).toBe(0);
    // Pauses between turns are no holes.
    expect(report.underruns).toBe(0);
  });

  it('saves what both sides heard, aligned', async () => {
    await using line = await onTheLine();
    const folder = await mkdtemp(join(tmpdir(), 'phone-'));
    line.call.speak(tone(40)).catch(() => {});
    line.clock.advance(60);
    line.media.play(40, 0x00);
    await line.read();
    line.clock.advance(60);
    await line.call.saveRecordings(join(folder, 'a', 'b'));
    const [caller, agent, call] = await Promise.all(
      ['caller', 'agent', 'call'].map(async (name) =>
        readWav(await readFile(join(folder, 'a', 'b', `${name}.wav`))),
      ),
    );
    await rm(folder, { recursive: true });
    expect([caller?.frames, agent?.frames, call?.frames, call?.channels]).toEqual([960, 960, 960, 2]);
    expect(call?.channel(0)).toEqual(caller?.channel(0));
    expect(call?.channel(1)).toEqual(agent?.channel(0));
    expect(agent?.channel(0).findIndex((sample) => sample !== 0)).toBe(480);
    await using bare = await onTheLine({ keepAudio: false });
    await expect(bare.call.saveRecordings(folder)).rejects.toThrow('BAD_INPUT');
  });

  it('is told what happened in order, and waiting ends with the call', async () => {
    await using line = await onTheLine();
    for (const name of ['a', 'b', 'c']) line.media.mark(name);
    expect(await line.call.next('mark')).toMatchObject({ name: 'a' });
    expect(await line.call.next('mark', (mark) => mark.name === 'c')).toMatchObject({ name: 'c' });
    const fourth = line.call.next('mark');
    line.media.mark('d');
    expect(await fourth).toMatchObject({ name: 'd' });
    const late = line.call.next('mark', () => true, 500);
    line.clock.advance(500);
    await expect(late).rejects.toThrow('TIMEOUT');
    const never = line.call.next('mark');
    const refused = expect(never).rejects.toThrow('CANCELLED');
    await line.call.hangUp();
    await refused;
    await expect(line.call.next('mark')).rejects.toThrow('CANCELLED');
    expect(await line.call.next('ended')).toMatchObject({ by: 'caller' });
  });
});

describe('faults on the media side', () => {
  it('leaves a hole in the audio while timestamps go on', async () => {
    await using line = await onTheLine({ faults: { dropInbound: { fromMs: 40, forMs: 60 } } });
    line.clock.advance(160);
    const frames = await line.media.count('media', 5);
    const inner = frames.map((frame) => frame['media'] as Message);
    expect(inner.map((media) => media['timestamp'])).toEqual(['5', '25', '105', '125', '145']);
    expect(inner.map((media) => media['chunk'])).toEqual(['1', '2', '3', '4', '5']);
  });

  it('delivers frames in bursts without losing any', async () => {
    await using line = await onTheLine({ faults: { burstMs: 100 } });
    line.clock.advance(180);
    await line.read();
    expect(line.media.of('media')).toHaveLength(6);
    line.clock.advance(20);
    await line.read();
    expect(line.media.of('media')).toHaveLength(6);
    line.clock.advance(20);
    const frames = await line.media.count('media', 11);
    expect(frames.map((frame) => frame['sequenceNumber'])).toEqual(frames.map((_, i) => String(i + 2)));
  });

  it('swallows marks, or echoes them late', async () => {
    await using mute = await onTheLine({ faults: { marks: 'never' } });
    mute.media.mark('m');
    await mute.read();
    mute.clock.advance(100);
    await mute.media.count('media', 5);
    expect(mute.media.of('mark')).toEqual([]);
    expect(mute.call.marks).toMatchObject([{ name: 'm', echoed: false }]);
    await using slow = await onTheLine({ faults: { marks: 300 } });
    slow.media.mark('m');
    await slow.read();
    slow.clock.advance(280);
    await slow.media.count('media', 14);
    expect(slow.media.of('mark')).toEqual([]);
    slow.clock.advance(20);
    await slow.media.count('mark', 1);
  });

  it('sends numbers for strings, unknown events, a start with nothing in it and a wrong call', async () => {
    await using line = await onTheLine({
      faults: { numbersForStrings: true, unknownEvents: true, wrongCallId: true },
    });
    line.clock.advance(40);
    await line.media.count('media', 2);
    const [start] = line.media.of('start');
    expect(start).toMatchObject({
      sequenceNumber: 1,
      start: { callSid: `CA${'f'.repeat(32)}`, mediaFormat: { sampleRate: '8000' } },
    });
    expect(line.media.of('media')[1]).toMatchObject({
      sequenceNumber: 4,
      media: { chunk: 2, timestamp: 25 },
    });
    expect(line.media.of('weather')).toHaveLength(1);
    await using sparse = await onTheLine({ faults: { sparseStart: true } });
    const { callId, streamId } = sparse.call;
    expect(sparse.media.of('start')[0]?.['start']).toEqual({ streamSid: streamId, callSid: callId });
  });

  it('sends media before start, or never starts', async () => {
    await using early = await onTheLine({ faults: { mediaBeforeStart: true } });
    expect(early.media.messages.map((message) => message['event'])).toEqual(
      'connected media media media start'.split(' '),
    );
    await using place = await atTheBridge();
    const connected = place.bridge.media();
    const call = place.place({ faults: { neverStart: true } });
    const media = await connected;
    await media.count('connected', 1);
    place.clock.advance(60_000);
    await call.hangUp();
    await media.closed;
    expect(media.messages).toHaveLength(1);
    await expect(call.streaming).rejects.toThrow('CANCELLED');
  });

  it('signs the upgrade wrongly or not at all', async () => {
    for (const upgradeSignature of ['bad', 'missing'] as const) {
      await using line = await onTheLine({ faults: { upgradeSignature } });
      const signature = line.media.headers['x-twilio-signature'];
      if (upgradeSignature === 'missing') expect(signature).toBeUndefined();
      const url = `ws://${line.bridge.host}/media/tok_1`;
      expect(twilio.validateRequest(TOKEN, String(signature), url, {})).toBe(false);
    }
  });

  it('signs the address of the stream letter by letter, finds it at the bridge and drops its query', async () => {
    await using place = await atTheBridge(() =>
      xml(
        `<Connect><Stream url="wss://Bridge.example.com/a%20b/Tok_1?x=1"><Parameter name="k" value="v"/></Stream></Connect>`,
      ),
    );
    const connected = place.bridge.media();
    const call = place.place({ publicUrl: 'https://bridge.example.com' });
    const media = await connected;
    await media.count('start', 1);
    expect(media.path).toBe('/a%20b/Tok_1');
    const signature = String(media.headers['x-twilio-signature']);
    expect(signature).toBe(twilioSignature(TOKEN, 'wss://Bridge.example.com/a%20b/Tok_1'));
    expect(media.of('start')[0]).toMatchObject({ start: { customParameters: { k: 'v' } } });
    expect([...call.warnings.keys()]).toEqual([expect.stringMatching(/^31922: /)]);
  });

  it('replays the upgrade, and tells whether it was let in', async () => {
    await using line = await onTheLine({ faults: { replayUpgrade: true } });
    expect(await line.call.next('replayed-upgrade')).toMatchObject({ status: 101 });
    expect(line.bridge.ends[1]?.headers['x-twilio-signature']).toBe(line.media.headers['x-twilio-signature']);
    expect(line.bridge.ends[1]?.path).toBe(line.media.path);
    expect(line.call.isOver).toBe(false);
  });

  it('hangs up before the upgrade, or comes late to it', async () => {
    await using place = await atTheBridge();
    const early = await place.place({ faults: { hangUpBeforeUpgrade: true } }).ended;
    expect(early).toMatchObject({ endedBy: 'caller', streams: [], firstStreamMs: undefined });
    const late = place.place({ faults: { upgradeDelayMs: 30_000 } });
    await late.next('stream-opening');
    place.clock.advance(29_999);
    await nextTurn();
    expect(place.bridge.ends).toEqual([]);
    place.clock.advance(1);
    await late.streaming;
    expect((await late.hangUp()).firstStreamMs).toBe(30_000);
    // Who gives up while waiting is gone at once.
    const gone = place.place({ faults: { upgradeDelayMs: 30_000 } });
    await gone.next('stream-opening');
    await gone.hangUp();
    expect(place.clock.pending).toBe(0);
  });

  it('omits stop, cuts the connection, or loses it in mid-call', async () => {
    await using quiet = await onTheLine({ faults: { omitStop: true } });
    await quiet.call.hangUp();
    expect(await quiet.media.closed).toBe(1000);
    expect(quiet.media.of('stop')).toEqual([]);
    await using cut = await onTheLine({ faults: { abruptClose: true, omitStop: true } });
    await cut.call.hangUp();
    expect(await cut.media.closed).toBe(1006);
    await using lost = await onTheLine({ faults: { loseSocketAtMs: 100 } });
    lost.clock.advance(100);
    expect(await lost.media.closed).toBe(1006);
    expect((await lost.call.ended).streams).toMatchObject([{ errorCode: '31903', started: true }]);
    expect(lost.media.of('media')).toHaveLength(5);
  });
});
