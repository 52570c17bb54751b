import { describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, RealtimeProvider } from '../src/provider.ts';
import type { Network, StreamChunk } from '../src/wire.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { KNOWN_SECRET, noted, TapedCall } from './support/taped-call.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const CAPABILITIES = new ManualProvider().capabilities;

/** A provider on the wire that hands its network over. */
function wired(take: (network: Network | undefined) => void): RealtimeProvider {
  return {
    name: 'openai',
    capabilities: CAPABILITIES,
    usesNetwork: true,
    connect: (request) => {
      take(request.network);
      return new Promise(() => undefined);
    },
  };
}

function request(over: Partial<ConnectRequest> = {}): ConnectRequest {
  return {
    instructions: 'Be kind.',
    voice: undefined,
    language: undefined,
    tools: [],
    turnDetection: {},
    transcribeCaller: true,
    preferredFormats: [],
    history: [],
    overrides: {},
    clock: new VirtualClock(),
    ...over,
  };
}

const LIMITS = { headers: { authorization: `Bearer ${KNOWN_SECRET}` }, maxPayload: 1000 };

/** The network as a provider of this name has it. */
function networkOf(call: TapedCall): Network {
  let found: Network | undefined;
  const provider = call.tape.provider(
    wired((network) => {
      found = network;
    }),
  );
  void provider.connect(request(), () => undefined, new AbortController().signal);
  if (found === undefined) throw new Error('the provider was given no network');
  return found;
}

function dialled(call: TapedCall, address = 'wss://model.test/v1/realtime?model=voice') {
  const told: (readonly unknown[])[] = [];
  const socket = networkOf(call).dial(new URL(address), LIMITS, noted(told));
  const far = call.network.dialled.at(-1);
  if (far === undefined) throw new Error('nothing was dialled');
  return { told, socket, far };
}

const PCM = Buffer.from(Array.from({ length: 480 }, (_, i) => i & 0xff));

