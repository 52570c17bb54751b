import { formatName } from './audio/format.ts';
import type { Clock } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession, RealtimeProvider } from './provider.ts';
import { settleWithin } from './settle.ts';

export interface ProviderLinkOptions {
  readonly provider: RealtimeProvider;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the call is over. */
  readonly signal: AbortSignal;
  request(): ConnectRequest;
  onReady(session: ProviderSession): void;
  onEvent(event: ProviderEvent): void;
  /** There is no session, and there will be none. */
  onFailed(error: BridgeError): void;
}

const CLOSE_LIMIT_MS = 2000;

/** A call's connection to its provider, from the dialling to the close. */
export class ProviderLink {
  readonly #options: ProviderLinkOptions;
  #session: ProviderSession | undefined;

  constructor(options: ProviderLinkOptions) {
    this.#options = options;
  }

  /** Dials the provider; what comes of it is told by the callbacks. */
  open(): void {
    this.#connect().catch((error: unknown) => this.#options.onFailed(BridgeError.from(error)));
  }

  /** Resolves when the provider has closed, at the latest after 2 s. */
  async close(reason: string): Promise<void> {
    if (this.#session === undefined) return;
    await settleWithin(this.#options.clock, CLOSE_LIMIT_MS, [this.#session.close(reason)]);
  }

  async #connect(): Promise<void> {
    const { provider, clock, log, signal } = this.#options;
    const startedAt = clock.now();
    const request = this.#options.request();
    const session = await provider.connect(request, (event) => this.#options.onEvent(event), signal);
    if (signal.aborted) {
      await session.close('the call is over');
      return;
    }
    this.#session = session;
    const codecs = { in: formatName(session.input), out: formatName(session.output) };
    log.info(
      { provider: provider.name, ms: Math.round(clock.now() - startedAt), ...codecs },
      'provider ready',
    );
    this.#options.onReady(session);
  }
}
