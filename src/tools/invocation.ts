import type { ToolOutcome } from '../call-events.ts';
import { type Cancel, type Clock, LONGEST_TIMER_MS } from '../clock.ts';
import { assertNever, BridgeError } from '../errors.ts';
import type { CallHandle, Tool } from '../tools.ts';
import { toolContext } from './context.ts';
import { failureOf, failureText } from './failure.ts';
import { resultText } from './result.ts';

/** How an invocation ended; `output` is for the model. */
export interface Settled {
  readonly outcome: ToolOutcome;
  readonly output: string;
  readonly error: BridgeError | undefined;
}

/** The model took it back, the caller cut in, the call is over. */
export type GivenUp = 'withdrawn' | 'interrupted' | 'ended';

export interface InvocationOptions {
  readonly tool: Tool;
  /** What `tool.check` has let through. */
  readonly args: unknown;
  readonly call: CallHandle;
  readonly clock: Clock;
  readonly toolCallId: string;
  readonly idempotencyKey: string;
  /** Once. The handler may still be busy. */
  onSettled(invocation: Invocation, settled: Settled): void;
}

const NOT_RUN = 'it was not run';
const UNKNOWN_EFFECT = 'it was told to stop; whether it has had an effect is not known';

/** One invocation of a function: waits for its turn, runs, and has one result, whatever the handler does. */
export class Invocation {
  readonly #options: InvocationOptions;
  /** What the handler sees. */
  readonly #stop = new AbortController();
  readonly #over = new AbortController();
  readonly #askedAt: number;
  #state: 'waiting' | 'running' | 'over' = 'waiting';
  #startedAt: number | undefined;
  #cancelDeadline: Cancel | undefined;
  #hangsUp = false;
  /** Too late to take it back: whoever cuts in now is being put through all the same. */
  #ordered = false;

  constructor(options: InvocationOptions) {
    this.#options = options;
    this.#askedAt = options.clock.now();
  }

  get toolCallId(): string {
    return this.#options.toolCallId;
  }

  get state(): 'waiting' | 'running' | 'over' {
    return this.#state;
  }

  get cancelOnInterrupt(): boolean {
    return this.#options.tool.cancelOnInterrupt && !this.#ordered;
  }

  get hangsUp(): boolean {
    return this.#hangsUp;
  }

  /** Until it was run, or given up. */
  get waitedMs(): number {
    return (this.#startedAt ?? this.#options.clock.now()) - this.#askedAt;
  }

  start(): void {
    if (this.#state !== 'waiting') return;
    const { tool, args, call, clock, idempotencyKey } = this.#options;
    this.#state = 'running';
    this.#startedAt = clock.now();
    this.#cancelDeadline = clock.after(Math.min(tool.timeoutMs, LONGEST_TIMER_MS), () => this.#timeOut());
    const context = toolContext(call, {
      signal: this.#stop.signal,
      idempotencyKey,
      over: this.#over.signal,
      onHangUp: () => {
        this.#hangsUp = true;
      },
      onOrdered: () => {
        this.#ordered = true;
      },
    });
    let returned: unknown;
    try {
      returned = tool.run(args, context);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    // Promise.resolve would throw what the `constructor` of a strange promise throws.
    new Promise((resolve) => resolve(returned)).then(
      (value) => this.#done(value),
      (thrown: unknown) => this.#fail(thrown),
    );
  }

  giveUp(why: GivenUp): void {
    if (this.#state === 'over') return;
    const error = new BridgeError('CANCELLED', reason(why));
    const output = failureText(error, this.#state === 'waiting' ? NOT_RUN : UNKNOWN_EFFECT);
    this.#settle({ outcome: 'cancelled', output, error });
  }

  #timeOut(): void {
    const { tool } = this.#options;
    const error = new BridgeError(
      'TIMEOUT',
      `function ${tool.definition.name} took longer than ${tool.timeoutMs} ms`,
    );
    this.#settle({ outcome: 'timeout', output: failureText(error, UNKNOWN_EFFECT), error });
  }

  #done(value: unknown): void {
    if (this.#state === 'over') return;
    const { definition, maxResultChars } = this.#options.tool;
    try {
      if (value instanceof Error) throw value;
      const output = resultText(definition.name, value, maxResultChars);
      this.#settle({ outcome: 'done', output, error: undefined });
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    if (this.#state === 'over') return;
    const error = failureOf(thrown);
    this.#settle({ outcome: 'failed', output: failureText(error), error });
  }

  #settle(settled: Settled): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#cancelDeadline?.();
    // First, so that the handler's own listeners find a call that they cannot touch any more.
    this.#over.abort(settled.error);
    if (settled.outcome === 'timeout' || settled.outcome === 'cancelled') this.#stop.abort(settled.error);
    this.#options.onSettled(this, settled);
  }
}

function reason(why: GivenUp): string {
  switch (why) {
    case 'withdrawn':
      return 'the model withdrew the call';
    case 'interrupted':
      return 'the caller cut in';
    case 'ended':
      return 'the call has ended';
    default:
      return assertNever(why);
  }
}
