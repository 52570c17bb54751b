import type { AgentDigits } from '../agents.ts';
import type { CallEvent } from '../call-events.ts';
import type { Answer, Carrier, IncomingCall, WebhookRequest } from '../carrier.ts';
import type { Clock } from '../clock.ts';
import type { Order } from '../orders.ts';
import type { RealtimeProvider } from '../provider.ts';
import type { Random } from '../random.ts';
import type { EarTape, StreamTape, Tape } from '../tape.ts';
import type { Tool } from '../tools.ts';
import type { Network } from '../wire.ts';
import { CallClock } from './call-clock.ts';
import { CallLines } from './call-lines.ts';
import { CallRefs, jsonIn } from './call-refs.ts';
import type { Signed } from './format.ts';
import { guardedEar } from './guarded-ear.ts';
import { NetworkTap } from './network-tap.ts';
import { type RestAsked, tapRest } from './rest-tap.ts';
import type { Hide } from './secrets.ts';
import { SeededRandom } from './seeded-random.ts';
import { tapProvider } from './session-tap.ts';
import type { CallSink } from './sink.ts';
import { StreamTap } from './stream-tap.ts';
import { tapDigits, tapTools } from './tool-tap.ts';
import { answerLine, requestLine, type WebhookArrival } from './webhook-tap.ts';

export interface CallTapeOptions {
  /** The clock beneath, and what it said at the call's first webhook. */
  readonly clock: Clock;
  readonly startedAt: number;
  /** See `CallClock`. */
  readonly steady?: boolean | undefined;
  readonly epochMs: number;
  readonly network: Network;
  /** Of `random`. */
  readonly seed: string;
  readonly sink: CallSink;
  readonly carrier: Carrier;
  readonly call: IncomingCall;
  readonly hide: Hide;
  /** Timers that run are written down. */
  readonly timers: boolean;
  readonly signed: (request: WebhookRequest) => Signed;
  /** What is heard and said, for a recording that can be listened to. */
  readonly ear?: EarTape | undefined;
  /** Told what observers are told. */
  readonly onEvent?: ((event: CallEvent) => void) | undefined;
  /** Something could not be written down, for the first time. */
  readonly onTrouble: (thrown: unknown) => void;
  /** The call is over. */
  readonly onEnded: () => void;
}

/** The edges of a call that is recorded: everything is passed on as it is, and written down as it passes. */
export class CallTape implements Tape {
  readonly clock: CallClock;
  readonly network: Network;
  readonly random: Random;
  readonly ear: EarTape | undefined;
  readonly #options: CallTapeOptions;
  readonly #lines: CallLines;
  readonly #refs: CallRefs;
  readonly #count = { webhooks: 0, streams: 0, connections: 0, requests: 0, runs: 0 };
  readonly #connections = { next: () => this.#next('connections') };

  constructor(options: CallTapeOptions) {
    const { clock, startedAt, epochMs, steady, sink, hide, onTrouble, timers } = options;
    this.#options = options;
    this.clock = new CallClock({
      clock,
      startedAt,
      epochMs,
      steady,
      onTimer: timers ? (due, now) => this.#timer(due, now) : undefined,
    });
    this.#lines = new CallLines({ clock: this.clock, sink, hide, onTrouble });
    this.random = new SeededRandom(options.seed);
    this.ear = options.ear && guardedEar(options.ear, onTrouble);
    this.#refs = new CallRefs(options.call.callId, options.call.requestId);
    // Of whoever does not come by `provider`: what it is called is not known.
    this.network = new NetworkTap(options.network, this.#lines, this.#connections, '');
  }

  /** ms of the newest line. */
  get lastAt(): number {
    return this.#lines.lastAt;
  }

  tools(tools: readonly Tool[]): readonly Tool[] {
    return tapTools(tools, this.#lines, () => this.#next('runs'));
  }

  digits(handle: NonNullable<AgentDigits['handle']>): NonNullable<AgentDigits['handle']> {
    return tapDigits(handle, this.#lines, () => this.#next('runs'));
  }

  provider(provider: RealtimeProvider): RealtimeProvider {
    if (provider.usesNetwork !== true) {
      const { clock } = this.#options;
      return tapProvider(provider, this.#lines, this.#connections, clock);
    }
    const network = new NetworkTap(this.#options.network, this.#lines, this.#connections, provider.name);
    return {
      name: provider.name,
      model: provider.model,
      capabilities: provider.capabilities,
      usesNetwork: true,
      connect: (request, sink, signal) => provider.connect({ ...request, network }, sink, signal),
      ...(provider.close === undefined ? {} : { close: async () => provider.close?.() }),
    };
  }

  stream(request: WebhookRequest): StreamTape | undefined {
    if (this.#lines.isOver) return undefined;
    const tap = this.#streamTap();
    tap.asked(request, 'valid', undefined);
    return tap;
  }

  streamRefused(request: WebhookRequest, status: number): void {
    if (!this.#lines.isOver) this.#streamTap().asked(request, this.#options.signed(request), status);
  }

  /** A webhook of this call. @param at when it came, by the clock beneath. Returns what takes its answer. */
  webhook(arrival: WebhookArrival, at: number): (answer: Answer) => void {
    const id = this.#next('webhooks');
    const now = this.clock.stampAt(at);
    this.#lines.at(now, () => {
      const msg = requestLine(id, arrival);
      this.#refs.learn(msg.form ?? msg.json);
      return { on: 'webhook', dir: 'in', msg };
    });
    return (answer) => answerLine(this.#lines, id, answer);
  }

  /** A request of the bridge is about this call. */
  isMeantBy(asked: RestAsked): boolean {
    return this.#refs.isMeantBy(asked);
  }

  /** A request of the bridge about this call. */
  rest(asked: RestAsked, ask: () => Promise<Response>): Promise<Response> {
    const learn = (text: string): void => this.#refs.learn(jsonIn(text));
    return tapRest(this.#lines, this.#next('requests'), asked, ask, learn);
  }

  ordered(order: Order): void {
    this.#lines.arrived(() => ({ on: 'operator', dir: 'in', msg: order }));
  }

  observe(event: CallEvent): void {
    this.#lines.left(() => ({ on: 'call', dir: 'out', msg: event }));
    try {
      this.#options.onEvent?.(event);
    } catch (thrown) {
      this.#options.onTrouble(thrown);
    }
  }

  ended(): void {
    this.#options.onEnded();
  }

  /** Nothing is written any more: what is left of the call goes on without. */
  finish(): void {
    this.#lines.finish();
  }

  #streamTap(): StreamTap {
    const { carrier, call } = this.#options;
    return new StreamTap({ lines: this.#lines, carrier, call, conn: this.#next('streams') });
  }

  #timer(due: number, now: number): void {
    this.#lines.at(now, () => ({ on: 'clock', dir: 'in', msg: { due } }));
  }

  #next(what: 'webhooks' | 'streams' | 'connections' | 'requests' | 'runs'): number {
    this.#count[what] += 1;
    return this.#count[what];
  }
}
