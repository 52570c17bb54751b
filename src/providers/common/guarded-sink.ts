import { BridgeError } from '../../errors.ts';
import type { ProviderEvent } from '../../provider.ts';

/**
 * The listener of a session so that nothing it throws comes back to who tells it something: a socket or a timer, in
 * which it would end the process and all other calls. The first thing that it throws is handed to `fail` as INTERNAL, at
 * once, and `fail` is to end the session; what it throws when it is told of the end changes nothing. `closed` is told
 * once, and nothing after it.
 */
export function guardedSink(
  sink: (event: ProviderEvent) => void,
  fail: (error: BridgeError) => void,
): (event: ProviderEvent) => void {
  let failed = false;
  let closed = false;
  return (event) => {
    if (closed) return;
    closed = event.type === 'closed';
    try {
      sink(event);
    } catch (thrown) {
      // The session ends already, for a reason of its own.
      if (closed || failed || (event.type === 'error' && event.fatal)) return;
      failed = true;
      const message = `who listens to the session threw at ${event.type}`;
      fail(new BridgeError('INTERNAL', message, { cause: thrown }));
    }
  };
}
