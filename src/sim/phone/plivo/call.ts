import type { Cancel } from '../../../clock.ts';
import { assertNever } from '../../../errors.ts';
import type {
  Callback,
  CallHandle,
  CarrierCall,
  Happening,
  RequestLimits,
  StreamPlan,
  TroubleCodes,
  WireRequest,
} from '../carrier-sim.ts';
import type { CallDriver, DriverContext, RunningStream } from '../driver.ts';
import type { EndedBy } from '../events.ts';
import { withoutFragment } from '../http.ts';
import { pause } from '../pause.ts';
import { type DocumentRules, type FollowUp, Script } from '../script.ts';
import { type OwnVerb, resolveUrl, type StreamVerb } from '../verbs.ts';
import { httpMethod } from '../xml.ts';
import { Dial, seconds } from './dial.ts';
import { readPlivoXml } from './documents.ts';
import { causeOf, type HangupCause, type OwnEnd } from './hangup-causes.ts';
import { Recordings } from './recordings.ts';
import { readSettings } from './settings.ts';
import { planStream } from './stream-plan.ts';
import {
  type CallFacts,
  callFields,
  documentFields,
  hangupFields,
  streamReport,
  upgradeHeaders,
  webhookHeaders,
} from './webhooks.ts';

/** A stream that runs or is being opened, also one that will be opened again. */
export interface LiveStream {
  readonly url: string;
  /** Of the latest socket. */
  streamId: string;
  stop(): void;
}

const STREAM_TIMEOUT_S = 86_400;
const CALL_LIMIT_S = 14_400;
const RECORD_LIMIT_S = 60;
const RECORD_SILENCE_S = 15;
const MOST_TRANSFERS = 70;

/** Plivo's part of one call. */
export class PlivoCall implements CarrierCall {
  readonly call: CallHandle;
  readonly requestId: string | undefined;
  readonly recordings: Recordings;
  readonly #codes: TroubleCodes;
  readonly #settings: ReturnType<typeof readSettings>;
  readonly #beganMs: number;
  readonly #streams = new Map<StreamVerb, LiveStream>();
  readonly #over = new AbortController();
  readonly #timers: Cancel[] = [];
  #context: DriverContext | undefined;
  #dial: Dial | undefined;
  #answeredMs: number | undefined;
  #leaving = false;
  #transfers = 0;
  #ownEnd: OwnEnd;
  /** Why it is over; undefined while it is not. */
  cause: HangupCause | undefined;

