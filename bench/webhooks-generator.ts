import { Histogram, type Spread } from './load/histogram.ts';
import { incomingForm, newCall, signatureOf } from './load/twilio.ts';
import { type Answer, Lines } from './webhooks/line.ts';

/** What the generator is told: calls that come as callers do, each on its own. */
export interface WebhookOrder {
  /** Where the service is; signatures are made for it. */
  readonly url: string;
  readonly authToken: string;
  readonly perSecond: number;
  readonly seconds: number;
  /** How long each call is up, in ms. */
  readonly callMs: number;
  readonly seed: number;
}

/** What it has seen; times in ms. */
export interface WebhookFigures {
  readonly calls: number;
  /** From the request to the document, over connections that were open. */
  readonly kept: Spread;
  /** The same with the connection dialled for it. */
  readonly fresh: Spread;
  /** Of status callbacks. */
  readonly status: Spread;
  /** How late the generator itself was with what was due. */
  readonly lateness: Spread;
  /** Answers that were no documents with a stream, or none at all. */
  readonly failed: number;
}

/** The generator in a process of its own, driven by messages from the bench. */
class Run {
  readonly #order: WebhookOrder;
  readonly #lines: Lines;
  readonly #kept = new Histogram();
  readonly #fresh = new Histogram();
  readonly #status = new Histogram();
  readonly #lateness = new Histogram();
  readonly #under = new Set<Promise<void>>();
  #failed = 0;
  #random: number;

  constructor(order: WebhookOrder) {
    this.#order = order;
    this.#lines = new Lines(new URL(order.url));
    this.#random = order.seed;
  }

  async figures(): Promise<WebhookFigures> {
    const { seconds, perSecond } = this.#order;
    const from = performance.now();
    const calls = Math.round(seconds * perSecond);
    let due = from;
    for (let i = 0; i < calls; i++) {
      // Callers do not wait for each other: the pauses between them are those of chance.
      due += (-Math.log(1 - this.#chance()) * 1000) / perSecond;
      await until(due);
      this.#lateness.record(performance.now() - due);
      this.#begin(i);
    }
    while (this.#under.size > 0) await Promise.all(this.#under);
    this.#lines.close();
    return {
      calls,
      kept: this.#kept.spread(),
      fresh: this.#fresh.spread(),
      status: this.#status.spread(),
      lateness: this.#lateness.spread(),
      failed: this.#failed,
    };
  }

  #begin(slot: number): void {
    const call = this.#call(slot)
      .catch(() => {
        this.#failed += 1;
      })
      .finally(() => this.#under.delete(call));
    this.#under.add(call);
  }

  async #call(slot: number): Promise<void> {
    const fields = incomingForm(newCall(slot));
    const isFresh = slot % 2 === 1;
    const { status, body, ms } = await this.#post('/voice/twilio', fields, isFresh);
    (isFresh ? this.#fresh : this.#kept).record(ms);
    if (status !== 200 || !body.includes('<Stream ')) throw new Error(`a webhook was answered ${status}`);
    await until(performance.now() + this.#order.callMs);
    const over = { ...fields, CallStatus: 'completed', CallDuration: '1', SequenceNumber: '2' };
    const told = await this.#post('/status/twilio', over, false);
    this.#status.record(told.ms);
    if (told.status >= 300) throw new Error(`a status callback was answered ${told.status}`);
  }

  #post(path: string, fields: Readonly<Record<string, string>>, isFresh: boolean): Promise<Answer> {
    const { url, authToken } = this.#order;
    const signature = signatureOf(authToken, `${url}${path}`, fields);
    const form = new URLSearchParams(fields).toString();
    const headers = `X-Twilio-Signature: ${signature}\r\nI-Twilio-Idempotency-Token: ${fields['CallSid']}`;
    return this.#lines.post(path, form, headers, isFresh);
  }

  /** From 0 to 1, the same in every run (mulberry32). */
  #chance(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

function until(at: number): Promise<void> {
  return new Promise((resolve) => {
    const left = at - performance.now();
    if (left <= 0) resolve();
    else setTimeout(resolve, left);
  });
}

process.on('message', (order: WebhookOrder) => {
  new Run(order).figures().then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
