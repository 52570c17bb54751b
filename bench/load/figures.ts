import type { Result } from '../results.ts';
import type { Capacity } from './capacity.ts';
import type { Spread } from './histogram.ts';
import { median, type Summary } from './report.ts';
import type { Round } from './rounds.ts';
import type { SubjectName } from './subjects.ts';

/** Whom a subject is measured beside. */
export const FLOORS: ReadonlyMap<SubjectName, SubjectName> = new Map<SubjectName, SubjectName>([
  ['bridge', 'floor'],
  ['bridge-24k', 'floor-fir'],
]);

const BENCH = 'calls';

function of(all: readonly Summary[], name: SubjectName): Summary | undefined {
  return all.find(({ subject, talk }) => subject === name && !talk);
}

/** A ratio of what calls cost, if both were measured. */
function ratio(
  all: readonly Summary[],
  [name, subject, against]: readonly [string, SubjectName, SubjectName],
  marks: { readonly limit?: number; readonly aim?: number },
): readonly Result[] {
  const mine = of(all, subject);
  const other = of(all, against);
  if (mine === undefined || other === undefined) return [];
  const detail = { [`${subject} ms`]: mine.cpuMs, [`${against} ms`]: other.cpuMs };
  const noise = Math.max(noiseOf(mine), noiseOf(other));
  const value = mine.cpuMs / other.cpuMs;
  return [{ bench: BENCH, name, value, unit: 'x', ...marks, better: 'lower', noise, detail }];
}

function noiseOf({ rounds, cpuMs }: Summary): number {
  const all = rounds.map((round) => round.cpuMs);
  return (Math.max(...all) - Math.min(...all)) / 2 / cpuMs;
}

function mid(rounds: readonly Round[], spread: (round: Round) => Spread, percentile: 'p50' | 'p99'): number {
  return median(rounds.map((round) => spread(round)[percentile]));
}

/** One latency of a subject, p50 and p99, and what of it is more than that of its floor. */
function latency(
  all: readonly Summary[],
  subject: SubjectName,
  title: string,
  spread: (round: Round) => Spread,
): readonly Result[] {
  const mine = of(all, subject);
  if (mine === undefined) return [];
  const floor = of(all, FLOORS.get(subject) ?? subject);
  return (['p50', 'p99'] as const).map((percentile): Result => {
    const value = mid(mine.rounds, spread, percentile);
    const under = floor === undefined ? value : mid(floor.rounds, spread, percentile);
    const marks = percentile === 'p50' ? { limit: 0.4 } : { limit: 4, aim: 2 };
    const name = `${subject}, ${title}, ${percentile}`;
    const detail = { 'floor ms': under, 'added ms': value - under };
    return { bench: BENCH, name, value, unit: 'ms', ...marks, better: 'lower', detail };
  });
}

function losses(all: readonly Summary[], subject: SubjectName): readonly Result[] {
  const mine = of(all, subject);
  if (mine === undefined) return [];
  const sum = (count: (round: Round) => number): number =>
    mine.rounds.reduce((total, round) => total + count(round), 0);
  const none = (name: string, value: number): Result => ({
    bench: BENCH,
    name: `${subject}, ${name}`,
    value,
    unit: 'frames',
    limit: 0,
    better: 'lower',
  });
  return [
    none(
      'frames lost',
      sum(({ load, end }) => load.lost + load.spoilt + end.lostAtEnd),
    ),
    none(
      'frames more than 20 ms late',
      sum(({ load }) => load.late),
    ),
    {
      ...none(
        'underruns that callers heard',
        sum(({ load }) => load.underruns),
      ),
      unit: 'gaps',
    },
  ];
}

function memory(all: readonly Summary[], subject: SubjectName): readonly Result[] {
  const round = of(all, subject)?.rounds[0];
  if (round?.heapPerCall === undefined) return [];
  const detail = { 'resident kB': (round.rssPerCall ?? 0) / 1000 };
  const value = round.heapPerCall / 1000;
  const name = `${subject}, memory of a call`;
  return [{ bench: BENCH, name, value, unit: 'kB', limit: 200, aim: 100, better: 'lower', detail }];
}

function bargeIn(all: readonly Summary[], subject: SubjectName): readonly Result[] {
  const rounds = all.find((one) => one.subject === subject && one.talk)?.rounds ?? [];
  const heard = rounds.filter(({ load }) => load.bargeIn.count > 0);
  if (heard.length === 0) return [];
  const value = mid(heard, ({ load }) => load.bargeIn, 'p99');
  const count = heard.reduce((total, { load }) => total + load.bargeIn.count, 0);
  const name = `${subject}, speech started to clear, p99`;
  const detail = { p50: mid(heard, ({ load }) => load.bargeIn, 'p50'), 'barge-ins': count };
  return [{ bench: BENCH, name, value, unit: 'ms', limit: 5, aim: 2, better: 'lower', detail }];
}

function carried(all: readonly Capacity[], subject: SubjectName): readonly Result[] {
  const mine = all.find((one) => one.subject === subject);
  const floor = all.find((one) => one.subject === FLOORS.get(subject));
  // Of a floor that may carry more, nothing can be said.
  if (mine === undefined || floor === undefined || floor.calls === 0 || floor.isLeast) return [];
  const value = mine.calls / floor.calls;
  const name = `${subject}, calls per core against ${floor.subject}`;
  const detail = {
    [subject]: mine.calls,
    [floor.subject]: floor.calls,
    'stopped by': mine.stoppedBy,
    'floor stopped by': floor.stoppedBy,
  };
  return [{ bench: BENCH, name, value, unit: 'x', limit: 0.9, aim: 1, better: 'higher', detail }];
}

/** The figures of the bench, as far as their subjects were measured. */
export function figuresOf(all: readonly Summary[], capacity: readonly Capacity[]): readonly Result[] {
  const bridges: readonly SubjectName[] = ['bridge', 'bridge-24k'];
  const up = ({ load }: Round): Spread => load.up;
  const down = ({ load }: Round): Spread => load.down;
  return [
    ...ratio(all, ['passthrough, CPU against floor', 'bridge', 'floor'], { limit: 1.15, aim: 1 }),
    ...ratio(all, ['24 kHz, CPU against floor', 'bridge-24k', 'floor'], { limit: 1.6, aim: 1.3 }),
    ...ratio(all, ['passthrough, CPU against floor in C++', 'bridge', 'floor-c++'], { aim: 1.5 }),
    ...ratio(all, ['recorded, CPU against not recorded', 'bridge-recorded', 'bridge'], { limit: 1.15 }),
    ...bridges.flatMap((subject) => [
      ...latency(all, subject, 'carrier to provider', up),
      ...latency(all, subject, 'provider to carrier', down),
      ...losses(all, subject),
      ...memory(all, subject),
    ]),
    ...bargeIn(all, 'bridge'),
    ...bridges.flatMap((subject) => carried(capacity, subject)),
  ];
}
