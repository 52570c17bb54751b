import type { Clock } from './clock.ts';
import type { Downlink } from './downlink.ts';
import type { ProviderEvent } from './provider.ts';
import type { Succession } from './succession.ts';

/** How long more of the agent's speech is only that; whoever counts on its signs does so with more than this to spare. */
const FLOW_MS = 200;

/**
 * Speech of the agent that goes on: what comes fifty times a second, with nothing else in between, changes nothing that the
 * last of it has not changed already. To look everywhere whether it does costs more than to play it.
 */
export class Flow {
  readonly #clock: Clock;
  readonly #downlink: Downlink;
  readonly #succession: Succession;
  #until = 0;

  constructor(clock: Clock, downlink: Downlink, succession: Succession) {
    this.#clock = clock;
    this.#downlink = downlink;
    this.#succession = succession;
  }

  /** Everybody has been told of some speech. */
  begin(): void {
    this.#until = this.#clock.now() + FLOW_MS;
  }

  /** Something else has happened in the conversation. */
  end(): void {
    this.#until = 0;
  }

  /** True: it was more of the same, and has been played. False: everybody is to be told of it. */
  takes({ responseId, itemId, bytes }: Extract<ProviderEvent, { type: 'audio' }>): boolean {
    const now = this.#clock.now();
    if (now >= this.#until || !this.#downlink.more(responseId, itemId, bytes)) return false;
    this.#succession.more(bytes.length, now);
    return true;
  }
}
