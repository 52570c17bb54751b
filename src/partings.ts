import type { AgentVoice } from './agent-voice.ts';
import type { Briefing } from './briefing.ts';
import type { EndReason } from './call-events.ts';
import type { Floor } from './floor.ts';
import { CUT_SHORT, STREAM_BROKE } from './notices.ts';
import type { ProviderSession } from './provider.ts';

export interface PartingsOptions {
  readonly floor: Floor;
  readonly voice: AgentVoice;
  readonly briefing: Briefing;
  /** Whoever speaks; undefined: nobody does just now. */
  provider(): ProviderSession | undefined;
  /** Somebody has spoken for this call before. */
  hadProvider(): boolean;
  hasLine(): boolean;
  hadLine(): boolean;
  /** What is on the line is a machine that is not listened to. */
  deaf(): boolean;
  onOver(reason: EndReason): void;
}

/** What is said because the call ends, or because it was interrupted from outside: goodbyes, and words that make good. */
export class Partings {
  readonly #options: PartingsOptions;

  constructor(options: PartingsOptions) {
    this.#options = options;
  }

  /** Has the agent say goodbye, and ends the call when that was heard. While the stream is away it waits for the next. */
  takeLeave(reason: EndReason, goodbye: string, final: boolean): void {
    const { floor, voice, provider, hadProvider, hasLine, hadLine, onOver } = this.#options;
    if (floor.leavingForGood) return;
    if (!hadProvider() || !hadLine()) {
      onOver(reason);
      return;
    }
    floor.leave(reason, final, goodbye);
    if (final) voice.cut();
    voice.speakUp();
    const session = provider();
    if (!hasLine() || session === undefined) floor.goodbye.unasked();
    else session.say(goodbye, final);
  }

  /** What the agent says now is the end of the call; see `Goodbye.begin`. */
  leaveAfterGoodbye(reason: EndReason): void {
    const { floor, deaf } = this.#options;
    // Whoever is being put through does not want to be hung up on, whatever the model thinks, nor is a machine.
    if (floor.holds('transfer') || deaf()) return;
    floor.leave(reason, false, undefined);
  }

  /** The caller, who was to be put through, is back with the agent, who is told why. */
  welcomeBack(why: string): void {
    const { floor, voice, briefing, hasLine } = this.#options;
    // What was said to somebody who was about to leave is out of date.
    if (!hasLine()) {
      voice.cut();
      floor.goodbye.cutOff();
    }
    briefing.cutBy = undefined;
    // Whoever is to be said goodbye to is said that instead.
    if (!floor.leavingForGood) briefing.tell(why);
  }

  /** The line is gone while the agent spoke. @param broken nobody wanted that */
  cutOff(broken: boolean): void {
    const { floor, briefing } = this.#options;
    briefing.cutBy ??= broken ? STREAM_BROKE : CUT_SHORT;
    floor.goodbye.cutOff();
  }

  /** There is a line again, or a provider: what was cut off is said. */
  makeGood(): void {
    const { floor, briefing, provider, deaf } = this.#options;
    const session = provider();
    if (session === undefined) return;
    const again = floor.goodbye.again();
    if (again !== undefined) session.say(again.text, again.final);
    // A machine hears nothing but its message, which is said from its beginning.
    else if (briefing.cutBy !== undefined && !deaf() && !floor.leavingForGood) {
      briefing.tell(briefing.cutBy);
      floor.goodbye.awaited();
    }
    briefing.cutBy = undefined;
  }
}
