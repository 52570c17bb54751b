import { AudioError } from './audio-error.ts';

/** RMS of 0 dBm0 in PCM16 units: a sine at the mu-law overload point, 4 · 8159, is +3.17 dBm0 (A-law differs by 0.06 dB). */
export const ZERO_DBM0_RMS = (4 * 8159) / Math.SQRT2 / 10 ** (3.17 / 20);
/** RMS of 0 dBFS, which is the level of a full-scale sine. */
const ZERO_DBFS_RMS = 32_768 / Math.SQRT2;
/** Lowest level that is told apart from digital silence, dBm0. */
const LOWEST_DBM0 = -100;

/** Level of a signal with this RMS (PCM16 units) in dBm0; -Infinity for 0. */
export function dbm0(rms: number): number {
  return 20 * Math.log10(rms / ZERO_DBM0_RMS);
}

/** Level of a signal with this RMS (PCM16 units) in dBFS, where a full-scale sine is 0; -Infinity for 0. */
export function dbfs(rms: number): number {
  return 20 * Math.log10(rms / ZERO_DBFS_RMS);
}

/** One sine of a tone: frequency in Hz and level in dBm0. */
export interface TonePart {
  readonly hz: number;
  readonly dbm0: number;
}

/** The reference tone of telephone lines; 1004 and not 1000 Hz, so that it meets every code of G.711. */
export const MILLIWATT: readonly TonePart[] = Object.freeze([Object.freeze({ hz: 1004, dbm0: 0 })]);

/** Rows and columns of the telephone keypad, Hz (ITU-T Q.23). */
export const DTMF_ROWS = [697, 770, 852, 941] as const;
export const DTMF_COLUMNS = [1209, 1336, 1477, 1633] as const;
const DTMF_KEYS = '123A456B789C*0#D';

/** The two sines of a key, 0-9 * # A-D, each at `level` dBm0. Throws BAD_AUDIO for anything that is not a key. */
export function dtmfParts(key: string, level = -8): readonly TonePart[] {
  const index = key.length === 1 ? DTMF_KEYS.indexOf(key) : -1;
  if (index < 0) throw new AudioError(`DTMF key is ${JSON.stringify(key)}, wanted one of ${DTMF_KEYS}`);
  return [
    { hz: DTMF_ROWS[index >> 2]!, dbm0: level },
    { hz: DTMF_COLUMNS[index & 3]!, dbm0: level },
  ];
}

/** A sum of sines that goes on for ever, without a seam between calls. */
export interface ToneGenerator {
  /** Writes the next `count` samples (PCM16, saturating) to the front of `into`. */
  fill(into: Int16Array, count: number): void;
}

function assertParts(rate: number, parts: readonly TonePart[]): void {
  for (const { hz, dbm0: level } of parts) {
    if (hz > 0 && hz < rate / 2 && Number.isFinite(level)) continue;
    throw new AudioError(
      `tone of ${hz} Hz at ${level} dBm0, wanted 0 to ${rate / 2} Hz (exclusive) and a finite level`,
    );
  }
}

/** Generates `parts` at `rate` samples per second, every sine starting at phase 0. Throws BAD_AUDIO for what the rate cannot carry. */
export function createToneGenerator(rate: number, parts: readonly TonePart[]): ToneGenerator {
  assertParts(rate, parts);
  const steps = Float64Array.from(parts, ({ hz }) => hz / rate);
  const peaks = Float64Array.from(parts, (part) => ZERO_DBM0_RMS * Math.SQRT2 * 10 ** (part.dbm0 / 20));
  // Phases are kept in whole turns and below 1, so that precision does not fade with time.
  const phases = new Float64Array(parts.length);
  return {
    fill(into, count) {
      for (let i = 0; i < count; i++) {
        let sum = 0;
        for (let p = 0; p < phases.length; p++) {
          sum += peaks[p]! * Math.sin(2 * Math.PI * phases[p]!);
          const phase = phases[p]! + steps[p]!;
          phases[p] = phase >= 1 ? phase - 1 : phase;
        }
        into[i] = Math.max(-32_768, Math.min(32_767, Math.round(sum)));
      }
    },
  };
}

