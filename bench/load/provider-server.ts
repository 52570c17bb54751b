import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type ProviderHost, ProviderSession } from './provider-session.ts';
import { acceptOf } from './web-socket.ts';

/** Key and certificate of a server that speaks TLS, in PEM. */
export interface ServerIdentity {
  readonly key: string;
  readonly cert: string;
}

const HEAD_END = '\r\n\r\n';

/** Takes connections of what is tested, and makes each of them a session. */
export class ProviderServer {
  readonly #server: Server;
  readonly #host: () => ProviderHost;
  readonly #open = new Set<Socket>();
  readonly #scheme: 'ws' | 'wss';
  #sessions = 0;

  /** @param host of sessions that begin now */
  constructor(host: () => ProviderHost, identity: ServerIdentity | undefined) {
    this.#host = host;
    this.#scheme = identity === undefined ? 'ws' : 'wss';
    const take = (socket: Socket): void => this.#take(socket);
    this.#server =
      identity === undefined ? createServer({ noDelay: true }, take) : createTlsServer(identity, take);
  }

  /** Resolves to the address that sessions are dialled at. */
  listen(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, '127.0.0.1', 4096, () => {
        const address = this.#server.address();
        const port = typeof address === 'object' && address !== null ? address.port : 0;
        resolve(`${this.#scheme}://127.0.0.1:${port}/v1/realtime`);
      });
    });
  }

  close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #take(socket: Socket): void {
    socket.setNoDelay(true);
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    let read = '';
    const onData = (chunk: Buffer): void => {
      read += chunk.toString('latin1');
      const end = read.indexOf(HEAD_END);
      if (end < 0) return;
      socket.off('data', onData);
      this.#upgrade(socket, read.slice(0, end), Buffer.from(read.slice(end + HEAD_END.length), 'latin1'));
    };
    socket.on('data', onData);
  }

  #upgrade(socket: Socket, head: string, rest: Buffer): void {
    const key = /^sec-websocket-key: *(.+)$/im.exec(head)?.[1]?.trim();
    if (key === undefined) {
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      return;
    }
    const answer = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    socket.write(`${[...answer, `Sec-WebSocket-Accept: ${acceptOf(key)}`].join('\r\n')}${HEAD_END}`);
    this.#sessions += 1;
    const session = new ProviderSession(this.#sessions, socket, this.#host());
    if (rest.length > 0) session.push(rest);
  }
}
