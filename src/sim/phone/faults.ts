import type { RestFaultStatus } from './carrier-sim.ts';

/** How a signature is made: rightly, over something else, not at all, or too long ago where a carrier signs the time. */
export type SignatureFault = 'good' | 'bad' | 'missing' | 'stale';

/** Faults of the carrier's REST interface: for requests that name one call, or for those that name none. */
export interface RestFaults {
  /** Answer with this HTTP status and the carrier's error for it instead of doing what was asked. */
  readonly status?: RestFaultStatus;
  /** How many requests get that answer; the ones after it are served. Default: all. */
  readonly times?: number;
  /** Wait so long before any answer. */
  readonly delayMs?: number;
}

/** What may go wrong on the carrier's side of a call. Each of them was documented or reported. All are off by default. */
export interface PhoneFaults {
  readonly webhookSignature: SignatureFault;
  readonly upgradeSignature: SignatureFault;
  /**
   * `retry`: the answer to the first delivery is lost, and the webhook comes again with the same idempotency token.
   * `concurrent`: both deliveries are under way at the same time; the answer to the first one counts.
   */
  readonly duplicateWebhook: 'none' | 'retry' | 'concurrent';
  /** Every callback comes twice. */
  readonly duplicateCallbacks: boolean;
  /** Wait between the answer document and the upgrade, as if the media path took that long; the token may expire. */
  readonly upgradeDelayMs: number;
  /** The caller hangs up after the answer document, and no media socket is ever opened. */
  readonly hangUpBeforeUpgrade: boolean;
  /** When the stream runs, somebody else opens a second socket with the same address and headers. */
  readonly replayUpgrade: boolean;
  /** The socket opens and says `connected` where there is such a message, and nothing else ever comes. */
  readonly neverStart: boolean;
  /** Three media frames come before `start`. */
  readonly mediaBeforeStart: boolean;
  /** `start` with ids only. */
  readonly sparseStart: boolean;
  /** `start` names a call that the bridge has never heard of. */
  readonly wrongCallId: boolean;
  /** JSON numbers where the carrier has strings, and strings where it has numbers. */
  readonly numbersForStrings: boolean;
  /** A message with an event that nobody knows comes after `start` and then every second. */
  readonly unknownEvents: boolean;
  /** No media for `forMs` from `fromMs` of stream time on, while timestamps go on. */
  readonly dropInbound: { readonly fromMs: number; readonly forMs: number } | undefined;
  /** Frames are held back and delivered together every so many ms (0: never), as on a network with jitter. */
  readonly burstMs: number;
  /** In each group of so many frames the first is overtaken by all others (0: none). Not together with `burstMs`. */
  readonly shuffleWithin: number;
  /** All keys of one `pressKeys` come in the same tick. */
  readonly dtmfBurst: boolean;
  /** `never`, or the ms by which echoes of marks are late. */
  readonly marks: 'never' | number;
  /** The socket closes without a `stop` message. */
  readonly omitStop: boolean;
  /** The connection is cut without a close frame. */
  readonly abruptClose: boolean;
  /** The connection breaks at this stream time, as by a network fault; the call goes on with the next verb. */
  readonly loseSocketAtMs: number | undefined;
  /** A close by the bridge is reported as an error of the stream instead of its end, where the carrier may do so. */
  readonly reportCloseAsError: boolean;
  /** Progress callbacks are delivered in reverse, at the end of the call. */
  readonly reverseProgress: boolean;
  readonly rest: RestFaults;
}

/** A call on which everything works. */
export const NO_FAULTS: PhoneFaults = Object.freeze({
  webhookSignature: 'good',
  upgradeSignature: 'good',
  duplicateWebhook: 'none',
  duplicateCallbacks: false,
  upgradeDelayMs: 0,
  hangUpBeforeUpgrade: false,
  replayUpgrade: false,
  neverStart: false,
  mediaBeforeStart: false,
  sparseStart: false,
  wrongCallId: false,
  numbersForStrings: false,
  unknownEvents: false,
  dropInbound: undefined,
  burstMs: 0,
  shuffleWithin: 0,
  dtmfBurst: false,
  marks: 0,
  omitStop: false,
  abruptClose: false,
  loseSocketAtMs: undefined,
  reportCloseAsError: false,
  reverseProgress: false,
  rest: {},
});
