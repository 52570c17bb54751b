import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711, type Law } from '../src/audio/g711.ts';
import {
  createLevelMeter,
  createToneGenerator,
  DTMF_COLUMNS,
  DTMF_ROWS,
  dbfs,
  dbm0,
  dtmfParts,
  MILLIWATT,
  type TonePart,
} from '../src/audio/tone.ts';
import { dB, fitTone, noise, toInt16 } from './support/signal.ts';

function make(rate: number, parts: readonly TonePart[], count: number): Int16Array {
  const samples = new Int16Array(count);
  createToneGenerator(rate, parts).fill(samples, count);
  return samples;
}

function measure(samples: Int16Array, rate = 8000) {
  const meter = createLevelMeter(rate);
  meter.push(samples, 0, samples.length);
  return meter.read();
}

describe('the digital milliwatt', () => {
  // The periodic sequences that G.711 itself defines as 1 kHz at 0 dBm0.
  const sequences: readonly (readonly [Law, readonly number[]])[] = [
    ['mulaw', [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e]],
    ['alaw', [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4]],
  ];

  it.each(sequences)('of G.711 in %s reads 0 dBm0', (law, codes) => {
    const bytes = Uint8Array.from({ length: 8000 }, (_, i) => codes[i % 8] ?? 0);
    expect(Math.abs(measure(decodeG711(law, bytes)).dbm0)).toBeLessThan(0.07);
  });

  it.each([8000, 16_000, 24_000])('at %i Hz is one sine of 1004 Hz at 0 dBm0', (rate) => {
    const samples = make(rate, MILLIWATT, rate * 5);
    const fit = fitTone(samples, 1004, rate);
    expect(Math.abs(dbm0(fit.amplitude / Math.SQRT2))).toBeLessThan(0.001);
    expect(fit.sinad).toBeGreaterThan(90);
    expect(Math.abs(measure(samples, rate).dbm0)).toBeLessThan(0.01);
  });

  it('stays within 0.1 dB after G.711', () => {
    const coded = decodeG711('mulaw', encodeG711('mulaw', make(8000, MILLIWATT, 40_000)));
    expect(Math.abs(dbm0(fitTone(coded, 1004, 8000).amplitude / Math.SQRT2))).toBeLessThan(0.1);
  });
});

describe('a tone generator', () => {
  it('has no seam wherever its output is cut', () => {
    const whole = make(8000, dtmfParts('7'), 8000);
    const generator = createToneGenerator(8000, dtmfParts('7'));
    const pieces = new Int16Array(8000);
    for (let at = 0, size = 1; at < 8000; at += size, size = (size % 37) + 1) {
      const piece = new Int16Array(40);
      const count = Math.min(size, 8000 - at);
      generator.fill(piece, count);
      pieces.set(piece.subarray(0, count), at);
    }
    expect(pieces).toEqual(whole);
  });

  it('saturates instead of wrapping around', () => {
    const loud = make(8000, [{ hz: 1000, dbm0: 12 }], 800);
    expect(Math.max(...loud)).toBe(32_767);
    expect(Math.min(...loud)).toBe(-32_768);
  });

  it('keeps its frequency and phase for an hour', () => {
    const generator = createToneGenerator(8000, MILLIWATT);
    const second = new Int16Array(8000);
    for (let s = 0; s < 3600; s++) generator.fill(second, 8000);
    expect(fitTone(second, 1004, 8000).sinad).toBeGreaterThan(90);
    expect(Math.abs(fitTone(second, 1004, 8000).phase)).toBeLessThan(1e-3);
  });

  it.each([0, -5, 4000, 5000, Number.NaN])('refuses %d Hz at 8 kHz', (hz) => {
    expect(() => createToneGenerator(8000, [{ hz, dbm0: 0 }])).toThrow(/wanted 0 to 4000 Hz/);
  });

  it.each([...'123A456B789C*0#D'].map((key, i) => [key, DTMF_ROWS[i >> 2], DTMF_COLUMNS[i & 3]] as const))(
    'gives key %s the frequencies %i and %i Hz at -8 dBm0 each',
    (key, row, column) => {
      const samples = make(8000, dtmfParts(key), 8000);
      for (const hz of [row ?? 0, column ?? 0]) {
        expect(dbm0(fitTone(samples, hz, 8000).amplitude / Math.SQRT2)).toBeCloseTo(-8, 2);
      }
    },
  );

  it.each(['', 'E', '12', 'a', ' '])('refuses %j as a key', (key) => {
    expect(() => dtmfParts(key)).toThrow(/wanted one of/);
  });
});

describe('a level meter', () => {
  it('knows dBFS and dBm0', () => {
    expect(dbfs(32_768 / Math.SQRT2)).toBeCloseTo(0, 6);
    expect(dbm0((4 * 8159) / Math.SQRT2)).toBeCloseTo(3.17, 6);
    expect(dbm0(0)).toBe(Number.NEGATIVE_INFINITY);
  });

  it.each([3, 0, -10, -20, -40, -60])('reads a sine of %i dBm0 to 0.1 dB', (level) => {
    const reading = measure(make(8000, [{ hz: 1004, dbm0: level }], 16_000));
    expect(Math.abs(reading.dbm0 - level)).toBeLessThan(0.1);
    expect(reading.ms).toBe(2000);
    expect(reading.dbm0 - reading.dbfs).toBeCloseTo(dbm0(1) - dbfs(1), 9);
  });

  it('finds the noise floor below speech-like bursts', () => {
    const floor = noise(80_000, 10, 3);
    const burst = noise(80_000, 8000, 4);
    const mixed = floor.map((value, i) => value + (Math.floor(i / 4000) % 3 === 0 ? 0 : (burst[i] ?? 0)));
    const expected = dbm0(10 / Math.sqrt(3));
    expect(Math.abs((measure(toInt16(mixed)).noiseFloorDbm0 ?? 0) - expected)).toBeLessThan(1);
  });

  it('reads the same however the signal is cut', () => {
    const samples = toInt16(noise(12_345, 5000));
    const meter = createLevelMeter(8000);
    for (let at = 0; at < samples.length; at += 77)
      meter.push(samples, at, Math.min(at + 77, samples.length));
    const { dbm0: level, ...rest } = meter.read();
    const { dbm0: whole, ...others } = measure(samples);
    expect(level).toBeCloseTo(whole, 9);
    expect({ ...rest, dbfs: 0 }).toEqual({ ...others, dbfs: 0 });
  });

  it('reports digital silence, peak and clipping, and forgets them on reset', () => {
    const meter = createLevelMeter(8000);
    expect(meter.read().noiseFloorDbm0).toBeUndefined();
    meter.push(new Int16Array(1600), 0, 1600);
    expect(meter.read()).toMatchObject({
      ms: 200,
      dbm0: Number.NEGATIVE_INFINITY,
      noiseFloorDbm0: Number.NEGATIVE_INFINITY,
    });
    meter.push(Int16Array.of(-32_768, 32_124, 16_384), 0, 3);
    expect(meter.read()).toMatchObject({ clipped: 2, peakDbfs: 0 });
    meter.reset();
    meter.push(Int16Array.of(16_384), 0, 1);
    expect(meter.read().peakDbfs).toBeCloseTo(dB(0.5), 6);
    expect(meter.read().clipped).toBe(0);
  });
});
