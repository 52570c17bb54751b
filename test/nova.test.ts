import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { BridgeError, type ErrorCode } from '../src/errors.ts';
import type { ConnectRequest } from '../src/provider.ts';
import { NOVA } from '../src/providers/nova/facts.ts';
import { createNovaProvider, type NovaOptions } from '../src/providers/nova.ts';
import { emitModules } from './support/emit-modules.ts';
import {
  CREDENTIALS,
  chunk,
  heard,
  open,
  request,
  type Server,
  type ServerOptions,
  sentence,
  startServer,
  Told,
} from './support/nova-peer.ts';
import { cleanUp } from './support/peers.ts';
import { VirtualClock } from './support/virtual-clock.ts';

afterEach(cleanUp);

/** The error that `connect` ends with, and what was told before. */
async function refusal(
  endpoint: string,
  over: Partial<ConnectRequest> = {},
  options: Partial<NovaOptions> = {},
  signal = new AbortController().signal,
): Promise<{ error: BridgeError; told: Told; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const told = new Told();
  await using provider = createNovaProvider({
    region: 'us-east-1',
    endpoint,
    credentials: CREDENTIALS,
    ...options,
  });
  const error: unknown = await provider.connect(request({ clock, ...over }), told.sink, signal).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BridgeError)) throw new Error('it was not refused');
  return { error, told, clock };
}

/** Nothing is left of the connections to it. */
async function empty(server: Server): Promise<void> {
  for (const session of server.sessions) {
    if (!session.destroyed) await new Promise<void>((resolve) => session.once('close', () => resolve()));
  }
}

