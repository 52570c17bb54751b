import { ResourceNotFoundException, ValidationException } from '@aws-sdk/client-bedrock-runtime';
import { describe, expect, it } from 'vitest';
import { type NovaSimulatorOptions, startNovaSimulator, type Turn } from '../src/sim/nova.ts';
import { AUDIO, connected, lpcm, NovaClient, PROMPT, silence, speech, tool } from './support/nova-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const TEXT = { mediaType: 'text/plain' };
const HISTORY_FIRST = 'Chat history should be sent completely before streaming audio.';

/** A turn of the caller, long enough for the endpoint of the quick simulator. */
function turn(ms = 400): Buffer {
  return Buffer.concat([silence(60), speech(ms), silence(240)]);
}

function audioStart(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    promptName: PROMPT,
    contentName: AUDIO,
    type: 'AUDIO',
    interactive: true,
    role: 'USER',
    audioInputConfiguration: lpcm(8_000),
    ...changes,
  };
}

function textStart(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    promptName: PROMPT,
    contentName: 'text',
    type: 'TEXT',
    interactive: false,
    role: 'USER',
    textInputConfiguration: TEXT,
    ...changes,
  };
}

const ready = (client: NovaClient): void => {
  client.start();
  client.prompt();
  client.text('SYSTEM', 'You are an agent.');
};

