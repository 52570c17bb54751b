import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLOOR_DELAY, firPath } from '../bench/floor/fir.ts';
import { startRelay } from '../bench/floor/relay.ts';
import { RESAMPLER_DELAY_MS } from '../bench/load/codec-delay.ts';
import { CodeReader, CodeWriter, MULAW, PCM24, silentBase64 } from '../bench/load/frame-code.ts';
import { type LoadFigures, LoadGenerator } from '../bench/load/generator.ts';
import { Histogram } from '../bench/load/histogram.ts';
import { CLIENT_MASK, FrameReader, frameOf, textOf } from '../bench/load/web-socket.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { createBridge } from '../src/server.ts';

const SECRET = 'c0ffee00c0ffee00c0ffee00c0ffee00';
const CALLS = 3;
const SECONDS = 1;

interface Target extends AsyncDisposable {
  readonly url: string;
  readonly codecDelay: number;
}

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchcord-test-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function bridge(providerUrl: string, env: Readonly<Record<string, string>>): Promise<Target> {
  const config = loadConfig({
    PORT: '0',
    HOST: '127.0.0.1',
    PROVIDER: 'openai',
    OPENAI_API_KEY: 'sk-test',
    OPENAI_BASE_URL: providerUrl,
    TWILIO_AUTH_TOKEN: SECRET,
    DATA_DIR: folder,
    ...env,
  });
  const service = await createBridge({ config, log: createLog('silent') });
  return {
    url: await service.listen(),
    codecDelay: env['AUDIO_PATH'] === 'wideband' ? RESAMPLER_DELAY_MS * 8 : 0,
    [Symbol.asyncDispose]: () => service.close(),
  };
}

/** A relay that has lost every tenth frame of the caller. */
async function lossy(providerUrl: string): Promise<Target> {
  let frames = 0;
  const silence = Buffer.alloc(160, 0xff).toString('base64');
  const audioPath = {
    up: (payload: string) => {
      frames += 1;
      return frames % 10 === 0 ? silence : payload;
    },
    down: (payload: string) => payload,
  };
  const relay = await startRelay({ providerUrl, format: { type: 'audio/pcmu' }, audioPath: () => audioPath });
  return { url: relay.url, codecDelay: 0, [Symbol.asyncDispose]: () => relay.close() };
}

async function floor(providerUrl: string, isFir: boolean): Promise<Target> {
  const relay = await startRelay({
    providerUrl,
    format: isFir ? { type: 'audio/pcm', rate: 24_000 } : { type: 'audio/pcmu' },
    audioPath: isFir ? firPath : undefined,
  });
  return {
    url: relay.url,
    codecDelay: isFir ? FLOOR_DELAY : 0,
    [Symbol.asyncDispose]: () => relay.close(),
  };
}

type StartTarget = (providerUrl: string) => Promise<Target>;

const TARGETS: Readonly<Record<string, StartTarget>> = {
  bridge: (url) => bridge(url, { AUDIO_PATH: 'passthrough' }),
  'bridge-24k': (url) => bridge(url, { AUDIO_PATH: 'wideband' }),
  'bridge-recorded': (url) => bridge(url, { AUDIO_PATH: 'passthrough', RECORDING: 'bridge' }),
  floor: (url) => floor(url, false),
  'floor-fir': (url) => floor(url, true),
};

/** Calls of which everything has come at their end. */
async function run(start: StartTarget | undefined, talk: boolean): Promise<LoadFigures> {
  const generator = new LoadGenerator();
  try {
    const providerUrl = await generator.listen();
    if (start === undefined) throw new Error('there is no such target');
    await using target = await start(providerUrl);
    const webhookUrl = `${target.url}/voice/twilio`;
    const { codecDelay } = target;
    const plan = { webhookUrl, secret: SECRET, calls: CALLS, perSecond: 100, codecDelay, talk };
    const ramp = await generator.up(plan);
    expect(ramp.failures).toEqual([]);
    expect(ramp).toMatchObject({ up: CALLS, document: { count: CALLS }, firstAudio: { count: CALLS } });
    const figures = await generator.measure(talk ? 2.5 * SECONDS : SECONDS);
    const end = await generator.down();
    expect(end).toEqual({ lostAtEnd: 0 });
    return figures;
  } finally {
    await generator.close();
  }
}