describe('options', () => {
  it.each([
    [{ region: 'nowhere' }, /region is "nowhere"/],
    [{ endpoint: 'ws://x' }, /endpoint is not a URL/],
    [{ endpoint: 'not a url' }, /endpoint is not a URL/],
    [{ credentials: { accessKeyId: '', secretAccessKey: 's' } }, /accessKeyId is empty/],
    [{ credentials: { accessKeyId: 'a', secretAccessKey: 's s' } }, /secretAccessKey is not made of/],
    [{ model: '' }, /model is empty/],
    [{ voice: '' }, /voice is empty/],
    [{ maxTokens: 0 }, /maxTokens is 0/],
    [{ topP: 2 }, /topP is 2/],
    [{ temperature: Number.NaN }, /temperature is NaN/],
    [{ inputRate: 44_100 }, /inputRate is 44100/],
    [{ connectTimeoutMs: -1 }, /connectTimeoutMs is -1/],
    [{ historyLimits: { total: 3 } }, /historyLimits.total is 3/],
  ])('that cannot be used are refused: %j', (bad, message) => {
    const make = (): unknown => createNovaProvider(bad as NovaOptions);
    expect(make).toThrow(message);
    expect(make).toThrow(/^BAD_CONFIG: Nova provider: /);
  });

  it('need not be given', async () => {
    await using provider = createNovaProvider();
    expect(provider).toMatchObject({ name: 'nova', model: 'amazon.nova-2-sonic-v1:0' });
    expect(provider.capabilities).toBe(NOVA.capabilities);
  });

  it('reach the events that open a session', async () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } } };
    const line = await open(
      {
        voice: 'tiffany',
        language: 'de-AT',
        tools: [{ name: 'weather', description: 'Tells the weather.', parameters }],
        turnDetection: { eagerness: 'low' },
        overrides: { promptStart: { audioOutputConfiguration: { sampleRateHertz: 24_000 } } },
      },
      {
        maxTokens: 99,
        topP: 0.5,
        temperature: 0.1,
        inputRate: 16_000,
        toolChoice: { tool: 'weather' },
        session: {
          sessionStart: { inferenceConfiguration: { temperature: 0.2 } },
          promptStart: { extra: [1] },
        },
      },
    );
    expect(line.peer.received[0]?.body).toEqual({
      inferenceConfiguration: { maxTokens: 99, topP: 0.5, temperature: 0.2 },
      turnDetectionConfiguration: { endpointingSensitivity: 'LOW' },
    });
    expect(line.peer.received[1]?.body).toEqual({
      promptName: expect.any(String),
      textOutputConfiguration: { mediaType: 'text/plain' },
      audioOutputConfiguration: {
        mediaType: 'audio/lpcm',
        sampleRateHertz: 24_000,
        sampleSizeBits: 16,
        channelCount: 1,
        voiceId: 'tiffany',
        encoding: 'base64',
        audioType: 'SPEECH',
      },
      toolUseOutputConfiguration: { mediaType: 'application/json' },
      toolConfiguration: {
        tools: [
          {
            toolSpec: {
              name: 'weather',
              description: 'Tells the weather.',
              inputSchema: { json: JSON.stringify(parameters) },
            },
          },
        ],
        toolChoice: { tool: { name: 'weather' } },
      },
      extra: [1],
    });
    expect(line.session.input).toEqual({ encoding: 'pcm16', rate: 16_000 });
    expect(line.session.output).toEqual({ encoding: 'pcm16', rate: 24_000 });
    const system = String(line.peer.all('textInput')[0]?.['content']);
    expect(system).toMatch(/^Be brief\.\n\nThe language of this call is Austrian German \(de-AT\)\./);
  });

  it.each([
    [{}, 'HIGH'],
    [{ silenceMs: 500 }, 'HIGH'],
    [{ silenceMs: 1_700 }, 'MEDIUM'],
    [{ silenceMs: 3_000 }, 'LOW'],
    [{ eagerness: 'high', silenceMs: 3_000 }, 'HIGH'],
    [{ eagerness: 'auto' }, 'HIGH'],
  ] as const)('of an agent choose the level of pauses: %j', async (turnDetection, level) => {
    const line = await open({ turnDetection });
    expect(line.peer.received[0]?.body['turnDetectionConfiguration']).toEqual({
      endpointingSensitivity: level,
    });
    expect(line.peer.received[1]?.body['toolConfiguration']).toBeUndefined();
  });

  it('name the model in the request, where the request has the last word', async () => {
    const line = await open({ model: 'us.amazon.nova-2-sonic-v1:0' });
    expect(line.peer.headers[':path']).toBe(
      '/model/us.amazon.nova-2-sonic-v1%3A0/invoke-with-bidirectional-stream',
    );
    expect(String(line.peer.headers['authorization'])).toMatch(
      /Credential=AKIAEXAMPLE\/\d+\/us-east-1\/bedrock/,
    );
  });

  it('for speech that nothing here can read are refused before anybody is called', async () => {
    const overrides = { promptStart: { audioOutputConfiguration: { sampleRateHertz: 44_100 } } };
    const { error } = await refusal('http://127.0.0.1:1', { overrides });
    expect(error.code).toBe('PROVIDER_CONFIG');
    expect(error.message).toMatch(/speech at 44100 Hz/);
  });
});

