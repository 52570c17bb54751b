import plivo from 'plivo';
import { describe, expect, it } from 'vitest';
import { type Message, nextTurn, tone, until } from './support/hand-bridge.ts';
import {
  atPlivo,
  EPOCH,
  events,
  isSigned,
  MA,
  MULAW,
  mark,
  onTheLine,
  type Place,
  pass,
  play,
  read,
  say,
  startOf,
  TOKEN,
  UUID,
} from './support/sim-plivo.ts';

describe('media of the simulated Plivo', () => {
  it('begins with start, counts in numbers, and tells the time as text', async () => {
    await using line = await onTheLine(`${MULAW} extraHeaders="callRef=c42,from=14155550100"`);
    line.clock.advance(40);
    const [first, second] = await line.media.count('media', 2);
    const streamId = line.call.streamId ?? '';
    expect(streamId).toMatch(UUID);
    expect(line.media.socket.protocol).toBe('audio.plivo.com');
    expect(line.media.messages[0]).toEqual({
      event: 'start',
      sequenceNumber: 1,
      start: {
        callId: line.call.callId,
        streamId,
        accountId: MA,
        tracks: ['inbound'],
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000 },
      },
      extra_headers: 'callRef=c42;from=14155550100',
    });
    expect(first).toEqual({
      event: 'media',
      sequenceNumber: 2,
      streamId,
      media: {
        track: 'inbound',
        timestamp: String(EPOCH + 5),
        chunk: 1,
        payload: Buffer.alloc(160, 0xff).toString('base64'),
      },
      extra_headers: 'callRef=c42;from=14155550100',
    });
    expect(second).toMatchObject({ sequenceNumber: 3, media: { chunk: 2, timestamp: String(EPOCH + 25) } });
    await line.call.hangUp();
    await line.media.closed;
    expect(line.media.of('connected')).toEqual([]);
    expect(line.media.of('stop')).toEqual([]);
  });

  it('tells stream time, says stop and offers no subprotocol, when it is set so', async () => {
    await using line = await onTheLine(MULAW, {
      settings: { timestamps: 'stream', stop: 'sent', subprotocol: 'none' },
    });
    line.clock.advance(20);
    expect(await line.media.count('media', 1)).toMatchObject([{ media: { timestamp: '5' } }]);
    expect(line.media.socket.protocol).toBe('');
    await line.call.hangUp();
    expect(await line.media.count('stop', 1)).toMatchObject([{ sequenceNumber: 3 }]);
  });

  it.each([
    ['bidirectional="true" keepCallAlive="true"', 'audio/x-l16', 8000, 320],
    [`${MULAW.replace('x-mulaw;rate=8000', 'x-l16;rate=16000')}`, 'audio/x-l16', 16000, 640],
  ])('with %s is %s at %i', async (attributes, encoding, rate, bytes) => {
    await using line = await onTheLine(attributes);
    expect(startOf(line.media)['mediaFormat']).toEqual({ encoding, sampleRate: rate });
    const spoken = line.call.speak(tone(100));
    const payload = Buffer.alloc(bytes * 5);
    for (const [i, sample] of tone(100, rate).entries()) payload.writeInt16LE(sample, i * 2);
    say(line.media, 'playAudio', {
      media: { contentType: encoding, sampleRate: rate, payload: payload.toString('base64') },
    });
    await read(line.media);
    line.clock.advance(140);
    expect(await spoken).toBe(true);
    const frames = (await line.media.count('media', 7)).map((frame) =>
      Buffer.from(String((frame['media'] as Message)['payload']), 'base64'),
    );
    expect(frames.map((frame) => frame.length)).toEqual(Array(7).fill(bytes));
    // The caller's tone, and not the noise that another order of bytes would make of it.
    const peaks = frames.map((frame) => {
      const samples = Array.from({ length: bytes / 2 }, (_, at) => Math.abs(frame.readInt16LE(at * 2)));
      return Math.max(...samples);
    });
    expect(peaks.slice(1, 5).every((peak) => peak > 7000 && peak < 9000)).toBe(true);
    expect(peaks.at(-1)).toBeLessThan(100);
    expect(line.call.warnings.size).toBe(0);
    expect((await line.call.hangUp()).heardBytes).toBe(800);
  });

  it('acknowledges checkpoints whose audio was played, and drops those of a clear', async () => {
    await using line = await onTheLine();
    play(line.media, 100);
    mark(line.media, 'gone');
    await read(line.media);
    line.clock.advance(40);
    say(line.media, 'clearAudio', { streamId: line.call.streamId });
    const [cleared] = await line.media.count('clearedAudio', 1);
    expect(cleared).toEqual({
      event: 'clearedAudio',
      sequenceNumber: expect.any(Number),
      streamId: line.call.streamId,
    });
    play(line.media, 20);
    mark(line.media, 'kept');
    await read(line.media);
    line.clock.advance(40);
    expect(await line.media.count('playedStream', 1)).toMatchObject([
      { name: 'kept', streamId: line.call.streamId },
    ]);
    expect(line.call.clears).toMatchObject([{ droppedBytes: 480, marks: ['gone'] }]);
    expect(line.call.marks).toMatchObject([{ name: 'kept', echoed: true }]);
  });

  it('plays what does not fit the stream as if it did, with a warning', async () => {
    await using line = await onTheLine();
    play(line.media, 20, { contentType: 'audio/x-l16' });
    play(line.media, 20, { sampleRate: 16000 });
    play(line.media, 20, { sampleRate: '8000', contentType: 'audio/x-mulaw;rate=8000' });
    await read(line.media);
    line.clock.advance(80);
    expect([...line.call.warnings]).toEqual([
      ['invalid_media: playAudio is not the audio/x-mulaw at 8000 of this stream', 2],
    ]);
    expect((await line.call.hangUp()).heardBytes).toBe(480);
  });

  it.each([['never'], ['sent']])('warns of nonsense; error frames: %s', async (errorFrames) => {
    await using line = await onTheLine(MULAW, { settings: { errorFrames } });
    line.media.socket.send('{');
    line.media.socket.send('[]');
    say(line.media, 'media', { media: { payload: 'AAAA' } });
    say(line.media, 'playAudio');
    play(line.media, 20, { payload: 5 });
    play(line.media, 20, { payload: '*' });
    play(line.media, 20, { payload: Buffer.from('RIFF0000WAVE').toString('base64') });
    say(line.media, 'checkpoint', { name: '' });
    say(line.media, 'checkpoint', { name: 'm' });
    say(line.media, 'clearAudio', { streamId: 'another' });
    say(line.media, 'clearAudio');
    say(line.media, 'sendDTMF', { dtmf: '12w' });
    line.media.socket.send(Buffer.from([1]));
    await read(line.media);
    expect([...line.call.warnings.keys()]).toEqual([
      'invalid_frame: the text is not JSON',
      'invalid_frame: the message is not an object',
      'invalid_frame: the event "media" is unknown',
      'invalid_media: playAudio has no object "media"',
      'invalid_media: playAudio has no text media.payload',
      'invalid_media: the payload is not base64',
      'invalid_media: the payload begins with a WAV header',
      'invalid_frame: checkpoint has no text name',
      'invalid_frame: checkpoint has no streamId',
      'invalid_frame: streamId is not the one of this stream',
      'invalid_frame: sendDTMF has no text of 0-9 A-D * #',
      'invalid_frame: a binary frame on the media socket',
    ]);
    expect(line.call.clears).toHaveLength(1);
    const count = errorFrames === 'sent' ? [4, 7] : [0, 0];
    expect([line.media.of('playFailed').length, line.media.of('error').length]).toEqual(count);
  });

  it('takes nothing from the bridge when it is not bidirectional', async () => {
    await using line = await onTheLine('contentType="audio/x-mulaw;rate=8000"', {}, '<Wait length="9"/>');
    play(line.media, 20);
    await read(line.media);
    line.clock.advance(40);
    expect([...line.call.warnings.keys()].join()).toContain('not bidirectional');
    expect((await line.call.hangUp()).heardBytes).toBe(0);
  });

  it('brings keys both ways', async () => {
    await using line = await onTheLine();
    const pressed = line.call.pressKeys('5#');
    await nextTurn();
    line.clock.advance(20);
    line.clock.advance(160);
    expect(await pressed).toBe(true);
    expect(await line.media.count('dtmf', 2)).toMatchObject([
      { streamId: line.call.streamId, dtmf: { track: 'inbound', digit: '5', timestamp: String(EPOCH + 5) } },
      { dtmf: { digit: '#' } },
    ]);
    say(line.media, 'sendDTMF', { dtmf: '12#' });
    await read(line.media);
    expect(line.call.eventsOf('agent-keys')).toMatchObject([{ digits: '12#' }]);
  });

  it.each([
    ['https', 'https', ''],
    ['http', 'http', ''],
    ['wss', 'wss', ''],
    ['ws', 'ws', ''],
    ['http/websocket', 'http', '/websocket'],
    ['wss/websocket', 'wss', '/websocket'],
  ])('signs the upgrade as %s', async (upgradeUrl, scheme, more) => {
    const settings = { upgradeUrl };
    await using line = await onTheLine(MULAW, { settings });
    const { headers, path } = line.media;
    const signature = String(headers['x-plivo-signature-v3']);
    const nonce = String(headers['x-plivo-signature-v3-nonce']);
    const url = `${scheme}://${line.bridge.host}${path}${more}`;
    expect(plivo.validateV3Signature('GET', url, nonce, TOKEN, signature)).toBe(true);
  });

  it.each([
    [{ settings: { upgradeUrl: 'none' } }],
    [{ faults: { upgradeSignature: 'missing' } }],
    [{ faults: { upgradeSignature: 'bad' } }],
  ] as const)('leaves the upgrade without a right signature with %j', async (options) => {
    await using line = await onTheLine(MULAW, options);
    const { headers, path } = line.media;
    const signature = headers['x-plivo-signature-v3'];
    if ('settings' in options || options.faults.upgradeSignature === 'missing') {
      expect(signature).toBeUndefined();
    } else {
      const nonce = String(headers['x-plivo-signature-v3-nonce']);
      const url = `https://${line.bridge.host}${path}`;
      expect(plivo.validateV3Signature('GET', url, nonce, TOKEN, String(signature))).toBe(false);
    }
  });
});

