import * as z from 'zod';
import { BridgeError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { JsonSchema } from '../../provider.ts';
import { shortText } from '../../short-text.ts';
import { defineTool, type Tool, type ToolContext } from '../../tools.ts';
import type { LateCheck } from '../check.ts';
import { compileSchema } from '../json-schema.ts';
import { readParameters } from '../parameters.ts';
import { timeBox } from '../time-box.ts';

/** A function of a server, ready for agents. */
export interface Offer {
  /** As the server has it. */
  readonly name: string;
  readonly tool: Tool;
}

/** How the functions of a server are offered. */
export interface OfferTraits {
  /** Patterns of the server's names: * stands for any characters. */
  readonly tools: readonly string[];
  readonly prefix: string;
  readonly timeoutMs: number;
  readonly fillerAfterMs?: number | undefined;
  readonly redact: readonly string[];
  readonly cancelOnInterrupt: boolean;
}

interface Context {
  readonly traits: OfferTraits;
  readonly run: Run;
  readonly log: Log;
  readonly complain: Complaints['add'];
}

type Run = (name: string, args: Readonly<Record<string, unknown>>, call: ToolContext) => Promise<unknown>;

const MAX_FUNCTIONS = 128;
const MAX_DESCRIPTION = 1024;
const MAX_SCHEMA_CHARS = 64 * 1024;
const MAX_NAME = 64;
/** Of one listing; nobody reads hundreds. */
const MAX_COMPLAINTS = 20;
const MAX_SHOWN = 100;
/** Of the wall clock, for each schema once. One of 2 KiB takes a few. */
const MAX_COMPILE_MS = 150;

/** What is read of a function; wider than the SDK's, which loses all functions of a page for one that is odd. */
const describedSchema = z.looseObject({
  name: z.string().min(1),
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: z.record(z.string(), z.unknown()),
  execution: z.looseObject({ taskSupport: z.string().optional() }).optional(),
});

type Described = z.output<typeof describedSchema>;

/** Functions as a server describes them, made fit for providers; what cannot be offered is said in the log. */
export function offersOf(
  listing: readonly unknown[],
  traits: OfferTraits,
  run: Run,
  log: Log,
): readonly Offer[] {
  const complaints = new Complaints(log);
  const context = { traits, run, log, complain: complaints.add };
  const common = commonOf(traits);
  const offers = new Map<string, Offer>();
  let left = 0;
  for (const found of listing) {
    const offer = offerOf(found, common, context);
    if (offer === undefined) continue;
    const { name } = offer.tool.definition;
    const same = offers.get(name);
    if (same !== undefined) {
      context.complain(
        { function: shown(offer.name), other: shown(same.name), name },
        'two mcp functions come to the same name; only the first is offered',
      );
    } else if (offers.size === MAX_FUNCTIONS) {
      left += 1;
    } else {
      offers.set(name, offer);
    }
  }
  complaints.end();
  if (left > 0) log.warn({ offered: MAX_FUNCTIONS, left }, 'mcp server has more functions than are offered');
  reportIdle(traits.tools, listing, log);
  return [...offers.values()];
}

/** Whether a name fits a pattern in which * stands for any characters. */
export function fitsPattern(name: string, pattern: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - at >= last.length && name.endsWith(last);
}

/** Warnings of a listing: the first of them, and how many more there were. */
class Complaints {
  readonly #log: Log;
  #count = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  readonly add = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    this.#count += 1;
    if (this.#count <= MAX_COMPLAINTS) this.#log.warn(fields, message);
  };

  end(): void {
    const more = this.#count - MAX_COMPLAINTS;
    if (more > 0) this.#log.warn({ more }, 'more mcp functions cannot be offered');
  }
}

function offerOf(found: unknown, common: Tool, context: Context): Offer | undefined {
  const { traits, complain } = context;
  const read = describedSchema.safeParse(found);
  if (!read.success) {
    complain(
      { function: shown(nameOf(found)) },
      'mcp function has no name or no parameters; it is not offered',
    );
    return undefined;
  }
  const { name } = read.data;
  if (!traits.tools.some((wanted) => fitsPattern(name, wanted))) return undefined;
  const flaw = flawOf(read.data);
  if (flaw !== undefined) {
    complain({ function: shown(name), reason: flaw }, 'mcp function cannot be offered');
    return undefined;
  }
  return { name, tool: toolOf(read.data, common, context) };
}

function flawOf({ inputSchema, execution }: Described): string | undefined {
  const { type = 'object' } = inputSchema;
  if (type !== 'object') return 'its parameters are not those of an object';
  if (JSON.stringify(inputSchema).length > MAX_SCHEMA_CHARS)
    return `its parameters take more than ${MAX_SCHEMA_CHARS} characters`;
  if (execution?.taskSupport === 'required') return 'it can only be run as a task';
  return undefined;
}

/** What all functions of a server have in common; made once, because even no parameters take time to compile. */
function commonOf(traits: OfferTraits): Tool {
  const { timeoutMs, fillerAfterMs, redact, cancelOnInterrupt } = traits;
  // The first schema of a dialect takes as long as twenty others: that is done here, where no call waits for it.
  for (const $schema of [undefined, 'http://json-schema.org/draft-07/schema#']) {
    compileSchema({ ...($schema !== undefined && { $schema }), type: 'object', properties: { any: {} } });
  }
  const shared = { timeoutMs, fillerAfterMs, redact, cancelOnInterrupt };
  return defineTool({
    name: 'mcp',
    description: '',
    parameters: { type: 'object', properties: {} },
    ...shared,
    run: () => undefined,
  });
}

function toolOf(described: Described, common: Tool, { traits, run, log }: Context): Tool {
  const name = fitName(traits.prefix + described.name);
  const schema = { type: 'object', ...described.inputSchema };
  const { $schema: _version, ...parameters }: JsonSchema = schema;
  return {
    ...common,
    definition: { name, description: cutDescription(described), parameters },
    check: checkedLater(name, schema, traits.redact, log),
    run: (args, call) => run(described.name, args as Readonly<Record<string, unknown>>, call),
  };
}

/** Compiles the schema when it is needed: servers have many functions, and compiling holds up everybody's audio. */
function checkedLater(name: string, schema: JsonSchema, redact: readonly string[], log: Log): LateCheck {
  let check: Tool['check'] | undefined;
  // Once, whatever comes of it.
  const prepared = (): Tool['check'] => {
    check ??= compiled(name, schema, redact, log);
    return check;
  };
  return Object.assign((args: Readonly<Record<string, unknown>>) => prepared()(args), {
    prepare: () => void prepared(),
  });
}

function compiled(name: string, schema: JsonSchema, redact: readonly string[], log: Log): Tool['check'] {
  const leave = (reason: string): Tool['check'] => {
    // The server checks what it is sent; a dialect that is not known here is no reason to do without the function.
    log.debug({ name, reason }, 'arguments of an mcp function are left to its server');
    return (args) => ({ ok: true, args });
  };
  try {
    const made = timeBox(MAX_COMPILE_MS, () => readParameters(name, schema, redact).check);
    return made.inTime ? made.value : leave('its schema takes too long to compile');
  } catch (error) {
    return leave(BridgeError.from(error).message);
  }
}

/** Providers take 1 to 64 letters, digits, _ and -. */
function fitName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, MAX_NAME);
}

function cutDescription({ name, title, description }: Described): string {
  const text = description?.trim() || title?.trim() || name;
  return shortText(text, MAX_DESCRIPTION);
}

function nameOf(found: unknown): string {
  const named = typeof found === 'object' && found !== null && 'name' in found ? found.name : undefined;
  return typeof named === 'string' ? named : 'without a name';
}

/** A name for the log. */
function shown(name: string): string {
  return shortText(name, MAX_SHOWN);
}

function reportIdle(patterns: readonly string[], listing: readonly unknown[], log: Log): void {
  const names = listing.map(nameOf);
  for (const pattern of patterns) {
    if (pattern === '*' || names.some((name) => fitsPattern(name, pattern))) continue;
    log.warn({ pattern }, 'mcp server has no function of this name');
  }
}
