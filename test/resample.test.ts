import { describe, expect, it } from 'vitest';
import { RATES, type Rate } from '../src/audio/format.ts';
import { BLOCK } from '../src/audio/kernel.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { createResampler } from '../src/audio/resample.ts';
import { Resampling } from './support/resampling.ts';
import { dB, fitTone, noise, rms, seeded, toInt16, tone } from './support/signal.ts';

const PAIRS = RATES.flatMap((from) =>
  RATES.filter((to) => to !== from).map((to): [Rate, Rate] => [from, to]),
);
const UP = PAIRS.filter(([from, to]) => to > from);
const DOWN = PAIRS.filter(([from, to]) => to < from);

/** Converts all of it, `cut()` samples at a time, and flushes. */
function convert(from: Rate, to: Rate, input: Int16Array, cut: () => number = () => from / 50): Int16Array {
  const resampling = new Resampling(from, to);
  const parts: number[] = [];
  for (let at = 0; at < input.length; ) {
    const piece = input.slice(at, at + cut());
    for (const sample of resampling.push(piece)) parts.push(sample);
    at += piece.length;
  }
  return Int16Array.from([...parts, ...resampling.finish()]);
}

/** One second of a tone through the converter; the part without the ends. */
function steady(from: Rate, to: Rate, hz: number, amplitude = 16_000): Int16Array {
  const output = convert(from, to, toInt16(tone(from, { hz, rate: from, amplitude })));
  return output.subarray(to / 10, to);
}

/** Half of the lower rate relative to that of telephony: the frequencies below are for 8 kHz. */
function scale(from: Rate, to: Rate): number {
  return Math.min(from, to) / 8000;
}

function frequencies(low: number, high: number, step: number): number[] {
  return Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => low + i * step);
}

/** The same conversion by the book: insert zeros, filter, keep every M-th. In float64, without rounding. */
function byTheBook(from: Rate, to: Rate, input: Int16Array): Float64Array {
  const up = to / 8000;
  const down = from / 8000;
  const half = 16 * Math.max(up, down);
  const bessel = (x: number): number => {
    let [term, sum] = [1, 1];
    for (let k = 1; k < 60; k++) {
      term *= (x / 2 / k) ** 2;
      sum += term;
    }
    return sum;
  };
  const tap = (n: number): number => {
    if (Math.abs(n) >= half) return 0;
    const x = (Math.PI * n) / Math.max(up, down);
    return (n === 0 ? 1 : Math.sin(x) / x) * (bessel(7.4 * Math.sqrt(1 - (n / half) ** 2)) / bessel(7.4));
  };
  const taps = Array.from({ length: 2 * half + 1 }, (_, k) => tap(k - half));
  const gain = Math.min(1, up / down);
  return Float64Array.from({ length: Math.ceil((input.length * up) / down) }, (_, m) => {
    let sum = 0;
    for (let n = -half; n <= half; n++) {
      const at = m * down - n;
      if (at % up === 0) sum += (taps[n + half] ?? 0) * (input[at / up] ?? 0);
    }
    return sum * gain;
  });
}

