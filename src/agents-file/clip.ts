import type { Clip } from '../agents.ts';
import { resampleWhole } from '../audio/offline.ts';
import { readWav, samplesToBytes, type WavFile } from '../audio/wav.ts';
import { BridgeError } from '../errors.ts';

/** A clip is heard while somebody waits; a longer one is music. */
const LONGEST_S = 60;
const BEST_RATE = 24_000;

/** Largest WAV file of a clip, in bytes: a minute of stereo at 48 kHz. */
export const LARGEST_CLIP = 16 * 1024 * 1024;

/** Reads a WAV file as a sound for callers who wait: all channels as one, at a rate that the line takes. Throws BAD_AUDIO. */
export function readClip(bytes: Uint8Array): Clip {
  const wav = readWav(bytes);
  if (wav.frames === 0) throw new BridgeError('BAD_AUDIO', 'found a WAV without sound');
  if (wav.frames / wav.rate > LONGEST_S) {
    throw new BridgeError(
      'BAD_AUDIO',
      `found ${Math.ceil(wav.frames / wav.rate)} s, wanted at most ${LONGEST_S} s`,
    );
  }
  const samples = mixed(wav);
  const { rate } = wav;
  if (rate === 8000 || rate === 16_000 || rate === 24_000)
    return { pcm: samplesToBytes(samples, 'pcm16'), rate };
  return { pcm: samplesToBytes(resampleWhole(samples, rate, BEST_RATE), 'pcm16'), rate: BEST_RATE };
}

function mixed(wav: WavFile): Int16Array {
  const sum = new Float64Array(wav.frames);
  for (let channel = 0; channel < wav.channels; channel++) {
    wav.channel(channel).forEach((sample, i) => {
      sum[i] = (sum[i] ?? 0) + sample;
    });
  }
  return Int16Array.from(sum, (value) => Math.round(value / wav.channels));
}
