import { afterEach, describe, expect, it } from 'vitest';
import type { HeardItem } from '../src/provider.ts';
import { generationOf } from '../src/providers/gemini/generations.ts';
import { startGeminiSimulator } from '../src/sim/gemini.ts';
import { connect, GeminiClient, setupOf, start as startSession, tools } from './support/gemini-client.ts';
import {
  complete,
  FRAME_IN,
  generated,
  heard,
  type Line,
  LOOKUP,
  type Message,
  nextClosed,
  open,
  result,
  speech,
  texts,
  toolCall,
} from './support/gemini-peer.ts';
import { cleanUp } from './support/peers.ts';
import { VirtualClock } from './support/virtual-clock.ts';

afterEach(cleanUp);

const OLD = { model: 'gemini-2.5-flash-native-audio-preview-12-2025' };
const TOOLS = { tools: [LOOKUP] };

/** Time passes on a connection that is alive. */
async function pass(line: Line, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 5_000) {
    line.clock.advance(Math.min(left, 5_000));
    await line.peer.settle();
  }
}

/** What the service was told of the results of functions. */
function responses(line: Line): unknown[] {
  return line.peer
    .all('toolResponse')
    .flatMap((message) => (message['toolResponse'] as { functionResponses: unknown[] }).functionResponses);
}

function declared(line: Line): Message[] {
  const [tool] = line.setup['tools'] as { functionDeclarations: Message[] }[];
  return tool?.functionDeclarations ?? [];
}

describe('the option that says whether the model stands still for a function', () => {
  it('makes 3.8 wait, which goes on by itself: no schedule, and no audio until the result is there', async () => {
    const line = await open(TOOLS, { toolBehavior: 'blocking' });
    expect(declared(line)).toMatchObject([{ name: 'lookup', behavior: 'BLOCKING' }]);
    await line.peer.tell(toolCall('c1'));
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(0);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(responses(line)).toEqual([{ id: 'c1', name: 'lookup', response: { output: '1' } }]);
    expect(line.peer.audioBytes).toBe(FRAME_IN);
  });

  it('lets 2.5 go on, which waits by itself: with a schedule, and audio at once', async () => {
    const line = await open(TOOLS, { ...OLD, toolBehavior: 'non-blocking' });
    expect(declared(line)).toMatchObject([{ name: 'lookup', behavior: 'NON_BLOCKING' }]);
    await line.peer.tell(toolCall('c1'));
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(FRAME_IN);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(responses(line)).toEqual([
      { id: 'c1', name: 'lookup', response: { output: '1' }, scheduling: 'WHEN_IDLE' },
    ]);
  });
});

describe('Vertex AI', () => {
  it('is told of no id, even when the call had one', async () => {
    const line = await open(TOOLS, {
      apiKey: undefined,
      accessToken: 'ya29.token',
      platform: 'vertex',
      project: 'p',
      ...OLD,
    });
    await line.peer.tell(toolCall('c1'));
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(responses(line)).toEqual([{ name: 'lookup', response: { output: '1' } }]);
  });
});

