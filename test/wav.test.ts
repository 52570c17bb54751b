import { describe, expect, it } from 'vitest';
import { AudioError } from '../src/audio/audio-error.ts';
import { ENCODINGS, type Encoding } from '../src/audio/format.ts';
import { encodeWav, interleave, readWav, samplesToBytes, type WavFormat } from '../src/audio/wav.ts';
import { BridgeError } from '../src/errors.ts';
import { noise, seeded, toBytes, toInt16 } from './support/signal.ts';

const MONO_PCM: WavFormat = { encoding: 'pcm16', rate: 16_000, channels: 1 };
const SAMPLES = Int16Array.of(0, 1, -1, 32_767, -32_768, 1234);
const AUDIO = toBytes(SAMPLES);

function u16(value: number): number[] {
  return [value & 255, value >> 8];
}

function u32(value: number): number[] {
  return [...u16(value & 0xffff), ...u16(value >>> 16)];
}

function text(value: string): number[] {
  return [...value].map((letter) => letter.charCodeAt(0));
}

interface RawChunk {
  readonly id: string;
  readonly body: ArrayLike<number>;
  /** What the header says when that is not the truth. */
  readonly size?: number;
  readonly padded?: boolean;
}

function raw(...chunks: RawChunk[]): Uint8Array {
  const body = chunks.flatMap(({ id, body, size, padded = true }) => [
    ...text(id),
    ...u32(size ?? body.length),
    ...Array.from(body),
    ...(padded && body.length % 2 === 1 ? [0] : []),
  ]);
  return Uint8Array.from([...text('RIFF'), ...u32(4 + body.length), ...text('WAVE'), ...body]);
}

function fmt(tag: number, channels: number, rate: number, bits: number, extra: number[] = []): RawChunk {
  const width = (channels * bits) / 8;
  const fields = [
    ...u16(tag),
    ...u16(channels),
    ...u32(rate),
    ...u32(rate * width),
    ...u16(width),
    ...u16(bits),
  ];
  return { id: 'fmt ', body: [...fields, ...extra] };
}

const PCM = fmt(1, 1, 16_000, 16);
const DATA: RawChunk = { id: 'data', body: AUDIO };

function badAudio(message: RegExp): unknown {
  return expect.objectContaining({ code: 'BAD_AUDIO', message: expect.stringMatching(message) });
}

describe('reading WAV', () => {
  it('reads 16-bit PCM of any rate', () => {
    const file = readWav(raw(fmt(1, 1, 44_100, 16), DATA));
    expect(file).toMatchObject({ encoding: 'pcm16', rate: 44_100, channels: 1, frames: 6, complete: true });
    expect(file.channel(0)).toEqual(SAMPLES);
    expect(file.data).toEqual(AUDIO);
  });

  it('takes the channels of a stereo file apart', () => {
    const file = readWav(raw(fmt(1, 2, 8000, 16), DATA));
    expect(file.frames).toBe(3);
    expect([...file.channel(0)]).toEqual([0, -1, -32_768]);
    expect([...file.channel(1)]).toEqual([1, 32_767, 1234]);
    expect(() => file.channel(2)).toThrow(badAudio(/2 channels, wanted number 2/));
  });

  it.each([
    [7, 'mulaw', [0, 0, -32_124, 32_124]],
    [6, 'alaw', [848, -848, -5504, 5504]],
  ])('reads format %i as %s', (tag, encoding, samples) => {
    const codes = Uint8Array.of(0xff, 0x7f, 0x00, 0x80);
    const file = readWav(raw(fmt(tag, 1, 8000, 8, u16(0)), { id: 'data', body: codes }));
    expect(file.encoding).toBe(encoding);
    expect([...file.channel(0)]).toEqual(samples);
  });

  it('finds the encoding of WAVE_FORMAT_EXTENSIBLE in its sub-format', () => {
    const rest = [
      ...u16(22),
      ...u16(16),
      ...u32(4),
      ...u16(1),
      ...text('\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71'),
    ];
    const file = readWav(raw(fmt(0xfffe, 1, 48_000, 16, rest), DATA));
    expect(file).toMatchObject({ encoding: 'pcm16', rate: 48_000 });
    expect(file.channel(0)).toEqual(SAMPLES);
  });

  it('skips chunks that it does not know, of odd length too, with and without their padding', () => {
    for (const padded of [true, false]) {
      const list: RawChunk = { id: 'LIST', body: text('INFO and'), padded };
      const odd: RawChunk = { id: 'junk', body: [1, 2, 3], padded };
      expect(readWav(raw(odd, PCM, list, odd, DATA, odd)).channel(0)).toEqual(SAMPLES);
    }
  });

  it('does not mind data that comes before its format', () => {
    expect(readWav(raw(DATA, PCM)).channel(0)).toEqual(SAMPLES);
  });

  it('leaves out what follows the data', () => {
    const tail: RawChunk = { id: 'LIST', body: text('INFO made by hand') };
    expect(readWav(raw(PCM, DATA, tail)).data).toEqual(AUDIO);
  });

  it.each([
    ['no size', 0],
    ['the unknown size', 0xffff_ffff],
    ['more than there is', 1_000_000],
  ])('reads to the end where a recorder that crashed left %s', (_, size) => {
    const file = readWav(raw(PCM, { ...DATA, size }));
    expect(file.channel(0)).toEqual(SAMPLES);
    expect(file.complete).toBe(false);
  });

  it('drops half a sample at the end of a cut file', () => {
    const whole = raw(PCM, DATA);
    const file = readWav(whole.subarray(0, whole.length - 3));
    expect(file.channel(0)).toEqual(SAMPLES.slice(0, 4));
    expect(file.complete).toBe(false);
  });

  it('takes a file that is really empty as empty, not the chunk behind it for audio', () => {
    const file = readWav(raw(PCM, { id: 'data', body: [] }, { id: 'LIST', body: text('INFO') }));
    expect(file).toMatchObject({ frames: 0, complete: true });
    expect(readWav(raw(PCM, { id: 'data', body: [] })).channel(0)).toHaveLength(0);
  });

  it('reads a view of a bigger buffer at an odd place', () => {
    const file = raw(PCM, DATA);
    const big = new Uint8Array(file.length + 20);
    big.set(file, 7);
    expect(readWav(big.subarray(7, 7 + file.length)).channel(0)).toEqual(SAMPLES);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /0 bytes/],
    ['another kind of file', Uint8Array.from(text('ID3 and then an MP3 file')), /wanted "RIFF WAVE"/],
    ['no format', raw(DATA), /no fmt chunk/],
    ['no data', raw(PCM), /no data chunk/],
    ['a short format', raw({ id: 'fmt ', body: [1, 0, 1, 0] }, DATA), /4 bytes, wanted at least 16/],
    ['float samples', raw(fmt(3, 1, 8000, 32), DATA), /float with 32 bits, wanted 16-bit PCM/],
    ['24-bit PCM', raw(fmt(1, 1, 8000, 24), DATA), /PCM with 24 bits/],
    ['an unknown format', raw(fmt(4711, 1, 8000, 4), DATA), /format 4711/],
    ['no channel', raw(fmt(1, 0, 8000, 16), DATA), /0 channels/],
    ['no rate', raw(fmt(1, 1, 0, 16), DATA), /at 0 Hz/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readWav(bytes)).toThrow(badAudio(message));
  });

  it('answers any damage with audio or BAD_AUDIO, and nothing else', () => {
    const random = seeded(11);
    const whole = raw(PCM, { id: 'LIST', body: [1, 2, 3] }, DATA);
    let read = 0;
    for (let i = 0; i < 5_000; i++) {
      const bytes = whole.slice(0, 1 + Math.floor(random() * whole.length));
      for (let k = 0; k < 3; k++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      try {
        const file = readWav(bytes);
        expect(file.channel(file.channels - 1)).toHaveLength(file.frames);
        read += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(AudioError);
      }
    }
    expect(read).toBeGreaterThan(100);
  });

  it('keeps code and message when it becomes an error of the bridge', () => {
    const error = new AudioError('WAV has no data chunk');
    expect(BridgeError.from(error, error.code).message).toBe('BAD_AUDIO: WAV has no data chunk');
  });
});

