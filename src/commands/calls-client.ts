import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { ANSWERS, type AnswerOf, type REQUESTS } from '../calls-api/shapes.ts';
import { type Clock, deadline } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import { EventReader, type ServerSentEvent } from './event-reader.ts';

/** A call to be placed, as the operators' interface takes it. */
export type OrderBody = z.input<(typeof REQUESTS)['PlaceCall']>;

/** Why the service did not do what was asked, for the person at the terminal. */
export interface Trouble {
  readonly status: 'trouble';
  /** `input`: something else has to be asked for; `passing`: asking again may help; `nobody`: nobody listens there. */
  readonly kind: 'input' | 'passing' | 'nobody' | 'final';
  readonly message: string;
}
export type Asked<T> = { readonly status: 'ok'; readonly value: T } | Trouble;

/** The service gives a carrier ten seconds to take an order. */
const ASK_MS = 15_000;
/** Three of the heartbeats that the service sends. */
const SILENCE_MS = 45_000;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** The operators' interface of a service, from outside. Nothing here rejects. */
export class CallsClient {
  readonly #clock: Clock;
  readonly #base: string;
  readonly #token: string;

  /** @param base address of the service, without slash at its end */
  constructor(clock: Clock, base: string, token: string) {
    this.#clock = clock;
    this.#base = base;
    this.#token = token;
  }

  /** Places a call; an order whose answer was lost is given once more with the same key, which never dials twice. */
  async place(order: OrderBody): Promise<Asked<AnswerOf<'Call'>>> {
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
    const ask = () => this.#ask('POST', '/calls', headers, JSON.stringify(order));
    const first = await ask();
    const asked = first.status === 'trouble' && first.kind === 'passing' ? await ask() : first;
    if (asked.status === 'trouble') return asked;
    const call = ANSWERS.Call.safeParse(asked.value.body);
    if (asked.value.status === 201 && call.success) return { status: 'ok', value: call.data };
    return this.#refusal(asked.value);
  }

  async hangUp(id: string): Promise<Asked<undefined>> {
    const asked = await this.#ask('POST', `/calls/${id}/hang-up`, {});
    if (asked.status === 'trouble') return asked;
    const { status } = asked.value;
    return status === 202 || status === 409 ? { status: 'ok', value: undefined } : this.#refusal(asked.value);
  }

  /** Tells of the events after `number`. Resolves with the call when it is over, or when the connection broke. */
  async follow(
    id: string,
    number: number,
    onEvent: (event: AnswerOf<'CallEvent'>) => void,
  ): Promise<Asked<AnswerOf<'Call'>>> {
    const gone = new AbortController();
    let cancel = (): void => undefined;
    const heard = (): void => {
      cancel();
      cancel = this.#clock.after(SILENCE_MS, () =>
        gone.abort(new BridgeError('TIMEOUT', 'nothing was heard')),
      );
    };
    heard();
    try {
      const response = await fetch(`${this.#base}/calls/${id}/events`, {
        headers: { authorization: `Bearer ${this.#token}`, 'last-event-id': String(number) },
        signal: gone.signal,
      });
      if (response.status !== 200) return this.#refusal(await readAnswer(response));
      return await readEvents(response, heard, onEvent);
    } catch (thrown) {
      return this.#unreachable(thrown);
    } finally {
      cancel();
      gone.abort();
    }
  }

  async #ask(
    method: 'POST',
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): Promise<Asked<Answer>> {
    using limit = deadline(this.#clock, ASK_MS, 'the answer of the service');
    try {
      const response = await fetch(this.#base + path, {
        method,
        headers: { authorization: `Bearer ${this.#token}`, ...headers },
        ...(body === undefined ? {} : { body }),
        // A redirect would take the token elsewhere.
        redirect: 'manual',
        signal: limit.signal,
      });
      return { status: 'ok', value: await readAnswer(response) };
    } catch (thrown) {
      return this.#unreachable(thrown);
    }
  }

  #unreachable(thrown: unknown): Trouble {
    const why = reason(thrown);
    const kind = why === 'ECONNREFUSED' || why === 'ENOTFOUND' ? 'nobody' : 'passing';
    return trouble(
      kind,
      `the service at ${this.#base} cannot be reached (${why}): does it run, and is --url right?`,
    );
  }

  #refusal({ status, body }: Answer): Trouble {
    const problem = ANSWERS.Problem.safeParse(body);
    if (!problem.success) {
      return trouble(
        'final',
        `what answers at ${this.#base} is no Patchcord service: it says HTTP ${status}`,
      );
    }
    const { code, message, retry } = problem.data.error;
    if (code === 'UNAUTHORIZED') {
      return trouble('final', 'the service refuses the token: it has to be the API_TOKEN of the service');
    }
    if (code === 'API_OFF') {
      return trouble('final', 'the service takes no orders: it was started without API_TOKEN');
    }
    if (status === 400) return trouble('input', message);
    return trouble(retry ? 'passing' : 'final', `${code}: ${message}`);
  }
}

/** Said also of an end that came without a word. */
async function readEvents(
  response: Response,
  heard: () => void,
  onEvent: (event: AnswerOf<'CallEvent'>) => void,
): Promise<Asked<AnswerOf<'Call'>>> {
  const reader = new EventReader();
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    heard();
    for (const event of reader.push(decoder.decode(bytes, { stream: true }))) {
      const call = readEvent(event, onEvent);
      if (call !== undefined) return { status: 'ok', value: call };
    }
  }
  return trouble('passing', 'the service has closed the connection before the call was over');
}

function readEvent(
  { type, data }: ServerSentEvent,
  onEvent: (event: AnswerOf<'CallEvent'>) => void,
): AnswerOf<'Call'> | undefined {
  const value = readJson(data);
  if (type === 'end') return ANSWERS.Call.safeParse(value).data;
  const event = ANSWERS.CallEvent.safeParse(value);
  if (event.success) onEvent(event.data);
  return undefined;
}

async function readAnswer(response: Response): Promise<Answer> {
  return { status: response.status, body: readJson(await response.text()) };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function trouble(kind: Trouble['kind'], message: string): Trouble {
  return { status: 'trouble', kind, message };
}

/** `fetch` says no more than "fetch failed"; the cause has the name of the trouble. */
function reason(thrown: unknown): string {
  if (thrown instanceof BridgeError && thrown.code === 'TIMEOUT') return 'no answer in time';
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return 'the connection failed';
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message;
}
