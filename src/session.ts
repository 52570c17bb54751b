import { type Agent, preferredFormats } from './agents.ts';
import { type AudioFormat, formatName } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { CallEventBody, CallObserver, EndReason } from './call-events.ts';
import type { AfterStream, CallLeg, Carrier, IncomingCall, LegEvent } from './carrier.ts';
import type { Cancel, Clock } from './clock.ts';
import { Conversation } from './conversation.ts';
import { assertNever, BridgeError } from './errors.ts';
import type { Log } from './log.ts';
import type { CallCounts } from './metrics.ts';
import type { Pacer } from './pacer.ts';
import type { ProviderSession, RealtimeProvider } from './provider.ts';
import { settleWithin } from './settle.ts';
import { ToolRunner } from './tools.ts';

export interface SessionDeps {
  readonly call: IncomingCall;
  readonly carrier: Carrier;
  readonly agent: Agent;
  readonly provider: RealtimeProvider;
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly log: Log;
  readonly leadMs: number;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  readonly observe: CallObserver | undefined;
  /** Called once, when the end has begun. */
  onEnding(session: Session, reason: EndReason): void;
}

/** Ends of the bridge's own choosing: the carrier has to be told to hang up. */
const BRIDGE_ENDS: readonly EndReason[] = ['agent-hung-up', 'caller-silent', 'max-duration', 'shutdown'];
const CLOSE_LIMIT_MS = 2000;
const GOODBYE_MARGIN_MS = 60_000;

/**
 * The life and death of one call: brings leg and provider together and ends both, once, whoever asks first. What is
 * said meanwhile is the `Conversation`'s. Who closes whom: `docs/lifecycle.md`.
 */
export class Session {
  readonly callId: string;
  readonly carrier: Carrier;
  readonly provider: RealtimeProvider;
  readonly #deps: SessionDeps;
  readonly #startedAt: number;
  readonly #abort = new AbortController();
  readonly #conversation: Conversation;
  readonly #over: Promise<void>;
  #resolveOver: () => void = () => undefined;
  #providerSession: ProviderSession | undefined;
  #leg: CallLeg | undefined;
  #cancelLimit: Cancel | undefined;
  #endReason: EndReason | undefined;

