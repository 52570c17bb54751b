import type { Agent } from './agents.ts';
import type { MachinePolicy } from './answering-machine.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import { type CallEventBody, type CallObserver, type EndReason, tellObserver } from './call-events.ts';
import { callHandle } from './call-handle.ts';
import { CallProvider } from './call-provider.ts';
import type { CallTiming } from './call-timing.ts';
import {
  type AnswerPlan,
  type CallOutcome,
  type CallUrls,
  type Carrier,
  type CarrierEvent,
  type ControlResult,
  capabilitiesFor,
  type IncomingCall,
  type Next,
  type Transfer,
} from './carrier.ts';
import type { Clock } from './clock.ts';
import { Conversation } from './conversation.ts';
import { assertNever, BridgeError } from './errors.ts';
import type { Breakers } from './fallback/breakers.ts';
import type { Candidate } from './fallback/candidate.ts';
import { type AfterStreamEvent, isBridgeEnd, LastWord } from './last-word.ts';
import { LeaveTaking } from './leave-taking.ts';
import type { CallLeg, LegEvent } from './leg.ts';
import { Line, type LineOptions } from './line.ts';
import type { Log } from './log.ts';
import type { CallCounts } from './metrics/calls.ts';
import { transferFailed } from './notices.ts';
import type { Pacer } from './pacer.ts';
import type { Tape } from './tape.ts';
import { tellOfRun } from './tool-desk.ts';
import { ToolRunner } from './tool-runner.ts';

export interface SessionDeps {
  readonly call: IncomingCall;
  readonly carrier: Carrier;
  readonly agent: Agent;
  /** In the order in which they are to be tried; at least one. */
  readonly providers: readonly Candidate[];
  readonly breakers: Breakers;
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly log: Log;
  readonly leadMs: number;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  readonly observe: CallObserver | undefined;
  /** What is done when the call, which the bridge placed, is answered by a machine. */
  readonly machine: MachinePolicy;
  readonly urls: CallUrls;
  /** Undefined: the call is not recorded. */
  readonly tape?: Tape | undefined;
  /** Undefined: nobody wants to know how long things take. */
  readonly timing?: CallTiming | undefined;
  /** A plan for one more media stream of this call, with a token of its own. */
  plan(plainCodec: boolean): AnswerPlan;
  /** The call is over, and what becomes of its stream is for somebody else to say; see `LineOptions.part`. */
  readonly part?: LineOptions['part'];
  /** Called once, when the end has begun. */
  onEnding(session: Session, reason: EndReason): void;
}

/**
 * The life and death of one call: brings leg and provider together and ends both, once, whoever asks first. What is
 * said meanwhile is the `Conversation`'s. Who closes whom: `docs/lifecycle.md`.
 */
export class Session {
  readonly callId: string;
  readonly carrier: Carrier;
  readonly timing: CallTiming | undefined;
  readonly #deps: SessionDeps;
  readonly #startedAt: number;
  readonly #abort = new AbortController();
  readonly #conversation: Conversation;
  readonly #line: Line;
  readonly #provider: CallProvider;
  /** What the carrier is told after the end. */
  readonly lastWord: LastWord;
  readonly #over: Promise<void>;
  #resolveOver: () => void = () => undefined;
  readonly #leave: LeaveTaking;
  /** Why the agent cannot go on, while somebody else is about to talk with the caller. */
  #lost: EndReason | undefined;
  #endReason: EndReason | undefined;

