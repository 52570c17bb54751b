import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { BridgeError, ErrorCode } from '../src/errors.ts';
import { Breakers } from '../src/fallback/breakers.ts';
import { soleCandidate } from '../src/fallback/candidate.ts';
import { AGAIN_AFTER_MS, type Dialled, dial } from '../src/fallback/dial.ts';
import type { RealtimeProvider } from '../src/provider.ts';
import { createGeminiProvider } from '../src/providers/gemini.ts';
import { createNovaProvider } from '../src/providers/nova.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { withResolvers } from '../src/sim/common/event-log.ts';
import { startGeminiSimulator } from '../src/sim/gemini.ts';
import { startNovaSimulator } from '../src/sim/nova.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { SLOW_AFTER_MS } from './support/dial-kit.ts';
import { settled } from './support/manual-provider.ts';
import { type Peer, startServer } from './support/openai-peer.ts';
import { cleanUp, whenOver } from './support/peers.ts';
import { requestOf } from './support/provider-request.ts';
import { REFUSALS, type Refusal } from './support/provider-subjects.ts';
import { SUBJECTS } from './support/subjects.ts';
import { tlsFront } from './support/tls-front.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** Dialling over real sockets. Time stands still unless a test moves it, so nothing waits for a deadline. */

const KEY = 'sk-secret-of-this-test';

afterEach(cleanUp);

/** A port that passes on to another, or says nothing at all, and knows who is connected. */
class Front {
  readonly #sockets = new Set<Socket>();
  readonly #waiting: (() => void)[] = [];
  readonly port: number;
  /** Somebody has said something. */
  readonly reached: Promise<void>;

  private constructor(port: number, reached: Promise<void>) {
    this.port = port;
    this.reached = reached;
  }

  static async open(target?: number): Promise<Front> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { promise, resolve } = withResolvers<void>();
    const front = new Front((server.address() as AddressInfo).port, promise);
    server.on('connection', (socket) => {
      front.#take(socket, target);
      socket.once('data', () => resolve());
    });
    whenOver(() => {
      for (const socket of front.#sockets) socket.destroy();
      return new Promise((closed) => server.close(closed));
    });
    return front;
  }

  /** Resolves when nobody is connected any more. */
  empty(): Promise<void> {
    if (this.#sockets.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #take(socket: Socket, target: number | undefined): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (this.#sockets.size === 0) for (const tell of this.#waiting.splice(0)) tell();
    });
    if (target === undefined) return;
    const onward = connect(target, '127.0.0.1');
    onward.on('error', () => socket.destroy());
    onward.on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  }
}

/** What both simulators can be told to do in the place of a session. */
type Fault = { readonly when: { readonly after: string } } & (
  | { readonly do: 'http'; readonly status: number }
  | { readonly do: 'close'; readonly code: number }
  | { readonly do: 'drop' }
  | { readonly do: 'stall' }
  | { readonly do: 'mute' }
);

interface Service {
  /** Of the simulator. */
  start(faults: readonly Fault[]): Promise<{ readonly url: string; readonly port: number }>;
  provider(url: string): RealtimeProvider;
  /** The message that the client begins with. */
  readonly first: string;
  readonly path: string;
}

const SERVICES: Readonly<Record<'openai' | 'gemini', Service>> = {
  openai: {
    async start(faults) {
      const simulator = await startOpenAiSimulator({ faults });
      whenOver(() => simulator.close());
      return simulator;
    },
    provider: (baseUrl) => createOpenAiProvider({ apiKey: KEY, baseUrl, model: 'gpt-realtime-2.1' }),
    first: 'session.update',
    path: '/v1/realtime',
  },
  gemini: {
    async start(faults) {
      const simulator = await startGeminiSimulator({ faults });
      whenOver(() => simulator.close());
      return simulator;
    },
    provider: (baseUrl) => createGeminiProvider({ apiKey: KEY, baseUrl }),
    first: 'setup',
    path: '/',
  },
};

const BOTH = ['openai', 'gemini'] as const;

