import { type Agent, lineCheckAgent } from '../../src/agents.ts';
import type { MachinePolicy } from '../../src/answering-machine.ts';
import { createTranscoder } from '../../src/audio/transcode.ts';
import { CallDesk } from '../../src/call-desk.ts';
import type { CallEvent, EndReason } from '../../src/call-events.ts';
import { PublicAddresses } from '../../src/call-urls.ts';
import type {
  AnswerPlan,
  CallOutcome,
  Carrier,
  CarrierCapabilities,
  ControlResult,
  IncomingCall,
  Next,
  Transfer,
} from '../../src/carrier.ts';
import { BridgeError } from '../../src/errors.ts';
import { Breakers } from '../../src/fallback/breakers.ts';
import { soleCandidate } from '../../src/fallback/candidate.ts';
import { FAILOVER } from '../../src/fallback/policy.ts';
import { createLog } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics.ts';
import { Pacer } from '../../src/pacer.ts';
import type { ProviderCapabilities, RealtimeProvider } from '../../src/provider.ts';
import { Reception } from '../../src/reception.ts';
import { soleAgent } from '../../src/roster.ts';
import type { Session } from '../../src/session.ts';
import { type Admission, type CallTerms, SessionManager } from '../../src/session-manager.ts';
import { type ControlCall, type FakeCarrier, fakeCarrier } from './fake-carrier.ts';
import { ManualProvider, settled } from './manual-provider.ts';
import { VirtualClock } from './virtual-clock.ts';
import { VirtualLeg } from './virtual-leg.ts';

/** Manager, desk and a fake carrier on a virtual clock: everything of a call but its wires. */

export const AGENT: Agent = {
  ...lineCheckAgent({
    instructions: undefined,
    greeting: 'Hello.',
    voice: undefined,
    language: undefined,
    audio: 'passthrough',
    maxCallMs: 3_600_000,
    silenceMs: 0,
  }),
  // These providers say nothing unless the test has them do so.
  failover: { ...FAILOVER, answerMs: 0 },
};

export const TRANSFER: Transfer = {
  to: '+14155550199',
  callerId: undefined,
  ringS: 30,
  announce: undefined,
  language: undefined,
};

/** What Plivo is like. */
export const REOPENING: Partial<CarrierCapabilities> = {
  tokenUses: 3,
  saysStopped: false,
  marksEchoedOnClear: false,
  digitsOut: 'socket',
  machineDetection: 'machine',
  dialGives: 'request-id',
};

/** What Telnyx Call Control is like. */
export const COMMANDS: Partial<CarrierCapabilities> = {
  orderedMedia: false,
  digitsIn: 'socket-and-webhook',
  digitsOut: 'request',
  transfer: { endsStream: false, announced: true, wayBack: true },
};

export interface KitOptions {
  readonly capabilities?: Partial<CarrierCapabilities>;
  /** Takes the place of what the fake carrier does. */
  readonly parts?: Partial<Carrier>;
  readonly control?: 'document' | 'command';
  readonly agent?: Partial<Agent>;
  readonly machine?: MachinePolicy;
  readonly maxCalls?: number;
  /** Of the provider, where it is not as usual. */
  readonly provider?: Partial<ProviderCapabilities>;
  /** Who is tried after it. */
  readonly others?: readonly RealtimeProvider[];
  readonly logLevel?: 'trace' | 'info';
}

export type Kit = ReturnType<typeof createKit>;