describe.each(PAIRS)('resampling %i to %i', (from, to) => {
  it('passes 300 to 3400 Hz with 0.1 dB of ripple at most, and 3600 Hz within 1 dB', () => {
    const gain = (hz: number): number => dB(fitTone(steady(from, to, hz), hz, to).amplitude / 16_000);
    const gains = frequencies(300, 3400, 100).map((hz) => gain(hz * scale(from, to)));
    expect(Math.max(...gains.map(Math.abs))).toBeLessThan(0.05);
    expect(Math.abs(gain(3600 * scale(from, to)))).toBeLessThan(1);
  });

  it('adds nothing to a tone that is not 70 dB below it', () => {
    const worst = frequencies(300, 3400, 50).map((low) => {
      const hz = low * scale(from, to);
      return fitTone(steady(from, to, hz), hz, to).sinad;
    });
    expect(Math.min(...worst)).toBeGreaterThan(70);
  });

  it('delays every frequency alike, by what it says and by less than 2 ms', () => {
    const { delayMs, delaySamples } = createResampler(from, to);
    expect(delayMs).toBeLessThan(2);
    expect(delaySamples).toBe((delayMs * to) / 1000);
    for (const hz of [310, 1004, 2500, 3390]) {
      const start = to / 10;
      const { phase } = fitTone(steady(from, to, hz), hz, to);
      const expected = (2 * Math.PI * hz * (start - delaySamples)) / to;
      const turns = (phase - expected) / (2 * Math.PI);
      const samplesOff = ((turns - Math.round(turns)) * to) / hz;
      expect(Math.abs(samplesOff), `${hz} Hz`).toBeLessThan(0.001);
    }
  });

  it('gives 20 ms for every 20 ms, from the first frame on', () => {
    const resampling = new Resampling(from, to);
    const frame = toInt16(noise(from / 50));
    const counts = new Set(Array.from({ length: 50 }, () => resampling.push(frame).length));
    expect([...counts]).toEqual([to / 50]);
  });

  it('loses nothing: a stretch comes out whole, with the delay in front', () => {
    const { delaySamples } = createResampler(from, to);
    for (const count of [1, 2, 3, 4, 5, 159, 160, 161, 1000, 4801]) {
      const output = convert(from, to, toInt16(noise(count)));
      expect(output.length, `${count} samples`).toBe(Math.ceil((count * to) / from) + delaySamples);
    }
  });

  it('keeps head and tail of a stretch as loud as its middle', () => {
    const { delaySamples } = createResampler(from, to);
    const input = toInt16(tone(from, { hz: 1000, rate: from }));
    const output = convert(from, to, input).subarray(delaySamples);
    const window = to / 50;
    const energy = (at: number): number => rms(output.subarray(at, at + window)) ** 2;
    expect(output.length).toBe(to);
    expect(energy(0) / energy(to / 2)).toBeGreaterThan(0.99);
    expect(energy(to - window) / energy(to / 2)).toBeGreaterThan(0.99);
  });

  it('gives the same bits however the input is cut', () => {
    const input = toInt16(noise(9_000, 20_000));
    const whole = convert(from, to, input, () => input.length);
    const random = seeded(7);
    const cuts: (() => number)[] = [() => 1, () => 7, () => 961, () => 1 + Math.floor(random() * 960)];
    for (const cut of cuts) expect(convert(from, to, input, cut)).toEqual(whole);
  });

  it('agrees with the conversion by the book to the last bit of rounding', () => {
    const input = toInt16(noise(3_000, 10_000));
    const { delaySamples } = createResampler(from, to);
    const output = convert(from, to, input).subarray(delaySamples);
    const reference = byTheBook(from, to, input);
    const off = output.map((sample, i) => Math.abs(sample - Math.round(reference[i] ?? 0)));
    // Each output place is normalised by itself, which moves a sample by up to 74 dB below its level.
    expect(Math.max(...off)).toBeLessThanOrEqual(3);
  });

  it('stays at full scale where the filter overshoots, instead of wrapping round', () => {
    const square = Int16Array.from({ length: from }, (_, i) => (i % 40 < 20 ? 32_767 : -32_768));
    const { delaySamples } = createResampler(from, to);
    const output = convert(from, to, square).subarray(delaySamples);
    const reference = byTheBook(from, to, square);
    const wrong = output.filter(
      (sample, i) => Math.abs(sample - (toInt16([reference[i] ?? 0])[0] ?? 0)) > 20,
    );
    expect(reference.filter((sample) => Math.abs(sample) > 33_000).length).toBeGreaterThan(100);
    expect(wrong).toHaveLength(0);
  });

  it('keeps digital silence at zero, and a constant constant', () => {
    expect(new Set(convert(from, to, new Int16Array(from)))).toEqual(new Set([0]));
    const constant = steadyConstant(from, to, 10_000);
    expect(new Set(constant)).toEqual(new Set([10_000]));
  });

  it('has not drifted by a thousandth of a sample after ten minutes', () => {
    const resampling = new Resampling(from, to);
    const hz = 1000;
    // A whole number of periods in each frame, so that one frame can be sent over and over.
    const frame = toInt16(tone(from / 50, { hz, rate: from }));
    let output: Int16Array = new Int16Array(0);
    let total = 0;
    for (let i = 0; i < 30_000; i++) {
      output = resampling.push(frame);
      total += output.length;
    }
    const { phase } = fitTone(output, hz, to);
    const turns = phase / (2 * Math.PI) + (hz * resampling.resampler.delaySamples) / to;
    expect(total).toBe(600 * to);
    expect(Math.abs(((turns - Math.round(turns)) * to) / hz)).toBeLessThan(0.001);
  });

  it('is as fresh after reset and after flush', () => {
    const input = toInt16(noise(1_001, 20_000));
    const fresh = convert(from, to, input);
    const resampling = new Resampling(from, to);
    resampling.push(input);
    resampling.resampler.reset();
    const first = resampling.push(input);
    resampling.finish();
    const second = resampling.push(input);
    expect(first).toEqual(fresh.slice(0, first.length));
    expect(second).toEqual(first);
  });

  it('does not mix two calls', () => {
    const inputs = [toInt16(noise(4_807, 20_000, 1)), toInt16(noise(4_807, 20_000, 2))];
    const calls = inputs.map(() => ({ resampling: new Resampling(from, to), heard: [] as number[] }));
    const random = seeded(5);
    for (let at = 0; at < 4_807; ) {
      const count = 1 + Math.floor(random() * 400);
      for (const [i, { resampling, heard }] of calls.entries()) {
        heard.push(...resampling.push(inputs[i]?.subarray(at, at + count) ?? new Int16Array(0)));
      }
      at += count;
    }
    for (const { resampling, heard } of calls) heard.push(...resampling.finish());
    expect(calls.map(({ heard }) => heard)).toEqual(inputs.map((input) => [...convert(from, to, input)]));
  });

  it('takes an empty input, and has nothing to finish when nothing came', () => {
    const resampling = new Resampling(from, to);
    expect(resampling.push(new Int16Array(0))).toHaveLength(0);
    expect(resampling.finish()).toHaveLength(0);
  });

  it('has lost nothing when a block was begun for nothing', () => {
    const input = toInt16(noise(1_001, 20_000));
    const resampling = new Resampling(from, to);
    const first = resampling.push(input.subarray(0, 401));
    resampling.resampler.open();
    const second = resampling.push(input.subarray(401));
    const whole = [...first, ...second, ...resampling.finish()];
    expect(whole).toEqual([...convert(from, to, input)]);
  });

  it('refuses a block that its memory does not hold', () => {
    const resampler = createResampler(from, to);
    resampler.open();
    expect(() => resampler.convert(BLOCK + 1)).toThrow(/has 961 samples, wanted at most 960/);
  });
});

