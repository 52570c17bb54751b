import type { Tolerance } from '../../recording/format.ts';
import { type AudioVerdict, compareAudio, moveTo } from './audio.ts';
import type { Slice } from './channels.ts';
import type { AudioCause } from './difference.ts';
import { lengthOf, type Piece, rms, SILENT } from './piece.ts';
import { type Meeting, meetings, type Run } from './runs.ts';

/** What differs in a run of audio. */
export interface RunVerdict {
  readonly audio: AudioVerdict | undefined;
  /** The first message that was sent at another time, although what it holds is the same. */
  readonly late: Meeting | undefined;
  /** Messages that differ in what stands around the audio, each kind once. */
  readonly shells: readonly Meeting[];
}

export interface RunTerms {
  readonly tolerance: Tolerance;
  readonly diagnose: boolean;
  readonly isOpenEnded: boolean;
}

/** Compares a run of audio: its samples, when they were sent, and the messages around them. */
export function judgeRun(run: Run, { tolerance, diagnose, isOpenEnded }: RunTerms): RunVerdict {
  const audio = compareAudio(run.piece, { sample: tolerance.sample, diagnose, isOpenEnded });
  const { late, shells } = judgeMessages(run, tolerance.timeMs);
  if (audio === undefined) return { audio, late, shells };
  const lost = lossOf(run, audio.audio.cause, late, tolerance.timeMs);
  if (lost === undefined) return { audio, late: lateIn(late, audio.sample), shells };
  const ms = Math.round(run.piece.expected.ms(Math.abs(lost.samples)) * 10) / 10;
  const cause = { type: lost.samples > 0 ? 'lost' : 'inserted', ms } as const;
  const sample = Math.min(audio.sample, late?.sample ?? audio.sample);
  const moved = moveTo(run.piece, audio, sample, cause);
  return { audio: moved, late: lost.explains ? undefined : lateIn(late, sample), shells };
}

/** Behind the place where the audio differs, times are those of other audio and say nothing. */
function lateIn(late: Meeting | undefined, sample: number): Meeting | undefined {
  return late !== undefined && (late.sample === 0 || late.sample <= sample) ? late : undefined;
}

interface Loss {
  /** Below 0: so much was inserted. */
  readonly samples: number;
  /** It is the reason for which what comes behind it is late or early. */
  readonly explains: boolean;
}

/** How much was lost or inserted in the middle, if that is what the difference is. */
function lossOf(run: Run, cause: AudioCause, late: Meeting | undefined, timeMs: number): Loss | undefined {
  const { expected, inExpected, inFound } = run.piece;
  const lack = lengthOf(inExpected) - lengthOf(inFound);
  const shift = cause.type === 'shifted' ? Math.round(-cause.ms / expected.ms(1)) : 0;
  const isEarly = late?.sample === 0 && cause.type === 'short' && !beginsQuietly(run.piece, lack);
  if (late !== undefined && !isEarly) {
    const samples = [shift, lack].find((count) => count !== 0 && isReason(run, late, count, timeMs));
    if (samples !== undefined) return { samples, explains: true };
  }
  const isShift = shift !== 0 && Math.abs(expected.ms(shift - lack)) <= 1;
  return isShift && lack !== 0 ? { samples: lack, explains: false } : undefined;
}

/** Whether times are right again if so many samples were lost (or inserted, below 0) where a message is late. */
function isReason({ expected, found, piece }: Run, late: Meeting, samples: number, timeMs: number): boolean {
  const at = sliceAt(expected, piece.inExpected.from + late.sample + Math.max(0, samples));
  const there = sliceAt(found, piece.inFound.from + late.sample + Math.max(0, -samples));
  // Behind the end there is nothing that could be late.
  if (at === undefined || there === undefined) return true;
  return Math.abs(at.line.t - there.line.t) <= timeMs;
}

/** The message that holds a sample of the channel. */
function sliceAt(slices: readonly Slice[], sample: number): Slice | undefined {
  return slices.find(({ from, n }) => from + n > sample);
}

/** Silence that was lost at the beginning shows in nothing but that it is short. */
function beginsQuietly({ expected, inExpected }: Piece, samples: number): boolean {
  const pcm = expected.pcm(inExpected.from, inExpected.from + samples);
  return rms(pcm, 0, pcm.length) <= SILENT;
}

function judgeMessages(run: Run, timeMs: number): Pick<RunVerdict, 'late' | 'shells'> {
  const shells: Meeting[] = [];
  let late: Meeting | undefined;
  let last: Meeting | undefined;
  for (const meeting of meetings(run)) {
    const { expected, found, apart } = meeting;
    const slackMs = run.piece.expected.ms(apart) + timeMs;
    if (Math.abs(found.line.t - expected.line.t) > slackMs) late ??= meeting;
    const isKnown = last?.expected.shell === expected.shell && last.found.shell === found.shell;
    if (expected.shell === found.shell || isKnown) continue;
    last = meeting;
    shells.push(meeting);
  }
  return { late, shells };
}