/** A service without wires. */
export function createKit(options: KitOptions = {}) {
  const clock = new VirtualClock();
  const pacer = new Pacer(clock);
  const metrics = createMetrics();
  const provider = new ManualProvider(undefined, options.provider);
  const lines: string[] = [];
  const log = createLog(options.logLevel ?? 'trace', { write: (line: string) => lines.push(line) });
  const plain = fakeCarrier();
  const carrier: FakeCarrier = fakeCarrier(
    [],
    { status: 'ok' },
    {
      ...options.parts,
      capabilities: { ...plain.capabilities, ...options.capabilities },
    },
  );
  const agent: Agent = { ...AGENT, ...options.agent };
  const addresses = new PublicAddresses(() => 'https://bridge.test');
  const events: CallEvent[] = [];
  const desk = new CallDesk({
    clock,
    log,
    metrics,
    carriers: new Map([[carrier.name, carrier]]),
    addresses,
    agentName: () => agent.name,
    agents: () => [agent.name],
    manager: () => manager,
  });
  const manager: SessionManager = new SessionManager({
    clock,
    breakers: new Breakers({ clock, onChange: () => undefined }),
    pacer,
    log,
    metrics,
    addresses,
    callsToCome: () => desk.pending,
    callOff: () => desk.callOff(),
    createTranscoder,
    maxCalls: options.maxCalls ?? 10,
    leadMs: 1000,
    observe: (name, callId, event) => {
      desk.observe(name, callId, event);
      events.push(event);
    },
    onBegin: (session) => desk.begun(session),
    onEnded: (session, reason) => desk.ended(session, reason),
  });
  const termsFor = (call: IncomingCall): CallTerms => ({
    agent,
    providers: [provider, ...(options.others ?? [])].flatMap((one) => soleCandidate(one)),
    machine: options.machine ?? desk.machineFor(call),
  });
  const reception = new Reception({
    roster: {
      ...soleAgent(agent, provider, () => ({ mode: 'report' })),
      termsFor: (_name, _carrier, call) => termsFor(call),
    },
    manager: () => manager,
    log,
    metrics,
    gaveUp: (ref) => desk.gaveUp(ref),
    epoch: () => clock.epoch(),
  });
  /** Of the newest stream that was planned for a call that is up. */
  const planOf = (callId: string): AnswerPlan | undefined => {
    const known = manager.known(carrier.name, callId);
    return typeof known === 'object' ? known.plan : undefined;
  };
  /** Lets time go by in steps, so that what was promised meanwhile happens in between. */
  const pass = async (ms: number, stepMs = 500): Promise<void> => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.advance(Math.min(left, stepMs));
      await settled();
    }
  };
  const incoming = (callId: string, more: Partial<IncomingCall> = {}): IncomingCall => ({
    callId,
    from: '+14155550100',
    to: '+14155550101',
    direction: 'inbound',
    callerName: undefined,
    ref: undefined,
    control: options.control ?? 'document',
    ...more,
  });
  const ask = (callId: string, more: Partial<IncomingCall> = {}): Admission | 'busy' | 'over' => {
    const call = incoming(callId, more);
    return manager.admit(carrier, call, termsFor(call), desk.isPlaced(carrier, call.ref));
  };
  /** A call that was let in and has no stream yet. */
  const admit = (callId = 'CA1', more: Partial<IncomingCall> = {}): KitCall => {
    const admission = ask(callId, more);
    if (typeof admission === 'string') throw new BridgeError('BAD_INPUT', `not let in: ${admission}`);
    return new KitCall({ clock, manager, carrier, provider, events }, admission.session, admission.plan);
  };
  /** A call where both sides can talk. */
  const talk = async (callId = 'CA1', more: Partial<IncomingCall> = {}): Promise<KitCall> => {
    const call = admit(callId, more);
    await provider.ready();
    call.stream();
    return call;
  };
  /** Ends everything, as the service does when it stops; the carriers have had their moment to ask then. */
  const close = async (): Promise<void> => {
    const closed = Promise.all([manager.close(), desk.close()]);
    await settled();
    await pass(1000);
    await closed;
  };
  const logged = (text: string): number => lines.filter((line) => line.includes(text)).length;
  return {
    clock,
    pacer,
    metrics,
    provider,
    carrier,
    desk,
    manager,
    reception,
    events,
    lines,
    log,
    logged,
    close,
    pass,
    incoming,
    termsFor,
    ask,
    planOf,
    admit,
    talk,
  };
}

interface KitParts {
  readonly clock: VirtualClock;
  readonly manager: SessionManager;
  readonly carrier: FakeCarrier;
  readonly provider: ManualProvider;
  readonly events: readonly CallEvent[];
}

export interface KitQuestion {
  readonly transfer?: CallOutcome;
  readonly ended?: boolean;
  readonly spoken?: true;
}

/** One call as the carrier has it. */
export class KitCall {
  readonly session: Session;
  /** Every stream that this call had, oldest first. */
  readonly legs: VirtualLeg[] = [];
  readonly #kit: KitParts;
  /** As the carrier was told last. */
  plan: AnswerPlan;
  /** Where it asks what comes next, and the orders that it has come to ask about. */
  #askAt: string;
  #orders = 0;

