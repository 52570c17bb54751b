import type { Clock } from '../../clock.ts';
import type { DialOrder } from './carrier-sim.ts';
import type { MachineResult } from './events.ts';
import { pause } from './pause.ts';
import { type Speech, speechToMulaw } from './voice.ts';

/** Whoever is rung when the bridge places a call; all of them ring for `ringMs` (default 1000) first. */
export type Callee =
  | { readonly kind: 'human'; readonly ringMs?: number; readonly says?: Speech }
  /** Plays its greeting from the moment it picks up, then a beep unless `beeps` is false, and records. */
  | {
      readonly kind: 'machine';
      readonly ringMs?: number;
      readonly greeting: Speech;
      readonly beeps?: boolean;
    }
  | { readonly kind: 'busy'; readonly ringMs?: number }
  /** Declines the call. */
  | { readonly kind: 'rejects'; readonly ringMs?: number }
  /** There is no such number. */
  | { readonly kind: 'unreachable'; readonly ringMs?: number }
  /** Rings until the order's timeout. */
  | { readonly kind: 'no-answer' };

/** What ringing a callee comes to. */
export type Rung = 'answered' | 'busy' | 'rejected' | 'no-answer' | 'failed';

const RUNG: Readonly<Record<Callee['kind'], Rung>> = {
  human: 'answered',
  machine: 'answered',
  busy: 'busy',
  rejects: 'rejected',
  unreachable: 'failed',
  'no-answer': 'no-answer',
};

/** Somebody who answers after a second and waits. */
export const A_HUMAN: Callee = Object.freeze({ kind: 'human' });

const RING_MS = 1000;
const DEFAULT_TIMEOUT_MS = 60_000;
/** How long the detection listens. */
const DETECTION_MS = 2000;
const BEEP_MS = 500;
const LINE_RATE = 8000;

/** Resolves when the ringing came to its end; at once when the signal aborts. */
export async function ring(
  clock: Clock,
  callee: Callee,
  order: DialOrder | undefined,
  signal: AbortSignal,
): Promise<Rung> {
  const timeoutMs = order?.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const ringMs = callee.kind === 'no-answer' ? timeoutMs : (callee.ringMs ?? RING_MS);
  await pause(clock, Math.min(ringMs, timeoutMs), signal);
  return ringMs > timeoutMs ? 'no-answer' : RUNG[callee.kind];
}

/** What a callee says by itself, in mu-law from the moment the call was taken. */
export function firstWords(callee: Callee): Uint8Array {
  if (callee.kind === 'human' && callee.says !== undefined) return speechToMulaw(callee.says);
  if (callee.kind !== 'machine') return new Uint8Array(0);
  const greeting = speechToMulaw(callee.greeting);
  if (callee.beeps === false) return greeting;
  const both = new Uint8Array(greeting.length + (BEEP_MS * LINE_RATE) / 1000);
  both.set(greeting);
  both.set(speechToMulaw(beep()), greeting.length);
  return both;
}

/** What a detection finds out, in order; times are ms since the call was taken. */
export function detection(
  callee: Callee,
  words: Uint8Array,
  untilGreetingEnds: boolean,
): readonly { readonly result: MachineResult; readonly afterMs: number }[] {
  if (callee.kind !== 'machine') return [{ result: 'human', afterMs: DETECTION_MS }];
  const found = { result: 'machine', afterMs: DETECTION_MS } as const;
  if (!untilGreetingEnds) return [found];
  const afterMs = Math.max(DETECTION_MS, (words.length * 1000) / LINE_RATE);
  const result = callee.beeps === false ? 'greeting-ended-silence' : 'greeting-ended-beep';
  return [found, { result, afterMs }];
}

function beep(): Int16Array {
  return Int16Array.from(
    { length: (BEEP_MS * LINE_RATE) / 1000 },
    (_, i) => 8000 * Math.sin((2 * Math.PI * 1000 * i) / LINE_RATE),
  );
}
