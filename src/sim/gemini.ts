import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { Arrivals } from './common/arrivals.ts';
import { Scheduler } from './common/scheduler.ts';
import { type Upgrade, UpgradeServer } from './common/upgrade-server.ts';
import { Voice } from './common/voice.ts';
import { type Door, GEMINI_PATH, readDoor, VERTEX_PATH } from './gemini/address.ts';
import type { GeminiSimulator, GeminiSimulatorOptions, SimulatedConnection } from './gemini/api.ts';
import { Connection } from './gemini/connection.ts';
import { resolveOptions, type Settings } from './gemini/core.ts';
import { type CloseFrame, checkFaults, knownFault } from './gemini/faults.ts';
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
  readonly #settings: Settings;
  readonly #onEvent: GeminiSimulatorOptions['onEvent'];
  readonly #server: UpgradeServer;
  readonly #scheduler: Scheduler;
  readonly #voice: Voice;
  readonly #sessions: Sessions;
  readonly #arrivals = new Arrivals<SimulatedConnection>();
  #closing: Promise<void> | undefined;

  constructor(options: GeminiSimulatorOptions) {
    this.#settings = resolveOptions(options);
    checkFaults(this.#settings.faults);
    this.#onEvent = options.onEvent;
    this.#scheduler = new Scheduler(this.#settings.clock);
    this.#voice = new Voice(this.#settings.seed);
    this.#sessions = new Sessions(() => this.#scheduler.now(), this.#settings.handleMs);
    this.#server = new UpgradeServer({
      settings: this.#settings,
      scheduler: this.#scheduler,
      errorBody: httpBody,
      onUpgrade: (upgrade) => this.#onUpgrade(upgrade),
    });
  }

  get connections(): readonly SimulatedConnection[] {
    return this.#arrivals.list;
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return this.#server.url;
  }

  get liveUrl(): string {
    return this.url + GEMINI_PATH;
  }

  get vertexUrl(): string {
    return this.url + VERTEX_PATH;
  }

  nextConnection(): Promise<SimulatedConnection> {
    return this.#arrivals.next();
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
    this.#arrivals.close();
    for (const connection of this.connections) connection.drop();
    await Promise.all([this.#server.close(), ...this.connections.map((connection) => connection.closed)]);
    this.#scheduler.stop();
  }

  #onUpgrade({ request, index, refuse, accept }: Upgrade): void {
    const door = readDoor(request.url ?? '/', request.headers);
    if (door === undefined) {
      refuse(404, httpBody(404, 'The requested URL was not found on this server.'));
      return;
    }
    const refusal = this.#refusal(door);
    if (refusal !== undefined && this.#settings.badKey === 'http' && refusal.code !== 1011) {
      const status = door.endpoint === 'gemini' ? (door.credential === undefined ? 403 : 400) : 401;
      refuse(status, httpBody(status, refusal.reason ?? ''));
      return;
    }
    accept((ws) => {
      if (refusal === undefined) this.#open(ws, request, door, index);
      else shut(ws, refusal);
    });
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
    this.#arrivals.add(connection);
    connection.open();
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

function shut(socket: WebSocket, { code, reason }: CloseFrame): void {
  socket.on('error', () => {});
  socket.close(code, fitReason(reason ?? ''));
}