describe('streams of the simulated Plivo', () => {
  const callback = (place: Place) => `${MULAW} statusCallbackUrl="${place.bridge.url}/stream"`;

  it('do not keep a call alive unless they are told to', async () => {
    await using place = await atPlivo();
    place.answers['/voice'] = place.stream('bidirectional="true"');
    expect(await place.place().ended).toMatchObject({ outcome: 'completed', endedBy: 'document' });
    place.answers['/voice'] = `${place.stream('bidirectional="true"')}<Wait length="2"/>`;
    const call = place.place();
    await call.streaming;
    await pass(place, 2000);
    const report = await call.ended;
    expect(report.streams).toMatchObject([{ how: 'carrier-stopped' }]);
    expect(events(place.told('/voice'))).toContain('Hangup');
  });

  it('that the bridge refuses are tried twice more, with other ids, and then the XML goes on', async () => {
    await using place = await atPlivo();
    place.answers['/voice'] = `${place.stream(callback(place))}<Speak>sorry</Speak>`;
    place.bridge.refuseUpgrade = 503;
    const call = place.place();
    for (let i = 1; i <= 2; i++) {
      await until(() => call.eventsOf('stream-ended').length === i);
      await pass(place, 1000);
    }
    const report = await call.ended;
    expect(report.streams).toMatchObject(
      Array(3).fill({ how: 'failed', errorCode: 'stream_not_upgraded', started: false }),
    );
    expect(call.eventsOf('say')).toMatchObject([{ text: 'sorry' }]);
    const told = place.told('/stream');
    expect(events(told)).toEqual(Array(3).fill('DroppedStream'));
    expect(new Set(told.map(({ form }) => form['StreamID'])).size).toBe(3);
    expect(told[0]?.form).toMatchObject({
      CallUUID: call.callId,
      ServiceURL: `ws://${place.bridge.host}/media/tok`,
      Error: expect.stringContaining('503'),
    });
    expect(told.map((request) => isSigned(request, place.bridge.url))).toEqual([true, true, true]);
  });

  it('that break come again with the same call and another stream', async () => {
    await using place = await atPlivo();
    place.answers['/voice'] = place.stream(callback(place));
    const connected = place.bridge.media();
    const call = place.place({ faults: { loseSocketAtMs: 100 } });
    const first = await connected;
    await call.streaming;
    const again = place.bridge.media();
    place.clock.advance(100);
    await first.closed;
    await pass(place, 1000);
    const second = await again;
    await second.count('start', 1);
    const [one, two] = [first, second].map(startOf);
    expect(two?.['callId']).toBe(one?.['callId']);
    expect(two?.['streamId']).not.toBe(one?.['streamId']);
    expect(two?.['streamId']).toBe(call.streamId);
    expect(second.headers['x-plivo-signature-v3-nonce']).not.toBe(
      first.headers['x-plivo-signature-v3-nonce'],
    );
    await until(() => place.told('/stream').length === 3);
    expect(events(place.told('/stream')).sort()).toEqual(['DroppedStream', 'StartStream', 'StartStream']);
    await call.hangUp();
    // Nothing is told about the end of a stream that ends with its call.
    expect(place.told('/stream')).toHaveLength(3);
  });

  it.each([
    [1000, {}, 'StopStream'],
    [1011, {}, 'DroppedStream'],
    [1000, { reportCloseAsError: true }, 'DroppedStream'],
  ] as const)('that the bridge closes with %i and %j are reported as %s', async (code, faults, event) => {
    await using place = await atPlivo('', { '/next': '<Speak>next</Speak>' });
    place.answers['/voice'] = `${place.stream(callback(place))}<Redirect>${place.bridge.url}/next</Redirect>`;
    const connected = place.bridge.media();
    const call = place.place({ faults });
    const media = await connected;
    await call.streaming;
    media.socket.close(code);
    expect(await call.ended).toMatchObject({ streams: [{ how: 'bridge-closed', code }] });
    expect(events(place.told('/stream')).sort()).toEqual(['StartStream', event].sort());
    expect(place.told('/next')).toMatchObject([{ form: { Event: 'Redirect', CallStatus: 'in-progress' } }]);
    expect(call.eventsOf('say')).toHaveLength(1);
  });

  it('end when their time is over', async () => {
    await using place = await atPlivo();
    place.answers['/voice'] = `${place.stream(`${callback(place)} streamTimeout="3"`)}<Speak>late</Speak>`;
    const call = place.place();
    await call.streaming;
    place.clock.advance(2999);
    expect(call.eventsOf('stream-ended')).toEqual([]);
    place.clock.advance(1);
    await call.ended;
    expect(events(place.told('/stream')).sort()).toEqual(['StartStream', 'StopStream']);
    expect(call.eventsOf('say')).toHaveLength(1);
    expect(place.clock.pending).toBe(0);
  });

  it('are called degraded at 12, 24 and 36 s ahead, and again when it happens again', async () => {
    await using place = await atPlivo();
    place.answers['/voice'] = place.stream(callback(place));
    const connected = place.bridge.media();
    const call = place.place();
    const media = await connected;
    await call.streaming;
    const degraded = () => events(place.told('/stream')).filter((event) => event === 'DegradedStream').length;
    for (const [seconds, count] of [
      [11, 0],
      [2, 1],
      [25, 3],
      [5, 3],
    ] as const) {
      play(media, seconds * 1000);
      await read(media);
      await until(() => degraded() >= count);
    }
    say(media, 'clearAudio');
    play(media, 13_000);
    await read(media);
    await until(() => degraded() === 4);
    await call.hangUp();
  });

  it.each([
    ['contentType="audio/x-alaw;rate=8000"', 'content type'],
    ['audioTrack="both" bidirectional="true"', 'inbound track only'],
    ['audioTrack="left"', 'no audioTrack'],
  ])('with %s cannot be opened', async (attributes, why) => {
    await using place = await atPlivo();
    place.answers['/voice'] = `${place.stream(attributes)}<Speak>on</Speak>`;
    const report = await place.place().ended;
    expect(report.streams).toMatchObject([{ how: 'failed', errorCode: 'bad_stream', started: false }]);
    expect([...report.warnings.keys()].join()).toContain(why);
  });

  it('need wss, except on this machine', async () => {
    await using place = await atPlivo(`<Stream ${MULAW}>ws://b.example.com/m</Stream>`);
    expect([...(await place.place().ended).warnings.keys()].join()).toContain('must be wss');
  });
});

