import { AudioError } from './audio-error.ts';
import { RATES, type Rate } from './format.ts';
import { Spectrum } from './spectrum.ts';
import { Tonality } from './tonality.ts';
import { dbm0, ZERO_DBM0_RMS } from './tone.ts';

/** Length of one frame of a voice detector, ms. */
export const VOICE_FRAME_MS = 20;

/** What a voice detector says about one frame. The detector uses one object again and again. */
export interface VoiceFrame {
  /** Voice, and neither noise nor a tone. */
  readonly speech: boolean;
  /** Mean log likelihood ratio of voice against noise over the bands; about 0 in noise, up to 3 in clear voice. */
  readonly likelihood: number;
  /** RMS of the frame, -Infinity for digital silence. */
  readonly levelDbm0: number;
  /** One or two steady sines and nothing else: keys, test, dial and busy tones. */
  readonly tonal: boolean;
}

export interface VoiceDetector {
  readonly rate: Rate;
  /** Samples of one frame. */
  readonly frameSize: number;
  /** Takes `frameSize` samples from `at` on. The result is valid until the next call. */
  process(samples: Int16Array, at?: number): VoiceFrame;
  /** Forgets what it knows of the noise. */
  reset(): void;
}

export interface VoiceDetectorOptions {
  readonly rate: Rate;
  /** Likelihood from which a frame is voice; 0.3 when not given, more asks for clearer voice. */
  readonly threshold?: number | undefined;
  /** Anything weaker is not voice; -55 dBm0 when not given. */
  readonly minLevelDbm0?: number | undefined;
}

const BANDS = 24;
/** The band of a telephone; above it there is nothing at 8 kHz, nor in what was 8 kHz once. */
const LOWEST_HZ = 100;
const HIGHEST_HZ = 3800;
const WINDOW_MS = 32;
/** Weight of the past in the smoothed power whose minimum is the noise. */
const POWER_MEMORY = 0.8;
/** The minimum is taken over the last 8 stretches of 16 frames: 2.6 s, longer than most speech without a dip. */
const STRETCHES = 8;
const STRETCH_FRAMES = 16;
/** The first frames are taken for noise: one alone is too uncertain to compare anything with. */
const LEARNING_FRAMES = 10;
/** How far the minimum of a fluctuating power lies below its mean, in standard deviations. */
const MINIMUM_DEPTH = 1.8;
/** Weight of the last frame's estimate in the a-priori SNR ("decision directed"). */
const PRIOR_MEMORY = 0.92;
const LEAST_PRIOR = 0.0016;
/** Weight of the past in the likelihood, and its bound, so that one loud frame is forgotten within 150 ms. */
const LIKELIHOOD_MEMORY = 0.7;
const HIGHEST_LIKELIHOOD = 3;
/** One loud band must not decide alone. */
const HIGHEST_RATIO = 1000;
/** A floor under the noise estimate, so that the first hiss after digital silence is not voice. */
const LEAST_NOISE_DBM0 = -70;
/** Silence made by machines: at most the smallest step of G.711. */
const SILENT_PEAK = 8;
/** Machine-made silence this long is the line's own; a shorter one is a hole in the stream. */
const HOLE_FRAMES = 15;
/** First and last bin of every band, evenly spaced on the mel scale, each at least one bin. */
function bandEdges(size: number, rate: number): Uint16Array {
  const mel = (hz: number): number => 2595 * Math.log10(1 + hz / 700);
  const low = mel(LOWEST_HZ);
  const step = (mel(HIGHEST_HZ) - low) / BANDS;
  const edges = new Uint16Array(BANDS + 1);
  for (let b = 0; b <= BANDS; b++) {
    const hz = 700 * (10 ** ((low + b * step) / 2595) - 1);
    edges[b] = Math.max(Math.round((hz * size) / rate), b === 0 ? 1 : edges[b - 1]! + 1);
  }
  return edges;
}

/** The noise in every band as the minimum of its smoothed power over the last 2.6 s. */
class NoiseTracker {
  readonly noise = new Float64Array(BANDS);
  readonly #smooth = new Float64Array(BANDS);
  readonly #minimum = new Float64Array(BANDS);
  readonly #stretches = new Float64Array(BANDS * STRETCHES);
  readonly #bias: Float64Array;
  readonly #least: Float64Array;
  #seen = 0;
  #frame = 0;
  #stretch = 0;

  constructor(edges: Uint16Array) {
    this.#bias = minimumBias(edges);
    this.#least = leastNoise(edges);
  }

  /** Nothing is known of the noise. */
  get empty(): boolean {
    return this.#seen === 0;
  }

  get ready(): boolean {
    return this.#seen >= LEARNING_FRAMES;
  }

