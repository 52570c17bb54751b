import { BridgeError } from '../../errors.ts';
import { Addresses } from './addresses.ts';
import { callReport, finalStatus } from './call-report.ts';
import type { CallContext, CallOptions, CallReport } from './call-terms.ts';
import type { Callee } from './callee.ts';
import { Caller } from './caller.ts';
import { CarrierDesk } from './carrier-desk.ts';
import type { CallHandle, CallIdentity, CallOutcome, CarrierCall } from './carrier-sim.ts';
import type { CallDriver } from './driver.ts';
import {
  type CallEvent,
  type CallEventOf,
  type CallEventType,
  type CallStatus,
  type EndedBy,
  EventLog,
  type MachineResult,
} from './events.ts';
import { NO_FAULTS, type PhoneFaults } from './faults.ts';
import { ringLeg } from './leg.ts';
import { Line } from './line.ts';
import { ringCallee } from './outbound.ts';
import { Recorder, type TurnFact } from './recorder.ts';
import { saveRecordings } from './recordings.ts';
import { signalled } from './signalled.ts';
import { type Speech, speechToMulaw } from './voice.ts';

interface CallEnd {
  readonly by: EndedBy;
  readonly outcome: CallOutcome;
}

const DEFAULT_WAIT_MS = 30_000;

/** One call between a simulated caller and the bridge by way of a carrier. It begins when it is made and ends by itself or by `hangUp`. */
export class SimulatedCall {
  /** Who calls whom, in the carrier's spelling. */
  readonly identity: CallIdentity;
  /** Resolves when the first verb that answers runs; rejects with CANCELLED when the call ends before. */
  readonly answered: Promise<void>;
  /** Resolves when the first `start` was sent; rejects with CANCELLED when the call ends without. */
  readonly streaming: Promise<void>;
  /** The end of the call, with the last callback answered; never rejects. */
  readonly ended: Promise<CallReport>;
  /** What the carrier may know of this call, and do to it. */
  readonly handle: CallHandle;
  readonly #context: CallContext;
  readonly #options: CallOptions;
  readonly #faults: PhoneFaults;
  readonly #log: EventLog;
  readonly #caller: Caller;
  readonly #recorder: Recorder;
  readonly #desk: CarrierDesk;
  readonly #carrier: CarrierCall;
  readonly #driver: CallDriver;
  readonly #line: Line;
  readonly #addresses: Addresses;
  readonly #requests = new AbortController();
  /** Nobody is on the line any more, or soon will not be. */
  readonly #leaving = new AbortController();
  readonly #answer = signalled();
  readonly #stream = signalled();
  #answeredMs: number | undefined;
  #firstStreamMs: number | undefined;
  #status: CallStatus = 'ringing';
  #machine: MachineResult | undefined;
  #hungUpBy: EndedBy | undefined;
  #over = false;

