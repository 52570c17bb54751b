import type { Moment } from './moments.ts';
import type { CallFigures, Summary, SummaryRow } from './summary.ts';

/** What stands over the two columns. */
export interface Headings {
  readonly expected: string;
  readonly found: string;
}

const COLUMN = 52;
/** Words and spaces of a line of a table. */
const BETWEEN = ' │ ';
/** What is later or earlier by less is not spoken of. */
const SHIFT_MS = 50;

/** Two calls side by side, for people. What is the same stands on the left only, shortened to one line. */
export function tellSummary(
  { rows, expected, found }: Summary,
  headings: Headings = { expected: 'recorded', found: 'now' },
): string {
  const lines = [
    both(headings.expected, headings.found),
    both('─'.repeat(COLUMN), '─'.repeat(COLUMN)),
    ...rows.flatMap(rowLines),
    '',
    ...figureLines(expected, found),
  ];
  return lines.map((line) => line.trimEnd()).join('\n');
}

function rowLines(row: SummaryRow): readonly string[] {
  const { expected, found, same } = row;
  if (same && expected !== undefined && found !== undefined) {
    return [both(cut(momentText(expected)), `= ${shiftText(found.t - expected.t, found, expected)}`)];
  }
  const left = wrap(expected === undefined ? '' : momentText(expected));
  const right = wrap(found === undefined ? '(nothing)' : momentText(found));
  if (expected === undefined) left[0] = '(nothing)';
  const height = Math.max(left.length, right.length);
  return Array.from({ length: height }, (_, i) => both(left[i] ?? '', right[i] ?? ''));
}

function momentText({ kind, t, text, ms }: Moment): string {
  const time = (t / 1000).toFixed(2).padStart(7);
  const took = ms === undefined ? '' : ` (${Math.round(ms)} ms)`;
  return `${time}  ${kind}: ${text}${took}`;
}

/** What is the same was said or done at another time, or took longer. */
function shiftText(ms: number, found: Moment, expected: Moment): string {
  const parts: string[] = [];
  if (Math.abs(ms) >= SHIFT_MS) parts.push(`${Math.abs(Math.round(ms))} ms ${ms > 0 ? 'later' : 'earlier'}`);
  const longer = (found.ms ?? 0) - (expected.ms ?? 0);
  if (Math.abs(longer) >= SHIFT_MS && found.ms !== undefined) parts.push(`${Math.round(found.ms)} ms`);
  return parts.join(', ');
}

function figureLines(expected: CallFigures, found: CallFigures): readonly string[] {
  const [left, right] = [figures(expected), figures(found)];
  return left.map((line, i) => (line === right[i] ? both(line, '=') : both(line, right[i] ?? '')));
}

function figures(call: CallFigures): readonly string[] {
  const { turns, functions, cutIns, providers, medianWaitMs, longestWaitMs, end, lengthMs } = call;
  return [
    `turns: caller ${turns.caller}, agent ${turns.agent}`,
    `functions: ${functions}; cut off: ${cutIns}`,
    `providers: ${providers.join(', ') || 'none'}`,
    medianWaitMs === undefined
      ? 'no answer was waited for'
      : `waits: ${medianWaitMs} ms (median), ${longestWaitMs} ms (longest)`,
    `end: ${end ?? 'not known'}, after ${(lengthMs / 1000).toFixed(1)} s`,
  ];
}

function both(left: string, right: string): string {
  return `${left.padEnd(COLUMN)}${BETWEEN}${right}`;
}

function cut(text: string): string {
  return text.length <= COLUMN ? text : `${text.slice(0, COLUMN - 1)}…`;
}

/** At words where there are any. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > COLUMN) {
    const space = rest.lastIndexOf(' ', COLUMN);
    const at = space > COLUMN / 2 ? space : COLUMN;
    lines.push(rest.slice(0, at));
    rest = `${' '.repeat(9)}${rest.slice(at).trimStart()}`;
  }
  return [...lines, rest];
}
