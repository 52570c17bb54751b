import type { Agent } from '../agents.ts';
import type { RealtimeProvider } from '../provider.ts';
import type { Line } from '../recording/format.ts';
import type { StoredCall } from '../recording/stored-call.ts';
import type { ReplayClock } from './replay-clock.ts';
import type { ToolMatch } from './tool-feed.ts';

/** What a call is replayed with. */
export interface StageOptions {
  readonly stored: StoredCall;
  readonly clock: ReplayClock;
  /** In the place of the one in the recording. Its functions are played from the recording as well. */
  readonly agent?: Agent | undefined;
  /** In the place of built-in ones of the same names: they dial by the network that they are given. */
  readonly providers?: readonly RealtimeProvider[] | undefined;
  readonly toolMatch: ToolMatch;
  /** What can be listened to is made, too. */
  readonly listen?: boolean | undefined;
  /** Told of every line that is found, as it is found. */
  readonly onLine?: ((line: Line) => void) | undefined;
}
