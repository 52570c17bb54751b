import { FRAME_MS } from '../pacer.ts';

/** What `planTrim` has found. It is made anew for every plan. */
export interface TrimPlan {
  /** 1 for every frame that is kept, 0 for the others; by the index of its level. */
  readonly keep: Uint8Array;
  /** Sound that is loud and long enough to be somebody who speaks, in ms. */
  readonly voicedMs: number;
  /** They had not stopped at the end of the range. */
  readonly speaking: boolean;
}

/** What is weaker than this is silence that a machine has made, and says nothing of the noise on the line; dBm0. */
export const MACHINE_SILENCE_DBM0 = -65;
/** Weaker sound is no voice on any line, dBm0. */
const LEAST_VOICE_DBM0 = -52;
/** The noise of a line lies where so many of its frames are weaker. */
const FLOOR_SHARE = 0.1;
const SPREAD_SHARE = 0.3;
const LEAST_MARGIN_DB = 5;
const LARGEST_MARGIN_DB = 9;
/** A range whose loudest frames are no more than this above its weakest holds no speech, which comes and goes. */
const LEAST_CONTRAST_DB = 9;
/** Where fewer frames than this are noise or speech, somebody leaves silence out, or a gate takes the noise away. */
const NOISY_SHARE = 0.7;
/** Kept before voice, for a consonant that begins weakly, and after it, for a word that dies away. */
const BEFORE = 200 / FRAME_MS;
const AFTER = 300 / FRAME_MS;
/** What is left of a pause within. A provider's voice detection takes half a second for the end of the turn. */
const PAUSE = 300 / FRAME_MS;
const LEAST_AFTER = 120 / FRAME_MS;
const LEAST_BEFORE = 80 / FRAME_MS;
/** What is left of the silence at the end: enough for a provider to take the turn as ended. */
const TAIL = 800 / FRAME_MS;
/** No word is shorter; a click is. */
const LEAST_SPEECH = 80 / FRAME_MS;
/** One that has just begun. */
const LEAST_BEGINNING = 40 / FRAME_MS;

/**
 * Which frames of 20 ms of the caller's speech are worth sending again. Voice is told from noise by level alone, against
 * the noise of the line as the quietest of its frames show it.
 * @param levels of all frames that are known, in order, dBm0; those before `from` only tell the noise of the line
 * @param isVoice a closer look at a stretch of frames that is loud enough; `beginning`: it goes on after what is known
 * @param most frames that are kept at most; the oldest go first
 */
export function planTrim(
  levels: Float32Array,
  from: number,
  most: number,
  isVoice: (from: number, to: number, beginning: boolean) => boolean,
): TrimPlan {
  const keep = new Uint8Array(levels.length);
  const voice = voiceOf(levels, from);
  let voiced = 0;
  let speaking = false;
  for (const { from: first, last, frames } of stretchesOf(voice, from)) {
    const beginning = levels.length - last <= LEAST_BEGINNING;
    if (frames < (beginning ? LEAST_BEGINNING : LEAST_SPEECH)) continue;
    if (!isVoice(first, last + 1, beginning)) continue;
    voiced += last + 1 - first;
    speaking = levels.length - last <= AFTER;
  }
  if (voiced > 0) keepSpeech(levels, voice, from, keep);
  // A word may begin right after the end.
  keep.fill(1, Math.max(from, levels.length - BEFORE));
  limit(keep, most);
  return { keep, voicedMs: voiced * FRAME_MS, speaking };
}

function voiceOf(levels: Float32Array, from: number): Uint8Array {
  const voice = new Uint8Array(levels.length);
  const threshold = thresholdOf(levels);
  for (let i = from; i < levels.length; i++) if ((levels[i] ?? 0) >= threshold) voice[i] = 1;
  return voice;
}

/** The level from which a frame is voice, dBm0; Infinity when there is none. @param levels of frames of 20 ms, dBm0 */
export function thresholdOf(levels: Float32Array): number {
  const sorted = levels.filter((level) => level > MACHINE_SILENCE_DBM0).sort();
  const at = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? MACHINE_SILENCE_DBM0;
  const loud = sorted[Math.max(0, sorted.length - LEAST_SPEECH)] ?? MACHINE_SILENCE_DBM0;
  const floor = at(FLOOR_SHARE);
  if (loud - floor < LEAST_CONTRAST_DB) {
    // On a line that is silent between the words, a short one may be as even as this.
    const gated = sorted.length < NOISY_SHARE * levels.length;
    return gated ? Math.max(floor, LEAST_VOICE_DBM0) : Number.POSITIVE_INFINITY;
  }
  // The noise of a car comes and goes more than that of a fan.
  const margin = Math.min(Math.max(at(SPREAD_SHARE) - floor + 3, LEAST_MARGIN_DB), LARGEST_MARGIN_DB);
  return Math.max(floor + margin, LEAST_VOICE_DBM0);
}

/** A stretch of voice with its short gaps: first and last frame, and how many of them are voice. */
interface Stretch {
  readonly from: number;
  last: number;
  frames: number;
}

function stretchesOf(voice: Uint8Array, from: number): Stretch[] {
  const stretches: Stretch[] = [];
  let open: Stretch | undefined;
  for (let i = from; i < voice.length; i++) {
    if (voice[i] !== 1) continue;
    if (open === undefined || i - open.last > PAUSE) {
      open = { from: i, last: i, frames: 1 };
      stretches.push(open);
    } else {
      open.last = i;
      open.frames += 1;
    }
  }
  return stretches;
}

/** Keeps voice, and of the silence around and between as much as is needed. */
function keepSpeech(levels: Float32Array, voice: Uint8Array, from: number, keep: Uint8Array): void {
  let last = -1;
  for (let i = from; i < voice.length; i++) {
    if (voice[i] !== 1) continue;
    if (last < 0) keep.fill(1, Math.max(from, i - BEFORE), i);
    else if (i - last - 1 <= PAUSE) keep.fill(1, last + 1, i);
    else keepPause(levels, last + 1, i, keep);
    keep[i] = 1;
    last = i;
  }
  keep.fill(1, last + 1, Math.min(voice.length, last + 1 + TAIL));
}

/** Cuts the middle out of a pause, where it takes the least sound away. */
function keepPause(levels: Float32Array, from: number, to: number, keep: Uint8Array): void {
  let best = LEAST_AFTER;
  let most = Number.NEGATIVE_INFINITY;
  for (let after = LEAST_AFTER; after <= PAUSE - LEAST_BEFORE; after++) {
    let sum = 0;
    for (let i = 0; i < after; i++) sum += Math.max(levels[from + i] ?? 0, MACHINE_SILENCE_DBM0);
    for (let i = 1; i <= PAUSE - after; i++) sum += Math.max(levels[to - i] ?? 0, MACHINE_SILENCE_DBM0);
    if (sum <= most) continue;
    most = sum;
    best = after;
  }
  keep.fill(1, from, from + best);
  keep.fill(1, to - (PAUSE - best), to);
}

function limit(keep: Uint8Array, most: number): void {
  let left = most;
  for (let i = keep.length - 1; i >= 0; i--) {
    if (keep[i] !== 1) continue;
    if (left > 0) left -= 1;
    else keep[i] = 0;
  }
}
