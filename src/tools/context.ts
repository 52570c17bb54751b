import type { ControlResult } from '../carrier.ts';
import type { CallHandle, CollectedDigits, DigitWish, ToolContext } from '../tools.ts';

/** What one invocation lets its handler do with the call. */
export interface ContextOptions {
  readonly signal: AbortSignal;
  readonly idempotencyKey: string;
  /** Aborts when the invocation is over in any way, also when it is simply done. */
  readonly over: AbortSignal;
  onHangUp(): void;
  /** The carrier is given an order that cannot be taken back. */
  onOrdered(): void;
}

/**
 * The call as one invocation sees it. Once that is over its handler, which may not have noticed, can still look at the
 * call but do nothing with it any more: the model has been told that it was given up.
 */
export function toolContext(call: CallHandle, options: ContextOptions): ToolContext {
  const { signal, idempotencyKey, over, onHangUp, onOrdered } = options;
  const control = (act: () => Promise<ControlResult>): Promise<ControlResult> =>
    over.aborted ? Promise.resolve({ status: 'already-ended' }) : act();
  return {
    callId: call.callId,
    carrier: call.carrier,
    direction: call.direction,
    from: call.from,
    to: call.to,
    agent: call.agent,
    variables: call.variables,
    signal,
    idempotencyKey,
    roundTripMs: () => call.roundTripMs(),
    epoch: () => call.epoch(),
    heard: () => call.heard(),
    hangUpAfterGoodbye: () => {
      if (over.aborted) return;
      onHangUp();
      call.hangUpAfterGoodbye();
    },
    transfer: (transfer) =>
      control(() => {
        onOrdered();
        return call.transfer(transfer);
      }),
    sendDigits: (digits) => control(() => call.sendDigits(digits)),
    collectDigits: (wish, until) => collect(call, wish, until, over),
    leaveMessage: (text) => {
      if (!over.aborted) call.leaveMessage(text);
    },
    record: (on) => control(() => call.record(on)),
  };
}

/** Keys belong to the model again as soon as nobody waits for them, whichever signal the handler has passed on. */
async function collect(
  call: CallHandle,
  wish: DigitWish,
  until: AbortSignal,
  over: AbortSignal,
): Promise<CollectedDigits> {
  if (over.aborted) return { status: 'gone' };
  const own = new AbortController();
  const stop = (): void => own.abort(until.aborted ? until.reason : over.reason);
  if (until.aborted) stop();
  until.addEventListener('abort', stop, { once: true });
  over.addEventListener('abort', stop, { once: true });
  try {
    return await call.collectDigits(wish, own.signal);
  } finally {
    until.removeEventListener('abort', stop);
    over.removeEventListener('abort', stop);
  }
}
