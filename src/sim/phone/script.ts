import { assertNever, BridgeError } from '../../errors.ts';
import type { FormFields } from './carrier-sim.ts';
import type { CallDriver, DialResult, DriverContext, DriverEnd, LegTerms } from './driver.ts';
import type { EndedBy } from './events.ts';
import { pause } from './pause.ts';
import {
  type AnswerDocument,
  type DialVerb,
  type OwnVerb,
  type Replacement,
  resolveUrl,
  type Verb,
} from './verbs.ts';

/** Why a document is asked for. */
export type DocumentReason =
  | { readonly why: 'call' | 'redirect' | 'replaced' | 'stream-ended' }
  | { readonly why: 'dial-ended'; readonly result: DialResult }
  | { readonly why: 'own'; readonly fields: FormFields }
  /** The address that should have given it did not. */
  | { readonly why: 'fallback'; readonly of: DocumentReason; readonly failedUrl: string };

/** What a carrier's documents are like. */
export interface DocumentRules {
  /** Content types that are taken, in lower case. */
  readonly contentTypes: readonly string[];
  /** How the first document and the fallback are asked for. */
  readonly method: 'GET' | 'POST';
  /** Throws BAD_INPUT, with the carrier's code in front, for what cannot be used. */
  read(text: string): AnswerDocument;
  /** All form fields of a request for a document. */
  fields(reason: DocumentReason): FormFields;
  /** How the other leg of a transfer is rung; given up when `signal` aborts. Default: until it is taken or given up. */
  legTerms?(verb: DialVerb, baseUrl: string, signal: AbortSignal): LegTerms;
  /** Does what an own verb says; a follow-up takes the place of the verbs behind it. Gives up when `signal` aborts. */
  perform?(verb: OwnVerb, baseUrl: string, signal: AbortSignal): Promise<FollowUp | undefined>;
}

/** Where to ask what comes after an own verb, with the fields that are sent besides the usual ones. */
export interface FollowUp {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly fields: FormFields;
}

interface Source {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly reason: DocumentReason;
}

/** Where a document comes from: it is fetched, or it was given and takes the address of the one before it. */
type Origin =
  | { readonly from: 'address'; readonly source: Source }
  | { readonly from: 'text'; readonly text: string; readonly baseUrl: string };

type Step =
  | { readonly to: 'next-verb' }
  | { readonly to: 'document'; readonly origin: Origin }
  | ({ readonly to: 'end' } & DriverEnd);

const NEXT: Step = { to: 'next-verb' };

/** Leads a call by answer documents, verb by verb. */
export class Script implements CallDriver {
  readonly #rules: DocumentRules;
  readonly #context: DriverContext;
  readonly #first: string | undefined;
  #interruption = new AbortController();
  #replacement: Replacement | undefined;
  #hungUpBy: EndedBy | undefined;

  /** `first`: the first document, when it was given and need not be fetched. */
  constructor(rules: DocumentRules, context: DriverContext, first?: string) {
    this.#rules = rules;
    this.#context = context;
    this.#first = first;
  }

  hangUp(by: EndedBy): void {
    this.#hungUpBy ??= by;
    this.#interruption.abort();
  }

  replace(replacement: Replacement): boolean {
    this.#replacement = replacement;
    this.#interruption.abort();
    return true;
  }

