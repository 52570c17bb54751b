import type { ToolOutcome } from './call-events.ts';
import type { Clock } from './clock.ts';
import { assertNever, BridgeError } from './errors.ts';
import type { ToolResult } from './provider.ts';
import { shortText } from './short-text.ts';
import { parseArguments, type ReadArguments } from './tools/arguments.ts';
import { type Check, checkArguments } from './tools/check.ts';
import { failureOf, failureText } from './tools/failure.ts';
import { RunHistory } from './tools/history.ts';
import { idempotencyKey } from './tools/idempotency.ts';
import { type GivenUp, Invocation, type Settled } from './tools/invocation.ts';
import { redactArguments, secretNames } from './tools/redaction.ts';
import {
  type Refusal,
  refuse,
  slowArguments,
  unknownFunction,
  unreadableArguments,
  wrongArguments,
} from './tools/refusal.ts';
import type { CallHandle, Tool } from './tools.ts';

/** What became of one function call. */
export interface ToolRun {
  /** As the model wrote it, at most 64 characters: only if `ToolRunner.find` knows it, it is fit for the log. */
  readonly name: string;
  readonly toolCallId: string;
  readonly idempotencyKey: string;
  /**
   * What the model wrote, parsed if it can be, with secrets blanked, at most 4 KiB of JSON: for events and reports,
   * never for the log.
   */
  readonly args: unknown;
  /** From the model's wish to the result. */
  readonly ms: number;
  /** How much of that it waited for its turn. */
  readonly waitedMs: number;
  readonly outcome: ToolOutcome;
  readonly result: Omit<ToolResult, 'respond' | 'call'>;
  /** Why it failed; without values of the arguments, except those that the handler itself put into its error. */
  readonly error: BridgeError | undefined;
  /** This function has asked for the end of the call. */
  readonly hangsUp: boolean;
}

export interface ToolRunnerOptions {
  readonly tools: readonly Tool[];
  readonly clock: Clock;
  readonly call: CallHandle;
  /** Aborts when the call ends. */
  readonly signal: AbortSignal;
  /** So many run at once; others wait for their turn, in order. */
  readonly atOnce: number;
  /** Names of arguments of all functions that are kept out of events and reports; see `secretNames`. */
  readonly redact?: readonly string[] | undefined;
  /** Told at once of every invocation that the end of the call has cut off: the promise would be too late. */
  readonly onCutOff?: ((run: ToolRun) => void) | undefined;
}

/** A model that wants more than this before it has seen a result is out of its mind. */
const MAX_OPEN = 64;
/** No function has a longer one. */
const MAX_NAME = 64;

/** One that is asked for, before it is known whether it can be run. */
interface Request {
  readonly toolCallId: string;
  readonly name: string;
  readonly tool: Tool | undefined;
  readonly arguments: ReadArguments;
  readonly idempotencyKey: string;
  readonly args: unknown;
  readonly askedAt: number;
}

type Answer = (run: ToolRun) => void;

/**
 * Runs the function calls of one call. `run` never rejects; whatever a handler does, its invocation has exactly one
 * result, in time, and the call is out of its reach afterwards. Nothing is left on the call's signal or the clock once
 * all are over.
 */
export class ToolRunner {
  readonly #options: ToolRunnerOptions;
  readonly #tools: ReadonlyMap<string, Tool>;
  /** In the order in which they were asked for. */
  readonly #open = new Set<Invocation>();
  readonly #history = new RunHistory<Promise<ToolRun>>();
  readonly #secrets = new Map<Tool | undefined, (key: string) => boolean>();
  /** How often in a row the model was wrong about a function. */
  readonly #mistakes = new Map<string, number>();
  /** Their checks were stopped. A caller who has found out how could otherwise do it again and again, to all calls. */
  readonly #slow = new Set<Tool>();

  constructor(options: ToolRunnerOptions) {
    this.#options = options;
    this.#tools = new Map(options.tools.map((tool) => [tool.definition.name, tool]));
  }

  /** Calls that have no result yet, those that wait for their turn included. */
  get running(): number {
    return this.#open.size;
  }

  find(name: string): Tool | undefined {
    return this.#tools.get(name);
  }

  /** This invocation was delivered before, so that it has, or will have, been answered. */
  knows(toolCallId: string, name: string, args: string): boolean {
    return this.#history.find(RunHistory.fingerprint(toolCallId, name, args)) !== undefined;
  }

