import type { ControlResult, Transfer } from './carrier.ts';
import { assertNever } from './errors.ts';
import { RESTART_GOODBYE } from './notices.ts';
import type { Session } from './session.ts';

/** What somebody wants of a call who is not in it: an operator, a budget that is spent, a service that has to stop. */
export type Order =
  | { readonly does: 'end'; readonly reason: 'operator-hung-up' | 'shutdown' }
  /** Says goodbye first. */
  | { readonly does: 'leave'; readonly reason: 'shutdown' | 'budget-spent'; readonly goodbye: string }
  | { readonly does: 'transfer'; readonly transfer: Transfer }
  | { readonly does: 'send-digits'; readonly digits: string }
  | { readonly does: 'record'; readonly on: boolean };

/** Of a service that has to stop. */
export const RESTART: Order = { does: 'leave', reason: 'shutdown', goodbye: RESTART_GOODBYE };

/** Does it; an `end` resolves when the call is over. Never rejects. */
export async function carryOut(session: Session, order: Order): Promise<ControlResult> {
  session.tape?.ordered(order);
  switch (order.does) {
    case 'end':
      await session.end(order.reason);
      return { status: 'ok' };
    case 'leave':
      session.leave(order.reason, order.goodbye);
      return { status: 'ok' };
    case 'transfer':
      return await session.transfer(order.transfer);
    case 'send-digits':
      return await session.sendDigits(order.digits);
    case 'record':
      return await session.record(order.on);
    default:
      return assertNever(order);
  }
}
