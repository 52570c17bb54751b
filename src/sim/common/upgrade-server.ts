import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { FaultScript, type TimedRule } from './fault-script.ts';
import type { Scheduler } from './scheduler.ts';

/** Above what any of the services takes as one event: 15 MiB (OpenAI). */
const MAX_FRAME_BYTES = 32 * 1024 * 1024;

const SOCKET_OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  /** How long a client may take to answer a close frame, in ms. */
  closeTimeout: 2_000,
};

/** Settings of a simulator that concern how it is reached. */
interface UpgradeSettings {
  readonly port: number;
  readonly host: string;
  readonly handshakeDelayMs: number;
  readonly faults: readonly (TimedRule & {
    readonly do: string;
    readonly status?: number;
    readonly body?: string;
  })[];
}

/** An upgrade that no fault has taken the place of; it is either refused or accepted. */
export interface Upgrade {
  readonly request: IncomingMessage;
  /** Counts the attempts to connect, from 0. */
  readonly index: number;
  refuse(status: number, body: string): void;
  /** `opened` has the socket after the 101, which takes as long as the settings say. */
  accept(opened: (socket: WebSocket) => void): void;
}

/** What the server is told of the service that it plays. */
export interface UpgradeServerParts {
  readonly settings: UpgradeSettings;
  readonly scheduler: Scheduler;
  /** The body of an answer in the place of a connection, as the service writes it. */
  readonly errorBody: (status: number, message: string) => string;
  /** The one subprotocol that the service agrees to; undefined: it has none. */
  readonly protocol?: string;
  readonly onUpgrade: (upgrade: Upgrade) => void;
}

/** The HTTP server of a simulator whose protocol runs over a WebSocket. */
export class UpgradeServer {
  readonly #parts: UpgradeServerParts;
  readonly #http: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #upgrader: WebSocketServer;
  #attempts = 0;

  constructor(parts: UpgradeServerParts) {
    this.#parts = parts;
    const { protocol } = parts;
    const handleProtocols = (offered: ReadonlySet<string>): string | false =>
      protocol !== undefined && offered.has(protocol) ? protocol : false;
    this.#upgrader = new WebSocketServer(
      protocol === undefined ? SOCKET_OPTIONS : { ...SOCKET_OPTIONS, handleProtocols },
    );
    this.#http = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(parts.errorBody(404, 'Only WebSocket connections are served here.'));
    });
    this.#http.on('connection', (socket) => this.#track(socket));
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  get port(): number {
    return (this.#http.address() as AddressInfo | null)?.port ?? 0;
  }

  /** `ws://HOST:PORT` */
  get url(): string {
    return `ws://${this.#parts.settings.host}:${this.port}`;
  }

  async listen(): Promise<void> {
    const { port, host } = this.#parts.settings;
    this.#http.listen(port, host);
    await once(this.#http, 'listening');
  }

  /** Lets nobody in any more, and cuts what stands. */
  async close(): Promise<void> {
    const stopped = once(this.#http, 'close');
    this.#http.close();
    for (const socket of this.#sockets) socket.destroy();
    await stopped;
  }

  #track(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // A client that cuts the connection is no error of ours.
    socket.on('error', () => {});
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const index = this.#attempts++;
    if (this.#breaks(socket, index)) return;
    const { settings, scheduler, onUpgrade } = this.#parts;
    onUpgrade({
      request,
      index,
      refuse: (status, body) => answer(socket, status, body),
      accept: (opened) => {
        const accept = (): void => this.#upgrader.handleUpgrade(request, socket, head, opened);
        if (settings.handshakeDelayMs === 0) accept();
        else scheduler.after(settings.handshakeDelayMs, accept);
      },
    });
  }

  /** True: a fault of the script took the place of the handshake. */
  #breaks(socket: Duplex, index: number): boolean {
    const { settings, errorBody } = this.#parts;
    for (const rule of new FaultScript(settings.faults, index).happened('connect')) {
      if (rule.do === 'stall') return true;
      if (rule.do === 'drop') {
        socket.destroy();
        return true;
      }
      if (rule.do === 'http') {
        const status = rule.status ?? 500;
        answer(socket, status, rule.body ?? errorBody(status, STATUS_CODES[status] ?? 'Error'));
        return true;
      }
    }
    return false;
  }
}

function answer(socket: Duplex, status: number, body: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
