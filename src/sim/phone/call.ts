import type { Clock } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import { Addresses } from './addresses.ts';
import type { CallOptions, CallReport } from './call-terms.ts';
import { Caller } from './caller.ts';
import { type CallStatus, CarrierDesk } from './carrier-desk.ts';
import { type CallEvent, type CallEventOf, type CallEventType, type EndedBy, EventLog } from './events.ts';
import { NO_FAULTS, type PhoneFaults } from './faults.ts';
import { Line, newSid } from './line.ts';
import { Recorder, type TurnFact } from './recorder.ts';
import { saveRecordings } from './recordings.ts';
import type { RestTarget } from './rest.ts';
import { Script } from './script.ts';
import type { Ticker } from './ticker.ts';
import { type Speech, speechToMulaw } from './voice.ts';

/** What the calls of an exchange share. */
export interface CallContext {
  readonly clock: Clock;
  readonly ticker: Ticker;
}

const DEFAULT_WAIT_MS = 30_000;

/** One call from a simulated caller by way of Twilio. It begins when it is made and ends by itself or by `hangUp`. */
export class SimulatedCall {
  readonly callSid = newSid('CA');
  readonly accountSid: string;
  readonly authToken: string;
  /** Resolves when the first verb that answers runs; rejects with CANCELLED when the call ends before. */
  readonly answered: Promise<void>;
  /** Resolves when the first `start` was sent; rejects with CANCELLED when the call ends without. */
  readonly streaming: Promise<void>;
  /** The end of the call, with the last callback answered; never rejects. */
  readonly ended: Promise<CallReport>;
  /** What the REST interface may do to this call. */
  readonly rest: RestTarget;
  readonly #context: CallContext;
  readonly #options: CallOptions;
  readonly #faults: PhoneFaults;
  readonly #log: EventLog;
  readonly #caller: Caller;
  readonly #recorder: Recorder;
  readonly #desk: CarrierDesk;
  readonly #script: Script;
  readonly #line: Line;
  readonly #addresses: Addresses;
  readonly #requests = new AbortController();
  readonly #answer = signalled();
  readonly #stream = signalled();
  #answeredMs: number | undefined;
  #firstStreamMs: number | undefined;
  #restCount = 0;
  #over = false;

