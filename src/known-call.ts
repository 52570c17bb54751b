import type { Agent } from './agents.ts';
import type { EndReason } from './call-events.ts';
import type { Carrier, IncomingCall, Next } from './carrier.ts';
import type { AfterStreamEvent, LastWord } from './last-word.ts';
import type { Session } from './session.ts';

/** What is asked of a call that is up, and for a while of one that is over: a `Session`, or what `rememberedOf` keeps of it. */
export interface KnownCall {
  readonly callId: string;
  readonly carrier: Carrier;
  readonly call: IncomingCall;
  readonly agent: Pick<Agent, 'name' | 'lastResort'>;
  /** One for each call, and the same for a call that is up and over. */
  readonly lastWord: LastWord;
  /** Undefined while it is up. */
  readonly endReason: EndReason | undefined;
  readonly hadLeg: boolean;
  readonly mustHangUp: boolean;
  readonly announcement: { readonly text: string; readonly language: string | undefined } | undefined;
  /** See `Session.planned`. */
  planned(event: AfterStreamEvent, step?: string): Next | undefined;
  /** See `Session.next`. */
  next(event: AfterStreamEvent): Next;
}

/** All that anybody can still ask of a session that has ended; it holds on to nothing of what was said. */
export function rememberedOf(session: Session): KnownCall {
  const { callId, carrier, call, agent, lastWord, hadLeg, mustHangUp, announcement } = session;
  const { name, lastResort } = agent;
  const endReason = session.endReason ?? 'failed';
  return {
    callId,
    carrier,
    call,
    agent: { name, lastResort },
    lastWord,
    endReason,
    hadLeg,
    mustHangUp,
    announcement,
    planned: () => undefined,
    next: (event) => lastWord.next(endReason, event),
  };
}
