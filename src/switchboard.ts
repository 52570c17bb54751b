import { askInTime, failure } from './call-request.ts';
import { KEYS_STEP, readAfter } from './call-urls.ts';
import type {
  AnswerPlan,
  CallOutcome,
  CallUrls,
  Carrier,
  CarrierEvent,
  ControlResult,
  IncomingCall,
  LiveResult,
  Next,
  Transfer,
} from './carrier.ts';
import { capabilitiesFor } from './carrier.ts';
import type { Clock } from './clock.ts';
import {
  type Errand,
  longestKeys,
  longestRefusal,
  longestTransfer,
  readKeys,
  STREAM_GRACE_MS,
  TURNAROUND_MS,
} from './errand.ts';
import { BridgeError } from './errors.ts';
import type { AfterStreamEvent } from './last-word.ts';
import type { Log } from './log.ts';
import { WayBack } from './way-back.ts';

export interface SwitchboardOptions {
  readonly call: IncomingCall;
  readonly carrier: Carrier;
  readonly clock: Clock;
  readonly log: Log;
  readonly urls: CallUrls;
  /** Aborts when the call is over. */
  readonly signal: AbortSignal;
  /** A plan for one more media stream of this call, with a token of its own. */
  plan(plainCodec: boolean): AnswerPlan;
  /** Whether the carrier still has the call. */
  isLive(): Promise<LiveResult>;
  /** The media stream is there. */
  hasStream(): boolean;
  /** Keys that can go out on the media socket; undefined while there is none. */
  socketDigits(): ((digits: string) => void) | undefined;
  /** The carrier waits for the end of the media stream before it does what it was told. */
  endStream(): void;
  /** There is somebody for the caller to come back to. */
  hasAgent(): boolean;
  /** The call is about to end, whatever the caller does. */
  isLeaving(): boolean;
  /** The carrier has taken the order to transfer the call. */
  onTransferStarted(): void;
  /** The other end of a transfer has picked up. */
  onTransferred(): void;
  /** The transfer came to nothing, and the caller is back or about to be; without an agent, this is the end. */
  onTransferFailed(outcome: CallOutcome): void;
  /** The caller was to come back to the agent and did not. */
  onLost(): void;
  /** The caller has hung up, of which nobody has told. */
  onCallerGone(): void;
}

/**
 * What a person at a switchboard would do to one call: put it through, press keys for it, record it. Where the carrier
 * has to interrupt the media stream for that, it knows what the carrier is told meanwhile and that the stream comes back.
 */
export class Switchboard {
  readonly #options: SwitchboardOptions;
  #errand: Errand | undefined;
  #recording = false;
  readonly #return: WayBack;
  #plainCodec = false;
  #announcement: { readonly text: string; readonly language: string | undefined } | undefined;

  constructor(options: SwitchboardOptions) {
    this.#options = options;
    this.#return = new WayBack(options);
  }

  /** The media stream may end now without that being the end of the call. */
  get streamMayEnd(): boolean {
    // Also where a transfer goes on beside the stream: it ends when the other end picks up, and the news of that is slower.
    return this.#errand !== undefined || this.#return.plan !== undefined;
  }

  /** The carrier was told to record the call and has not been told to stop. */
  get recording(): boolean {
    return this.#recording;
  }

  get transferring(): boolean {
    return this.#errand?.kind === 'transfer' && !this.#errand.doubtful;
  }

  /**
   * What the other end of the transfer is told; undefined: nothing. It stays when the transfer is over: news that the
   * other end has picked up may be faster than its question.
   */
  get announcement(): { readonly text: string; readonly language: string | undefined } | undefined {
    return this.#announcement;
  }

  /**
   * Connects the caller with somebody else. Resolves when the carrier has taken the order; what became of it is told by
   * the callbacks. Never rejects.
   */
  async transfer(transfer: Transfer): Promise<ControlResult> {
    const { announce, language } = transfer;
    if (announce !== undefined && !this.#can.transfer.announced) {
      const why = `${this.#options.carrier.name} cannot tell the other end of a transfer why it is called`;
      return failure('BAD_INPUT', why);
    }
    const next: Next = { type: 'transfer', ...transfer };
    const refused = this.#refuse(next);
    if (refused !== undefined) return refused;
    // Before the request, because the other end may be quick.
    this.#announcement = announce === undefined ? undefined : { text: announce, language };
    return await this.#send('transfer', next, longestTransfer(transfer));
  }

  /** Presses keys for the other end of the line: 0-9 * # A-D, w and W are pauses of half a second and a second. */
  async sendDigits(keys: string): Promise<ControlResult> {
    const { carrier, call } = this.#options;
    let digits: string;
    try {
      digits = readKeys(keys);
    } catch (thrown) {
      return { status: 'error', error: BridgeError.from(thrown) };
    }
    const request = (signal: AbortSignal) => carrier.sendDigits(call, digits, signal);
    switch (this.#can.digitsOut) {
      case 'socket': {
        const press = this.#options.socketDigits();
        // A socket knows keys and no pauses.
        if (press === undefined || /w/i.test(digits)) return this.#ask(request);
        press(digits);
        return { status: 'ok' };
      }
      case 'request':
        return this.#ask(request);
      case 'interrupts-stream': {
        const next: Next = { type: 'digits', digits };
        return this.#refuse(next) ?? (await this.#send('digits', next, longestKeys(digits)));
      }
    }
  }

