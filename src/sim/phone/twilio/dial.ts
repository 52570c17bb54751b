import type { CallHandle, FormFields } from '../carrier-sim.ts';
import type { DriverContext, LegTerms } from '../driver.ts';
import { runLegDocument } from '../leg-document.ts';
import type { DialLeg, DialVerb } from '../verbs.ts';
import { resolveUrl } from '../verbs.ts';
import { httpMethod } from '../xml.ts';
import { newSid } from './sid.ts';
import { parseLegTwiml } from './twiml.ts';
import { type CallParty, callFields, STATUS_EVENTS, StatusReports, type StatusTarget } from './webhooks.ts';

/** Content types that a document may have. */
export const DOCUMENT_TYPES: readonly string[] = ['text/xml', 'application/xml', 'text/html'];

type FinalStatus = 'completed' | 'busy' | 'no-answer' | 'failed' | 'canceled';

const DEFAULT_TIMEOUT_S = 30;
const LONGEST_TIMEOUT_S = 600;
/** Four hours, as for any call. */
const LONGEST_CALL_S = 14_400;

/** One `<Dial>` from its first ring to its end: the calls that it makes, and what they are reported as. */
export class Dial {
  readonly #call: CallHandle;
  readonly #context: DriverContext;
  readonly #verb: DialVerb;
  readonly #baseUrl: string;
  readonly #legs: readonly Leg[];
  readonly #isRefused: boolean;
  #takenMs: number | undefined;
  #bridgedMs: number | undefined;
  #ended: { readonly status: FinalStatus; readonly atMs: number } | undefined;

  constructor(
    call: CallHandle,
    context: DriverContext,
    verb: DialVerb,
    baseUrl: string,
    signal: AbortSignal,
  ) {
    this.#call = call;
    this.#context = context;
    this.#verb = verb;
    this.#baseUrl = baseUrl;
    const from = verb.callerId ?? call.identity.from;
    this.#legs = (verb.legs ?? []).map((leg) => new Leg(call, leg, from, baseUrl, context));
    this.#isRefused = this.#legs.every((leg) => !leg.isKnown());
    if (verb.callerId !== undefined && !isAddress(verb.callerId)) {
      call.log.warn('13214', 'the callerId of a <Dial> is no number, nor sip: or client:');
    }
    signal.addEventListener('abort', () => this.end(this.#takenMs === undefined ? 'canceled' : 'completed'), {
      once: true,
    });
  }

