import type { CallEventBody, InterruptedBy } from './call-events.ts';
import type { HeardItem } from './provider.ts';

export interface InterruptionsOptions {
  /** The caller hears the agent, or is about to. */
  agentSpeaks(): boolean;
  openResponses(): Iterable<string>;
  /** What was asked for and has not come is out of date. */
  onInterrupted(): void;
  /** Takes back what was not heard; returns what was. */
  cut(): readonly HeardItem[];
  emit(event: CallEventBody): void;
}

/** The caller cuts in on the agent, whoever has noticed it. */
export class Interruptions {
  readonly #options: InterruptionsOptions;
  /** Responses that were open when the caller cut in last. */
  #cut = new Set<string>();
  #count = 0;

  constructor(options: InterruptionsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** Silences the agent. It counts as an interruption if there was something to silence. */
  cutIn(by: InterruptedBy): void {
    const { agentSpeaks, openResponses, onInterrupted, cut, emit } = this.#options;
    const spoke = agentSpeaks();
    this.#cut = new Set(openResponses());
    onInterrupted();
    const heard = cut();
    if (!spoke) return;
    this.#count += 1;
    emit({ type: 'bargeIn', by, heard });
  }

  /** The provider has stopped by itself: often that is only its word on what was cut off long ago. */
  providerStopped(responseId: string | undefined): void {
    if (responseId !== undefined && this.#cut.delete(responseId)) return;
    this.cutIn('provider');
  }
}
