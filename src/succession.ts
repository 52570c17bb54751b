import type { AgentVoice } from './agent-voice.ts';
import type { Agent } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Briefing } from './briefing.ts';
import type { CallEventBody } from './call-events.ts';
import type { Cancel, Clock } from './clock.ts';
import type { Downlink } from './downlink.ts';
import { AnswerWatch } from './fallback/answer-watch.ts';
import type { Ready } from './fallback/fallback.ts';
import { GapFiller } from './fallback/gap-filler.ts';
import type { Floor, HoldReason } from './floor.ts';
import { A_WORD_MS, Handover, type Start } from './handover.ts';
import type { Hearing } from './hearing.ts';
import type { Keypad } from './keypad.ts';
import { FRAME_MS } from './pacer.ts';
import type { HistoryItem, ProviderCapabilities, ProviderEvent, ProviderSession } from './provider.ts';
import type { ToolDesk } from './tool-desk.ts';
import type { Transcript } from './transcript.ts';
import type { TurnClock } from './turn-clock.ts';

/** Those who speak with the provider, and what they are made of. */
export interface SuccessionOptions {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly transcript: Transcript;
  readonly downlink: Downlink;
  readonly floor: Floor;
  readonly voice: AgentVoice;
  readonly hearing: Hearing;
  readonly keypad: Keypad;
  readonly desk: ToolDesk;
  readonly briefing: Briefing;
  readonly turns: TurnClock;
  /** The bridge hears for itself when the caller speaks. */
  ownEarOn(): boolean;
  emit(event: CallEventBody): void;
  /** See `ConversationOptions`. */
  onProviderStill(forMs: number): void;
  /** The caller does not speak, whatever was told before. */
  onCallerQuiet(): void;
  /** Another provider is there, and has been told what it has to know. */
  onTakenOver(): void;
}

/** While the caller speaks and no provider hears them. */
const LOOK_AGAIN_MS = 200;
/** A sentence has its end by then. */
const HEARD_LIMIT_MS = 5000;

/** Who speaks for the agent: one provider after the other, each of which goes on where the one before it ended. */
export class Succession {
  readonly #options: SuccessionOptions;
  // What every frame needs is at hand.
  readonly #ownEarOn: () => boolean;
  readonly #hearing: Hearing;
  readonly #handover: Handover;
  readonly #watch: AnswerWatch;
  readonly #gapFiller: GapFiller;
  #provider: ProviderSession | undefined;
  #momentary: ProviderSession | undefined;
  #hadProvider = false;
  #announcesSpeech = false;
  #closed = false;
  #look: Cancel | undefined;
  #onHeard: (() => void) | undefined;
  #limit: Cancel | undefined;