describe.each(ENCODINGS)('writing WAV with %s', (encoding) => {
  it('writes what it reads, mono and stereo, also with an odd number of bytes', () => {
    for (const channels of [1, 2]) {
      for (const count of [0, 1, 5, 160]) {
        const data = samplesToBytes(toInt16(noise(count * channels)), encoding);
        const file = encodeWav({ encoding, rate: 8000, channels }, data);
        expect(file.length % 2).toBe(0);
        const again = readWav(file);
        expect(again).toMatchObject({ encoding, rate: 8000, channels, frames: count, complete: true });
        expect(again.data).toEqual(data);
      }
    }
  });

  it('says in the header what other programs look for', () => {
    const data = samplesToBytes(toInt16(noise(101 * 2)), encoding);
    const file = encodeWav({ encoding, rate: 24_000, channels: 2 }, data);
    const view = new DataView(file.buffer);
    const width = encoding === 'pcm16' ? 4 : 2;
    expect(view.getUint32(4, true)).toBe(file.length - 8);
    expect(view.getUint16(20, true)).toBe({ pcm16: 1, alaw: 6, mulaw: 7 }[encoding]);
    expect(view.getUint32(28, true)).toBe(24_000 * width);
    expect(view.getUint16(32, true)).toBe(width);
    expect(view.getUint16(34, true)).toBe(encoding === 'pcm16' ? 16 : 8);
    // The standard wants the number of frames in a fact chunk for everything but PCM.
    if (encoding !== 'pcm16') expect(view.getUint32(46, true)).toBe(101);
  });
});

describe('encodeWav', () => {
  it.each<[string, WavFormat]>([
    ['no channel', { ...MONO_PCM, channels: 0 }],
    ['half a channel', { ...MONO_PCM, channels: 1.5 }],
    ['a rate that is no number', { ...MONO_PCM, rate: Number.NaN }],
    ['another encoding', { ...MONO_PCM, encoding: 'opus' as Encoding }],
  ])('refuses %s', (_, format) => {
    expect(() => encodeWav(format, new Uint8Array(2))).toThrow(badAudio(/cannot write a WAV/));
  });
});

describe('interleave', () => {
  it('puts left and right side by side', () => {
    expect([...interleave(Uint8Array.of(1, 2), Uint8Array.of(3, 4), 'mulaw')]).toEqual([1, 3, 2, 4]);
    expect([...interleave(Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8), 'pcm16')]).toEqual([
      1, 2, 5, 6, 3, 4, 7, 8,
    ]);
  });

  it('fills the shorter side up with silence', () => {
    expect([...interleave(Uint8Array.of(1, 2), new Uint8Array(0), 'mulaw')]).toEqual([1, 0xff, 2, 0xff]);
    expect([...interleave(new Uint8Array(0), Uint8Array.of(1), 'alaw')]).toEqual([0xd5, 1]);
    expect([...interleave(Uint8Array.of(1, 2), new Uint8Array(0), 'pcm16')]).toEqual([1, 2, 0, 0]);
  });
});
