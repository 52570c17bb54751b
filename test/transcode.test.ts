import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type AudioFormat,
  bytesPerMs,
  bytesPerSample,
  ENCODINGS,
  formatName,
  MULAW_8K,
  PCM16_24K,
  RATES,
  sameFormat,
  silenceByte,
} from '../src/audio/format.ts';
import { decodeG711, encodeG711, type Law } from '../src/audio/g711.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { createTranscoder, type Transcoder } from '../src/audio/transcode.ts';
import { bytesToSamples, readWav, samplesToBytes } from '../src/audio/wav.ts';
import {
  band,
  dB,
  fitTone,
  fromBytes,
  noise,
  rms,
  seeded,
  segmentalSnr,
  toBytes,
  toInt16,
  tone,
} from './support/signal.ts';

const FORMATS: AudioFormat[] = ENCODINGS.flatMap((encoding) => RATES.map((rate) => ({ encoding, rate })));
const PAIRS = FORMATS.flatMap((from) =>
  FORMATS.map((to): [string, AudioFormat, AudioFormat] => [
    `${formatName(from)} > ${formatName(to)}`,
    from,
    to,
  ]),
);
/** The pairs of a call: telephony to a model and back. */
const CALL_PAIRS = PAIRS.filter(([, from, to]) => {
  const model = [from, to].filter(({ encoding, rate }) => encoding === 'pcm16' && rate > 8000);
  return model.length === 1 && [from, to].some(({ rate }) => rate === 8000);
});
const ALAW_8K: AudioFormat = { encoding: 'alaw', rate: 8000 };
const PCM16_8K: AudioFormat = { encoding: 'pcm16', rate: 8000 };

/** Any bytes: they are valid audio in every format. */
function randomBytes(count: number, seed = 1): Uint8Array {
  const random = seeded(seed);
  return Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
}

/** Pushes piece by piece, then flushes; `cut` gives the bytes of the next piece. */
function convert(
  transcoder: Transcoder,
  bytes: Uint8Array,
  cut: () => number = () => bytes.length,
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const count = cut();
    parts.push(transcoder.push(bytes.subarray(at, at + count)).slice());
    at += count;
  }
  parts.push(transcoder.flush().slice());
  return new Uint8Array(Buffer.concat(parts));
}

/** Samples through the chain, without its delay. */
function through(from: AudioFormat, to: AudioFormat, samples: Int16Array): Int16Array {
  const transcoder = createTranscoder(from, to);
  const bytes = convert(transcoder, samplesToBytes(samples, from.encoding), () => 20 * bytesPerMs(from));
  return bytesToSamples(bytes, to.encoding).subarray(Math.round((transcoder.delayMs * to.rate) / 1000));
}

