import type { EndReason } from './call-events.ts';
import type { CallUrls, CarrierEvent, IncomingCall, Next } from './carrier.ts';
import type { HangUpWatch } from './hang-up-watch.ts';
import type { Act } from './insist.ts';
import type { Session } from './session.ts';

/** A call that is over for the bridge, and not yet for the carrier. */
export interface Ending {
  readonly session: Session;
  readonly urls: CallUrls;
}

/** Something that is said or rung to the end, without news of it: so much longer than it should take. */
const GRACE_MS = 30_000;
const MS_PER_CHARACTER = 90;

/** What becomes of the caller when a session has ended: sees to it that they hear the last word, and that the call ends. */
export class AfterCall {
  readonly #hangUps: HangUpWatch;

  constructor(hangUps: HangUpWatch) {
    this.#hangUps = hangUps;
  }

  /** A call has ended. */
  begin(entry: Ending, reason: EndReason): void {
    const { session } = entry;
    const { carrier, call, callId } = session;
    const command = call.control === 'command';
    // Somebody who was put through is with somebody else.
    if (reason === 'transferred') return;
    // In command style nobody asks about a call: it ends when it is told to, and the end of its stream is not its own.
    const hangUp = (): void => this.#hangUp(session);
    if (reason === 'caller-hung-up') {
      if (command) this.#hangUps.watch(carrier.name, callId, hangUp, undefined, hangUp);
    } else if (session.mustHangUp) {
      if (command) hangUp();
      else this.#hangUps.watch(carrier.name, callId, hangUp, undefined, hangUp);
    } else if (command) {
      const lead = (): void => this.lead(entry, session.next(streamOver(call)));
      this.#hangUps.watch(carrier.name, callId, lead, undefined, hangUp);
    } else this.#hangUps.watch(carrier.name, callId, () => this.#remind(entry), undefined, hangUp);
  }

  /** Document style: the carrier should have asked what comes next. It is made to, or the call is hung up. */
  #remind({ session, urls }: Ending): void {
    const { carrier, call, callId, agent } = session;
    // An order whose answer was lost is given again only as long as the carrier has not come to ask.
    const remind: Act = async (signal) =>
      session.lastWord.remind()
        ? await carrier.direct(call, agent.lastResort, urls, signal)
        : { status: 'ok' };
    this.#hangUps.now(carrier, callId, remind, () => this.#hangUp(session));
  }

  #hangUp({ carrier, call }: Session): void {
    this.#hangUps.now(carrier, call.callId, (signal) => carrier.hangUp(call, signal));
  }

  /** Command style, after the end: does what comes next, and sees to it that the call does not stay up after that. */
  lead({ session, urls }: Ending, next: Next): void {
    const { carrier, call, callId } = session;
    if (next.type === 'nothing') return;
    this.#hangUps.confirmed(carrier.name, callId);
    if (next.type === 'hang-up') {
      // What the bridge ended is being hung up already.
      if (!session.mustHangUp) this.#hangUp(session);
      return;
    }
    const hangUp = (): void => {
      this.#hangUps.confirmed(carrier.name, callId);
      this.#hangUp(session);
    };
    this.#hangUps.watch(carrier.name, callId, hangUp, longest(next), hangUp);
    const act: Act = (signal) => carrier.direct(call, next, urls, signal);
    this.#hangUps.now(carrier, callId, next.type === 'transfer' ? oneOrder(act) : act, hangUp);
  }
}

/** Somebody who is rung twice hangs up: an order that may have been taken is taken as taken, and the limit still holds. */
function oneOrder(act: Act): Act {
  return async (signal) => {
    const result = await act(signal);
    const doubtful = result.status === 'error' && result.error.code === 'CARRIER_UNAVAILABLE';
    return doubtful ? { status: 'ok' } : result;
  };
}

/** By then it must be over, or a carrier has told of it. */
function longest(next: Next): number {
  return otherMs(next) + (wordsOf(next)?.length ?? 0) * MS_PER_CHARACTER + GRACE_MS;
}

function wordsOf(next: Next): string | undefined {
  if (next.type === 'say' || next.type === 'message') return next.text;
  return next.type === 'transfer' ? next.announce : undefined;
}

/** What takes its time besides words. */
function otherMs(next: Next): number {
  if (next.type === 'transfer') return next.ringS * 1000;
  return next.type === 'message' ? next.maxS * 1000 : 0;
}

export function streamOver({ callId }: IncomingCall): Extract<CarrierEvent, { type: 'after-stream' }> {
  return { type: 'after-stream', callId, ended: false, transfer: undefined };
}
