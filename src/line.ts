import { formatName } from './audio/format.ts';
import {
  type AnswerPlan,
  type CallOutcome,
  type CallUrls,
  type Carrier,
  type CarrierCapabilities,
  capabilitiesFor,
  type IncomingCall,
  type LiveResult,
} from './carrier.ts';
import { type Cancel, type Clock, deadline } from './clock.ts';
import type { CallLeg } from './leg.ts';
import { LineWatch } from './line-watch.ts';
import type { Log } from './log.ts';
import { Switchboard } from './switchboard.ts';

export interface LineOptions {
  readonly call: IncomingCall;
  readonly carrier: Carrier;
  readonly clock: Clock;
  readonly log: Log;
  readonly urls: CallUrls;
  /** Aborts when the call is over. */
  readonly signal: AbortSignal;
  /** A plan for one more media stream of this call, with a token of its own. */
  plan(plainCodec: boolean): AnswerPlan;
  /** When the last media message came; undefined while there is no stream. */
  lastMediaAt(): number | undefined;
  /** The agent can go on when the caller is back. */
  hasAgent(): boolean;
  /** The call is about to end, whatever the caller does. */
  isLeaving(): boolean;
  onAttached(leg: CallLeg): void;
  /** The stream is gone and may come again. `broken`: nobody wanted that. */
  onDetached(broken: boolean): void;
  onTransferStarted(): void;
  onOver(reason: 'caller-hung-up' | 'media-lost' | 'transferred'): void;
  onTransferFailed(outcome: CallOutcome): void;
  /**
   * The call is over: called once, in the place of closing the stream. `leg`: the stream there is, which is to be closed
   * then; `asks`: the carrier was told to do something, and asks what comes after it.
   */
  readonly part?: ((leg: CallLeg | undefined, asks: boolean) => void) | undefined;
}

/** A carrier that opens a broken stream again does so at once. */
const REOPEN_MS = 8000;
const LIVE_MS = 5000;

/**
 * The carrier's side of one call: the media stream, which may go and come again, what the carrier is told to do
 * meanwhile, and a watch on a stream that says nothing any more.
 */
export class Line {
  /** What a person at a switchboard would do. */
  readonly switchboard: Switchboard;
  readonly #options: LineOptions;
  readonly #can: CarrierCapabilities;
  readonly #watch: LineWatch;
  #leg: CallLeg | undefined;
  #hadLeg = false;
  /** When the last stream went away. */
  #goneAt: number | undefined;
  #plainCodec = false;
  #cancelReopen: Cancel | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
    const { call, carrier, clock, log, urls, signal } = options;
    this.#can = capabilitiesFor(carrier, call);
    const isLive = async (): Promise<LiveResult> => {
      using limit = deadline(clock, LIVE_MS, 'the question whether the call lives', signal);
      return await carrier.isLive(call, limit.signal);
    };
    this.switchboard = new Switchboard({
      call,
      carrier,
      clock,
      log,
      urls,
      signal,
      plan: (plainCodec) => options.plan(plainCodec),
      isLive,
      hasAgent: () => options.hasAgent(),
      isLeaving: () => options.isLeaving(),
      hasStream: () => this.#leg !== undefined,
      socketDigits: () => this.#leg?.sendDigits.bind(this.#leg),
      endStream: () => this.#leg?.close(1000, 'something else comes next'),
      onTransferStarted: () => {
        options.log.info('transfer started');
        options.onTransferStarted();
      },
      onTransferred: () => {
        options.log.info('transfer answered');
        options.onOver('transferred');
      },
      onTransferFailed: (outcome) => options.onTransferFailed(outcome),
      onLost: () => options.onOver('media-lost'),
      onCallerGone: () => options.onOver('caller-hung-up'),
    });
    this.#watch = new LineWatch({
      clock,
      log,
      lastMediaAt: () => options.lastMediaAt() ?? this.#goneAt,
      isAway: () => this.#leg === undefined,
      isLive,
      onDead: () => options.onOver('caller-hung-up'),
    });
  }

  /** A media stream of this call was there once. */
  get hadLeg(): boolean {
    return this.#hadLeg;
  }

  get roundTripMs(): number {
    return this.#leg?.roundTripMs ?? 0;
  }

  /** The carrier's stream has begun. */
  attach(leg: CallLeg): void {
    // The carrier has noticed before us that the old socket is dead, or has ended the old stream without a word.
    if (this.#leg !== undefined && this.switchboard.streamMayEnd) this.#detach(this.#leg, false);
    else if (this.#leg !== undefined && this.#mayReopen) this.#breakOff(this.#leg);
    else if (this.#leg !== undefined) {
      leg.close(1000, 'the call has its stream already');
      return;
    }
    this.#cancelReopen?.();
    this.#leg = leg;
    const again = this.#hadLeg;
    this.#hadLeg = true;
    this.switchboard.streamStarted();
    this.#watch.begin();
    this.#options.log.info({ codec: formatName(leg.output), again }, 'media stream started');
    this.#options.onAttached(leg);
  }

  /** The carrier has ended the stream in good order. */
  stopped(): void {
    if (!this.switchboard.streamMayEnd) this.#options.onOver('caller-hung-up');
    else if (this.#leg !== undefined) this.#detach(this.#leg, false);
  }

  /**
   * A media socket is gone; without `stopped` before it the stream broke, unless the carrier never says that word.
   * @param clean it was closed by a closing handshake
   */
  closed(leg: CallLeg, clean: boolean): void {
    if (this.switchboard.streamMayEnd) {
      if (this.#leg === leg) this.#detach(leg, false);
      return;
    }
    // A socket that never became the leg, or is the leg no more.
    if (this.#leg !== leg && (this.#leg !== undefined || this.#mayReopen)) return;
    if (clean && !this.#can.saysStopped) this.#options.onOver('caller-hung-up');
    else if (this.#mayReopen) this.#breakOff(leg);
    else this.#options.onOver('media-lost');
  }

  /** The carrier sends a codec that nobody here can decode. False: another one was asked for in vain, and this is the end. */
  refuseCodec(codec: string): boolean {
    if (this.#plainCodec) {
      this.#options.log.error({ codec }, 'the codec of the carrier cannot be decoded, and it has no other');
      this.#options.onOver('media-lost');
      return false;
    }
    this.#plainCodec = true;
    this.#options.log.warn({ codec }, 'the codec of the carrier cannot be decoded; another one is asked for');
    this.switchboard.changeCodec();
    return true;
  }

  close(reason: string): void {
    this.#cancelReopen?.();
    this.#watch.close();
    const asks = this.switchboard.streamMayEnd;
    this.switchboard.close();
    if (this.#options.part === undefined) this.#leg?.close(1000, reason);
    else this.#options.part(this.#leg, asks);
  }

  get #mayReopen(): boolean {
    return this.#can.tokenUses > 1;
  }

  #detach(leg: CallLeg, broken: boolean): void {
    this.#leg = undefined;
    this.#goneAt = this.#options.clock.now();
    this.#options.onDetached(broken);
    // Whatever it still says is of no more interest, and nobody else would close it.
    leg.close(1000, broken ? 'replaced' : 'the stream is over');
  }

  /** The stream broke, and the carrier may open it again. */
  #breakOff(leg: CallLeg): void {
    this.#detach(leg, true);
    this.#options.log.warn('the media stream broke; the carrier may open it again');
    this.#cancelReopen?.();
    this.#cancelReopen = this.#options.clock.after(REOPEN_MS, () => {
      // Something else may have been ordered meanwhile, and that has limits of its own.
      if (!this.switchboard.streamMayEnd) this.#options.onOver('media-lost');
    });
  }
}
