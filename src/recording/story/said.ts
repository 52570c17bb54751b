import type { Line } from '../format.ts';
import type { Piece } from './hearing.ts';
import { mediaFact } from './messages.ts';

interface Frame {
  readonly atMs: number;
  readonly ms: number;
  readonly wav: string;
  readonly at: number;
  readonly stampMs: number | undefined;
}

/** Nothing for this long on a stream without usable times is a hole, not lateness. */
const HOLE_MS = 250;
/** Within so long, frames are taken as having come at once. */
const BURST_MS = 15;
const MOST_AHEAD_MS = 500;
/** How often it is looked anew how late audio comes: clocks differ by up to a few ms a minute. */
const WINDOW_MS = 10_000;

/**
 * What the caller said, on the time line of the call: audio comes late and in bursts, so it is put where the carrier's
 * times say, or where it follows what came before, as early as it ever came.
 * @param rateOf samples per second of a WAV
 */
export function saidOf(lines: readonly Line[], rateOf: (wav: string) => number): readonly Piece[] {
  const streams = new Map<number, Frame[]>();
  for (const line of lines) {
    if (line.on !== 'carrier' || line.dir !== 'in' || !('msg' in line)) continue;
    const fact = mediaFact(line.msg);
    if (fact.kind !== 'audio') continue;
    const { wav, at, n } = fact.ref;
    const frames = streams.get(line.conn) ?? [];
    streams.set(line.conn, frames);
    frames.push({ atMs: line.t, ms: (n / rateOf(wav)) * 1000, wav, at, stampMs: fact.atMs });
  }
  return [...streams.values()].flatMap(placed);
}

function placed(frames: Frame[]): Piece[] {
  const stamped = areUsable(frames);
  // Carriers that do not promise an order send times along.
  if (stamped) frames.sort((a, b) => (a.stampMs ?? 0) - (b.stampMs ?? 0));
  return stamped ? byStamps(frames) : byArrival(frames);
}

/** Some carriers send the time of day, or nothing that can be relied on. */
function areUsable(frames: readonly Frame[]): boolean {
  const first = frames[0];
  const last = frames.at(-1);
  if (first?.stampMs === undefined || last?.stampMs === undefined || frames.length < 2) return false;
  const stamps = last.stampMs - first.stampMs;
  const arrivals = last.atMs - first.atMs;
  return (
    Math.abs(stamps - arrivals) < 500 + arrivals * 0.05 &&
    frames.every(({ stampMs }) => stampMs !== undefined)
  );
}

function byStamps(frames: readonly Frame[]): Piece[] {
  const pieces: Piece[] = [];
  for (let from = 0; from < frames.length; ) {
    const beginMs = frames[from]?.stampMs ?? 0;
    let to = from;
    let offset = Number.POSITIVE_INFINITY;
    for (; to < frames.length; to += 1) {
      const frame = frames[to];
      if (frame?.stampMs === undefined || frame.stampMs - beginMs >= WINDOW_MS) break;
      offset = Math.min(offset, frame.atMs - frame.ms - frame.stampMs);
    }
    to = Math.max(to, from + 1);
    for (const { ms, wav, at, stampMs = 0 } of frames.slice(from, to)) {
      pieces.push({ atMs: Math.max(0, stampMs + offset), ms, wav, at });
    }
    from = to;
  }
  return pieces;
}

function byArrival(frames: readonly Frame[]): Piece[] {
  const pieces: Piece[] = [];
  let endMs = 0;
  frames.forEach(({ atMs, ms, wav, at }, index) => {
    const late = atMs - ms - endMs;
    if (index === 0 || late > HOLE_MS) endMs = Math.max(endMs, burstStart(frames, index));
    // A clock that is faster than ours would run away with it.
    else if (late < -MOST_AHEAD_MS) endMs = atMs - ms;
    pieces.push({ atMs: endMs, ms, wav, at });
    endMs += ms;
  });
  return pieces;
}

/** What was held up arrives at once: it was said before. */
function burstStart(frames: readonly Frame[], index: number): number {
  const first = frames[index];
  if (first === undefined) return 0;
  let ms = 0;
  for (let next = index; ; next += 1) {
    const frame = frames[next];
    if (frame === undefined || frame.atMs - first.atMs > BURST_MS) break;
    ms += frame.ms;
  }
  return Math.max(0, first.atMs - ms);
}
