import type { Answer } from '../carrier.ts';
import type { Clock } from '../clock.ts';
import type { WebhookExchange } from '../tape.ts';
import type { CallTape } from './call-tape.ts';
import type { WebhookArrival } from './webhook-tap.ts';

/** Webhooks of one call that may come before it is let in: that it rings, that it was answered, and again. */
const MOST_PER_CALL = 16;
/** Whole webhooks of calls that nobody has let in yet, or that nobody records; the oldest go first. */
const MOST = 1000;
const MOST_BYTES = 4_194_304;
/** No call rings for longer. */
const LONGEST_MS = 600_000;

/** One request of a carrier: belongs to a tape as soon as there is one for its call. */
export class Exchange implements WebhookExchange {
  readonly arrival: WebhookArrival;
  /** When it came, by the clock beneath. */
  readonly at: number;
  readonly epochMs: number;
  readonly #clock: Clock;
  readonly #onConcerns: (exchange: Exchange, callId: string) => void;
  #take: ((answer: Answer) => void) | undefined;
  #answered: { readonly answer: Answer; readonly at: number } | undefined;
  #isWorkedOff = false;

  constructor(
    arrival: WebhookArrival,
    clock: Clock,
    onConcerns: (exchange: Exchange, callId: string) => void,
  ) {
    this.arrival = arrival;
    this.at = clock.now();
    this.epochMs = clock.epoch();
    this.#clock = clock;
    this.#onConcerns = onConcerns;
    setImmediate(() => {
      this.#isWorkedOff = true;
    });
  }

  /** What happens now is not its doing alone: the turn of the event loop in which it came has ended. */
  get isWorkedOff(): boolean {
    return this.#isWorkedOff;
  }

  concerns(callId: string): void {
    this.#onConcerns(this, callId);
  }

  answered(answer: Answer): void {
    if (this.#take !== undefined) this.#take(answer);
    // Time stands still while it is worked off, as it does in a call that is recorded already.
    else this.#answered ??= { answer, at: this.#isWorkedOff ? this.#clock.now() : this.at };
  }

  /** Writes it down, and its answer when that comes. */
  join(tape: CallTape): void {
    this.#take ??= tape.webhook(this.arrival, this.at);
  }

  /** When it was answered, by the clock beneath, before it joined a tape; undefined: it was not. */
  get answeredAt(): number | undefined {
    return this.#answered?.at;
  }

  /** Writes down the answer that came before it joined. */
  joinAnswer(tape: CallTape): void {
    if (this.#answered === undefined) return;
    tape.clock.stampAt(this.#answered.at);
    this.#take?.(this.#answered.answer);
  }
}

/** Webhooks of calls that are not let in yet, by call, within bounds. */
export class EarlyWebhooks {
  readonly #byCall = new Map<string, Exchange[]>();
  #count = 0;
  #bytes = 0;

  add(key: string, exchange: Exchange): void {
    const known = this.#byCall.get(key) ?? [];
    if (known.length >= MOST_PER_CALL) return;
    this.#byCall.set(key, [...known, exchange]);
    this.#count += 1;
    this.#bytes += sizeOf(exchange);
    this.#trim(exchange.at);
  }

  /** In the order in which they came; they are forgotten here. */
  take(key: string): readonly Exchange[] {
    const found = this.#byCall.get(key) ?? [];
    this.#byCall.delete(key);
    this.#count -= found.length;
    for (const exchange of found) this.#bytes -= sizeOf(exchange);
    return found;
  }

  #trim(now: number): void {
    for (const [key, [first]] of this.#byCall) {
      const isOld = first === undefined || now - first.at > LONGEST_MS;
      if (!isOld && this.#count <= MOST && this.#bytes <= MOST_BYTES) return;
      this.take(key);
    }
  }
}

function sizeOf({ arrival }: Exchange): number {
  return arrival.request.body.length;
}

/**
 * Writes down all of them in the order in which requests and answers came. Time then stands where the last request came,
 * or goes on if somebody else had to be asked before the call could be let in: what waits from now on waits as long as it
 * would without a recording.
 */
export function joinAll(exchanges: readonly Exchange[], tape: CallTape): void {
  const steps: { readonly at: number; readonly run: () => void }[] = [];
  for (const exchange of exchanges) {
    const { at, answeredAt } = exchange;
    steps.push({ at, run: () => exchange.join(tape) });
    if (answeredAt !== undefined) steps.push({ at: answeredAt, run: () => exchange.joinAnswer(tape) });
  }
  // Stable: an answer stands behind its request.
  for (const step of steps.sort((a, b) => a.at - b.at)) step.run();
  if (exchanges.at(-1)?.isWorkedOff === true) tape.clock.stamp();
}
