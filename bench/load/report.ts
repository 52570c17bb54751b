import { columns } from '../results.ts';
import type { Spread } from './histogram.ts';
import type { Round } from './rounds.ts';
import type { SubjectName } from './subjects.ts';

/** The value in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The figures of one subject: of all its rounds the median, of losses the sum. */
export interface Summary {
  readonly subject: SubjectName;
  /** Rounds in which callers cut in. */
  readonly talk: boolean;
  readonly rounds: readonly Round[];
  readonly cpuMs: number;
}

/** Puts the rounds of each subject together. */
export function summaries(rounds: readonly Round[]): readonly Summary[] {
  return [false, true].flatMap((talk) => {
    const kind = rounds.filter((round) => round.talk === talk);
    return [...new Set(kind.map(({ subject }) => subject))].map((subject) => {
      const own = kind.filter((round) => round.subject === subject);
      return { subject, talk, rounds: own, cpuMs: median(own.map(({ cpuMs }) => cpuMs)) };
    });
  });
}

/** More than the process's own threads take from each other. */
const MOST_WAIT_SHARE = 0.2;

/** What is wrong with a run, in words; nothing if its figures can be believed. */
export function complaints(rounds: readonly Round[]): readonly string[] {
  return rounds.flatMap(({ subject, calls, ramp, load, end, waitShare }) => {
    const found: string[] = [];
    if (load.saturated !== '') found.push(`generator SATURATED: ${load.saturated}`);
    if (waitShare > MOST_WAIT_SHARE) found.push(`others had its core for ${percent(waitShare)} of the time`);
    if (ramp.up < calls) found.push(`only ${ramp.up} of ${calls} calls came up (${ramp.failures[0] ?? ''})`);
    if (load.nonsense > 0) found.push(`${load.nonsense} things that a carrier or a provider does not expect`);
    if (end.lostAtEnd > 0) found.push(`${end.lostAtEnd} frames lost at the end`);
    return found.map((text) => `${subject}: ${text}`);
  });
}

function percent(share: number): string {
  return Number.isNaN(share) ? '' : `${(100 * share).toFixed(1)} %`;
}

function ms(value: number): string {
  if (Number.isNaN(value)) return '';
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}

function spread({ p50, p99, p999, max }: Spread): string {
  return [p50, p99, p999, max].map(ms).join(' / ');
}

/** Everything that was found, one column for each subject. */
export function describe(all: readonly Summary[], floors: ReadonlyMap<SubjectName, SubjectName>): string {
  const mid = (summary: Summary, of: (round: Round) => number): number => median(summary.rounds.map(of));
  const total = (summary: Summary, of: (round: Round) => number): string =>
    String(summary.rounds.reduce((sum, round) => sum + of(round), 0));
  const spreadOf = (summary: Summary, of: (round: Round) => Spread): string =>
    spread({
      count: 0,
      p50: mid(summary, (round) => of(round).p50),
      p99: mid(summary, (round) => of(round).p99),
      p999: mid(summary, (round) => of(round).p999),
      max: mid(summary, (round) => of(round).max),
    });
  const ratio = (summary: Summary, against: SubjectName | undefined): string => {
    const floor = all.find(({ subject, talk }) => subject === against && !talk);
    return floor === undefined ? '' : `${(summary.cpuMs / floor.cpuMs).toFixed(2)} x`;
  };
  const kib = (bytes: number | undefined): string =>
    bytes === undefined || Number.isNaN(bytes) ? '' : `${(bytes / 1000).toFixed(0)} kB`;
  const row = (title: string, of: (summary: Summary) => string): readonly string[] => [
    title,
    ...all.map(of),
    '',
  ];
  return columns([
    row('', ({ subject, talk }) => (talk ? `${subject} (turns)` : subject)),
    row('CPU, ms per call-second', ({ cpuMs }) => ms(cpuMs)),
    row('  of rounds', ({ rounds }) => rounds.map(({ cpuMs }) => cpuMs.toFixed(2)).join(' ')),
    row('  against its floor', (summary) => ratio(summary, floors.get(summary.subject))),
    row('  against floor', (summary) => ratio(summary, 'floor')),
    row('share of the core', (summary) => `${(100 * mid(summary, (round) => round.coreShare)).toFixed(0)} %`),
    row('  others had it', (summary) => percent(mid(summary, (round) => round.waitShare))),
    row('carrier to provider, p50 / p99 / p99.9 / max ms', (summary) =>
      spreadOf(summary, ({ load }) => load.up),
    ),
    row('provider to carrier', (summary) => spreadOf(summary, ({ load }) => load.down)),
    row('  at the start of a response', (summary) => spreadOf(summary, ({ load }) => load.downStart)),
    row('frames lost', (summary) => total(summary, ({ load }) => load.lost)),
    row('frames spoilt', (summary) => total(summary, ({ load }) => load.spoilt)),
    row('frames more than 20 ms late', (summary) => total(summary, ({ load }) => load.late)),
    row('frames measured', (summary) => total(summary, ({ load }) => load.up.count + load.down.count)),
    row('underruns that callers heard', (summary) => total(summary, ({ load }) => load.underruns)),
    row('barge-in to clear', (summary) => spreadOf(summary, ({ load }) => load.bargeIn)),
    row('webhook to document', (summary) => spreadOf(summary, ({ ramp }) => ramp.document)),
    row('webhook to first audio', (summary) => spreadOf(summary, ({ ramp }) => ramp.firstAudio)),
    row('heap per call', (summary) => kib(summary.rounds[0]?.heapPerCall)),
    row('resident per call', (summary) => kib(summary.rounds[0]?.rssPerCall)),
    row(
      'event loop delay p99 / max ms',
      (summary) =>
        `${ms(mid(summary, (r) => r.loopDelayP99Ms))} / ${ms(mid(summary, (r) => r.loopDelayMaxMs))}`,
    ),
    row('generator: lateness p50 / p99 / p99.9 / max ms', (summary) =>
      spreadOf(summary, ({ load }) => load.lateness),
    ),
    row(
      'generator: share of its core',
      (summary) => `${(100 * mid(summary, ({ load }) => load.cpuShare)).toFixed(0)} %`,
    ),
    row('generator', (summary) =>
      summary.rounds.some(({ load }) => load.saturated !== '') ? 'SATURATED' : 'ok',
    ),
  ]);
}
