import type { EndReason } from '../../call-events.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import { spreadOf } from '../../recording/story/answers.ts';
import { type Story, storyOf } from '../../recording/story.ts';
import { type Moment, momentsOf } from './moments.ts';
import { pairUp } from './way.ts';

/** Figures of one call. Times in ms. */
export interface CallFigures {
  readonly turns: { readonly caller: number; readonly agent: number };
  readonly functions: number;
  readonly cutIns: number;
  /** In the order in which they had the call. */
  readonly providers: readonly string[];
  /** Of the answers to the caller: from the end of their words to the first sound that they heard. */
  readonly waitsMs: readonly number[];
  readonly medianWaitMs: number | undefined;
  readonly longestWaitMs: number | undefined;
  readonly end: EndReason | undefined;
  readonly lengthMs: number;
}

/** One thing that happened in one of two calls, or in both. */
export interface SummaryRow {
  readonly expected: Moment | undefined;
  readonly found: Moment | undefined;
  /** The same thing was said or done, at whatever time. */
  readonly same: boolean;
}

/** What has gone differently in a call that need not be the same: another provider, another agent. JSON as it is. */
export interface Summary {
  readonly expected: CallFigures;
  readonly found: CallFigures;
  readonly rows: readonly SummaryRow[];
}

/** Leaving two moments alone costs more than pairing them, if they are of one kind. */
const GAP = 0.55;
const OTHER_KIND = 3;
const SAME = 0.01;
const WINDOW = 200;
const NEAR_MS = 1000;

/** Puts two calls side by side: who said what, which functions were called, who was cut off, how it ended. Never throws. */
export function summarise(expected: StoredCall, found: StoredCall): Summary {
  const [a, b] = [storyOf(expected), storyOf(found)];
  const [these, those] = [momentsOf(a), momentsOf(b)];
  const way = pairUp({
    expected: these.length,
    found: those.length,
    window: WINDOW,
    gap: GAP,
    fits: (i, j) => isNear(these[i], those[j]) && cost(these[i], those[j]) === 0,
    costFrom: () => (i, j) => cost(these[i], those[j]),
    right: SAME,
  });
  const rows = way.map((pair) => {
    const one = pair.expected === undefined ? undefined : these[pair.expected];
    const other = pair.found === undefined ? undefined : those[pair.found];
    return { expected: one, found: other, same: one?.text === other?.text };
  });
  return { expected: figuresOf(a), found: figuresOf(b), rows };
}

function cost(a: Moment | undefined, b: Moment | undefined): number {
  if (a === undefined || b === undefined || a.kind !== b.kind) return OTHER_KIND;
  return a.text === b.text ? 0 : 1 - 0.9 * likeness(a.text, b.text);
}

/** The same short answer may be given twice. */
function isNear(a: Moment | undefined, b: Moment | undefined): boolean {
  return a !== undefined && b !== undefined && Math.abs(a.t - b.t) <= NEAR_MS;
}

/** The share of words that two texts have in common. */
function likeness(a: string, b: string): number {
  const [these, those] = [wordsIn(a), wordsIn(b)];
  const common = [...these].filter((word) => those.has(word)).length;
  return common / Math.max(1, these.size + those.size - common);
}

function wordsIn(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}

function figuresOf(story: Story): CallFigures {
  const waitsMs = story.answers.flatMap(({ stoppedMs, heardMs }) =>
    stoppedMs === undefined ? [] : [Math.round(heardMs - stoppedMs)],
  );
  const waits = spreadOf(waitsMs);
  return {
    turns: {
      caller: story.turns.filter(({ role }) => role === 'user').length,
      agent: story.turns.filter(({ role }) => role === 'assistant').length,
    },
    functions: story.functions.length,
    cutIns: story.cutIns.length,
    providers: story.spans.map(({ provider }) => provider),
    waitsMs,
    medianWaitMs: waits?.p50,
    longestWaitMs: waits?.max,
    end: story.end?.reason,
    lengthMs: story.lengthMs,
  };
}
