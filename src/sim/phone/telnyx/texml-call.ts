import type { KeyObject } from 'node:crypto';
import type {
  Callback,
  CallHandle,
  CarrierCall,
  FormFields,
  Happening,
  RequestLimits,
  StreamPlan,
  WireRequest,
} from '../carrier-sim.ts';
import type { CallDriver, DriverContext } from '../driver.ts';
import type { StreamEnd } from '../events.ts';
import { type DocumentReason, type DocumentRules, type FollowUp, Script } from '../script.ts';
import { type OwnVerb, resolveUrl, type StreamVerb } from '../verbs.ts';
import { httpMethod } from '../xml.ts';
import { CODES } from './codes.ts';
import type { LegFacts } from './dialect.ts';
import { type LegIds, newLegIds } from './identity.ts';
import { MediaSide } from './media.ts';
import { Recordings, type RecordingTerms } from './recording.ts';
import type { TelnyxSettings } from './settings.ts';
import { signedHeaders, signingKey } from './signature.ts';
import { parseTexml } from './texml.ts';
import { TexmlDial } from './texml-dial.ts';
import {
  ANSWERED_BY,
  callFields,
  formCallback,
  progressFields,
  recordingFields,
  stamp,
} from './texml-forms.ts';

/** Where recordings would be. */
const FILES_URL = 'https://api.telnyx.com';

/** Names of the events by which a status callback can be asked for. */
const EVENT_NAMES: Readonly<Record<string, string>> = {
  initiated: 'initiated',
  ringing: 'ringing',
  'in-progress': 'answered',
};

/** A call that is led by TeXML documents. */
export class TexmlCall implements CarrierCall, LegFacts {
  readonly clientState = undefined;
  readonly isBridged = false;
  readonly recordings: Recordings;
  readonly #call: CallHandle;
  readonly #settings: TelnyxSettings;
  readonly #ids: LegIds = newLegIds();
  readonly #key: KeyObject;
  readonly #media: MediaSide;
  readonly #initiatedMs: number;
  #statusUrl: string | undefined;
  #dial: TexmlDial | undefined;
  /** Of a message that is being left: what is told when it ends with the call. */
  #message: (() => readonly Callback[]) | undefined;
  #voiceUrl = '';
  #sequence = 0;
  #answeredMs: number | undefined;
  #endedMs: number | undefined;

  constructor(call: CallHandle, settings: TelnyxSettings) {
    this.#call = call;
    this.#settings = settings;
    this.#key = signingKey(call.identity.authToken, settings.signingSeed);
    this.#media = new MediaSide(call, settings, this);
    this.recordings = new Recordings(call);
    this.#initiatedMs = call.clock.epoch();
    this.#statusUrl = call.options.statusCallbackUrl;
  }

  get ids(): LegIds {
    return this.#ids;
  }

  get sessionId(): string {
    return this.#ids.sessionId;
  }

  /** Ms since 1970. */
  get startedMs(): number {
    return this.#initiatedMs;
  }

  /** The same; undefined while the call is up. */
  get endedMs(): number | undefined {
    return this.#endedMs;
  }

  /** From now on the status callback goes elsewhere. */
  set statusUrl(url: string) {
    this.#statusUrl = url;
  }

  drive(context: DriverContext): CallDriver {
    const rules: DocumentRules = {
      contentTypes: ['text/xml', 'application/xml', 'text/html', 'text/plain'],
      method: this.#settings.voiceMethod,
      read: parseTexml,
      fields: (reason) => this.#documentFields(reason),
      legTerms: (verb, baseUrl) => {
        this.#dial = new TexmlDial(this.#call, this.#ids, verb, baseUrl);
        return this.#dial.terms(rules, context);
      },
      perform: (verb, baseUrl, signal) => this.#takeMessage(context, verb, baseUrl, signal),
    };
    this.#voiceUrl = context.webhookUrl;
    const first = this.#call.options.order?.fields['Texml'];
    return new Script(rules, context, typeof first === 'string' ? first : undefined);
  }

