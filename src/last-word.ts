import type { EndReason } from './call-events.ts';
import type { AfterStream, ControlStyle, Next } from './carrier.ts';

/** Ends of the bridge's own choosing: the carrier has to be told to hang up. */
const BRIDGE_ENDS: readonly EndReason[] = [
  'agent-hung-up',
  'operator-hung-up',
  'machine-answered',
  'message-left',
  'caller-silent',
  'max-duration',
  'shutdown',
];

/** The bridge wanted this end: the carrier's side has to be seen to be over. */
export function isBridgeEnd(reason: EndReason): boolean {
  return BRIDGE_ENDS.includes(reason);
}

/** What the carrier is told when the conversation is over. The last resort is given once, whatever follows it is the end. */
export class LastWord {
  readonly #control: ControlStyle;
  readonly #lastResort: AfterStream;
  #resorted = false;

  constructor(control: ControlStyle, lastResort: AfterStream) {
    this.#control = control;
    this.#lastResort = lastResort;
  }

  /** @param spoken it is not a stream that is over, but what the carrier was told to say */
  next(reason: EndReason, spoken: boolean): Next {
    const command = this.#control === 'command';
    if (reason === 'transferred' && command) return { type: 'nothing' };
    // The end of the stream may be told twice, and the last resort is still being spoken.
    if (this.#resorted && command && !spoken) return { type: 'nothing' };
    const done = reason === 'caller-hung-up' || reason === 'transferred';
    if (done || isBridgeEnd(reason) || this.#resorted) return { type: 'hang-up' };
    this.#resorted = true;
    return this.#lastResort;
  }
}
