import type { AudioFormat } from './audio/format.ts';
import type { Clock } from './clock.ts';
import type { Pacer } from './pacer.ts';
import type { EarTape } from './tape.ts';

/** The least of a call leg that playout needs. */
export interface PlayoutLeg {
  readonly output: AudioFormat;
  readonly roundTripMs: number;
  play(bytes: Uint8Array): void;
  mark(name: string): void;
  clear(): void;
}

export interface PlayoutOptions {
  readonly leg: PlayoutLeg;
  readonly clock: Clock;
  readonly pacer: Pacer;
  /** How far ahead of the caller's ear the carrier is given audio. */
  readonly leadMs: number;
  /** Is told what the caller hears, for a recording. */
  readonly ear?: EarTape | undefined;
  /** Everything that was given to the carrier has been heard and nothing is waiting. */
  onDrained(): void;
  /** This item has been heard to its end. */
  onHeard(itemId: string): void;
  onFailed(error: unknown): void;
}

/** What went wrong on the way to the caller's ear. */
export interface PlayoutCounts {
  /** Times that the line ran dry in the middle of an item: the caller heard a gap. */
  underruns: number;
  /** Times that marks stayed away, and the clock was believed instead. */
  marksLost: number;
}
