import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { createLevelMeter, dbm0 } from '../src/audio/tone.ts';
import { createVoiceDetector } from '../src/audio/vad.ts';
import { bytesToSamples, readWav } from '../src/audio/wav.ts';
import { systemClock } from '../src/clock.ts';
import { createSpeechEngine } from '../src/providers/local/engine.ts';
import {
  MemoryWasi,
  ProgramExit,
  readFliteWav,
  type WasmModule,
} from '../src/providers/local/flite-worker.ts';
import {
  keyWords,
  numberWords,
  reportWords,
  splitSentences,
  timeWords,
} from '../src/providers/local/sentences.ts';
import { Voice, voiceFor } from '../src/providers/local/voice.ts';
import { createLocalProvider } from '../src/providers/local.ts';
import { HummingEngine, LocalLine, WatchedEngine } from './support/local-line.ts';
import { fitTone, noise, rms } from './support/signal.ts';
import { VirtualClock } from './support/virtual-clock.ts';

declare const WebAssembly: { compile(bytes: Uint8Array): Promise<WasmModule> };

/** A program that has a memory and whose start is `body` (WebAssembly instructions), importing nothing. */
function program(body: readonly number[]): Promise<WasmModule> {
  const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
  const section = (id: number, content: readonly number[]): number[] => [id, content.length, ...content];
  const code = [0, ...body, 0x0b];
  return WebAssembly.compile(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, [1, 0x60, 0, 0]),
      ...section(3, [1, 0]),
      ...section(5, [1, 0, 1]),
      ...section(7, [2, ...text('memory'), 2, 0, ...text('_start'), 0, 0]),
      ...section(10, [1, code.length, ...code]),
    ]),
  );
}

const UNREACHABLE = [0x00];
const FOR_EVER = [0x03, 0x40, 0x0c, 0x00, 0x0b];

describe('flite in its worker', () => {
  const engine = createSpeechEngine();
  afterAll(() => engine.close());

  it.each(['slt', 'rms', 'awb', 'kal16'])('speaks with the voice %s', async (voice) => {
    const samples = await engine.render('The quick brown fox jumps over the lazy dog.', voice);
    expect(samples.length / 16_000).toBeGreaterThan(1.8);
    expect(samples.length / 16_000).toBeLessThan(4);
    const detector = createVoiceDetector({ rate: 16_000 });
    const noisy = samples.map((value, i) => value + ((i * 7919) % 41) - 20);
    let voiced = 0;
    for (let at = 0; at + 320 <= noisy.length; at += 320) if (detector.process(noisy, at).speech) voiced += 1;
    expect(voiced / (noisy.length / 320)).toBeGreaterThan(0.4);
  });

  it('says the same text the same way, and longer texts longer', async () => {
    const [one, two, longer] = await Promise.all([
      engine.render('Minus eighteen.', 'slt'),
      engine.render('Minus eighteen.', 'slt'),
      engine.render('Minus eighteen. Minus eighteen. Minus eighteen.', 'slt'),
    ]);
    expect(one).toEqual(two);
    expect(longer.length).toBeGreaterThan(2 * one.length);
  });

  it('says numbers as words: digits and words sound alike', async () => {
    const [digits, spelt, other] = await Promise.all(
      ['It is 42.', 'It is forty two.', 'It is a large elephant.'].map((text) => engine.render(text, 'slt')),
    );
    expect(digits).toEqual(spelt);
    expect(digits).not.toEqual(other);
  });

  it.each(['-t', '--help', '/etc/passwd', '', '"; rm', 'ü'])(
    'takes %j for a text and nothing else',
    async (text) => {
      await expect(engine.render(text, 'slt')).resolves.toBeInstanceOf(Int16Array);
    },
  );

  it('leaves other work alone while it speaks', async () => {
    const before = systemClock.now();
    const work = engine.render('This takes a while to say. '.repeat(40), 'slt');
    let turns = 0;
    let done = false;
    const finished = work.then(() => {
      done = true;
    });
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    await finished;
    // On this thread it would be one turn.
    expect(turns).toBeGreaterThan(50);
    expect(systemClock.now()).toBeGreaterThan(before);
  });
});

