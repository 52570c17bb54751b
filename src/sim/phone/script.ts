import type { Clock } from '../../clock.ts';
import { assertNever, BridgeError } from '../../errors.ts';
import type { CarrierDesk, Source } from './carrier-desk.ts';
import type { EndedBy, EventLog, StreamEnd } from './events.ts';
import type { CarrierResponse } from './http.ts';
import { pause } from './pause.ts';
import { parseTwiml, type StreamVerb, type Verb } from './twiml.ts';

/** What a `<Dial>` comes to: nobody is really rung. */
export interface DialResult {
  readonly status: 'completed' | 'busy' | 'no-answer' | 'failed';
  /** How long the two talked. */
  readonly durationMs: number;
}

/** A running stream as the script needs it. */
export interface RunningStream {
  readonly ended: Promise<StreamEnd>;
  stop(): void;
}

/** What a script can do to its call. */
export interface ScriptContext {
  readonly clock: Clock;
  readonly log: EventLog;
  readonly desk: CarrierDesk;
  readonly dialResult: DialResult;
  readonly fallbackUrl: string | undefined;
  /** The first verb that needs it answers the call. */
  answer(): void;
  /** Opens a stream; undefined when the call ended before that. */
  openStream(verb: StreamVerb, baseUrl: string, signal: AbortSignal): Promise<RunningStream | undefined>;
}

/** Instructions that replace the running document. */
export type Replacement =
  | { readonly twiml: string }
  | { readonly url: string; readonly method: 'GET' | 'POST' };

/** Where a document comes from: it is fetched, or it came by REST and takes the address of the one before it. */
type Origin =
  | { readonly from: 'address'; readonly source: Source }
  | { readonly from: 'rest'; readonly twiml: string; readonly baseUrl: string };

type Step =
  | { readonly to: 'next-verb' }
  | { readonly to: 'document'; readonly origin: Origin }
  | { readonly to: 'end'; readonly by: EndedBy; readonly outcome: ScriptOutcome };

/** How the call is to be reported. */
export type ScriptOutcome = 'completed' | 'busy' | 'rejected' | 'failed';

/** Who ended the call, and what it came to. */
export interface ScriptEnd {
  readonly by: EndedBy;
  readonly outcome: ScriptOutcome;
}

const NEXT: Step = { to: 'next-verb' };

/** Runs the answer documents of one call, verb by verb, until the call is over. */
export class Script {
  readonly #context: ScriptContext;
  #interruption = new AbortController();
  #replacement: Replacement | undefined;
  #hungUpBy: EndedBy | undefined;

  constructor(context: ScriptContext) {
    this.#context = context;
  }

  /** The call is over: whatever runs is given up. */
  hangUp(by: EndedBy): void {
    this.#hungUpBy ??= by;
    this.#interruption.abort();
  }

  /** Other instructions take the place of the running document. */
  replace(replacement: Replacement): void {
    this.#replacement = replacement;
    this.#interruption.abort();
  }

  /** From the first webhook to the end of the call; rejects with BridgeError when there are no usable instructions. */
  async run(first: Source): Promise<ScriptEnd> {
    let step: Step = fetched(first);
    while (step.to === 'document') step = await this.#follow(step.origin);
    if (this.#hungUpBy !== undefined) return { by: this.#hungUpBy, outcome: 'completed' };
    return step.to === 'end' ? step : { by: 'document', outcome: 'completed' };
  }

  async #follow(origin: Origin): Promise<Step> {
    const baseUrl = origin.from === 'rest' ? origin.baseUrl : origin.source.url;
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
    if ('url' in replacement) return fetched({ ...replacement, fields: {} });
    return { to: 'document', origin: { from: 'rest', twiml: replacement.twiml, baseUrl } };
  }

  async #load(origin: Origin): Promise<readonly Verb[]> {
    const text = origin.from === 'rest' ? origin.twiml : (await this.#fetch(origin.source)).body;
    const { verbs, warnings } = parseTwiml(text);
    for (const warning of warnings) this.#context.log.warn('12200', warning.replace(/^12200: /, ''));
    return verbs;
  }