  reset(): void {
    this.#seen = 0;
    this.#frame = 0;
    this.#stretch = 0;
    this.#stretches.fill(Number.POSITIVE_INFINITY);
  }

  update(power: Float64Array): void {
    if (this.ready) this.#follow(power);
    else this.#learn(power);
  }

  #learn(power: Float64Array): void {
    if (this.empty) this.reset();
    this.#seen += 1;
    for (let b = 0; b < BANDS; b++) {
      const mean = this.#smooth[b]! + (power[b]! - this.#smooth[b]!) / this.#seen;
      this.#smooth[b] = mean;
      this.#minimum[b] = mean / this.#bias[b]!;
      this.noise[b] = Math.max(mean, this.#least[b]!);
    }
  }

  #follow(power: Float64Array): void {
    const smooth = this.#smooth;
    const minimum = this.#minimum;
    for (let b = 0; b < BANDS; b++) {
      const value = POWER_MEMORY * smooth[b]! + (1 - POWER_MEMORY) * power[b]!;
      smooth[b] = value;
      if (value < minimum[b]!) minimum[b] = value;
      this.noise[b] = Math.max(this.#leastOf(b) * this.#bias[b]!, this.#least[b]!);
    }
    this.#frame += 1;
    if (this.#frame === STRETCH_FRAMES) this.#endStretch();
  }

  #leastOf(band: number): number {
    const stretches = this.#stretches;
    let least = this.#minimum[band]!;
    for (let at = band; at < stretches.length; at += BANDS) {
      const value = stretches[at]!;
      if (value < least) least = value;
    }
    return least;
  }

  #endStretch(): void {
    this.#stretches.set(this.#minimum, this.#stretch * BANDS);
    this.#stretch = (this.#stretch + 1) % STRETCHES;
    this.#minimum.set(this.#smooth);
    this.#frame = 0;
  }
}

/** Narrow bands fluctuate more, so their minimum lies deeper. */
function minimumBias(edges: Uint16Array): Float64Array {
  return Float64Array.from({ length: BANDS }, (_, b) => {
    const bins = edges[b + 1]! - edges[b]!;
    const freedom = (2 * Math.max(1, 0.7 * bins) * (1 + POWER_MEMORY)) / (1 - POWER_MEMORY);
    return 1 / (1 - MINIMUM_DEPTH * Math.sqrt(2 / freedom));
  });
}

class MutableVoiceFrame implements VoiceFrame {
  speech = false;
  likelihood = 0;
  levelDbm0 = Number.NEGATIVE_INFINITY;
  tonal = false;
}

class LikelihoodDetector implements VoiceDetector {
  readonly rate: Rate;
  readonly frameSize: number;
  readonly #threshold: number;
  readonly #minLevel: number;
  readonly #window: Float64Array;
  readonly #history: Float64Array;
  readonly #windowed: Float64Array;
  readonly #spectrum: Spectrum;
  readonly #lines: Float64Array;
  readonly #edges: Uint16Array;
  readonly #power = new Float64Array(BANDS);
  readonly #clean = new Float64Array(BANDS);
  readonly #tracker: NoiseTracker;
  readonly #frame = new MutableVoiceFrame();
  readonly #tonality = new Tonality();
  #silentFrames = 0;