describe('connecting', () => {
  it('needs no event of the service, only the head of its answer', async () => {
    const line = await open();
    expect(line.events).toEqual([]);
    expect(line.peer.names().slice(0, 2)).toEqual(['sessionStart', 'promptStart']);
  });

  it('holds the audio back until then', async () => {
    const { provider, told, clock, server } = await lateServer();
    const coming = server.peer();
    const connecting = provider.connect(request({ clock }), told.sink, new AbortController().signal);
    const peer = await coming;
    await peer.next('contentEnd');
    expect(peer.all('contentStart').map((body) => body['type'])).toEqual(['TEXT']);
    peer.accept();
    const session = await connecting;
    session.sendAudio(new Uint8Array(320));
    await peer.heard(320);
    expect(peer.all('contentStart').map((body) => body['type'])).toEqual(['TEXT', 'AUDIO']);
    peer.stream.close();
    await told.next('closed');
  });

  it('does not wait for a head that comes with the first output only', async () => {
    const { provider, told, clock, server } = await lateServer();
    const coming = server.peer();
    const connecting = provider.connect(request({ clock }), told.sink, new AbortController().signal);
    const peer = await coming;
    clock.advance(1_500);
    const session = await connecting;
    session.say('Hello.');
    await peer.next('textInput');
    peer.accept();
    peer.say(...heard('u', 'Hi.'), ...sentence('a', 'Hello.', new Uint8Array(320)));
    expect((await told.next('responseDone')).status).toBe('completed');
    peer.stream.close();
    await told.next('closed');
  });

  it('waits for the head when it is told to, and not for ever', async () => {
    const clock = new VirtualClock();
    const server = await startServer({ late: true });
    const coming = server.peer();
    const refused = refusal(server.url, { clock }, { ready: 'accepted', connectTimeoutMs: 5_000 });
    await coming;
    clock.advance(4_999);
    clock.advance(1);
    const { error, told } = await refused;
    expect(error.code).toBe('TIMEOUT');
    expect(error.message).toMatch(/connecting to 127\.0\.0\.1:\d+ took longer than 5000 ms/);
    expect(told.events).toEqual([]);
    await empty(server);
    expect(clock.pending).toBe(0);
  });

  it('to nobody is PROVIDER_UNAVAILABLE and says why', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const { error, told, clock } = await refusal(`http://127.0.0.1:${port}`);
    expect(error.code).toBe('PROVIDER_UNAVAILABLE');
    expect(error.message).toMatch(/ECONNREFUSED/);
    expect(told.events).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('to somebody who hangs up is PROVIDER_UNAVAILABLE', async () => {
    const sockets: Socket[] = [];
    const rude = createServer((socket) => {
      sockets.push(socket);
      socket.destroy();
    });
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    const { port } = rude.address() as { port: number };
    const { error } = await refusal(`http://127.0.0.1:${port}`);
    expect(error.code).toBe('PROVIDER_UNAVAILABLE');
    expect(sockets).toHaveLength(1);
    await new Promise((resolve) => rude.close(resolve));
  });

  it.each([
    [403, 'AccessDeniedException', 'PROVIDER_AUTH'],
    [403, 'UnrecognizedClientException', 'PROVIDER_AUTH'],
    [403, 'ExpiredTokenException', 'PROVIDER_AUTH'],
    [403, 'InvalidSignatureException', 'PROVIDER_AUTH'],
    [400, 'ValidationException', 'PROVIDER_CONFIG'],
    [404, 'ResourceNotFoundException', 'PROVIDER_CONFIG'],
    [429, 'ThrottlingException', 'PROVIDER_RATE_LIMITED'],
    [400, 'ServiceQuotaExceededException', 'PROVIDER_QUOTA'],
    [429, 'ModelNotReadyException', 'PROVIDER_UNAVAILABLE'],
    [424, 'ModelErrorException', 'PROVIDER_UNAVAILABLE'],
    [500, 'InternalServerException', 'PROVIDER_UNAVAILABLE'],
    [503, 'ServiceUnavailableException', 'PROVIDER_UNAVAILABLE'],
    [418, 'TeapotException', 'PROVIDER_CONFIG'],
    [502, 'GatewayException', 'PROVIDER_UNAVAILABLE'],
  ] as const)('that is answered %i %s is %s', async (status, type, code) => {
    const server = await startServer({
      refuse: { status, type, message: 'No, AKIAEXAMPLE of 123456789012.' },
    });
    const { error, told, clock } = await refusal(server.url);
    expect(error.code).toBe(code);
    expect(error.message).toContain('No, [key] of [account].');
    expect(told.events).toEqual([]);
    await empty(server);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['validationException', 'The model is not known.', 'PROVIDER_CONFIG'],
    ['throttlingException', 'Too many requests.', 'PROVIDER_RATE_LIMITED'],
  ] as const)('that is answered by %s in the stream is known when it comes', async (type, message, code) => {
    const { provider, told, clock, server } = await lateServer();
    const coming = server.peer();
    const connecting = provider.connect(request({ clock }), told.sink, new AbortController().signal);
    const peer = await coming;
    peer.accept();
    peer.except(type, message);
    // The head came, so it may be either: refused at once, or broken at once.
    const error = await connecting.then(
      async () => (await told.next('closed')).error,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code });
  });

  it('can be called off, and leaves nothing behind', async () => {
    const server = await startServer({ late: true });
    const caller = new AbortController();
    const coming = server.peer();
    const refused = refusal(server.url, {}, {}, caller.signal);
    const peer = await coming;
    caller.abort(new BridgeError('CANCELLED', 'nobody is there'));
    const { error, clock } = await refused;
    expect(error.message).toBe('CANCELLED: nobody is there');
    await peer.closed;
    await empty(server);
    expect(clock.pending).toBe(0);
  });

  it('is not tried when it was called off before', async () => {
    const { error } = await refusal('http://127.0.0.1:1', {}, {}, AbortSignal.abort('no'));
    expect(error.code).toBe('CANCELLED');
  });

  it('loads the SDK with the first session, not before', { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'patchcord-nova-'));
    try {
      // There the SDK cannot be found, so whoever loads it fails.
      emitModules(folder, ['src/providers/nova.ts']);
      writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
      const script = `
        import { createNovaProvider } from './src/providers/nova.js';
        import { systemClock } from './src/clock.js';
        const provider = createNovaProvider({ region: 'us-east-1' });
        console.log(provider.name);
        const request = { instructions: '', tools: [], turnDetection: {}, preferredFormats: [], history: [],
          overrides: {}, transcribeCaller: true, clock: systemClock };
        const error = await provider.connect(request, () => {}, new AbortController().signal).catch((error) => error);
        console.log(error.message);`;
      writeFileSync(join(folder, 'try.js'), script);
      const { stdout, stderr } = spawnSync(process.execPath, [join(folder, 'try.js')], { encoding: 'utf8' });
      expect(stderr).toBe('');
      const [name, error] = stdout.split('\n');
      expect(name).toBe('nova');
      expect(error).toMatch(/^PROVIDER_UNAVAILABLE: .*ERR_MODULE_NOT_FOUND/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

async function lateServer(options: ServerOptions = { late: true }) {
  const clock = new VirtualClock();
  const server = await startServer(options);
  const provider = createNovaProvider({
    region: 'us-east-1',
    endpoint: server.url,
    credentials: CREDENTIALS,
  });
  return { clock, server, provider, told: new Told() };
}

describe('the end of a session', () => {
  it('that we want is told in order, and answered by the service', async () => {
    const line = await open();
    line.session.sendAudio(new Uint8Array(320));
    const closing = line.session.close('over');
    expect(line.session.sendAudio(new Uint8Array(320))).toBe(false);
    line.session.say('late');
    line.session.sendText('late', { role: 'user', respond: true });
    line.session.sendToolResult('x', { output: '{}', isError: false, respond: true });
    line.session.interrupt([]);
    await line.peer.inputEnded;
    const audio = line.peer.all('contentStart').find((body) => body['type'] === 'AUDIO');
    expect(line.peer.received.slice(-3).map(({ name, body }) => [name, body['contentName']])).toEqual([
      ['contentEnd', audio?.['contentName']],
      ['promptEnd', undefined],
      ['sessionEnd', undefined],
    ]);
    expect(line.of('closed')).toEqual([]);
    line.peer.say({ name: 'completionEnd', body: { stopReason: 'END_TURN' } });
    line.peer.stream.end();
    await closing;
    expect(line.events).toEqual([{ type: 'closed', expected: true, error: undefined }]);
    expect(line.session.close('again')).toBe(line.session.close('and again'));
    await empty(line.server);
    expect(line.clock.pending).toBe(0);
  });

  it('that the service does not answer comes after two seconds', async () => {
    const line = await open();
    const closing = line.session.close('over');
    await line.peer.inputEnded;
    line.clock.advance(1_999);
    expect(line.of('closed')).toEqual([]);
    line.clock.advance(1);
    await closing;
    expect(line.of('closed')).toEqual([{ type: 'closed', expected: true, error: undefined }]);
    await line.peer.closed;
    await empty(line.server);
    expect(line.clock.pending).toBe(0);
  });

  it('that is an error of a service that we leave anyway is none', async () => {
    const line = await open();
    const closing = line.session.close('over');
    await line.peer.inputEnded;
    line.peer.except('internalServerException', 'Oops.');
    await closing;
    expect(line.events).toEqual([{ type: 'closed', expected: true, error: undefined }]);
  });

  const ENDS: readonly (readonly [
    string,
    (peer: Awaited<ReturnType<typeof open>>['peer']) => void,
    ErrorCode,
  ])[] = [
    ['an end without ours', (peer) => peer.stream.end(), 'PROVIDER_CLOSED'],
    ['a stream that is reset', (peer) => peer.stream.close(8), 'PROVIDER_CLOSED'],
    ['a connection that breaks', (peer) => peer.stream.session?.destroy(), 'PROVIDER_CLOSED'],
    ['a checksum that is wrong', (peer) => peer.raw(spoilt()), 'PROVIDER_CLOSED'],
    [
      'internalServerException',
      (peer) => peer.except('internalServerException', 'Oops.'),
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'modelStreamErrorException',
      (peer) => peer.except('modelStreamErrorException', 'Oops.'),
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'serviceUnavailableException',
      (peer) => peer.except('serviceUnavailableException', 'x'),
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'throttlingException',
      (peer) => peer.except('throttlingException', 'Slow down.'),
      'PROVIDER_RATE_LIMITED',
    ],
    [
      'an early modelTimeoutException',
      (peer) => peer.except('modelTimeoutException', 'Late.'),
      'PROVIDER_UNAVAILABLE',
    ],
    ['validationException', (peer) => peer.except('validationException', 'Wrong.'), 'PROVIDER_CONFIG'],
    [
      'a validationException that means trouble of the service',
      (peer) =>
        peer.except(
          'validationException',
          'InternalErrorCode=531::RST_STREAM closed stream. HTTP/2 error code: NO_ERROR',
        ),
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'another one',
      (peer) => peer.except('validationException', 'System instability detected. Please retry your request.'),
      'PROVIDER_UNAVAILABLE',
    ],
    ['an exception that nobody knows', (peer) => peer.except('novelException', 'New.'), 'PROVIDER_CLOSED'],
    ['an error of the framing', (peer) => peer.fail('InternalFailure', 'Oops.'), 'PROVIDER_UNAVAILABLE'],
    ['an error of the framing without a name', (peer) => peer.fail('Odd', 'Oops.'), 'PROVIDER_CLOSED'],
  ];

  it.each(ENDS)('by %s is told once, and nothing is left', async (_name, end, code) => {
    const line = await open();
    line.session.sendAudio(new Uint8Array(320));
    await line.peer.heard(320);
    end(line.peer);
    const closed = await line.next('closed');
    expect(closed).toMatchObject({ expected: false, error: { code } });
    expect(line.events).toEqual([
      { type: 'error', error: closed.error, fatal: true },
      { type: 'closed', expected: false, error: closed.error },
    ]);
    expect(line.session.sendAudio(new Uint8Array(320))).toBe(false);
    await line.session.close('over');
    expect(line.of('closed')).toHaveLength(1);
    await empty(line.server);
    expect(line.clock.pending).toBe(0);
  });

  it('by its age is announced two minutes ahead, and known as that', async () => {
    const line = await open();
    line.clock.advance(359_999);
    expect(line.of('expiring')).toEqual([]);
    line.clock.advance(1);
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 120_000 }]);
    line.clock.advance(100_000);
    line.peer.except(
      'modelTimeoutException',
      'Model has timed out in processing the request. Try your request again.',
    );
    expect((await line.next('closed')).error?.code).toBe('PROVIDER_EXPIRED');
  });

  it('may be set to another age', async () => {
    const line = await open({}, { maxSessionMs: 10_000, expiryMarginMs: 4_000 });
    line.clock.advance(6_000);
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 4_000 }]);
    line.clock.advance(3_900);
    line.peer.stream.close(2);
    expect((await line.next('closed')).error?.code).toBe('PROVIDER_EXPIRED');
  });

  it('comes to all sessions with that of the provider', async () => {
    const { provider, told, clock, server } = await lateServer({});
    const coming = server.peer();
    await provider.connect(request({ clock }), told.sink, new AbortController().signal);
    const peer = await coming;
    await provider.close();
    await provider.close();
    expect(told.of('closed')).toMatchObject([{ expected: false, error: { code: 'PROVIDER_CLOSED' } }]);
    await peer.closed;
    await empty(server);
    expect(clock.pending).toBe(0);
    const late = provider.connect(request({ clock }), told.sink, new AbortController().signal);
    await expect(late).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  });
});

/** A message whose last byte, of its checksum, is wrong. */
function spoilt(): Buffer {
  const whole = chunk('{"event":{"completionStart":{}}}');
  whole[whole.length - 1] = (whole[whole.length - 1] ?? 0) ^ 0xff;
  return whole;
}
