import { describe, expect, it } from 'vitest';
import { type AudioFormat, bytesPerMs, formatName, MULAW_8K } from '../src/audio/format.ts';
import { createDecoder, createFrameMeter } from '../src/audio/frame-level.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import { dbm0 } from '../src/audio/tone.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { SpeechRing } from '../src/fallback/speech-ring.ts';
import { planTrim } from '../src/fallback/trim.ts';
import { NOISES, type NoiseName, noiseSamples, QUIET_MS } from './support/noise.ts';
import { onLine, SENTENCES, sentence } from './support/onsets.ts';
import { rms, seeded, toBytes, toInt16 } from './support/signal.ts';

const FRAME = 160;
const PCM_8K: AudioFormat = { encoding: 'pcm16', rate: 8000 };
const FORMATS: readonly AudioFormat[] = [
  MULAW_8K,
  { encoding: 'alaw', rate: 8000 },
  PCM_8K,
  { encoding: 'pcm16', rate: 16_000 },
  { encoding: 'pcm16', rate: 24_000 },
];
/** Loud vowels and noise, dBm0. */
const LINES = [
  [-8, -65],
  [-18, -50],
  [-25, -45],
  [-20, -38],
  [-35, -60],
] as const;
/** What is not told from a voice: mixed tones that beat, and a slam that rings for long. */
const LIKE_A_VOICE: readonly NoiseName[] = ['ringback-us', 'ringback-uk', 'door-slam'];

/** Resampling them takes a while. */
const CLIPS: ReadonlyMap<string, Int16Array> = new Map(SENTENCES.map((name) => [name, sentence(name)]));

function clip(name: (typeof SENTENCES)[number]): Int16Array {
  return CLIPS.get(name) ?? new Int16Array(0);
}

