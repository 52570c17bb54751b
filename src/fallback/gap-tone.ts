import type { Clip } from '../agents.ts';
import { createToneGenerator } from '../audio/tone.ts';

const RATE = 8000;
/** A falling third, away from the frequencies of call progress tones and keys, so that nothing takes it for one. */
const NOTES_HZ = [659, 523] as const;
const NOTE_MS = 150;
const PAUSE_MS = 40;
/** So that it neither clicks nor startles. */
const FADE_MS = 30;
/** Below speech, which is about -20 dBm0 on a telephone line, and above what is taken for the line's own noise. */
const LEVEL_DBM0 = -25;

/** Half a cosine up at the beginning and down at the end. */
function fade(sample: number, count: number): number {
  const edge = (Math.min(sample, count - 1 - sample) * 1000) / (RATE * FADE_MS);
  return edge >= 1 ? 1 : (1 - Math.cos(Math.PI * edge)) / 2;
}

function note(hz: number): Int16Array {
  const count = (RATE * NOTE_MS) / 1000;
  const samples = new Int16Array(count);
  createToneGenerator(RATE, [{ hz, dbm0: LEVEL_DBM0 }]).fill(samples, count);
  return samples.map((value, i) => Math.round(value * fade(i, count)));
}

/** Two quiet notes, 340 ms in all, for a caller who waits; a new clip each time, PCM16 at 8 kHz. */
export function gapTone(): Clip {
  const step = (RATE * (NOTE_MS + PAUSE_MS)) / 1000;
  const view = new DataView(new ArrayBuffer(2 * ((RATE * NOTE_MS) / 1000 + step * (NOTES_HZ.length - 1))));
  for (const [n, hz] of NOTES_HZ.entries()) {
    for (const [i, value] of note(hz).entries()) view.setInt16(2 * (n * step + i), value, true);
  }
  return { pcm: new Uint8Array(view.buffer), rate: RATE };
}
