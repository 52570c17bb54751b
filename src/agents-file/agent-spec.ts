import type { AgentProvider, Clip } from '../agents.ts';
import type { GapFillerPolicy } from '../fallback/policy.ts';
import type { RecordingPlan } from '../recording-terms.ts';
import type { RawAgent } from './agent-schema.ts';
import { readToolEntry, type ToolEntry } from './tool-entries.ts';

/** An agent as the agents file has it, checked; texts still hold their `{{variables}}`. Undefined: not said. */
export interface AgentSpec
  extends Omit<
    RawAgent,
    'instructions' | 'filler' | 'failover' | 'providers' | 'tools' | 'digits' | 'recording'
  > {
  readonly name: string;
  readonly instructions: string | undefined;
  readonly filler: false | FillerSpec | undefined;
  readonly failover: FailoverSpec | undefined;
  readonly recording: RecordingPlan | undefined;
  /** In order; none: those that the service is configured for. */
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

/** Undefined: not said. */
export interface FailoverSpec {
  readonly connectSeconds: number | undefined;
  readonly hedgeSeconds: number | undefined;
  readonly answerSeconds: number | undefined;
  readonly filler: false | GapFillerPolicy | undefined;
}

/** Sounds of the files that an agent names. */
export interface AgentClips {
  readonly filler: Clip | undefined;
  /** As in `GapFillerPolicy`. */
  readonly gap: ReadonlyMap<string, Clip>;
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
  files: { readonly instructions: string | undefined; readonly clips: AgentClips | undefined },
): AgentSpec {
  const { instructions, filler, failover, recording, providers = [], tools, digits, ...rest } = raw;
  return {
    ...rest,
    name,
    instructions: typeof instructions === 'string' ? instructions : files.instructions,
    filler: typeof filler === 'object' ? fillerSpec(filler, files.clips?.filler) : filler,
    failover: failover && failoverSpec(failover, files.clips?.gap),
    recording: recordingPlan(recording),
    providers: providers.map((one) => {
      if (typeof one === 'string') return { name: one, model: undefined, voice: undefined, overrides: {} };
      return { name: one.name, model: one.model, voice: one.voice, overrides: one.overrides };
    }),
    tools: tools === undefined ? TOOLS : tools.map(readToolEntry),
    digits: digits && { ...digits, endKey: digits.endKey === false ? undefined : digits.endKey },
  };
}

function recordingPlan(raw: RawAgent['recording']): RecordingPlan | undefined {
  if (raw === undefined) return undefined;
  // `true` is older than the recordings of the bridge.
  if (typeof raw === 'boolean') return { by: raw ? 'carrier' : 'off', redact: undefined };
  return typeof raw === 'string' ? { by: raw, redact: undefined } : { by: raw.by, redact: raw.redact };
}

function fillerSpec(raw: Exclude<RawAgent['filler'], false | undefined>, clip: Clip | undefined): FillerSpec {
  return { afterMs: raw.afterMs, say: raw.say, clip, everyMs: raw.everyMs, atMost: raw.atMost };
}

function failoverSpec(
  raw: Exclude<RawAgent['failover'], undefined>,
  clips: AgentClips['gap'] | undefined,
): FailoverSpec {
  const { connectSeconds, hedgeSeconds, answerSeconds, filler } = raw;
  const gapFiller =
    typeof filler === 'object'
      ? { afterMs: filler.afterMs, clips: filler.clip === undefined ? undefined : byTag(clips) }
      : filler;
  return { connectSeconds, hedgeSeconds, answerSeconds, filler: gapFiller };
}

/** Tags are looked up as they are usually written, `de-AT`. */
function byTag(clips: AgentClips['gap'] = new Map()): AgentClips['gap'] {
  return new Map([...clips].map(([tag, clip]) => [Intl.getCanonicalLocales(tag || [])[0] ?? tag, clip]));
}
