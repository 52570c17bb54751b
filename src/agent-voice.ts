import type { CallEventBody } from './call-events.ts';
import type { Downlink } from './downlink.ts';
import type { Floor } from './floor.ts';
import type { HeardItem, ProviderEvent, ProviderSession } from './provider.ts';
import type { Transcript } from './transcript.ts';

export interface AgentVoiceOptions {
  readonly downlink: Downlink;
  readonly floor: Floor;
  readonly transcript: Transcript;
  /** Ms since the call began. */
  atMs(): number;
  /** There is a line on which the agent can be heard. */
  hasLine(): boolean;
  emit(event: CallEventBody): void;
  /** Whatever was asked for and has not begun is given up. */
  onCut(): void;
  /** What was heard of it is known. */
  onTakenBack(): void;
}

/** What the agent says: what of it the caller is given, and what the provider is told when it is cut off. */
export class AgentVoice {
  /** The session that is told what was heard. */
  #provider: ProviderSession | undefined;
  readonly #options: AgentVoiceOptions;
  #wasHeard = false;
  /** What is said is not for a machine that plays its greeting; of what is said after that, only the message is. */
  #silenced: 'all' | 'unasked' | undefined;

  constructor(options: AgentVoiceOptions) {
    this.#options = options;
  }

  /** Whoever speaks from now on. */
  connect(provider: ProviderSession): void {
    this.#provider = provider;
  }

  /** There is nobody any more. What was said so far is played out, and no more of it comes. */
  disconnect(): void {
    const { floor, downlink } = this.#options;
    this.#provider = undefined;
    for (const responseId of [...floor.openResponses]) {
      downlink.endResponse(responseId);
      floor.responseDone(responseId, false);
    }
  }

  speech({ responseId, itemId, bytes }: Extract<ProviderEvent, { type: 'audio' }>): void {
    const { downlink, floor, transcript, atMs, hasLine } = this.#options;
    if (this.#silenced === 'all' || (this.#silenced && !floor.wasAsked(responseId))) return;
    if (!downlink.audio(responseId, itemId, bytes)) return;
    floor.agentSpeaks(responseId);
    transcript.open('assistant', itemId, atMs());
    // Without a line it waits for one, and nobody hears it yet.
    if (hasLine()) this.firstHeard();
  }

  /** The caller hears the agent, maybe for the first time. */
  firstHeard(): void {
    if (this.#wasHeard) return;
    this.#wasHeard = true;
    this.#options.emit({ type: 'firstAudio' });
  }

  /** It stops in mid-word, and nothing that it says is heard. */
  fallSilent(): void {
    this.#silenced = 'all';
    this.cut();
  }

  /** Whoever was not to hear anything is to hear what the bridge asks for. */
  speakUp(): void {
    if (this.#silenced !== undefined) this.#silenced = 'unasked';
  }

  /**
   * The one place where the way back calls forward. The order matters: nothing more of the response may be queued
   * before the carrier's buffer is emptied, and only then is the provider told what was heard.
   */
  cut(): readonly HeardItem[] {
    const { downlink, floor } = this.#options;
    return this.takeBack(downlink.interrupt(floor.openResponses));
  }

  /** Everything that was heard of what is not heard to its end. */
  takeBack(heard: readonly HeardItem[]): readonly HeardItem[] {
    this.#options.onCut();
    // First: whoever dies of being told is followed by one that is told the conversation.
    for (const item of heard) this.#options.transcript.interrupted(item);
    this.#provider?.interrupt(heard);
    this.#options.onTakenBack();
    return heard;
  }
}
