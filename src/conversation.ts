import type { Agent } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { CallEventBody, EndReason } from './call-events.ts';
import type { CallLeg } from './carrier.ts';
import type { Clock } from './clock.ts';
import { Downlink } from './downlink.ts';
import { assertNever, type BridgeError } from './errors.ts';
import { Floor } from './floor.ts';
import type { Log } from './log.ts';
import type { Pacer } from './pacer.ts';
import type { HeardItem, ProviderEvent, ProviderSession } from './provider.ts';
import type { ToolRunner } from './tools.ts';
import { Transcript } from './transcript.ts';
import { Uplink } from './uplink.ts';

export interface ConversationOptions {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly log: Log;
  readonly leadMs: number;
  readonly tools: ToolRunner;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  /** Ms since the call began. */
  atMs(): number;
  emit(event: CallEventBody): void;
  /** The conversation is over by its own course. */
  onOver(reason: EndReason): void;
  /** The provider cannot go on. */
  onProviderLost(error: BridgeError | undefined): void;
  onFailed(thrown: unknown): void;
}

type StateEvent = Extract<
  ProviderEvent,
  { type: 'usage' | 'expiring' | 'resumable' | 'warning' | 'error' | 'closed' }
>;

const NO_COUNTS = { framesIn: 0, filledMs: 0, lostBeforeReadyMs: 0, refused: 0 };

/**
 * What is said in a call: the caller's speech on its way to the provider, the agent's on its way to the caller's ear,
 * interruptions, keys and function calls. It does not know how calls begin and end; that is the session's.
 */
