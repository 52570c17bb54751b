import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { describe, expect, it } from 'vitest';
import {
  encodeHeaders,
  encodeMessage,
  MessageReader,
  type StreamMessage,
} from '../src/sim/nova/event-stream.ts';
import { type FaultRule, startNovaSimulator } from '../src/sim/nova.ts';
import { connected, NovaClient, silence, speech } from './support/nova-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The moment right after the session is open for audio. */
const OPEN = { after: 'received:contentStart:AUDIO' } as const;

const EXCEPTIONS = [
  ['validationException', 'ValidationException'],
  ['modelStreamErrorException', 'ModelStreamErrorException'],
  ['modelTimeoutException', 'ModelTimeoutException'],
  ['throttlingException', 'ThrottlingException'],
  ['internalServerException', 'InternalServerException'],
  ['serviceUnavailableException', 'ServiceUnavailableException'],
] as const;

describe('a fault', () => {
  it.each(EXCEPTIONS)('error: %s reaches the SDK as %s', async (error, name) => {
    await using place = await connected({ faults: [{ when: OPEN, do: 'error', error }] });
    place.client.begin();
    const { error: thrown } = await place.client.ended;
    expect(thrown?.name).toBe(name);
    expect(thrown?.message.length).toBeGreaterThan(10);
    expect((await place.connection.closed).reason).toBe(error);
  });

  it.each([
    ['exception', 'weatherException', 'weatherException'],
    ['error', 'InternalFailure', 'InternalFailure'],
  ] as const)('error as %s may have any name', async (as, name, thrown) => {
    const error = { name, message: 'Rain.' };
    await using place = await connected({ faults: [{ when: OPEN, do: 'error', error, as }] });
    place.client.begin();
    const end = await place.client.ended;
    expect(`${end.error?.name} ${end.error?.message}`).toContain(thrown);
  });

  it.each([
    [403, 'AccessDeniedException'],
    [429, 'ThrottlingException'],
    [400, 'ValidationException'],
    [503, 'ServiceUnavailableException'],
    [404, 'ResourceNotFoundException'],
    [500, 'InternalServerException'],
    [408, 'ModelTimeoutException'],
    [424, 'ModelErrorException'],
  ])('http %i is a typed error before the stream, for one attempt', async (status, name) => {
    const faults: FaultRule[] = [
      { when: { after: 'connect' }, connection: 0, do: 'http', status, message: 'No.' },
    ];
    await using sim = await startNovaSimulator({ faults });
    {
      await using client = new NovaClient(sim.url);
      client.begin();
      await expect(client.answered).rejects.toMatchObject({
        name,
        message: 'No.',
        $metadata: { httpStatusCode: status },
      });
    }
    await using second = new NovaClient(sim.url);
    second.begin();
    expect((await sim.nextConnection()).index).toBe(1);
    expect(sim.connections).toHaveLength(1);
  });

  it('http with a type of its own', async () => {
    const rule = {
      do: 'http',
      status: 400,
      errorType: 'ServiceQuotaExceededException',
      body: '{"message":"Full."}',
    } as const;
    await using sim = await startNovaSimulator({ faults: [{ when: { after: 'connect' }, ...rule }] });
    await using client = new NovaClient(sim.url);
    await expect(client.answered).rejects.toMatchObject({
      name: 'ServiceQuotaExceededException',
      message: 'Full.',
    });
  });

  it.each([
    ['end-silently', { do: 'end-silently' }, 0],
    ['close', { do: 'close', reason: 'enough' }, 1],
  ] as const)('%s looks to the SDK like an end without an error', async (_, action, completions) => {
    await using place = await connected({
      faults: [{ when: { after: 'audioOutput', value: 2 }, ...action }],
    });
    const { client, connection } = place;
    client.begin();
    client.text('USER', 'Talk.', true);
    expect(await client.ended).toEqual({ error: undefined });
    expect((await connection.closed).code).toBe(0);
    expect(client.all('completionEnd')).toHaveLength(completions);
    expect(connection.endedInOrder).toBe(false);
  });

  it.each([2, 7, 8, 11])(
    'rst %i between two turns looks to the SDK like an end without an error',
    async (code) => {
      await using place = await connected({ respond: () => ({ transcript: 'Good.', audioMs: 100 }) });
      const { client, connection } = place;
      client.begin();
      client.text('USER', 'Talk.', true);
      await client.next('usageEvent', ({ totalOutputTokens }) => totalOutputTokens !== 0);
      connection.close(code);
      expect(await client.ended).toEqual({ error: undefined });
      expect(await connection.closed).toMatchObject({ code });
    },
  );

  it('rst in the middle of speech is an end, for the SDK with an error or without one', async () => {
    await using place = await connected({
      faults: [{ when: { after: 'audioOutput', value: 2 }, do: 'rst' }],
    });
    const { client, connection } = place;
    client.begin();
    client.text('USER', 'Talk.', true);
    // What was on its way together with the RST_STREAM decides which of the two it is.
    const { error } = await client.ended;
    if (error !== undefined) expect(error).toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' });
    expect(await connection.closed).toEqual({ code: 2, reason: 'the service reset the stream' });
    expect(client.all('completionEnd')).toEqual([]);
  });

  it('drop is a broken connection', async () => {
    await using place = await connected({ faults: [{ when: { after: 'audioMs', value: 300 }, do: 'drop' }] });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    const { error } = await place.client.ended;
    expect(error).toMatchObject({ code: expect.stringMatching(/ERR_STREAM_PREMATURE_CLOSE|ECONNRESET/) });
    expect(place.connection.sentAudioMs).toBe(300);
    expect((await place.connection.closed).reason).toBe('the TCP connection was cut');
  });

  it('drop at connect fails the attempt', async () => {
    await using sim = await startNovaSimulator({ faults: [{ when: { after: 'connect' }, do: 'drop' }] });
    await using client = new NovaClient(sim.url);
    await expect(client.answered).rejects.toThrow();
    expect(sim.connections).toHaveLength(0);
  });

  it('goaway lets the stream go on', async () => {
    await using place = await connected({ faults: [{ when: OPEN, do: 'goaway' }] });
    place.client.begin();
    await place.connection.next('contentStart', ({ body }) => body['type'] === 'AUDIO');
    place.client.text('USER', 'Talk.', true);
    await place.client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    place.client.finish();
    expect(await place.client.ended).toEqual({ error: undefined });
    expect(place.connection.endedInOrder).toBe(true);
  });

  it('bad-crc breaks the stream for the SDK', async () => {
    await using place = await connected({ faults: [{ when: { after: 'audioOutput' }, do: 'bad-crc' }] });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    expect((await place.client.ended).error?.message).toContain('checksum');
  });

  it('malformed sends bytes that are no event, and the session goes on', async () => {
    await using place = await connected({
      faults: [{ when: { after: 'audioOutput' }, do: 'malformed', frame: 'no' }],
    });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    expect(await place.client.next('malformed')).toEqual({ json: 'no' });
    await place.client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
  });

  it('malformed around the bytes breaks the stream for the SDK', async () => {
    await using place = await connected({
      faults: [{ when: { after: 'audioOutput' }, do: 'malformed', payload: true }],
    });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    expect((await place.client.ended).error).toBeInstanceOf(Error);
  });

  it('unknown-event, huge and inject are events like others', async () => {
    await using place = await connected({
      faults: [
        { when: { after: 'completionStart' }, do: 'unknown-event' },
        { when: { after: 'completionStart' }, do: 'unknown-event', header: true },
        { when: { after: 'completionStart' }, do: 'huge', bytes: 3_000_000 },
        {
          when: { after: 'completionStart' },
          do: 'inject',
          event: { type: 'textOutput', body: { content: 'mine' } },
        },
      ],
    });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    await place.client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    const [weather, huge] = place.client.all('weatherUpdate');
    expect(weather).toMatchObject({ weather: { sky: 'grey' } });
    expect(String(huge?.['padding']).length).toBe(3_000_000);
    expect(place.client.all('textOutput')[0]).toEqual({ content: 'mine' });
  });

  it('duplicate sends an event once more', async () => {
    await using place = await connected({
      faults: [{ when: { after: 'sent:contentStart:AUDIO' }, do: 'duplicate' }],
    });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    await place.client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    const [first, second] = place.client.all('contentStart').filter(({ type }) => type === 'AUDIO');
    expect(second).toEqual(first);
    expect(first).toBeDefined();
  });

  it('omit and delay take events by their type or with that of their block', async () => {
    await using place = await connected({
      faults: [
        { when: { after: 'connect' }, do: 'omit', types: ['contentEnd:AUDIO', 'usageEvent'] },
        { when: { after: 'connect' }, do: 'delay', types: ['completionStart'], ms: 30 },
      ],
    });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    await place.client.next('completionStart');
    await place.client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    expect(place.client.all('contentEnd').some(({ type }) => type === 'AUDIO')).toBe(false);
    expect(place.client.all('usageEvent')).toEqual([]);
    expect(place.client.events[0]?.type).not.toBe('completionStart');
  });

  it('ignore and refuse meet the next events of the client', async () => {
    await using place = await connected({
      faults: [
        { when: { after: 'connect' }, do: 'ignore', type: 'audioInput', count: 3 },
        {
          when: { after: 'audioInput', value: 3 },
          do: 'refuse',
          type: 'audioInput',
          error: 'throttlingException',
        },
      ],
    });
    place.client.begin();
    place.client.say(silence(100));
    expect((await place.client.ended).error?.name).toBe('ThrottlingException');
    expect(place.connection.receivedAudioMs).toBe(0);
  });

  it('happens when so much audio was received', async () => {
    await using place = await connected({
      faults: [{ when: { after: 'appendMs', value: 200 }, do: 'error', error: 'modelStreamErrorException' }],
    });
    place.client.begin();
    place.client.say(silence(400));
    expect((await place.client.ended).error?.name).toBe('ModelStreamErrorException');
    expect(place.connection.receivedAudioMs).toBe(200);
  });

  it('stall keeps the connection and says nothing; closing leaves nothing open', async () => {
    await using place = await connected({ faults: [{ when: { after: 'audioOutput' }, do: 'stall' }] });
    const { client, connection } = place;
    client.begin();
    client.text('USER', 'Talk.', true);
    await client.next('audioOutput');
    const before = connection.receivedAudioMs;
    client.say(speech(2_000));
    expect(connection.speak({ transcript: 'Nobody hears this.' })).toBe(false);
    expect(connection.isOpen).toBe(true);
    expect(connection.receivedAudioMs).toBe(before);
    expect(client.all('audioOutput')).toHaveLength(1);
  });

  it('stall at connect never answers', async () => {
    await using sim = await startNovaSimulator({ faults: [{ when: { after: 'connect' }, do: 'stall' }] });
    const client = new NovaClient(sim.url);
    client.begin();
    client.abort.abort();
    await expect(client.answered).rejects.toMatchObject({ name: 'AbortError' });
    expect(sim.connections).toHaveLength(0);
    await client[Symbol.asyncDispose]();
  });

  it('mute says nothing for a while', async () => {
    await using place = await connected({
      speedFactor: 10,
      faults: [{ when: { after: 'audioOutput', value: 2 }, do: 'mute', forMs: 40 }],
      respond: () => ({ transcript: 'Much to say.', audioMs: 2_000 }),
    });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    await place.client.next('contentEnd', ({ type }) => type === 'AUDIO');
    const pieces = place.client.all('audioOutput').length;
    expect(pieces).toBeGreaterThan(2);
    expect(pieces).toBeLessThan(20);
  });

  it('a plan may end the session with an error', async () => {
    await using place = await connected({ respond: () => ({ audioMs: 100, status: 'failed' }) });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    expect((await place.client.ended).error?.name).toBe('ModelStreamErrorException');
    expect(place.client.all('audioOutput')).toHaveLength(1);
  });

  it.each([
    [{ when: { after: 'ms' }, do: 'drop' }, "fault 'drop' after 'ms' needs a value in ms"],
    [
      { when: { after: 'textOutput' }, do: 'http', status: 500 },
      "only possible at 'connect', found 'textOutput'",
    ],
    [{ when: { after: 'connect' }, do: 'explode' }, 'unknown fault "explode", wanted one of http'],
    [{ when: { after: 'connect' }, do: 'error', error: 'Throttling' }, 'unknown error "Throttling", wanted'],
  ])('that cannot work is refused: %j', async (rule, message) => {
    await expect(startNovaSimulator({ faults: [rule as FaultRule] })).rejects.toThrow(message);
  });
});

