import type { ControlResult } from './carrier.ts';
import { type Clock, deadline } from './clock.ts';
import { BridgeError } from './errors.ts';

/** What is asked of a carrier. It may be asked for more than once, so it has to be harmless the second time. */
export type Act = (signal: AbortSignal) => Promise<ControlResult>;

/** Before each further try: a carrier that limits the rate, or is away, is often back in a moment. */
const PAUSES_MS = [1000, 2000, 4000] as const;

/**
 * Asks a carrier, and again, at most three times, as long as the error says that this may help. Never rejects.
 * @param limitMs of each try
 * @param pause waits that long; gives false when nobody wants to wait any more, and then there is one last try
 */
export async function insist(
  clock: Clock,
  what: string,
  limitMs: number,
  act: Act,
  pause: (ms: number) => Promise<boolean>,
): Promise<ControlResult> {
  let result = await once(clock, what, limitMs, act);
  let patient = true;
  for (const pauseMs of PAUSES_MS) {
    if (result.status !== 'error' || !result.error.verdict.retry || !patient) break;
    patient = await pause(pauseMs);
    result = await once(clock, what, limitMs, act);
  }
  return result;
}

async function once(clock: Clock, what: string, limitMs: number, act: Act): Promise<ControlResult> {
  using limit = deadline(clock, limitMs, what);
  try {
    return await act(limit.signal);
  } catch (thrown) {
    return { status: 'error', error: BridgeError.from(thrown) };
  }
}