describe('the load of the bench of calls', () => {
  it.each(Object.keys(TARGETS))('reaches %s and comes back, every frame of it', async (name) => {
    const figures = await run(TARGETS[name], false);
    expect(figures).toMatchObject({ lost: 0, spoilt: 0, nonsense: 0 });
    // Half of what there has to be, for a machine that is busy.
    const least = (CALLS * SECONDS * 50) / 2;
    expect(figures.up.count).toBeGreaterThan(least);
    expect(figures.down.count).toBeGreaterThan(least);
    expect(figures.up.max).toBeGreaterThan(0);
    expect(figures.lateness.count).toBeGreaterThan(0);
  });

  it('lets callers cut in, and finds out how soon the carrier is told to stop', async () => {
    const figures = await run(TARGETS['bridge'], true);
    expect(figures).toMatchObject({ lost: 0, spoilt: 0, nonsense: 0 });
    expect(figures.bargeIn.count).toBeGreaterThan(0);
  });

  it('finds out what is lost on the way', async () => {
    const { lost, spoilt, up } = await run(lossy, false);
    expect(spoilt).toBeGreaterThan(0);
    expect(Math.abs(lost - spoilt)).toBeLessThanOrEqual(CALLS);
    expect(up.count).toBeGreaterThan(5 * lost);
  });
});

describe('the numbers in the audio of the bench', () => {
  const NO_MASK = new Uint8Array(4);
  const numbers = [0, 1, 341, 682, 1022, 1023];

  function heard(audio: Buffer, cuts: readonly number[], sound = MULAW): number[] {
    const found: number[] = [];
    const reader = new CodeReader(sound, 0, {
      onNumber: (value) => found.push(value),
      onNone: () => found.push(-1),
    });
    let from = 0;
    for (const to of [...cuts, audio.length]) {
      const text = Buffer.from(audio.subarray(from, to).toString('base64'));
      reader.read(text, 0, text.length, NO_MASK, 0, 0);
      from = to;
    }
    return found;
  }

  function spoken(sound: typeof MULAW): Buffer {
    const writer = new CodeWriter(sound, undefined, 0);
    return Buffer.concat(
      numbers.map((number) => {
        const text = Buffer.from(silentBase64(sound));
        writer.write(text, 0, number, 'sequence');
        return Buffer.from(text.toString(), 'base64');
      }),
    );
  }

  it.each([MULAW, PCM24])('are read from $name, however the messages are cut', (sound) => {
    const audio = spoken(sound);
    expect(heard(audio, [], sound)).toEqual(numbers);
    expect(heard(audio, [1, 2, 99, 161, 500, 501], sound)).toEqual(numbers);
  });

  it('are no numbers any more when a step of them is another', () => {
    const audio = spoken(MULAW);
    audio[37] = (audio[37] ?? 0) ^ 0x80;
    expect(heard(audio, [])).toEqual([-1, ...numbers.slice(1)]);
  });
});

describe('the frames of the bench', () => {
  function texts(bytes: Buffer, piece: number): string[] {
    const found: string[] = [];
    const fail = (what?: string | Buffer): never => {
      throw new Error(String(what));
    };
    const reader = new FrameReader(
      {
        onText: (data, at, end, mask) => void found.push(textOf(data, at, end, mask)),
        onAnswer: fail,
        onClose: fail,
        onNonsense: fail,
      },
      undefined,
    );
    for (let at = 0; at < bytes.length; at += piece) reader.push(bytes.subarray(at, at + piece));
    return found;
  }

  it.each([97, 126, 70_000])('are put together from pieces of %i bytes', (piece) => {
    const wanted = ['', 'short', 'x'.repeat(125), 'y'.repeat(126), 'z'.repeat(65_536)];
    const plain = wanted.map((text) => frameOf(text, undefined).bytes);
    const masked = wanted.map((text) => frameOf(text, CLIENT_MASK).bytes);
    expect(texts(Buffer.concat([...plain, ...masked]), piece)).toEqual([...wanted, ...wanted]);
  });
});

describe('the times of the bench', () => {
  it('are told again with an error of little more than a hundredth', () => {
    const histogram = new Histogram();
    for (let i = 1; i <= 10_000; i++) histogram.record(i / 100);
    for (const share of [0.5, 0.99, 0.999]) {
      expect(histogram.percentile(share)).toBeGreaterThanOrEqual(share * 99.99);
      expect(histogram.percentile(share)).toBeLessThan(share * 101.2);
    }
    expect(histogram.spread()).toMatchObject({ count: 10_000, max: 100 });
  });
});
