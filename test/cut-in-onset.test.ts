import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { resampleWhole } from '../src/audio/offline.ts';
import { OnsetDetector } from '../src/audio/onset.ts';
import { readWav } from '../src/audio/wav.ts';
import { createSpeechEngine } from '../src/providers/local/engine.ts';
import { NOISES, noiseFile, QUIET_MS } from './support/noise.ts';
import { BEFORE_MS, firstVoice, onLine, SENTENCES, sentence, voiceOnset, WORDS } from './support/onsets.ts';
import { toInt16 } from './support/signal.ts';

const FOLDER = new URL('../fixtures/noise/', import.meta.url);

describe('the files of fixtures/noise', () => {
  /** `WRITE_FIXTURES=1 npx vitest run test/cut-in-onset.test.ts` makes them anew. */
  it.each(NOISES)('%s is what the formula makes', (name) => {
    const path = new URL(`${name}.wav`, FOLDER);
    if (process.env['WRITE_FIXTURES'] === '1') {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, noiseFile(name));
    }
    expect(existsSync(path)).toBe(true);
    expect(Buffer.compare(readFileSync(path), Buffer.from(noiseFile(name)))).toBe(0);
  });

  it('are all there, and no others', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(NOISES.map((name) => `${name}.wav`).sort());
  });
});

function clip(name: string, gainDb: number): Int16Array {
  const file = readWav(readFileSync(new URL(`${name}.wav`, FOLDER)));
  return toInt16(Float64Array.from(file.channel(0), (value) => value * 10 ** (gainDb / 20)));
}

describe('an onset detector', () => {
  it.each(NOISES)('takes %s for no speech, be it faint, as it is or loud', (name) => {
    for (const gain of [-20, -10, 0, 6]) expect(firstVoice(clip(name, gain))).toBeUndefined();
  });

  it.each(NOISES)('hears a caller who speaks up in or after %s', (name) => {
    const noise = clip(name, -10);
    const line = new Int16Array(noise.length + 40_000);
    line.set(noise);
    const speech = onLine(sentence('0880'), -15, -60);
    for (const [i, value] of speech.entries()) line[noise.length + i] = value;
    const first = firstVoice(line) ?? 0;
    expect(first).toBeGreaterThan(noise.length / 8);
    expect(first).toBeLessThan(noise.length / 8 + BEFORE_MS + voiceOnset(sentence('0880')) + 250);
  });

  const lines = [
    [-10, -65],
    [-15, -50],
    [-20, -45],
    [-25, -50],
    [-30, -60],
    [-15, -35],
  ] as const;

  it.each(lines)('hears every sentence at %i dBm0 in noise of %i dBm0 within 150 ms', (level, noise) => {
    for (const name of SENTENCES) {
      const speech = sentence(name);
      const first = firstVoice(onLine(speech, level, noise)) ?? Number.NaN;
      const delay = first - BEFORE_MS - voiceOnset(speech);
      // Where the line is quiet, a voice that sets in softly is heard before it is loud.
      expect(delay, `${name} after ${delay} ms`).toBeGreaterThanOrEqual(-100);
      expect(delay, `${name} after ${delay} ms`).toBeLessThanOrEqual(150);
    }
  });
});

describe('an onset detector and the first words of other people', () => {
  const engine = createSpeechEngine();
  afterAll(() => engine.close());

  it.each(Object.entries(WORDS))('hears words that begin with a %s', async (_kind, words) => {
    const delays: number[] = [];
    for (const voice of ['slt', 'rms', 'awb', 'kal16']) {
      for (const word of words) {
        const speech = resampleWhole(await engine.render(word, voice), 16_000, 8000);
        const first = firstVoice(onLine(speech, -18, -50)) ?? Number.POSITIVE_INFINITY;
        delays.push(first - BEFORE_MS - voiceOnset(speech));
      }
    }
    // The voices of a program begin as they like: some have a creak of 100 ms that nobody would call voice.
    delays.sort((a, b) => a - b);
    expect(delays[Math.floor(delays.length / 2)]).toBeLessThanOrEqual(110);
    expect(delays.filter((delay) => delay <= 150).length / delays.length).toBeGreaterThanOrEqual(0.8);
    expect(delays.at(-1)).toBeLessThan(700);
  });
});

describe('an onset detector over time', () => {
  function listen() {
    const voices: number[] = [];
    const quiets: number[] = [];
    let at = 0;
    const detector = new OnsetDetector({
      listener: { onVoice: () => voices.push(at), onQuiet: () => quiets.push(at) },
    });
    const hear = (samples: Int16Array): void => {
      for (let from = 0; from + 160 <= samples.length; from += 160) {
        at += 20;
        detector.push(samples.subarray(from, from + 160), 160);
      }
    };
    return { detector, voices, quiets, hear };
  }

  it('says that the caller is quiet 600 ms after the last of the speech, once', () => {
    const { detector, voices, quiets, hear } = listen();
    const line = onLine(sentence('0880'), -18, -60);
    hear(line.subarray(0, 20_000));
    expect(detector.speaking).toBe(true);
    hear(line.subarray(20_000));
    hear(onLine(new Int16Array(8000), -18, -60));
    expect(detector.speaking).toBe(false);
    expect(quiets).toHaveLength(1);
    const after = (quiets[0] ?? 0) - (voices.at(-1) ?? 0);
    expect(after).toBeGreaterThanOrEqual(600);
    expect(after).toBeLessThanOrEqual(900);
  });

  it('hears the same wherever the stream is cut', () => {
    const whole = listen();
    const line = onLine(sentence('0890'), -18, -50);
    whole.hear(line);
    const voices: number[] = [];
    let taken = 0;
    const pieces = new OnsetDetector({
      listener: { onVoice: () => voices.push(Math.floor(taken / 160) * 20), onQuiet: () => undefined },
    });
    for (let at = 0, size = 1; at < line.length; at += size, size = (size % 157) + 1) {
      const piece = line.subarray(at, at + size);
      taken += piece.length;
      pieces.push(piece, piece.length);
    }
    expect(voices).toEqual(whole.voices.filter((ms) => ms * 8 <= line.length));
    expect(voices.length).toBeGreaterThan(10);
  });

  it('counts nothing that is weaker than it is told', () => {
    const { detector, voices, hear } = listen();
    detector.leastDbm0 = -20;
    hear(onLine(sentence('0880'), -24, -60));
    expect(voices).toEqual([]);
    detector.leastDbm0 = Number.NEGATIVE_INFINITY;
    hear(onLine(sentence('0880'), -24, -60));
    expect(voices.length).toBeGreaterThan(0);
  });

  it('gives up on a sound that lasts as long as nobody speaks', () => {
    const { detector, quiets, hear } = listen();
    hear(onLine(sentence('0880'), -18, -60).subarray(0, 20_000));
    expect(detector.speaking).toBe(true);
    // It swells and fades, so that its level is never learned.
    const noise = clip('white-noise', 0).subarray(QUIET_MS * 8, QUIET_MS * 8 + 2400);
    const faint = noise.map((value) => value >> 5);
    for (let i = 0; i < 70; i++) {
      hear(noise);
      hear(faint.subarray(0, 1600));
    }
    expect(detector.speaking).toBe(false);
    expect(quiets).toHaveLength(1);
  });
});
