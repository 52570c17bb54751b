/** Signals and measurements for tests of audio; samples are in PCM16 units, levels in dB. */

/** `count` samples of a sine. */
export function tone(
  count: number,
  options: { hz: number; rate: number; amplitude?: number; phase?: number; from?: number },
): Float64Array {
  const { hz, rate, amplitude = 16_000, phase = 0, from = 0 } = options;
  const step = (2 * Math.PI * hz) / rate;
  return Float64Array.from({ length: count }, (_, i) => amplitude * Math.sin(step * (from + i) + phase));
}

/** Pseudo-random numbers from 0 to 1 that are the same in every run (xorshift). */
export function seeded(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** `count` samples of white noise, peak `amplitude`. */
export function noise(count: number, amplitude = 16_000, seed = 1): Float64Array {
  const random = seeded(seed);
  return Float64Array.from({ length: count }, () => (2 * random() - 1) * amplitude);
}

/** Rounds, and stays at full scale. */
export function toInt16(samples: ArrayLike<number>): Int16Array {
  return Int16Array.from({ length: samples.length }, (_, i) =>
    Math.max(-32_768, Math.min(32_767, Math.round(samples[i] ?? 0))),
  );
}

/** PCM16 little-endian. */
export function toBytes(samples: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(samples.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < samples.length; i++) view.setInt16(2 * i, samples[i] ?? 0, true);
  return bytes;
}

export function fromBytes(bytes: Uint8Array): Int16Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => view.getInt16(2 * i, true));
}

export function rms(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += (samples[i] ?? 0) ** 2;
  return Math.sqrt(sum / samples.length);
}

/** A ratio of amplitudes in dB. */
export function dB(ratio: number): number {
  return 20 * Math.log10(Math.max(ratio, 1e-12));
}

export interface ToneFit {
  readonly amplitude: number;
  /** Of a sine at index 0 of the measured stretch, in radians. */
  readonly phase: number;
  /** RMS of everything that is not this tone. */
  readonly residual: number;
  /** Tone over everything else, in dB. */
  readonly sinad: number;
}

/** The sine of a known frequency that fits best (least squares), beside a constant. */
export function fitTone(samples: ArrayLike<number>, hz: number, rate: number): ToneFit {
  const n = samples.length;
  const step = (2 * Math.PI * hz) / rate;
  const [sin, cos] = [new Float64Array(n), new Float64Array(n)];
  let [s, c, ss, cc, sc, x, xs, xc] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const [a, b, value] = [Math.sin(step * i), Math.cos(step * i), samples[i] ?? 0];
    sin[i] = a;
    cos[i] = b;
    s += a;
    c += b;
    ss += a * a;
    cc += b * b;
    sc += a * b;
    x += value;
    xs += value * a;
    xc += value * b;
  }
  // The constant taken out of all of it, two equations remain.
  const [vs, vc, vsc, rs, rc] = [
    ss - (s * s) / n,
    cc - (c * c) / n,
    sc - (s * c) / n,
    xs - (x * s) / n,
    xc - (x * c) / n,
  ];
  const determinant = vs * vc - vsc * vsc;
  const p = (rs * vc - rc * vsc) / determinant;
  const q = (rc * vs - rs * vsc) / determinant;
  const constant = (x - p * s - q * c) / n;
  let rest = 0;
  for (let i = 0; i < n; i++) {
    rest += ((samples[i] ?? 0) - p * (sin[i] ?? 0) - q * (cos[i] ?? 0) - constant) ** 2;
  }
  const amplitude = Math.hypot(p, q);
  const residual = Math.sqrt(rest / n);
  return {
    amplitude,
    phase: Math.atan2(q, p),
    residual,
    sinad: dB(amplitude / Math.SQRT2 / Math.max(residual, 1e-9)),
  };
}

/** Discrete Fourier transform in place; the length is a power of two. */
export function fft(re: Float64Array, im: Float64Array, inverse = false): void {
  const n = re.length;
  if (n < 1 || (n & (n - 1)) !== 0) throw new RangeError(`FFT of ${n} values, wanted a power of two`);
  reorder(re, im);
  for (let size = 2; size <= n; size *= 2) {
    const angle = ((inverse ? 2 : -2) * Math.PI) / size;
    for (let k = 0; k < size / 2; k++) butterflies(re, im, size, k, angle * k);
  }
  if (!inverse) return;
  for (let i = 0; i < n; i++) {
    re[i] = (re[i] ?? 0) / n;
    im[i] = (im[i] ?? 0) / n;
  }
}

function reorder(re: Float64Array, im: Float64Array): void {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; (j & bit) !== 0; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    [re[i], re[j]] = [re[j] ?? 0, re[i] ?? 0];
    [im[i], im[j]] = [im[j] ?? 0, im[i] ?? 0];
  }
}

function butterflies(re: Float64Array, im: Float64Array, size: number, k: number, angle: number): void {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  for (let i = k; i < re.length; i += size) {
    const j = i + size / 2;
    const [xr = 0, xi = 0, yr = 0, yi = 0] = [re[i], im[i], re[j], im[j]];
    const tr = yr * c - yi * s;
    const ti = yr * s + yi * c;
    re[i] = xr + tr;
    im[i] = xi + ti;
    re[j] = xr - tr;
    im[j] = xi - ti;
  }
}

function transformOf(samples: ArrayLike<number>): { re: Float64Array; im: Float64Array } {
  const size = 2 ** Math.ceil(Math.log2(samples.length));
  const re = new Float64Array(size);
  for (let i = 0; i < samples.length; i++) re[i] = samples[i] ?? 0;
  return { re, im: new Float64Array(size) };
}

/** Only what lies from `low` to `high` Hz, cut off perfectly sharply. */
export function band(samples: ArrayLike<number>, rate: number, low: number, high: number): Float64Array {
  const { re, im } = transformOf(samples);
  fft(re, im);
  const n = re.length;
  for (let k = 0; k < n; k++) {
    const hz = (Math.min(k, n - k) * rate) / n;
    if (hz >= low && hz <= high) continue;
    re[k] = 0;
    im[k] = 0;
  }
  fft(re, im, true);
  return re.subarray(0, samples.length);
}

/**
 * Signal-to-noise ratio as the ear would judge it: the mean over 20 ms segments that are louder than -40 dB of the
 * loudest, each limited to the range -10 to 80 dB.
 */
export function segmentalSnr(reference: ArrayLike<number>, heard: ArrayLike<number>, rate: number): number {
  const size = rate / 50;
  const segments: { signal: number; error: number }[] = [];
  for (let at = 0; at + size <= Math.min(reference.length, heard.length); at += size) {
    const one = Float64Array.from({ length: size }, (_, i) => reference[at + i] ?? 0);
    const off = one.map((value, i) => value - (heard[at + i] ?? 0));
    segments.push({ signal: rms(one), error: rms(off) });
  }
  const loudest = Math.max(...segments.map(({ signal }) => signal));
  const values = segments
    .filter(({ signal }) => signal > loudest / 100)
    .map(({ signal, error }) => Math.max(-10, Math.min(80, dB(signal / Math.max(error, 1e-9)))));
  return values.reduce((a, b) => a + b, 0) / values.length;
}
