/** Share of a frame's power in its two strongest lines from which it is a tone. */
const TONE_PURITY = 0.97;
/** Bins to each side of a peak that belong to it under a Hann window. */
const LINE_BINS = 2;
/** Two lines of a voice are harmonics of one pitch; those of signalling tones avoid just that. */
const HARMONIC_RATIOS = [2, 3, 4, 3 / 2, 4 / 3] as const;
const HARMONIC_ERROR = 0.025;
/** A weaker second line says nothing. */
const SECOND_LINE = 0.003;
/** Speech is never the same for this long; keys are held for at least 40 ms. */
const STEADY_FRAMES = 2;

const NOTHING = new Float64Array(0);

/** Tells tones (keys, test, dial and busy tones) from everything else, by the spectra of frames that follow each other. */
export class Tonality {
  /** The bins of the two strongest lines of the last frame. */
  #first = 0;
  #second = 0;
  #steady = 0;
  #lines: Float64Array = NOTHING;

  /** The last frame may have been the first one of a tone. */
  get maybe(): boolean {
    return this.#steady > 0;
  }

  /**
   * Whether the same two lines, or one, have held nearly all power for some frames.
   * @param lines the power spectrum of the next frame
   */
  isTonal(lines: Float64Array): boolean {
    this.#lines = lines;
    let total = 0;
    for (let k = 1; k < lines.length; k++) total += lines[k]!;
    const first = this.#strongest(-1);
    const second = this.#strongest(first);
    const firstPower = this.#lineAt(first, -1);
    const secondPower = this.#lineAt(second, first);
    const power = firstPower + secondPower;
    const pure = power >= TONE_PURITY * total;
    const voice =
      secondPower > SECOND_LINE * firstPower &&
      isHarmonic(this.#placeOf(first, -1), this.#placeOf(second, first));
    const same = near(first, this.#first, this.#second) && total > 0;
    this.#steady = pure && !voice ? (same ? this.#steady + 1 : 1) : 0;
    this.#first = first;
    this.#second = second;
    return this.#steady >= STEADY_FRAMES;
  }

  /** Where the line at `bin` really lies, between the bins. */
  #placeOf(bin: number, other: number): number {
    let sum = 0;
    let moment = 0;
    const end = Math.min(this.#lines.length - 1, bin + LINE_BINS);
    for (let k = Math.max(1, bin - LINE_BINS); k <= end; k++) {
      if (other >= 0 && Math.abs(k - other) <= LINE_BINS) continue;
      sum += this.#lines[k]!;
      moment += k * this.#lines[k]!;
    }
    return sum > 0 ? moment / sum : bin;
  }

  /** The bin with the most power that does not belong to the line at `other`. */
  #strongest(other: number): number {
    let best = -1;
    for (let k = 1; k < this.#lines.length; k++) {
      if (other >= 0 && Math.abs(k - other) <= LINE_BINS) continue;
      if (best < 0 || this.#lines[k]! > this.#lines[best]!) best = k;
    }
    return best;
  }

  /** Power of the line at `bin`, without bins that belong to the line at `other`. */
  #lineAt(bin: number, other: number): number {
    let sum = 0;
    const end = Math.min(this.#lines.length - 1, bin + LINE_BINS);
    for (let k = Math.max(1, bin - LINE_BINS); k <= end; k++) {
      if (other < 0 || Math.abs(k - other) > LINE_BINS) sum += this.#lines[k]!;
    }
    return sum;
  }

  reset(): void {
    this.#steady = 0;
  }
}

function near(bin: number, one: number, other: number): boolean {
  return Math.abs(bin - one) <= 1 || Math.abs(bin - other) <= 1;
}

function isHarmonic(one: number, other: number): boolean {
  const ratio = one > other ? one / other : other / one;
  for (let i = 0; i < HARMONIC_RATIOS.length; i++) {
    if (Math.abs(ratio / HARMONIC_RATIOS[i]! - 1) <= HARMONIC_ERROR) return true;
  }
  return false;
}
