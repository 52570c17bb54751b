import { bytesPerMs, silenceByte } from './audio/format.ts';
import type { CallLeg } from './leg.ts';
import { FRAME_MS, type Paced, type Pacer } from './pacer.ts';

/** Silence from the start of a stream until the agent first speaks, for a carrier that clears a call without any audio. */
export class LeadIn implements Paced {
  readonly #leg: CallLeg;
  readonly #pacer: Pacer;
  readonly #isOver: () => boolean;
  readonly #frame: Uint8Array;
  #running = true;

  constructor(leg: CallLeg, pacer: Pacer, isOver: () => boolean) {
    this.#leg = leg;
    this.#pacer = pacer;
    this.#isOver = isOver;
    this.#frame = new Uint8Array(bytesPerMs(leg.output) * FRAME_MS).fill(silenceByte(leg.output));
    pacer.add(this);
  }

  tick(): undefined {
    if (this.#isOver()) this.close();
    else this.#leg.play(this.#frame);
  }

  failed(): void {
    this.#running = false;
  }

  close(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#pacer.remove(this);
  }
}
