import type { AgentDigits } from '../agents.ts';
import { BridgeError } from '../errors.ts';
import { failureOf } from '../tools/failure.ts';
import { resultText } from '../tools/result.ts';
import type { Tool, ToolContext } from '../tools.ts';
import type { CallLines } from './call-lines.ts';
import type { ToolMessage } from './format.ts';

type HandleDigits = NonNullable<AgentDigits['handle']>;

/** Longer results are put down as the beginning of their JSON, as text. */
const MOST_RESULT = 1_000_000;

/**
 * Functions of one call, in the same order, with everything written down that goes into those of the program and comes
 * out of them. Those of the bridge itself stay as they are: a replay runs them.
 */
export function tapTools(tools: readonly Tool[], lines: CallLines, newId: () => number): readonly Tool[] {
  return tools.map((tool) => (tool.builtIn === undefined ? tapTool(tool, lines, newId) : tool));
}

/** What a handler of keys is called among the functions of a program: none of them can have this name. */
export const KEYS_HANDLER = '(keys)';

/** The handler of a program that takes the caller's keys, with what it is given and what it returns written down. */
export function tapDigits(handle: HandleDigits, lines: CallLines, newId: () => number): HandleDigits {
  return (digits, call) => {
    const id = newId();
    const arrived = (msg: ToolMessage): void => lines.arrived(() => ({ on: 'tool', dir: 'in', msg }));
    const done = (returned: string | undefined): string | undefined => {
      arrived(returned === undefined ? { id, done: true } : { id, returned, done: true });
      return returned;
    };
    const failed = (thrown: unknown): never => {
      arrived({ id, threw: { message: failureOf(thrown).plainMessage } });
      throw thrown;
    };
    const run = { id, run: KEYS_HANDLER, toolCallId: '', args: { digits } };
    lines.left(() => ({ on: 'tool', dir: 'out', msg: run }));
    return lines.asking(() => {
      try {
        const returned = handle(digits, call);
        return returned instanceof Promise ? returned.then(done, failed) : done(returned);
      } catch (thrown) {
        return failed(thrown);
      }
    });
  };
}

function tapTool(tool: Tool, lines: CallLines, newId: () => number): Tool {
  return {
    definition: tool.definition,
    timeoutMs: tool.timeoutMs,
    cancelOnInterrupt: tool.cancelOnInterrupt,
    fillerAfterMs: tool.fillerAfterMs,
    maxResultChars: tool.maxResultChars,
    redact: tool.redact,
    check: (args) => tool.check(args),
    run: (args, call) => new RunTap(tool, lines, newId()).run(args, call),
  };
}

/** One run of a function. */
class RunTap {
  readonly #tool: Tool;
  readonly #lines: CallLines;
  readonly #id: number;

  constructor(tool: Tool, lines: CallLines, id: number) {
    this.#tool = tool;
    this.#lines = lines;
    this.#id = id;
  }

  run(args: unknown, call: ToolContext): unknown {
    const { name } = this.#tool.definition;
    this.#write('out', () => ({ id: this.#id, run: name, toolCallId: toolCallIdOf(call), args }));
    const forget = this.#watch(call.signal);
    let returned: unknown;
    try {
      returned = this.#lines.asking(() => this.#tool.run(args, this.#handed(call)));
    } catch (thrown) {
      forget();
      this.#lines.asking(() => this.#threw(thrown));
      throw thrown;
    }
    if (!isThenable(returned)) {
      forget();
      const value = returned;
      this.#lines.asking(() => this.#returned(value));
      return value;
    }
    // As the runner does it: Promise.resolve would throw what the `constructor` of a strange promise throws.
    return new Promise((resolve) => resolve(returned)).then(
      (value) => {
        forget();
        this.#returned(value);
        return value;
      },
      (thrown: unknown) => {
        forget();
        this.#threw(thrown);
        throw thrown;
      },
    );
  }

  /** The call as the handler has it: what it does there is written down before it is done. */
  #handed(call: ToolContext): ToolContext {
    const does = (what: string, ...args: readonly unknown[]): void =>
      this.#write('in', () => ({ id: this.#id, does: what, with: args }));
    return {
      ...call,
      heard: () => {
        does('heard');
        return call.heard();
      },
      hangUpAfterGoodbye: () => {
        does('hangUpAfterGoodbye');
        call.hangUpAfterGoodbye();
      },
      transfer: (transfer) => {
        does('transfer', transfer);
        return call.transfer(transfer);
      },
      sendDigits: (digits) => {
        does('sendDigits', digits);
        return call.sendDigits(digits);
      },
      collectDigits: (wish, signal) => {
        does('collectDigits', wish);
        return call.collectDigits(wish, signal);
      },
      leaveMessage: (text) => {
        does('leaveMessage', text);
        call.leaveMessage(text);
      },
      record: (on) => {
        does('record', on);
        return call.record(on);
      },
    };
  }

  /** Until it has settled. Returns how to stop. */
  #watch(signal: AbortSignal): () => void {
    const aborted = (): void => {
      const { code } = BridgeError.from(signal.reason, 'CANCELLED');
      this.#write('out', () => ({ id: this.#id, aborted: code }));
    };
    signal.addEventListener('abort', aborted, { once: true });
    return () => signal.removeEventListener('abort', aborted);
  }

  #returned(value: unknown): void {
    // The runner takes it for thrown.
    if (value instanceof Error) {
      this.#threw(value);
      return;
    }
    if (value === undefined) {
      this.#write('in', () => ({ id: this.#id, done: true }));
      return;
    }
    let found: unknown;
    try {
      found = resultOf(this.#tool, value);
    } catch (thrown) {
      this.#threw(thrown);
      return;
    }
    this.#write('in', () => ({ id: this.#id, returned: found, done: true }));
  }

  #threw(thrown: unknown): void {
    const { code, plainMessage } = failureOf(thrown);
    const known = thrown instanceof BridgeError ? { code } : {};
    this.#write('in', () => ({ id: this.#id, threw: { message: plainMessage, ...known } }));
  }

  #write(dir: 'in' | 'out', msg: () => ToolMessage): void {
    if (dir === 'out') this.#lines.left(() => ({ on: 'tool', dir, msg: msg() }));
    else this.#lines.arrived(() => ({ on: 'tool', dir, msg: msg() }));
  }
}

/** The provider's id, which stands in the key of the invocation if it fits; else the key itself. */
export function toolCallIdOf({ callId, idempotencyKey }: ToolContext): string {
  const before = `${callId}:`;
  return idempotencyKey.startsWith(before) ? idempotencyKey.slice(before.length) : idempotencyKey;
}

/** What the model would be told, as JSON. Throws what the runner makes of a value that is no result. */
function resultOf(tool: Tool, value: unknown): unknown {
  if (typeof value === 'string') return value;
  const text = resultText(tool.definition.name, value, MOST_RESULT);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function isThenable(value: unknown): boolean {
  if (typeof value !== 'object' && typeof value !== 'function') return false;
  try {
    return value !== null && 'then' in value && typeof value.then === 'function';
  } catch {
    return true;
  }
}
