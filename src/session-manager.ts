import { randomBytes } from 'node:crypto';
import type { Agent } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { CallObserver, EndReason } from './call-events.ts';
import type { AfterStream, Carrier, CarrierName, IncomingCall } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';
import { HangUpWatch } from './hang-up-watch.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Pacer } from './pacer.ts';
import type { RealtimeProvider } from './provider.ts';
import { Session } from './session.ts';

export interface SessionManagerDeps {
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly provider: RealtimeProvider;
  readonly agentFor: (call: IncomingCall) => Agent;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  readonly maxCalls: number;
  readonly leadMs: number;
  readonly observe: CallObserver | undefined;
}

/** What the answer to the carrier needs to know of an admitted call. */
export interface Admission {
  readonly mediaToken: string;
  readonly afterToken: string;
  readonly lastResort: AfterStream;
  readonly agent: string;
}

interface Entry {
  readonly session: Session;
  readonly admission: Admission;
  /** How often the media token may still be used. */
  tokenUses: number;
  cancelMedia: Cancel;
}

/** The carrier opens its stream within a second or two of the answer; later than this, nobody is coming. */
const MEDIA_DEADLINE_MS = 30_000;
/** How long the end of a call is remembered, for the carrier to ask what comes after the stream. */
const REMEMBER_MS = 60_000;
/** A webhook of a call that is over is not a new call, however well it is signed. */
const MAX_ENDED = 10_000;

/** All calls of the process: who may come in, who is who, and how they leave when the process stops. */
export class SessionManager {
  readonly #deps: SessionManagerDeps;
  readonly #calls = new Map<string, Entry>();
  readonly #byMedia = new Map<string, Entry>();
  /** Calls that are up or have just ended, by the token of their after-stream address. */
  readonly #byAfter = new Map<string, Entry>();
  readonly #forget = new Set<Cancel>();
  /** Calls that are over, oldest first. */
  readonly #ended = new Set<string>();
  readonly #endings = new Set<Promise<void>>();
  readonly #hangUps: HangUpWatch;
  #draining = false;
  #onEmpty: (() => void)[] = [];

  constructor(deps: SessionManagerDeps) {
    this.#deps = deps;
    this.#hangUps = new HangUpWatch(deps);
  }

