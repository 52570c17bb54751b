import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { BridgeError } from '../../src/errors.ts';
import type { ProviderSession } from '../../src/provider.ts';

/** What the servers of which a test writes every message have in common. */

type CleanUp = () => Promise<unknown> | unknown;

// What one test opened. It belongs to the test that runs, and is empty between tests.
const cleanups: CleanUp[] = [];

/** For `afterEach`: nothing that a test opened survives it. */
export async function cleanUp(): Promise<void> {
  for (const clean of cleanups.splice(0).reverse()) await clean();
}

/** Runs `clean` when the test is over; what was opened last goes first. */
export function whenOver(clean: CleanUp): void {
  cleanups.push(clean);
}

/** Hands each thing out once, in the order in which they came, to those who wait for one or will. */
export class Handout<T> {
  readonly #ready: T[] = [];
  readonly #waiting: ((thing: T) => void)[] = [];

  add(thing: T): void {
    const taker = this.#waiting.shift();
    if (taker === undefined) this.#ready.push(thing);
    else taker(thing);
  }

  next(): Promise<T> {
    const thing = this.#ready.shift();
    return thing === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(thing);
  }
}

export interface Server<P> {
  /** Without a path. */
  readonly url: string;
  /** Peers that nobody has taken with `peer`. */
  peer(): Promise<P>;
  readonly upgrades: number;
}

export interface ServerOptions {
  /** Answer the upgrade with this instead. */
  readonly refuse?: { status: number; body: string };
  /** Accept the connection and say nothing, not even HTTP. */
  readonly mute?: boolean;
}

/** A server of WebSockets that is gone when the test is over. */
export async function serveSockets<P>(
  peerOf: (socket: WebSocket, url: string, headers: IncomingHttpHeaders) => P,
  options: ServerOptions,
): Promise<Server<P>> {
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  const peers = new Handout<P>();
  const state = { upgrades: 0 };
  const raw = new Set<{ destroy(): void }>();
  http.on('upgrade', (request, socket, head) => {
    state.upgrades += 1;
    raw.add(socket);
    socket.on('error', () => undefined);
    if (options.mute) return;
    if (options.refuse) {
      const { status, body } = options.refuse;
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      peers.add(peerOf(ws, request.url ?? '', request.headers));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  whenOver(async () => {
    for (const socket of raw) socket.destroy();
    await new Promise((resolve) => http.close(resolve));
  });
  return {
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}`,
    get upgrades() {
      return state.upgrades;
    },
    peer: () => peers.next(),
  };
}

/** The error that connecting fails with. */
export async function failure(attempt: {
  readonly connected: Promise<ProviderSession>;
}): Promise<BridgeError> {
  return (await attempt.connected.then(
    () => expect.unreachable('connect resolved'),
    (error: unknown) => error,
  )) as BridgeError;
}

/** Whoever waits for the network to have had its turn, whatever the virtual clock says, has been told. */
export function networkTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
