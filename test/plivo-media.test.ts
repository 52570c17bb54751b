import { describe, expect, it } from 'vitest';
import type { AudioFormat } from '../src/audio/format.ts';
import { BridgeError } from '../src/errors.ts';
import type { LegEvent } from '../src/leg.ts';
import { AUTH_ID, CALL, carrier, STREAM } from './support/plivo.ts';
import { dice, outcome, scramble, swapOne } from './support/twilio.ts';

const MULAW: AudioFormat = { encoding: 'mulaw', rate: 8000 };
const decode = (message: unknown): readonly LegEvent[] =>
  carrier().decode(typeof message === 'string' ? message : JSON.stringify(message));

const START = {
  event: 'start',
  sequenceNumber: 1,
  start: {
    callId: CALL,
    streamId: STREAM,
    accountId: AUTH_ID,
    tracks: ['inbound'],
    mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000 },
  },
  extra_headers: 'agent=frontdesk;from=14155550100',
};
const MEDIA = {
  event: 'media',
  sequenceNumber: 42,
  streamId: STREAM,
  media: {
    track: 'inbound',
    timestamp: '1705312200000',
    chunk: 41,
    payload: Buffer.alloc(160, 0x7f).toString('base64'),
  },
  extra_headers: 'agent=frontdesk',
};
const DTMF = {
  event: 'dtmf',
  sequenceNumber: 50,
  streamId: STREAM,
  dtmf: { track: 'inbound', digit: '5', timestamp: '1705312250000' },
};

