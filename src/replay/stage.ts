import { assertNever, BridgeError } from '../errors.ts';
import { createLog } from '../log.ts';
import { carryOut, type Order } from '../orders.ts';
import type { PlaceOrder } from '../placed-calls.ts';
import type { CallFile, Line, PlacedRecord } from '../recording/format.ts';
import { SeededRandom } from '../recording/seeded-random.ts';
import type { Assignment } from '../roster.ts';
import { assembleService, type Service } from '../server/service.ts';
import { WebhookDoor } from '../webhook-door.ts';
import { CarrierFeed } from './carrier-feed.ts';
import { Edges } from './edges.ts';
import type { FoundSink } from './found-sink.ts';
import type { ReplayClock } from './replay-clock.ts';
import { KEY, settingsOf } from './settings.ts';
import { Signer } from './signer.ts';
import type { StageOptions } from './stage-options.ts';
import { turn } from './turn.ts';

/** A service needs somebody also for calls that are not let in: this one costs nothing until it is dialled. */
const NOBODY = 'local';
/** Longest time, on the clock of the replay, for everything to be given back. */
const CLOSE_MS = 120_000;
/** Long enough: a replay knows when somebody picks up. */
const RING_S = 300;

/** The service that a call is replayed with, and everybody on the other side of its edges. */
export class Stage {
  readonly #edges: Edges;
  readonly #options: StageOptions;
  readonly #carrier: CarrierFeed;
  readonly #service: Service;

  private constructor(options: StageOptions, edges: Edges, service: Service, publicUrl: string) {
    const { stored, clock } = options;
    this.#edges = edges;
    this.#options = options;
    this.#service = service;
    this.#carrier = new CarrierFeed({
      carrier: stored.call.carrier,
      source: edges.source,
      signer: new Signer(KEY, publicUrl),
      door: new WebhookDoor(service.webhooks),
      media: service.media,
      epoch: () => clock.epoch(),
      streamToken: () => streamTokenIn(edges.rest.bodies),
      linesSoFar: () => edges.sink.count,
      write: (line) => this.#write(line),
    });
  }

  get sink(): FoundSink {
    return this.#edges.sink;
  }

  /** Functions that were called and have no result in the recording. */
  get unknownTools(): readonly string[] {
    return this.#edges.tools.unknown;
  }

  /** Rejects with BAD_RECORDING for a call that cannot be played, such as one with a provider that is not known. */
  static async set(options: StageOptions): Promise<Stage> {
    const { stored, clock } = options;
    const { call } = stored;
    const config = settingsOf(stored);
    const publicUrl = config.publicUrl ?? '';
    const edges = new Edges(options);
    const own = new Map((options.providers ?? []).map((provider) => [provider.name, provider]));
    const service = await assembleService({
      config,
      clock,
      log: createLog('silent'),
      random: new SeededRandom(`${call.seed}/service`),
      localAuthToken: undefined,
      publicUrl: () => publicUrl,
      tapes: edges,
      fetch: edges.fetch,
      agent: edges.agent(options.agent),
      machineFor: () => call.agent.machine,
      ask: admissionOf(stored.lines, clock),
      provider:
        call.providers.length === 0
          ? NOBODY
          : call.providers.map((one) =>
              one.level === 'wire' ? (own.get(one.name) ?? one.name) : edges.providers.provider(one),
            ),
      leadMs: call.leadMs,
    });
    if (call.placed !== undefined) service.desk.adopt(orderOf(call, call.placed), call.placed.ref);
    return new Stage(options, edges, service, publicUrl);
  }

  /** One thing that comes in. False: the bridge has nothing that it could come in by. */
  feed(line: Line): boolean {
    const { providers, tools, rest } = this.#edges;
    switch (line.on) {
      case 'webhook':
        this.#carrier.webhook(line);
        return true;
      case 'carrier':
        return this.#carrier.stream(line);
      case 'provider':
        return providers.feed(line);
      case 'tool':
        return tools.feed(line.msg);
      case 'rest':
        return rest.feed(line.msg);
      case 'operator':
        return this.#ordered(line.msg);
      case 'clock':
        return this.#options.clock.runTold(line.msg.due);
      case 'call':
        return true;
      default:
        return assertNever(line);
    }
  }

  /** Ends what is left, and gives everything back. Nothing of that is in the sink. */
  async strike(endedAt: number): Promise<void> {
    const { clock } = this.#options;
    this.#edges.finish();
    await this.sink.finish({ t: endedAt, complete: true });
    let isClosed = false;
    const closed = this.#service
      .close(async () => undefined)
      .finally(() => {
        isClosed = true;
      });
    // Who is closed may wait for somebody, at most for so long, and no time passes by itself.
    clock.letGo();
    const latest = clock.now() + CLOSE_MS;
    for (let now = clock.now(); !isClosed && now <= latest; now = clock.nextAt) {
      clock.runNext();
      await turn();
    }
    if (isClosed) await closed;
    else throw new BridgeError('INTERNAL', 'the service of a replay does not close');
  }

  #ordered(order: Order): boolean {
    const { key } = this.#edges;
    const session = key && this.#service.manager.find(key.carrier, key.callId);
    if (session === undefined) return false;
    void carryOut(session, order);
    return true;
  }

  #write(line: Line): void {
    this.sink.line({ ...line, t: this.#now() });
  }

  #now(): number {
    return Math.round(this.#options.clock.now() * 1000) / 1000;
  }
}

/** Somebody has ordered the call before it was answered. */
function orderOf({ carrier, agent }: CallFile, { from, to }: PlacedRecord): PlaceOrder {
  return { carrier, from, to, ringS: RING_S, maxS: agent.maxCallMs / 1000, machine: agent.machine };
}

/** Somebody was asked about the call before it was let in; undefined: nobody was. */
function admissionOf(lines: readonly Line[], clock: ReplayClock): Assignment['ask'] {
  const started = lines.find((line) => line.on === 'call' && line.msg.type === 'started')?.t;
  if (started === undefined) return undefined;
  // Whoever is let in at once is let in by a webhook, which need not be the first.
  const atOnce = lines.some(({ on, dir, t }) => on === 'webhook' && dir === 'in' && t === started);
  if (atOnce) return undefined;
  const answer = { type: 'answer', agent: undefined, variables: {}, failed: undefined } as const;
  return () => new Promise((resolve) => clock.at(started, () => resolve(answer)));
}

/** What the carrier was told to send when it opens a stream of a call in command style. */
function streamTokenIn(bodies: readonly string[]): string | undefined {
  const found = bodies.flatMap((body) => /"stream_auth_token":"([^"]+)"/.exec(body)?.[1] ?? []);
  return found.at(-1);
}