/** A dialling of these providers with nothing but deadlines, and what it comes to. */
function start(providers: readonly RealtimeProvider[], policy: { hedgeMs?: number } = {}) {
  const clock = new VirtualClock();
  const given = new AbortController();
  const failures: { readonly provider: RealtimeProvider; readonly error: BridgeError }[] = [];
  const waiting: (() => void)[] = [];
  const dialled = dial({
    clock,
    breakers: new Breakers({ clock, onChange: () => undefined }),
    candidates: providers.flatMap(soleCandidate),
    connectMs: 5000,
    hedgeMs: 0,
    signal: given.signal,
    request: () => requestOf({ clock }),
    onFailed: ({ provider }, error) => {
      failures.push({ provider, error });
      for (const tell of waiting.splice(0)) tell();
    },
    ...policy,
  });
  dialled.catch(() => undefined);
  whenOver(() => given.abort());
  /** Resolves with the next failure. */
  const failed = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
  return { clock, given, dialled, failures, failed };
}

/** The second provider of a call, and what it was told. */
async function standby() {
  const simulator = await startOpenAiSimulator({ keepAudio: true });
  whenOver(() => simulator.close());
  const provider = createOpenAiProvider({ apiKey: KEY, baseUrl: simulator.url, model: 'gpt-realtime-2.1' });
  return { simulator, provider };
}

async function hangUp({ session, listen }: Dialled): Promise<void> {
  listen(() => undefined);
  await session.close('test over');
}

/** The provider at `url` cannot be had, and the second one is there at once. */
async function isAnsweredBySecond(
  provider: RealtimeProvider,
  code: ErrorCode,
  front: Front | undefined,
  wait?: (clock: VirtualClock) => Promise<void>,
): Promise<void> {
  const second = await standby();
  const call = start([provider, second.provider]);
  await wait?.(call.clock);
  const dialled = await call.dialled;
  expect(dialled.candidate.provider).toBe(second.provider);
  expect(call.failures.map(({ error }) => error.code)).toEqual([code]);
  expect(call.failures[0]?.provider).toBe(provider);
  expect(call.failures[0]?.error.message).not.toContain(KEY);
  await front?.empty();
  const [connection] = second.simulator.connections;
  expect(connection?.received.map(({ event }) => event.type)).toEqual(['session.update']);
  expect(connection?.receivedAudioMs).toBe(0);
  await hangUp(dialled);
  await connection?.closed;
  // Sockets go when they go.
  await expect.poll(() => call.clock.pending).toBe(0);
}

