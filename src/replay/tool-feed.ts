import { BridgeError } from '../errors.ts';
import { isRecord } from '../is-record.ts';
import type { Line, ToolMessage } from '../recording/format.ts';
import type { ToolContext } from '../tools.ts';
import { doOnceMore } from './deeds.ts';

/** One run of a handler as it was recorded, and the run that now waits for its result. */
interface Run {
  readonly name: string;
  readonly toolCallId: string;
  readonly args: string;
  taken: boolean;
  waiting: Waiting | undefined;
  /** Came in before the function was run. */
  readonly early: ToolMessage[];
}

interface Waiting {
  /** Undefined: it has nothing to do with its call. */
  readonly context: ToolContext | undefined;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** How a run is found again: exactly, or (in a replay with something changed) by what was asked. */
export type ToolMatch = 'exact' | 'by-arguments';

/** The functions of a replay: a handler's work is what the recording says that it did and returned. */
export class ToolFeed {
  readonly #runs = new Map<number, Run>();
  readonly #match: ToolMatch;
  /** Functions that were called and have no result in the recording, by name. */
  readonly unknown: string[] = [];

  constructor(lines: readonly Line[], match: ToolMatch) {
    this.#match = match;
    for (const line of lines) {
      if (line.on !== 'tool' || !('run' in line.msg)) continue;
      const { id, run, toolCallId, args } = line.msg;
      this.#runs.set(id, {
        name: run,
        toolCallId,
        args: canonical(args),
        taken: false,
        waiting: undefined,
        early: [],
      });
    }
  }

  /** Resolves or rejects when the recording says so. */
  run(name: string, toolCallId: string, args: unknown, context: ToolContext | undefined): Promise<unknown> {
    const run = this.#find(name, toolCallId, canonical(args));
    if (run === undefined) {
      this.unknown.push(name);
      return Promise.reject(
        new BridgeError('TOOL_FAILED', `${name}: the recording has no result for this call of it`),
      );
    }
    run.taken = true;
    return new Promise((resolve, reject) => {
      run.waiting = { context, resolve, reject };
      for (const message of run.early.splice(0)) feed(run.waiting, message);
    });
  }

  /** A line of the recording: the handler has done something. False: nobody waits for it. */
  feed(message: ToolMessage): boolean {
    const run = this.#runs.get(message.id);
    if (run === undefined) return false;
    if (run.waiting === undefined) run.early.push(message);
    else feed(run.waiting, message);
    return run.waiting !== undefined;
  }

  #find(name: string, toolCallId: string, args: string): Run | undefined {
    const open = [...this.#runs.values()].filter((run) => !run.taken && run.name === name);
    const exact = open.find((run) => run.toolCallId === toolCallId);
    if (exact !== undefined || this.#match === 'exact') return exact ?? open[0];
    return open.find((run) => run.args === args) ?? open[0];
  }
}

function feed({ context, resolve, reject }: Waiting, message: ToolMessage): void {
  if ('does' in message && context !== undefined) doOnceMore(message.does, message.with, context);
  else if ('done' in message) resolve(message.returned);
  else if ('threw' in message) reject(thrown(message.threw));
}

type Threw = Extract<ToolMessage, { readonly threw: unknown }>['threw'];

/** What a handler threw. */
export function thrown({ message, code }: Threw): Error {
  return code === undefined ? new Error(message) : new BridgeError(code, message);
}

/** The same for the same arguments, in whatever order their names stand. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isRecord(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}