function joined(...parts: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Noise of the line, of the level that `onLine` gives it. */
function noiseOf(ms: number, dbm0: number, seed: number): Int16Array {
  return onLine(new Int16Array(ms * 8).fill(1), -100, dbm0, seed).subarray(0, ms * 8);
}

/** What a ring makes of a line, 8 kHz mu-law. */
function speechOf(line: Int16Array) {
  const codes = encodeG711('mulaw', line);
  const ring = new SpeechRing(MULAW_8K, () => undefined);
  ring.push(codes);
  return { codes, ...ring.speech() };
}

/** Which frames of `codes` are in `part`, in its order; throws when `part` holds anything else. */
function framesIn(part: Uint8Array, codes: Uint8Array): Set<number> {
  const found = new Set<number>();
  let at = 0;
  for (let from = 0; from < part.length; from += FRAME) {
    const frame = Buffer.from(part.subarray(from, from + FRAME));
    while (at < codes.length && !frame.equals(codes.subarray(at, at + FRAME))) at += FRAME;
    if (at >= codes.length) throw new Error(`a frame at ${from / 8} ms is none of the line, or out of order`);
    found.add(at / FRAME);
    at += FRAME;
  }
  return found;
}

/** Frames of clean speech within 30 dB of its loud ones, those that noise covers left out. */
function audible(clean: Int16Array, loudDbm0: number, noiseDbm0: number): number[] {
  const levels: number[] = [];
  for (let at = 0; at + FRAME <= clean.length; at += FRAME) {
    levels.push(dbm0(rms(clean.subarray(at, at + FRAME))));
  }
  const loud = [...levels].sort((a, b) => b - a)[Math.floor(levels.length / 10)] ?? 0;
  const least = Math.max(loud - 30, loud - loudDbm0 + noiseDbm0 + 3);
  return levels.flatMap((level, i) => (level >= least ? [i] : []));
}

describe('what is sent again of the caller’s speech', () => {
  it.each(LINES)('has every sound of a sentence at %d dBm0 in noise of %d', (loud, noise) => {
    for (const name of SENTENCES) {
      const clean = clip(name);
      const line = joined(noiseOf(1500, noise, 5), onLine(clean, loud, noise));
      const { codes, bytes, spokenMs } = speechOf(line);
      const kept = framesIn(bytes, codes);
      const missing = audible(clean, loud, noise).filter((i) => !kept.has(i + (1500 + 1000) / 20));
      // In a long pause, a breath may be cut.
      expect(missing.length, `${name}: ${missing}`).toBeLessThanOrEqual(3);
      expect(spokenMs).toBeGreaterThan(clean.length / 8 - 800);
      expect(bytes.length).toBeLessThan(codes.length - 1000 * 8);
    }
  });

  it('has a single short word out of ten seconds of noise', () => {
    const word = clip('0880').subarray(0, 4000);
    const { bytes, spokenMs, codes } = speechOf(
      joined(noiseOf(7500, -45, 9), onLine(word, -20, -45), noiseOf(400, -45, 11)),
    );
    expect(spokenMs).toBeGreaterThan(200);
    expect(bytes.length / 8).toBeLessThan(word.length / 8 + 1200);
    framesIn(bytes, codes);
  });

  it('is nearly all of it when somebody speaks without a pause', () => {
    const talk = joined(...SENTENCES.map(clip), ...SENTENCES.map(clip)).subarray(0, 80_000);
    for (const [loud, noise] of LINES) {
      const { bytes, spokenMs, speaking } = speechOf(onLine(talk, loud, noise).subarray(8000, 88_000));
      expect(bytes.length / 8, `${loud} ${noise}`).toBeGreaterThan(9000);
      expect(spokenMs).toBeGreaterThan(8000);
      expect(speaking).toBe(true);
    }
  });

  it('is as good for speech that is clipped', () => {
    const clean = clip('0890');
    const line = toInt16(Float64Array.from(onLine(clean, 0, -50), (value) => value * 8));
    const { bytes, codes, spokenMs } = speechOf(line);
    const kept = framesIn(bytes, codes);
    expect(audible(clean, 0, -40).filter((i) => !kept.has(i + 50))).toEqual([]);
    expect(spokenMs).toBeGreaterThan(4000);
  });

  it.each(FORMATS.map((format) => [formatName(format), format] as const))(
    'is the same in %s',
    (_, format) => {
      const line = joined(noiseOf(2000, -50, 3), onLine(clip('0880'), -18, -50), noiseOf(1500, -50, 4));
      const ring = new SpeechRing(format, () => undefined);
      ring.push(createTranscoder(PCM_8K, format).push(toBytes(line)));
      const { spokenMs, speaking, bytes } = ring.speech();
      const reference = speechOf(line);
      expect(Math.abs(spokenMs - reference.spokenMs)).toBeLessThanOrEqual(100);
      expect(Math.abs(bytes.length / bytesPerMs(format) - reference.bytes.length / 8)).toBeLessThanOrEqual(
        100,
      );
      expect(speaking).toBe(false);
    },
  );

  it.each(NOISES.filter((name) => !LIKE_A_VOICE.includes(name)))('is nothing of %s', (name) => {
    const sound = noiseSamples(name);
    const steady = sound.subarray(QUIET_MS * 8, sound.length - 300 * 8);
    const long = new Int16Array(80_000);
    for (let at = 0; at < long.length; at += steady.length) {
      long.set(steady.subarray(0, long.length - at), at);
    }
    for (const line of [sound, long]) {
      const { spokenMs, speaking, bytes } = speechOf(line);
      expect({ spokenMs, speaking }).toEqual({ spokenMs: 0, speaking: false });
      // A word may have begun just now.
      expect(bytes.length).toBeLessThanOrEqual(200 * 8);
    }
  });

  it('is nothing of silence, and of nothing', () => {
    expect(speechOf(new Int16Array(80_000)).spokenMs).toBe(0);
    const none = speechOf(new Int16Array(0));
    expect(none).toMatchObject({ spokenMs: 0, speaking: false });
    expect(none.bytes.length).toBe(0);
  });

  it('has speech on a line that leaves the silence out', () => {
    const clean = toInt16(Float64Array.from(clip('0880'), (value) => value / 4));
    const { bytes, codes, spokenMs } = speechOf(joined(new Int16Array(40_000), clean, new Int16Array(8000)));
    expect(spokenMs).toBeGreaterThan(2000);
    expect(bytes.length).toBeLessThan(codes.length - 30_000);
  });

  it('has a word that is even, on a line that leaves the silence out', () => {
    // As somebody says "mm": a pitch that glides, and hardly more or less of it.
    let turn = 0;
    const hum = Int16Array.from({ length: 2400 }, (_, i) => {
      turn += (2 * Math.PI * (120 + i / 80)) / 8000;
      const loud = 2500 * (1 + 0.2 * Math.sin((2 * Math.PI * 5 * i) / 8000));
      return loud * (Math.sin(turn) + 0.7 * Math.sin(2 * turn + 1) + 0.5 * Math.sin(3 * turn + 2));
    });
    const { spokenMs, bytes } = speechOf(joined(new Int16Array(24_000), hum, new Int16Array(6400)));
    expect(spokenMs).toBeGreaterThan(250);
    expect(bytes.length).toBeGreaterThan(hum.length);
  });

  it('has pauses of 300 ms at most, too short to end a turn, cut where it is quiet', () => {
    const word = clip('0880').subarray(0, 6000);
    const one = onLine(word, -18, -55);
    const two = onLine(clip('0870').subarray(0, 8000), -18, -55);
    const { bytes, codes } = speechOf(joined(one, noiseOf(2500, -55, 21), two));
    const kept = [...framesIn(bytes, codes)];
    const gaps = kept.flatMap((frame, i) => (i > 0 && frame !== (kept[i - 1] ?? 0) + 1 ? [i] : []));
    expect(gaps).toHaveLength(1);
    const joint = gaps[0] ?? 0;
    for (const at of [joint - 1, joint]) {
      const frame = bytes.subarray(at * FRAME, (at + 1) * FRAME);
      expect(dbm0(rms(samplesOf(frame)))).toBeLessThan(-48);
    }
  });

  it('ends with the silence that was there, 800 ms at most, so that the turn is over at once', () => {
    const said = onLine(clip('0880'), -18, -55);
    const { bytes, codes } = speechOf(joined(said, noiseOf(4000, -55, 31)));
    const kept = [...framesIn(bytes, codes)];
    const last = kept.findLastIndex((frame, i) => frame - i === (kept[0] ?? 0));
    const voiceEnds = Math.max(...audible(clip('0880'), -18, -55)) + 50;
    const silentMs = ((kept[last] ?? 0) - voiceEnds) * 20;
    expect(silentMs).toBeGreaterThanOrEqual(780);
    expect(silentMs).toBeLessThanOrEqual(1200);
  });

  it('has no silence of its own making at the end: what comes next comes live', () => {
    const said = joined(onLine(clip('0880'), -18, -55).subarray(0, 20_000));
    const { bytes, codes, speaking } = speechOf(said);
    expect(speaking).toBe(true);
    expect(Buffer.from(bytes.subarray(-FRAME)).equals(codes.subarray(-FRAME))).toBe(true);
  });

  it('never is longer than what there was, nor out of order, whatever was said when', () => {
    const random = seeded(4711);
    for (let round = 0; round < 25; round++) {
      const noise = -65 + 25 * random();
      const parts: Int16Array[] = [];
      for (let i = 0; i < 1 + 4 * random(); i++) {
        const said = clip(SENTENCES[Math.floor(3 * random())] ?? '0870');
        const from = Math.floor(random() * said.length * 0.8);
        const loud = noise + 15 + 20 * random();
        parts.push(noiseOf(20 + Math.floor(1500 * random()), noise, round * 10 + i + 1));
        parts.push(onLine(said.subarray(from, from + 1600 + Math.floor(8000 * random())), loud, noise));
      }
      const whole = joined(...parts).subarray(0, 80_000);
      const { bytes, codes, spokenMs } = speechOf(whole.subarray(0, whole.length - (whole.length % FRAME)));
      expect(bytes.length).toBeLessThanOrEqual(codes.length);
      expect(spokenMs * 8).toBeLessThanOrEqual(bytes.length + 8 * 6000);
      framesIn(bytes, codes);
    }
  });
});

describe('the level of a frame', () => {
  it.each(FORMATS.map((format) => [formatName(format), format] as const))(
    'is the same in %s',
    (_, format) => {
      const line = onLine(clip('0880'), -12, -60).subarray(14_400, 14_400 + 8 * FRAME);
      const bytes = createTranscoder(PCM_8K, format).push(toBytes(line));
      const [meter, decode, into] = [
        createFrameMeter(format),
        createDecoder(format),
        new Int16Array(8 * FRAME),
      ];
      expect(Math.abs(meter(bytes, 0, bytes.length) - dbm0(rms(line)))).toBeLessThan(0.7);
      decode(bytes, 0, bytes.length, into);
      expect(Math.abs(dbm0(rms(into)) - dbm0(rms(line)))).toBeLessThan(1.5);
      expect(meter(bytes, 0, 0)).toBe(Number.NEGATIVE_INFINITY);
    },
  );
});

describe('the plan of what is kept', () => {
  const levels = (text: string): Float32Array =>
    Float32Array.from(text, (sign) => (sign === '#' ? -15 : sign === '+' ? -40 : -60 + Math.random()));
  const shown = (keep: Uint8Array): string => Array.from(keep, (kept) => (kept === 1 ? 'x' : '.')).join('');

  it('keeps 200 ms before the voice and lets a short pause be', () => {
    const text = `${'_'.repeat(30)}#########${'_'.repeat(12)}########${'_'.repeat(60)}`;
    const { keep, voicedMs, speaking } = planTrim(levels(text), 0, 500, () => true);
    expect(shown(keep)).toBe(
      `${'.'.repeat(20)}${'x'.repeat(10 + 9 + 12 + 8 + 40)}${'.'.repeat(10)}${'x'.repeat(10)}`,
    );
    expect(voicedMs).toBe((9 + 12 + 8) * 20);
    expect(speaking).toBe(false);
  });

  it('cuts a pause where the least is lost: a word that dies away keeps its end', () => {
    const dying = `${'#'.repeat(20)}${'_'.repeat(3)}${'+'.repeat(8)}${'_'.repeat(50)}${'#'.repeat(20)}`;
    const weak = levels(dying).map((level) => (level === -40 ? -56 : level));
    const { keep } = planTrim(weak, 0, 500, () => true);
    expect(shown(keep.subarray(20, 20 + 61))).toBe(`${'x'.repeat(11)}${'.'.repeat(46)}${'x'.repeat(4)}`);
  });

  it('gives nothing of what comes before its beginning', () => {
    const text = `${'#'.repeat(40)}${'_'.repeat(40)}${'#'.repeat(20)}`;
    const { keep, voicedMs } = planTrim(levels(text), 78, 500, () => true);
    expect(shown(keep)).toBe(`${'.'.repeat(78)}${'x'.repeat(22)}`);
    expect(voicedMs).toBe(400);
  });

  it('keeps the newest when there is too much', () => {
    const { keep } = planTrim(levels(`${'_'.repeat(20)}${'#'.repeat(80)}`), 0, 30, () => true);
    expect(shown(keep)).toBe(`${'.'.repeat(70)}${'x'.repeat(30)}`);
  });

  it('asks for a closer look at every stretch that is as long as a word, and takes its word', () => {
    const asked: [number, number, boolean][] = [];
    const text = `${'_'.repeat(30)}##########${'_'.repeat(30)}##${'_'.repeat(30)}###`;
    const { voicedMs, keep } = planTrim(levels(text), 0, 500, (...stretch) => {
      asked.push(stretch);
      return false;
    });
    expect(asked).toEqual([
      [30, 40, false],
      [102, 105, true],
    ]);
    expect(voicedMs).toBe(0);
    expect(shown(keep)).toBe(`${'.'.repeat(95)}${'x'.repeat(10)}`);
  });
});

function samplesOf(codes: Uint8Array): Int16Array {
  const pcm = createTranscoder(MULAW_8K, PCM_8K).push(codes).slice();
  return new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length / 2);
}
