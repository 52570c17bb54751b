import { LAST_RESORT } from './agents.ts';
import { callKey } from './call-key.ts';
import { agentOfToken, type PublicAddresses } from './call-urls.ts';
import type {
  AfterStream,
  Answer,
  CallRef,
  CallUrls,
  Carrier,
  CarrierEvent,
  IncomingCall,
  Next,
  Reply,
} from './carrier.ts';
import { BridgeError } from './errors.ts';
import type { AfterStreamEvent } from './last-word.ts';
import type { Log } from './log.ts';
import type { Roster } from './roster.ts';

export interface StrandedDeps {
  /** Undefined: every caller gets the same apology. */
  readonly roster?: Pick<Roster, 'knows' | 'route' | 'termsFor'> | undefined;
  /** Undefined: nobody is told how it goes on. */
  readonly addresses?: PublicAddresses | undefined;
  readonly log: Log;
  /** A caller was given this; not told of a call that is only hung up. */
  readonly onGiven?: ((next: AfterStream) => void) | undefined;
}

type TransferNews = Extract<CarrierEvent, { type: 'transfer' }>;

/** Calls that are remembered as led to their end; the oldest are forgotten. */
const MAX_LED = 10_000;
const NO_URLS: CallUrls = { afterUrl: '', announceUrl: '', statusUrl: '' };

/**
 * Calls that are up at the carrier and that nobody here knows: they were led by a process that has died, and their
 * callers are still on the line. They get what their agent would have given them.
 */
export class Stranded {
  readonly #deps: StrandedDeps;
  /** Command style: events come twice, and of one broken stream there may be two kinds. */
  readonly #led = new Set<string>();

  constructor(deps: StrandedDeps) {
    this.#deps = deps;
  }

  /**
   * The carrier asks what comes next, or tells that the stream is over.
   * @param token of the after-stream address, when it came in by one
   */
  after(carrier: Carrier, event: AfterStreamEvent, token: string | undefined): Reply {
    const { callId, call, error } = event;
    // A transfer may outlive the memory of its call: they have talked, and that is the end.
    const over = event.transfer === 'completed' || event.ended || event.messageLeft === true;
    if (over) return { answer: carrier.document({ type: 'hang-up' }, NO_URLS) };
    this.#deps.log.warn({ callId, error }, 'stream of an unknown call ended');
    if (call?.control === 'command') return this.#lead(carrier, event, call);
    const next = this.#lastResort(carrier, event, token);
    this.#given(next);
    return { answer: documentFor(carrier, next, this.#urls(carrier, token), this.#deps.log) };
  }

  /** News of a transfer: in command style nobody asks what comes after one that has failed. */
  transfer(carrier: Carrier, { status, call }: TransferNews): Reply {
    const answer = carrier.acknowledge();
    if (status !== 'failed' || call?.control !== 'command') return { answer };
    return { answer, action: (signal) => apologise(carrier, call, LAST_RESORT, NO_URLS, signal) };
  }

  #lead(carrier: Carrier, event: AfterStreamEvent, call: CallRef): Reply {
    const answer = carrier.acknowledge();
    // What there was to say has been said.
    if (event.spoken === true) return { answer, action: (signal) => carrier.hangUp(call, signal) };
    if (!this.#first(callKey(carrier.name, event.callId))) return { answer };
    const next = this.#lastResort(carrier, event, undefined);
    this.#given(next);
    const urls = this.#urls(carrier, undefined);
    return { answer, action: (signal) => apologise(carrier, call, next, urls, signal) };
  }

  #given(next: AfterStream): void {
    if (next.type !== 'hang-up') this.#deps.onGiven?.(next);
  }

  #first(key: string): boolean {
    if (this.#led.has(key)) return false;
    this.#led.add(key);
    const [oldest] = this.#led;
    if (this.#led.size > MAX_LED && oldest !== undefined) this.#led.delete(oldest);
    return true;
  }

  /** That of the agent whom the address names, else of the one who has the number. */
  #lastResort(carrier: Carrier, event: AfterStreamEvent, token: string | undefined): AfterStream {
    const { roster, log } = this.#deps;
    const { callId, parties } = event;
    const control = event.call?.control ?? 'document';
    const call: IncomingCall = {
      ...{ from: '', to: '', direction: 'inbound', ...parties },
      ...{ callId, control, callerName: undefined, ref: undefined },
    };
    try {
      const route = roster?.route(carrier.name, call);
      const named = agentOfToken(token) ?? event.agent;
      const agent = named !== undefined && roster?.knows(named) === true ? named : route?.agent;
      const terms =
        agent === undefined ? undefined : roster?.termsFor(agent, carrier.name, call, route?.variables ?? {});
      const wanted = terms?.agent.lastResort ?? LAST_RESORT;
      // Somebody who was rung in vain may be the one who would be rung now, again and again.
      return wanted.type === 'transfer' && event.transfer !== undefined ? LAST_RESORT : wanted;
    } catch (thrown) {
      log.error(
        { callId, err: BridgeError.from(thrown) },
        'the last resort of an unknown call was not found',
      );
      return LAST_RESORT;
    }
  }

  /** The recording of a message, and the end of a transfer, come back here. */
  #urls(carrier: Carrier, token: string | undefined): CallUrls {
    return this.#deps.addresses?.forCall(carrier.name, token ?? 'unknown') ?? NO_URLS;
  }
}

/** Without a document the carrier would drop the caller without a word: what cannot be written becomes an apology. */
export function documentFor(carrier: Carrier, next: Next, urls: CallUrls, log: Log): Answer {
  try {
    return carrier.document(next, urls);
  } catch (thrown) {
    log.error({ err: BridgeError.from(thrown), next: next.type }, 'no document could be written');
    return carrier.document(LAST_RESORT, urls);
  }
}

/** Or hangs up at once, where that cannot be had. */
async function apologise(
  carrier: Carrier,
  call: CallRef,
  next: Next,
  urls: CallUrls,
  signal: AbortSignal,
): ReturnType<Carrier['direct']> {
  const result =
    next.type === 'hang-up'
      ? await carrier.hangUp(call, signal)
      : await carrier.direct(call, next, urls, signal);
  return result.status === 'error' ? await carrier.hangUp(call, signal) : result;
}
