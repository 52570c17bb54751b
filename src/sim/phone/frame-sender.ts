import type { PhoneFaults } from './faults.ts';
import { TICK_MS } from './ticker.ts';

/** Sends media frames as the network delivers them: at once, in bursts, or out of order. */
export class FrameSender {
  readonly #faults: Pick<PhoneFaults, 'burstMs' | 'shuffleWithin'>;
  readonly #send: (text: string) => void;
  readonly #held: string[] = [];
  #overtaken: string | undefined;
  #count = 0;

  constructor(faults: Pick<PhoneFaults, 'burstMs' | 'shuffleWithin'>, send: (text: string) => void) {
    this.#faults = faults;
    this.#send = send;
  }

  frame(text: string, streamMs: number): void {
    const { burstMs, shuffleWithin } = this.#faults;
    if (shuffleWithin > 1) this.#shuffle(text, shuffleWithin);
    else if (burstMs > 0) this.#burst(text, streamMs, burstMs);
    else this.#send(text);
  }

  /** The stream ends: what is still under way arrives. */
  flush(): void {
    for (const held of this.#held.splice(0)) this.#send(held);
    if (this.#overtaken !== undefined) this.#send(this.#overtaken);
    this.#overtaken = undefined;
  }

  #burst(text: string, streamMs: number, burstMs: number): void {
    this.#held.push(text);
    if (streamMs % burstMs < TICK_MS) for (const held of this.#held.splice(0)) this.#send(held);
  }

  // The first of each group is overtaken by all others: 2 3 1, 5 6 4.
  #shuffle(text: string, within: number): void {
    const place = this.#count++ % within;
    if (place === 0) {
      this.#overtaken = text;
      return;
    }
    this.#send(text);
    if (place === within - 1) this.flush();
  }
}