  /**
   * One invocation. Delivered again, it is not run again: the answer is the same promise. Another function or other
   * arguments under the id of an earlier one are another invocation, with another idempotency key.
   * @param args the text that the model wrote
   */
  run(toolCallId: string, name: string, args: string): Promise<ToolRun> {
    const fingerprint = RunHistory.fingerprint(toolCallId, name, args);
    const known = this.#history.find(fingerprint);
    if (known !== undefined) return known;
    const promise = new Promise<ToolRun>((resolve) => {
      this.#begin(toolCallId, name, args, (run) => {
        resolve(run);
        // Also for those that are over at once, and are not yet in the history when they are.
        queueMicrotask(() => this.#history.over(fingerprint));
      });
    });
    this.#history.add(fingerprint, promise);
    return promise;
  }

  /** The provider does not want these any more. */
  cancel(toolCallIds: readonly string[]): void {
    const ids = new Set(toolCallIds);
    this.#giveUp('withdrawn', (invocation) => ids.has(invocation.toolCallId));
  }

  /** The caller has cut in: functions that are worth nothing then are given up, also those that wait. */
  interrupted(): void {
    this.#giveUp('interrupted', (invocation) => invocation.cancelOnInterrupt);
  }

  #begin(toolCallId: string, name: string, text: string, answer: Answer): void {
    const request = this.#request(toolCallId, name, text);
    try {
      this.#admit(request, answer);
    } catch (thrown) {
      const error = failureOf(thrown);
      answer(this.#runOf(request, { outcome: 'failed', output: failureText(error), error }));
    }
  }

  #request(toolCallId: string, name: string, text: string): Request {
    const tool = this.#tools.get(name);
    const read = parseArguments(text);
    return {
      toolCallId,
      name,
      tool,
      arguments: read,
      idempotencyKey: idempotencyKey(this.#options.call.callId, toolCallId, this.#history.count(toolCallId)),
      args: read.ok
        ? redactArguments(read.args, this.#secretsOf(tool))
        : `[unreadable: ${text.length} characters]`,
      askedAt: this.#options.clock.now(),
    };
  }

  #admit(request: Request, answer: Answer): void {
    const { tool } = request;
    if (this.#options.signal.aborted) {
      const error = new BridgeError('CANCELLED', 'the call has ended');
      answer(
        this.#runOf(request, { outcome: 'cancelled', output: failureText(error, 'it was not run'), error }),
      );
      return;
    }
    if (tool === undefined) {
      this.#refuse(request, unknownFunction(request.name, [...this.#tools.keys()]), answer);
      return;
    }
    if (!request.arguments.ok) {
      this.#refuse(request, unreadableArguments(tool, request.arguments.problem), answer);
      return;
    }
    const checked = this.#check(tool, request.arguments.args);
    switch (checked.status) {
      case 'right':
        this.#mistakes.delete(request.name);
        this.#enqueue(request, tool, checked.args, answer);
        break;
      case 'wrong':
        this.#refuse(request, wrongArguments(tool, checked.problems, this.#mistaken(request.name)), answer);
        break;
      case 'slow':
        this.#refuse(request, slowArguments(tool), answer);
        break;
      case 'broken':
        answer(this.#runOf(request, { ...checked, outcome: 'failed' }));
        break;
      default:
        assertNever(checked);
    }
  }

  #check(tool: Tool, args: Readonly<Record<string, unknown>>): Check {
    if (this.#slow.has(tool)) return { status: 'slow' };
    const checked = checkArguments(tool, args, this.#slow.size);
    if (checked.status === 'slow') this.#slow.add(tool);
    return checked;
  }

  #enqueue(request: Request, tool: Tool, args: unknown, answer: Answer): void {
    if (this.#open.size >= MAX_OPEN) {
      const message = `${MAX_OPEN} functions are under way already; ${request.name} was not run`;
      this.#refuse(request, refuse(message, { next: 'wait for their results' }), answer);
      return;
    }
    const { call, clock, signal } = this.#options;
    const { toolCallId } = request;
    const invocation = new Invocation({
      tool,
      args,
      call,
      clock,
      toolCallId,
      idempotencyKey: request.idempotencyKey,
      onSettled: (over, settled) => {
        this.#open.delete(over);
        if (this.#open.size === 0) signal.removeEventListener('abort', this.#onEnded);
        const run = this.#runOf(request, settled, over);
        if (signal.aborted) this.#options.onCutOff?.(run);
        answer(run);
        this.#startNext();
      },
    });
    if (this.#open.size === 0) signal.addEventListener('abort', this.#onEnded);
    this.#open.add(invocation);
    this.#startNext();
  }

  #startNext(): void {
    const { atOnce } = this.#options;
    for (const invocation of this.#open) {
      const busy = this.#busy();
      // One may always run, whatever was asked for.
      if (busy > 0 && !(busy < atOnce)) return;
      invocation.start();
    }
  }

  #busy(): number {
    let busy = 0;
    for (const { state } of this.#open) if (state === 'running') busy += 1;
    return busy;
  }

  readonly #onEnded = (): void => this.#giveUp('ended', () => true);

  #giveUp(why: GivenUp, which: (invocation: Invocation) => boolean): void {
    const all = [...this.#open].filter(which);
    // Those that wait first: the end of one that runs would start them.
    for (const invocation of all) if (invocation.state === 'waiting') invocation.giveUp(why);
    for (const invocation of all) invocation.giveUp(why);
  }

  #refuse(request: Request, { error, output }: Refusal, answer: Answer): void {
    answer(this.#runOf(request, { outcome: 'refused', output, error }));
  }

  #mistaken(name: string): number {
    const count = (this.#mistakes.get(name) ?? 0) + 1;
    this.#mistakes.set(name, count);
    return count;
  }

  /** The arguments of a function that is not there may be those of any that is. */
  #secretsOf(tool: Tool | undefined): (key: string) => boolean {
    const known = this.#secrets.get(tool);
    if (known !== undefined) return known;
    const tools = tool === undefined ? this.#options.tools : [tool];
    const isSecret = secretNames([...(this.#options.redact ?? []), ...tools.flatMap(({ redact }) => redact)]);
    this.#secrets.set(tool, isSecret);
    return isSecret;
  }

  #runOf(request: Request, settled: Settled, invocation?: Invocation): ToolRun {
    const { outcome, output, error } = settled;
    const { toolCallId, name, args, askedAt } = request;
    return {
      name: shortText(name, MAX_NAME),
      toolCallId,
      idempotencyKey: request.idempotencyKey,
      args,
      ms: this.#options.clock.now() - askedAt,
      waitedMs: invocation?.waitedMs ?? 0,
      outcome,
      result: { output, isError: error !== undefined },
      error,
      hangsUp: invocation?.hangsUp ?? false,
    };
  }
}
