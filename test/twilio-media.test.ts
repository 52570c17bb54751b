import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import type { LegEvent } from '../src/leg.ts';
import { ACCOUNT, CALL, carrier, dice, outcome, STREAM, scramble, swapOne } from './support/twilio.ts';

describe('media messages', () => {
  const LEG = { streamId: STREAM, output: MULAW_8K };
  const decode = (message: unknown): readonly LegEvent[] => carrier().decode(JSON.stringify(message));
  const startMessage = (change: object = {}, top: object = { streamSid: STREAM }) => ({
    event: 'start',
    sequenceNumber: '1',
    ...top,
    start: {
      accountSid: ACCOUNT,
      streamSid: STREAM,
      callSid: CALL,
      tracks: ['inbound'],
      mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
      customParameters: { callRef: 'c_42' },
      ...change,
    },
  });
  const mediaMessage = (change: object = {}) => ({
    event: 'media',
    sequenceNumber: '2',
    streamSid: STREAM,
    media: { track: 'inbound', chunk: '1', timestamp: '5', payload: 'f/8A', ...change },
  });
  const MULAW = { input: MULAW_8K, output: MULAW_8K, codec: 'audio/x-mulaw' };
  const started = { type: 'started', streamId: STREAM, callId: CALL, params: { callRef: 'c_42' } };

  it('reads every message of a call', () => {
    expect(decode({ event: 'connected', protocol: 'Call', version: '1.0.0' })).toEqual([{ type: 'opened' }]);
    expect(decode(startMessage())).toEqual([{ ...started, ...MULAW }]);
    expect(decode(mediaMessage())).toEqual([{ type: 'audio', bytes: Buffer.from([0x7f, 0xff, 0]), atMs: 5 }]);
    const dtmf = { track: 'inbound_track', digit: '1' };
    expect(decode({ event: 'dtmf', sequenceNumber: '57', streamSid: STREAM, dtmf })).toEqual([
      { type: 'dtmf', digit: '1' },
    ]);
    const mark = { name: 'm-7' };
    expect(decode({ event: 'mark', sequenceNumber: '61', streamSid: STREAM, mark })).toEqual([
      { type: 'mark', name: 'm-7' },
    ]);
    const stop = { accountSid: ACCOUNT, callSid: CALL };
    expect(decode({ event: 'stop', sequenceNumber: '90', streamSid: STREAM, stop })).toEqual([
      { type: 'stopped' },
    ]);
  });

  it('takes a frame of 20 ms to its last byte', () => {
    const bytes = Buffer.from(Array.from({ length: 160 }, (_, i) => i));
    const [event] = decode(mediaMessage({ payload: bytes.toString('base64') }));
    expect(event).toMatchObject({ type: 'audio', bytes });
  });

  it('takes numbers where Twilio writes text, and the other way round', () => {
    expect(decode(mediaMessage({ timestamp: 5, chunk: 1 }))).toMatchObject([{ atMs: 5 }]);
    expect(decode(mediaMessage({ timestamp: '86400000' }))).toMatchObject([{ atMs: 86_400_000 }]);
    expect(decode(mediaMessage({ timestamp: '0' }))).toMatchObject([{ atMs: 0 }]);
    expect(decode(mediaMessage({ timestamp: undefined }))).toMatchObject([{ atMs: undefined }]);
    const mediaFormat = { encoding: 'audio/x-mulaw', sampleRate: '8000', channels: '1' };
    expect(decode(startMessage({ mediaFormat }))).toMatchObject([{ input: MULAW_8K }]);
  });

  it('does not hear the agent itself, and nothing in an empty payload', () => {
    expect(decode(mediaMessage({ track: 'outbound' }))).toEqual([]);
    expect(decode(mediaMessage({ payload: '' }))).toEqual([]);
    expect(decode(mediaMessage({ track: undefined }))).toHaveLength(1);
    expect(decode({ event: 'dtmf', dtmf: { track: 'outbound_track', digit: '1' } })).toEqual([]);
  });

  it.each(['0', '9', '*', '#', 'A', 'd'])('reads key %s', (digit) => {
    expect(decode({ event: 'dtmf', dtmf: { digit } })).toEqual([
      { type: 'dtmf', digit: digit.toUpperCase() },
    ]);
  });

  it('ignores events that it does not know', () => {
    for (const event of ['', 'paused', 'constructor', '__proto__']) expect(decode({ event })).toEqual([]);
  });

  it('reads a start with only what it needs', () => {
    const none = { mediaFormat: undefined, customParameters: undefined };
    const wanted = [{ ...started, params: {}, ...MULAW }];
    expect(decode(startMessage(none, {}))).toEqual(wanted);
    expect(decode(startMessage({ ...none, streamSid: undefined }))).toEqual(wanted);
    expect(decode(startMessage({ mediaFormat: null, customParameters: null }))).toEqual(wanted);
  });

  it('keeps parameters that are text or can be text, whatever their names', () => {
    const text = JSON.stringify(startMessage({ customParameters: 'P' })).replace(
      '"P"',
      '{"__proto__":"x","n":1,"b":true,"o":{},"e":""}',
    );
    const [event] = carrier().decode(text);
    if (event?.type !== 'started') throw new Error('expected started');
    expect(Object.entries(event.params)).toEqual([
      ['__proto__', 'x'],
      ['n', '1'],
      ['b', 'true'],
      ['e', ''],
    ]);
  });

  it.each([
    [
      { encoding: 'audio/x-alaw', sampleRate: 8000, channels: 1 },
      { encoding: 'alaw', rate: 8000 },
    ],
    [
      { encoding: 'audio/x-l16', sampleRate: 16000, channels: 1 },
      { encoding: 'pcm16', rate: 16000 },
    ],
    [
      { encoding: 'AUDIO/X-MULAW', sampleRate: 16000 },
      { encoding: 'mulaw', rate: 16000 },
    ],
    [{}, MULAW_8K],
  ])('takes media format %j', (mediaFormat, format) => {
    const codec = 'encoding' in mediaFormat ? mediaFormat.encoding : 'audio/x-mulaw';
    expect(decode(startMessage({ mediaFormat }))).toMatchObject([{ input: format, output: format, codec }]);
  });

  it.each([
    [{ encoding: 'audio/opus', sampleRate: 8000, channels: 1 }, '"audio/opus" at 8000 Hz with 1 channels'],
    [{ encoding: 'audio/l16', sampleRate: 16000, channels: 1 }, '"audio/l16"'],
    [{ encoding: 'audio/x-mulaw', sampleRate: 44100, channels: 1 }, '44100 Hz'],
    [{ encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 2 }, '2 channels'],
    [{ encoding: 7, sampleRate: [], channels: {} }, '7 at an array Hz'],
    ['mulaw', 'text of 5 characters; wanted an object'],
  ])('says what is wrong with media format %j', (mediaFormat, message) => {
    expect(() => decode(startMessage({ mediaFormat }))).toThrow(
      expect.objectContaining({ code: 'BAD_FRAME', message: expect.stringContaining(message) }),
    );
  });

  it.each([
    ['no JSON', 'SECRETSECRET{', 'of 13 characters is not JSON'],
    ['an array', '["SECRET"]', 'message of a Twilio media message is an array; wanted an object'],
    ['null', 'null', 'is null'],
    ['no event', '{"SECRET":1}', 'event of a Twilio media message is missing'],
    ['a number for an event', '{"event":1}', 'event of a Twilio media message is of type number'],
    ['media without media', '{"event":"media"}', 'media of a Twilio media message is missing'],
    ['no payload', '{"event":"media","media":{}}', 'media.payload of a Twilio media message is missing'],
    [
      'bad base64',
      '{"event":"media","media":{"payload":"SECRET!!"}}',
      'is text of 8 characters; wanted base64',
    ],
    ['base64 cut short', '{"event":"media","media":{"payload":"SECRE"}}', 'wanted base64 text'],
    ['base64 that ends twice', '{"event":"media","media":{"payload":"UQ==UQ=="}}', 'wanted base64 text'],
    ['a bad time', '{"event":"media","media":{"payload":"AAAA","timestamp":"SECRET"}}', 'media.timestamp'],
    ['a time before 0', '{"event":"media","media":{"payload":"AAAA","timestamp":-1}}', 'media.timestamp'],
    [
      'a time without end',
      '{"event":"media","media":{"payload":"AAAA","timestamp":"1e400"}}',
      'media.timestamp',
    ],
    ['a mark without a name', '{"event":"mark","mark":{}}', 'mark.name'],
    ['a mark that is text', '{"event":"mark","mark":"SECRET"}', 'mark of a Twilio media message is text'],
    ['two keys', '{"event":"dtmf","dtmf":{"digit":"SECRET"}}', 'dtmf.digit'],
    ['no stream', '{"event":"start","start":{"callSid":"CA"}}', 'streamSid'],
    ['no call', '{"event":"start","start":{"streamSid":"MZ"}}', 'start.callSid'],
    [
      'odd parameters',
      '{"event":"start","start":{"streamSid":"M","callSid":"C","customParameters":[]}}',
      'customPar',
    ],
  ])('throws BAD_FRAME for %s and does not repeat it', (_name, text, message) => {
    let thrown: unknown;
    try {
      carrier().decode(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'BAD_FRAME', message: expect.stringContaining(message) });
    expect(inspect(thrown, { depth: 9 })).not.toMatch(/SECRE(?!T.*at )/);
  });

  it('writes frames that Twilio can read', () => {
    const bytes = new Uint8Array([9, 0x7f, 0xff, 0, 9]).subarray(1, 4);
    const audio = carrier().encode({ type: 'audio', bytes }, LEG);
    expect(audio).toBe(`{"event":"media","streamSid":"${STREAM}","media":{"payload":"f/8A"}}`);
    expect(carrier().encode({ type: 'mark', name: 'm-7' }, LEG)).toBe(
      `{"event":"mark","streamSid":"${STREAM}","mark":{"name":"m-7"}}`,
    );
    expect(carrier().encode({ type: 'clear' }, LEG)).toBe(`{"event":"clear","streamSid":"${STREAM}"}`);
  });

  it('does not pass keys off as something that the stream can carry', () => {
    const press = () => carrier().encode({ type: 'digits', digits: '4915' }, LEG);
    expect(press).toThrow(expect.objectContaining({ code: 'BAD_INPUT' }));
    expect(press).not.toThrow(/4915/);
  });

  it('keeps hostile names and ids inside their quotes', () => {
    const hostile = '"},"event":"clear","x":"\\\n';
    for (const command of [{ type: 'mark', name: hostile }, { type: 'clear' }] as const) {
      expect(JSON.parse(carrier().encode(command, { ...LEG, streamId: hostile }))).toMatchObject({
        event: command.type,
        streamSid: hostile,
      });
    }
    const audio = carrier().encode(
      { type: 'audio', bytes: new Uint8Array(3) },
      { ...LEG, streamId: hostile },
    );
    expect(JSON.parse(audio)).toEqual({ event: 'media', streamSid: hostile, media: { payload: 'AAAA' } });
  });
});

