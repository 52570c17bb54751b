import { AgentVoice } from './agent-voice.ts';
import { Briefing } from './briefing.ts';
import type { EndReason } from './call-events.ts';
import type { MachineResult } from './carrier.ts';
import type { ConversationOptions } from './conversation-options.ts';
import { CutIn } from './cut-in.ts';
import type { DigitSource } from './digits.ts';
import { Downlink } from './downlink.ts';
import { Floor, type HoldReason } from './floor.ts';
import { Flow } from './flow.ts';
import { Hearing } from './hearing.ts';
import { Interruptions } from './interruptions.ts';
import { Keypad } from './keypad.ts';
import { LeadIn } from './lead-in.ts';
import type { CallLeg } from './leg.ts';
import type { CallCounts } from './metrics/calls.ts';
import { Partings } from './partings.ts';
import type { ProviderEvent } from './provider.ts';
import { onProviderNews } from './provider-news.ts';
import { Succession } from './succession.ts';
import { ToolDesk } from './tool-desk.ts';
import type { CollectedDigits, DigitWish } from './tools.ts';
import { Transcript } from './transcript.ts';
import { TurnClock } from './turn-clock.ts';

/**
 * What is said in a call: the caller's speech on its way to the provider, the agent's on its way to the caller's ear,
 * interruptions, keys and function calls. It does not know how calls begin and end; that is the session's.
 */
