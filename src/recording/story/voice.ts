import { lawTables } from '../../audio/g711.ts';
import { TRACK_RATE } from './tracks.ts';

/** From `startMs` to `endMs` there is sound that is louder than what is behind it. */
export interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

const FRAME_MS = 20;
const FRAME = (TRACK_RATE / 1000) * FRAME_MS;
/** Never taken as voice, and always. */
const QUIETEST_DB = -45;
const LOUDEST_DB = -28;
/** Voice stands out of what is behind it by this much. */
const ABOVE_FLOOR_DB = 10;
/** Within a word there are pauses. */
const BRIDGED_MS = 300;
const SHORTEST_MS = 60;

/**
 * Where there is voice in a track of mu-law at 8 kHz, by loudness alone: what was made unintelligible has to have the
 * same turns as what was said.
 */
export function voiceOf(track: Uint8Array): readonly Span[] {
  const levels = levelsOf(track);
  const threshold = thresholdOf(levels);
  const spans: { startMs: number; endMs: number }[] = [];
  levels.forEach((level, index) => {
    if (level < threshold) return;
    const startMs = index * FRAME_MS;
    const last = spans.at(-1);
    if (last !== undefined && startMs - last.endMs <= BRIDGED_MS) last.endMs = startMs + FRAME_MS;
    else spans.push({ startMs, endMs: startMs + FRAME_MS });
  });
  return spans.filter(({ startMs, endMs }) => endMs - startMs >= SHORTEST_MS);
}

/** dBFS, frame by frame. */
function levelsOf(track: Uint8Array): Float32Array {
  const { decode } = lawTables('mulaw');
  const levels = new Float32Array(Math.floor(track.length / FRAME));
  for (let index = 0; index < levels.length; index += 1) {
    let sum = 0;
    for (let at = index * FRAME; at < (index + 1) * FRAME; at += 1) sum += (decode[track[at] ?? 0] ?? 0) ** 2;
    levels[index] = 10 * Math.log10(sum / FRAME / 32_768 ** 2 + 1e-10);
  }
  return levels;
}

/** What is behind the voice is the quiet part of the frames in which there is anything at all. */
function thresholdOf(levels: Float32Array): number {
  const some = levels.filter((level) => level > -90).sort();
  const floor = some[Math.floor(some.length * 0.15)] ?? QUIETEST_DB;
  // Where somebody speaks all the time, there is no quiet part.
  return Math.min(LOUDEST_DB, Math.max(QUIETEST_DB, floor + ABOVE_FLOOR_DB));
}

/** The first span that ends after `ms`. */
export function spanAt(spans: readonly Span[], ms: number): Span | undefined {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.endMs ?? 0) > ms) high = middle;
    else low = middle + 1;
  }
  return spans[low];
}