  async #fetch(source: Source): Promise<CarrierResponse> {
    const { desk, fallbackUrl, log } = this.#context;
    const fields = { ...desk.fields(), ...source.fields };
    try {
      return checkType(await desk.webhook({ ...source, fields }));
    } catch (thrown) {
      const error = BridgeError.from(thrown);
      if (fallbackUrl === undefined || this.#interruption.signal.aborted) throw error;
      log.warn('11200', error.message);
      const extra = { ErrorCode: '11200', ErrorUrl: source.url };
      return checkType(
        await desk.webhook({ url: fallbackUrl, method: 'POST', fields: { ...fields, ...extra } }),
      );
    }
  }

  async #perform(verb: Verb, baseUrl: string): Promise<Step> {
    const { log } = this.#context;
    if (verb.type !== 'reject') this.#context.answer();
    switch (verb.type) {
      case 'connect':
        return await this.#connect(verb, baseUrl);
      case 'say':
      case 'play':
        log.add(verb);
        return NEXT;
      case 'pause':
        log.add(verb);
        await pause(this.#context.clock, verb.lengthS * 1000, this.#interruption.signal);
        return NEXT;
      case 'dial':
        return await this.#dial(verb, baseUrl);
      case 'hangup':
        log.add(verb);
        return { to: 'end', by: 'document', outcome: 'completed' };
      case 'redirect':
        log.add({ type: 'redirect', url: verb.url });
        return followUp(verb.url, baseUrl, verb.method, {});
      case 'reject':
        log.add(verb);
        return { to: 'end', by: 'document', outcome: verb.reason === 'busy' ? 'busy' : 'rejected' };
      default:
        return assertNever(verb);
    }
  }

  async #connect(verb: Extract<Verb, { type: 'connect' }>, baseUrl: string): Promise<Step> {
    const stream = await this.#context.openStream(verb.stream, baseUrl, this.#interruption.signal);
    if (stream === undefined) return NEXT;
    const end = await this.#interruptible(stream.ended);
    if (this.#interruption.signal.aborted) {
      stream.stop();
      return NEXT;
    }
    // A stream that never began is skipped, so that the verbs behind it work even when the bridge is gone.
    const neverBegan = end?.how === 'failed' && !end.started;
    if (verb.action === undefined || neverBegan) return NEXT;
    return followUp(verb.action, baseUrl, verb.method, {});
  }

  async #dial(verb: Extract<Verb, { type: 'dial' }>, baseUrl: string): Promise<Step> {
    const { status, durationMs } = this.#context.dialResult;
    this.#context.log.add({ type: 'dial', targets: verb.targets, callerId: verb.callerId });
    await pause(this.#context.clock, durationMs, this.#interruption.signal);
    if (verb.action === undefined || this.#interruption.signal.aborted) return NEXT;
    const fields: Record<string, string> = { DialCallStatus: status };
    if (status === 'completed') fields['DialCallDuration'] = String(Math.round(durationMs / 1000));
    return followUp(verb.action, baseUrl, verb.method, fields);
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

function fetched(source: Source): Step {
  return { to: 'document', origin: { from: 'address', source } };
}

function followUp(
  url: string,
  baseUrl: string,
  method: 'GET' | 'POST',
  fields: Readonly<Record<string, string>>,
): Step {
  return fetched({ url: resolveUrl(url, baseUrl), method, fields });
}

/** An address of a document: absolute ones stay letter by letter as they are. Throws BAD_INPUT for nonsense. */
export function resolveUrl(url: string, baseUrl: string): string {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) return url;
  try {
    return new URL(url, baseUrl).href;
  } catch (cause) {
    throw new BridgeError('BAD_INPUT', `11100: ${JSON.stringify(url)} is not an address`, { cause });
  }
}

function checkType(answer: CarrierResponse): CarrierResponse {
  const type = answer.contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (['text/xml', 'application/xml', 'text/html'].includes(type)) return answer;
  throw new BridgeError('CARRIER_REFUSED', `12300: the content type ${JSON.stringify(type)} is not XML`);
}
