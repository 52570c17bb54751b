import { FRAME_MS } from './frame-code.ts';

/** Something that sends a frame every 20 ms. */
export interface Sender {
  beat(now: number): void;
}

/**
 * Lets every sender send at its own moment within the 20 ms, so that they are spread evenly. What was slept through is
 * made up for, as a carrier does.
 */
export class Beat {
  readonly #slots: (readonly Sender[])[];
  readonly #stepMs: number;
  readonly #onLate: (ms: number) => void;
  #startedAt = 0;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(slots: number, onLate: (ms: number) => void) {
    this.#slots = Array.from({ length: slots }, () => []);
    this.#stepMs = FRAME_MS / slots;
    this.#onLate = onLate;
  }

  /** @param slot moment within the 20 ms, from 0 to the number of slots */
  add(slot: number, sender: Sender): void {
    const at = slot % this.#slots.length;
    this.#slots[at] = [...(this.#slots[at] ?? []), sender];
  }

  remove(sender: Sender): void {
    for (const [at, slot] of this.#slots.entries()) {
      if (slot.includes(sender)) this.#slots[at] = slot.filter((other) => other !== sender);
    }
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#count = 0;
    this.#timer = setTimeout(this.#wake, 1);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #wake = (): void => {
    let dueAt = this.#startedAt + this.#count * this.#stepMs;
    const lateMs = performance.now() - dueAt;
    if (lateMs >= 0) this.#onLate(lateMs);
    for (let now = performance.now(); dueAt <= now; now = performance.now()) {
      const slot = this.#slots[this.#count % this.#slots.length] ?? [];
      for (const sender of slot) sender.beat(performance.now());
      this.#count += 1;
      dueAt += this.#stepMs;
    }
    if (this.#timer !== undefined) this.#timer = setTimeout(this.#wake, 1);
  };
}
