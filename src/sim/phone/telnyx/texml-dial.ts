import type { Callback, CallHandle, FormFields, LegResult } from '../carrier-sim.ts';
import type { DialResult, DriverContext, LegTerms } from '../driver.ts';
import { runLegDocument } from '../leg-document.ts';
import type { DocumentRules } from '../script.ts';
import { type DialVerb, resolveUrl } from '../verbs.ts';
import { httpMethod } from '../xml.ts';
import { CODES } from './codes.ts';
import { type Hangup, legHangupOf } from './hangup.ts';
import { type LegIds, newControlId, newLegIds } from './identity.ts';
import { callFields, formCallback, stamp } from './texml-forms.ts';

const RING_S = 30;
const LONGEST_TALK_S = 14_400;

/** One `<Dial>`: the leg that it rings, what is told of it, and what it is told. */
export class TexmlDial {
  readonly #call: CallHandle;
  readonly #verb: DialVerb;
  readonly #baseUrl: string;
  readonly #callId = newControlId();
  readonly #ids: LegIds;
  #sequence = 0;
  #state: 'ringing' | 'answered' | 'over' = 'over';

  constructor(call: CallHandle, caller: LegIds, verb: DialVerb, baseUrl: string) {
    this.#call = call;
    this.#verb = verb;
    this.#baseUrl = baseUrl;
    const { sessionId, connectionId } = caller;
    this.#ids = newLegIds({ sessionId, connectionId });
  }

  /** How the leg is rung; the document of its `url` runs before the two are connected. */
  terms(rules: DocumentRules, context: DriverContext): LegTerms {
    const { settings = {} } = this.#verb;
    return {
      timeoutMs: 1000 * Number(settings['timeout'] ?? RING_S),
      limitMs: 1000 * Number(settings['timeLimit'] ?? LONGEST_TALK_S),
      taken: async (signal) => {
        this.#state = 'answered';
        this.#call.callBack(this.#report('answered', 'in-progress'));
        return await this.#announce(rules, context, signal);
      },
    };
  }

  /** What the bridge is told when the leg has come to this. */
  tell(status: 'ringing' | 'in-progress' | LegResult): readonly Callback[] {
    switch (status) {
      case 'ringing':
        this.#state = 'ringing';
        return [...this.#report('initiated', 'initiated'), ...this.#report('ringing', 'ringing')];
      case 'in-progress':
        // Told when it was taken, which is before it was connected.
        return [];
      default:
        this.#state = 'over';
        return this.#report('completed', status, legHangupOf(status));
    }
  }

  /** The caller has gone. */
  leave(): readonly Callback[] {
    const state = this.#state;
    this.#state = 'over';
    if (state === 'over') return [];
    const wasAnswered = state === 'answered';
    return this.#report('completed', wasAnswered ? 'completed' : 'canceled', {
      cause: wasAnswered ? 'normal_clearing' : 'originator_cancel',
      source: 'caller',
      sip: wasAnswered ? '200' : '487',
    });
  }

  /** What the action is told of the leg besides the call's own fields. */
  actionFields({ status, durationMs }: DialResult): FormFields {
    const duration =
      status === 'completed' ? { DialCallDuration: String(Math.round(durationMs / 1000)) } : {};
    return { DialCallSid: this.#callId, DialCallStatus: status, ...duration };
  }

  async #announce(rules: DocumentRules, context: DriverContext, signal: AbortSignal): Promise<boolean> {
    const { url, method } = this.#verb.legs?.[0]?.settings ?? {};
    if (url === undefined) return true;
    const own: DocumentRules = {
      ...rules,
      method: httpMethod(method),
      fields: () => this.#fields('in-progress'),
    };
    return await runLegDocument(own, context, resolveUrl(url, this.#baseUrl, CODES), signal);
  }

  #report(event: string, status: string, hangup?: Hangup): readonly Callback[] {
    const settings = this.#verb.legs?.[0]?.settings ?? {};
    const wanted = settings['statusCallback'];
    const events = (settings['statusCallbackEvent'] ?? 'completed').split(/[\s,]+/);
    if (wanted === undefined || !events.includes(event)) return [];
    const form = {
      ...this.#fields(status),
      CallbackSource: 'call-progress-events',
      SequenceNumber: String(this.#sequence++),
      Timestamp: stamp(this.#call.clock.epoch()),
      ...(hangup === undefined ? {} : { HangupCause: hangup.cause, HangupSource: hangup.source }),
    };
    const url = resolveUrl(wanted, this.#baseUrl, CODES);
    return [formCallback('leg', status, url, form, httpMethod(settings['statusCallbackMethod']))];
  }

  #fields(status: string): FormFields {
    const { identity } = this.#call;
    return {
      ...callFields(this.#call, this.#ids),
      CallControlId: this.#callId,
      CallSid: this.#callId,
      CallSidLegacy: this.#callId,
      CallStatus: status,
      Direction: 'outbound',
      From: this.#verb.callerId ?? identity.to,
      ParentCallSid: identity.callId,
      To: this.#verb.targets[0] ?? '',
    };
  }
}
