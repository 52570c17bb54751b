import { type Clock, deadline } from '../clock.ts';
import { BridgeError } from '../errors.ts';
import type { ToolResult } from '../provider.ts';
import { resultText } from '../tools/result.ts';

/**
 * Runs a function that the model calls: `args` is what the model wrote, parsed; `signal` aborts when the provider calls
 * it off, at the deadline, and when the stream is closed. What it returns is told to the model: text as it is, anything
 * else as JSON.
 */
export type OnFunctionCall = (id: string, name: string, args: unknown, signal: AbortSignal) => unknown;

export interface FunctionCallsOptions {
  readonly handler: OnFunctionCall | undefined;
  readonly clock: Clock;
  /** Longest time that one may take. */
  readonly limitMs: number;
  answer(callId: string, result: ToolResult): void;
}

/** A model that calls more at once is confused. */
const MOST_AT_ONCE = 64;
const TOO_MANY = `not run: ${MOST_AT_ONCE} functions are running already`;
/** A model gets no more of one result. */
const MOST_CHARACTERS = 100_000;

/** Functions of one stream that run. */
export class FunctionCalls {
  readonly #options: FunctionCallsOptions;
  readonly #running = new Map<string, AbortController>();

  constructor(options: FunctionCallsOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Resolves when the model has been told, or nobody wants to know any more; never rejects. */
  async run(callId: string, name: string, args: string): Promise<void> {
    if (this.#running.has(callId)) return;
    if (this.#running.size >= MOST_AT_ONCE) {
      this.#options.answer(callId, { output: TOO_MANY, isError: true, respond: true });
      return;
    }
    const own = new AbortController();
    this.#running.set(callId, own);
    const result = await this.#result(callId, name, args, own.signal);
    // It was called off, and maybe called again under the same id.
    if (this.#running.get(callId) !== own) return;
    this.#running.delete(callId);
    this.#options.answer(callId, result);
  }

  /** The model does not want to know any more. */
  cancel(callIds: readonly string[]): void {
    for (const callId of callIds) {
      const running = this.#running.get(callId);
      this.#running.delete(callId);
      running?.abort(new BridgeError('CANCELLED', 'the model called the function off'));
    }
  }

  close(): void {
    this.cancel([...this.#running.keys()]);
  }

  async #result(callId: string, name: string, args: string, parent: AbortSignal): Promise<ToolResult> {
    const { handler, clock, limitMs } = this.#options;
    using limit = deadline(clock, limitMs, `function ${name}`, parent);
    try {
      if (handler === undefined) throw new BridgeError('TOOL_FAILED', `there is no function ${name}`);
      const value = await orAborted(limit.signal, () =>
        handler(callId, name, parse(name, args), limit.signal),
      );
      return { output: resultText(name, value, MOST_CHARACTERS), isError: false, respond: true };
    } catch (thrown) {
      const { plainMessage } = BridgeError.from(thrown, 'TOOL_FAILED');
      return { output: plainMessage, isError: true, respond: true };
    }
  }
}

function parse(name: string, args: string): unknown {
  if (args.trim() === '') return {};
  try {
    return JSON.parse(args);
  } catch (cause) {
    throw new BridgeError('TOOL_FAILED', `the arguments of ${name} are no JSON`, { cause });
  }
}

/** The result, or a rejection when the signal aborts: a handler need not look at it. */
function orAborted(signal: AbortSignal, work: () => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    new Promise((done) => {
      done(work());
    }).then(resolve, reject);
  });
}
