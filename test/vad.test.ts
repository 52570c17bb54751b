import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Rate } from '../src/audio/format.ts';
import { decodeG711, encodeG711 } from '../src/audio/g711.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { createToneGenerator, dtmfParts, MILLIWATT, type TonePart } from '../src/audio/tone.ts';
import {
  createTurnDetector,
  type Turn,
  type TurnDetector,
  type TurnDetectorOptions,
} from '../src/audio/turn.ts';
import { createVoiceDetector } from '../src/audio/vad.ts';
import { readWav } from '../src/audio/wav.ts';
import { noise, rms, seeded, toInt16 } from './support/signal.ts';

const SENTENCES = ['0870', '0880', '0890'] as const;

function sentence(name: (typeof SENTENCES)[number], rate: Rate): Int16Array {
  const file = readWav(readFileSync(new URL(`../fixtures/speech/librivox-${name}.wav`, import.meta.url)));
  return resampleWhole(file.channel(0), file.rate, rate);
}

/** All sentences, a second of nothing around each. */
function reading(rate: Rate): Float64Array {
  const parts = SENTENCES.map((name) => sentence(name, rate));
  const samples = new Float64Array(parts.reduce<number>((sum, part) => sum + part.length + rate, rate));
  let at = rate;
  for (const part of parts) {
    samples.set(part, at);
    at += part.length + rate;
  }
  return samples;
}

/** Gaussian noise through one pole (0: white, 0.9: falling like the noise of rooms and lines). */
function gaussian(count: number, pole: number, seed = 7): Float64Array {
  const random = seeded(seed);
  for (let i = 0; i < 50; i++) random();
  let past = 0;
  return Float64Array.from({ length: count }, () => {
    const value = Math.sqrt(-2 * Math.log(random() || 1e-9)) * Math.cos(2 * Math.PI * random());
    past = pole * past + value;
    return past;
  });
}

interface Rates {
  readonly truePositive: number;
  readonly falsePositive: number;
}

/**
 * Frames are speech when the clean one is within 30 dB of the loud ones, and not speech when it lies more than three
 * frames away from any of those; the signal-to-noise ratio is that of the speech frames.
 */
function score(rate: Rate, pole: number, snr: number): Rates {
  const clean = reading(rate);
  const size = rate / 50;
  const levels = Array.from({ length: Math.floor(clean.length / size) }, (_, i) =>
    rms(clean.subarray(i * size, (i + 1) * size)),
  );
  const loud = [...levels].sort((a, b) => b - a)[Math.floor(levels.length / 20)] ?? 0;
  const speech = levels.map((level) => level > loud * 10 ** (-30 / 20));
  const quiet = speech.map((_, i) => !speech.slice(Math.max(0, i - 3), i + 4).includes(true));
  const hiss = gaussian(clean.length, pole);
  const scale = (rms(levels.filter((_, i) => speech[i])) * 10 ** (-snr / 20)) / rms(hiss);
  const mixed = toInt16(clean.map((value, i) => value + scale * (hiss[i] ?? 0)));
  const detector = createVoiceDetector({ rate });
  const found = levels.map((_, i) => detector.process(mixed, i * size).speech);
  const share = (of: readonly boolean[]): number =>
    found.filter((hit, i) => hit && of[i]).length / of.filter(Boolean).length;
  return { truePositive: share(speech), falsePositive: share(quiet) };
}