describe('hostile media messages', () => {
  const ROUNDS = 4000;
  const MESSAGES = [
    { event: 'connected', protocol: 'Call', version: '1.0.0' },
    {
      event: 'start',
      streamSid: STREAM,
      start: {
        streamSid: STREAM,
        callSid: CALL,
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
        customParameters: { a: 'b' },
      },
    },
    {
      event: 'media',
      streamSid: STREAM,
      media: { track: 'inbound', chunk: '1', timestamp: '5', payload: 'f/8A' },
    },
    { event: 'dtmf', streamSid: STREAM, dtmf: { track: 'inbound_track', digit: '1' } },
    { event: 'mark', streamSid: STREAM, mark: { name: 'm-7' } },
    { event: 'stop', streamSid: STREAM, stop: { callSid: CALL } },
  ];

  it('makes decode give events or BAD_FRAME, and nothing else', () => {
    const one = dice(1);
    const twilioCarrier = carrier();
    const seen = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      const message = one.pick(MESSAGES);
      const text =
        round % 2 === 0
          ? (JSON.stringify(swapOne(message, one)) ?? '')
          : scramble(JSON.stringify(message), one);
      const result = outcome(() => twilioCarrier.decode(text));
      const kind = typeof result === 'string' ? result : (result[0]?.type ?? 'nothing');
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }
    const kinds = ['opened', 'started', 'audio', 'dtmf', 'mark', 'stopped', 'nothing', 'BAD_FRAME'];
    expect([...seen.keys()].sort()).toEqual(kinds.sort());
  });
});
