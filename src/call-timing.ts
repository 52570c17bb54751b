import type { CallLatencies } from './metrics/latencies.ts';
import type { RealtimeProvider } from './provider.ts';
import { type Network, type StreamListener, systemNetwork, type WireListener } from './wire.ts';

/** Of what a `CallTiming` is made. */
export interface CallTimingOptions {
  /** Time of the process in ms: that of a call that is recorded stands still while one message is worked off. */
  now(): number;
  /** Where the latencies of calls with this provider are put. */
  latencies(provider: string): CallLatencies;
}

/**
 * How long the bridge takes with what comes to one call. Told of every message both ways, so nothing here is looked up or
 * allocated.
 */
export class CallTiming {
  readonly now: () => number;
  readonly #options: CallTimingOptions;
  /** Undefined: nobody holds the call, and what comes is kept. */
  #latencies: CallLatencies | undefined;
  /** When the message of the provider came that is worked off now; NaN: none is. */
  #saidAt = Number.NaN;

  constructor(options: CallTimingOptions) {
    this.#options = options;
    this.now = options.now;
  }

  /** Who holds the call from now on; undefined: nobody. */
  heldBy(provider: string | undefined): void {
    this.#latencies = provider === undefined ? undefined : this.#options.latencies(provider);
  }

  /** Audio of the caller that came at `since` (of `now()`) was handed on. */
  heard(since: number): void {
    this.#latencies?.uplink.observe(this.now() - since);
  }

  /** Audio was handed to the carrier's socket. What waited for its turn is no latency, and is not counted. */
  played(): void {
    if (this.#saidAt >= 0) this.#latencies?.downlink.observe(this.now() - this.#saidAt);
  }

  /** The carrier was told to forget what it has. */
  cleared(): void {
    if (this.#saidAt >= 0) this.#latencies?.bargeIn.observe(this.now() - this.#saidAt);
  }

  /** The same network, with a look at the time when a message comes. */
  network(network: Network = systemNetwork): Network {
    return {
      dial: (url, options, listener) => network.dial(url, options, new TimedListener(this, listener)),
      stream: (what, open, body, listener) => network.stream(what, open, body, this.#timed(listener)),
    };
  }

  /** The same provider, whose sessions are reached by `network`, whoever else has a hand in that before. */
  provider(provider: RealtimeProvider): RealtimeProvider {
    if (provider.usesNetwork !== true) return provider;
    return {
      name: provider.name,
      model: provider.model,
      capabilities: provider.capabilities,
      usesNetwork: true,
      connect: (request, sink, signal) =>
        provider.connect({ ...request, network: this.network(request.network) }, sink, signal),
      ...(provider.close === undefined ? {} : { close: async () => provider.close?.() }),
    };
  }

  /** A message of the provider has come; `done` says that it was worked off. */
  said(): void {
    this.#saidAt = this.now();
  }

  done(): void {
    this.#saidAt = Number.NaN;
  }

  #timed(listener: StreamListener): StreamListener {
    return {
      connected: () => listener.connected(),
      accepted: () => listener.accepted(),
      received: (bytes) => {
        this.said();
        try {
          listener.received(bytes);
        } finally {
          this.done();
        }
      },
      ended: (thrown, networkCode) => listener.ended(thrown, networkCode),
    };
  }
}

class TimedListener implements WireListener {
  readonly #timing: CallTiming;
  readonly #listener: WireListener;

  constructor(timing: CallTiming, listener: WireListener) {
    this.#timing = timing;
    this.#listener = listener;
  }

  message(text: string, isBinary: boolean): void {
    this.#timing.said();
    try {
      this.#listener.message(text, isBinary);
    } finally {
      this.#timing.done();
    }
  }

  opened(): void {
    this.#listener.opened();
  }

  pinged(): void {
    this.#listener.pinged();
  }

  pong(data: string): void {
    this.#listener.pong(data);
  }

  refused(status: number, body: string): void {
    this.#listener.refused(status, body);
  }

  failed(error: Error): void {
    this.#listener.failed(error);
  }

  closed(code: number, reason: string): void {
    this.#listener.closed(code, reason);
  }
}
