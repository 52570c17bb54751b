import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711 } from '../src/audio/g711.ts';
import type { SimulatedCall } from '../src/sim/phone.ts';
import { type MediaEnd, type Message, nextTurn, tone, until } from './support/hand-bridge.ts';
import { Place, read } from './support/telnyx-place.ts';

/** A member of a message that is an object. */
function member(message: Message | undefined, name: string): Message {
  return (message?.[name] ?? {}) as Message;
}

function format(media: MediaEnd): Message {
  return member(member(media.of('start')[0], 'start'), 'media_format');
}

function payloads(media: MediaEnd): Buffer[] {
  return media.of('media').map((frame) => Buffer.from(String(member(frame, 'media')['payload']), 'base64'));
}

function send(media: MediaEnd, message: unknown): void {
  media.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
}

function audio(media: MediaEnd, bytes: Uint8Array): void {
  send(media, { event: 'media', media: { payload: Buffer.from(bytes).toString('base64') } });
}

function rms(samples: Int16Array): number {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}

function words(bytes: Buffer, isBig: boolean): Int16Array {
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) =>
    isBig ? bytes.readInt16BE(i * 2) : bytes.readInt16LE(i * 2),
  );
}

function toBytes(samples: Int16Array, isBig: boolean): Buffer {
  const bytes = Buffer.alloc(samples.length * 2);
  for (const [i, sample] of samples.entries()) {
    if (isBig) bytes.writeInt16BE(sample, i * 2);
    else bytes.writeInt16LE(sample, i * 2);
  }
  return bytes;
}

async function loudness(call: SimulatedCall, media: MediaEnd, place: Place): Promise<number> {
  await read(media);
  const from = call.heard.length;
  place.clock.advance(240);
  return rms(decodeG711('mulaw', call.heard.subarray(from + 160, from + 1440)));
}

