import { type Agent, type AgentDigits, lineCheckAgent, voiceAgent } from '../agents.ts';
import type { MachinePolicy } from '../answering-machine.ts';
import { createTranscoder } from '../audio/transcode.ts';
import type { BridgeOptions } from '../bridge-options.ts';
import { CallDesk } from '../call-desk.ts';
import { PublicAddresses } from '../call-urls.ts';
import type { Carrier, CarrierName, IncomingCall } from '../carrier.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { BridgeError } from '../errors.ts';
import { limitsFor } from '../fallback/breaker-limits.ts';
import { Breakers } from '../fallback/breakers.ts';
import type { Log } from '../log.ts';
import { MediaSockets } from '../media-socket.ts';
import { createMetrics, type Metrics } from '../metrics.ts';
import { Pacer } from '../pacer.ts';
import type { PlaceOrder } from '../placed-calls.ts';
import type { Random } from '../random.ts';
import { Reception } from '../reception.ts';
import { bridgeRecords, type RecordedBy, type RecordingPlan } from '../recording-terms.ts';
import { type Assignment, type Roster, soleAgent } from '../roster.ts';
import { SessionManager } from '../session-manager.ts';
import { Stranded } from '../stranded.ts';
import type { Traces } from '../telemetry/traces.ts';
import type { Tool } from '../tools.ts';
import type { WebhookDoorDeps } from '../webhook-door.ts';
import { tellBreaker } from './breaker-news.ts';
import { countEvent, hasTool } from './call-figures.ts';
import { makeCarriers } from './carriers.ts';
import type { SharedParts } from './crew.ts';
import { candidatesFor, providersOf } from './providers.ts';
import type { Recordings } from './recordings.ts';

/** What a service is made of, beside what its user says. */
export interface ServiceParts extends BridgeOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Takes the place of every carrier's secret where none is configured. */
  readonly localAuthToken: string | undefined;
  /** Where carriers reach the service; asked at every use. */
  readonly publicUrl: () => string;
  /** What is done when a machine answers; default: what was said when the call was ordered. */
  readonly machineFor?: ((call: IncomingCall) => MachinePolicy) | undefined;
  /** Told of calls before anything happens in them, and when they have ended. */
  readonly watch?: CallWatch | undefined;
  /** What is shared with other processes of the same service; undefined: there are none. */
  readonly shared?: SharedParts | undefined;
  /** Has calls of the only agent wait to be let in, as a start webhook does. */
  readonly ask?: Assignment['ask'];
}

/** Whoever has to know which calls a service has. Must not throw. */
export interface CallWatch {
  begun(carrier: CarrierName, callId: string): void;
  ended(carrier: CarrierName, callId: string): void;
}

