import type { Clock } from '../../clock.ts';

/** `same`: another report of a trouble already counted; `again`: it came back, the session is of no use. */
export type Strike = 'first' | 'same' | 'again';

const ONE_TROUBLE_MS = 2_000;

/**
 * Counts troubles of the server itself. One is forgiven; when the next thing that is tried fails as well, the
 * session stays broken (seen on Azure, livekit/agents#6040) and only a new one helps.
 */
export class Troubles {
  readonly #clock: Clock;
  #strikes = 0;
  /** Counts what was tried: a failure is often told twice, as an error and as the end of a response. */
  #tries = 0;
  #struckTry = -1;
  #struckAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something new begins: a response was asked for or made, or the caller speaks. */
  tried(): void {
    this.#tries += 1;
  }

  succeeded(): void {
    this.#strikes = 0;
  }

  /** `forgiven`: so many troubles in a row are borne. */
  strike(forgiven = 1): Strike {
    const now = this.#clock.now();
    const same =
      this.#strikes > 0 && this.#tries === this.#struckTry && now - this.#struckAt < ONE_TROUBLE_MS;
    if (same) return 'same';
    this.#strikes += 1;
    this.#struckTry = this.#tries;
    this.#struckAt = now;
    return this.#strikes > forgiven ? 'again' : 'first';
  }
}
