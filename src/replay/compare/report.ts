import type { BridgeError, ErrorCode } from '../../errors.ts';
import { EDGES, type Edge } from '../../recording/format.ts';
import { DIFFERENCE_KINDS, type Difference, type DifferenceKind } from './difference.ts';
import { headline } from './tell.ts';

/** Exit codes of `patchcord replay`; the worst of all folders counts. `broken` is also wrong use of the command. */
export const EXIT_CODES = { same: 0, different: 1, broken: 2 } as const;
export type ReplayStatus = keyof typeof EXIT_CODES;

/** What came of the replay of one folder. */
export interface ReplayOutcome {
  readonly folder: string;
  /** `broken`: it cannot be replayed, and `error` says why. */
  readonly status: ReplayStatus;
  /** What was found was written into the folder. */
  readonly accepted: boolean;
  /** One sentence of what the call proves; empty in a recording. */
  readonly proves: string;
  /** By time. */
  readonly differences: readonly Difference[];
  readonly error: BridgeError | undefined;
  /** How long the call lasted, and its replay. */
  readonly callMs: number;
  readonly realMs: number;
}

/** A difference with a sentence for people. */
export interface ReportedDifference extends Difference {
  readonly text: string;
}

/** How many differences there are, by what they are and by where. */
export interface DifferenceCounts {
  readonly all: number;
  readonly byKind: Readonly<Partial<Record<DifferenceKind, number>>>;
  readonly byEdge: Readonly<Partial<Record<Edge, number>>>;
}

/** One folder in the report. */
export interface FolderReport {
  readonly folder: string;
  readonly status: ReplayStatus;
  readonly accepted: boolean;
  readonly proves: string;
  /** Why it is broken. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
  readonly counts: DifferenceCounts;
  /** The first ones. */
  readonly differences: readonly ReportedDifference[];
  readonly callMs: number;
  readonly realMs: number;
  /** How many times as fast as the call the replay was. */
  readonly speed: number;
}

/** What machines are told of a run of `patchcord replay`. */
export interface ReplayReport {
  readonly format: 1;
  readonly same: number;
  readonly different: number;
  readonly broken: number;
  readonly callMs: number;
  readonly realMs: number;
  readonly folders: readonly FolderReport[];
}

/** One difference mostly causes many; the rest is counted. */
const MOST_REPORTED = 50;

/** The report on some folders, in their order. JSON as it is. */
export function reportOf(outcomes: readonly ReplayOutcome[]): ReplayReport {
  const count = (status: ReplayStatus): number => outcomes.filter((one) => one.status === status).length;
  const sum = (ms: (one: ReplayOutcome) => number): number => outcomes.reduce((all, one) => all + ms(one), 0);
  return {
    format: 1,
    same: count('same'),
    different: count('different'),
    broken: count('broken'),
    callMs: sum(({ callMs }) => callMs),
    realMs: sum(({ realMs }) => realMs),
    folders: outcomes.map(folderReport),
  };
}

/** What `patchcord replay` ends with: 2 when a folder is broken, or there is none; 1 when one differs that is not accepted. */
export function exitCodeOf({ folders }: ReplayReport): 0 | 1 | 2 {
  if (folders.length === 0 || folders.some(({ status }) => status === 'broken')) return EXIT_CODES.broken;
  const isDifferent = folders.some(({ status, accepted }) => status === 'different' && !accepted);
  return isDifferent ? EXIT_CODES.different : EXIT_CODES.same;
}

function folderReport(outcome: ReplayOutcome): FolderReport {
  const { folder, status, accepted, proves, differences, error, callMs, realMs } = outcome;
  return {
    folder,
    status,
    accepted,
    proves,
    error: error && { code: error.code, message: error.message },
    counts: countDifferences(differences),
    differences: differences.slice(0, MOST_REPORTED).map((one) => ({ text: textOf(one), ...one })),
    callMs,
    realMs,
    speed: realMs > 0 ? Math.round(callMs / realMs) : 0,
  };
}

function textOf(difference: Difference): string {
  const { audio } = difference;
  const place = audio === undefined ? '' : ` (${audio.wav}.wav, sample ${audio.sample})`;
  return `${headline(difference)}${place}`;
}

/** Counts differences; kinds and edges without any are left out. */
export function countDifferences(differences: readonly Difference[]): DifferenceCounts {
  return {
    all: differences.length,
    byKind: tally(DIFFERENCE_KINDS, differences, ({ kind }) => kind),
    byEdge: tally(EDGES, differences, ({ edge }) => edge),
  };
}

function tally<Name extends string>(
  names: readonly Name[],
  differences: readonly Difference[],
  nameOf: (difference: Difference) => Name,
): Partial<Record<Name, number>> {
  const counts: Partial<Record<Name, number>> = {};
  for (const name of names) {
    const count = differences.filter((one) => nameOf(one) === name).length;
    if (count > 0) counts[name] = count;
  }
  return counts;
}