describe('the worker', () => {
  it('answers for a program that fails, and goes on', async () => {
    const engine = createSpeechEngine(() => program(UNREACHABLE));
    for (let i = 0; i < 2; i++) {
      await expect(engine.render('x', 'slt')).rejects.toMatchObject({
        code: 'INTERNAL',
        message: expect.stringContaining('unreachable'),
      });
    }
    expect(engine.answered).toBe(2);
    await engine.close();
  });

  it('answers for a program that writes nothing', async () => {
    const engine = createSpeechEngine(() => program([]));
    await expect(engine.render('x', 'slt')).rejects.toThrow(/wrote no file/);
    await engine.close();
  });

  it('is started again after a text that does not come to an end', async () => {
    const engine = createSpeechEngine();
    await engine.render('x', 'slt');
    const failures = Promise.allSettled([
      engine.render('This takes very long. '.repeat(1000), 'slt'),
      engine.render('y', 'slt'),
    ]);
    await new Promise((resolve) => setImmediate(resolve));
    engine.restart('a test');
    expect((await failures).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await engine.render('z', 'slt')).length).toBeGreaterThan(0);
    await engine.close();
  });

  it('does not keep the process alive once it has answered', async () => {
    // Only what keeps the process alive is listed.
    const ports = (): number =>
      process.getActiveResourcesInfo().filter((name) => /Port|Worker/.test(name)).length;
    // Threads that other tests have ended may still be going.
    await expect.poll(ports, { interval: 20 }).toBe(0);
    const before = 0;
    const engine = createSpeechEngine();
    await engine.render('x', 'slt');
    const work = engine.render('y', 'slt');
    await new Promise((resolve) => setImmediate(resolve));
    expect(ports()).toBeGreaterThan(before);
    await work;
    await new Promise((resolve) => setImmediate(resolve));
    expect(ports()).toBe(before);
    await engine.close();
  });

  it('answers for a text, whenever the thread is given up while it comes', async () => {
    const engine = createSpeechEngine();
    for (let turns = 0; turns < 8; turns++) {
      await engine.render('One.', 'slt');
      const text = engine.render('Two.', 'slt').then(
        () => 'spoken',
        () => 'refused',
      );
      for (let i = 0; i < turns; i++) await Promise.resolve();
      engine.restart('the test says so');
      expect(['spoken', 'refused']).toContain(await text);
    }
    await engine.close();
  });

  it('is not started for a program that cannot be loaded, which is tried again', async () => {
    let loads = 0;
    const engine = createSpeechEngine(async () => {
      loads += 1;
      if (loads === 1) throw new Error('no disk');
      return await program([]);
    });
    await expect(engine.render('x', 'slt')).rejects.toThrow(/cannot be loaded/);
    await expect(engine.render('x', 'slt')).rejects.toThrow(/wrote no file/);
    await engine.close();
  });

  it('gives up what is under way when it is closed, and takes nothing after that', async () => {
    const engine = createSpeechEngine(() => program(FOR_EVER));
    const stuck = engine.render('x', 'slt').catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.all([engine.close(), engine.close()]);
    expect(await stuck).toMatchObject({ code: 'CANCELLED' });
    await expect(engine.render('y', 'slt')).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('the system that flite runs on', () => {
  function machine(args: readonly string[] = []): {
    wasi: MemoryWasi;
    view: DataView;
    bytes: Uint8Array;
    call: (name: string, ...values: readonly (number | bigint)[]) => number;
  } {
    const wasi = new MemoryWasi(args);
    const buffer = new ArrayBuffer(65_536);
    wasi.memory = { buffer };
    const imports = wasi.imports as Record<string, (...values: readonly (number | bigint)[]) => number>;
    const call = (name: string, ...values: readonly (number | bigint)[]): number => {
      const found = imports[name];
      if (found === undefined) throw new Error(`no import ${name}`);
      return found(...values);
    };
    return { wasi, view: new DataView(buffer), bytes: new Uint8Array(buffer), call };
  }

  function openFile(
    m: ReturnType<typeof machine>,
    name: string,
    flags: number,
  ): { errno: number; file: number } {
    m.bytes.set(Buffer.from(name), 1000);
    const errno = m.call('path_open', 3, 0, 1000, name.length, flags, 0n, 0n, 0, 2000);
    return { errno, file: m.view.getUint32(2000, true) };
  }

  function write(m: ReturnType<typeof machine>, file: number, text: string): number {
    m.bytes.set(Buffer.from(text), 3000);
    m.view.setUint32(4000, 3000, true);
    m.view.setUint32(4004, 2, true);
    m.view.setUint32(4008, 3002, true);
    m.view.setUint32(4012, text.length - 2, true);
    return m.call('fd_write', file, 4000, 2, 2000);
  }

  it('hands over the arguments', () => {
    const m = machine(['flite', '-t', 'Grüße']);
    m.call('args_sizes_get', 0, 4);
    expect([m.view.getUint32(0, true), m.view.getUint32(4, true)]).toEqual([3, 17]);
    m.call('args_get', 100, 200);
    expect(Buffer.from(m.bytes.subarray(200, 217)).toString()).toBe('flite\0-t\0Grüße\0');
    expect(m.view.getUint32(108, true)).toBe(209);
  });

  it('keeps files in memory: written in pieces, overwritten from the middle, found again', () => {
    const m = machine();
    expect(openFile(m, 'a.wav', 0).errno).toBe(44);
    const { errno, file } = openFile(m, 'a.wav', 9);
    expect([errno, file]).toEqual([0, 4]);
    expect(write(m, file, 'hello')).toBe(0);
    expect(m.view.getUint32(2000, true)).toBe(5);
    expect(m.call('fd_seek', file, 1n, 0, 2000)).toBe(0);
    write(m, file, 'XY');
    expect(m.call('fd_seek', file, 0n, 2, 2000)).toBe(0);
    expect(m.view.getBigUint64(2000, true)).toBe(5n);
    const stored = m.wasi.files.get('a.wav');
    expect(Buffer.from(stored?.bytes.subarray(0, stored.size) ?? []).toString()).toBe('hXYlo');
    expect(m.call('fd_close', file)).toBe(0);
    expect(m.call('fd_close', file)).toBe(8);
    expect(openFile(m, 'a.wav', 0).errno).toBe(0);
    expect(m.wasi.files.get('a.wav')?.size).toBe(5);
    openFile(m, 'a.wav', 8);
    expect(m.wasi.files.get('a.wav')?.size).toBe(0);
  });

  it('keeps what the program says, and refuses what is not there', () => {
    const m = machine();
    expect(write(m, 2, 'oh no')).toBe(0);
    expect(m.wasi.messages).toBe('oh no');
    expect(write(m, 9, 'xx')).toBe(8);
    expect(m.call('fd_seek', 9, 0n, 0, 2000)).toBe(8);
    expect(m.call('fd_seek', 1, 0n, 0, 2000)).toBe(70);
    expect(m.call('fd_prestat_get', 3, 2000)).toBe(0);
    expect(m.call('fd_prestat_get', 4, 2000)).toBe(8);
    expect(m.call('fd_fdstat_get', 7, 2000)).toBe(8);
    expect(() => m.call('proc_exit', 3)).toThrow(ProgramExit);
  });

  it('takes only the WAV file that flite writes', () => {
    expect(() => readFliteWav(new Uint8Array(10))).toThrow(/no WAV file/);
    const wav = Buffer.alloc(48);
    wav.write('RIFF', 0).toString();
    wav.write('data', 36);
    wav.writeUInt16LE(1, 22);
    wav.writeUInt32LE(8000, 24);
    wav.writeUInt16LE(16, 34);
    wav.writeUInt32LE(4, 40);
    expect(() => readFliteWav(wav)).toThrow(/8000 Hz, wanted 1, 16 and 16000/);
    wav.writeUInt32LE(16_000, 24);
    wav.writeInt16LE(-5, 46);
    expect([...readFliteWav(wav)]).toEqual([0, -5]);
    wav.writeUInt32LE(999, 40);
    expect(readFliteWav(wav)).toHaveLength(2);
  });
});

describe('the voice', () => {
  const clock = new VirtualClock();

  it('brings every voice of flite to the level of people on a line', async () => {
    const engine = createSpeechEngine();
    const voice = new Voice(engine, 1e6);
    for (const name of ['slt', 'rms', 'awb', 'kal16'] as const) {
      const bytes = await voice.speech('The noise floor is minus sixty three.', name, PCM16_24K, clock);
      const samples = bytesToSamples(bytes, 'pcm16');
      const frames = Array.from({ length: Math.floor(samples.length / 480) }, (_, i) =>
        rms(samples.subarray(i * 480, i * 480 + 480)),
      );
      const active = frames.filter((frame) => frame > Math.max(...frames) / 18);
      expect(Math.abs(dbm0(rms(active)) + 16)).toBeLessThan(3);
      const meter = createLevelMeter(24_000);
      meter.push(samples, 0, samples.length);
      expect(meter.read().clipped).toBe(0);
    }
    await engine.close();
  });

  it('takes the voice of another provider for its own', () => {
    expect(['marin', undefined, 'toString', 'rms'].map(voiceFor)).toEqual(['slt', 'slt', 'slt', 'rms']);
  });

  it('says a sentence once for all calls, however many ask for it at once', async () => {
    const engine = new HummingEngine();
    const voice = new Voice(engine, 1e6);
    const ask = (): Promise<Uint8Array> => voice.speech('Hello.', 'slt', MULAW_8K, clock);
    const [one, two] = await Promise.all([ask(), ask()]);
    expect(await ask()).toBe(one);
    expect(two).toBe(one);
    expect(engine.asked).toHaveLength(1);
    await voice.speech('Hello.', 'slt', PCM16_24K, clock);
    await voice.speech('Hello.', 'rms', MULAW_8K, clock);
    expect(engine.asked).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });

  it('keeps no more than it may, and drops what was not used for longest', async () => {
    const engine = new HummingEngine();
    const voice = new Voice(engine, 3000);
    const say = (text: string): Promise<Uint8Array> => voice.speech(text, 'slt', MULAW_8K, clock);
    // 160 bytes a character.
    for (const text of ['aaaaaaa.', 'bbbbbbb.', 'aaaaaaa.', 'ccccccc.', 'aaaaaaa.']) await say(text);
    expect(voice.keptBytes).toBeLessThanOrEqual(3000);
    expect(engine.asked).toEqual(['aaaaaaa.', 'bbbbbbb.', 'ccccccc.']);
    await say('bbbbbbb.');
    expect(engine.asked).toHaveLength(4);
    await say('too long to be kept at all, whatever is thrown away for it');
    expect(voice.keptBytes).toBeLessThanOrEqual(3000);
  });

  it('plays the three tones of a line that is out of order', () => {
    const voice = new Voice(new HummingEngine(), 1e6);
    const samples = bytesToSamples(voice.outOfOrder(PCM16_24K), 'pcm16');
    const third = samples.length / 3;
    for (const [i, hz] of [950, 1400, 1800].entries()) {
      const fit = fitTone(samples.subarray(i * third + 100, (i + 1) * third - 100), hz, 24_000);
      expect(Math.abs(dbm0(fit.amplitude / Math.SQRT2) + 20)).toBeLessThan(0.1);
    }
  });
});

describe('a call when speech fails', () => {
  it('hears tones and goes on; the bridge is warned once', async () => {
    const line = await LocalLine.open();
    line.engine.broken = new Error('no voice');
    line.session.say('One. Two. Three.');
    await line.pass(9000);
    expect(line.of('warning')).toMatchObject([
      { code: 'speech_failed', message: expect.stringContaining('no voice') },
    ]);
    expect(line.said[0]).toBe('One. Two. Three.');
    expect(line.itemOf('One.')).toHaveLength(3 * 3 * 330 * 8);
    expect(line.of('responseDone')).toMatchObject([{ status: 'completed' }]);
    line.engine.broken = undefined;
    const before = line.audio().length;
    line.session.say('Back again.');
    await line.pass(2000);
    expect(line.audio().length - before).toBeLessThan(3 * 330 * 8);
    expect(line.of('error')).toEqual([]);
  });

  it('waits ten seconds for a thread that is stuck, and starts another', async () => {
    const line = await LocalLine.open();
    line.engine.stuck = true;
    line.session.say('One.');
    await line.pass(9900);
    expect(line.of('audio')).toEqual([]);
    await line.pass(2000);
    expect(line.engine.restarts).toBeGreaterThan(0);
    expect(line.of('warning')).toMatchObject([{ code: 'speech_failed' }]);
    expect(line.of('audio').length).toBeGreaterThan(0);
  });

  it('can be closed meanwhile, and nothing is left', async () => {
    const line = await LocalLine.open();
    line.engine.stuck = true;
    line.session.say('One.');
    await line.settle();
    await line.session.close('x');
    await line.pass(20_000);
    expect(line.types.at(-1)).toBe('closed');
    expect(line.clock.pending).toBe(0);
  });

  it('has nothing to say for a text without a word, and does not stop at it', async () => {
    const line = await LocalLine.open();
    line.session.say(' … ');
    line.session.say('Well.');
    await line.pass(8000);
    expect(line.of('responseDone').map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(line.said.at(-1)).toBe('Well.');
  });
});

describe('cutting in on real speech', () => {
  const watched = new WatchedEngine(createSpeechEngine());
  const provider = createLocalProvider({ engine: watched });
  afterAll(() => provider.close());
  const TEXT = 'Hello. It is a measuring program, not an intelligent agent. Please say a sentence.';

  async function speaking(): Promise<LocalLine> {
    const line = await LocalLine.open({ provider, watched });
    line.onEvent = (event) => {
      if (event.type === 'speechStarted') line.session.interrupt([]);
    };
    await line.hear(noise(8000, 10));
    line.session.say(TEXT);
    return line;
  }

  it.each([
    ['0870', 6],
    ['0870', -6],
    ['0880', 0],
    ['0880', -6],
    ['0890', 0],
    ['0890', -10],
  ])('works for sentence %s at %i dB within a second', async (name, gain) => {
    const line = await speaking();
    await line.hear(noise(8000 * 3, 10));
    const file = readWav(readFileSync(new URL(`../fixtures/speech/librivox-${name}.wav`, import.meta.url)));
    const speech = resampleWhole(file.channel(0), file.rate, 8000);
    const from = line.clock.now();
    await line.hear(Float64Array.from(speech, (value) => value * 10 ** (gain / 20)));
    expect((line.of('speechStarted')[0]?.atMs ?? Infinity) - from).toBeLessThan(1000);
    await line.session.close('done');
  });

  it.each([
    [-20, 50],
    [-20, 400],
    [-17, 150],
    [-40, 150],
  ])('is not done by its echo at %i dB after %i ms', async (db, delayMs) => {
    const line = await speaking();
    const startedAt = line.clock.now();
    for (let ms = 0; ms < 14_000; ms += 20) {
      const own = line.samples();
      const at = (line.clock.now() - startedAt - delayMs) * 8;
      await line.hear(noise(160, 10, ms + 1).map((value, i) => value + (own[at + i] ?? 0) * 10 ** (db / 20)));
    }
    expect(line.of('speechStarted')).toEqual([]);
    expect(line.of('responseDone')).toMatchObject([{ status: 'completed' }]);
    expect(line.samples().length).toBeGreaterThan(8 * 8000);
    await line.session.close('done');
  });
});

describe('many calls', () => {
  it('share one voice: the greeting of the 200th costs nothing', async () => {
    const watched = new WatchedEngine(createSpeechEngine());
    const provider = createLocalProvider({ engine: watched });
    const first = await LocalLine.open({ provider, watched });
    first.session.say('Hello. This is the line check.');
    await first.pass(8000);
    const { length } = watched.asked;
    expect(length).toBeGreaterThan(2);
    for (let i = 2; i <= 200; i++) {
      const line = await LocalLine.open({ provider, watched });
      line.session.say('Hello. This is the line check.');
      await line.settle();
      expect(line.audio()).toEqual(first.audio().subarray(0, line.audio().length));
      expect(line.audio().length).toBeGreaterThan(0);
      await line.session.close('done');
      expect(line.clock.pending).toBe(0);
    }
    expect(watched.asked).toHaveLength(length);
    await provider.close();
    expect(first.types.at(-1)).toBe('closed');
  });
});

describe('words', () => {
  it.each([
    [0, 'zero'],
    [-0.4, 'zero'],
    [7, 'seven'],
    [13, 'thirteen'],
    [20, 'twenty'],
    [-21, 'minus twenty one'],
    [100, 'one hundred'],
    [342, 'three hundred forty two'],
    [1004, 'one thousand four'],
    [12_345, 'twelve thousand three hundred forty five'],
    [1e9, 'nine hundred ninety nine thousand nine hundred ninety nine'],
  ])('%d is %s', (value, words) => {
    expect(numberWords(value)).toBe(words);
  });

  it.each([
    [2.1, 'two point one'],
    [0.04, 'zero point zero'],
    [9.96, 'ten point zero'],
    [-1.25, 'minus one point three'],
  ])('%d with a place is %s', (value, words) => {
    expect(numberWords(value, 1)).toBe(words);
  });

  it('reads keys', () => {
    expect(keyWords('0*#b')).toBe('zero, star, pound, the letter B');
  });

  it('reports what it knows and says what it does not', () => {
    expect(reportWords({ ms: 2140, levelDbm0: -18.4, clipped: 0 }, -61.2, 1)).toBe(
      'Your speech lasted two point one seconds. Its level is minus eighteen d B m zero. The noise floor is minus sixty one d B m zero. The round trip to the carrier takes one millisecond.',
    );
    expect(reportWords({ ms: 900, levelDbm0: -40, clipped: 0 }, Number.NEGATIVE_INFINITY, undefined)).toBe(
      'Your speech lasted zero point nine seconds. Its level is minus forty d B m zero, which is quiet. The noise floor is below minus seventy d B m zero. The round trip time is not known.',
    );
    expect(reportWords({ ms: 900, levelDbm0: -5, clipped: 0 }, undefined, 0.2)).toContain('which is loud');
    expect(reportWords({ ms: 900, levelDbm0: -5, clipped: 99 }, undefined, 0.2)).toContain('it is clipped');
    expect(reportWords(undefined, undefined, undefined)).toMatch(/^I have not heard you speak yet/);
  });

  it.each([
    ['2026-01-02T03:04:05Z', 'It is three oh four, universal time, on Friday, the second of January.'],
    [
      '2026-12-31T12:00:00Z',
      "It is twelve o'clock, universal time, on Thursday, the thirty first of December.",
    ],
    ['2026-08-04T00:30:00Z', 'It is zero thirty, universal time, on Tuesday, the fourth of August.'],
    [
      '2026-08-12T21:59:00Z',
      'It is twenty one fifty nine, universal time, on Wednesday, the twelfth of August.',
    ],
    ['now', undefined],
  ])('%s is told as a time', (utc, words) => {
    expect(timeWords(utc)).toBe(words);
  });

  it('are split into sentences that flite can read', () => {
    expect(splitSentences('One. Two!  Three? Four')).toEqual(['One.', 'Two!', 'Three?', 'Four']);
    expect(splitSentences('It costs 2.50 today.')).toEqual(['It costs 2.50 today.']);
    expect(splitSentences('It’s a “naïve” café — really.')).toEqual(["It's a naive cafe , really."]);
    expect(splitSentences('日本語')).toEqual([]);
    expect(splitSentences(' \n\0 … ?!')).toEqual([]);
    const long = splitSentences(`${'word, '.repeat(100)}${'x'.repeat(1000)}`);
    expect(Math.max(...long.map(({ length }) => length))).toBeLessThanOrEqual(240);
    expect(long.join('').replace(/\W/g, '')).toBe('word'.repeat(100) + 'x'.repeat(1000));
    expect(splitSentences('Too long. '.repeat(1000)).join(' ').length).toBeLessThanOrEqual(4000);
  });
});
