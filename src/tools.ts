import type * as z from 'zod';
import type { CarrierName, ControlResult, Transfer } from './carrier.ts';
import { LONGEST_TIMER_MS } from './clock.ts';
import { BridgeError } from './errors.ts';
import type { JsonSchema, ToolDefinition } from './provider.ts';
import { type CheckedArguments, readParameters } from './tools/parameters.ts';

/** CONTRACT of a function that the model can call, and of what its handler is given. */

/** Which keys a handler waits for. */
export interface DigitWish {
  /** So many keys are enough. */
  readonly max: number;
  /** Ends the input and is not part of it; undefined: none does. */
  readonly endKey: string | undefined;
  /** How long the caller may take for the first key, counted from when the agent has finished speaking. */
  readonly firstMs: number;
  /** The longest pause between two keys. */
  readonly nextMs: number;
}

/** `gone`: the call is over, the caller is put through, or another function waits for keys. */
export type CollectedDigits =
  | { readonly status: 'complete' | 'timeout'; readonly digits: string }
  | { readonly status: 'gone' };

/** A call as a function handler sees it. Nothing here rejects. */
export interface CallHandle {
  readonly callId: string;
  readonly carrier: CarrierName;
  readonly direction: 'inbound' | 'outbound';
  readonly from: string;
  readonly to: string;
  /** Name of the agent. */
  readonly agent: string;
  /** What the agents file, the start webhook or the operator said of this call. */
  readonly variables: Readonly<Record<string, string>>;
  /** Network time between bridge and carrier and back, ms. */
  roundTripMs(): number;
  /** Wall-clock time, ms since 1970 UTC. */
  epoch(): number;
  /** Ends the call once everything that the agent says now has been heard. */
  hangUpAfterGoodbye(): void;
  /** Resolves when nobody speaks: what the agent says now has been heard, or was cut off. */
  heard(): Promise<void>;
  /** Puts the caller through; resolves when the carrier has taken the order. When nobody answers, the agent has the caller back. */
  transfer(transfer: Transfer): Promise<ControlResult>;
  /** Presses keys for the other end of the line: 0-9 * # A-D, w and W are pauses. */
  sendDigits(digits: string): Promise<ControlResult>;
  /** Takes the keys that the caller presses next, instead of the model. */
  collectDigits(wish: DigitWish, signal: AbortSignal): Promise<CollectedDigits>;
  /** The other end is a machine: says `text` after its greeting and ends the call as `message-left`. */
  leaveMessage(text: string): void;
  /** Has the carrier record the call, or stop doing so. */
  record(on: boolean): Promise<ControlResult>;
}

/** One invocation of a function. */
export interface ToolContext extends CallHandle {
  /**
   * Aborts when the deadline passes, the model withdraws the call, the caller cuts in (if the tool allows it) or the
   * call ends; the reason is a BridgeError.
   */
  readonly signal: AbortSignal;
  /** The same for the same invocation, however often it is delivered; different for every other. ASCII, at most 128 characters. */
  readonly idempotencyKey: string;
}

/** One of the bridge's own functions: which one, and with what it was made. */
export interface BuiltIn {
  readonly name: string;
  /** JSON; undefined: it takes nothing. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
}

export interface Tool {
  readonly definition: ToolDefinition;
  /** Undefined: it belongs to the program, not to the bridge. */
  readonly builtIn?: BuiltIn | undefined;
  readonly timeoutMs: number;
  /** The caller who cuts in makes the result worthless: the handler is told to stop, the model that it was given up. */
  readonly cancelOnInterrupt: boolean;
  /** How long the caller hears nothing before the agent says that it is busy; 0: never; undefined: as the agent has it. */
  readonly fillerAfterMs: number | undefined;
  /** Longer results are cut, and the model is told so. */
  readonly maxResultChars: number;
  /** Names of arguments, at any depth, that are kept out of events and reports. */
  readonly redact: readonly string[];
  /** `args` is a JSON object. */
  check(args: Readonly<Record<string, unknown>>): CheckedArguments;
  /** `args` has passed `check`. */
  run(args: unknown, call: ToolContext): unknown;
}

