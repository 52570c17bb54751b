import type { CarrierName } from './carrier.ts';

/** A call among those of all carriers, for maps: two carriers may use the same id. */
export function callKey(carrier: CarrierName, callId: string): string {
  return `${carrier} ${callId}`;
}

/** The newest `most` keys of those that were added. */
export class NewestKeys {
  readonly #most: number;
  /** Oldest first. */
  readonly #keys = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    this.#keys.add(key);
    const [oldest] = this.#keys;
    if (this.#keys.size > this.#most && oldest !== undefined) this.#keys.delete(oldest);
  }
}
