import type { ChannelAudio } from './channel-audio.ts';
import type { Channel, Slice } from './channels.ts';
import type { Piece } from './piece.ts';
import type { Pair } from './way.ts';

/** The audio between two lines that both calls have. */
export interface Run {
  readonly piece: Piece;
  readonly expected: readonly Slice[];
  readonly found: readonly Slice[];
  /** Nothing was expected behind it. */
  readonly isLast: boolean;
}

interface Border {
  readonly samples: number;
  readonly slices: number;
}

/** Cuts the audio of a channel at the lines that both calls have. Pieces that are empty in both are left out. */
export function runsOf(
  expected: { readonly channel: Channel; readonly audio: ChannelAudio },
  found: { readonly channel: Channel; readonly audio: ChannelAudio },
  pairs: readonly Pair[],
): readonly Run[] {
  const runs: Run[] = [];
  let [a, b]: [Border, Border] = [START, START];
  const cut = (to: Border, there: Border, isLast: boolean): void => {
    const slices = expected.channel.slices.slice(a.slices, to.slices);
    const others = found.channel.slices.slice(b.slices, there.slices);
    if (slices.length > 0 || others.length > 0) {
      const inExpected = { from: a.samples, to: to.samples };
      const inFound = { from: b.samples, to: there.samples };
      const piece = { expected: expected.audio, found: found.audio, inExpected, inFound };
      runs.push({ piece, expected: slices, found: others, isLast });
    }
    [a, b] = [to, there];
  };
  for (const pair of pairs) {
    if (pair.expected === undefined || pair.found === undefined) continue;
    const unit = expected.channel.units[pair.expected];
    const other = found.channel.units[pair.found];
    if (unit !== undefined && other !== undefined) cut(unit, other, false);
  }
  cut(endOf(expected.channel), endOf(found.channel), true);
  return runs;
}

const START: Border = { samples: 0, slices: 0 };

function endOf({ samples, slices }: Channel): Border {
  return { samples, slices: slices.length };
}

/** Messages of both calls in which the same sample of a run was sent. */
export interface Meeting {
  readonly expected: Slice;
  readonly found: Slice;
  /** The later of their beginnings, in samples of the run. */
  readonly sample: number;
  /** How far apart their beginnings are, in samples: that much of their times is due to how the audio was cut. */
  readonly apart: number;
}

/** Goes through the messages of a run that hold the same samples, in order. */
export function* meetings({ piece, expected, found }: Run): Generator<Meeting> {
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [expected[i], found[j]];
    if (a === undefined || b === undefined) return;
    const [from, other] = [a.from - piece.inExpected.from, b.from - piece.inFound.from];
    yield { expected: a, found: b, sample: Math.max(from, other), apart: Math.abs(from - other) };
    const [end, otherEnd] = [from + a.n, other + b.n];
    if (end <= otherEnd) i += 1;
    if (otherEnd <= end) j += 1;
  }
}