describe('the media stream of the simulated Telnyx', () => {
  it('sends silence in strings every 20 ms, and echoes marks when their audio was played', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming();
    media.play(60);
    media.mark('sixty');
    await read(media);
    place.clock.advance(80);
    const [mark] = await media.count('mark', 1);
    expect(mark).toEqual({
      event: 'mark',
      stream_id: call.streamId,
      sequence_number: '5',
      mark: { name: 'sixty' },
    });
    const frames = await media.count('media', 4);
    expect(frames[1]).toEqual({
      event: 'media',
      sequence_number: '3',
      stream_id: call.streamId,
      media: {
        track: 'inbound',
        chunk: '2',
        timestamp: '25',
        payload: Buffer.alloc(160, 0xff).toString('base64'),
      },
    });
    // At once when nothing is left to be played.
    media.mark('now');
    await media.count('mark', 2);
    expect(call.marks).toMatchObject([{ name: 'sixty', atMs: 80 }, { name: 'now' }]);
  });

  it('empties its queue on clear, and echoes the marks that waited', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming();
    media.play(1000);
    media.mark('a');
    media.mark('b');
    await read(media);
    place.clock.advance(200);
    send(media, { event: 'clear' });
    await media.count('mark', 2);
    expect(call.clears).toMatchObject([{ heardBytes: 1600, droppedBytes: 6400, marks: ['a', 'b'] }]);
    expect(media.messages.at(-1)).toMatchObject({ event: 'mark', mark: { name: 'b' } });
  });

  it.each([
    ['PCMU', 160],
    ['PCMA', 160],
    ['G722', 160],
    ['L16/8000', 320],
    ['L16/16000', 640],
    ['L16/24000', 960],
  ])('speaks the codec of the leg, whatever the bridge speaks: %s', async (legCodec, bytes) => {
    await using place = await Place.open();
    const { call, media } = await place.streaming({ settings: { legCodec, l16ByteOrder: 'big' } });
    const [encoding, rate = '8000'] = legCodec.split('/');
    expect(format(media)).toEqual({ encoding, sample_rate: Number(rate), channels: 1 });
    const spoken = call.speak(tone(200));
    place.clock.advance(200);
    await spoken;
    await media.count('media', 10);
    const frames = payloads(media);
    expect(frames.map((frame) => frame.length)).toEqual(Array(10).fill(bytes));
    const all = Buffer.concat(frames.slice(1, 9));
    if (encoding === 'L16') expect(rms(words(all, true)) / rms(tone(200))).toBeCloseTo(1, 1);
    if (encoding === 'PCMA') expect(rms(decodeG711('alaw', all)) / rms(tone(200))).toBeCloseTo(1, 1);
    // What comes back is PCMU all the same.
    audio(media, encodeG711('mulaw', tone(200)));
    expect(await loudness(call, media, place)).toBeGreaterThan(4000);
  });

  it.each([
    ['PCMU', undefined, encodeG711('mulaw', tone(200))],
    ['PCMA', undefined, encodeG711('alaw', tone(200))],
    ['L16', 8000, toBytes(tone(200), false)],
    ['L16', 16_000, toBytes(tone(200, 16_000), false)],
    ['L16', 24_000, toBytes(tone(200, 24_000), false)],
  ] as const)('plays what the bridge has said that it would send: %s %s', async (codec, rate, bytes) => {
    await using place = await Place.open();
    const { call, media } = await place.streaming(
      {},
      {
        stream_bidirectional_codec: codec,
        ...(rate === undefined ? {} : { stream_bidirectional_sampling_rate: rate }),
      },
    );
    expect(format(media)['encoding']).toBe('PCMU');
    audio(media, bytes);
    expect((await loudness(call, media, place)) / rms(tone(200))).toBeCloseTo(1, 1);
    expect((await call.hangUp()).heardBytes).toBe(1600);
  });

  it('takes samples in the byte order that it was set up with', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming(
      { settings: { l16ByteOrder: 'big' } },
      { stream_bidirectional_codec: 'L16', stream_bidirectional_sampling_rate: 16_000 },
    );
    audio(media, toBytes(tone(200, 16_000), true));
    expect((await loudness(call, media, place)) / rms(tone(200))).toBeCloseTo(1, 1);
  });

  it('converts between PCMU and PCMA, and from G722 only where it is set up so', async () => {
    await using place = await Place.open();
    const encodings: unknown[] = [];
    for (const [settings, more] of [
      [{ legCodec: 'PCMA' }, { stream_codec: 'PCMU' }],
      [{ legCodec: 'PCMA' }, { stream_codec: 'default' }],
      [{ legCodec: 'G722' }, { stream_codec: 'PCMU' }],
      [{ legCodec: 'G722', transcoding: 'all' }, { stream_codec: 'PCMU' }],
      [{ transcoding: 'all' }, { stream_codec: 'L16' }],
    ] as const) {
      const { call, media } = await place.streaming({ settings }, more);
      encodings.push(format(media)['encoding']);
      await call.hangUp();
    }
    expect(encodings).toEqual(['PCMU', 'PCMA', 'G722', 'PCMU', 'L16']);
  });

  it('drops raw audio when nobody has asked for RTP, and complains of more than one message a second', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming({}, { stream_bidirectional_mode: undefined });
    media.play(200);
    media.mark('m');
    await media.count('mark', 1);
    expect(media.of('error')).toEqual([]);
    media.play(200);
    const [error] = await media.count('error', 1);
    expect(error).toMatchObject({
      stream_id: call.streamId,
      error: { code: '100005', title: 'rate_limit_reached' },
    });
    place.clock.advance(1000);
    media.play(200);
    await read(media);
    expect(media.of('error')).toHaveLength(1);
    expect((await call.hangUp()).heardBytes).toBe(0);
    expect([...call.warnings.keys()].filter((warning) => warning.startsWith('mp3_mode'))).toHaveLength(2);
  });

  it('has nobody hear what is meant for an opposite leg that is not there', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming({}, { stream_bidirectional_target_legs: 'opposite' });
    media.play(200);
    await read(media);
    place.clock.advance(200);
    expect((await call.hangUp()).heardBytes).toBe(0);
    expect([...call.warnings.keys()]).toEqual([
      'no_opposite_leg: audio for the opposite leg is dropped: there is none',
    ]);
  });

  it('says what it does not play, of codecs that it only knows by name', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming(
      {},
      { stream_bidirectional_codec: 'OPUS', stream_track: 'both_tracks' },
    );
    audio(media, new Uint8Array(30));
    await read(media);
    expect(media.of('error')).toEqual([]);
    expect([...call.warnings.keys()]).toEqual([
      'not_simulated: audio of the bridge in OPUS is heard as silence',
      'not_simulated: of track both_tracks only what the caller says is sent',
    ]);
  });

  it.each([
    ['error', 'malformed_frame', '100003', 'invalid_media', '100004'],
    ['payload', 'malformed_frame', 100003, 'invalid_media', 100004],
  ] as const)(
    'answers nonsense with error frames in the form "%s", and goes on',
    async (errorFrames, frame, frameCode, media_, mediaCode) => {
      await using place = await Place.open();
      const { call, media } = await place.streaming({ settings: { errorFrames } });
      const nonsense = [
        'not json',
        [],
        { event: 'connected' },
        { event: 'media' },
        { event: 'media', media: { payload: '' } },
        { event: 'mark', mark: {} },
        { event: 'clear', stream_id: 'another' },
        { event: 'media', media: { payload: '%%%%'.repeat(100) } },
        { event: 'media', media: { payload: Buffer.alloc(159).toString('base64') } },
        { event: 'media', media: { payload: Buffer.alloc(240_001).toString('base64') } },
      ];
      for (const message of nonsense) send(media, message);
      media.socket.send(Buffer.from([1, 2]));
      send(media, { event: 'media', media: { payload: Buffer.alloc(240_000, 0x20).toString('base64') } });
      send(media, { event: 'mark', stream_id: call.streamId, mark: { name: 'fine' } });
      await read(media);
      const errors = await media.count('error', 11);
      expect(errors.map((error) => member(error, errorFrames)['title'])).toEqual([
        ...Array(7).fill(frame),
        ...Array(3).fill(media_),
        frame,
      ]);
      expect(member(errors[0], errorFrames)['code']).toBe(frameCode);
      expect(member(errors[7], errorFrames)['code']).toBe(mediaCode);
      place.clock.advance(30_020);
      await media.count('mark', 1);
      expect((await call.hangUp()).heardBytes).toBe(240_000);
    },
  );

  it('may end the call when the bridge says nothing for too long after start', async () => {
    await using place = await Place.open();
    const settings = { silenceLimitMs: '1500' };
    const quiet = await place.streaming({ settings });
    place.clock.advance(1499);
    expect(quiet.call.isOver).toBe(false);
    place.clock.advance(1);
    expect(await quiet.call.ended).toMatchObject({ endedBy: 'carrier' });
    const hangup = await place.event('call.hangup', quiet.call.callId);
    expect(hangup.payload).toMatchObject({ hangup_cause: 'normal_clearing', hangup_source: 'unknown' });
    const talking = await place.streaming({ settings });
    talking.media.play(20, 0xff);
    await read(talking.media);
    place.clock.advance(5000);
    expect(talking.call.isOver).toBe(false);
    // A stream that ends before takes its limit along.
    const brief = await place.streaming({ settings });
    brief.media.socket.close(1000);
    await until(() => place.types(brief.call.callId).includes('streaming.stopped'));
    place.clock.advance(2000);
    expect(brief.call.isOver).toBe(false);
  });
});

