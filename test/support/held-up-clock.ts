import { VirtualClock } from './virtual-clock.ts';

/** Of a process that may be held up: its timers come late then, and before anything that has come meanwhile. */
export class HeldUpClock extends VirtualClock {
  #lostMs = 0;

  override now(): number {
    return super.now() + this.#lostMs;
  }

  /** Time goes by, and nothing runs. */
  holdUp(ms: number): void {
    this.#lostMs += ms;
  }
}
