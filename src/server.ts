import { createServer, type Server } from 'node:http';
import express from 'express';
import type { BridgeOptions } from './bridge-options.ts';
import type { CarrierName } from './carrier.ts';
import { systemClock } from './clock.ts';
import { createLog, type Log } from './log.ts';
import { createOperators } from './operators.ts';
import { systemRandom } from './random.ts';
import type { Outlook } from './roster.ts';
import { listenOn, localUrl, newLocalAuthToken } from './server/port.ts';
import { assembleService, type Service, type ServiceParts } from './server/service.ts';
import { settleWithin } from './settle.ts';
import { createWebhooks } from './webhooks.ts';

export interface Bridge extends AsyncDisposable {
  /** Resolves to the address listened on. Rejects with BAD_CONFIG when the port is taken. */
  listen(): Promise<string>;
  /**
   * Secret that signs calls to a bridge without a configured carrier, for the simulated phone: an auth token, or the
   * origin of the key (its seed is the SHA-256) where a carrier signs with one.
   */
  readonly localAuthToken: string | undefined;
  /** Those that are configured, or all of them. */
  readonly carriers: readonly CarrierName[];
  readonly calls: number;
  /** Names of those who may take calls. */
  readonly agents: readonly string[];
  /** Of the first provider of agents that name none. */
  readonly providerName: string;
  /** Who holds the calls of an agent, and what callers get when nobody can; undefined: there is no such agent. */
  outlook(agent: string): Outlook | undefined;
  /** Not ready any more; live calls go on for at most the configured time. */
  drain(): Promise<void>;
  /** Ends every call and gives everything back. Idempotent. */
  close(): Promise<void>;
}

const CLOSE_GRACE_MS = 500;

/** What a bridge is given that shares its port with others: it listens on a local socket, and is known by another address. */
export interface Seat extends Pick<ServiceParts, 'localAuthToken' | 'watch' | 'shared'> {
  readonly socketPath: string;
  /** Where the port is. */
  readonly localUrl: string;
}

/** A bridge and what it is made of. */
export interface AssembledBridge {
  readonly bridge: Bridge;
  readonly http: Server;
  readonly service: Service;
}

/** Builds the service and its HTTP server. */
export async function createBridge(options: BridgeOptions): Promise<Bridge> {
  return (await assembleBridge(options)).bridge;
}

/** The same with its parts; `seat`: of a bridge that is one of several. */
export async function assembleBridge(options: BridgeOptions, seat?: Seat): Promise<AssembledBridge> {
  const { config } = options;
  const log = options.log ?? createLog(config.logLevel);
  const clock = options.clock ?? systemClock;
  const { localAuthToken } = seat ?? { localAuthToken: newLocalAuthToken(config) };
  const http = createServer();
  const publicUrl = (): string => config.publicUrl ?? seat?.localUrl ?? localUrl(http);
  const parts = { log, clock, random: systemRandom, localAuthToken, publicUrl };
  const service = await assembleService({
    ...options,
    ...parts,
    watch: seat?.watch,
    shared: seat?.shared,
  });
  const { manager, desk, breakers, metrics, roster, media, carriers } = service;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  const { apiToken: token, maxCalls, maxCallMs } = config;
  const operators = createOperators({
    desk,
    manager,
    breakers,
    clock,
    log,
    metrics,
    token,
    maxCalls,
    maxCallMs,
  });
  app.use(operators.router);
  const webhooks = createWebhooks(service.webhooks);
  // A proxy may pass the path of PUBLIC_URL on, or strip it.
  if (config.publicUrl !== undefined) app.use(new URL(config.publicUrl).pathname, webhooks);
  app.use(webhooks);
  app.use((_request, response) => response.status(404).end());
  http.on('request', app);
  http.on('upgrade', media.onUpgrade);
  http.requestTimeout = 15_000;
  let preparing: Promise<void> | undefined;
  // Not before the port is open: nobody calls yet, and to be there soon is what counts.
  http.once('listening', () => {
    preparing = prepare([service.prepare, operators.prepare], log);
  });
  const unwatch = metrics.watchEventLoop();
  let closing: Promise<void> | undefined;
  const closeHttp = async (): Promise<void> => {
    if (!http.listening) return;
    // What the carrier is asking right now is answered; then whoever is still connected is cut off.
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeIdleConnections();
    await settleWithin(clock, CLOSE_GRACE_MS, [closed]);
    http.closeAllConnections();
    await closed;
  };
  const close = (): Promise<void> => {
    closing ??= Promise.all([service.close(closeHttp), preparing]).then(unwatch);
    return closing;
  };
  const bridge: Bridge = {
    localAuthToken,
    get agents() {
      return roster.agents;
    },
    carriers: [...carriers.keys()],
    providerName: service.providerName,
    outlook: (name) => roster.outlook(name),
    get calls() {
      return manager.size;
    },
    listen: () => (seat === undefined ? listenOn(http, config) : listenAt(http, seat.socketPath)),
    drain: () => manager.drain(config.drainMs),
    close,
    [Symbol.asyncDispose]: close,
  };
  return { bridge, http, service };
}

/** Loads one thing after the other, so that whoever asks for something meanwhile is answered in between. */
async function prepare(parts: readonly (() => Promise<void>)[], log: Log): Promise<void> {
  for (const part of parts) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    await part().catch((thrown: unknown) => {
      // It is loaded, or fails, where it is needed.
      log.warn({ err: thrown }, 'something could not be loaded ahead of its use');
    });
  }
}

function listenAt(http: Server, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(path, () => resolve(path));
  });
}