describe('a voice detector', () => {
  const wanted = [
    [40, 0.93, 0.05],
    [20, 0.88, 0.02],
    [10, 0.8, 0.02],
    [5, 0.65, 0.02],
  ] as const;

  for (const [kind, pole] of [
    ['white', 0],
    ['one-pole', 0.9],
  ] as const) {
    it.each(wanted)(`finds speech in ${kind} noise at %i dB`, (snr, least, most) => {
      const { truePositive, falsePositive } = score(8000, pole, snr);
      expect(truePositive).toBeGreaterThanOrEqual(least);
      expect(falsePositive).toBeLessThanOrEqual(most);
    });
  }

  it.each([16_000, 24_000] as const)('finds speech as well at %i Hz', (rate) => {
    const { truePositive, falsePositive } = score(rate, 0.9, 10);
    expect(truePositive).toBeGreaterThanOrEqual(0.78);
    expect(falsePositive).toBeLessThanOrEqual(0.02);
  });

  const tones: readonly (readonly [string, readonly TonePart[]])[] = [
    ['key 5', dtmfParts('5')],
    ['key D', dtmfParts('D')],
    ['the milliwatt', MILLIWATT],
    [
      'a North American dial tone',
      [
        { hz: 350, dbm0: -13 },
        { hz: 440, dbm0: -13 },
      ],
    ],
    [
      'a busy tone',
      [
        { hz: 480, dbm0: -24 },
        { hz: 620, dbm0: -24 },
      ],
    ],
    ['a European tone', [{ hz: 425, dbm0: -10 }]],
  ];

  it.each(tones)('knows %s for a tone', (_name, parts) => {
    const samples = new Int16Array(16_000);
    createToneGenerator(8000, parts).fill(samples.subarray(8000), 8000);
    const line = decodeG711('mulaw', encodeG711('mulaw', mix(samples, noise(16_000, 20))));
    const detector = createVoiceDetector({ rate: 8000 });
    let tonal = 0;
    let speech = 0;
    for (let at = 0; at < line.length; at += 160) {
      const frame = detector.process(line, at);
      if (frame.tonal) tonal += 1;
      if (frame.speech) speech += 1;
    }
    expect(tonal).toBeGreaterThanOrEqual(47);
    expect(speech).toBeLessThanOrEqual(3);
  });

  it.each([
    [220, 440],
    [180, 540],
    [250, 500],
  ])('knows a clear voice of two harmonics, %i and %i Hz, for no tone', (one, two) => {
    const samples = new Int16Array(16_000);
    createToneGenerator(8000, [
      { hz: one, dbm0: -18 },
      { hz: two, dbm0: -24 },
    ]).fill(samples.subarray(8000), 8000);
    const line = mix(samples, noise(16_000, 20));
    const detector = createVoiceDetector({ rate: 8000 });
    let tonal = 0;
    for (let at = 0; at < line.length; at += 160) if (detector.process(line, at).tonal) tonal += 1;
    expect(tonal).toBe(0);
  });

  it('takes no noise for a tone or for voice, however it begins', () => {
    const detector = createVoiceDetector({ rate: 8000 });
    const line = new Float64Array(80_000);
    line.set(
      gaussian(64_000, 0.5).map((value) => value * 100),
      16_000,
    );
    const samples = toInt16(line);
    for (let at = 0; at < samples.length; at += 160) {
      const frame = detector.process(samples, at);
      expect([frame.speech, frame.tonal]).toEqual([false, false]);
    }
  });

  it('does not take the noise after a lost packet for voice', () => {
    const detector = createVoiceDetector({ rate: 8000 });
    const samples = toInt16(gaussian(80_000, 0).map((value) => value * 60));
    samples.fill(0, 40_000, 42_000);
    let speech = 0;
    for (let at = 0; at < samples.length; at += 160) if (detector.process(samples, at).speech) speech += 1;
    expect(speech).toBe(0);
  });

  it('gets used to noise that becomes louder', () => {
    const detector = createVoiceDetector({ rate: 8000 });
    const samples = toInt16(gaussian(80_000, 0).map((value, i) => value * (i < 32_000 ? 30 : 300)));
    const speech: number[] = [];
    for (let at = 0; at < samples.length; at += 160)
      if (detector.process(samples, at).speech) speech.push(at);
    expect(speech[0]).toBeGreaterThanOrEqual(32_000 - 160);
    expect(speech.at(-1)).toBeLessThan(32_000 + 3 * 8000);
  });

  it('forgets the noise on reset and gives the same answers again', () => {
    const samples = toInt16(reading(8000));
    const detector = createVoiceDetector({ rate: 8000 });
    const run = (): boolean[] =>
      Array.from({ length: 300 }, (_, i) => detector.process(samples, i * 160).speech);
    const first = run();
    detector.reset();
    expect(run()).toEqual(first);
    expect(first).toContain(true);
  });

  it('refuses other rates and frames that are too short', () => {
    expect(() => createVoiceDetector({ rate: 11_025 as Rate })).toThrow(/wanted 8000, 16000, 24000/);
    expect(() => createVoiceDetector({ rate: 8000 }).process(new Int16Array(159))).toThrow(/wanted 160/);
  });
});

