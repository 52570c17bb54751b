import { inspect } from 'node:util';
import { crc32 } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { BridgeError } from '../src/errors.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../src/provider.ts';
import { createNovaProvider, type NovaOptions } from '../src/providers/nova.ts';
import {
  audio,
  CREDENTIALS,
  chunk,
  contentEnd,
  contentStart,
  heard,
  type Line,
  type Message,
  open,
  type Peer,
  request,
  type Server,
  sentence,
  startServer,
  Told,
  toolUse,
} from './support/nova-peer.ts';
import { cleanUp, whenOver } from './support/peers.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** What the session has to stand: settings, listeners and services that do as they please. */

afterEach(cleanUp);

const LOOKUP = { name: 'lookup', description: 'Looks up.', parameters: { type: 'object' } };

function piece(fill: number, ms = 100): Uint8Array {
  return new Uint8Array(ms * 16).fill(fill);
}

const typesOf = (events: readonly ProviderEvent[]): string[] =>
  events.map(({ type }) => type).filter((type) => type !== 'usage');
const words = ({ events }: { readonly events: readonly ProviderEvent[] }, role: 'user' | 'assistant') =>
  events.flatMap((event) =>
    event.type === 'transcript' && event.role === role ? [[event.itemId, event.text, event.final]] : [],
  );
const warnings = (line: Line): string[] => line.of('warning').map(({ code }) => code);

async function tell(line: Line, ...messages: readonly (Message | readonly Message[])[]): Promise<void> {
  line.peer.say(...messages.flat());
  await line.settle();
}

const said = (contentId: string, content: string): Message => ({
  name: 'textOutput',
  body: { contentId, role: 'USER', content },
});

interface Attempt {
  readonly clock: VirtualClock;
  readonly told: Told;
  readonly connected: Promise<ProviderSession>;
}

/** @param onEvent runs with each event as it comes, before anything else can happen */
function dial(
  endpoint: string,
  over: Partial<ConnectRequest> = {},
  options: Partial<NovaOptions> = {},
  onEvent: (event: ProviderEvent) => void = () => undefined,
): Attempt {
  const clock = new VirtualClock();
  const told = new Told();
  const provider = createNovaProvider({
    region: 'us-east-1',
    endpoint,
    credentials: CREDENTIALS,
    ...options,
  });
  whenOver(() => provider.close());
  const sink = (event: ProviderEvent): void => {
    told.sink(event);
    onEvent(event);
  };
  const connected = provider.connect(request({ clock, ...over }), sink, new AbortController().signal);
  connected.catch(() => undefined);
  return { clock, told, connected };
}