  constructor(options: CallOptions, context: CallContext) {
    this.#context = context;
    this.#addresses = new Addresses(options.webhookUrl, options.publicUrl);
    this.#options = {
      ...options,
      fallbackUrl: options.fallbackUrl && this.#addresses.publicForm(options.fallbackUrl),
      statusCallbackUrl: options.statusCallbackUrl && this.#addresses.publicForm(options.statusCallbackUrl),
    };
    this.#faults = { ...NO_FAULTS, ...options.faults };
    this.identity = context.carrier.identify(options);
    this.answered = this.#answer.promise;
    this.streaming = this.#stream.promise;
    this.#log = new EventLog(context.clock);
    this.#caller = new Caller((speaking) =>
      this.#log.add({ type: speaking ? 'caller-speaking' : 'caller-quiet' }),
    );
    this.#recorder = new Recorder(options.keepAudio ?? true, (speaking) =>
      this.#log.add({ type: speaking ? 'agent-speaking' : 'agent-quiet' }),
    );
    this.handle = this.#makeHandle();
    this.#carrier = context.carrier.attend(this.handle);
    this.#desk = this.#makeDesk();
    this.#line = this.#makeLine();
    this.#driver = this.#makeDriver();
    this.ended = this.#run();
  }

  get callId(): string {
    return this.identity.callId;
  }

  /** Of the latest stream; undefined before there is one. */
  get streamId(): string | undefined {
    return this.#line.streamId;
  }

  /** Everything that happened so far. */
  get events(): readonly CallEvent[] {
    return this.#log.events;
  }

  /** Events of one type so far. */
  eventsOf<T extends CallEventType>(type: T): readonly CallEventOf<T>[] {
    return this.#log.events.filter((event): event is CallEventOf<T> => event.type === type);
  }

  /** What the carrier would have written into its debugger, by `code: text`, with how often. */
  get warnings(): ReadonlyMap<string, number> {
    return this.#log.warnings;
  }

  /** Marks that were reached or flushed so far. */
  get marks(): readonly CallEventOf<'mark'>[] {
    return this.eventsOf('mark');
  }

  /** What the bridge's clears did so far. */
  get clears(): readonly CallEventOf<'clear'>[] {
    return this.eventsOf('clear');
  }

  /** Every turn so far. */
  get turns(): readonly TurnFact[] {
    return this.#recorder.turns();
  }

  /** Mu-law that the caller heard, with silence in the gaps, 160 bytes a tick. A view that later ticks may outdate. */
  get heard(): Uint8Array {
    return this.#recorder.heard;
  }

  /** Mu-law that the caller said, on the same time line. */
  get sent(): Uint8Array {
    return this.#recorder.sent;
  }

  /**
   * Says something after what is still to be said; before the stream begins it waits. Resolves to true when the last
   * frame was sent, and to false when the call ended before. Throws BAD_AUDIO for a WAV that cannot be read.
   */
  speak(speech: Speech): Promise<boolean> {
    return this.#caller.say(speechToMulaw(speech));
  }

  /** Stops speaking in mid-word. */
  fallSilent(): void {
    this.#caller.fallSilent();
  }

  /** Presses keys (0-9 * # A-D), one after the other; resolves to false when the stream ended before the last one. */
  async pressKeys(digits: string): Promise<boolean> {
    const bad = [...digits].find((digit) => !'0123456789*#ABCD'.includes(digit));
    if (bad !== undefined) {
      throw new BridgeError('BAD_INPUT', `${JSON.stringify(bad)} is not a key of a telephone`);
    }
    const inMessage = [...digits].map((digit) => this.#line.pressInMessage(digit));
    if (inMessage.some((taken) => taken !== undefined)) return inMessage.includes(true);
    await this.streaming.catch(() => undefined);
    const stream = this.#line.streams.at(-1);
    if (stream === undefined) return false;
    const pressed = await Promise.all([...digits].map((digit) => stream.pressKey(digit)));
    return pressed.every(Boolean);
  }

  /** The caller hangs up; gives the report when all is over. May be called again. */
  hangUp(): Promise<CallReport> {
    this.#hangUp('caller');
    return this.ended;
  }

  /**
   * The next event of a type, in order: each call goes on where the one before it for the same type stopped, so what
   * happened between the two is not missed. Rejects with TIMEOUT after `withinMs`, with CANCELLED when the call is over.
   */
  next<T extends CallEventType>(
    type: T,
    accept: (event: CallEventOf<T>) => boolean = () => true,
    withinMs: number = DEFAULT_WAIT_MS,
  ): Promise<CallEventOf<T>> {
    return this.#log.next(type, accept, withinMs);
  }

  /** Resolves to true when the agent has spoken since the caller did, and was then quiet for `ms`; false: call over. */
  untilQuiet(ms: number): Promise<boolean> {
    const recorder = this.#recorder;
    return this.#until(() => recorder.spokenSinceCaller && recorder.quietMs >= ms && !this.#caller.speaking);
  }

  /** Resolves to true when the caller has heard `ms` of speech of the agent since its last pause; false: call over. */
  untilHeard(ms: number): Promise<boolean> {
    return this.#until(() => this.#recorder.stretchMs >= ms);
  }

  /**
   * Writes caller.wav, agent.wav and call.wav (stereo, caller left) into a folder, which is made when it is not there.
   * Rejects with BAD_INPUT when the call keeps no audio.
   */
  async saveRecordings(folder: string): Promise<void> {
    if (this.#options.keepAudio === false) {
      throw new BridgeError(
        'BAD_INPUT',
        'the call was placed with keepAudio: false, so there is nothing to save',
      );
    }
    await saveRecordings(folder, this.sent, this.heard);
  }

  /** Ends the call at once, without callbacks. */
  async destroy(): Promise<void> {
    this.#hangUp('exchange');
    this.#requests.abort(new BridgeError('CANCELLED', 'the exchange was closed'));
    for (const stream of this.#line.streams) stream.destroy();
    await this.ended;
  }

  /** The call has ended; callbacks may still be under way. */
  get isOver(): boolean {
    return this.#over;
  }

  #until(met: () => boolean): Promise<boolean> {
    return this.#over ? Promise.resolve(met()) : this.#recorder.until(met);
  }

  async #run(): Promise<CallReport> {
    this.#progress('initiated');
    this.#progress('ringing');
    let by: EndedBy = 'carrier';
    let outcome: CallOutcome = 'failed';
    let failure: string | undefined;
    try {
      const { callee } = this.#options;
      ({ by, outcome } = await (callee === undefined ? this.#driver.run() : this.#ring(callee)));
    } catch (thrown) {
      failure = BridgeError.from(thrown).message;
      // After our own code comes the carrier's.
      const { codes } = this.#context.carrier;
      this.#log.warn(/^[A-Z_]+: ([\w-]+): /.exec(failure)?.[1] ?? codes['http-failure'], failure);
    }
    this.#over = true;
    const durationMs = this.#answeredMs === undefined ? 0 : this.#log.now() - this.#answeredMs;
    for (const stream of this.#line.streams) stream.stop();
    this.#finish(by, outcome, durationMs);
    await this.#desk.settled();
    this.#requests.abort(new BridgeError('CANCELLED', 'the call is over'));
    this.#log.close();
    const { callId } = this;
    const end = { callId, endedBy: by, outcome, failure, durationMs, firstStreamMs: this.#firstStreamMs };
    return callReport(end, this.#line, this.#recorder, this.#log);
  }

  /** An outbound call: it is led by nobody until somebody has taken it. */
  async #ring(callee: Callee): Promise<CallEnd> {
    const result = await ringCallee(callee, {
      clock: this.#context.clock,
      log: this.#log,
      caller: this.#caller,
      order: this.#options.order,
      streaming: this.streaming,
      signal: this.#leaving.signal,
      answer: () => this.#onAnswer(),
      detected: (found, afterMs) => {
        this.#machine = found;
        this.#desk.tell({ type: 'machine', result: found, afterMs });
      },
    });
    if (this.#hungUpBy !== undefined) {
      return { by: this.#hungUpBy, outcome: this.#answeredMs === undefined ? 'canceled' : 'completed' };
    }
    return result === 'answered' ? await this.#driver.run() : { by: 'carrier', outcome: result };
  }

  #hangUp(by: EndedBy): void {
    this.#hungUpBy ??= by;
    this.#leaving.abort();
    this.#driver.hangUp(by);
  }

  #progress(status: CallStatus, durationS?: number, by?: EndedBy, outcome?: CallOutcome): void {
    this.#status = status;
    this.#desk.tell({ type: 'progress', status, durationS, by, outcome });
  }

  #finish(by: EndedBy, outcome: CallOutcome, durationMs: number): void {
    this.#leaving.abort();
    this.#caller.leave();
    this.#recorder.close();
    this.#log.add({ type: 'ended', by });
    const why = new BridgeError('CANCELLED', `the call is over, ended by ${by}`);
    this.#answer.reject(why);
    this.#stream.reject(why);
    if (by === 'exchange') return;
    const isPlaced = this.#options.callee !== undefined;
    const status = finalStatus(by, outcome, this.#answeredMs !== undefined, isPlaced);
    this.#progress(status, Math.round(durationMs / 1000), by, outcome);
  }

  #makeDesk(): CarrierDesk {
    return new CarrierDesk({
      clock: this.#context.clock,
      signal: this.#requests.signal,
      codes: this.#context.carrier.codes,
      carrier: this.#carrier,
      faults: this.#faults,
      log: this.#log,
      reach: (address) => this.#addresses.reach(address),
    });
  }

  #makeLine(): Line {
    const { clock, ticker, carrier } = this.#context;
    return new Line({
      clock,
      ticker,
      codes: carrier.codes,
      log: this.#log,
      caller: this.#caller,
      recorder: this.#recorder,
      trace: this.#options.trace,
      addresses: this.#addresses,
      desk: this.#desk,
      carrier: this.#carrier,
      faults: this.#faults,
      hangUp: () => this.#hangUp('caller'),
      pressed: (digit) => this.#desk.tell({ type: 'key', digit }),
      started: () => {
        this.#firstStreamMs ??= this.#log.now();
        this.#stream.resolve();
      },
    });
  }

  #makeDriver(): CallDriver {
    const { webhookUrl, fallbackUrl, order, dialResult } = this.#options;
    const result = dialResult ?? { status: 'completed', durationMs: 0 };
    const leg = { clock: this.#context.clock, log: this.#log, desk: this.#desk, result };
    return this.#carrier.drive({
      clock: leg.clock,
      log: this.#log,
      desk: this.#desk,
      codes: this.#context.carrier.codes,
      webhookUrl: order?.url ?? this.#addresses.publicForm(webhookUrl),
      fallbackUrl,
      answer: () => this.#onAnswer(),
      openStream: (verb, baseUrl, signal) => this.#line.open(verb, baseUrl, signal),
      listen: (terms, signal) => this.#line.listen(terms, signal),
      ring: (targets, callerId, signal, terms) => ringLeg(targets, callerId, leg, signal, terms),
    });
  }

  #makeHandle(): CallHandle {
    const call = this;
    return {
      identity: this.identity,
      options: this.#options,
      faults: this.#faults,
      clock: this.#context.clock,
      log: this.#log,
      leaving: this.#leaving.signal,
      get isOver() {
        return call.#over;
      },
      get isAnswered() {
        return call.#answeredMs !== undefined;
      },
      get status() {
        return call.#status;
      },
      get machine() {
        return call.#machine;
      },
      get heard() {
        return call.heard;
      },
      get sent() {
        return call.sent;
      },
      hangUp: (by) => this.#hangUp(by),
      replaceDocument: (replacement) => this.#driver.replace(replacement),
      callBack: (callbacks) => this.#desk.send(callbacks),
    };
  }

  #onAnswer(): void {
    if (this.#answeredMs !== undefined) return;
    this.#answeredMs = this.#log.now();
    this.#log.add({ type: 'answered' });
    this.#progress('in-progress');
    this.#answer.resolve();
  }
}
