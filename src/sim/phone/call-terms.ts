import type { Clock } from '../../clock.ts';
import type { Callee } from './callee.ts';
import type { CallOutcome, CarrierSim, DialOrder, FormFields } from './carrier-sim.ts';
import type { DialResult } from './driver.ts';
import type { CallEvent, EndedBy, StreamEnd } from './events.ts';
import type { PhoneFaults } from './faults.ts';
import type { TurnFact } from './recorder.ts';
import type { Trace } from './stream.ts';
import type { Ticker } from './ticker.ts';

/** What the calls of an exchange share. */
export interface CallContext {
  readonly clock: Clock;
  readonly ticker: Ticker;
  readonly carrier: CarrierSim;
}

/** A call to be placed. Only the address, where the bridge listens, is needed. */
export interface CallOptions {
  /** The bridge's voice webhook as it can be reached from here. */
  readonly webhookUrl: string;
  /** The bridge's public address when that is another: requests are signed for it, and it is found at `webhookUrl`. */
  readonly publicUrl?: string | undefined;
  /** The account's secret: Twilio's and Plivo's auth token, Telnyx's API key. */
  readonly authToken?: string | undefined;
  /** The account, as the carrier writes it. */
  readonly accountSid?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly direction?: 'inbound' | 'outbound' | undefined;
  /** Asked when the webhook has no usable answer. */
  readonly fallbackUrl?: string | undefined;
  /** Told how the call goes on, from `initiated` to `completed`. */
  readonly statusCallbackUrl?: string | undefined;
  /** Further fields of every webhook that is a form. */
  readonly extraFields?: FormFields | undefined;
  /** Settings that only this carrier has, by the names that its folder gives them. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  readonly faults?: Partial<PhoneFaults> | undefined;
  /** False saves 16 kB a second; `saveRecordings` then has nothing. */
  readonly keepAudio?: boolean | undefined;
  /** What ringing another leg comes to, or by its target. Default: it is taken at once, and over at once. */
  readonly dialResult?: DialResult | ((target: string) => DialResult) | undefined;
  /** Who is rung, when the bridge placed the call. Without one the call begins like an inbound one. */
  readonly callee?: Callee | undefined;
  /** Set by the exchange for a call that was placed through the REST interface. */
  readonly order?: DialOrder | undefined;
  /** Is shown every text frame of the media socket. */
  readonly trace?: Trace | undefined;
}

/** What is left of a call. Bytes are mu-law, 8 to the ms; times are ms since the call was placed unless they say else. */
export interface CallReport {
  readonly callId: string;
  readonly endedBy: EndedBy;
  /** The last two only of outbound calls. */
  readonly outcome: CallOutcome;
  /** Why the call failed, with the carrier's error code in front. */
  readonly failure: string | undefined;
  readonly durationMs: number;
  /** Of each socket, the ones that the carrier opened again included. */
  readonly streams: readonly StreamEnd[];
  readonly heardBytes: number;
  /** The most audio that ever waited at the carrier. */
  readonly highWaterBytes: number;
  readonly firstStreamMs: number | undefined;
  /** Media time at which the agent was first heard. */
  readonly firstAgentMs: number | undefined;
  readonly turns: readonly TurnFact[];
  /** Holes within stretches of agent speech. */
  readonly underruns: number;
  readonly underrunMs: number;
  /** Ticks of the phone itself that were more than 20 ms late: above 0 the other figures are in doubt. */
  readonly lateTicks: number;
  readonly maxLateMs: number;
  readonly warnings: ReadonlyMap<string, number>;
  readonly events: readonly CallEvent[];
}