function mix(samples: Int16Array, other: ArrayLike<number>): Int16Array {
  return toInt16(Float64Array.from(samples, (value, i) => value + (other[i] ?? 0)));
}

interface Heard {
  readonly turns: Turn[];
  readonly starts: number[];
  readonly detector: TurnDetector;
}

function listen(options: Omit<TurnDetectorOptions, 'rate' | 'listener'> = {}): Heard {
  const turns: Turn[] = [];
  const starts: number[] = [];
  const listener = {
    onSpeechStart: (ms: number) => starts.push(ms),
    onSpeechEnd: (turn: Turn) => turns.push(turn),
  };
  return { turns, starts, detector: createTurnDetector({ rate: 8000, listener, ...options }) };
}

function hear(line: ArrayLike<number>, options: Omit<TurnDetectorOptions, 'rate' | 'listener'> = {}): Heard {
  const heard = listen(options);
  const samples = mix(toInt16(line), noise(line.length, 20, 5));
  heard.detector.push(samples, samples.length);
  return heard;
}

/** A burst of loud coloured noise with a soft onset and end, as a cough is. */
function cough(ms: number): Float64Array {
  const count = ms * 8;
  return gaussian(count, 0.6).map((value, i) => value * 3000 * Math.sin((Math.PI * i) / count));
}

function placed(part: ArrayLike<number>, atMs: number, totalMs: number): Float64Array {
  const line = new Float64Array(totalMs * 8);
  for (let i = 0; i < part.length; i++) line[atMs * 8 + i] = part[i] ?? 0;
  return line;
}

