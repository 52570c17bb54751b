import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { BridgeError } from '../errors.ts';
import { withResolvers } from './common/event-log.ts';
import { checkScript, FaultScript } from './common/fault-script.ts';
import { Scheduler } from './common/scheduler.ts';
import { Voice } from './common/voice.ts';
import { type Door, GEMINI_PATH, readDoor, VERTEX_PATH } from './gemini/address.ts';
import type { GeminiSimulator, GeminiSimulatorOptions, SimulatedConnection } from './gemini/api.ts';
import { Connection } from './gemini/connection.ts';
import { resolveOptions, type Settings } from './gemini/core.ts';
import { type CloseFrame, FAULT_ACTIONS, knownFault } from './gemini/faults.ts';
import { Sessions } from './gemini/sessions.ts';
import { fitReason } from './gemini/wire.ts';

export type { LoggedEvent } from './common/event-log.ts';
export type { PlannedCall, PlannedMessage, PlannedOutput } from './common/plan.ts';
export type {
  ConversationTurn,
  GeminiSimulator,
  GeminiSimulatorOptions,
  Hearing,
  ResponsePlan,
  SimulatedConnection,
  ToolResponse,
  Turn,
  TurnKind,
} from './gemini/api.ts';
export type { CloseFrame, FaultAction, FaultMoment, FaultRule, KnownError } from './gemini/faults.ts';

const MAX_FRAME_BYTES = 32 * 1024 * 1024;

const SOCKET_OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  /** How long a client may take to answer a close frame, in ms. */
  closeTimeout: 2_000,
};

/** The service's words for callers that show nothing; the reason of a close has room for the first half only. */
const NO_KEY: CloseFrame = {
  code: 1008,
  reason:
    "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
};
const BAD_TOKEN: CloseFrame = { code: 1008, reason: 'Request had invalid authentication credentials.' };

/**
 * Starts a server that speaks the Gemini Live protocol on the loopback interface, at the paths of the Gemini API and of
 * Vertex AI. Without a script it answers every turn with a speech-like babble and words that say how much speech it
 * heard. Rejects with BAD_INPUT for a fault script that cannot work, and with the system's error when the port cannot be
 * had.
 */
export async function startGeminiSimulator(options: GeminiSimulatorOptions = {}): Promise<GeminiSimulator> {
  const simulator = new Simulator(options);
  await simulator.listen();
  return simulator;
}

class Simulator implements GeminiSimulator {
  readonly connections: SimulatedConnection[] = [];
  readonly #settings: Settings;
  readonly #onEvent: GeminiSimulatorOptions['onEvent'];
  readonly #http: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #upgrader = new WebSocketServer(SOCKET_OPTIONS);
  readonly #scheduler: Scheduler;
  readonly #voice: Voice;
  readonly #sessions: Sessions;
  readonly #waiters: ReturnType<typeof withResolvers<SimulatedConnection>>[] = [];
  #attempts = 0;
  #handedOut = 0;
  #closing: Promise<void> | undefined;

