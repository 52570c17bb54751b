import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { BridgeError } from '../errors.ts';
import { Dice } from './common/dice.ts';
import { withResolvers } from './common/event-log.ts';
import { checkScript, FaultScript } from './common/fault-script.ts';
import { Scheduler } from './common/scheduler.ts';
import { Voice } from './common/voice.ts';
import type { OpenAiSimulator, OpenAiSimulatorOptions, SimulatedConnection } from './openai/api.ts';
import { Connection } from './openai/connection.ts';
import { resolveOptions, type Settings } from './openai/core.ts';
import { DIALECTS } from './openai/dialects.ts';
import { DOORS, type Door, type HttpRefusal, pathOf, protocolsOf, type Wish } from './openai/doors.ts';
import { FAULT_ACTIONS, knownFault } from './openai/faults.ts';
import { Shelf } from './openai/shelf.ts';
import type { WireError } from './openai/wire.ts';

export type { LoggedEvent } from './common/event-log.ts';
export type { PlannedCall, PlannedMessage, PlannedOutput } from './common/plan.ts';
export type {
  Hearing,
  OpenAiSimulator,
  OpenAiSimulatorOptions,
  ResponsePlan,
  SimulatedConnection,
  Truncation,
  Turn,
  TurnKind,
} from './openai/api.ts';
export type { DialectName } from './openai/dialect.ts';
export type { FaultAction, FaultMoment, FaultRule, KnownError } from './openai/faults.ts';

/** Above the 15 MiB that one event may hold. */
const MAX_FRAME_BYTES = 32 * 1024 * 1024;

const SOCKET_OPTIONS = {
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES,
  /** How long a client may take to answer a close frame, in ms. */
  closeTimeout: 2_000,
  handleProtocols: (offered: ReadonlySet<string>): string | false =>
    offered.has('realtime') ? 'realtime' : false,
};

const BETA_IS_GONE: WireError = {
  type: 'invalid_request_error',
  code: 'beta_api_shape_disabled',
  message: 'The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.',
};

/** An upgrade that is let in, or told why not. */
interface Visit {
  readonly request: IncomingMessage;
  readonly url: URL;
  readonly door: Door;
  readonly wish: Wish;
  readonly index: number;
}

/**
 * Starts a server that speaks the OpenAI Realtime protocol on the loopback interface. Without a script it answers
 * every turn with a speech-like babble and a transcript that says how much speech it heard. Rejects with BAD_INPUT for
 * a fault script that cannot work, and with the system's error when the port cannot be had.
 */
export async function startOpenAiSimulator(options: OpenAiSimulatorOptions = {}): Promise<OpenAiSimulator> {
  const simulator = new Simulator(options);
  await simulator.listen();
  return simulator;
}

class Simulator implements OpenAiSimulator {
  readonly connections: SimulatedConnection[] = [];
  readonly #settings: Settings;
  readonly #onEvent: OpenAiSimulatorOptions['onEvent'];
  readonly #http: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #upgrader = new WebSocketServer(SOCKET_OPTIONS);
  readonly #scheduler: Scheduler;
  readonly #voice: Voice;
  readonly #shelf = new Shelf();
  readonly #waiters: ReturnType<typeof withResolvers<SimulatedConnection>>[] = [];
  #attempts = 0;
  #handedOut = 0;
  #closing: Promise<void> | undefined;

  constructor(options: OpenAiSimulatorOptions) {
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
    return `ws://${this.#settings.host}:${this.port}${pathOf(this.#settings.dialect)}`;
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
    if (this.#breaks(socket, index)) return;
    const url = new URL(request.url ?? '/', 'http://localhost');
    const visit = this.#visit(request, url, index);
    if ('status' in visit) {
      answer(socket, visit.status, httpBody(visit.message));
      return;
    }
    const accept = (): void => {
      this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.#open(ws, visit));
    };
    if (this.#settings.handshakeDelayMs === 0) accept();
    else this.#scheduler.after(this.#settings.handshakeDelayMs, accept);
  }

  /** True: a fault of the script took the place of the handshake. */
  #breaks(socket: Duplex, index: number): boolean {
    for (const rule of new FaultScript(this.#settings.faults, index).happened('connect')) {
      if (rule.do === 'stall') return true;
      if (rule.do === 'drop') {
        socket.destroy();
        return true;
      }
      if (rule.do === 'http') {
        answer(socket, rule.status, rule.body ?? httpBody(STATUS_CODES[rule.status] ?? 'Error'));
        return true;
      }
    }
    return false;
  }

  #visit(request: IncomingMessage, url: URL, index: number): Visit | HttpRefusal {
    const door = Object.hasOwn(DOORS, url.pathname) ? DOORS[url.pathname] : undefined;
    if (door === undefined) return { status: 404, message: `Invalid URL (GET ${url.pathname})` };
    const wish = door.wish(url);
    if ('status' in wish) return wish;
    const visit = { request, url, door, wish, index };
    return this.#refusedByStatus(visit) ?? visit;
  }

  #open(socket: WebSocket, visit: Visit): void {
    const { request, door, wish, index } = visit;
    const fault = this.#refusal(visit);
    if (fault !== undefined) {
      refuse(socket, fault, new Dice(this.#settings.seed * 1_000_003 + index));
      return;
    }
    const connection = new Connection({
      socket,
      index,
      model: wish.model,
      type: wish.type,
      dialect: DIALECTS[door.dialect ?? this.#settings.dialect],
      resume: wish.resume,
      shelf: this.#shelf,
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

  /** Azure and the like do not even begin to talk. */
  #refusedByStatus({ request, url, door, wish }: Visit): HttpRefusal | undefined {
    if (!door.refusesByStatus) return undefined;
    if (!this.#isGood(door.key(request, url))) {
      return { status: 401, message: 'Access denied due to invalid subscription key or wrong API endpoint.' };
    }
    return this.#has(wish.model) ? undefined : { status: 400, message: `There is no '${wish.model}'.` };
  }

  #isGood(key: string | undefined): boolean {
    const { apiKey } = this.#settings;
    return key !== undefined && (apiKey === undefined || key === apiKey);
  }

  #has(model: string): boolean {
    return model === '' || this.#settings.models?.includes(model) !== false;
  }

  /** The service answers most mistakes with an event after the 101, not with an HTTP status. */
  #refusal({ request, url, door, wish }: Visit): ReturnType<typeof knownFault> | undefined {
    const isBeta =
      request.headers['openai-beta'] !== undefined ||
      protocolsOf(request).includes('openai-beta.realtime-v1');
    if ((door.dialect ?? this.#settings.dialect) === 'ga' && isBeta) {
      return {
        error: BETA_IS_GONE,
        close: { code: 4000, reason: 'invalid_request_error.beta_api_shape_disabled' },
      };
    }
    if (!this.#isGood(door.key(request, url))) return knownFault('invalid_api_key');
    return this.#has(wish.model) ? undefined : knownFault('model_not_found');
  }
}

function httpBody(message: string): string {
  return JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: null } });
}

function answer(socket: Duplex, status: number, body: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function refuse(socket: WebSocket, fault: ReturnType<typeof knownFault>, dice: Dice): void {
  const { type, code, message, param } = fault.error;
  socket.on('error', () => {});
  socket.send(
    JSON.stringify({
      type: 'error',
      event_id: dice.id('event'),
      error: { type, code, message, param: param ?? null, event_id: null },
    }),
  );
  socket.close(fault.close?.code ?? 1008, fault.close?.reason ?? '');
}