describe('faults of the simulated Plivo', () => {
  it('leaves a hole in the media while the time goes on', async () => {
    await using line = await onTheLine(MULAW, { faults: { dropInbound: { fromMs: 20, forMs: 60 } } });
    line.clock.advance(120);
    const frames = await line.media.count('media', 3);
    expect(frames.map((frame) => frame['media'])).toMatchObject([
      { timestamp: String(EPOCH + 5) },
      { timestamp: String(EPOCH + 85) },
      { timestamp: String(EPOCH + 105) },
    ]);
  });

  it.each([
    ['never', 400, 0],
    [300, 280, 0],
    [300, 340, 1],
  ] as const)('echoes checkpoints late or never: %s', async (marks, ms, count) => {
    await using line = await onTheLine(MULAW, { faults: { marks } });
    play(line.media, 20);
    mark(line.media, 'm');
    await read(line.media);
    line.clock.advance(40);
    line.clock.advance(ms - 40);
    if (count > 0) await line.media.count('playedStream', count);
    await read(line.media);
    expect(line.media.of('playedStream')).toHaveLength(count);
    expect(line.call.marks).toHaveLength(1);
  });

  it('sends text for numbers, numbers for text, and events that nobody knows', async () => {
    await using line = await onTheLine(MULAW, {
      faults: { numbersForStrings: true, unknownEvents: true, dtmfBurst: true },
    });
    const pressed = line.call.pressKeys('12');
    await nextTurn();
    line.clock.advance(20);
    expect(await pressed).toBe(true);
    expect(line.media.of('start')).toMatchObject([
      { sequenceNumber: '1', start: { mediaFormat: { sampleRate: '8000' } } },
    ]);
    expect(await line.media.count('media', 1)).toMatchObject([
      { sequenceNumber: '2', media: { chunk: '1', timestamp: EPOCH + 5 } },
    ]);
    expect(await line.media.count('dtmf', 2)).toMatchObject([{ dtmf: { digit: 1 } }, { dtmf: { digit: 2 } }]);
    expect(await line.media.count('weather', 1)).toHaveLength(1);
  });

  it('sends media before a start that says little and names another call', async () => {
    await using line = await onTheLine(`${MULAW} extraHeaders="a=b"`, {
      faults: { mediaBeforeStart: true, sparseStart: true, wrongCallId: true },
    });
    const { messages } = line.media;
    expect(messages.slice(0, 4).map((message) => message['event'])).toEqual([
      'media',
      'media',
      'media',
      'start',
    ]);
    expect(messages[3]).toEqual({
      event: 'start',
      sequenceNumber: 4,
      start: { callId: expect.stringMatching(UUID), streamId: line.call.streamId },
    });
    expect(startOf(line.media)['callId']).not.toBe(line.call.callId);
  });

  it('holds frames back, lets them overtake each other, and cuts the connection', async () => {
    await using line = await onTheLine(MULAW, { faults: { shuffleWithin: 3, abruptClose: true } });
    line.clock.advance(60);
    const frames = await line.media.count('media', 3);
    expect(frames.map((frame) => (frame['media'] as Message)['chunk'])).toEqual([2, 3, 1]);
    await line.call.hangUp();
    expect(await line.media.closed).toBe(1006);
  });

  it('delivers frames in bursts, and leaves out the stop that it would say', async () => {
    const settings = { stop: 'sent' };
    await using line = await onTheLine(MULAW, { settings, faults: { burstMs: 100, omitStop: true } });
    line.clock.advance(100);
    await read(line.media);
    expect(line.media.of('media')).toHaveLength(1);
    line.clock.advance(20);
    expect(await line.media.count('media', 6)).toHaveLength(6);
    await line.call.hangUp();
    expect(await line.media.closed).toBe(1000);
    expect(line.media.of('stop')).toEqual([]);
  });

  it('opens the socket late, twice, not at all, or says nothing on it', async () => {
    await using place = await atPlivo();
    place.answers['/voice'] = place.stream();
    const late = place.place({ faults: { upgradeDelayMs: 70_000, replayUpgrade: true } });
    await late.next('stream-opening');
    await pass(place, 69_999);
    expect(place.bridge.ends).toHaveLength(0);
    place.clock.advance(1);
    await late.streaming;
    expect(await late.next('replayed-upgrade')).toMatchObject({ status: 101 });
    await late.hangUp();
    const early = place.place({ faults: { hangUpBeforeUpgrade: true } });
    expect(await early.ended).toMatchObject({ endedBy: 'caller', streams: [] });
    const connected = place.bridge.media();
    const silent = place.place({ faults: { neverStart: true } });
    const media = await connected;
    place.clock.advance(1000);
    await silent.hangUp();
    expect(media.messages).toEqual([]);
  });

  it.each([404, 422, 500] as const)('answers REST with %i', async (status) => {
    await using line = await onTheLine(MULAW, { faults: { rest: { status } } });
    const answer = await line.rest('DELETE', `Call/${line.call.callId}/`);
    expect(answer).toMatchObject({
      status,
      body: { api_id: expect.stringMatching(UUID), error: expect.any(String) },
    });
    expect(line.call.isOver).toBe(false);
  });

  it('answers REST with 429 and then does it, or takes 5 s', async () => {
    await using line = await onTheLine(MULAW, { faults: { rest: { status: 429, times: 1, delayMs: 5000 } } });
    const path = `Call/${line.call.callId}/`;
    const first = line.rest('DELETE', path);
    const before = line.clock.pending;
    await until(() => line.clock.pending > before);
    line.clock.advance(5000);
    expect(await first).toMatchObject({ status: 429 });
    const second = line.rest('DELETE', path);
    await until(() => line.clock.pending > before);
    expect(line.call.isOver).toBe(false);
    line.clock.advance(5000);
    expect(await second).toMatchObject({ status: 204, text: '' });
    expect(await line.call.ended).toMatchObject({ endedBy: 'rest' });
  });
});
