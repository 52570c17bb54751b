import { afterEach, describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../src/provider.ts';
import { guardedSink } from '../src/providers/common/guarded-sink.ts';
import { createAzureOpenAiProvider } from '../src/providers/openai-relatives.ts';
import {
  dial as dialLive,
  LIVE_ID,
  words as liveWords,
  open as openLive,
  quiet,
  speech,
} from './support/openai-live-peer.ts';
import {
  dial as dialRealtime,
  KEY,
  type Message,
  open as openRealtime,
  type Peer,
  speechStarted,
  startServer,
} from './support/openai-peer.ts';
import { cleanUp, failure } from './support/peers.ts';
import { requestOf } from './support/provider-request.ts';
import type { VirtualClock } from './support/virtual-clock.ts';

/** What whoever listens to a session may do, and what they may ask for, without harm to anybody else. */

afterEach(cleanUp);

const CLOSED: ProviderEvent = { type: 'closed', expected: true, error: undefined };
const WARNING: ProviderEvent = { type: 'warning', code: 'a', message: 'b' };
const oops = new Error('oops');

describe('a guarded listener', () => {
  const guard = (sink: (event: ProviderEvent) => void) => {
    const failures: BridgeError[] = [];
    const told: ProviderEvent['type'][] = [];
    const tell = guardedSink(
      (event) => {
        told.push(event.type);
        sink(event);
      },
      (error) => failures.push(error),
    );
    return { failures, told, tell };
  };
  const throwing = (): never => {
    throw oops;
  };

  it('is told everything up to the end, and nothing after it', () => {
    const { failures, told, tell } = guard(() => undefined);
    for (const event of [WARNING, CLOSED, CLOSED, WARNING]) tell(event);
    expect(told).toEqual(['warning', 'closed']);
    expect(failures).toEqual([]);
  });

  it('fails once, however often it throws, and is told of the end all the same', () => {
    const { failures, told, tell } = guard(throwing);
    for (const event of [WARNING, WARNING, CLOSED]) tell(event);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ code: 'INTERNAL', cause: oops });
    expect(failures[0]?.message).not.toContain('oops');
    expect(told).toEqual(['warning', 'warning', 'closed']);
  });

  it('does not fail for another reason than the one that it is told', () => {
    const { failures, tell } = guard(throwing);
    tell({ type: 'error', error: new BridgeError('PROVIDER_CLOSED', 'gone'), fatal: true });
    tell(CLOSED);
    expect(failures).toEqual([]);
  });
});

interface Subject {
  readonly events: ProviderEvent[];
  readonly clock: VirtualClock;
  readonly peer: Peer;
  readonly session: ProviderSession;
}

interface Provider {
  readonly name: string;
  readonly first: string;
  open(): Promise<Subject>;
  dial: typeof dialRealtime | typeof dialLive;
  /** Something that is told at once. */
  readonly news: Message;
  readonly newsType: ProviderEvent['type'];
  /** Ends the session. */
  readonly fatal: Message;
}

/** The end is announced after ten seconds. */
const SOON = Date.UTC(2026, 0, 2, 3, 9, 15) / 1000;

const PROVIDERS: readonly Provider[] = [
  {
    name: 'openai',
    first: 'session.update',
    open: () => openRealtime({}, {}, { expires_at: SOON }),
    dial: dialRealtime,
    news: speechStarted,
    newsType: 'speechStarted',
    fatal: { type: 'error', error: { type: 'invalid_request_error', code: 'session_expired', message: 'x' } },
  },
  {
    name: 'openai-live',
    first: 'session.start',
    open: () => openLive({}, {}, { expires_at: SOON }),
    dial: dialLive,
    news: { type: 'info', code: 'hint', message: 'look' },
    newsType: 'warning',
    fatal: { type: 'session.closed', reason: 'expired' },
  },
];

/** Runs `then` when the session tells something; what it throws comes out of the listener. */
function onEvent({ events }: { events: ProviderEvent[] }, then: (event: ProviderEvent) => void): void {
  const push = events.push.bind(events);
  events.push = (...more) => {
    const count = push(...more);
    for (const event of more) then(event);
    return count;
  };
}

