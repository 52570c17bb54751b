import speexModule from '@echogarden/speex-resampler-wasm/simd';
import alawmulaw from 'alawmulaw';
import waveResampler from 'wave-resampler';
import { type AudioFormat, bytesPerMs } from '../../src/audio/format.ts';
import { lawTables } from '../../src/audio/g711.ts';
import { createTranscoder } from '../../src/audio/transcode.ts';

/** One way to convert frames from one format to another. */
export interface Converter {
  /** Converts 20 ms; the result is valid until the next call. */
  convert(frame: Uint8Array): Uint8Array;
  /** Constant delay of what comes out, in ms; NaN where the method does not know it. */
  readonly delayMs: number;
}

export interface Method {
  readonly name: string;
  /** A converter with a state of its own, as one leg of one call has it; undefined where the method has nothing to do. */
  create(from: AudioFormat, to: AudioFormat): Converter | undefined;
}

/** What a call of ours uses. */
export const PATCHCORD: Method = {
  name: 'patchcord',
  create: (from, to) => {
    const transcoder = createTranscoder(from, to);
    return { convert: (frame) => transcoder.push(frame), delayMs: transcoder.delayMs };
  },
};

/** The two packages that samples of media streams combine, with their defaults, a frame at a time. */
export const PACKAGES: Method = {
  name: 'alawmulaw + wave-resampler',
  create: (from, to) => ({
    convert: (frame) => {
      const samples = decodeWithPackage(from, frame);
      const resampled =
        from.rate === to.rate
          ? samples
          : Int16Array.from(waveResampler.resample(samples, from.rate, to.rate), Math.trunc);
      return encodeWithPackage(to, resampled);
    },
    delayMs: Number.NaN,
  }),
};

function decodeWithPackage({ encoding }: AudioFormat, bytes: Uint8Array): Int16Array {
  // A copy: the package filters what it is given in place.
  if (encoding === 'pcm16') return new Int16Array(bytes.slice().buffer);
  return alawmulaw[encoding].decode(bytes);
}

function encodeWithPackage({ encoding }: AudioFormat, samples: Int16Array): Uint8Array {
  if (encoding === 'pcm16') return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  return alawmulaw[encoding].encode(samples);
}

const QUALITY = 5;
/** Room for the largest frame: 20 ms at 24 kHz. */
const MOST_SAMPLES = 480;

/**
 * libspeexdsp compiled to WebAssembly with SIMD, used as well as one can: memory of the module is taken once, and the laws
 * are our tables, read and written where the module works. Only for two different rates.
 */
export async function speex(): Promise<Method> {
  const module = await speexModule();
  const numbers = module._malloc(12);
  const input = module._malloc(MOST_SAMPLES * 2);
  const output = module._malloc(MOST_SAMPLES * 2);
  return {
    name: `speex (WASM SIMD, quality ${QUALITY})`,
    create: (from, to) => {
      if (from.rate === to.rate) return undefined;
      const state = module._speex_resampler_init(1, from.rate, to.rate, QUALITY, numbers);
      const result = new Uint8Array(20 * bytesPerMs(to));
      const read = readerOf(from);
      const write = writerOf(to);
      return {
        convert: (frame) => {
          const { HEAP16, HEAP32 } = module;
          HEAP32[(numbers >> 2) + 1] = read(frame, HEAP16, input >> 1);
          HEAP32[(numbers >> 2) + 2] = MOST_SAMPLES;
          module._speex_resampler_process_int(state, 0, input, numbers + 4, output, numbers + 8);
          write(HEAP16, output >> 1, HEAP32[(numbers >> 2) + 2] ?? 0, result);
          return result;
        },
        delayMs: (module._speex_resampler_get_output_latency(state) * 1000) / to.rate,
      };
    },
  };
}

type Read = (frame: Uint8Array, into: Int16Array, at: number) => number;
type Write = (samples: Int16Array, from: number, count: number, into: Uint8Array) => void;

function readerOf({ encoding }: AudioFormat): Read {
  if (encoding === 'pcm16') {
    return (frame, into, at) => {
      const count = frame.length >> 1;
      for (let i = 0; i < count; i++) into[at + i] = (frame[2 * i] ?? 0) | ((frame[2 * i + 1] ?? 0) << 8);
      return count;
    };
  }
  const { decode } = lawTables(encoding);
  return (frame, into, at) => {
    for (let i = 0; i < frame.length; i++) into[at + i] = decode[frame[i] ?? 0] ?? 0;
    return frame.length;
  };
}

function writerOf({ encoding }: AudioFormat): Write {
  if (encoding === 'pcm16') {
    return (samples, from, count, into) => {
      for (let i = 0; i < count; i++) {
        const sample = samples[from + i] ?? 0;
        into[2 * i] = sample;
        into[2 * i + 1] = sample >> 8;
      }
    };
  }
  const { encode } = lawTables(encoding);
  return (samples, from, count, into) => {
    for (let i = 0; i < count; i++) into[i] = encode[(samples[from + i] ?? 0) & 0xffff] ?? 0;
  };
}
