import { describe, expect, it } from 'vitest';
import type { GeminiSimulatorOptions, PlannedCall, ResponsePlan, Turn } from '../src/sim/gemini.ts';
import {
  answer,
  content,
  declare,
  GeminiClient,
  type Line,
  type Message,
  MODEL_25,
  MODEL_38,
  say,
  sendAudio,
  setupOf,
  silence,
  speech,
  start,
  tools,
} from './support/gemini-client.ts';
import { VirtualClock } from './support/virtual-clock.ts';

function call(callId: string, name = 'f'): PlannedCall {
  return { name, args: { of: callId }, callId };
}

/** The first turn calls, what follows is short speech; `kinds` collects why the model was asked. */
function calling(first: ResponsePlan, kinds: string[] = []): GeminiSimulatorOptions {
  return {
    respond: ({ index, kind }: Turn) => {
      kinds.push(kind);
      return index === 0 ? first : { audioMs: 200, transcript: kind };
    },
  };
}

/** A session in which the model has just called. */
async function called(
  options: GeminiSimulatorOptions,
  model: string,
  fields: Message = declare('f', 'g'),
): Promise<Line> {
  const line = await start(options, fields, model);
  await line.client.ask(say('Call.'), 'toolCall');
  return line;
}

describe('a function that blocks', () => {
  it('is called in one message with the others, holds the turn open, and is spoken about in the same turn', async () => {
    const kinds: string[] = [];
    const first = { transcript: 'One moment.', toolCalls: [call('a'), call('b', 'g')] };
    await using line = await called(calling(first, kinds), MODEL_25);
    const { client, connection } = line;
    expect(client.all('toolCall')).toEqual([
      {
        functionCalls: [
          { id: 'a', name: 'f', args: { of: 'a' } },
          { id: 'b', name: 'g', args: { of: 'b' } },
        ],
      },
    ]);
    expect(client.story()).toEqual(['setupComplete', 'modelTurn', 'generationComplete', 'toolCall']);
    expect(connection.state).toBe('waiting');
    const since = client.messages.length;
    client.send(answer('b', 'g', {}, { n: 2 }));
    await connection.next('toolResponse');
    expect([connection.state, connection.pendingCalls]).toEqual(['waiting', ['a']]);
    await client.ask(answer('a', 'f', {}, { n: 1 }), 'turnComplete');
    expect(client.story(since)).toEqual(['modelTurn', 'generationComplete', 'usageMetadata', 'turnComplete']);
    expect(kinds).toEqual(['greeting', 'tool-result']);
    expect(connection.toolResponses).toMatchObject([
      { id: 'b', name: 'g', response: { n: 2 }, isLate: false },
      { id: 'a', name: 'f', response: { n: 1 }, isLate: false },
    ]);
    expect(connection.conversation.map(({ role, source }) => `${role} ${source}`)).toEqual([
      'user text',
      'model function',
      'user function',
      'user function',
      'model speech',
    ]);
  });

  it('is spoken about even when it asks for silence, for that is ignored', async () => {
    await using line = await called(calling({ toolCalls: [call('a')] }), MODEL_25);
    await line.client.ask(answer('a', 'f', { scheduling: 'SILENT' }), 'turnComplete');
    expect(line.client.story()).toContain('modelTurn');
  });

  it('is called off when the caller interrupts; an answer that comes all the same is swallowed', async () => {
    const kinds: string[] = [];
    await using line = await called(calling({ toolCalls: [call('a'), call('b')] }, kinds), MODEL_25);
    const { client, connection } = line;
    const since = client.messages.length;
    client.send(answer('a', 'f'));
    sendAudio(client, Buffer.concat([speech(300), silence(600)]));
    await client.next('modelTurn', since);
    expect(client.story(since).slice(0, 4)).toEqual([
      'interrupted',
      'toolCallCancellation',
      'usageMetadata',
      'turnComplete',
    ]);
    expect(client.all('toolCallCancellation')).toEqual([{ ids: ['b'] }]);
    await client.ask(say('Go on.'), 'turnComplete');
    client.send(answer('b', 'f'));
    await connection.next('toolResponse', ({ toolResponse }) => JSON.stringify(toolResponse).includes('"b"'));
    expect(connection.isOpen).toBe(true);
    expect(connection.toolResponses.map(({ id, isLate }) => [id, isLate])).toEqual([
      ['a', false],
      ['b', true],
    ]);
    expect(kinds).toEqual(['greeting', 'user-turn', 'text']);
  });

  it('can be called off by the service alone, which ends the turn', async () => {
    await using line = await called(calling({ toolCalls: [call('a'), call('b')] }), MODEL_25);
    expect(line.connection.cancelCalls(['b', 'z'])).toEqual(['b']);
    expect(line.connection.state).toBe('waiting');
    expect(line.connection.cancelCalls()).toEqual(['a']);
    await line.client.next('turnComplete');
    expect(line.client.all('toolCallCancellation')).toEqual([{ ids: ['b'] }, { ids: ['a'] }]);
    expect(line.client.story()).not.toContain('interrupted');
    await line.client.ask(say('Go on.'), 'modelTurn');
  });

  it('blocks for good when it is neither called off nor answered', async () => {
    const kinds: string[] = [];
    const options = { ...calling({ toolCalls: [call('a')] }, kinds), cancelsToolCalls: false };
    await using line = await called(options, MODEL_25);
    const { client, connection } = line;
    sendAudio(client, Buffer.concat([speech(300), silence(600)]));
    await client.next('turnComplete');
    const since = client.messages.length;
    client.send(say('Are you there?'));
    client.send(content(true, ['user', 'Hello?']));
    await connection.next('clientContent');
    expect(client.messages).toHaveLength(since);
    expect(connection.speak({ audioMs: 100 })).toBe(false);
    const error = { error: 'cancelled' };
    await client.ask(answer('a', 'f', { scheduling: 'SILENT' }, error), 'turnComplete');
    expect(kinds).toEqual(['greeting', 'user-turn']);
    expect(connection.toolResponses).toMatchObject([{ isLate: true, response: error }]);
  });

  it.each([1008, 1011] as const)(
    'lets no input in before its answer, if it is told to close with %i',
    async (code) => {
      await using line = await called(
        { ...calling({ toolCalls: [call('a')] }), inputDuringCall: code },
        MODEL_25,
      );
      sendAudio(line.client, silence(20));
      expect(await line.client.closed).toMatchObject({ code });
      expect(line.connection.refusal).toContain('waited for a function');
    },
  );

  it('lets input in again after its answer', async () => {
    await using line = await called(
      { ...calling({ toolCalls: [call('a')] }), inputDuringCall: 1008 },
      MODEL_25,
    );
    await line.client.ask(answer('a', 'f'), 'turnComplete');
    sendAudio(line.client, Buffer.concat([speech(300), silence(600)]));
    await line.client.next('turnComplete', line.client.messages.length);
  });
});