export class Conversation {
  readonly transcript = new Transcript();
  readonly counts = { bargeIns: 0, toolCalls: 0, providerErrors: 0 };
  readonly #options: ConversationOptions;
  readonly #downlink: Downlink;
  readonly #floor: Floor;
  #uplink: Uplink | undefined;
  #provider: ProviderSession | undefined;
  #leg: CallLeg | undefined;
  #hasSpoken = false;
  /** Keys pressed before the provider was ready. */
  readonly #earlyDigits: string[] = [];
  #closed = false;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#downlink = new Downlink({
      clock: options.clock,
      pacer: options.pacer,
      leadMs: options.leadMs,
      createTranscoder: options.createTranscoder,
      onDrained: () => this.#floor.check(),
      onHeard: (itemId) => this.transcript.heard(itemId),
      onFailed: (error) => options.onFailed(error),
    });
    this.#floor = new Floor({
      clock: options.clock,
      silence: options.agent.silence,
      agentIdle: () => this.#downlink.idle && options.tools.running === 0,
      aheadMs: () => this.#downlink.aheadMs,
      say: (text) => this.#provider?.say(text),
      onSilent: (goodbye) => this.takeLeave('caller-silent', goodbye, false),
      onGoodbyeHeard: (reason) => options.onOver(reason),
    });
  }

  get uplinkCounts(): typeof NO_COUNTS {
    return this.#uplink?.counts ?? NO_COUNTS;
  }

  get refusedDownlinkMs(): number {
    return this.#downlink.refusedMs;
  }

  /** The carrier's stream is there. Throws BAD_AUDIO when the formats cannot be converted. */
  attach(leg: CallLeg): void {
    const { clock, pacer } = this.#options;
    this.#leg = leg;
    this.#uplink = new Uplink({
      format: leg.input,
      clock,
      pacer,
      onFailed: (error) => this.#options.onFailed(error),
    });
    if (!this.#downlink.idle) this.#options.emit({ type: 'firstAudio' });
    this.#downlink.attach(leg);
    this.#join();
  }

  /** The provider is ready: it hears what the caller said meanwhile, and greets. */
  connect(provider: ProviderSession): void {
    this.#provider = provider;
    this.#downlink.setFormat(provider.output);
    this.#join();
    const { greeting } = this.#options.agent;
    if (greeting !== undefined) provider.say(greeting);
    for (const digit of this.#earlyDigits.splice(0)) this.#tellDigit(digit);
    // Also after what was asked for: it may never be answered.
    this.#floor.check();
  }

  /** One media message of the caller. */
  hear(bytes: Uint8Array, atMs: number | undefined): void {
    this.#uplink?.receive(bytes, atMs);
  }

  acknowledge(mark: string): void {
    this.#downlink.acknowledge(mark);
  }

  /** The caller pressed a key: it cuts in like speech, and the agent is told. */
  digit(digit: string): void {
    this.#options.emit({ type: 'digit', digit });
    this.#floor.callerActive();
    this.#bargeIn();
    if (this.#provider === undefined) this.#earlyDigits.push(digit);
    else this.#tellDigit(digit);
    this.#floor.check();
  }

  /** What the agent says now is the end of the call; see `Goodbye.begin`. */
  leaveAfterGoodbye(reason: EndReason): void {
    if (!this.#closed) this.#floor.leave(reason, true, false);
  }

  /** Has the agent say goodbye, and ends the call when that was heard. */
  takeLeave(reason: EndReason, goodbye: string, final: boolean): void {
    if (this.#closed) return;
    if (this.#provider === undefined || this.#leg === undefined) {
      this.#options.onOver(reason);
      return;
    }
    this.#floor.leave(reason, true, final);
    if (final) this.#cut();
    this.#provider.say(goodbye, final);
  }

  onProviderEvent(event: ProviderEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case 'audio':
        this.#onSpeech(event.responseId, event.itemId, event.bytes);
        break;
      case 'audioDone':
        break;
      case 'transcript':
        this.#onText(event.role, event.itemId, event.text, event.final);
        break;
      case 'speechStarted':
        this.#onCallerSpeaks(event.itemId);
        break;
      case 'speechStopped':
        this.#uplink?.speechStopped();
        this.#floor.callerStopped();
        break;
      case 'interrupted':
        this.#bargeIn();
        break;
      case 'responseStarted':
        this.#floor.responseStarted(event.responseId, event.asked);
        break;
      case 'responseDone':
        this.#onResponseDone(event);
        break;
      case 'toolCall':
        this.#runTool(event).catch((error: unknown) => this.#options.onFailed(error));
        break;
      case 'toolCallsCancelled':
        this.#options.tools.cancel(event.callIds);
        break;
      default:
        this.#onState(event);
    }
  }

  close(): void {
    this.#closed = true;
    this.#floor.close();
    this.#uplink?.close();
    this.#downlink.close();
  }

  /** Events about the session with the provider, not about what is said in it. */
  #onState(event: StateEvent): void {
    const { log } = this.#options;
    switch (event.type) {
      case 'usage':
        log.debug({ usage: event.usage }, 'provider usage');
        break;
      case 'expiring':
        log.warn({ inMs: event.inMs }, 'provider session is about to expire');
        break;
      case 'resumable':
        break;
      case 'warning':
        log.warn({ code: event.code, pii: { detail: event.message } }, 'provider warning');
        break;
      case 'error':
        this.counts.providerErrors += 1;
        // A fatal one is logged by whoever ends the call for it.
        if (event.fatal) this.#options.onProviderLost(event.error);
        else log.error({ code: event.error.code, pii: { detail: event.error.message } }, 'provider error');
        break;
      case 'closed':
        // The end of the call is not listened to any more, so this is not it.
        this.#options.onProviderLost(event.error);
        break;
      default:
        assertNever(event);
    }
  }

  #join(): void {
    const { createTranscoder } = this.#options;
    if (this.#provider === undefined || this.#leg === undefined) return;
    this.#uplink?.connect(this.#provider, createTranscoder(this.#leg.input, this.#provider.input));
  }

  #onSpeech(responseId: string, itemId: string, bytes: Uint8Array): void {
    if (!this.#downlink.audio(responseId, itemId, bytes)) return;
    this.#floor.agentSpeaks(responseId);
    this.transcript.open('assistant', itemId, this.#options.atMs());
    if (this.#hasSpoken) return;
    this.#hasSpoken = true;
    // Without a leg it waits for one, and nobody hears it yet.
    if (this.#leg !== undefined) this.#options.emit({ type: 'firstAudio' });
  }

  #onText(role: 'user' | 'assistant', itemId: string, text: string, final: boolean): void {
    const entry = this.transcript.text(role, itemId, text, final, this.#options.atMs());
    this.#options.emit({ type: 'transcript', role, itemId, text: entry.text, final });
  }

  #onCallerSpeaks(itemId: string | undefined): void {
    if (itemId !== undefined) this.transcript.open('user', itemId, this.#options.atMs());
    this.#uplink?.speechStarted();
    this.#floor.callerSpeaks();
    this.#bargeIn();
  }

  #tellDigit(digit: string): void {
    const text = `The caller pressed the key ${digit}.`;
    this.#provider?.sendText(text, { role: 'user', respond: true, digits: digit });
  }

  /**
   * The one place where the way back calls forward. The order matters: nothing more of the response may be queued
   * before the carrier's buffer is emptied, and only then is the provider told what was heard.
   */
  #cut(): readonly HeardItem[] {
    const heard = this.#downlink.interrupt(this.#floor.openResponses);
    this.#provider?.interrupt(heard);
    for (const item of heard) this.transcript.interrupted(item);
    return heard;
  }

  #bargeIn(): void {
    const spoke = !this.#downlink.idle;
    const heard = this.#cut();
    if (!spoke) return;
    this.counts.bargeIns += 1;
    this.#options.emit({ type: 'bargeIn', heard });
  }

  #onResponseDone(event: Extract<ProviderEvent, { type: 'responseDone' }>): void {
    this.#downlink.endResponse(event.responseId);
    if (event.status === 'failed' || event.status === 'incomplete') {
      this.#options.log.warn({ status: event.status, reason: event.reason }, 'response did not complete');
    }
    this.#floor.responseDone(event.responseId);
  }

  async #runTool(event: Extract<ProviderEvent, { type: 'toolCall' }>): Promise<void> {
    const { tools, log, emit } = this.#options;
    this.counts.toolCalls += 1;
    const spoke = this.#downlink.hasSpoken(event.responseId);
    this.#floor.toolStarted();
    const { name, ms, result, error, hangsUp } = await tools.run(event.callId, event.name, event.args);
    if (this.#closed) return;
    log.info({ tool: name, ms: Math.round(ms), isError: result.isError }, 'function call');
    if (error !== undefined)
      log.warn({ tool: name, code: error.code, pii: { detail: error.message } }, 'function failed');
    emit({ type: 'tool', name, ms, isError: result.isError });
    this.transcript.tool(event.callId, name, event.args, result.output);
    // A model that has said goodbye and then hangs up must not be asked to say it once more.
    const respond = !(hangsUp && spoke);
    if (!respond) this.#floor.goodbyeSaid();
    this.#provider?.sendToolResult(event.callId, { ...result, respond });
    this.#floor.check();
  }
}
