import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { Arrivals } from './common/arrivals.ts';
import { Dice } from './common/dice.ts';
import { Scheduler } from './common/scheduler.ts';
import { type Upgrade, UpgradeServer } from './common/upgrade-server.ts';
import { Voice } from './common/voice.ts';
import type { OpenAiSimulator, OpenAiSimulatorOptions, SimulatedConnection } from './openai/api.ts';
import { Connection } from './openai/connection.ts';
import { resolveOptions, type Settings } from './openai/core.ts';
import { DIALECTS } from './openai/dialects.ts';
import { DOORS, type Door, type HttpRefusal, pathOf, protocolsOf, type Wish } from './openai/doors.ts';
import { checkFaults, knownFault } from './openai/faults.ts';
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
  readonly #settings: Settings;
  readonly #onEvent: OpenAiSimulatorOptions['onEvent'];
  readonly #server: UpgradeServer;
  readonly #scheduler: Scheduler;
  readonly #voice: Voice;
  readonly #shelf = new Shelf();
  readonly #arrivals = new Arrivals<SimulatedConnection>();
  #closing: Promise<void> | undefined;

  constructor(options: OpenAiSimulatorOptions) {
    this.#settings = resolveOptions(options);
    checkFaults(this.#settings.faults);
    this.#onEvent = options.onEvent;
    this.#scheduler = new Scheduler(this.#settings.clock);
    this.#voice = new Voice(this.#settings.seed);
    this.#server = new UpgradeServer({
      settings: this.#settings,
      scheduler: this.#scheduler,
      errorBody: (_status, message) => httpBody(message),
      protocol: 'realtime',
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
    return this.#server.url + pathOf(this.#settings.dialect);
  }

  nextConnection(): Promise<SimulatedConnection> {
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
    const url = new URL(request.url ?? '/', 'http://localhost');
    const visit = this.#admit(request, url, index);
    if ('status' in visit) refuse(visit.status, httpBody(visit.message));
    else accept((ws) => this.#open(ws, visit));
  }

  #admit(request: IncomingMessage, url: URL, index: number): Visit | HttpRefusal {
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
    this.#arrivals.add(connection);
    connection.open();
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