const REFUSED: readonly [string, (client: NovaClient) => void, string][] = [
  ['bytes that are no JSON', (c) => c.raw('{"event":'), 'expected {"event"'],
  [
    'two events in one',
    (c) => c.raw('{"event":{"sessionStart":{},"sessionEnd":{}}}'),
    'expected one event, found 2',
  ],
  ['a key beside the event', (c) => c.raw('{"event":{"sessionStart":{}},"x":1}'), 'expected {"event"'],
  ['an unknown event', (c) => c.send('sessionUpdate', {}), 'extraneous key [sessionUpdate] is not permitted'],
  ['an event by the name of a method', (c) => c.send('toString', {}), 'extraneous key [toString]'],
  [
    'an event without a body',
    (c) => c.raw('{"event":{"sessionStart":null}}'),
    'expected type: JSONObject, found: Null',
  ],
  ['a prompt before the session', (c) => c.prompt(), 'promptStart is not expected here'],
  [
    'content before the prompt',
    (c) => [c.start(), c.text('SYSTEM', 'x')],
    'contentStart is not expected here',
  ],
  ['a second session', (c) => [c.start(), c.start()], 'sessionStart was sent already'],
  ['a second prompt', (c) => [c.start(), c.prompt(), c.prompt()], 'promptStart is not expected here'],
  [
    'an unknown field of the session',
    (c) => c.start({ voice: 'x' }),
    '#/event/sessionStart: extraneous key [voice]',
  ],
  [
    'a temperature that is too high',
    (c) => c.start({ inferenceConfiguration: { temperature: 1.5 } }),
    'temperature: 1.5 is not between 0 and 1',
  ],
  [
    'half a token',
    (c) => c.start({ inferenceConfiguration: { maxTokens: 0.5 } }),
    'maxTokens: expected type: Integer',
  ],
  [
    'a sensitivity that there is not',
    (c) => c.start({ turnDetectionConfiguration: { endpointingSensitivity: 'high' } }),
    '"high" is not a valid enum value',
  ],
  [
    'a rate that there is not',
    (c) => [c.start(), c.prompt({ audioOutputConfiguration: { ...lpcm(44_100), voiceId: 'amy' } })],
    'sampleRateHertz: 44100 is not a valid enum value',
  ],
  [
    'a prompt without a voice',
    (c) => [c.start(), c.prompt({ audioOutputConfiguration: lpcm(8_000) })],
    'required key [voiceId] not found',
  ],
  [
    'a schema that is not text',
    (c) => {
      c.start();
      const toolSpec = { name: 'f', description: '', inputSchema: { json: { type: 'object' } } };
      c.prompt({ toolConfiguration: { tools: [{ toolSpec }] } });
    },
    'tools/0/toolSpec/inputSchema/json: expected type: String, found: JSONObject',
  ],
  [
    'a schema that is no JSON',
    (c) => {
      c.start();
      c.prompt({ toolConfiguration: { tools: [{ toolSpec: { name: 'f', inputSchema: { json: '{' } } }] } });
    },
    'expected a JSON schema as text',
  ],
  [
    'tools that are no list',
    (c) => [c.start(), c.prompt({ toolConfiguration: { tools: tool('f') } })],
    'expected type: JSONArray, found: JSONObject',
  ],
  [
    'audio before the system text',
    (c) => [c.start(), c.prompt(), c.openAudio()],
    'The first content must be the SYSTEM',
  ],
  [
    'history before the system text',
    (c) => [c.start(), c.prompt(), c.text('USER', 'x')],
    'The first content must be',
  ],
  ['a second system text', (c) => [ready(c), c.text('SYSTEM', 'x')], 'duplicate SYSTEM content'],
  [
    'a system text after the audio',
    (c) => [ready(c), c.openAudio(), c.text('SYSTEM', 'x')],
    'duplicate SYSTEM content',
  ],
  [
    'another prompt',
    (c) => [ready(c), c.send('contentStart', audioStart({ promptName: 'x' }))],
    "the name 'x' is open",
  ],
  [
    'history that the agent begins',
    (c) => [ready(c), c.text('ASSISTANT', 'x')],
    'must start with a USER message',
  ],
  [
    'history that does not alternate',
    (c) => [ready(c), c.text('USER', 'x'), c.text('USER', 'y')],
    'must alternate between USER and ASSISTANT',
  ],
  [
    'a long piece of history',
    (c) => [ready(c), c.text('USER', 'é'.repeat(513))],
    'Chat history is over max limit',
  ],
  [
    'a long history',
    (c) => [
      ready(c),
      c.text(
        'USER',
        Array.from({ length: 41 }, () => 'x'.repeat(1_000)),
      ),
    ],
    'Chat history is over max limit',
  ],
  ['history after the audio has begun', (c) => [ready(c), c.openAudio(), c.text('USER', 'x')], HISTORY_FIRST],
  [
    'audio that begins within a text',
    (c) => [ready(c), c.send('contentStart', textStart()), c.openAudio()],
    HISTORY_FIRST,
  ],
  [
    'audio within an interactive text',
    (c) => {
      c.begin();
      c.send('contentStart', textStart({ interactive: true }));
      c.say(silence(20));
    },
    "audioInput while the TEXT content 'text' is open",
  ],
  [
    'a text within a text',
    (c) => [ready(c), c.send('contentStart', textStart()), c.text('USER', 'x')],
    "contentStart while the TEXT content 'text' is open",
  ],
  [
    'a second audio content',
    (c) => [ready(c), c.openAudio(), c.openAudio(8_000, 'b')],
    'A session has one audio content',
  ],
  [
    'a name that was used',
    (c) => [ready(c), c.openAudio(8_000, PROMPT)],
    `the name '${PROMPT}' was used already`,
  ],
  ['a name that is empty', (c) => [ready(c), c.openAudio(8_000, '')], 'contentName: expected minLength: 1'],
  [
    'audio that is not interactive',
    (c) => [ready(c), c.send('contentStart', audioStart({ interactive: false }))],
    'interactive: false is not a valid enum value',
  ],
  [
    'a kind of content that there is not',
    (c) => [ready(c), c.send('contentStart', audioStart({ type: 'VIDEO' }))],
    'type: "VIDEO" is not a valid enum value',
  ],
  [
    'interactive text of the agent',
    (c) => [c.begin(), c.text('ASSISTANT', 'x', true)],
    'Interactive text must have the role USER, found ASSISTANT',
  ],
  [
    'audio without a content',
    (c) => [ready(c), c.say(silence(20))],
    "no content with the name 'audio-1' is open",
  ],
  [
    'audio after its content has ended',
    (c) => [c.begin(), c.send('contentEnd', { promptName: PROMPT, contentName: AUDIO }), c.say(silence(20))],
    "audioInput: no content with the name 'audio-1' is open",
  ],
  [
    'audio that is not base64',
    (c) => [c.begin(), c.send('audioInput', { promptName: PROMPT, contentName: AUDIO, content: 'a b c' })],
    'the content is not base64',
  ],
  [
    'text in the audio content',
    (c) => [c.begin(), c.send('textInput', { promptName: PROMPT, contentName: AUDIO, content: 'x' })],
    "textInput in a content of another type ('audio-1')",
  ],
  [
    'an empty text',
    (c) => {
      ready(c);
      c.send('contentStart', textStart());
      c.send('contentEnd', { promptName: PROMPT, contentName: 'text' });
    },
    "the content 'text' is empty",
  ],
  [
    'a result that nobody wants',
    (c) => [c.begin(), c.result('nothing', '{}')],
    "no tool use with the id 'nothing' waits",
  ],
  [
    'the end of the prompt with open audio',
    (c) => [c.begin(), c.send('promptEnd', { promptName: PROMPT })],
    "promptEnd while the content 'audio-1' is open",
  ],
  [
    'the end of the session before that of the prompt',
    (c) => [c.begin(), c.send('sessionEnd', {})],
    'before promptEnd',
  ],
  [
    'the end of a session that is none',
    (c) => c.send('sessionEnd', {}),
    'sessionEnd without an open session',
  ],
];