async function refusal({ connected }: Attempt): Promise<BridgeError> {
  const thrown: unknown = await connected.then(
    () => expect.unreachable('connect resolved'),
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(BridgeError);
  return thrown as BridgeError;
}

/** A session whose listener does what the test wants. */
async function listening(
  onEvent: (event: ProviderEvent, session: ProviderSession) => void,
  options: Partial<NovaOptions> = {},
): Promise<{ server: Server; peer: Peer; session: ProviderSession; told: Told; clock: VirtualClock }> {
  const server = await startServer();
  const coming = server.peer();
  const here: { session?: ProviderSession } = {};
  const { told, clock, connected } = dial(server.url, {}, options, (event) => {
    if (here.session !== undefined) onEvent(event, here.session);
  });
  const session = await connected;
  here.session = session;
  return { server, peer: await coming, session, told, clock };
}

describe('settings that cannot be sent', () => {
  const CIRCLE: Record<string, unknown> = {};
  CIRCLE['inferenceConfiguration'] = CIRCLE;

  it.each<[string, Partial<ConnectRequest>, Partial<NovaOptions>]>([
    ['a BigInt', { overrides: { sessionStart: { inferenceConfiguration: { maxTokens: 1n } } } }, {}],
    ['a circle', { overrides: { sessionStart: { more: CIRCLE } } }, {}],
    [
      'circles on top of each other',
      { overrides: { sessionStart: CIRCLE } },
      { session: { sessionStart: CIRCLE } },
    ],
    ['a function with a circle', { tools: [{ ...LOOKUP, parameters: CIRCLE }] }, {}],
    ['a model without a name', { model: '' }, {}],
  ])('are refused before anybody is called: %s', async (_name, over, options) => {
    const server = await startServer();
    const attempt = dial(server.url, over, options);
    expect((await refusal(attempt)).code).toBe('PROVIDER_CONFIG');
    expect(server.sessions.size).toBe(0);
    expect(attempt.clock.pending).toBe(0);
  });
});

describe('a listener that throws', () => {
  const oops = new Error('oops');
  const throwing =
    (type: ProviderEvent['type']) =>
    (event: ProviderEvent): void => {
      if (event.type === type) throw oops;
    };

  it.each<[string, ProviderEvent['type'], Message[]]>([
    ['at speech', 'audio', audio('a', [piece(1)], 'END_TURN')],
    ['at words of the caller', 'transcript', [...heard('u', 'Hello.'), ...sentence('a', 'Hi.', piece(1))]],
    ['at the end of an answer', 'responseDone', sentence('a', 'Hi.', piece(1))],
    ['at a function call', 'toolCall', toolUse('t', 'call-1', 'lookup', '{}')],
    ['at a warning', 'warning', [{ name: 'textOutput', body: {} }]],
  ])('ends its session and nothing else: %s', async (_name, type, messages) => {
    const { peer, session, told, clock } = await listening(throwing(type));
    peer.say(...messages);
    await told.next('closed');
    await session.close('over');
    expect(told.of('error')).toMatchObject([{ fatal: true, error: { code: 'INTERNAL', cause: oops } }]);
    expect(told.of('closed')).toMatchObject([{ expected: false, error: { code: 'INTERNAL' } }]);
    expect(told.events.at(-1)?.type).toBe('closed');
    await peer.closed;
    expect(clock.pending).toBe(0);
  });

  it('ends its session and nothing else: in a timer', async () => {
    const { session, told, clock } = await listening(throwing('expiring'), { maxSessionMs: 120_100 });
    clock.advance(200);
    await session.close('over');
    expect(typesOf(told.events)).toEqual(['expiring', 'error', 'closed']);
    expect(clock.pending).toBe(0);
  });

  it.each(['error', 'closed'] as const)('at %s changes nothing of the end', async (type) => {
    const { peer, session, told } = await listening(throwing(type));
    peer.except('internalServerException', 'Oops.');
    await told.next('closed');
    await session.close('over');
    expect(typesOf(told.events)).toEqual(['error', 'closed']);
    expect(told.of('closed')).toMatchObject([{ error: { code: 'PROVIDER_UNAVAILABLE' } }]);
  });

  it('at the end that it wanted is told of it all the same', async () => {
    const { peer, session, told } = await listening(throwing('closed'));
    const closing = session.close('over');
    await peer.inputEnded;
    peer.stream.end();
    await closing;
    expect(typesOf(told.events)).toEqual(['closed']);
  });
});

describe('the end', () => {
  it('is told at once when the listener of the fatal error closes the session', async () => {
    const closings: Promise<void>[] = [];
    const { peer, told, clock } = await listening((event, session) => {
      if (event.type === 'error') closings.push(session.close('failed'));
    });
    peer.except('internalServerException', 'Oops.');
    await told.next('error');
    await Promise.all(closings);
    expect(closings).toHaveLength(1);
    expect(typesOf(told.events)).toEqual(['error', 'closed']);
    expect(told.of('closed')).toEqual([{ type: 'closed', expected: true, error: undefined }]);
    expect(clock.pending).toBe(0);
  });

  it('comes after the last words of the caller, whoever ends the session', async () => {
    const ours = await open();
    await tell(ours, contentStart('u', 'TEXT', 'USER', 'FINAL'), said('u', 'Good bye.'));
    const closing = ours.session.close('over');
    await ours.peer.inputEnded;
    ours.peer.stream.end();
    await closing;
    expect(words(ours, 'user').at(-1)).toEqual(['u', 'Good bye.', true]);
    expect(ours.events.at(-1)?.type).toBe('closed');
    const theirs = await open();
    await tell(theirs, contentStart('u', 'TEXT', 'USER', 'FINAL'), said('u', 'Good bye.'));
    theirs.peer.stream.end();
    await theirs.next('closed');
    expect(typesOf(theirs.events)).toEqual(['transcript', 'transcript', 'error', 'closed']);
  });

  it('is one, also when the session is closed from within the last words', async () => {
    const { peer, session, told, clock } = await listening((event, within) => {
      if (event.type === 'transcript') void within.close('from within');
    });
    peer.say(contentStart('u', 'TEXT', 'USER', 'FINAL'), said('u', 'Bye.'));
    await peer.inputEnded;
    peer.stream.end();
    await session.close('over');
    expect(typesOf(told.events)).toEqual(['transcript', 'transcript', 'closed']);
    expect(clock.pending).toBe(0);
  });
});

describe('what the caller said', () => {
  it('is told in pieces, and as a whole once, when its block ends', async () => {
    const line = await open();
    await tell(
      line,
      contentStart('u', 'TEXT', 'USER', 'FINAL'),
      said('u', 'What'),
      said('u', 'time '),
      said('u', 'is it?'),
    );
    expect(words(line, 'user')).toEqual([
      ['u', 'What', false],
      ['u', ' time ', false],
      ['u', 'is it?', false],
    ]);
    await tell(line, contentEnd('u', 'TEXT', 'PARTIAL_TURN'), said('u', 'late'));
    expect(words(line, 'user').slice(3)).toEqual([['u', 'What time is it?', true]]);
  });

  it.each<[string, Message[]]>([
    ['the next block of the caller', heard('v', 'More.')],
    ['the answer', sentence('a', 'Noon.', piece(1))],
    ['speech without a beginning', audio('a', [piece(1)], 'END_TURN').slice(1)],
    ['the end of all', [{ name: 'completionEnd', body: {} }]],
  ])('is whole with %s at the latest, and once', async (_name, messages) => {
    const line = await open();
    await tell(
      line,
      contentStart('u', 'TEXT', 'USER', 'FINAL'),
      said('u', 'Hello.'),
      messages,
      said('u', 'late'),
    );
    expect(words(line, 'user').filter(([id]) => id === 'u')).toEqual([
      ['u', 'Hello.', false],
      ['u', 'Hello.', true],
    ]);
    const whole = line.events.findIndex((event) => event.type === 'transcript' && event.final);
    const answer = line.events.findIndex(({ type }) => type === 'responseStarted');
    if (answer >= 0) expect(whole).toBeLessThan(answer);
  });

  it('is as long as a turn may be, in however many pieces it comes', async () => {
    const line = await open();
    const pieces = Array.from({ length: 4_000 }, (_, i) => said('u', `${'word '.repeat(200)}${i}`));
    await tell(
      line,
      contentStart('u', 'TEXT', 'USER', 'FINAL'),
      pieces,
      contentEnd('u', 'TEXT', 'PARTIAL_TURN'),
    );
    const all = words(line, 'user');
    expect(all.filter(([, , final]) => final).map(([, whole]) => String(whole).length)).toEqual([65_536]);
    expect(all.reduce((sum, [, part]) => sum + String(part).length, 0)).toBeLessThan(140_000);
    expect(warnings(line)).toEqual(['words_dropped']);
  });
});

describe('a service that floods', () => {
  /** The first bytes of an event that says how long it is. */
  function prelude(length: number): Buffer {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt32BE(length, 0);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
    return bytes;
  }

  it.each([0, 15, 16 * 1_048_576 + 1, 2 ** 32 - 1])(
    'cannot announce an event of %i bytes',
    async (length) => {
      const line = await open();
      await tell(line, sentence('a', 'Hello.', piece(1)));
      // In two parts, the first of which is not even the whole length.
      line.peer.raw(prelude(length).subarray(0, 3));
      await new Promise((resolve) => setImmediate(resolve));
      line.peer.raw(prelude(length).subarray(3));
      const { error } = await line.next('closed');
      expect(error).toMatchObject({ code: 'PROVIDER_CLOSED' });
      expect(error?.message).toContain(`an event of ${length} bytes`);
      await line.peer.closed;
    },
  );

  it('may send events of all lengths that it has in pieces of all sizes', async () => {
    const line = await open();
    const all = Buffer.concat([
      chunk('{"event":{"usageEvent":{}}}'),
      ...sentence('a', 'Hello.', piece(1)).map(({ name, body }) =>
        chunk(JSON.stringify({ event: { [name]: body } })),
      ),
    ]);
    let size = 1;
    for (let at = 0; at < all.length; at += size, size = (size * 7 + 3) % 61) {
      size = Math.max(1, size);
      line.peer.raw(all.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await line.settle();
    expect(line.of('audio')).toHaveLength(1);
    expect(words(line, 'assistant').at(-1)).toEqual(['a-planned', 'Hello.', true]);
  });

  it('is not read to the end when it refuses without one', async () => {
    const message = 'x'.repeat(1_000_000);
    const server = await startServer({ refuse: { status: 500, type: 'ThrottlingException', message } });
    const error = await refusal(dial(server.url));
    expect(error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(error.message.length).toBeLessThan(600);
  });

  it('with words of an answer is heard up to a limit, and that is told once', async () => {
    const line = await open();
    const long = 'word '.repeat(20_000);
    for (const id of ['a', 'b']) await tell(line, sentence(id, long, piece(1)));
    const finals = words(line, 'assistant').filter(([, , final]) => final);
    expect(finals.map(([, whole]) => String(whole).length)).toEqual([65_536, 65_536]);
    expect(warnings(line)).toEqual(['words_dropped']);
  });

  it('with sentences without an end has them in several answers', async () => {
    const line = await open();
    const blocks = Array.from({ length: 600 }, (_, i) => audio(`a${i}`, [piece(1, 1)]));
    await tell(line, ...blocks);
    expect(line.of('responseDone')).toHaveLength(2);
    expect(line.of('audio')).toHaveLength(600);
    expect(new Set(line.of('audio').map(({ itemId }) => itemId)).size).toBe(600);
  });

  it('with function calls has as many as can be known, and the answered ones make room', async () => {
    const line = await open();
    const calls = (from: number, count: number): Message[] =>
      Array.from({ length: count }, (_, i) =>
        toolUse(`t${from + i}`, `call-${from + i}`, 'lookup', '{}'),
      ).flat();
    await tell(line, calls(0, 1_005));
    expect(line.of('toolCall')).toHaveLength(1_000);
    line.session.sendToolResult('call-7', { output: '1', isError: false, respond: false });
    await tell(line, calls(1_005, 2));
    expect(
      line
        .of('toolCall')
        .slice(1_000)
        .map(({ callId }) => callId),
    ).toEqual(['call-1005']);
    expect(warnings(line)).toEqual(['calls_dropped']);
  });

  it('with ids that are none is warned of', async () => {
    const line = await open();
    await tell(
      line,
      toolUse('t', 'x'.repeat(257), 'lookup', '{}'),
      toolUse('u', 'call 1 (odd)', 'lookup', '{}'),
    );
    const result = { output: '1', isError: false, respond: false };
    line.session.sendToolResult('call 1 (odd)', result);
    line.session.sendToolResult('call 1 (odd)', result);
    expect(line.of('toolCall').map(({ callId }) => callId)).toEqual(['call 1 (odd)']);
    expect(warnings(line)).toEqual(['bad_frame', 'tool_answered_twice']);
    expect(line.of('warning')[1]?.message).toBe('call ? has a result already');
  });
});

describe('what the service says of its trouble', () => {
  const ARN =
    'User: arn:aws:iam::123456789012:user/ada is not authorized with AKIAEXAMPLE2345 nor AKIAEXAMPLE';
  const QUOTE = 'nothing fits "I live in Graz" at +43 660 1234567';

  it('is clean, also where the error is printed with all that caused it', async () => {
    const server = await startServer({
      refuse: { status: 403, type: 'AccessDeniedException', message: `${ARN}, ${QUOTE}` },
    });
    const error = await refusal(dial(server.url));
    expect(error).toMatchObject({ code: 'PROVIDER_AUTH', cause: { name: 'AccessDeniedException' } });
    expect(error.message).toContain('[account]');
    expect(inspect(error, { depth: 9 })).not.toMatch(/123456789012|AKIA|Graz|1234567/);
  });

  it('has a name that is one', async () => {
    const line = await open();
    line.peer.fail('said: I live in Graz', ARN);
    const { error } = await line.next('closed');
    expect(error?.code).toBe('PROVIDER_CLOSED');
    expect(inspect(error, { depth: 9 })).not.toMatch(/123456789012|AKIA|Graz/);
  });

  it('may have a name that is no text', async () => {
    const line = await open();
    line.peer.raw(timeAsName());
    expect((await line.next('closed')).error).toMatchObject({ code: 'PROVIDER_CLOSED' });
  });

  /** An error of which the code is a point in time. */
  function timeAsName(): Buffer {
    const text8 = (name: string, value: string): Buffer => {
      const head = Buffer.from([name.length, ...Buffer.from(name), 7, 0, value.length]);
      return Buffer.concat([head, Buffer.from(value)]);
    };
    const time = Buffer.concat([
      Buffer.from([11]),
      Buffer.from(':error-code'),
      Buffer.from([8]),
      Buffer.alloc(8),
    ]);
    const headers = Buffer.concat([text8(':message-type', 'error'), text8(':error-message', 'Odd.'), time]);
    const whole = Buffer.alloc(16 + headers.length);
    whole.writeUInt32BE(whole.length, 0);
    whole.writeUInt32BE(headers.length, 4);
    whole.writeUInt32BE(crc32(whole.subarray(0, 8)), 8);
    headers.copy(whole, 12);
    whole.writeUInt32BE(crc32(whole.subarray(0, -4)), whole.length - 4);
    return whole;
  }
});
