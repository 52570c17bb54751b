import type { Clock } from '../../clock.ts';
import { type Callee, detection, firstWords, type Rung, ring } from './callee.ts';
import type { Caller } from './caller.ts';
import type { DialOrder } from './carrier-sim.ts';
import type { EventLog, MachineResult } from './events.ts';
import { pause } from './pause.ts';

/** What ringing somebody needs of the call. */
export interface OutboundContext {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly caller: Caller;
  readonly order: DialOrder | undefined;
  /** Resolves when the bridge hears the callee; rejects when it never will. */
  readonly streaming: Promise<void>;
  /** Aborts when the call is over. */
  readonly signal: AbortSignal;
  answer(): void;
  detected(result: MachineResult, afterMs: number): void;
}

/**
 * Rings somebody for the bridge. Resolves when the call may be led: at once when it was taken, or when it is known who
 * took it; or when it was not taken. When the signal aborts the result means nothing.
 */
export async function ringCallee(callee: Callee, context: OutboundContext): Promise<Rung> {
  const { clock, log, order, signal, streaming } = context;
  const words = firstWords(callee);
  let answeredMs = 0;
  // The words are said whether or not the bridge hears them yet.
  const sayRest = (): void => {
    const missed = Math.round(log.now() - answeredMs) * 8;
    context.caller.say(words.subarray(missed)).catch(() => {});
  };
  // Before anybody else can wait for the stream, so that nobody sees it without the words.
  streaming.then(sayRest).catch(() => {});
  const result = await ring(clock, callee, order, signal);
  if (signal.aborted || result !== 'answered') return result;
  log.add({ type: 'picked-up', by: callee.kind === 'machine' ? 'machine' : 'human' });
  context.answer();
  answeredMs = log.now();
  const detecting = detect(callee, words, context);
  if (order?.detection === 'sync') await detecting;
  return 'answered';
}

async function detect(callee: Callee, words: Uint8Array, context: OutboundContext): Promise<void> {
  const { clock, order, signal } = context;
  if (order === undefined || order.detection === 'off') return;
  let atMs = 0;
  for (const { result, afterMs } of detection(callee, words, order.untilGreetingEnds)) {
    await pause(clock, afterMs - atMs, signal);
    if (signal.aborted) return;
    atMs = afterMs;
    context.detected(result, afterMs);
  }
}
