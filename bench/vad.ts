import { encodeG711 } from '../src/audio/g711.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { OnsetDetector } from '../src/audio/onset.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { createVoiceDetector } from '../src/audio/vad.ts';
import { Voicing } from '../src/audio/voicing.ts';
import { createSpeechEngine } from '../src/providers/local/engine.ts';
import { NOISES, noiseSamples } from '../test/support/noise.ts';
import {
  BEFORE_MS,
  firstVoice,
  onLine,
  SENTENCES,
  sentence,
  soundOnset,
  voiceOnset,
  WORDS,
} from '../test/support/onsets.ts';

/**
 * How soon the bridge hears that a caller speaks, what it takes for speech that is none, and what a frame costs:
 * `npm run build && node dist/bench/vad.js`. Delays count from the beginning of the voice and, in brackets, of the
 * sound, which of an s is 100 ms earlier.
 */

const LINES = [
  [-10, -65],
  [-18, -50],
  [-25, -45],
  [-30, -55],
  [-18, -32],
] as const;
const GAINS_DB = [-20, -10, 0, 6] as const;

interface Clip {
  readonly kind: string;
  readonly speech: Int16Array;
}

async function clips(): Promise<Clip[]> {
  const engine = createSpeechEngine();
  const found: Clip[] = SENTENCES.map((name) => ({ kind: 'sentence', speech: sentence(name) }));
  for (const voice of ['slt', 'rms', 'awb', 'kal16']) {
    for (const [kind, words] of Object.entries(WORDS)) {
      for (const word of words) {
        found.push({ kind, speech: resampleWhole(await engine.render(word, voice), 16_000, 8000) });
      }
    }
  }
  await engine.close();
  return found;
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

function spread(delays: readonly number[]): string {
  const sorted = [...delays].sort((a, b) => a - b);
  return [0.5, 0.9, 0.95].map((share) => String(at(sorted, share)).padStart(4)).join(' ');
}

function speechTable(all: readonly Clip[], minSpeechMs: number): string[] {
  const rows: string[] = [];
  for (const kind of ['sentence', ...Object.keys(WORDS)]) {
    const voice: number[] = [];
    const sound: number[] = [];
    let missed = 0;
    for (const { speech } of all.filter((clip) => clip.kind === kind)) {
      for (const [level, noise] of LINES) {
        const first = firstVoice(onLine(speech, level, noise), minSpeechMs);
        if (first === undefined) missed += 1;
        else {
          voice.push(first - BEFORE_MS - voiceOnset(speech));
          sound.push(first - BEFORE_MS - soundOnset(speech));
        }
      }
    }
    const inTime = voice.filter((delay) => delay <= 150).length / (voice.length + missed);
    rows.push(
      `${kind.padEnd(10)} ${String(voice.length + missed).padStart(4)}  ${spread(voice)}  (${spread(sound)})  ` +
        `${(100 * inTime).toFixed(0).padStart(3)} %  ${missed}`,
    );
  }
  return rows;
}

function falseOnes(minSpeechMs: number): string[] {
  return NOISES.flatMap((name) =>
    GAINS_DB.flatMap((gain) => {
      const samples = noiseSamples(name).map((value) =>
        Math.max(-32_768, Math.min(32_767, value * 10 ** (gain / 20))),
      );
      const first = firstVoice(samples, minSpeechMs);
      return first === undefined ? [] : [`${name} ${gain >= 0 ? '+' : ''}${gain} dB after ${first} ms`];
    }),
  );
}

/** Nanoseconds of one frame of 20 ms. */
function cost(work: (frame: Int16Array) => void): number {
  const line = onLine(sentence('0870'), -18, -50);
  const frames = Array.from({ length: Math.floor(line.length / 160) }, (_, i) =>
    line.subarray(i * 160, (i + 1) * 160),
  );
  const rounds = 60;
  for (const frame of frames) work(frame);
  const from = performance.now();
  for (let round = 0; round < rounds; round++) for (const frame of frames) work(frame);
  return Math.round(((performance.now() - from) * 1e6) / (rounds * frames.length));
}

function costs(): string[] {
  const detector = new OnsetDetector({ listener: { onVoice: () => undefined, onQuiet: () => undefined } });
  const likelihood = createVoiceDetector({ rate: 8000 });
  const voicing = new Voicing();
  const decoder = createTranscoder({ encoding: 'mulaw', rate: 8000 }, { encoding: 'pcm16', rate: 8000 });
  const codes = encodeG711('mulaw', onLine(sentence('0880'), -18, -50)).subarray(0, 160);
  const rows = {
    'onset detector': cost((frame) => detector.push(frame, frame.length)),
    '… its likelihood': cost((frame) => likelihood.process(frame)),
    '… its pitch': cost((frame) => voicing.process(frame)),
    'mu-law to samples': cost(() => decoder.push(codes)),
  };
  return Object.entries(rows).map(([name, ns]) => `${name.padEnd(20)} ${String(ns).padStart(6)} ns`);
}

const all = await clips();
const lines: string[] = [];
for (const minSpeechMs of [60, 80, 100]) {
  const wrong = falseOnes(minSpeechMs);
  lines.push(
    `minSpeechMs ${minSpeechMs}`,
    'begins with   n   p50  p90  p95  ( of the sound )  <=150  missed',
    ...speechTable(all, minSpeechMs),
    `taken for speech: ${wrong.length} of ${NOISES.length * GAINS_DB.length} noises${wrong.map((one) => `\n  ${one}`).join('')}`,
    '',
  );
}
process.stdout.write(`${[...lines, ...costs()].join('\n')}\n`);
