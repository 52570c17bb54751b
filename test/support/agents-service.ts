import { onTestFinished } from 'vitest';
import type { CallEvent } from '../../src/call-events.ts';
import type { Clock } from '../../src/clock.ts';
import { type Env, loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { type Bridge, createBridge } from '../../src/server.ts';
import {
  type OpenAiSimulator,
  type OpenAiSimulatorOptions,
  type SimulatedConnection,
  startOpenAiSimulator,
  type Turn,
} from '../../src/sim/openai.ts';
import { type CallOptions, type Exchange, type SimulatedCall, startExchange } from '../../src/sim/phone.ts';
import type { Tool } from '../../src/tools.ts';
import { type Folder, makeFolder } from './agents-folder.ts';
import { STYLES, type Style } from './carrier-styles.ts';
import { type Script, scriptedModel } from './scripted-model.ts';

export type Json = Readonly<Record<string, unknown>>;
/** An event of a call, and whose it is. */
export type NotedEvent = CallEvent & { readonly callId: string };
type LogLine = Json & { readonly msg: string; readonly level: number };

const SECRET = '12345678901234567890123456789012';
export const NUMBER = '+15550100200';
export const CALLER = '+15550100123';
/** For `expect.poll`: a machine that is busy is no failure. */
export const PATIENT = { timeout: 10_000 } as const;

export interface AgentsServiceOptions {
  /** The agents file, in YAML. */
  readonly agents: string;
  /** Further files of the folder that it is in. */
  readonly files?: Readonly<Record<string, string>>;
  /** Carriers, the first being the one that is dialled by default; default: Twilio. */
  readonly styles?: readonly Style[];
  readonly env?: Env;
  readonly model?: Script;
  readonly openai?: OpenAiSimulatorOptions;
  readonly exchange?: Omit<NonNullable<Parameters<typeof startExchange>[0]>, 'defaults' | 'carrier'>;
  readonly calls?: Partial<CallOptions>;
  readonly tools?: readonly Tool[];
  readonly clock?: Clock;
}

/** The whole service with an agents file in a folder of its own, carriers' exchanges, and a model with a script. */
export class AgentsService implements AsyncDisposable {
  readonly folder: Folder;
  readonly events: NotedEvent[] = [];
  readonly log: LogLine[] = [];
  readonly exchanges = new Map<string, Exchange>();
  bridge!: Bridge;
  openai!: OpenAiSimulator;
  url = '';
  readonly #options: AgentsServiceOptions;
  readonly #styles: readonly Style[];
  readonly #waiting = new Set<() => void>();

  private constructor(options: AgentsServiceOptions) {
    this.#options = options;
    this.#styles = options.styles ?? STYLES.slice(0, 1);
    this.folder = makeFolder({ 'agents.yaml': options.agents, ...options.files });
  }

  /** Rejects when the bridge cannot be made; then nothing is left behind. */
  static async start(options: AgentsServiceOptions): Promise<AgentsService> {
    const service = new AgentsService(options);
    try {
      await service.#start();
      return service;
    } catch (thrown) {
      await service[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  get style(): Style {
    const [style] = this.#styles;
    if (style === undefined) throw new Error('there is no style');
    return style;
  }

  get exchange(): Exchange {
    return this.exchangeOf(this.style);
  }

  exchangeOf({ name }: Style): Exchange {
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) throw new Error(`there is no exchange for ${name}`);
    return exchange;
  }

  /** Somebody calls. */
  dial(options: Partial<CallOptions> = {}, style: Style = this.style): SimulatedCall {
    const { carrier, route } = style;
    return this.exchangeOf(style).placeCall({
      webhookUrl: `${this.url}/${route}/${carrier}`,
      statusCallbackUrl: `${this.url}/status/${carrier}`,
      from: CALLER,
      to: NUMBER,
      ...options,
    });
  }

  /** A call that is up, whose model is there. */
  async connected(options: Partial<CallOptions> = {}, style: Style = this.style): Promise<SimulatedCall> {
    const call = this.dial(options, style);
    await call.streaming;
    await this.event('providerReady', (event) => event.callId === call.callId);
    return call;
  }

  /** The session of the model with this index, as soon as it is configured. */
  async session(index = 0): Promise<SimulatedConnection> {
    while (this.openai.connections.length <= index) await this.openai.nextConnection();
    const connection = this.openai.connections[index];
    if (connection === undefined) throw new Error(`the model has had no call ${index}`);
    await connection.next('session.updated');
    return connection;
  }

  /** Asks the operators' interface. */
  async api(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: Json }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: 'Bearer operator', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
  }

  async metrics(): Promise<string> {
    const response = await fetch(`${this.url}/metrics`, { headers: { authorization: 'Bearer operator' } });
    return await response.text();
  }

  /** Resolves when an event of this type that `accept` takes has happened. */
  event<T extends CallEvent['type']>(
    type: T,
    accept: (event: Extract<CallEvent, { type: T }> & { readonly callId: string }) => boolean = () => true,
  ): Promise<Extract<CallEvent, { type: T }> & { readonly callId: string }> {
    return this.#until(
      () => this.events.find((event) => event.type === type && accept(event as never)) as never,
    );
  }

  /** The log line of this number, counted from 1, that begins with a text. */
  logged(text: string, count = 1): Promise<LogLine> {
    return this.#until(() => this.lines(text)[count - 1]);
  }

  /** All log lines so far that begin with a text. */
  lines(text: string): readonly LogLine[] {
    return this.log.filter(({ msg }) => msg.startsWith(text));
  }

  /** Resolves when the agent says this, which may be before it is heard. */
  async says(text: string): Promise<void> {
    await this.event('transcript', (event) => event.role === 'assistant' && event.text.includes(text));
  }

  /** Writes the agents file anew and waits until it is in force, or has been found to be broken. */
  async rewrite(agents: string, outcome: 'changed' | 'broken' = 'changed'): Promise<void> {
    const begin = 'the agents file has changed';
    const before = this.lines(begin).length;
    this.folder.write('agents.yaml', agents);
    const line = await this.logged(begin, before + 1);
    const found = line.msg === begin ? 'changed' : 'broken';
    if (found !== outcome) throw new Error(`the agents file is ${found}: ${JSON.stringify(line)}`);
  }

  /** Makes the bridge, and another one on the same folder when the last one was closed. */
  async startBridge(): Promise<void> {
    this.bridge = await this.#bridge();
    this.url = await this.bridge.listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.bridge as Bridge | undefined)?.close();
    await Promise.all([...this.exchanges.values()].map((exchange) => exchange[Symbol.asyncDispose]()));
    await (this.openai as OpenAiSimulator | undefined)?.close();
    this.folder[Symbol.dispose]();
  }

  async #start(): Promise<void> {
    const { exchange, calls, openai, model = [] } = this.#options;
    for (const style of this.#styles) {
      const started = await startExchange({
        ...exchange,
        carrier: style.carrier,
        defaults: { authToken: SECRET, keepAudio: false, ...style.call, ...calls },
      });
      this.exchanges.set(style.name, started);
    }
    this.openai = await startOpenAiSimulator({ firstAudioMs: 20, respond: scriptedModel(model), ...openai });
    await this.startBridge();
  }

  #bridge(): Promise<Bridge> {
    const { env, clock, tools } = this.#options;
    const carriers = this.#styles.map((style) => style.env(SECRET, this.exchangeOf(style).restBaseUrl ?? ''));
    const settings: Env = {
      PORT: '0',
      HOST: '127.0.0.1',
      API_TOKEN: 'operator',
      OPENAI_BASE_URL: this.openai.url,
      OPENAI_API_KEY: 'sk-simulated',
      AGENTS_FILE: this.folder.at('agents.yaml'),
      DATA_DIR: this.folder.at('data'),
      ...Object.assign({}, ...carriers),
      ...env,
    };
    return createBridge({
      config: loadConfig(settings),
      env: settings,
      ...(clock === undefined ? {} : { clock }),
      ...(tools === undefined ? {} : { tools }),
      log: createLog('trace', {
        write: (line: string) => {
          this.log.push(JSON.parse(line));
          this.#changed();
        },
      }),
      observe: (callId, event) => {
        this.events.push({ ...event, callId });
        this.#changed();
      },
    });
  }

  #until<T>(find: () => T | undefined): Promise<T> {
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

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }
}

/** The last result that the model was given. */
export function answer(turn: Turn): string {
  const item = turn.newItems.find(({ type }) => type === 'function_call_output');
  return String(item?.['output'] ?? '');
}

const WORDS = new Int16Array(8 * 300).map((_, i) =>
  Math.round(9000 * Math.sin(i * 0.35) * Math.sin(i / 300)),
);

/** The caller lets the agent finish, and says something. */
export async function speak(call: SimulatedCall): Promise<void> {
  await call.untilQuiet(200);
  await call.speak(WORDS);
}

/** The caller speaks over the agent. */
export async function cutIn(call: SimulatedCall): Promise<void> {
  await call.untilHeard(100);
  await call.speak(WORDS);
}

/** A service for one test, closed when that is over. */
export async function startService(options: AgentsServiceOptions): Promise<AgentsService> {
  const service = await AgentsService.start(options);
  onTestFinished(() => service[Symbol.asyncDispose]());
  return service;
}
