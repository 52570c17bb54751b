import { type AudioFormat, bytesPerMs, type Rate } from '../../src/audio/format.ts';
import type { Method } from './methods.ts';

/** What a method makes of tones: dB, and ms for the delay. */
export interface Quality {
  /** The tone over everything else, of the worst tone from 300 to 3400 Hz, at -10 dB of full scale. */
  readonly worstSinad: number;
  /** Going down: how far the loudest tone that the lower rate cannot carry is held down. Undefined going up. */
  readonly rejection: number | undefined;
  readonly delayMs: number;
}

const AMPLITUDE = 32_768 * 10 ** (-10 / 20);
/** What is left out at the beginning, until every filter has settled. */
const SETTLE_MS = 100;
/** Whole periods of every tone that is a multiple of 10 Hz. */
const MEASURE_MS = 400;

/** Two seconds of tones through a method, 20 ms at a time. */
export function quality(method: Method, from: Rate, to: Rate): Quality | undefined {
  const scale = Math.min(from, to) / 8000;
  const through = (hz: number): Float64Array | undefined => tone(method, from, to, hz);
  const probe = through(1000 * scale);
  if (probe === undefined) return undefined;
  const inBand = range(300, 3400, 310).map((hz) => sinad(through(hz * scale) ?? probe, hz * scale, to));
  const above = from > to ? range(4700, (from / 2 / scale) * 0.98, 350) : [];
  const leaks = above.map((hz) => rms(through(hz * scale) ?? probe) / (AMPLITUDE / Math.SQRT2));
  return {
    worstSinad: Math.min(...inBand),
    rejection: leaks.length === 0 ? undefined : -dB(Math.max(...leaks)),
    delayMs: method.create(pcm16(from), pcm16(to))?.delayMs ?? Number.NaN,
  };
}

function pcm16(rate: Rate): AudioFormat {
  return { encoding: 'pcm16', rate };
}

function range(first: number, last: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
}

/** The settled part of what comes out for a sine. */
function tone(method: Method, from: Rate, to: Rate, hz: number): Float64Array | undefined {
  const converter = method.create(pcm16(from), pcm16(to));
  if (converter === undefined) return undefined;
  const perFrame = from / 50;
  const out: number[] = [];
  for (let at = 0; at < ((SETTLE_MS + MEASURE_MS) * from) / 1000; at += perFrame) {
    const frame = new Uint8Array(20 * bytesPerMs(pcm16(from)));
    const view = new DataView(frame.buffer);
    for (let i = 0; i < perFrame; i++) {
      const value = AMPLITUDE * Math.sin((2 * Math.PI * hz * (at + i)) / from);
      view.setInt16(2 * i, Math.round(value), true);
    }
    const made = converter.convert(frame);
    const result = new DataView(made.buffer, made.byteOffset, made.byteLength);
    for (let i = 0; i + 1 < made.length; i += 2) out.push(result.getInt16(i, true));
  }
  return Float64Array.from(out.slice((SETTLE_MS * to) / 1000));
}

/** Over whole periods the tone is orthogonal to everything else, so two sums find it. */
function sinad(samples: Float64Array, hz: number, rate: number): number {
  let [sine, cosine, all] = [0, 0, 0];
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i] ?? 0;
    const angle = (2 * Math.PI * hz * i) / rate;
    sine += value * Math.sin(angle);
    cosine += value * Math.cos(angle);
    all += value * value;
  }
  const power = (2 * (sine * sine + cosine * cosine)) / samples.length;
  return 10 * Math.log10(power / Math.max(all - power, 1e-9));
}

function rms(samples: Float64Array): number {
  let sum = 0;
  for (const value of samples) sum += value * value;
  return Math.sqrt(sum / samples.length);
}

function dB(ratio: number): number {
  return 20 * Math.log10(Math.max(ratio, 1e-9));
}