describe('faults of the media stream', () => {
  it('frames come out of order within three, all of them, and stop is the last word', async () => {
    await using place = await Place.open();
    const { call, media } = await place.streaming({ faults: { shuffleWithin: 3 } });
    place.clock.advance(140);
    await call.hangUp();
    await media.closed;
    const chunks = media.of('media').map((frame) => Number(member(frame, 'media')['chunk']));
    expect(chunks).toEqual([2, 3, 1, 5, 6, 4, 7]);
    expect(media.messages.at(-1)?.['event']).toBe('stop');
  });

  it('start is sparse, names another call, comes late or never, or is mixed up', async () => {
    await using place = await Place.open();
    const sparse = await place.streaming({ faults: { sparseStart: true } });
    expect(sparse.media.of('start')[0]?.['start']).toEqual({
      call_control_id: sparse.call.callId,
      from: null,
      to: null,
    });
    const wrong = await place.streaming({ faults: { wrongCallId: true } });
    expect(member(wrong.media.of('start')[0], 'start')['call_control_id']).toMatch(/^v3:x+$/);
    const numbers = await place.streaming({ faults: { numbersForStrings: true } });
    expect(format(numbers.media)).toEqual({ encoding: 'PCMU', sample_rate: '8000', channels: '1' });
    place.clock.advance(20);
    const [frame] = await numbers.media.count('media', 1);
    expect(frame).toMatchObject({ sequence_number: 2, media: { chunk: 1, timestamp: 5 } });
    send(numbers.media, 'nonsense');
    const [error] = await numbers.media.count('error', 1);
    expect(error?.['error']).toMatchObject({ code: 100003 });
    const early = await place.streaming({ faults: { mediaBeforeStart: true } });
    expect(early.media.messages.map((message) => message['event'])).toEqual(
      'connected media media media start'.split(' '),
    );
  });

  it('the socket says connected and nothing else', async () => {
    await using place = await Place.open();
    const call = await place.answered({ faults: { neverStart: true } });
    const connected = place.bridge.media();
    await place.client.calls.actions.startStreaming(call.callId, { stream_url: place.stream });
    const media = await connected;
    await media.count('connected', 1);
    place.clock.advance(1000);
    await call.hangUp();
    expect(media.messages).toHaveLength(1);
  });

  it('the token of the stream is another one, or missing', async () => {
    await using place = await Place.open();
    const tokens: unknown[] = [];
    for (const upgradeSignature of ['good', 'bad', 'missing', 'stale'] as const) {
      const { call, media } = await place.streaming(
        { faults: { upgradeSignature } },
        { stream_auth_token: 'secret' },
      );
      tokens.push(media.headers['x-telnyx-streaming-auth-token']);
      const connected = media.messages[0]?.['connected'] as Message | undefined;
      expect(connected?.['x-telnyx-streaming-auth-token']).toBe(tokens.at(-1));
      await call.hangUp();
    }
    expect(tokens).toEqual(['secret', 'secretx', undefined, 'secret']);
  });

  it('stop is left out, the connection is cut, or breaks in mid-call and the call goes on', async () => {
    await using place = await Place.open();
    const silent = await place.streaming({ faults: { omitStop: true, unknownEvents: true } });
    place.clock.advance(40);
    await silent.call.hangUp();
    expect(await silent.media.closed).toBe(1000);
    expect(silent.media.of('stop')).toEqual([]);
    expect(silent.media.of('weather')).toHaveLength(1);
    const cut = await place.streaming({ faults: { abruptClose: true } });
    await cut.call.hangUp();
    expect(await cut.media.closed).toBe(1006);
    const broken = await place.streaming({ faults: { loseSocketAtMs: 100 } });
    place.clock.advance(100);
    expect(await broken.media.closed).toBe(1006);
    const failed = await place.event('streaming.failed', broken.call.callId);
    expect(failed.payload['failure_reason']).toBe('connection_lost');
    expect(broken.call.isOver).toBe(false);
  });

  it('marks are late or never come, frames are lost, keys come all at once', async () => {
    await using place = await Place.open();
    const never = await place.streaming({ faults: { marks: 'never' } });
    never.media.mark('lost');
    await read(never.media);
    expect(never.call.marks).toMatchObject([{ name: 'lost', echoed: false }]);
    expect(never.media.of('mark')).toEqual([]);
    await never.call.hangUp();
    const late = await place.streaming({
      faults: { marks: 300, dropInbound: { fromMs: 40, forMs: 60 }, dtmfBurst: true },
    });
    late.media.mark('slow');
    const pressed = late.call.pressKeys('1234');
    await read(late.media);
    await nextTurn();
    place.clock.advance(280);
    await pressed;
    await late.media.count('dtmf', 4);
    expect(late.media.of('mark')).toEqual([]);
    place.clock.advance(40);
    await late.media.count('mark', 1);
    const stamps = late.media.of('media').map((frame) => Number(member(frame, 'media')['timestamp']));
    expect(stamps.slice(0, 4)).toEqual([5, 25, 105, 125]);
  });

  it('the stream comes late, or the caller is gone before it, and somebody else tries its address', async () => {
    await using place = await Place.open();
    const late = await place.answered({ faults: { upgradeDelayMs: 3000 } });
    await place.client.calls.actions.startStreaming(late.callId, { stream_url: place.stream });
    await place.client.calls.actions.stopStreaming(late.callId, {});
    place.clock.advance(3000);
    await nextTurn();
    expect(place.bridge.ends).toEqual([]);
    const gone = await place.answered({ faults: { hangUpBeforeUpgrade: true } });
    await place.client.calls.actions.startStreaming(gone.callId, { stream_url: place.stream });
    expect(await gone.ended).toMatchObject({ endedBy: 'caller' });
    expect(place.bridge.ends).toEqual([]);
    const replayed = await place.streaming(
      { faults: { replayUpgrade: true } },
      { stream_auth_token: 'once' },
    );
    await replayed.call.next('replayed-upgrade');
    expect(place.bridge.ends.map((end) => end.headers['x-telnyx-streaming-auth-token'])).toEqual([
      'once',
      'once',
    ]);
  });
});
