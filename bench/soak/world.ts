import { loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import type { RealtimeProvider } from '../../src/provider.ts';
import { createOpenAiProvider } from '../../src/providers/openai.ts';
import { systemRandom } from '../../src/random.ts';
import { Signer } from '../../src/replay/signer.ts';
import { assembleService, type Service } from '../../src/server/service.ts';
import { WebhookDoor } from '../../src/webhook-door.ts';
import { SoakClock } from './clock.ts';
import { DIALECTS, type Dialect } from './dialects.ts';
import { Models } from './model.ts';
import { KEY, NAMES, PUBLIC_URL, settings, TOOLS } from './parts.ts';
import { type Entrance, Phone } from './phone.ts';
import { fillWithEnded, PLOTS, type Plot } from './plots.ts';

export interface WorldOptions {
  readonly audio: 'wideband' | 'passthrough';
  readonly maxCalls: number;
}

const OPERATOR_MS = 3000;
/** Five times what carriers send at once, which saves most of the time and none of the objects that calls are made of. */
const PIECE_MS = 100;

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
    this.#entrance = entranceOf(service, clock);
  }

  static async create({ audio, maxCalls }: WorldOptions): Promise<World> {
    const clock = new SoakClock(Date.UTC(2026, 0, 2, 3, 4, 5));
    const models = new Models(clock);
    const phones = { all: new Set<Phone>() };
    const happened = new Map<string, number>();
    const service = await assembleService({
      config: loadConfig(settings(audio, maxCalls)),
      clock,
      log: createLog('info', { write: () => undefined }),
      random: systemRandom,
      localAuthToken: undefined,
      publicUrl: () => PUBLIC_URL,
      provider: NAMES.map((name) => inMemory(name, models)),
      tools: TOOLS,
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

  /** As many calls are over as the service keeps in mind by number and not by time. */
  async fillWithEnded(): Promise<void> {
    await fillWithEnded(this.#entrance);
    await this.pass(1000);
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

/** Without a network. */
function entranceOf({ webhooks, media }: Service, clock: SoakClock): Entrance {
  const door = new WebhookDoor(webhooks);
  return {
    clock,
    signer: new Signer(KEY, PUBLIC_URL),
    pieceMs: PIECE_MS,
    post(route, request, done) {
      const carrier = request.target.split('/').at(-1);
      door.receive({ route, carrier, token: undefined }, request, done);
    },
    stream(request, connect, refused) {
      const entry = media.admit(request);
      if ('status' in entry) refused();
      else media.join(entry, connect);
    },
  };
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
