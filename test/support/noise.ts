import { encodeG711 } from '../../src/audio/g711.ts';
import { createToneGenerator, dtmfParts, type TonePart, ZERO_DBM0_RMS } from '../../src/audio/tone.ts';
import { encodeWav } from '../../src/audio/wav.ts';
import { rms, seeded, toInt16 } from './signal.ts';

/**
 * What is on telephone lines beside voices, made by formula at 8 kHz: the files of `fixtures/noise` are these, in mu-law.
 * The same in every run.
 */

const RATE = 8000;
/** Every clip begins with so much of the line's own noise, so that a detector knows it. */
export const QUIET_MS = 600;
/** Level of the line's own noise. */
const LINE_DBM0 = -62;

function count(ms: number): number {
  return Math.round((ms * RATE) / 1000);
}

function amplitude(dbm0: number): number {
  return ZERO_DBM0_RMS * 10 ** (dbm0 / 20);
}

function atLevel(samples: Float64Array, dbm0: number): Float64Array {
  const factor = amplitude(dbm0) / Math.max(rms(samples), 1e-9);
  return samples.map((value) => value * factor);
}

/** Gaussian noise through one pole: 0 is white, 0.98 is the rumble of a car. */
function hiss(ms: number, pole: number, seed: number): Float64Array {
  const random = seeded(seed);
  for (let i = 0; i < 50; i++) random();
  let past = 0;
  return Float64Array.from({ length: count(ms) }, () => {
    const value = Math.sqrt(-2 * Math.log(random() || 1e-9)) * Math.cos(2 * Math.PI * random());
    past = pole * past + value;
    return past;
  });
}

/** A resonance, as a vocal tract or a room has it. */
function resonate(samples: Float64Array, hz: number, widthHz: number): Float64Array {
  const radius = Math.exp((-Math.PI * widthHz) / RATE);
  const turn = 2 * radius * Math.cos((2 * Math.PI * hz) / RATE);
  let [one, two] = [0, 0];
  return samples.map((value) => {
    const next = value + turn * one - radius * radius * two;
    two = one;
    one = next;
    return next;
  });
}

function sum(...parts: readonly ArrayLike<number>[]): Float64Array {
  const length = Math.max(...parts.map((part) => part.length));
  return Float64Array.from({ length }, (_, i) => parts.reduce((total, part) => total + (part[i] ?? 0), 0));
}

/** `shape` is given the time in ms. */
function shaped(samples: Float64Array, shape: (ms: number) => number): Float64Array {
  return samples.map((value, i) => value * shape((i * 1000) / RATE));
}

function after(ms: number, samples: ArrayLike<number>): Float64Array {
  const whole = new Float64Array(count(ms) + samples.length);
  whole.set(Array.from(samples), count(ms));
  return whole;
}

function tones(ms: number, parts: readonly TonePart[]): Float64Array {
  const samples = new Int16Array(count(ms));
  createToneGenerator(RATE, parts).fill(samples, samples.length);
  return Float64Array.from(samples);
}

/** `[on, off, …]` in ms. */
function cadence(parts: readonly TonePart[], times: readonly number[]): Float64Array {
  let whole = new Float64Array(0);
  for (const [i, ms] of times.entries()) {
    whole = after(
      (whole.length * 1000) / RATE,
      i % 2 === 0 ? tones(ms, parts) : new Float64Array(count(ms)),
    ).map((value, at) => value + (whole[at] ?? 0));
  }
  return whole;
}

function at(dbm0: number, ...hz: readonly number[]): TonePart[] {
  return hz.map((one) => ({ hz: one, dbm0 }));
}

function hum(hz: number, ms: number, dbm0: number): Float64Array {
  const strengths = [1, 0.35, 0.7, 0.2, 0.4, 0.12, 0.25, 0.06, 0.1];
  const samples = Float64Array.from({ length: count(ms) }, (_, i) =>
    strengths.reduce(
      (total, one, k) => total + one * Math.sin((2 * Math.PI * hz * (k + 1) * i) / RATE + k),
      0,
    ),
  );
  return atLevel(samples, dbm0);
}

