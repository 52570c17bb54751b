import { randomBytes, randomUUID } from 'node:crypto';
import type { CallOptions } from '../call-terms.ts';
import type { CallIdentity } from '../carrier-sim.ts';

/** The ids of one leg besides its `call_control_id`, which is the `CallSid` of TeXML too. */
export interface LegIds {
  readonly legId: string;
  /** The same for all legs of one call. */
  readonly sessionId: string;
  readonly connectionId: string;
}

/** A fresh id of a leg, as commands name it. */
export function newControlId(): string {
  return `v3:${randomBytes(36).toString('base64url')}`;
}

/** Fresh ids of a leg. */
export function newLegIds(session: Partial<LegIds> = {}): LegIds {
  return { legId: randomUUID(), sessionId: randomUUID(), connectionId: '2086443105478345000', ...session };
}

/** Who calls whom, as Telnyx writes it. */
export function identify({ accountSid, authToken, from, to, direction }: CallOptions): CallIdentity {
  return {
    callId: newControlId(),
    accountId: accountSid ?? '61bf923e-5e4d-4595-a110-56190ea18a1b',
    authToken: authToken ?? 'KEY0123456789ABCDEF0123456789ABCDEF_simulated',
    from: from ?? '+14155550100',
    to: to ?? '+14155550101',
    direction: direction ?? 'inbound',
  };
}
