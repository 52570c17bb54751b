import { afterEach, describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { systemClock } from '../src/clock.ts';
import { CallMeter } from '../src/cost/meter.ts';
import { Prices, pricesSchema } from '../src/cost/prices.ts';
import type { ProviderEvent } from '../src/provider.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { InputCount, type InputPart } from '../src/sim/openai/input-count.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { silence, speech } from './support/openai-client.ts';
import { created, done, type Message, open } from './support/openai-peer.ts';
import { cleanUp } from './support/peers.ts';

type UsageEvent = Extract<ProviderEvent, { type: 'usage' }>;

afterEach(cleanUp);

const NOTHING = {
  inputTextTokens: 0,
  inputAudioTokens: 0,
  cachedTextTokens: 0,
  cachedAudioTokens: 0,
  outputTextTokens: 0,
  outputAudioTokens: 0,
};

/** What the adapter makes of the usage of one response. */
async function ofResponse(usage: unknown): Promise<readonly UsageEvent[]> {
  const line = await open();
  await line.peer.tell(created('resp_1'), done('resp_1', 'completed', { usage }));
  return line.of('usage');
}

/** What the adapter makes of the usage of one transcript, in a session with these fields on top. */
async function ofTranscript(
  usage: unknown,
  session: Message = {},
  over: Parameters<typeof open>[0] = {},
): Promise<readonly UsageEvent[]> {
  const line = await open(over, {}, session);
  await line.peer.tell({
    type: 'conversation.item.input_audio_transcription.completed',
    item_id: 'item_u',
    transcript: 'Hi.',
    ...(usage === undefined ? {} : { usage }),
  });
  expect(line.of('transcript')).toMatchObject([{ text: 'Hi.', final: true }]);
  return line.of('usage');
}

describe('the usage of a response', () => {
  it.each([
    [
      'all details',
      {
        total_tokens: 100,
        input_tokens: 70,
        output_tokens: 30,
        input_token_details: {
          text_tokens: 40,
          audio_tokens: 30,
          cached_tokens: 25,
          cached_tokens_details: { text_tokens: 15, audio_tokens: 10 },
        },
        output_token_details: { text_tokens: 10, audio_tokens: 20 },
      },
      {
        ...NOTHING,
        inputTextTokens: 40,
        inputAudioTokens: 30,
        cachedTextTokens: 15,
        cachedAudioTokens: 10,
        outputTextTokens: 10,
        outputAudioTokens: 20,
      },
    ],
    [
      'more cached tokens than text, and no word of which they are',
      { input_token_details: { text_tokens: 20, audio_tokens: 30, cached_tokens: 45 } },
      { ...NOTHING, inputTextTokens: 20, inputAudioTokens: 30, cachedTextTokens: 20, cachedAudioTokens: 25 },
    ],
    [
      'sums alone, which are taken for the dearer ones',
      { input_tokens: 70, output_tokens: 30 },
      { ...NOTHING, inputAudioTokens: 70, outputAudioTokens: 30 },
    ],
    [
      'sums that are larger than their details',
      {
        input_tokens: 70,
        output_tokens: 30,
        input_token_details: { audio_tokens: 50 },
        output_token_details: { audio_tokens: 10, reasoning_tokens: 20 },
      },
      { ...NOTHING, inputTextTokens: 20, inputAudioTokens: 50, outputTextTokens: 20, outputAudioTokens: 10 },
    ],
    [
      'nonsense',
      {
        input_tokens: 'many',
        input_token_details: { text_tokens: -5, audio_tokens: null },
        output_tokens: Number.MAX_VALUE * 0,
      },
      NOTHING,
    ],
  ])('may have %s', async (_what, wire, usage) => {
    expect(await ofResponse(wire)).toEqual([{ type: 'usage', usage }]);
  });

  it('never counts more than a billion, so that reports can be added up', async () => {
    const absurd = { text_tokens: 1e308, audio_tokens: 1e308 };
    const wire = { input_tokens: 1e308, input_token_details: absurd, output_tokens: 1e308 };
    expect(await ofResponse(wire)).toEqual([
      {
        type: 'usage',
        usage: { ...NOTHING, inputTextTokens: 1e9, inputAudioTokens: 1e9, outputAudioTokens: 1e9 },
      },
    ]);
    const session = { audio: { input: { transcription: { model: 'whisper-1' } } } };
    expect(await ofTranscript({ type: 'duration', seconds: 1e306 }, session)).toMatchObject([
      { seconds: 1e9 },
    ]);
  });

  it.each([undefined, null, 5, []])('may be %j, which is none', async (usage) => {
    expect(await ofResponse(usage)).toEqual([]);
  });
});

describe('the usage of a transcript', () => {
  it('is told in tokens, with the model that wrote it down', async () => {
    const usage = {
      type: 'tokens',
      total_tokens: 22,
      input_tokens: 17,
      input_token_details: { text_tokens: 5, audio_tokens: 12 },
      output_tokens: 5,
    };
    expect(await ofTranscript(usage)).toEqual([
      {
        type: 'usage',
        usage: { ...NOTHING, inputTextTokens: 5, inputAudioTokens: 12, outputTextTokens: 5 },
        model: 'gpt-transcribe',
        seconds: undefined,
      },
    ]);
  });

  it('is told in seconds by models that charge by the length of the speech', async () => {
    const session = { audio: { input: { transcription: { model: 'whisper-1' } } } };
    expect(await ofTranscript({ type: 'duration', seconds: 3.5 }, session)).toEqual([
      { type: 'usage', usage: NOTHING, model: 'whisper-1', seconds: 3.5 },
    ]);
  });

  it('goes by what the server says of its model, in either dialect, and else by what was asked for', async () => {
    const usage = { type: 'tokens', input_tokens: 9, output_tokens: 2 };
    const model = async (...rest: [Message?, Parameters<typeof open>[0]?]): Promise<unknown> =>
      (await ofTranscript(usage, ...rest))[0]?.model;
    expect(await model({ audio: { input: { transcription: { model: 'theirs' } } } })).toBe('theirs');
    expect(await model({ audio: undefined, input_audio_transcription: { model: 'flat' } })).toBe('flat');
    expect(await model({ audio: undefined })).toBe('gpt-transcribe');
    expect(await model({ audio: { input: { transcription: null } } }, { transcribeCaller: false })).toBe(
      'transcription',
    );
  });

  it('takes a sum of input for audio and one of output for text', async () => {
    const [told] = await ofTranscript({ type: 'tokens', input_tokens: 9, output_tokens: 2 });
    expect(told?.usage).toEqual({ ...NOTHING, inputAudioTokens: 9, outputTextTokens: 2 });
  });

  it('may be missing, and a transcript that failed has none', async () => {
    expect(await ofTranscript(undefined)).toEqual([]);
    const line = await open();
    await line.peer.tell({
      type: 'conversation.item.input_audio_transcription.failed',
      item_id: 'item_u',
      error: { message: 'no' },
    });
    expect(line.of('usage')).toEqual([]);
    expect(line.of('warning')).toMatchObject([{ code: 'transcription_failed' }]);
  });
});

describe('a call of four turns with the simulated server', () => {
  const table = pricesSchema.parse({
    currency: 'USD',
    providers: {
      openai: {
        perMillionTokens: {
          inputText: 4,
          cachedText: 0.4,
          inputAudio: 32,
          cachedAudio: 0.4,
          outputText: 16,
          outputAudio: 64,
        },
      },
      'gpt-transcribe': { perMillionTokens: { inputAudio: 6, outputText: 10 } },
      'whisper-1': { perMinute: 0.006 },
    },
  });
  const TURNS = 4;

  async function hold(transcriptionModel: string): Promise<{ meter: CallMeter; usages: UsageEvent[] }> {
    await using simulator = await startOpenAiSimulator({
      speedFactor: 'burst',
      firstAudioMs: 1,
      respond: () => ({ audioMs: 2000, transcript: 'A table for two at eight, then.' }),
      hear: () => ({ transcript: 'A table for two, please.', after: 0 }),
    });
    const provider = createOpenAiProvider({
      apiKey: 'key',
      baseUrl: simulator.url,
      model: 'gpt-realtime-2.1',
      transcriptionModel,
    });
    const meter = new CallMeter(systemClock, new Prices(table));
    const usages: UsageEvent[] = [];
    let heard: () => void = () => undefined;
    const session = await provider.connect(
      {
        instructions: 'You take reservations. '.repeat(40),
        voice: undefined,
        language: undefined,
        tools: [],
        turnDetection: {},
        transcribeCaller: true,
        preferredFormats: [MULAW_8K],
        history: [],
        overrides: {},
        clock: systemClock,
      },
      (event) => {
        if (event.type !== 'usage') return;
        usages.push(event);
        meter.usage('openai', 'gpt-realtime-2.1', event);
        heard();
      },
      new AbortController().signal,
    );
    for (let turn = 1; turn <= TURNS; turn++) {
      // One usage of the response, one of the transcript.
      const both = new Promise<void>((resolve) => {
        heard = () => usages.length === 2 * turn && resolve();
      });
      for (const part of [
        silence(300, 'audio/pcmu'),
        speech(1000, 'audio/pcmu'),
        silence(700, 'audio/pcmu'),
      ]) {
        session.sendAudio(part);
      }
      await both;
    }
    await session.close('over');
    return { meter, usages };
  }

  it('costs more with every turn, for everything said before is read again, mostly from the cache', async () => {
    const { meter, usages } = await hold('gpt-transcribe');
    const responses = usages.filter(({ model }) => model === undefined).map(({ usage }) => usage);
    expect(responses).toHaveLength(TURNS);
    expect(responses[0]).toMatchObject({ cachedTextTokens: 0, cachedAudioTokens: 0, outputAudioTokens: 40 });
    for (const [index, usage] of responses.entries()) {
      const before = responses[index - 1];
      if (before === undefined) continue;
      // What the agent said, and what the caller said.
      expect(usage.inputAudioTokens).toBeGreaterThanOrEqual(before.inputAudioTokens + 40 + 10);
      const read = before.inputTextTokens + before.inputAudioTokens;
      expect(usage.cachedTextTokens + usage.cachedAudioTokens).toBe(Math.floor(read / 64) * 64);
      expect(usage.cachedTextTokens).toBeLessThanOrEqual(usage.inputTextTokens);
      expect(usage.cachedAudioTokens).toBeLessThanOrEqual(usage.inputAudioTokens);
    }
    expect(responses.at(-1)?.cachedAudioTokens).toBeGreaterThan(0);

    const { usage, cost, unpriced } = meter.bill();
    expect(unpriced).toEqual([]);
    expect(Object.keys(usage).sort()).toEqual(['openai/gpt-realtime-2.1', 'openai/gpt-transcribe']);
    expect(usage['openai/gpt-transcribe']?.outputTextTokens).toBe(TURNS * 6);
    // By hand, with numbers as everybody has them.
    let dollars = 0;
    for (const { usage: of, model } of usages) {
      if (model !== undefined) dollars += of.inputAudioTokens * 6 + of.outputTextTokens * 10;
      else {
        dollars += (of.inputTextTokens - of.cachedTextTokens) * 4 + of.cachedTextTokens * 0.4;
        dollars += (of.inputAudioTokens - of.cachedAudioTokens) * 32 + of.cachedAudioTokens * 0.4;
        dollars += of.outputTextTokens * 16 + of.outputAudioTokens * 64;
      }
    }
    expect(cost?.total).toBeCloseTo(dollars / 1e6, 6);
    expect(cost?.total).toBeGreaterThan(0.01);
  });

  it('is charged by the second for a transcriber that does so', async () => {
    const { meter } = await hold('whisper-1');
    const { usage, unpriced } = meter.bill();
    expect(unpriced).toEqual([]);
    const seconds = usage['openai/whisper-1']?.seconds ?? 0;
    expect(seconds).toBeGreaterThanOrEqual(TURNS);
    expect(usage['openai/whisper-1']).toEqual({ ...NOTHING, seconds });
  });
});

describe('the cache of the simulated server', () => {
  const text = (content: string, tokens: number): InputPart => ({ content, text: tokens, audio: 0 });
  const audio = (content: string, tokens: number): InputPart => ({ content, text: 0, audio: tokens });

  it('knows the beginning that it has read before, in whole steps and by kinds', () => {
    const input = new InputCount();
    expect(input.count([text('be', 100), audio('a', 60)])).toEqual({
      text: 100,
      audio: 60,
      cachedText: 0,
      cachedAudio: 0,
    });
    expect(input.count([text('be', 100), audio('a', 60), audio('b', 500)])).toEqual({
      text: 100,
      audio: 560,
      cachedText: 100,
      cachedAudio: 28,
    });
    expect(input.lastTokens).toBe(660);
  });

  it('reads on in full from where something is another, and still knows what it read before that', () => {
    const input = new InputCount();
    const whole = [text('be', 64), audio('a', 64), audio('b', 64)];
    input.count(whole);
    expect(input.count([text('be', 64), audio('a cut', 10), audio('b', 64)])).toMatchObject({
      cachedText: 64,
      cachedAudio: 0,
    });
    expect(input.count([text('other', 64), audio('a', 64)])).toMatchObject({ cachedText: 0, cachedAudio: 0 });
    expect(input.count(whole)).toMatchObject({ cachedText: 64, cachedAudio: 128 });
  });
});
