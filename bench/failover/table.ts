import { quantile, type Report } from './run.ts';

/** What a bridge may add to a gap, at the median, in ms. */
const MOST_ADDED_MS = 50;

const WIDTHS = [50, 8, 16, 16, 16, 9, 7];

function row(cells: readonly string[]): string {
  return `${cells.map((cell, i) => (i === 0 ? cell.padEnd(WIDTHS[i] ?? 0) : cell.padStart(WIDTHS[i] ?? 0))).join('')}\n`;
}

export function header(title: string): string {
  const cells = [title, 'held', 'gap heard', 'ours (by ear)', 'ours (told)', 'skipped/', 'late'];
  return `${row(cells)}${row(['', '', 'median  p95', 'median  p95', 'median  p95', 'again', 'ticks'])}`;
}

function spread(values: readonly number[]): string {
  const [median, p95] = [0.5, 0.95].map((share) => quantile(values, share));
  return median === undefined || p95 === undefined
    ? '–'
    : `${Math.round(median)} ${String(Math.round(p95)).padStart(6)}`;
}

function given(values: readonly (number | undefined)[]): readonly number[] {
  return values.filter((value): value is number => value !== undefined);
}

function sumOf(outcomes: Report['outcomes'], what: 'skipped' | 'seam'): number {
  return outcomes.reduce((sum, outcome) => sum + outcome[what].length, 0);
}

/** One row; below it what does not hold. */
export function reportRow({ name, outcomes }: Report): string {
  const held = outcomes.filter(({ problems }) => problems.length === 0).length;
  const cells = [
    name,
    `${held}/${outcomes.length}`,
    spread(given(outcomes.map(({ gap }) => gap?.silentMs))),
    spread(given(outcomes.map(({ gap }) => gap?.addedMs))),
    spread(given(outcomes.map(({ toldMs }) => toldMs))),
    `${sumOf(outcomes, 'skipped')}/${sumOf(outcomes, 'seam')}`,
    String(outcomes.reduce((sum, { lateTicks }) => sum + lateTicks, 0)),
  ];
  const notes = [...complaints({ name, outcomes }), ...remarks(outcomes)];
  return row(cells) + notes.map((line) => `    ${line}\n`).join('');
}

/**
 * Sentences that do not hold, each with how often. Calls in which the simulated phone itself stood still prove nothing,
 * and are only counted.
 */
export function complaints({ outcomes }: Pick<Report, 'name' | 'outcomes'>): readonly string[] {
  const fair = outcomes.filter(({ disturbed }) => !disturbed);
  const counts = new Map<string, number>();
  for (const { problems } of fair) {
    for (const problem of problems) counts.set(problem, (counts.get(problem) ?? 0) + 1);
  }
  const untried = outcomes.filter(({ tried }) => !tried).length;
  if (untried > 0) counts.set('the provider that is to fail was never tried', untried);
  if (fair.length < outcomes.length / 2) counts.set('this machine was too busy for most of the calls', 1);
  const added = quantile(given(fair.map(({ gap }) => gap?.addedMs)), 0.5);
  if (added !== undefined && added >= MOST_ADDED_MS) counts.set(`ours at the median: ${added} ms`, 1);
  return [...counts].map(([problem, times]) => `✗ ${problem}${times > 1 ? ` (${times} calls)` : ''}`);
}

/** Calls that do not count, in words; none: []. */
function remarks(outcomes: Report['outcomes']): readonly string[] {
  const disturbed = outcomes.filter((outcome) => outcome.disturbed).length;
  return disturbed === 0 ? [] : [`${disturbed} calls do not count: this machine stood still in them`];
}

/** What happened in the calls. */
export function traces({ outcomes }: Report): string {
  return outcomes.map(({ problems, trace }) => `  ${problems.join('; ')}\n${trace()}\n`).join('');
}