  constructor(kit: KitParts, session: Session, plan: AnswerPlan) {
    this.#kit = kit;
    this.session = session;
    this.plan = plan;
    this.#askAt = plan.afterUrl;
  }

  /** The newest stream. */
  get leg(): VirtualLeg {
    const leg = this.legs.at(-1);
    if (leg === undefined) throw new BridgeError('BAD_INPUT', 'the call has had no stream');
    return leg;
  }

  get endReason(): EndReason | undefined {
    return this.session.endReason;
  }

  /** What the carrier was asked for by REST about this call. */
  get orders(): readonly ControlCall[] {
    return this.#kit.carrier.calls.filter(
      ({ what, ...rest }) => what !== 'dial' && 'call' in rest && rest.call.callId === this.session.callId,
    );
  }

  /** The carrier may open a stream with this address. */
  mayOpen(plan: AnswerPlan): boolean {
    return this.#kit.manager.owner(this.#kit.carrier.name, tokenOf(plan.mediaUrl)) === this.session;
  }

  /** The carrier opens a stream, with the address that it was given last or another one. */
  stream(plan = this.plan): VirtualLeg {
    const { manager, carrier, clock } = this.#kit;
    const token = tokenOf(plan.mediaUrl);
    if (manager.owner(carrier.name, token) !== this.session) {
      throw new BridgeError('BAD_INPUT', 'the media token is worth nothing');
    }
    manager.redeem(token);
    const leg = new VirtualLeg(clock);
    leg.onMark = (name) => this.session.onLegEvent({ type: 'mark', name });
    this.legs.push(leg);
    this.session.attach(leg);
    return leg;
  }

  /** The carrier's stop message, and the close of the socket after it. */
  stop(leg = this.leg): void {
    this.session.onLegEvent({ type: 'stopped' });
    this.session.onLegClosed(leg, true);
  }

  /** The socket is gone, without a word before it. */
  cut(leg = this.leg): void {
    this.session.onLegClosed(leg, false);
  }

  /** The carrier asks what comes next; `undefined`: it is told that nobody knows the call. */
  ask(more: KitQuestion = {}): Next | undefined {
    const orders = this.orders.flatMap((order) => (order.what === 'direct' ? [order.urls.afterUrl] : []));
    // What it was ordered to do comes before what the last document says.
    if (orders.length > this.#orders) this.#askAt = orders.at(-1) ?? this.#askAt;
    this.#orders = orders.length;
    return this.askAt(this.#askAt, more);
  }

  /** The address that the carrier asks at, if nothing is ordered meanwhile. */
  get afterUrl(): string {
    return this.#askAt;
  }

  /** The carrier asks at this address: a question that comes twice is asked where it was asked before. */
  askAt(url: string, more: KitQuestion = {}): Next | undefined {
    const { manager, carrier } = this.#kit;
    const event = {
      type: 'after-stream',
      callId: this.session.callId,
      ended: more.ended ?? false,
      transfer: more.transfer,
      spoken: more.spoken,
    } as const;
    const asked = manager.asked(carrier.name, tokenOf(url), event);
    if (asked?.next.type === 'stream') this.plan = asked.next.plan;
    if (asked !== undefined) {
      this.#askAt = asked.next.type === 'stream' ? asked.next.plan.afterUrl : asked.urls.afterUrl;
    }
    return asked?.next;
  }

  /** The carrier's news of the other end. */
  news(status: 'answered' | 'failed', outcome?: CallOutcome): void {
    const { callId } = this.session;
    this.session.onCarrierEvent({ type: 'transfer', callId, status, outcome });
  }

  /** 20 ms of the caller's side, mu-law. */
  hear(value = 0xff, atMs?: number): void {
    this.session.onLegEvent({ type: 'audio', bytes: new Uint8Array(160).fill(value), atMs });
  }
}

/** The last part of an address, which nobody can guess. */
export function tokenOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

/** A promise that the test keeps. */
export function pending<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((keep) => {
    resolve = keep;
  });
  return { promise, resolve };
}

/** The carrier did not do it. */
export function refused(code: 'CARRIER_REFUSED' | 'CARRIER_UNAVAILABLE' = 'CARRIER_REFUSED'): ControlResult {
  return { status: 'error', error: new BridgeError(code, 'the carrier said no') };
}
