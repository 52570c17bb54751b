import { AfterCall, streamOver } from './after-call.ts';
import type { Agent } from './agents.ts';
import type { MachinePolicy } from './answering-machine.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { AccountTerms } from './call-accounts.ts';
import {
  type CallEntry,
  type CallNames,
  enterCall,
  type KnownEntry,
  mintStream,
  remembered,
} from './call-entry.ts';
import type { CallEvent, EndReason } from './call-events.ts';
import { callKey, NewestKeys } from './call-key.ts';
import { KEYS_STEP, type PublicAddresses, readAfter, afterToken as tokenFor, withStep } from './call-urls.ts';
import type {
  AnswerPlan,
  CallUrls,
  Carrier,
  CarrierEvent,
  CarrierName,
  IncomingCall,
  Next,
} from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';
import type { Breakers } from './fallback/breakers.ts';
import type { Candidate } from './fallback/candidate.ts';
import { HangUpWatch } from './hang-up-watch.ts';
import type { KnownCall } from './known-call.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { carryOut, RESTART } from './orders.ts';
import type { Pacer } from './pacer.ts';
import { newToken, type Random, systemRandom } from './random.ts';
import type { BridgeRecording } from './recording-terms.ts';
import type { Session } from './session.ts';
import type { Tapes } from './tape.ts';

/** How one call is to be treated. */
export interface CallTerms {
  readonly agent: Agent;
  /** In the order in which they are to be tried; at least one. */
  readonly providers: readonly Candidate[];
  readonly machine: MachinePolicy;
  /** Undefined: nobody counts what it costs. */
  readonly account?: AccountTerms | undefined;
  /** Undefined: the bridge does not record it. */
  readonly recording?: BridgeRecording | undefined;
}

export interface SessionManagerDeps {
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Of tokens; default: the system's. */
  readonly random?: Random | undefined;
  /** Of calls that are recorded. */
  readonly tapes?: Tapes | undefined;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  /** Of the providers, shared by all calls. */
  readonly breakers: Breakers;
  readonly addresses: PublicAddresses;
  readonly maxCalls: number;
  /** Calls that were placed and may still be answered: they take room too. */
  readonly callsToCome: () => number;
  /** Gives those up, when nobody may be greeted any more. */
  readonly callOff?: (() => void) | undefined;
  readonly leadMs: number;
  readonly observe: ((carrier: CarrierName, callId: string, event: CallEvent) => void) | undefined;
  /** Called before anything happens in the session, and after it has ended. */
  readonly onBegin?: ((session: Session, terms: CallTerms) => void) | undefined;
  readonly onEnded?: ((session: Session, reason: EndReason) => void) | undefined;
}

/** What the answer to the carrier needs to know of an admitted call. */
export interface Admission {
  readonly session: Session;
  readonly plan: AnswerPlan;
  readonly agent: string;
}

/** The carrier opens its stream within a second or two of the answer; later than this, nobody is coming. */
const MEDIA_DEADLINE_MS = 30_000;
/** How long the end of a call is remembered, for the carrier to ask what comes after the stream. */
const REMEMBER_MS = 60_000;
/** A hang-up that was overtaken by the end of the stream has arrived by then. */
const OVERTAKEN_MS = 1500;

/** All calls of the process: who may come in, who is who, and how they leave when the process stops. */
export class SessionManager {
  readonly #deps: SessionManagerDeps;
  readonly #calls = new Map<string, CallEntry>();
  readonly #byMedia = new Map<string, CallEntry>();
  /** Calls that are up or have just ended, by their id and by the token of their after-stream address. */
  readonly #recent = new Map<string, KnownEntry>();
  readonly #byAfter = new Map<string, KnownEntry>();
  readonly #forget = new Set<Cancel>();
  /** A webhook of a call that is over is not a new call, however well it is signed. */
  readonly #ended = new NewestKeys(10_000);
  readonly #endings = new Set<Promise<void>>();
  readonly #hangUps: HangUpWatch;
  readonly #afterCall: AfterCall;
  #draining = false;
  /** The time that calls had to end is over: whoever is let in now would be told to leave. */
  #overdue = false;
  #onEmpty: (() => void)[] = [];

