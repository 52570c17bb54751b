/**
 * Words whose sound is known, and finding them in a recording: how a call says for itself what was said, what was heard,
 * what is missing and what came twice.
 */

/** Recordings are compared at this rate. */
export const READ_RATE = 8000;

/** One word as one voice says it, without silence around it. */
export interface Word {
  readonly text: string;
  /** Whoever says it: the same text by another voice is another word. */
  readonly voice: string;
  /** PCM16 at `READ_RATE`. */
  readonly samples: Int16Array;
}

/** A word that was found. */
export interface FoundWord {
  readonly text: string;
  readonly voice: string;
  /** In the recording. */
  readonly startMs: number;
  readonly endMs: number;
  /** `beginning` and `end`: only that part of it is there. */
  readonly part: 'whole' | 'beginning' | 'end';
}

/** Energy is judged for every 10 ms. */
const FRAME = READ_RATE / 100;
/** RMS above which a frame is sound: -46 dBFS, far above what G.711 makes of silence. */
const LOUD = 160;
/** A word may begin so much before or after where its first loud frame says. */
const SLACK = 160;
/** Correlation of two copies of a word: through G.711 and filters it stays above 0.9, other words stay below 0.5. */
const SAME = 0.7;
/** Nothing else can be more like it. */
const CERTAIN = 0.93;
/** Less than so much of a word says nothing about which it is: 90 ms. */
const LEAST_PART = 720;
/** A pause within a word, as before its `t`, is shorter: 120 ms. */
const CUT_FRAMES = 12;
/** What is within so much of the whole word is the whole word. */
const NEARLY = 0.85;

/** A word with what is needed to find it. */
interface Entry {
  readonly word: Word;
  /** Its first loud frame begins here: many words begin with a sound that is weaker than noise. */
  readonly onset: number;
}

/** A quarter of a word with less of its energy says nothing; one that has kept less than this of it is missing. */
const AUDIBLE = 0.02;
const AUDIBLE_STILL = 0.25;

interface Match {
  readonly word: Word;
  readonly part: FoundWord['part'];
  readonly at: number;
  readonly length: number;
  readonly likeness: number;
}

/** A recording for comparison: its samples, and every second one for a first look. */
class Track {
  readonly samples: Int16Array;
  readonly loud: Uint8Array;

  constructor(samples: Int16Array) {
    this.samples = samples;
    this.loud = new Uint8Array(Math.floor(samples.length / FRAME));
    for (let frame = 0; frame < this.loud.length; frame++) this.loud[frame] = this.#isLoud(frame) ? 1 : 0;
  }

  #isLoud(frame: number): boolean {
    let energy = 0;
    for (let i = frame * FRAME; i < (frame + 1) * FRAME; i++) energy += (this.samples[i] ?? 0) ** 2;
    return Math.sqrt(energy / FRAME) > LOUD;
  }

  /** First sample of the next loud frame, or undefined. */
  loudFrom(at: number): number | undefined {
    const frame = this.loud.indexOf(1, Math.ceil(at / FRAME));
    return frame === -1 ? undefined : frame * FRAME;
  }

  /** Where the sound that begins at `at` is cut off: a longer silence than words have within them. */
  endOf(at: number): number {
    let quiet = 0;
    for (let frame = Math.floor(at / FRAME); frame < this.loud.length; frame++) {
      quiet = this.loud[frame] === 1 ? 0 : quiet + 1;
      if (quiet >= CUT_FRAMES) return (frame - CUT_FRAMES + 1) * FRAME;
    }
    return this.loud.length * FRAME;
  }
}

/** Normalised correlation (0..1) of `length` samples of `word` from `from` on with the track at `at`. */
function likeness(
  track: Int16Array,
  at: number,
  word: Int16Array,
  from: number,
  length: number,
  step: number,
): number {
  if (at < 0) return 0;
  let dot = 0;
  let energy = 1;
  let other = 1;
  for (let i = 0; i < length; i += step) {
    const a = word[from + i] ?? 0;
    const b = track[at + i] ?? 0;
    dot += a * b;
    energy += a * a;
    other += b * b;
  }
  return dot / Math.sqrt(energy * other);
}

/** The best place for a piece of a word around `at`. */
function place(
  track: Int16Array,
  at: number,
  word: Int16Array,
  from: number,
  length: number,
): readonly [number, number] {
  let best = at;
  let most = 0;
  const look = (first: number, last: number, stride: number, step: number): void => {
    most = 0;
    for (let here = first; here <= last; here += stride) {
      const found = likeness(track, here, word, from, length, step);
      if (found <= most) continue;
      most = found;
      best = here;
    }
  };
  // Speech is strongest below 1 kHz, so a first look may be coarse.
  look(at - SLACK, at + SLACK, 2, 8);
  if (most > 0.3) look(best - 3, best + 3, 1, 1);
  return [best, most];
}

function better(a: Match | undefined, b: Match): Match {
  return a === undefined || b.likeness > a.likeness ? b : a;
}

