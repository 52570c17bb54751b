import type { Agent } from '../agents.ts';
import type { RealtimeProvider } from '../provider.ts';
import { type Line, TOLERANCE } from '../recording/format.ts';
import type { StoredCall, StoredWav } from '../recording/stored-call.ts';
import type { Difference } from './compare/difference.ts';
import { compareCalls } from './compare.ts';
import { ReplayClock } from './replay-clock.ts';
import { Stage } from './stage.ts';
import { turn } from './turn.ts';

export interface ReplayOptions {
  /** In the place of the one in the recording. Its functions return what they returned, by name and arguments. */
  readonly agent?: Agent | undefined;
  /** Providers of a program, in the place of built-in ones of the same names; they have to dial by `ConnectRequest.network`. */
  readonly providers?: readonly RealtimeProvider[] | undefined;
  /** Makes `Replayed.stereo`, which takes its time; default: false. */
  readonly listen?: boolean | undefined;
  /** Told of every line that is found, as it is found. */
  readonly onLine?: ((line: Line) => void) | undefined;
  /**
   * Called before the call goes on at `t` ms; the replay waits for it. By it a replay takes its time; as fast as the
   * machine is the default.
   */
  readonly pace?: ((t: number) => Promise<void> | undefined) | undefined;
  /** Calls the replay off: it rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What has come of a replay. */
export interface Replayed {
  /** The call as it went this time. */
  readonly found: StoredCall;
  /** By time; empty: none. */
  readonly differences: readonly Difference[];
  /** What the caller said (left) and heard (right), interleaved; undefined: not asked for, or nothing. */
  readonly stereo: StoredWav | undefined;
  /** Lines of the recording that came in and met nobody. */
  readonly unfed: readonly Line[];
  /** Names of functions that were called and have no result in the recording. */
  readonly unknownTools: readonly string[];
  /** How long the replay took, and the call. */
  readonly realMs: number;
  readonly callMs: number;
}

/** So long after the last thing that is known of a call the bridge may still do something about it. */
const TAIL_MS = 2000;
/** A process that was held up works off what has come meanwhile before any timer: no two of it are further apart. */
const IN_ONE_GO_MS = 5;

/**
 * Has the real bridge go through a stored call once more, on a clock of its own, and compares what goes out. Two replays
 * of one call are equal to the byte. Rejects with BAD_RECORDING for a call that cannot be played.
 */
export async function replay(stored: StoredCall, options: ReplayOptions = {}): Promise<Replayed> {
  const begun = performance.now();
  const clock = new ReplayClock(stored.call.epochMs, duesOf(stored.lines));
  const { agent, providers, listen, onLine } = options;
  const toolMatch = agent === undefined ? 'exact' : 'by-arguments';
  const stage = await Stage.set({ stored, clock, agent, providers, toolMatch, listen, onLine });
  const unfed: Line[] = [];
  const endMs = endOf(stored);
  try {
    let before: Line | undefined;
    for (const line of stored.lines) {
      if (line.dir !== 'in') continue;
      // Even a wait for nothing would give those their turn who have none between two messages of one packet.
      if (before === undefined || !isSameTurn(before, line)) await moveTo(clock, line.t, options);
      before = line;
      // Timers of a provider that is only played now are nobody's.
      if (!stage.feed(line) && line.on !== 'clock') unfed.push(line);
    }
    clock.lastHasCome();
    await moveTo(clock, endMs, options);
  } finally {
    await stage.strike(endMs);
  }
  const { memory } = stage.sink;
  const found = { ...memory.stored(), call: stored.call };
  const tolerance = { ...TOLERANCE, ...stored.call.tolerance };
  return {
    found,
    differences: compareCalls(stored, found, tolerance),
    stereo: memory.stereoAudio,
    unfed,
    unknownTools: stage.unknownTools,
    realMs: performance.now() - begun,
    callMs: stored.lines.at(-1)?.t ?? 0,
  };
}

/** Everything that is under way is done, and time goes on. */
async function moveTo(clock: ReplayClock, t: number, options: ReplayOptions): Promise<void> {
  await turn();
  if (t - clock.now() > IN_ONE_GO_MS) await runLate(clock);
  await runTimers(clock, t, options);
  await options.pace?.(t);
  options.signal?.throwIfAborted();
  clock.moveTo(t);
}

/** Timers that should have run by now, and would be told of if they had run before. */
async function runLate(clock: ReplayClock): Promise<void> {
  while (clock.isLate) {
    clock.runLate();
    await turn();
  }
}

async function runTimers(clock: ReplayClock, until: number, options: ReplayOptions): Promise<void> {
  while (clock.nextAt <= until) {
    await options.pace?.(clock.nextAt);
    options.signal?.throwIfAborted();
    clock.runNext();
    await turn();
  }
}

/** What has the same time came in one go, such as in one packet: nothing that waits had its turn between. */
function isSameTurn(before: Line, line: Line): boolean {
  return before.t === line.t && before.on !== 'clock' && line.on !== 'clock';
}

function duesOf(lines: readonly Line[]): readonly number[] {
  return lines.flatMap((line) => (line.on === 'clock' ? [line.msg.due] : []));
}

/** Until when there is something to compare. */
function endOf({ call, lines }: StoredCall): number {
  const last = lines.at(-1)?.t ?? 0;
  const isOver = lines.some((line) => line.on === 'call' && line.msg.type === 'ended');
  return isOver || call.end?.complete === true ? last + TAIL_MS : last;
}