  constructor(deps: SessionManagerDeps) {
    this.#deps = deps;
    this.#hangUps = new HangUpWatch(deps);
    this.#afterCall = new AfterCall({ ...deps, hangUps: this.#hangUps });
  }

  get size(): number {
    return this.#calls.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** There is room for one call more, and the process is not about to stop. */
  get hasRoom(): boolean {
    return !this.#draining && this.#calls.size + this.#deps.callsToCome() < this.#deps.maxCalls;
  }

  /** One call is one session, however often the carrier repeats its webhook; `over`: it has ended. */
  known(carrier: CarrierName, callId: string): Admission | 'over' | undefined {
    const key = callKey(carrier, callId);
    const known = this.#calls.get(key);
    if (known !== undefined) return admission(known);
    return this.#ended.has(key) ? 'over' : undefined;
  }

  /**
   * A call that is let in, or is known already. `busy` when there is no room or the process is about to stop, `over` for
   * a webhook of a call that has ended.
   * @param reserved the call was placed by the bridge and has its room
   */
  admit(
    carrier: Carrier,
    call: IncomingCall,
    terms: CallTerms,
    reserved = false,
  ): Admission | 'busy' | 'over' {
    const known = this.known(carrier.name, call.callId);
    if (known !== undefined) return known;
    const key = callKey(carrier.name, call.callId);
    if (!this.hasRoom && (!reserved || this.#overdue)) return 'busy';
    const tape = this.#deps.tapes?.begin(carrier, call, terms);
    const random = tape?.random ?? this.#deps.random ?? systemRandom;
    const afterToken = tokenFor(newToken(random), terms.agent.name);
    const urls = this.#deps.addresses.forCall(carrier.name, afterToken);
    const entry = this.#enter(carrier, call, terms, { key, afterToken, urls, random, tape });
    this.#calls.set(key, entry);
    this.#recent.set(key, entry);
    this.#byAfter.set(afterToken, entry);
    this.#deps.metrics.callStarted();
    this.#deps.onBegin?.(entry.session, terms);
    entry.session.start();
    return admission(entry);
  }

  /** The call that this media token was made for; undefined when it is not worth anything. */
  owner(carrier: CarrierName, token: string): Session | undefined {
    const session = this.#byMedia.get(token)?.session;
    return session?.carrier.name === carrier ? session : undefined;
  }

  /** Uses the token up. */
  redeem(token: string): void {
    const entry = this.#byMedia.get(token);
    if (entry === undefined) return;
    entry.tokenUses -= 1;
    if (entry.tokenUses <= 0) this.#byMedia.delete(token);
  }

  find(carrier: CarrierName, callId: string): Session | undefined {
    return this.#calls.get(callKey(carrier, callId))?.session;
  }

  /** The call has ended not long ago. */
  remembers(carrier: CarrierName, callId: string): boolean {
    return this.#recent.has(callKey(carrier, callId));
  }

  /**
   * The stream of this call is over, or what came in its place: what the carrier is told to do next, and the addresses
   * for it. Undefined for a call that is not known. Without a token the carrier is known by its signature alone.
   * A call in command style whose conversation is over is led to its end from here: then it is `nothing`.
   */
  asked(
    carrier: CarrierName,
    token: string | undefined,
    event: Extract<CarrierEvent, { type: 'after-stream' }>,
  ): { readonly next: Next; readonly urls: CallUrls; readonly session: KnownCall } | undefined {
    const asked = token === undefined ? undefined : readAfter(token);
    const entry =
      asked === undefined ? this.#recent.get(callKey(carrier, event.callId)) : this.#byAfter.get(asked.token);
    const session = entry?.session;
    if (entry === undefined || session?.callId !== event.callId || session.carrier.name !== carrier) {
      return undefined;
    }
    const planned = session.planned(event, asked?.step);
    if (planned === undefined && session.call.control === 'command') {
      this.#onCommandStreamOver(entry, event);
      return { next: { type: 'nothing' }, urls: entry.urls, session };
    }
    const next = planned ?? session.next(event);
    if (planned === undefined) this.#afterCall.given(session, next);
    this.#hangUps.confirmed(carrier, event.callId);
    const urls = next.type === 'digits' ? withStep(entry.urls, KEYS_STEP) : entry.urls;
    return { next, urls, session };
  }

  /**
   * Events travel apart from the media socket: that a stream is over may be known before the caller's hang-up, which
   * ended it, or long after it has had a successor.
   */
  #onCommandStreamOver(entry: KnownEntry, event: Extract<CarrierEvent, { type: 'after-stream' }>): void {
    const { session, plan } = entry;
    if (session.endReason !== undefined || event.ended) {
      this.#afterCall.lead(entry, session.next(event));
      return;
    }
    if (event.mediaUrl !== undefined && event.mediaUrl !== plan.mediaUrl) return;
    const cancel = this.#deps.clock.after(OVERTAKEN_MS, () => {
      this.#forget.delete(cancel);
      if (session.endReason === undefined && entry.plan === plan)
        this.#afterCall.lead(entry, session.next(event));
    });
    this.#forget.add(cancel);
  }

