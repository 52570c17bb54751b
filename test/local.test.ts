import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type AudioFormat, bytesPerMs, formatName, MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { createToneGenerator, dbm0, dtmfParts } from '../src/audio/tone.ts';
import { readWav } from '../src/audio/wav.ts';
import type { ToolResult } from '../src/provider.ts';
import { createLocalProvider } from '../src/providers/local.ts';
import { HummingEngine, type LineOptions, LocalLine, requestOf } from './support/local-line.ts';
import { fitTone, noise, rms } from './support/signal.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const GREETING = 'Hello. This is a test.';

function sentence(name = '0880', rate = 8000): Int16Array {
  const file = readWav(readFileSync(new URL(`../fixtures/speech/librivox-${name}.wav`, import.meta.url)));
  return resampleWhole(file.channel(0), file.rate, rate);
}

function hush(ms: number, rate = 8000): Float64Array {
  return noise((ms * rate) / 1000, 20);
}

const ok = (output: string, respond = true): ToolResult => ({ output, isError: false, respond });

/** A line whose caller interrupts as the bridge does, and whose functions answer. */
async function bridged(options: LineOptions = {}): Promise<LocalLine> {
  const line = await LocalLine.open(options);
  line.onEvent = (event) => {
    if (event.type === 'speechStarted') line.session.interrupt([]);
    if (event.type !== 'toolCall') return;
    if (event.name === 'line_status') line.session.sendToolResult(event.callId, ok('{"roundTripMs":42.4}'));
    if (event.name === 'current_time') {
      line.session.sendToolResult(event.callId, ok('{"utc":"2026-01-02T15:04:05.000Z"}'));
    }
    if (event.name === 'end_call') line.session.sendToolResult(event.callId, ok('{"ok":true}', false));
  };
  return line;
}

async function press(line: LocalLine, digits: string, ms = 4000): Promise<void> {
  line.session.interrupt([]);
  const text = `The caller pressed the key ${digits}.`;
  line.session.sendText(text, { role: 'user', respond: true, digits });
  // The line check waits a second for further keys.
  await line.pass(1000 + ms);
}

