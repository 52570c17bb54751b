import type { Agent } from '../agents.ts';
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
  readonly toolMatch: ToolMatch;
  /** Told of every line that is found, as it is found. */
  readonly onLine?: ((line: Line) => void) | undefined;
}