  constructor(options: CallOptions, context: CallContext) {
    this.#context = context;
    this.#options = options;
    this.#faults = { ...NO_FAULTS, ...options.faults };
    this.accountSid = options.accountSid ?? `AC${'0'.repeat(31)}1`;
    this.authToken = options.authToken ?? '12345678901234567890123456789012';
    this.#addresses = new Addresses(options.webhookUrl, options.publicUrl);
    this.answered = this.#answer.promise;
    this.streaming = this.#stream.promise;
    this.#log = new EventLog(context.clock);
    this.#caller = new Caller((speaking) =>
      this.#log.add({ type: speaking ? 'caller-speaking' : 'caller-quiet' }),
    );
    this.#recorder = new Recorder(options.keepAudio ?? true, (speaking) =>
      this.#log.add({ type: speaking ? 'agent-speaking' : 'agent-quiet' }),
    );
    this.#desk = this.#makeDesk();
    this.#line = this.#makeLine();
    this.#script = this.#makeScript();
    this.rest = this.#makeRestTarget();
    this.ended = this.#run();
  }

  /** Of the latest stream; undefined before there is one. */
  get streamSid(): string | undefined {
    return this.#line.streamSid;
  }

  /** Everything that happened so far. */
  get events(): readonly CallEvent[] {
    return this.#log.events;
  }

  /** Events of one type so far. */
  eventsOf<T extends CallEventType>(type: T): readonly CallEventOf<T>[] {
    return this.#log.events.filter((event): event is CallEventOf<T> => event.type === type);
  }

  /** What Twilio would have written into its debugger, by `code: text`, with how often. */
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
    await this.streaming.catch(() => undefined);
    const stream = this.#line.streams.at(-1);
    if (stream === undefined) return false;
    const pressed = await Promise.all([...digits].map((digit) => stream.pressKey(digit)));
    return pressed.every(Boolean);
  }

  /** The caller hangs up; gives the report when all is over. May be called again. */
  hangUp(): Promise<CallReport> {
    this.#script.hangUp('caller');
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
    this.#script.hangUp('exchange');
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
    this.#desk.progress('initiated');
    this.#desk.progress('ringing');
    let by: EndedBy = 'carrier';
    let outcome: CallReport['outcome'] = 'failed';
    let failure: string | undefined;
    try {
      const url = this.#addresses.publicForm(this.#options.webhookUrl);
      ({ by, outcome } = await this.#script.run({ url, method: 'POST', fields: {} }));
    } catch (thrown) {
      failure = BridgeError.from(thrown).message;
      this.#log.warn(/\b[123]\d{4}\b/.exec(failure)?.[0] ?? '11200', failure);
    }
    this.#over = true;
    const durationMs = this.#answeredMs === undefined ? 0 : this.#log.now() - this.#answeredMs;
    for (const stream of this.#line.streams) stream.stop();
    this.#finish(by, outcome, durationMs);
    await this.#desk.settled();
    this.#requests.abort(new BridgeError('CANCELLED', 'the call is over'));
    this.#log.close();
    return this.#report(by, outcome, failure, durationMs);
  }

  #finish(by: EndedBy, outcome: CallReport['outcome'], durationMs: number): void {
    this.#caller.leave();
    this.#recorder.close();
    this.#log.add({ type: 'ended', by });
    const why = new BridgeError('CANCELLED', `the call is over, ended by ${by}`);
    this.#answer.reject(why);
    this.#stream.reject(why);
    if (by !== 'exchange') this.#desk.progress(this.#finalStatus(by, outcome), Math.round(durationMs / 1000));
  }

  // Once a call was answered it is completed, even when its instructions turned out to be no good.
  #finalStatus(by: EndedBy, outcome: CallReport['outcome']): CallStatus {
    if (this.#answeredMs !== undefined) return 'completed';
    if (by === 'caller') return 'canceled';
    return outcome === 'rejected' ? 'no-answer' : outcome;
  }

  #report(
    endedBy: EndedBy,
    outcome: CallReport['outcome'],
    failure: string | undefined,
    durationMs: number,
  ): CallReport {
    return {
      callSid: this.callSid,
      endedBy,
      outcome,
      failure,
      durationMs,
      streams: this.#line.ends,
      heardBytes: this.#line.streams.reduce((sum, stream) => sum + stream.heardBytes, 0),
      highWaterBytes: Math.max(0, ...this.#line.streams.map((stream) => stream.highWaterBytes)),
      firstStreamMs: this.#firstStreamMs,
      firstAgentMs: this.#recorder.firstAgentMs(),
      turns: this.#recorder.turns(),
      ...this.#recorder.timing,
      warnings: this.#log.warnings,
      events: this.#log.events,
    };
  }

  #makeDesk(): CarrierDesk {
    const { from = '+14155550100', to = '+14155550101', direction = 'inbound' } = this.#options;
    const identity = {
      accountSid: this.accountSid,
      callSid: this.callSid,
      from,
      to,
      direction,
      extraFields: this.#options.extraFields ?? {},
    };
    const url = this.#options.statusCallbackUrl;
    const statusCallbackUrl = url && this.#addresses.publicForm(url);
    const http = {
      clock: this.#context.clock,
      authToken: this.authToken,
      signal: this.#requests.signal,
      reach: (address: string) => this.#addresses.reach(address),
    };
    return new CarrierDesk({ identity, faults: this.#faults, statusCallbackUrl }, http, this.#log);
  }

  #makeLine(): Line {
    return new Line({
      clock: this.#context.clock,
      ticker: this.#context.ticker,
      log: this.#log,
      caller: this.#caller,
      recorder: this.#recorder,
      trace: this.#options.trace,
      addresses: this.#addresses,
      desk: this.#desk,
      faults: this.#faults,
      accountSid: this.accountSid,
      callSid: this.callSid,
      authToken: this.authToken,
      hangUp: () => this.#script.hangUp('caller'),
      started: () => {
        this.#firstStreamMs ??= this.#log.now();
        this.#stream.resolve();
      },
    });
  }

  #makeScript(): Script {
    return new Script({
      clock: this.#context.clock,
      log: this.#log,
      desk: this.#desk,
      dialResult: this.#options.dialResult ?? { status: 'completed', durationMs: 0 },
      fallbackUrl: this.#options.fallbackUrl && this.#addresses.publicForm(this.#options.fallbackUrl),
      answer: () => this.#onAnswer(),
      openStream: (verb, baseUrl, signal) => this.#line.open(verb, baseUrl, signal),
    });
  }

  #makeRestTarget(): RestTarget {
    const isOver = (): boolean => this.#over;
    const status = (): string => this.#desk.status;
    return {
      accountSid: this.accountSid,
      authToken: this.authToken,
      callSid: this.callSid,
      faults: this.#faults.rest,
      get isOver() {
        return isOver();
      },
      get status() {
        return status();
      },
      count: () => ++this.#restCount,
      answered: (operation, code) => this.#log.add({ type: 'rest', operation, status: code }),
      hangUp: () => this.#script.hangUp('rest'),
      replaceDocument: (replacement) => this.#script.replace(replacement),
    };
  }

  #onAnswer(): void {
    if (this.#answeredMs !== undefined) return;
    this.#answeredMs = this.#log.now();
    this.#log.add({ type: 'answered' });
    this.#desk.progress('in-progress');
    this.#answer.resolve();
  }
}

interface Signalled {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (why: BridgeError) => void;
}

function signalled(): Signalled {
  let resolve = (): void => {};
  let reject: (why: BridgeError) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever does not wait for it does not want to hear of it either.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
