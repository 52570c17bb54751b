import type { Bridge } from '../../src/server.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** Closes a bridge whose time stands still: it waits a moment for carriers, by its own clock. */
export function closeInTime(bridge: Bridge, clock: VirtualClock): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      let closed = false;
      const closing = bridge.close().then(() => {
        closed = true;
      });
      while (!closed) {
        // The event loop has to turn between the steps: sockets are closing meanwhile.
        await new Promise((resolve) => setImmediate(resolve));
        clock.advance(100);
      }
      await closing;
    },
  };
}