/** Closes the session; the provider does not wait for a goodbye. */
async function hangUp({ session, peer }: Subject): Promise<void> {
  const closing = session.close('over');
  await Promise.race([peer.settle(), peer.closed]);
  peer.socket.terminate();
  await closing;
}

const typesOf = ({ events }: { events: readonly ProviderEvent[] }): string[] =>
  events.map(({ type }) => type);

describe.each(PROVIDERS)('$name: a listener that throws', ({ open, dial, news, newsType, fatal }) => {
  const throwing = (): never => {
    throw oops;
  };

  it('at everything ends its session, once, and the connection with it', async () => {
    const line = await open();
    onEvent(line, throwing);
    line.peer.say(news, news);
    expect(await line.peer.closed).toBe(1000);
    await line.session.close('over');
    expect(typesOf(line)).toEqual([newsType, 'error', 'closed']);
    expect(line.events[1]).toMatchObject({ fatal: true, error: { code: 'INTERNAL', cause: oops } });
    expect(line.events[2]).toMatchObject({ expected: false, error: { code: 'INTERNAL' } });
    expect(line.clock.pending).toBe(0);
  });

  it('at what a timer tells does the same', async () => {
    const line = await open();
    onEvent(line, throwing);
    line.clock.advance(10_000);
    expect(typesOf(line)).toEqual(['expiring', 'error', 'closed']);
    await line.session.close('over');
    expect(line.clock.pending).toBe(0);
  });

  it('at the end does not keep the session from being closed', async () => {
    const line = await open();
    onEvent(line, throwing);
    await hangUp(line);
    expect(typesOf(line)).toEqual(['closed']);
    expect(line.clock.pending).toBe(0);
  });

  it('at a fatal error is told of the end, with the error', async () => {
    const line = await open();
    onEvent(line, throwing);
    line.peer.say(fatal);
    await line.peer.closed;
    await line.session.close('over');
    expect(typesOf(line)).toEqual(['error', 'closed']);
    expect(line.events[1]).toMatchObject({ expected: false, error: { code: 'PROVIDER_EXPIRED' } });
  });

  it('before the session stands makes connecting fail, and leaves nothing behind', async () => {
    const server = await startServer();
    const attempt = dial(server.url);
    onEvent(attempt, throwing);
    const peer = await server.peer();
    peer.socket.send('no JSON');
    expect(await failure(attempt)).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', cause: { cause: oops } });
    await peer.closed;
    expect(typesOf(attempt)).toEqual(['warning']);
    expect(attempt.clock.pending).toBe(0);
  });
});

describe.each(PROVIDERS)('$name: a listener that closes the session', ({ open, news }) => {
  it.each([
    ['was cut', (peer: Peer) => peer.socket.terminate()],
    ['was closed by the provider', (peer: Peer) => peer.socket.close(1011, 'bye')],
  ])('when it hears that the connection %s is told of the end, once', async (_how, end) => {
    const line = await open();
    const closings: Promise<void>[] = [];
    onEvent(line, (event) => {
      if (event.type === 'error') closings.push(line.session.close('had enough'));
    });
    const closed = new Promise<void>((resolve) => {
      onEvent(line, (event) => event.type === 'closed' && resolve());
    });
    end(line.peer);
    await closed;
    await Promise.all(closings);
    expect(closings).toHaveLength(1);
    expect(typesOf(line)).toEqual(['error', 'closed']);
    expect(line.events[1]).toEqual(CLOSED);
    expect(line.clock.pending).toBe(0);
  });

  it('in the middle of anything leaves no timer behind', async () => {
    const line = await open();
    const closings: Promise<void>[] = [];
    onEvent(line, () => closings.push(line.session.close('had enough')));
    await Promise.race([line.peer.tell(news, news), line.peer.closed]);
    await hangUp(line);
    await Promise.all(closings);
    expect(line.events.filter(({ type }) => type === 'closed')).toEqual([CLOSED]);
    expect(line.clock.pending).toBe(0);
  });
});