describe('a function that does not block', () => {
  const behavior = 'NON_BLOCKING';

  it('is the default of 3.8, and a choice in 2.5: the turn goes on without it', async () => {
    for (const [model, fields] of [
      [MODEL_38, declare('f')],
      [MODEL_25, tools([{ name: 'f', behavior }])],
    ] as const) {
      await using line = await called(calling({ toolCalls: [call('a')] }), model, fields);
      const done = await line.client.next('turnComplete');
      expect(line.connection.state).toBe('idle');
      if (model === MODEL_38) {
        expect(done).toMatchObject({ serverContent: { interactionStatus: 'IDLE' } });
      }
      await line.client.ask(say('Meanwhile?'), 'modelTurn');
      await line.client.ask(answer('a', 'f'), 'modelTurn');
      expect(line.connection.pendingCalls).toEqual([]);
    }
  });

  async function busy(
    scheduling: string | undefined,
  ): Promise<Line & { clock: VirtualClock; kinds: string[] }> {
    const clock = new VirtualClock();
    const kinds: string[] = [];
    const respond = ({ index, kind }: Turn): ResponsePlan => {
      kinds.push(kind);
      return index === 0 ? { toolCalls: [call('a')] } : { audioMs: index === 1 ? 10_000 : 200 };
    };
    const line = await start({ clock, respond, speedFactor: 2, waitsForPlayback: true }, declare('f'));
    line.client.send(say('Call.'));
    await line.connection.next('realtimeInput.text');
    clock.advance(10);
    await line.client.next('turnComplete');
    line.client.send(say('Talk.'));
    await line.connection.next('realtimeInput.text');
    clock.advance(1_000);
    line.client.send(answer('a', 'f', scheduling === undefined ? {} : { scheduling }));
    await line.connection.next('toolResponse');
    return { ...line, clock, kinds };
  }

  it('is spoken about when the model has nothing else to say', async () => {
    for (const scheduling of [undefined, 'WHEN_IDLE']) {
      await using line = await busy(scheduling);
      expect(line.kinds).toHaveLength(2);
      line.clock.advance(10_500);
      expect(line.kinds).toEqual(['greeting', 'text', 'tool-result']);
      expect(line.connection.sent.some(({ event }) => event.type === 'interrupted')).toBe(false);
    }
  });

  it('is spoken about at once, if that is wanted', async () => {
    await using line = await busy('INTERRUPT');
    expect(line.kinds).toEqual(['greeting', 'text', 'tool-result']);
    expect(line.connection.sent.some(({ event }) => event.type === 'interrupted')).toBe(true);
  });

  it('is only remembered, if that is wanted', async () => {
    await using line = await busy('SILENT');
    line.clock.advance(20_000);
    expect(line.kinds).toHaveLength(2);
    expect(line.connection.conversation.at(-1)).toMatchObject({ role: 'user', source: 'function' });
    expect(line.connection.pendingCalls).toEqual([]);
  });

  it('is spoken about over the caller in 2.5, and after him in 3.8', async () => {
    const said: Record<string, unknown> = {};
    for (const model of [MODEL_25, MODEL_38]) {
      const fields = tools([{ name: 'f', behavior }]);
      await using line = await called(calling({ toolCalls: [call('a')] }), model, fields);
      await line.client.next('turnComplete');
      const since = line.client.messages.length;
      line.connection.callerStarts();
      line.client.send(answer('a', 'f', { scheduling: 'INTERRUPT' }));
      await line.connection.next('toolResponse');
      if (model === MODEL_38) line.connection.callerStops();
      await line.client.next('turnComplete', since);
      said[model] = line.connection.conversation.at(-1)?.parts[0]?.['text'];
    }
    expect(said).toEqual({ [MODEL_25]: 'tool-result', [MODEL_38]: 'user-turn' });
  });

  it('lets a model that thinks on complete a turn with every utterance', async () => {
    const message = { type: 'message', audioMs: 100 } as const;
    const outputs = [message, { type: 'function_call', ...call('a') }, message] as const;
    const model = 'models/gemini-3.8-live-extended-thinking';
    await using line = await called(calling({ outputs }), model, declare('f'));
    await line.client.next('usageMetadata');
    await line.client.ask(answer('a', 'f'), 'usageMetadata');
    expect(line.client.all('interactionStatus')).toEqual(['IN_PROGRESS', 'IN_PROGRESS', 'IDLE']);
  });

  it('may answer in several parts', async () => {
    await using line = await called(calling({ toolCalls: [call('a')] }), MODEL_38);
    await line.client.ask(answer('a', 'f', { willContinue: true }), 'modelTurn');
    expect(line.connection.pendingCalls).toEqual(['a']);
    await line.client.ask(answer('a', 'f'), 'turnComplete');
    expect(line.connection.toolResponses).toHaveLength(2);
    line.client.send(answer('a', 'f'));
    expect(await line.client.closed).toMatchObject({ code: 1007 });
  });
});

