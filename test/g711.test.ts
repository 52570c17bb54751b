import { describe, expect, it } from 'vitest';
import { decodeG711, encodeG711, type Law, lawTables, lawToLaw } from '../src/audio/g711.ts';
import { fitTone, toInt16, tone } from './support/signal.ts';

/**
 * One code of the Recommendation on the 16-bit scale: its output value and the decision values around its inputs.
 * A magnitude is a segment of 16 equal steps; each segment's steps are twice those of the one before.
 */
interface Interval {
  readonly code: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** G.711 table 2: the first step of segment 1 is half as wide, and codes are sent inverted. */
function mulawMagnitude(n: number): Interval {
  const segment = n >> 4;
  const edge = (step: number): number => 4 * (((16 + step) << (segment + 1)) - 33);
  const middle = 4 * (((2 * (n & 15) + 33) << segment) - 33);
  return {
    code: ~(0x00 | n) & 0xff,
    value: middle,
    low: n === 0 ? 0 : edge(n & 15),
    high: edge((n & 15) + 1),
  };
}

/** G.711 table 1: segments 1 and 2 have equal steps, and the even bits are inverted. */
function alawMagnitude(n: number): Interval {
  const segment = n >> 4;
  const width = segment < 2 ? 16 : 16 << (segment - 1);
  const start = segment === 0 ? 0 : 256 << (segment - 1);
  const low = start + (n & 15) * width;
  return { code: (0x80 | n) ^ 0x55, value: low + width / 2, low, high: low + width };
}

function intervals(law: Law): Interval[] {
  const magnitude = law === 'mulaw' ? mulawMagnitude : alawMagnitude;
  const positive = Array.from({ length: 128 }, (_, n) => magnitude(n));
  const negative = positive.map((i) => ({
    code: i.code ^ 0x80,
    value: -i.value,
    low: -i.high,
    high: -i.low,
  }));
  return [...positive, ...negative];
}

/** Codes allowed for a sample: one, or both neighbours of a decision value (clause 3.6); the last ones for overload. */
function legalCodes(law: Law): Set<number>[] {
  const legal = Array.from({ length: 65_536 }, () => new Set<number>());
  const all = intervals(law);
  const top = Math.max(...all.map((i) => i.high));
  for (const { code, low, high } of all) {
    const from = low === -top ? -32_768 : low;
    const to = high === top ? 32_767 : high;
    for (let sample = from; sample <= Math.min(32_767, to); sample++) legal[sample & 0xffff]?.add(code);
  }
  return legal;
}

/** Signal over noise of a sine that went through the law once. */
function toneSnr(law: Law, dBm0: number): number {
  // The overload point is +3.17 dBm0 in mu-law and +3.14 dBm0 in A-law.
  const [peak, top] = law === 'mulaw' ? [4 * 8159, 3.17] : [8 * 4096, 3.14];
  const sine = toInt16(tone(80_000, { hz: 1004, rate: 8000, amplitude: peak * 10 ** ((dBm0 - top) / 20) }));
  return fitTone(decodeG711(law, encodeG711(law, sine)), 1004, 8000).sinad;
}

describe.each<Law>(['mulaw', 'alaw'])('G.711 %s', (law) => {
  it('decodes all 256 codes as the Recommendation says', () => {
    const wrong = intervals(law).filter(({ code, value }) => lawTables(law).decode[code] !== value + 0);
    expect(wrong).toEqual([]);
  });

  it('encodes all 65,536 samples as the Recommendation says, either neighbour where a sample is on the border', () => {
    const legal = legalCodes(law);
    const { encode } = lawTables(law);
    const wrong = legal.flatMap((codes, bits) => (codes.has(encode[bits] ?? -1) ? [] : [bits]));
    expect(wrong).toEqual([]);
    expect(legal.filter((codes) => codes.size === 2)).toHaveLength(255);
    expect(legal.filter((codes) => codes.size === 0 || codes.size > 2)).toHaveLength(0);
  });

  it('gives every code back after decoding, but for the second zero of mu-law', () => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    const again = encodeG711(law, decodeG711(law, codes));
    const changed = [...codes].filter((code) => again[code] !== code);
    expect(changed).toEqual(law === 'mulaw' ? [0x7f] : []);
  });

  it('keeps the sign and the extremes instead of wrapping at overload', () => {
    const top = law === 'mulaw' ? 32_124 : 32_256;
    expect([...decodeG711(law, encodeG711(law, Int16Array.of(32_767, -32_767, -32_768)))]).toEqual([
      top,
      -top,
      -top,
    ]);
    expect([...encodeG711(law, Int16Array.of(-32_768))]).toEqual([law === 'mulaw' ? 0x00 : 0x2a]);
  });

  it('has the signal-to-noise ratio that the law permits at every level', () => {
    const limits = law === 'mulaw' ? [36.9, 38.7, 36.8, 36.6, 32.5] : [37.0, 38.2, 37.3, 37.4, 30.7];
    for (const [i, limit] of limits.entries()) {
      expect(Math.abs(toneSnr(law, -10 * i) - limit), `${-10 * i} dBm0`).toBeLessThan(0.15);
    }
  });

  it('hands out one and the same table to everybody', () => {
    expect(lawTables(law)).toBe(lawTables(law));
  });
});

describe('from law to law', () => {
  it.each<[Law, Law]>([
    ['mulaw', 'alaw'],
    ['alaw', 'mulaw'],
  ])('%s to %s takes the nearest code, or one that is off by no more than a thirty-second', (from, to) => {
    const table = lawToLaw(from, to);
    const target = lawTables(to).decode;
    const far = [...table].filter((code, index) => {
      const value = lawTables(from).decode[index] ?? 0;
      const nearest = Math.min(...Array.from(target, (other) => Math.abs(other - value)));
      // Where the steps double, a decision value is not in the middle between two outputs but a quarter step off it.
      return Math.abs((target[code] ?? 0) - value) > Math.max(nearest + 12, Math.abs(value) / 32);
    });
    expect(far).toEqual([]);
  });

  it('keeps the idle code of mu-law idle in A-law', () => {
    expect(lawToLaw('mulaw', 'alaw')[0xff]).toBe(0xd5);
  });

  it('changes nothing from a law to itself, not even the second zero', () => {
    expect([...lawToLaw('mulaw', 'mulaw')]).toEqual(Array.from({ length: 256 }, (_, code) => code));
  });
});
