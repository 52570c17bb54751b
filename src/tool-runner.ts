import type { ToolOutcome } from './call-events.ts';
import { type Clock, deadline } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { ToolResult } from './provider.ts';
import type { CallHandle, Tool } from './tools.ts';

/** What became of one function call. */
export interface ToolRun {
  readonly name: string;
  readonly toolCallId: string;
  readonly idempotencyKey: string;
  /** What the model wrote, parsed if it can be, with secrets blanked: for events and reports, never for the log. */
  readonly args: unknown;
  /** From the model's wish to the result. */
  readonly ms: number;
  readonly outcome: ToolOutcome;
  readonly result: Omit<ToolResult, 'respond' | 'call'>;
  /** Why it failed. */
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
}

/** Runs the function calls of one call; never rejects, and never outlives the call. */
export class ToolRunner {
  readonly #options: ToolRunnerOptions;
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #running = new Map<string, AbortController>();

  constructor(options: ToolRunnerOptions) {
    this.#options = options;
    this.#tools = new Map(options.tools.map((tool) => [tool.definition.name, tool]));
  }

  /** Calls that have no result yet, those that wait for their turn included. */
  get running(): number {
    return this.#running.size;
  }

  find(name: string): Tool | undefined {
    return this.#tools.get(name);
  }

  /** @param args the text that the model wrote */
  async run(toolCallId: string, name: string, args: string): Promise<ToolRun> {
    const { clock, call, signal } = this.#options;
    const startedAt = clock.now();
    const idempotencyKey = `${call.callId}:${toolCallId}`;
    let hangsUp = false;
    const onHangUp = (): void => {
      hangsUp = true;
      call.hangUpAfterGoodbye();
    };
    const done = (output: string, outcome: ToolOutcome, error?: BridgeError): ToolRun => ({
      name,
      toolCallId,
      idempotencyKey,
      args: undefined,
      ms: clock.now() - startedAt,
      outcome,
      result: { output, isError: error !== undefined },
      error,
      hangsUp,
    });
    const own = new AbortController();
    const follow = (): void => own.abort(signal.reason);
    signal.addEventListener('abort', follow, { once: true });
    this.#running.set(toolCallId, own);
    try {
      const tool = this.#tools.get(name);
      if (tool === undefined) {
        throw new BridgeError('TOOL_FAILED', `there is no function ${name}; there are ${this.#names()}`);
      }
      const checked = tool.check(parseArguments(args));
      if (!checked.ok)
        throw new BridgeError('TOOL_FAILED', `the arguments are wrong: ${checked.problems.join('; ')}`);
      return done(await this.#within(tool, idempotencyKey, checked.args, own.signal, onHangUp), 'done');
    } catch (thrown) {
      const error = BridgeError.from(thrown, 'TOOL_FAILED');
      return done(JSON.stringify({ error: error.message }), 'failed', error);
    } finally {
      this.#running.delete(toolCallId);
      signal.removeEventListener('abort', follow);
    }
  }

  /** The provider does not want these any more. */
  cancel(toolCallIds: readonly string[]): void {
    for (const id of toolCallIds)
      this.#running.get(id)?.abort(new BridgeError('CANCELLED', 'the model withdrew the call'));
  }

  /** The caller has cut in: functions that are worth nothing then are given up. */
  interrupted(): void {}

  async #within(
    tool: Tool,
    idempotencyKey: string,
    args: unknown,
    signal: AbortSignal,
    hangUpAfterGoodbye: () => void,
  ): Promise<string> {
    using limit = deadline(this.#options.clock, tool.timeoutMs, `function ${tool.definition.name}`, signal);
    limit.signal.throwIfAborted();
    const value = await Promise.race([
      Promise.resolve(
        tool.run(args, { ...this.#options.call, hangUpAfterGoodbye, idempotencyKey, signal: limit.signal }),
      ),
      rejection(limit.signal),
    ]);
    const output = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null');
    if (output.length <= tool.maxResultChars) return output;
    return `${output.slice(0, tool.maxResultChars)} … [cut: the result had ${output.length} characters]`;
  }

  #names(): string {
    return [...this.#tools.keys()].join(', ') || 'none';
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(BridgeError.from(signal.reason, 'CANCELLED'));
    signal.addEventListener('abort', () => reject(BridgeError.from(signal.reason, 'CANCELLED')), {
      once: true,
    });
  });
}

/** Some models encode the arguments twice, some write nothing for an empty object. */
function parseArguments(text: string): Readonly<Record<string, unknown>> {
  let value: unknown = text.trim() === '' ? {} : parseJson(text);
  if (typeof value === 'string') value = parseJson(value);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new BridgeError('TOOL_FAILED', 'the arguments are not a JSON object');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new BridgeError('TOOL_FAILED', 'the arguments are not valid JSON', { cause });
  }
}