  constructor(deps: SessionDeps) {
    const { call, clock } = deps;
    this.#deps = deps;
    this.callId = call.callId;
    this.carrier = deps.carrier;
    this.timing = deps.timing;
    this.#startedAt = clock.now();
    this.lastWord = new LastWord(call.control, deps.agent.lastResort);
    const { needsSilenceWhenIdle, machineDetection, defaultFormat } = capabilitiesFor(deps.carrier, call);
    this.#over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
    const handle = callHandle({
      ...deps,
      session: this,
      roundTripMs: () => this.#line.roundTripMs,
      conversation: () => this.#conversation,
    });
    this.#conversation = new Conversation({
      ...deps,
      ear: deps.tape?.ear,
      greetingEndTold: machineDetection !== 'machine',
      leadIn: needsSilenceWhenIdle,
      tools: new ToolRunner({
        tools: deps.agent.tools,
        clock,
        call: handle,
        signal: this.#abort.signal,
        atOnce: deps.agent.toolsAtOnce,
        redact: deps.agent.redact,
        onCutOff: (run) => tellOfRun(run, deps.log, (event) => this.#emit(event)),
      }),
      atMs: () => this.#at(),
      provider: () => this.#provider.name,
      emit: (event) => this.#emit(event),
      onUsage: (event) => this.#provider.used(event),
      onOver: (reason) => this.#endQuietly(reason),
      onProviderStill: (forMs) => this.#provider.keepsStill(forMs),
      onFailed: (thrown) => this.#failed(thrown),
    });
    this.#line = new Line({
      ...deps,
      signal: this.#abort.signal,
      plan: (plainCodec) => deps.plan(plainCodec),
      lastMediaAt: () => this.#conversation.lastMediaAt,
      hasAgent: () => this.#lost === undefined,
      isLeaving: () => this.#conversation.leavingForGood,
      onAttached: (leg) => this.#attached(leg),
      onDetached: (broken) => this.#conversation.detach(broken),
      onTransferStarted: () => this.#transferStarted(),
      onOver: (reason) => this.#endQuietly(reason),
      onTransferFailed: (outcome) => this.#transferFailed(outcome),
    });
    this.#provider = new CallProvider({
      ...deps,
      line: defaultFormat,
      signal: this.#abort.signal,
      conversation: () => this.#conversation,
      emit: (event) => this.#emit(event),
      onNobodyLeft: () => {
        const end = (): void => this.#agentLost('provider-failed');
        this.#conversation.abandoned(end, this.#line.switchboard.transferring);
      },
      onCannotRenew: () => this.#leave.now('max-duration', deps.agent.maxCallGoodbye),
    });
    this.#leave = new LeaveTaking({
      clock,
      isAway: () => this.#line.switchboard.streamMayEnd,
      takeLeave: (reason, goodbye) => this.#conversation.takeLeave(reason, goodbye, true),
    });
  }

  /** Name of who holds the call, or had it last. */
  get provider(): string {
    return this.#provider.name;
  }

  /** What stands at the edges of this call. */
  get tape(): Tape | undefined {
    return this.#deps.tape;
  }

  get call(): IncomingCall {
    return this.#deps.call;
  }

  get agent(): Agent {
    return this.#deps.agent;
  }

  /** Why the call ended; undefined while it is up. */
  get endReason(): EndReason | undefined {
    return this.#endReason;
  }

  /** A media stream of this call was there once. */
  get hadLeg(): boolean {
    return this.#line.hadLeg;
  }

  get counts(): CallCounts {
    return { ...this.#conversation.counts, seconds: this.#at() / 1000 };
  }

  /** The bridge wanted this end: the carrier's side has to be seen to be over. */
  get mustHangUp(): boolean {
    return this.#endReason !== undefined && isBridgeEnd(this.#endReason);
  }

  /** What the carrier is told when it asks what comes next, if that was planned; a call that is over plans nothing. */
  planned(event: AfterStreamEvent, step?: string): Next | undefined {
    const next = this.#endReason === undefined ? this.#line.switchboard.asked(event, step) : undefined;
    // The question may have been the end.
    return this.#endReason === undefined ? next : undefined;
  }

  /** What the carrier is told to do when nothing was planned: the stream was the call. */
  next(event: AfterStreamEvent): Next {
    if (this.#endReason === undefined) this.#endQuietly(event.ended ? 'caller-hung-up' : 'media-lost');
    return this.lastWord.next(this.#endReason ?? 'media-lost', event);
  }

  /** Dials the provider at once: it is ready by the time the carrier has opened its stream. */
  start(): void {
    const { agent, carrier } = this.#deps;
    this.#emit({ type: 'started', callId: this.callId, carrier: carrier.name, agent: agent.name });
    this.#leave.after(agent.maxCallMs, 'max-duration', agent.maxCallGoodbye);
    this.#provider.open();
  }

  /** The carrier's stream has begun. */
  attach(leg: CallLeg): void {
    if (this.#endReason === undefined) this.#line.attach(leg);
    else leg.close(1000, 'the call is over');
  }

  /** The carrier sends a codec that nobody here can decode. False: nothing else can be had. */
  refuseCodec(codec: string): boolean {
    return this.#endReason === undefined && this.#line.refuseCodec(codec);
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
        this.#conversation.digit(event.digit, 'socket');
        break;
      case 'stopped':
        this.#line.stopped();
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

  /** A media socket of this call is gone. `clean`: it was closed by a closing handshake. */
  onLegClosed(leg: CallLeg, clean: boolean): void {
    if (this.#endReason === undefined) this.#line.closed(leg, clean);
  }

  /**
   * Puts the caller through to somebody else. Resolves when the carrier has taken the order; when the other end picks up
   * the session ends as `transferred`, and when nobody does the agent has the caller back. Never rejects.
   */
  async transfer(transfer: Transfer): Promise<ControlResult> {
    if (this.#endReason !== undefined) return { status: 'already-ended' };
    const { switchboard } = this.#line;
    this.#conversation.hold('transfer', true);
    const result = await switchboard.transfer(transfer);
    if (!switchboard.transferring) this.#notTransferred();
    return result;
  }

  /** Presses keys for the other end of the line: 0-9 * # A-D, w and W are pauses. Never rejects. */
  async sendDigits(digits: string): Promise<ControlResult> {
    if (this.#endReason !== undefined) return { status: 'already-ended' };
    return await this.#line.switchboard.sendDigits(digits);
  }

  /** Has the carrier record the call, or stop doing so. Never rejects. */
  async record(on: boolean): Promise<ControlResult> {
    if (this.#endReason !== undefined) return { status: 'already-ended' };
    const { switchboard } = this.#line;
    return await (on ? switchboard.startRecording() : switchboard.stopRecording());
  }

  /** The carrier records the call, or did so until its end. */
  get recording(): boolean {
    return this.#line.switchboard.recording;
  }

  /** What the other end of the transfer is told before it is connected; undefined: nothing. */
  get announcement(): { readonly text: string; readonly language: string | undefined } | undefined {
    const { lastResort } = this.agent;
    if (this.#endReason === undefined || this.#endReason === 'transferred')
      return this.#line.switchboard.announcement;
    if (lastResort.type !== 'transfer' || lastResort.announce === undefined) return undefined;
    return { text: lastResort.announce, language: lastResort.language };
  }

  /** What the carrier has to say of this call beside its media; nothing of it matters after the end. */
  onCarrierEvent(event: CarrierEvent): void {
    if (this.#endReason !== undefined) return;
    if (event.type === 'machine') this.#conversation.machine(event.result, event.greetingOver);
    else if (event.type === 'digit') this.#conversation.digit(event.digit, 'webhook');
    else if (event.type === 'transfer') this.#line.switchboard.transferNews(event);
    else if (event.type === 'recording')
      this.#emit({ type: 'recording', url: event.url, durationS: event.durationS });
  }

  /** Takes leave of the caller in words, whatever they want: the process has to stop, or the call has cost enough. */
  leave(reason: 'shutdown' | 'budget-spent', goodbye: string): void {
    if (this.#endReason === undefined) this.#leave.now(reason, goodbye);
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

  #attached(leg: CallLeg): void {
    this.#emit({ type: 'mediaStarted' });
    try {
      this.#conversation.attach(leg);
      // Also on the next stream: what runs already is not started again.
      if (this.agent.recording) void this.record(true);
    } catch (error) {
      this.#failed(error);
    }
  }

  #transferStarted(): void {
    this.#conversation.hold('transfer', true);
    this.#emit({ type: 'transfer', status: 'started', outcome: undefined });
  }

  #transferFailed(outcome: CallOutcome): void {
    this.#deps.log.info({ outcome }, 'the transfer came to nothing');
    this.#emit({ type: 'transfer', status: 'failed', outcome });
    this.#notTransferred();
    this.#conversation.welcomeBack(transferFailed(outcome));
  }

  /** The caller is the agent's again, if it is still there. */
  #notTransferred(): void {
    this.#conversation.hold('transfer', false);
    if (this.#lost !== undefined) this.#endQuietly(this.#lost);
  }

  #failed(thrown: unknown): void {
    this.#deps.log.error({ err: BridgeError.from(thrown) }, 'call failed');
    this.#agentLost('failed');
  }

  /** Whoever is being put through does not need the agent: only when that fails is this the end. */
  #agentLost(reason: EndReason): void {
    if (this.#endReason !== undefined || this.#lost !== undefined) return;
    if (!this.#line.switchboard.transferring) {
      this.#endQuietly(reason);
      return;
    }
    this.#lost ??= reason;
    this.#conversation.close();
  }

  /** For callers that have nobody to wait for; `end` never rejects. */
  #endQuietly(reason: EndReason): void {
    void this.end(reason);
  }

  async #finish(reason: EndReason): Promise<void> {
    this.#leave.close();
    this.#conversation.close();
    this.#abort.abort(new BridgeError('CANCELLED', `the call is over: ${reason}`));
    this.#line.close(reason);
    const { seconds, bargeIns } = this.counts;
    this.#deps.log.info({ reason, seconds: Math.round(seconds * 10) / 10, bargeIns }, 'call ended');
    this.#emit({ type: 'ended', reason, transcript: this.#conversation.transcript.turns });
    this.#deps.onEnding(this, reason);
    await this.#provider.close(reason);
  }

  #at(): number {
    return this.#deps.clock.now() - this.#startedAt;
  }

  #emit(event: CallEventBody): void {
    tellObserver(this.#deps, this.callId, { ...event, atMs: this.#at() });
  }
}