/** What a level meter has found since it was created or reset; levels are -Infinity for digital silence. */
export interface LevelReading {
  /** Whole milliseconds that were measured. */
  readonly ms: number;
  /** RMS level of everything. */
  readonly dbm0: number;
  readonly dbfs: number;
  /** Highest sample relative to full scale, dB; 0 is full scale. */
  readonly peakDbfs: number;
  /** Level that 90 % of the 20 ms blocks reach: what is there when nobody speaks; undefined before the first block. */
  readonly noiseFloorDbm0: number | undefined;
  /** Samples at the end of the scale, in PCM16 or after decoding G.711. */
  readonly clipped: number;
}

export interface LevelMeter {
  /** Measures `samples[from … to)`. */
  push(samples: Int16Array, from: number, to: number): void;
  read(): LevelReading;
  reset(): void;
}

const BLOCK_MS = 20;
/** Bins of half a dB from the lowest level up to above full scale. */
const BINS = 220;
const FLOOR_SHARE = 0.1;
/** Decoded mu-law ends at 32124, A-law at 32256. */
const CLIP_AT = 32_124;

class BlockMeter implements LevelMeter {
  readonly #rate: number;
  readonly #blockSize: number;
  readonly #counts = new Uint32Array(BINS);
  readonly #energies = new Float64Array(BINS);
  #blocks = 0;
  #samples = 0;
  #energy = 0;
  #peak = 0;
  #clipped = 0;
  #blockEnergy = 0;
  #blockFill = 0;

  constructor(rate: number) {
    this.#rate = rate;
    this.#blockSize = Math.round((rate * BLOCK_MS) / 1000);
  }

  push(samples: Int16Array, from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const sample = samples[i]!;
      const size = sample < 0 ? -sample : sample;
      if (size > this.#peak) this.#peak = size;
      if (size >= CLIP_AT) this.#clipped += 1;
      this.#blockEnergy += sample * sample;
      this.#blockFill += 1;
      if (this.#blockFill === this.#blockSize) this.#endBlock();
    }
    this.#samples += to - from;
  }

  read(): LevelReading {
    const rms = Math.sqrt((this.#energy + this.#blockEnergy) / Math.max(1, this.#samples));
    return {
      ms: Math.floor((this.#samples * 1000) / this.#rate),
      dbm0: dbm0(rms),
      dbfs: dbfs(rms),
      peakDbfs: 20 * Math.log10(this.#peak / 32_768),
      noiseFloorDbm0: this.#noiseFloor(),
      clipped: this.#clipped,
    };
  }

  reset(): void {
    this.#counts.fill(0);
    this.#energies.fill(0);
    this.#blocks = 0;
    this.#samples = 0;
    this.#energy = 0;
    this.#peak = 0;
    this.#clipped = 0;
    this.#blockEnergy = 0;
    this.#blockFill = 0;
  }

  #endBlock(): void {
    const power = this.#blockEnergy / this.#blockSize;
    const level = dbm0(Math.sqrt(power));
    const bin = Math.max(0, Math.min(BINS - 1, Math.floor(2 * (level - LOWEST_DBM0))));
    this.#counts[bin]! += 1;
    this.#energies[bin]! += power;
    this.#blocks += 1;
    this.#energy += this.#blockEnergy;
    this.#blockEnergy = 0;
    this.#blockFill = 0;
  }

  /** Mean power of the bin that the quietest tenth ends in. */
  #noiseFloor(): number | undefined {
    if (this.#blocks === 0) return undefined;
    const wanted = Math.max(1, this.#blocks * FLOOR_SHARE);
    let below = 0;
    let bin = -1;
    while (below < wanted) {
      bin += 1;
      below += this.#counts[bin]!;
    }
    return dbm0(Math.sqrt(this.#energies[bin]! / this.#counts[bin]!));
  }
}

/** A meter for PCM16 samples at `rate` per second; costs a multiplication per sample and nothing per call. */
export function createLevelMeter(rate: number): LevelMeter {
  return new BlockMeter(rate);
}
