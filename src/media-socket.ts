import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type Carrier, type CarrierName, carrierNamed, type WebhookRequest } from './carrier.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import { MediaLeg } from './media-leg.ts';
import type { Metrics } from './metrics.ts';
import type { Session } from './session.ts';
import type { SessionManager } from './session-manager.ts';
import { webhookRequest } from './webhook-request.ts';
import { type WireListener, type WireSocket, wireOf } from './wire.ts';

export interface MediaSocketsDeps {
  readonly carriers: ReadonlyMap<CarrierName, Carrier>;
  readonly manager: SessionManager;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Carrier messages are below 2 KiB; whatever is larger is not one. */
const MAX_MESSAGE_BYTES = 65_536;
/** How long a client that was refused may take to read that. */
const REFUSAL_MS = 2000;

const PATH = /\/media\/([a-z]+)\/([A-Za-z0-9_-]{1,128})\/?$/;

/** A stream that may be opened. */
export interface MediaEntry {
  readonly carrier: Carrier;
  readonly session: Session;
  readonly request: WebhookRequest;
}

/** Why one may not, as an HTTP status. */
export interface MediaRefusal {
  readonly status: 403 | 404;
}

/** Everything that opens a media stream: refused with an HTTP status before the upgrade, or joined to its session. */
export class MediaSockets {
  readonly #deps: MediaSocketsDeps;
  readonly #server: WebSocketServer;
  readonly #open = new Set<MediaLeg>();

  constructor(deps: MediaSocketsDeps) {
    this.#deps = deps;
    // A variable, because the published types do not know the newer limits yet.
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      maxFragments: 64,
      maxBufferedChunks: 1024,
      closeTimeout: 2000,
    };
    this.#server = new WebSocketServer(options);
  }

  get size(): number {
    return this.#open.size;
  }

  /** Listener for the HTTP server's `upgrade`. */
  readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const upgrade = webhookRequest(request, new Uint8Array(0));
    const entry = this.admit(upgrade);
    if ('status' in entry) {
      refuse(this.#deps.clock, socket, entry.status);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      this.join(entry, (listener) => wireOf(webSocket, socket, MAX_MESSAGE_BYTES, listener));
    });
  };

  /** Whether this request may open a stream, and of which call; its token is used up then. */
  admit(request: WebhookRequest): MediaEntry | MediaRefusal {
    const path = request.target.split('?', 1)[0] ?? '';
    const [, name, token] = PATH.exec(path) ?? [];
    const carrier = carrierNamed(this.#deps.carriers, name);
    if (carrier === undefined || token === undefined) return this.#refuse(404, 'unknown-path');
    const session = this.#deps.manager.owner(carrier.name, token);
    if (session === undefined) return this.#refuse(403, 'bad-token');
    const verdict = carrier.verifyUpgrade(request, session.call);
    if (!verdict.ok) {
      session.tape?.streamRefused(request, 403);
      return this.#refuse(403, verdict.reason);
    }
    // Only now: whoever cannot sign must not use up the token of somebody who can.
    this.#deps.manager.redeem(token);
    return { carrier, session, request };
  }

  /** The stream is there. `connect`: gives its socket. */
  join({ carrier, session, request }: MediaEntry, connect: (listener: WireListener) => WireSocket): void {
    const tape = session.tape?.stream(request);
    const taped = (listener: WireListener): WireSocket =>
      tape === undefined ? connect(listener) : tape.socket(connect(tape.listener(listener)));
    const { manager, log, metrics } = this.#deps;
    const clock = session.tape?.clock ?? this.#deps.clock;
    const onGone = (): void => void this.#open.delete(leg);
    const leg = new MediaLeg({ carrier, session, manager, clock, log, metrics, onGone }, taped);
    this.#open.add(leg);
  }

  #refuse(status: MediaRefusal['status'], reason: string): MediaRefusal {
    this.#deps.metrics.refused('upgrade', reason);
    this.#deps.log.warn({ reason }, 'media socket refused');
    return { status };
  }

  close(): void {
    for (const leg of this.#open) leg.terminate();
    this.#server.close();
  }
}

function refuse(clock: Clock, socket: Duplex, status: MediaRefusal['status']): void {
  // A client that keeps its side open must not keep the socket: nothing else would ever close it.
  const cancel = clock.after(REFUSAL_MS, () => socket.destroy());
  socket.on('close', cancel);
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  const text = status === 403 ? '403 Forbidden' : '404 Not Found';
  socket.end(`HTTP/1.1 ${text}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
