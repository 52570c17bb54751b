import type {
  Callback,
  CallHandle,
  CarrierCall,
  Happening,
  RequestLimits,
  StreamPlan,
  WireRequest,
} from '../carrier-sim.ts';
import type { CallDriver, DriverContext } from '../driver.ts';
import { withoutFragment } from '../http.ts';
import { pause } from '../pause.ts';
import { type DocumentRules, type FollowUp, Script } from '../script.ts';
import { type OwnVerb, resolveUrl, type StreamVerb } from '../verbs.ts';
import { httpMethod } from '../xml.ts';
import { CODES } from './codes.ts';
import { Detection } from './detection.ts';
import { Dial, DOCUMENT_TYPES } from './dial.ts';
import { givenTwiml, messageOrder, orderWarnings, recordingOrder, statusTarget, textOf } from './orders.ts';
import { Recording, type RecordingOrder } from './recordings.ts';
import { remember, type TwilioBook, type TwilioState } from './rest.ts';
import { rfc2822 } from './sid.ts';
import { planStream, streamEnding, streamReport } from './streams.ts';
import { ACTION, ACTION_METHOD, parseTwiml } from './twiml.ts';
import {
  callFields,
  documentFields,
  ownParty,
  STATUS_EVENTS,
  StatusReports,
  type StatusTarget,
  webhookHeaders,
} from './webhooks.ts';

type Progress = Extract<Happening, { readonly type: 'progress' }>;
type StreamHappening = Extract<Happening, { readonly type: 'stream-started' | 'stream-ended' }>;

/** Twilio's part of one call: what is asked and told in its words, and what its REST interface knows of it. */
export class TwilioCall implements CarrierCall, TwilioState {
  readonly recordings: Recording[] = [];
  readonly #call: CallHandle;
  readonly #reports: StatusReports;
  readonly #detection: Detection | undefined;
  readonly #book: TwilioBook;
  readonly #createdEpoch: number;
  #answeredMs: number | undefined;
  #answeredEpoch: number | undefined;
  #ended: { readonly epoch: number; readonly durationS: number } | undefined;
  #limit = new AbortController();
  #dial: Dial | undefined;
  /** Asked when the call is over. */
  #lastAction: { readonly url: string; readonly method: 'GET' | 'POST' } | undefined;

  constructor(call: CallHandle, book: TwilioBook) {
    this.#call = call;
    this.#book = book;
    this.#createdEpoch = call.clock.epoch();
    const { order, statusCallbackUrl: url } = call.options;
    const target =
      order === undefined
        ? url && { url, method: 'POST' as const, events: STATUS_EVENTS }
        : statusTarget(order);
    this.#reports = new StatusReports(call, 'progress', target || undefined);
    this.#detection = order && new Detection(call, order);
  }

