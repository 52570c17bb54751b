import { type Clock, deadline } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { JsonSchema, ToolDefinition, ToolResult } from './provider.ts';

/** What a function handler may know of, and do to, the call it runs for. */
export interface ToolContext {
  readonly callId: string;
  readonly from: string;
  readonly to: string;
  /** Aborts when the deadline passes or the call ends. */
  readonly signal: AbortSignal;
  /** Network time between bridge and carrier and back, ms. */
  roundTripMs(): number;
  /** Wall-clock time, ms since 1970 UTC. */
  epoch(): number;
  /** Ends the call once everything that the agent says now has been heard. */
  hangUpAfterGoodbye(): void;
}

export interface Tool {
  readonly definition: ToolDefinition;
  readonly timeoutMs: number;
  run(args: Readonly<Record<string, unknown>>, call: ToolContext): unknown;
}

export interface ToolOptions {
  readonly name: string;
  /** For the model: what the function does and when to call it. */
  readonly description: string;
  /** JSON Schema of an object. */
  readonly parameters?: JsonSchema;
  /** Default 10 s. */
  readonly timeoutMs?: number;
  /** May be async. What it returns is told to the model as JSON; what it throws as an error. */
  run(args: Readonly<Record<string, unknown>>, call: ToolContext): unknown;
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** A function that the model can call. Throws BAD_INPUT for a name that no provider would take. */
export function defineTool(options: ToolOptions): Tool {
  if (!NAME.test(options.name)) {
    throw new BridgeError(
      'BAD_INPUT',
      `tool name ${JSON.stringify(options.name)}: 1 to 64 letters, digits, _ or - are wanted`,
    );
  }
  return {
    definition: {
      name: options.name,
      description: options.description,
      parameters: options.parameters ?? { type: 'object', properties: {} },
    },
    timeoutMs: options.timeoutMs ?? 10_000,
    run: (args, call) => options.run(args, call),
  };
}

/** Ends the call after the goodbye. */
export const endCall = defineTool({
  name: 'end_call',
  description: 'Ends the phone call. Say goodbye first; the call ends when the caller has heard it.',
  run(_args, call) {
    call.hangUpAfterGoodbye();
    return { ok: true };
  },
});

/** The time, so that every agent has one function that really runs. */
export const currentTime = defineTool({
  name: 'current_time',
  description: 'The current date and time.',
  parameters: {
    type: 'object',
    properties: {
      time_zone: { type: 'string', description: 'IANA name such as Europe/Berlin; the default is UTC' },
    },
  },
  run(args, call) {
    const zone = typeof args['time_zone'] === 'string' ? args['time_zone'] : 'UTC';
    const now = new Date(call.epoch());
    const local = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'short', timeZone: zone });
    return { utc: now.toISOString(), time_zone: zone, local: local.format(now) };
  },
});

/** What the bridge knows of the line, for the line check. */
export const lineStatus = defineTool({
  name: 'line_status',
  description: 'The network round trip between this service and the phone carrier, in milliseconds.',
  run: (_args, call) => ({ roundTripMs: Math.round(call.roundTripMs() * 10) / 10 }),
});

const MAX_OUTPUT = 16_000;

export interface ToolRun {
  readonly name: string;
  readonly ms: number;
  readonly result: Omit<ToolResult, 'respond'>;
  /** Why it failed. */
  readonly error: BridgeError | undefined;
  /** This function has asked for the end of the call. */
  readonly hangsUp: boolean;
}

/** Runs the function calls of one call; never rejects, and never outlives the call. */
export class ToolRunner {
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #clock: Clock;
  readonly #context: Omit<ToolContext, 'signal'>;
  readonly #call: AbortSignal;
  readonly #running = new Map<string, AbortController>();

  /** @param call aborts when the call ends */
  constructor(tools: readonly Tool[], clock: Clock, context: Omit<ToolContext, 'signal'>, call: AbortSignal) {
    this.#tools = new Map(tools.map((tool) => [tool.definition.name, tool]));
    this.#clock = clock;
    this.#context = context;
    this.#call = call;
  }

  get running(): number {
    return this.#running.size;
  }

  /** @param args the text that the model wrote */
  async run(callId: string, name: string, args: string): Promise<ToolRun> {
    const startedAt = this.#clock.now();
    let hangsUp = false;
    const onHangUp = (): void => {
      hangsUp = true;
      this.#context.hangUpAfterGoodbye();
    };
    const done = (output: string, error?: BridgeError): ToolRun => ({
      name,
      ms: this.#clock.now() - startedAt,
      result: { output, isError: error !== undefined },
      error,
      hangsUp,
    });
    const own = new AbortController();
    const follow = (): void => own.abort(this.#call.reason);
    this.#call.addEventListener('abort', follow, { once: true });
    this.#running.set(callId, own);
    try {
      const tool = this.#tools.get(name);
      if (tool === undefined) {
        throw new BridgeError('TOOL_FAILED', `there is no function ${name}; there are ${this.#names()}`);
      }
      return done(await this.#within(tool, parseArguments(args), own.signal, onHangUp));
    } catch (thrown) {
      const error = BridgeError.from(thrown, 'TOOL_FAILED');
      return done(JSON.stringify({ error: error.message }), error);
    } finally {
      this.#running.delete(callId);
      this.#call.removeEventListener('abort', follow);
    }
  }

  /** The provider does not want these any more. */
  cancel(callIds: readonly string[]): void {
    for (const id of callIds)
      this.#running.get(id)?.abort(new BridgeError('CANCELLED', 'the model withdrew the call'));
  }

  async #within(
    tool: Tool,
    args: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
    hangUpAfterGoodbye: () => void,
  ): Promise<string> {
    using limit = deadline(this.#clock, tool.timeoutMs, `function ${tool.definition.name}`, signal);
    limit.signal.throwIfAborted();
    const value = await Promise.race([
      Promise.resolve(tool.run(args, { ...this.#context, hangUpAfterGoodbye, signal: limit.signal })),
      rejection(limit.signal),
    ]);
    const output = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null');
    if (output.length <= MAX_OUTPUT) return output;
    return `${output.slice(0, MAX_OUTPUT)} … [cut: the result had ${output.length} characters]`;
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