describe('the simulator refuses', () => {
  it.each(REFUSED)('%s', async (_, act, message) => {
    await using place = await connected();
    act(place.client);
    const { error } = await place.client.ended;
    expect(error?.name).toBe('ValidationException');
    expect(error?.message).toContain(message);
    expect((await place.connection.closed).reason).toBe('validationException');
    expect(place.connection.endedInOrder).toBe(false);
  });

  it.each<[string, NovaSimulatorOptions]>([
    ['alloy', {}],
    // The first model had it.
    ['greta', {}],
    ['Matthew', {}],
    ['matthew', { voices: ['tiffany'] }],
  ])('a voice that it does not have: %s %j', async (voiceId, options) => {
    await using place = await connected(options);
    place.client.start();
    place.client.prompt({ audioOutputConfiguration: { ...lpcm(8_000), voiceId } });
    expect((await place.client.ended).error?.message).toBe('Received invalid voiceId');
  });

  it.each([
    ['amazon.nova-9', ValidationException, 'The provided model identifier is invalid.'],
    ['amazon.nova-sonic-v1:0', ResourceNotFoundException, 'has reached the end of its life'],
  ])('a model that it does not have: %s', async (model, type, words) => {
    await using sim = await startNovaSimulator();
    await using client = new NovaClient(sim.url, { model });
    const { error } = await client.ended;
    expect(error).toBeInstanceOf(type);
    expect(error?.message).toContain(words);
  });
});

describe('a name that is good', () => {
  it.each<[string, string, NovaSimulatorOptions]>([
    ['amazon.nova-2-sonic-v1:0', 'kiara', {}],
    ['us.amazon.nova-2-sonic-v1:0', 'leo', {}],
    ['arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-sonic-v1:0', 'tina', {}],
    ['amazon.nova-sonic-v1:0', 'greta', { models: ['amazon.nova-sonic-v1:0'], voices: ['greta'] }],
    ['amazon.nova-9', 'whoever', { models: 'any', voices: 'any' }],
  ])('%s, with the voice %s', async (model, voiceId, options) => {
    await using sim = await startNovaSimulator(options);
    await using client = new NovaClient(sim.url, { model });
    const connection = await sim.nextConnection();
    client.start();
    client.prompt({ audioOutputConfiguration: { ...lpcm(8_000), voiceId } });
    await connection.next('promptStart');
    expect(connection).toMatchObject({ model, voice: voiceId, isOpen: true });
  });
});

