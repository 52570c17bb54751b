import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallEvent } from '../../call-events.ts';
import type { CarrierName } from '../../carrier.ts';
import { type Clock, systemClock } from '../../clock.ts';
import { type Env, loadConfig } from '../../config.ts';
import { createLog, type Log } from '../../log.ts';
import { type Bridge, createBridge } from '../../server.ts';
import { type CallOptions, type Exchange, type SimulatedCall, startExchange } from '../../sim/phone.ts';
import type { Tool } from '../../tools.ts';
import { newAccount, settingsFor } from '../simulated-account.ts';
import { TURN_SILENCE_MS } from './gap.ts';
import {
  type StandIn,
  type StandInName,
  type StandInOptions,
  type StandInSession,
  startStandIn,
} from './stand-ins.ts';

/** How an agent of a drill tries to have a provider; see `failover` in the agents file. */
export interface DrillFailover {
  readonly connectSeconds?: number;
  readonly hedgeSeconds?: number;
  readonly answerSeconds?: number;
  readonly filler?: false;
}

export interface StageOptions {
  readonly carrier: CarrierName;
  /** Telnyx: by Call Control. Default: the carrier's answer document. */
  readonly route?: 'voice' | 'events' | undefined;
  /** In the order of the agent's list. */
  readonly providers: readonly (readonly [StandInName, StandInOptions])[];
  /** What the agent says first; default: it waits for the caller. */
  readonly greeting?: string | undefined;
  readonly tools?: readonly Tool[] | undefined;
  /** Names of functions that the service brings along. */
  readonly builtIn?: readonly string[] | undefined;
  readonly failover?: DrillFailover | undefined;
  /** Further settings of the service, when the simulated providers are there. */
  readonly env?: ((standIns: readonly StandIn[]) => Env) | undefined;
  readonly calls?: Partial<CallOptions> | undefined;
  readonly clock?: Clock | undefined;
  readonly log?: Log | undefined;
}

/** The agent's instructions end so, and by that a session is known to be one of a call. */
function callMark(callId: string): string {
  return `call=${callId};`;
}

/** One call on the stage: the phone, what the service tells of it, and the sessions that were opened for it. */
export class StagedCall {
  readonly phone: SimulatedCall;
  /** By the clock of the stage. */
  readonly placedMs: number;
  readonly #stage: Stage;

  constructor(stage: Stage, phone: SimulatedCall, placedMs: number) {
    this.#stage = stage;
    this.phone = phone;
    this.placedMs = placedMs;
  }

  /** What the service has told of this call. `atMs` counts from the webhook. */
  get events(): readonly CallEvent[] {
    return this.#stage.eventsOf(this.phone.callId).map(({ event }) => event);
  }

  /** The same, with the time by the clock of the stage. */
  get stamped(): readonly StampedEvent[] {
    return this.#stage.eventsOf(this.phone.callId);
  }

  /** Sessions with simulated providers that were opened for this call, in order. */
  get sessions(): readonly StandInSession[] {
    const mark = callMark(this.phone.callId);
    return this.#stage.standIns
      .flatMap(({ sessions }) => sessions)
      .filter(({ instructions }) => instructions.includes(mark))
      .sort((a, b) => a.openedMs - b.openedMs);
  }

  /** The next event of this type that `accept` takes; one that has happened already counts. */
  event<T extends CallEvent['type']>(
    type: T,
    accept: (event: Extract<CallEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<CallEvent, { type: T }>> {
    return this.#stage.until(() =>
      this.events.find(
        (event): event is Extract<CallEvent, { type: T }> => event.type === type && accept(event as never),
      ),
    );
  }

  /** Resolves as soon as `find` finds something; looked at whenever the service or a provider does something. */
  until<T>(find: () => T | undefined): Promise<T> {
    return this.#stage.until(find);
  }
}

/** An event of the service with its time by the clock of the stage. */
export interface StampedEvent {
  readonly clockMs: number;
  readonly event: CallEvent;
}

/**
 * The real service with signatures on, an agent that has several providers, simulated providers, and a telephone exchange.
 * Everything on this machine; closed with the stage.
 */
export class Stage implements AsyncDisposable {
  readonly clock: Clock;
  readonly standIns: StandIn[] = [];
  bridge!: Bridge;
  exchange!: Exchange;
  readonly #options: StageOptions;
  readonly #events = new Map<string, StampedEvent[]>();
  readonly #waiting = new Set<() => void>();
  #url = '';
  #folder: string | undefined;
  #secret = '';

