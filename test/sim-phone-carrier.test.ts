import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711 } from '../src/audio/g711.ts';
import type { CallOptions } from '../src/sim/phone/call-terms.ts';
import type { Callee } from '../src/sim/phone/callee.ts';
import { startExchangeOf } from '../src/sim/phone/exchange.ts';
import type { Verb } from '../src/sim/phone/verbs.ts';
import { createWireDecoder, createWireEncoder, type WireFormat } from '../src/sim/phone/wire-audio.ts';
import { startExchange } from '../src/sim/phone.ts';
import { HandBridge, type MediaEnd, nextTurn, onTheLine, tone, until } from './support/hand-bridge.ts';
import { connect, createOddCarrier, type OddTerms } from './support/odd-carrier.ts';
import { VirtualClock } from './support/virtual-clock.ts';

async function oddPlace(terms: Partial<OddTerms> = {}, callee?: Callee, defaults: Partial<CallOptions> = {}) {
  const bridge = await new HandBridge().listen();
  const clock = new VirtualClock();
  const exchange = await startExchangeOf(createOddCarrier(terms), {
    clock,
    defaults: { webhookUrl: `${bridge.url}/call`, ...defaults },
    ...(callee === undefined ? {} : { callee: () => callee }),
  });
  const answerWith = (verbs: readonly Verb[]): void => {
    bridge.answer = () => ({ type: 'application/json', body: JSON.stringify(verbs) });
  };
  return {
    bridge,
    clock,
    exchange,
    answerWith,
    stream: `ws://${bridge.host}/media`,
    place: (options: Partial<CallOptions> = {}) =>
      exchange.placeCall({ webhookUrl: `${bridge.url}/call`, ...options }),
    async rest(method: string, path: string, body?: Record<string, string>) {
      const response = await fetch(`${exchange.restBaseUrl}${path}`, {
        method,
        headers: { authorization: 'secret' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, bytes: Buffer.from(await response.arrayBuffer()) };
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await exchange[Symbol.asyncDispose]();
      await bridge[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when the phone has read everything that was sent on this socket. */
function read(media: MediaEnd): Promise<void> {
  return new Promise((resolve) => {
    media.socket.once('pong', () => resolve());
    media.socket.ping();
  });
}

function say(media: MediaEnd, event: string, rest: Record<string, unknown> = {}): void {
  media.socket.send(JSON.stringify({ event, ...rest }));
}

function samples(bytes: Buffer, isBig: boolean): Int16Array {
  return Int16Array.from({ length: bytes.length / 2 }, (_, i) =>
    isBig ? bytes.readInt16BE(i * 2) : bytes.readInt16LE(i * 2),
  );
}

function bigEndian(audio: Int16Array): string {
  const bytes = Buffer.alloc(audio.length * 2);
  for (const [i, sample] of audio.entries()) bytes.writeInt16BE(sample, i * 2);
  return bytes.toString('base64');
}

function rms(audio: Int16Array): number {
  return Math.sqrt(audio.reduce((sum, sample) => sum + sample * sample, 0) / audio.length);
}

describe('a simulated carrier that is not like Twilio', () => {
  it('is refused by name when nobody knows it', async () => {
    await expect(startExchange({ carrier: 'vonage' as never, rest: false })).rejects.toThrow(
      /BAD_INPUT.*"vonage"/,
    );
  });

  it('sends and takes 16 kHz samples with the high byte first, on the same time line', async () => {
    await using place = await oddPlace();
    place.answerWith([connect(place.stream)]);
    const connected = place.bridge.media();
    const call = place.place();
    const media = await connected;
    await call.streaming;
    expect(media.socket.protocol).toBe('audio.odd.example');
    const spoken = call.speak(tone(200));
    say(media, 'media', { payload: bigEndian(tone(200, 16_000)) });
    say(media, 'mark', { name: 'm' });
    await read(media);
    place.clock.advance(200);
    expect(await spoken).toBe(true);
    place.clock.advance(20);
    await media.count('played', 1);
    const frames = (await media.count('media', 11)).map((frame) =>
      Buffer.from(String(frame['payload']), 'base64'),
    );
    expect(frames.map((frame) => frame.length)).toEqual(Array(11).fill(640));
    const loud = rms(tone(200));
    expect(rms(samples(Buffer.concat(frames.slice(1, 9)), true)) / loud).toBeCloseTo(1, 1);
    expect(rms(decodeG711('mulaw', call.heard.subarray(160, 1440))) / loud).toBeCloseTo(1, 1);
    // The first message is start, and numbers are numbers.
    expect(media.messages[0]).toEqual({
      event: 'start',
      streamId: 'stream-1',
      callId: call.callId,
      sequence: 1,
    });
    const report = await call.hangUp();
    expect(report).toMatchObject({ heardBytes: 1600, highWaterBytes: 1600, callId: call.callId });
    expect(media.of('stop')).toEqual([]);
  });

  it('drops the marks of a clear and says that it has cleared', async () => {
    await using place = await oddPlace();
    place.answerWith([connect(place.stream)]);
    const connected = place.bridge.media();
    const call = place.place();
    const media = await connected;
    await call.streaming;
    say(media, 'media', { payload: bigEndian(tone(100, 16_000)) });
    say(media, 'mark', { name: 'gone' });
    await read(media);
    place.clock.advance(40);
    say(media, 'clear');
    await media.count('cleared', 1);
    say(media, 'mark', { name: 'kept' });
    await read(media);
    place.clock.advance(40);
    const played = await media.count('played', 1);
    expect(played.map((message) => message['name'])).toEqual(['kept']);
    expect(call.clears).toMatchObject([{ droppedBytes: 480, marks: ['gone'] }]);
    expect(call.marks.map((mark) => mark.name)).toEqual(['kept']);
  });

  it('presses keys for the bridge and answers nonsense on the socket', async () => {
    await using place = await oddPlace();
    place.answerWith([connect(place.stream)]);
    const connected = place.bridge.media();
    const call = place.place();
    const media = await connected;
    await call.streaming;
    say(media, 'keys', { digits: '12#' });
    say(media, 'nothing');
    say(media, 'dance');
    say(media, 'media', { payload: Buffer.alloc(641).toString('base64') });
    media.socket.send(Buffer.from([1]));
    const errors = await media.count('error', 3);
    expect(errors.map((error) => error['code'])).toEqual([
      'malformed_frame',
      'invalid_media',
      'malformed_frame',
    ]);
    expect(call.eventsOf('agent-keys')).toMatchObject([{ digits: '12#' }]);
    expect([...call.warnings.keys()]).toEqual([
      'malformed_frame: an unknown event',
      'invalid_media: the payload has half a sample',
      'malformed_frame: a binary frame on the media socket',
    ]);
  });

  it('opens a stream again that was refused, with another id and fresh headers, and then gives up', async () => {
    await using place = await oddPlace();
    place.answerWith([
      connect(place.stream),
      { type: 'say', text: 'sorry', language: undefined, voice: undefined },
    ]);
    place.bridge.refuseUpgrade = 503;
    const call = place.place({ statusCallbackUrl: `${place.bridge.url}/told` });
    for (let i = 1; i <= 2; i++) {
      await until(() => call.eventsOf('stream-ended').length === i);
      await until(() => place.clock.pending > 0);
      place.clock.advance(1000);
    }
    const report = await call.ended;
    expect(report.streams).toMatchObject(
      Array(3).fill({ how: 'failed', errorCode: 'stream_not_upgraded', started: false }),
    );
    expect(call.eventsOf('stream-opening').map((event) => [event.streamId, event.atMs])).toEqual([
      ['stream-1', 0],
      ['stream-2', 1000],
      ['stream-3', 2000],
    ]);
    expect(call.eventsOf('say')).toHaveLength(1);
  });

  it('opens a stream again that broke, and not one that the bridge closed', async () => {
    await using place = await oddPlace();
    place.answerWith([connect(place.stream)]);
    const connected = place.bridge.media();
    const call = place.place();
    const first = await connected;
    await call.streaming;
    first.socket.terminate();
    await call.next('stream-ended');
    const again = place.bridge.media();
    await until(() => place.clock.pending > 0);
    place.clock.advance(1000);
    const second = await again;
    await second.count('start', 1);
    expect(second.headers['x-nonce']).toBe('stream-2');
    expect(call.streamId).toBe('stream-2');
    second.socket.close(1000);
    const report = await call.ended;
    expect(report.streams.map((stream) => stream.how)).toEqual(['failed', 'bridge-closed']);
    expect(report.endedBy).toBe('document');
    expect(place.clock.pending).toBe(0);
  });

  it('gives up waiting for another try when the caller hangs up', async () => {
    await using place = await oddPlace();
    place.answerWith([connect(place.stream)]);
    place.bridge.refuseUpgrade = 503;
    const call = place.place();
    await call.next('stream-ended');
    expect((await call.hangUp()).streams).toHaveLength(1);
    expect(place.clock.pending).toBe(0);
    place.clock.advance(5000);
    await nextTurn();
    expect(call.eventsOf('stream-opening')).toHaveLength(1);
  });

  it('goes on to the next verb while a stream runs that is not waited for', async () => {
    await using place = await oddPlace();
    place.answerWith([connect(place.stream, false), { type: 'pause', lengthS: 1 }]);
    const connected = place.bridge.media();
    const call = place.place();
    const media = await connected;
    await call.streaming;
    await call.next('pause');
    place.clock.advance(1000);
    const report = await call.ended;
    expect(await media.closed).toBe(1000);
    expect(report).toMatchObject({ endedBy: 'document', streams: [{ how: 'carrier-stopped' }] });
    // A document with nothing behind such a stream ends the call.
    place.answerWith([connect(place.stream, false)]);
    expect(await place.place().ended).toMatchObject({ endedBy: 'document' });
  });

  it('names its own codes for what goes wrong', async () => {
    await using place = await oddPlace();
    place.bridge.answer = () => ({ status: 500, body: '' });
    const failed = await place.place().ended;
    expect(failed.failure).toMatch(/^CARRIER_REFUSED: http_failure: /);
    expect([...failed.warnings.keys()][0]).toMatch(/^http_failure: /);
    place.answerWith([connect('')]);
    expect((await place.place().ended).streams).toMatchObject([
      { how: 'failed', errorCode: 'no_address', started: false },
    ]);
    place.answerWith([{ type: 'redirect', url: '//[', method: 'POST' }]);
    expect((await place.place().ended).failure).toContain('bad_address');
  });
});

describe('a call that is led by commands', () => {
  it('is answered, streamed, and hung up by REST, with JSON webhooks that come twice', async () => {
    await using place = await oddPlace({ commands: true });
    const call = place.place({
      statusCallbackUrl: `${place.bridge.url}/told`,
      faults: { duplicateWebhook: 'retry', duplicateCallbacks: true },
    });
    await call.next('webhook');
    const path = `/calls/${encodeURIComponent(call.callId)}`;
    expect(await place.rest('POST', `${path}/answer`)).toMatchObject({ status: 200 });
    await call.answered;
    const connected = place.bridge.media();
    expect(await place.rest('POST', `${path}/stream`, { url: place.stream })).toMatchObject({ status: 200 });
    const media = await connected;
    await call.streaming;
    expect(await place.rest('POST', `${path}/document`)).toMatchObject({ status: 422 });
    await place.rest('POST', `${path}/stop-stream`);
    expect(await media.closed).toBe(1000);
    // The call stays up without a stream.
    expect(call.isOver).toBe(false);
    expect(await place.rest('POST', `${path}/hangup`)).toMatchObject({ status: 200 });
    expect(await call.ended).toMatchObject({ endedBy: 'rest', outcome: 'completed' });
    expect(await place.rest('POST', `${path}/hangup`)).toMatchObject({ status: 422 });
    const webhooks = place.bridge.requestsTo('/call');
    expect(webhooks).toHaveLength(2);
    expect(webhooks[0]?.headers['content-type']).toBe('application/json');
    expect(webhooks[0]?.headers['x-delivery']).toBe(webhooks[1]?.headers['x-delivery']);
    const told = place.bridge.requestsTo('/told').map((request) => request.headers['x-delivery']);
    expect(told.length).toBe(new Set(told).size * 2);
    expect(call.eventsOf('callback').filter(({ event }) => event === 'in-progress')).toHaveLength(2);
    expect(call.eventsOf('rest').map((event) => event.operation)[0]).toBe(`POST ${path}/answer`);
  });

  it('is refused as busy, or its requests fail as the fault says', async () => {
    await using place = await oddPlace({ commands: true });
    const call = place.place({ faults: { rest: { status: 422, times: 1 } } });
    await call.next('webhook');
    const path = `/calls/${encodeURIComponent(call.callId)}/reject`;
    expect(await place.rest('POST', path)).toMatchObject({ status: 422 });
    expect(await place.rest('POST', path)).toMatchObject({ status: 200 });
    expect(await call.ended).toMatchObject({ outcome: 'busy', durationMs: 0 });
  });

  it('is transferred to somebody who rings, talks and leaves', async () => {
    await using place = await oddPlace({ commands: true });
    const call = place.place({ dialResult: { status: 'completed', ringMs: 3000, durationMs: 10_000 } });
    await call.next('webhook');
    await place.rest('POST', `/calls/${encodeURIComponent(call.callId)}/transfer`, { to: '333' });
    place.clock.advance(3000);
    await call.next('leg', (leg) => leg.status === 'in-progress');
    place.clock.advance(10_000);
    await call.ended;
    expect(call.eventsOf('leg').map((leg) => [leg.target, leg.status, leg.atMs])).toEqual([
      ['333', 'ringing', 0],
      ['333', 'in-progress', 3000],
      ['333', 'completed', 13_000],
    ]);
  });

  it('gives what both sides said to a REST interface that serves recordings', async () => {
    await using place = await oddPlace({ commands: true });
    const call = place.place();
    await call.next('webhook');
    const path = `/calls/${encodeURIComponent(call.callId)}`;
    await place.rest('POST', `${path}/stream`, { url: place.stream });
    await call.streaming;
    place.clock.advance(20);
    const { status, bytes } = await place.rest('GET', `${path}/recording`);
    expect([status, ...bytes]).toEqual([200, 0xff, 0xff, 0xff, 0xff]);
  });
});

describe('a call that the bridge places by REST', () => {
  const order = { from: '555', to: '666' };

  it('rings, and is led when a human has taken it', async () => {
    await using place = await oddPlace({}, { kind: 'human', ringMs: 4000, says: tone(300) });
    place.answerWith([connect(place.stream)]);
    const dialled = place.exchange.nextDialled();
    const reply = await place.rest('POST', '/calls', { ...order, url: `${place.bridge.url}/out?x=1` });
    const call = await dialled;
    expect(reply.status).toBe(201);
    expect(JSON.parse(String(reply.bytes))).toEqual({ id: call.callId, at: place.exchange.restBaseUrl });
    expect(call.identity).toMatchObject({ ...order, direction: 'outbound' });
    await until(() => place.clock.pending > 0);
    expect(place.bridge.requests).toEqual([]);
    place.clock.advance(4000);
    await call.streaming;
    expect(place.bridge.requests[0]).toMatchObject({ method: 'GET' });
    expect(place.bridge.requests[0]?.target).toContain('/out?x=1&call=');
    expect(call.eventsOf('picked-up')).toMatchObject([{ by: 'human', atMs: 4000 }]);
    place.clock.advance(100);
    expect(await call.next('caller-speaking')).toBeDefined();
    expect((await call.hangUp()).durationMs).toBe(100);
  });

  it.each([
    [{ kind: 'busy', ringMs: 500 }, 500, 'busy'],
    [{ kind: 'no-answer' }, 30_000, 'no-answer'],
    [{ kind: 'human', ringMs: 31_000 }, 30_000, 'no-answer'],
  ] as const)('comes to nothing with %j', async (callee, ms, outcome) => {
    await using place = await oddPlace({}, callee);
    const dialled = place.exchange.nextDialled();
    await place.rest('POST', '/calls', { ...order, status: `${place.bridge.url}/told` });
    const call = await dialled;
    await until(() => place.clock.pending > 0);
    place.clock.advance(ms);
    expect(await call.ended).toMatchObject({ outcome, endedBy: 'carrier', durationMs: 0 });
    const told = call.eventsOf('callback').map(({ event }) => event);
    expect(told).toEqual(['initiated', 'ringing', outcome]);
    expect(place.bridge.requestsTo('/call')).toEqual([]);
  });

  it('can be given up while it rings', async () => {
    await using place = await oddPlace({}, { kind: 'human', ringMs: 4000 });
    await place.rest('POST', '/calls', order);
    const call = await place.exchange.nextDialled();
    expect(await place.rest('DELETE', `/calls/${encodeURIComponent(call.callId)}/cancel`)).toMatchObject({
      status: 204,
      bytes: Buffer.alloc(0),
    });
    expect(await call.ended).toMatchObject({ outcome: 'canceled', endedBy: 'rest' });
    expect(place.bridge.requests).toEqual([]);
    expect(place.clock.pending).toBe(0);
  });

  it('to a machine is led after the beep, when the order waits for it', async () => {
    const callee: Callee = { kind: 'machine', ringMs: 1000, greeting: tone(3000) };
    await using place = await oddPlace({}, callee);
    place.answerWith([connect(place.stream)]);
    await place.rest('POST', '/calls', { ...order, detection: 'sync', greeting: 'yes' });
    const call = await place.exchange.nextDialled();
    await until(() => place.clock.pending > 0);
    place.clock.advance(1000);
    await until(() => place.clock.pending > 0);
    place.clock.advance(2000);
    await until(() => call.handle.machine === 'machine');
    expect(place.bridge.requests).toEqual([]);
    await until(() => place.clock.pending > 0);
    place.clock.advance(1500);
    await call.streaming;
    expect(call.handle.machine).toBe('greeting-ended-beep');
    // Everything was said before anybody could hear it.
    place.clock.advance(40);
    expect(call.eventsOf('caller-speaking')).toEqual([]);
  });

  it('to a machine is led at once, and what it is comes later, when the order does not wait', async () => {
    const callee: Callee = { kind: 'machine', ringMs: 1000, greeting: tone(3000), beeps: false };
    await using place = await oddPlace({}, callee);
    place.answerWith([connect(place.stream)]);
    const status = `${place.bridge.url}/told`;
    await place.rest('POST', '/calls', { ...order, detection: 'async', greeting: 'yes', status });
    const call = await place.exchange.nextDialled();
    await until(() => place.clock.pending > 0);
    place.clock.advance(1000);
    await call.streaming;
    place.clock.advance(2000);
    await until(() => call.handle.machine === 'machine');
    place.clock.advance(1100);
    await until(() => call.handle.machine === 'greeting-ended-silence');
    // The greeting was heard from its beginning, and then it is quiet.
    expect(call.eventsOf('caller-quiet')).toMatchObject([{ atMs: 1000 + 3020 }]);
    await call.hangUp();
    expect(call.eventsOf('callback').filter(({ event }) => event === 'machine')).toHaveLength(2);
  });
});

describe('audio on the wire', () => {
  const voice = encodeG711('mulaw', tone(200));
  const frame = (at: number): Buffer => Buffer.from(voice.subarray(at * 160, at * 160 + 160));

  it.each([
    [{ encoding: 'alaw', rate: 8000 }, 160],
    [{ encoding: 'l16', rate: 8000, byteOrder: 'little' }, 320],
    [{ encoding: 'l16', rate: 8000, byteOrder: 'big' }, 320],
    [{ encoding: 'l16', rate: 16000, byteOrder: 'little' }, 640],
    [{ encoding: 'l16', rate: 24000, byteOrder: 'big' }, 960],
  ] as const)('goes out as %j and comes back, ms for ms', (format: WireFormat, bytes) => {
    const encoder = createWireEncoder(format);
    const decoder = createWireDecoder(format);
    const back: Uint8Array[] = [];
    for (let i = 0; i < 10; i++) {
      const payload = Buffer.from(encoder.payload(frame(i), true), 'base64');
      expect(payload).toHaveLength(bytes);
      back.push(Uint8Array.from(decoder?.push(payload, payload.length) ?? []));
    }
    const heard = decodeG711('mulaw', Buffer.concat(back));
    expect(heard).toHaveLength(1600);
    expect(rms(heard.subarray(160)) / rms(tone(200))).toBeCloseTo(1, 1);
    const silence = Buffer.from(encoder.payload(frame(0), false), 'base64');
    expect(silence).toHaveLength(bytes);
  });

  it('is silence of the right length where it is G.722', () => {
    const format: WireFormat = { encoding: 'g722', rate: 8000 };
    expect(Buffer.from(createWireEncoder(format).payload(frame(0), true), 'base64')).toHaveLength(160);
    const decoder = createWireDecoder(format);
    for (const length of [160, 4000, 160]) {
      expect(decoder?.push(Buffer.alloc(length), length)).toEqual(new Uint8Array(length).fill(0xff));
    }
  });

  it('is overtaken within groups of three frames, and nothing is lost', async () => {
    await using line = await onTheLine({ faults: { shuffleWithin: 3 } });
    line.clock.advance(140);
    await line.call.hangUp();
    await line.media.closed;
    const chunks = line.media
      .of('media')
      .map((frameOf) => Number((frameOf['media'] as { chunk: string }).chunk));
    expect(chunks).toEqual([2, 3, 1, 5, 6, 4, 7]);
    expect(line.media.messages.at(-1)?.['event']).toBe('stop');
  });
});
