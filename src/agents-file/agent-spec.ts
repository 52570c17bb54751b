import type { AgentProvider, Clip } from '../agents.ts';
import type { RawAgent } from './agent-schema.ts';
import { readToolEntry, type ToolEntry } from './tool-entries.ts';

/** An agent as the agents file has it, checked; texts still hold their `{{variables}}`. Undefined: not said. */
export interface AgentSpec
  extends Omit<RawAgent, 'instructions' | 'filler' | 'providers' | 'tools' | 'digits'> {
  readonly name: string;
  readonly instructions: string | undefined;
  readonly filler: false | FillerSpec | undefined;
  /** In order; none: the provider that the service is configured for. */
  readonly providers: readonly AgentProvider[];
  readonly tools: readonly ToolEntry[];
  readonly digits:
    | { readonly endKey: string | undefined; readonly timeoutMs: number; readonly max: number }
    | undefined;
}

export interface FillerSpec {
  readonly afterMs: number;
  /** Undefined: not said. */
  readonly say: readonly string[] | undefined;
  readonly clip: Clip | undefined;
  readonly everyMs: number;
  readonly atMost: number;
}

/** What a caller needs who wants to hang up, and a model that is asked for the day. */
const TOOLS: readonly ToolEntry[] = [
  { type: 'built-in', name: 'end_call' },
  { type: 'built-in', name: 'current_time' },
];

/** Puts an agent together from its section and from the files that it names. */
export function agentSpec(
  name: string,
  raw: RawAgent,
  files: { readonly instructions: string | undefined; readonly clip: Clip | undefined },
): AgentSpec {
  const { instructions, filler, providers = [], tools, digits, ...rest } = raw;
  return {
    ...rest,
    name,
    instructions: typeof instructions === 'string' ? instructions : files.instructions,
    filler: typeof filler === 'object' ? fillerSpec(filler, files.clip) : filler,
    providers: providers.map((one) => {
      if (typeof one === 'string') return { name: one, model: undefined, voice: undefined, overrides: {} };
      return { name: one.name, model: one.model, voice: one.voice, overrides: one.overrides };
    }),
    tools: tools === undefined ? TOOLS : tools.map(readToolEntry),
    digits: digits && { ...digits, endKey: digits.endKey === false ? undefined : digits.endKey },
  };
}

function fillerSpec(raw: Exclude<RawAgent['filler'], false | undefined>, clip: Clip | undefined): FillerSpec {
  return { afterMs: raw.afterMs, say: raw.say, clip, everyMs: raw.everyMs, atMost: raw.atMost };
}