  async startRecording(): Promise<ControlResult> {
    if (this.#recording) return { status: 'ok' };
    const { carrier, call, urls } = this.#options;
    const result = await this.#ask((signal) => carrier.startRecording(call, urls, signal));
    this.#recording = result.status === 'ok';
    return result;
  }

  /** A carrier that knows of no recording any more has stopped it by itself; it does not mean the call. */
  async stopRecording(): Promise<ControlResult> {
    if (!this.#recording) return failure('CONFLICT', 'the call is not being recorded');
    const { carrier, call } = this.#options;
    const result = await this.#ask((signal) => carrier.stopRecording(call, signal));
    if (result.status !== 'error') this.#recording = false;
    return result.status === 'already-ended' ? { status: 'ok' } : result;
  }

  /** The caller's codec cannot be decoded: when this stream is closed, the carrier opens one with a codec that can. */
  changeCodec(): void {
    this.#plainCodec = true;
    // What was ordered meanwhile comes first; the stream after it will be the right one.
    if (this.#errand !== undefined) return;
    const next: Next = { type: 'stream', plan: this.#options.plan(true) };
    if (next.plan.standsAlone === true) void this.#send('codec', next, TURNAROUND_MS);
    else this.#begin('codec', next, TURNAROUND_MS);
  }

  /**
   * The carrier asks what comes next. Undefined: nothing was planned for this moment.
   * @param step of the address that it asks at, see `withStep`
   */
  asked(event: AfterStreamEvent, step?: string): Next | undefined {
    const errand = this.#errand;
    // Nobody is there to be led anywhere, unless they have talked to each other.
    if (event.ended && (errand?.kind !== 'transfer' || event.transfer !== 'completed')) return undefined;
    if (errand === undefined) return this.#askedAgain(event, step);
    switch (errand.kind) {
      case 'codec':
        if (errand.next.type === 'stream') this.#return.begin(errand.next.plan);
        this.#over();
        return errand.next;
      case 'digits':
        // Whoever asks again before that has missed the answer.
        if (step === KEYS_STEP) return this.#back();
        this.#onTold(errand);
        return errand.next;
      case 'transfer':
        return this.#askedInTransfer(errand, event);
    }
  }

  /** News of the other end while it is rung. */
  transferNews(event: Extract<CarrierEvent, { type: 'transfer' }>): void {
    const errand = this.#errand;
    if (errand?.kind !== 'transfer') return;
    const told = this.#announcement?.text;
    if (event.status === 'answered' && told !== undefined && this.#can.transfer.endsStream) {
      // Whoever is told why may still refuse; then the carrier asks what comes next.
      errand.told = true;
      errand.cancel();
      errand.cancel = this.#options.clock.after(longestRefusal(told), () => this.#late());
    } else if (event.status === 'answered') {
      this.#over();
      this.#options.onTransferred();
    } else if (!this.#can.transfer.endsStream) {
      this.#over();
      const { outcome = 'failed' } = event;
      if (this.#options.hasStream() || !this.#options.hasAgent()) this.#options.onTransferFailed(outcome);
      else this.#reopen(outcome);
    }
  }

  /** The media stream is there (again). */
  streamStarted(): void {
    this.#return.arrived();
  }

  close(): void {
    this.#over();
    this.#return.close();
  }

  get #can() {
    return capabilitiesFor(this.#options.carrier, this.#options.call);
  }

  #askedInTransfer(errand: Errand, event: AfterStreamEvent): Next {
    // The stream beside it may end at any time; the transfer goes on.
    if (!this.#can.transfer.endsStream) return { type: 'nothing' };
    // A transfer is over only when its outcome is told: until then whoever asks again has missed the answer.
    if (event.transfer === undefined) {
      this.#onTold(errand);
      return errand.next;
    }
    if (event.transfer === 'completed') {
      this.#over();
      this.#options.onTransferred();
      return { type: 'hang-up' };
    }
    this.#over();
    this.#options.onTransferFailed(event.transfer);
    return this.#options.hasAgent() ? this.#back() : { type: 'hang-up' };
  }

  /** Whoever asks anything but what follows the new stream has missed the answer that led there. */
  #askedAgain(event: AfterStreamEvent, step: string | undefined): Next | undefined {
    const { plan } = this.#return;
    if (plan === undefined || this.#options.call.control === 'command') return undefined;
    const again = event.transfer !== undefined || step !== readAfter(plan.afterUrl).step;
    return again ? { type: 'stream', plan } : undefined;
  }

  /** Why this cannot be done now, or not at all; found out only when the carrier asks, that would end the call. */
  #refuse(next: Next): ControlResult | undefined {
    const { carrier, call, urls } = this.#options;
    if ((this.#errand !== undefined && !this.#errand.doubtful) || this.#return.plan !== undefined) {
      return failure('CONFLICT', 'the call is being transferred or has its keys pressed already');
    }
    if (this.#options.isLeaving())
      return failure('CONFLICT', 'the agent is saying goodbye, and the call ends');
    if (call.control === 'command') return undefined;
    try {
      carrier.document(next, urls);
      return undefined;
    } catch (thrown) {
      return { status: 'error', error: BridgeError.from(thrown, 'BAD_INPUT') };
    }
  }

  async #send(kind: Errand['kind'], next: Next, limitMs: number): Promise<ControlResult> {
    const { carrier, call, urls } = this.#options;
    // Before the request: the carrier may come and ask before it has answered.
    const errand = this.#begin(kind, next, limitMs);
    const result = await this.#ask((signal) => carrier.direct(call, next, urls, signal));
    if (this.#errand !== errand) return result;
    if (result.status !== 'ok') this.#onRefused(errand, result);
    else if (call.control === 'command') this.#onTold(errand);
    else this.#onOrdered(errand);
    return result;
  }

  #begin(kind: Errand['kind'], next: Next, limitMs: number): Errand {
    this.#over();
    const errand: Errand = {
      kind,
      next,
      limitMs,
      started: false,
      told: false,
      doubtful: false,
      cancel: this.#options.clock.after(TURNAROUND_MS, () => this.#late()),
      cancelEndStream: () => undefined,
    };
    this.#errand = errand;
    return errand;
  }

  #start(errand: Errand): void {
    errand.doubtful = false;
    if (errand.started) return;
    errand.started = true;
    if (errand.kind === 'transfer') this.#options.onTransferStarted();
  }

  /** The carrier comes and asks, or has come already. */
  #onOrdered(errand: Errand): void {
    this.#start(errand);
    // Plivo goes on to the new document only when the running stream is over.
    errand.cancelEndStream = this.#options.clock.after(STREAM_GRACE_MS, () => this.#options.endStream());
  }

  #onTold(errand: Errand): void {
    if (errand.told) return;
    errand.told = true;
    errand.cancel();
    errand.cancel = this.#options.clock.after(errand.limitMs, () => this.#late());
    this.#start(errand);
  }

  #onRefused(errand: Errand, result: ControlResult): void {
    if (errand.told) return;
    const unsure = result.status === 'error' && result.error.code === 'CARRIER_UNAVAILABLE';
    const away = !this.#options.hasStream();
    if (result.status === 'already-ended' && away) this.#options.onCallerGone();
    // An answer that was lost says nothing of the order, and a stream that has gone says that it was taken.
    else if (unsure || away) errand.doubtful = true;
    else this.#over();
  }

  /** Nobody has said what became of it. */
  #late(): void {
    const errand = this.#errand;
    if (errand === undefined) return;
    if (this.#options.hasStream()) {
      this.#conclude(errand, false);
      return;
    }
    const { cancel } = errand;
    const conclude = (gone: boolean): void => {
      // Unless the carrier has come meanwhile.
      if (this.#errand === errand && errand.cancel === cancel) this.#conclude(errand, gone);
    };
    this.#options.isLive().then(
      (result) => conclude(result.status === 'ok' && !result.live),
      () => conclude(false),
    );
  }

