import { type AudioFormat, bytesPerSample } from './format.ts';
import { lawTables } from './g711.ts';
import { dbm0 } from './tone.ts';

/** The level of `bytes[from]` up to `bytes[to]`, whole samples, in dBm0; -Infinity for digital silence and for nothing. */
export type FrameMeter = (bytes: Uint8Array, from: number, to: number) => number;

/** Measures the level of audio in `format`. */
export function createFrameMeter(format: AudioFormat): FrameMeter {
  return format.encoding === 'pcm16'
    ? pcmMeter((format.rate / 8000) * bytesPerSample(format))
    : lawMeter(SQUARES[format.encoding]);
}

/** Shared by all calls. */
const SQUARES = {
  mulaw: squaresOf(lawTables('mulaw').decode),
  alaw: squaresOf(lawTables('alaw').decode),
};

function squaresOf(decode: Int16Array): Float64Array {
  return Float64Array.from(decode, (sample) => sample * sample);
}

function lawMeter(squares: Float64Array): FrameMeter {
  return (bytes, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += squares[bytes[i] ?? 0] ?? 0;
    return dbm0(Math.sqrt(sum / Math.max(1, to - from)));
  };
}

/** Of a higher rate than 8 kHz every second or third sample is looked at: that aliases, and leaves the level as it is. */
function pcmMeter(step: number): FrameMeter {
  return (bytes, from, to) => {
    let sum = 0;
    let count = 0;
    for (let i = from; i + 1 < to; i += step) {
      const sample = sampleAt(bytes, i);
      sum += sample * sample;
      count += 1;
    }
    return dbm0(Math.sqrt(sum / Math.max(1, count)));
  };
}

/** Writes `bytes[from]` up to `bytes[to]` as PCM16 at 8 kHz to the front of `into`; fills the rest with silence. */
export type Decoder = (bytes: Uint8Array, from: number, to: number, into: Int16Array) => void;

/** Decodes `format` for a look at the pitch: of higher rates it takes the mean of two or three samples for one. */
export function createDecoder(format: AudioFormat): Decoder {
  if (format.encoding === 'pcm16') return pcmDecoder(format.rate / 8000);
  const { decode } = lawTables(format.encoding);
  return (bytes, from, to, into) => {
    for (let i = 0; i < into.length; i++) into[i] = from + i < to ? (decode[bytes[from + i] ?? 0] ?? 0) : 0;
  };
}

function pcmDecoder(each: number): Decoder {
  return (bytes, from, to, into) => {
    for (let i = 0, at = from; i < into.length; i++) {
      let sum = 0;
      for (let k = 0; k < each; k++, at += 2) if (at + 1 < to) sum += sampleAt(bytes, at);
      into[i] = sum / each;
    }
  };
}

function sampleAt(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)) << 16) >> 16;
}