/** A voice that nobody would call speech: the last part of some coughs. */
function grunt(ms: number, fromHz: number, toHz: number, seed: number): Float64Array {
  const random = seeded(seed);
  const pulses = new Float64Array(count(ms));
  for (let t = 0; t < pulses.length; ) {
    pulses[t] = 1;
    const hz = fromHz + ((toHz - fromHz) * t) / pulses.length;
    t += Math.max(1, Math.round((RATE / hz) * (0.94 + 0.12 * random())));
  }
  return sum(resonate(pulses, 650, 110), resonate(pulses, 1400, 160));
}

/** A burst, hoarse air, and often a grunt. */
function cough(dbm0: number, seed: number, gruntDb: number | undefined): Float64Array {
  const air = (ms: number, more: number): Float64Array => {
    const raw = hiss(ms, 0.3, seed + more);
    return sum(resonate(raw, 750, 250), resonate(raw, 1600, 350), resonate(raw, 2700, 500));
  };
  const burst = shaped(atLevel(air(60, 1), dbm0), (ms) => Math.min(1, ms / 4));
  const blow = shaped(atLevel(air(230, 2), dbm0 - 5), (ms) => Math.min(1, ms / 10) * Math.exp(-ms / 130));
  const whole = sum(burst, after(50, blow));
  if (gruntDb === undefined) return whole;
  const voiced = shaped(atLevel(grunt(90, 190, 150, seed), dbm0 + gruntDb), (ms) =>
    Math.sin((Math.PI * ms) / 90),
  );
  return sum(whole, after(210, voiced));
}

/** A thump of the panel, and the room's own notes that die away. */
function slam(dbm0: number, seed: number): Float64Array {
  const hit = shaped(hiss(700, 0.6, seed), (ms) => Math.exp(-ms / 12));
  const modes = [72, 118, 163, 240, 410].map((hz, i) =>
    shaped(
      Float64Array.from({ length: count(700) }, (_, n) => Math.sin((2 * Math.PI * hz * n) / RATE + i)),
      (ms) => (1 / (i + 1)) * Math.exp(-ms / (90 - 12 * i)),
    ),
  );
  const whole = sum(
    hit.map((value) => value * 1.5),
    ...modes,
  );
  const factor = amplitude(dbm0) / rms(whole.subarray(0, 160));
  return whole.map((value) => value * factor);
}

function knocks(dbm0: number, seed: number): Float64Array {
  const one = shaped(resonate(hiss(80, 0.2, seed), 320, 160), (ms) => Math.exp(-ms / 14));
  return sum(...[0, 190, 390].map((ms) => after(ms, atLevel(one, dbm0))));
}

function crackle(ms: number, peak: number, seed: number): Float64Array {
  const random = seeded(seed);
  const samples = new Float64Array(count(ms));
  for (let t = 0; t < samples.length; t += 1 + Math.floor(random() * 500)) {
    const size = peak * (0.2 + 0.8 * random()) * (random() < 0.5 ? -1 : 1);
    for (let k = 0; k < 6 && t + k < samples.length; k++) samples[t + k] = size * (-0.55) ** k;
  }
  return samples;
}

function typing(seed: number): Float64Array {
  const random = seeded(seed);
  const strokes: Float64Array[] = [];
  for (let ms = 0; ms < 1300; ms += 90 + Math.floor(120 * random())) {
    const stroke = shaped(resonate(hiss(25, 0, seed + ms), 2400, 700), (t) => Math.exp(-t / 4));
    strokes.push(after(ms, atLevel(stroke, -26 - 6 * random())));
  }
  return sum(...strokes);
}

/** Pieces of a steady noise are missing, as lost packets leave it. */
function holes(): Float64Array {
  const random = seeded(77);
  const samples = atLevel(hiss(2000, 0.5, 31), -45);
  for (let t = 800; t < samples.length; t += 160 * (4 + Math.floor(random() * 12))) {
    samples.fill(0, t, t + 160 * (1 + Math.floor(random() * 4)));
  }
  return samples;
}

