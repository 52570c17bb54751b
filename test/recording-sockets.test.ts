import { describe, expect, it } from 'vitest';
import type { StreamTape } from '../src/tape.ts';
import type { WireListener, WireSocket } from '../src/wire.ts';
import { FakeSocket, KNOWN_SECRET, noted, TapedCall, upgradeRequest } from './support/taped-call.ts';
import { telnyx } from './support/telnyx-carrier.ts';
import { CALL, STREAM } from './support/twilio.ts';

const LAW = Buffer.from(Array.from({ length: 160 }, (_, i) => i));
const PAYLOAD = LAW.toString('base64');

/** A media stream that is open, as the bridge and as the carrier have it. */
class Stream {
  readonly heard: (readonly unknown[])[] = [];
  readonly far = new FakeSocket();
  readonly carrier: WireListener;
  readonly bridge: WireSocket;

  constructor(tape: StreamTape | undefined, listener: WireListener = noted([])) {
    if (tape === undefined) throw new Error('there is no tape');
    const { heard } = this;
    this.carrier = tape.listener({
      ...listener,
      message: (text, isBinary) => {
        heard.push([text, isBinary]);
        listener.message(text, isBinary);
      },
    });
    this.bridge = tape.socket(this.far);
  }
}

function start(encoding = 'audio/x-mulaw', sampleRate = 8000): string {
  const mediaFormat = { encoding, sampleRate, channels: 1 };
  return JSON.stringify({
    event: 'start',
    streamSid: STREAM,
    start: { streamSid: STREAM, callSid: CALL, mediaFormat },
  });
}

function media(payload = PAYLOAD): string {
  return JSON.stringify({ event: 'media', streamSid: STREAM, media: { track: 'inbound', payload } });
}

