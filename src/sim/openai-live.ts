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
import type {
  OpenAiLiveSimulator,
  OpenAiLiveSimulatorOptions,
  SimulatedLiveConnection,
} from './openai-live/api.ts';
import { Connection } from './openai-live/connection.ts';
import { resolveOptions, type Settings } from './openai-live/core.ts';
import { FAULT_ACTIONS } from './openai-live/faults.ts';

export type {
  Hearing,
  OpenAiLiveSimulator,
  OpenAiLiveSimulatorOptions,
  ResponsePlan,
  SimulatedDelegation,
  SimulatedLiveConnection,
  Turn,
  TurnKind,
} from './openai-live/api.ts';
export type { FaultAction, FaultMoment, FaultRule, KnownError } from './openai-live/faults.ts';

const PATH = '/v1/live/sessions';
/** Above the 15 MiB that one event may hold. */
const MAX_FRAME_BYTES = 32 * 1024 * 1024;

const SOCKET_OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  /** How long a client may take to answer a close frame, in ms. */
  closeTimeout: 2_000,
};

/**
 * Starts a server that speaks the OpenAI Live protocol on the loopback interface. Without a script it answers every
 * turn with a speech-like babble and a transcript that says how much speech it heard, and says what it is given to say.
 * Rejects with BAD_INPUT for options or a fault script that cannot work, and with the system's error when the port
 * cannot be had.
 */
export async function startOpenAiLiveSimulator(
  options: OpenAiLiveSimulatorOptions = {},
): Promise<OpenAiLiveSimulator> {
  const simulator = new Simulator(options);
  await simulator.listen();
  return simulator;
}

class Simulator implements OpenAiLiveSimulator {
  readonly connections: SimulatedLiveConnection[] = [];
  readonly #settings: Settings;
  readonly #onEvent: OpenAiLiveSimulatorOptions['onEvent'];
  readonly #http: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #upgrader = new WebSocketServer(SOCKET_OPTIONS);
  readonly #scheduler: Scheduler;
  readonly #voice: Voice;
  readonly #waiters: ReturnType<typeof withResolvers<SimulatedLiveConnection>>[] = [];
  #attempts = 0;
  #handedOut = 0;
  #closing: Promise<void> | undefined;

  constructor(options: OpenAiLiveSimulatorOptions) {
    this.#settings = resolveOptions(options);
    checkScript(this.#settings.faults, FAULT_ACTIONS);
    this.#onEvent = options.onEvent;
    this.#scheduler = new Scheduler(this.#settings.clock);
    this.#voice = new Voice(this.#settings.seed);
    this.#http = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(httpBody('Only WebSocket connections are served here.'));
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
    return `ws://${this.#settings.host}:${this.port}${PATH}`;
  }

  nextConnection(): Promise<SimulatedLiveConnection> {
    const ready = this.connections[this.#handedOut];
    if (ready !== undefined) {
      this.#handedOut++;
      return Promise.resolve(ready);
    }
    const waiter = withResolvers<SimulatedLiveConnection>();
    // A test may end before it awaits; that alone is no failure.
    waiter.promise.catch(() => {});
    if (this.#closing === undefined) this.#waiters.push(waiter);
    else waiter.reject(new BridgeError('CANCELLED', 'the simulator is closed'));
    return waiter.promise;
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
    for (const rule of new FaultScript(this.#settings.faults, index).happened('connect')) {
      if (rule.do === 'stall') return;
      if (rule.do === 'drop') {
        socket.destroy();
        return;
      }
      if (rule.do === 'http') {
        answer(socket, rule.status, rule.body ?? httpBody(STATUS_CODES[rule.status] ?? 'Error'));
        return;
      }
    }
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      answer(socket, refusal.status, httpBody(refusal.message, refusal.code));
      return;
    }
    const accept = (): void => {
      this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.#open(ws, request, index));
    };
    if (this.#settings.handshakeDelayMs === 0) accept();
    else this.#scheduler.after(this.#settings.handshakeDelayMs, accept);
  }

  /** How the service refuses a key at this address is not documented: here as its REST interface does. */
  #refusal(request: IncomingMessage): { status: number; message: string; code?: string } | undefined {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (url.pathname !== PATH) return { status: 404, message: `Invalid URL (GET ${url.pathname})` };
    if (url.search !== '') {
      return { status: 400, message: 'Pass the model in session.start, not in the address.' };
    }
    const key = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const { apiKey } = this.#settings;
    if (key !== undefined && (apiKey === undefined || key === apiKey)) return undefined;
    return { status: 401, message: 'Incorrect API key provided.', code: 'invalid_api_key' };
  }

  #open(socket: WebSocket, request: IncomingMessage, index: number): void {
    const connection = new Connection({
      socket,
      index,
      headers: request.headers,
      settings: this.#settings,
      scheduler: this.#scheduler,
      voice: this.#voice,
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

function httpBody(message: string, code: string | null = null): string {
  return JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code } });
}

function answer(socket: Duplex, status: number, body: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