describe('speech of a model whose listener closes the session at its beginning', () => {
  it('leaves no timer behind', async () => {
    const line = await openLive();
    onEvent(line, ({ type }) => {
      if (type === 'responseStarted') void line.session.close('over');
    });
    const { output } = line.session;
    await line.peer.tell({
      type: 'session.output_audio.delta',
      delta: Buffer.concat([speech(200, output), quiet(1_000, output), speech(200, output)]).toString(
        'base64',
      ),
    });
    await hangUp(line);
    expect(line.of('responseStarted')).toHaveLength(1);
    expect(line.clock.pending).toBe(0);
  });
});

describe('last words of a session that is being closed', () => {
  const lastWords = async (then: (line: Subject) => void) => {
    const line = await openLive();
    await line.peer.tell(liveWords('input', 'Wait', 0));
    onEvent(line, (event) => {
      if (event.type === 'transcript' && event.final) then(line);
    });
    await line.peer.settle();
    await hangUp(line);
    return line;
  };

  it.each([
    ['closes it once more', (line: Subject) => void line.session.close('again')],
    [
      'throws',
      () => {
        throw oops;
      },
    ],
  ])('may be heard by a listener that %s', async (_what, then) => {
    const line = await lastWords(then);
    expect(line.of('transcript').at(-1)).toMatchObject({ itemId: `${LIVE_ID}_item_1`, final: true });
    expect(line.of('error')).toEqual([]);
    expect(line.events.filter(({ type }) => type === 'closed')).toEqual([CLOSED]);
    expect(line.events.at(-1)).toEqual(CLOSED);
    expect(line.peer.all('session.close')).toHaveLength(1);
    expect(line.clock.pending).toBe(0);
  });
});

const ring: Record<string, unknown> = {};
ring['ring'] = ring;
const touchy = {
  toJSON(): never {
    throw oops;
  },
};
const tool = (parameters: Record<string, unknown>): Partial<ConnectRequest> => ({
  tools: [{ name: 'lookup', description: '', parameters }],
});

describe.each(PROVIDERS)('$name: settings that cannot be sent', ({ dial }) => {
  it.each<[string, Partial<ConnectRequest>, unknown]>([
    ['a BigInt among the raw fields', { overrides: { seed: 1n } }, expect.any(TypeError)],
    ['raw fields that hold themselves', { overrides: { ring } }, expect.any(TypeError)],
    ['raw fields that throw', { overrides: { touchy } }, oops],
    ['a BigInt in the schema of a function', tool({ minimum: 1n }), expect.any(TypeError)],
    ['a schema that holds itself', tool(ring), expect.any(TypeError)],
  ])('%s: refused before anything is dialled', async (_what, over, cause) => {
    const server = await startServer();
    const attempt = dial(server.url, over);
    const error = await failure(attempt);
    expect(error).toMatchObject({ code: 'PROVIDER_CONFIG', cause });
    expect(error.message).toContain('the session settings cannot be written as JSON: ');
    expect(server.upgrades).toBe(0);
    expect(attempt.events).toEqual([]);
    expect(attempt.clock.pending).toBe(0);
  });

  it('raw fields of both sides that hold themselves: refused as well', async () => {
    const server = await startServer();
    const other: Record<string, unknown> = {};
    other['ring'] = other;
    const attempt = dial(server.url, { overrides: { ring: other } }, { session: { ring } });
    expect(await failure(attempt)).toMatchObject({ code: 'PROVIDER_CONFIG' });
    expect(server.upgrades).toBe(0);
  });
});

describe('a request that names no model', () => {
  it('is refused as a session that cannot be had', async () => {
    const server = await startServer();
    const attempt = dialRealtime(server.url, { model: '' });
    const error = await failure(attempt);
    expect(error).toMatchObject({ code: 'PROVIDER_CONFIG', cause: { code: 'BAD_CONFIG' } });
    expect(error.plainMessage).toContain('model is empty');
    const azure = createAzureOpenAiProvider({ endpoint: server.url, apiKey: KEY, deployment: 'voice' });
    const abort = new AbortController();
    const connected = azure.connect(requestOf({ model: '' }), () => undefined, abort.signal);
    expect(await failure({ connected })).toMatchObject({ code: 'PROVIDER_CONFIG' });
    expect(server.upgrades).toBe(0);
  });
});
