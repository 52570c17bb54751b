import { randomUUID } from 'node:crypto';
import { BridgeError } from '../../errors.ts';
import type { Callback, CarrierCall, Happening, Payload } from './carrier-sim.ts';
import type { EventLog } from './events.ts';
import type { PhoneFaults } from './faults.ts';
import { type CarrierRequest, type CarrierResponse, type HttpContext, send } from './http.ts';

/** A request for instructions, or any other whose answer matters. */
export interface DeskRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly payload: Payload;
}

/** What a desk works with. */
export interface DeskContext extends HttpContext {
  readonly carrier: Pick<CarrierCall, 'headers' | 'limits' | 'tell'>;
  readonly faults: PhoneFaults;
  readonly log: EventLog;
}

/** All HTTP that the carrier does for one call: webhooks for instructions, and callbacks that change nothing. */
export class CarrierDesk {
  readonly #context: DeskContext;
  readonly #held: (() => Promise<void>)[] = [];
  #deliveries: Promise<void> = Promise.resolve();

  constructor(context: DeskContext) {
    this.#context = context;
  }

  /** Asks for something. Rejects with a BridgeError when there is no usable answer. */
  async webhook(request: DeskRequest): Promise<CarrierResponse> {
    const { log, codes } = this.#context;
    const answer = await this.#deliver(request);
    const { status, attempts, body } = answer;
    log.add({ type: 'webhook', url: request.url, status, attempts, body });
    if (status < 200 || status > 299) {
      const message = `${codes['http-failure']}: ${request.url} answered with HTTP ${status}`;
      throw new BridgeError('CARRIER_REFUSED', message);
    }
    return answer;
  }

  /** Has the carrier tell the bridge what happened, if it wants to know. */
  tell(happening: Happening): void {
    this.send(this.#context.carrier.tell(happening));
  }

  /** Sends callbacks. Those of the call's progress keep their order, like those that ask for it; others do not wait. */
  send(callbacks: readonly Callback[]): void {
    for (const callback of callbacks) {
      const { kind, inOrder } = callback;
      if (inOrder === true) this.#chain(() => this.#callBack(callback));
      else if (kind === 'progress' && inOrder === undefined) this.#queue(() => this.#callBack(callback));
      else this.#overlap(this.#callBack(callback));
    }
  }

  /** Resolves when every callback was answered or given up; never rejects. */
  settled(): Promise<void> {
    for (const deliver of this.#held.reverse().splice(0)) this.#chain(deliver);
    return this.#deliveries;
  }

  #queue(deliver: () => Promise<void>): void {
    if (this.#context.faults.reverseProgress) this.#held.push(deliver);
    else this.#chain(deliver);
  }

  #chain(deliver: () => Promise<void>): void {
    this.#deliveries = this.#deliveries.then(deliver);
  }

  #overlap(delivery: Promise<void>): void {
    this.#deliveries = Promise.all([this.#deliveries, delivery]).then(() => undefined);
  }

  async #deliver(request: DeskRequest): Promise<CarrierResponse> {
    const delivery: CarrierRequest = { ...request, deliveryId: randomUUID() };
    switch (this.#context.faults.duplicateWebhook) {
      case 'none':
        return await this.#send(delivery);
      case 'retry':
        await this.#send(delivery);
        return await this.#send(delivery);
      case 'concurrent': {
        const [first] = await Promise.all([this.#send(delivery), this.#send(delivery)]);
        return first;
      }
    }
  }

  async #callBack(callback: Callback): Promise<void> {
    const { signal, log, faults } = this.#context;
    if (signal.aborted) return;
    const delivery: CarrierRequest = { ...callback, deliveryId: randomUUID() };
    const { kind, event } = callback;
    for (let i = 0; i < (faults.duplicateCallbacks ? 2 : 1); i++) {
      const status = await this.#statusOf(delivery);
      const { failoverUrl } = callback;
      const again = status === 0 && failoverUrl !== undefined && !signal.aborted;
      log.add({
        type: 'callback',
        kind,
        event,
        status: again ? await this.#statusOf({ ...delivery, url: failoverUrl }) : status,
      });
    }
  }

  /** Of the bridge's answer; 0 when there is none. */
  async #statusOf(delivery: CarrierRequest): Promise<number> {
    const { log, codes } = this.#context;
    try {
      return (await this.#send(delivery)).status;
    } catch (thrown) {
      log.warn(codes['http-failure'], BridgeError.from(thrown).message);
      return 0;
    }
  }

  #send(delivery: CarrierRequest): Promise<CarrierResponse> {
    return send(delivery, this.#context);
  }
}