describe('an answer', () => {
  it.each<[string, Message, string]>([
    ['to a call that was never made', answer('z', 'f'), 'no open call'],
    ['without an id', { toolResponse: { functionResponses: [{ name: 'f', response: {} }] } }, 'needs its id'],
    ['with the name of another function', answer('a', 'g'), 'name of another'],
    ['that answers nothing', { toolResponse: { functionResponses: [] } }, 'without functionResponses'],
    [
      'that answers twice',
      {
        toolResponse: {
          functionResponses: [
            { id: 'a', name: 'f', response: {} },
            { id: 'a', name: 'f', response: {} },
          ],
        },
      },
      'answered twice',
    ],
  ])('%s ends the session', async (_, message, words) => {
    await using line = await called(calling({ toolCalls: [call('a')] }), MODEL_25);
    line.client.send(message);
    expect(await line.client.closed).toEqual({ code: 1007, reason: 'Request contains an invalid argument.' });
    expect(line.connection.refusal).toContain(words);
    expect(line.connection.toolResponses).toEqual([]);
  });

  it('needs no id at Vertex AI, where the name tells', async () => {
    await using line = await start(calling({ toolCalls: [call('a')] }));
    const client = new GeminiClient(line.sim.vertexUrl, { authorization: 'Bearer t' });
    await client.opened;
    const model = 'projects/p/locations/l/publishers/google/models/gemini-live-2.5-flash-native-audio';
    await client.ask(setupOf(declare('f'), model), 'setupComplete');
    await client.ask(say('Call.'), 'toolCall');
    const response = { name: 'f', response: { output: 1 } };
    await client.ask({ toolResponse: { functionResponses: [response] } }, 'turnComplete');
    client.send({ toolResponse: { functionResponses: [{ ...response, scheduling: 'SILENT' }] } });
    const words = `Unknown name "scheduling" at 'tool_response.function_responses[0]': Cannot find field.`;
    expect((await client.closed).reason).toBe(`Invalid JSON payload received. ${words}`);
  });

  it('goes by names where calls have no ids, in their order', async () => {
    const options = { ...calling({ toolCalls: [call('a'), call('b'), call('c', 'g')] }), omitsCallIds: true };
    await using line = await called(options, MODEL_25);
    const [{ functionCalls }] = line.client.all('toolCall') as [{ functionCalls: unknown }];
    expect(functionCalls).toEqual([
      { name: 'f', args: { of: 'a' } },
      { name: 'f', args: { of: 'b' } },
      { name: 'g', args: { of: 'c' } },
    ]);
    const functionResponses = ['g', 'f', 'f'].map((name, n) => ({ name, response: { n } }));
    await line.client.ask({ toolResponse: { functionResponses } }, 'turnComplete');
    expect(line.connection.toolResponses.map(({ id, response }) => [id, response['n']])).toEqual([
      ['c', 0],
      ['a', 1],
      ['b', 2],
    ]);
  });

  it('reaches the script as what is new', async () => {
    const fresh: unknown[] = [];
    await using line = await called(
      {
        respond: (turn) => {
          if (turn.kind !== 'tool-result') return { outputs: [{ type: 'function_call', ...call('a') }] };
          fresh.push(...turn.fresh.flatMap(({ parts }) => parts));
          return {};
        },
      },
      MODEL_25,
    );
    await line.client.ask(answer('a', 'f', {}, { output: 'rain' }), 'turnComplete');
    expect(fresh).toEqual([{ functionResponse: { id: 'a', name: 'f', response: { output: 'rain' } } }]);
  });
});