describe('a session', () => {
  it('takes system text, history in pieces, tools and settings', async () => {
    await using place = await connected();
    const { client, connection } = place;
    client.start({ turnDetectionConfiguration: { endpointingSensitivity: 'LOW' } });
    client.prompt({}, ['book', 'cancel']);
    client.text('SYSTEM', ['You are ', 'an agent.']);
    client.text('USER', ['Where is ', 'my order?']);
    client.text('ASSISTANT', 'On its way.');
    client.text('USER', 'x'.repeat(1024));
    const opened = connection.next('contentStart', ({ body }) => body['type'] === 'AUDIO');
    client.openAudio();
    await opened;
    expect(connection.system).toBe('You are an agent.');
    expect(connection.voice).toBe('matthew');
    expect(connection.tools.map(({ name }) => name)).toEqual(['book', 'cancel']);
    expect(connection.session).toMatchObject({ promptName: PROMPT, outputRate: 8_000, sensitivity: 'LOW' });
    expect(connection.history.map(({ role, source, text }) => [role, source, text.slice(0, 20)])).toEqual([
      ['USER', 'history', 'Where is my order?'],
      ['ASSISTANT', 'history', 'On its way.'],
      ['USER', 'history', 'x'.repeat(20)],
    ]);
    expect(connection.model).toBe('amazon.nova-2-sonic-v1:0');
  });

  it('tells every turn in the order of the service', async () => {
    await using place = await connected({
      respond: () => ({ transcript: 'One. Two!', audioMs: 400 }),
      hear: () => ({ transcript: 'hello' }),
    });
    const { client } = place;
    client.begin();
    client.say(turn());
    await client.next('contentEnd', ({ stopReason, type }) => type === 'TEXT' && stopReason === 'END_TURN');
    const told = client.events
      .filter(({ type }) => type !== 'audioOutput' && type !== 'usageEvent')
      .map(({ type, body }) =>
        [type, body['role'], body['type'], stageOf(body), body['content'], body['stopReason']]
          .filter((part) => part !== undefined)
          .join(' '),
      );
    const sentence = (text: string, end: string): readonly string[] => [
      'contentStart ASSISTANT TEXT SPECULATIVE',
      `textOutput ASSISTANT ${text}`,
      'contentEnd TEXT PARTIAL_TURN',
      'contentStart ASSISTANT AUDIO',
      `contentEnd AUDIO ${end}`,
      'contentStart ASSISTANT TEXT FINAL',
      `textOutput ASSISTANT ${text}`,
      `contentEnd TEXT ${end}`,
    ];
    expect(told).toEqual([
      'completionStart',
      'contentStart USER TEXT FINAL',
      'textOutput USER hello',
      'contentEnd TEXT PARTIAL_TURN',
      ...sentence('One.', 'PARTIAL_TURN'),
      ...sentence('Two!', 'END_TURN'),
    ]);
  });

  it('gives every block an id of its own, and every event those of session, prompt and completion', async () => {
    await using place = await connected({ respond: () => ({ transcript: 'One. Two!', audioMs: 400 }) });
    const { client } = place;
    client.begin();
    client.say(turn());
    await client.next('contentEnd', ({ stopReason, type }) => type === 'TEXT' && stopReason === 'END_TURN');
    const starts = client.all('contentStart').map(({ contentId }) => contentId);
    expect(new Set(starts).size).toBe(7);
    expect(client.all('contentEnd').map(({ contentId }) => contentId)).toEqual(starts);
    for (const key of ['sessionId', 'completionId', 'promptName']) {
      expect(new Set(client.events.map(({ body }) => body[key])).size).toBe(1);
    }
  });

  it('tells completions for each answer when it is told to', async () => {
    await using place = await connected({ completions: 'per-turn', respond: () => ({ audioMs: 20 }) });
    const { client } = place;
    client.begin();
    for (const count of [1, 2]) {
      client.text('USER', 'go on', true);
      await client.next('completionEnd', () => client.all('completionEnd').length === count);
    }
    const ids = client.all('completionStart').map(({ completionId }) => completionId);
    expect(new Set(ids).size).toBe(2);
    expect(client.all('completionEnd').map(({ completionId }) => completionId)).toEqual(ids);
  });

  it.each([
    ['HIGH', 1_500],
    ['MEDIUM', 1_750],
    ['LOW', 2_000],
  ])(
    'with the sensitivity %s takes the turn after %i ms of silence, counted in audio',
    async (sensitivity, waitMs) => {
      await using place = await connected({ endpointScale: 1 });
      const { client, connection } = place;
      client.start({ turnDetectionConfiguration: { endpointingSensitivity: sensitivity } });
      client.prompt();
      client.text('SYSTEM', 'You are an agent.');
      client.openAudio();
      const quiet = waitMs - 30;
      const nearly = connection.next('audioInput', () => connection.receivedAudioMs + 20 >= 200 + quiet);
      client.say(Buffer.concat([speech(200), silence(quiet)]));
      await nearly;
      expect(connection.history).toEqual([]);
      client.say(silence(40));
      await client.next('textOutput', ({ role }) => role === 'USER');
      expect(connection.history[0]).toEqual({
        role: 'USER',
        source: 'speech',
        text: 'Speech of 0.2 seconds.',
      });
    },
  );

  it('counts what comes in, and how steadily', async () => {
    await using place = await connected({ keepAudio: true });
    const { client, connection } = place;
    client.begin();
    const pcm = Buffer.concat([silence(100), speech(300), silence(100)]);
    const came = connection.next('audioInput', () => connection.audio.chunks === 24);
    client.say(pcm);
    await came;
    expect(connection.audio).toMatchObject({
      chunks: 25,
      audioMs: 500,
      loudMs: 300,
      shortestMs: 20,
      longestMs: 20,
    });
    expect(connection.audio.longestGapMs).toBeGreaterThanOrEqual(0);
    expect(connection.audio.behindMs).toBeLessThan(0);
    expect(connection.receivedAudioMs).toBe(500);
    expect(connection.receivedAudio()).toEqual(pcm);
  });

  it('knows how long a client fell silent, and how far it is behind', async () => {
    const clock = new VirtualClock();
    await using place = await connected({ clock });
    const { client, connection } = place;
    client.begin();
    const hear = async (): Promise<void> => {
      const came = connection.next('audioInput');
      client.say(silence(20));
      await came;
    };
    await hear();
    clock.advance(20);
    await hear();
    clock.advance(300);
    await hear();
    expect(connection.audio).toMatchObject({
      chunks: 3,
      audioMs: 60,
      loudMs: 0,
      longestGapMs: 300,
      behindMs: 280,
    });
  });

  it('tells what it heard when the script says so, also after the answer', async () => {
    await using place = await connected({
      interruptsSent: false,
      respond: () => ({ transcript: 'Answer.', audioMs: 100 }),
      hear: ({ index, heardMs }) => ({
        transcript: `${index}: ${heardMs}`,
        after: index === 0 ? 'response' : 200,
      }),
    });
    const { client } = place;
    client.begin();
    for (const heard of ['0: 400', '1: 400']) {
      client.say(turn());
      await client.next('textOutput', ({ content }) => content === heard);
    }
    expect(client.all('textOutput').map(({ content }) => content)).toEqual([
      'Answer.',
      'Answer.',
      '0: 400',
      'Answer.',
      'Answer.',
      '1: 400',
    ]);
  });

  it('speaks in the rate that was asked for', async () => {
    for (const rate of [8_000, 16_000, 24_000]) {
      await using place = await connected({ respond: () => ({ audioMs: 300 }) });
      const { client } = place;
      client.start();
      client.prompt({ audioOutputConfiguration: { ...lpcm(rate), voiceId: 'amy' } });
      client.text('SYSTEM', 'x');
      client.openAudio(rate);
      client.say(Buffer.concat([speech(300, rate), silence(240, rate)]), rate);
      await client.next('contentEnd', ({ type }) => type === 'AUDIO');
      expect(client.audio().length).toBe((300 * rate * 2) / 1_000);
      const opened = client.all('contentStart').find(({ type }) => type === 'AUDIO');
      expect(opened?.['audioOutputConfiguration']).toMatchObject({ sampleRateHertz: rate });
    }
  });

  it('tells usage as what is new and as what it is in all', async () => {
    await using place = await connected({ respond: () => ({ transcript: 'Good.', audioMs: 400 }) });
    const { client } = place;
    client.begin();
    client.say(turn());
    await client.next('usageEvent', ({ totalOutputTokens }) => totalOutputTokens !== 0);
    client.say(turn());
    await client.next('usageEvent', ({ totalOutputTokens }) => Number(totalOutputTokens) > 20);
    const usages = client.all('usageEvent');
    const sum = { input: 0, output: 0 };
    for (const { details } of usages) {
      const { delta } = details as { delta: Record<'input' | 'output', Record<string, number>> };
      for (const side of ['input', 'output'] as const) {
        sum[side] += (delta[side]['speechTokens'] ?? 0) + (delta[side]['textTokens'] ?? 0);
      }
    }
    const last = usages.at(-1);
    expect(last).toMatchObject({
      totalInputTokens: sum.input,
      totalOutputTokens: sum.output,
      totalTokens: sum.input + sum.output,
    });
    expect(sum.output).toBe(24);
  });

  it('answers text as it answers speech, and waits with it while it speaks', async () => {
    const turns: Turn[] = [];
    await using place = await connected({
      speedFactor: 4,
      respond: (turn) => {
        turns.push(turn);
        return { transcript: `Answer ${turn.index}.`, audioMs: 200 };
      },
    });
    const { client } = place;
    client.begin();
    client.text('USER', 'Say hello.', true);
    await client.next('audioOutput');
    client.text('USER', ['Now ', 'this.'], true);
    await client.next('textOutput', ({ content }) => content === 'Answer 1.');
    const ends = client.all('contentEnd').filter(({ type }) => type === 'AUDIO');
    expect(ends.map(({ stopReason }) => stopReason)).toEqual(['END_TURN']);
    expect(
      turns.map(({ kind, heardMs, newItems }) => [kind, heardMs, newItems.map(({ text }) => text)]),
    ).toEqual([
      ['greeting', 0, ['Say hello.']],
      ['text', 0, ['Now this.']],
    ]);
    expect(turns[1]?.instructions).toBe('You are an agent.');
  });

  it('takes text before the audio as history, also when it is marked as interactive', async () => {
    await using place = await connected({ respond: ({ kind }) => ({ transcript: kind }) });
    const { client, connection } = place;
    ready(client);
    client.text('USER', 'earlier', true);
    client.openAudio();
    client.text('USER', 'now', true);
    expect(await client.next('textOutput')).toMatchObject({ content: 'text' });
    expect(connection.history.slice(0, 2).map(({ source }) => source)).toEqual(['history', 'text']);
  });

  it('speaks when the test wants it, but not twice at once', async () => {
    await using place = await connected();
    const { client, connection } = place;
    expect(connection.speak({ transcript: 'Too early.' })).toBe(false);
    client.begin();
    await connection.next('contentStart', ({ body }) => body['type'] === 'AUDIO');
    expect(connection.speak({ transcript: 'Listen.', audioMs: 100 })).toBe(true);
    expect(connection.speak({ transcript: 'And now.' })).toBe(false);
    expect(await client.next('textOutput')).toMatchObject({ content: 'Listen.' });
  });

  it('hears the caller when the test says that he speaks', async () => {
    await using place = await connected({ respond: ({ kind }) => ({ transcript: kind, audioMs: 60_000 }) });
    const { client, connection } = place;
    client.begin();
    await connection.next('contentStart', ({ body }) => body['type'] === 'AUDIO');
    connection.callerStarts();
    connection.callerStarts();
    connection.callerStops();
    connection.callerStops();
    await client.next('audioOutput');
    connection.callerStarts();
    await client.next('contentEnd', ({ stopReason }) => stopReason === 'INTERRUPTED');
    expect(client.all('completionStart')).toHaveLength(1);
  });
});