describe.each(PAIRS)('%s', (name, from, to) => {
  it('says what it does', () => {
    const transcoder = createTranscoder(from, to);
    expect(String(transcoder)).toBe(name);
    expect([transcoder.from, transcoder.to]).toEqual([from, to]);
    expect(transcoder.delayMs > 0).toBe(from.rate !== to.rate);
    expect(transcoder.delayMs).toBeLessThanOrEqual(2);
  });

  it('gives exactly 20 ms for every 20 ms, from the first frame on', () => {
    const transcoder = createTranscoder(from, to);
    const frame = randomBytes(20 * bytesPerMs(from));
    const lengths = Array.from({ length: 20 }, () => transcoder.push(frame).length);
    expect(new Set(lengths)).toEqual(new Set([20 * bytesPerMs(to)]));
  });

  it('gives the same bytes however they are cut, also inside a sample', () => {
    const bytes = randomBytes(3_002);
    const whole = convert(createTranscoder(from, to), bytes);
    const random = seeded(3);
    const cuts: (() => number)[] = [() => 1, () => 3, () => 641, () => 1 + Math.floor(random() * 1_920)];
    for (const cut of cuts) {
      expect(Buffer.compare(convert(createTranscoder(from, to), bytes, cut), whole)).toBe(0);
    }
  });

  it('is as fresh after reset and after flush, also with half a sample inside', () => {
    const bytes = randomBytes(1_001);
    const transcoder = createTranscoder(from, to);
    const first = transcoder.push(bytes).slice();
    transcoder.reset();
    expect(transcoder.push(bytes)).toEqual(first);
    transcoder.flush();
    expect(transcoder.push(bytes)).toEqual(first);
    transcoder.reset();
    expect(transcoder.flush()).toHaveLength(0);
  });

  it('neither keeps nor changes its input, wherever that lies in a bigger buffer', () => {
    const bytes = randomBytes(642);
    const wanted = createTranscoder(from, to).push(bytes).slice();
    const big = new Uint8Array(1_000).fill(7);
    big.set(bytes, 3);
    const copy = big.slice();
    const output = createTranscoder(from, to).push(big.subarray(3, 3 + bytes.length));
    expect(big).toEqual(copy);
    if (sameFormat(from, to)) return;
    big.fill(0);
    expect(output).toEqual(wanted);
  });

  it('does not mix two calls', () => {
    const [one, two] = [randomBytes(960, 1), randomBytes(960, 2)];
    const a = createTranscoder(from, to);
    const b = createTranscoder(from, to);
    const outputOfA = a.push(one);
    const outputOfB = b.push(two);
    expect(outputOfA).toEqual(createTranscoder(from, to).push(one));
    expect(outputOfB).toEqual(createTranscoder(from, to).push(two));
  });

  it('takes nothing, and gives nothing for it', () => {
    const transcoder = createTranscoder(from, to);
    expect(transcoder.push(new Uint8Array(0))).toHaveLength(0);
    expect(transcoder.flush()).toHaveLength(0);
  });

  it('keeps silence silent', () => {
    // A-law has no zero: its idle code is a step of 8 beside it.
    const frame = new Uint8Array(20 * bytesPerMs(from)).fill(silenceByte(from));
    const transcoder = createTranscoder(from, to);
    for (let i = 0; i < 5; i++) transcoder.push(frame);
    const output = new Set(bytesToSamples(transcoder.push(frame), to.encoding));
    const allowed = from.encoding === 'alaw' || to.encoding === 'alaw' ? 8 : 0;
    expect(Math.max(...[...output].map(Math.abs))).toBe(allowed);
  });
});

describe('equal formats', () => {
  it.each(FORMATS.map((format): [string, AudioFormat] => [formatName(format), format]))(
    '%s comes out as it went in, whole samples only',
    (_, format) => {
      const bytes = randomBytes(1_001);
      const transcoder = createTranscoder(format, { ...format });
      const whole = 1_001 - (1_001 % bytesPerSample(format));
      expect(transcoder.push(bytes)).toEqual(bytes.subarray(0, whole));
    },
  );

  it.each(FORMATS.map((format): [string, AudioFormat] => [formatName(format), format]))(
    '%s is not even copied, as long as samples come whole',
    (_, format) => {
      const transcoder = createTranscoder(format, { ...format });
      const frame = randomBytes(20 * bytesPerMs(format));
      expect(transcoder.push(frame)).toBe(frame);
      if (bytesPerSample(format) === 1) return;
      expect(transcoder.push(frame.subarray(0, 7))).toEqual(frame.subarray(0, 6));
      expect(transcoder.push(frame.subarray(7, 10))).toEqual(frame.subarray(6, 10));
      expect(transcoder.push(frame)).toBe(frame);
      transcoder.push(frame.subarray(0, 7));
      transcoder.flush();
      expect(transcoder.push(frame)).toBe(frame);
    },
  );
});

describe('from law to law', () => {
  it.each<[Law, Law]>([
    ['mulaw', 'alaw'],
    ['alaw', 'mulaw'],
  ])('%s to %s is the same as by way of PCM16', (from, to) => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    const transcoder = createTranscoder({ encoding: from, rate: 8000 }, { encoding: to, rate: 8000 });
    expect(transcoder.push(codes)).toEqual(encodeG711(to, decodeG711(from, codes)));
  });
});

