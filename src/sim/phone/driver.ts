import type { Clock } from '../../clock.ts';
import type { CarrierDesk } from './carrier-desk.ts';
import type { TroubleCodes } from './carrier-sim.ts';
import type { EndedBy, EventLog, StreamEnd } from './events.ts';
import type { Heard, ListenTerms } from './listener.ts';
import type { Replacement, StreamVerb } from './verbs.ts';

/** How the call is to be reported. */
export type DriverOutcome = 'completed' | 'busy' | 'rejected' | 'failed';

/** Who ended the call, and what it came to. */
export interface DriverEnd {
  readonly by: EndedBy;
  readonly outcome: DriverOutcome;
}

/** What leads a call: answer documents (`Script`), or commands that the bridge gives by REST. */
export interface CallDriver {
  /**
   * From the first webhook to the end of the call. An outbound call was taken before; an inbound one rings until
   * `DriverContext.answer`. Rejects with BridgeError when there are no usable instructions; the message then begins
   * with the carrier's code and a colon.
   */
  run(): Promise<DriverEnd>;
  /** The call is over: whatever runs is given up and `run` resolves. May come before `run`, and more than once. */
  hangUp(by: EndedBy): void;
  /** Other instructions; false when this driver takes no documents. */
  replace(replacement: Replacement): boolean;
}

/** A stream that was asked for. */
export interface RunningStream {
  /** When it is not opened again either. Never rejects. */
  readonly ended: Promise<StreamEnd>;
  stop(): void;
}

/** What a driver works with. */
export interface DriverContext {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly desk: CarrierDesk;
  readonly codes: TroubleCodes;
  /** The first webhook, in its public form. */
  readonly webhookUrl: string;
  readonly fallbackUrl: string | undefined;
  /** Answers an inbound call; does nothing when it was answered. */
  answer(): void;
  /** Opens a stream and does not wait for it; undefined when `signal` aborted before that. */
  openStream(verb: StreamVerb, baseUrl: string, signal: AbortSignal): Promise<RunningStream | undefined>;
  /** Listens to the caller, whom no stream is open for; resolves when one of the terms is met, or `signal` aborts. */
  listen(terms: ListenTerms, signal: AbortSignal): Promise<Heard>;
  /** Rings the other leg of a transfer; resolves when the two have talked or it came to nothing. */
  ring(
    targets: readonly string[],
    callerId: string | undefined,
    signal: AbortSignal,
    terms?: LegTerms,
  ): Promise<DialResult>;
}

/** How another leg is rung. */
export interface LegTerms {
  /** It is not even rung, because the carrier does not know such an address: the transfer fails. */
  readonly refused?: boolean | undefined;
  /** How long it rings at most. Default: until it is taken or given up. */
  readonly timeoutMs?: number | undefined;
  /** How long the two may talk. Default: as long as they want. */
  readonly limitMs?: number | undefined;
  /** Called when it was taken and before the two are connected; false: it does not want to be. */
  readonly taken?: ((signal: AbortSignal) => Promise<boolean>) | undefined;
}

/** What ringing another leg comes to. */
export interface DialResult {
  readonly status: 'completed' | 'busy' | 'no-answer' | 'failed';
  /** How long the two talk. */
  readonly durationMs: number;
  /** How long it rings before that. Default 0. */
  readonly ringMs?: number | undefined;
}
