import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import type { LegCommand, LegEvent } from '../src/leg.ts';
import { seeded } from './support/signal.ts';
import { LEG, telnyx } from './support/telnyx-carrier.ts';

const STREAM = '5f5ea1d4-3a3f-4a8e-9a3b-000000000001';
const MULAW = { encoding: 'mulaw', rate: 8000 };

const decode = (message: unknown, options: Parameters<typeof telnyx>[0] = {}): readonly LegEvent[] =>
  telnyx(options).decode(typeof message === 'string' ? message : JSON.stringify(message));

const start = (more: Record<string, unknown> = {}, top: Record<string, unknown> = {}) => ({
  event: 'start',
  sequence_number: '1',
  stream_id: STREAM,
  start: { call_control_id: LEG, ...more },
  ...top,
});
const media = (more: Record<string, unknown> = {}) => ({
  event: 'media',
  sequence_number: '4',
  stream_id: STREAM,
  media: { track: 'inbound', chunk: '2', timestamp: '5', payload: 'AAEC/w==', ...more },
});

describe('a media message of Telnyx', () => {
  it('opens the socket, with a token or without', () => {
    expect(decode({ event: 'connected', version: '1.0.0' })).toEqual([{ type: 'opened' }]);
    const connected = { 'x-telnyx-streaming-auth-token': 'secret' };
    expect(decode({ event: 'connected', version: '1.0.0', protocol: 'Call', connected })).toEqual([
      { type: 'opened' },
    ]);
  });

  it('starts the stream with all that can be in it', () => {
    const message = start({
      user_id: 'u',
      call_session_id: 's',
      from: '+13122010094',
      to: null,
      tags: ['TAG1'],
      client_state: 'e30=',
      custom_parameters: { call: 'c', n: 5, yes: true, odd: {} },
      media_format: { encoding: 'PCMU', sample_rate: 8000, channels: 1 },
    });
    expect(decode(message)).toEqual([
      {
        type: 'started',
        streamId: STREAM,
        callId: LEG,
        params: { call: 'c', n: '5', yes: 'true' },
        input: MULAW,
        output: MULAW,
        codec: 'PCMU',
      },
    ]);
  });

  it('starts the stream with nothing but the call', () => {
    expect(decode(start({}, { stream_id: undefined }))).toEqual([
      { type: 'started', streamId: '', callId: LEG, params: {}, input: MULAW, output: MULAW, codec: 'PCMU' },
    ]);
    expect(
      decode(start({ stream_id: 'inside', media_format: null }, { stream_id: undefined })),
    ).toMatchObject([{ streamId: 'inside', input: MULAW }]);
    expect(
      decode(start({ custom_parameters: [{ name: 'a', value: 'b' }, 'x', { name: 1, value: 'y' }] })),
    ).toMatchObject([{ params: { a: 'b' } }]);
  });

  it.each([
    [{ encoding: 'audio/x-mulaw', sample_rate: 8000 }, MULAW, 'audio/x-mulaw'],
    [{ encoding: 'pcma', sample_rate: '8000', channels: '1' }, { encoding: 'alaw', rate: 8000 }, 'pcma'],
    [{ encoding: 'audio/x-alaw' }, { encoding: 'alaw', rate: 8000 }, 'audio/x-alaw'],
    [{ encoding: 'L16', sample_rate: 8000 }, { encoding: 'pcm16', rate: 8000 }, 'L16'],
    [{ encoding: 'L16', sample_rate: 16000 }, { encoding: 'pcm16', rate: 16000 }, 'L16'],
    [{ encoding: 'audio/L16', sample_rate: 24000 }, { encoding: 'pcm16', rate: 24000 }, 'audio/L16'],
    [{ encoding: 'L16', sample_rate: 48000 }, undefined, 'L16/48000'],
    [{ encoding: 'L16', sample_rate: 16000, channels: 2 }, undefined, 'L16/16000/2'],
    [{ encoding: 'PCMU', sample_rate: 16000 }, undefined, 'PCMU/16000'],
    [{ encoding: 'G722', sample_rate: 16000 }, undefined, 'G722/16000'],
    [{ encoding: 'OPUS', sample_rate: 48000 }, undefined, 'OPUS/48000'],
    [{ encoding: 'AMR-WB', sample_rate: 16000 }, undefined, 'AMR-WB/16000'],
    [{ encoding: 'toString' }, undefined, 'toString/8000'],
  ])('starts with %j', (media_format, input, codec) => {
    expect(decode(start({ media_format }), { l16ByteOrder: 'little' })).toMatchObject([
      { input, codec, output: MULAW },
    ]);
  });

  it('starts with one codec in and another out', () => {
    const media_format = { encoding: 'PCMA', sample_rate: 8000, channels: 1 };
    const l16 = { media_format, custom_parameters: { sends: 'L16' } };
    expect(decode(start(l16), { codec: 'L16/24000' })).toMatchObject([
      { input: { encoding: 'alaw', rate: 8000 }, output: { encoding: 'pcm16', rate: 24000 } },
    ]);
    // A stream of TeXML: it is sent PCMU, whatever is configured.
    expect(decode(start({ media_format }), { codec: 'L16/24000' })).toMatchObject([
      { output: { encoding: 'mulaw', rate: 8000 } },
    ]);
  });

  it.each([
    [undefined, 'L16', 'detect'],
    ['detect', 'L16', 'detect'],
    ['big', 'L16', 'big'],
    ['little', 'L16', undefined],
    ['big', 'PCMU', undefined],
    ['big', 'G722', undefined],
  ] as const)('with byte order %s configured, %s is %s', (l16ByteOrder, encoding, byteOrder) => {
    const [found] = decode(start({ media_format: { encoding, sample_rate: 8000 } }), { l16ByteOrder });
    expect(found?.type === 'started' ? found.byteOrder : 'not started').toBe(byteOrder);
  });

  it('brings audio with its time and its place', () => {
    const bytes = Buffer.from([0, 1, 2, 255]);
    expect(decode(media())).toEqual([{ type: 'audio', bytes, atMs: 5, order: 2 }]);
    expect(decode(media({ chunk: 3, timestamp: 40, track: undefined }))).toEqual([
      { type: 'audio', bytes, atMs: 40, order: 3 },
    ]);
  });

  it.each([undefined, null, '', 'soon', '-1', {}])(
    'brings audio without a time or place that can be used: %j',
    (odd) => {
      expect(decode(media({ chunk: odd, timestamp: odd }))).toEqual([
        { type: 'audio', bytes: Buffer.from([0, 1, 2, 255]), atMs: undefined },
      ]);
    },
  );

  it.each(['outbound', 'outbound_track'])("is nothing when it is the agent's own voice: %s", (track) => {
    expect(decode(media({ track }))).toEqual([]);
  });

  it('brings keys, echoes of marks, and the end', () => {
    expect(decode({ event: 'dtmf', stream_id: STREAM, occurred_at: 'x', dtmf: { digit: '#' } })).toEqual([
      { type: 'dtmf', digit: '#' },
    ]);
    expect(decode({ event: 'mark', stream_id: STREAM, mark: { name: 'm-7' } })).toEqual([
      { type: 'mark', name: 'm-7' },
    ]);
    expect(decode({ event: 'stop', stop: { call_control_id: LEG } })).toEqual([{ type: 'stopped' }]);
    expect(decode({ event: 'stop' })).toEqual([{ type: 'stopped' }]);
  });

  it.each([
    [
      { error: { code: '100005', title: 'rate_limit_reached', detail: 'Too many requests' } },
      'rate_limit_reached',
      'Too many requests',
    ],
    [
      { payload: { code: 100002, title: 'malformed_frame', detail: 'No JSON' } },
      'malformed_frame',
      'No JSON',
    ],
    [{ error: { code: '100004' } }, '100004', '100004'],
    [{ payload: 'x' }, 'unknown_error', 'unknown_error'],
    [{}, 'unknown_error', 'unknown_error'],
  ])('brings an error of one shape or the other: %j', (more, code, message) => {
    expect(decode({ event: 'error', stream_id: STREAM, ...more })).toEqual([
      { type: 'carrierError', code, message },
    ]);
  });

  it('is nothing when its event is new', () => {
    expect(decode({ event: 'transcription', stream_id: STREAM })).toEqual([]);
  });

  it.each([
    ['no JSON', '{"event":"media","media":{"payload":"SECRET'],
    ['no object', '"SECRET"'],
    ['a list', '[]'],
    ['no event', '{"stream_id":"SECRET"}'],
    ['media without media', '{"event":"media"}'],
    ['a payload that is none', JSON.stringify(media({ payload: 'SECRET!!' }))],
    ['a payload that is a number', JSON.stringify(media({ payload: 5 }))],
    ['a cut payload', JSON.stringify(media({ payload: 'AAECA' }))],
    ['no call', JSON.stringify(start({ call_control_id: undefined }))],
    ['a start without start', '{"event":"start"}'],
    ['a key that is none', '{"event":"dtmf","dtmf":{"digit":"SECRET"}}'],
    ['a mark without a name', '{"event":"mark","mark":"SECRET"}'],
  ])('with %s is refused without being shown', (_name, text) => {
    const read = () => telnyx().decode(text);
    expect(read).toThrow(BridgeError);
    expect(read).toThrow(/^BAD_FRAME: /);
    expect(read).not.toThrow('SECRET');
  });

  it('never does anything but be read or refused, whatever is broken in it', () => {
    const random = seeded(42);
    const good = [media(), start({ media_format: { encoding: 'L16' } }), { event: 'error', error: {} }];
    const texts = good.map((message) => JSON.stringify(message));
    let refusals = 0;
    for (let i = 0; i < 3000; i++) {
      const text = texts[i % texts.length] ?? '';
      const at = Math.floor(random() * text.length);
      const broken =
        text.slice(0, at) + String.fromCharCode(Math.floor(random() * 128)) + text.slice(at + 1 + (i % 2));
      try {
        telnyx().decode(broken);
      } catch (error) {
        refusals++;
        expect(error).toMatchObject({ code: 'BAD_FRAME' });
      }
    }
    expect(refusals).toBeGreaterThan(1000);
    expect(refusals).toBeLessThan(3000);
  });
});

