import { randomUUID } from 'node:crypto';
import { BridgeError } from '../../../errors.ts';
import type { Callback, FormFields, LegResult } from '../carrier-sim.ts';
import type { DialResult, DriverContext } from '../driver.ts';
import { pause } from '../pause.ts';
import type { FollowUp } from '../script.ts';
import { type OwnVerb, resolveUrl } from '../verbs.ts';
import { httpMethod } from '../xml.ts';
import { readPlivoXml } from './documents.ts';
import { type HangupCause, normalHangup, UNTAKEN } from './hangup-causes.ts';
import { type CallFacts, callFields, timeOfDay } from './webhooks.ts';

const CONFIRM_TIMEOUT_S = 120;
const TIME_LIMIT_S = 14_400;

/** One `<Dial>`: the other leg is rung, told something, perhaps asked for a key, and connected. */
export class Dial {
  readonly #facts: CallFacts;
  readonly #context: DriverContext;
  readonly #verb: OwnVerb;
  readonly #baseUrl: string;
  readonly #bLegId = randomUUID();
  #connectedMs: number | undefined;
  #isTaken = false;
  #isUnconfirmed = false;
  #isHungUp = false;

  constructor(facts: CallFacts, context: DriverContext, verb: OwnVerb, baseUrl: string) {
    this.#facts = facts;
    this.#context = context;
    this.#verb = verb;
    this.#baseUrl = baseUrl;
  }

  /** Resolves when the other leg is over, with the address that says what comes next, if there is one. */
  async run(signal: AbortSignal): Promise<FollowUp | undefined> {
    const { timeout, timeLimit, callerId } = this.#verb.settings;
    const timeoutMs = timeout !== undefined && Number(timeout) > 0 ? Number(timeout) * 1000 : undefined;
    const { values } = this.#verb;
    const result = await this.#context.ring(values, callerId, signal, {
      timeoutMs,
      limitMs: seconds(timeLimit, TIME_LIMIT_S) * 1000,
      taken: (leaving) => this.#onTaken(leaving),
    });
    // The two are torn apart when other instructions come, or when the caller leaves.
    if (signal.aborted) this.#send(this.#hangup({ ...UNTAKEN.canceled, source: 'Plivo' }));
    const { action, redirect, method } = this.#verb.settings;
    if (action === undefined || signal.aborted) return undefined;
    const followUp = { url: action, method: httpMethod(method), fields: this.#actionFields(result) };
    if (redirect !== 'false') return followUp;
    this.#send(this.#callback('Redirect', action, followUp.fields, method));
    return undefined;
  }

  /** What the bridge is told when the other leg changes. */
  changed(status: 'ringing' | 'in-progress' | LegResult): readonly Callback[] {
    if (status === 'ringing') return [];
    if (status === 'in-progress') {
      this.#connectedMs = this.#facts.call.clock.epoch();
      return this.#report('DialConnected', 'connected', {});
    }
    return this.#hangup(this.#causeOf(status));
  }

  async #onTaken(signal: AbortSignal): Promise<boolean> {
    this.#isTaken = true;
    this.#send(this.#report('DialAnswer', 'answer', {}));
    const { confirmSound, confirmKey, confirmTimeout } = this.#verb.settings;
    if (confirmSound === undefined) return true;
    const isTold = await this.#announce(resolveUrl(confirmSound, this.#baseUrl, this.#context.codes));
    if (!isTold || signal.aborted) return false;
    const { legPresses = confirmKey } = this.#facts.settings;
    if (confirmKey === undefined || legPresses === confirmKey) return true;
    await pause(this.#context.clock, seconds(confirmTimeout, CONFIRM_TIMEOUT_S) * 1000, signal);
    this.#isUnconfirmed = true;
    return false;
  }

  /** Asks what the other leg is to hear; false when there is no usable answer. */
  async #announce(url: string): Promise<boolean> {
    const { desk, log } = this.#context;
    const form = { ...callFields(this.#facts, 'DialRemoteSounds'), ...this.#legFields() };
    try {
      const { body } = await desk.webhook({ url, method: 'POST', payload: { form } });
      const { verbs, warnings } = readPlivoXml(body, true);
      for (const warning of warnings) log.warn(warning.code, warning.text);
      for (const verb of verbs) {
        if (verb.type === 'say') log.add({ type: 'leg-told', text: verb.text });
        else if (verb.type === 'play') log.add({ type: 'leg-told', text: verb.url });
        else if (verb.type !== 'pause') {
          log.warn('xml_warning', 'a confirmSound may hold Play, Wait and Speak, and nothing else');
        }
      }
      return true;
    } catch (thrown) {
      log.warn('confirm_sound', BridgeError.from(thrown).message);
      return false;
    }
  }

  #causeOf(status: LegResult): HangupCause {
    if (this.#isUnconfirmed) return UNTAKEN.unconfirmed;
    return status === 'completed' ? normalHangup('Callee') : UNTAKEN[status];
  }

  #hangup(cause: HangupCause): readonly Callback[] {
    if (this.#isHungUp) return [];
    this.#isHungUp = true;
    const nowMs = this.#facts.call.clock.epoch();
    const talkedMs = this.#connectedMs === undefined ? 0 : nowMs - this.#connectedMs;
    const durationS = Math.round(talkedMs / 1000);
    return this.#report('DialHangup', 'hangup', {
      DialBLegDuration: String(durationS),
      DialBLegBillDuration: String(Math.ceil(durationS / 60) * 60),
      DialBLegTotalCost: '0.00000',
      DialBLegHangupCause: cause.word,
      DialBLegHangupCauseCode: cause.code,
      DialBLegHangupCauseName: cause.name,
      DialBLegHangupSource: cause.source,
      EndTime: timeOfDay(nowMs),
    });
  }

  #actionFields({ status }: DialResult): FormFields {
    return {
      DialRingStatus: 'true',
      DialHangupCause: this.#causeOf(status).word,
      DialStatus: status,
      DialALegUUID: this.#facts.call.identity.callId,
      DialBLegUUID: this.#isTaken ? this.#bLegId : '',
    };
  }

  #legFields(): FormFields {
    const { identity } = this.#facts.call;
    return {
      DialALegUUID: identity.callId,
      DialBLegUUID: this.#bLegId,
      DialBLegFrom: this.#verb.settings['callerId'] ?? identity.from,
      DialBLegTo: this.#verb.values[0] ?? '',
      DialBLegPosition: '1',
    };
  }

  #report(event: string, action: string, fields: FormFields): readonly Callback[] {
    const { callbackUrl } = this.#verb.settings;
    if (callbackUrl === undefined) return [];
    const all = { DialAction: action, DialBLegStatus: action, ...this.#legFields(), ...fields };
    return this.#callback(event, callbackUrl, all, this.#verb.settings['callbackMethod']);
  }

  #callback(event: string, url: string, fields: FormFields, method?: string): readonly Callback[] {
    return [
      {
        kind: 'leg',
        event,
        url: resolveUrl(url, this.#baseUrl, this.#context.codes),
        method: httpMethod(method),
        payload: { form: { ...callFields(this.#facts, event), ...fields } },
      },
    ];
  }

  #send(callbacks: readonly Callback[]): void {
    this.#facts.call.callBack(callbacks);
  }
}

/** Seconds of an attribute, when it is a number above 0. */
export function seconds(text: string | undefined, usual: number): number {
  const value = Number(text);
  return text !== undefined && value > 0 && Number.isFinite(value) ? value : usual;
}