  get size(): number {
    return this.#calls.size;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * A new call, or the same one again when the carrier repeats its webhook: one call is one session. `busy` when there
   * is no room or the process is about to stop, `over` for a webhook of a call that has ended.
   */
  admit(carrier: Carrier, call: IncomingCall): Admission | 'busy' | 'over' {
    const key = keyOf(carrier.name, call.callId);
    const known = this.#calls.get(key);
    if (known !== undefined) return known.admission;
    if (this.#ended.has(key)) return 'over';
    if (this.#draining || this.#calls.size >= this.#deps.maxCalls) return 'busy';
    const { clock, metrics, log } = this.#deps;
    const agent = this.#deps.agentFor(call);
    const session = new Session({
      call,
      carrier,
      agent,
      provider: this.#deps.provider,
      clock,
      pacer: this.#deps.pacer,
      log: log.child({ callId: call.callId, carrier: carrier.name, agent: agent.name }),
      leadMs: this.#deps.leadMs,
      createTranscoder: this.#deps.createTranscoder,
      observe: this.#deps.observe,
      onEnding: (ending, reason) => this.#onEnding(key, ending, reason),
    });
    const entry: Entry = {
      session,
      admission: {
        mediaToken: newToken(),
        afterToken: newToken(),
        lastResort: agent.lastResort,
        agent: agent.name,
      },
      tokenUses: carrier.capabilities.tokenUses,
      cancelMedia: clock.after(MEDIA_DEADLINE_MS, () => {
        if (!session.hasLeg) void session.end('media-never-came');
      }),
    };
    this.#calls.set(key, entry);
    this.#byMedia.set(entry.admission.mediaToken, entry);
    this.#byAfter.set(entry.admission.afterToken, entry);
    metrics.callStarted();
    session.start();
    return entry.admission;
  }

  /** The call that this media token was made for. Uses the token up; undefined when it is not worth anything. */
  redeem(carrier: CarrierName, token: string): Session | undefined {
    const entry = this.#byMedia.get(token);
    if (entry === undefined || entry.session.carrier.name !== carrier) return undefined;
    entry.tokenUses -= 1;
    if (entry.tokenUses <= 0) this.#byMedia.delete(token);
    return entry.session;
  }

  find(carrier: CarrierName, callId: string): Session | undefined {
    return this.#calls.get(keyOf(carrier, callId))?.session;
  }

  /** The stream of this call is over: what the caller gets next. Undefined for a call that is not known. */
  afterStream(carrier: CarrierName, token: string, callId: string): AfterStream | undefined {
    const session = this.#byAfter.get(token)?.session;
    if (session === undefined || session.callId !== callId || session.carrier.name !== carrier)
      return undefined;
    if (session.endReason === undefined) void session.end('media-lost');
    this.#hangUps.confirmed(carrier, callId);
    return session.afterStream;
  }

  /** The carrier says that the call is over. */
  callOver(carrier: CarrierName, callId: string): void {
    this.#hangUps.confirmed(carrier, callId);
    const session = this.find(carrier, callId);
    if (session !== undefined) void session.end('caller-hung-up');
  }

  /**
   * No new calls from now on; the live ones go on for at most `limitMs`, then the agent takes leave. Resolves when
   * the last one is over.
   */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true;
    if (this.#calls.size === 0) return this.#settled();
    const empty = new Promise<void>((resolve) => this.#onEmpty.push(resolve));
    const cancelLeave = this.#deps.clock.after(limitMs, () => {
      for (const { session } of this.#calls.values()) session.leave();
    });
    await empty;
    cancelLeave();
    await this.#settled();
  }

  /** Ends everything now; nothing is left behind. */
  async close(): Promise<void> {
    this.#draining = true;
    for (const { session } of this.#calls.values()) void session.end('shutdown');
    await Promise.all(this.#endings);
    await this.#hangUps.close();
    for (const cancel of this.#forget) cancel();
    this.#forget.clear();
    this.#byAfter.clear();
  }

  #onEnding(key: string, session: Session, reason: EndReason): void {
    const entry = this.#calls.get(key);
    if (entry === undefined) return;
    this.#calls.delete(key);
    this.#remember(key);
    const ending = session.end(reason).finally(() => this.#endings.delete(ending));
    this.#endings.add(ending);
    this.#byMedia.delete(entry.admission.mediaToken);
    entry.cancelMedia();
    const forget = this.#deps.clock.after(REMEMBER_MS, () => {
      this.#forget.delete(forget);
      this.#byAfter.delete(entry.admission.afterToken);
    });
    this.#forget.add(forget);
    const labels = { reason, carrier: session.carrier.name, provider: session.provider.name };
    this.#deps.metrics.callEnded(labels, session.counts);
    // A caller who has hung up is gone; any other is about to be told what comes next.
    if (session.hasLeg && reason !== 'caller-hung-up') {
      this.#hangUps.watch(session.carrier, session.callId, session.mustHangUp);
    }
    if (this.#calls.size === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /** Sessions are closed, and the carriers know of it. */
  async #settled(): Promise<void> {
    await Promise.all(this.#endings);
    await this.#hangUps.settled();
  }

  #remember(key: string): void {
    this.#ended.add(key);
    const [oldest] = this.#ended;
    if (this.#ended.size > MAX_ENDED && oldest !== undefined) this.#ended.delete(oldest);
  }
}

function keyOf(carrier: CarrierName, callId: string): string {
  return `${carrier} ${callId}`;
}

/** 192 random bits, safe in a path. */
function newToken(): string {
  return randomBytes(24).toString('base64url');
}
