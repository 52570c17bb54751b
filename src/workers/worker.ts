import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { carrierNamed } from '../carrier.ts';
import { loadConfig } from '../config.ts';
import { BridgeError } from '../errors.ts';
import { createLog, type Log } from '../log.ts';
import type { CallWatch } from '../server/service.ts';
import { type AssembledBridge, assembleBridge, type Seat } from '../server.ts';
import { callName, readName } from './call-names.ts';
import type { Facts, Order, SharedDay, StartOrder, Word } from './messages.ts';
import { RemoteDays } from './remote-days.ts';

/** The way to the process that has the port. */
export interface Channel {
  send(word: Word): void;
}

/** One process of several that are one service: has calls and all their media, and hears of the outside by another process. */
export class Worker {
  readonly #channel: Channel;
  readonly #days: RemoteDays;
  /** Questions about days that are not answered. */
  readonly #asked = new Map<number, (day: SharedDay | undefined) => void>();
  #count = 0;
  /** Of calls: what the other process was told last. */
  #told = 0;
  #parts: AssembledBridge | undefined;
  #closing: Promise<void> | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#days = new RemoteDays((name, currency, own) => {
      this.#count += 1;
      const id = this.#count;
      this.#channel.send({ type: 'day', id, name, currency, own });
      return new Promise((resolve) => this.#asked.set(id, resolve));
    });
  }

  /** Begins. Rejects with BAD_CONFIG, and whatever else `createBridge` rejects with. `onLog`: told of the log as soon as there is one. */
  async start(order: StartOrder, onLog: (log: Log) => void): Promise<void> {
    const { env, insecure, slot, localAuthToken, localUrl, socketPath } = order;
    const config = loadConfig(env);
    const log = createLog(config.logLevel).child({ worker: slot });
    onLog(log);
    const watch: CallWatch = {
      begun: (carrier, callId) => this.#onCall('begun', callName(carrier, callId)),
      ended: (carrier, callId) => this.#onCall('ended', callName(carrier, callId)),
    };
    const shared = { days: this.#days, keepsOutbox: slot === 1 };
    const seat: Seat = { watch, shared, localAuthToken, localUrl, socketPath };
    const parts = await assembleBridge({ config, log, env, insecure }, seat);
    this.#parts = parts;
    const { http, bridge } = parts;
    // There is one client, which keeps its connections as long as it likes.
    http.keepAliveTimeout = 0;
    http.on('request', (_request, response) => response.on('close', () => this.#tellLoad()));
    await bridge.listen();
    this.#channel.send({ type: 'ready', facts: factsOf(parts) });
  }

  /** Does what the other process says. `socket`: comes with an `upgrade`. Never throws. */
  obey(order: Exclude<Order, StartOrder>, socket: Socket | undefined): void {
    switch (order.type) {
      case 'ask':
        this.#channel.send({
          type: 'answer',
          id: order.id,
          mine: order.names.some((name) => this.#has(name)),
        });
        break;
      case 'upgrade':
        this.#channel.send({ type: 'taken', id: order.id });
        if (socket !== undefined && this.#parts !== undefined) take(this.#parts.http, socket, order.bytes);
        break;
      case 'beat':
        this.#channel.send({ type: 'beat' });
        break;
      case 'drain':
        void this.#drain();
        break;
      case 'close':
        void this.close();
        break;
      case 'day':
        this.#asked.get(order.id)?.(order.day);
        this.#asked.delete(order.id);
        break;
      case 'spent':
        this.#days.told();
        break;
      default:
        order satisfies never;
    }
  }

  /** Ends every call and gives everything back. Idempotent; never rejects. */
  close(): Promise<void> {
    this.#closing ??= Promise.resolve(this.#parts?.bridge.close()).catch(() => undefined);
    return this.#closing;
  }

  async #drain(): Promise<void> {
    await this.#parts?.bridge.drain();
    this.#channel.send({ type: 'drained' });
  }

  #onCall(type: 'begun' | 'ended', name: string): void {
    this.#told = this.#load;
    this.#channel.send({ type, name, calls: this.#told });
  }

  #tellLoad(): void {
    const calls = this.#load;
    if (calls === this.#told) return;
    this.#told = calls;
    this.#channel.send({ type: 'load', calls });
  }

  get #load(): number {
    const service = this.#parts?.service;
    return service === undefined ? 0 : service.manager.size + service.pending();
  }

  #has(name: string): boolean {
    const service = this.#parts?.service;
    if (service === undefined) return false;
    const { manager, desk, carriers } = service;
    const { kind, carrier, id } = readName(name);
    if (kind === 'record') return desk.records.get(id) !== undefined;
    if (carrier === undefined || carrierNamed(carriers, carrier) === undefined) return false;
    switch (kind) {
      case 'media':
        return manager.owner(carrier, id) !== undefined;
      case 'after':
        return manager.byAfterToken(carrier, id) !== undefined;
      case 'call': {
        const known = manager.known(carrier, id) !== undefined || manager.remembers(carrier, id);
        return known || desk.records.byCall(carrier, id) !== undefined;
      }
      default:
        return false;
    }
  }
}

/** A connection that another process has accepted, with what it has read of it: from here on it is one like any other. */
function take(http: Server, socket: Socket, bytes: Uint8Array): void {
  // As a server has them.
  socket.allowHalfOpen = true;
  socket.unshift(Buffer.from(bytes));
  http.emit('connection', socket);
}

function factsOf({ bridge, service }: AssembledBridge): Facts {
  const { agents, carriers, providerName } = bridge;
  const outlooks = new Map(
    agents.flatMap((name) => {
      const outlook = service.roster.outlook(name);
      return outlook === undefined ? [] : [[name, outlook] as const];
    }),
  );
  return { agents, carriers, providerName, outlooks };
}

/** Why a worker cannot begin, for the other process to say. */
export function failureOf(thrown: unknown): Word {
  const { code, plainMessage } = BridgeError.from(thrown);
  return { type: 'failed', code, message: plainMessage };
}
