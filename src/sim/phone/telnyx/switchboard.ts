import type { CallHandle } from '../carrier-sim.ts';
import type { ControlCall } from './control-call.ts';
import type { OtherLeg } from './control-transfer.ts';
import type { TexmlCall } from './texml-call.ts';

const REMEMBERED = 500;
/** An order with the id of one before it is ignored for so long. */
const SAME_ORDER_MS = 60_000;

/** An order to dial that was obeyed. */
interface Dialled {
  readonly leg: ControlCall;
  readonly atMs: number;
}

/** What all calls of one exchange share: which of them are led how, and legs that are no calls of their own. */
export class Switchboard {
  readonly #control = new WeakMap<CallHandle, ControlCall>();
  readonly #texml = new WeakMap<CallHandle, TexmlCall>();
  readonly #others = new Map<string, OtherLeg>();
  readonly #dialled = new Map<string, Dialled>();
  /** The leg that the call which is being placed now was ordered for. */
  linkTo: ControlCall | undefined;

  control(call: CallHandle): ControlCall | undefined {
    return this.#control.get(call);
  }

  texml(call: CallHandle): TexmlCall | undefined {
    return this.#texml.get(call);
  }

  /** The leg that a transfer has rung, also when it is over. */
  other(controlId: string): OtherLeg | undefined {
    return this.#others.get(controlId);
  }

  attendControl(call: CallHandle, leg: ControlCall): ControlCall {
    this.#control.set(call, leg);
    return leg;
  }

  attendTexml(call: CallHandle, leg: TexmlCall): TexmlCall {
    this.#texml.set(call, leg);
    return leg;
  }

  add(other: OtherLeg): void {
    // Some are kept after their end, so that commands to them are told of it.
    if (this.#others.size >= REMEMBERED) this.#forget();
    this.#others.set(other.controlId, other);
  }

  /** What an order with this id has led to within the last minute. */
  dialled(commandId: string): ControlCall | undefined {
    const dialled = this.#dialled.get(commandId);
    if (dialled === undefined) return undefined;
    return dialled.leg.call.clock.now() - dialled.atMs < SAME_ORDER_MS ? dialled.leg : undefined;
  }

  /** Remembers an order, so that the same one is not obeyed twice. */
  remember(commandId: string, dialled: Dialled): void {
    for (const [id, { atMs }] of this.#dialled) {
      if (dialled.atMs - atMs < SAME_ORDER_MS) break;
      this.#dialled.delete(id);
    }
    this.#dialled.set(commandId, dialled);
  }

  #forget(): void {
    for (const [id, other] of this.#others) if (other.isOver) this.#others.delete(id);
  }
}