describe('the end of a session', () => {
  it('is announced once: by the service, and then not by our own clock as well', async () => {
    const line = await open();
    await line.peer.tell({ goAway: { timeLeft: '600s' } });
    await pass(line, 9 * 60_000 + 5_000);
    expect(line.of('expiring')).toEqual([{ type: 'expiring', inMs: 600_000 }]);
  });

  it('is not an error that the service tells of without ending it', async () => {
    const line = await open();
    await line.peer.tell({ error: { code: 400, message: 'That was wrong.', status: 'INVALID_ARGUMENT' } });
    expect(line.of('error')).toMatchObject([{ fatal: false, error: { code: 'PROVIDER_REJECTED' } }]);
    line.session.say('Hello.');
    await line.peer.next('text');
    await line.peer.tell(speech(20), generated, complete);
    expect(line.of('audio')).toHaveLength(1);
    expect(line.of('closed')).toEqual([]);
  });

  it.each([
    [1002, ''],
    [1003, ''],
    [1009, 'too big'],
    [1010, ''],
  ])('by %i %s is one that the same again will not mend', async (code, reason) => {
    const line = await open();
    const closed = nextClosed(line);
    line.peer.socket.close(code, reason);
    expect(await closed).toMatchObject({ expected: false, error: { code: 'PROVIDER_CONFIG' } });
  });

  it('by 1011 for a reason that nobody has seen yet is trouble of the service', async () => {
    const line = await open();
    const closed = nextClosed(line);
    line.peer.socket.close(1011, 'The weather is bad.');
    expect(await closed).toMatchObject({ error: { code: 'PROVIDER_UNAVAILABLE' } });
  });

  it.each([
    ['You exceeded your current quota', 'PROVIDER_QUOTA'],
    ['API key expired', 'PROVIDER_AUTH'],
    ['The weather is bad.', 'PROVIDER_EXPIRED'],
  ])('that was announced and says "%s" is %s', async (reason, code) => {
    const line = await open();
    await line.peer.tell({ goAway: { timeLeft: '50s' } });
    const closed = nextClosed(line);
    line.peer.socket.close(1011, reason);
    expect(await closed).toMatchObject({ error: { code } });
  });
});

describe('a model of no known generation', () => {
  it.each([
    ['gemini-3.0-flash-live', '3.1'],
    ['gemini-3.5-flash-live-preview', '3.1'],
    ['gemini-3.9-live', '3.8'],
  ])('follows the rules of the one before it: %s those of %s', (model, name) => {
    expect(generationOf(model).name).toBe(name);
  });
});

describe('usage by the older names', () => {
  it.each([
    [{}, { outputTextTokens: 0, outputAudioTokens: 25 }],
    [
      {
        candidatesTokensDetails: [
          { modality: 'TEXT', tokenCount: 5 },
          { modality: 'AUDIO', tokenCount: 20 },
        ],
      },
      { outputTextTokens: 5, outputAudioTokens: 20 },
    ],
  ])('is counted as well, with the details %j', async (details, usage) => {
    const line = await open();
    await line.peer.tell({ usageMetadata: { candidatesTokenCount: 25, ...details } });
    expect(line.of('usage')).toMatchObject([
      { usage: { inputTextTokens: 0, inputAudioTokens: 0, ...usage } },
    ]);
  });
});

describe('answers that were cut off', () => {
  it('are known until 64 newer ones were given', async () => {
    const line = await open();
    for (let i = 0; i < 65; i += 1) {
      line.peer.say(speech(2_000), generated);
      await line.peer.settle();
      line.clock.advance(2_000);
      await line.peer.tell(complete);
    }
    const items = [...new Set(line.of('audio').map(({ itemId }) => itemId))];
    expect(items).toHaveLength(65);
    const unheard = (i: number): HeardItem => ({ itemId: items[i] ?? '', playedMs: 0, receivedMs: 2_000 });
    line.session.interrupt([unheard(0)]);
    await line.peer.settle();
    expect(texts(line.peer)).toEqual([]);
    // The oldest that is still known: the model believes that all of it was heard.
    line.session.interrupt([unheard(1)]);
    await line.peer.settle();
    expect(texts(line.peer)).toHaveLength(1);
  });

  it('are not over after a pause in which the caller said nothing', async () => {
    const line = await open();
    await line.peer.tell(speech(2_000, 1));
    line.session.interrupt([]);
    line.clock.advance(1_000);
    await line.peer.tell(speech(100, 2));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1]);
  });

  it('are not over for words of the caller that came before they were cut', async () => {
    const line = await open();
    await line.peer.tell(heard('Is it open?'), speech(100, 1));
    line.session.interrupt([]);
    line.clock.advance(1_000);
    await line.peer.tell(speech(100, 2));
    // They are from now on.
    await line.peer.tell(heard('Stop.'));
    line.clock.advance(1_000);
    await line.peer.tell(speech(100, 3));
    expect(line.of('audio').map(({ bytes }) => bytes[0])).toEqual([1, 3]);
  });
});

