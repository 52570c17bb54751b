import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { Signer } from '../../src/replay/signer.ts';
import type { WireListener, WireSocket } from '../../src/wire.ts';
import { ModelLine, type Temper } from './model.ts';
import { KEY, PUBLIC_URL } from './parts.ts';
import type { Entrance, Phone } from './phone.ts';
import { SkippingClock } from './skipping-clock.ts';

const PIECE_MS = 20;

/** Everybody around a bridge that is at the other end of a network: models, carriers and what they ask of each other. */
export class Surroundings {
  /** Of carriers and models; skips what the bridge's does, or signatures were too old. */
  readonly clock = new SkippingClock();
  /** Calls that are not over. */
  readonly phones = new Set<Phone>();
  /** What the next models that are dialled first are like; the others answer. */
  readonly tempers: Temper[] = [];
  readonly #http: Server;
  readonly #models = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #lines = new Set<ModelLine>();
  #dialled = 0;

  private constructor() {
    this.#http = createServer((request, response) => {
      // Whatever carriers are asked for by REST, it is to hang up.
      const url = decodeURIComponent(request.url ?? '');
      for (const phone of this.phones) if (url.includes(phone.callId)) phone.hungUp();
      request.resume();
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
    this.#http.on('upgrade', (request, socket, head) => this.#onDial(request, socket, head));
  }

  /** Listens on a port of its own. */
  static async start(): Promise<Surroundings> {
    const surroundings = new Surroundings();
    await new Promise<void>((resolve) => surroundings.#http.listen(0, '127.0.0.1', resolve));
    return surroundings;
  }

  get #host(): string {
    return `127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Where models and carriers are reached, as the environment of a bridge. */
  get settings(): Readonly<Record<string, string>> {
    const rest = `http://${this.#host}`;
    return {
      SOAK_MODELS: `ws://${this.#host}`,
      TWILIO_BASE_URL: rest,
      TELNYX_BASE_URL: rest,
      PLIVO_BASE_URL: rest,
    };
  }

  /** Connections of models that are open. */
  get modelLines(): number {
    return this.#lines.size;
  }

  /** How calls come to the bridge that listens at `url`. */
  entranceTo(url: string): Entrance {
    return {
      clock: this.clock,
      signer: new Signer(KEY, PUBLIC_URL),
      pieceMs: PIECE_MS,
      post(_route, { method, target, headers, body }, done) {
        const request = httpRequest(new URL(target, url), { method, headers: plain(headers) }, (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (piece: string) => {
            text += piece;
          });
          response.on('end', () => done({ status: response.statusCode ?? 0, body: text }));
        });
        request.on('error', () => done({ status: 0, body: '' }));
        request.end(body);
      },
      stream({ target, headers }, connect, refused) {
        const address = new URL(target, url.replace(/^http/, 'ws'));
        const socket = new WebSocket(address, { headers: plain(headers), perMessageDeflate: false });
        let end: WireSocket | undefined;
        socket.on('error', () => undefined);
        socket.on('open', () => {
          const carrier = connect(otherEndOf(socket));
          end = carrier;
          join(socket, carrier);
        });
        socket.on('close', () => {
          if (end === undefined) refused();
        });
      },
    };
  }

  async close(): Promise<void> {
    this.#models.close();
    const closed = new Promise((resolve) => this.#http.close(resolve));
    this.#http.closeAllConnections();
    await closed;
  }

  #onDial(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const isFirst = request.url?.startsWith('/first') === true;
    const temper = (isFirst ? this.tempers.shift() : undefined) ?? 'answers';
    socket.on('error', () => socket.destroy());
    if (temper === 'refuses') {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    this.#models.handleUpgrade(request, socket, head, (webSocket) => {
      this.#dialled += 1;
      const gone = (): void => void this.#lines.delete(line);
      const line = new ModelLine(this.clock, otherEndOf(webSocket), temper, this.#dialled, gone);
      this.#lines.add(line);
      join(webSocket, line);
    });
  }
}

/** What one of these ends says goes over the socket. */
function otherEndOf(socket: WebSocket): WireListener {
  return {
    opened: () => undefined,
    pinged: () => undefined,
    pong: () => undefined,
    refused: () => undefined,
    failed: () => undefined,
    message: (text) => socket.send(text),
    closed: (code) => (code === 1006 ? socket.terminate() : socket.close(code)),
  };
}

/** What comes over the socket is said to this end. */
function join(socket: WebSocket, end: WireSocket): void {
  socket.on('message', (data: RawData) => end.send(String(data)));
  socket.on('close', () => end.close());
  socket.on('error', () => undefined);
}

function plain(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