  drive(context: DriverContext): CallDriver {
    const call = this.#call;
    const { order } = call.options;
    const isGet = textOf(order?.fields['Method']) === 'GET';
    const rules: DocumentRules = {
      contentTypes: DOCUMENT_TYPES,
      method: isGet ? 'GET' : 'POST',
      read: parseTwiml,
      fields: (reason) => documentFields(call, reason, this.#syncAnsweredBy(), this.#dial?.fields() ?? {}),
      legTerms: (verb, baseUrl, signal) => {
        const dial = new Dial(call, context, verb, baseUrl, signal);
        this.#dial = dial;
        signal.addEventListener('abort', () => this.#keepAction(dial.action), { once: true });
        return dial.terms();
      },
      perform: (verb, baseUrl, signal) => this.#takeMessage(context, verb, baseUrl, signal),
    };
    if (order === undefined) return new Script(rules, context);
    for (const [code, text] of orderWarnings(order)) call.log.warn(code, text);
    const fallbackUrl = textOf(order.fields['FallbackUrl']) ?? context.fallbackUrl;
    return new Script(rules, { ...context, fallbackUrl }, givenTwiml(order));
  }

  tell(happening: Happening): readonly Callback[] {
    switch (happening.type) {
      case 'progress':
        return this.#onProgress(happening);
      case 'stream-started':
        return this.#reportStream(happening, 'stream-started', undefined);
      case 'stream-ended':
        return this.#onStreamEnded(happening);
      case 'machine':
        return this.#detection?.tell(happening) ?? [];
      case 'leg':
        this.#onLeg(happening.status);
        return [];
      // Keys come on the socket only, and nobody is told how far a bridge runs ahead.
      case 'key':
      case 'stream-ahead':
        return [];
    }
  }

  headers(request: WireRequest): Readonly<Record<string, string>> {
    return webhookHeaders(this.#call, request);
  }

  // A fragment overrides the limits: #ct=2000&rt=5000&tt=10000&rc=3
  limits(url: string): RequestLimits {
    const settings = new URLSearchParams(url.slice(withoutFragment(url).length + 1));
    return {
      totalMs: bounded(settings.get('tt'), 15_000, 15_000),
      retries: bounded(settings.get('rc'), 1, 5),
    };
  }

  planStream(verb: StreamVerb, baseUrl: string): StreamPlan {
    return planStream(this.#call, verb, baseUrl);
  }

  record(order: RecordingOrder): Recording {
    const recording = new Recording(this.#call, order, this.#book.baseUrl);
    this.recordings.push(recording);
    remember(recording, this.#book);
    this.#call.callBack(recording.begun());
    return recording;
  }

  retarget(target: StatusTarget): void {
    this.#reports.redirect(target);
  }

  limit(seconds: number): void {
    if (this.#answeredMs === undefined || seconds <= 0) return;
    const { clock, leaving } = this.#call;
    this.#limit.abort();
    const limit = new AbortController();
    this.#limit = limit;
    leaving.addEventListener('abort', () => limit.abort(), { once: true });
    const leftMs = this.#answeredMs + seconds * 1000 - clock.now();
    pause(clock, leftMs, limit.signal).then(
      () => {
        if (!limit.signal.aborted) this.#call.hangUp('carrier');
      },
      () => {},
    );
  }

  describe(): Readonly<Record<string, unknown>> {
    const { accountId, callId } = this.#call.identity;
    const { from, to, direction } = ownParty(this.#call);
    const base = `/2010-04-01/Accounts/${accountId}/Calls/${callId}`;
    const updated = this.#ended?.epoch ?? this.#answeredEpoch ?? this.#createdEpoch;
    return {
      sid: callId,
      account_sid: accountId,
      parent_call_sid: null,
      phone_number_sid: null,
      api_version: '2010-04-01',
      date_created: rfc2822(this.#createdEpoch),
      date_updated: rfc2822(updated),
      start_time: this.#answeredEpoch === undefined ? null : rfc2822(this.#answeredEpoch),
      end_time: this.#ended === undefined ? null : rfc2822(this.#ended.epoch),
      duration: this.#ended === undefined ? null : String(this.#ended.durationS),
      from,
      from_formatted: from,
      to,
      to_formatted: to,
      direction,
      answered_by: this.#detection?.answeredBy ?? null,
      caller_name: null,
      forwarded_from: null,
      group_sid: null,
      trunk_sid: null,
      queue_time: '0',
      price: null,
      price_unit: 'USD',
      uri: `${base}.json`,
      subresource_uris: { recordings: `${base}/Recordings.json` },
    };
  }

  /** `<Record>`: without an action the same document is asked for once more, but not when nothing was said. */
  async #takeMessage(
    context: DriverContext,
    { settings }: OwnVerb,
    baseUrl: string,
    signal: AbortSignal,
  ): Promise<FollowUp | undefined> {
    const action = {
      url: resolveUrl(settings['action'] ?? baseUrl, baseUrl, CODES),
      method: httpMethod(settings['method']),
    };
    const recording = this.record(messageOrder(settings, baseUrl));
    signal.addEventListener('abort', () => this.#keepAction(action), { once: true });
    const heard = await context.listen(
      {
        limitMs: 1000 * Number(settings['maxLength'] ?? 3600),
        silenceMs: 1000 * Number(settings['timeout'] ?? 5),
        silenceAfterSpeech: false,
        keys: settings['finishOnKey'] ?? '1234567890*#',
        beep: settings['playBeep'] !== 'false',
      },
      signal,
    );
    this.#call.callBack(recording.end(heard.speechMs === 0));
    if (heard.speechMs === 0) return undefined;
    const fields = {
      RecordingUrl: recording.url,
      RecordingSid: recording.sid,
      RecordingDuration: String(recording.durationS),
      ...(heard.key === undefined ? {} : { Digits: heard.key }),
    };
    return { ...action, fields };
  }

  /** Known before the first request only when that request waited for it. */
  #syncAnsweredBy(): string | undefined {
    return this.#call.options.order?.detection === 'sync' ? this.#detection?.answeredBy : undefined;
  }

  #onProgress({ status, durationS, by, outcome }: Progress): readonly Callback[] {
    if (status === 'in-progress') this.#onAnswered();
    if (by === undefined) return this.#reports.of(ownParty(this.#call), undefined);
    this.#ended = { epoch: this.#call.clock.epoch(), durationS: durationS ?? 0 };
    const recorded = this.recordings.flatMap((recording) => recording.end());
    const more = {
      ...this.#recordingFields(),
      ...(outcome === 'rejected' && status === 'busy' ? { SipResponseCode: '603' } : {}),
    };
    return [...this.#reports.of(ownParty(this.#call), durationS, more), ...recorded, ...this.#askLast()];
  }

  #onAnswered(): void {
    const { order } = this.#call.options;
    const { clock, log } = this.#call;
    this.#answeredMs = clock.now();
    this.#answeredEpoch = clock.epoch();
    if (order === undefined) return;
    const { fields } = order;
    const digits = textOf(fields['SendDigits']);
    if (digits !== undefined) log.add({ type: 'agent-keys', digits });
    this.limit(Number(textOf(fields['TimeLimit']) ?? 0));
    if (textOf(fields['Record']) === 'true') this.record(recordingOrder(fields, 'OutboundAPI'));
  }

  #onLeg(status: Extract<Happening, { readonly type: 'leg' }>['status']): void {
    if (status === 'ringing') this.#dial?.ring();
    // That somebody took the call was told when it happened, before anything was said.
    else if (status !== 'in-progress') this.#dial?.end(status);
  }

  #onStreamEnded(happening: Extract<Happening, { readonly type: 'stream-ended' }>): readonly Callback[] {
    const { verb, baseUrl, end } = happening;
    const action = verb.settings[ACTION];
    if (end.how === 'carrier-stopped' && action !== undefined) {
      const method = verb.settings[ACTION_METHOD] === 'GET' ? 'GET' : 'POST';
      this.#keepAction({ url: resolveUrl(action, baseUrl, CODES), method });
    }
    const [event, error] = streamEnding(this.#call, end);
    return this.#reportStream(happening, event, error);
  }

  /** For a call that ends in the middle of something; when only its document was replaced, nothing is asked. */
  #keepAction(action: { readonly url: string; readonly method: 'GET' | 'POST' } | undefined): void {
    const { leaving, options } = this.#call;
    if (leaving.aborted && options.settings?.['actionAfterHangUp'] === 'yes') this.#lastAction ??= action;
  }

  #askLast(): readonly Callback[] {
    if (this.#lastAction === undefined) return [];
    const form = { ...callFields(this.#call), ...(this.#dial?.fields() ?? {}) };
    return [{ kind: 'stream', event: 'action', ...this.#lastAction, payload: { form } }];
  }

  #recordingFields(): Readonly<Record<string, string>> {
    const recording = this.recordings.find(({ order }) => order.source === 'OutboundAPI');
    if (recording === undefined) return {};
    const { sid, url, durationS } = recording;
    return { RecordingSid: sid, RecordingUrl: url, RecordingDuration: String(durationS) };
  }

  #reportStream(
    { verb, plan, baseUrl }: StreamHappening,
    event: 'stream-started' | 'stream-stopped' | 'stream-error',
    error: string | undefined,
  ): readonly Callback[] {
    if (verb.statusCallback === undefined) return [];
    const url = resolveUrl(verb.statusCallback, baseUrl, CODES);
    return [streamReport(this.#call, { verb, plan, url }, event, error)];
  }
}

function bounded(text: string | null, fallback: number, most: number): number {
  const value = text === null ? fallback : Number(text);
  return Number.isInteger(value) && value >= 0 ? Math.min(value, most) : fallback;
}
