import { readFileSync } from 'node:fs';
import { decodeG711, encodeG711 } from '../../src/audio/g711.ts';
import { resampleWhole } from '../../src/audio/offline.ts';
import { OnsetDetector } from '../../src/audio/onset.ts';
import { ZERO_DBM0_RMS } from '../../src/audio/tone.ts';
import { readWav } from '../../src/audio/wav.ts';
import { packageFile } from '../../src/package-file.ts';
import { rms, seeded, toInt16 } from './signal.ts';

/** Speech on telephone lines, and when it begins, to measure a detector of onsets by. Samples are PCM16 at 8 kHz. */

export const SENTENCES = ['0870', '0880', '0890'] as const;
/** What is put before speech, so that a detector knows the line. */
export const BEFORE_MS = 1000;
const AFTER_MS = 500;
const BLOCK = 80;

/** A sentence of `fixtures/speech`. */
export function sentence(name: (typeof SENTENCES)[number]): Int16Array {
  const file = readWav(readFileSync(packageFile(`fixtures/speech/librivox-${name}.wav`)));
  return resampleWhole(file.channel(0), file.rate, 8000);
}

/** RMS of every 10 ms. */
function blocks(samples: Float64Array): number[] {
  return Array.from({ length: Math.floor(samples.length / BLOCK) }, (_, i) =>
    rms(samples.subarray(i * BLOCK, (i + 1) * BLOCK)),
  );
}

/** Level that a tenth of the blocks exceed: that of the loud vowels. */
function loud(levels: readonly number[]): number {
  return [...levels].sort((a, b) => b - a)[Math.floor(levels.length / 10)] ?? 1;
}

function firstAbove(samples: Float64Array, belowLoudDb: number): number {
  const levels = blocks(samples);
  const least = loud(levels) * 10 ** (-belowLoudDb / 20);
  const from = levels.findIndex(
    (level, i) => level > least && levels.slice(i + 1, i + 5).filter((next) => next > least).length >= 3,
  );
  return Math.max(0, from) * 10;
}

/** When the first sound begins, in ms: also the hiss of an s. */
export function soundOnset(samples: Int16Array): number {
  return firstAbove(Float64Array.from(samples), 25);
}

/** When the first voice begins, in ms: what has power below 700 Hz. */
export function voiceOnset(samples: Int16Array): number {
  const keep = Math.exp((-2 * Math.PI * 700) / 8000);
  let [one, two] = [0, 0];
  const low = Float64Array.from(samples, (value) => {
    one += (1 - keep) * (value - one);
    two += (1 - keep) * (one - two);
    return two;
  });
  return firstAbove(low, 14);
}

/** Noise between white and that of rooms. */
function lineNoise(count: number, dbm0: number, seed: number): Float64Array {
  const random = seeded(seed);
  for (let i = 0; i < 50; i++) random();
  let past = 0;
  const noise = Float64Array.from({ length: count }, () => {
    const value = Math.sqrt(-2 * Math.log(random() || 1e-9)) * Math.cos(2 * Math.PI * random());
    past = 0.5 * past + value;
    return past;
  });
  const factor = (ZERO_DBM0_RMS * 10 ** (dbm0 / 20)) / rms(noise);
  return noise.map((value) => value * factor);
}

/** Speech whose loud vowels have this level, on a line with this noise (dBm0), as mu-law delivers it. */
export function onLine(speech: Int16Array, levelDbm0: number, noiseDbm0: number, seed = 3): Int16Array {
  const factor = (ZERO_DBM0_RMS * 10 ** (levelDbm0 / 20)) / loud(blocks(Float64Array.from(speech)));
  const line = lineNoise(speech.length + (BEFORE_MS + AFTER_MS) * 8, noiseDbm0, seed);
  for (const [i, value] of speech.entries()) {
    const at = BEFORE_MS * 8 + i;
    line[at] = (line[at] ?? 0) + factor * value;
  }
  return decodeG711('mulaw', encodeG711('mulaw', toInt16(line)));
}

/** When a detector first says so, in ms; undefined: never. */
export function firstVoice(line: Int16Array, minSpeechMs?: number): number | undefined {
  let at = 0;
  let first: number | undefined;
  const detector = new OnsetDetector({
    minSpeechMs,
    listener: {
      onVoice: () => {
        first ??= at;
      },
      onQuiet: () => undefined,
    },
  });
  for (let from = 0; from + 160 <= line.length; from += 160) {
    at += 20;
    detector.push(line.subarray(from, from + 160), 160);
  }
  return first;
}

/** Words that begin with every kind of sound. */
export const WORDS = {
  vowel: ['Eleven.', 'Okay, okay.', 'Under the bridge.', 'Oh, wait.', 'I have a question.'],
  nasal: ['No.', 'My name is Anna.', 'Never mind.'],
  glide: ['Wait.', 'Yes.', 'Let me think.', 'What about Sunday?', 'Really?'],
  plosive: [
    'Please stop.',
    'But I want two.',
    'Tomorrow at ten.',
    'Could I speak to a person?',
    'Quiet, please.',
  ],
  fricative: ['Sorry, what?', 'She said so.', 'Four people.', 'Thank you, that is enough.', 'Just a moment.'],
  breathed: ['Hello?', 'How much is it?', 'Hold on a second.'],
} as const;
