import type { EndReason } from './call-events.ts';
import type { AfterStream, CarrierEvent, ControlStyle, Next } from './carrier.ts';

/** The carrier asks what comes next. */
export type AfterStreamEvent = Extract<CarrierEvent, { type: 'after-stream' }>;

/** Ends of the bridge's own choosing: the carrier has to be told to hang up. */
const BRIDGE_ENDS: readonly EndReason[] = [
  'agent-hung-up',
  'operator-hung-up',
  'machine-answered',
  'message-left',
  'caller-silent',
  'max-duration',
  'budget-spent',
  'shutdown',
];

/** The bridge wanted this end: the carrier's side has to be seen to be over. */
export function isBridgeEnd(reason: EndReason): boolean {
  return BRIDGE_ENDS.includes(reason);
}

/** What the carrier is told when the conversation is over. The last resort is given once, unless it was cut short; whatever follows it is the end. */
export class LastWord {
  readonly #control: ControlStyle;
  readonly #lastResort: AfterStream;
  #resorted = false;
  /** How often the carrier was made to ask: each time it may cut short what it was told meanwhile. */
  #reminders = 0;

  constructor(control: ControlStyle, lastResort: AfterStream) {
    this.#control = control;
    this.#lastResort = lastResort;
  }

  /** The carrier is about to be made to ask. False: it has asked by itself, and must not be disturbed. */
  remind(): boolean {
    if (this.#resorted) return false;
    this.#reminders += 1;
    return true;
  }

  /** What the carrier is told when it asks. */
  next(reason: EndReason, asked: Pick<AfterStreamEvent, 'transfer' | 'spoken' | 'messageLeft'>): Next {
    const command = this.#control === 'command';
    if (asked.messageLeft === true) return { type: 'hang-up' };
    if (reason === 'transferred' && command) return { type: 'nothing' };
    // The end of the stream may be told twice, and the last resort is still being spoken.
    if (this.#resorted && command && asked.spoken !== true) return { type: 'nothing' };
    // Two who have talked are owed no more words.
    const talked = reason === 'transferred' || asked.transfer === 'completed';
    if (reason === 'caller-hung-up' || talked || isBridgeEnd(reason)) return { type: 'hang-up' };
    if (this.#resorted && !this.#cutShort(asked)) return { type: 'hang-up' };
    this.#resorted = true;
    return this.#lastResort;
  }

  /** It was made to ask when it had just asked by itself, so the caller has not heard the end of the last resort. */
  #cutShort({ transfer }: Pick<AfterStreamEvent, 'transfer'>): boolean {
    if (transfer !== undefined || this.#reminders === 0) return false;
    this.#reminders -= 1;
    return true;
  }
}
