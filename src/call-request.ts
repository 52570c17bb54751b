import type { ControlResult } from './carrier.ts';
import { type Clock, deadline } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';

const REST_MS = 5000;

export interface CallRequestContext {
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the call is over. */
  readonly signal: AbortSignal;
}

/** Asks the carrier for something about a call, for at most 5 s; a failure is logged. Never rejects. */
export async function askInTime(
  { clock, log, signal }: CallRequestContext,
  request: (signal: AbortSignal) => Promise<ControlResult>,
): Promise<ControlResult> {
  using limit = deadline(clock, REST_MS, 'the request to the carrier', signal);
  const result = await request(limit.signal).catch(
    (thrown: unknown): ControlResult => ({ status: 'error', error: BridgeError.from(thrown) }),
  );
  if (result.status === 'error') log.warn({ err: result.error }, 'the carrier did not do what was asked');
  return result;
}

/** The outcome of a request that need not even be made. */
export function failure(code: 'BAD_INPUT' | 'CONFLICT', message: string): ControlResult {
  return { status: 'error', error: new BridgeError(code, message) };
}
