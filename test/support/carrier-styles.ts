import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { type Agent, lineCheckAgent } from '../../src/agents.ts';
import type { BridgeOptions } from '../../src/bridge-options.ts';
import type { CallEvent } from '../../src/call-events.ts';
import type { CallView } from '../../src/call-records.ts';
import type { CarrierName } from '../../src/carrier.ts';
import { type Env, loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import type { RealtimeProvider } from '../../src/provider.ts';
import { type Bridge, createBridge } from '../../src/server.ts';
import { type CallOptions, type Exchange, startExchange } from '../../src/sim/phone.ts';
import { ManualProvider } from './manual-provider.ts';

/** One way in which a number can be connected. */
export interface Style {
  readonly name: string;
  readonly carrier: CarrierName;
  /** Route that a call comes in by. */
  readonly route: 'voice' | 'events';
  /** Settings of a service that has this carrier. */
  env(secret: string, restBaseUrl: string): Env;
  /** Of every simulated call. */
  readonly call: Partial<CallOptions>;
}

/** Signs webhooks, and opens the carrier's REST interface. */
export const SECRET = '12345678901234567890123456789012';
const TWILIO_ACCOUNT = `AC${'0'.repeat(31)}1`;
const PLIVO_ACCOUNT = 'MASIMULATEDPLIVO0001';

export const STYLES: readonly Style[] = [
  {
    name: 'Twilio',
    carrier: 'twilio',
    route: 'voice',
    env: (secret, rest) => ({
      TWILIO_ACCOUNT_SID: TWILIO_ACCOUNT,
      TWILIO_AUTH_TOKEN: secret,
      TWILIO_BASE_URL: rest,
    }),
    call: { accountSid: TWILIO_ACCOUNT },
  },
  {
    name: 'Telnyx TeXML',
    carrier: 'telnyx',
    route: 'voice',
    env: telnyxEnv,
    call: {},
  },
  {
    name: 'Telnyx Call Control',
    carrier: 'telnyx',
    route: 'events',
    env: telnyxEnv,
    call: {},
  },
  {
    name: 'Plivo',
    carrier: 'plivo',
    route: 'voice',
    env: (secret, rest) => ({ PLIVO_AUTH_ID: PLIVO_ACCOUNT, PLIVO_AUTH_TOKEN: secret, PLIVO_BASE_URL: rest }),
    call: { accountSid: PLIVO_ACCOUNT },
  },
];

function telnyxEnv(secret: string, rest: string): Env {
  return {
    TELNYX_PUBLIC_KEY: publicKeyFor(secret),
    TELNYX_API_KEY: secret,
    TELNYX_CONNECTION_ID: '1494404757140276705',
    TELNYX_BASE_URL: `${rest}/v2`,
  };
}

/** The simulated Telnyx signs with the Ed25519 key whose seed is the SHA-256 of the secret. */
function publicKeyFor(secret: string): string {
  const seed = createHash('sha256').update(secret).digest();
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPublicKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
}

export const AGENT: Agent = {
  ...lineCheckAgent({
    instructions: undefined,
    greeting: 'Hello.',
    voice: undefined,
    language: undefined,
    audio: 'passthrough',
    maxCallMs: 600_000,
    silenceMs: 0,
  }),
  digits: { endKey: '#', timeoutMs: 400, max: 32 },
};

export interface ServiceOptions {
  readonly exchange?: Omit<NonNullable<Parameters<typeof startExchange>[0]>, 'defaults' | 'carrier'>;
  readonly calls?: Partial<CallOptions>;
  readonly env?: Env;
  readonly agent?: Partial<Agent>;
  /** In the place of the one that the test plays. */
  readonly provider?: RealtimeProvider | readonly RealtimeProvider[];
  readonly tapes?: Pick<BridgeOptions, 'tapes' | 'fetch'>;
}

/** The real service with one carrier, an exchange with that carrier's face, and a provider that the test plays. */
export class Service implements AsyncDisposable {
  readonly provider = new ManualProvider();
  readonly events: CallEvent[] = [];
  readonly log: string[] = [];
  readonly style: Style;
  exchange!: Exchange;
  bridge!: Bridge;
  url = '';
  readonly #waiting = new Set<() => void>();

  private constructor(style: Style) {
    this.style = style;
  }

  static async start(style: Style, options: ServiceOptions = {}): Promise<Service> {
    const service = new Service(style);
    service.exchange = await startExchange({
      ...options.exchange,
      carrier: style.carrier,
      defaults: { authToken: SECRET, ...style.call, ...options.calls },
    });
    service.bridge = await createBridge({
      config: loadConfig({
        PORT: '0',
        HOST: '127.0.0.1',
        API_TOKEN: 'operator',
        ...style.env(SECRET, service.exchange.restBaseUrl ?? ''),
        ...options.env,
      }),
      provider: options.provider ?? service.provider,
      agent: { ...AGENT, ...options.agent },
      ...options.tapes,
      log: createLog('trace', { write: (line: string) => service.#write(line) }),
      observe: (_callId, event) => service.#observe(event),
    });
    service.url = await service.bridge.listen();
    return service;
  }

  /** Somebody calls the number. */
  dial(options: Partial<CallOptions> = {}) {
    const { carrier, route } = this.style;
    return this.exchange.placeCall({
      webhookUrl: `${this.url}/${route}/${carrier}`,
      statusCallbackUrl: `${this.url}/status/${carrier}`,
      ...options,
    });
  }

  /** A call that is up: the stream runs and the agent can speak. */
  async connected(options: Partial<CallOptions> = {}) {
    const call = this.dial(options);
    await call.streaming;
    await this.provider.ready();
    await this.event('mediaStarted');
    return call;
  }

  /** Asks the operators' interface. */
  async api(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { authorization: 'Bearer operator', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** The newest call, as operators see it. */
  async view(): Promise<CallView> {
    const { body } = await this.api('GET', '/calls');
    const [call] = (body as { calls: CallView[] }).calls;
    if (call === undefined) throw new Error('there is no call');
    return call;
  }

  /** Resolves when an event of this type that `accept` takes has happened. */
  event<T extends CallEvent['type']>(
    type: T,
    accept: (event: Extract<CallEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<CallEvent, { type: T }>> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.events.find(
          (event): event is Extract<CallEvent, { type: T }> => event.type === type && accept(event as never),
        );
        if (found === undefined) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves when a line of the log holds this text. */
  logged(text: string): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!this.log.some((line) => line.includes(text))) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bridge.close();
    await this.exchange[Symbol.asyncDispose]();
  }

  #write(line: string): void {
    this.log.push(line);
    for (const look of [...this.#waiting]) look();
  }

  #observe(event: CallEvent): void {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  }
}
