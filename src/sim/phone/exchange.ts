import { type Clock, systemClock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import { SimulatedCall } from './call.ts';
import type { CallOptions } from './call-terms.ts';
import { A_HUMAN, type Callee } from './callee.ts';
import type { CallHandle, CarrierSim, DialOrder } from './carrier-sim.ts';
import type { RestFaults } from './faults.ts';
import { type RestStub, startRest } from './rest.ts';
import { Ticker } from './ticker.ts';

/** How an exchange is set up. */
export interface ExchangeOptions {
  readonly clock?: Clock | undefined;
  /** Above 1 all calls run faster than life by that factor: their clock is sped up. Default 1. */
  readonly speed?: number | undefined;
  /** False: no REST interface is started. */
  readonly rest?: boolean | undefined;
  /** Faults of REST requests about no call, such as orders; those about a call have the faults of the call. */
  readonly restFaults?: RestFaults | undefined;
  /** Of the REST interface; default 0, which lets the system choose. */
  readonly restPort?: number | undefined;
  /** What a call does not say itself; also the account that the REST interface takes orders from. */
  readonly defaults?: Partial<CallOptions> | undefined;
  /** Who is rung when the bridge places a call; by default somebody who answers after a second. */
  readonly callee?: ((order: DialOrder) => Callee) | undefined;
}

/** A telephone exchange with the face of one carrier: places calls to a bridge. Dispose of it to end them all. */
export interface Exchange extends AsyncDisposable {
  /** In the place of the carrier's own host, such as `https://api.twilio.com`; undefined without REST interface. */
  readonly restBaseUrl: string | undefined;
  /** Calls that are not over. */
  readonly liveCalls: number;
  /** Begins a call; everything that follows is told by its promises and events. Throws BAD_INPUT for a bad address. */
  placeCall(options: CallOptions): SimulatedCall;
  /** The next call that the bridge places through the REST interface, in their order; it may be up already. */
  nextDialled(): Promise<SimulatedCall>;
}

/** Starts an exchange: one ticker for all its calls, and the REST interface on a port of its own. */
export async function startExchangeOf(carrier: CarrierSim, options: ExchangeOptions): Promise<Exchange> {
  const exchange = new CallExchange(carrier, options);
  if (options.rest ?? true) await exchange.startRest();
  return exchange;
}

// Like the carrier, the exchange knows a call for a while after its end: REST then says that it is over, and not 404.
const REMEMBERED = 500;

class CallExchange implements Exchange {
  readonly #carrier: CarrierSim;
  readonly #options: ExchangeOptions;
  readonly #clock: Clock;
  readonly #ticker: Ticker;
  readonly #calls = new Map<string, SimulatedCall>();
  readonly #dialled: SimulatedCall[] = [];
  readonly #waiting: ((call: SimulatedCall) => void)[] = [];
  #rest: RestStub | undefined;

  constructor(carrier: CarrierSim, options: ExchangeOptions) {
    this.#carrier = carrier;
    this.#options = options;
    this.#clock = faster(options.clock ?? systemClock, options.speed ?? 1);
    this.#ticker = new Ticker(this.#clock);
  }

  async startRest(): Promise<void> {
    // Nobody is called with these: only the account is looked at.
    const account = this.#carrier.identify({ webhookUrl: '', ...this.#options.defaults });
    const exchange = {
      account,
      find: (callId: string) => this.#calls.get(callId)?.handle,
      dial: (order: DialOrder) => this.#dial(order),
    };
    const { restFaults, restPort } = this.#options;
    this.#rest = await startRest(this.#clock, this.#carrier.rest, exchange, restFaults, restPort);
  }

  get restBaseUrl(): string | undefined {
    return this.#rest?.baseUrl;
  }

  get liveCalls(): number {
    let live = 0;
    for (const call of this.#calls.values()) if (!call.isOver) live++;
    return live;
  }

  placeCall(options: CallOptions): SimulatedCall {
    const call = new SimulatedCall(
      { ...this.#options.defaults, ...options },
      { clock: this.#clock, ticker: this.#ticker, carrier: this.#carrier },
    );
    if (this.#calls.size >= REMEMBERED) this.#forget();
    this.#calls.set(call.callId, call);
    return call;
  }

  nextDialled(): Promise<SimulatedCall> {
    const call = this.#dialled.shift();
    if (call !== undefined) return Promise.resolve(call);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#calls.values()].map((call) => call.destroy()));
    await this.#rest?.[Symbol.asyncDispose]();
  }

  #dial(order: DialOrder): CallHandle {
    const webhookUrl = this.#options.defaults?.webhookUrl ?? order.url;
    if (webhookUrl === undefined) {
      throw new BridgeError(
        'BAD_INPUT',
        'an order has no address, and the exchange has no default webhookUrl',
      );
    }
    const { from, to, statusCallbackUrl } = order;
    const call = this.placeCall({
      webhookUrl,
      from,
      to,
      direction: 'outbound',
      ...(statusCallbackUrl === undefined ? {} : { statusCallbackUrl }),
      callee: order.callee ?? this.#options.callee?.(order) ?? A_HUMAN,
      order,
    });
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#dialled.push(call);
    else waiting(call);
    return call.handle;
  }

  #forget(): void {
    for (const [callId, call] of this.#calls) if (call.isOver) this.#calls.delete(callId);
  }
}

/** A clock on which `speed` ms pass in one ms of `clock`. */
function faster(clock: Clock, speed: number): Clock {
  if (speed === 1) return clock;
  const beganMs = clock.now();
  const beganEpoch = clock.epoch();
  const passed = (): number => (clock.now() - beganMs) * speed;
  return {
    now: passed,
    epoch: () => beganEpoch + passed(),
    after: (ms, run) => clock.after(ms / speed, run),
  };
}
