import type { Agent, Clip } from '../agents.ts';
import type { MachinePolicy } from '../answering-machine.ts';
import type { ToolDefinition } from '../provider.ts';

/** A function as a call had it; `builtIn`: it is one of the bridge itself, and runs for real in a replay. */
export interface RecordedTool {
  readonly builtIn: boolean;
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
