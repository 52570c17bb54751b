import type { Line } from '../format.ts';
import type { Clear, StreamHearing } from './hearing.ts';
import type { Turn } from './turns.ts';
import { type Span, spanAt } from './voice.ts';

/** The agent begins to speak. Times in ms since the call's first webhook. */
export interface Answer {
  /** The last that the caller said before; undefined: the agent spoke unasked. */
  readonly stoppedMs: number | undefined;
  /** The first sound of it was handed to the carrier; undefined where that is not known. */
  readonly sentMs: number | undefined;
  readonly heardMs: number;
  /** The turn, where there are words. */
  readonly itemId: string | undefined;
}

/** The agent was cut off. */
export interface CutIn {
  /** The caller's first sound; undefined: none was heard, as with a key. */
  readonly spokeMs: number | undefined;
  readonly clearMs: number;
  /** Who noticed: `provider`, `local` or `digit`; undefined where nobody said. */
  readonly by: string | undefined;
  /** Speech that the carrier held and dropped. */
  readonly lostMs: number;
}

/** A pause between sentences is shorter. */
const NEW_ANSWER_MS = 700;
/** Of an answer that begins while the caller is still heard: line noise, or a provider that was too eager. */
const OVERLAP_MS = 300;
const CUT_IN_MS = 4000;
const STEP_MS = 20;
/** Whoever keeps a line open sends silence, and loses a frame of it. */
const SPEECH_MS = 60;

/** When the agent began to speak, each with what it answered. */
export function answersOf(
  agentVoice: readonly Span[],
  callerVoice: readonly Span[],
  streams: readonly StreamHearing[],
  turns: readonly Turn[],
): readonly Answer[] {
  const answers: Answer[] = [];
  let before: Span | undefined;
  let answeredMs = Number.NEGATIVE_INFINITY;
  for (const span of agentVoice) {
    const asked = callerVoice.findLast(({ endMs }) => endMs <= span.startMs + OVERLAP_MS);
    const isAsked = asked !== undefined && asked.endMs > answeredMs;
    const isNew = before === undefined || span.startMs - before.endMs > NEW_ANSWER_MS || isAsked;
    before = span;
    if (!isNew) continue;
    answeredMs = span.startMs;
    answers.push({
      stoppedMs: isAsked ? Math.min(asked.endMs, span.startMs) : undefined,
      // Voice is looked for in steps: it begins somewhere in the first one.
      sentMs: sentAt(streams, span.startMs + STEP_MS - 1),
      heardMs: span.startMs,
      itemId: turnAt(turns, span.startMs)?.itemId,
    });
  }
  return answers;
}

function turnAt(turns: readonly Turn[], ms: number): Turn | undefined {
  return turns.findLast(
    ({ role, startMs, endMs }) => role === 'assistant' && startMs <= ms + 200 && endMs > ms,
  );
}

/** When what was heard at `ms` was handed to the carrier. */
function sentAt(streams: readonly StreamHearing[], ms: number): number | undefined {
  for (const { stretches, sent } of streams) {
    const stretch = stretches.find(
      ({ atMs, from, to, dropped }) => !dropped && ms >= atMs - 1 && ms < atMs + to - from,
    );
    if (stretch === undefined) continue;
    const position = stretch.from + Math.max(0, ms - stretch.atMs);
    return sent.find((piece) => position < piece.position + piece.ms)?.atMs;
  }
  return undefined;
}

/** Every clear that cut the agent off, with the caller's first sound before it: many clear nothing, to be sure. */
export function cutInsOf(
  clears: readonly Clear[],
  callerVoice: readonly Span[],
  lines: readonly Line[],
): readonly CutIn[] {
  const told = lines.flatMap((line) => (line.on === 'call' && line.msg.type === 'bargeIn' ? [line] : []));
  return clears.flatMap(({ atMs, lostMs }) => {
    const by = told.find(({ t }) => Math.abs(t - atMs) < 50)?.msg;
    if (by === undefined && lostMs < SPEECH_MS) return [];
    const isKey = by?.type === 'bargeIn' && by.by === 'digit';
    const span = isKey ? undefined : spanAt(callerVoice, atMs - 500);
    const spokeMs = span !== undefined && span.startMs <= atMs ? span.startMs : undefined;
    const isNear = spokeMs !== undefined && atMs - spokeMs < CUT_IN_MS;
    const who = by?.type === 'bargeIn' ? by.by : undefined;
    return [{ spokeMs: isNear ? spokeMs : undefined, clearMs: atMs, by: who, lostMs }];
  });
}

/** Half of the values are at most so, and none is more; undefined of none. */
export interface Spread {
  readonly p50: number;
  readonly max: number;
  readonly count: number;
}

/** How values are spread, in their own unit. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const p50 = sorted[Math.ceil(sorted.length / 2) - 1];
  const max = sorted.at(-1);
  return p50 === undefined || max === undefined ? undefined : { p50, max, count: sorted.length };
}