  constructor(call: CallHandle, codes: TroubleCodes) {
    this.call = call;
    this.#codes = codes;
    this.#settings = readSettings(call.options);
    this.#beganMs = call.clock.epoch();
    this.requestId = this.#ordered('request_uuid');
    this.recordings = new Recordings(call, this.#settings);
  }

  get streams(): readonly LiveStream[] {
    return [...this.#streams.values()];
  }

  /** Milliseconds since 1970; undefined when nobody took the call. */
  get answeredMs(): number | undefined {
    return this.#answeredMs;
  }

  get beganMs(): number {
    return this.#beganMs;
  }

  drive(context: DriverContext): CallDriver {
    const own: DriverContext = {
      ...context,
      fallbackUrl: this.#ordered('fallback_url') ?? context.fallbackUrl,
      openStream: (verb, baseUrl, signal) => this.#openStream(context, verb, baseUrl, signal),
    };
    this.#context = own;
    const script = new Script(this.#rules(), own);
    return {
      run: () => script.run(),
      replace: (replacement) => script.replace(replacement),
      hangUp: (by) => {
        this.#leaving = true;
        // Nothing is told any more when the exchange itself is closed.
        if (by === 'exchange') this.#release();
        script.hangUp(by);
      },
    };
  }

  tell(happening: Happening): readonly Callback[] {
    switch (happening.type) {
      case 'progress':
        return this.#progress(happening);
      case 'stream-started':
        return this.#reportStream(happening, 'StartStream');
      case 'stream-ahead':
        return this.#reportStream(happening, 'DegradedStream');
      case 'stream-ended':
        return this.#streamEnded(happening);
      case 'machine':
        return this.#detected(happening.result);
      case 'leg':
        return this.#dial?.changed(happening.status) ?? [];
      case 'key':
        return [];
      default:
        return assertNever(happening);
    }
  }

  headers(request: WireRequest): Readonly<Record<string, string>> {
    return webhookHeaders(this.#facts(), request);
  }

  // A fragment overrides the limits: #ct=2000&rt=40000&tt=55000&rc=1
  limits(url: string): RequestLimits {
    const given = new URLSearchParams(url.slice(withoutFragment(url).length + 1));
    return {
      totalMs: within(given.get('tt'), 100, 55_000, 55_000),
      retries: within(given.get('rc'), 0, 5, 1),
    };
  }

  planStream(verb: StreamVerb, baseUrl: string): StreamPlan {
    const plan = planStream(verb, resolveUrl(verb.url, baseUrl, this.#codes), {
      call: this.call,
      settings: this.#settings,
      headers: (url) => upgradeHeaders(this.#facts(), url),
    });
    const live = this.#streams.get(verb);
    if (live !== undefined) live.streamId = plan.streamId;
    return plan;
  }

  /** Other instructions, asked for at an address; a call that is sent round too often is hung up. */
  transfer(url: string, method: 'GET' | 'POST'): void {
    if (++this.#transfers <= MOST_TRANSFERS) {
      this.call.replaceDocument({ url, method });
      return;
    }
    this.#ownEnd = 'loop';
    this.call.hangUp('carrier');
  }

  /** Opens a stream as REST wants it; it ends with the call, or when it is stopped. Gives its id. */
  startStream(verb: StreamVerb): string {
    const context = this.#context;
    if (context === undefined) return '';
    // What becomes of it is told by callbacks.
    context.openStream(verb, context.webhookUrl, this.#over.signal).catch(() => {});
    return this.#streams.get(verb)?.streamId ?? '';
  }

  async #openStream(
    { clock, openStream }: DriverContext,
    verb: StreamVerb,
    baseUrl: string,
    signal: AbortSignal,
  ): Promise<RunningStream | undefined> {
    let running: RunningStream | undefined;
    const live: LiveStream = { url: verb.url, streamId: '', stop: () => running?.stop() };
    this.#streams.set(verb, live);
    running = await openStream(verb, baseUrl, signal);
    if (running === undefined) {
      this.#streams.delete(verb);
      return undefined;
    }
    const cancel = clock.after(seconds(verb.settings['streamTimeout'], STREAM_TIMEOUT_S) * 1000, live.stop);
    running.ended.then(
      () => {
        cancel();
        this.#streams.delete(verb);
      },
      () => {},
    );
    return running;
  }

  #rules(): DocumentRules {
    const asked = this.#ordered('answer_method') ?? this.#settings.answerMethod;
    return {
      contentTypes: ['application/xml', 'text/xml'],
      method: httpMethod(asked),
      read: (text) => readPlivoXml(text, this.call.isAnswered),
      fields: (reason) => documentFields(this.#facts(), reason),
      perform: (verb, baseUrl, signal) => this.#perform(verb, baseUrl, signal),
    };
  }

  async #perform(verb: OwnVerb, baseUrl: string, signal: AbortSignal): Promise<FollowUp | undefined> {
    switch (verb.name) {
      case 'Dial':
        return await this.#performDial(verb, baseUrl, signal);
      case 'Record':
        return await this.#performRecord(verb, baseUrl, signal);
      case 'DTMF':
        return await this.#pressKeys(verb, signal);
      default:
        // The last one left is a <Hangup> for later.
        this.#later(seconds(verb.settings['schedule'], 0), () => {
          this.#ownEnd = 'time-limit';
          this.call.hangUp('document');
        });
        return undefined;
    }
  }

  async #performDial(verb: OwnVerb, baseUrl: string, signal: AbortSignal): Promise<FollowUp | undefined> {
    if (this.#context === undefined) return undefined;
    this.#dial = new Dial(this.#facts(), this.#context, verb, baseUrl);
    return await this.#dial.run(signal);
  }

  async #pressKeys({ settings, values }: OwnVerb, signal: AbortSignal): Promise<undefined> {
    const [digits = ''] = values;
    this.call.log.add({ type: 'agent-keys', digits });
    if (settings['async'] !== 'false') return undefined;
    let ms = 0;
    for (const key of digits) ms += key === 'W' ? 1000 : key === 'w' ? 500 : 250;
    await pause(this.call.clock, ms, signal);
    return undefined;
  }

  async #performRecord(verb: OwnVerb, baseUrl: string, signal: AbortSignal): Promise<FollowUp | undefined> {
    const { settings } = verb;
    const { callbackUrl, action } = settings;
    const limitS = seconds(settings['maxLength'], RECORD_LIMIT_S);
    const { id } = this.recordings.start({
      fileFormat: settings['fileFormat'] === 'wav' ? 'wav' : 'mp3',
      limitS,
      callbackUrl: callbackUrl && resolveUrl(callbackUrl, baseUrl, this.#codes),
      callbackMethod: httpMethod(settings['callbackMethod']),
      style: 'document',
    });
    // In the background; the document goes on.
    if (settings['recordSession'] === 'true' || settings['startOnDialAnswer'] === 'true') return undefined;
    await this.#context?.listen(
      {
        limitMs: limitS * 1000,
        silenceMs: 1000 * seconds(settings['timeout'], RECORD_SILENCE_S),
        silenceAfterSpeech: false,
        keys: settings['finishOnKey'] ?? '1234567890*#',
        beep: settings['playBeep'] !== 'false',
      },
      signal,
    );
    // Its time may have been over in the same moment.
    this.call.callBack(this.recordings.stop(id));
    const fields = this.recordings.documentFields(id);
    if (action === undefined || settings['redirect'] === 'false') return undefined;
    return { url: action, method: httpMethod(settings['method']), fields: { ...fields, Event: 'Record' } };
  }

