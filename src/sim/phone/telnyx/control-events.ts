import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../clock.ts';
import type { Callback, CallHandle } from '../carrier-sim.ts';
import { pause } from '../pause.ts';
import { occurredAt } from './dialect.ts';
import type { LegIds } from './identity.ts';
import type { TelnyxSettings } from './settings.ts';

/** A leg as its events name it. */
export interface EventLeg {
  readonly controlId: string;
  readonly ids: LegIds;
  readonly clientState: string | undefined;
  readonly from: string;
  readonly to: string;
  /** Where its events go. */
  readonly webhookUrl: string;
}

/** What happened, with the fields that only this kind of event has. */
export interface ControlFact {
  readonly type: string;
  readonly kind: Callback['kind'];
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The body of an event; its `data.id` is fresh, so it has to be made once for all deliveries. */
export function eventBody(clock: Clock, leg: EventLeg, { type, fields }: ControlFact): unknown {
  const { controlId, ids, clientState = null, from, to, webhookUrl } = leg;
  const payload = {
    call_control_id: controlId,
    call_leg_id: ids.legId,
    call_session_id: ids.sessionId,
    client_state: clientState,
    connection_id: ids.connectionId,
    from,
    to,
    ...fields,
  };
  return {
    data: {
      record_type: 'event',
      event_type: type,
      id: randomUUID(),
      occurred_at: occurredAt(clock.epoch()),
      payload,
    },
    meta: { attempt: 1, delivered_to: webhookUrl },
  };
}

/** How long an event is held back so that the next one overtakes it. */
const HOLD_MS = 200;

/** The events of one call on their way to the bridge, in the order that the settings say. */
export class Outbox {
  readonly #call: CallHandle;
  readonly #order: TelnyxSettings['eventOrder'];
  #held: Callback | undefined;

  constructor(call: CallHandle, order: TelnyxSettings['eventOrder']) {
    this.#call = call;
    this.#order = order;
  }

  /** What is to be sent now. */
  take(leg: EventLeg, fact: ControlFact): readonly Callback[] {
    const callback: Callback = {
      kind: fact.kind,
      event: fact.type,
      url: leg.webhookUrl,
      method: 'POST',
      payload: { json: eventBody(this.#call.clock, leg, fact) },
      failoverUrl: this.#call.options.fallbackUrl,
      inOrder: true,
    };
    switch (this.#order) {
      case 'kept':
        return [callback];
      case 'concurrent':
        return [{ ...callback, inOrder: false }];
      case 'swapped':
        return this.#swap(callback);
    }
  }

  /** What was still held back: the call is over. */
  flush(): readonly Callback[] {
    const held = this.#held;
    this.#held = undefined;
    return held === undefined ? [] : [held];
  }

  #swap(callback: Callback): readonly Callback[] {
    const held = this.#held;
    if (held !== undefined) {
      this.#held = undefined;
      return [callback, held];
    }
    this.#held = callback;
    const { clock, leaving } = this.#call;
    const letGo = (): void => {
      if (this.#held === callback && !leaving.aborted) this.#call.callBack(this.flush());
    };
    pause(clock, HOLD_MS, leaving).then(letGo, () => {});
    return [];
  }
}