  constructor(deps: SessionDeps) {
    const { call, clock } = deps;
    this.#deps = deps;
    this.callId = call.callId;
    this.carrier = deps.carrier;
    this.provider = deps.provider;
    this.#startedAt = clock.now();
    this.#over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    const context = {
      callId: call.callId,
      from: call.from,
      to: call.to,
      roundTripMs: () => this.#leg?.roundTripMs ?? 0,
      epoch: () => clock.epoch(),
      hangUpAfterGoodbye: () => this.#conversation.leaveAfterGoodbye('agent-hung-up'),
    };
    this.#conversation = new Conversation({
      agent: deps.agent,
      clock,
      pacer: deps.pacer,
      log: deps.log,
      leadMs: deps.leadMs,
      tools: new ToolRunner(deps.agent.tools, clock, context, this.#abort.signal),
      createTranscoder: deps.createTranscoder,
      atMs: () => this.#at(),
      emit: (event) => this.#emit(event),
      onOver: (reason) => this.#endQuietly(reason),
      onProviderLost: (error) => this.#providerLost(error),
      onFailed: (thrown) => this.#failed(thrown),
    });
  }

  /** Why the call ended; undefined while it is up. */
  get endReason(): EndReason | undefined {
    return this.#endReason;
  }

  get hasLeg(): boolean {
    return this.#leg !== undefined;
  }

  get counts(): CallCounts {
    const { framesIn, filledMs, lostBeforeReadyMs, refused } = this.#conversation.uplinkCounts;
    return {
      ...this.#conversation.counts,
      seconds: this.#at() / 1000,
      framesIn,
      filledMs,
      lostBeforeReadyMs,
      refusedFrames: refused,
      refusedDownlinkMs: this.#conversation.refusedDownlinkMs,
    };
  }

  /** What the caller gets now that the stream is over. */
  get afterStream(): AfterStream {
    if (this.#endReason === 'caller-hung-up' || this.#endedByBridge) return { type: 'hang-up' };
    return this.#deps.agent.lastResort;
  }

  /** The bridge wanted this end of a call that was up: the carrier's side has to be seen to be over. */
  get mustHangUp(): boolean {
    return this.#leg !== undefined && this.#endedByBridge;
  }

  /** Dials the provider at once: it is ready by the time the carrier has opened its stream. */
  start(): void {
    const { agent, carrier, clock, provider } = this.#deps;
    this.#emit({ type: 'started', callId: this.callId, carrier: carrier.name, agent: agent.name });
    // A goodbye takes its time, and the provider's session must not end in the middle of it.
    const longest = (provider.capabilities.maxSessionMs ?? Number.POSITIVE_INFINITY) - GOODBYE_MARGIN_MS;
    this.#cancelLimit = clock.after(Math.min(agent.maxCallMs, longest), () =>
      this.#conversation.takeLeave('max-duration', agent.maxCallGoodbye, true),
    );
    this.#connect().catch((error: unknown) => this.#providerLost(BridgeError.from(error)));
  }

  /** The carrier's stream has begun. */
  attach(leg: CallLeg): void {
    if (this.#endReason !== undefined || this.#leg !== undefined) {
      leg.close(1000, 'the call is over');
      return;
    }
    this.#leg = leg;
    this.#deps.log.info({ codec: formatName(leg.output) }, 'media stream started');
    this.#emit({ type: 'mediaStarted' });
    try {
      this.#conversation.attach(leg);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Everything the leg reports after `started`. */
  onLegEvent(event: LegEvent): void {
    if (this.#endReason !== undefined) return;
    try {
      this.#onLegEvent(event);
    } catch (error) {
      this.#failed(error);
    }
  }

  #onLegEvent(event: LegEvent): void {
    switch (event.type) {
      case 'audio':
        this.#conversation.hear(event.bytes, event.atMs);
        break;
      case 'mark':
        this.#conversation.acknowledge(event.name);
        break;
      case 'dtmf':
        this.#conversation.digit(event.digit);
        break;
      case 'stopped':
        this.#endQuietly('caller-hung-up');
        break;
      case 'carrierError':
        this.#deps.log.warn({ code: event.code, detail: event.message }, 'the carrier reported an error');
        break;
      case 'opened':
      case 'started':
      case 'cleared':
        break;
      default:
        assertNever(event);
    }
  }

  /** A media socket is gone; without a `stopped` before it, the stream broke. */
  onLegClosed(leg: CallLeg): void {
    // A carrier that opens its stream again may have a socket that never became the leg, or is the leg no more.
    const again = this.carrier.capabilities.tokenUses > 1;
    if (this.#leg === leg || (this.#leg === undefined && !again)) this.#endQuietly('media-lost');
  }

  /** Takes leave of the caller in words: used when the process has to stop. */
  leave(): void {
    const goodbye = 'I am sorry, this service has to restart. Please call again in a moment. Goodbye.';
    this.#conversation.takeLeave('shutdown', goodbye, true);
  }

  /**
   * Ends the call. The first reason stays; everybody gets the same promise, which never rejects and resolves when leg
   * and provider are closed, at the latest after 2 s.
   */
  end(reason: EndReason): Promise<void> {
    if (this.#endReason === undefined) {
      this.#endReason = reason;
      this.#finish(reason)
        .catch((error: unknown) => this.#deps.log.error({ err: error }, 'closing a call failed'))
        .then(this.#resolveOver, this.#resolveOver);
    }
    return this.#over;
  }

  get #endedByBridge(): boolean {
    return this.#endReason !== undefined && BRIDGE_ENDS.includes(this.#endReason);
  }

  async #connect(): Promise<void> {
    const { agent, provider, carrier, clock, log } = this.#deps;
    const session = await provider.connect(
      {
        instructions: agent.instructions,
        voice: agent.voice,
        language: agent.language,
        tools: agent.tools.map((tool) => tool.definition),
        turnDetection: agent.turnDetection,
        transcribeCaller: agent.transcribeCaller,
        preferredFormats: preferredFormats(agent, carrier.capabilities.defaultFormat),
        history: [],
        overrides: agent.overrides[provider.name] ?? {},
        clock,
      },
      (event) => this.#conversation.onProviderEvent(event),
      this.#abort.signal,
    );
    if (this.#endReason !== undefined) {
      await session.close('the call is over');
      return;
    }
    this.#providerSession = session;
    const codecs = { in: formatName(session.input), out: formatName(session.output) };
    log.info({ provider: provider.name, ms: Math.round(this.#at()), ...codecs }, 'provider ready');
    this.#emit({ type: 'providerReady', provider: provider.name });
    this.#conversation.connect(session);
  }

  #providerLost(error: BridgeError | undefined): void {
    if (this.#endReason !== undefined) return;
    const { code, message } = error ?? new BridgeError('PROVIDER_CLOSED', 'no reason given');
    // Host, status and code are for whoever is paged; the adapter has taken keys out, and nobody's words are in it.
    this.#deps.log.error({ code, detail: message }, 'provider failed');
    this.#endQuietly('provider-failed');
  }

  #failed(thrown: unknown): void {
    this.#deps.log.error({ err: BridgeError.from(thrown) }, 'call failed');
    this.#endQuietly('failed');
  }

  /** For callers that have nobody to wait for; `end` never rejects. */
  #endQuietly(reason: EndReason): void {
    void this.end(reason);
  }

  async #finish(reason: EndReason): Promise<void> {
    const { log, clock } = this.#deps;
    this.#cancelLimit?.();
    this.#conversation.close();
    this.#abort.abort(new BridgeError('CANCELLED', `the call is over: ${reason}`));
    this.#leg?.close(1000, reason);
    const { seconds, bargeIns } = this.counts;
    log.info({ reason, seconds: Math.round(seconds * 10) / 10, bargeIns }, 'call ended');
    this.#emit({ type: 'ended', reason, transcript: this.#conversation.transcript.turns });
    this.#deps.onEnding(this, reason);
    if (this.#providerSession !== undefined) {
      await settleWithin(clock, CLOSE_LIMIT_MS, [this.#providerSession.close(reason)]);
    }
  }

  #at(): number {
    return this.#deps.clock.now() - this.#startedAt;
  }

  #emit(event: CallEventBody): void {
    if (this.#deps.observe === undefined) return;
    try {
      this.#deps.observe(this.callId, { ...event, atMs: this.#at() });
    } catch (error) {
      // A watcher's mistake must not reach the call.
      this.#deps.log.error({ err: error }, 'a call observer threw');
    }
  }
}
