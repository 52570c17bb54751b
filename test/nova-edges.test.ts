import { afterEach, describe, expect, it } from 'vitest';
import { failure } from '../src/providers/nova/errors.ts';
import { Uplink } from '../src/providers/nova/uplink.ts';
import { createNovaProvider } from '../src/providers/nova.ts';
import {
  audioOutput,
  CREDENTIALS,
  contentEnd,
  contentStart,
  heard,
  type Line,
  open,
  request,
  sentence,
  startServer,
  text,
} from './support/nova-peer.ts';
import { cleanUp, whenOver } from './support/peers.ts';
import { VirtualClock } from './support/virtual-clock.ts';

afterEach(cleanUp);

/** 100 ms of speech at 8 kHz, telling pieces apart. */
const piece = (fill: number): Uint8Array => new Uint8Array(1_600).fill(fill);
const spoken = (line: Line): number[] => line.of('audio').map(({ bytes }) => bytes[0] ?? -1);

const CONTEXT = {
  host: 'bedrock',
  connecting: false,
  nearItsEnd: false,
  networkCode: undefined,
  scrub: (words: string): string => words,
};

describe('a refusal that nobody has a name for', () => {
  it.each([
    [401, 'PROVIDER_AUTH'],
    [408, 'PROVIDER_UNAVAILABLE'],
    [409, 'PROVIDER_CONFIG'],
    [424, 'PROVIDER_UNAVAILABLE'],
    [429, 'PROVIDER_RATE_LIMITED'],
  ])('is known by its status: %i is %s', async (status, code) => {
    const server = await startServer({ refuse: { status, type: 'OddException', message: 'No.' } });
    const provider = createNovaProvider({
      region: 'us-east-1',
      endpoint: server.url,
      credentials: CREDENTIALS,
    });
    whenOver(() => provider.close?.());
    const connecting = provider.connect(
      request({ clock: new VirtualClock() }),
      () => undefined,
      new AbortController().signal,
    );
    await expect(connecting).rejects.toMatchObject({ code });
  });
});

describe('a stream that ends without an error', () => {
  it.each([
    [{ connecting: true }, 'PROVIDER_UNAVAILABLE'],
    [{}, 'PROVIDER_CLOSED'],
    [{ nearItsEnd: true }, 'PROVIDER_EXPIRED'],
  ])('is none that stood, one that broke, or one that was due: %j', (more, code) => {
    expect(failure(undefined, { ...CONTEXT, ...more }).code).toBe(code);
  });
});

describe('a session', () => {
  it('takes 16 kHz where that spares a conversion, in both directions', async () => {
    const line = await open({ preferredFormats: [{ encoding: 'pcm16', rate: 16000 }] });
    const format = { encoding: 'pcm16', rate: 16000 };
    expect([line.session.input, line.session.output]).toEqual([format, format]);
    await line.sent();
    const started = line.peer.all('contentStart').find((body) => body['type'] === 'AUDIO');
    expect(started?.['audioInputConfiguration']).toMatchObject({ sampleRateHertz: 16000 });
    const [prompt] = line.peer.all('promptStart');
    expect(prompt?.['audioOutputConfiguration']).toMatchObject({ sampleRateHertz: 16000 });
  });

  it('takes the first format that it knows of those that are preferred', async () => {
    const line = await open({
      preferredFormats: [
        { encoding: 'mulaw', rate: 8000 },
        { encoding: 'pcm16', rate: 24000 },
        { encoding: 'pcm16', rate: 16000 },
      ],
    });
    expect(line.session.output).toEqual({ encoding: 'pcm16', rate: 24000 });
  });

  it.each([
    [1_624, 'HIGH'],
    [1_625, 'MEDIUM'],
    [1_874, 'MEDIUM'],
    [1_875, 'LOW'],
    [2_000, 'LOW'],
  ])('that is to wait %i ms for the caller to go on has the level %s', async (silenceMs, level) => {
    const line = await open({ turnDetection: { silenceMs } });
    expect(line.peer.all('sessionStart')[0]?.['turnDetectionConfiguration']).toEqual({
      endpointingSensitivity: level,
    });
  });
});

describe('speech that comes after the end of its answer', () => {
  it('is not played, also of a block that is still open', async () => {
    const line = await open();
    line.peer.say(
      ...text('a-planned', 'ASSISTANT', 'SPECULATIVE', 'Hello.'),
      contentStart('a-audio', 'AUDIO', 'ASSISTANT'),
      audioOutput('a-audio', piece(1)),
      ...text('b-planned', 'ASSISTANT', 'SPECULATIVE', 'How are you?'),
      contentStart('b-audio', 'AUDIO', 'ASSISTANT'),
      audioOutput('b-audio', piece(2)),
      contentEnd('a-audio', 'AUDIO', 'END_TURN'),
      audioOutput('b-audio', piece(3)),
      contentEnd('b-audio', 'AUDIO', 'PARTIAL_TURN'),
    );
    line.peer.say(...heard('u', 'Hi.'), ...sentence('c', 'Yes?', piece(4)));
    await line.settle();
    expect(spoken(line)).toEqual([1, 2, 4]);
    expect(line.of('responseDone').map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(line.of('responseStarted')).toHaveLength(2);
  });
});

describe('a text of ours', () => {
  it('is taken for an echo once: whoever says the same words is heard', async () => {
    const line = await open();
    line.session.sendText('Hello there.', { role: 'user', respond: true });
    await line.sent();
    line.peer.say(...heard('echo', ' Hello there. '), ...sentence('a', 'Hi.', piece(1)));
    line.peer.say(...heard('u', 'Hello there.'), ...sentence('b', 'Hi again.', piece(2)));
    await line.settle();
    const words = line.of('transcript').filter(({ role, final }) => role === 'user' && final);
    expect(words.map(({ itemId, text: said }) => [itemId, said])).toEqual([['u', 'Hello there.']]);
  });
});

describe('silence for a caller who sends none', () => {
  it('is made up for no longer than a second, however long the process stood still', async () => {
    const clock = new VirtualClock();
    const uplink = new Uplink({
      clock,
      format: { encoding: 'pcm16', rate: 8000 },
      backlogMs: 120_000,
      stallMs: 600_000,
      audioDropped: () => undefined,
      stalled: () => undefined,
    });
    const reader = uplink[Symbol.asyncIterator]();
    uplink.openAudio({ head: '{"audio":"', tail: '"}' });
    clock.advance(60_000);
    // What is late waits for the network first.
    await new Promise((resolve) => setImmediate(resolve));
    let bytes = 0;
    while (bytes < 16_000) {
      const { value } = await reader.next();
      const { audio: base64 } = JSON.parse(String(value?.chunk?.bytes)) as { audio: string };
      bytes += Buffer.from(base64, 'base64').length;
    }
    expect(bytes).toBe(16_000);
    const more = reader.next();
    uplink.drop();
    expect(await more).toEqual({ done: true, value: undefined });
    expect(clock.pending).toBe(0);
  });
});