describe('a connection to a provider', () => {
  it('is written down as it is dialled, with everything that is said on it', () => {
    const call = new TapedCall();
    const { told, socket, far } = dialled(call);
    const created = {
      type: 'session.created',
      session: { audio: { output: { format: { type: 'audio/pcmu' } } } },
    };
    far.listener.opened();
    far.listener.message(JSON.stringify(created), false);
    socket.send(JSON.stringify({ type: 'input_audio_buffer.append', audio: PCM.toString('base64') }));
    far.listener.message(
      JSON.stringify({ type: 'response.output_audio.delta', delta: PCM.toString('base64') }),
      false,
    );
    far.listener.message(JSON.stringify({ type: 'response.done' }), true);
    socket.close(1000);
    far.listener.closed(1000, '');
    const line = (dir: string, what: object) => ({ on: 'provider', dir, conn: 1, ...what });
    expect(call.told).toEqual([
      line('out', {
        ctl: { type: 'dial', provider: 'openai', url: 'wss://model.test/v1/realtime?model=voice' },
      }),
      line('in', { ctl: { type: 'open' } }),
      line('in', { msg: created }),
      line('out', { msg: { type: 'input_audio_buffer.append', audio: { wav: 'uplink', at: 0, n: 240 } } }),
      line('in', { msg: { type: 'response.output_audio.delta', delta: { wav: 'provider', at: 0, n: 480 } } }),
      // Services that send their JSON in binary messages are read all the same.
      line('in', { msg: { type: 'response.done' } }),
      line('out', { ctl: { type: 'close', code: 1000, reason: '' } }),
      line('in', { ctl: { type: 'close', code: 1000, reason: '' } }),
    ]);
    expect(call.wav('uplink')?.format).toEqual({ encoding: 'pcm16', rate: 24_000 });
    expect(call.wav('provider')?.format).toEqual({ encoding: 'mulaw', rate: 8000 });
    expect(far.options).toBe(LIMITS);
    expect(far.url.href).toBe('wss://model.test/v1/realtime?model=voice');
    expect(told.map(([what]) => what)).toEqual(['opened', 'message', 'message', 'message', 'closed']);
    expect(far.socket.done.map(([what]) => what)).toEqual(['send', 'close']);
  });

  it('that is refused, or fails, is written down without what looks like a key', () => {
    const call = new TapedCall();
    const body =
      '{"error":{"message":"Incorrect API key provided: sk-proj-abcdefgh12345678. Bearer eyJhbGciOi.eyJzdWIi.sig"}}';
    const { told, far } = dialled(call);
    far.listener.refused(401, body);
    far.listener.failed(new Error(`getaddrinfo wss://user:${KNOWN_SECRET}@model.test?key=AIzaSyA1234567890`));
    far.listener.closed(1006, `key ${KNOWN_SECRET}`);
    expect(told).toEqual([
      ['refused', 401, body],
      ['failed', expect.any(Error)],
      ['closed', 1006, `key ${KNOWN_SECRET}`],
    ]);
    for (const secret of ['sk-proj', 'eyJhbGciOi', KNOWN_SECRET, 'AIzaSyA'])
      expect(call.written).not.toContain(secret);
    expect(call.told[1]).toMatchObject({ ctl: { type: 'refused', status: 401 } });
  });

  it.each([
    ['wss://g.test/ws?key=AIzaSecretSecret', 'wss://g.test/ws?key=%5Bsecret%5D'],
    [
      'wss://user:pass@a.test/o?api-version=2&api-key=abc#frag',
      'wss://a.test/o?api-version=2&api-key=%5Bsecret%5D',
    ],
    [
      'wss://x.test/v?access_token=ya29.x&model=m&X-Amz-Signature=9',
      'wss://x.test/v?access_token=%5Bsecret%5D&model=m&X-Amz-Signature=%5Bsecret%5D',
    ],
    ['wss://y.test/v?unknown=1&model=m', 'wss://y.test/v?unknown=%5Bsecret%5D&model=m'],
  ])('is dialled at %s and shown as %s', (address, shown) => {
    const call = new TapedCall();
    const { far } = dialled(call, address);
    expect(call.told[0]).toMatchObject({ ctl: { url: shown } });
    expect(far.url.href).toBe(new URL(address).href);
  });

  it('says nothing of credentials that stand in its messages', () => {
    const call = new TapedCall();
    const { socket, far } = dialled(call);
    const update = {
      type: 'session.update',
      session: {
        tools: [
          {
            type: 'mcp',
            server_url: 'https://mcp.test',
            authorization: 'secret-one',
            headers: { 'X-Any': 'secret-two' },
          },
          {
            type: 'function',
            name: 'login',
            parameters: { properties: { password: { type: 'string' }, headers: { type: 'object' } } },
          },
        ],
        note: `nobody may say ${KNOWN_SECRET} aloud`,
      },
    };
    const created = {
      type: 'session.created',
      session: { client_secret: { value: 'ek_secret-three', expires_at: 7 } },
    };
    socket.send(JSON.stringify(update));
    far.listener.message(JSON.stringify(created), false);
    for (const secret of ['secret-one', 'secret-two', 'secret-three', KNOWN_SECRET])
      expect(call.written).not.toContain(secret);
    // What a function takes is no secret, whatever it is called.
    expect(call.written).toContain('"password":{"type":"string"}');
    expect(call.written).toContain('"headers":{"type":"object"}');
    expect(call.written).toContain('"expires_at":7');
    expect(far.socket.done).toEqual([['send', JSON.stringify(update)]]);
  });

  it('leaves audio in its message when the file has another format, or none can hold it', () => {
    const call = new TapedCall();
    const { far } = dialled(call);
    const say = (rate: number): void =>
      far.listener.message(
        JSON.stringify({
          serverContent: {
            modelTurn: {
              parts: [{ inlineData: { mimeType: `audio/pcm;rate=${rate}`, data: PCM.toString('base64') } }],
            },
          },
        }),
        false,
      );
    for (const rate of [24_000, 48_000, 16_000, 24_000]) say(rate);
    const found = call.told.slice(1).map((told) => JSON.stringify(told['msg']).includes('"wav"'));
    expect(found).toEqual([true, false, false, true]);
    expect(call.wav('provider')?.bytes).toHaveLength(960);
  });

  it('of each provider has a number of its own, and the name of its provider', () => {
    const call = new TapedCall();
    dialled(call);
    dialled(call);
    call.tape.network.dial(new URL('wss://other.test'), LIMITS, noted([]));
    expect(call.told.map((told) => [told['conn'], (told['ctl'] as { provider: string }).provider])).toEqual([
      [1, 'openai'],
      [2, 'openai'],
      [3, ''],
    ]);
  });

  it('has files of its own when it comes after another', () => {
    const call = new TapedCall();
    const append = JSON.stringify({ type: 'input_audio_buffer.append', audio: PCM.toString('base64') });
    const delta = JSON.stringify({ type: 'response.output_audio.delta', delta: PCM.toString('base64') });
    for (const { socket, far } of [dialled(call), dialled(call)]) {
      far.listener.opened();
      socket.send(append);
      far.listener.message(delta, false);
    }
    const names = ['uplink', 'provider', 'uplink-2', 'provider-2'];
    expect(names.map((name) => call.wav(name)?.bytes.length)).toEqual([480, 480, 480, 480]);
  });
});