  private constructor(options: StageOptions) {
    this.#options = options;
    this.clock = options.clock ?? systemClock;
  }

  /** Rejects with a BridgeError when something cannot be started; then nothing is left behind. */
  static async open(options: StageOptions): Promise<Stage> {
    const stage = new Stage(options);
    try {
      await stage.#open();
      return stage;
    } catch (thrown) {
      await stage[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  standIn(name: StandInName): StandIn {
    const found = this.standIns.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not on the stage`);
    return found;
  }

  eventsOf(callId: string): readonly StampedEvent[] {
    return this.#events.get(callId) ?? [];
  }

  /** Somebody calls. */
  place(options: Partial<CallOptions> = {}): StagedCall {
    const { carrier, route = 'voice' } = this.#options;
    const placedMs = this.clock.now();
    const phone = this.exchange.placeCall({
      webhookUrl: `${this.#url}/${route}/${carrier}`,
      statusCallbackUrl: `${this.#url}/status/${carrier}`,
      authToken: this.#secret,
      ...options,
    });
    return new StagedCall(this, phone, placedMs);
  }

  /** Resolves as soon as `find` finds something. */
  until<T>(find: () => T | undefined): Promise<T> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = find();
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** What `/readyz` of the service answers. */
  async readiness(): Promise<unknown> {
    return await (await fetch(`${this.#url}/readyz`, { headers: { connection: 'close' } })).json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.bridge as Bridge | undefined)?.close();
    await (this.exchange as Exchange | undefined)?.[Symbol.asyncDispose]();
    await Promise.all(this.standIns.map((one) => one[Symbol.asyncDispose]()));
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  async #open(): Promise<void> {
    const { carrier, providers, tools = [], calls, log } = this.#options;
    for (const [name, options] of providers) {
      this.standIns.push(await startStandIn(name, this.#watched(options)));
    }
    const account = newAccount(carrier);
    this.#secret = account.secret;
    this.exchange = await startExchange({
      carrier,
      clock: this.clock,
      defaults: { accountSid: account.id, authToken: account.secret, ...calls },
    });
    this.#folder = await mkdtemp(join(tmpdir(), 'patchcord-drill-'));
    const agentsFile = join(this.#folder, 'agents.yaml');
    await writeFile(agentsFile, this.#agents());
    this.bridge = await createBridge({
      config: loadConfig({
        ...Object.assign({}, ...this.standIns.map(({ env }) => env)),
        ...Object.fromEntries(settingsFor(carrier, account, this.exchange.restBaseUrl ?? '')),
        PORT: '0',
        HOST: '127.0.0.1',
        LOG_LEVEL: 'fatal',
        AGENTS_FILE: agentsFile,
        DATA_DIR: join(this.#folder, 'data'),
        ...this.#options.env?.(this.standIns),
      }),
      tools,
      clock: this.clock,
      log: log ?? createLog('fatal'),
      observe: (callId, event) => this.#observe(callId, event),
    });
    this.#url = await this.bridge.listen();
  }

  /** JSON is YAML. */
  #agents(): string {
    const { providers, tools = [], builtIn = [], greeting, failover } = this.#options;
    const agent = {
      instructions: `You count. ${callMark('{{call_id}}')}`,
      greeting: greeting ?? false,
      providers: providers.map(([name]) => name),
      tools: [...tools.map(({ definition }) => definition.name), ...builtIn],
      turnDetection: { silenceMs: TURN_SILENCE_MS },
      silence: false,
      filler: false,
      ...(failover === undefined ? {} : { failover }),
    };
    return JSON.stringify({ agents: { drill: agent }, numbers: [{ number: '*', agent: 'drill' }] });
  }

  #watched(options: StandInOptions): StandInOptions {
    return {
      ...options,
      clock: options.clock ?? this.clock,
      onEvent: (session, stamp) => {
        options.onEvent?.(session, stamp);
        this.#changed();
      },
    };
  }

  #observe(callId: string, event: CallEvent): void {
    const events = this.#events.get(callId) ?? [];
    this.#events.set(callId, events);
    events.push({ clockMs: this.clock.now(), event });
    this.#changed();
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }
}