function steadyConstant(from: Rate, to: Rate, level: number): Int16Array {
  return convert(from, to, new Int16Array(from).fill(level)).subarray(to / 10, to - to / 10);
}

describe('going up', () => {
  it.each(UP)('%i to %i: no image is louder than -74 dB', (from, to) => {
    const images = frequencies(300, 3400, 50).map((low) => {
      const hz = low * scale(from, to);
      const output = steady(from, to, hz, 30_000);
      const places = [from - hz, from + hz, 2 * from - hz].filter((image) => image < to / 2);
      return Math.max(...places.map((image) => fitTone(output, image, to).amplitude / 30_000));
    });
    expect(dB(Math.max(...images))).toBeLessThan(-74);
  });

  it.each(UP.filter(([from, to]) => to % from === 0))(
    '%i to %i: the input samples are all there, unchanged, among the new ones',
    (from, to) => {
      const input = toInt16(noise(2_000, 12_000));
      const { delaySamples } = createResampler(from, to);
      const output = convert(from, to, input).subarray(delaySamples);
      expect(output.filter((_, i) => i % (to / from) === 0)).toEqual(input);
    },
  );
});

describe('going down', () => {
  it.each(DOWN)(
    '%i to %i: nothing above the voice band comes back as an alias louder than -74 dB',
    (from, to) => {
      const edge = 4600 * scale(from, to);
      const aliases = frequencies(edge, from / 2 - 50, 50).map((hz) => {
        const output = steady(from, to, hz, 30_000);
        return rms(output) / (30_000 / Math.SQRT2);
      });
      expect(dB(Math.max(...aliases))).toBeLessThan(-74);
    },
  );
});

describe('createResampler', () => {
  it('refuses equal and unknown rates', () => {
    expect(() => createResampler(8000, 8000)).toThrow(/from 8000 to 8000/);
    expect(() => createResampler(44_100 as Rate, 8000)).toThrow(
      expect.objectContaining({ code: 'BAD_AUDIO', message: expect.stringContaining('8000, 16000, 24000') }),
    );
  });
});