describe('functions', () => {
  it('are called in parallel while speech goes on, and answered once each', async () => {
    const turns: Turn[] = [];
    await using place = await connected({
      respond: (turn) => {
        turns.push(turn);
        if (turn.kind === 'tool-result') return { transcript: 'Done.' };
        const call = (name: string) =>
          ({ type: 'function_call', name, args: { n: 1 }, callId: `id-${name}` }) as const;
        return {
          outputs: [call('a'), call('b'), { type: 'message', transcript: 'One moment.', audioMs: 300 }],
        };
      },
    });
    const { client, connection } = place;
    client.begin({ tools: ['a', 'b'] });
    client.say(turn());
    await client.next('textOutput', ({ content }) => content === 'One moment.');
    expect(connection.openToolCalls).toEqual(['id-a', 'id-b']);
    expect(client.all('toolUse')).toMatchObject([
      { toolUseId: 'id-a', toolName: 'a', content: '{"n":1}' },
      { toolUseId: 'id-b', toolName: 'b', content: '{"n":1}' },
    ]);
    expect(client.all('contentEnd').filter(({ type }) => type === 'TOOL')).toMatchObject([
      { stopReason: 'TOOL_USE' },
      { stopReason: 'TOOL_USE' },
    ]);
    client.result('id-b', '{"ok":true}');
    client.result('id-a', '"text"');
    await client.next('textOutput', ({ content }) => content === 'Done.');
    expect(connection.toolResults).toEqual([
      { toolUseId: 'id-b', name: 'b', content: '{"ok":true}' },
      { toolUseId: 'id-a', name: 'a', content: '"text"' },
    ]);
    expect(turns.map(({ kind }) => kind)).toEqual(['user-turn', 'tool-result']);
    expect(turns[1]?.newItems.map(({ toolUseId }) => toolUseId)).toEqual(['id-b', 'id-a']);
    client.result('id-a', '{}');
    expect((await client.ended).error?.message).toContain("no tool use with the id 'id-a' waits");
  });

  it('give their arguments as text of text when it is told to', async () => {
    await using place = await connected({
      toolArguments: 'double',
      respond: () => ({ toolCalls: [{ name: 'a', args: { n: 1 } }] }),
    });
    place.client.begin({ tools: ['a'] });
    place.client.text('USER', 'do it', true);
    const { content } = await place.client.next('toolUse');
    expect(JSON.parse(JSON.parse(String(content)))).toEqual({ n: 1 });
  });

  it('must have results that are JSON', async () => {
    await using place = await connected({
      respond: () => ({ toolCalls: [{ name: 'a', args: '{', callId: 'id-1' }] }),
    });
    place.client.begin({ tools: ['a'] });
    place.client.text('USER', 'do it', true);
    expect(await place.client.next('toolUse')).toMatchObject({ content: '{' });
    place.client.result('id-1', 'plain words');
    expect((await place.client.ended).error?.message).toBe('Tool Response parsing error');
  });

  it('outlive an interruption', async () => {
    await using place = await connected({
      respond: ({ kind }) => {
        if (kind === 'tool-result') return { transcript: 'Result.' };
        if (kind === 'user-turn') return {};
        const call = { type: 'function_call', name: 'a', args: {}, callId: 'id-1' } as const;
        return { outputs: [call, { type: 'message', transcript: 'Long.', audioMs: 60_000 }] };
      },
    });
    const { client, connection } = place;
    client.begin({ tools: ['a'] });
    client.text('USER', 'do it', true);
    await client.next('audioOutput');
    connection.callerStarts();
    await client.next('contentEnd', ({ stopReason }) => stopReason === 'INTERRUPTED');
    expect(connection.openToolCalls).toEqual(['id-1']);
    client.result('id-1', '{"done":true}');
    await connection.next('toolResult');
    connection.callerStops();
    await client.next('textOutput', ({ role }) => role === 'USER');
    expect(connection.toolResults).toHaveLength(1);
  });
});

function stageOf(body: Readonly<Record<string, unknown>>): string | undefined {
  const fields = body['additionalModelFields'];
  return typeof fields === 'string' ? JSON.parse(fields).generationStage : undefined;
}