/** Chunks of one event each. */
async function* chunks(...events: readonly object[]): AsyncGenerator<StreamChunk> {
  for (const event of events) yield { chunk: { bytes: Buffer.from(JSON.stringify({ event })) } };
}

describe('an event stream', () => {
  it('is written down chunk by chunk as the service takes them, and event by event', async () => {
    const call = new TapedCall();
    const told: unknown[] = [];
    const audio = PCM.toString('base64');
    const stream = networkOf(call).stream(
      'bedrock.test nova',
      () => ({ abort: () => undefined }),
      chunks(
        { contentStart: { audioInputConfiguration: { mediaType: 'audio/lpcm', sampleRateHertz: 16_000 } } },
        { audioInput: { content: audio } },
      ),
      {
        connected: () => told.push('connected'),
        accepted: () => told.push('accepted'),
        received: (bytes) => told.push(Buffer.from(bytes).toString()),
        ended: (thrown, code) => told.push([thrown, code]),
      },
    );
    const [far] = call.network.streams;
    if (far === undefined) throw new Error('no stream was opened');
    far.listener.connected();
    far.listener.accepted();
    const sent: string[] = [];
    for await (const { chunk } of far.body) sent.push(Buffer.from(chunk.bytes).toString());
    far.listener.received(Buffer.from(JSON.stringify({ event: { audioOutput: { content: audio } } })));
    far.listener.received(Buffer.from('no json'));
    stream.abort();
    const thrown = Object.assign(new Error(`the key ${KNOWN_SECRET} of AKIAIOSFODNN7EXAMPLE is bad`), {
      name: 'ValidationException',
      $metadata: { httpStatusCode: 400, requestId: KNOWN_SECRET },
      $fault: 'client',
      config: { credentials: KNOWN_SECRET },
    });
    far.listener.ended(thrown, 'ECONNRESET');
    const line = (dir: string, what: object) => ({ on: 'provider', dir, conn: 1, ...what });
    expect(call.told).toEqual([
      line('out', { ctl: { type: 'dial', provider: 'openai', url: 'bedrock.test nova' } }),
      line('in', { ctl: { type: 'open' } }),
      line('in', { ctl: { type: 'accepted' } }),
      line('out', {
        msg: {
          event: {
            contentStart: { audioInputConfiguration: { mediaType: 'audio/lpcm', sampleRateHertz: 16_000 } },
          },
        },
      }),
      line('out', { msg: { event: { audioInput: { content: { wav: 'uplink', at: 0, n: 240 } } } } }),
      line('in', { msg: { event: { audioOutput: { content: { wav: 'provider', at: 0, n: 240 } } } } }),
      line('in', { ctl: { type: 'text', text: 'no json' } }),
      line('out', { ctl: { type: 'terminate' } }),
      line('in', {
        ctl: {
          type: 'ended',
          error: {
            name: 'ValidationException',
            message: 'the key [secret] of [secret] is bad',
            status: 400,
            fault: 'client',
          },
          networkCode: 'ECONNRESET',
        },
      }),
    ]);
    expect(sent).toHaveLength(2);
    expect(JSON.parse(sent[1] ?? '')).toEqual({ event: { audioInput: { content: audio } } });
    expect(told.slice(0, 2)).toEqual(['connected', 'accepted']);
    expect(told.at(-1)).toEqual([thrown, 'ECONNRESET']);
    expect(far.aborted).toBe(1);
    expect(call.wav('uplink')?.format.rate).toBe(16_000);
  });

  it('gives what had waited the time when the service took it, and what it waited for the time when it was put', async () => {
    const call = new TapedCall();
    const put: ((result: IteratorResult<StreamChunk>) => void)[] = [];
    const chunk = (n: number) => ({
      done: false as const,
      value: { chunk: { bytes: Buffer.from(`{"n":${n}}`) } },
    });
    const ready = [chunk(1)];
    const body: AsyncIterable<StreamChunk> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          const first = ready.shift();
          return first === undefined ? new Promise((resolve) => put.push(resolve)) : Promise.resolve(first);
        },
      }),
    };
    const listen = {
      connected: () => undefined,
      accepted: () => undefined,
      received: () => undefined,
      ended: () => undefined,
    };
    networkOf(call).stream('nova', () => ({ abort: () => undefined }), body, listen);
    const taken = call.network.streams[0]?.body[Symbol.asyncIterator]();
    await new Promise(setImmediate);
    call.tape.clock.stamp();
    call.clock.advance(30);
    // Something else has stopped the time of the call in this turn; the service is not its doing.
    await taken?.next();
    const waiting = taken?.next();
    await new Promise(setImmediate);
    call.clock.advance(20);
    call.tape.clock.stamp();
    call.clock.advance(5);
    put[0]?.(chunk(2));
    await waiting;
    expect(call.lines.slice(1).map(({ t }) => t)).toEqual([30, 50]);
  });

  it('has ended without an error when nothing was thrown, and whatever was', () => {
    const call = new TapedCall();
    const listen = {
      connected: () => undefined,
      accepted: () => undefined,
      received: () => undefined,
      ended: () => undefined,
    };
    for (const thrown of [undefined, 'a word', 17, null]) {
      networkOf(call).stream('nova', () => ({ abort: () => undefined }), chunks(), listen);
      call.network.streams.at(-1)?.listener.ended(thrown, undefined);
    }
    const ended = call.told.filter(({ dir }) => dir === 'in').map(({ ctl }) => ctl);
    expect(ended).toEqual([
      { type: 'ended' },
      { type: 'ended', error: { name: 'Error', message: 'a word' } },
      { type: 'ended', error: { name: 'Error', message: 'no reason given' } },
      { type: 'ended', error: { name: 'Error', message: 'no reason given' } },
    ]);
  });

  it('closes its body when the service stops taking it', async () => {
    const call = new TapedCall();
    let closed = false;
    async function* endless(): AsyncGenerator<StreamChunk> {
      try {
        for (;;) yield { chunk: { bytes: Buffer.from('{}') } };
      } finally {
        closed = true;
      }
    }
    const listen = {
      connected: () => undefined,
      accepted: () => undefined,
      received: () => undefined,
      ended: () => undefined,
    };
    networkOf(call).stream('nova', () => ({ abort: () => undefined }), endless(), listen);
    const [far] = call.network.streams;
    if (far === undefined) throw new Error('no stream was opened');
    for await (const _ of far.body) break;
    expect(closed).toBe(true);
  });
});

