import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { CarrierName } from '../carrier.ts';
import { type Clock, deadline, pause } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { RecordedBy } from '../recording-terms.ts';
import { whole } from '../schema-parts.ts';
import { hookFields } from './fields.ts';
import { type HookResponse, hookFailure, hostOf, postHook, statusFailure } from './post-hook.ts';
import { type RejectReason, readStartAnswer } from './start-answer.ts';

const WHAT = 'start webhook';
/** Pauses before further tries; the last one for all that come after. */
const BACK_OFF_MS = [100, 300, 900] as const;

/** `webhooks.start` and `startWebhook` of the agents file: who is asked before a call is answered. */
export const startHookSchema = z
  .strictObject({
    ...hookFields,
    timeoutMs: whole(100, 4000, ' (ms)')
      .default(2000)
      .describe('The whole time for all tries, in ms: the caller hears it ring meanwhile.'),
    retries: whole(0, 5)
      .default(2)
      .describe('Further tries after a connection that failed, a 5xx or a 429, while there is time.'),
    onFailure: z
      .enum(['answer', 'reject'], { error: 'answer or reject' })
      .default('answer')
      .describe('What becomes of the call when nobody gives an answer that can be used.'),
  })
  .describe('Asked before a call is answered: may choose the agent, fill variables, or reject the call.');

/** How it is asked, as the agents file has it, complete. */
export type StartHookConfig = z.output<typeof startHookSchema>;

/** A call that is about to be answered. */
export interface StartRequest {
  /** The carrier's id of the call. */
  readonly callId: string;
  readonly carrier: CarrierName;
  readonly from: string;
  readonly to: string;
  readonly direction: 'inbound' | 'outbound';
  readonly callerName: string | undefined;
  /** Whom the number leads to; undefined: nobody, so that only an answer that names an agent helps. */
  readonly agent: string | undefined;
  /** As far as they are known. */
  readonly variables: Readonly<Record<string, string>>;
  /** When the call came in, ms since 1970 UTC. */
  readonly at: number;
}

/** What becomes of the call. `failed`: nobody said so, it is what `onFailure` has for this error. */
export type StartAnswer =
  | {
      readonly type: 'answer';
      /** Only looks like a name: whether there is such an agent is for the caller of `ask` to find out. */
      readonly agent: string | undefined;
      readonly variables: Readonly<Record<string, string>>;
      /** Who records the call; undefined: not said. */
      readonly recording?: RecordedBy | undefined;
      readonly failed: BridgeError | undefined;
    }
  | { readonly type: 'reject'; readonly reason: RejectReason; readonly failed: BridgeError | undefined };

/** One attempt: an answer, or why there is none, and how soon another may be made. */
type Attempt =
  | { readonly answer: StartAnswer }
  | { readonly error: BridgeError; readonly again: boolean; readonly afterMs: number };

/** Asks somebody else's service what to do with a call. */
export class StartHook {
  readonly #config: StartHookConfig;
  readonly #clock: Clock;

  constructor(config: StartHookConfig, deps: { readonly clock: Clock }) {
    this.#config = config;
    this.#clock = deps.clock;
  }

  /**
   * Asks, again where that may help, for `timeoutMs` at most. Never rejects; when `signal` aborts, because the caller
   * is gone, it resolves at once with a failure.
   */
  async ask(request: StartRequest, signal: AbortSignal): Promise<StartAnswer> {
    const { timeoutMs, url } = this.#config;
    using limit = deadline(this.#clock, timeoutMs, `the ${WHAT} to ${hostOf(url)}`, signal);
    try {
      return await this.#insist(messageOf(request, this.#clock), limit.signal);
    } catch (thrown) {
      return this.#otherwise(BridgeError.from(thrown));
    }
  }

  async #insist(message: Message, signal: AbortSignal): Promise<StartAnswer> {
    const end = this.#clock.now() + this.#config.timeoutMs;
    for (let tries = 0; ; tries += 1) {
      const attempt = await this.#attempt(message, signal);
      if ('answer' in attempt) return attempt.answer;
      const pauseMs = Math.max(attempt.afterMs, BACK_OFF_MS[tries] ?? BACK_OFF_MS[2]);
      const late = this.#clock.now() + pauseMs >= end;
      // To wait for a time that there is not would only keep the caller waiting.
      if (!attempt.again || late || tries >= this.#config.retries) return this.#otherwise(attempt.error);
      // Whatever is tried next finds out that nobody waits any more.
      await pause(this.#clock, pauseMs, signal);
    }
  }

  async #attempt({ id, body }: Message, signal: AbortSignal): Promise<Attempt> {
    const { url, secret, timeoutMs } = this.#config;
    const request = { what: WHAT, url, secret, id, body, timeoutMs, wantsAnswer: true };
    try {
      return this.#judge(await postHook(request, this.#clock, signal));
    } catch (thrown) {
      // Lateness of any kind is that of the whole, whose words name the time that was set.
      if (signal.aborted) throw givenUp(signal, url);
      const error = BridgeError.from(thrown);
      return { error, again: error.code !== 'BAD_CONFIG', afterMs: 0 };
    }
  }

  #judge({ status, text, retryAfterMs }: HookResponse): Attempt {
    const host = hostOf(this.#config.url);
    if (status < 200 || status >= 300) {
      const error = statusFailure(WHAT, host, status);
      return { error, again: status === 429 || status >= 500, afterMs: retryAfterMs ?? 0 };
    }
    const read = readStartAnswer(text);
    if (read.type === 'wrong') {
      return { error: hookFailure(WHAT, host, read.problem), again: false, afterMs: 0 };
    }
    return { answer: { ...read, failed: undefined } };
  }

  #otherwise(failed: BridgeError): StartAnswer {
    // Busy and not rejected: the caller may try again.
    if (this.#config.onFailure === 'reject') return { type: 'reject', reason: 'busy', failed };
    return { type: 'answer', agent: undefined, variables: {}, recording: undefined, failed };
  }
}

interface Message {
  readonly id: string;
  readonly body: string;
}

/** The same id for the same call, also when the carrier asks a second process about it. */
function messageOf(request: StartRequest, clock: Clock): Message {
  const { callId, carrier, from, to, direction, callerName, agent, variables, at } = request;
  const hash = createHash('sha256').update(`${carrier} ${callId}`).digest('hex');
  const startedAt = new Date(at).toISOString();
  const data = { callId, carrier, from, to, direction, callerName, agent, variables, startedAt };
  const timestamp = new Date(clock.epoch()).toISOString();
  return {
    id: `start_${hash.slice(0, 32)}`,
    body: JSON.stringify({ type: 'call.started', timestamp, data }, noHoles),
  };
}

/** JSON leaves out what is undefined; receivers are better served by fields that are always there. */
function noHoles(_key: string, value: unknown): unknown {
  return value === undefined ? null : value;
}

function givenUp(signal: AbortSignal, url: string): BridgeError {
  const { reason } = signal;
  return reason instanceof BridgeError
    ? reason
    : new BridgeError('CANCELLED', `the ${WHAT} to ${hostOf(url)} was given up`, { cause: reason });
}
