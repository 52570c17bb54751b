import { assertNever } from '../../errors.ts';
import { audioRefsOf } from '../../recording/audio-refs.ts';
import type { Line } from '../../recording/format.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import type { AudioCause, AudioDifference, Difference } from './difference.ts';
import { type Names, namesOf, wordsOf } from './words.ts';

/** Lines shown on either side of the one that differs. */
const AROUND = 2;
const MOST_JSON = 160;
const MOST_IN_LIST = 56;
/** Of two long texts, so much in front of the place where they part. */
const EXCERPT = 40;

/** A difference with both sides and what happened around it. */
export function tell(difference: Difference, expected: StoredCall, found: StoredCall): string {
  const lines = [
    headline(difference),
    ...sides(difference),
    ...around('expected', difference.expectedLine, difference.t, expected.lines),
    ...around('found', difference.foundLine, difference.t, found.lines),
  ];
  return lines.join('\n');
}

/** One line: time, what it is, what is wrong with it. */
export function headline(difference: Difference): string {
  return `${seconds(difference.t)}  ${difference.what}: ${troubleOf(difference)}`;
}

function troubleOf(difference: Difference): string {
  const { kind, path, expected, found, audio } = difference;
  switch (kind) {
    case 'missing':
      return audio === undefined ? 'is missing' : `${milliseconds(audio.expectedMs)} of it are missing`;
    case 'additional':
      return audio === undefined
        ? 'was not expected'
        : `${milliseconds(audio.foundMs)} of it were not expected`;
    case 'value':
      return `${path} differs`;
    case 'id':
      return `the id in ${path} is not the one that stands for the expected one`;
    case 'time':
      return lateness(Number(found) - Number(expected));
    case 'order':
      return `comes ${String(found)}, wanted ${String(expected)}`;
    case 'audio':
      return audio === undefined ? 'differs' : causeText(audio.cause);
    default:
      return assertNever(kind);
  }
}

function lateness(ms: number): string {
  return `${milliseconds(Math.abs(ms))} too ${ms > 0 ? 'late' : 'early'}`;
}

/** What is wrong with audio, in words. */
function causeText(cause: AudioCause): string {
  switch (cause.type) {
    case 'shifted':
      return `shifted, ${milliseconds(Math.abs(cause.ms))} ${cause.ms > 0 ? 'later' : 'earlier'} in the sound`;
    case 'gain':
      return `${Math.abs(cause.db)} dB too ${cause.db > 0 ? 'loud' : 'quiet'}`;
    case 'inverted':
      return 'the same sound with its sign inverted';
    case 'silent':
      return 'silent where there should be sound';
    case 'not-silent':
      return 'sound where there should be silence';
    case 'lost':
      return `${milliseconds(cause.ms)} of it are lost here`;
    case 'inserted':
      return `${milliseconds(cause.ms)} are inserted here`;
    case 'short':
      return `cut short by ${milliseconds(cause.ms)}`;
    case 'long':
      return `${milliseconds(cause.ms)} too long`;
    case 'noise':
      return `the same sound with noise or distortion ${cause.snrDb} dB below it`;
    case 'format':
      return `${cause.found} instead of ${cause.expected}`;
    case 'other':
      return 'other sound';
    default:
      return assertNever(cause);
  }
}

function sides({ kind, path, also, expected, found, audio }: Difference): readonly string[] {
  if (audio !== undefined) return audioSides(audio);
  const [a, b] = kind === 'time' ? [expected, found].map((t) => seconds(Number(t))) : shown(expected, found);
  const lines = [`  expected  ${a}`, `  found     ${b}`];
  if (path !== undefined && kind !== 'time') lines.unshift(`  field     ${path}`);
  if (also.length > 0) lines.push(`  also      ${also.join(', ')}`);
  return lines;
}

function audioSides(audio: AudioDifference): readonly string[] {
  const { wav, sample, ms, foundWav, foundSample } = audio;
  const lines = [
    `  place     ${wav}.wav at ${seconds(ms)} (sample ${sample})`,
    `  expected  ${levelText(audio.expectedValue, audio.expectedDbm0)}; ${milliseconds(audio.expectedMs)} in all`,
    `  found     ${levelText(audio.foundValue, audio.foundDbm0)}; ${milliseconds(audio.foundMs)} in all`,
  ];
  if (foundWav !== undefined) lines.splice(1, 0, `  in found  ${foundWav}.wav, sample ${foundSample}`);
  if (audio.differing > 0) lines.push(`  affected  ${audio.differing} of ${audio.compared} samples`);
  return lines;
}

function levelText(value: number | undefined, dbm0: number | undefined): string {
  if (value === undefined) return 'nothing';
  return dbm0 === undefined ? 'silence' : `${value} here, ${dbm0} dBm0 from here on`;
}

function shown(expected: unknown, found: unknown): readonly [string, string] {
  if (typeof expected === 'string' && typeof found === 'string') {
    let at = 0;
    while (at < expected.length && expected[at] === found[at]) at += 1;
    return [excerpt(expected, at), excerpt(found, at)];
  }
  return [json(expected, MOST_JSON), json(found, MOST_JSON)];
}

function excerpt(text: string, at: number): string {
  const from = text.length <= MOST_JSON ? 0 : Math.max(0, at - EXCERPT);
  const cut = text.slice(from, from + MOST_JSON);
  const end = from + cut.length < text.length ? '…' : '';
  return `${from > 0 ? '…' : ''}${JSON.stringify(cut)}${end}`;
}

function json(value: unknown, most: number): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

/** Two lines before, itself and two after; audio and timers are left out, since they would be all that is shown. */
function around(
  side: 'expected' | 'found',
  at: number | undefined,
  t: number,
  lines: readonly Line[],
): readonly string[] {
  const names = namesOf(lines);
  const here = at ?? firstAfter(lines, t);
  const before = gather(lines, here - 1, -1).toReversed();
  const after = gather(lines, at === undefined ? here : here + 1, 1);
  const itself = at === undefined ? undefined : lines[at];
  const middle = itself === undefined ? `    > ${seconds(t)}  nothing` : `    > ${lineText(itself, names)}`;
  return [
    `  around it, ${side}${at === undefined ? '' : ` (line ${at + 1} of events.jsonl)`}`,
    ...before.map((line) => `      ${lineText(line, names)}`),
    middle,
    ...after.map((line) => `      ${lineText(line, names)}`),
  ];
}

function firstAfter(lines: readonly Line[], t: number): number {
  let [low, high] = [0, lines.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lines[middle]?.t ?? 0) <= t) low = middle + 1;
    else high = middle;
  }
  return low;
}

function gather(lines: readonly Line[], from: number, step: 1 | -1): readonly Line[] {
  const found: Line[] = [];
  for (let i = from; found.length < AROUND && i >= 0 && i < lines.length; i += step) {
    const line = lines[i];
    if (line !== undefined && line.on !== 'clock' && audioRefsOf(line).length === 0) found.push(line);
  }
  return found;
}

function lineText(line: Line, names: Names): string {
  const body = json('msg' in line ? line.msg : line.ctl, MOST_IN_LIST);
  return `${seconds(line.t)}  ${wordsOf(line, names)}  ${body}`;
}

/** `12.345 s` */
function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`;
}

function milliseconds(ms: number): string {
  return `${Math.round(ms * 10) / 10} ms`;
}