describe('the limits in time', () => {
  it('end a session after eight minutes', async () => {
    const clock = new VirtualClock();
    await using place = await connected({ clock, idleMs: 3_600_000, preopenedIdleMs: 3_600_000 });
    place.client.begin();
    await place.connection.next('contentStart', ({ body }) => body['type'] === 'AUDIO');
    clock.advance(8 * 60_000 - 10);
    expect(place.connection.isOpen).toBe(true);
    clock.advance(20);
    expect((await place.client.ended).error).toMatchObject({
      name: 'ModelTimeoutException',
      message: 'Model has timed out in processing the request. Try your request again.',
    });
  });

  it('end a session without audio after 55 s, counted from the last of it', async () => {
    const clock = new VirtualClock();
    await using place = await connected({ clock });
    const { client, connection } = place;
    client.begin();
    await connection.next('contentStart', ({ body }) => body['type'] === 'AUDIO');
    clock.advance(50_000);
    const came = connection.next('audioInput');
    client.say(silence(20));
    await came;
    clock.advance(54_000);
    expect(connection.isOpen).toBe(true);
    clock.advance(1_100);
    const { error } = await client.ended;
    expect(error?.name).toBe('ValidationException');
    expect(error?.message).toMatch(
      /^Timed out waiting for audio bytes or interactive content\..* 55 seconds\.$/,
    );
    expect(connection.audio.longestGapMs).toBe(0);
  });

  it('end a session that was opened ahead after 30 s', async () => {
    const clock = new VirtualClock();
    await using place = await connected({ clock });
    place.client.start();
    await place.connection.next('sessionStart');
    clock.advance(29_000);
    expect(place.connection.isOpen).toBe(true);
    clock.advance(1_100);
    expect((await place.client.ended).error?.message).toBe('Timed out waiting for input events');
    expect(clock.pending).toBe(0);
  });
});