/** A port of this machine at which nobody listens. */
async function nobody(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function address(url: string, port: number, scheme = 'ws:'): string {
  return `${scheme}//127.0.0.1:${port}${new URL(url).pathname}`;
}

const connected = { after: 'connect' } as const;

describe.each(BOTH)('%s as the first provider', (name) => {
  const service = SERVICES[name];

  const AT_THE_DOOR: readonly (readonly [string, Fault, ErrorCode])[] = [
    ['is answered with 401', { when: connected, do: 'http', status: 401 }, 'PROVIDER_AUTH'],
    ['is answered with 403', { when: connected, do: 'http', status: 403 }, 'PROVIDER_AUTH'],
    ['is answered with 404', { when: connected, do: 'http', status: 404 }, 'PROVIDER_CONFIG'],
    ['is answered with 429', { when: connected, do: 'http', status: 429 }, 'PROVIDER_RATE_LIMITED'],
    ['is answered with 500', { when: connected, do: 'http', status: 500 }, 'PROVIDER_UNAVAILABLE'],
    ['is answered with 503', { when: connected, do: 'http', status: 503 }, 'PROVIDER_UNAVAILABLE'],
    ['is closed when it was opened', { when: connected, do: 'close', code: 1011 }, 'PROVIDER_UNAVAILABLE'],
    ['is cut off when it was opened', { when: connected, do: 'drop' }, 'PROVIDER_UNAVAILABLE'],
    [
      'is closed in the place of the first answer',
      { when: { after: service.first }, do: 'close', code: 1013 },
      'PROVIDER_UNAVAILABLE',
    ],
    [
      'is cut off in the place of the first answer',
      { when: { after: service.first }, do: 'drop' },
      'PROVIDER_UNAVAILABLE',
    ],
  ];

  it.each(AT_THE_DOOR)('%s, and the second one answers', async (_sentence, fault, code) => {
    const silence = { when: connected, do: 'mute' } as const;
    const faults = fault.when.after === 'connect' ? [fault] : [silence, fault];
    const { url, port } = await service.start(faults);
    const front = await Front.open(port);
    await isAnsweredBySecond(service.provider(address(url, front.port)), code, front);
  });

  it('is a port where nobody listens, and the second one answers', async () => {
    const url = `ws://127.0.0.1:${await nobody()}${service.path}`;
    await isAnsweredBySecond(service.provider(url), 'PROVIDER_UNAVAILABLE', undefined);
  });

  it('takes the connection and says nothing, and the second one answers after its time', async () => {
    const front = await Front.open();
    const provider = service.provider(`ws://127.0.0.1:${front.port}${service.path}`);
    await isAnsweredBySecond(provider, 'TIMEOUT', front, async (clock) => {
      await front.reached;
      clock.advance(5000);
    });
  });

  it.each([
    ['never answers the upgrade', 'stall'],
    ['opens the connection and never says that it is ready', 'mute'],
  ] as const)('%s, and the second one answers after its time', async (_sentence, fault) => {
    const { url, port } = await service.start([{ when: connected, do: fault }]);
    const front = await Front.open(port);
    await isAnsweredBySecond(service.provider(address(url, front.port)), 'TIMEOUT', front, async (clock) => {
      await front.reached;
      clock.advance(5000);
    });
  });

  it('has a certificate that nobody has signed, and the second one answers', async () => {
    const { url, port } = await service.start([]);
    const tls = await tlsFront(port);
    whenOver(() => tls[Symbol.asyncDispose]());
    const front = await Front.open(tls.port);
    const provider = service.provider(address(url, front.port, 'wss:'));
    await isAnsweredBySecond(provider, 'PROVIDER_UNAVAILABLE', front);
  });

  it('speaks no TLS where it should, and the second one answers', async () => {
    const { url, port } = await service.start([]);
    const front = await Front.open(port);
    const provider = service.provider(address(url, front.port, 'wss:'));
    await isAnsweredBySecond(provider, 'PROVIDER_UNAVAILABLE', front);
  });
});

describe('OpenAI as the first provider', () => {
  it.each([
    ['invalid_api_key', 'PROVIDER_AUTH'],
    ['model_not_found', 'PROVIDER_CONFIG'],
    ['insufficient_quota', 'PROVIDER_QUOTA'],
    ['rate_limit_exceeded', 'PROVIDER_RATE_LIMITED'],
    ['server_error', 'PROVIDER_UNAVAILABLE'],
  ] as const)('says %s after the handshake, and the second one answers', async (error, code) => {
    const simulator = await startOpenAiSimulator({
      faults: [
        { when: connected, do: 'ignore', type: 'session.update' },
        { when: { after: 'session.created' }, do: 'error', error },
      ],
    });
    whenOver(() => simulator.close());
    const front = await Front.open(simulator.port);
    const baseUrl = address(simulator.url, front.port);
    const provider = createOpenAiProvider({ apiKey: KEY, baseUrl, model: 'gpt-realtime-2.1' });
    await isAnsweredBySecond(provider, code, front);
  });
});

describe('Nova as the first provider', () => {
  const nova = (port: number): RealtimeProvider => {
    const provider = createNovaProvider({
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'KEYFORTESTS', secretAccessKey: KEY },
    });
    whenOver(() => provider.close?.());
    return provider;
  };

  it('is a port where nobody listens, and the second one answers', async () => {
    await isAnsweredBySecond(nova(await nobody()), 'PROVIDER_UNAVAILABLE', undefined);
  });

  it('takes the connection and says nothing, and the second one answers after its time', async () => {
    const front = await Front.open();
    await isAnsweredBySecond(nova(front.port), 'TIMEOUT', front, async (clock) => {
      await front.reached;
      clock.advance(5000);
    });
  });

  it('is cut off when it was opened, and the second one answers', async () => {
    const simulator = await startNovaSimulator({ faults: [{ when: connected, do: 'drop' }] });
    whenOver(() => simulator.close());
    await isAnsweredBySecond(nova(simulator.port), 'PROVIDER_UNAVAILABLE', undefined);
  });
});