  /** The carrier has begun or ended a stream of this call, or could not. */
  streamNews(carrier: CarrierName, callId: string, kind: 'started' | 'stopped' | 'failed'): void {
    const entry = this.#recent.get(callKey(carrier, callId));
    if (entry === undefined) return;
    const { session, plan } = entry;
    entry.streamOver = kind !== 'started';
    if (kind === 'started' || plan.standsAlone !== true) return;
    if (session.endReason !== undefined) this.#hangUps.confirmed(carrier, callId);
    // Nobody asks about a stream that could not be opened, and the caller hears the last resort already.
    else if (kind === 'failed' && !session.hadLeg && entry.tokenUses <= 1)
      void this.find(carrier, callId)?.end('media-never-came');
  }

  /** The bridge does not want the stream that the carrier has opened; nobody asks about it. */
  streamRefused(carrier: CarrierName, callId: string): void {
    const session = this.find(carrier, callId);
    if (session?.hadLeg === false && this.standsAlone(carrier, callId)) void session.end('media-lost');
  }

  /** The carrier asks nobody when the stream of this call ends. */
  standsAlone(carrier: CarrierName, callId: string): boolean {
    return this.#recent.get(callKey(carrier, callId))?.plan.standsAlone === true;
  }

  /** News of the other end of a transfer, also of one that was the last resort of a call. */
  transferNews(carrier: CarrierName, event: Extract<CarrierEvent, { type: 'transfer' }>): void {
    const session = this.find(carrier, event.callId);
    const entry = this.#recent.get(callKey(carrier, event.callId));
    if (session !== undefined) session.onCarrierEvent(event);
    else if (event.status === 'answered') this.#hangUps.confirmed(carrier, event.callId);
    else if (entry?.session.call.control === 'command') {
      this.#afterCall.lead(entry, entry.session.next({ ...streamOver(entry.session.call), spoken: true }));
    }
  }

  /** The call whose after-stream address holds this token. */
  byAfterToken(carrier: CarrierName, token: string): KnownCall | undefined {
    const session = this.#byAfter.get(token)?.session;
    return session?.carrier.name === carrier ? session : undefined;
  }

  /** The carrier says that the call is over. */
  callOver(carrier: CarrierName, callId: string): void {
    const session = this.find(carrier, callId);
    if (session !== undefined) void session.end('caller-hung-up');
    // Where webhooks may overtake each other, the first word of a call can be its last.
    else this.#ended.add(callKey(carrier, callId));
    // Last, because the end of the session may have begun to wait for this.
    this.#hangUps.confirmed(carrier, callId);
    this.#afterCall.over(carrier, callId);
  }

