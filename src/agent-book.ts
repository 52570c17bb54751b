import { type Agent, type FillerPolicy, voiceAgent } from './agents.ts';
import type { AgentSpec } from './agents-file/agent-spec.ts';
import { builtInVariables, type CallFacts } from './agents-file/call-facts.ts';
import { Routes } from './agents-file/routes.ts';
import { fill, isBuiltInVariable, tidy } from './agents-file/template.ts';
import type { BuiltInEntry, ToolEntry } from './agents-file/tool-entries.ts';
import type { AgentsFile, NumberEntry } from './agents-file.ts';
import type { AfterStream, CarrierName } from './carrier.ts';
import { BridgeError } from './errors.ts';
import { carrierRecords, type RecordingPlan } from './recording-terms.ts';
import type { Tool } from './tools.ts';

type Variables = Readonly<Record<string, string>>;

/** Who has the calls of a number. */
export interface Route {
  readonly agent: string;
  /** Those of the entry alone. */
  readonly variables: Variables;
  readonly entry: NumberEntry;
}

/** The number that a call is known by in the agents file: the one that was called, or that calls. */
export function ownNumber(call: Pick<CallFacts, 'direction' | 'from' | 'to'>): string {
  return call.direction === 'inbound' ? call.to : call.from;
}

/** What an agent of the file has where it says nothing: the defaults of a service without settings. */
const BASE = {
  instructions: undefined,
  greeting: undefined,
  voice: undefined,
  language: undefined,
  audio: 'wideband',
  maxCallMs: 3_600_000,
  silenceMs: 15_000,
} as const;

/** An agents file ready for use: finds the agent of a number and makes agents for calls. Immutable. */
export class AgentBook {
  readonly file: AgentsFile;
  /** Names, in the order of the file. */
  readonly agents: readonly string[];
  readonly #base: Agent;
  readonly #routes: Routes;

  /** `base`: an agent that has whatever an agent of the file leaves out; its `maxCallMs` is never exceeded. */
  constructor(file: AgentsFile, base: Agent = voiceAgent(BASE, [])) {
    this.file = file;
    this.agents = [...file.agents.keys()];
    this.#base = base;
    this.#routes = new Routes(file.numbers);
  }

  /** `number` as in `ownNumber`. Undefined: the file has no agent for it. */
  route({ carrier, number }: { readonly carrier: CarrierName; readonly number: string }): Route | undefined {
    const entry = this.#routes.find(number, carrier);
    return entry && { agent: entry.agent, variables: entry.variables, entry };
  }

  has(name: string): boolean {
    return this.file.agents.has(name);
  }

  /** The agent as the file has it. Throws BAD_INPUT for a name that it does not have. */
  spec(name: string): AgentSpec {
    const spec = this.file.agents.get(name);
    if (spec !== undefined) return spec;
    throw new BridgeError(
      'BAD_INPUT',
      `agent ${JSON.stringify(name)}: found no such one, wanted one of ${this.agents.join(', ')}`,
    );
  }

  /**
   * What is declared in the file and for the agent, and over that what is `given` for one call (by its number, the start
   * webhook, the operator, later ones over earlier ones). Without the built-in ones, which nobody can set: whoever is
   * told of these would take them for what the bridge knows.
   */
  variables(name: string, given: Variables): Variables {
    const all = { ...this.file.variables, ...this.spec(name).variables, ...given };
    const own = Object.entries(all).filter(([key]) => !isBuiltInVariable(key));
    return Object.fromEntries(own.map(([key, value]) => [key, tidy(value)]));
  }

  /** The agent for one call, its texts filled in. `given` as in `variables`; `tools` are those of `toolEntries`. */
  agentFor(name: string, facts: CallFacts, given: Variables, tools: readonly Tool[]): Agent {
    const spec = this.spec(name);
    const base = this.#base;
    const variables = this.#allVariables(spec, facts, given);
    const say = (text: string | undefined, otherwise: string): string => filled(text, variables) ?? otherwise;
    return {
      name,
      instructions: say(spec.instructions, base.instructions),
      greeting: greeting(spec, base, variables),
      voice: spec.voice ?? base.voice,
      language: spec.language ?? base.language,
      turnDetection: spec.turnDetection ?? base.turnDetection,
      bargeIn: { ...base.bargeIn, ...spec.bargeIn },
      transcribeCaller: spec.transcribeCaller ?? base.transcribeCaller,
      audio: spec.audio ?? base.audio,
      tools,
      redact: this.file.tools.redact,
      toolsAtOnce: spec.toolsAtOnce ?? base.toolsAtOnce,
      filler: filler(spec, base, variables),
      providers: spec.providers,
      failover: failover(spec, base),
      maxCallMs: Math.min(base.maxCallMs, (spec.limits?.callSeconds ?? Number.POSITIVE_INFINITY) * 1000),
      maxCallGoodbye: say(spec.limits?.goodbye, base.maxCallGoodbye),
      silence: silence(spec, base, variables),
      digits: spec.digits ?? base.digits,
      recording: spec.recording === undefined ? base.recording : carrierRecords(spec.recording.by),
      variables,
      lastResort: lastResort(spec, base, variables),
    };
  }

  /** The functions that an agent may call, in the order of the file, their texts filled in for one call. */
  toolEntries(name: string, facts: CallFacts, given: Variables): readonly ToolEntry[] {
    const spec = this.spec(name);
    const variables = this.#allVariables(spec, facts, given);
    return spec.tools.map((entry) => (entry.type === 'built-in' ? builtIn(entry, spec, variables) : entry));
  }