const WHOLE_PAIRS: [number, number][] = [
  [44_100, 8000],
  [48_000, 8000],
  [48_000, 44_100],
  [22_050, 16_000],
  [11_025, 8000],
  [24_000, 8000],
  [16_000, 8000],
  [8000, 24_000],
  [8000, 16_000],
  [8000, 44_100],
  [16_000, 24_000],
  [44_101, 8000],
];

/** Below this everything passes, above `stop` nothing does. */
function edges(from: number, to: number): { pass: number; stop: number } {
  const cutoff = Math.min(to, from > to ? (from * 0.85) / 1.15 : from) / 2;
  return { pass: cutoff * 0.85, stop: cutoff * 1.15 };
}

describe.each(WHOLE_PAIRS)('a whole recording from %i to %i', (from, to) => {
  const length = from + 17;

  it('has the right length', () => {
    for (const count of [0, 1, 2, 100, 997, length]) {
      expect(resampleWhole(new Int16Array(count), from, to)).toHaveLength(Math.round((count * to) / from));
    }
  });

  it('keeps tones in level and place, and adds nothing that is not 70 dB below them', () => {
    for (const part of [0.1, 0.3, 0.6, 0.9]) {
      const hz = edges(from, to).pass * part;
      const output = resampleWhole(toInt16(tone(length, { hz, rate: from })), from, to);
      const start = Math.floor(to / 10);
      const fit = fitTone(output.subarray(start, start + Math.floor(to / 2)), hz, to);
      const turns = fit.phase / (2 * Math.PI) - (hz * start) / to;
      expect(Math.abs(dB(fit.amplitude / 16_000)), `${hz} Hz`).toBeLessThan(0.05);
      expect(Math.abs(((turns - Math.round(turns)) * to) / hz), `${hz} Hz`).toBeLessThan(0.01);
      expect(fit.sinad, `${hz} Hz`).toBeGreaterThan(70);
    }
  });

  it('removes by 60 dB and more what the lower rate cannot carry', () => {
    const { stop } = edges(from, to);
    const worst = [0, 0.1, 0.3, 0.6, 0.95].map((part) => {
      const hz = stop + (from / 2 - stop) * part;
      if (hz >= from / 2 || from < to) return 0;
      const output = resampleWhole(toInt16(tone(length, { hz, rate: from, amplitude: 30_000 })), from, to);
      return rms(output.subarray(to / 10, to - to / 10)) / (30_000 / Math.SQRT2);
    });
    expect(dB(Math.max(...worst))).toBeLessThan(-60);
  });

  it('does not fade at the ends', () => {
    const output = resampleWhole(new Int16Array(length).fill(10_000), from, to);
    expect(Math.min(...output)).toBeGreaterThan(9_980);
    expect(Math.max(...output)).toBeLessThan(10_020);
  });

  it('neither wraps at full scale nor changes its input, and keeps silence silent', () => {
    const square = Int16Array.from({ length }, (_, i) =>
      Math.floor((i * 400) / from) % 2 === 0 ? 32_767 : -32_768,
    );
    const copy = square.slice();
    const output = resampleWhole(square, from, to);
    const wrong = output.filter((sample, i) => {
      const place = ((i * 400) / to) % 1;
      const clear = place > 0.2 && place < 0.8;
      return clear && Math.sign(sample) !== (Math.floor((i * 400) / to) % 2 === 0 ? 1 : -1);
    });
    expect(wrong).toHaveLength(0);
    expect(square).toEqual(copy);
    expect(new Set(resampleWhole(new Int16Array(length), from, to))).toEqual(new Set([0]));
  });
});

describe('resampleWhole', () => {
  it('copies when the rates are equal', () => {
    const input = toInt16(noise(100));
    const output = resampleWhole(input, 44_100, 44_100);
    expect(output).toEqual(input);
    expect(output.buffer).not.toBe(input.buffer);
  });

  it('takes a file of one sample', () => {
    expect([...resampleWhole(Int16Array.of(1234), 8000, 24_000)]).toEqual([1234, 1234, 1234]);
  });

  it.each([
    [0, 8000],
    [8000, Number.NaN],
    [44_100.5, 8000],
    [2, 8000],
  ])('refuses %d to %d', (from, to) => {
    expect(() => resampleWhole(new Int16Array(10), from, to)).toThrow(
      expect.objectContaining({ code: 'BAD_AUDIO' }),
    );
  });
});
