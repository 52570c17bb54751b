import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { type Agent, type AgentDigits, lineCheckAgent, voiceAgent } from './agents.ts';
import type { MachinePolicy } from './answering-machine.ts';
import { createTranscoder } from './audio/transcode.ts';
import { CallDesk } from './call-desk.ts';
import type { CallEvent, CallObserver } from './call-events.ts';
import { PublicAddresses } from './call-urls.ts';
import type { CarrierName, IncomingCall } from './carrier.ts';
import { type Clock, systemClock } from './clock.ts';
import type { Config, Env } from './config.ts';
import { modelName } from './cost/call-bill.ts';
import { BridgeError } from './errors.ts';
import { limitsFor } from './fallback/breaker-limits.ts';
import { Breakers } from './fallback/breakers.ts';
import { createLog, type Log } from './log.ts';
import { MediaSockets } from './media-socket.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { createOperators } from './operators.ts';
import { Pacer } from './pacer.ts';
import type { PlaceOrder } from './placed-calls.ts';
import type { RealtimeProvider } from './provider.ts';
import type { ProviderHooks } from './provider-hooks.ts';
import type { ProviderEntry } from './provider-registry.ts';
import { Reception } from './reception.ts';
import { type Outlook, soleAgent } from './roster.ts';
import { tellBreaker } from './server/breaker-news.ts';
import { hasCarrier, makeCarriers } from './server/carriers.ts';
import { candidatesFor, providersOf } from './server/providers.ts';
import type { Session } from './session.ts';
import { SessionManager } from './session-manager.ts';
import { settleWithin } from './settle.ts';
import { Stranded } from './stranded.ts';
import type { Tool } from './tools.ts';
import { createWebhooks } from './webhooks.ts';

export interface BridgeOptions {
  readonly config: Config;
  /**
   * Who takes the calls: one that is there, which the bridge does not close, or the name of a known one; of several the
   * first, and the others when it fails. Default: the list of `agent`, else `PROVIDER`.
   */
  readonly provider?: RealtimeProvider | string | readonly (RealtimeProvider | string)[];
  /** Providers of one's own, which agents of a file may name too; see `defineProvider`. */
  readonly providers?: readonly ProviderEntry[];
  /** Told of every session with a provider. */
  readonly hooks?: readonly ProviderHooks[];
  /** Default: made from the configuration. Nothing to do with an agents file. */
  readonly agent?: Agent;
  /** Functions that the model may call, beside the built-in ones; agents of a file have to list them. */
  readonly tools?: readonly Tool[];
  /** What becomes of the keys that callers press, in the place of what the agent says of it. */
  readonly digits?: Partial<AgentDigits>;
  /** Told of everything that happens in calls; must not throw and must not keep the caller waiting. */
  readonly observe?: CallObserver;
  /** What `${NAME}` in the agents file stands for. */
  readonly env?: Env;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Accepts webhooks and media without a signature. For experiments behind a closed door. */
  readonly insecure?: boolean;
  /** How far ahead of the caller's ear the carrier is given speech; default 1000 ms. */
  readonly leadMs?: number;
}

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

const LEAD_MS = 1000;
/** What is known of a call before it is placed. */
const OUTBOUND = {
  callId: '',
  direction: 'outbound',
  callerName: undefined,
  ref: undefined,
  control: 'document',
} as const;
const CLOSE_GRACE_MS = 500;