  /** What one call of an agent may cost; undefined: anything. `goodbye` is undefined where the file has none. */
  budget(
    name: string,
    facts: CallFacts,
    given: Variables,
  ): { readonly perCall: number; readonly goodbye: string | undefined } | undefined {
    const spec = this.spec(name);
    if (spec.budget === undefined) return undefined;
    const variables = this.#allVariables(spec, facts, given);
    return { perCall: spec.budget.perCall, goodbye: filled(spec.budget.goodbye, variables) };
  }

  /** How its calls are recorded; undefined: as the service has it. Throws BAD_INPUT for a name that the file does not have. */
  recordingPlan(name: string): RecordingPlan | undefined {
    return this.spec(name).recording;
  }

  /** Who is asked at the start of a call that `name` is to have; undefined: nobody. A number without an agent has no name. */
  startHook(name: string | undefined): AgentsFile['webhooks']['start'] {
    const own = name === undefined ? undefined : this.spec(name).startWebhook;
    return own === false ? undefined : (own ?? this.file.webhooks.start);
  }

  /** Who is told of a call that `name` had; undefined: nobody. */
  endHook(name: string): AgentsFile['webhooks']['end'] {
    const own = this.spec(name).endWebhook;
    return own === false ? undefined : (own ?? this.file.webhooks.end);
  }

  /** Those that the bridge fills in come last: whoever sets variables cannot pass for another caller. */
  #allVariables(spec: AgentSpec, facts: CallFacts, given: Variables): Variables {
    const timeZone = spec.timeZone ?? this.file.timeZone;
    const language = spec.language ?? this.#base.language;
    const builtIns = builtInVariables(facts, spec.name, timeZone, language);
    return Object.freeze({ ...this.variables(spec.name, given), ...builtIns });
  }
}

/** Undefined for a text that is not there, or of which nothing is left. */
function filled(text: string | undefined, variables: Variables): string | undefined {
  const result = text === undefined ? '' : fill(text, variables);
  return result.trim() === '' ? undefined : result;
}

function greeting(spec: AgentSpec, base: Agent, variables: Variables): string | undefined {
  if (spec.greeting === undefined) return base.greeting;
  return spec.greeting === false ? undefined : filled(spec.greeting, variables);
}

function filler(spec: AgentSpec, base: Agent, variables: Variables): FillerPolicy | undefined {
  if (spec.filler === undefined) return base.filler;
  if (spec.filler === false) return undefined;
  const { afterMs, say, clip, everyMs, atMost } = spec.filler;
  const texts = say === undefined ? (base.filler?.texts ?? []) : allFilled(say, variables);
  return { afterMs, texts, clip, everyMs, atMost };
}

function allFilled(texts: readonly string[], variables: Variables): readonly string[] {
  return texts.flatMap((text) => filled(text, variables) ?? []);
}

function silence(spec: AgentSpec, base: Agent, variables: Variables): Agent['silence'] {
  if (spec.silence === undefined) return base.silence;
  if (spec.silence === false) return { ...base.silence, afterMs: 0 };
  const { afterSeconds, prompts, goodbye } = spec.silence;
  return {
    afterMs: inMs(afterSeconds) ?? base.silence.afterMs,
    prompts: prompts === undefined ? base.silence.prompts : allFilled(prompts, variables),
    goodbye: filled(goodbye, variables) ?? base.silence.goodbye,
  };
}

function failover({ failover }: AgentSpec, { failover: base }: Agent): Agent['failover'] {
  if (failover === undefined) return base;
  const { connectSeconds, hedgeSeconds, answerSeconds, filler: gap } = failover;
  return {
    connectMs: inMs(connectSeconds) ?? base.connectMs,
    hedgeMs: inMs(hedgeSeconds) ?? base.hedgeMs,
    answerMs: inMs(answerSeconds) ?? base.answerMs,
    gapFiller: gap === undefined ? base.gapFiller : gap || undefined,
  };
}

function inMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.round(seconds * 1000);
}

function lastResort(spec: AgentSpec, base: Agent, variables: Variables): AfterStream {
  const wanted = spec.lastResort;
  if (wanted === undefined) return base.lastResort;
  if (wanted === 'hang-up') return { type: 'hang-up' };
  const language = wanted.language ?? spec.language;
  if ('say' in wanted) {
    const text = filled(wanted.say, variables);
    return text === undefined ? base.lastResort : { type: 'say', text, language };
  }
  if ('message' in wanted) {
    const text = filled(wanted.message, variables);
    return text === undefined
      ? base.lastResort
      : { type: 'message', text, language, maxS: wanted.maxSeconds };
  }
  const { transfer: to, callerId, ringSeconds: ringS, announce } = wanted;
  return { type: 'transfer', to, callerId, ringS, announce: filled(announce, variables), language };
}

function builtIn(entry: BuiltInEntry, spec: AgentSpec, variables: Variables): BuiltInEntry {
  if (entry.name === 'leave_message') return { ...entry, text: filled(entry.text, variables) };
  if (entry.name !== 'transfer_call') return entry;
  const destinations = entry.destinations.map((one) => ({
    ...one,
    announce: filled(one.announce, variables),
    language: one.language ?? spec.language,
  }));
  return { ...entry, destinations };
}