describe('a message to Telnyx', () => {
  const leg = { streamId: STREAM, output: { encoding: 'mulaw', rate: 8000 } } as const;
  const encode = (command: LegCommand, options: Parameters<typeof telnyx>[0] = {}): unknown =>
    JSON.parse(telnyx(options).encode(command, leg));

  it('carries audio, marks and the wish to clear', () => {
    const whole = Buffer.from([9, 0, 1, 2, 255, 9]);
    const bytes = new Uint8Array(whole.buffer, whole.byteOffset + 1, 4);
    expect(encode({ type: 'audio', bytes })).toEqual({
      event: 'media',
      stream_id: STREAM,
      media: { payload: 'AAEC/w==' },
    });
    expect(encode({ type: 'mark', name: 'm "7"' })).toEqual({
      event: 'mark',
      stream_id: STREAM,
      mark: { name: 'm "7"' },
    });
    expect(encode({ type: 'clear' })).toEqual({ event: 'clear', stream_id: STREAM });
  });

  it('goes without the id of a stream that has none', () => {
    const carrier = telnyx();
    const nameless = { ...leg, streamId: '' };
    const all: LegCommand[] = [
      { type: 'audio', bytes: Buffer.from([1]) },
      { type: 'mark', name: 'm' },
      { type: 'clear' },
    ];
    expect(all.map((command) => carrier.encode(command, nameless))).toEqual([
      '{"event":"media","media":{"payload":"AQ=="}}',
      '{"event":"mark","mark":{"name":"m"}}',
      '{"event":"clear"}',
    ]);
  });

  it.each([
    ['L16/16000', 'big', 'AQACAw=='],
    ['L16/16000', 'little', 'AAEDAg=='],
    ['L16/16000', 'detect', 'AAEDAg=='],
    ['PCMA', 'big', 'AAEDAg=='],
  ] as const)(
    'with %s in byte order %s carries %s, and leaves the bytes as they are',
    (codec, l16ByteOrder, payload) => {
      const bytes = Uint8Array.from([0, 1, 3, 2]);
      expect(encode({ type: 'audio', bytes }, { codec, l16ByteOrder })).toMatchObject({ media: { payload } });
      expect([...bytes]).toEqual([0, 1, 3, 2]);
    },
  );

  it('never carries keys', () => {
    expect(() => telnyx().encode({ type: 'digits', digits: '12' }, leg)).toThrow(
      'BAD_INPUT: Telnyx takes keys by request',
    );
  });
});