export class Conversation {
  readonly transcript = new Transcript();
  readonly #counts = { providerErrors: 0, providerWarnings: 0 };
  readonly #options: ConversationOptions;
  readonly #flow: Flow;
  readonly #downlink: Downlink;
  readonly #floor: Floor;
  readonly #voice: AgentVoice;
  readonly #keypad: Keypad;
  readonly #hearing: Hearing;
  readonly #desk: ToolDesk;
  readonly #interruptions: Interruptions;
  /** Who speaks for the agent. */
  readonly succession: Succession;
  readonly #partings: Partings;
  readonly #turns: TurnClock;
  #leadIn: LeadIn | undefined;
  #leg: CallLeg | undefined;
  #hadLeg = false;
  readonly #briefing = new Briefing();
  #closed = false;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#downlink = new Downlink({
      ...options,
      onSpeech: (responseId) => this.#turns.spoken(responseId),
      onDrained: () => this.succession.drained(),
      onHeard: (itemId) => this.transcript.heard(itemId),
    });
    this.#desk = new ToolDesk({
      ...options,
      runner: options.tools,
      filler: options.agent.filler,
      downlink: this.#downlink,
      transcript: this.transcript,
      openResponses: () => this.#floor.openResponses,
      cut: () => this.#voice.cut(),
      onGoodbyeSaid: () => this.#floor.goodbye.spoken(undefined),
      onTold: () => this.succession.resultTold(),
      onUntold: () => this.succession.resultWaits(),
      mayRespond: () => !this.#floor.holds('transfer') && !this.#hearing.deaf,
    });
    this.#floor = new Floor({
      clock: options.clock,
      silence: options.agent.silence,
      agentQuiet: () =>
        this.#downlink.idle && (this.succession.provider !== undefined || this.#floor.goodbyeSaid),
      meanwhile: {
        quiet: (fillerAfterMs) => {
          this.#keypad.quiet();
          this.#desk.filler.quiet(fillerAfterMs);
        },
        busy: () => {
          this.#keypad.busy();
          this.#desk.filler.busy();
        },
      },
      working: () => this.#desk.working,
      aheadMs: () => this.#downlink.aheadMs,
      say: (text) => this.succession.prompt(text),
      onSilent: (goodbye) => this.takeLeave('caller-silent', goodbye, false),
      // A message that nobody has heard to its end was not left.
      onGoodbyeOver: (reason, whole) =>
        options.onOver(reason === 'message-left' && !whole ? 'machine-answered' : reason),
    });
    this.#voice = new AgentVoice({
      ...options,
      downlink: this.#downlink,
      floor: this.#floor,
      transcript: this.transcript,
      hasLine: () => this.#leg !== undefined,
      onCut: () => this.#desk.filler.interrupted(),
      onTakenBack: () => this.succession.takenBack(),
    });
    this.#keypad = new Keypad({
      ...options,
      rule: options.agent.digits,
      onInput: () => this.#floor.check(),
    });
    const ownEar = new CutIn({
      ...options,
      policy: options.agent.bargeIn,
      agentSpeaks: () => !this.#downlink.idle,
      onSpeech: () => {
        this.succession.heardByOwnEar(true);
        this.#callerSpeaks();
      },
      onQuiet: () => {
        this.succession.heardByOwnEar(false);
        this.#callerStopped();
      },
      onCutIn: () => this.#interruptions.cutIn('local'),
    });
    this.#hearing = new Hearing({
      ...options,
      policy: options.machine,
      cutIn: ownEar,
      onMachine: () => this.#fallSilent(),
      onHangUp: () => options.onOver('machine-answered'),
      onLeaveMessage: (message) => this.takeLeave('message-left', message, true),
    });
    this.#interruptions = new Interruptions({
      ...options,
      agentSpeaks: () => !this.#downlink.idle,
      openResponses: () => this.#floor.openResponses,
      onInterrupted: () => {
        this.#desk.interrupted();
        this.succession.interrupted();
      },
      cut: () => this.#voice.cut(),
    });
    this.#turns = new TurnClock({
      ...options,
      voiceAt: () => (ownEar.on ? ownEar.voiceAt : this.succession.voiceAt),
      agentSpeaks: () => !this.#downlink.idle,
      openResponses: () => this.#floor.openResponses,
    });
    this.succession = new Succession({
      ...options,
      turns: this.#turns,
      transcript: this.transcript,
      downlink: this.#downlink,
      floor: this.#floor,
      voice: this.#voice,
      hearing: this.#hearing,
      keypad: this.#keypad,
      desk: this.#desk,
      briefing: this.#briefing,
      ownEarOn: () => ownEar.on,
      onCallerQuiet: () => this.#callerStopped(),
      onTakenOver: () => this.#partings.makeGood(),
    });
    this.#partings = new Partings({
      floor: this.#floor,
      voice: this.#voice,
      briefing: this.#briefing,
      provider: () => this.succession.provider,
      hadProvider: () => this.succession.hadProvider,
      hasLine: () => this.#leg !== undefined,
      hadLine: () => this.#hadLeg,
      deaf: () => this.#hearing.deaf,
      onOver: (reason) => options.onOver(reason),
    });
    this.#flow = new Flow(options.clock, this.#downlink, this.succession);
    this.#floor.hold('no-stream', true);
  }

  get counts(): Omit<CallCounts, 'seconds'> {
    const { refused: refusedFrames, ...uplink } = this.#hearing.counts;
    const bargeIns = this.#interruptions.count;
    return { ...this.#counts, bargeIns, ...uplink, refusedFrames, ...this.#downlink.counts };
  }

  /** When the last media message came; undefined while there is no stream, or nobody to hear it. */
  get lastMediaAt(): number | undefined {
    return this.#closed ? undefined : this.#hearing.lastMediaAt;
  }

  /** The carrier's stream is there. Throws BAD_AUDIO when the formats cannot be converted. */
  attach(leg: CallLeg): void {
    if (this.#closed) return;
    this.#leg = leg;
    this.#hadLeg = true;
    if (!this.#downlink.idle) this.#voice.firstHeard();
    const line = this.#hearing.attach(leg);
    // It may have come out that it is a machine, and that this is the end.
    if (this.#closed) return;
    this.#downlink.attach(this.#turns.watch(line));
    this.succession.line(leg.input);
    if (this.#options.leadIn) this.#leadIn = new LeadIn(leg, this.#options.pacer, () => !this.#downlink.idle);
    this.#partings.makeGood();
    this.succession.hold('no-stream', false);
  }

  /**
   * The carrier's stream is gone and may come again. What was being said is cut, at what was heard of it.
   * @param broken nobody wanted that: what the agent has not begun to say can wait for the next stream
   */
  detach(broken: boolean): void {
    if (this.#closed) return;
    this.#leadIn?.close();
    this.#turns.cut();
    this.succession.hold('no-stream', true);
    const spoke = !this.#downlink.idle;
    if (spoke) this.#partings.cutOff(broken);
    if (spoke || !broken) this.#voice.takeBack(this.#downlink.detach(this.#floor.openResponses));
    else this.#downlink.detach([]);
    this.#hearing.detach();
    this.succession.line(undefined);
    this.#leg = undefined;
  }

  /** The call is about to end, and the caller cannot call it off. */
  get leavingForGood(): boolean {
    return this.#floor.leavingForGood;
  }

  /**
   * No provider is left. Runs `end` when the caller has heard what there is to hear, unless the goodbye was said: then the
   * call ends by itself. @param atOnce they hear somebody else
   */
  abandoned(end: () => void, atOnce: boolean): void {
    if (this.#floor.goodbyeSaid) this.#floor.goodbye.finalise();
    else if (atOnce) end();
    else this.succession.whenHeard(end);
  }

  /** See `Partings`. */
  welcomeBack(why: string): void {
    if (!this.#closed) this.#partings.welcomeBack(why);
  }

  /** Silence is not asked about as long as there is a reason for it. */
  hold(reason: HoldReason, on: boolean): void {
    if (this.#closed) return;
    this.#flow.end();
    this.succession.hold(reason, on);
    if (reason === 'transfer' && on) this.#keypad.giveUp();
  }

  /** What answering-machine detection has found. */
  machine(result: MachineResult, greetingOver: boolean): void {
    if (this.#closed) return;
    this.#options.emit({ type: 'machine', result });
    this.#hearing.machine(result, greetingOver);
  }

  /** One media message of the caller. */
  hear(bytes: Uint8Array, atMs: number | undefined): void {
    if (this.#closed) return;
    this.#hearing.hear(bytes, atMs);
    this.succession.hear(bytes);
  }

  acknowledge(mark: string): void {
    if (this.#closed) return;
    this.#turns.acknowledged(mark);
    this.#downlink.acknowledge(mark);
  }

  /** The caller pressed a key: it cuts in like speech, and the agent is told when the input is complete. */
  digit(digit: string, source: DigitSource): void {
    if (this.#closed || !this.#keypad.isNew(digit, source)) return;
    this.#options.emit({ type: 'digit', digit });
    // Its beep may sound like a key.
    if (this.#hearing.deaf) return;
    this.#floor.callerActive();
    this.#interruptions.cutIn('digit');
    this.#keypad.press(digit);
    this.#floor.check();
  }

  /** See `CallHandle`. */
  collectDigits(wish: DigitWish, signal: AbortSignal): Promise<CollectedDigits> {
    return this.#keypad.collect(wish, this.#floor.quiet, signal);
  }

  /** See `CallHandle`. */
  leaveMessage(text: string): void {
    if (!this.#closed) this.#hearing.leaveMessage(text);
  }

  /** Resolves when nobody speaks any more, or the conversation is over. */
  heard(): Promise<void> {
    return this.#closed ? Promise.resolve() : this.#floor.untilQuiet();
  }

  /** See `Partings`. */
  leaveAfterGoodbye(reason: EndReason): void {
    this.#flow.end();
    if (!this.#closed) this.#partings.leaveAfterGoodbye(reason);
  }

  /** See `Partings`. */
  takeLeave(reason: EndReason, goodbye: string, final: boolean): void {
    this.#flow.end();
    if (!this.#closed) this.#partings.takeLeave(reason, goodbye, final);
  }

  onProviderEvent(event: ProviderEvent): void {
    if (this.#closed || (event.type === 'audio' && this.#flow.takes(event))) return;
    this.#flow.end();
    this.succession.on(event);
    switch (event.type) {
      case 'audio':
        this.#voice.speech(event);
        if (!this.#floor.goodbye.leaving) this.#flow.begin();
        break;
      case 'audioDone':
        break;
      case 'transcript':
        this.#onText(event.role, event.itemId, event.text, event.final);
        break;
      case 'speechStarted':
        this.#onSpeechStarted(event.itemId);
        break;
      case 'speechStopped':
        this.#callerStopped();
        break;
      case 'interrupted':
        this.#interruptions.providerStopped(event.responseId);
        break;
      case 'responseStarted':
        this.#desk.responseStarted(event.responseId, event.asked);
        this.#floor.responseStarted(event.responseId, event.asked);
        break;
      case 'responseDone':
        this.#onResponseDone(event);
        break;
      case 'toolCall':
        this.#floor.toolStarted();
        this.#desk.call(event);
        this.succession.weigh();
        // Whoever called it may be quiet already.
        this.#floor.check();
        break;
      case 'toolCallsCancelled':
        this.#desk.cancel(event.callIds);
        break;
      default:
        onProviderNews(event, this.#options, this.#counts);
    }
  }

  close(): void {
    // Whoever hangs up in the middle of a sentence has not heard its end.
    if (!this.#closed) for (const item of this.#downlink.unfinished()) this.transcript.interrupted(item);
    this.#closed = true;
    this.succession.close();
    this.#desk.close();
    this.#leadIn?.close();
    this.#keypad.close();
    this.#floor.close();
    this.#hearing.close();
    this.#downlink.close();
  }

  #onText(role: 'user' | 'assistant', itemId: string, text: string, final: boolean): void {
    const entry = this.transcript.text(role, itemId, text, final, this.#options.atMs());
    this.#options.emit({ type: 'transcript', role, itemId, text: entry.text, final });
  }

  #onSpeechStarted(itemId: string | undefined): void {
    if (itemId !== undefined) this.transcript.open('user', itemId, this.#options.atMs());
    this.#callerSpeaks();
    // A machine does not interrupt.
    if (!this.#hearing.deaf) this.#interruptions.cutIn('provider');
  }

  #callerSpeaks(): void {
    this.#flow.end();
    this.#hearing.speechStarted();
    // What is left of a machine's speech is about to end.
    if (this.#hearing.deaf) return;
    this.succession.callerSpeaks();
    this.#floor.callerSpeaks();
  }

  #callerStopped(): void {
    this.#flow.end();
    this.#hearing.speechStopped();
    this.succession.callerStopped();
    this.#floor.callerStopped();
  }

  /** The agent neither hears nor answers what is on the line, and stops in mid-word. */
  #fallSilent(): void {
    this.#floor.hold('machine', true);
    this.#voice.fallSilent();
  }

  #onResponseDone(event: Extract<ProviderEvent, { type: 'responseDone' }>): void {
    this.#downlink.endResponse(event.responseId);
    if (event.status === 'failed' || event.status === 'incomplete') {
      this.#options.log.warn({ status: event.status, reason: event.reason }, 'response did not complete');
    }
    this.#floor.responseDone(event.responseId, event.status === 'completed');
  }
}