describe('a session with a provider that has no network', () => {
  /** Connected, with what the bridge was told. */
  async function session(
    call: TapedCall,
    provider: ManualProvider,
  ): Promise<{ session: ProviderSession; events: ProviderEvent[] }> {
    const events: ProviderEvent[] = [];
    const opening = call.tape
      .provider(provider)
      .connect(
        request({ overrides: { api_key: 'secret-key' } }),
        (event) => events.push(structured(event)),
        new AbortController().signal,
      );
    await provider.ready();
    return { session: await opening, events };
  }

  it('is written down by what it is told and what it tells', async () => {
    const call = new TapedCall();
    const provider = new ManualProvider();
    const { session: opened, events } = await session(call, provider);
    const bytes = new Uint8Array([1, 2, 3]);
    opened.sendAudio(bytes);
    bytes.fill(9);
    opened.sendText('5', { role: 'user', respond: true, digits: '5' });
    opened.say('Hello.', true);
    opened.say('Bye.');
    opened.sendToolResult('c1', { output: '{}', isError: false, respond: true });
    opened.interrupt([{ itemId: 'i', playedMs: 20, receivedMs: 40 }]);
    provider.emit({ type: 'audio', responseId: 'r', itemId: 'i', bytes: new Uint8Array([7, 8]) });
    provider.emit({ type: 'error', error: new BridgeError('PROVIDER_CLOSED', 'it is gone'), fatal: true });
    await opened.close('over');
    const msgs = call.told.slice(2).map(({ dir, msg }) => [dir, msg]);
    expect(msgs).toEqual([
      ['out', { call: 'sendAudio', audio: { wav: 'uplink', at: 0, n: 3 } }],
      ['out', { call: 'sendText', args: ['5', { role: 'user', respond: true, digits: '5' }] }],
      ['out', { call: 'say', args: ['Hello.', true] }],
      ['out', { call: 'say', args: ['Bye.'] }],
      ['out', { call: 'sendToolResult', args: ['c1', { output: '{}', isError: false, respond: true }] }],
      ['out', { call: 'interrupt', args: [[{ itemId: 'i', playedMs: 20, receivedMs: 40 }]] }],
      ['in', { event: 'audio', responseId: 'r', itemId: 'i', bytes: { wav: 'provider', at: 0, n: 2 } }],
      ['in', { event: 'error', error: { code: 'PROVIDER_CLOSED', message: 'it is gone' }, fatal: true }],
      ['out', { call: 'close', args: ['over'] }],
      ['in', { event: 'closed', expected: true }],
    ]);
    expect(call.told[0]).toMatchObject({ dir: 'out', conn: 1, ctl: { type: 'connect', provider: 'manual' } });
    expect(JSON.stringify(call.told[0])).not.toContain('"clock"');
    expect(call.told[1]).toMatchObject({
      dir: 'in',
      ctl: { type: 'connected', input: { encoding: 'mulaw', rate: 8000 } },
    });
    expect([...(call.wav('uplink')?.bytes ?? [])]).toEqual([1, 2, 3]);
    expect(events.map(({ type }) => type)).toEqual(['audio', 'error', 'closed']);
    expect(provider.audio).toEqual([1, 2, 3]);
    expect(call.written).not.toContain('secret-key');
  });

  it('that does not come about says why', async () => {
    const call = new TapedCall();
    const provider = new ManualProvider();
    const given = new AbortController();
    const opening = call.tape.provider(provider).connect(request(), () => undefined, given.signal);
    given.abort(new BridgeError('TIMEOUT', 'too slow'));
    await expect(opening).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(call.told.at(-1)).toMatchObject({
      dir: 'in',
      ctl: { type: 'not-connected', error: { code: 'TIMEOUT', message: 'too slow' } },
    });
  });

  it('has the time of the question when it answers before the question has returned', async () => {
    const call = new TapedCall();
    const provider = new ManualProvider();
    const { session: opened } = await session(call, provider);
    await new Promise(setImmediate);
    call.clock.advance(10);
    Object.assign(provider, {
      said: {
        push: () => {
          call.clock.advance(3);
          provider.emit({ type: 'responseStarted', responseId: 'r', asked: true });
        },
      },
    });
    opened.say('Hello.');
    expect(call.lines.slice(-2).map(({ t, dir }) => [t, dir])).toEqual([
      [10, 'out'],
      [10, 'in'],
    ]);
  });
});

/** Bytes are only valid during the call. */
function structured(event: ProviderEvent): ProviderEvent {
  return event.type === 'audio' ? { ...event, bytes: event.bytes.slice() } : event;
}
