import { WebSocket } from 'ws';

/**
 * CONTRACT of the network as sessions and media streams see it, so that a call can be recorded at its edges and played
 * back without a network. Everything is told synchronously, and nothing before the function that asked for it returned.
 */

/** An open or opening WebSocket. Nothing here throws; what is said to one that is not open is dropped. */
export interface WireSocket {
  readonly isOpen: boolean;
  /** Bytes that were sent and have not left for the kernel. */
  readonly bufferedAmount: number;
  /** `flushed` is called when the message has left for the kernel, or never will. */
  send(text: string, flushed?: () => void): void;
  ping(data?: string): void;
  /** Begins the closing handshake. */
  close(code?: number, reason?: string): void;
  /** Drops the connection, also one that is still being made. */
  terminate(): void;
}

/** What a WebSocket tells. */
export interface WireListener {
  /** Only of one that was dialled. */
  opened(): void;
  /** A binary message is handed over as text all the same, and `isBinary` says that it was one. */
  message(text: string, isBinary: boolean): void;
  pinged(): void;
  pong(data: string): void;
  /** The server answered the upgrade with an HTTP status of its own; `body` is its beginning. `closed` follows. */
  refused(status: number, body: string): void;
  /** `closed` follows. */
  failed(error: Error): void;
  /** Exactly once, last. */
  closed(code: number, reason: string): void;
}

export interface DialOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Longest message that is taken, in bytes. */
  readonly maxPayload: number;
}

/** One event on its way to a service, as an event stream takes it. */
export interface StreamChunk {
  readonly chunk: { readonly bytes: Uint8Array };
}

/** What an event stream (HTTP/2, both ways) tells. */
export interface StreamListener {
  /** The network connection stands, TLS included. */
  connected(): void;
  /** The service has begun to answer with a stream. */
  accepted(): void;
  /** One event of the service, as JSON. */
  received(bytes: Uint8Array): void;
  /** Exactly once, last. `thrown`: undefined when the stream just ended; `networkCode`: such as `ECONNREFUSED`. */
  ended(thrown: unknown, networkCode: string | undefined): void;
}

/** A stream that was asked for. */
export interface EventStream {
  /** Nothing is told any more but the end, and no socket is left. */
  abort(): void;
}

/** Opens a real event stream. */
export type OpenStream = (body: AsyncIterable<StreamChunk>, listener: StreamListener) => EventStream;

/** How providers are reached. */
export interface Network {
  /** Starts to dial. */
  dial(url: URL, options: DialOptions, listener: WireListener): WireSocket;
  /** `open` is how it is done for real; `what` names the service and the model, and holds no secret. */
  stream(
    what: string,
    open: OpenStream,
    body: AsyncIterable<StreamChunk>,
    listener: StreamListener,
  ): EventStream;
}

const LIMITS = {
  perMessageDeflate: false,
  followRedirects: false,
  maxFragments: 1_024,
  maxBufferedChunks: 4_096,
} as const;
const MOST_BODY_BYTES = 4_096;

/** The network of this machine. */
export const systemNetwork: Network = {
  dial(url, { headers, maxPayload }, listener) {
    const socket = new WebSocket(url, { ...LIMITS, maxPayload, headers: { ...headers } });
    socket.on('open', () => listener.opened());
    socket.on('unexpected-response', (request, response) => {
      let body = '';
      let isOver = false;
      const finish = (): void => {
        if (isOver) return;
        isOver = true;
        listener.refused(response.statusCode ?? 0, body);
        request.destroy();
        socket.terminate();
      };
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        body += piece;
        if (body.length >= MOST_BODY_BYTES) finish();
      });
      response.on('end', finish);
      response.on('error', finish);
    });
    return wireOf(socket, listener);
  },
  stream: (_what, open, body, listener) => open(body, listener),
};

/** A socket that is there, such as one that a carrier has opened. */
export function wireOf(socket: WebSocket, listener: WireListener): WireSocket {
  socket.on('message', (data, isBinary) => listener.message(String(data), isBinary));
  socket.on('ping', () => listener.pinged());
  socket.on('pong', (data) => listener.pong(String(data)));
  socket.on('error', (error) => listener.failed(error));
  socket.on('close', (code, reason) => listener.closed(code, String(reason)));
  return new SystemSocket(socket);
}

class SystemSocket implements WireSocket {
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(text: string, flushed?: () => void): void {
    if (this.isOpen) this.#socket.send(text, flushed);
  }

  ping(data?: string): void {
    if (this.isOpen) this.#socket.ping(data);
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