describe('large pushes', () => {
  it('converts two minutes in one push as in frames', () => {
    const seconds = 120;
    const bytes = encodeG711('mulaw', toInt16(noise(8000 * seconds)));
    const whole = createTranscoder(MULAW_8K, PCM16_24K);
    const framed = createTranscoder(MULAW_8K, PCM16_24K);
    const output = whole.push(bytes);
    expect(output.length).toBe(seconds * 48_000);
    let same = true;
    for (let at = 0; at < bytes.length && same; at += 160) {
      const frame = framed.push(bytes.subarray(at, at + 160));
      same = Buffer.compare(frame, output.subarray(at * 6, at * 6 + 960)) === 0;
    }
    expect(same).toBe(true);
  });

  it('does not hold on to the memory of a large push', () => {
    const transcoder = createTranscoder(MULAW_8K, PCM16_24K);
    const large = transcoder.push(new Uint8Array(80_000));
    const after = transcoder.push(new Uint8Array(160));
    expect(large).toHaveLength(480_000);
    expect(after.buffer).not.toBe(large.buffer);
    expect(after.buffer.byteLength).toBeLessThanOrEqual(65_536);
  });

  it('keeps the result of an earlier push size apart from the next', () => {
    const transcoder = createTranscoder(MULAW_8K, PCM16_24K);
    const sizes = [160, 20, 400, 160, 8_000, 160, 0, 1];
    const bytes = randomBytes(sizes.reduce((a, b) => a + b, 0));
    let at = 0;
    const parts = sizes.map((size) => {
      at += size;
      return transcoder.push(bytes.subarray(at - size, at)).slice();
    });
    expect(parts.map((part) => part.length)).toEqual(sizes.map((size) => size * 6));
    expect(Buffer.concat(parts)).toEqual(Buffer.from(createTranscoder(MULAW_8K, PCM16_24K).push(bytes)));
  });
});

describe('memory', () => {
  it.each(CALL_PAIRS)('%s: allocates less than 256 bytes a frame', (_, from, to) => {
    const transcoder = createTranscoder(from, to);
    const frame = randomBytes(20 * bytesPerMs(from));
    const run = (): void => {
      for (let i = 0; i < 200; i++) transcoder.push(frame);
    };
    for (let i = 0; i < 20; i++) run();
    const perFrame = Array.from({ length: 41 }, () => {
      const before = process.memoryUsage();
      run();
      const after = process.memoryUsage();
      return (after.heapUsed - before.heapUsed + after.arrayBuffers - before.arrayBuffers) / 200;
    });
    // The median is indifferent to the few batches in which memory was collected or code compiled.
    expect(perFrame.sort((a, b) => a - b)[20]).toBeLessThan(256);
  });
});

/** Amplitude of a sine of a level; the overload point is +3.17 dBm0 in mu-law and +3.14 dBm0 in A-law. */
function level(law: Law, dBm0: number): number {
  return law === 'mulaw' ? 4 * 8159 * 10 ** ((dBm0 - 3.17) / 20) : 32_768 * 10 ** ((dBm0 - 3.14) / 20);
}

describe.each<[Law, AudioFormat]>([
  ['mulaw', MULAW_8K],
  ['alaw', ALAW_8K],
])('signal-to-noise ratio of a path with %s', (law, telephone) => {
  const limit = (dBm0: number): number => {
    const sine = toInt16(tone(80_000, { hz: 1004, rate: 8000, amplitude: level(law, dBm0) }));
    return fitTone(decodeG711(law, encodeG711(law, sine)), 1004, 8000).sinad;
  };

  it.each([0, -10, -20, -30])('loses at most 0.1 dB towards the model at %i dBm0', (dBm0) => {
    for (const rate of [16_000, 24_000] as const) {
      const sine = toInt16(tone(80_000, { hz: 1004, rate: 8000, amplitude: level(law, dBm0) }));
      const output = through(telephone, { encoding: 'pcm16', rate }, sine);
      expect(fitTone(output.subarray(rate / 10), 1004, rate).sinad).toBeGreaterThan(limit(dBm0) - 0.1);
    }
  });

  it.each([0, -10, -20, -30])('loses at most 0.1 dB towards the caller at %i dBm0', (dBm0) => {
    for (const rate of [16_000, 24_000] as const) {
      const sine = toInt16(tone(rate * 10, { hz: 1004, rate, amplitude: level(law, dBm0) }));
      const output = through({ encoding: 'pcm16', rate }, telephone, sine);
      expect(fitTone(output.subarray(800), 1004, 8000).sinad).toBeGreaterThan(limit(dBm0) - 0.1);
    }
  });
});