  /** @param gone the carrier has no such call any more */
  #conclude({ kind, told, doubtful }: Errand, gone: boolean): void {
    const away = !this.#options.hasStream();
    this.#over();
    this.#options.log.warn({ kind, told, doubtful, gone }, 'the carrier did not come back in time');
    if (gone && away) this.#options.onCallerGone();
    // It rang as long as it may, nobody said that it failed, and the agent has lost its stream: they are talking.
    else if (kind === 'transfer' && told && away) this.#options.onTransferred();
    else if (away) this.#options.onLost();
    // Of a doubtful one it was told already that it failed.
    else if (kind === 'transfer' && !doubtful) this.#options.onTransferFailed('failed');
  }

  /** @param untold what became of the transfer, when that is told later */
  #back(untold?: CallOutcome): Next {
    const plan = this.#options.plan(this.#plainCodec);
    this.#return.begin(plan, untold);
    this.#over();
    return { type: 'stream', plan };
  }

  /** Command style: nobody asks, so the carrier is told to open the stream again. */
  #reopen(outcome: CallOutcome): void {
    const { carrier, call, urls } = this.#options;
    const next = this.#back(outcome);
    void this.#ask((signal) => carrier.direct(call, next, urls, signal)).then((result) => {
      if (result.status === 'already-ended') {
        this.#options.onCallerGone();
        return;
      }
      this.#return.tellFailed();
      if (result.status === 'error') this.#options.onLost();
    });
  }

  #over(): void {
    this.#errand?.cancel();
    this.#errand?.cancelEndStream();
    this.#errand = undefined;
  }

  #ask(request: (signal: AbortSignal) => Promise<ControlResult>): Promise<ControlResult> {
    return askInTime(this.#options, request);
  }
}
