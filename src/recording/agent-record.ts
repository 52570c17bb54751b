import type { Agent, Clip } from '../agents.ts';
import type { MachinePolicy } from '../answering-machine.ts';
import type { ToolDefinition } from '../provider.ts';
import { readParameters } from '../tools/parameters.ts';
import { builtInTool } from '../tools/remade.ts';
import type { BuiltIn, Tool } from '../tools.ts';

/** A function as a call had it; `builtIn`: it is one of the bridge itself, and runs for real in a replay. */
export interface RecordedTool {
  readonly builtIn: boolean;
  /** Of a built-in one: what it is made of again. */
  readonly made?: BuiltIn | undefined;
  readonly definition: ToolDefinition;
  readonly timeoutMs: number;
  readonly cancelOnInterrupt: boolean;
  readonly fillerAfterMs: number | undefined;
  readonly maxResultChars: number;
  readonly redact: readonly string[];
}

/** An agent as data: what a call of it depends on. A clip is base64. */
export interface RecordedAgent extends Omit<Agent, 'tools' | 'filler' | 'digits'> {
  readonly tools: readonly RecordedTool[];
  readonly filler:
    | (Omit<NonNullable<Agent['filler']>, 'clip'> & { readonly clip: RecordedClip | undefined })
    | undefined;
  readonly digits: Omit<Agent['digits'], 'handle'>;
  /** Keys were taken by a handler of the program, not by the model. */
  readonly digitsHandled: boolean;
  readonly machine: MachinePolicy;
}

export interface RecordedClip extends Omit<Clip, 'pcm'> {
  readonly pcm: string;
}

/** An agent, and what is done when a machine answers its call, as data. */
export function recordAgent(agent: Agent, machine: MachinePolicy): RecordedAgent {
  const { filler, digits, tools } = agent;
  const { handle, ...keys } = digits;
  return {
    ...agent,
    tools: tools.map(recordTool),
    filler: filler && { ...filler, clip: filler.clip && recordClip(filler.clip) },
    digits: keys,
    digitsHandled: handle !== undefined,
    machine,
  };
}

function recordTool(tool: Tool): RecordedTool {
  const { builtIn, definition, timeoutMs, cancelOnInterrupt, fillerAfterMs, maxResultChars, redact } = tool;
  const kind = builtIn === undefined ? { builtIn: false } : { builtIn: true, made: builtIn };
  return { ...kind, definition, timeoutMs, cancelOnInterrupt, fillerAfterMs, maxResultChars, redact };
}

function recordClip({ pcm, ...clip }: Clip): RecordedClip {
  return { ...clip, pcm: Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64') };
}

/** What `agentFrom` needs of whoever plays the recording. */
export interface AgentParts {
  /** Gives a function of the program a handler: its own is not in the recording. */
  readonly tool: (tool: Tool) => Tool;
  /** Takes the keys of an agent whose program took them; undefined: the model gets them. */
  readonly handleDigits?: Agent['digits']['handle'];
}

/**
 * The agent of a recording. Functions of the bridge itself are made again, under the descriptions that they had. Throws
 * BAD_INPUT for a built-in function that there is not.
 */
export function agentFrom(record: RecordedAgent, parts: AgentParts): Agent {
  const { tools, filler, digits, digitsHandled, machine: _machine, ...rest } = record;
  return {
    ...rest,
    tools: tools.map((tool) => (tool.builtIn ? remade(tool) : parts.tool(withoutHandler(tool)))),
    filler: filler && { ...filler, clip: filler.clip && clipFrom(filler.clip) },
    digits: digitsHandled ? { ...digits, handle: parts.handleDigits } : digits,
  };
}

function remade({ builtIn: _builtIn, made, ...recorded }: RecordedTool): Tool {
  const tool = builtInTool(made ?? { name: recorded.definition.name });
  return { ...tool, ...recorded };
}

/** A function of a program that does nothing yet. */
function withoutHandler({ builtIn: _builtIn, made: _made, ...recorded }: RecordedTool): Tool {
  const { definition, redact } = recorded;
  const { check } = readParameters(definition.name, definition.parameters, redact);
  return { ...recorded, check, run: () => undefined };
}

function clipFrom({ pcm, ...clip }: RecordedClip): Clip {
  return { ...clip, pcm: new Uint8Array(Buffer.from(pcm, 'base64')) };
}
