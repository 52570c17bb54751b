import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { BridgeError } from '../errors.ts';
import { Dice } from './common/dice.ts';
import { withResolvers } from './common/event-log.ts';
import { FaultScript } from './common/fault-script.ts';
import { Scheduler } from './common/scheduler.ts';
import { Voice } from './common/voice.ts';
import type { OpenAiSimulator, OpenAiSimulatorOptions, SimulatedConnection } from './openai/api.ts';
import { Connection } from './openai/connection.ts';
import { resolveOptions, type Settings } from './openai/core.ts';
import { checkScript } from './openai/fault-actions.ts';
import { knownFault } from './openai/faults.ts';
import type { SessionConfig } from './openai/session-config.ts';
import type { WireError } from './openai/wire.ts';

export type { LoggedEvent } from './common/event-log.ts';
export type { PlannedCall, PlannedMessage } from './common/plan.ts';
export type {
  Hearing,
  OpenAiSimulator,
  OpenAiSimulatorOptions,
  PlannedOutput,
  ResponsePlan,
  SimulatedConnection,
  Truncation,
  Turn,
  TurnKind,
} from './openai/api.ts';
export type { FaultAction, FaultMoment, FaultRule, KnownError } from './openai/faults.ts';

const PATH = '/v1/realtime';
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

/** Why an upgrade is answered with something other than a 101. */
interface HttpRefusal {
  readonly status: number;
  readonly message: string;
}

/** What an upgrade asks for. */
interface Wish {
  readonly model: string;
  readonly type: SessionConfig['type'];
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
  readonly #waiters: ReturnType<typeof withResolvers<SimulatedConnection>>[] = [];
  #attempts = 0;
  #handedOut = 0;
  #closing: Promise<void> | undefined;

  constructor(options: OpenAiSimulatorOptions) {
    this.#settings = resolveOptions(options);
    checkScript(this.#settings.faults);
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
    const wish = readWish(request.url ?? '/');
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
    if ('status' in wish) {
      answer(socket, wish.status, httpBody(wish.message));
      return;
    }
    const accept = (): void => {
      this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.#open(ws, request, wish, index));
    };
    if (this.#settings.handshakeDelayMs === 0) accept();
    else this.#scheduler.after(this.#settings.handshakeDelayMs, accept);
  }

  #open(socket: WebSocket, request: IncomingMessage, wish: Wish, index: number): void {
    const fault = this.#refusal(request, wish);
    if (fault !== undefined) {
      refuse(socket, fault, new Dice(this.#settings.seed * 1_000_003 + index));
      return;
    }
    const connection = new Connection({
      socket,
      index,
      model: wish.model,
      type: wish.type,
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

  /** The service answers most mistakes with an event after the 101, not with an HTTP status. */
  #refusal(request: IncomingMessage, wish: Wish): ReturnType<typeof knownFault> | undefined {
    const protocols = String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    const { apiKey, dialect, models } = this.#settings;
    const isBeta =
      request.headers['openai-beta'] !== undefined || protocols.includes('openai-beta.realtime-v1');
    if (dialect === 'ga' && isBeta) {
      return {
        error: BETA_IS_GONE,
        close: { code: 4000, reason: 'invalid_request_error.beta_api_shape_disabled' },
      };
    }
    const key = keyOf(request, protocols);
    if (key === undefined || (apiKey !== undefined && key !== apiKey)) return knownFault('invalid_api_key');
    if (wish.type === 'realtime' && models?.includes(wish.model) === false)
      return knownFault('model_not_found');
    return undefined;
  }
}

function keyOf(request: IncomingMessage, protocols: readonly string[]): string | undefined {
  const bearer = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const prefix = 'openai-insecure-api-key.';
  return bearer ?? protocols.find((protocol) => protocol.startsWith(prefix))?.slice(prefix.length);
}

function readWish(target: string): Wish | HttpRefusal {
  const url = new URL(target, 'http://localhost');
  if (url.pathname !== PATH) return { status: 404, message: `Invalid URL (GET ${url.pathname})` };
  const model = url.searchParams.get('model');
  const intent = url.searchParams.get('intent');
  const callId = url.searchParams.get('call_id');
  if ([model, intent, callId].filter((value) => value !== null).length !== 1) {
    return { status: 400, message: "Pass exactly one of 'model', 'intent' and 'call_id'." };
  }
  if (callId !== null) return { status: 404, message: `No call with the id '${callId}'.` };
  if (model !== null && model !== '') return { model, type: 'realtime' };
  if (intent === 'transcription') return { model: '', type: 'transcription' };
  return { status: 400, message: "You must provide a model parameter, or the intent 'transcription'." };
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
