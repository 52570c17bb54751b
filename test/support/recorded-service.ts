import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { Agent } from '../../src/agents.ts';
import type { CallEvent } from '../../src/call-events.ts';
import { systemClock } from '../../src/clock.ts';
import { type Env, loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import type { RealtimeProvider } from '../../src/provider.ts';
import { systemRandom } from '../../src/random.ts';
import { MemorySink } from '../../src/recording/memory-sink.ts';
import { Recorder, type RecorderOptions } from '../../src/recording/recorder.ts';
import type { StoredCall } from '../../src/recording/stored-call.ts';
import { assembleService, type Service } from '../../src/server/service.ts';
import { type CallOptions, type Exchange, startExchange } from '../../src/sim/phone.ts';
import { createWebhooks } from '../../src/webhooks.ts';
import { systemNetwork } from '../../src/wire.ts';
import { AGENT, SECRET, type Style } from './carrier-styles.ts';

export interface RecordedServiceOptions {
  readonly provider: RealtimeProvider;
  readonly agent?: Partial<Agent>;
  readonly env?: Env;
  readonly recorder?: Partial<RecorderOptions>;
  readonly exchange?: Omit<NonNullable<Parameters<typeof startExchange>[0]>, 'defaults' | 'carrier'>;
}

/** The real service, its calls recorded into memory, with a simulated carrier. */
export class RecordedService implements AsyncDisposable {
  readonly sinks: MemorySink[] = [];
  readonly events: CallEvent[] = [];
  readonly log: string[] = [];
  /** Of `call.json`. */
  readonly settings: Record<string, string> = {};
  readonly #waiting = new Set<() => void>();
  readonly #style: Style;
  readonly #http: Server = createServer();
  exchange!: Exchange;
  recorder!: Recorder;
  service!: Service;

  private constructor(style: Style) {
    this.#style = style;
  }

  static async start(style: Style, options: RecordedServiceOptions): Promise<RecordedService> {
    const service = new RecordedService(style);
    await service.#start(options);
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  dial(options: Partial<CallOptions> = {}) {
    const { carrier, route } = this.#style;
    return this.exchange.placeCall({
      webhookUrl: `${this.url}/${route}/${carrier}`,
      statusCallbackUrl: `${this.url}/status/${carrier}`,
      ...options,
    });
  }

  /** Resolves when an event of this type has happened. */
  event<T extends CallEvent['type']>(type: T): Promise<Extract<CallEvent, { type: T }>> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.events.find((one): one is Extract<CallEvent, { type: T }> => one.type === type);
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** What was recorded of the call with this number, counted from 0. Ends the service. */
  async recorded(index = 0): Promise<StoredCall> {
    await this.close();
    const sink = this.sinks[index];
    if (sink === undefined) throw new Error('nothing was recorded');
    return sink.stored();
  }

  async close(): Promise<void> {
    await this.service.close(async () => {
      this.#http.closeAllConnections();
      if (this.#http.listening) await new Promise((resolve) => this.#http.close(resolve));
    });
    await this.recorder.close();
    await this.exchange[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start({ provider, agent, env, recorder, exchange }: RecordedServiceOptions): Promise<void> {
    const style = this.#style;
    this.exchange = await startExchange({
      ...exchange,
      carrier: style.carrier,
      defaults: { authToken: SECRET, ...style.call },
    });
    const settings: Env = {
      PORT: '0',
      HOST: '127.0.0.1',
      ...style.env(SECRET, this.exchange.restBaseUrl ?? ''),
      ...env,
    };
    const log = createLog('trace', { write: (line: string) => this.log.push(line) });
    const config = loadConfig(settings);
    this.recorder = new Recorder({
      clock: systemClock,
      network: systemNetwork,
      log,
      decide: () => ({}),
      open: (file) => {
        const sink = new MemorySink(file);
        this.sinks.push(sink);
        return sink;
      },
      origin: { how: 'simulated' },
      settings: this.settings,
      leadMs: 1000,
      ...recorder,
    });
    this.service = await assembleService({
      config,
      clock: systemClock,
      log,
      random: systemRandom,
      localAuthToken: undefined,
      publicUrl: () => this.url,
      provider,
      agent: { ...AGENT, ...agent },
      tapes: this.recorder,
      fetch: this.recorder.tapFetch(),
      observe: (_callId, event) => {
        this.events.push(event);
        for (const look of [...this.#waiting]) look();
      },
    });
    this.#http.on('request', express().use(createWebhooks(this.service.webhooks)));
    this.#http.on('upgrade', this.service.media.onUpgrade);
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    // By the names of the environment, secrets as call.json shows them.
    const kept = { ...style.env('[secret]', this.exchange.restBaseUrl ?? ''), ...env, PUBLIC_URL: this.url };
    for (const [name, value] of Object.entries(kept)) if (value !== undefined) this.settings[name] = value;
  }
}