/** A service without its HTTP server. */
export interface Service {
  readonly carriers: ReadonlyMap<CarrierName, Carrier>;
  readonly manager: SessionManager;
  readonly desk: CallDesk;
  readonly media: MediaSockets;
  readonly breakers: Breakers;
  readonly metrics: Metrics;
  readonly roster: Roster;
  /** What `createWebhooks` or a `WebhookDoor` is made with. */
  readonly webhooks: WebhookDoorDeps;
  /** Calls that are about to be let in and need room then. */
  readonly pending: () => number;
  /** Of the first provider of agents that name none. */
  readonly providerName: string;
  /** Loads what the first call would otherwise wait for. To be called when the port is open; never rejects. */
  prepare(): Promise<void>;
  /** Ends every call; then, after `between`, gives everything back. To be called once. */
  close(between: () => Promise<void>): Promise<void>;
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

/** Every object of a service, once, nothing global. Rejects with BAD_CONFIG for what cannot be had. */
export async function assembleService(options: ServiceParts): Promise<Service> {
  const { config, clock, log, random, localAuthToken, publicUrl } = options;
  const metrics = createMetrics();
  const traces = await tracesOf(options);
  const recordings = await recordingsOf(options, metrics);
  const tapes = options.tapes ?? recordings;
  const pacer = new Pacer(clock);
  const providers = providersOf(config, options);
  const tools = options.tools ?? [];
  // Agents of a file are no line check, also where nothing else can be had.
  const isLineCheck = config.agentsFile === undefined && providers.usual[0] === 'local';
  const agent = withDigits(options.agent ?? makeAgent(config, isLineCheck, tools), options.digits);
  const carriers = await makeCarriers({
    config,
    localAuthToken,
    publicUrl,
    insecure: options.insecure ?? false,
    clock,
    log,
    random,
    fetch: recordings?.fetch ?? options.fetch,
  });
  const addresses = new PublicAddresses(publicUrl);
  const desk = new CallDesk({
    clock,
    random,
    log,
    metrics,
    carriers,
    addresses,
    agentName: (carrier, order) => agentName(carrier, order),
    agents: () => roster.agents,
    prepareRecording: () => recordings?.prepare() ?? Promise.resolve(),
    onGivenUp: ({ view, ref }) => {
      if (ref?.callId !== undefined) reception.callOver(view.carrier, ref.callId);
    },
    onEnd: (record) =>
      accounts?.unanswered(record, roster.reportOf(record.view, desk.orderOf(record.view.id)?.variables)),
    manager: () => manager,
  });
  const breakers = new Breakers({
    clock,
    random: () => random.fraction(),
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
    random,
    tapes,
    callsToCome: () => desk.pending + reception.pending,
    callOff: () => desk.callOff(),
    onBegin(session, { account }) {
      options.watch?.begun(session.carrier.name, session.callId);
      desk.begun(session, recordings?.takeFolder(session.carrier.name, session.callId));
      accounts?.begin(session, account);
    },
    onEnded(session, reason) {
      options.watch?.ended(session.carrier.name, session.callId);
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
      countEvent(metrics, session, event);
      traces?.on(carrier, callId, event, (tool) => hasTool(session, tool));
      options.observe?.(callId, event);
    },
  });
  const { by } = config.recordings;
  const recording: RecordingPlan | undefined = by && { by, redact: undefined };
  const machineFor = options.machineFor ?? ((call: IncomingCall): MachinePolicy => desk.machineFor(call));
  const crew =
    config.agentsFile === undefined
      ? undefined
      : await (await import('./crew.ts')).assembleCrew({
          path: config.agentsFile,
          env: options.env ?? {},
          dataDir: config.dataDir,
          shared: options.shared,
          base: agent,
          tools,
          providers,
          machineFor,
          orderFor: ({ ref }) => desk.orderOf(ref),
          recording,
          onFile: (file) => recordings?.onFile(file) ?? Promise.resolve(),
          clock,
          log,
          metrics,
        });
  const accounts = crew?.accounts(desk.records);
  // Agents of a file may do without the usual provider, which then is not even loaded.
  const wishFor = ({ ref }: IncomingCall): RecordedBy | undefined => desk.orderOf(ref)?.recording;
  const roster =
    crew?.staff ??
    soleAgent(agent, await candidatesFor(agent, providers, options), machineFor, {
      plan: recording,
      wishFor,
      ask: options.ask,
    });
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
    prepareRecording: () => recordings?.prepare() ?? Promise.resolve(),
    metrics,
    epoch: () => clock.epoch(),
  });
  const media = new MediaSockets({ carriers, manager, clock, log, metrics });
  const webhooks: WebhookDoorDeps = {
    carriers,
    manager,
    desk,
    reception,
    clock,
    log,
    metrics,
    tapes,
    stranded: new Stranded({ roster, addresses, log, onGiven: ({ type }) => metrics.lastResort(type) }),
    onLateRecording: (carrier, { callId, url, durationS }) => {
      if (url !== undefined) accounts?.recording(carrier, callId, url, durationS);
    },
  };
  const close = async (between: () => Promise<void>): Promise<void> => {
    // Both take nothing more from here on, before anything is waited for. The desk puts down how the sessions end.
    reception.close();
    await Promise.all([manager.close(), desk.close()]);
    // How sockets are dropped when the process stops is nothing of a call's.
    await tapes?.close();
    media.close();
    pacer.close();
    await between();
    if (accounts !== undefined) await crew?.close(accounts);
    await providers.registry.close();
  };
  return {
    carriers,
    manager,
    desk,
    media,
    breakers,
    metrics,
    roster,
    webhooks,
    pending: () => desk.pending + reception.pending,
    providerName: providers.usual[0],
    prepare: () => providers.registry.prepare(),
    close,
  };
}

/** Loaded only where somebody wants spans. Rejects with BAD_CONFIG when they cannot be had. */
async function tracesOf({ config, clock, log }: ServiceParts): Promise<Traces | undefined> {
  if (config.traces === 'no') return undefined;
  const { loadTraces } = await import('../telemetry/traces.ts');
  return await loadTraces(config, { clock, log });
}

/** Loaded only where somebody can want a recording. Rejects with BAD_CONFIG when one is wanted that there cannot be. */
async function recordingsOf(options: ServiceParts, metrics: Metrics): Promise<Recordings | undefined> {
  const { config, clock, log, publicUrl, localAuthToken, fetch } = options;
  const isWanted = bridgeRecords(config.recordings.by);
  const mayBe = isWanted || config.agentsFile !== undefined || config.apiToken !== undefined;
  if (options.tapes !== undefined || !mayBe) return undefined;
  const { Recordings } = await import('./recordings.ts');
  const recordings = new Recordings({
    config,
    clock,
    log,
    metrics,
    publicUrl,
    leadMs: options.leadMs ?? LEAD_MS,
    simulated: localAuthToken !== undefined,
    fetch,
    secrets: [localAuthToken],
  });
  if (isWanted) await recordings.prepare();
  return recordings;
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
