import type {
  AnswerPlan,
  CallOutcome,
  CallUrls,
  Carrier,
  CarrierEvent,
  ControlResult,
  IncomingCall,
  Next,
  Transfer,
} from './carrier.ts';
import { capabilitiesFor } from './carrier.ts';
import { type Cancel, type Clock, deadline } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { Log } from './log.ts';

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
  /** Keys that can go out on the media socket; undefined while there is none. */
  socketDigits(): ((digits: string) => void) | undefined;
  /** The other end of a transfer has picked up. */
  onTransferred(): void;
  /** The transfer came to nothing, and the caller is back or about to be. */
  onTransferFailed(outcome: CallOutcome): void;
  /** The carrier waits for the end of the media stream before it does what it was told. */
  endStream(): void;
  /** The caller was to come back to the agent and did not. */
  onLost(): void;
}

/** A time in which the media stream is away on purpose, or a transfer is under way beside it. */
interface Errand {
  readonly kind: 'transfer' | 'digits' | 'codec';
  readonly next: Next;
  readonly announce: string | undefined;
  readonly language: string | undefined;
  /** The carrier was told `next`. */
  told: boolean;
  cancel: Cancel;
  cancelEndStream: Cancel;
}

const REST_MS = 5000;
/** From the request to the carrier's question what it shall do, and from its answer to the new stream. */
const TURNAROUND_MS = 20_000;
/** A key and the pause after it. */
const MS_PER_DIGIT = 1500;
/** By then the carrier has ended the stream by itself, or is not going to. */
const STREAM_GRACE_MS = 1500;
const KEYS = /^[0-9A-Da-d*#wW]{1,64}$/;

/**
 * What a person at a switchboard would do to one call: put it through, press keys for it, record it. Where the carrier
 * has to interrupt the media stream for that, it knows what the carrier is told meanwhile and that the stream comes back.
 */
export class Switchboard {
  readonly #options: SwitchboardOptions;
  #errand: Errand | undefined;
  #cancelReturn: Cancel | undefined;

  constructor(options: SwitchboardOptions) {
    this.#options = options;
  }

  /** The media stream may end now without that being the end of the call. */
  get streamMayEnd(): boolean {
    if (this.#cancelReturn !== undefined) return true;
    return this.#errand !== undefined && (this.#errand.kind !== 'transfer' || this.#can.transfer.endsStream);
  }

  get transferring(): boolean {
    return this.#errand?.kind === 'transfer';
  }

  /** What the other end of the transfer is told; undefined: nothing. */
  get announcement(): { readonly text: string; readonly language: string | undefined } | undefined {
    const { announce, language } = this.#errand ?? {};
    return announce === undefined ? undefined : { text: announce, language };
  }

  /**
   * Connects the caller with somebody else. Resolves when the carrier has taken the order; what became of it is told by
   * the callbacks. Never rejects.
   */
  transfer(transfer: Transfer): Promise<ControlResult> {
    if (transfer.announce !== undefined && !this.#can.transfer.announced) {
      const why = `${this.#options.carrier.name} cannot tell the other end of a transfer why it is called`;
      return Promise.resolve(error('BAD_INPUT', why));
    }
    const next: Next = { type: 'transfer', ...transfer };
    return this.#send('transfer', next, transfer.ringS * 1000 + TURNAROUND_MS, transfer);
  }

  /** Presses keys for the other end of the line: 0-9 * # A-D, w and W are pauses of half a second and a second. */
  async sendDigits(digits: string): Promise<ControlResult> {
    const { carrier, call } = this.#options;
    if (!KEYS.test(digits)) {
      return error(
        'BAD_INPUT',
        `the keys are ${digits.length} characters; wanted 1 to 64 of 0-9 A-D * # w W`,
      );
    }
    switch (this.#can.digitsOut) {
      case 'socket': {
        const press = this.#options.socketDigits();
        // A socket knows keys and no pauses.
        if (press === undefined || /w/i.test(digits))
          return this.#ask((signal) => carrier.sendDigits(call, digits, signal));
        press(digits);
        return { status: 'ok' };
      }
      case 'request':
        return this.#ask((signal) => carrier.sendDigits(call, digits, signal));
      case 'interrupts-stream':
        return this.#send('digits', { type: 'digits', digits }, TURNAROUND_MS + digits.length * MS_PER_DIGIT);
    }
  }

  startRecording(): Promise<ControlResult> {
    const { carrier, call, urls } = this.#options;
    return this.#ask((signal) => carrier.startRecording(call, urls, signal));
  }

  stopRecording(): Promise<ControlResult> {
    const { carrier, call } = this.#options;
    return this.#ask((signal) => carrier.stopRecording(call, signal));
  }

  /** The caller's codec cannot be decoded: when this stream is closed, the carrier opens one with a codec that can. */
  changeCodec(): void {
    const next: Next = { type: 'stream', plan: this.#options.plan(true) };
    this.#begin('codec', next, TURNAROUND_MS);
  }

  /** The carrier asks what comes next. Undefined: nothing was planned for this moment. */
  asked(event: Extract<CarrierEvent, { type: 'after-stream' }>): Next | undefined {
    const errand = this.#errand;
    if (errand === undefined) return undefined;
    if (errand.kind === 'codec') {
      this.#over();
      this.#awaitReturn();
      return errand.next;
    }
    const isTransfer = errand.kind === 'transfer';
    // The stream beside it may end at any time; the transfer goes on.
    if (isTransfer && !this.#can.transfer.endsStream) return { type: 'nothing' };
    // A transfer is over only when its outcome is told: until then whoever asks again has missed the answer.
    if (event.transfer === undefined && (isTransfer || !errand.told)) {
      errand.told = true;
      return errand.next;
    }
    this.#over();
    if (event.transfer === 'completed') {
      this.#options.onTransferred();
      return { type: 'hang-up' };
    }
    if (isTransfer) this.#options.onTransferFailed(event.transfer ?? 'failed');
    return this.#back();
  }

  /** News of the other end while it is rung. */
  transferNews(event: Extract<CarrierEvent, { type: 'transfer' }>): void {
    if (!this.transferring) return;
    if (event.status === 'answered') {
      this.#over();
      this.#options.onTransferred();
    } else if (!this.#can.transfer.endsStream) {
      this.#over();
      this.#options.onTransferFailed(event.outcome ?? 'failed');
    }
  }

  /** The media stream is there (again). */
  streamStarted(): void {
    this.#cancelReturn?.();
    this.#cancelReturn = undefined;
  }

  close(): void {
    this.#over();
    this.streamStarted();
  }

  get #can() {
    return capabilitiesFor(this.#options.carrier, this.#options.call);
  }

  async #send(
    kind: Errand['kind'],
    next: Next,
    limitMs: number,
    words?: Pick<Transfer, 'announce' | 'language'>,
  ): Promise<ControlResult> {
    const { carrier, call, urls } = this.#options;
    if (this.#errand !== undefined || this.#cancelReturn !== undefined) {
      return error('BAD_INPUT', 'the call is being transferred or has its keys pressed already');
    }
    // Before the request: the carrier may come and ask before it has answered.
    const errand = this.#begin(kind, next, limitMs, words);
    const result = await this.#ask((signal) => carrier.direct(call, next, urls, signal));
    if (result.status !== 'ok' && !errand.told) this.#giveUp(errand);
    else if (result.status === 'ok') this.#awaitStreamEnd(errand);
    return result;
  }

  #begin(
    kind: Errand['kind'],
    next: Next,
    limitMs: number,
    words?: Pick<Transfer, 'announce' | 'language'>,
  ): Errand {
    this.#over();
    const { announce, language } = words ?? {};
    const cancel = this.#options.clock.after(limitMs, () => this.#late());
    this.#errand = { kind, next, announce, language, told: false, cancel, cancelEndStream: () => undefined };
    return this.#errand;
  }

  /** Plivo goes on to the new document only when the running stream is over. */
  #awaitStreamEnd(errand: Errand): void {
    if (this.#errand !== errand || !this.streamMayEnd) return;
    errand.cancelEndStream = this.#options.clock.after(STREAM_GRACE_MS, () => this.#options.endStream());
  }

  #giveUp(errand: Errand): void {
    if (this.#errand === errand) this.#over();
  }

  /** Nobody has said what became of it. */
  #late(): void {
    const errand = this.#errand;
    if (errand === undefined) return;
    this.#over();
    this.#options.log.warn({ kind: errand.kind, told: errand.told }, 'the carrier did not come back in time');
    if (errand.kind !== 'transfer') this.#options.onLost();
    // It rang as long as it may, and nobody said that it failed: they are talking.
    else if (errand.told || !this.#can.transfer.endsStream) this.#options.onTransferred();
    else this.#options.onTransferFailed('failed');
  }

  #back(): Next {
    const plan = this.#options.plan(false);
    this.#awaitReturn();
    return { type: 'stream', plan };
  }

  #awaitReturn(): void {
    this.#cancelReturn?.();
    this.#cancelReturn = this.#options.clock.after(TURNAROUND_MS, () => {
      this.#cancelReturn = undefined;
      this.#options.onLost();
    });
  }

  #over(): void {
    this.#errand?.cancel();
    this.#errand?.cancelEndStream();
    this.#errand = undefined;
  }

  async #ask(request: (signal: AbortSignal) => Promise<ControlResult>): Promise<ControlResult> {
    using limit = deadline(this.#options.clock, REST_MS, 'the request to the carrier', this.#options.signal);
    const result = await request(limit.signal);
    if (result.status === 'error') {
      this.#options.log.warn({ err: result.error }, 'the carrier did not do what was asked');
    }
    return result;
  }
}

function error(code: 'BAD_INPUT', message: string): ControlResult {
  return { status: 'error', error: new BridgeError(code, message) };
}