interface ToolTraits {
  /** 1 to 64 letters, digits, _ or -. */
  readonly name: string;
  /** For the model: what the function does and when to call it. */
  readonly description: string;
  /** Default 10 s. */
  readonly timeoutMs?: number;
  /** See `Tool`; default false: what was begun is finished. */
  readonly cancelOnInterrupt?: boolean;
  /** See `Tool`. */
  readonly fillerAfterMs?: number | undefined;
  /** Default 16,000. */
  readonly maxResultChars?: number;
  readonly redact?: readonly string[];
}

/** A function whose parameters are a zod schema of an object: `run` gets what the schema makes of the arguments. */
export interface TypedToolOptions<S extends z.ZodType> extends ToolTraits {
  readonly parameters: S;
  /** May be async. What it returns is told to the model as JSON; what it throws as an error. */
  run(args: z.output<S>, call: ToolContext): unknown;
}

/** A function whose parameters are a JSON Schema of an object; without any it takes none. */
export interface ToolOptions extends ToolTraits {
  readonly parameters?: JsonSchema;
  /** May be async. What it returns is told to the model as JSON; what it throws as an error. */
  run(args: Readonly<Record<string, unknown>>, call: ToolContext): unknown;
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const TIMEOUT_MS = 10_000;
const MAX_RESULT = 16_000;

/** A function that the model can call. Throws BAD_INPUT for what no provider would take, and without `run`. */
export function defineTool<S extends z.ZodType>(options: TypedToolOptions<S>): Tool;
export function defineTool(options: ToolOptions): Tool;
export function defineTool(options: ToolOptions | TypedToolOptions<z.ZodType>): Tool {
  const { name, description, timeoutMs = TIMEOUT_MS, maxResultChars = MAX_RESULT } = options;
  checkParts(options);
  checkAmount(name, 'timeoutMs', timeoutMs, LONGEST_TIMER_MS);
  checkAmount(name, 'maxResultChars', maxResultChars, Number.MAX_SAFE_INTEGER);
  if (options.fillerAfterMs !== undefined && options.fillerAfterMs !== 0) {
    checkAmount(name, 'fillerAfterMs', options.fillerAfterMs, LONGEST_TIMER_MS);
  }
  const { schema, check } = readParameters(name, options.parameters, options.redact);
  return {
    definition: { name, description, parameters: schema },
    timeoutMs,
    cancelOnInterrupt: options.cancelOnInterrupt ?? false,
    fillerAfterMs: options.fillerAfterMs,
    maxResultChars,
    redact: options.redact ?? [],
    check,
    // What `check` has let through is what the schema makes of it.
    run: (args, call) => options.run(args as Readonly<Record<string, unknown>>, call),
  };
}

/** Many who write handlers have no compiler that would tell them. */
function checkParts({ name, description, run }: Partial<ToolOptions | TypedToolOptions<z.ZodType>>): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new BridgeError(
      'BAD_INPUT',
      `tool name ${JSON.stringify(name)}: 1 to 64 letters, digits, _ or - are wanted`,
    );
  }
  if (typeof description !== 'string') {
    const wanted = 'wanted text that tells the model what it does and when to call it';
    throw new BridgeError('BAD_INPUT', `tool ${name}: found no description, ${wanted}`);
  }
  if (typeof run !== 'function') {
    throw new BridgeError('BAD_INPUT', `tool ${name}: found no run, wanted the function that does the work`);
  }
}

function checkAmount(name: string, what: string, found: number, max: number): void {
  if (found > 0 && found <= max) return;
  const wanted = `wanted more than 0 and at most ${max}`;
  throw new BridgeError('BAD_INPUT', `tool ${name}: found a ${what} of ${found}, ${wanted}`);
}
