import type { Ending } from './after-call.ts';
import { type Agent, LAST_RESORT } from './agents.ts';
import { CallTiming } from './call-timing.ts';
import {
  type AfterStream,
  type AnswerPlan,
  type CallUrls,
  type Carrier,
  capabilitiesFor,
  type IncomingCall,
} from './carrier.ts';
import type { Cancel } from './clock.ts';
import { BridgeError } from './errors.ts';
import { rememberedOf } from './known-call.ts';
import type { Log } from './log.ts';
import { Pacer } from './pacer.ts';
import { newToken, type Random } from './random.ts';
import { Session, type SessionDeps } from './session.ts';
import type { CallTerms, SessionManagerDeps } from './session-manager.ts';
import type { Tape } from './tape.ts';

/** What the bridge calls a call. */
export interface CallNames {
  readonly key: string;
  readonly afterToken: string;
  readonly urls: CallUrls;
  readonly random: Random;
  /** Undefined: the call is not recorded. */
  readonly tape: Tape | undefined;
}

/** A call that is let in. */
export interface LetIn {
  readonly carrier: Carrier;
  readonly call: IncomingCall;
  readonly terms: CallTerms;
  readonly names: CallNames;
}

/** What the manager of all calls does for one. */
export interface EntryTerms extends Pick<SessionDeps, 'plan' | 'part' | 'onEnding'> {
  readonly standsAlone: boolean;
  readonly cancelMedia: Cancel;
}

/** One call that is up or was lately. */
export interface KnownEntry extends Ending {
  readonly afterToken: string;
  /** Of the newest media stream. */
  plan: AnswerPlan;
  streamOver: boolean;
  /** How often the media token may still be used. */
  tokenUses: number;
}

/** One call that is up, as all calls of the process are kept. */
export interface CallEntry extends KnownEntry {
  readonly session: Session;
  parting: Ending['parting'];
  /** Of the call's tokens. */
  readonly random: Random;
  mediaToken: string;
  /** Media streams that were planned. */
  streams: number;
  cancelMedia: Cancel;
}

/** What is left of a call that is over: nobody asks for its stream any more. */
export function remembered({ session, afterToken, urls, plan, streamOver }: CallEntry): KnownEntry {
  return {
    session: rememberedOf(session),
    afterToken,
    urls,
    plan,
    streamOver,
    tokenUses: 0,
    parting: undefined,
  };
}

/** What a stream is to be like. */
export interface StreamTerms {
  readonly agent: Agent;
  readonly urls: CallUrls;
  readonly plainCodec: boolean;
  readonly standsAlone: boolean;
}

/** The session of a call, and the first stream that its carrier is to open. Nothing happens in it yet. */
export function enterCall(
  deps: SessionManagerDeps,
  { carrier, call, terms, names }: LetIn,
  { standsAlone, cancelMedia, plan, part, onEnding }: EntryTerms,
): CallEntry {
  const { log, leadMs, createTranscoder, observe, breakers, metrics } = deps;
  const { afterToken, urls, random, tape } = names;
  const timing = new CallTiming({
    now: () => deps.clock.now(),
    latencies: (provider) => metrics.latencies(carrier.name, provider),
  });
  const { agent, machine, providers } = tape === undefined ? terms : taped(terms, tape, timing);
  const clock = tape?.clock ?? deps.clock;
  // Named one by one: what is made of the rest of an object has a shape of its own in every call, and so has all that is made of it.
  const session = new Session({
    plan,
    part,
    onEnding,
    call,
    carrier,
    agent,
    machine,
    providers,
    breakers,
    clock,
    // What is recorded goes by its own time.
    pacer: tape === undefined ? deps.pacer : new Pacer(clock),
    tape,
    timing,
    log: log.child({ callId: call.callId, carrier: carrier.name, agent: agent.name }),
    leadMs,
    createTranscoder,
    observe: (callId, event) => {
      tape?.observe(event);
      observe?.(carrier.name, callId, event);
    },
    urls,
  });
  return {
    session,
    afterToken,
    urls,
    random,
    streams: 1,
    parting: undefined,
    streamOver: false,
    ...mintStream(deps, carrier, call, { agent, urls, plainCodec: false, standsAlone }, random),
    cancelMedia,
  };
}

/** What the call has to do with comes by its tape. */
function taped(terms: CallTerms, tape: Tape, timing: CallTiming): CallTerms {
  const { tools, digits } = terms.agent;
  const { handle } = digits;
  return {
    ...terms,
    agent: {
      ...terms.agent,
      tools: tape.tools(tools),
      digits: handle === undefined ? digits : { ...digits, handle: tape.digits(handle) },
    },
    providers: terms.providers.map((one) => ({
      ...one,
      dialled: tape.provider(timing.provider(one.provider)),
    })),
  };
}

/** A new media token and the plan that holds it. */
export function mintStream(
  { addresses, log }: Pick<SessionManagerDeps, 'addresses' | 'log'>,
  carrier: Carrier,
  call: IncomingCall,
  { agent, urls, plainCodec, standsAlone }: StreamTerms,
  random: Random,
): Pick<CallEntry, 'mediaToken' | 'plan' | 'tokenUses'> {
  const mediaToken = newToken(random);
  const plan: AnswerPlan = {
    ...urls,
    mediaUrl: addresses.media(carrier.name, mediaToken),
    streamStatusUrl: addresses.streamStatus(carrier.name),
    // Comes back in the start message; also says in the carrier's debugger who answers.
    params: { call: call.callId, agent: agent.name },
    fallback: writable(carrier, call, agent.lastResort, urls, log),
    plainCodec,
    standsAlone,
  };
  return { mediaToken, plan, tokenUses: capabilitiesFor(carrier, call).tokenUses };
}

/** A call must not stay unanswered because its last resort cannot be written. */
function writable(
  carrier: Carrier,
  call: IncomingCall,
  lastResort: AfterStream,
  urls: CallUrls,
  log: Log,
): AfterStream {
  if (call.control === 'command') return lastResort;
  try {
    carrier.document(lastResort, urls);
    return lastResort;
  } catch (thrown) {
    const err = BridgeError.from(thrown);
    log.error({ callId: call.callId, err, type: lastResort.type }, 'the last resort cannot be written');
    return LAST_RESORT;
  }
}
