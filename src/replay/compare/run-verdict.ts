import type { Tolerance } from '../../recording/format.ts';
import { type AudioVerdict, compareAudio, moveTo } from './audio.ts';
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
  const lost = lostMs(run, audio.audio.cause, late, tolerance.timeMs);
  if (lost !== undefined) {
    const cause = { type: lost > 0 ? 'lost' : 'inserted', ms: Math.round(Math.abs(lost) * 10) / 10 } as const;
    const sample = Math.min(audio.sample, late?.sample ?? audio.sample);
    // What comes after it is late or early for that reason alone.
    const reason = late !== undefined && isNear(latenessOf(late), lost, tolerance.timeMs);
    const place = moveTo(run.piece, audio, sample, cause);
    return { audio: place, late: reason ? undefined : lateIn(late, sample), shells };
  }
  return { audio, late: lateIn(late, audio.sample), shells };
}

/** Behind the place where the audio differs, times are those of other audio and say nothing. */
function lateIn(late: Meeting | undefined, sample: number): Meeting | undefined {
  return late !== undefined && (late.sample === 0 || late.sample <= sample) ? late : undefined;
}

/** How much was lost in the middle (or inserted: below 0), if that is what the difference is. */
function lostMs(run: Run, cause: AudioCause, late: Meeting | undefined, timeMs: number): number | undefined {
  const { expected, inExpected, inFound } = run.piece;
  const lack = expected.ms(lengthOf(inExpected) - lengthOf(inFound));
  const shift = cause.type === 'shifted' ? -cause.ms : undefined;
  const candidates = shift === undefined ? [lack] : [shift, lack];
  const isEarly = late?.sample === 0 && cause.type === 'short' && !beginsQuietly(run.piece, lack);
  if (late !== undefined && !isEarly) {
    const reason = candidates.find((ms) => ms !== 0 && isNear(latenessOf(late), ms, timeMs));
    if (reason !== undefined) return reason;
  }
  return shift !== undefined && lack !== 0 && isNear(shift, lack, 1) ? lack : undefined;
}

/** Silence that was lost at the beginning shows in nothing but that it is short. */
function beginsQuietly({ expected, inExpected }: Piece, ms: number): boolean {
  const pcm = expected.pcm(inExpected.from, inExpected.from + ms / expected.ms(1));
  return rms(pcm, 0, pcm.length) <= SILENT;
}

function latenessOf({ expected, found }: Meeting): number {
  return found.line.t - expected.line.t;
}

function isNear(a: number, b: number, by: number): boolean {
  return Math.abs(a - b) <= by;
}

function judgeMessages(run: Run, timeMs: number): Pick<RunVerdict, 'late' | 'shells'> {
  const shells: Meeting[] = [];
  let late: Meeting | undefined;
  let last: Meeting | undefined;
  for (const meeting of meetings(run)) {
    const { expected, found, apart } = meeting;
    const slackMs = run.piece.expected.ms(apart) + timeMs;
    if (Math.abs(latenessOf(meeting)) > slackMs) late ??= meeting;
    const isKnown = last?.expected.shell === expected.shell && last.found.shell === found.shell;
    if (expected.shell === found.shell || isKnown) continue;
    last = meeting;
    shells.push(meeting);
  }
  return { late, shells };
}