const CODES: Readonly<Record<Refusal, ErrorCode>> = {
  auth: 'PROVIDER_AUTH',
  config: 'PROVIDER_CONFIG',
  quota: 'PROVIDER_QUOTA',
  rate: 'PROVIDER_RATE_LIMITED',
  down: 'PROVIDER_UNAVAILABLE',
};

describe.each(SUBJECTS.map((subject) => [subject.name, subject] as const))('%s', (_name, subject) => {
  it.each(REFUSALS)('that refuses (%s) is left for the second one', async (refuse) => {
    await using stage = await subject.start({ refuse });
    await isAnsweredBySecond(stage.provider, CODES[refuse], undefined);
  });

  it.each(REFUSALS)('that refuses (%s) alone is tried again only if that may help', async (refuse) => {
    await using stage = await subject.start({ refuse });
    const call = start([stage.provider]);
    await call.failed();
    await settled();
    call.clock.advance(AGAIN_AFTER_MS);
    await expect(call.dialled).rejects.toMatchObject({ code: CODES[refuse] });
    const tries = refuse === 'rate' || refuse === 'down' ? 2 : 1;
    expect(call.failures.map(({ error }) => error.code)).toEqual(Array(tries).fill(CODES[refuse]));
    // Sockets go when they go.
    await expect.poll(() => call.clock.pending).toBe(0);
  });
});

/** Two servers of which the test writes every message, dialled beside each other. */
async function race() {
  const [slow, fast] = [await startServer(), await startServer()];
  const provider = (baseUrl: string) =>
    createOpenAiProvider({ apiKey: KEY, baseUrl, model: 'gpt-realtime-2.1' });
  const call = start([provider(slow.url), provider(fast.url)], { hedgeMs: 2000 });
  const first = await slow.peer();
  const update = await first.next('session.update');
  call.clock.advance(2000);
  const second = await fast.peer();
  await second.next('session.update');
  const ready = { type: 'session.updated', session: update['session'] };
  return { call, first, second, ready };
}

async function isUnused(peer: Peer): Promise<void> {
  await peer.closed;
  expect(peer.types()).toEqual(['session.update']);
}

describe('a race of two services', () => {
  it('is won by the one that was dialled beside the slow one, which is hung up', async () => {
    const { call, first, second, ready } = await race();
    second.say(ready);
    const dialled = await call.dialled;
    expect(dialled.overtaken).toHaveLength(1);
    call.clock.advance(SLOW_AFTER_MS - 2000);
    await isUnused(first);
    await hangUp(dialled);
    await isUnused(second);
    expect(call.clock.pending).toBe(0);
  });

  it('is won by the slow one if it is ready first, and the other is hung up', async () => {
    const { call, first, second, ready } = await race();
    first.say(ready);
    const dialled = await call.dialled;
    expect(dialled.overtaken).toEqual([]);
    await isUnused(second);
    await hangUp(dialled);
    expect(call.clock.pending).toBe(0);
  });

  it('has one winner when both are ready at once', async () => {
    const { call, first, second, ready } = await race();
    first.say(ready);
    second.say(ready);
    const dialled = await call.dialled;
    call.clock.advance(SLOW_AFTER_MS - 2000);
    const loser = dialled.overtaken.length > 0 ? first : second;
    await isUnused(loser);
    await hangUp(dialled);
    await Promise.all([first.closed, second.closed]);
    expect(call.clock.pending).toBe(0);
  });

  it('is called off for both when the caller has hung up', async () => {
    const { call, first, second } = await race();
    call.given.abort();
    await expect(call.dialled).rejects.toMatchObject({ code: 'CANCELLED' });
    await Promise.all([isUnused(first), isUnused(second)]);
    expect(call.failures).toEqual([]);
    expect(call.clock.pending).toBe(0);
  });
});
