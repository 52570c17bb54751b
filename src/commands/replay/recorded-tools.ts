import { isDeepStrictEqual } from 'node:util';
import { type Clock, pause } from '../../clock.ts';
import { BridgeError } from '../../errors.ts';
import type { ToolMessage } from '../../recording/format.ts';
import type { StoredCall } from '../../recording/stored-call.ts';
import { doOnceMore } from '../../replay/deeds.ts';
import { thrown } from '../../replay/tool-feed.ts';
import type { ToolContext } from '../../tools.ts';

/** One thing that a handler did with its call, ms after it was run. */
interface Deed {
  readonly afterMs: number;
  readonly does: string;
  readonly with: readonly unknown[];
}

interface RecordedRun {
  readonly name: string;
  readonly args: unknown;
  readonly startedAt: number;
  readonly deeds: Deed[];
  /** How it came to its end; undefined: it did not. */
  end:
    | { readonly afterMs: number; readonly how: Extract<ToolMessage, { done: true } | { threw: unknown }> }
    | undefined;
  taken: boolean;
}

/**
 * What the functions of a stored call returned, for a call that goes another way: found by name and arguments, else the
 * next result of that function. Each is given once; the last one of the same name and arguments again and again.
 */
export class RecordedTools {
  readonly #runs: readonly RecordedRun[];
  readonly #clock: Clock;
  readonly #missing = new Map<string, number>();

  constructor(stored: StoredCall, clock: Clock) {
    this.#runs = runsOf(stored);
    this.#clock = clock;
  }

  /** Functions that were called and have no recorded result, with how often. */
  get missing(): ReadonlyMap<string, number> {
    return this.#missing;
  }

  /** Does what the handler did. Rejects as it did, and with BAD_INPUT when there is no result that it could have. */
  async run(name: string, args: unknown, call: ToolContext): Promise<unknown> {
    const run = this.#find(name, args);
    if (run === undefined) {
      this.#missing.set(name, (this.#missing.get(name) ?? 0) + 1);
      throw new BridgeError('BAD_INPUT', `the recording has no result of ${name}`);
    }
    run.taken = true;
    return await this.#perform(run, call);
  }

  #find(name: string, args: unknown): RecordedRun | undefined {
    const named = this.#runs.filter((run) => run.name === name);
    const same = named.filter((run) => isDeepStrictEqual(run.args, args));
    return same.find(isFresh) ?? same.at(-1) ?? named.find(isFresh);
  }

  async #perform({ deeds, end }: RecordedRun, call: ToolContext): Promise<unknown> {
    const startedAt = this.#clock.now();
    const until = (ms: number): Promise<void> =>
      pause(this.#clock, Math.max(0, startedAt + ms - this.#clock.now()), call.signal);
    for (const deed of deeds) {
      await until(deed.afterMs);
      if (call.signal.aborted) break;
      doOnceMore(deed.does, deed.with, call);
    }
    // It had not ended when the call did: whoever waits for it waits for the deadline.
    if (end === undefined) return await new Promise(() => undefined);
    await until(end.afterMs);
    if ('threw' in end.how) throw thrown(end.how.threw);
    return end.how.returned;
  }
}

function isFresh({ taken }: RecordedRun): boolean {
  return !taken;
}

function runsOf(stored: StoredCall): readonly RecordedRun[] {
  const runs = new Map<number, RecordedRun>();
  for (const line of stored.lines) {
    if (line.on !== 'tool') continue;
    const { msg } = line;
    if ('run' in msg) {
      runs.set(msg.id, {
        name: msg.run,
        args: msg.args,
        startedAt: line.t,
        deeds: [],
        end: undefined,
        taken: false,
      });
      continue;
    }
    const run = runs.get(msg.id);
    if (run === undefined || 'aborted' in msg) continue;
    const afterMs = line.t - run.startedAt;
    if ('does' in msg) run.deeds.push({ afterMs, does: msg.does, with: msg.with });
    else run.end = { afterMs, how: msg };
  }
  return [...runs.values()];
}