  async run(): Promise<DriverEnd> {
    const { webhookUrl } = this.#context;
    let step: Step =
      this.#first === undefined
        ? fetched(webhookUrl, this.#rules.method, { why: 'call' })
        : { to: 'document', origin: { from: 'text', text: this.#first, baseUrl: webhookUrl } };
    while (step.to === 'document') step = await this.#follow(step.origin);
    if (this.#hungUpBy !== undefined) return { by: this.#hungUpBy, outcome: 'completed' };
    return step.to === 'end' ? step : { by: 'document', outcome: 'completed' };
  }

  async #follow(origin: Origin): Promise<Step> {
    const baseUrl = origin.from === 'text' ? origin.baseUrl : origin.source.url;
    const verbs = await this.#interruptible(this.#load(origin));
    const step = verbs === undefined ? NEXT : await this.#runVerbs(verbs, baseUrl);
    return this.#afterInterruption(baseUrl) ?? step;
  }

  async #runVerbs(verbs: readonly Verb[], baseUrl: string): Promise<Step> {
    for (const verb of verbs) {
      const step = await this.#perform(verb, baseUrl);
      if (this.#interruption.signal.aborted || step.to !== 'next-verb') return step;
    }
    return NEXT;
  }

  // A replacement may itself be replaced, and a hang-up beats both.
  #afterInterruption(baseUrl: string): Step | undefined {
    if (this.#hungUpBy !== undefined) return { to: 'end', by: this.#hungUpBy, outcome: 'completed' };
    const replacement = this.#replacement;
    if (replacement === undefined) return undefined;
    this.#replacement = undefined;
    this.#interruption = new AbortController();
    if ('url' in replacement) return fetched(replacement.url, replacement.method, { why: 'replaced' });
    return { to: 'document', origin: { from: 'text', text: replacement.text, baseUrl } };
  }

  async #load(origin: Origin): Promise<readonly Verb[]> {
    const { verbs, warnings } =
      origin.from === 'text' ? this.#rules.read(origin.text) : await this.#fetch(origin.source);
    for (const warning of warnings) this.#context.log.warn(warning.code, warning.text);
    return verbs;
  }

  async #fetch(source: Source): Promise<AnswerDocument> {
    const { fallbackUrl, log, codes } = this.#context;
    try {
      return await this.#ask(source);
    } catch (thrown) {
      const error = BridgeError.from(thrown);
      if (fallbackUrl === undefined || this.#interruption.signal.aborted) throw error;
      log.warn(codes['http-failure'], error.message);
      const reason = { why: 'fallback', of: source.reason, failedUrl: source.url } as const;
      return await this.#ask({ url: fallbackUrl, method: this.#rules.method, reason });
    }
  }

  // What cannot be read is as bad as no answer: the fallback is asked for both.
  async #ask({ url, method, reason }: Source): Promise<AnswerDocument> {
    const { desk, codes } = this.#context;
    const answer = await desk.webhook({ url, method, payload: { form: this.#rules.fields(reason) } });
    const type = answer.contentType.split(';')[0]?.trim().toLowerCase() ?? '';
    if (this.#rules.contentTypes.includes(type)) return this.#rules.read(answer.body);
    const message = `${codes['content-type']}: the content type ${JSON.stringify(type)} is not XML`;
    throw new BridgeError('CARRIER_REFUSED', message);
  }

  async #perform(verb: Verb, baseUrl: string): Promise<Step> {
    const { log } = this.#context;
    if (answers(verb)) this.#context.answer();
    switch (verb.type) {
      case 'connect':
        return await this.#connect(verb, baseUrl);
      case 'say':
        log.add(verb);
        return NEXT;
      case 'play':
        log.add(verb);
        if (verb.digits !== undefined) await this.#press(verb.digits);
        return NEXT;
      case 'pause':
        log.add(verb);
        await pause(this.#context.clock, verb.lengthS * 1000, this.#interruption.signal);
        return NEXT;
      case 'dial':
        return await this.#dial(verb, baseUrl);
      case 'own':
        return await this.#own(verb, baseUrl);
      case 'hangup':
        log.add(verb);
        return { to: 'end', by: 'document', outcome: 'completed' };
      case 'redirect':
        log.add({ type: 'redirect', url: verb.url });
        return this.#followUp(verb.url, baseUrl, verb.method, { why: 'redirect' });
      case 'reject':
        log.add(verb);
        return { to: 'end', by: 'document', outcome: verb.reason === 'busy' ? 'busy' : 'rejected' };
      default:
        return assertNever(verb);
    }
  }

  async #connect(verb: Extract<Verb, { type: 'connect' }>, baseUrl: string): Promise<Step> {
    const stream = await this.#context.openStream(verb.stream, baseUrl, this.#interruption.signal);
    if (stream === undefined || !verb.wait) return NEXT;
    const end = await this.#interruptible(stream.ended);
    if (this.#interruption.signal.aborted) {
      stream.stop();
      return NEXT;
    }
    // A stream that never began is skipped, so that the verbs behind it work even when the bridge is gone.
    const neverBegan = end?.how === 'failed' && !end.started;
    if (verb.action === undefined || neverBegan) return NEXT;
    return this.#followUp(verb.action, baseUrl, verb.method, { why: 'stream-ended' });
  }

  async #press(digits: string): Promise<void> {
    this.#context.log.add({ type: 'agent-keys', digits });
    await pause(this.#context.clock, keysMs(digits), this.#interruption.signal);
  }

  async #dial(verb: DialVerb, baseUrl: string): Promise<Step> {
    const { signal } = this.#interruption;
    const terms = this.#rules.legTerms?.(verb, baseUrl, signal);
    const result = await this.#context.ring(verb.targets, verb.callerId, signal, terms);
    if (verb.action === undefined || signal.aborted) return NEXT;
    return this.#followUp(verb.action, baseUrl, verb.method, { why: 'dial-ended', result });
  }

  async #own(verb: OwnVerb, baseUrl: string): Promise<Step> {
    const { signal } = this.#interruption;
    const next = await this.#rules.perform?.(verb, baseUrl, signal);
    if (next === undefined || signal.aborted) return NEXT;
    return this.#followUp(next.url, baseUrl, next.method, { why: 'own', fields: next.fields });
  }

  #followUp(url: string, baseUrl: string, method: 'GET' | 'POST', reason: DocumentReason): Step {
    return fetched(resolveUrl(url, baseUrl, this.#context.codes), method, reason);
  }

  /** Undefined when an interruption came first; what was waited for goes on and is not looked at any more. */
  #interruptible<T>(work: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#interruption;
    return new Promise((resolve, reject) => {
      const give = (): void => resolve(undefined);
      if (signal.aborted) give();
      signal.addEventListener('abort', give, { once: true });
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
    });
  }
}

function answers(verb: Verb): boolean {
  if (verb.type === 'dial') return verb.answersLate !== true;
  return verb.type !== 'reject';
}

const KEY_MS = 200;
const WAITS_MS: Readonly<Record<string, number>> = { w: 500, W: 1000 };

/** How long it takes to press keys: `w` waits half a second and `W` a whole one. */
export function keysMs(digits: string): number {
  return [...digits].reduce((sum, key) => sum + (WAITS_MS[key] ?? KEY_MS), 0);
}

function fetched(url: string, method: 'GET' | 'POST', reason: DocumentReason): Step {
  return { to: 'document', origin: { from: 'address', source: { url, method, reason } } };
}