function breath(seed: number): Float64Array {
  const one = (ms: number, dbm0: number, more: number): Float64Array => {
    const raw = hiss(ms, 0, seed + more);
    const air = sum(resonate(raw, 1500, 900), resonate(raw, 2600, 900));
    return shaped(atLevel(air, dbm0), (t) => Math.sin((Math.PI * t) / ms) ** 0.7);
  };
  return sum(one(650, -34, 1), after(800, one(800, -30, 2)));
}

function keys(digits: string, dbm0: number): Float64Array {
  return sum(...[...digits].map((digit, i) => after(i * 170, tones(80, dtmfParts(digit, dbm0)))));
}

function steps(): Float64Array {
  return sum(
    atLevel(hiss(500, 0.5, 41), -60),
    after(500, atLevel(hiss(600, 0.5, 42), -42)),
    after(1100, atLevel(hiss(500, 0.5, 43), -60)),
    after(1600, atLevel(hiss(500, 0, 44), -38)),
  );
}

const MAKERS = {
  'white-noise': () => atLevel(hiss(1800, 0, 11), -32),
  'room-noise': () => atLevel(hiss(1800, 0.9, 12), -32),
  'car-rumble': () => atLevel(hiss(1800, 0.98, 13), -26),
  'noise-steps': steps,
  'lost-packets': holes,
  'hum-50': () => hum(50, 1800, -28),
  'hum-60': () => hum(60, 1800, -28),
  'hum-100': () => hum(100, 1800, -28),
  crackle: () => crackle(1800, 9000, 21),
  click: () =>
    sum(crackle(10, 20_000, 22), after(700, crackle(10, 12_000, 23)), after(1200, crackle(4, 30_000, 24))),
  knocks: () => knocks(-12, 25),
  'door-slam': () => slam(-6, 26),
  typing: () => typing(27),
  breath: () => breath(28),
  cough: () => cough(-12, 51, undefined),
  'cough-with-voice': () => cough(-12, 52, -5),
  'cough-twice': () => sum(cough(-14, 53, -8), after(420, cough(-11, 54, -6))),
  'dtmf-number': () => keys('0305551234', -8),
  'dtmf-long': () => tones(1200, dtmfParts('5', -10)),
  'dtmf-in-noise': () => sum(keys('8675309', -16), atLevel(hiss(1400, 0.5, 61), -38)),
  'dial-tone': () => tones(1500, at(-13, 350, 440)),
  'ringback-us': () => cadence(at(-19, 440, 480), [900, 500, 500]),
  'ringback-uk': () => cadence(at(-19, 400, 450), [400, 200, 400, 600]),
  'ringback-eu': () => cadence(at(-15, 425), [1000, 500, 400]),
  'busy-us': () => cadence(at(-24, 480, 620), [500, 500, 500]),
  'busy-eu': () => cadence(at(-15, 425), [480, 480, 480]),
  'call-waiting': () => cadence(at(-13, 440), [300, 900, 300]),
  'out-of-order': () =>
    sum(
      tones(330, at(-18, 950)),
      after(330, tones(330, at(-18, 1400))),
      after(660, tones(330, at(-18, 1800))),
    ),
  fax: () => cadence(at(-14, 1100), [500, 700, 500]),
} as const satisfies Record<string, () => Float64Array>;

export type NoiseName = keyof typeof MAKERS;
export const NOISES = Object.keys(MAKERS) as NoiseName[];

/** PCM16 at 8 kHz. */
export function noiseSamples(name: NoiseName): Int16Array {
  const sound = after(QUIET_MS, MAKERS[name]());
  const line = atLevel(hiss((sound.length * 1000) / RATE + 300, 0.4, 5), LINE_DBM0);
  return toInt16(sum(sound, line));
}

/** A WAV file, 8 kHz mu-law. */
export function noiseFile(name: NoiseName): Uint8Array {
  return encodeWav({ encoding: 'mulaw', rate: RATE, channels: 1 }, encodeG711('mulaw', noiseSamples(name)));
}