/** Builds the service: every object once, nothing global. */
export async function createBridge(options: BridgeOptions): Promise<Bridge> {
  const { config } = options;
  const log = options.log ?? createLog(config.logLevel);
  const clock = options.clock ?? systemClock;
  const metrics = createMetrics();
  const pacer = new Pacer(clock);
  const providers = providersOf(config, options);
  const tools = options.tools ?? [];
  // Agents of a file are no line check, also where nothing else can be had.
  const isLineCheck = config.agentsFile === undefined && providers.usual[0] === 'local';
  const agent = withDigits(options.agent ?? makeAgent(config, isLineCheck, tools), options.digits);
  const localAuthToken = hasCarrier(config) ? undefined : randomBytes(16).toString('hex');
  const http = createServer();
  const publicUrl = (): string => config.publicUrl ?? localUrl(http);
  const carriers = await makeCarriers({
    config,
    localAuthToken,
    publicUrl,
    insecure: options.insecure ?? false,
    clock,
    log,
  });
  const addresses = new PublicAddresses(publicUrl);
  const desk = new CallDesk({
    clock,
    log,
    metrics,
    carriers,
    addresses,
    agentName: (carrier, order) => agentName(carrier, order),
    agents: () => roster.agents,
    onGivenUp: ({ view, ref }) => {
      if (ref?.callId !== undefined) reception.callOver(view.carrier, ref.callId);
    },
    onEnd: (record) =>
      accounts?.unanswered(record, roster.reportOf(record.view, desk.orderOf(record.view.id)?.variables)),
    manager: () => manager,
  });
  const breakers = new Breakers({
    clock,
    limits: limitsFor(config.failover),
    onChange: (report) => tellBreaker({ log, metrics }, report),
  });
  metrics.watchBreakers(() => breakers.report());
  const manager: SessionManager = new SessionManager({
    clock,
    breakers,
    pacer,
    log,
    metrics,
    addresses,
    callsToCome: () => desk.pending + reception.pending,
    callOff: () => desk.callOff(),
    onBegin(session, { account }) {
      desk.begun(session);
      accounts?.begin(session, account);
    },
    onEnded(session, reason) {
      desk.ended(session, reason);
      accounts?.ended(session);
    },
    createTranscoder,
    maxCalls: config.maxCalls,
    leadMs: options.leadMs ?? LEAD_MS,
    observe: (carrier, callId, event) => {
      desk.observe(carrier, callId, event);
      const session = manager.find(carrier, callId);
      accounts?.on(session, event);
      count(metrics, session, event);
      options.observe?.(callId, event);
    },
  });
  const machineFor = (call: IncomingCall): MachinePolicy => desk.machineFor(call);
  const crew =
    config.agentsFile === undefined
      ? undefined
      : await (await import('./server/crew.ts')).assembleCrew({
          path: config.agentsFile,
          env: options.env ?? {},
          dataDir: config.dataDir,
          base: agent,
          tools,
          providers,
          machineFor,
          orderFor: ({ ref }) => desk.orderOf(ref),
          clock,
          log,
          metrics,
        });
  const accounts = crew?.accounts(desk.records);
  // Agents of a file may do without the usual provider, which then is not even loaded.
  const roster = crew?.staff ?? soleAgent(agent, await candidatesFor(agent, providers, options), machineFor);
  const agentName = (carrier: CarrierName, { from, to, agent: wanted }: PlaceOrder): string | undefined => {
    if (roster.spent({ ...OUTBOUND, from, to }) !== undefined) {
      throw new BridgeError('OVER_CAPACITY', 'no call can be placed: what may be spent today has been spent');
    }
    if (wanted !== undefined) return roster.knows(wanted) ? wanted : undefined;
    return roster.route(carrier, { ...OUTBOUND, from, to }).agent;
  };
  const reception: Reception = new Reception({
    roster,
    manager: () => manager,
    log,
    gaveUp: (ref) => desk.gaveUp(ref),
    metrics,
    epoch: () => clock.epoch(),
  });
  const media = new MediaSockets({ carriers, manager, clock, log, metrics });
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  const { apiToken: token, maxCalls, maxCallMs } = config;
  app.use(createOperators({ desk, manager, breakers, clock, log, metrics, token, maxCalls, maxCallMs }));
  const webhooks = createWebhooks({
    carriers,
    manager,
    desk,
    reception,
    clock,
    log,
    metrics,
    stranded: new Stranded({ roster, addresses, log, onGiven: ({ type }) => metrics.lastResort(type) }),
    onLateRecording: (carrier, { callId, url, durationS }) => {
      if (url !== undefined) accounts?.recording(carrier, callId, url, durationS);
    },
  });
  // A proxy may pass the path of PUBLIC_URL on, or strip it.
  if (config.publicUrl !== undefined) app.use(new URL(config.publicUrl).pathname, webhooks);
  app.use(webhooks);
  app.use((_request, response) => response.status(404).end());
  http.on('request', app);
  http.on('upgrade', media.onUpgrade);
  http.requestTimeout = 15_000;
  let closing: Promise<void> | undefined;
  const closeAll = async (): Promise<void> => {
    // Both take nothing more from here on, before anything is waited for. The desk puts down how the sessions end.
    reception.close();
    await Promise.all([manager.close(), desk.close()]);
    media.close();
    pacer.close();
    if (http.listening) {
      // What the carrier is asking right now is answered; then whoever is still connected is cut off.
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeIdleConnections();
      await settleWithin(clock, CLOSE_GRACE_MS, [closed]);
      http.closeAllConnections();
      await closed;
    }
    if (accounts !== undefined) await crew?.close(accounts);
    await providers.registry.close();
  };
  const close = (): Promise<void> => {
    closing ??= closeAll();
    return closing;
  };
  return {
    localAuthToken,
    get agents() {
      return roster.agents;
    },
    carriers: [...carriers.keys()],
    providerName: providers.usual[0],
    outlook: (name) => roster.outlook(name),
    get calls() {
      return manager.size;
    },
    listen: () => listen(http, config),
    drain: () => manager.drain(config.drainMs),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** What is counted while a call is up. */
function count(metrics: Metrics, session: Session | undefined, event: CallEvent): void {
  switch (event.type) {
    case 'usage':
      metrics.tokensUsed(modelName(event), event.usage);
      break;
    case 'tool': {
      // By names that there are: those that a model makes up may be anything.
      const known = session?.agent.tools.some(({ definition }) => definition.name === event.name) === true;
      metrics.functionCalled(known ? event.name : '[unknown]', event.outcome);
      break;
    }
    case 'providerReady':
      metrics.providerReady(event);
      break;
    case 'providerFailed':
      metrics.providerFailed(event);
      break;
    case 'failover':
      metrics.failedOver(event);
      break;
    default:
  }
}

function withDigits(agent: Agent, digits: Partial<AgentDigits> | undefined): Agent {
  return digits === undefined ? agent : { ...agent, digits: { ...agent.digits, ...digits } };
}

function makeAgent(config: Config, isLineCheck: boolean, tools: readonly Tool[]): Agent {
  const { instructions, greeting, language, audio } = config.agent;
  const { maxCallMs, silenceMs, failover, lastResort } = config;
  const text = {
    instructions,
    greeting,
    language,
    audio,
    maxCallMs,
    silenceMs,
    failover,
    lastResort,
    voice: undefined,
  };
  if (isLineCheck) return lineCheckAgent(text, tools);
  return { ...voiceAgent(text, tools), transcribeCaller: config.openai.transcriptionModel !== '' };
}

function listen(http: Server, config: Config): Promise<string> {
  return new Promise((resolve, reject) => {
    http.once('error', (cause) => {
      const place = `${config.host}:${config.port}`;
      reject(new BridgeError('BAD_CONFIG', `cannot listen on ${place}: ${cause.message}`, { cause }));
    });
    http.listen(config.port, config.host, () => resolve(localUrl(http)));
  });
}

/** The address by which this machine itself reaches the server. */
function localUrl(http: Server): string {
  const address = http.address() as AddressInfo | null;
  if (address === null) throw new BridgeError('INTERNAL', 'the server does not listen yet');
  const any = address.address === '0.0.0.0' || address.address === '::';
  const host = any ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
