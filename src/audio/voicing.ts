import { AudioError } from './audio-error.ts';

/** What `Voicing` says about one frame. It uses one object again and again. */
export interface Voiced {
  /**
   * How alike two neighbouring periods are at the best pitch from 60 to 400 Hz: 1 for a steady sound, up to about 0.5
   * for noise of any colour.
   */
  readonly periodicity: number;
  /** Length of that period in ms; 0 when there is none. */
  readonly periodMs: number;
  /** Likeness to what was there 100 ms before: a voice is never so steady, hum of 50 and 60 Hz and its multiples is. */
  readonly steadiness: number;
}

/** Hum is known at once: by its periods in ms (100, 120, 60 and 150 Hz), its purity and its even level. */
const HUM_PERIODS_MS = [10, 25 / 3, 50 / 3, 20 / 3] as const;
const HUM_PERIODICITY = 0.95;
const HUM_STEP_MS = 0.2;
const HUM_CHANGE_DB = 1;

/** Whether a frame is hum of the mains and no voice. `changeDb`: of its level, against the frame before. */
export function isHum({ periodicity, periodMs }: Voiced, changeDb: number): boolean {
  if (periodicity < HUM_PERIODICITY || Math.abs(changeDb) >= HUM_CHANGE_DB) return false;
  for (let i = 0; i < HUM_PERIODS_MS.length; i++) {
    if (Math.abs(periodMs - HUM_PERIODS_MS[i]!) <= HUM_STEP_MS) return true;
  }
  return false;
}

/** Samples of one frame: 20 ms at 8 kHz. */
const FRAME = 160;
/** Everything below is done at 4 kHz: the harmonics up to 1.7 kHz say what the pitch is, whatever the line cuts off. */
const STEP = 2;
const SHORTEST_LAG = 10;
const LONGEST_LAG = 67;
/** What is compared, in samples at 4 kHz: 20 ms. More is surer of noise, and later. */
const WINDOW = 80;
/** 100 ms: five periods of 50 Hz and six of 60 Hz. */
const HUM_LAG = 400;
/** Of equally good periods the shortest is the pitch, the others are its multiples. */
const AS_GOOD = 0.92;
const TAPS = 25;
const CUT_OFF_HZ = 1700;
/** Pole of two filters that take away what lies below 200 Hz: rumble is noise in so narrow a band that it has periods. */
const BLOCKING = 0.75;

/** A windowed sinc that lets pass what lies below the cut-off. */
function lowPass(): Float64Array {
  const middle = (TAPS - 1) / 2;
  const taps = Float64Array.from({ length: TAPS }, (_, i) => {
    const x = i - middle;
    const turn = (2 * CUT_OFF_HZ) / 8000;
    const sinc = x === 0 ? turn : Math.sin(Math.PI * turn * x) / (Math.PI * x);
    return sinc * (0.54 + 0.46 * Math.cos((Math.PI * x) / (middle + 1)));
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** A high pass of one pole. */
class Blocker {
  #in = 0;
  #out = 0;

  next(sample: number): number {
    this.#out = sample - this.#in + BLOCKING * this.#out;
    this.#in = sample;
    return this.#out;
  }

  reset(): void {
    this.#in = 0;
    this.#out = 0;
  }
}

class MutableVoiced implements Voiced {
  periodicity = 0;
  periodMs = 0;
  steadiness = 0;
}

/** Tells whether a sound has a pitch, 20 ms at a time, from samples at 8 kHz; allocates nothing per frame. */
export class Voicing {
  readonly frameSize = FRAME;
  readonly #taps = lowPass();
  /** The last samples at 8 kHz that the filter still needs, then the frame. */
  readonly #input = new Float64Array(TAPS - 1 + FRAME);
  /** At 4 kHz; the newest at the end. */
  readonly #line = new Float64Array(HUM_LAG + WINDOW + FRAME / STEP);
  readonly #scores = new Float64Array(LONGEST_LAG + 1);
  readonly #voiced = new MutableVoiced();
  readonly #first = new Blocker();
  readonly #second = new Blocker();

  /** Takes `frameSize` samples from `at` on. The result is valid until the next call. Throws BAD_AUDIO for fewer. */
  process(samples: Int16Array, at = 0): Voiced {
    if (at + FRAME > samples.length) {
      throw new AudioError(`${samples.length - at} samples for a pitch frame, wanted ${FRAME}`);
    }
    this.#take(samples, at);
    const voiced = this.#voiced;
    const from = this.#line.length - WINDOW;
    const energy = this.#energy(from);
    voiced.periodMs = 0;
    voiced.periodicity = energy > 0 ? this.#search(from, energy) : 0;
    voiced.steadiness = energy > 0 ? this.#likeness(from, HUM_LAG, energy) : 0;
    return voiced;
  }

  reset(): void {
    this.#input.fill(0);
    this.#line.fill(0);
    this.#first.reset();
    this.#second.reset();
  }

  #take(samples: Int16Array, at: number): void {
    const input = this.#input;
    const line = this.#line;
    const taps = this.#taps;
    input.copyWithin(0, FRAME);
    for (let i = 0; i < FRAME; i++) input[TAPS - 1 + i] = samples[at + i]!;
    line.copyWithin(0, FRAME / STEP);
    let to = line.length - FRAME / STEP;
    for (let i = 0; i < FRAME; i += STEP) {
      let sum = 0;
      for (let k = 0; k < TAPS; k++) sum += taps[k]! * input[i + k]!;
      line[to] = this.#second.next(this.#first.next(sum));
      to += 1;
    }
  }

  #energy(from: number): number {
    const line = this.#line;
    let sum = 0;
    for (let i = from; i < from + WINDOW; i++) sum += line[i]! * line[i]!;
    return sum;
  }

  /** Correlation with what was there `lag` samples before, -1 to 1. */
  #likeness(from: number, lag: number, energy: number): number {
    const line = this.#line;
    let product = 0;
    let before = 0;
    for (let i = from; i < from + WINDOW; i++) {
      const old = line[i - lag]!;
      product += line[i]! * old;
      before += old * old;
    }
    return before > 0 ? product / Math.sqrt(energy * before) : 0;
  }

  #search(from: number, energy: number): number {
    const line = this.#line;
    const scores = this.#scores;
    let before = this.#energy(from - SHORTEST_LAG);
    let best = 0;
    for (let lag = SHORTEST_LAG; lag <= LONGEST_LAG; lag++) {
      let product = 0;
      for (let i = from; i < from + WINDOW; i++) product += line[i]! * line[i - lag]!;
      const score = before > 0 ? product / Math.sqrt(energy * before) : 0;
      scores[lag] = score;
      if (score > best) best = score;
      // The stretch that the next lag compares with lies one sample earlier.
      before += line[from - lag - 1]! ** 2 - line[from - lag - 1 + WINDOW]! ** 2;
    }
    this.#voiced.periodMs = this.#shortest(best) / 4;
    return best;
  }

  #shortest(best: number): number {
    const scores = this.#scores;
    let lag = SHORTEST_LAG;
    while (lag < LONGEST_LAG && (scores[lag]! < AS_GOOD * best || scores[lag + 1]! > scores[lag]!)) lag += 1;
    return best > 0 ? lag : 0;
  }
}
