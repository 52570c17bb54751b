import {
  AccessDeniedException,
  BedrockRuntimeServiceException,
  InternalServerException,
  ModelStreamErrorException,
  ModelTimeoutException,
  ServiceUnavailableException,
  ThrottlingException,
  ValidationException,
} from '@aws-sdk/client-bedrock-runtime';
import { describe, expect, it } from 'vitest';
import { type NovaSimulatorOptions, startNovaSimulator, type TurnKind } from '../src/sim/nova.ts';
import { connected, NovaClient, silence, speech } from './support/nova-client.ts';

const TURN = Buffer.concat([silence(100), speech(500), silence(240)]);

/** Sockets and servers that this process has open. */
function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;
}

describe('the AWS SDK', () => {
  it('has a whole call: history, greeting, speech both ways, a function, an interruption, the end', async () => {
    const before = openSockets();
    const kinds: TurnKind[] = [];
    {
      await using place = await connected({
        keepAudio: true,
        respond: ({ kind, index }) => {
          kinds.push(kind);
          if (index === 1)
            return { toolCalls: [{ name: 'find_slot', args: { day: 'Monday' }, callId: 'use-1' }] };
          return index === 3
            ? { transcript: 'This is a very long story. It has no end.', audioMs: 60_000 }
            : { transcript: `Answer ${index}.`, audioMs: 500 };
        },
        hear: ({ index }) => ({ transcript: `turn ${index}` }),
      });
      const { client, connection } = place;
      client.begin({
        tools: ['find_slot'],
        history: [
          ['USER', 'I want an appointment.'],
          ['ASSISTANT', 'On which day?'],
        ],
      });
      client.text('USER', 'The call goes on. Say so.', true);
      await client.next('textOutput', ({ content }) => content === 'Answer 0.');

      client.say(TURN);
      const use = await client.next('toolUse');
      expect(use).toMatchObject({ toolUseId: 'use-1', toolName: 'find_slot', content: '{"day":"Monday"}' });
      client.result('use-1', '{"slot":"10:30"}');
      await client.next('textOutput', ({ content }) => content === 'Answer 2.');

      client.text('USER', 'Tell me a story.', true);
      await client.next('textOutput', ({ content }) => content === 'This is a very long story.');
      const since = client.events.length;
      client.say(TURN);
      const mark = await client.next('textOutput', ({ role }) => role === 'ASSISTANT', since);
      expect(JSON.parse(String(mark['content']))).toEqual({ interrupted: true });
      await client.next('textOutput', ({ content }) => content === 'Answer 4.');
      await client.next(
        'contentEnd',
        ({ type, stopReason }) => type === 'TEXT' && stopReason === 'END_TURN',
        since,
      );

      client.finish();
      expect(await client.ended).toEqual({ error: undefined });
      expect(await connection.closed).toEqual({ code: 0, reason: 'the client ended the session' });
      expect(connection.endedInOrder).toBe(true);
      expect(client.events.at(-1)?.type).toBe('completionEnd');

      expect(kinds).toEqual(['text', 'user-turn', 'tool-result', 'text', 'user-turn']);
      expect(client.audio()).toEqual(connection.sentAudio());
      expect(connection.receivedAudio()).toEqual(Buffer.concat([TURN, TURN]));
      expect(connection.toolResults).toEqual([
        { toolUseId: 'use-1', name: 'find_slot', content: '{"slot":"10:30"}' },
      ]);
      expect(connection.history.map(({ role, source }) => `${role} ${source}`)).toEqual([
        'USER history',
        'ASSISTANT history',
        'USER text',
        'ASSISTANT speech',
        'USER speech',
        'TOOL tool',
        'ASSISTANT speech',
        'USER text',
        'ASSISTANT speech',
        'USER speech',
        'ASSISTANT speech',
      ]);
    }
    await expect.poll(openSockets).toBeLessThanOrEqual(before);
  });

  it.each<[string, NovaSimulatorOptions]>([
    ['messages that are split anywhere', { splitBytes: 7 }],
    ['headers that come with the first output', { headersAtFirstOutput: true }],
    ['headers that come late', { handshakeDelayMs: 50 }],
    ['completions for every turn', { completions: 'per-turn' }],
    ['FINAL texts when they were heard', { finalTextAt: 'played' }],
    ['all audio at once', { speedFactor: 'burst' }],
  ])('understands %s', async (_, options) => {
    await using place = await connected({
      keepAudio: true,
      respond: () => ({ transcript: 'Good day. How are you?', audioMs: 400 }),
      ...options,
    });
    const { client, connection } = place;
    client.begin();
    client.say(TURN);
    await client.next('contentEnd', ({ type, stopReason }) => type === 'TEXT' && stopReason === 'END_TURN');
    expect(client.audio()).toEqual(connection.sentAudio());
    expect(client.audio()).toHaveLength(400 * 16);
    client.finish();
    expect(await client.ended).toEqual({ error: undefined });
    expect(connection.endedInOrder).toBe(true);
  });

  it.each([
    ['validationException', ValidationException],
    ['modelStreamErrorException', ModelStreamErrorException],
    ['modelTimeoutException', ModelTimeoutException],
    ['throttlingException', ThrottlingException],
    ['internalServerException', InternalServerException],
    ['serviceUnavailableException', ServiceUnavailableException],
  ] as const)('throws %s as its own class, after everything that came before', async (error, type) => {
    await using place = await connected({
      faults: [{ when: { after: 'audioOutput', value: 2 }, do: 'error', error }],
    });
    place.client.begin();
    place.client.text('USER', 'Talk.', true);
    expect((await place.client.ended).error).toBeInstanceOf(type);
    expect(place.client.all('audioOutput')).toHaveLength(2);
  });

  it('throws what is refused before the stream as its own class, and asks only once', async () => {
    const before = openSockets();
    {
      await using sim = await startNovaSimulator({
        accessKeyId: 'AKIAGOOD',
        models: ['amazon.nova-2-sonic-v1:0'],
        faults: [{ when: { after: 'connect' }, connection: 0, do: 'http', status: 429 }],
      });
      const thrown = async (options: ConstructorParameters<typeof NovaClient>[1]): Promise<unknown> => {
        await using client = new NovaClient(sim.url, options);
        client.begin();
        return await client.answered.catch((error: unknown) => error);
      };
      const accessKeyId = 'AKIAGOOD';
      expect(await thrown({ accessKeyId })).toBeInstanceOf(ThrottlingException);
      expect(await thrown({ accessKeyId, model: 'amazon.nova-9' })).toBeInstanceOf(ValidationException);
      const denied = await thrown({ accessKeyId: 'AKIABAD' });
      expect(denied).toBeInstanceOf(BedrockRuntimeServiceException);
      expect(denied).not.toBeInstanceOf(AccessDeniedException);
      expect(denied).toMatchObject({
        name: 'UnrecognizedClientException',
        $metadata: { httpStatusCode: 403 },
      });
      await using client = new NovaClient(sim.url, { accessKeyId });
      client.begin();
      expect((await sim.nextConnection()).index).toBe(3);
    }
    await expect.poll(openSockets).toBeLessThanOrEqual(before);
  });

  it('hangs up: the session is over, and the simulator knows that it was not in order', async () => {
    await using place = await connected();
    const { client, connection } = place;
    client.begin();
    client.text('USER', 'Talk.', true);
    await client.next('audioOutput');
    client.abort.abort();
    await client.ended;
    expect(await connection.closed).toMatchObject({ reason: 'the client was gone' });
    expect(connection.endedInOrder).toBe(false);
  });

  it('has many sessions at once, each with the audio of its own', async () => {
    await using sim = await startNovaSimulator({
      keepAudio: true,
      endpointScale: 0.1,
      firstAudioMs: 0,
      respond: ({ connection }) => ({ transcript: `Number ${connection}.`, audioMs: 300 + 20 * connection }),
    });
    const clients = Array.from({ length: 12 }, () => new NovaClient(sim.url));
    for (const client of clients) {
      client.begin();
      client.say(TURN);
    }
    for (const client of clients) {
      await client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    }
    const lengths = clients.map((client) => client.audio().length / 16);
    expect(lengths.toSorted((a, b) => a - b)).toEqual(clients.map((_, index) => 300 + 20 * index));
    for (const client of clients) await client[Symbol.asyncDispose]();
  });

  it('finds the same ids and the same babble for the same seed', async () => {
    const told: string[] = [];
    for (const seed of [5, 5, 6]) {
      await using place = await connected({ seed });
      place.client.begin();
      place.client.text('USER', 'Talk.', true);
      await place.client.next('audioOutput');
      told.push(JSON.stringify(place.client.events.slice(0, 3)));
    }
    expect(told[1]).toBe(told[0]);
    expect(told[2]).not.toBe(told[0]);
  });
});

describe('closing the simulator', () => {
  it('ends every session, and those who wait are told', async () => {
    const before = openSockets();
    const place = await connected();
    place.client.begin();
    const waiting = place.sim.nextConnection();
    const event = place.connection.next('sessionEnd');
    await place.connection.next('contentStart', ({ body }) => body['type'] === 'AUDIO');
    place.connection.stall();
    await place.sim.close();
    await expect(waiting).rejects.toThrow('the simulator closed before a connection came');
    await expect(event).rejects.toThrow("no 'sessionEnd' came before the connection ended");
    await expect(place.sim.nextConnection()).rejects.toThrow('the simulator is closed');
    expect((await place.client.ended).error).toBeInstanceOf(Error);
    await place[Symbol.asyncDispose]();
    await expect.poll(openSockets).toBeLessThanOrEqual(before);
  });
});