describe('a client without the SDK', () => {
  const signed = {
    ':method': 'POST',
    ':path': '/model/amazon.nova-2-sonic-v1%3A0/invoke-with-bidirectional-stream',
    'content-type': 'application/vnd.amazon.eventstream',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-EVENTS',
    'x-amz-date': '20260102T030405Z',
    authorization: `AWS4-HMAC-SHA256 Credential=AKIA/20260102/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
  };

  interface Answer {
    readonly status: number;
    readonly errorType: string | undefined;
    readonly messages: readonly StreamMessage[];
    readonly body: string;
  }

  /** Sends the bytes, ends, and reads everything that comes back. */
  async function ask(
    url: string,
    headers: Record<string, string>,
    input: readonly Buffer[],
  ): Promise<Answer> {
    const session: ClientHttp2Session = connect(url);
    const stream = session.request(headers);
    const responded = once(stream, 'response');
    for (const bytes of input) stream.write(bytes);
    stream.end();
    const [answer] = await responded;
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    await once(stream, 'close');
    session.close();
    const messages: StreamMessage[] = [];
    const body = Buffer.concat(pieces);
    if (answer[':status'] === 200) new MessageReader().push(body, (message) => messages.push(message));
    const errorType = answer['x-amzn-errortype'];
    return { status: Number(answer[':status']), errorType, messages, body: body.toString() };
  }

  it.each([
    ['no signature', { authorization: undefined }, 403, 'MissingAuthenticationTokenException'],
    ['a bearer token', { authorization: 'Bearer x' }, 403, 'IncompleteSignatureException'],
    ['no date', { 'x-amz-date': undefined }, 403, 'IncompleteSignatureException'],
    ['the date of another day', { 'x-amz-date': '20260103T000000Z' }, 403, 'IncompleteSignatureException'],
    [
      'a body that is not signed',
      { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
      403,
      'InvalidSignatureException',
    ],
    ['another content type', { 'content-type': 'application/json' }, 415, 'UnsupportedMediaTypeException'],
    ['another path', { ':path': '/model/x/invoke' }, 404, 'UnknownOperationException'],
    [
      'a model that cannot be read',
      { ':path': signed[':path'].replace('%3A', '%zz') },
      400,
      'ValidationException',
    ],
    ['another access key', {}, 403, 'UnrecognizedClientException'],
  ])('is refused with %s', async (what, changes, status, errorType) => {
    const accessKeyId = what === 'another access key' ? 'AKIB' : 'AKIA';
    await using sim = await startNovaSimulator({ accessKeyId });
    const headers = Object.fromEntries(
      Object.entries({ ...signed, ...changes }).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    );
    const answer = await ask(sim.url, headers, []);
    expect([answer.status, answer.errorType]).toEqual([status, errorType]);
    expect(JSON.parse(answer.body)).toEqual({ message: expect.any(String) });
  });

  const CHUNK = encodeHeaders({ ':event-type': 'chunk', ':message-type': 'event' });
  const SIGNED = Buffer.concat([
    Buffer.from('\u0005:date\u0008\0\0\0\0\0\0\0\0', 'latin1'),
    Buffer.from('\u0010:chunk-signature\u0006\0\u0020', 'latin1'),
    Buffer.alloc(32),
  ]);
  const chunk = (payload: string): Buffer => encodeMessage(CHUNK, Buffer.from(payload));
  const event = (json: string): Buffer =>
    encodeMessage(SIGNED, chunk(JSON.stringify({ bytes: Buffer.from(json).toString('base64') })));
  const WHOLE = event('{"event":{"sessionStart":{}}}');

  it.each([
    ['a message that is not signed', chunk('{}'), 'a message is not signed'],
    [
      'a message in the wrong place',
      encodeMessage(SIGNED, encodeMessage(SIGNED, Buffer.from('{}'))),
      'is no chunk',
    ],
    ['a chunk without bytes', encodeMessage(SIGNED, chunk('{"text":"x"}')), 'the chunk has no bytes'],
    ['a chunk that is no JSON', encodeMessage(SIGNED, chunk('{')), 'the chunk has no bytes'],
    ['a message within that is cut', encodeMessage(SIGNED, chunk('{}').subarray(0, 20)), 'found 20 bytes'],
    ['a message that is cut', WHOLE.subarray(0, 30), 'it ends within a message'],
    ['a checksum that is wrong', Buffer.from(WHOLE).fill(0, WHOLE.length - 1), 'the checksum does not match'],
  ])('is refused with %s', async (_, bytes, complaint) => {
    await using sim = await startNovaSimulator();
    const { messages } = await ask(sim.url, signed, [bytes]);
    expect(messages[0]?.headers.get(':exception-type')).toBe('validationException');
    expect(messages[0]?.payload.toString()).toContain(complaint);
  });

  it('may split its messages at any byte and ends with an empty one', async () => {
    await using sim = await startNovaSimulator();
    const input = [...WHOLE].map((byte) => Buffer.from([byte]));
    const { status, messages } = await ask(sim.url, signed, [
      ...input,
      encodeMessage(SIGNED, Buffer.alloc(0)),
    ]);
    expect([status, messages]).toEqual([200, []]);
    const connection = await sim.nextConnection();
    expect(connection.received.map(({ event }) => event.type)).toEqual(['sessionStart']);
    expect((await connection.closed).reason).toBe('the client ended its stream');
  });
});
