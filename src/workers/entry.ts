import { Socket } from 'node:net';
import { BridgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Order, Word } from './messages.ts';
import { failureOf, Worker } from './worker.ts';

// What a worker process runs. It is started by `serve --workers`, and by nobody else.

function send(word: Word): void {
  // The other side may be gone; then this process is about to end.
  process.send?.(word, undefined, {}, () => undefined);
}

const worker = new Worker({ send });
let log: Log | undefined;

async function start(order: Extract<Order, { type: 'start' }>): Promise<void> {
  try {
    await worker.start(order, (made) => {
      log = made;
    });
  } catch (thrown) {
    process.send?.(failureOf(thrown), undefined, {}, () => process.exit(1));
  }
}

function end(): void {
  void worker.close().then(() => process.exit(0));
}

process.on('message', (order: Order, handle: unknown) => {
  if (order.type === 'start') void start(order);
  else worker.obey(order, handle instanceof Socket ? handle : undefined);
  if (order.type === 'close') end();
});
// Whoever has the port is gone, so nobody can reach these calls any more: their carriers go on with the last resort.
process.on('disconnect', () => process.exit(1));
// A terminal tells all of its processes: the one that has the port says what is to be done.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
// A mistake in one function handler must not end everybody's call.
process.on('uncaughtException', (error) => {
  if (log === undefined) process.exit(1);
  log.fatal({ err: BridgeError.from(error) }, 'an exception that nobody caught; live calls go on');
});
