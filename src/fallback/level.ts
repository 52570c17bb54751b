import { type AudioFormat, bytesPerSample } from '../audio/format.ts';
import { lawTables } from '../audio/g711.ts';
import { dbm0 } from '../audio/tone.ts';

/** The level of `bytes[from]` up to `bytes[to]`, whole samples, in dBm0; -Infinity for digital silence and for nothing. */
export type LevelMeter = (bytes: Uint8Array, from: number, to: number) => number;

/** Measures the level of audio in `format`. */
export function createLevelMeter(format: AudioFormat): LevelMeter {
  return format.encoding === 'pcm16'
    ? pcmMeter((format.rate / 8000) * bytesPerSample(format))
    : lawMeter(lawTables(format.encoding).decode);
}

function lawMeter(decode: Int16Array): LevelMeter {
  const squares = Float64Array.from(decode, (sample) => sample * sample);
  return (bytes, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += squares[bytes[i] ?? 0] ?? 0;
    return dbm0(Math.sqrt(sum / Math.max(1, to - from)));
  };
}

/** Of a higher rate than 8 kHz every second or third sample is looked at: that aliases, and leaves the level as it is. */
function pcmMeter(step: number): LevelMeter {
  return (bytes, from, to) => {
    let sum = 0;
    let count = 0;
    for (let i = from; i + 1 < to; i += step) {
      const sample = (((bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8)) << 16) >> 16;
      sum += sample * sample;
      count += 1;
    }
    return dbm0(Math.sqrt(sum / Math.max(1, count)));
  };
}