describe('a turn detector', () => {
  it('finds one turn per sentence, with its length', () => {
    const { turns } = hear(reading(8000), { hangoverMs: 600 });
    expect(turns).toHaveLength(SENTENCES.length);
    let at = 1000;
    for (const [i, name] of SENTENCES.entries()) {
      const lengthMs = sentence(name, 8000).length / 8;
      const turn = turns[i];
      // The recordings have up to 0.4 s of silence of their own at both ends.
      expect(turn?.startMs).toBeGreaterThan(at - 60);
      expect(turn?.startMs).toBeLessThan(at + 450);
      expect(turn?.endMs).toBeLessThan(at + lengthMs + 60);
      expect(turn?.endMs).toBeGreaterThan(at + lengthMs - 450);
      expect(turn?.cut).toBe(false);
      at += lengthMs + 1000;
    }
  });

  it('hears the same wherever the stream is cut', () => {
    const samples = toInt16(reading(8000));
    const whole = listen();
    whole.detector.push(samples, samples.length);
    const pieces = listen();
    for (let at = 0, size = 1; at < samples.length; at += size, size = (size % 411) + 1) {
      const piece = samples.subarray(at, at + size);
      pieces.detector.push(piece, piece.length);
    }
    expect(pieces.turns).toEqual(whole.turns);
    expect(whole.turns.length).toBeGreaterThan(0);
  });

  it('says that speech has begun within a quarter of a second', () => {
    const samples = toInt16(reading(8000));
    const heard = listen();
    let at = 0;
    while (heard.starts.length === 0 && at < samples.length) {
      heard.detector.push(samples.subarray(at, at + 160), 160);
      at += 160;
    }
    expect(at / 8 - (heard.starts[0] ?? 0)).toBeLessThan(250);
  });

  it('ends a turn only after the silence that was asked for', () => {
    const speech = sentence('0880', 8000);
    const line = new Float64Array(2 * speech.length + 8000 + 16_000);
    line.set(speech, 0 + 4000);
    line.set(speech, speech.length + 4000 + 3200);
    expect(hear(line, { hangoverMs: 300 }).turns.length).toBeGreaterThanOrEqual(2);
    expect(hear(line, { hangoverMs: 1500 }).turns).toHaveLength(1);
  });

  it.each([40, 50, 80, 100, 200, 500])('does not take a key of %i ms for speech', (ms) => {
    const key = new Int16Array(ms * 8);
    createToneGenerator(8000, dtmfParts('8', -6)).fill(key, key.length);
    expect(hear(placed(key, 1000, 3000)).starts).toEqual([]);
  });

  it('does not take a dialled number for speech', () => {
    const line = new Float64Array(8000 * 4);
    for (const [i, digit] of [...'0305551234'].entries()) {
      const key = new Int16Array(640);
      createToneGenerator(8000, dtmfParts(digit)).fill(key, key.length);
      line.set(key, 8000 + i * 1200);
    }
    expect(hear(line).starts).toEqual([]);
  });

  it('passes over a cough while it is on its guard, and hears a sentence', () => {
    const guarded = listen();
    guarded.detector.guard({ minSpeechMs: 400, minLoudMs: 200, minLevelDbm0: -30 });
    const line = mix(toInt16(placed(cough(300), 1000, 3000)), noise(24_000, 20));
    guarded.detector.push(line, line.length);
    expect(guarded.starts).toEqual([]);
    const spoken = mix(sentence('0880', 8000), noise(24_000, 20));
    guarded.detector.push(spoken, spoken.length);
    expect(guarded.starts).toHaveLength(1);
  });

  it('passes over an echo of our own speech 20 dB down, but not over the same speech at full level', () => {
    const guarded = listen();
    guarded.detector.guard({ minSpeechMs: 400, minLoudMs: 200, minLevelDbm0: -28 });
    const speech = reading(8000);
    const echo = mix(toInt16(speech.map((value) => value / 10)), noise(speech.length, 10));
    guarded.detector.push(echo, echo.length);
    expect(guarded.starts).toEqual([]);
    const full = toInt16(speech);
    guarded.detector.push(full, full.length);
    expect(guarded.starts.length).toBeGreaterThan(0);
    const unguarded = listen();
    unguarded.detector.push(echo, echo.length);
    expect(unguarded.starts.length).toBeGreaterThan(0);
  });

  it('lifts the guard', () => {
    const heard = listen();
    heard.detector.guard({ minSpeechMs: 400, minLoudMs: 200, minLevelDbm0: 0 });
    heard.detector.guard();
    const samples = toInt16(reading(8000));
    heard.detector.push(samples, samples.length);
    expect(heard.turns).toHaveLength(SENTENCES.length);
  });

  it('ends a turn that lasts too long, and does not begin another one in the same noise', () => {
    const line = new Float64Array(8000 * 12);
    const wobble = gaussian(line.length, 0.9);
    for (let i = 8000; i < line.length; i++) line[i] = 1000 * (wobble[i] ?? 0);
    const { turns, starts } = hear(line, { maxTurnMs: 2000 });
    expect(turns).toHaveLength(1);
    expect(turns[0]?.cut).toBe(true);
    expect((turns[0]?.endMs ?? 0) - (turns[0]?.startMs ?? 0)).toBeLessThanOrEqual(2000);
    expect(starts).toHaveLength(1);
  });

  it('forgets an open turn without a word', () => {
    const heard = listen();
    const samples = toInt16(reading(8000));
    heard.detector.push(samples, 20_000);
    expect(heard.detector.speaking).toBe(true);
    heard.detector.abandon();
    expect(heard.detector.speaking).toBe(false);
    const silence = toInt16(noise(16_000, 20));
    heard.detector.push(silence, silence.length);
    expect(heard.turns).toEqual([]);
  });
});
