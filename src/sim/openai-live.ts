import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { Arrivals } from './common/arrivals.ts';
import { Scheduler } from './common/scheduler.ts';
import { type Upgrade, UpgradeServer } from './common/upgrade-server.ts';
import { Voice } from './common/voice.ts';
import type {
  OpenAiLiveSimulator,
  OpenAiLiveSimulatorOptions,
  SimulatedLiveConnection,
} from './openai-live/api.ts';
import { Connection } from './openai-live/connection.ts';
import { resolveOptions, type Settings } from './openai-live/core.ts';
import { checkFaults } from './openai-live/faults.ts';

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
  readonly #settings: Settings;
  readonly #onEvent: OpenAiLiveSimulatorOptions['onEvent'];
  readonly #server: UpgradeServer;
  readonly #scheduler: Scheduler;
  readonly #voice: Voice;
  readonly #arrivals = new Arrivals<SimulatedLiveConnection>();
  #closing: Promise<void> | undefined;

  constructor(options: OpenAiLiveSimulatorOptions) {
    this.#settings = resolveOptions(options);
    checkFaults(this.#settings.faults);
    this.#onEvent = options.onEvent;
    this.#scheduler = new Scheduler(this.#settings.clock);
    this.#voice = new Voice(this.#settings.seed);
    this.#server = new UpgradeServer({
      settings: this.#settings,
      scheduler: this.#scheduler,
      errorBody: (_status, message) => httpBody(message),
      onUpgrade: (upgrade) => this.#onUpgrade(upgrade),
    });
  }

  get connections(): readonly SimulatedLiveConnection[] {
    return this.#arrivals.list;
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return this.#server.url + PATH;
  }

  nextConnection(): Promise<SimulatedLiveConnection> {
    return this.#arrivals.next();
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
    const refusal = this.#refusal(request);
    if (refusal === undefined) accept((ws) => this.#open(ws, request, index));
    else refuse(refusal.status, httpBody(refusal.message, refusal.code));
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
    this.#arrivals.add(connection);
    connection.open();
  }
}

function httpBody(message: string, code: string | null = null): string {
  return JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code } });
}
