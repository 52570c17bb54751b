import type { EndReason } from './call-events.ts';
import { callKey } from './call-key.ts';
import type {
  AnswerPlan,
  CallUrls,
  Carrier,
  CarrierEvent,
  CarrierName,
  IncomingCall,
  Next,
} from './carrier.ts';
import { type Cancel, type Clock, deadline } from './clock.ts';
import type { HangUpWatch } from './hang-up-watch.ts';
import type { Act } from './insist.ts';
import type { KnownCall } from './known-call.ts';
import type { LastWord } from './last-word.ts';
import type { CallLeg } from './leg.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';

/** A call that is over for the bridge, and not yet for the carrier. */
export interface Ending {
  readonly session: KnownCall;
  readonly urls: CallUrls;
  /** Of its newest stream. */
  readonly plan: AnswerPlan;
  /** The stream that there was at the end, and whether the carrier asks what comes after something it was told to do. */
  readonly parting: { readonly leg: CallLeg | undefined; readonly asks: boolean } | undefined;
  /** The carrier has said that the stream is over. */
  readonly streamOver: boolean;
}

export interface AfterCallDeps {
  readonly hangUps: HangUpWatch;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'lastResort'>;
}

/** Something that is said or rung to the end, without news of it: so much longer than it should take. */
const GRACE_MS = 30_000;
const MS_PER_CHARACTER = 90;
/** A caller whose agent is gone waits no longer for a better way to put them through. */
const ORDER_MS = 2000;
/** A carrier that has taken an order has ended the stream by then. */
const STREAM_MS = 3000;
/** Of a call that could not be hung up. */
const AGAIN_MS = 60_000;

/** What becomes of the caller when a session has ended: sees to it that they hear the last word, and that the call ends. */
export class AfterCall {
  readonly #hangUps: HangUpWatch;
  readonly #deps: AfterCallDeps;
  /** Carriers that could not be asked to hang up, the last time that they were. */
  readonly #deaf = new Set<CarrierName>();
  /** Streams that are kept open, because the document behind them must not go on. */
  readonly #held = new Map<string, { readonly cancel: Cancel; close(): void }>();
  /** Those whose callers were given the last resort. */
  readonly #resorted = new WeakSet<LastWord>();
  #closed = false;

  constructor(deps: AfterCallDeps) {
    this.#hangUps = deps.hangUps;
    this.#deps = deps;
  }

  /** A document may be written that nobody is asked about: whatever else is to happen can be ordered. */
  controls(carrier: Carrier, call: IncomingCall): boolean {
    return call.control === 'document' && carrier.controlsCalls === true && !this.#deaf.has(carrier.name);
  }

  /** A call has ended. */
  begin(entry: Ending, reason: EndReason): void {
    if (entry.plan.standsAlone === true) this.#beginAlone(entry, reason);
    else this.#begin(entry, reason);
  }

  /** The caller gets this. Counted once, though they may be given it again. */
  given({ lastWord }: KnownCall, { type }: Next): void {
    if (type === 'hang-up' || type === 'nothing' || this.#resorted.has(lastWord)) return;
    this.#resorted.add(lastWord);
    this.#deps.metrics.lastResort(type);
  }

  /** The carrier says that the call is over. */
  over(carrier: CarrierName, callId: string): void {
    this.#held.get(callKey(carrier, callId))?.close();
  }

  /** The process stops: nothing more is tried. */
  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#held.values()) cancel();
    this.#held.clear();
  }

  #begin(entry: Ending, reason: EndReason): void {
    const { session } = entry;
    const { carrier, call, callId } = session;
    entry.parting?.leg?.close(1000, reason);
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

  /** The last resort follows the stream by itself: any other end has to be told first. */
  #beginAlone(entry: Ending, reason: EndReason): void {
    const { session, parting } = entry;
    const { lastResort } = session.agent;
    const close = (): void => parting?.leg?.close(1000, reason);
    if (session.mustHangUp) this.#hangUpFirst(entry, close);
    else if (parting?.asks === true) this.#begin(entry, reason);
    else if (reason === 'caller-hung-up' || reason === 'transferred') close();
    else if (lastResort.type === 'transfer' && parting?.leg !== undefined) this.#orderFirst(entry, close);
    else {
      close();
      this.given(session, lastResort);
      // Where the carrier has not noticed, it is made to ask.
      const { carrier, callId } = session;
      if (!entry.streamOver) this.#hangUps.watch(carrier.name, callId, () => this.#remind(entry));
    }
  }

  /** As long as the stream is open, the document does not go on. */
  #hangUpFirst(entry: Ending, close: () => void): void {
    const { session, parting } = entry;
    const { carrier, call, callId, agent } = session;
    const act: Act = (signal) => carrier.hangUp(call, signal);
    this.#hangUps.hangUp(carrier, act, this.#deps.log.child({ callId })).then(
      (result) => {
        const open = parting?.leg !== undefined;
        if (result.status === 'error') this.#deaf.add(carrier.name);
        else this.#deaf.delete(carrier.name);
        const { type } = agent.lastResort;
        // Nobody is to be rung, or asked for a message, when the conversation has come to its end.
        const keep = type === 'transfer' || type === 'message';
        if (open && result.status === 'error' && keep)
          this.#hold(session, close, () => this.#hangUpFirst(entry, close));
        // The carrier ends the stream itself: closed before that, it might just go on to the next verb.
        else if (open && result.status === 'ok') this.#hold(session, close, close, STREAM_MS);
        else close();
      },
      // It never rejects.
      close,
    );
  }

  /** The document can put the caller through, and no more: ordered, it is announced, and told how it goes. */
  #orderFirst(entry: Ending, close: () => void): void {
    const { session, urls } = entry;
    const { clock } = this.#deps;
    const order = async (): Promise<void> => {
      using limit = deadline(clock, ORDER_MS, 'the order of a transfer', new AbortController().signal);
      const { carrier, call, agent } = session;
      const result = await carrier.direct(call, agent.lastResort, urls, limit.signal);
      if (result.status === 'error') {
        this.given(session, agent.lastResort);
        close();
      } else this.#hold(session, close, close, STREAM_MS);
    };
    order().catch(close);
  }

  #hold({ carrier, callId }: KnownCall, close: () => void, then: () => void, ms = AGAIN_MS): void {
    if (this.#closed) return;
    const key = callKey(carrier.name, callId);
    const cancel = this.#deps.clock.after(ms, () => {
      this.#held.delete(key);
      then();
    });
    this.#held.set(key, {
      cancel,
      close: () => {
        cancel();
        this.#held.delete(key);
        close();
      },
    });
  }

  /** Document style: the carrier should have asked what comes next. It is made to, or the call is hung up. */
  #remind({ session, urls, plan }: Ending): void {
    const { carrier, call, callId, agent } = session;
    // An order whose answer was lost is given again only as long as the carrier has not come to ask.
    const remind: Act = async (signal) =>
      session.lastWord.remind()
        ? await carrier.direct(call, agent.lastResort, urls, signal)
        : { status: 'ok' };
    // A document that stands alone has its own end.
    const otherwise = plan.standsAlone === true ? () => undefined : () => this.#hangUp(session);
    this.#hangUps.now(carrier, callId, remind, otherwise);
  }

  #hangUp({ carrier, call }: KnownCall): void {
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
    this.given(session, next);
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
