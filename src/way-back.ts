import type { AnswerPlan, CallOutcome } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';
import { TURNAROUND_MS } from './errand.ts';

export interface WayBackOptions {
  readonly clock: Clock;
  /** The caller was to come back to the agent and did not. */
  onLost(): void;
  onTransferFailed(outcome: CallOutcome): void;
}

/** The carrier was told to open the stream again: the caller is on the way back to the agent. */
export class WayBack {
  readonly #options: WayBackOptions;
  #plan: AnswerPlan | undefined;
  #cancel: Cancel | undefined;
  /** A transfer that came to nothing, which is told when the caller is known to be still there. */
  #untold: CallOutcome | undefined;

  constructor(options: WayBackOptions) {
    this.#options = options;
  }

  /** Of the stream that is to come; undefined: nobody is on the way. */
  get plan(): AnswerPlan | undefined {
    return this.#plan;
  }

  /** The carrier is told to open a stream by `plan`. `untold`: what became of a transfer, for `tellFailed`. */
  begin(plan: AnswerPlan, untold?: CallOutcome): void {
    this.#cancel?.();
    this.#plan = plan;
    this.#untold = untold;
    this.#cancel = this.#options.clock.after(TURNAROUND_MS, () => {
      this.#plan = undefined;
      this.#options.onLost();
    });
  }

  /** The caller is still there; told once. */
  tellFailed(): void {
    const outcome = this.#untold;
    this.#untold = undefined;
    if (outcome !== undefined) this.#options.onTransferFailed(outcome);
  }

  /** The stream is there. */
  arrived(): void {
    this.#cancel?.();
    this.#plan = undefined;
    this.tellFailed();
  }

  close(): void {
    this.#untold = undefined;
    this.arrived();
  }
}
