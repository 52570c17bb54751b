import { type Clock, systemClock } from '../clock.ts';
import { SimulatedCall } from './phone/call.ts';
import type { CallOptions } from './phone/call-terms.ts';
import { type RestStub, startRest } from './phone/rest.ts';
import { Ticker } from './phone/ticker.ts';

export type { SimulatedCall } from './phone/call.ts';
export type { CallOptions, CallReport } from './phone/call-terms.ts';
export type { PhoneFaults } from './phone/faults.ts';

/** How an exchange is set up. */
export interface ExchangeOptions {
  readonly clock?: Clock | undefined;
  /** Above 1 all calls run faster than life by that factor: their clock is sped up. Default 1. */
  readonly speed?: number | undefined;
  /** False: no REST interface is started. */
  readonly rest?: boolean | undefined;
}

/** A telephone exchange with Twilio's face: places calls to a bridge. Dispose of it to end them all. */
export interface Exchange extends AsyncDisposable {
  /** In the place of `https://api.twilio.com`; throws BAD_INPUT without REST interface. */
  readonly restBaseUrl: string | undefined;
  /** Calls that are not over. */
  readonly liveCalls: number;
  /** Begins a call; everything that follows is told by its promises and events. Throws BAD_INPUT for a bad address. */
  placeCall(options: CallOptions): SimulatedCall;
}

/** Starts an exchange: one ticker for all its calls, and the REST interface on a port of its own. */
export async function startExchange(options: ExchangeOptions = {}): Promise<Exchange> {
  const clock = faster(options.clock ?? systemClock, options.speed ?? 1);
  const ticker = new Ticker(clock);
  const calls = new Map<string, SimulatedCall>();
  let rest: RestStub | undefined;
  if (options.rest ?? true) rest = await startRest(clock, (callSid) => calls.get(callSid)?.rest);
  return {
    restBaseUrl: rest?.baseUrl,
    get liveCalls(): number {
      let live = 0;
      for (const call of calls.values()) if (!call.isOver) live++;
      return live;
    },
    placeCall(callOptions) {
      const call = new SimulatedCall(callOptions, { clock, ticker });
      if (calls.size >= REMEMBERED) forget(calls);
      calls.set(call.callSid, call);
      return call;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...calls.values()].map((call) => call.destroy()));
      await rest?.[Symbol.asyncDispose]();
    },
  };
}

// Like the carrier, the exchange knows a call for a while after its end: REST then says 400 and not 404.
const REMEMBERED = 500;

function forget(calls: Map<string, SimulatedCall>): void {
  for (const [callSid, call] of calls) if (call.isOver) calls.delete(callSid);
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