describe('audio while the model stands still', () => {
  it('goes out at once when none is to be kept', async () => {
    const line = await open(TOOLS, { ...OLD, holdAudioMs: 0 });
    await line.peer.tell(toolCall('c1'));
    expect(line.session.sendAudio(new Uint8Array(FRAME_IN))).toBe(true);
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(FRAME_IN);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(FRAME_IN);
    expect(line.of('warning')).toEqual([]);
  });

  it('is not said to have ended, for nothing may be sent; that follows when it was delivered', async () => {
    const line = await open(TOOLS, OLD);
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    await line.peer.tell(toolCall('c1'));
    line.session.sendAudio(new Uint8Array(FRAME_IN));
    await pass(line, 10_000);
    expect(line.peer.kinds()).toEqual([]);
    line.session.sendToolResult('c1', result('1'));
    await line.peer.settle();
    expect(line.peer.audioBytes).toBe(2 * FRAME_IN);
    await pass(line, 1_000);
    expect(line.peer.kinds()).toEqual(['toolResponse', 'audioStreamEnd']);
  });
});

describe('speech of the caller whose end the service does not tell', () => {
  it('holds the agent back for half a minute and no longer', async () => {
    const line = await open();
    await line.peer.tell({ voiceActivity: { voiceActivityType: 'ACTIVITY_START' } });
    line.session.say('Are you still there?');
    await pass(line, 29_000);
    expect(line.peer.kinds()).toEqual([]);
    await pass(line, 5_000);
    expect(line.peer.kinds()).toEqual(['text']);
  });
});

describe('a handle', () => {
  it('that cannot be gone on with is none', async () => {
    const line = await open();
    const update = (fields: Message): Message => ({ sessionResumptionUpdate: fields });
    await line.peer.tell(
      update({ newHandle: 'h1', resumable: true }),
      update({ newHandle: 'h2', resumable: false }),
      update({ newHandle: 'h3' }),
      update({ newHandle: 'h4', resumable: true }),
    );
    expect(line.of('resumable').map(({ handle }) => handle)).toEqual(['h1', undefined, 'h4']);
  });
});

describe('the simulated service', () => {
  it('refuses a function whose parameters are told in both ways', async () => {
    const parameters = { type: 'OBJECT', properties: {} };
    const both = { name: 'f', parameters, parametersJsonSchema: { type: 'object', properties: {} } };
    const { parametersJsonSchema, ...one } = both;
    await using sim = await startGeminiSimulator();
    await connect(sim, tools([one, { name: 'g', parametersJsonSchema }]));
    const client = new GeminiClient(`${sim.liveUrl}?key=k`);
    await client.opened;
    client.send(setupOf(tools([both])));
    expect(await client.closed).toMatchObject({ code: 1007 });
    expect(client.messages).toEqual([]);
    expect(sim.connections[1]?.refusal).toContain("'f' has both parameters and parametersJsonSchema");
  });

  it('refuses a second setup, before the first is acknowledged and after', async () => {
    const clock = new VirtualClock();
    await using sim = await startGeminiSimulator({ clock, setupMs: 200 });
    const hasty = new GeminiClient(`${sim.liveUrl}?key=k`);
    await hasty.opened;
    hasty.send(setupOf());
    hasty.send(setupOf());
    expect(await hasty.closed).toMatchObject({ code: 1007 });
    expect(hasty.messages).toEqual([]);
    expect(sim.connections[0]?.refusal).toContain('but one setup');
    await using other = await startSession();
    other.client.send(setupOf());
    expect(await other.client.closed).toMatchObject({ code: 1007 });
    expect(other.connection.refusal).toContain('a session has one setup');
  });
});