describe('a session with the line check', () => {
  const formats: readonly AudioFormat[] = [
    MULAW_8K,
    { encoding: 'alaw', rate: 8000 },
    { encoding: 'pcm16', rate: 8000 },
    { encoding: 'pcm16', rate: 16_000 },
    PCM16_24K,
  ];

  it.each(formats.map((format) => [formatName(format), format] as const))(
    'hears and speaks %s when that is preferred',
    async (_name, format) => {
      const line = await LocalLine.open({ request: { preferredFormats: [format, MULAW_8K] } });
      expect([line.session.input, line.session.output]).toEqual([format, format]);
      line.session.say('Hello.');
      await line.pass(3000);
      // 20 ms for each of the six characters, and at most 2 ms of a filter's tail.
      const ms = line.itemOf('Hello.').length / bytesPerMs(format);
      expect(ms).toBeGreaterThanOrEqual(120);
      expect(ms).toBeLessThan(123);
      expect(fitTone(line.samples().subarray(0, format.rate / 10), 300, format.rate).sinad).toBeGreaterThan(
        10,
      );
    },
  );

  it('speaks mu-law when it can do none of what is preferred', async () => {
    const odd = { encoding: 'mulaw', rate: 16_000 } as const;
    expect((await LocalLine.open({ request: { preferredFormats: [odd] } })).format).toEqual(MULAW_8K);
  });

  it('does not begin when nobody wants it any more', async () => {
    const provider = createLocalProvider({ engine: new HummingEngine() });
    const connect = provider.connect(requestOf(new VirtualClock()), () => undefined, AbortSignal.abort());
    await expect(connect).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('says a text as one response with pieces, whole text, audio and ends, in this order', async () => {
    const line = await LocalLine.open();
    line.session.say(GREETING);
    await line.pass(3000);
    const order = line.events.flatMap((event) =>
      event.type === 'transcript' ? [`${event.final ? 'whole' : 'piece'}: ${event.text}`] : [event.type],
    );
    const once = order.filter((name, i) => name !== order[i - 1]);
    expect(once.slice(0, 7)).toEqual([
      'responseStarted',
      'piece: Hello.',
      'audio',
      'piece:  This is a test.',
      'audio',
      `whole: ${GREETING}`,
      'audioDone',
    ]);
    expect(once.at(-1)).toBe('responseDone');
    expect(line.of('responseStarted')).toMatchObject([{ asked: true }]);
    expect(line.of('responseDone')).toMatchObject([{ status: 'completed', reason: undefined }]);
    const response = line.of('responseStarted')[0]?.responseId;
    expect(line.of('audio').every(({ responseId }) => responseId === response)).toBe(true);
  });

  it('tells after the first text what the caller can do, and only then', async () => {
    const line = await LocalLine.open();
    line.session.say(GREETING);
    line.session.say('Second.');
    await line.pass(9000);
    expect(line.said).toEqual([GREETING, expect.stringContaining('Key one is a test tone.'), 'Second.']);
    expect(line.of('responseDone')).toHaveLength(2);
  });

  it('gives every response, item, turn and call a name of its own', async () => {
    const line = await bridged();
    line.session.say(GREETING);
    await line.hear(hush(14_000));
    await line.hear(sentence());
    await line.hear(hush(12_000));
    await press(line, '3', 6000);
    const names = [
      ...line.of('responseStarted').map(({ responseId }) => responseId),
      ...new Set(line.of('audioDone').map(({ itemId }) => itemId)),
      ...line.of('speechStarted').map(({ itemId }) => itemId),
      ...line.of('toolCall').map(({ callId }) => callId),
    ];
    expect(names.length).toBeGreaterThan(10);
    expect(new Set(names).size).toBe(names.length);
  });

  it('sends half a second at once and then four times as fast as it is heard', async () => {
    const line = await LocalLine.open();
    line.session.say('x'.repeat(200));
    await line.settle();
    const sentMs = (): number => line.audio().length / 8;
    expect(sentMs()).toBe(500);
    await line.pass(500);
    expect(sentMs()).toBe(2500);
    expect(Math.max(...line.of('audio').map(({ bytes }) => bytes.length))).toBe(800);
    await line.pass(500);
    // With the 2 ms that the filter on the way to 8 kHz gives at the end.
    expect(line.itemOf('xxx')).toHaveLength(4000 * 8 + 15);
  });

  it('is closed once, at the end, with no timer left, in the middle of a word', async () => {
    const line = await LocalLine.open();
    line.session.say(GREETING.repeat(5));
    await line.pass(100);
    expect(line.clock.pending).toBeGreaterThan(0);
    await Promise.all([line.session.close('a'), line.session.close('b')]);
    expect(line.clock.pending).toBe(0);
    const count = line.events.length;
    line.session.say('More.');
    line.session.sendText('x', { role: 'user', respond: true, digits: '1' });
    line.session.interrupt([]);
    expect(line.session.sendAudio(new Uint8Array(160))).toBe(false);
    await line.session.close('c');
    await line.provider.close();
    await line.pass(1000);
    expect(line.events).toHaveLength(count);
    expect(line.types.filter((type) => type === 'closed')).toHaveLength(1);
    expect(line.events.at(-1)).toMatchObject({ type: 'closed', expected: true, error: undefined });
    expect(line.of('responseDone').at(-1)).toMatchObject({ status: 'cancelled' });
  });

  it('says closed once also when whoever is told of the end closes it again', async () => {
    const line = await LocalLine.open();
    line.onEvent = (event) => {
      if (event.type === 'responseDone') line.session.close('again').catch(() => undefined);
    };
    line.session.say(GREETING);
    await line.settle();
    await line.session.close('first');
    expect(line.types.filter((type) => type === 'closed')).toHaveLength(1);
    expect(line.types.at(-1)).toBe('closed');
  });

  it('ends with an error when the provider is closed, which takes no more calls', async () => {
    const line = await LocalLine.open();
    line.session.say(GREETING);
    await line.settle();
    await line.provider.close();
    await line.provider[Symbol.asyncDispose]();
    expect(line.of('error')).toMatchObject([{ fatal: true, error: { code: 'PROVIDER_CLOSED' } }]);
    expect(line.events.at(-1)).toMatchObject({ type: 'closed', expected: false });
    expect([line.engine.closed, line.clock.pending]).toEqual([1, 0]);
    const again = line.provider.connect(requestOf(line.clock), () => undefined, new AbortController().signal);
    await expect(again).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
  });

  it.each(['longestEchoMs', 'bargeInMs', 'cacheBytes'])('refuses a negative %s', (name) => {
    expect(() => createLocalProvider({ engine: new HummingEngine(), [name]: -1 })).toThrow(/wanted a number/);
  });
});

describe("the caller's turn", () => {
  it.each([
    ['mulaw/8000', MULAW_8K],
    ['alaw/8000', { encoding: 'alaw', rate: 8000 }],
    ['pcm16/24000', PCM16_24K],
  ] as const)('is played back bit by bit in %s', async (_name, format) => {
    const line = await bridged({ request: { preferredFormats: [format] } });
    const speech = sentence('0880', format.rate);
    await line.hear(hush(1000, format.rate));
    await line.hear(speech);
    await line.hear(hush(3000, format.rate));
    const echo = Buffer.from(line.itemOf('[echo of speech'));
    const sent = Buffer.concat(line.sent);
    expect(sent.indexOf(echo)).toBeGreaterThan(0);
    const ms = echo.length / bytesPerMs(format);
    // The recording has about 0.3 s of near silence at its ends.
    expect(ms).toBeGreaterThan(speech.length / (format.rate / 1000) - 700);
    expect(ms).toBeLessThan(speech.length / (format.rate / 1000) + 700);
  });

  it('is played back exactly when PCM16 comes in pieces of odd sizes', async () => {
    const line = await bridged({ request: { preferredFormats: [{ encoding: 'pcm16', rate: 8000 }] } });
    const sent: number[] = [];
    const whole = [...hush(1000), ...sentence(), ...hush(3000)];
    const bytes = Buffer.from(Int16Array.from(whole).buffer);
    for (let at = 0, size = 1; at < bytes.length; at += size, size = (size % 641) + 1) {
      const piece = bytes.subarray(at, at + size);
      sent.push(...piece);
      line.session.sendAudio(piece);
      line.clock.advance(piece.length / 16);
      await line.settle();
    }
    await line.pass(3000);
    const echo = Buffer.from(line.itemOf('[echo of speech'));
    const at = Buffer.from(sent).indexOf(echo);
    expect(at).toBeGreaterThan(0);
    expect(at % 2).toBe(0);
  });

  it('comes back whole when it arrives in one piece, as what was kept for a slow provider does', async () => {
    const line = await bridged();
    const { encodeG711 } = await import('../src/audio/g711.ts');
    const whole = encodeG711('mulaw', Int16Array.from([...hush(1000), ...sentence(), ...hush(1000)]));
    line.session.sendAudio(whole);
    await line.pass(5000);
    const echo = Buffer.from(line.itemOf('[echo of speech'));
    expect(Buffer.from(whole).indexOf(echo)).toBeGreaterThan(0);
    expect(echo.length).toBeGreaterThan(2000 * 8);
  });

  it('is announced, measured and answered in this order', async () => {
    const line = await bridged();
    await line.hear(hush(1000));
    await line.hear(sentence());
    await line.hear(hush(12_000));
    const order = line.types.filter((type) => type !== 'audio');
    expect(order.slice(0, 4)).toEqual(['speechStarted', 'speechStopped', 'transcript', 'responseStarted']);
    expect(line.of('responseStarted').map(({ asked }) => asked)).toEqual([false, true]);
    const [user] = line.of('transcript');
    expect(user).toMatchObject({ role: 'user', final: true, itemId: line.of('speechStarted')[0]?.itemId });
    expect(user?.text).toMatch(/^\[speech, \d\.\d s, -\d+ dBm0\]$/);
    const [started, stopped] = [line.of('speechStarted')[0], line.of('speechStopped')[0]];
    const heardMs = 1000 + sentence().length / 8;
    expect(started?.atMs).toBeLessThan(1600);
    expect(stopped?.atMs).toBeGreaterThan(heardMs + 600 - 450);
    expect(stopped?.atMs).toBeLessThan(heardMs + 600 + 100);
  });

  it('is reported in words: length, level, noise floor and round trip', async () => {
    const line = await bridged();
    await line.hear(noise(8000, 20));
    await line.hear(sentence());
    await line.hear(noise(8000 * 12, 20));
    const [, , report, again] = line.said;
    // 20/sqrt(3) is -62.8 dBm0; mu-law adds a little noise of its own.
    expect(report).toMatch(
      /^Your speech lasted two point [a-z]+ seconds\. Its level is minus (twenty|nineteen|twenty (one|two)) d B m zero\. The noise floor is minus sixty (one|two|three|four) d B m zero\. The round trip to the carrier takes forty two milliseconds\.$/,
    );
    expect(again).toBe('Please say something else, or press a key.');
    expect(line.of('toolCall')).toMatchObject([{ name: 'line_status', args: '{}' }]);
    const done = line.of('responseDone');
    expect(done.map(({ status }) => status)).toEqual(['completed', 'completed']);
    const calls = line.types.indexOf('toolCall');
    expect(line.types[calls + 1]).toBe('responseDone');
  });

  it('has the level that it has: 10 dB less is reported as 10 dB less', async () => {
    const levels = [];
    for (const gain of [1, 10 ** -0.5]) {
      const line = await bridged();
      await line.hear(hush(1000));
      await line.hear(Float64Array.from(sentence(), (value) => value * gain));
      await line.hear(hush(1000));
      levels.push(Number(/(-\d+) dBm0/.exec(line.of('transcript')[0]?.text ?? '')?.[1]));
    }
    const [loud = 0, soft = 0] = levels;
    expect(loud - soft).toBeGreaterThanOrEqual(9);
    expect(loud - soft).toBeLessThanOrEqual(11);
    const frames = Array.from({ length: 100 }, (_, i) => rms(sentence().subarray(i * 160, i * 160 + 160)));
    const active = frames.filter((frame) => frame > Math.max(...frames) / 18);
    expect(Math.abs(loud - dbm0(rms(active)))).toBeLessThan(1.5);
  });

  it('is called clipped when it is', async () => {
    const line = await bridged();
    await line.hear(hush(1000));
    await line.hear(Float64Array.from(sentence(), (value) => value * 12));
    await line.hear(hush(10_000));
    expect(line.said[2]).toContain('and it is clipped');
  });

  it('is not written down when nobody asked for it', async () => {
    const line = await bridged({ request: { transcribeCaller: false } });
    await line.hear(hush(1000));
    await line.hear(sentence());
    await line.hear(hush(1000));
    expect(line.of('speechStopped')).toHaveLength(1);
    expect(line.of('transcript').filter(({ role }) => role === 'user')).toEqual([]);
  });

  it('is played back up to the longest echo', async () => {
    const line = await bridged({ longestEchoMs: 1000 });
    await line.hear(hush(1000));
    await line.hear(sentence());
    await line.hear(hush(4000));
    expect(line.itemOf('[echo of speech')).toHaveLength(8000);
    expect(line.said[0]).toBe('This is the beginning of what I heard.');
  });

  it('ends after the silence that the agent asks for', async () => {
    const at: number[] = [];
    for (const silenceMs of [300, 1500]) {
      const line = await bridged({ request: { turnDetection: { silenceMs } } });
      await line.hear(hush(1000));
      await line.hear(sentence());
      await line.hear(hush(3000));
      at.push(line.of('speechStopped').at(-1)?.atMs ?? 0);
    }
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBe(1200);
  });

  it('is nothing when there is only noise, a key tone or silence', async () => {
    const line = await bridged();
    await line.hear(new Int16Array(8000));
    await line.hear(noise(16_000, 200));
    const key = new Int16Array(8000);
    createToneGenerator(8000, dtmfParts('5')).fill(key, 1600);
    await line.hear(key);
    await line.hear(noise(16_000, 200));
    expect(line.events).toEqual([]);
  });
});

describe('cutting in on the line check', () => {
  async function speaking(options: LineOptions = {}): Promise<LocalLine> {
    const line = await bridged(options);
    await line.hear(hush(1000));
    line.session.say('This is a long text. '.repeat(30));
    await line.hear(hush(1000));
    return line;
  }

  it('stops it within a second of the first word', async () => {
    const line = await speaking();
    const from = line.clock.now();
    await line.hear(sentence());
    const [started] = line.of('speechStarted');
    expect((started?.atMs ?? Infinity) - from).toBeLessThan(1000);
    expect(line.of('responseDone')[0]).toMatchObject({ status: 'cancelled' });
    const sound = line.types.lastIndexOf('audio');
    expect(sound).toBeLessThan(line.types.indexOf('responseDone'));
    expect(line.types.indexOf('speechStarted')).toBeLessThan(line.types.indexOf('responseDone'));
    await line.hear(hush(3000));
    // The echo begins with the word that cut in.
    const echo = Buffer.from(line.itemOf('[echo of speech'));
    expect(Buffer.concat(line.sent).indexOf(echo)).toBeGreaterThan(0);
    expect(echo.length / 8).toBeGreaterThan(sentence().length / 8 - 500);
  });

  it('stops it also when the bridge does not say so', async () => {
    const line = await speaking();
    line.onEvent = () => undefined;
    await line.hear(sentence());
    expect(line.of('responseDone')[0]).toMatchObject({ status: 'cancelled', reason: 'interrupted' });
  });

  it('is not done by its own echo 20 dB down, 150 ms late', async () => {
    const line = await LocalLine.open();
    const own: number[] = [];
    const speech = sentence('0870');
    await line.hear(hush(1000));
    // Real speech, said as an echo of speech, is what the line check plays back.
    await line.hear(speech.subarray(0, 8000 * 3));
    await line.hear(hush(1000));
    expect(line.of('speechStarted')).toHaveLength(1);
    await line.pass(1000);
    own.push(...line.samples());
    const echo = Float64Array.from({ length: own.length + 1200 }, (_, i) => (own[i - 1200] ?? 0) / 10);
    await line.hear(echo.map((value, i) => value + (hush(20)[i % 160] ?? 0)));
    expect(line.of('speechStarted')).toHaveLength(1);
    expect(own.length).toBeGreaterThan(8000 * 3);
  });

  it('is not done by a cough or a key', async () => {
    const line = await speaking();
    const cough = noise(8 * 250, 9000).map((value, i) => value * Math.sin((Math.PI * i) / 2000));
    await line.hear([...cough, ...hush(500)]);
    const key = new Int16Array(1600);
    createToneGenerator(8000, dtmfParts('9', -6)).fill(key, key.length);
    await line.hear([...key, ...hush(500)]);
    expect(line.of('speechStarted')).toEqual([]);
    expect(line.of('responseDone')).toEqual([]);
  });

  it('is as easy as ever once the line check is silent', async () => {
    const line = await bridged();
    line.session.say('Hello.');
    await line.hear(hush(16_000));
    const from = line.clock.now();
    // 20 dB weaker than what may be an echo while the line check speaks.
    await line.hear(Float64Array.from(sentence(), (value) => value / 10));
    expect((line.of('speechStarted')[0]?.atMs ?? Infinity) - from).toBeLessThan(900);
  });

  it('keeps its guard for a greeting that waits for the stream to begin', async () => {
    const line = await bridged();
    line.session.say('This is a long text. '.repeat(10));
    await line.pass(10_000);
    // The stream begins only now, and with it what was said is heard: a faint sound may be its echo.
    await line.hear(hush(1000));
    await line.hear(Float64Array.from(sentence(), (value) => value / 10));
    expect(line.of('speechStarted')).toEqual([]);
  });

  it('lets a text of the bridge wait until the caller has finished, and says it first', async () => {
    const line = await bridged();
    await line.hear(hush(1000));
    await line.hear(sentence().subarray(0, 8000));
    expect(line.of('speechStarted')).toHaveLength(1);
    line.session.say('One moment.');
    await line.hear(sentence().subarray(8000));
    expect(line.of('responseStarted')).toEqual([]);
    await line.hear(hush(9000));
    expect(line.said[0]).toBe('One moment.');
    expect(line.said).toContain('This is what I heard.');
  });

  it('drops what waits to be answered, and withdraws its function calls', async () => {
    const line = await LocalLine.open();
    line.onEvent = (event) => {
      if (event.type === 'speechStarted') line.session.interrupt([]);
    };
    await line.hear(hush(1000));
    await line.hear(sentence());
    await line.hear(hush(2500));
    const [call] = line.of('toolCall');
    expect(call?.name).toBe('line_status');
    await line.hear(sentence());
    expect(line.of('toolCallsCancelled')).toMatchObject([{ callIds: [call?.callId] }]);
    const before = line.said.length;
    line.session.sendToolResult(call?.callId ?? '', ok('{"roundTripMs":1}'));
    await line.pass(500);
    expect(line.said.slice(before).join()).not.toContain('Your speech lasted');
  });
});

describe('the keys', () => {
  it('1 plays 1004 Hz at 0 dBm0 for five seconds', async () => {
    const line = await bridged();
    await press(line, '1');
    expect(line.said[1]).toBe('[tone, 1004 Hz, 0 dBm0, 5 s]');
    const item = line.of('transcript').find(({ text }) => text.startsWith('[tone'))?.itemId ?? '';
    const samples = line.samples(item);
    expect(samples).toHaveLength(40_000);
    const { amplitude, sinad } = fitTone(samples, 1004, 8000);
    expect(Math.abs(dbm0(amplitude / Math.SQRT2))).toBeLessThan(0.1);
    // What G.711 leaves at this level.
    expect(sinad).toBeGreaterThan(36);
  });

  it('1 can be interrupted in an ordinary voice, and not by its own echo', async () => {
    const line = await bridged();
    await line.hear(hush(1000));
    await press(line, '1', 0);
    await line.hear(hush(2000));
    const back = new Int16Array(8000);
    for (const level of [-20, -30, -50]) {
      createToneGenerator(8000, [{ hz: 1004, dbm0: level }]).fill(back, back.length);
      await line.hear(hush(1000).map((value, i) => value + (back[i] ?? 0)));
    }
    expect(line.of('speechStarted')).toEqual([]);
    const from = line.clock.now();
    await line.hear(sentence());
    expect((line.of('speechStarted')[0]?.atMs ?? Infinity) - from).toBeLessThan(1000);
  });

  it('1 sends no more of the tone once it is interrupted', async () => {
    const line = await bridged();
    await press(line, '1', 600);
    line.session.interrupt([]);
    await line.pass(3000);
    expect(line.of('responseDone')).toMatchObject([{ status: 'cancelled' }]);
    expect(line.audio().length).toBeLessThan(3000 * 8);
    expect(line.clock.pending).toBe(0);
  });

  it('2 gives the report again, also before anything was heard', async () => {
    const line = await bridged();
    await press(line, '2', 6000);
    expect(line.said[0]).toMatch(
      /^I have not heard you speak yet\. .*not known yet.*forty two milliseconds\.$/,
    );
    expect(line.of('responseDone')).toHaveLength(2);
  });

  it('3 gives the time that the bridge knows', async () => {
    const line = await bridged();
    await press(line, '3', 6000);
    expect(line.said[0]).toBe('It is fifteen oh four, universal time, on Friday, the second of January.');
  });

  it.each(['*', '#'])('%s says goodbye and then ends the call', async (key) => {
    const line = await bridged();
    await press(line, key);
    expect(line.said).toEqual(['Thank you for checking the line. Goodbye.']);
    expect(line.of('toolCall')).toMatchObject([{ name: 'end_call' }]);
    const [call, lastSound] = [line.types.indexOf('toolCall'), line.types.lastIndexOf('audio')];
    expect(call).toBeGreaterThan(lastSound);
    expect(line.of('responseDone')).toHaveLength(1);
  });

  it.each([
    ['5', 'You pressed five.'],
    ['0', 'You pressed zero.'],
    ['A', 'You pressed the letter A.'],
    ['12*', 'You pressed one, two, star.'],
    ['?', 'You pressed the letter ?.'],
  ])('%s is read back', async (digits, text) => {
    const line = await bridged();
    await press(line, digits);
    expect(line.said[0]).toBe(text);
    expect(line.of('toolCall')).toEqual([]);
  });

  it('that follow each other are one number, although each one interrupts', async () => {
    const line = await bridged();
    for (const digit of '4567') await press(line, digit, -200);
    await line.pass(4000);
    expect(line.said[0]).toBe('You pressed four, five, six, seven.');
    expect(line.of('responseStarted')).toHaveLength(1);
    for (const digit of '13') await press(line, digit, -200);
    await line.pass(4000);
    expect(line.said).toContain('You pressed one, three.');
  });

  it('that were pressed before the end leave no timer', async () => {
    const line = await bridged();
    line.session.sendText('x', { role: 'user', respond: true, digits: '5' });
    await line.session.close('over');
    expect(line.clock.pending).toBe(0);
  });

  it('end a turn that is open', async () => {
    const line = await bridged();
    await line.hear(hush(1000));
    await line.hear(sentence().subarray(0, 8000));
    await press(line, '5');
    expect(line.of('speechStopped')).toHaveLength(1);
    expect(line.said[0]).toBe('You pressed five.');
    await line.hear(hush(2000));
    expect(line.said).not.toContain('This is what I heard.');
  });

  it('cut off what is being said', async () => {
    const line = await bridged();
    line.session.say('This is a long text. '.repeat(20));
    await line.pass(500);
    await press(line, '5');
    expect(line.of('responseDone').map(({ status }) => status)).toEqual(['cancelled', 'completed']);
  });
});

describe('texts to the line check', () => {
  it('are read aloud, and it says that it cannot answer', async () => {
    const line = await LocalLine.open();
    line.session.sendText('Who are you?', { role: 'user', respond: true });
    await line.pass(5000);
    expect(line.said).toEqual(['Who are you?', 'This is a line check. It cannot answer questions.']);
  });

  it('are passed over when no answer is wanted', async () => {
    const line = await LocalLine.open();
    line.session.sendText('For your information.', { role: 'system', respond: false });
    await line.pass(1000);
    expect(line.events).toEqual([]);
  });
});

describe('functions', () => {
  async function afterTurn(line: LocalLine): Promise<void> {
    await line.hear(hush(1000));
    await line.hear(sentence());
    await line.hear(hush(3000));
  }
  const UNKNOWN = 'The round trip time is not known.';

  it.each([
    ['an error', { output: '{"error":"no"}', isError: true, respond: true }],
    ['no JSON', ok('fast')],
    ['another object', ok('{"roundTripMs":"fast"}')],
    ['no object', ok('null')],
    ['no ping so far', ok('{"roundTripMs":0}')],
  ])('that answer with %s leave the round trip unknown', async (_name, result) => {
    const line = await LocalLine.open();
    await afterTurn(line);
    line.session.sendToolResult(line.of('toolCall')[0]?.callId ?? '', result);
    await line.pass(6000);
    expect(line.said.join(' ')).toContain(UNKNOWN);
  });

  it('that do not answer are waited for three seconds, and late answers change nothing', async () => {
    const line = await LocalLine.open();
    await afterTurn(line);
    const [call] = line.of('toolCall');
    const left = 3000 - (line.clock.now() - (call?.atMs ?? 0));
    await line.pass(left - 20);
    expect(line.of('responseStarted')).toHaveLength(1);
    await line.pass(20 + 6000);
    expect(line.said.join(' ')).toContain(UNKNOWN);
    const count = line.events.length;
    line.session.sendToolResult(call?.callId ?? '', ok('{"roundTripMs":1}'));
    line.session.sendToolResult('unheard of', ok('{}'));
    await line.pass(1000);
    expect(line.events).toHaveLength(count);
  });

  it('that the call does not have are not called', async () => {
    const line = await LocalLine.open({ tools: [] });
    await afterTurn(line);
    await line.pass(6000);
    expect(line.said.join(' ')).toContain(UNKNOWN);
    for (const key of ['2', '3', '*']) await press(line, key, 6000);
    expect(line.said).toContain('I do not know the time.');
    expect(line.of('toolCall')).toEqual([]);
  });

  it('that answer without wanting a word get none', async () => {
    const line = await LocalLine.open();
    await afterTurn(line);
    line.session.sendToolResult(line.of('toolCall')[0]?.callId ?? '', ok('{"roundTripMs":1}', false));
    await line.pass(6000);
    expect(line.of('responseStarted')).toHaveLength(1);
    expect(line.clock.pending).toBe(0);
  });

  it('the time that is no time is not made up', async () => {
    const line = await LocalLine.open();
    await press(line, '3', 100);
    line.session.sendToolResult(line.of('toolCall')[0]?.callId ?? '', ok('{"utc":"soon"}'));
    await line.pass(3000);
    expect(line.said[0]).toBe('I do not know the time.');
  });

  it('a call that cannot be ended is left to the caller', async () => {
    const line = await LocalLine.open();
    await press(line, '*', 2000);
    const { callId = '' } = line.of('toolCall')[0] ?? {};
    line.session.sendToolResult(callId, { output: '{"error":"no"}', isError: true, respond: true });
    await line.pass(3000);
    expect(line.said.at(-1)).toBe('I cannot end this call. Please hang up.');
  });
});