function whole(track: Track, at: number, entries: readonly Entry[]): Match | undefined {
  let best: Match | undefined;
  for (const { word, onset } of entries) {
    const { length } = word.samples;
    const start = at - onset;
    if (start + length * NEARLY > track.samples.length) continue;
    const [found, likeness] = place(track.samples, start, word.samples, 0, length);
    best = better(best, { word, part: 'whole', at: found, length, likeness });
    if (best.likeness >= CERTAIN) break;
  }
  return best;
}

/**
 * Nothing of the word is missing: a word whose end was cut off is like the whole one when most of its sound is in its
 * beginning.
 */
function isComplete(track: Int16Array, at: number, word: Int16Array): boolean {
  const total = energyOf(word, 0, word.length);
  const quarter = word.length >> 2;
  for (let from = 0; from + quarter <= word.length; from += quarter) {
    const wanted = energyOf(word, from, quarter);
    if (wanted > total * AUDIBLE && energyOf(track, at + from, quarter) < wanted * AUDIBLE_STILL)
      return false;
  }
  return true;
}

function energyOf(samples: Int16Array, from: number, length: number): number {
  let energy = 0;
  for (let i = from; i < from + length; i++) energy += (samples[i] ?? 0) ** 2;
  return energy;
}

/** Of a word that was cut off, or that begins in its middle. */
function partial(track: Track, at: number, end: number, entries: readonly Entry[]): Match | undefined {
  let best: Match | undefined;
  for (const { word, onset } of entries) {
    const most = word.samples.length;
    const whole = Math.min(end - at + onset, most);
    const [head, beginning] = place(track.samples, at - onset, word.samples, 0, whole);
    best = better(best, { word, part: 'beginning', at: head, length: whole, likeness: beginning });
    const length = Math.min(end - at, most);
    const rest = most - length;
    const [tail, ending] = place(track.samples, at, word.samples, rest, length);
    best = better(best, { word, part: 'end', at: tail, length, likeness: ending });
  }
  return best !== undefined && best.length >= best.word.samples.length * NEARLY
    ? { ...best, part: 'whole' }
    : best;
}

function next(track: Track, at: number, words: readonly Entry[]): Match | undefined {
  const first = whole(track, at, words);
  if (first !== undefined && first.likeness >= SAME) {
    if (isComplete(track.samples, first.at, first.word.samples)) return first;
  }
  const end = track.endOf(at);
  if (end - at < LEAST_PART) return undefined;
  const part = partial(track, at, end, words);
  return part !== undefined && part.likeness >= SAME ? part : undefined;
}

/**
 * The words of a recording (PCM16 at `READ_RATE`), in order. Sound that is none of `words` is passed over; the two parts
 * of a word that a hole has torn apart are one.
 */
export function readWords(samples: Int16Array, words: readonly Word[]): readonly FoundWord[] {
  const track = new Track(samples);
  const entries = words.map((word) => ({ word, onset: new Track(word.samples).loudFrom(0) ?? 0 }));
  const found: FoundWord[] = [];
  for (let at = track.loudFrom(0); at !== undefined; ) {
    const match = next(track, at, entries);
    if (match === undefined) {
      // As far as a word may be off where it was looked for.
      at = track.loudFrom(at + 2 * SLACK);
      continue;
    }
    add(found, match);
    expectNext(entries, match.word);
    at = track.loudFrom(Math.max(at + FRAME, match.at + match.length - FRAME));
  }
  return found;
}

/** Words come in the order of the list more often than not: those behind the last one are looked at first. */
function expectNext(entries: Entry[], word: Word): void {
  const at = entries.findIndex((entry) => entry.word === word);
  entries.unshift(...entries.splice(at + 1));
}

function add(found: FoundWord[], { word, part, at, length }: Match): void {
  const { text, voice } = word;
  const endMs = ((at + length) * 1000) / READ_RATE;
  const last = found.at(-1);
  if (part === 'end' && last?.part === 'beginning' && last.text === text && last.voice === voice) {
    found[found.length - 1] = { ...last, endMs, part: 'whole' };
    return;
  }
  found.push({ text, voice, startMs: (at * 1000) / READ_RATE, endMs, part });
}

/** Of the words that are there whole, those that `wanted` has and `found` has not. */
export function missing(wanted: readonly string[], found: readonly FoundWord[]): readonly string[] {
  const there = new Set(found.filter(({ part }) => part === 'whole').map(({ text }) => text));
  return wanted.filter((text) => !there.has(text));
}

/**
 * Words that are there whole more than once, whoever said them; without the one word at the seam (`atSeam`).
 */
export function repeated(found: readonly FoundWord[]): readonly string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  const seam = new Set(atSeam(found));
  for (const { text, part } of found) {
    if (part !== 'whole') continue;
    if (seen.has(text) && !seam.has(text)) twice.add(text);
    seen.add(text);
  }
  return [...twice];
}

/**
 * The last word of one voice that another one begins with: providers do not say which of their words belong to which of
 * their sound, so how far one had come when it died can be told to within a word.
 */
export function atSeam(found: readonly FoundWord[]): readonly string[] {
  const whole = found.filter(({ part }) => part === 'whole');
  return whole
    .filter(({ text, voice }, i) => whole[i - 1]?.text === text && whole[i - 1]?.voice !== voice)
    .map(({ text }) => text);
}