describe('the start of a stream', () => {
  const started = {
    type: 'started',
    streamId: STREAM,
    callId: CALL,
    params: { agent: 'frontdesk', from: '14155550100' },
    input: MULAW,
    output: MULAW,
    codec: 'audio/x-mulaw/8000',
  };

  it('is the first message, and says everything', () => {
    expect(decode(START)).toEqual([started]);
  });

  it('has its numbers as numbers or as text, and the id of the stream inside or beside', () => {
    const { streamId: _, ...inside } = START.start;
    const start = { ...inside, mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: '8000' } };
    expect(decode({ ...START, sequenceNumber: '1', streamId: STREAM, start })).toEqual([started]);
  });

  it.each([
    [
      { encoding: 'audio/x-l16', sampleRate: 8000 },
      { encoding: 'pcm16', rate: 8000 },
    ],
    [
      { encoding: 'audio/x-l16', sampleRate: '16000' },
      { encoding: 'pcm16', rate: 16000 },
    ],
    [{ encoding: 'audio/x-l16;rate=16000' }, { encoding: 'pcm16', rate: 16000 }],
    [{ encoding: 'AUDIO/X-L16; rate=8000' }, { encoding: 'pcm16', rate: 8000 }],
    [
      { encoding: 'audio/x-l16;rate=16000', sampleRate: 16000 },
      { encoding: 'pcm16', rate: 16000 },
    ],
    [{ encoding: 'audio/x-mulaw;rate=8000' }, MULAW],
    [{ encoding: 'audio/x-mulaw' }, MULAW],
  ])('with the format %o has %o in both directions', (mediaFormat, format) => {
    const [event] = decode({ ...START, start: { ...START.start, mediaFormat } });
    expect(event).toMatchObject({ input: format, output: format });
    expect(event).not.toHaveProperty('byteOrder');
  });

  it.each([
    { encoding: 'audio/x-alaw', sampleRate: 8000 },
    { encoding: 'audio/x-mulaw', sampleRate: 16000 },
    { encoding: 'audio/x-l16', sampleRate: 11025 },
    { encoding: 'audio/opus', sampleRate: 48000 },
    { encoding: '', sampleRate: 8000 },
    { encoding: 'audio/x-l16', sampleRate: {} },
  ])('with the format %o has a codec that nobody here can decode', (mediaFormat) => {
    const [event] = decode({ ...START, start: { ...START.start, mediaFormat } });
    expect(event).toMatchObject({ input: undefined, output: MULAW });
    expect(event).toHaveProperty('codec', expect.stringContaining('/'));
  });

  it('without a format has the one that was asked for', () => {
    const { mediaFormat: _, ...start } = START.start;
    const text = JSON.stringify({ ...START, start });
    const wide = { encoding: 'pcm16', rate: 16000 };
    expect(carrier({ audio: 'l16-16000' }).decode(text)).toMatchObject([{ input: wide, output: wide }]);
    expect(carrier().decode(text)).toMatchObject([{ input: MULAW, output: MULAW }]);
    const half = JSON.stringify({ ...START, start: { ...start, mediaFormat: {} } });
    expect(carrier({ audio: 'l16-8000' }).decode(half)).toMatchObject([
      { input: { encoding: 'pcm16', rate: 8000 } },
    ]);
  });

  it.each([
    ['a=1;b=2', { a: '1', b: '2' }],
    ['a=1,b=2', { a: '1', b: '2' }],
    [' a = 1 ; b=x=y;=z;;c', { a: '1', b: 'x=y' }],
    ['{"a":"1","b":2,"c":true,"d":null,"e":{}}', { a: '1', b: '2', c: 'true' }],
    [
      { a: '1', b: 2 },
      { a: '1', b: '2' },
    ],
    ['{"a":', {}],
    ['{}', {}],
    ['', {}],
    [7, {}],
    [null, {}],
    [undefined, {}],
    ['__proto__=x', JSON.parse('{"__proto__":"x"}')],
  ])('with the extra headers %o brings the parameters %o', (headers, params) => {
    const text = JSON.stringify({ ...START, extra_headers: headers });
    const [event] = carrier().decode(text);
    expect(event).toMatchObject({ type: 'started' });
    expect(event?.type === 'started' ? event.params : undefined).toEqual(params);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('may have the extra headers inside', () => {
    const { extra_headers, ...rest } = START;
    expect(decode({ ...rest, start: { ...START.start, extra_headers } })).toEqual([started]);
  });

  it('is nonsense without the ids that everything rests on', () => {
    for (const start of [
      undefined,
      null,
      [],
      {},
      { ...START.start, streamId: '' },
      { ...START.start, streamId: 7 },
      { ...START.start, callId: undefined },
      { ...START.start, callId: '' },
      { ...START.start, mediaFormat: 'audio/x-mulaw' },
      { ...START.start, mediaFormat: { encoding: 7 } },
    ]) {
      expect(outcome(() => decode({ ...START, start }))).toBe('BAD_FRAME');
    }
  });
});

describe('what the caller does', () => {
  it('is heard, without a time, because nobody knows what the time means', () => {
    expect(decode(MEDIA)).toEqual([{ type: 'audio', bytes: Buffer.alloc(160, 0x7f), atMs: undefined }]);
    const other = { ...MEDIA, sequenceNumber: '42', media: { payload: 'AAEC', chunk: '41', timestamp: 20 } };
    expect(decode(other)).toEqual([{ type: 'audio', bytes: Buffer.from([0, 1, 2]), atMs: undefined }]);
  });

  it('is heard byte for byte when it is PCM', () => {
    const samples = Buffer.from([0x01, 0x80, 0xff, 0x7f]);
    const media = { ...MEDIA.media, payload: samples.toString('base64') };
    expect(decode({ ...MEDIA, media })).toMatchObject([{ bytes: samples }]);
  });

  it('is not what the agent says', () => {
    expect(decode({ ...MEDIA, media: { ...MEDIA.media, track: 'outbound' } })).toEqual([]);
    expect(decode({ ...DTMF, dtmf: { ...DTMF.dtmf, track: 'outbound' } })).toEqual([]);
    expect(decode({ ...MEDIA, media: { ...MEDIA.media, payload: '' } })).toEqual([]);
  });

  it('is a key', () => {
    expect(decode(DTMF)).toEqual([{ type: 'dtmf', digit: '5' }]);
    for (const [digit, wanted] of [
      [5, '5'],
      ['#', '#'],
      ['a', 'A'],
    ]) {
      expect(decode({ ...DTMF, dtmf: { digit } })).toEqual([{ type: 'dtmf', digit: wanted }]);
    }
    for (const digit of [undefined, '', '55', 'x', 55, -1, {}]) {
      expect(outcome(() => decode({ ...DTMF, dtmf: { digit } }))).toBe('BAD_FRAME');
    }
  });

  it('is nonsense when it is no base64, and the message does not show it', () => {
    for (const payload of ['????', 'A', 'AAAAA', 'AA=A', 7, null, undefined]) {
      const message = JSON.stringify({ ...MEDIA, media: { ...MEDIA.media, payload } });
      expect(() => carrier().decode(message)).toThrow(
        /^BAD_FRAME: media\.payload of a Plivo media message is/,
      );
      expect(() => carrier().decode(message)).not.toThrow(/\?\?\?\?|AAAAA/);
    }
  });
});

describe('what Plivo answers', () => {
  it.each(['playedStream', 'played'])('%s: a mark was heard', (event) => {
    const message = { event, sequenceNumber: 75, streamId: STREAM, name: 'cp-1' };
    expect(decode(message)).toEqual([{ type: 'mark', name: 'cp-1' }]);
    expect(outcome(() => decode({ ...message, name: '' }))).toBe('BAD_FRAME');
  });

  it('tells that the queue is empty, and that the stream is over', () => {
    expect(decode({ event: 'clearedAudio', sequenceNumber: 0, streamId: STREAM })).toEqual([
      { type: 'cleared' },
    ]);
    expect(decode({ event: 'stop', sequenceNumber: 9, streamId: STREAM })).toEqual([{ type: 'stopped' }]);
    expect(decode({ event: 'stop', reason: 'hangup' })).toEqual([{ type: 'stopped' }]);
  });

  it('tells what went wrong', () => {
    const error = (message: string, code = 'error'): LegEvent[] => [{ type: 'carrierError', code, message }];
    expect(decode({ event: 'playFailed', reason: 'bad audio' })).toEqual(error('bad audio', 'playFailed'));
    expect(decode({ event: 'error', reason: 'buffer_overflow' })).toEqual(error('buffer_overflow'));
    expect(decode({ event: 'error', message: 'x'.repeat(300) })).toEqual(error('x'.repeat(200)));
    expect(decode({ event: 'error', error: { code: 1 } })).toEqual(error('no reason was given'));
  });

  it('may be news that nobody here knows', () => {
    for (const event of ['connected', 'heartbeat', 'degraded', 'toString', '__proto__', '']) {
      expect(decode({ event, streamId: STREAM })).toEqual([]);
    }
  });

  it('is nonsense when it is no object with an event', () => {
    for (const text of [
      '',
      'x',
      '[]',
      '7',
      'null',
      '"start"',
      '{}',
      '{"event":7}',
      '{"event":null}',
      '{"event":["media"]}',
    ]) {
      expect(outcome(() => carrier().decode(text))).toBe('BAD_FRAME');
    }
  });

  it('never shows what was heard or typed when it cannot be read', () => {
    const text = '{"event":"dtmf","dtmf":{"digit":"4711"';
    expect(() => carrier().decode(text)).toThrow(
      /^BAD_FRAME: a Plivo media message of \d+ characters is not JSON$/,
    );
    try {
      carrier().decode(text);
    } catch (error) {
      expect(error).toBeInstanceOf(BridgeError);
      expect((error as BridgeError).cause).toBeUndefined();
    }
  });

  it('does what it should or says BAD_FRAME when it arrives damaged', () => {
    const one = dice(5);
    const messages = [
      START,
      MEDIA,
      DTMF,
      { event: 'playedStream', name: 'm' },
      { event: 'error', reason: 'r' },
    ];
    const kinds = new Set<string>();
    for (let round = 0; round < 4000; round++) {
      const message = one.pick(messages);
      const text =
        round % 2 === 0 ? JSON.stringify(swapOne(message, one)) : scramble(JSON.stringify(message), one);
      const found = outcome(() => carrier().decode(text ?? 'null'));
      if (found === 'BAD_FRAME') kinds.add(found);
      else for (const event of found as readonly LegEvent[]) kinds.add(event.type);
    }
    expect(kinds).toContain('BAD_FRAME');
    expect(kinds).toContain('started');
    expect(kinds).toContain('audio');
  });
});

describe('what the bridge sends', () => {
  const leg = { streamId: STREAM, output: MULAW };

  it('is audio with the format of the leg, read from its place in the buffer', () => {
    const buffer = Uint8Array.from([9, 9, 0xff, 0x7f, 0x00, 9]);
    const bytes = buffer.subarray(2, 5);
    expect(JSON.parse(carrier().encode({ type: 'audio', bytes }, leg))).toEqual({
      event: 'playAudio',
      media: { contentType: 'audio/x-mulaw', sampleRate: 8000, payload: '/38A' },
    });
    for (const rate of [8000, 16000] as const) {
      const output: AudioFormat = { encoding: 'pcm16', rate };
      expect(JSON.parse(carrier().encode({ type: 'audio', bytes }, { ...leg, output }))).toEqual({
        event: 'playAudio',
        media: { contentType: 'audio/x-l16', sampleRate: rate, payload: '/38A' },
      });
    }
  });

  it('is a checkpoint, the wish to clear, and keys', () => {
    const send = (command: Parameters<ReturnType<typeof carrier>['encode']>[0]): unknown =>
      JSON.parse(carrier().encode(command, leg));
    expect(send({ type: 'mark', name: 'm"1' })).toEqual({
      event: 'checkpoint',
      streamId: STREAM,
      name: 'm"1',
    });
    expect(send({ type: 'clear' })).toEqual({ event: 'clearAudio', streamId: STREAM });
    expect(send({ type: 'digits', digits: '09A#*D' })).toEqual({ event: 'sendDTMF', dtmf: '09A#*D' });
  });

  it('is no key that Plivo has not', () => {
    for (const digits of ['', 'w', '1 2', 'a', '"', '1'.repeat(201)]) {
      expect(outcome(() => carrier().encode({ type: 'digits', digits }, leg))).toBe('BAD_INPUT');
    }
    expect(() => carrier().encode({ type: 'digits', digits: '47x11' }, leg)).not.toThrow(/47x11/);
  });
});