  constructor(options: VoiceDetectorOptions) {
    const { rate, threshold = 0.3, minLevelDbm0 = -55 } = options;
    const windowSize = (rate * WINDOW_MS) / 1000;
    const size = 2 ** Math.ceil(Math.log2(windowSize));
    this.rate = rate;
    this.frameSize = (rate * VOICE_FRAME_MS) / 1000;
    this.#threshold = threshold;
    this.#minLevel = minLevelDbm0;
    // Scaled so that the bins of one band add up to its mean square: every rate then has the same numbers.
    const scale = Math.sqrt(2 / (size * windowSize * (3 / 8)));
    this.#window = Float64Array.from(
      { length: windowSize },
      (_, i) => scale * 0.5 * (1 - Math.cos((2 * Math.PI * (i + 0.5)) / windowSize)),
    );
    this.#history = new Float64Array(windowSize);
    this.#windowed = new Float64Array(windowSize);
    this.#spectrum = new Spectrum(size);
    this.#lines = new Float64Array(this.#spectrum.bins);
    this.#edges = bandEdges(size, rate);
    this.#tracker = new NoiseTracker(this.#edges);
  }

  process(samples: Int16Array, at = 0): VoiceFrame {
    if (at + this.frameSize > samples.length) {
      throw new AudioError(`${samples.length - at} samples for a voice frame, wanted ${this.frameSize}`);
    }
    const frame = this.#frame;
    const peak = this.#take(samples, at);
    if (this.#isHole(peak)) {
      this.#setNothing();
      return frame;
    }
    this.#analyse();
    frame.tonal = this.#tonality.isTonal(this.#lines);
    // What a tone leaves behind in the likelihood would be voice when the tone stops.
    if (frame.tonal) frame.likelihood = 0;
    else if (this.#tracker.ready) this.#judge();
    // A phone mutes the line's noise while it sends a tone; afterwards that noise must not be new.
    if (!this.#tonality.maybe || !this.#tracker.ready) this.#tracker.update(this.#power);
    frame.speech = frame.likelihood > this.#threshold && frame.levelDbm0 >= this.#minLevel && !frame.tonal;
    return frame;
  }

  reset(): void {
    this.#tracker.reset();
    this.#clean.fill(0);
    this.#history.fill(0);
    this.#silentFrames = 0;
    this.#tonality.reset();
    this.#setNothing();
  }

  #setNothing(): void {
    const frame = this.#frame;
    frame.speech = false;
    frame.tonal = false;
    frame.likelihood = 0;
  }

  /** Moves a frame into the history; returns its peak. */
  #take(samples: Int16Array, at: number): number {
    const history = this.#history;
    const keep = history.length - this.frameSize;
    history.copyWithin(0, this.frameSize);
    let peak = 0;
    let energy = 0;
    for (let i = 0; i < this.frameSize; i++) {
      const sample = samples[at + i]!;
      history[keep + i] = sample;
      energy += sample * sample;
      peak = Math.max(peak, sample < 0 ? -sample : sample);
    }
    this.#frame.levelDbm0 = dbm0(Math.sqrt(energy / this.frameSize));
    return peak;
  }

  /** A line begins with, and loses packets as, machine-made silence, which says nothing about its noise. */
  #isHole(peak: number): boolean {
    if (peak > SILENT_PEAK) {
      this.#silentFrames = 0;
      return false;
    }
    this.#silentFrames += 1;
    return this.#tracker.empty || this.#silentFrames <= HOLE_FRAMES;
  }

  #analyse(): void {
    const window = this.#window;
    const history = this.#history;
    for (let i = 0; i < window.length; i++) this.#windowed[i] = window[i]! * history[i]!;
    this.#spectrum.power(this.#windowed, this.#lines);
    for (let b = 0; b < BANDS; b++) {
      let sum = 0;
      for (let k = this.#edges[b]!; k < this.#edges[b + 1]!; k++) sum += this.#lines[k]!;
      this.#power[b] = sum;
    }
  }

  #judge(): void {
    const now = Math.min(this.#likelihood(), HIGHEST_LIKELIHOOD);
    const past = this.#frame.likelihood;
    this.#frame.likelihood = LIKELIHOOD_MEMORY * past + (1 - LIKELIHOOD_MEMORY) * now;
  }

  #likelihood(): number {
    const { noise } = this.#tracker;
    let sum = 0;
    for (let b = 0; b < BANDS; b++) {
      const posterior = Math.min(this.#power[b]! / noise[b]!, HIGHEST_RATIO);
      const past = Math.min(this.#clean[b]! / noise[b]!, HIGHEST_RATIO);
      const now = Math.max(posterior - 1, 0);
      const prior = Math.max(PRIOR_MEMORY * past + (1 - PRIOR_MEMORY) * now, LEAST_PRIOR);
      const gain = prior / (1 + prior);
      sum += posterior * gain - Math.log1p(prior);
      this.#clean[b] = gain * gain * this.#power[b]!;
    }
    return sum / BANDS;
  }
}

/** The least noise, spread over the bands by their width. */
function leastNoise(edges: Uint16Array): Float64Array {
  const power = (ZERO_DBM0_RMS * 10 ** (LEAST_NOISE_DBM0 / 20)) ** 2;
  const width = edges[BANDS]! - edges[0]!;
  return Float64Array.from({ length: BANDS }, (_, b) => (power * (edges[b + 1]! - edges[b]!)) / width);
}

/**
 * Tells voice from noise and tones, 20 ms at a time: a likelihood ratio test over 24 mel bands from 100 to 3800 Hz
 * whose noise follows the line by minimum statistics. Works alike at every rate, allocates nothing per frame. The noise
 * of a line that becomes louder is taken for voice for up to 2.6 s. Throws BAD_AUDIO for a rate other than 8000, 16000
 * and 24000.
 */
export function createVoiceDetector(options: VoiceDetectorOptions): VoiceDetector {
  if (!RATES.includes(options.rate)) {
    throw new AudioError(`voice detector at ${options.rate} Hz, wanted ${RATES.join(', ')}`);
  }
  return new LikelihoodDetector(options);
}