  constructor(options: SuccessionOptions) {
    this.#options = options;
    const { agent, clock, downlink, hearing } = options;
    this.#ownEarOn = options.ownEarOn;
    this.#hearing = hearing;
    this.#handover = new Handover({
      ...options,
      positionMs: () => hearing.positionMs,
      accountedFor: (upToMs) => hearing.accountedFor(upToMs),
      // Whoever hears a clip waits all the same.
      audible: () => !downlink.idle && !downlink.playsClip,
      toCome: () => downlink.unfinished().map((item) => item.itemId),
      functions: () => options.desk.underWay,
      onAsked: () => this.#watch.asked(),
    });
    this.#watch = new AnswerWatch({
      clock,
      limitMs: agent.failover.answerMs,
      // Of an answer that is never said to be over a rest stays in the queue for ever, shorter than a frame.
      agentSpeaks: () => !downlink.idle && downlink.aheadMs > FRAME_MS,
      onStill: (forMs) => options.onProviderStill(forMs),
    });
    this.#gapFiller = new GapFiller({
      clock,
      policy: agent.failover.gapFiller,
      language: agent.language,
      play: ({ pcm, rate }) => downlink.clip(pcm, { encoding: 'pcm16', rate }),
      stopClip: () => downlink.stopClip(),
      quiet: () => downlink.idle && !this.#handover.turn.speaking,
    });
  }

  /** Of those whose wishes the next provider is asked for too; undefined: there is none for a while. */
  get provider(): ProviderSession | undefined {
    return this.#provider;
  }

  /** Of those whose wishes are out of date by then. */
  get momentary(): ProviderSession | undefined {
    return this.#momentary;
  }

  get hadProvider(): boolean {
    return this.#hadProvider;
  }

  /**
   * A provider is ready: it hears what the caller said meanwhile. The first one greets; another one goes on where the one
   * before it ended. Returns how much of the caller's speech it was sent once more, in ms.
   * @param told what `history` was when it was dialled
   */
  connect(
    session: ProviderSession,
    capabilities: ProviderCapabilities,
    told: readonly HistoryItem[],
  ): number {
    if (this.#closed) return 0;
    const { voice, downlink, hearing, briefing, keypad, desk, floor, agent } = this.#options;
    if (this.#provider !== undefined) {
      // It works to its end: what it has not taken for speech was none.
      this.#handover.turn.sign();
      this.#leaveOff();
    }
    const first = !this.#hadProvider;
    const { call, moment, handover } = this.#handover.connect(session);
    this.#hadProvider = true;
    this.#provider = call;
    this.#momentary = moment;
    voice.connect(call);
    downlink.setSource(session.output, capabilities.speech === 'continuous');
    this.#announcesSpeech = capabilities.bargeIn === 'speech-started';
    this.#watch.begin(capabilities);
    const unheardMs = first ? 0 : hearing.unanswered().spokenMs;
    const handed = hearing.connect(session, capabilities, first ? undefined : { replay: true });
    // It may have come out that it is a machine, and that this is the end.
    if (this.#closed) return 0;
    // A machine is not greeted.
    if (first && agent.greeting !== undefined && !hearing.deaf) call.say(agent.greeting);
    briefing.connect(call);
    keypad.connect(call);
    const resultsTold = desk.connect(call, moment);
    if (!first) this.#goOn(handover, { ...handed, told, held: this.#held, unheardMs, resultsTold });
    this.hold('no-provider', false);
    // Also after what was asked for: it may never be answered.
    floor.check();
    return first ? 0 : handed.replayedMs;
  }

  /** It was told to whoever watches that this one goes on. */
  tookOver({ candidate, before, why, connectMs }: Ready): void {
    if (this.#closed || before === undefined) return;
    const names = { from: before.provider.name, to: candidate.provider.name };
    this.#handover.gap.ready({ ...names, why, connectMs, owes: this.#handover.waitedFor });
  }

  /** The provider is gone. What it has said is heard to its end, and whatever is asked of it waits for the next one. */
  lost(): void {
    if (this.#closed || this.#provider === undefined) return;
    this.#leaveOff();
    this.#untilQuiet();
    if (this.#handover.owes) this.#fillGap();
  }

  /** Nobody speaks and nothing is under way: nobody notices another provider. */
  get mayRenew(): boolean {
    const { floor, desk } = this.#options;
    const still = floor.quiet && !floor.goodbye.leaving && desk.underWay.length === 0;
    return !this.#closed && still && !this.#handover.busy && !this.#callerHeard;
  }

  /** Some providers do not say when the caller speaks; what they have not answered would be lost with their session. */
  get #callerHeard(): boolean {
    const { spokenMs, speaking } = this.#options.hearing.unanswered();
    // One that does say so has taken it for no speech.
    return speaking || (!this.#announcesSpeech && spokenMs >= A_WORD_MS);
  }

  /** Runs when the caller has heard what there is of the agent's speech; at the latest after 5 s. */
  whenHeard(run: () => void): void {
    const { clock, downlink } = this.#options;
    if (this.#closed || downlink.idle) {
      run();
      return;
    }
    this.#onHeard = () => {
      this.#onHeard = undefined;
      this.#limit?.();
      run();
    };
    this.#limit = clock.after(HEARD_LIMIT_MS, this.#onHeard);
  }

  /** The conversation as the next provider is told it. @param catchUp see `ProviderCapabilities` */
  history(catchUp: boolean): readonly HistoryItem[] {
    return this.#hadProvider ? this.#handover.history(catchUp) : [];
  }

  /** Everything that the provider says, before anybody else hears of it. */
  on(event: ProviderEvent): void {
    this.#handover.on(event);
    this.#options.turns.on(event);
    this.#watch.sign(event);
    if (event.type === 'audio') this.#gapFiller.end();
  }

  /** The event before was audio of the same item, nothing else has happened since, and this is more of it, at `now`. */
  more(bytes: number, now: number): void {
    this.#handover.more(bytes);
    this.#watch.more(now);
  }

  /** @param format undefined: the line is gone */
  line(format: AudioFormat | undefined): void {
    this.#watch.setFormat(format);
    if (format === undefined) return;
    this.#handover.turn.restart();
    if (this.#options.downlink.idle) this.#handover.gap.soundEnded();
  }

  /** One media message of the caller. */
  hear(bytes: Uint8Array): void {
    if (!this.#ownEarOn() && !this.#hearing.deaf) this.#watch.hear(bytes);
  }

  /** When the caller's voice was heard last, of the clock, while the bridge's own ear is off; undefined: never. */
  get voiceAt(): number | undefined {
    return this.#watch.voiceAt;
  }

  /** The bridge's own ear hears the caller, or does not any more. */
  heardByOwnEar(speaks: boolean): void {
    if (speaks) this.#watch.callerSpeaks();
    else this.#watch.callerStopped();
  }

  callerSpeaks(): void {
    this.#options.turns.callerSpeaks();
    this.#handover.callerSpeaks();
    this.#gapFiller.busy();
  }

  callerStopped(): void {
    this.#options.turns.callerStopped();
    if (!this.#handover.turn.speaking) return;
    this.#handover.callerStopped();
    if (this.#provider === undefined && this.#hadProvider && this.#handover.owes) this.#fillGap();
    this.#gapFiller.soundEnded();
  }

  /** The caller is asked whether they are there. */
  prompt(text: string): void {
    this.#options.turns.prompted();
    this.#momentary?.say(text);
  }

  /** The caller has cut in. */
  interrupted(): void {
    this.#options.turns.cut();
    this.#handover.interrupted();
  }

  /** See `Handover`. */
  takenBack(): void {
    this.#handover.takenBack();
  }

  /** There is a result to speak of, and nobody who could. */
  resultWaits(): void {
    this.#fillGap();
  }

  /** The caller has heard all that the agent has said. */
  drained(): void {
    const { downlink, floor, turns } = this.#options;
    turns.drained();
    // Whoever hears a clip waits all the same.
    if (!downlink.playsClip) this.#handover.gap.soundEnded();
    this.#gapFiller.soundEnded();
    floor.check();
    this.#onHeard?.();
  }

  /** The provider was told the result of a function. */
  resultTold(): void {
    this.weigh();
    this.#options.floor.check();
  }

  /** See `Floor.hold`. */
  hold(reason: HoldReason, on: boolean): void {
    this.#options.floor.hold(reason, on);
    this.weigh();
  }

  /** Whether anything is due of the provider may have changed. */
  weigh(): void {
    const { floor, desk } = this.#options;
    this.#watch.waiting(floor.isHeld || desk.working !== undefined);
  }

  close(): void {
    this.#closed = true;
    this.#options.turns.close();
    this.#look?.();
    this.#limit?.();
    this.#watch.end();
    this.#gapFiller.end();
  }

  /** Whoever is on the line is not waiting for the agent. */
  get #held(): boolean {
    const { floor, hearing } = this.#options;
    return hearing.deaf || floor.holds('transfer') || floor.holds('machine');
  }

  #goOn(session: ProviderSession, start: Start): void {
    // Whoever was to tell that the caller has stopped is gone.
    if (!start.speaking) this.#options.onCallerQuiet();
    const speaks = this.#handover.begin(session, start);
    // It was not asked, but it was given a question.
    if (start.replayedMs > 0 && !start.speaking) this.#watch.asked();
    const { floor } = this.#options;
    // A goodbye that was said is not waited for once more, whatever else there is to say.
    if (speaks && !floor.goodbyeSaid) floor.goodbye.awaited();
    if (!speaks) this.#gapFiller.end();
    this.#options.onTakenOver();
  }

  /** Whoever was to tell that the caller has stopped is gone. */
  #untilQuiet(): void {
    const { clock, hearing, onCallerQuiet } = this.#options;
    if (this.#closed || this.#provider !== undefined || !this.#handover.turn.speaking) return;
    if (hearing.unanswered().speaking) this.#look = clock.after(LOOK_AGAIN_MS, () => this.#untilQuiet());
    else onCallerQuiet();
  }

  #fillGap(): void {
    const { downlink } = this.#options;
    if (this.#held) return;
    this.#gapFiller.begin(downlink.idle ? this.#handover.gap.silentMs : 0);
  }

  #leaveOff(): void {
    const { voice, hearing, desk, briefing, keypad } = this.#options;
    // First, because a goodbye that is being said waits for the next one.
    this.hold('no-provider', true);
    this.#provider = undefined;
    this.#momentary = undefined;
    this.#watch.end();
    this.#handover.lost();
    voice.disconnect();
    hearing.disconnect();
    desk.connect(undefined);
    briefing.disconnect();
    keypad.disconnect();
  }
}
