import { loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import type { RealtimeProvider } from '../../src/provider.ts';
import { createOpenAiProvider } from '../../src/providers/openai.ts';
import { systemRandom } from '../../src/random.ts';
import { Signer } from '../../src/replay/signer.ts';
import { assembleService, type Service } from '../../src/server/service.ts';
import { telnyxPublicKey } from '../../src/sim/phone/telnyx/signature.ts';
import { defineTool } from '../../src/tools.ts';
import { WebhookDoor } from '../../src/webhook-door.ts';
import { SoakClock } from './clock.ts';
import { DIALECTS, type Dialect } from './dialects.ts';
import { Models, QUICK, SLOW, type Temper } from './model.ts';
import { type Entrance, type Manner, Phone } from './phone.ts';

export interface WorldOptions {
  readonly audio: 'wideband' | 'passthrough';
  readonly maxCalls: number;
}

/** What becomes of one call. */
export interface Plot {
  readonly name: string;
  readonly manner: Manner;
  readonly temper: Temper;
  /** What else the bridge is asked for in mid-call. */
  readonly operator?: 'ends';
  /** The call is not let in: its webhook is signed wrongly. */
  readonly forged?: true;
}

/** Every way in which calls go here. */
export const PLOTS: readonly Plot[] = [
  { name: 'turns', manner: 'hangs-up', temper: 'answers' },
  { name: 'barge-in', manner: 'cuts-in', temper: 'answers' },
  { name: 'function', manner: 'hangs-up', temper: 'calls' },
  { name: 'function left open', manner: 'hangs-up', temper: 'calls-slow' },
  { name: 'agent hangs up', manner: 'stays', temper: 'ends' },
  { name: 'failover in mid-sentence', manner: 'hangs-up', temper: 'dies' },
  { name: 'refused dial', manner: 'hangs-up', temper: 'refuses' },
  { name: 'mute model', manner: 'stays', temper: 'mute' },
  { name: 'hangs up on the agent', manner: 'vanishes', temper: 'answers' },
  { name: 'stream breaks', manner: 'breaks', temper: 'answers' },
  { name: 'no stream', manner: 'never-comes', temper: 'answers' },
  { name: 'ended by an operator', manner: 'stays', temper: 'answers', operator: 'ends' },
  { name: 'forged webhook', manner: 'hangs-up', temper: 'answers', forged: true },
];

const KEY = 'soak';
const PUBLIC_URL = 'https://bridge.example.com';
const OPERATOR_MS = 3000;

/** What is left of calls when all of them have ended and nothing is remembered of them: as much as at the beginning. */
export interface Left {
  readonly sessions: number;
  readonly streams: number;
  readonly records: number;
  readonly modelLines: number;
  readonly phones: number;
  readonly timers: number;
}

/**
 * The whole service but its HTTP server, with carriers, callers and models around it, on a clock that passes as fast as
 * the machine. Signatures, tokens, marks, playout, metrics, breakers and records are those of life.
 */
export class World {
  readonly clock: SoakClock;
  readonly service: Service;
  readonly models: Models;
  /** Calls that have not ended. */
  readonly phones = new Set<Phone>();
  /** Of calls that have, by plot. */
  readonly ended = new Map<string, number>();
  /** What the service has told of its calls, by type; of ends also by their reason. */
  readonly happened: ReadonlyMap<string, number>;
  readonly #entrance: Entrance;
  #count = 0;

  private constructor(
    clock: SoakClock,
    service: Service,
    models: Models,
    happened: ReadonlyMap<string, number>,
  ) {
    this.happened = happened;
    this.clock = clock;
    this.service = service;
    this.models = models;
    const door = new WebhookDoor(service.webhooks);
    this.#entrance = { clock, door, media: service.media, signer: new Signer(KEY, PUBLIC_URL) };
  }

  static async create({ audio, maxCalls }: WorldOptions): Promise<World> {
    const clock = new SoakClock(Date.UTC(2026, 0, 2, 3, 4, 5));
    const models = new Models(clock);
    const phones = { all: new Set<Phone>() };
    const happened = new Map<string, number>();
    const service = await assembleService({
      config: loadConfig({
        PUBLIC_URL,
        AUDIO_PATH: audio,
        MAX_CALLS: String(maxCalls),
        OPENAI_API_KEY: KEY,
        TWILIO_ACCOUNT_SID: `AC${'0'.repeat(31)}1`,
        TWILIO_AUTH_TOKEN: KEY,
        TELNYX_PUBLIC_KEY: telnyxPublicKey(KEY),
        TELNYX_API_KEY: KEY,
        PLIVO_AUTH_ID: 'MAXXXXXXXXXXXXXXXXXX',
        PLIVO_AUTH_TOKEN: KEY,
      }),
      clock,
      log: createLog('info', { write: () => undefined }),
      random: systemRandom,
      localAuthToken: undefined,
      publicUrl: () => PUBLIC_URL,
      provider: [inMemory('first', models), inMemory('second', models)],
      tools: [lookUp, askColleague],
      observe: (_callId, event) => {
        const what = event.type === 'ended' ? `ended: ${event.reason}` : event.type;
        happened.set(what, (happened.get(what) ?? 0) + 1);
      },
      fetch: (input) => {
        const url = decodeURIComponent(String(input instanceof Request ? input.url : input));
        for (const phone of phones.all) if (url.includes(phone.callId)) clock.after(20, () => phone.hungUp());
        return Promise.resolve(new Response('{}', { status: 200 }));
      },
    });
    const world = new World(clock, service, models, happened);
    phones.all = world.phones;
    return world;
  }

  get calls(): number {
    return this.#count;
  }

  get left(): Left {
    const { service, models, phones, clock } = this;
    return {
      sessions: service.manager.size,
      streams: service.media.size,
      records: service.desk.records.list().length,
      modelLines: models.open.size,
      phones: phones.size,
      timers: clock.pending,
    };
  }

  /** A call comes in. */
  ring(plot: Plot, dialect: Dialect = this.#dialect): Phone {
    this.#count += 1;
    const phone = new Phone(this.#entrance, dialect, plot.manner, this.#count, () => {
      this.phones.delete(phone);
      this.ended.set(plot.name, (this.ended.get(plot.name) ?? 0) + 1);
    });
    this.phones.add(phone);
    if (plot.forged === true) {
      phone.knockInVain(() => phone.hungUp());
      return phone;
    }
    this.models.next = plot.temper;
    phone.ring();
    this.models.next = 'answers';
    if (plot.operator === 'ends') {
      this.clock.after(OPERATOR_MS, () => {
        const session = this.service.manager.find(dialect.carrier, phone.callId);
        if (session !== undefined) void session.end('operator-hung-up');
      });
    }
    return phone;
  }

  /** Lets time go by; what was promised meanwhile happens in between. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.now() + ms;
    while (this.clock.now() < until) {
      this.clock.runNext(until);
      await new Promise(setImmediate);
    }
  }

  /** `calls` calls, one every `everyMs`, and time until the last one is over. */
  async churn(calls: number, everyMs: number): Promise<void> {
    for (let i = 0; i < calls; i++) {
      this.ring(
        PLOTS[this.#count % PLOTS.length] ?? { name: 'turns', manner: 'hangs-up', temper: 'answers' },
      );
      await this.pass(everyMs);
    }
    while (this.phones.size > 0) await this.pass(1000);
  }

  async close(): Promise<void> {
    let isClosed = false;
    const closed = this.service
      .close(async () => undefined)
      .finally(() => {
        isClosed = true;
      });
    while (!isClosed) await this.pass(1000);
    await closed;
  }

  get #dialect(): Dialect {
    const dialect = DIALECTS[Math.floor(this.#count / PLOTS.length) % DIALECTS.length];
    if (dialect === undefined) throw new Error('there are no carriers');
    return dialect;
  }
}

/** A provider as it is built in, which reaches these models instead of a network. */
function inMemory(name: string, models: Models): RealtimeProvider {
  const provider = createOpenAiProvider({ apiKey: KEY, model: 'gpt-realtime', name });
  const { network } = models;
  return {
    ...provider,
    connect: (request, sink, signal) => provider.connect({ ...request, network }, sink, signal),
  };
}

const PARAMETERS = { type: 'object', properties: { day: { type: 'integer' } }, required: ['day'] } as const;

const lookUp = defineTool({
  name: QUICK,
  description: 'Looks a day up.',
  parameters: PARAMETERS,
  run: ({ day }) => ({ day, free: true }),
});

/** Answers nobody, and leaves when it is told to. */
const askColleague = defineTool({
  name: SLOW,
  description: 'Asks somebody.',
  parameters: PARAMETERS,
  run: (_args, { signal }) =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve('called off'), { once: true })),
});
