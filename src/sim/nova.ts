import { once } from 'node:events';
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { Arrivals } from './common/arrivals.ts';
import { FaultScript } from './common/fault-script.ts';
import { Scheduler } from './common/scheduler.ts';
import { Voice } from './common/voice.ts';
import type { NovaSimulator, NovaSimulatorOptions, SimulatedConnection } from './nova/api.ts';
import { Connection } from './nova/connection.ts';
import { checkFaults, type FaultRule } from './nova/faults.ts';
import { errorTypeOf, readWish } from './nova/request.ts';
import { resolveOptions, type Settings } from './nova/settings.ts';

export type { LoggedEvent } from './common/event-log.ts';
export type { PlannedCall, PlannedMessage, PlannedOutput } from './common/plan.ts';
export type {
  AudioStatistics,
  Hearing,
  HistoryEntry,
  NovaError,
  NovaEvent,
  NovaSimulator,
  NovaSimulatorOptions,
  ReceivedResult,
  ResponsePlan,
  SessionConfig,
  SimulatedConnection,
  ToolSpec,
  Turn,
  TurnKind,
} from './nova/api.ts';
export type { FaultAction, FaultMoment, FaultRule, KnownError } from './nova/faults.ts';

/**
 * Starts a server that speaks the protocol of Amazon Nova 2 Sonic (HTTP/2 without TLS, AWS event-stream framing) on the
 * loopback interface. Without a script it answers every turn with a speech-like babble and a transcript that says how
 * much speech it heard. Rejects with BAD_INPUT for a fault script that cannot work, and with the system's error when
 * the port cannot be had.
 */
export async function startNovaSimulator(options: NovaSimulatorOptions = {}): Promise<NovaSimulator> {
  const simulator = new Simulator(options);
  await simulator.listen();
  return simulator;
}

class Simulator implements NovaSimulator {
  readonly #settings: Settings;
  readonly #onEvent: NovaSimulatorOptions['onEvent'];
  readonly #http: Http2Server;
  /** By the client's port, for an HTTP/2 session does not hand its socket out. */
  readonly #sockets = new Map<number, Socket>();
  readonly #scheduler: Scheduler;
  readonly #voice: Voice;
  readonly #arrivals = new Arrivals<SimulatedConnection>();
  #attempts = 0;
  #closing: Promise<void> | undefined;

  constructor(options: NovaSimulatorOptions) {
    this.#settings = resolveOptions(options);
    checkFaults(this.#settings.faults);
    this.#onEvent = options.onEvent;
    this.#scheduler = new Scheduler(this.#settings.clock);
    this.#voice = new Voice(this.#settings.seed);
    this.#http = createServer();
    this.#http.on('connection', (socket: Socket) => this.#track(socket));
    this.#http.on('stream', (stream, headers) => this.#onStream(stream, headers));
    // A client that cuts the connection is no error of ours.
    this.#http.on('sessionError', () => {});
  }

  get connections(): readonly SimulatedConnection[] {
    return this.#arrivals.list;
  }

  async listen(): Promise<void> {
    this.#http.listen(this.#settings.port, this.#settings.host);
    await once(this.#http, 'listening');
  }

  get port(): number {
    return (this.#http.address() as AddressInfo | null)?.port ?? 0;
  }

  get url(): string {
    return `http://${this.#settings.host}:${this.port}`;
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
    const stopped = once(this.#http, 'close');
    this.#http.close();
    for (const connection of this.connections) connection.drop();
    for (const socket of this.#sockets.values()) socket.resetAndDestroy();
    await Promise.all([stopped, ...this.connections.map((connection) => connection.closed)]);
    this.#scheduler.stop();
  }

  #track(socket: Socket): void {
    const port = socket.remotePort ?? 0;
    this.#sockets.set(port, socket);
    socket.on('close', () => this.#sockets.delete(port));
    socket.on('error', () => {});
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const index = this.#attempts++;
    stream.on('error', () => {});
    const port = stream.session?.socket.remotePort ?? 0;
    const cutOff = (): void => {
      this.#sockets.get(port)?.resetAndDestroy();
    };
    for (const rule of new FaultScript(this.#settings.faults, index).happened('connect')) {
      if (rule.do === 'stall') return;
      if (rule.do === 'drop') {
        cutOff();
        return;
      }
      if (rule.do === 'http') {
        refuseAsTold(stream, rule);
        return;
      }
    }
    const wish = readWish(headers, this.#settings.accessKeyId, this.#settings.models);
    if ('status' in wish) {
      refuse(stream, wish.status, wish.errorType, JSON.stringify({ message: wish.message }));
      return;
    }
    const accept = (): void => this.#open(stream, headers, wish.model, index, cutOff);
    if (this.#settings.handshakeDelayMs === 0) accept();
    else this.#scheduler.after(this.#settings.handshakeDelayMs, accept);
  }

  #open(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    model: string,
    index: number,
    cutOff: () => void,
  ): void {
    if (stream.destroyed) return;
    const connection = new Connection({
      stream,
      index,
      model,
      headers,
      settings: this.#settings,
      scheduler: this.#scheduler,
      voice: this.#voice,
      cutOff,
      onEvent: this.#onEvent,
    });
    this.#arrivals.add(connection);
    connection.open();
  }
}

function refuseAsTold(stream: ServerHttp2Stream, rule: Extract<FaultRule, { do: 'http' }>): void {
  const errorType = rule.errorType ?? errorTypeOf(rule.status);
  const message = rule.message ?? `The request was refused (${errorType}).`;
  refuse(stream, rule.status, errorType, rule.body ?? JSON.stringify({ message }));
}

function refuse(stream: ServerHttp2Stream, status: number, errorType: string, body: string): void {
  stream.respond({ ':status': status, 'content-type': 'application/json', 'x-amzn-errortype': errorType });
  // The client goes on sending until it reads the answer; nobody needs that.
  stream.resume();
  stream.end(body, () => {
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}
