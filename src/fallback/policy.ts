import type { Clip } from '../agents.ts';

/** How hard one agent tries to have a provider, and what the caller hears meanwhile. */
export interface FailoverPolicy {
  /** Longest time that one provider may take to be ready, in ms. */
  readonly connectMs: number;
  /** The next provider is dialled beside one that is not ready after so many ms, and the first that is ready wins; 0: never. */
  readonly hedgeMs: number;
  /** A provider that keeps still for so long when it is its turn is given up, in ms; 0: never. */
  readonly answerMs: number;
  /** What the caller hears when a replacement takes its time; undefined: nothing. */
  readonly gapFiller: GapFillerPolicy | undefined;
}

/** What the caller hears while a provider is replaced. */
export interface GapFillerPolicy {
  /** Nothing has been heard for this long, in ms. */
  readonly afterMs: number;
  /** By language of the agent, such as `de` or `de-AT`; `''` is for all others. Undefined: a soft tone. */
  readonly clips: ReadonlyMap<string, Clip> | undefined;
}

/** Of agents that say nothing of it. */
export const FAILOVER: FailoverPolicy = {
  // Long enough for a cold start across an ocean; a caller has heard it ring meanwhile, or hears the gap filler.
  connectMs: 5000,
  hedgeMs: 2000,
  // Before the adapters, which give a response up after 10 s, and long after any model that thinks aloud.
  answerMs: 8000,
  // People say "hello?" into about a second of silence.
  gapFiller: { afterMs: 800, clips: undefined },
};
