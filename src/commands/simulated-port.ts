import { BridgeError } from '../errors.ts';

/** What `start` resolves to: a server that listens. Rejects with BAD_CONFIG when it cannot have the port. */
export async function listening<Server>(port: number, start: Promise<Server>): Promise<Server> {
  try {
    return await start;
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause && cause.syscall === 'listen')) throw cause;
    throw new BridgeError('BAD_CONFIG', `cannot listen on 127.0.0.1:${port}: ${cause.message}`, { cause });
  }
}