  /** `<Record>`: the next verb follows unless there is an action. */
  async #takeMessage(
    context: DriverContext,
    { settings }: OwnVerb,
    baseUrl: string,
    signal: AbortSignal,
  ): Promise<FollowUp | undefined> {
    const channels = settings['channels'] === 'single' ? 'single' : 'dual';
    this.recordings.start({ format: 'wav', channels, clientState: undefined }, FILES_URL);
    const silenceS = Number(settings['timeout'] ?? 0);
    const url = settings['recordingStatusCallback'];
    const told = (): readonly Callback[] => {
      const recording = this.recordings.stop();
      if (recording === undefined || url === undefined) return [];
      const form = recordingFields(this.#call, this.#ids, recording);
      return [formCallback('recording', 'completed', resolveUrl(url, baseUrl, CODES), form)];
    };
    this.#message = told;
    await context.listen(
      {
        limitMs: 1000 * Number(settings['maxLength'] ?? 3600),
        silenceMs: silenceS === 0 ? undefined : 1000 * silenceS,
        silenceAfterSpeech: true,
        keys: settings['finishOnKey'] ?? '1234567890*#',
        beep: settings['playBeep'] !== 'false',
      },
      signal,
    );
    this.#call.callBack(told());
    this.#message = undefined;
    const { action } = settings;
    return action === undefined
      ? undefined
      : { url: action, method: httpMethod(settings['method']), fields: {} };
  }

  tell(happening: Happening): readonly Callback[] {
    switch (happening.type) {
      case 'progress':
        return this.#progress(happening);
      case 'stream-started':
        this.#media.started();
        return this.#reportStream(happening, 'stream-started');
      case 'stream-ended':
        this.#media.ended();
        return this.#reportStream(happening, streamEvent(happening.end), happening.end);
      case 'leg':
        return this.#dial?.tell(happening.status) ?? [];
      case 'machine':
        return this.#machine(happening);
      default:
        return [];
    }
  }

  headers({ body }: WireRequest): Readonly<Record<string, string>> {
    return signedHeaders(this.#key, this.#call.clock.epoch(), body, this.#call.faults.webhookSignature);
  }

  limits(): RequestLimits {
    return { totalMs: this.#settings.webhookTimeoutMs, retries: 1 };
  }

  planStream(verb: StreamVerb, baseUrl: string): StreamPlan {
    return this.#media.plan(verb, baseUrl);
  }

  /** The id of the recording. */
  startRecording(terms: RecordingTerms, baseUrl: string): string {
    return this.recordings.start(terms, baseUrl);
  }

  /** False when there is none. The status callback is told. */
  stopRecording(): boolean {
    const told = this.#recordingTold();
    this.#call.callBack(told.callbacks);
    return told.wasRunning;
  }

  #recordingTold(): { readonly wasRunning: boolean; readonly callbacks: readonly Callback[] } {
    const recording = this.recordings.stop();
    if (recording === undefined) return { wasRunning: false, callbacks: [] };
    const url = this.#statusUrl;
    if (url === undefined) return { wasRunning: true, callbacks: [] };
    const form = recordingFields(this.#call, this.#ids, recording);
    return { wasRunning: true, callbacks: [formCallback('recording', 'completed', url, form)] };
  }

  #documentFields(reason: DocumentReason): FormFields {
    const call = this.#call;
    const machine = call.machine === undefined ? {} : { AnsweredBy: ANSWERED_BY[call.machine] };
    const fields = { ...callFields(call, this.#ids), ...machine };
    switch (reason.why) {
      case 'dial-ended':
        return { ...fields, ...this.#dial?.actionFields(reason.result) };
      case 'fallback':
        return { ...this.#documentFields(reason.of), ErrorUrl: reason.failedUrl };
      default:
        return fields;
    }
  }

  #progress(happening: Extract<Happening, { type: 'progress' }>): readonly Callback[] {
    const isEnd = happening.durationS !== undefined;
    if (happening.status === 'in-progress') this.#answeredMs = this.#call.clock.epoch();
    if (isEnd) this.#endedMs = this.#call.clock.epoch();
    const recorded = isEnd ? (this.#message?.() ?? this.#recordingTold().callbacks) : [];
    const before = isEnd ? [...(this.#dial?.leave() ?? []), ...recorded] : [];
    const report = {
      call: this.#call,
      ids: this.#ids,
      sequence: this.#sequence,
      initiatedMs: this.#initiatedMs,
      answeredMs: this.#answeredMs,
    };
    const form = progressFields(report, happening);
    const urls = this.#progressUrls(happening.status, isEnd);
    if (urls.length > 0) this.#sequence++;
    const told = urls.map((url) => formCallback('progress', happening.status, url, form));
    return [...before, ...told, ...(isEnd ? this.#costs() : [])];
  }

  #progressUrls(status: string, isEnd: boolean): readonly string[] {
    const urls: string[] = [];
    const { order } = this.#call.options;
    const asked =
      order === undefined ? undefined : String(order.fields['StatusCallbackEvent'] ?? 'completed');
    const name = EVENT_NAMES[status] ?? 'completed';
    const isAsked = asked === undefined || asked.split(/[\s,]+/).includes(name);
    if (this.#statusUrl !== undefined && isAsked) urls.push(this.#statusUrl);
    if (this.#settings.voiceUrlCallbacks === 'yes' && isEnd) urls.push(this.#voiceUrl);
    return urls;
  }

  #costs(): readonly Callback[] {
    if (this.#settings.voiceUrlCallbacks === 'no') return [];
    const form = {
      ...callFields(this.#call, this.#ids),
      CallbackSource: 'call-cost-events',
      TotalCost: '0.002',
    };
    return [formCallback('progress', 'call-cost-events', this.#voiceUrl, form)];
  }

  #machine({ result, afterMs }: Extract<Happening, { type: 'machine' }>): readonly Callback[] {
    const fields = this.#call.options.order?.fields;
    const url = fields?.['AsyncAmdStatusCallback'];
    if (typeof url !== 'string') return [];
    const form = {
      ...callFields(this.#call, this.#ids),
      AnsweredBy: ANSWERED_BY[result],
      MachineDetectionDuration: String(Math.round(afterMs)),
    };
    return [formCallback('machine', ANSWERED_BY[result], url, form)];
  }

  #reportStream(
    { verb, plan, baseUrl }: Pick<Extract<Happening, { type: 'stream-ended' }>, 'verb' | 'plan' | 'baseUrl'>,
    event: string,
    end?: StreamEnd,
  ): readonly Callback[] {
    if (verb.statusCallback === undefined) return [];
    const url = resolveUrl(verb.statusCallback, baseUrl, CODES);
    const { accountId, callId } = this.#call.identity;
    const fields: Record<string, string> = {
      AccountSid: accountId,
      CallSid: callId,
      CallSidLegacy: callId,
      ConnectionId: this.#ids.connectionId,
      StreamEvent: event,
      StreamName: verb.name ?? plan.streamId,
      StreamSid: plan.streamId,
      Timestamp: stamp(this.#call.clock.epoch()),
    };
    if (end?.how === 'failed') fields['StreamError'] = end.errorCode;
    const isJson = this.#settings.streamCallbacks === 'json';
    const payload = isJson ? { json: fields } : { form: fields };
    return [{ kind: 'stream', event, url, method: verb.statusCallbackMethod, payload }];
  }
}

function streamEvent(end: StreamEnd): 'stream-stopped' | 'stream-failed' {
  return end.how === 'failed' ? 'stream-failed' : 'stream-stopped';
}