describe('a media stream', () => {
  it('is written down as it is opened, both ways, and as it ends', async () => {
    const call = new TapedCall();
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    await Promise.resolve();
    call.clock.advance(12.3456);
    stream.carrier.message(start(), false);
    stream.carrier.message(media(), false);
    stream.bridge.send(media());
    stream.bridge.ping('1');
    stream.carrier.pong('1');
    stream.carrier.pinged();
    stream.bridge.close(1000, 'over');
    stream.carrier.failed(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
    stream.bridge.terminate();
    stream.carrier.closed(1006, '');
    const audio = (wav: string) => ({
      event: 'media',
      streamSid: STREAM,
      media: { track: 'inbound', payload: { wav, at: 0, n: 160 } },
    });
    const line = (dir: string, what: object) => ({ on: 'carrier', dir, conn: 1, ...what });
    expect(call.told).toEqual([
      line('in', { ctl: { type: 'upgrade', target: '/media/twilio/token', signed: 'valid' } }),
      line('out', { ctl: { type: 'upgraded' } }),
      line('in', { msg: JSON.parse(start()) }),
      line('in', { msg: audio('caller') }),
      line('out', { msg: audio('agent') }),
      line('out', { ctl: { type: 'ping', data: '1' } }),
      line('in', { ctl: { type: 'pong', data: '1' } }),
      line('in', { ctl: { type: 'ping', data: '' } }),
      line('out', { ctl: { type: 'close', code: 1000, reason: 'over' } }),
      line('in', { ctl: { type: 'error', message: 'broken pipe', code: 'EPIPE' } }),
      line('out', { ctl: { type: 'terminate' } }),
      line('in', { ctl: { type: 'close', code: 1006, reason: '' } }),
    ]);
    expect(call.lines.map(({ t }) => t)).toEqual([0, 0, ...Array(10).fill(12.346)]);
    expect(call.wav('caller')).toEqual({
      format: { encoding: 'mulaw', rate: 8000 },
      bytes: new Uint8Array(LAW),
    });
    expect(stream.heard).toEqual([
      [start(), false],
      [media(), false],
    ]);
    expect(stream.far.done).toEqual([
      ['send', media()],
      ['ping', '1'],
      ['close', 1000, 'over'],
      ['terminate'],
    ]);
    expect(call.troubles).toEqual([]);
  });

  it('has what is no JSON, or binary, or looks like a reference, as it was', () => {
    const call = new TapedCall();
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    const trick = '{"event":"media","media":{"payload":{"wav":"caller","at":0,"n":8000}}}';
    const escaped = '{"media":{"payload":{"\\u0077av":"caller","at":0,"n":8000}}}';
    const odd = ['', 'no json', '{"event":', '\u0000\ud800', trick, escaped];
    for (const text of odd) stream.carrier.message(text, false);
    stream.carrier.message('{"event":"media"}', true);
    stream.carrier.message('null', false);
    const ctls = call.told.slice(2).map((told) => told['ctl'] ?? told['msg']);
    expect(ctls).toEqual([
      ...odd.map((text) => ({ type: 'text', text })),
      { type: 'binary', base64: Buffer.from('{"event":"media"}').toString('base64') },
      null,
    ]);
    expect(stream.heard.map(([text]) => text)).toEqual([...odd, '{"event":"media"}', 'null']);
  });

  it('keeps audio in its messages that no file can hold', () => {
    const call = new TapedCall({}, telnyx());
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    const begin = {
      event: 'start',
      start: { call_control_id: 'v3:x', media_format: { encoding: 'G722', sample_rate: 8000, channels: 1 } },
    };
    stream.carrier.message(JSON.stringify(begin), false);
    stream.carrier.message(media(), false);
    expect(call.told.at(-1)?.['msg']).toEqual(JSON.parse(media()));
    expect(call.wav('caller')).toBeUndefined();
  });

  it('keeps the format that its start message says', () => {
    const call = new TapedCall();
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    stream.carrier.message(start('audio/x-l16', 16_000), false);
    stream.carrier.message(media(), false);
    stream.bridge.send(media());
    for (const name of ['caller', 'agent']) {
      expect(call.wav(name)?.format).toEqual({ encoding: 'pcm16', rate: 16_000 });
      expect(call.wav(name)?.bytes).toHaveLength(160);
    }
  });

  it('that comes after another has a number and files of its own', () => {
    const call = new TapedCall();
    for (let i = 0; i < 3; i += 1) {
      const stream = new Stream(call.tape.stream(upgradeRequest()));
      stream.carrier.message(media(), false);
    }
    expect(call.told.map((told) => told['conn'])).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3]);
    expect(['caller', 'caller-2', 'caller-3'].map((name) => call.wav(name)?.bytes.length)).toEqual([
      160, 160, 160,
    ]);
  });

  it('that is refused is written down with how it had proved itself', () => {
    const call = new TapedCall();
    call.tape.streamRefused(upgradeRequest('/media/twilio/other'), 403);
    expect(call.told.map((told) => told['ctl'])).toEqual([
      { type: 'upgrade', target: '/media/twilio/other', signed: 'bad-signature' },
      { type: 'not-upgraded', status: 403 },
    ]);
  });

  it('drops what is said to a closed socket, as the socket does', () => {
    const call = new TapedCall();
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    stream.far.isOpen = false;
    stream.carrier.closed(1000, '');
    expect(stream.bridge.isOpen).toBe(false);
    stream.bridge.send(media());
    stream.bridge.ping('2');
    expect(call.told).toHaveLength(3);
    expect(stream.far.done).toEqual([
      ['send', media()],
      ['ping', '2'],
    ]);
  });

  it('is open until it tells that it is not, because nobody else knows when that was', () => {
    const call = new TapedCall();
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    // The other side has said goodbye.
    stream.far.isOpen = false;
    expect(stream.bridge.isOpen).toBe(true);
    stream.bridge.send(media());
    expect(call.told).toHaveLength(3);
  });

  it('is not open any more when the bridge has closed it', () => {
    for (const end of ['close', 'terminate'] as const) {
      const call = new TapedCall();
      const stream = new Stream(call.tape.stream(upgradeRequest()));
      stream.bridge[end]();
      expect(stream.bridge.isOpen).toBe(false);
      stream.bridge.send(media());
      expect(call.told).toHaveLength(3);
    }
  });

  it('goes on when nothing can be written down, and when nothing is any more', () => {
    const call = new TapedCall();
    const broken = (): never => {
      throw new Error('no room');
    };
    Object.assign(call.sink, { line: broken, audio: broken });
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    stream.carrier.message(media(), false);
    stream.bridge.send(media());
    expect(stream.heard).toHaveLength(1);
    expect(stream.far.done).toHaveLength(1);
    // Told once, not fifty times a second.
    expect(call.troubles).toHaveLength(1);
    call.tape.finish();
    stream.carrier.message(media(), false);
    expect(stream.heard).toHaveLength(2);
    expect(call.tape.stream(upgradeRequest())).toBeUndefined();
    call.tape.streamRefused(upgradeRequest(), 403);
    expect(call.troubles).toHaveLength(1);
  });

  it('tells what a socket tells: what it has not sent yet, and when that has left', () => {
    const call = new TapedCall();
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    let left = 0;
    stream.far.bufferedAmount = 77;
    stream.bridge.send('{}', () => {
      left += 1;
    });
    expect(stream.bridge.bufferedAmount).toBe(77);
    for (const flushed of stream.far.flushed) flushed();
    expect(left).toBe(1);
  });

  it('lets what its listener throws through, after it was written down', () => {
    const call = new TapedCall();
    const thrower: WireListener = {
      ...noted([]),
      message: () => {
        throw new Error('of the call');
      },
    };
    const stream = new Stream(call.tape.stream(upgradeRequest()), thrower);
    expect(() => stream.carrier.message(media(), false)).toThrow('of the call');
    expect(call.told).toHaveLength(3);
  });

  it('gives messages of one packet one time, and the next packet another', async () => {
    const call = new TapedCall();
    const stream = new Stream(call.tape.stream(upgradeRequest()));
    await Promise.resolve();
    stream.carrier.message(media(), false);
    call.clock.advance(0.2);
    stream.carrier.message(media(), false);
    await Promise.resolve();
    stream.carrier.message(media(), false);
    expect(call.lines.slice(2).map(({ t }) => t)).toEqual([0, 0, 0.2]);
  });

  it('holds no header of the request for it', () => {
    const call = new TapedCall();
    call.tape.stream(upgradeRequest());
    call.tape.streamRefused(upgradeRequest(), 403);
    expect(call.written).not.toContain('c2lnbmF0dXJl');
    expect(call.written).not.toContain(KNOWN_SECRET);
  });
});