  #progress({ status, durationS, by }: Extract<Happening, { type: 'progress' }>): readonly Callback[] {
    if (status === 'initiated') return [];
    if (status === 'ringing') return this.#ringing();
    if (status === 'in-progress') {
      this.#answeredMs = this.call.clock.epoch();
      this.#later(seconds(this.#ordered('time_limit'), CALL_LIMIT_S), () => {
        this.#ownEnd = 'time-limit';
        this.call.hangUp('carrier');
      });
      return [];
    }
    return this.#ended(durationS ?? 0, by);
  }

  #ringing(): readonly Callback[] {
    const url = this.#ordered('ring_url');
    if (url === undefined) return [];
    const method = httpMethod(this.#ordered('ring_method'));
    const form = callFields(this.#facts(), 'Ring');
    return [{ kind: 'progress', event: 'Ring', url, method, payload: { form } }];
  }

  #ended(durationS: number, by: EndedBy | undefined): readonly Callback[] {
    const cause = causeOf(this.call, by, this.#ownEnd);
    this.cause = cause;
    const recorded = this.#release();
    // Without an address of its own the news goes where the documents come from.
    const { order, statusCallbackUrl } = this.call.options;
    const ordered = order === undefined ? statusCallbackUrl : this.#ordered('hangup_url');
    const url = ordered ?? this.#context?.webhookUrl;
    if (url === undefined) return recorded;
    const method = httpMethod(this.#ordered('hangup_method') ?? this.#settings.hangupMethod);
    const form = hangupFields(this.#facts(), cause, durationS);
    return [{ kind: 'progress', event: 'Hangup', url, method, payload: { form } }, ...recorded];
  }

  /** Plivo tells of machines only. */
  #detected(result: string): readonly Callback[] {
    if (result !== 'machine') return [];
    const ends = this.#ordered('machine_detection') === 'hangup';
    if (ends) {
      this.#ownEnd = 'machine';
      this.call.hangUp('carrier');
    }
    const url = this.#ordered('machine_detection_url');
    if (url === undefined) return [];
    const form = {
      ...callFields(this.#facts(), 'MachineDetection'),
      Machine: 'true',
      IfMachine: ends ? 'hangup' : 'continue',
    };
    const method = httpMethod(this.#ordered('machine_detection_method'));
    return [{ kind: 'machine', event: 'MachineDetection', url, method, payload: { form } }];
  }

  #streamEnded(happening: Extract<Happening, { type: 'stream-ended' }>): readonly Callback[] {
    const { end } = happening;
    switch (end.how) {
      case 'carrier-stopped':
        // Nothing is told about a stream that ends with its call.
        return this.#leaving || this.call.isOver ? [] : this.#reportStream(happening, 'StopStream');
      case 'bridge-closed': {
        const isMeant = end.code === 1000 && !this.call.faults.reportCloseAsError;
        const error = `the WebSocket was closed (${end.code})`;
        return this.#reportStream(
          happening,
          isMeant ? 'StopStream' : 'DroppedStream',
          isMeant ? undefined : error,
        );
      }
      case 'failed':
        return this.#reportStream(happening, 'DroppedStream', end.text);
      default:
        return assertNever(end);
    }
  }

  #reportStream(
    { verb, plan, baseUrl }: Pick<Extract<Happening, { type: 'stream-ended' }>, 'verb' | 'plan' | 'baseUrl'>,
    event: 'StartStream' | 'StopStream' | 'DroppedStream' | 'DegradedStream',
    error?: string,
  ): readonly Callback[] {
    if (verb.statusCallback === undefined) return [];
    const url = resolveUrl(verb.statusCallback, baseUrl, this.#codes);
    return [streamReport(this.call, { verb, plan, url }, event, error)];
  }

  #facts(): CallFacts {
    return {
      call: this.call,
      settings: this.#settings,
      requestId: this.requestId,
      isMachine: this.call.machine !== undefined && this.call.machine !== 'human',
      beganMs: this.#beganMs,
      answeredMs: this.#answeredMs,
    };
  }

  /** A field of the order, when the call was placed by REST. */
  #ordered(name: string): string | undefined {
    const value = this.call.options.order?.fields[name];
    return value === undefined || value === null || value === '' ? undefined : String(value);
  }

  /** Lets go of everything that waits; what there is to be told about recordings. */
  #release(): readonly Callback[] {
    this.#over.abort();
    for (const cancel of this.#timers.splice(0)) cancel();
    return this.recordings.stop();
  }

  #later(s: number, run: () => void): void {
    this.#timers.push(this.call.clock.after(s * 1000, run));
  }
}

function within(text: string | null, least: number, most: number, usual: number): number {
  const value = Number(text);
  return text !== null && value >= least && value <= most ? value : usual;
}
