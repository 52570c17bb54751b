import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { FrameReader } from './wire/frame-reader.ts';
import { type FrameWriter, MaskedFrames, MaskingDesk, PlainFrames } from './wire/frame-writer.ts';

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

const maskingDesk = new MaskingDesk();

/** The network of this machine. */
export const systemNetwork: Network = {
  dial(url, { headers, maxPayload }, listener) {
    const webSocket = new WebSocket(url, { ...LIMITS, maxPayload, headers: { ...headers } });
    const wire = new SystemSocket(webSocket, listener);
    let socket: Duplex | undefined;
    webSocket.on('upgrade', (response) => {
      socket = response.socket;
    });
    webSocket.on('open', () => {
      if (socket !== undefined) wire.shorten(socket, 'client', maxPayload);
      listener.opened();
    });
    webSocket.on('unexpected-response', (request, response) => {
      let body = '';
      let isOver = false;
      const finish = (): void => {
        if (isOver) return;
        isOver = true;
        listener.refused(response.statusCode ?? 0, body);
        request.destroy();
        webSocket.terminate();
      };
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        body += piece;
        if (body.length >= MOST_BODY_BYTES) finish();
      });
      response.on('end', finish);
      response.on('error', finish);
    });
    return wire;
  },
  stream: (_what, open, body, listener) => open(body, listener),
};

/**
 * A socket that somebody else has opened and that was just accepted, such as a carrier's.
 * @param socket what it was accepted on, and of which nothing was read
 * @param maxPayload longest message that is taken, in bytes
 */
export function wireOf(
  webSocket: WebSocket,
  socket: Duplex,
  maxPayload: number,
  listener: WireListener,
): WireSocket {
  const wire = new SystemSocket(webSocket, listener);
  wire.shorten(socket, 'server', maxPayload);
  return wire;
}

class SystemSocket implements WireSocket {
  readonly #webSocket: WebSocket;
  readonly #listener: WireListener;
  #socket: Duplex | undefined;
  #writer: FrameWriter | undefined;

  constructor(webSocket: WebSocket, listener: WireListener) {
    this.#webSocket = webSocket;
    this.#listener = listener;
    webSocket.on('message', (data, isBinary) => listener.message(String(data), isBinary));
    webSocket.on('ping', () => listener.pinged());
    webSocket.on('pong', (data) => listener.pong(String(data)));
    webSocket.on('error', (error) => listener.failed(error));
    webSocket.on('close', (code, reason) => listener.closed(code, String(reason)));
  }

  /** From here on frequent messages go by a shorter way than through the library, both ways. */
  shorten(socket: Duplex, side: 'client' | 'server', most: number): void {
    const listener = this.#listener;
    FrameReader.install(this.#webSocket, socket, { masked: side === 'server', most, listener });
    // With an extension the library may hold a message back for a moment, and another one must not overtake it.
    if (this.#webSocket.extensions !== '') return;
    this.#socket = socket;
    this.#writer = side === 'server' ? new PlainFrames(socket) : new MaskedFrames(socket, maskingDesk);
  }

  get isOpen(): boolean {
    return this.#webSocket.readyState === WebSocket.OPEN;
  }

  get bufferedAmount(): number {
    return this.#socket?.writableLength ?? this.#webSocket.bufferedAmount;
  }

  send(text: string, flushed?: () => void): void {
    if (!this.isOpen) return;
    if (this.#writer?.write(text, flushed) !== true) this.#webSocket.send(text, flushed);
  }

  ping(data?: string): void {
    if (this.isOpen) this.#webSocket.ping(data);
  }

  close(code?: number, reason?: string): void {
    this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }
}