  /**
   * No new calls from now on; the live ones go on for at most `limitMs`, then the agent takes leave, and calls that
   * were placed and still ring are given up. Resolves when the last one is over.
   */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true;
    if (this.#calls.size === 0) return this.#settled();
    const empty = new Promise<void>((resolve) => this.#onEmpty.push(resolve));
    const cancelLeave = this.#deps.clock.after(limitMs, () => this.#onOverdue());
    await empty;
    cancelLeave();
    await this.#settled();
  }

  /** Ends everything now; nothing is left behind. */
  async close(): Promise<void> {
    this.#draining = true;
    this.#overdue = true;
    for (const { session } of this.#calls.values()) {
      void carryOut(session, { does: 'end', reason: 'shutdown' });
    }
    await Promise.all(this.#endings);
    this.#afterCall.close();
    await this.#hangUps.close();
    for (const cancel of this.#forget) cancel();
    this.#forget.clear();
    this.#byAfter.clear();
  }

  #onOverdue(): void {
    this.#overdue = true;
    this.#deps.callOff?.();
    for (const { session } of this.#calls.values()) void carryOut(session, RESTART);
  }

  #enter(carrier: Carrier, call: IncomingCall, terms: CallTerms, names: CallNames): CallEntry {
    const entry = enterCall(
      this.#deps,
      { carrier, call, terms, names },
      {
        standsAlone: this.#afterCall.controls(carrier, call),
        plan: (plainCodec) => this.#planAgain(entry, plainCodec),
        part: (leg, asks) => {
          entry.parting = { leg, asks };
        },
        onEnding: (ending, reason) => this.#onEnding(names.key, ending, reason),
        cancelMedia: this.#deps.clock.after(MEDIA_DEADLINE_MS, () => {
          if (!entry.session.hadLeg) void entry.session.end('media-never-came');
        }),
      },
    );
    this.#byMedia.set(entry.mediaToken, entry);
    return entry;
  }

  #planAgain(entry: CallEntry, plainCodec: boolean): AnswerPlan {
    const { session } = entry;
    const { carrier, call, agent } = session;
    this.#byMedia.delete(entry.mediaToken);
    entry.streams += 1;
    const urls = withStep(entry.urls, String(entry.streams));
    const standsAlone = this.#afterCall.controls(carrier, call);
    Object.assign(
      entry,
      mintStream(this.#deps, carrier, call, { agent, urls, plainCodec, standsAlone }, entry.random),
    );
    this.#byMedia.set(entry.mediaToken, entry);
    return entry.plan;
  }

  #onEnding(key: string, session: Session, reason: EndReason): void {
    const entry = this.#calls.get(key);
    if (entry === undefined) return;
    this.#calls.delete(key);
    this.#ended.add(key);
    const ending = session.end(reason).finally(() => {
      this.#endings.delete(ending);
      this.#lighten(key, entry);
    });
    this.#endings.add(ending);
    this.#byMedia.delete(entry.mediaToken);
    entry.cancelMedia();
    this.#forgetLater(key, entry.afterToken);
    const labels = { reason, carrier: session.carrier.name, provider: session.provider };
    this.#deps.metrics.callEnded(labels, session.counts);
    this.#afterCall.begin(entry, reason);
    this.#deps.onEnded?.(session, reason);
    session.tape?.ended();
    if (this.#calls.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** Knows no more of the call than this: whoever waits a minute must not hold on to a session. */
  #forgetLater(key: string, afterToken: string): void {
    const forget = this.#deps.clock.after(REMEMBER_MS, () => {
      this.#forget.delete(forget);
      this.#recent.delete(key);
      this.#byAfter.delete(afterToken);
    });
    this.#forget.add(forget);
  }

  /** What is said in a call takes much memory, and nobody asks about it for the minute that its end is remembered. */
  #lighten(key: string, entry: CallEntry): void {
    if (this.#recent.get(key) !== entry) return;
    const light = remembered(entry);
    this.#recent.set(key, light);
    this.#byAfter.set(entry.afterToken, light);
  }

  /** Sessions are closed, and the carriers know of it. */
  async #settled(): Promise<void> {
    await Promise.all(this.#endings);
    await this.#hangUps.settled();
  }
}

function admission({ session, plan }: CallEntry): Admission {
  return { session, plan, agent: session.agent.name };
}