  constructor(options: GeminiSimulatorOptions) {
    this.#settings = resolveOptions(options);
    checkScript(this.#settings.faults, FAULT_ACTIONS);
    this.#onEvent = options.onEvent;
    this.#scheduler = new Scheduler(this.#settings.clock);
    this.#voice = new Voice(this.#settings.seed);
    this.#sessions = new Sessions(() => this.#scheduler.now(), this.#settings.handleMs);
    this.#http = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(httpBody(404, 'Only WebSocket connections are served here.'));
    });
    this.#http.on('connection', (socket) => this.#track(socket));
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
  }

  async listen(): Promise<void> {
    this.#http.listen(this.#settings.port, this.#settings.host);
    await once(this.#http, 'listening');
  }

  get port(): number {
    return (this.#http.address() as AddressInfo | null)?.port ?? 0;
  }

  get url(): string {
    return `ws://${this.#settings.host}:${this.port}`;
  }

  get liveUrl(): string {
    return this.url + GEMINI_PATH;
  }

  get vertexUrl(): string {
    return this.url + VERTEX_PATH;
  }

  nextConnection(): Promise<SimulatedConnection> {
    const ready = this.connections[this.#handedOut];
    if (ready !== undefined) {
      this.#handedOut++;
      return Promise.resolve(ready);
    }
    const waiter = withResolvers<SimulatedConnection>();
    // A test may end before it awaits; that alone is no failure.
    waiter.promise.catch(() => {});
    if (this.#closing === undefined) this.#waiters.push(waiter);
    else waiter.reject(new BridgeError('CANCELLED', 'the simulator is closed'));
    return waiter.promise;
  }

  forgetHandles(): void {
    this.#sessions.forget();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const { reject } of this.#waiters.splice(0)) {
      reject(new BridgeError('CANCELLED', 'the simulator closed before a connection came'));
    }
    const stopped = once(this.#http, 'close');
    this.#http.close();
    for (const connection of this.connections) connection.drop();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([stopped, ...this.connections.map((connection) => connection.closed)]);
    this.#scheduler.stop();
  }

  #track(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // A client that cuts the connection is no error of ours.
    socket.on('error', () => {});
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const index = this.#attempts++;
    if (this.#isRefusedByScript(socket, index)) return;
    const door = readDoor(request.url ?? '/', request.headers);
    if (door === undefined) {
      answer(socket, 404, httpBody(404, 'The requested URL was not found on this server.'));
      return;
    }
    const refusal = this.#refusal(door);
    if (refusal !== undefined && this.#settings.badKey === 'http' && refusal.code !== 1011) {
      const status = door.endpoint === 'gemini' ? (door.credential === undefined ? 403 : 400) : 401;
      answer(socket, status, httpBody(status, refusal.reason ?? ''));
      return;
    }
    const accept = (): void => {
      this.#upgrader.handleUpgrade(request, socket, head, (ws) => {
        if (refusal === undefined) this.#open(ws, request, door, index);
        else refuse(ws, refusal);
      });
    };
    if (this.#settings.handshakeDelayMs === 0) accept();
    else this.#scheduler.after(this.#settings.handshakeDelayMs, accept);
  }

  #isRefusedByScript(socket: Duplex, index: number): boolean {
    for (const rule of new FaultScript(this.#settings.faults, index).happened('connect')) {
      if (rule.do === 'stall') return true;
      if (rule.do === 'drop') {
        socket.destroy();
        return true;
      }
      if (rule.do === 'http') {
        answer(socket, rule.status, rule.body ?? httpBody(rule.status, STATUS_CODES[rule.status] ?? 'Error'));
        return true;
      }
    }
    return false;
  }

  #refusal(door: Door): CloseFrame | undefined {
    const { apiKey, accessToken, maxSessions } = this.#settings;
    const isKey = door.endpoint === 'gemini';
    if (door.credential === undefined) return isKey ? NO_KEY : BAD_TOKEN;
    const wanted = isKey ? apiKey : accessToken;
    if (wanted !== undefined && door.credential !== wanted) return isKey ? knownFault('api-key') : BAD_TOKEN;
    const open = this.connections.filter((connection) => connection.isOpen).length;
    return open < maxSessions ? undefined : knownFault('quota');
  }

  #open(socket: WebSocket, request: IncomingMessage, door: Door, index: number): void {
    const connection = new Connection({
      socket,
      index,
      door,
      headers: request.headers,
      settings: this.#settings,
      scheduler: this.#scheduler,
      voice: this.#voice,
      sessions: this.#sessions,
      onEvent: this.#onEvent,
    });
    this.connections.push(connection);
    connection.open();
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#handedOut++;
    waiter.resolve(connection);
  }
}

const STATUSES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
};

function httpBody(code: number, message: string): string {
  return JSON.stringify({ error: { code, message, status: STATUSES[code] ?? 'INTERNAL' } });
}

function answer(socket: Duplex, status: number, body: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function refuse(socket: WebSocket, { code, reason }: CloseFrame): void {
  socket.on('error', () => {});
  socket.close(code, fitReason(reason ?? ''));
}