  /** Absolute; undefined when nothing is asked for after the transfer. */
  get action(): { readonly url: string; readonly method: 'GET' | 'POST' } | undefined {
    const { action, method } = this.#verb;
    return action === undefined
      ? undefined
      : { url: resolveUrl(action, this.#baseUrl, this.#context.codes), method };
  }

  terms(): LegTerms {
    const { timeout, timeLimit } = this.#verb.settings ?? {};
    return {
      refused: this.#isRefused,
      timeoutMs: 1000 * this.#seconds('timeout', timeout, DEFAULT_TIMEOUT_S, LONGEST_TIMEOUT_S),
      limitMs: 1000 * this.#seconds('timeLimit', timeLimit, LONGEST_CALL_S, LONGEST_CALL_S),
      taken: (signal) => this.#onTaken(signal),
    };
  }

  /** The legs are rung. */
  ring(): void {
    for (const leg of this.#legs) {
      leg.report('initiated');
      leg.report('ringing');
    }
  }

  /** What became of it; only the first word on that counts. */
  end(status: FinalStatus): void {
    if (this.#ended !== undefined) return;
    const nowMs = this.#call.clock.now();
    // A leg that took the call and did not want it has had a call all the same, which was never bridged.
    const final = this.#takenMs === undefined ? status : 'completed';
    this.#ended = { status: final, atMs: nowMs };
    for (const [i, leg] of this.#legs.entries()) {
      const isOther = i > 0 && final === 'completed';
      if (!isOther) leg.report(final, seconds(this.#takenMs, nowMs));
    }
  }

  /** Fields of the request to the action. */
  fields(): FormFields {
    const { status = 'completed', atMs = 0 } = this.#ended ?? {};
    const [first] = this.#legs;
    return {
      DialCallStatus: status,
      ...(first === undefined ? {} : { DialCallSid: first.sid }),
      ...(this.#takenMs === undefined ? {} : { DialCallDuration: String(seconds(this.#takenMs, atMs)) }),
      DialBridged: String(this.#bridgedMs !== undefined),
    };
  }

  async #onTaken(signal: AbortSignal): Promise<boolean> {
    const [first, ...others] = this.#legs;
    if (first === undefined) return false;
    this.#takenMs = this.#call.clock.now();
    first.report('in-progress');
    for (const other of others) other.report('no-answer', 0);
    const isWanted = await first.prepare(signal);
    if (!isWanted || signal.aborted) return false;
    this.#bridgedMs = this.#call.clock.now();
    // Until now the caller may have heard it ring.
    this.#context.answer();
    return true;
  }

  #seconds(name: string, written: string | undefined, fallback: number, most: number): number {
    if (written === undefined) return fallback;
    const value = Number(written);
    if (Number.isInteger(value) && value > 0) return Math.min(value, most);
    this.#call.log.warn('13212', `<Dial ${name}> is ${JSON.stringify(written)}; wanted whole seconds`);
    return fallback;
  }
}

/** The call to one of those whom a `<Dial>` rings. */
class Leg {
  readonly sid = newSid('CA');
  readonly #call: CallHandle;
  readonly #leg: DialLeg;
  readonly #from: string;
  readonly #baseUrl: string;
  readonly #context: DriverContext;
  readonly #reports: StatusReports;

  constructor(call: CallHandle, leg: DialLeg, from: string, baseUrl: string, context: DriverContext) {
    this.#call = call;
    this.#leg = leg;
    this.#from = from;
    this.#baseUrl = baseUrl;
    this.#context = context;
    this.#reports = new StatusReports(call, 'leg', this.#statusTarget());
  }

  /** False, with a warning, for an address that Twilio could not ring. */
  isKnown(): boolean {
    const { kind, target } = this.#leg;
    const isKnown =
      kind === 'Number'
        ? /^\+?[\d ().-]{3,24}$/.test(target)
        : kind === 'Client' || /^sips?:[^\s@]+(@\S+)?$/i.test(target);
    if (!isKnown) this.#call.log.warn('13224', `<${kind}> in <Dial> holds no address that can be called`);
    return isKnown;
  }

  report(status: string, durationS?: number): void {
    this.#call.callBack(this.#reports.of(this.#party(status), durationS));
  }

  /** Keys, then the document that its `url` gives; false when the leg hangs up. */
  async prepare(signal: AbortSignal): Promise<boolean> {
    const { sendDigits, url, method } = this.#leg.settings;
    if (sendDigits !== undefined) this.#call.log.add({ type: 'agent-keys', digits: sendDigits });
    if (url === undefined) return true;
    const rules = {
      contentTypes: DOCUMENT_TYPES,
      method: httpMethod(method),
      read: parseLegTwiml,
      fields: () => callFields(this.#call, this.#party('in-progress')),
    };
    return await runLegDocument(rules, this.#context, this.#resolve(url), signal);
  }

  #party(status: string): CallParty {
    return {
      callSid: this.sid,
      parentCallSid: this.#call.identity.callId,
      from: this.#from,
      to: this.#leg.target,
      direction: 'outbound-dial',
      status,
    };
  }

  #statusTarget(): StatusTarget | undefined {
    const { statusCallback, statusCallbackMethod, statusCallbackEvent } = this.#leg.settings;
    if (statusCallback === undefined) return undefined;
    const events = statusCallbackEvent?.trim().split(/\s+/) ?? ['completed'];
    const unknown = events.filter((event) => !STATUS_EVENTS.includes(event));
    if (unknown.length > 0) {
      this.#call.log.warn('12200', `statusCallbackEvent has no ${JSON.stringify(unknown.join(' '))}`);
    }
    return { url: this.#resolve(statusCallback), method: httpMethod(statusCallbackMethod), events };
  }

  #resolve(url: string): string {
    return resolveUrl(url, this.#baseUrl, this.#context.codes);
  }
}

/** E.164, or one of the other addresses that Twilio knows. */
export function isAddress(text: string): boolean {
  return /^\+[1-9]\d{6,14}$/.test(text) || /^(?:sips?|client):\S+$/i.test(text);
}

function seconds(fromMs: number | undefined, toMs: number): number {
  return fromMs === undefined ? 0 : Math.round((toMs - fromMs) / 1000);
}
