import { decodeG711 } from '../../../audio/g711.ts';
import { encodeWav, samplesToBytes } from '../../../audio/wav.ts';
import type { Callback, CallHandle } from '../carrier-sim.ts';
import { stereoWav } from '../recordings.ts';
import { newSid, rfc2822 } from './sid.ts';

/** What was asked for of a recording. */
export interface RecordingOrder {
  readonly source: 'StartCallRecordingAPI' | 'OutboundAPI' | 'RecordVerb';
  readonly channels: 1 | 2;
  readonly track: string;
  readonly callback:
    | { readonly url: string; readonly method: 'GET' | 'POST'; readonly events: readonly string[] }
    | undefined;
}

/** States of a recording in the words of the REST interface. */
export type RecordingStatus = 'in-progress' | 'paused' | 'completed' | 'absent';

/** What can be subscribed to. */
export const RECORDING_EVENTS: readonly string[] = ['in-progress', 'completed', 'absent'];

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly fromByte: number;
  readonly toByte: number;
}

/** One recording of a call. Audio is there for the time in which a stream was up; of all other time nothing is. */
export class Recording {
  readonly sid = newSid('RE');
  readonly callSid: string;
  readonly accountSid: string;
  readonly order: RecordingOrder;
  readonly #call: CallHandle;
  readonly #baseUrl: string;
  readonly #beganEpoch: number;
  readonly #spans: Span[] = [];
  #open: { readonly fromMs: number; readonly fromByte: number } | undefined;
  #status: RecordingStatus = 'in-progress';

  constructor(call: CallHandle, order: RecordingOrder, baseUrl: string) {
    this.#call = call;
    this.order = order;
    this.#baseUrl = baseUrl;
    this.callSid = call.identity.callId;
    this.accountSid = call.identity.accountId;
    this.#beganEpoch = call.clock.epoch();
    this.#resume();
  }

  get status(): RecordingStatus {
    return this.#status;
  }

  get isOver(): boolean {
    return this.#status === 'completed' || this.#status === 'absent';
  }

  /** In whole seconds. */
  get durationS(): number {
    const nowMs = this.#call.clock.now();
    const open = this.#open === undefined ? 0 : nowMs - this.#open.fromMs;
    return Math.round(this.#spans.reduce((sum, span) => sum + span.toMs - span.fromMs, open) / 1000);
  }

  /** Where the file is, without an ending; `.wav` is the same. */
  get url(): string {
    return `${this.#baseUrl}/2010-04-01/Accounts/${this.accountSid}/Recordings/${this.sid}`;
  }

  /** The callbacks that its beginning brings about. */
  begun(): readonly Callback[] {
    return this.#report();
  }

  pause(): void {
    if (this.#status !== 'in-progress') return;
    this.#close();
    this.#status = 'paused';
  }

  resume(): void {
    if (this.#status !== 'paused') return;
    this.#status = 'in-progress';
    this.#resume();
  }

  /** Ends it, by request or with the call, with the callbacks that this brings about; once. `isEmpty`: nobody spoke. */
  end(isEmpty = false): readonly Callback[] {
    if (this.isOver) return [];
    this.#close();
    const has = !isEmpty && this.#spans.some((span) => span.toMs > span.fromMs);
    this.#status = has ? 'completed' : 'absent';
    return this.#report();
  }

  /** PCM16 at 8 kHz; with two channels the caller is left. */
  wav(): Uint8Array {
    const sent = this.#cut(this.#call.sent);
    const heard = this.#cut(this.#call.heard);
    if (this.order.channels === 2) return stereoWav(sent, heard);
    const caller = decodeG711('mulaw', sent);
    const agent = decodeG711('mulaw', heard);
    const mixed = caller.map((sample, i) => Math.max(-32768, Math.min(32767, sample + (agent[i] ?? 0))));
    return encodeWav({ encoding: 'pcm16', rate: 8000, channels: 1 }, samplesToBytes(mixed, 'pcm16'));
  }

  /** As the REST interface shows it. */
  describe(): Readonly<Record<string, unknown>> {
    const { accountSid, callSid, sid, order } = this;
    return {
      sid,
      account_sid: accountSid,
      api_version: '2010-04-01',
      call_sid: callSid,
      conference_sid: null,
      date_created: rfc2822(this.#beganEpoch),
      date_updated: rfc2822(this.#call.clock.epoch()),
      start_time: rfc2822(this.#beganEpoch),
      duration: this.isOver ? String(this.durationS) : null,
      status: this.#status,
      channels: order.channels,
      source: order.source,
      track: order.track,
      error_code: null,
      price: null,
      price_unit: 'USD',
      encryption_details: null,
      uri: `/2010-04-01/Accounts/${accountSid}/Calls/${callSid}/Recordings/${sid}.json`,
    };
  }

  #resume(): void {
    this.#open = { fromMs: this.#call.clock.now(), fromByte: this.#call.sent.length };
  }

  #close(): void {
    if (this.#open === undefined) return;
    const { clock, sent } = this.#call;
    this.#spans.push({ ...this.#open, toMs: clock.now(), toByte: sent.length });
    this.#open = undefined;
  }

  #cut(mulaw: Uint8Array): Uint8Array {
    return Buffer.concat(this.#spans.map(({ fromByte, toByte }) => mulaw.subarray(fromByte, toByte)));
  }

  #report(): readonly Callback[] {
    const { callback } = this.order;
    if (callback?.events.includes(this.#status) !== true) return [];
    const form = {
      AccountSid: this.accountSid,
      CallSid: this.callSid,
      RecordingSid: this.sid,
      RecordingUrl: this.url,
      RecordingStatus: this.#status,
      RecordingChannels: String(this.order.channels),
      RecordingTrack: this.order.track,
      RecordingSource: this.order.source,
      RecordingStartTime: rfc2822(this.#beganEpoch),
      ErrorCode: '0',
      ...(this.isOver ? { RecordingDuration: String(this.durationS) } : {}),
    };
    const { url, method } = callback;
    return [{ kind: 'recording', event: this.#status, url, method, payload: { form } }];
  }
}