/** More samples per second without any filter of ours: zeros between them, then cut off perfectly sharply. */
function ideallyUp(samples: Int16Array, factor: number, rate: number): Float64Array {
  const spread = new Float64Array(samples.length * factor);
  for (let i = 0; i < samples.length; i++) spread[i * factor] = (samples[i] ?? 0) * factor;
  return band(spread, rate * factor, 0, 4000);
}

describe('speech from the model to the caller and back', () => {
  const files = ['librivox-0870', 'librivox-0880', 'librivox-0890'];
  const speech = (name: string): Int16Array =>
    resampleWhole(readWav(readFileSync(`fixtures/speech/${name}.wav`)).channel(0), 16_000, 24_000);
  const voice = (samples: ArrayLike<number>): Float64Array => band(samples, 24_000, 300, 3400);

  it.each(files)('%s: the resamplers alone are 55 dB clean', (name) => {
    const original = speech(name);
    const back = through(PCM16_8K, PCM16_24K, through(PCM16_24K, PCM16_8K, original));
    expect(segmentalSnr(voice(original), voice(back), 24_000)).toBeGreaterThan(55);
  });

  it.each(files)('%s: loses at most 0.2 dB against ideal resamplers around the same mu-law', (name) => {
    const original = speech(name);
    const back = through(MULAW_8K, PCM16_24K, through(PCM16_24K, MULAW_8K, original));
    const narrow = toInt16(band(original, 24_000, 0, 4000).filter((_, i) => i % 3 === 0));
    const ideal = ideallyUp(decodeG711('mulaw', encodeG711('mulaw', narrow)), 3, 8000);
    const reference = voice(original);
    const best = segmentalSnr(reference, voice(ideal), 24_000);
    const reached = segmentalSnr(reference, voice(back), 24_000);
    expect(best).toBeGreaterThan(25);
    expect(reached).toBeGreaterThan(best - 0.2);
  });

  const backAgain = (name: string): Int16Array =>
    through(MULAW_8K, PCM16_24K, through(PCM16_24K, MULAW_8K, speech(name)));
  const above = (samples: ArrayLike<number>, hz: number): number =>
    dB(rms(band(samples, 24_000, hz, 12_000)) / rms(voice(samples)));

  it('leaves no more than -40 dB above 4.2 kHz in ordinary recordings', () => {
    for (const name of ['librivox-0870', 'librivox-0890'])
      expect(above(backAgain(name), 4200)).toBeLessThan(-40);
  });

  it.each(files)(
    '%s: leaves nothing above 4.6 kHz, and below that little of 3.4 to 4 kHz mirrored',
    (name) => {
      const back = backAgain(name);
      const top = dB(rms(band(speech(name), 24_000, 3400, 4000)) / rms(voice(back)));
      expect(above(back, 4600)).toBeLessThan(-70);
      expect(above(back, 4200)).toBeLessThan(top - 24);
    },
    60_000,
  );
});

describe('createTranscoder', () => {
  it.each([
    [{ encoding: 'opus', rate: 8000 }, /opus\/8000/],
    [{ encoding: 'pcm16', rate: 44_100 }, /pcm16\/44100/],
  ])('refuses %o', (format, message) => {
    const unknown = format as unknown as AudioFormat;
    expect(() => createTranscoder(unknown, PCM16_24K)).toThrow(message);
    expect(() => createTranscoder(PCM16_24K, unknown)).toThrow(
      expect.objectContaining({ code: 'BAD_AUDIO' }),
    );
  });

  it('reads and writes PCM16 with the low byte first', () => {
    const same = sameFormat(PCM16_8K, { encoding: 'pcm16', rate: 8000 });
    const bytes = createTranscoder({ encoding: 'mulaw', rate: 8000 }, PCM16_8K).push(
      Uint8Array.of(0x00, 0x80),
    );
    expect(same).toBe(true);
    expect([...bytes]).toEqual([...toBytes([-32_124, 32_124])]);
    expect([...fromBytes(bytes)]).toEqual([-32_124, 32_124]);
  });
});
